"""A certified upper bound on what any policy can earn with one zone, for a known path of prices and weather.

The proof is in docs/bound.md. In short: each step's profit is bounded from above for every state that firmware and
physics can reach (hashrate without errors, energy at the coldest reachable chip with the slowest fans, no water), and an
exact dynamic programme over off, booting and hashing puts the steps together.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..sim import machine as physics
from ..sim import wear
from ..sim.constants import CONTROL_STEP_S, SECONDS_PER_HOUR, usd_per_th
from ..sim.cooling import fan_power_w, supply_temp_c
from ..sim.params import SiteParams
from ..sim.state import Exogenous
from ..sim.unit import MachineParams
from . import planning

FloatArray = npt.NDArray[np.float64]

_STEP_MWH_PER_W = CONTROL_STEP_S / SECONDS_PER_HOUR / 1e6
_GRID_MHZ = 1.0
"""Grid on which the continuous frequency is searched; the curvature in between is added as slack."""
_YOUNG_STEPS = 3
"""Steps after a start in which the heatsinks may still be as cold as the supply air."""
_TRANSIENT_FRAC = 0.02
"""What is left of a cold start after _YOUNG_STEPS at the slowest fans: e^(-900 s / 225 s); checked at construction."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Bounds on what each step of a series can earn, (n_steps,) each. [USD]"""

    mature: FloatArray
    young: FloatArray
    leave: FloatArray
    boot: FloatArray
    off: FloatArray
    n_boot: int
    boot_rest_frac: float
    start_usd: float

    def episode_usd(self, start: int, n_steps: int) -> float:
        """Return the bound on the profit of an episode that starts with warm, hashing machines at a step of the part. [USD]"""
        cut = slice(start, start + n_steps)
        return float(
            planning.bound_usd(
                self.mature[cut], self.young[cut], self.leave[cut], self.boot[cut], self.off[cut], self.n_boot,
                self.boot_rest_frac, _YOUNG_STEPS, self.start_usd,
            )
        )  # fmt: skip


def certify(site: SiteParams, exogenous: Exogenous, steps: range, series: int = 0) -> Bound:
    """Compute the bound of every step of a part of a series; episodes lie inside it.

    Args:
        site: A site of one zone.
        exogenous: The world.
        steps: Steps of the part.
        series: Which series of it.

    Raises:
        ValueError: The site has more than one zone, or its heatsinks are too slow for the proof's transient.
    """
    if len(site.zones) != 1:
        raise ValueError(f"the bound is certified for one zone; the site has {len(site.zones)}")
    zone = site.zones[0]
    m, firmware = zone.machine, zone.firmware
    values = exogenous.values[series, steps.start : steps.stop]
    price, hashprice = values[:, 2], values[:, 3]
    cold, warm = _coldest_chip_c(site, values)

    freq = np.arange(zone.min_mhz, zone.max_mhz + 0.5 * _GRID_MHZ, _GRID_MHZ)
    rail = np.array([physics.rail_voltage_v(f, m.ref_mhz, m.ref_v, m.slope_v_per_mhz, m.floor_v) for f in freq])
    switching = np.array(
        [
            physics.switching_power_w(f, v, m.a_w_per_mhz_v2, m.b_w_per_mhz, m.base_w)
            for f, v in zip(freq, rail, strict=True)
        ]
    )
    slack_w = float(np.max(np.abs(np.diff(switching, 2)))) / 8.0
    leak_per_v2 = m.leak_w_per_v2 * rail**2
    loss = 1.0 + site.transformer_loss_frac
    paid = (1.0 - site.pool_fee_frac) * (1.0 - site.reject_frac)
    revenue = np.outer(hashprice * usd_per_th(1.0) * CONTROL_STEP_S, zone.n_units * paid * m.ths_per_mhz * freq)

    fans_low_w = fan_power_w(firmware.fan_min_pu, m.fan_rated_w)
    supply_low_w = fan_power_w(min(1.0, firmware.fan_min_pu / zone.container.supply_flow_frac), zone.supply_fan_rated_w)
    plant_high_w = zone.supply_fan_rated_w + zone.container.pad_pump_w_per_unit
    all_high_w = physics.wall_power_w(
        float(switching[-1] + leak_per_v2[-1] * np.exp(m.leak_per_k * (firmware.trip_temp_c + 10.0 - m.leak_ref_temp_c))),
        m.psu_efficiency, m.control_w, m.fan_rated_w,
    ) + plant_high_w + site.misc_w_per_unit  # fmt: skip

    def usd(low_w: FloatArray) -> FloatArray:
        """Return the best a step can pay for energy between a least power and the physical most. [USD]"""
        power_w = np.where(price[:, None] >= 0.0, low_w, all_high_w)
        return -price[:, None] * power_w * zone.n_units * loss * _STEP_MWH_PER_W

    def hashing(chip_c: FloatArray) -> FloatArray:
        leak = np.exp(m.leak_per_k * (chip_c - m.leak_ref_temp_c))[:, None] * leak_per_v2[None, :]
        board_w = switching[None, :] - slack_w + leak
        low_w = board_w / m.psu_efficiency + m.control_w + fans_low_w + supply_low_w + site.misc_w_per_unit
        ageing_h = np.array([wear.ageing_factor(t) for t in chip_c]) * CONTROL_STEP_S / SECONDS_PER_HOUR
        return (revenue + usd(low_w)).max(axis=1) - zone.n_units * ageing_h * site.ageing_usd_per_h

    young = hashing(cold)
    off = usd(np.full((1, 1), firmware.sleep_w + site.misc_w_per_unit))[:, 0]
    boot_w = firmware.boot_power_frac * switching[0] / m.psu_efficiency + m.control_w + site.misc_w_per_unit
    n_boot, rest_s = divmod(firmware.boot_s, CONTROL_STEP_S)
    return Bound(
        mature=hashing(np.maximum(warm, cold)),
        young=young,
        leave=np.maximum(young, off),
        boot=usd(np.full((1, 1), boot_w))[:, 0],
        off=off,
        n_boot=int(n_boot),
        boot_rest_frac=rest_s / CONTROL_STEP_S,
        start_usd=zone.n_units * firmware.start_wear_usd,
    )


