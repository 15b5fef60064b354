"""Random play over every scenario: no NaN, no exception, no bound broken.

    python benchmarks/random_play.py --steps 100000000

Every environment over a site takes its part; actions are uniform, at their ends, or held for a while.
"""

import argparse
import sys
import time

import gymnasium as gym
import numpy as np

import hashgym.envs  # noqa: F401
from hashgym.envs.scenario import scenario as scenarios

_BATCH = 1024
_TRIP_C = 125.0
"""Chips that a trip came too late for stay below this: 20 K above the highest trip temperature of the catalogue's firmware."""


def cases() -> list[tuple[str, dict[str, object]]]:
    """Return environments and options that are played."""
    names = [name for name in scenarios.names() if not name.endswith("_replay")]
    several = [name for name in names if len(scenarios.load(name).site.markets) > 1]
    spread = {"power_dev": [-0.1, 0.1], "hashrate_dev": [-0.1, 0.1], "sink_dev": [-0.3, 0.2], "noise": [0.0, 3.0]}
    return [
        *(("HashrateTuning", {"scenario": name, "action": "box"}) for name in names),
        *(("CoolingControl", {"scenario": name, "randomize": spread}) for name in names),
        *(("SiteOperation", {"scenario": name, "coin_choice": name in several, "randomize": spread}) for name in names),
        *(("CoinSwitching", {"scenario": name}) for name in several),
        ("ChipTuning", {}),
    ]


def play(name: str, options: dict[str, object], steps: int, seed: int) -> None:
    """Take some steps; raises AssertionError where something is not as it must be."""
    env = gym.make_vec(f"hashgym/{name}-v0", num_envs=_BATCH, **options)
    space, rng = env.single_observation_space, np.random.default_rng(seed)
    assert isinstance(space, gym.spaces.Box)
    env.reset(seed=seed)
    env.action_space.seed(seed)
    action = np.asarray(env.action_space.sample())
    for k in range(-(-steps // _BATCH)):
        if k % 3 == 0 or rng.random() < 0.5:
            action = np.asarray(env.action_space.sample())
            if action.dtype == np.float32:
                ends = rng.random(action.shape) < 0.2
                action = np.where(ends, np.sign(action), action).astype(np.float32)
        obs, reward, terminated, _, info = env.step(action)
        assert np.isfinite(reward).all(), (name, options, k)
        assert (obs >= space.low).all() and (obs <= space.high).all(), (name, options, k)  # noqa: PT018 (NaN fails both)
        assert (info["costs"] >= 0.0).all(), (name, options, k)
        assert info["max_chip_temp_c"].max() < (150.1 if name == "ChipTuning" else _TRIP_C), (name, options, k)
        assert not terminated.any()


def main() -> int:
    """Play all cases; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000_000, help="steps of all environments together")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    whole = cases()
    for number, (name, more) in enumerate(whole):
        began, share = time.perf_counter(), options.steps // len(whole)
        play(name, more, share, options.seed + number)
        sys.stdout.write(f"{name} {more.get('scenario', '')}: {share} steps in {time.perf_counter() - began:.0f} s\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
