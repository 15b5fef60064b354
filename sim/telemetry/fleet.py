"""A fleet unit by unit: every machine runs through the kernel as a zone of its own, with its silicon, slot and faults."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..cooling.plant import ZONE_SUMS
from ..foundation.errors import BadInputError
from ..site.params import LINKS, SiteParams
from ..site.state import SITE_FLOW, ZONE_FLOW, State
from ..site.step import SiteBatch, SiteWorld, step
from ..site.world import Events, Exogenous

FloatArray = npt.NDArray[np.float64]

_LEAK_SPREAD: Final = 0.03
"""Mean of a unit's own recirculation, exponentially distributed over the slots. assumed: inlets differ by some kelvin."""

_SINK_SPREAD: Final = 0.04
"""Standard deviation of a unit's conductance from heatsink to air. assumed: paste, dust and fans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with one unit: it grows from `first` to full severity within `growth` control steps."""

    kind: str
    unit: int
    first: int
    growth: int = 0
    severity: float = 1.0

    def __post_init__(self) -> None:
        """Check the kind and the ranges; raises BadInputError."""
        if self.kind not in FAULTS:
            raise BadInputError(f"Fault.kind is {self.kind!r}; it must be one of {', '.join(FAULTS)}")
        if self.unit != int(self.unit) or self.growth < 0:
            raise BadInputError(
                f"Fault has unit {self.unit} and growth {self.growth}; a unit is a number, growth 0 or more steps"
            )
        if not 0.0 < self.severity <= 1.0:
            raise BadInputError(f"Fault.severity is {self.severity}; it must be above 0 and 1 at most")

    def level(self, step: int) -> float:
        """Return the severity at a control step, 0 before it begins."""
        if step < self.first:
            return 0.0
        return self.severity * (1.0 if self.growth == 0 else min(1.0, (step - self.first) / self.growth))


FAULTS: Final[dict[str, str]] = {
    "fan_slow": "its fans reach less than their speed",
    "dust": "its heatsinks are fouled",
    "board_lost": "one of three hash boards stands still",
    "hardware_errors": "its chips return wrong nonces",
    "psu_inefficient": "its power supply loses more",
    "weak_silicon": "its chips need more voltage than the rest",
    "no_hashes": "it draws power and hashes nothing that the pool sees",
    "temp_sensor_stuck": "its chip sensor repeats an old value",
    "power_sensor_drift": "its reported power drifts away from the metered one",
    "silent": "it does not answer",
}
"""Kinds of faults. The last four show in what is reported, not in the physics: `fleet_telemetry` applies them."""


MOST_FOULING: Final = 0.5
"""Share of its conductance that a unit loses to dust at full severity. assumed: an unserviced machine."""

HARDWARE_ERRORS_FRAC: Final = 0.2
"""Share of nonces that a unit loses to hardware errors at full severity. assumed: firmware alarms at 10-20 %."""

_TIMES: Final[dict[str, dict[str, float]]] = {
    "fan_slow": {"full_air_w_per_k": -0.5, "sink_full_w_per_k": -0.5},
    "board_lost": {
        **dict.fromkeys(("a_w_per_mhz_v2", "b_w_per_mhz", "base_w", "leak_w_per_v2", "ths_per_mhz"), -1.0 / 3.0),
        **dict.fromkeys(("chip_w_per_k", "sink_full_w_per_k"), -1.0 / 3.0),
        **dict.fromkeys(("hot_k_per_w", "chip_k_per_w"), 0.5),
    },
    "hardware_errors": {"ths_per_mhz": -HARDWARE_ERRORS_FRAC},
    "weak_silicon": {"a_w_per_mhz_v2": 0.16, "b_w_per_mhz": 0.16, "leak_w_per_v2": 0.16},
}
"""Relative change of a unit's parameters at full severity. assumed: half the fans, one of three boards, 8 % more volts."""

_PLUS: Final[dict[str, dict[str, float]]] = {
    "psu_inefficient": {"psu_loss_pu": 0.1},
}
"""What a fault adds to a unit's parameters at full severity. assumed: a supply at 86 instead of 94 %."""


