"""A battery: power and energy, losses of inverter and cells, self-discharge, and ageing by throughput and depth."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ..foundation.checks import require, require_fraction, require_not_negative, require_positive
from ..foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ..foundation.jit import kernel
from ..foundation.records import number_fields

STEP_H: Final = CONTROL_STEP_S / SECONDS_PER_HOUR

HOURS_PER_MONTH: Final = 730.5  # by definition, of a year of 8,766 hours


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryParams:
    """A stationary battery of LFP cells behind an inverter.

    Examples:
        >>> battery = BatteryParams(power_w=1.5e6, energy_wh=3.0e6)
        >>> one_way = 1.0 - battery.inverter_no_load_frac - battery.inverter_linear_frac - battery.inverter_square_frac
        >>> round((one_way * battery.cell_efficiency) ** 2, 3)  # there and back at full power
        0.885
    """

    power_w: float
    """Largest power at the socket, either way. [W]"""
    energy_wh: float
    """Energy between the limits of its state of charge, new. [Wh]"""
    first_charge_pu: float = 0.5
    """State of charge with which an episode begins. chosen: the middle."""
    cell_efficiency: float = 0.98
    """Of the cells one way. Source: DC round trips of 97-99 % for LFP; 96 % with cables and a margin for age."""
    inverter_no_load_frac: float = 0.0059
    """Loss of the running inverter over its rated power. Source: PVWatts inverter model (NREL/TP-6A20-62641), 96 % nominal."""
    inverter_linear_frac: float = 0.018
    """Loss over the power that passes. Source: as inverter_no_load_frac."""
    inverter_square_frac: float = 0.0161
    """Loss over the square of it, both over rated power. Source: as inverter_no_load_frac."""
    auxiliary_frac: float = 0.003
    """What cooling and control draw all the time, over rated power. assumed: some 2 % of the energy of a cycle a day."""
    self_discharge_per_month: float = 0.02
    """Share of the charge that is lost in a month. assumed: 1-3 % are customary for LFP."""
    modules_usd_per_kwh: float = 70.0
    """What new modules cost. [USD/kWh] Source: BloombergNEF, stationary storage packs 2025; Ember, October 2025, has 75 for all equipment."""
    cycles_to_end: float = 8000.0
    """Full cycles until modules are replaced. Source: suppliers' 6,000-8,000 at 80 % depth for LFP; some 10 years of two a day."""
    depth_exponent: float = 1.5
    """By which power of its depth a cycle ages. assumed: between throughput alone, 1, and the 2.03 of B. Xu et al., "Factoring the Cycle Aging Cost
    of Batteries Participating in Electricity Markets", IEEE Transactions on Power Systems 33 (2018), for other cells."""
    calendar_years: float = 15.0
    """Life of modules that stand still. [a] assumed: as warranties have it."""
    end_capacity_frac: float = 0.7
    """Capacity at which modules are replaced. Source: warranties, 70 %."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "power_w", "energy_wh", "cycles_to_end", "calendar_years", "cell_efficiency")
        require_fraction(self, "first_charge_pu", "cell_efficiency", "self_discharge_per_month", "end_capacity_frac")
        names = ("inverter_no_load_frac", "inverter_linear_frac", "inverter_square_frac", "auxiliary_frac")
        require_fraction(self, *names)
        lost = self.inverter_no_load_frac + self.inverter_linear_frac + self.inverter_square_frac
        require(
            lost < 0.5,
            "BatteryParams",
            "inverter_square_frac",
            self.inverter_square_frac,
            "such that half is lost at most",
        )
        require_not_negative(self, "modules_usd_per_kwh")
        require(self.depth_exponent >= 1.0, "BatteryParams", "depth_exponent", self.depth_exponent, "1 or more")

    @property
    def numbers(self) -> dict[str, float]:
        """What kernels read, by name."""
        return {f"battery_{name}": float(getattr(self, name)) for name in number_fields(BatteryParams)}

    @property
    def first_charge_kwh(self) -> float:
        """Energy with which an episode begins. [kWh]"""
        return self.first_charge_pu * self.energy_wh / 1000.0


class Moved(NamedTuple):
    """What a battery did in a step, at its socket and within. [kWh]"""

    drawn_kwh: float
    """At the socket, positive when it charges, negative when it discharges; without its auxiliaries."""
    lost_kwh: float
    """Lost in inverter and cells, and by self-discharge."""
    wear_usd: float
    """Ageing by the discharge."""


@kernel
def inverter_loss_pu(power_pu: float, p: np.void) -> float:
    """Return the loss of the inverter over its rated power, at a power over it: P_0 + k P + q P²; standing still it is off."""
    if power_pu <= 0.0:
        return 0.0
    return p["battery_inverter_no_load_frac"] + power_pu * (
        p["battery_inverter_linear_frac"] + power_pu * p["battery_inverter_square_frac"]
    )


@kernel
def capacity_kwh(site: np.void, p: np.void) -> float:
    """Return the energy that a battery of this age holds. [kWh]"""
    return p["battery_energy_wh"] / 1000.0 * (1.0 - site["battery_aged_frac"] * (1.0 - p["battery_end_capacity_frac"]))


@kernel
def most_drawn_kwh(site: np.void, p: np.void) -> float:
    """Return the most that a battery takes from the socket in a step. [kWh]"""
    rated_kwh = p["battery_power_w"] / 1000.0 * STEP_H
    held_pu = (1.0 - inverter_loss_pu(1.0, p)) * p["battery_cell_efficiency"]
    return min(rated_kwh, max(0.0, capacity_kwh(site, p) - site["battery_kwh"]) / held_pu)


@kernel
def most_given_kwh(site: np.void, p: np.void) -> float:
    """Return the most that a battery gives to the socket in a step. [kWh]"""
    rated_kwh = p["battery_power_w"] / 1000.0 * STEP_H
    taken_kwh = site["battery_kwh"] * p["battery_cell_efficiency"] - p["battery_inverter_no_load_frac"] * rated_kwh
    return min(
        rated_kwh, max(0.0, taken_kwh) / (1.0 + p["battery_inverter_linear_frac"] + p["battery_inverter_square_frac"])
    )


@kernel
def depth_usd(depth: float, p: np.void) -> float:
    """Return what a cycle down to a depth ages the battery, as the price of its modules. [USD]

    Source:
        B. Xu et al., IEEE Transactions on Power Systems 33 (2018): cost of cycles as a convex function of their depth.
    """
    modules_usd = p["battery_modules_usd_per_kwh"] * p["battery_energy_wh"] / 1000.0
    return modules_usd / p["battery_cycles_to_end"] * max(0.0, depth) ** p["battery_depth_exponent"]


@kernel
def move(site: np.void, p: np.void, wanted_kwh: float) -> Moved:
    """Charge or discharge a battery in a step, as far as its charge and its inverter allow.

    Where there is neither room nor charge for the whole step, it stands for the rest of it, at the same power before.

    Args:
        site: State with the fields of a battery; it takes the step in.
        p: Parameters.
        wanted_kwh: Energy at the socket, positive to charge. [kWh]
    """
    rated_kwh = p["battery_power_w"] / 1000.0 * STEP_H
    wanted_kwh = min(max(wanted_kwh, -rated_kwh), rated_kwh)
    whole_kwh, stored_kwh = capacity_kwh(site, p), site["battery_kwh"]
    kept_kwh = stored_kwh * (1.0 - p["battery_self_discharge_per_month"] * STEP_H / HOURS_PER_MONTH)
    lost_kwh, drawn_kwh, wear_usd = stored_kwh - kept_kwh, 0.0, 0.0
    loss_kwh = inverter_loss_pu(abs(wanted_kwh) / rated_kwh, p) * rated_kwh
    if wanted_kwh > loss_kwh:
        held_kwh = (wanted_kwh - loss_kwh) * p["battery_cell_efficiency"]
        share = min(1.0, max(0.0, whole_kwh - kept_kwh) / held_kwh)
        drawn_kwh = wanted_kwh * share
        site["battery_kwh"] = kept_kwh + held_kwh * share
        lost_kwh += drawn_kwh - held_kwh * share
    elif wanted_kwh < 0.0:
        taken_kwh = (loss_kwh - wanted_kwh) / p["battery_cell_efficiency"]
        share = min(1.0, kept_kwh / taken_kwh)
        drawn_kwh = wanted_kwh * share
        site["battery_kwh"] = kept_kwh - taken_kwh * share
        lost_kwh += taken_kwh * share + drawn_kwh
        depth = 1.0 - kept_kwh / whole_kwh
        wear_usd = depth_usd(depth + taken_kwh * share / whole_kwh, p) - depth_usd(depth, p)
    else:
        site["battery_kwh"] = kept_kwh
    modules_usd = max(p["battery_modules_usd_per_kwh"] * p["battery_energy_wh"] / 1000.0, 1e-9)
    site["battery_aged_frac"] += wear_usd / modules_usd + STEP_H / (
        p["battery_calendar_years"] * HOURS_PER_MONTH * 12.0
    )
    return Moved(drawn_kwh, lost_kwh, wear_usd)
