"""A site's own log becomes episodes of the same form as those that are played."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation import site_log
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import STEP


def logged(world: Scenario, n: int) -> tuple[pd.DataFrame, np.ndarray, list[np.ndarray]]:
    """Play some steps and write down what a site would log; returns the log, the actions and what was observed."""
    batch = Batch(EnvConfig(scenario=world, action="profile"), 1)
    batch.seed([3])
    batch.reset(starts=np.array([batch.start_step("2024-06-05T00:00")]))
    rng, rows, actions, seen = np.random.default_rng(0), [], [], []
    choice = np.array([[11]])
    ladder = np.array(world.site.zones[0].machine.profiles_mhz)
    names = {0.0: "asleep", 1.0: "starting", 2.0: "hashing", 3.0: "tripped"}
    for k in range(n):
        zone, place = batch.state.zone[0, 0].copy(), int(batch.state.site["step"][0])
        seen.append(batch.obs[0].copy())
        if k % 7 == 3:
            choice = np.array([[int(rng.integers(0, 12))]])
        batch.step(choice)
        actions.append(choice[0].copy())
        rows.append(
            {
                "time_utc": (world.history.start + STEP * place).isoformat(),
                "zone": 0,
                "status": names[float(zone["mode"])],
                "target_mhz": 0.0 if choice[0, 0] == 0 else ladder[choice[0, 0] - 1],
                **{
                    name: float(zone[name])
                    for name in ("power_w", "hashrate_ths", "hot_temp_c", "inlet_temp_c", "fan_pu")
                },
                "energy_kwh": float(batch.flow("energy_kwh")[0]),
            }
        )
    return pd.DataFrame(rows), np.array(actions), seen


def test_a_sites_log_becomes_episodes_of_the_same_form(small: Scenario, tmp_path: Path) -> None:
    frame, actions, seen = logged(small, 80)
    frame.loc[30, "hot_temp_c"] = np.nan
    frame.loc[31, "status"] = "unheard of"
    path = tmp_path / "log.csv"
    frame.to_csv(path, index=False)
    log = site_log.read(path, EnvConfig(scenario=small))
    assert [len(episode["rewards"]) for episode in log.episodes] == [28, 46]
    assert "78 of 78 whole steps in 2 stretches; 2 incomplete steps and 2 rows dropped" in log.told
    first, second = log.episodes
    assert np.array_equal(first["actions"], actions[1:29])
    assert np.array_equal(second["actions"], actions[33:79])
    batch = Batch(EnvConfig(scenario=small, action="profile"), 1)
    known = len(batch.exogenous.channels)
    for episode, start in ((first, 1), (second, 33)):
        for k, observed in enumerate(episode["observations"]):
            assert np.array_equal(observed[: known + 2], seen[start + k][: known + 2])
        modes = [batch.column(f"zone0_{name}") for name in ("asleep", "starting", "hashing", "tripped")]
        assert np.array_equal(
            episode["observations"][:, modes], np.array(seen)[start : start + len(episode["observations"]), modes]
        )
        exact = [batch.column(f"zone0_{name}") for name in ("target_pu", "inlet_temp_c", "fan_pu")]
        assert np.allclose(
            episode["observations"][:, exact],
            np.array(seen)[start : start + len(episode["observations"]), exact],
            atol=1e-6,
        )
    assert first["truncations"].tolist() == [False] * 27 + [True]
    usd = first["profit_usd"]
    assert np.isfinite(usd).all()
    assert usd.std() > 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="fan_pu"), "no column 'fan_pu'; a log has time_utc"),
        (lambda frame: frame.assign(zone=3), "row 2, column 'zone': 3; the site has zones 0 to 0"),
        (lambda frame: frame.assign(status="?"), "no stretch of more than 13 whole steps"),
        (lambda frame: frame.assign(time_utc="2031-01-01"), "no stretch of more than 13 whole steps"),
    ],
)
def test_a_log_that_cannot_be_read_is_named(change: Any, message: str, small: Scenario, tmp_path: Path) -> None:
    frame, _, _ = logged(small, 20)
    path = tmp_path / "log.csv"
    change(frame).to_csv(path, index=False)
    with pytest.raises(BadInputError, match=message):
        site_log.read(path, EnvConfig(scenario=small))