class UnitFleet:
    """The machines of a site, each with its own parameters, stepped by the same kernel as zones are.

    Attributes: n_units; zone_of (n_units,): zone of each unit; voltage_pu (n_units,): rail voltage that its silicon
    needs over the model's; state, flow: state and flows of each unit, (n_units,) of ZONE_STATE and ZONE_FLOW.
    """

    def __init__(self, site: SiteParams, exogenous: Exogenous, seed: int, faults: Sequence[Fault] = ()) -> None:
        """Draw the units of a site and start them hashing at their top profile, at the first step of series 0.

        Args:
            site: The site; its links are left out, a unit's own recirculation stands for its slot.
            exogenous: The world.
            seed: Of silicon and slots.
            faults: What is wrong, when and with whom.

        Raises:
            BadInputError: A fault names a unit that is not there.
        """
        counts = [zone.n_units for zone in site.zones]
        self.site, self.exogenous, self.faults = site, exogenous, tuple(faults)
        self.n_units = sum(counts)
        self.zone_of = np.repeat(np.arange(len(counts)), counts)
        for fault in self.faults:
            if not 0 <= fault.unit < self.n_units:
                raise BadInputError(f"Fault.unit is {fault.unit}; the site has units 0 to {self.n_units - 1}")
            if fault.kind == "fan_slow" and site.zones[self.zone_of[fault.unit]].machine.cooling != "air":
                raise BadInputError(f"Fault 'fan_slow' of unit {fault.unit}: it is cooled by liquid and has no fans")
        rng = np.random.default_rng(seed)
        self._sound = site.zone_record[self.zone_of].copy()
        spread = self._sound["voltage_spread_frac"] * np.clip(rng.standard_normal(self.n_units), -3.0, 3.0)
        self.voltage_pu = 1.0 + spread
        # The voltage that a unit needs raises its switching power and leakage, not its limits.
        for name in ("a_w_per_mhz_v2", "b_w_per_mhz", "leak_w_per_v2"):
            self._sound[name] *= np.square(self.voltage_pu)
        self._sound["sink_full_w_per_k"] *= 1.0 + _SINK_SPREAD * np.clip(rng.standard_normal(self.n_units), -3.0, 3.0)
        self._limit_flow(self._sound)
        self._sound["leak_frac"] = np.minimum(
            0.3, self._sound["leak_frac"] + rng.exponential(_LEAK_SPREAD, self.n_units)
        )
        self._sound["n_units"] = 1.0
        self._last = self._sound
        start = State.hashing(1, site)
        self._state = State(np.ascontiguousarray(start.zone[:, self.zone_of]), start.site)
        self._flow = np.zeros((1, self.n_units), ZONE_FLOW)
        self._zone_events = Events.none(self.n_units).zone.copy()
        self._world = SiteWorld.of(site, exogenous, Events.none(len(site.zones)))._replace(
            zone_events=self._zone_events, links=np.zeros(0, LINKS)
        )
        setpoint_mhz = np.zeros((1, self.n_units))
        self._batch = SiteBatch(
            self._state.zone,
            self._state.site,
            setpoint_mhz,
            self._flow,
            np.zeros(1, SITE_FLOW),
            np.zeros((1, self.n_units), ZONE_SUMS),
        )

    @staticmethod
    def _limit_flow(record: np.ndarray) -> None:
        """Bring the least air flow for a conductance in line with conductances that were changed; see thermal.flow_pu."""
        air = record["is_liquid"] == 0.0
        record["sink_per_air"][air] = record["sink_full_w_per_k"][air] / record["full_air_w_per_k"][air]

    @property
    def step_number(self) -> int:
        """Control steps done."""
        return int(self._state.site["step"][0])

    @property
    def state(self) -> np.ndarray:
        """State of each unit, (n_units,) of ZONE_STATE."""
        return np.asarray(self._state.zone[0])

    @property
    def flow(self) -> np.ndarray:
        """What each unit did in the last control step, (n_units,) of ZONE_FLOW."""
        return np.asarray(self._flow[0])

    @property
    def record(self) -> np.ndarray:
        """Parameters of each unit without its faults, (n_units,) of ZONE_PARAMS."""
        return self._sound

    def step(self, setpoint_mhz: FloatArray) -> None:
        """Advance every unit by a control step.

        Args:
            setpoint_mhz: Set-points, of each zone (n_zones,) or of each unit (n_units,). [MHz]

        Raises:
            BadInputError: There are as many set-points as neither, or the world has ended.
        """
        setpoints = np.asarray(setpoint_mhz, np.float64)
        if setpoints.shape == (len(self.site.zones),):
            setpoints = setpoints[self.zone_of]
        if setpoints.shape != (self.n_units,):
            raise BadInputError(
                f"setpoint_mhz has shape {setpoints.shape}; it must be ({len(self.site.zones)},) or ({self.n_units},)"
            )
        if self.step_number >= self.exogenous.n_steps:
            raise BadInputError(f"the exogenous series ends after {self.exogenous.n_steps} steps")
        if np.isnan(setpoints).any():
            raise BadInputError(f"setpoint_mhz of unit {int(np.argmax(np.isnan(setpoints)))} is not a number")
        self._last = self._faulty()
        world = self._world._replace(zones=self._last)
        self._batch.setpoint_mhz[0] = setpoints
        step(0, 1, world, self._batch)

    def levels(self, kind: str) -> FloatArray:
        """Return the severity of a kind of fault in each unit in the step just done, (n_units,)."""
        result = np.zeros(self.n_units)
        for fault in self.faults:
            if fault.kind == kind:
                result[fault.unit] = max(result[fault.unit], fault.level(self.step_number - 1))
        return result

    def labels(self) -> list[str]:
        """Return the kind of each unit's worst fault in the step just done, empty for a sound one, (n_units,)."""
        worst = [("", 0.0)] * self.n_units
        for fault in self.faults:
            level = fault.level(self.step_number - 1)
            if level > worst[fault.unit][1]:
                worst[fault.unit] = fault.kind, level
        return [kind for kind, _ in worst]

    def _faulty(self) -> np.ndarray:
        """Return the parameters with the faults of the step to come in them."""
        record = self._sound.copy()
        self._zone_events[0, 0, :, 1] = 0.0
        for fault in self.faults:
            level, unit = fault.level(self.step_number), fault.unit
            if level <= 0.0:
                continue
            for name, share in _TIMES.get(fault.kind, {}).items():
                record[name][unit] *= 1.0 + share * level
            for name, amount in _PLUS.get(fault.kind, {}).items():
                record[name][unit] += amount * level
            if fault.kind == "dust":
                self._zone_events[0, 0, unit, 1] = MOST_FOULING * level
        self._limit_flow(record)
        return record

    @property
    def exhaust_temp_c(self) -> FloatArray:
        """Air behind each unit, the coolant's return behind a liquid-cooled one. [°C], (n_units,)"""
        state = self.state
        return_c = state["inlet_temp_c"] + state["power_w"] / np.maximum(self._last["coolant_full_w_per_k"], 1.0)
        return np.where(self._last["is_liquid"] > 0.0, return_c, state["exhaust_temp_c"])
