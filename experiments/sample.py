"""A sample moment for the demo: when advice is asked for, and what the site reports then."""

from pathlib import Path

import numpy as np
import pandas as pd

from hashgym.envs.batch.acting import break_even_usd_per_mwh
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.constants import usd_per_th
from hashgym.sim.foundation.files import write_text
from hashgym.sim.history.history import STEP
from hashgym.sim.series.exogenous import STEPS_PER_DAY, STEPS_PER_HOUR
from hashgym.sim.site.world import Exogenous
from hashgym.sim.telemetry.columns import fleet_rows

ABOVE_BREAK_EVEN = 3.0
"""The sample is the first whole hour of the held-out months whose last published price is this multiple of break-even. chosen: a spike, in which
somebody asks; below it the advisor often abstains, since prices are down again before machines have slept or a battery has gained."""

N_FAULTS = 3
"""Wrong rows in the sample, so that it shows how they are set aside."""

CHARGE_PU = 0.6
"""Charge of a site's battery in the sample. chosen: it can both give and take."""

HOW = (
    f"A site that runs its stock profile asks for advice in the first whole hour of the held-out months in which the last published price is above "
    f"{ABOVE_BREAK_EVEN:g} times break-even. Its telemetry is written by the simulator, with {N_FAULTS} faulty rows. "
    f"A battery stands and is {CHARGE_PU:.0%} full."
)


def sample_step(scenario: Scenario, truth: Exogenous, split: str = "test") -> int:
    """Return the step of the sample: as `HOW` says, or the dearest hour where there is none such."""
    probe = Batch(EnvConfig(scenario=scenario, action="profile", n_threads=1), 1, truth)
    first, last = scenario.rows(split)
    steps = np.arange(first + STEPS_PER_DAY, last - STEPS_PER_DAY)
    on_the_hour = (scenario.history.start + STEP * steps[0]).minute // 5
    steps = steps[(STEPS_PER_HOUR - on_the_hour) % STEPS_PER_HOUR :: STEPS_PER_HOUR]
    break_even = (
        break_even_usd_per_mwh(probe.menus[0], usd_per_th(1.0))
        * truth.in_force("realised_hashprice_usd_per_ph_day")[0, steps]
    )
    ratio = truth.known[0, steps, truth.column("known_energy_price_usd_per_mwh")] / break_even
    dear = np.flatnonzero(ratio > ABOVE_BREAK_EVEN)
    return int(steps[dear[0] if dear.size else np.argmax(ratio)])


def write_telemetry(scenario: Scenario, zones: np.ndarray, step: int, seed: int, path: Path) -> pd.DataFrame:
    """Write what the site reports at a step as CSV; returns the table."""
    rows = fleet_rows(scenario.site, zones, scenario.history.start + STEP * step, seed, N_FAULTS)
    write_text(path, rows.to_csv(index=False))
    return rows
