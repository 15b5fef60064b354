"""From telemetry and history to the observation that a policy takes: what a controller in production needs, without a forecast."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..envs.batch.operating import looks_at
from ..sim.foundation.errors import BadInputError
from ..sim.history.history import History
from ..sim.series.exogenous import WARM_UP_STEPS
from ..sim.site.world import Exogenous
from . import telemetry
from .advise import assessed, charge_of, outdoor_temp_c, reach
from .bundle import Bundle
from .outlook import step_of
from .situation import in_order_of, observation_names, observed, present, scenario_of
from .telemetry import Rejected, Telemetry
from .trial import Settings
from .whatif import env_of


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation as `Bundle.decide` takes it.

    values: in physical units, (n_observations,); names: of its entries; notes: who is set aside and what was put in from the model;
    rejected: rows of telemetry that were not used.
    """

    values: npt.NDArray[np.float32]
    names: tuple[str, ...]
    notes: tuple[str, ...]
    rejected: tuple[Rejected, ...]


def observe(
    bundle: Bundle, given: Telemetry, history: History, now: pd.Timestamp, charge_pu: float | None = None
) -> Observed:
    """Return what a bundle's policy sees of a site at a moment.

    Args:
        bundle: The policy's bundle.
        given: Telemetry, as `telemetry.read` or `telemetry.of_frame` give it.
        history: Weather, prices and coin up to now; of what lies beyond only published prices are looked at.
        now: The moment.
        charge_pu: Energy in the site's battery over what it holds, where there is one.

    Raises:
        BadInputError: The history does not reach from two days before now up to it, or of a zone nothing can be said.
        BundleError: The bundle was made for another observation table.

    Examples:
        seen = observe(bundle, telemetry.read(Path("fleet.csv")), History.load(Path("history")), pd.Timestamp.now(tz="UTC"))
        bundle.decide(seen.values).setpoint_mhz
    """
    bundle.require_observations(observation_names(bundle))
    history = in_order_of(bundle, history)
    site = scenario_of(bundle, history).site
    step = step_of(history, now)
    late_s = (now - history.end).total_seconds()
    if step < WARM_UP_STEPS or late_s > history.price_interval_s:
        raise BadInputError(
            f"the history holds {history.start}…{history.end}; an observation at {now} needs two days before it, up to now"
        )
    if step >= len(history.frame):
        history = reach(history, step)
    given = telemetry.complete(given, site, outdoor_temp_c(history, now))
    rows, rejected = telemetry.check(given, site, now, Settings().max_age_s)
    found = assessed(bundle, given, rows, site, history, step)
    if found.silent:
        raise BadInputError("; ".join(found.silent.values()))
    scenario = replace(scenario_of(bundle, history, found.site), history=history)
    config = env_of(bundle, scenario)
    whole = scenario.exogenous(str(config.forecast), 1, looks_at(bundle.rule))
    now_alone = Exogenous(
        np.repeat(whole.values[:, step : step + 1], 2, axis=1),
        np.repeat(whole.known[:, step : step + 1], 2, axis=1),
        whole.channels,
    )
    batch = present(config, now_alone, found.zones, charge_of(site, charge_pu))
    return Observed(observed(batch, found.zones, site), bundle.names, found.notes, tuple(rejected))
