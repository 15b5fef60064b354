"""Where the time of a step goes: nanoseconds of each part, by batch size and threads, and of each piece of physics.

Run: python benchmarks/kernel.py
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.hashrate import HashrateTuningVectorEnv
from hashgym.experiments import bench_zones
from hashgym.sim.foundation import threads
from hashgym.sim.foundation.jit import kernel
from hashgym.sim.hardware import firmware
from hashgym.sim.site import step, zone

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
            step.step_blocks, n_envs, n_envs, n_threads, batch.setpoint_mhz, batch.exogenous.values, batch.events.site,
            batch.events.zone, batch.site.link_record, batch.site.zone_record, batch.site.site_record, batch.state.zone,
            batch.state.site, batch.zone_flow, batch.site_flow,
        )  # fmt: skip
        batch.state.site["step"] -= 1

    vector_ns = best_ns(lambda: vector.step(actions), calls, n_envs)
    kernel_ns = best_ns(lambda: batch.step(actions), calls, n_envs)
    return {"simulator": best_ns(simulate, calls, n_envs), "environment": kernel_ns, "vector": vector_ns}


@kernel
def each(part: int, zones: np.ndarray, params: np.ndarray, flows: np.ndarray, n_rounds: int) -> None:
    """Call one piece of the physics on every zone of every site, again and again."""
    for _ in range(n_rounds):
        for i in range(zones.shape[0]):
            for z in range(zones.shape[1]):
                state, p, flow = zones[i, z], params[z], flows[i, z]
                if part == 0:
                    zone.begin_step(state, p, p["max_mhz"], 25.0, 1.0, 1.0, 0.1, flow)
                elif part == 1:
                    firmware.run_clock(state, p, 60.0)
                elif part == 2:
                    state["power_w"], state["pad_on"] = zone.board_heat(state, p, p["max_mhz"], 1.0)
                elif part == 3:
                    zone.sub_step(state, p, 25.0, 18.0, flow)
                else:
                    zone.end_step(state, p, flow)


def profile() -> dict[str, float]:
    """Return the time of each piece per zone and control step, of sites with every plant, on one thread. [ns]"""
    load = bench_zones.Load(n_threads=1)
    run, n_rounds, size = load.run, 20, load.run.state.zone.size
    for _ in range(16):
        run.step(load.setpoints[0])
    names = ("begin_step", "run_clock", "board_heat", "sub_step", "end_step")
    times = ("1", "5", "5", "5", "1")
    result = {}
    for part, (name, count) in enumerate(zip(names, times, strict=True)):
        piece = partial(each, part, run.state.zone.copy(), run.params.zone_record, run.zone_flow.copy(), n_rounds)
        spent = best_ns(piece, 1, size * n_rounds)
        result[f"{count} x {name}"] = spent * int(count)
    spans = [(lambda setpoint=setpoint: run.step(setpoint)) for setpoint in load.setpoints]
    run.state.site["step"] = 0
    result["whole step"] = best_ns(lambda: [span() for span in spans], 1, size * len(spans))
    return result


def main() -> None:
    """Print the tables."""
    for name, spent in profile().items():
        sys.stdout.write(f"{name:16s} {spent:8.0f} ns per zone and control step, 64 x 64 zones, one thread\n")
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
