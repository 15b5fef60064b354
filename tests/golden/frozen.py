"""What the simulator and the environments did when they were frozen: a hash of every quantity over a thousand steps.

Names of quantities may change; their values may not, unless a change of results is meant. Then

    python -m tests.golden.frozen

writes `frozen.json` anew, and its diff shows which quantities of which cases moved.
"""

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import hashgym.envs  # noqa: F401  (registers the ids)
from hashgym.agents.planners.foresight import Foresight
from hashgym.agents.rules import AlwaysOn, BestEfficiency, BreakEven, Hysteresis, Menu, ProfileByPrice
from hashgym.envs.batch.config import EnvConfig, UserCost
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario import scenario as scenarios
from hashgym.evaluation import paired
from hashgym.evaluation.bound import upper_bound
from hashgym.experiments import bench_envs, bench_zones
from hashgym.sim.cooling.plants import ContainerParams
from hashgym.sim.hardware import catalogue
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from hashgym.sim.telemetry.fleet import Fault, UnitFleet
from hashgym.sim.telemetry.reported import Reporter
from tests.conftest import SMALL, weather

FILE = Path(__file__).with_name("frozen.json")
N_STEPS = 1000
N_ENVS = 3
SCENARIOS = ("west_texas_air", "georgia_room", "nordic_hydro", "alberta_immersion", "scrypt_shed")

Hashes = dict[str, str]


class Recorder:
    """Hashes of named arrays, fed step by step."""

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}

    def add(self, name: str, array: np.ndarray) -> None:
        """Take an array, or each field of a structured one under the name `name.field`."""
        if array.dtype.names:
            for field in array.dtype.names:
                self.add(f"{name}.{field}", array[field])
            return
        digest = self._digests.setdefault(name, hashlib.sha256())
        # Adding 0.0 makes -0.0 and 0.0 one value.
        digest.update(np.ascontiguousarray(array + 0.0 if array.dtype.kind == "f" else array).tobytes())

    def hashes(self) -> Hashes:
        """Return what was hashed, by name."""
        return {name: digest.hexdigest()[:16] for name, digest in self._digests.items()}


def platform() -> str:
    """Return a hash of what the mathematical functions of this machine give: others may round their last bit differently."""
    x = np.linspace(0.01, 30.0, 4001)
    parts = [np.exp(-x), np.log(x), np.sin(x), np.cos(x), np.power(x, 0.8), np.arctan2(x, 3.0), np.tanh(x)]
    parts += [np.array([function(v) for v in x]) for function in (math.exp, math.log, math.sin, math.sqrt)]
    parts += [np.array([math.pow(v, 0.8) for v in x]), np.random.default_rng(0).standard_normal(1000)]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]


def rollout(env_id: str, **options: Any) -> Hashes:
    """Play drawn actions in a vector environment, resets included."""
    recorder = Recorder()
    env = gym.make_vec(env_id, num_envs=N_ENVS, episode_steps=options.pop("episode_steps", 300), **options)
    batch = env.unwrapped.batch  # type: ignore[attr-defined]
    env.action_space.seed(1)
    recorder.add("obs", env.reset(seed=7)[0])
    for _ in range(N_STEPS):
        obs, reward, _, truncated, info = env.step(env.action_space.sample())
        recorder.add("obs", obs)
        recorder.add("reward", reward)
        recorder.add("truncated", truncated)
        for name, values in info.items():
            if name not in ("final_obs", "final_info", "_final_obs", "_final_info"):
                recorder.add(f"info.{name}", values)
        if hasattr(batch.state, "zone"):
            recorder.add("zone", batch.state.zone)
            recorder.add("site", batch.state.site)
            recorder.add("zone_flow", batch.zone_flow)
            recorder.add("myopic", batch.myopic)
            recorder.add("setpoint_mhz", batch.setpoint_mhz)
        else:
            recorder.add("state", batch.state)
    return recorder.hashes()


def plain_site() -> Hashes:
    """Play drawn set-points on sites of every plant, linked, with events of every kind."""
    params = bench_zones.site(8)
    world, events = bench_zones.world(params)
    site, recorder, rng = Site(params, world, N_ENVS, events=events), Recorder(), np.random.default_rng(2)
    tops = np.array([zone.max_mhz for zone in params.zones])
    for _ in range(N_STEPS):
        setpoint_mhz = tops * rng.choice([0.0, 0.6, 0.8, 0.95, 1.0], (N_ENVS, len(tops)))
        recorder.add("flow", site.step(setpoint_mhz))
        recorder.add("zone_flow", site.zone_flow)
        recorder.add("zone", site.state.zone)
    return recorder.hashes()


