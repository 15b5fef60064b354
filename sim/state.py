"""What the kernel reads and writes: state, flows and the exogenous world, as arrays with named fields."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from .errors import BadInputError
from .params import SiteParams
from .plants import LoopParams

ASLEEP: Final = 0.0
STARTING: Final = 1.0
HASHING: Final = 2.0  # codes of the modes, by definition
TRIPPED: Final = 3.0  # by definition


def _struct(*names: str) -> np.dtype:
    return np.dtype([(name, np.float64) for name in names])


ZONE_STATE: Final = _struct(
    "mode",
    "mode_s",
    "timer_s",
    "pause_s",
    "freq_mhz",
    "target_mhz",
    "cap_mhz",
    "chip_temp_c",
    "sink_temp_c",
    "hot_temp_c",
    "inlet_temp_c",
    "fan_pu",
    "pad_on",
    "power_w",
    "hashrate_ths",
    "exhaust_temp_c",
    "exhaust_w_per_k",
    "tuning",
    "tuned_low_mhz",
    "tuned_high_mhz",
    "failed_mhz",
    "online_frac",
    "plant_share",
    "fouling_frac",
    "is_dark",
)
"""State of a zone's mean machine.

mode: ASLEEP, STARTING, HASHING or TRIPPED; mode_s: time in it; timer_s: rest of boot, staggering and tuning, or of the
hold after a trip; pause_s: rest of a restart at a profile change; freq_mhz: present, target_mhz: commanded, cap_mhz:
allowed by the throttle; hot_temp_c: hottest chip; inlet_temp_c: inlet air, or the coolant's supply; fan_pu: speed of
the machines' fans, or of the cooler's; pad_on: 1 with wet pads; power_w and hashrate_ths: means of the last control
step, per machine at its socket; exhaust_temp_c, exhaust_w_per_k: of the fresh air that left in the last sub-step, per
machine; tuning: 1 while the firmware tunes an unknown preset; tuned_low_mhz, tuned_high_mhz: presets that it knows,
failed_mhz: the lowest that it could not tune;
online_frac: share of machines that work, plant_share: machines of the plant for each of them; fouling_frac: share of the heatsinks' conductance that dust has taken;
is_dark: 1 without grid power.
"""

SITE_STATE: Final = np.dtype(
    [
        ("key", np.uint64),
        ("seed", np.uint64),
        ("episode", np.uint64),
        ("series", np.int64),
        ("step", np.int64),
        ("age", np.int64),
    ]
)
"""key: noise key of the episode; series, step: position in the exogenous array; age: control steps since the reset."""

ZONE_FLOW: Final = _struct(
    "it_energy_kwh",
    "cooling_energy_kwh",
    "hash_th",
    "water_l",
    "ageing_h",
    "starts",
    "trips",
    "rise_pu",
    "inlet_temp_c",
    "max_chip_temp_c",
    "chip_temp_sum_c",
    "freq_sum_mhz",
    "powered_sum",
    "heat_rejected_kwh",
    "stored_kwh",
    "received_kwh",
    "mixed_frac",
    "mixed_temp_c",
    "supply_temp_c",
    "exhaust_temp_c",
    "approach_k",
    "air_m3_per_s",
    "fan_energy_kwh",
    "pump_energy_kwh",
    "chiller_heat_kwh",
    "chiller_energy_kwh",
)
"""What a zone did in a control step: sums over its machines; temperatures are the zone's.

