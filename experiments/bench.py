"""`hashgym bench`: steps per second, beside Gymnasium's Pendulum and EnvPool's in the same run."""

import argparse
import importlib.util
import logging
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np
import psutil
from stable_baselines3.common.callbacks import BaseCallback

import hashgym.envs  # noqa: F401  (registers the ids)
from hashgym.advisor import packing
from hashgym.agents.learning.learners import PpoConfig
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.seeding import draw_seeds
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.experiments import bench_envs, bench_zones
from hashgym.sim.foundation.files import write_json

log = logging.getLogger(__name__)

ENV_ID: Final = "hashgym/HashrateTuning-v0"
BATCHES: Final = (64, 1024, 4096)
_SPAN_S: Final = 0.6
_ROUNDS: Final = 3
_PPO_STEPS: Final = 262_144
_DECISIONS: Final = 10_000


def main(args: list[str]) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hashgym bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a JSON file")
    parser.add_argument("--full", action="store_true", help="time every environment by itself as well")
    options = parser.parse_args(args)
    result = measure()
    if options.full:
        for name, figures in bench_envs.rates().items():
            result["by_env"].setdefault(name, {}).update(figures)
    sys.stdout.write(_text(result) + "\n")
    if options.json is not None:
        write_json(options.json, result)
    return 0


def measure() -> dict[str, Any]:
    """Return every figure. Ours and the peer's take turns, and the medians of the rounds are compared."""
    actions = _single_actions(gym.make(ENV_ID))
    env, pendulum = gym.make(ENV_ID), gym.make("Pendulum-v1")
    pendulum_actions = _single_actions(pendulum)
    single = _in_turn(lambda: _single(env, actions), lambda: _single(pendulum, pendulum_actions))
    vectors: dict[int, Any] = {n: gym.make_vec(ENV_ID, num_envs=n) for n in BATCHES}
    drawn = {n: [vectors[n].action_space.sample() for _ in range(16)] for n in BATCHES}
    for vector in vectors.values():
        vector.reset(seed=0)
    peer = _envpool_pendulum()
    largest = BATCHES[-1]
    batched = _in_turn(lambda: _batched(vectors[largest], drawn[largest]), peer or (lambda: float("nan")))
    by_batch = {str(n): _median(lambda n=n: _batched(vectors[n], drawn[n])) for n in BATCHES[:-1]}  # type: ignore[misc]
    by_batch[str(largest)] = batched[0]
    rollout, train = _ppo()
    best = max(by_batch.values())
    envpool_rate = batched[1] if peer else None
    figures = {
        "single_env_steps_per_s": single[0],
        "batched_env_steps_per_s": best,
        "zone_steps_per_s": _median(bench_zones.Load().rate),
        "ppo_rollout_steps_per_s": rollout,
        "ppo_train_steps_per_s": train,
    }
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "python": platform.python_version(),
        },
        **figures,
        "pendulum_single_steps_per_s": single[1],
        "envpool_pendulum_steps_per_s": envpool_rate,
        **_bundle(),
        "ratios": {
            "single_over_pendulum": single[0] / single[1],
            "batched_over_envpool_pendulum": batched[0] / envpool_rate if envpool_rate else None,
        },
        "by_env": {ENV_ID: {**figures, "by_batch": by_batch}},
    }


def _single_actions(env: gym.Env[Any, Any]) -> list[Any]:
    env.action_space.seed(0)
    return [env.action_space.sample() for _ in range(256)]


def _median(run: Callable[[], float]) -> float:
    return float(np.median([run() for _ in range(_ROUNDS)]))


