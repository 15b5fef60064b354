"""Thousands of sites in one call: the vector form, and how fast it is.

python examples/thousands_in_one_call.py [--envs 4096] [--steps 300]
"""

import argparse
import time

import gymnasium as gym
import numpy as np

import hashgym.envs  # noqa: F401 (registers the ids)


def main(argv: list[str] | None = None) -> np.ndarray:
    """Step many sites under random actions; returns the profit of each. [USD]"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args(argv)

    envs = gym.make_vec("hashgym/HashrateTuning-v0", num_envs=given.envs)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 6, (given.steps, given.envs, 1))
    envs.step(actions[0])  # compiles

    profit_usd, began = np.zeros(given.envs), time.perf_counter()
    for action in actions:
        _, _, _, _, info = envs.step(action)
        profit_usd += info["profit_usd"]
    seconds = time.perf_counter() - began
    print(f"{given.envs * given.steps / seconds / 1e6:.2f} million steps a second")
    print(f"profit of a site: {profit_usd.mean():.0f} ± {profit_usd.std():.0f} USD")
    return profit_usd


if __name__ == "__main__":
    main()
