"""Where the time of a step goes: nanoseconds of each part, by batch size and threads, and of each piece of physics.

Run: python benchmarks/kernel.py
"""

import sys
import time
from collections.abc import Callable
from functools import partial

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.hashrate import HashrateTuningVectorEnv
from hashgym.experiments import bench_zones
from hashgym.sim.cooling.plant import Weather
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
    world, sites = batch.world.sim, batch.arrays.sim

    def simulate() -> None:
        threads.split(step.step, n_envs, n_envs, n_threads, world, sites)
        batch.state.site["step"] -= 1

    vector_ns = best_ns(lambda: vector.step(actions), calls, n_envs)
    kernel_ns = best_ns(lambda: batch.step(actions), calls, n_envs)
    return {"simulator": best_ns(simulate, calls, n_envs), "environment": kernel_ns, "vector": vector_ns}


@kernel
def each(part: int, world: step.SiteWorld, batch: step.SiteBatch, n_rounds: int) -> None:
    """Call one piece of the physics on every zone of every site, again and again."""
    for _ in range(n_rounds):
        for i in range(batch.zone.shape[0]):
            for z in range(batch.zone.shape[1]):
                state, p, sums = batch.zone[i, z], world.zones[z], batch.sums[i, z]
                if part == 0:
                    zone.begin_step(state, p, p["max_mhz"], 25.0, 1.0, sums)
                elif part == 1:
                    firmware.run_clock(state, p, 60.0)
                elif part == 2:
                    state["power_w"], state["pad_on"] = zone.board_heat(state, p, p["max_mhz"], 1.0)
                elif part == 3:
                    zone.sub_step(state, p, Weather(25.0, 18.0), sums)
                else:
                    zone.end_step(state, p, sums, batch.zone_flow[i, z])


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
        copies = run.arrays._replace(zone=run.state.zone.copy(), zone_flow=run.zone_flow.copy())
        piece = partial(each, part, run.world, copies, n_rounds)
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