def fleet() -> Hashes:
    """Play a fleet unit by unit, with faults, and what it reports."""
    zone = ZoneParams(
        machine=catalogue.machine("s19j_pro"),
        firmware=catalogue.firmware("slow_tuner"),
        plant=ContainerParams(),
        n_units=12,
    )
    faults = [
        Fault(kind=kind, unit=k, first=20, growth=10)
        for k, kind in enumerate(("fan_slow", "dust", "board_lost", "weak_silicon", "psu_inefficient", "silent"))
    ]
    n_steps = 200
    units = UnitFleet(SiteParams(zones=(zone,)), weather(n_steps + 1, 30.0), 5, faults)
    reporter, recorder = Reporter(units, 5), Recorder()
    stamp = weather_start()
    for k in range(n_steps):
        units.step(np.array([zone.max_mhz if k % 50 < 40 else 0.0]))
        recorder.add("state", units.state)
        recorder.add("flow", units.flow)
        if k % 10 == 0:
            for name, column in reporter.read(stamp).select_dtypes("number").items():
                recorder.add(f"reading.{name}", column.to_numpy(np.float64))
    return recorder.hashes()


def weather_start() -> Any:
    """Return a stamp."""
    import pandas as pd

    return pd.Timestamp("2024-06-01", tz="UTC")


def judged() -> Hashes:
    """Judge rules, a tuned rule, foresight and the bound on a small scenario."""
    recorder = Recorder()
    scenario = scenarios.from_mapping(SMALL)
    config = EnvConfig(scenario=scenario, split="validation", action="profile")
    batch = Batch(config)
    menu = Menu.of(batch.site)
    rules = [kind(menu) for kind in (AlwaysOn, BestEfficiency, BreakEven, ProfileByPrice)]
    rules.append(Hysteresis(menu, 2.0, 0.9))
    plan = Foresight(batch.site, batch.profiles[0, : batch.menus["n_profiles"][0]], batch.exogenous, 6.0)
    for policy in [*rules, plan]:
        trace = paired.run(policy, config, 3)
        recorder.add(f"{policy.name}.profit_usd", trace.profit_usd)
        recorder.add(f"{policy.name}.costs", trace.costs)
    bound = upper_bound(batch.site, batch.exogenous, range(2000, 4000))
    recorder.add("bound", np.array([bound.episode_usd(start, 288) for start in (0, 500, 1500)]))
    return recorder.hashes()


def _cases() -> Iterator[tuple[str, Callable[[], Hashes]]]:
    tasks: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("HashrateTuning", {"action": "discrete"}),
        ("HashrateTuning", {"action": "box"}),
        ("HashrateTuning", {"action": "profile"}),
        ("CoolingControl", {}),
        ("SiteOperation", {}),
    )
    for scenario in SCENARIOS:
        for task, options in tasks:
            title = f"{task} {' '.join(options.values())} {scenario}".replace("  ", " ")
            yield title, lambda t=task, o=options, s=scenario: rollout(f"hashgym/{t}-v0", scenario=s, **o)
    for scenario in ("alberta_immersion", "scrypt_shed"):
        yield f"CoinSwitching {scenario}", lambda s=scenario: rollout("hashgym/CoinSwitching-v0", scenario=s)
        yield (
            f"SiteOperation coin_choice {scenario}",
            lambda s=scenario: rollout("hashgym/SiteOperation-v0", scenario=s, coin_choice=True),
        )
    for scenario in ("ercot_battery_old_fleet", "pv_battery_tight", "reserve_desk"):
        yield f"SiteOperation {scenario}", lambda s=scenario: rollout("hashgym/SiteOperation-v0", scenario=s)
    yield "ChipTuning", lambda: rollout("hashgym/ChipTuning-v0", episode_steps=24)
    yield "SiteOperation four zones", lambda: rollout("hashgym/SiteOperation-v0", scenario=bench_envs.four_zones())
    yield (
        "HashrateTuning options",
        lambda: rollout(
            "hashgym/HashrateTuning-v0",
            stack=3,
            forecast="persistence",
            thresholds={"power_ramp": 0.1},
            costs=(UserCost("thirst", lambda batch: batch.flow("water_l"), "L"),),
            randomize={
                "power_dev": [-0.1, 0.1],
                "hashrate_dev": [-0.1, 0.1],
                "sink_dev": [-0.2, 0.1],
                "noise": [0.0, 4.0],
                "histories": 2,
            },
        ),
    )
    for reward in (
        "profit_over_rule",
        "profit_efficiency_stability",
        "cooling_energy",
        "carbon_adjusted",
        "cvar",
    ):
        yield (
            f"reward {reward}",
            lambda r=reward: rollout("hashgym/SiteOperation-v0", scenario="georgia_room", reward=r),
        )
    yield "plain site", plain_site
    yield "fleet", fleet
    yield "judged", judged


CASES: dict[str, Callable[[], Hashes]] = dict(_cases())


def main() -> None:
    """Write the hashes of every case."""
    content = {"platform": platform(), "cases": {name: case() for name, case in CASES.items()}}
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(CASES)} cases in {FILE}\n")


if __name__ == "__main__":
    main()
