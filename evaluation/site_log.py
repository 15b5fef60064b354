"""A site's logged operation as episodes: the observation and action tables of HashrateTuning applied to what was recorded."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..sim.contract.channels import ENERGY_PRICE, REALISED_HASHPRICE
from ..sim.foundation.constants import CONTROL_STEP_S, usd_per_th
from ..sim.foundation.errors import BadInputError
from ..sim.hardware.firmware import ASLEEP, STARTING
from ..sim.history.history import STEP
from ..sim.site.ladders import SiteLadders
from ..sim.telemetry.columns import STATUS
from ..sim.telemetry.stamps import utc_stamps
from .episodes import Episode

COLUMNS: Final = (
    "time_utc",
    "zone",
    "status",
    "target_mhz",
    "power_w",
    "hashrate_ths",
    "hot_temp_c",
    "inlet_temp_c",
    "fan_pu",
    "energy_kwh",
)
"""time_utc: begin of a five-minute step; zone: number; status: of most machines at that time; target_mhz: profile that was set for the step, 0 for
sleep; power_w, hashrate_ths: means of a machine over the step before; hot_temp_c, inlet_temp_c, fan_pu: at that time; energy_kwh: at
the meter in the step, the site's, in every zone's row."""

SHORTEST: Final = 13
"""Rows of the shortest stretch that is kept: an hour of steps, and what came of the last. chosen."""

_NUMBERS: Final = ("target_mhz", "power_w", "hashrate_ths", "hot_temp_c", "inlet_temp_c", "fan_pu", "energy_kwh")


@dataclass(frozen=True, slots=True)
class SiteLog:
    """Episodes of a log: stretches without a gap. told: what was dropped, in words."""

    config: EnvConfig
    episodes: list[Episode]
    told: str


def read(path: Path, config: EnvConfig, timezone: str | None = None) -> SiteLog:
    """Read a log over the history of a scenario.

    A step counts if every zone has a whole row at it; stretches of whole steps of an hour or more become episodes. The reward is what
    the step's hashes earned less what its energy cost, at the history's prices; charges on peaks are not in it.

    Args:
        path: CSV with the COLUMNS.
        config: Scenario, split and forecast.
        timezone: Of stamps that state no offset; without it such stamps are refused.

    Raises:
        BadInputError: Names the columns that are missing, or says that no stretch is long enough.
    """
    config = replace(config, action="profile", randomize={"noise": (0.0, 0.0)})
    batch = Batch(config, 1)
    frame = _table(path, batch.n_zones, timezone)
    history = batch.scenario.history
    offset = (frame["time_utc"] - history.start) / STEP
    first, last = batch.scenario.rows(config.split)
    on_grid = (offset == offset.round()) & (offset >= first) & (offset < last)
    whole = frame[list(_NUMBERS)].notna().all(axis=1) & frame["status"].isin(STATUS) & on_grid
    kept = frame[whole].assign(step=offset[whole].astype(np.int64)).drop_duplicates(["step", "zone"])
    counts = kept.groupby("step").size()
    steps = np.sort(counts.index[counts == batch.n_zones].to_numpy(np.int64))
    dropped = int(offset[on_grid].nunique()) - len(steps)
    runs = [run for run in np.split(steps, np.flatnonzero(np.diff(steps) != 1) + 1) if len(run) > SHORTEST]
    if not runs:
        raise BadInputError(
            f"{path}: no stretch of more than {SHORTEST} whole steps within the split {config.split!r}; {dropped} steps are incomplete"
        )
    by_step = kept.set_index(["step", "zone"]).sort_index()
    episodes = [_episode(batch, by_step, run) for run in runs]
    used = sum(len(run) for run in runs)
    told = f"{path}: {used} of {len(steps)} whole steps in {len(runs)} stretches; {dropped} incomplete steps and {int((~whole).sum())} rows dropped\n"
    return SiteLog(config, episodes, told)


def _table(path: Path, n_zones: int, timezone: str | None) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: not a readable CSV ({error})") from error
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise BadInputError(f"{path}: no column {', '.join(map(repr, missing))}; a log has {', '.join(COLUMNS)}")
    try:
        frame["time_utc"] = utc_stamps(frame["time_utc"], timezone)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    for name in _NUMBERS:
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
    wrong = frame.index[~frame["zone"].isin(range(n_zones))]
    if len(wrong):
        raise BadInputError(
            f"{path}, row {int(wrong[0]) + 2}, column 'zone': {frame['zone'][wrong[0]]}; the site has zones 0 to {n_zones - 1}"
        )
    return frame


def _episode(batch: Batch, rows: pd.DataFrame, steps: npt.NDArray[np.int64]) -> Episode:
    """Return a stretch as an episode: the last step is seen but not acted in. Of the costs those are counted that a log tells: hot chips and starts."""
    site, zones = batch.state.site[0], batch.state.zone[0]
    ladders = SiteLadders.of(batch.site)
    n_zones, values = batch.n_zones, batch.exogenous.values[0]
    limit_c = batch.setup.thresholds["chip_over_temp"]
    table = {name: rows[name].unstack("zone").loc[steps].to_numpy(np.float64) for name in _NUMBERS}
    status = rows["status"].map(STATUS).unstack("zone").loc[steps].to_numpy(np.float64)
    since_s = np.zeros(n_zones)
    observed, acted, rewards, costs = [], [], [], []
    # What was commanded before the first row is not known: an episode begins with the second.
    for k, step in list(enumerate(steps.tolist()))[1:]:
        since_s = np.where(status[k] == status[k - 1], since_s, 0.0) + CONTROL_STEP_S
        site["step"], site["series"], site["age"] = step, 0, k
        zones["mode"], zones["mode_s"] = status[k], since_s
        zones["target_mhz"] = table["target_mhz"][k - 1]
        zones["cap_mhz"] = ladders.freq_mhz[:, -1]
        for name in ("power_w", "hashrate_ths", "hot_temp_c", "inlet_temp_c", "fan_pu"):
            zones[name] = table[name][k]
        batch.look()
        observed.append(batch.obs[0].copy())
        acted.append(ladders.actions(table["target_mhz"][k]).tolist())
        if k + 1 < len(steps):
            units = np.array([zone.n_units for zone in batch.site.zones])
            hash_th = float((table["hashrate_ths"][k + 1] * units).sum()) * CONTROL_STEP_S
            cost_usd = float(table["energy_kwh"][k, 0]) / 1000.0 * values[step, ENERGY_PRICE]
            counted = np.zeros(len(batch.cost_names))
            counted[batch.cost_names.index("chip_over_temp")] = (table["hot_temp_c"][k + 1] > limit_c).sum()
            counted[batch.cost_names.index("starts")] = ((status[k] == ASLEEP) & (status[k + 1] == STARTING)).sum()
            costs.append(counted)
            rewards.append(hash_th * usd_per_th(values[step, REALISED_HASHPRICE]) - cost_usd)
    n, usd = len(rewards), np.array(rewards)
    return {
        "observations": np.array(observed),
        "actions": np.array(acted[:n], np.int64),
        "rewards": usd / batch.reward_scale_usd,
        "truncations": np.arange(n) == n - 1,
        "costs": np.array(costs),
        "profit_usd": usd,
    }
