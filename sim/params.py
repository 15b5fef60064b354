"""Validated parameters of a site: containers, zones and what lies between them and the money."""

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from .constants import AIR_DENSITY_KG_PER_M3
from .cooling import air_capacity_w_per_k
from .thermal import CONVECTION_EXPONENT
from .unit import FirmwareParams, MachineParams, require, require_fraction, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerParams:
    """A ventilated container around the machines of one zone."""

    supply_flow_frac: float = 0.9
    """Supply flow at full speed as a share of what all machine fans draw at full speed. assumed: a filled container."""
    supply_fan_w_per_m3_per_s: float = 300.0
    """Power per flow at full speed. [W/(m³/s)] Source: 150 Pa at 50 % total efficiency (31,000 CFM class, systech-design.com)."""
    pad_effectiveness: float = 0.8
    """Source: ASHRAE HVAC Systems and Equipment 2020, ch. 41: 0.7-0.9 for rigid media."""
    pad_on_temp_c: float = 28.0
    pad_off_temp_c: float = 25.0
    """Outdoor temperatures at which the pads go on and off. [°C] assumed: inlet advised ≤31 °C behind a water curtain (buybtc123.com)."""
    pad_pump_w_per_unit: float = 4.0
    """Pad pump power per machine. [W] assumed: 1.1 kW for a container of 280."""
    bleed_frac: float = 0.25
    """Bleed-off per evaporated water. assumed: five cycles of concentration."""
    leak_frac: float = 0.02
    """Share of exhaust that finds its way back. assumed."""
    inlet_min_c: float = 5.0
    """Lowest inlet temperature that the damper holds. [°C] Source: nominal range 5-45 °C of Bitmain air chassis."""
    asleep_flow_frac: float = 0.05
    """Draught through a stopped machine as a share of its full flow. assumed: natural convection."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "supply_flow_frac", "asleep_flow_frac")
        require_fraction(self, "pad_effectiveness", "asleep_flow_frac", "leak_frac")
        require(
            self.pad_off_temp_c < self.pad_on_temp_c,
            "ContainerParams", "pad_off_temp_c", self.pad_off_temp_c, "below pad_on_temp_c",
        )  # fmt: skip
        for name in ("supply_fan_w_per_m3_per_s", "pad_pump_w_per_unit", "bleed_frac"):
            require(getattr(self, name) >= 0.0, "ContainerParams", name, getattr(self, name), "0 or more")
        require(self.leak_frac < 1.0, "ContainerParams", "leak_frac", self.leak_frac, "below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneParams:
    """A zone: machines of one model under one firmware in one container."""

    machine: MachineParams
    firmware: FirmwareParams
    container: ContainerParams = field(default_factory=ContainerParams)
    n_units: int = 280
    """Machines in the zone. Source: a 40-foot air container holds 280 to 300 machines of 3 kW (1 MW class)."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(self.n_units >= 1, "ZoneParams", "n_units", self.n_units, "1 or more")

    @property
    def step_mhz(self) -> float:
        """Frequency by which the firmware throttles: one step of its ladder. [MHz]"""
        return self.machine.profiles_mhz[1] - self.machine.profiles_mhz[0]

    @property
    def slew_mhz_per_s(self) -> float:
        """Rate of a frequency ramp: the whole ladder in the firmware's ramp time. [MHz/s]"""
        return (self.machine.profiles_mhz[-1] - self.machine.profiles_mhz[0]) / self.firmware.ramp_s

    @property
    def min_mhz(self) -> float:
        """Lowest frequency of the ladder. [MHz]"""
        return self.machine.profiles_mhz[0]

    @property
    def max_mhz(self) -> float:
        """Highest frequency of the ladder. [MHz]"""
        return self.machine.profiles_mhz[-1]

    @property
    def chip_k_per_w(self) -> float:
        """Resistance from the heatsink to the hottest chip. [K/W]"""
        return 1.0 / self.machine.chip_w_per_k + self.machine.hot_k_per_w

    @property
    def psu_loss_pu(self) -> float:
        """Loss of the power supply per watt that it delivers."""
        return 1.0 / self.machine.psu_efficiency - 1.0

    @property
    def fan_min_sink_pu(self) -> float:
        """Conductance from heatsink to air at the lowest fan speed, of the rated one."""
        return self.firmware.fan_min_pu**CONVECTION_EXPONENT

    @property
    def asleep_sink_pu(self) -> float:
        """Conductance from heatsink to air of a stopped machine, of the rated one."""
        return self.container.asleep_flow_frac**CONVECTION_EXPONENT

    @property
    def supply_fan_rated_w(self) -> float:
        """Power of the supply fans per machine at full speed. [W]"""
        flow = self.container.supply_flow_frac * self.machine.air_flow_m3_per_s
        return flow * self.container.supply_fan_w_per_m3_per_s


