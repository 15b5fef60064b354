"""The simulator under full load: sites of 64 zones with every plant, mixing air, events and tuning switched on."""

import time
from typing import Final

import numpy as np

from hashgym.sim.cooling.plants import ContainerParams, LoopParams, RoomParams
from hashgym.sim.foundation import threads
from hashgym.sim.hardware import catalogue
from hashgym.sim.site.params import Link, SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Events, Exogenous

N_ENVS: Final = 64
N_ZONES: Final = 64
_N_STEPS: Final = 2048
_SHARE: Final = 0.05
_SPAN_S: Final = 0.6

_PLANTS: Final = (
    ("s19j_pro", ContainerParams(exhaust_flow_frac=1.1, exhaust_fan_w_per_m3_per_s=150.0)),
    ("s21", ContainerParams()),
    ("s19_xp", RoomParams()),
    ("s21_hyd", LoopParams()),
)


def site(n_zones: int = N_ZONES) -> SiteParams:
    """Return a site whose zones go round every plant; neighbours that breathe air pass each other exhaust."""
    firmware = catalogue.firmware("slow_tuner")
    zones = [
        ZoneParams(machine=catalogue.machine(machine), firmware=firmware, plant=plant, n_units=280)
        for machine, plant in (_PLANTS[z % len(_PLANTS)] for z in range(n_zones))
    ]
    airy = [z for z, zone in enumerate(zones) if zone.plant.cooling == "air"]
    links = tuple(Link(zone=z, source=y, share=_SHARE) for z in airy for y in airy if z != y and abs(z - y) <= 1)
    return SiteParams(zones=tuple(zones), links=links)


def world(params: SiteParams, seed: int = 0) -> tuple[Exogenous, Events]:
    """Return a year's worth of weather from cold to hot, in a week, and events of every kind."""
    rng = np.random.default_rng(seed)
    hour = np.arange(_N_STEPS) / 12.0
    outdoor_temp_c = 18.0 + 18.0 * np.sin(2.0 * np.pi * hour / 24.0) + rng.normal(0.0, 1.0, (1, _N_STEPS))
    price_usd_per_mwh = rng.lognormal(3.3, 0.6, _N_STEPS)
    site_events = np.ones((1, _N_STEPS, 3))
    site_events[0, :, 0] = rng.random(_N_STEPS) > 0.005
    site_events[0, :, 1] = rng.random(_N_STEPS) > 0.01
    site_events[0, :, 2] = np.where(rng.random(_N_STEPS) < 0.01, 0.05, 1.0)
    zone_events = np.empty((1, _N_STEPS, len(params.zones), 2))
    zone_events[..., 0] = 1.0 - 0.05 * rng.random((1, _N_STEPS, len(params.zones)))
    zone_events[..., 1] = 0.2 * rng.random((1, 1, len(params.zones)))
    return Exogenous.plain(outdoor_temp_c, outdoor_temp_c - 8.0, price_usd_per_mwh, 50.0), Events(
        site_events, zone_events
    )


class Load:
    """A batch of such sites with set-points drawn beforehand."""

    def __init__(self, n_envs: int = N_ENVS, n_zones: int = N_ZONES, n_threads: int | None = None) -> None:
        """Build the batch on `n_threads` threads, by default all."""
        params = site(n_zones)
        exogenous, events = world(params)
        count = threads.default_threads() if n_threads is None else n_threads
        self.run = Site(params, exogenous, n_envs, count, events)
        rng = np.random.default_rng(1)
        tops = np.array([zone.max_mhz for zone in params.zones])
        self.setpoints = [
            tops * rng.choice([0.0, 0.7, 0.85, 1.0], (n_envs, n_zones), p=[0.03, 0.27, 0.2, 0.5]) for _ in range(16)
        ]

    def rate(self) -> float:
        """Return zone-steps per second."""
        calls, began = 0, time.perf_counter()
        while time.perf_counter() - began < _SPAN_S:
            for setpoint_mhz in self.setpoints:
                self.run.step(setpoint_mhz)
            calls += len(self.setpoints)
            self.run.state.site["step"] %= _N_STEPS - len(self.setpoints)
        return calls * self.run.state.zone.size / (time.perf_counter() - began)
