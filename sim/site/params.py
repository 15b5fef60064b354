"""Validated parameters of a site: its zones, how their air mixes, and what lies between them and the money."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from ..contract.contract import Contract
from ..cooling.air import air_capacity_w_per_k
from ..cooling.plant import COMMAND_FIELDS
from ..cooling.plants import PLANT_FIELDS, ContainerParams, PlantParams
from ..cooling.psychrometrics import pressure_pa
from ..energy.battery import BatteryParams
from ..energy.interconnect import InterconnectParams
from ..energy.renewables import SunParams, WindParams
from ..foundation.checks import require, require_fraction, require_positive
from ..foundation.constants import AIR_DENSITY_KG_PER_M3, SEA_LEVEL_PA
from ..foundation.records import float_record, number_fields
from ..hardware.ladder import Ladder, ladder_of
from ..hardware.params import PROFILE_FAN_PU, FirmwareParams, MachineParams
from ..hardware.thermal import CONVECTION_EXPONENT
from ..market.pools import MOST_MARKETS, Market, usual_market


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneParams:
    """A zone: machines of one model under one firmware around one cooling plant.

    Examples:
        >>> from hashgym.sim import firmware, machine
        >>> zone = ZoneParams(machine=machine("s21"), firmware=firmware("fast_curtail"), n_units=100)
        >>> zone.min_mhz, zone.max_mhz
        (300.0, 525.0)
    """

    machine: MachineParams
    firmware: FirmwareParams
    plant: PlantParams = field(default_factory=ContainerParams)
    n_units: int
    """Machines in the zone. Source: a 40-foot air container holds 280 to 300 machines of 3 kW (1 MW class)."""
    n_slots: int | None = None
    """Machines that the plant is made for; None: as many as there are. Fans and chillers are sized by it."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(self.n_units >= 1, "ZoneParams", "n_units", self.n_units, "1 or more")
        slots = self.n_units if self.n_slots is None else self.n_slots
        require(slots >= self.n_units, "ZoneParams", "n_slots", self.n_slots, f"n_units, {self.n_units}, or more")
        fits = self.machine.cooling == self.plant.cooling
        owner = type(self.plant).__name__
        require(fits, "ZoneParams", "plant", owner, f"one for machines that are cooled by {self.machine.cooling}")

    @property
    def slots_per_unit(self) -> float:
        """Slots of the plant over machines in it."""
        return (self.n_units if self.n_slots is None else self.n_slots) / self.n_units

    @property
    def ladder(self) -> Ladder:
        """Profiles of the machines."""
        return ladder_of(self.machine)

    @property
    def step_mhz(self) -> float:
        """Frequency by which the firmware throttles: one step of its ladder. [MHz]"""
        return self.ladder.step_mhz

    @property
    def slew_mhz_per_s(self) -> float:
        """Rate of a frequency ramp: the whole ladder in the firmware's ramp time. [MHz/s]"""
        return (self.max_mhz - self.min_mhz) / self.firmware.ramp_s

    @property
    def min_mhz(self) -> float:
        """Lowest frequency of the ladder. [MHz]"""
        return self.ladder.min_mhz

    @property
    def max_mhz(self) -> float:
        """Highest frequency of the ladder. [MHz]"""
        return self.ladder.max_mhz

    @property
    def tuned_mhz(self) -> tuple[float, float]:
        """Lowest and highest frequency that the firmware has tuned before. [MHz]"""
        span = self.max_mhz - self.min_mhz
        return self.min_mhz + self.firmware.tuned_low_pu * span, self.min_mhz + self.firmware.tuned_high_pu * span

    @property
    def chip_k_per_w(self) -> float:
        """Resistance from the heatsink, or the coolant, to the hottest chip. [K/W]"""
        return 1.0 / self.machine.chip_w_per_k + self.machine.hot_k_per_w

    @property
    def kelvin_per_w(self) -> float:
        """Rise of the air through a machine at mild fan speed per watt, 0 of a liquid-cooled one. [K/W]"""
        flow_m3_per_s = PROFILE_FAN_PU * self.machine.air_flow_m3_per_s
        return 1.0 / air_capacity_w_per_k(flow_m3_per_s, AIR_DENSITY_KG_PER_M3) if flow_m3_per_s > 0.0 else 0.0

    @property
    def run_temp_c(self) -> float:
        """Temperature of the hottest chip while hashing, which a start swings to. [°C]"""
        return self.plant.start_temp_c(self)

    @property
    def psu_loss_pu(self) -> float:
        """Loss of the power supply per watt that it delivers."""
        return 1.0 / self.machine.psu_efficiency - 1.0

    @property
    def fan_min_sink_pu(self) -> float:
        """Conductance from heatsink to air at the lowest fan speed, of the rated one."""
        return self.firmware.fan_min_pu**CONVECTION_EXPONENT

    def numbers(self, air_pu: float) -> dict[str, float]:
        """Return the zone's parameters as kernels read them, by name.

        Args:
            air_pu: Density of the air at the site over that at sea level.
        """
        plant = self.plant
        published: dict[str, float] = {}
        for part in (self.machine, self.firmware, plant):
            published |= {name: float(getattr(part, name)) for name in number_fields(type(part))}
        derived = {name: float(getattr(self, name)) for name in ZONE_FIELDS} | plant.record(self, air_pu)
        first, second = plant.commands(self)
        reach = dict(zip(COMMAND_FIELDS, (first.low, first.high, second.low, second.high), strict=True))
        kind = {
            "plant_kind": plant.kind,
            "is_liquid": float(plant.cooling == "liquid"),
            "delivers_heat": float(plant.delivers_heat),
        }
        return published | derived | reach | kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Exhaust of one zone that reaches another's inlet."""

    zone: int
    """Zone whose inlet it reaches."""
    source: int
    """Zone whose exhaust it is."""
    share: float
    """Share of the source's exhaust that does."""