def _coldest_chip_c(site: SiteParams, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the coldest mean chip that is reachable in each step: ever, and after some steps of hashing. [°C]"""
    zone = site.zones[0]
    m, firmware, container = zone.machine, zone.firmware, zone.container
    record = site.zone_record[0]
    dry, wet = values[:, 0], values[:, 1]
    padded = np.array([supply_temp_c(d, w, container.pad_effectiveness) for d, w in zip(dry, wet, strict=True)])
    low = np.where(dry > container.pad_off_temp_c, padded, dry)
    high = np.where(dry >= container.pad_on_temp_c, padded, dry)
    cold = np.minimum.accumulate(low)

    least_w = physics.switching_power_w(
        zone.min_mhz, physics.rail_voltage_v(zone.min_mhz, m.ref_mhz, m.ref_v, m.slope_v_per_mhz, m.floor_v),
        m.a_w_per_mhz_v2, m.b_w_per_mhz, m.base_w,
    )  # fmt: skip
    slowest_w_per_k = float(record["sink_w_per_k"]) * zone.fan_min_sink_pu
    time_constant_s = (m.sink_j_per_k + m.chip_j_per_k) / slowest_w_per_k
    if np.exp(-_YOUNG_STEPS * CONTROL_STEP_S / time_constant_s) > _TRANSIENT_FRAC:
        raise ValueError(f"heatsinks settle in {time_constant_s:.0f} s; the bound is proved for 225 s or less")

    # The fan loop uses the inlet temperature of the last sub-step; how far the inlet can have dropped since is taken off.
    most_w = _board_heat_w(zone.max_mhz, m, firmware.trip_temp_c)
    recirculation_k = (
        most_w
        / (float(record["air_w_per_k"]) * container.supply_flow_frac)
        * (1.0 / min(1.0 - container.leak_frac, container.supply_flow_frac) - 1.0)
    )
    drop_k = np.maximum(0.0, np.concatenate([[0.0], high[:-1] - low[1:]])) + recirculation_k
    drop_k = np.maximum.reduce(
        [np.concatenate([np.full(k, drop_k[0]), drop_k[: len(drop_k) - k]]) for k in range(_YOUNG_STEPS + 1)]
    )
    held = firmware.fan_target_temp_c - most_w * zone.chip_k_per_w - drop_k
    recent = np.minimum.reduce(
        [np.concatenate([np.full(k, low[0]), low[: len(low) - k]]) for k in range(_YOUNG_STEPS + 1)]
    )
    slow = recent + least_w / slowest_w_per_k
    settled = np.minimum(held, slow)
    sink = settled - _TRANSIENT_FRAC * np.maximum(0.0, settled - cold)
    return cold, sink + least_w / m.chip_w_per_k


def _board_heat_w(freq_mhz: float, m: MachineParams, chip_temp_c: float) -> float:
    """Return the board heat at a frequency and chip temperature. [W]"""
    rail_v = physics.rail_voltage_v(freq_mhz, m.ref_mhz, m.ref_v, m.slope_v_per_mhz, m.floor_v)
    switching_w = physics.switching_power_w(freq_mhz, rail_v, m.a_w_per_mhz_v2, m.b_w_per_mhz, m.base_w)
    return switching_w + physics.leakage_w(rail_v, chip_temp_c, m.leak_w_per_v2, m.leak_ref_temp_c, m.leak_per_k)
