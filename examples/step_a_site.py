"""Step a site without an environment: set-points in, physics and money out.

python examples/step_a_site.py [--days 7]
"""

import argparse

import numpy as np

from hashgym.sim import Site, SiteParams, ZoneParams, firmware, machine
from hashgym.sim.series import exogenous
from hashgym.synthesis.generate import synthesize


def main(argv: list[str] | None = None) -> float:
    """Run a container at its top profile, asleep in the dear hours; returns its profit. [USD]"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    days = parser.parse_args(argv).days

    zone = ZoneParams(machine=machine("s21"), firmware=firmware("fast_curtail"), n_units=280)
    params = SiteParams(zones=(zone,))
    world = exogenous.build(synthesize("ercot", "2025-06-01", "2025-07-01", seed=1), params, "none")
    site = Site(params, world, n_envs=1)

    price = world.column("known_energy_price_usd_per_mwh")
    total = dict.fromkeys(("profit_usd", "revenue_usd", "energy_kwh"), 0.0)
    hottest_c = -np.inf
    for _ in range(days * 288):
        step = site.state.site["step"][0]
        is_dear = world.known[0, step, price] > 120.0
        flow = site.step(np.array([[0.0 if is_dear else zone.max_mhz]]))[0]
        for name in total:
            total[name] += flow[name]
        hottest_c = max(hottest_c, flow["max_chip_temp_c"])
    print(f"{days} days: {total['profit_usd']:.0f} USD of {total['revenue_usd']:.0f} USD revenue,")
    print(f"{total['energy_kwh'] / 1000:.0f} MWh, hottest chip {hottest_c:.1f} °C")
    return total["profit_usd"]


if __name__ == "__main__":
    main()