@dataclass(frozen=True, kw_only=True)
class SiteParams:
    """A site: its zones and what lies between them and the money.

    Examples:
        >>> from hashgym.sim import firmware, machine
        >>> zone = ZoneParams(machine=machine("s21"), firmware=firmware("fast_curtail"), n_units=100)
        >>> site = SiteParams(zones=(zone,), site_cap_w=400_000.0)
        >>> site.rated_power_w, site.rated_hashrate_ths
        (350000.0, 20000)
    """

    zones: tuple[ZoneParams, ...]
    links: tuple[Link, ...] = ()
    """How the zones' air mixes; none: every zone breathes outdoor air."""
    altitude_m: float = 900.0
    """Height above the sea. [m] Source: Odessa, Texas, 2,900 ft."""
    transformer_loss_frac: float = 0.015
    """Transformer and cable loss per delivered power. Source: 1-2 % for dry-type units, U.S. DOE 10 CFR 431.196."""
    misc_w_per_unit: float = 3.0
    """Network, lights and control per machine. [W] assumed."""
    contract: Contract = field(default_factory=Contract)
    """What power costs."""
    markets: tuple[Market, ...] = ()
    """Where hashes can be sold; the first is where they are until somebody changes it. None given: that of the machines."""
    water_usd_per_m3: float = 2.0
    """assumed: municipal industrial water in Texas, about 7.5 USD per 1,000 gallons."""
    ageing_usd_per_h: float = 0.00114
    """Price of an hour of ageing of a machine. [USD] Source: 5 % failures a year (cointelegraph.com on S17/T17) times 200 USD
    a repair (assumed)."""
    technician_usd_per_h: float = 70.0
    """Price of an hour of a technician who is called. [USD/h] assumed: twice the wage of the catalogue's crew, as on call."""
    site_cap_w: float = np.inf
    """Largest power at the meter that counts as no cost. [W] None by default; what an interconnect allows is never broken."""
    battery: BatteryParams | None = None
    """A battery behind the meter."""
    sun: SunParams | None = None
    """Solar power behind the meter."""
    wind: WindParams | None = None
    """Wind power behind the meter."""
    interconnect: InterconnectParams | None = None
    """Limits of what is drawn and exported; none: any power may be drawn and none exported."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(len(self.zones) >= 1, "SiteParams", "zones", self.zones, "one zone or more")
        require_fraction(self, "transformer_loss_frac")
        self._check_markets()
        require_positive(self, "site_cap_w")
        for name in ("misc_w_per_unit", "water_usd_per_m3", "ageing_usd_per_h", "technician_usd_per_h"):
            require(getattr(self, name) >= 0.0, "SiteParams", name, getattr(self, name), "0 or more")
        require(-500.0 <= self.altitude_m <= 5000.0, "SiteParams", "altitude_m", self.altitude_m, "in [-500, 5000]")
        self._check_links()

    def _check_markets(self) -> None:
        if not self.markets:
            object.__setattr__(self, "markets", (usual_market(self.zones[0].machine.algorithm),))
        require(
            1 <= len(self.markets) <= MOST_MARKETS, "SiteParams", "markets", len(self.markets), f"1 to {MOST_MARKETS}"
        )

    def _check_links(self) -> None:
        numbers, given = range(len(self.zones)), [0.0] * len(self.zones)
        for index, link in enumerate(self.links):
            owner = f"SiteParams.links[{index}]"
            for name in ("zone", "source"):
                number = getattr(link, name)
                require(number in numbers, owner, name, number, f"a zone's number, 0 to {numbers[-1]}")
                air = self.zones[number].plant.cooling == "air"
                require(air, owner, name, number, "a zone that is cooled by air")
            require(link.zone != link.source, owner, "source", link.source, "another zone; its own is leak_frac")
            require(0.0 <= link.share <= 1.0, owner, "share", link.share, "between 0 and 1")
            given[link.source] += link.share
        for number, share in enumerate(given):
            require(share <= 1.0, "SiteParams", "links", share, f"1 at most in all from zone {number}")

    @property
    def air_pu(self) -> float:
        """Density of the air at the site's altitude over that at sea level."""
        return pressure_pa(self.altitude_m) / SEA_LEVEL_PA

    @property
    def rated_power_w(self) -> float:
        """Sum of the machines' rated power. [W]"""
        return sum(zone.n_units * zone.machine.rated_power_w for zone in self.zones)

    @property
    def rated_hashrate_ths(self) -> float:
        """Sum of the machines' rated hashrate. [TH/s]"""
        return sum(zone.n_units * zone.machine.rated_hashrate_ths for zone in self.zones)

    @property
    def has_energy(self) -> bool:
        """Whether something stands behind the meter beside machines, or the interconnect limits them."""
        return any(part is not None for part in (self.battery, self.sun, self.wind, self.interconnect))

    @cached_property
    def zone_record(self) -> np.ndarray:
        """The parameters of each zone as kernels read them, (n_zones,) of ZONE_PARAMS."""
        record = np.zeros(len(self.zones), ZONE_PARAMS)
        for index, zone in enumerate(self.zones):
            for name, value in zone.numbers(self.air_pu).items():
                record[name][index] = value
        record.flags.writeable = False
        return record

    @cached_property
    def site_record(self) -> np.ndarray:
        """The parameters of the site as kernels read them, (1,) of SITE_PARAMS."""
        record = np.zeros(1, SITE_PARAMS)
        numbers = {name: getattr(self, name) for name in number_fields(SiteParams, _OF_PARTS)}
        numbers |= {"import_limit_w": np.inf, "has_energy": float(self.has_energy)}
        if self.battery is not None:
            numbers |= self.battery.numbers
        if self.interconnect is not None:
            numbers |= {name: getattr(self.interconnect, name) for name in number_fields(InterconnectParams)}
        for name, value in {**numbers, **self.contract.numbers}.items():
            record[name][0] = value
        record.flags.writeable = False
        return record

    @cached_property
    def switch_s(self) -> np.ndarray:
        """Time that a change to each market takes, (n_markets,). [s]"""
        return np.array([market.switch_s for market in self.markets])

    @cached_property
    def link_record(self) -> np.ndarray:
        """The links as the kernel reads them, (n_links,) of LINKS."""
        record = np.zeros(len(self.links), LINKS)
        for index, link in enumerate(self.links):
            record[index] = (link.zone, link.source, link.share)
        record.flags.writeable = False
        return record


