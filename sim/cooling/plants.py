"""Validated parameters of the cooling plants around a zone's machines: container, room, liquid loop."""

from dataclasses import dataclass
from typing import ClassVar, Final

from ..foundation.checks import require, require_fraction, require_positive

CONTAINER: Final = 0.0
ROOM: Final = 1.0
LOOP: Final = 2.0  # codes of the kinds, by definition


@dataclass(frozen=True, slots=True, kw_only=True)
class AirParams:
    """What a container and a room have in common: air that fans bring to the machines and take away."""

    intake_flow_frac: float = 0.9
    """Flow of the intake fans at full speed as a share of what the machines of all places draw. assumed: a filled container."""
    intake_fan_w_per_m3_per_s: float = 300.0
    """Power per flow at full speed. [W/(m³/s)] Source: 150 Pa at 50 % total efficiency (31,000 CFM class, systech-design.com)."""
    exhaust_flow_frac: float = 2.0
    """The same of the exhaust fans or shutters. assumed: open shutters, which do not limit the flow."""
    exhaust_fan_w_per_m3_per_s: float = 0.0
    """The same of the exhaust fans. [W/(m³/s)] assumed: shutters without fans."""
    leak_frac: float = 0.02
    """Share of exhaust that finds its way back. assumed."""
    inlet_min_c: float = 5.0
    """Lowest inlet temperature that the damper holds. [°C] Source: nominal range 5-45 °C of Bitmain air chassis."""
    asleep_flow_frac: float = 0.05
    """Draught through a stopped machine as a share of its full flow. assumed: natural convection."""

    def check_air(self) -> None:
        """Check ranges; raises BadInputError."""
        owner = type(self).__name__
        require_positive(self, "intake_flow_frac", "exhaust_flow_frac", "asleep_flow_frac")
        require_fraction(self, "asleep_flow_frac", "leak_frac")
        for name in ("intake_fan_w_per_m3_per_s", "exhaust_fan_w_per_m3_per_s"):
            require(getattr(self, name) >= 0.0, owner, name, getattr(self, name), "0 or more")
        require(self.leak_frac < 1.0, owner, "leak_frac", self.leak_frac, "below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerParams(AirParams):
    """A ventilated container with an evaporative wall."""

    kind: ClassVar[float] = CONTAINER
    cooling: ClassVar[str] = "air"

    pad_effectiveness: float = 0.8
    """Source: ASHRAE HVAC Systems and Equipment 2020, ch. 41: 0.7-0.9 for rigid media. 0: no wall."""
    pad_on_temp_c: float = 28.0
    """Outdoor temperature at which the pads go on. [°C] assumed: inlet advised ≤31 °C behind a water curtain (buybtc123.com)."""
    pad_off_temp_c: float = 25.0
    """Outdoor temperature at which they go off. [°C] assumed: 3 K of hysteresis."""
    pad_pump_w_per_unit: float = 4.0
    """Pad pump power per machine. [W] assumed: 1.1 kW for a container of 280."""
    bleed_frac: float = 0.25
    """Bleed-off per evaporated water. assumed: five cycles of concentration."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        self.check_air()
        check_pads(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomParams(AirParams):
    """A hosted room: an air handler with an economizer, and a chiller with its condenser on a tower or in dry air."""

    kind: ClassVar[float] = ROOM
    cooling: ClassVar[str] = "air"

    intake_flow_frac: float = 1.0
    """As in AirParams. assumed: an air handler made for its machines."""
    intake_fan_w_per_m3_per_s: float = 800.0
    """As in AirParams. [W/(m³/s)] assumed: 400 Pa over coil and filters at 50 % total efficiency."""
    supply_target_c: float = 24.0
    """Temperature of the supply air. [°C] Source: middle of ASHRAE TC 9.9's recommended envelope, 18-27 °C."""
    outdoor_min_frac: float = 0.05
    """Least share of outdoor air. assumed: ventilation of the room."""
    chiller_w_per_unit: float = 3500.0
    """Rated cooling power per machine. [W] assumed: the heat of one air-cooled machine of 3.5 kW."""
    chilled_water_c: float = 7.0
    """Leaving chilled water. [°C] Source: AHRI 550/590 rating point, 44 °F; the fitted chillers ran at 5.5."""
    condenser_approach_k: float = 3.3
    """Condenser water of a tower above the wet bulb. [K] Source: medians of 2.6 and 4.0 K of the two towers in
    docs/validation.md."""
    condenser_is_wet: float = 1.0
    """1: cooling tower, which takes water; 0: dry condenser."""
    dry_approach_k: float = 14.0
    """Dry condenser above the outdoor air. [K] assumed: as air-cooled chillers have it; not validated."""
    chiller_entropy_per_k: float = 4.476156545225778e-05
    """Gordon-Ng s. [1/K] Source: fit to a real chiller, May 2018, judged on June: docs/validation.md."""
    chiller_loss: float = 0.13842016720945804
    """Gordon-Ng l, heat gains over rated cooling. Source: as s."""
    chiller_resistance_k: float = 5.558021209155202
    """Gordon-Ng r, heat exchangers' resistance times rated cooling. [K] Source: as s."""
    chiller_side_frac: float = 0.035
    """Pumps and tower fans per rejected heat. Source: medians of the two chillers in docs/validation.md: pumps 1.9-2.3 %,
    tower fans 0.7-1.2 %."""
    bleed_frac: float = 0.25
    """Bleed-off per evaporated water. assumed: five cycles of concentration."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        self.check_air()
        require_positive(self, "chiller_w_per_unit")
        require_fraction(self, "outdoor_min_frac", "condenser_is_wet")
        for name in (
            "condenser_approach_k",
            "dry_approach_k",
            "chiller_entropy_per_k",
            "chiller_loss",
            "chiller_resistance_k",
        ):
            require(getattr(self, name) >= 0.0, "RoomParams", name, getattr(self, name), "0 or more")
        for name in ("chiller_side_frac", "bleed_frac"):
            require(getattr(self, name) >= 0.0, "RoomParams", name, getattr(self, name), "0 or more")
        above = self.chilled_water_c < self.supply_target_c
        require(above, "RoomParams", "chilled_water_c", self.chilled_water_c, "below supply_target_c")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParams:
    """A liquid loop, immersion tank or cold plates: pump, coolant with its heat capacity, dry or adiabatic cooler."""

    kind: ClassVar[float] = LOOP
    cooling: ClassVar[str] = "liquid"

    coolant_j_per_k: float = 60000.0
    """Heat capacity of the coolant per machine. [J/K] assumed: 14 kg of water; an immersion tank holds 40 kg of oil, 80 kJ/K."""
    coolant_w_per_k: float = 700.0
    """Heat capacity flow of the coolant per machine. [W/K] Source: 43 → 49 °C over a machine of 5.4 kW takes 890
    (tetherto/miningos-wrk-container-antspace); assumed 8 K."""
    coolant_target_c: float = 38.0
    """Mean coolant temperature that the cooler holds. [°C] Source: supply set-point 35 °C (miningos, Antspace), plus half
    the rise."""
    pump_w_per_unit: float = 60.0
    """Pump power per machine. [W] Source: ≤25 kW fans and pumps on 720 kW of heat (minerbase.com, immersion container), a third of it."""
    pump_idle_pu: float = 0.5
    """Pump speed while the machines sleep. assumed."""
    pump_share: float = 0.3
    """Share of the resistance from chip to coolant that falls with flow^0.8. assumed: the rest is solid."""
    cooler_w_per_k: float = 500.0
    """Conductance from coolant to cooling air at full fan speed, per machine. [W/K] Source: 720 kW rejected at 28 °C wet
    bulb (minerbase.com): 5.5 kW at 11 K."""
    cooler_air_w_per_k: float = 750.0
    """Heat capacity flow of the cooler's air at full speed, per machine. [W/K] assumed: a cooler of effectiveness 2/3."""
    cooler_fan_w_per_unit: float = 130.0
    """Power of the cooler's fans at full speed, per machine. [W] Source: as pump_w_per_unit, two thirds."""
    cooler_still_frac: float = 0.01
    """Conductance of the cooler with its fans standing. assumed: shutters and a bypass; the coolant holds glycol."""
    control_time_s: float = 300.0
    """Time in which the cooler's control takes out a deviation. [s] assumed."""
    pad_effectiveness: float = 0.8
    """Of the adiabatic pads before the cooler. Source: as ContainerParams. 0: a dry cooler."""
    pad_on_temp_c: float = 24.0
    """Outdoor temperature at which the pads go on. [°C] assumed: below it the dry cooler holds its target."""
    pad_off_temp_c: float = 21.0
    """Outdoor temperature at which they go off. [°C] assumed: 3 K of hysteresis."""
    pad_pump_w_per_unit: float = 4.0
    """Pad pump power per machine. [W] assumed: as ContainerParams."""
    bleed_frac: float = 0.25
    """Bleed-off per evaporated water. assumed: five cycles of concentration."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        check_pads(self)
        require_positive(
            self, "coolant_j_per_k", "coolant_w_per_k", "pump_idle_pu", "cooler_w_per_k", "cooler_air_w_per_k",
            "cooler_still_frac", "control_time_s",
        )  # fmt: skip
        require_fraction(self, "pump_idle_pu", "pump_share", "cooler_still_frac")
        most = self.cooler_w_per_k <= self.cooler_air_w_per_k
        require(
            most,
            "LoopParams",
            "cooler_w_per_k",
            self.cooler_w_per_k,
            "cooler_air_w_per_k at most: air cannot carry more",
        )
        for name in ("pump_w_per_unit", "cooler_fan_w_per_unit"):
            require(getattr(self, name) >= 0.0, "LoopParams", name, getattr(self, name), "0 or more")


PlantParams = ContainerParams | RoomParams | LoopParams

PLANTS: Final[dict[str, type[PlantParams]]] = {"container": ContainerParams, "room": RoomParams, "loop": LoopParams}
"""Kinds of plants by the name that a scenario gives them."""


def check_pads(plant: ContainerParams | LoopParams) -> None:
    """Check the parameters of wetted pads; raises BadInputError."""
    owner = type(plant).__name__
    require_fraction(plant, "pad_effectiveness")
    require(
        plant.pad_off_temp_c < plant.pad_on_temp_c, owner, "pad_off_temp_c", plant.pad_off_temp_c, "below pad_on_temp_c"
    )
    for name in ("pad_pump_w_per_unit", "bleed_frac"):
        require(getattr(plant, name) >= 0.0, owner, name, getattr(plant, name), "0 or more")
