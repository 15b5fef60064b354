"""The unit on the bench: what its info holds."""

import gymnasium as gym
import numpy as np
import pytest

import hashgym.envs  # noqa: F401


def test_info_holds_what_was_measured_and_no_pue_for_there_is_no_plant() -> None:
    env = gym.make("hashgym/ChipTuning-v0")
    env.reset(seed=4)
    batch = env.unwrapped.batch  # type: ignore[attr-defined]
    _, reward, _, _, info = env.step(np.array([-1.0, 0.0, 1.0], np.float32))
    machine, unit = batch.machine, batch.state[0]
    assert "pue" not in info
    assert info["profit_usd"] == pytest.approx(info["revenue_usd"] - info["energy_usd"])
    assert info["energy_usd"] == pytest.approx(info["energy_kwh"] * unit["price"] / 1000.0)
    assert info["freq_mhz"] == pytest.approx(unit["freq_pu"] * machine.profiles_mhz[-1], rel=0.01)
    assert 0.5 * machine.floor_v < info["rail_v"] < 2.0 * machine.ref_v
    assert info["hash_th"] < machine.rated_hashrate_ths * 600.0
    assert 0.0 <= info["error_frac"] <= 1.0
    assert reward == pytest.approx(
        info["profit_usd"] / (machine.rated_hashrate_ths * 600.0 * float(batch.world.env["usd_per_terahash"][0]))
    )
