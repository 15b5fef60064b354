"""Every environment of the registry timed by itself, for `hashgym bench --full`."""

import time
from typing import Any, Final

import gymnasium as gym

from hashgym.envs.scenario import scenario as scenarios

_SPAN_S: Final = 0.5
_BATCH: Final = 1024


def four_zones() -> scenarios.Scenario:
    """Return west_texas_air with its machines in four zones that breathe each other's air."""
    content = scenarios.read("west_texas_air")
    zone = {**content["site"]["zones"][0], "n_units": 70}
    links = [{"zone": z, "source": (z + 1) % 4, "share": 0.05} for z in range(4)]
    return scenarios.from_mapping(
        {**content, "name": "four_zones", "site": {**content["site"], "zones": [zone] * 4, "links": links}}
    )


def rates() -> dict[str, dict[str, float]]:
    """Return steps per second of each environment, alone and 1,024 in one call, by id (and scenario where it is not the usual one)."""
    wide = four_zones()
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("hashgym/HashrateTuning-v0", "", {}),
        ("hashgym/CoolingControl-v0", "", {}),
        ("hashgym/CoolingControl-v0", " georgia_room", {"scenario": "georgia_room"}),
        ("hashgym/SiteOperation-v0", "", {}),
        ("hashgym/SiteOperation-v0", " 4 zones", {"scenario": wide}),
        ("hashgym/SiteOperation-v0", " nordic_hydro", {"scenario": "nordic_hydro"}),
        ("hashgym/SiteOperation-v0", " pv_battery_tight", {"scenario": "pv_battery_tight"}),
        ("hashgym/CoinSwitching-v0", "", {}),
        ("hashgym/ChipTuning-v0", "", {}),
    ]
    return {
        name + title: {
            "single_env_steps_per_s": _single(name, options),
            "batched_env_steps_per_s": _batched(name, options),
        }
        for name, title, options in cases
    }


def _single(name: str, options: dict[str, Any]) -> float:
    env = gym.make(name, **options)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(64)]
    env.reset(seed=0)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SPAN_S:
        for action in actions:
            if env.step(action)[3]:
                env.reset()
        steps += len(actions)
    return steps / (time.perf_counter() - began)


def _batched(name: str, options: dict[str, Any]) -> float:
    env = gym.make_vec(name, num_envs=_BATCH, **options)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(8)]
    env.reset(seed=0)
    for action in actions:
        env.step(action)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SPAN_S:
        for action in actions:
            env.step(action)
        steps += len(actions) * _BATCH
    return steps / (time.perf_counter() - began)
