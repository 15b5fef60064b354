"""Sites of one zone that tests of plants, firmware and events step by hand."""

from typing import Any

import numpy as np

from hashgym.sim.cooling import plants
from hashgym.sim.hardware import catalogue
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Events
from tests.conftest import weather

TOP = 1e6
"""A set-point above every ladder. [MHz]"""

PLANTS = {name: kind() for name, kind in plants.PLANTS.items()}
"""A plant of every kind."""


def zone(machine: str = "s19j_pro", **options: Any) -> ZoneParams:
    """Return ten machines under a slow tuner, in a container unless the options say otherwise."""
    kind = options.pop("firmware", catalogue.firmware("slow_tuner"))
    return ZoneParams(machine=catalogue.machine(machine), firmware=kind, n_units=options.pop("n_units", 10), **options)


def steady(site: SiteParams, temp_c: float, hours: int = 6, setpoint: float = TOP, **world: Any) -> Site:
    """Return a site after some hours of one weather and one set-point."""
    run = Site(site, weather(12 * hours, temp_c), **world)
    for _ in range(12 * hours):
        run.step(np.full((1, len(site.zones)), setpoint))
    return run


def flow(run: Site, name: str, zone: int = 0) -> float:
    """Return what a zone did in the last step."""
    return float(run.zone_flow[name][0, zone])


def events(n_steps: int, **changes: tuple[slice, float]) -> Events:
    """Return events of one zone in which nothing happens but the changes, each over a span of steps."""
    site, zones = np.ones((1, n_steps, 3)), np.tile(np.array([1.0, 0.0]), (1, n_steps, 1, 1))
    for name, (span, value) in changes.items():
        if name in ("grid_on", "pool_frac", "call_pu"):
            site[0, span, ("grid_on", "pool_frac", "call_pu").index(name)] = value
        else:
            zones[0, span, 0, ("online_frac", "fouling_frac").index(name)] = value
    return Events(site, zones)