def _in_turn(ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    rates = [(ours(), peer()) for _ in range(_ROUNDS)]
    return float(np.median([rate[0] for rate in rates])), float(np.median([rate[1] for rate in rates]))


def _single(env: gym.Env[Any, Any], actions: list[Any]) -> float:
    """Return steps per second of one environment, resets included."""
    env.reset(seed=0)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SPAN_S:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        steps += len(actions)
    return steps / (time.perf_counter() - began)


def _batched(vector: Any, actions: list[Any]) -> float:
    """Return environment steps per second of a vector environment, actions drawn beforehand."""
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SPAN_S:
        for action in actions:
            vector.step(action)
        calls += len(actions)
    return calls * vector.num_envs / (time.perf_counter() - began)


def _envpool_pendulum() -> Callable[[], float] | None:
    """Return a measurement of EnvPool's Pendulum at the same batch, None where EnvPool is not installed."""
    if importlib.util.find_spec("envpool") is None:
        return None
    import envpool

    n = BATCHES[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its spaces are float64, of which Gymnasium warns
        pool = envpool.make_gymnasium("Pendulum-v1", num_envs=n)
        pool.reset()
    rng = np.random.default_rng(0)
    actions = [rng.uniform(-2.0, 2.0, (n, 1)).astype(np.float32) for _ in range(16)]

    def run() -> float:
        calls, began = 0, time.perf_counter()
        while time.perf_counter() - began < _SPAN_S:
            for action in actions:
                pool.step(action)
            calls += len(actions)
        return calls * n / (time.perf_counter() - began)

    return run


class _RolloutClock(BaseCallback):
    """Adds up the time that a learner spends in rollouts."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds, self._began = 0.0, 0.0

    def _on_rollout_start(self) -> None:
        self._began = time.perf_counter()

    def _on_rollout_end(self) -> None:
        self.seconds += time.perf_counter() - self._began

    def _on_step(self) -> bool:
        return True


def _ppo() -> tuple[float, float]:
    """Return steps per second of PPO's rollouts alone and of rollouts and updates together, 64-64 network."""
    config = PpoConfig(n_envs=1024, n_steps=64, batch_size=16_384, n_epochs=4)
    env = SiteVecEnv(config.n_envs, draw_seeds(0, 0, config.n_envs))
    model = config.build(env, env.batch.table, 0)
    model.learn(config.n_envs * config.n_steps)
    clock = _RolloutClock()
    began = time.perf_counter()
    model.learn(_PPO_STEPS, clock)
    return _PPO_STEPS / clock.seconds, _PPO_STEPS / (time.perf_counter() - began)


def _bundle() -> dict[str, float]:
    """Return the slowest percentile of single decisions of a policy bundle [ms] and decisions per second in batches."""
    config, options = PpoConfig(n_envs=2, n_steps=8, batch_size=16), EnvConfig(split="train")
    env = SiteVecEnv(config.n_envs, draw_seeds(0, 0, config.n_envs))
    model = config.build(env, env.batch.table, 0)
    origin = packing.Origin(name="bench", scenario={}, metrics={}, tags={})
    with tempfile.TemporaryDirectory() as folder:
        bundle = packing.pack(Path(folder) / "bundle", model, options, origin, 0)
    observations = packing.parity_observations(options, _DECISIONS, 0)
    spans_ms = []
    for row in observations:
        began = time.perf_counter()
        bundle.decide(row)
        spans_ms.append(1000.0 * (time.perf_counter() - began))

    def batched() -> float:
        batches, began = 0, time.perf_counter()
        while time.perf_counter() - began < _SPAN_S:
            bundle.decide(observations[:1024])
            batches += 1
        return 1024 * batches / (time.perf_counter() - began)

    return {"bundle_p99_ms": float(np.quantile(spans_ms, 0.99)), "bundle_decisions_per_s": _median(batched)}


def _text(result: dict[str, Any]) -> str:
    ratios, peer = result["ratios"], result["envpool_pendulum_steps_per_s"]
    batches = result["by_env"][ENV_ID]["by_batch"]
    lines = [
        f"{'one environment':38s} {result['single_env_steps_per_s']:12,.0f} steps/s",
        f"{'Gymnasium Pendulum, one environment':38s} {result['pendulum_single_steps_per_s']:12,.0f} steps/s",
        f"{'  ratio':38s} {ratios['single_over_pendulum']:12.2f}",
    ]
    lines += [f"{f'{int(n):,} environments':38s} {rate:12,.0f} steps/s" for n, rate in batches.items()]
    lines.append(f"{'64 sites of 64 zones, all plants, events':38s} {result['zone_steps_per_s']:12,.0f} zone-steps/s")
    if peer:
        lines.append(f"{f'EnvPool Pendulum, {BATCHES[-1]:,} environments':38s} {peer:12,.0f} steps/s")
        lines.append(f"{'  ratio':38s} {ratios['batched_over_envpool_pendulum']:12.2f}")
    else:
        lines.append("EnvPool is not installed: pip install 'hashgym[peers]' to measure beside it")
    lines.append(f"{'PPO 64-64, rollouts':38s} {result['ppo_rollout_steps_per_s']:12,.0f} steps/s")
    lines.append(f"{'PPO 64-64, rollouts and updates':38s} {result['ppo_train_steps_per_s']:12,.0f} steps/s")
    lines.append(f"{'policy bundle, one decision, p99':38s} {result['bundle_p99_ms']:12.3f} ms")
    lines.append(f"{'policy bundle, batches of 1,024':38s} {result['bundle_decisions_per_s']:12,.0f} decisions/s")
    for name, figures in result["by_env"].items():
        if "by_batch" not in figures or len(result["by_env"]) > 1:
            rates = (figures["single_env_steps_per_s"], figures["batched_env_steps_per_s"])
            lines.append(
                f"{name.removeprefix('hashgym/'):38s} {rates[0]:12,.0f} alone, {rates[1]:12,.0f} of 1,024 in a call"
            )
    return "\n".join(lines)