starts and trips count machines; rise_pu: rise of the power set-point of hashing machines, of rated power; stored_kwh:
growth of the heat held in chips, heatsinks and coolant; received_kwh: heat that came with other zones' exhaust or from
the pump; it_energy_kwh plus received_kwh equals heat_rejected_kwh plus stored_kwh. mixed_frac, mixed_temp_c: share of other zones'
exhaust in the supply and its temperature, of the last sub-step; supply_temp_c: air, or coolant, on its way to the machines; exhaust_temp_c: fresh air on its way
out; approach_k: supply air over the wet bulb, or coolant over the air that cools it; air_m3_per_s: fresh air, or air
through the cooler; fan_energy_kwh: of the machines' fans, part of it_energy_kwh; pump_energy_kwh,
chiller_energy_kwh: parts of cooling_energy_kwh, whose rest are the plant's fans; chiller_heat_kwh: heat that a chiller
took. Means over the step, except max_chip_temp_c and what is counted; chip_temp_sum_c, freq_sum_mhz and powered_sum
are sums over the sub-steps.
"""

SITE_FLOW: Final = _struct(
    "profit_usd",
    "revenue_usd",
    "energy_usd",
    "water_usd",
    "wear_usd",
    "energy_kwh",
    "it_energy_kwh",
    "cooling_energy_kwh",
    "hash_th",
    "water_l",
    "starts",
    "trips",
    "max_chip_temp_c",
    "pue",
    "wue_l_per_kwh",
    "call_excess_kwh",
)
"""What the site did in a control step. profit = revenue (after pool fee) - energy - water - wear; energy at the meter.

pue, wue_l_per_kwh: 0 while the machines draw nothing; call_excess_kwh: energy beyond what a curtailment call allows.
"""

SITE_EVENTS: Final = ("grid_on", "pool_frac", "call_pu")
"""What befalls a site in a step: 1 with grid power, share of the step with a pool, share of rated power that a
curtailment call leaves (1 without a call)."""

ZONE_EVENTS: Final = ("online_frac", "fouling_frac")
"""What befalls a zone in a step: share of its machines that work, share of the heatsinks' conductance lost to dust."""

NEVER_FAILED_MHZ: Final = 1e9  # by definition beyond any frequency

MOST_FOULING: Final = 0.6
"""Largest share of conductance that dust may take. assumed: beyond it a machine trips within seconds of a start."""

SIM_CHANNELS: Final = ("outdoor_temp_c", "wet_bulb_temp_c", "price_usd_per_mwh", "hashprice_usd_per_ph_day")
"""Channels in force, in the order in which the kernel reads them."""


