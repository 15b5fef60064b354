"""Where the time of a step goes: nanoseconds per environment step of each part, by batch size and threads.

Run: python benchmarks/kernel.py
"""

import sys
import time
from collections.abc import Callable

from hashgym.envs.core import Batch, EnvConfig
from hashgym.envs.hashrate import HashrateTuningVectorEnv
from hashgym.sim import site, threads

ROUNDS = 7


def best_ns(run: Callable[[], object], calls: int, n_envs: int) -> float:
    """Return the least time per environment step over a few rounds of calls. [ns]"""
    run()
    spans = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            run()
        spans.append(time.perf_counter() - began)
    return min(spans) / calls / n_envs * 1e9


def measure(n_envs: int, n_threads: int) -> dict[str, float]:
    """Return the time of the simulator alone, of the environment's kernel and of the vector environment. [ns]"""
    vector = HashrateTuningVectorEnv(n_envs, n_threads=n_threads)
    vector.reset(seed=0)
    batch: Batch = vector.batch
    actions = vector.action_space.sample()
    calls = max(2, 60_000 // n_envs)

    def simulate() -> None:
        threads.split(
            site.step_blocks, n_envs, n_envs, n_threads, batch.setpoint_mhz, batch.exogenous.values,
            batch.site.zone_record, batch.site.site_record, batch.state.zone, batch.state.site, batch.zone_flow,
            batch.site_flow,
        )  # fmt: skip
        batch.state.site["step"] -= 1

    vector_ns = best_ns(lambda: vector.step(actions), calls, n_envs)
    kernel_ns = best_ns(lambda: batch.step(actions), calls, n_envs)
    return {"simulator": best_ns(simulate, calls, n_envs), "environment": kernel_ns, "vector": vector_ns}


def main() -> None:
    """Print the table."""
    Batch(EnvConfig())
    sys.stdout.write(
        f"{'environments':>12s} {'threads':>8s} {'simulator':>10s} {'environment':>12s} {'vector':>8s}   ns per step\n"
    )
    for n_envs in (1, 64, 256, 512, 1024, 4096):
        for n_threads in (1, 2):
            found = measure(n_envs, n_threads)
            cells = f"{found['simulator']:10.0f} {found['environment']:12.0f} {found['vector']:8.0f}"
            sys.stdout.write(f"{n_envs:12d} {n_threads:8d} {cells}\n")


if __name__ == "__main__":
    main()
