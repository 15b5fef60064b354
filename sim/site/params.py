"""Validated parameters of a site: its zones, how their air mixes, and what lies between them and the money."""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Final

import numpy as np

from ..contract.contract import Contract
from ..cooling import plant_record
from ..cooling.air import air_capacity_w_per_k
from ..cooling.plants import LOOP, ContainerParams, LoopParams, PlantParams, RoomParams
from ..cooling.psychrometrics import pressure_pa
from ..foundation.checks import require, require_fraction, require_positive
from ..foundation.constants import AIR_DENSITY_KG_PER_M3, SEA_LEVEL_PA
from ..foundation.errors import BadInputError
from ..hardware.params import PROFILE_FAN_PU, FirmwareParams, MachineParams
from ..hardware.thermal import CONVECTION_EXPONENT
from ..market.pools import MOST_MARKETS, Market, usual_market


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneParams:
    """A zone: machines of one model under one firmware around one cooling plant."""

    machine: MachineParams
    firmware: FirmwareParams
    plant: PlantParams = field(default_factory=ContainerParams)
    n_units: int = 280
    """Machines in the zone. Source: a 40-foot air container holds 280 to 300 machines of 3 kW (1 MW class)."""
    n_slots: int | None = None
    """Machines that the plant is made for; None: as many as there are. Fans and chillers are sized by it."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(self.n_units >= 1, "ZoneParams", "n_units", self.n_units, "1 or more")
        places = self.n_units if self.n_slots is None else self.n_slots
        require(places >= self.n_units, "ZoneParams", "n_slots", self.n_slots, f"n_units, {self.n_units}, or more")
        fits = self.machine.cooling == self.plant.cooling
        owner = type(self.plant).__name__
        require(fits, "ZoneParams", "plant", owner, f"one for machines that are cooled by {self.machine.cooling}")

    @property
    def slots_per_unit(self) -> float:
        """Places of the plant over machines in it."""
        return (self.n_units if self.n_slots is None else self.n_slots) / self.n_units

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
        if isinstance(self.plant, LoopParams):
            heat_w = self.machine.rated_power_w * self.machine.psu_efficiency
            return self.plant.coolant_target_c + heat_w * self.chip_k_per_w
        return self.firmware.fan_target_temp_c

    @property
    def psu_loss_pu(self) -> float:
        """Loss of the power supply per watt that it delivers."""
        return 1.0 / self.machine.psu_efficiency - 1.0

    @property
    def fan_min_sink_pu(self) -> float:
        """Conductance from heatsink to air at the lowest fan speed, of the rated one."""
        return self.firmware.fan_min_pu**CONVECTION_EXPONENT


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
    """A site: its zones and what lies between them and the money."""

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
    site_cap_w: float = np.inf
    """Largest power at the meter. [W] None by default."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(len(self.zones) >= 1, "SiteParams", "zones", self.zones, "one zone or more")
        require_fraction(self, "transformer_loss_frac")
        self._check_markets()
        require_positive(self, "site_cap_w")
        for name in ("misc_w_per_unit", "water_usd_per_m3", "ageing_usd_per_h"):
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
                air = self.zones[number].plant.kind != LOOP
                require(air, owner, name, number, "a zone that is cooled by air")
            require(link.zone != link.source, owner, "source", link.source, "another zone; its own is leak_frac")
            require(0.0 <= link.share <= 1.0, owner, "share", link.share, "between 0 and 1")
            given[link.source] += link.share
        for number, share in enumerate(given):
            require(share <= 1.0, "SiteParams", "links", share, f"1 at most in all from zone {number}")

    def moved(self, n_units: int, source: int, target: int) -> "SiteParams":
        """Return the site after a move of machines between zones; their plants stay.

        Args:
            n_units: How many machines.
            source: Zone that they leave; it keeps one machine or more.
            target: Zone that they enter.

        Raises:
            BadInputError: The zones hold different models or firmware, or lack the machines or the places.
        """
        if n_units < 1 or source == target:
            raise BadInputError(
                f"cannot move {n_units} machines from zone {source} to {target}: one or more, to another zone"
            )
        zones = [replace(z, n_slots=z.n_units if z.n_slots is None else z.n_slots) for z in self.zones]
        giver, taker = zones[source], zones[target]
        if (giver.machine, giver.firmware) != (taker.machine, taker.firmware):
            raise BadInputError(
                f"zones {source} and {target} hold different machines or firmware; a zone holds one kind"
            )
        zones[source] = replace(giver, n_units=giver.n_units - n_units)
        zones[target] = replace(taker, n_units=taker.n_units + n_units)
        return replace(self, zones=tuple(zones))

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

    @cached_property
    def zone_record(self) -> np.ndarray:
        """The parameters of each zone as the kernel reads them, (n_zones,) of ZONE_PARAMS."""
        record = np.zeros(len(self.zones), ZONE_PARAMS)
        for index, zone in enumerate(self.zones):
            for part in (zone.machine, zone.firmware, zone.plant, zone):
                for name in _numbers(type(part)):
                    record[name][index] = getattr(part, name)
            record["plant_kind"][index] = zone.plant.kind
            derived = (
                plant_record.of_loop(zone, self.air_pu)
                if isinstance(zone.plant, LoopParams)
                else plant_record.of_air(zone, self.air_pu)
            )
            for name, value in derived.items():
                record[name][index] = value
        record.flags.writeable = False
        return record

    @cached_property
    def site_record(self) -> np.ndarray:
        """The parameters of the site as the kernel reads them, (1,) of SITE_PARAMS."""
        record = np.zeros(1, SITE_PARAMS)
        for name in _numbers(SiteParams):
            record[name][0] = getattr(self, name)
        for name, value in self.contract.numbers.items():
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


_OF_ZONE: Final = (
    "step_mhz", "slew_mhz_per_s", "min_mhz", "max_mhz", "chip_k_per_w", "psu_loss_pu", "fan_min_sink_pu", "run_temp_c",
)  # fmt: skip

_BY_PLANT: Final = (
    "plant_kind", "air_w_per_k", "intake_fan_rated_w", "exhaust_fan_rated_w", "asleep_sink_pu", "idle_chip_w_per_k", "sink_per_air",
)  # fmt: skip


def _numbers(cls: type) -> tuple[str, ...]:
    own = tuple(entry.name for entry in fields(cls) if entry.type in ("float", "int", float, int))
    return own + (_OF_ZONE if cls is ZoneParams else ())


def _dtype(classes: tuple[type, ...], extra: tuple[str, ...]) -> np.dtype:
    names = dict.fromkeys([name for cls in classes for name in _numbers(cls)] + list(extra))
    return np.dtype([(name, np.float64) for name in names])


ZONE_PARAMS: Final = _dtype(
    (MachineParams, FirmwareParams, ContainerParams, RoomParams, LoopParams, ZoneParams), _BY_PLANT
)
"""A zone's parameters as one record of float64: those of plants of another kind are 0."""

SITE_PARAMS: Final = np.dtype([(name, np.float64) for name in (*_numbers(SiteParams), *Contract().numbers)])
"""A site's parameters as one record of float64, its contract's numbers included."""

LINKS: Final = np.dtype([("zone", np.int64), ("source", np.int64), ("share", np.float64)])
"""A link as the kernel reads it."""