ZONE_FIELDS: Final = (
    "n_units",
    "step_mhz",
    "slew_mhz_per_s",
    "min_mhz",
    "max_mhz",
    "chip_k_per_w",
    "psu_loss_pu",
    "fan_min_sink_pu",
    "run_temp_c",
)
"""Fields of a zone in its record beside those of machine, firmware and plant."""

_OF_PARTS: Final = ("zones", "links", "contract", "markets", "battery", "sun", "wind", "interconnect")

ZONE_PARAMS: Final = float_record(
    *number_fields(MachineParams), *number_fields(FirmwareParams), *PLANT_FIELDS, *ZONE_FIELDS
)
"""A zone's parameters as one record of float64: published ones as they stand in the parameter classes, and derived ones under
names of their own; those of plants of another kind are 0."""

SITE_PARAMS: Final = float_record(
    *number_fields(SiteParams, _OF_PARTS),
    *(f"battery_{name}" for name in number_fields(BatteryParams)),
    *number_fields(InterconnectParams),
    "has_energy",
    *Contract().numbers,
)
"""A site's parameters as one record of float64, those of battery and interconnect and its contract's numbers included; without a battery its
power is 0, without an interconnect any power may be drawn."""

LINKS: Final = np.dtype([("zone", np.int64), ("source", np.int64), ("share", np.float64)])
"""A link as kernels read it."""