@dataclass(frozen=True, kw_only=True)
class SiteParams:
    """A site: its zones and what lies between them and the money."""

    zones: tuple[ZoneParams, ...]
    altitude_m: float = 900.0
    """Height above the sea. [m] Source: Odessa, Texas, 2,900 ft."""
    transformer_loss_frac: float = 0.015
    """Transformer and cable loss per delivered power. Source: 1-2 % for dry-type units, U.S. DOE 10 CFR 431.196."""
    misc_w_per_unit: float = 3.0
    """Network, lights and control per machine. [W] assumed."""
    pool_fee_frac: float = 0.02
    """Source: 2 % FPPS (Okminer help page)."""
    reject_frac: float = 0.002
    """Rejected shares. Source: 0.11-0.20 % in live telemetry (256foundation/asic-rs)."""
    water_usd_per_m3: float = 2.0
    """assumed: municipal industrial water in Texas, about 7.5 USD per 1,000 gallons."""
    ageing_usd_per_h: float = 0.00114
    """Price of an hour of ageing of a machine. [USD] 5 % failures a year (cointelegraph.com on S17/T17) times 200 USD a repair (assumed)."""
    site_cap_w: float = np.inf
    """Largest power at the meter. [W]"""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(len(self.zones) >= 1, "SiteParams", "zones", self.zones, "one zone or more")
        require_fraction(self, "transformer_loss_frac", "pool_fee_frac", "reject_frac")
        require_positive(self, "site_cap_w")
        for name in ("misc_w_per_unit", "water_usd_per_m3", "ageing_usd_per_h"):
            require(getattr(self, name) >= 0.0, "SiteParams", name, getattr(self, name), "0 or more")
        require(-500.0 <= self.altitude_m <= 5000.0, "SiteParams", "altitude_m", self.altitude_m, "in [-500, 5000]")

    @property
    def air_kg_per_m3(self) -> float:
        """Density of the air at the site's altitude. [kg/m³] Source: ICAO standard atmosphere, ρ/ρ0 = (1 - 2.25577e-5 h)^4.2559."""
        return float(AIR_DENSITY_KG_PER_M3 * (1.0 - 2.25577e-5 * self.altitude_m) ** 4.2559)

    @property
    def rated_power_w(self) -> float:
        """Sum of the machines' rated power. [W]"""
        return sum(zone.n_units * zone.machine.rated_power_w for zone in self.zones)

    @property
    def rated_hashrate_ths(self) -> float:
        """Sum of the machines' rated hashrate. [TH/s]"""
        return sum(zone.n_units * zone.machine.rated_hashrate_ths for zone in self.zones)

    @cached_property
    def zone_record(self) -> np.ndarray:
        """The parameters of each zone as the kernel reads them, (n_zones,) of ZONE_PARAMS."""
        record = np.zeros(len(self.zones), ZONE_PARAMS)
        for index, zone in enumerate(self.zones):
            for part in (zone.machine, zone.firmware, zone.container, zone):
                for name in _numbers(type(part)):
                    record[name][index] = getattr(part, name)
            flow = zone.machine.air_flow_m3_per_s
            record["air_w_per_k"][index] = air_capacity_w_per_k(flow, self.air_kg_per_m3)
            for name in (
                "fan_rated_w",
                "supply_fan_rated_w",
            ):  # at a given speed a fan's power is that of the air it moves
                record[name][index] *= self.air_kg_per_m3 / AIR_DENSITY_KG_PER_M3
            record["sink_w_per_k"][index] *= (self.air_kg_per_m3 / AIR_DENSITY_KG_PER_M3) ** CONVECTION_EXPONENT
        record.flags.writeable = False
        return record

    @cached_property
    def site_record(self) -> np.ndarray:
        """The parameters of the site as the kernel reads them, (1,) of SITE_PARAMS."""
        record = np.zeros(1, SITE_PARAMS)
        for name in _numbers(SiteParams):
            record[name][0] = getattr(self, name)
        record.flags.writeable = False
        return record


_DERIVED: dict[type, tuple[str, ...]] = {
    ZoneParams: (
        "step_mhz",
        "slew_mhz_per_s",
        "min_mhz",
        "max_mhz",
        "chip_k_per_w",
        "psu_loss_pu",
        "fan_min_sink_pu",
        "asleep_sink_pu",
        "supply_fan_rated_w",
    )
}


def _numbers(cls: type) -> tuple[str, ...]:
    own = tuple(entry.name for entry in fields(cls) if entry.type in ("float", "int", float, int))
    return own + _DERIVED.get(cls, ())


def _dtype(classes: tuple[type, ...], extra: tuple[str, ...]) -> np.dtype:
    return np.dtype(
        [(name, np.float64) for cls in classes for name in _numbers(cls)] + [(e, np.float64) for e in extra]
    )


ZONE_PARAMS = _dtype((MachineParams, FirmwareParams, ContainerParams, ZoneParams), ("air_w_per_k",))
"""A zone's parameters as one record of float64."""

SITE_PARAMS = _dtype((SiteParams,), ())
"""A site's parameters as one record of float64."""
