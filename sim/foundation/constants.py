"""Physical and protocol constants with their sources, and the named conversions between units."""

from typing import Final

from .jit import kernel

CONTROL_STEP_S: Final = 300.0
"""Length of a control step. [s] Source: mining firmware checks temperatures every 300 s (VNish preset switcher)."""

SUB_STEP_S: Final = 60.0
"""Length of a sub-step of the heat balance. [s] assumed: half a heatsink's shortest time constant."""

N_SUB_STEPS: Final = 5
"""Sub-steps in a control step: CONTROL_STEP_S / SUB_STEP_S."""

AIR_HEAT_CAPACITY_J_PER_KG_K: Final = 1006.0
"""Specific heat of dry air at constant pressure. Source: Incropera et al., 7th ed., table A.4, 300 K."""

AIR_DENSITY_KG_PER_M3: Final = 1.2
"""Density of air at 20 °C and sea level. Source: ideal gas law, 101,325 Pa, 287.05 J/(kg K)."""

VOLUMETRIC_HEAT_J_PER_M3_K: Final = AIR_HEAT_CAPACITY_J_PER_KG_K * AIR_DENSITY_KG_PER_M3
"""Heat capacity of a cubic metre of air of standard density: air flows are stated as of that density."""

SEA_LEVEL_PA: Final = 101325.0
"""Standard pressure at sea level. Source: ICAO standard atmosphere, Doc 7488."""

WATER_LATENT_HEAT_J_PER_KG: Final = 2.43e6
"""Heat of vaporisation of water near 30 °C. Source: Incropera et al., 7th ed., table A.6."""

ZERO_CELSIUS_K: Final = 273.15
"""Source: SI definition of the degree Celsius."""

BOLTZMANN_EV_PER_K: Final = 8.617333262e-5
"""Source: CODATA 2018."""

HASHES_PER_DIFFICULTY: Final = 4294967296.0
"""Expected hashes for a block at difficulty 1, 2^32. Source: Bitcoin Core, `GetBlockProof`, src/chain.cpp."""

SECONDS_PER_DAY: Final = 86400.0  # by definition
SECONDS_PER_HOUR: Final = 3600.0  # by definition
JOULES_PER_KWH: Final = 3.6e6  # by definition
HOURS_PER_YEAR: Final = 8760.0  # by definition of a common year
KWH_PER_MWH: Final = 1000.0  # by definition
TERAHASH: Final = 1e12  # by definition
STEP_MWH_PER_W: Final = CONTROL_STEP_S / SECONDS_PER_HOUR / KWH_PER_MWH / 1000.0
"""Energy of one watt over a control step. [MWh]"""
PETAHASH_PER_TERAHASH: Final = 1e-3  # by definition
LITRES_PER_M3: Final = 1000.0  # by definition
GRAMS_PER_KG: Final = 1000.0  # by definition


@kernel
def usd_per_th(hashprice_usd_per_ph_day: float) -> float:
    """Convert hashprice to dollars per computed terahash. Args: [USD/(PH/s)/day]. Returns: [USD/TH]."""
    return hashprice_usd_per_ph_day * PETAHASH_PER_TERAHASH / SECONDS_PER_DAY