@dataclass(frozen=True, slots=True)
class Exogenous:
    """The world that no action changes, shared read-only by all environments.

    values: what is in force in each step, in the order of SIM_CHANNELS. known: what an operator knows of it when the
    step begins, float32 as observations are, in the order of channels.
    """

    values: npt.NDArray[np.float64]  # (n_series, n_steps, len(SIM_CHANNELS))
    known: npt.NDArray[np.float32]  # (n_series, n_steps, len(channels))
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check shapes and finiteness; raises BadInputError."""
        for name, array, columns in (("values", self.values, SIM_CHANNELS), ("known", self.known, self.channels)):
            if array.ndim != 3 or array.shape[2] != len(columns):
                raise BadInputError(
                    f"Exogenous.{name} has shape {array.shape}; it must be (n_series, n_steps, {len(columns)})"
                )
            if not np.isfinite(array).all():
                bad = np.argwhere(~np.isfinite(array))[0]
                raise BadInputError(f"Exogenous.{name} is not finite at step {bad[1]}, channel {columns[bad[2]]!r}")
            array.flags.writeable = False
        if (self.values[:, :, 1] > self.values[:, :, 0]).any():
            step = int(np.argwhere(self.values[:, :, 1] > self.values[:, :, 0])[0][1])
            raise BadInputError(f"Exogenous.values: the wet bulb is above the dry bulb at step {step}")
        if self.values.shape[:2] != self.known.shape[:2]:
            raise BadInputError(
                f"Exogenous.known has {self.known.shape[:2]} series and steps, values {self.values.shape[:2]}"
            )

    def __reduce__(self) -> tuple[type["Exogenous"], tuple[object, ...]]:
        """Pickle by the constructor, so that the copy is checked and read-only as well."""
        return Exogenous, (self.values, self.known, self.channels)

    @property
    def n_steps(self) -> int:
        """Number of control steps in each series."""
        return int(self.values.shape[1])

    def column(self, name: str) -> int:
        """Return the index of a known channel; raises BadInputError if there is none of that name."""
        if name not in self.channels:
            raise BadInputError(f"no channel {name!r}; there are {', '.join(self.channels)}")
        return self.channels.index(name)


@dataclass(frozen=True, slots=True)
class Events:
    """What happens to a site whatever the policy does, beside weather and markets; made by `events.simulate` or by hand.

    A series or a step beyond the last one has the last one's values, so that one row stands for all time.
    """

    site: npt.NDArray[np.float64]  # (n_series, n_steps, len(SITE_EVENTS))
    zone: npt.NDArray[np.float64]  # (n_series, n_steps, n_zones, len(ZONE_EVENTS))

    def __post_init__(self) -> None:
        """Check shapes and ranges; raises BadInputError."""
        for name, array, n_axes, columns in (
            ("site", self.site, 3, SITE_EVENTS),
            ("zone", self.zone, 4, ZONE_EVENTS),
        ):
            if array.ndim != n_axes or array.shape[-1] != len(columns) or 0 in array.shape:
                raise BadInputError(
                    f"Events.{name} has shape {array.shape}; its last axis must be {', '.join(columns)}"
                )
            most = np.array([MOST_FOULING if column == "fouling_frac" else 1.0 for column in columns])
            wrong = np.argwhere(~((array >= 0.0) & (array <= most)))
            if len(wrong):
                bad = tuple(wrong[0])
                allowed = f"in [0, {most[bad[-1]]:g}]"
                raise BadInputError(
                    f"Events.{name} is {array[bad]} at step {bad[1]}, {columns[bad[-1]]!r}; it must be {allowed}"
                )
            array.flags.writeable = False
        if not np.isin(self.site[..., 0], (0.0, 1.0)).all():
            raise BadInputError("Events.site: 'grid_on' is 0 or 1 in each step")

    @classmethod
    def none(cls, n_zones: int) -> "Events":
        """Return a world in which nothing happens: power, pools and all machines, clean."""
        zone = np.tile(np.array([1.0, 0.0]), (1, 1, n_zones, 1))
        return cls(np.ones((1, 1, len(SITE_EVENTS))), zone)


@dataclass(frozen=True, slots=True)
class State:
    """Everything needed to go on: `copy` saves it, assigning into the arrays restores it."""

    zone: np.ndarray  # (n_envs, n_zones) of ZONE_STATE
    site: np.ndarray  # (n_envs,) of SITE_STATE

    @classmethod
    def hashing(cls, n_envs: int, params: SiteParams, inlet_temp_c: float = 25.0) -> "State":
        """Return sites that hash at their top profile, warm, at the start of series 0."""
        zone = np.zeros((n_envs, len(params.zones)), ZONE_STATE)
        for index, part in enumerate(params.zones):
            column = zone[:, index]
            column["mode"] = HASHING
            tuned_low_mhz, tuned_high_mhz = part.tuned_mhz
            column["cap_mhz"], column["failed_mhz"] = part.max_mhz, NEVER_FAILED_MHZ
            column["freq_mhz"] = column["target_mhz"] = min(part.max_mhz, tuned_high_mhz)
            hot_c = part.firmware.fan_target_temp_c
            heat_w = part.machine.rated_power_w * part.machine.psu_efficiency
            if isinstance(part.plant, LoopParams):
                hot_c = part.plant.coolant_target_c + heat_w * part.chip_k_per_w
            column["hot_temp_c"] = hot_c
            column["chip_temp_c"] = hot_c - heat_w * part.machine.hot_k_per_w
            column["sink_temp_c"] = hot_c - heat_w * part.chip_k_per_w
            column["inlet_temp_c"] = inlet_temp_c
            column["exhaust_temp_c"] = inlet_temp_c + part.machine.rated_power_w * part.kelvin_per_w
            column["tuned_low_mhz"], column["tuned_high_mhz"] = tuned_low_mhz, tuned_high_mhz
            column["online_frac"] = column["plant_share"] = 1.0
            known_pu = column["freq_mhz"] / part.max_mhz
            column["power_w"] = part.machine.rated_power_w * known_pu
            column["hashrate_ths"] = part.machine.rated_hashrate_ths * known_pu
            column["fan_pu"] = part.firmware.fan_min_pu
        return cls(zone, np.zeros(n_envs, SITE_STATE))

    def copy(self) -> "State":
        """Return an independent copy."""
        return replace(self, zone=self.zone.copy(), site=self.site.copy())
