"""What kernels write: state and flows, as arrays with named fields."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..contract.reserve import RESERVE_STATE
from ..contract.settlement import METER
from ..foundation.records import float_record
from ..hardware.firmware import HASHING
from .params import SiteParams

ZONE_STATE: Final = float_record(
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
    "mended_frac",
    "cleaned_frac",
    "service",
    "plant_share",
    "fouling_frac",
    "is_dark",
    "fan_shift_k",
    "plant_shift_k",
    "pump_shift_pu",
    "power_dev",
    "hashrate_dev",
    "sink_dev",
)
"""State of a zone's mean machine.

mode: ASLEEP, STARTING, HASHING or TRIPPED; mode_s: time in it; timer_s: rest of boot, staggering and tuning, or of the
hold after a trip; pause_s: rest of a restart at a profile change; freq_mhz: present, target_mhz: commanded, cap_mhz:
allowed by the throttle; hot_temp_c: hottest chip; inlet_temp_c: inlet air, or the coolant's supply; fan_pu: speed of
the machines' fans, or of the cooler's; pad_on: 1 with wet pads; power_w and hashrate_ths: means of the last control
step, per machine at its socket; exhaust_temp_c, exhaust_w_per_k: of the fresh air that left in the last sub-step, per
machine; tuning: 1 while the firmware tunes an unknown preset; tuned_low_mhz, tuned_high_mhz: presets that it knows,
failed_mhz: the lowest that it could not tune;
online_frac: share of machines that work, mended_frac: share that technicians
who were called have mended before their turn, cleaned_frac: share of the conductance that they gave back, service: 1 while one is at work; plant_share: machines of the plant for each of them; fouling_frac: share of the heatsinks' conductance that dust has taken;
is_dark: 1 without grid power.
fan_shift_k: command that moves the chip temperature which the machines' fans hold; plant_shift_k: that which moves the plant's
set-point (outdoor temperature at which a container's pads go on, supply air of a room, coolant of a loop); pump_shift_pu: that
which moves the speed of a loop's pump. power_dev, hashrate_dev, sink_dev: by what share these machines draw more, hash more
and shed heat better than the model says. All are 0 where nobody says otherwise.
"""

SITE_STATE: Final = np.dtype(
    [
        ("key", np.uint64),
        ("seed", np.uint64),
        ("episode", np.uint64),
        ("series", np.int64),
        ("step", np.int64),
        ("age", np.int64),
        *METER,
        ("market", np.int64),
        ("switch_s", np.float64),
        ("battery_kwh", np.float64),
        ("battery_aged_frac", np.float64),
        ("battery_command", np.float64),
        ("curtailed_frac", np.float64),
        *RESERVE_STATE,
    ]
)
"""key: noise key of the episode; series, step: position in the exogenous array; age: control steps since the reset; then what the
meter remembers, see METER; market: where hashes are sold; switch_s: rest of a change of market; battery_kwh: energy in the battery; battery_aged_frac: share of its life that is
over; battery_command: power that it is told to give over its rated power, negative to charge; curtailed_frac: share of sun and wind that is
told to be left; then what a site that sells reserve remembers, see RESERVE_STATE.
"""

ZONE_FLOW: Final = float_record(
    "it_energy_kwh",
    "cooling_energy_kwh",
    "hash_th",
    "water_l",
    "ageing_h",
    "starts",
    "trips",
    "service_h",
    "rise_pu",
    "inlet_temp_c",
    "max_chip_temp_c",
    "powered_sub_steps",
    "heat_rejected_kwh",
    "stored_kwh",
    "received_kwh",
    "mixed_frac",
    "mixed_temp_c",
    "supply_temp_c",
    "return_temp_c",
    "exhaust_temp_c",
    "approach_k",
    "air_m3_per_s",
    "fan_energy_kwh",
    "pump_energy_kwh",
    "chiller_heat_kwh",
    "chiller_energy_kwh",
)
"""What a zone did in a control step: sums over its machines; temperatures are the zone's.

starts and trips count machines; service_h: hours that technicians who were called worked; rise_pu: rise of the power set-point of hashing machines, of rated power; stored_kwh:
growth of the heat held in chips, heatsinks and coolant; received_kwh: heat that came with other zones' exhaust or from
the pump; it_energy_kwh plus received_kwh equals heat_rejected_kwh plus stored_kwh. mixed_frac, mixed_temp_c: share of other zones'
exhaust in the supply and its temperature, of the last sub-step; supply_temp_c: air, or coolant, on its way to the machines; return_temp_c: coolant on its way back, or air; exhaust_temp_c: fresh air on its way
out; approach_k: supply air over the wet bulb, or coolant over the air that cools it; air_m3_per_s: fresh air, or air
through the cooler; fan_energy_kwh: of the machines' fans, part of it_energy_kwh; pump_energy_kwh,
chiller_energy_kwh: parts of cooling_energy_kwh, whose rest are the plant's fans; chiller_heat_kwh: heat that a chiller
took; powered_sub_steps: sub-steps in which boards were powered, as shares. Temperatures and air are means over the step, except max_chip_temp_c.
"""

SITE_FLOW: Final = float_record(
    "profit_usd",
    "revenue_usd",
    "energy_usd",
    "water_usd",
    "wear_usd",
    "demand_usd",
    "coincident_usd",
    "programme_usd",
    "reserve_usd",
    "heat_usd",
    "stored_usd",
    "service_usd",
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
    "carbon_kg",
    "load_kwh",
    "sun_kwh",
    "wind_kwh",
    "curtailed_kwh",
    "battery_drawn_kwh",
    "battery_lost_kwh",
    "interconnect_breach_kwh",
)
"""What the site did in a control step: profit = revenue (after the pool) + programme + reserve + heat + stored - energy - demand - coincident - water - wear - service.

stored_usd: in the last step of an episode, what the battery holds more than at its begin, at the mean price of the last day.
energy_usd: energy, block, resale, fixed charge and carbon price; demand_usd: growth of the month's peaks; coincident_usd: power in
the grid's monthly peak; programme_usd: pay for readiness and credits, less what failed calls cost; reserve_usd: reserve that was
sold, less what was missing and what failed deployments cost; energy_kwh: at the meter, what is exported negative; load_kwh: of machines, plants and the rest,
transformer included; sun_kwh, wind_kwh: of sun and wind, used or exported, curtailed_kwh: left; battery_drawn_kwh: drawn by the battery at its
socket, what it gives negative, battery_lost_kwh: lost in it; interconnect_breach_kwh: beyond a limit of the interconnect; pue, wue_l_per_kwh: 0 while the machines draw nothing; call_excess_kwh: energy beyond what a curtailment call allows.
"""

NEVER_FAILED_MHZ: Final = 1e9  # by definition beyond any frequency


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
            hot_c = part.run_temp_c
            heat_w = part.machine.rated_power_w * part.machine.psu_efficiency
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
        site = np.zeros(n_envs, SITE_STATE)
        if params.battery is not None:
            site["battery_kwh"] = params.battery.first_charge_kwh
        site["reserve_floor"] = site["reserve_next"] = np.inf
        return cls(zone, site)

    def copy(self) -> "State":
        """Return an independent copy."""
        return replace(self, zone=self.zone.copy(), site=self.site.copy())
