"""Ours beside simulators of the neighbourhood, in one run: single environments against each other, ours in a batch against their fastest form.

    python benchmarks/peers.py --peer pymgrid=/path/to/venv/bin/python --peer ev2gym=… --peer citylearn=…

Each peer runs in an environment of its own, because their dependencies contradict each other and ours: `pip install pymgrid "numpy<2"
"pandas<2.2" "setuptools<81"`; `pip install ev2gym pandapower numba psutil multicopula seaborn "setuptools<81"`; `pip install citylearn` (whose data it fetches from the network). What is
not given is left out. Rates of ours and of the peer are taken in turn, three times, and their medians compared.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

SPAN_S = 3.0
ROUNDS = 3

LOOP = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
{setup}
reset()
for _ in range(20):
    if step(): reset()
n, began = 0, time.perf_counter()
while time.perf_counter() - began < {span}:
    if step(): reset()
    n += 1
sys.__stdout__.write("RATE " + json.dumps(n / (time.perf_counter() - began)) + "\\n")
"""

SETUPS = {
    "pymgrid": """
import numpy as np
from pymgrid.envs import DiscreteMicrogridEnv
from pymgrid.modules import BatteryModule, GridModule, LoadModule, RenewableModule
rng = np.random.default_rng(0)
env = DiscreteMicrogridEnv([
    BatteryModule(min_capacity=10, max_capacity=100, max_charge=50, max_discharge=50, efficiency=0.9, init_soc=0.2),
    ("pv", RenewableModule(time_series=50 * rng.random(8760))), LoadModule(time_series=60 * rng.random(8760)),
    GridModule(max_import=100, max_export=100, time_series=rng.random((8760, 3))),
])
reset = env.reset
step = lambda: env.step(env.action_space.sample())[2]
""",
    "ev2gym": """
import os
import ev2gym
from ev2gym.models.ev2gym_env import EV2Gym
folder = os.path.join(os.path.dirname(ev2gym.__file__), "example_config_files")
os.chdir(os.path.dirname(os.path.dirname(ev2gym.__file__)))  # it opens its data relative to this folder
env = EV2Gym(config_file=os.path.join(folder, "V2GProfitMax.yaml"))
reset = env.reset
def step():
    done = env.step(env.action_space.sample())
    return done[2] or done[3]
""",
    "citylearn": """
from citylearn.citylearn import CityLearnEnv
env = CityLearnEnv("citylearn_challenge_2022_phase_1")
reset = env.reset
def step():
    done = env.step([space.sample() for space in env.action_space])
    return done[2] or done[3]
""",
}


def peer_rate(name: str, python: str) -> float:
    """Return a peer's steps per second in its own interpreter; raises RuntimeError with what it said if it does not run."""
    done = subprocess.run(
        [python, "-c", LOOP.format(setup=SETUPS[name], span=SPAN_S)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith("RATE "):
            return float(json.loads(line[5:]))
    raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it said nothing")


def our_rate(num_envs: int) -> float:
    """Return our environment steps per second: alone, or in a batch; random actions as the peers', drawn beforehand in a batch."""
    import gymnasium as gym

    import hashgym.envs  # noqa: F401

    if num_envs == 1:
        env = gym.make("hashgym/SiteOperation-v0")
        env.reset(seed=0)
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < SPAN_S:
            if env.step(env.action_space.sample())[3]:
                env.reset()
            steps += 1
        return steps / (time.perf_counter() - began)
    envs = gym.make_vec("hashgym/SiteOperation-v0", num_envs=num_envs)
    envs.reset(seed=0)
    actions = [envs.action_space.sample() for _ in range(8)]
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < SPAN_S:
        for action in actions:
            envs.step(action)
        steps += num_envs * len(actions)
    return steps / (time.perf_counter() - began)


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help=f"of {', '.join(SETUPS)}")
    options = parser.parse_args()
    ours = {1: our_rate(1), 1024: our_rate(1024)}
    for entry in options.peer:
        name, _, python = entry.partition("=")
        if name not in SETUPS or not python:
            parser.error(f"--peer {entry!r}: NAME=PYTHON, NAME of {', '.join(SETUPS)}")
        try:
            rounds = [(our_rate(1), our_rate(1024), peer_rate(name, python)) for _ in range(ROUNDS)]
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            sys.stdout.write(f"{name}: does not run here ({error})\n")
            continue
        alone, batched, peer = (float(np.median(column)) for column in zip(*rounds, strict=True))
        sys.stdout.write(
            f"{name}: {peer:,.0f} steps/s; ours alone {alone:,.0f}, {alone / peer:,.0f} times; in a batch {batched:,.0f}, {batched / peer:,.0f} times\n"
        )
    sys.stdout.write(f"ours (SiteOperation): {ours[1]:,.0f} alone, {ours[1024]:,.0f} of 1,024 in a call\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
