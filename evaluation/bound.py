"""An upper bound on what any policy can earn with one zone, for a known path of prices and weather.

The argument is in docs/bound.md, and which two of its numbers are estimated and not proven. In short: each step's profit is bounded from above for every state that firmware and
physics can reach (hashrate without errors, energy at the coldest reachable chip with the slowest fans, no water), and an
exact dynamic programme over off, booting and hashing puts the steps together.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..agents.planners import dynamic
from ..sim.contract.channels import OUTDOOR_TEMP_C, REALISED_HASHPRICE, WET_BULB_TEMP_C
from ..sim.contract.settlement import marginal_usd_per_mwh, standing_usd
from ..sim.cooling.air import banks_w
from ..sim.cooling.container import ContainerParams
from ..sim.foundation.constants import CONTROL_STEP_S, KWH_PER_MWH, SECONDS_PER_HOUR, STEP_MWH_PER_W, usd_per_th
from ..sim.hardware import machine as physics
from ..sim.hardware import wear
from ..sim.hardware.fans import fan_power_w
from ..sim.site.params import SiteParams
from ..sim.site.world import Exogenous

FloatArray = npt.NDArray[np.float64]

_GRID_MHZ: Final = 1.0
"""Grid on which the continuous frequency is searched; the curvature in between is added as slack."""
_YOUNG_STEPS: Final = 3
"""Steps after a start in which the heatsinks may still be as cold as the supply air."""
_TRANSIENT_FRAC: Final = 0.02
"""What may be left of a cold start after _YOUNG_STEPS at the slowest fans. chosen; each site is checked to keep to it."""
MOST_COOLING_K: Final = 20.0
"""Most by which the mean chip of a sub-step in which machines hash lies below the chip at its start. assumed, not proven: random play in weather
that moves by a kelvin a step reaches 6 K, in weather that leaps by up to 80 K at once 22 K."""
TRIP_OVERSHOOT_K: Final = 10.0
"""Most by which the mean chip passes the trip temperature within a sub-step. assumed, not proven: random play stays 17 K below it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Bounds on what each step of a part of a series can earn, (n_steps,) each. [USD]"""

    mature: FloatArray
    young: FloatArray
    leave: FloatArray
    boot: FloatArray
    off: FloatArray
    standing: FloatArray
    n_boot: int
    boot_rest_frac: float
    start_usd: float

    def episode_usd(self, start: int, n_steps: int) -> float:
        """Return the bound on the profit of an episode that starts with hashing machines at a step of the part. [USD]

        Raises:
            ValueError: The episode is not inside the part.
        """
        if not 0 <= start <= start + n_steps <= len(self.mature):
            raise ValueError(
                f"episode [{start}, {start + n_steps}) is not inside the {len(self.mature)} steps of the bound"
            )
        cut = slice(start, start + n_steps)
        return float(
            -self.standing[cut].sum()
            + dynamic.bound_usd(
                self.mature[cut],
                self.young[cut],
                self.leave[cut],
                self.boot[cut],
                self.off[cut],
                self.n_boot,
                self.boot_rest_frac,
                _YOUNG_STEPS,
                self.start_usd,
            )
        )


@dataclass(frozen=True, slots=True)
class _Extremes:
    """The least and the most that one machine of a zone, and what serves it, can draw [W]; the least stress of voltage."""

    freq_mhz: FloatArray
    switching_w: FloatArray
    leak_at_ref_w: FloatArray
    side_low_w: float
    off_low_w: float
    boot_low_w: float
    board_high_w: float
    all_high_w: float
    stress: FloatArray

    @classmethod
    def of(cls, site: SiteParams) -> "_Extremes":
        zone, record = site.zones[0], site.zone_record[0]
        m, firmware = zone.machine, zone.firmware
        kink_mhz = m.ref_mhz + (m.floor_v - m.ref_v) / m.slope_v_per_mhz if m.slope_v_per_mhz > 0.0 else zone.min_mhz
        grid = np.arange(zone.min_mhz, zone.max_mhz, _GRID_MHZ)
        freq = np.unique(np.concatenate([grid, [zone.max_mhz, min(max(kink_mhz, zone.min_mhz), zone.max_mhz)]]))
        rail = np.array([physics.rail_voltage_v(f, m.ref_mhz, m.ref_v, m.slope_v_per_mhz, m.floor_v) for f in freq])
        switching = np.array(
            [
                physics.switching_power_w(f, v, m.a_w_per_mhz_v2, m.b_w_per_mhz, m.base_w)
                for f, v in zip(freq, rail, strict=True)
            ]
        )
        leak = m.leak_w_per_v2 * rail**2
        hottest = np.exp(m.leak_per_k * (firmware.trip_temp_c + TRIP_OVERSHOOT_K - m.leak_ref_temp_c))
        # Largest second derivative of board power in frequency, V linear: a (4 V k + 2 f k²) + 2 λ k² e^β(T - T_ref).
        slope = m.slope_v_per_mhz
        curvature = m.a_w_per_mhz_v2 * (4.0 * rail[-1] * slope + 2.0 * freq[-1] * slope**2)
        curvature += 2.0 * m.leak_w_per_v2 * slope**2 * hottest
        stress = np.exp(wear.VOLTAGE_EXPONENT * (rail / m.ref_v - 1.0))
        stress_curvature = (wear.VOLTAGE_EXPONENT * slope / m.ref_v) ** 2 * stress[-1]
        board_high_w = float(switching[-1] + leak[-1] * hottest)
        fans_low_w = fan_power_w(firmware.fan_min_pu, float(record["fan_full_w"]))
        supply_low_w = banks_w(record, firmware.fan_min_pu)
        high_w = physics.wall_power_w(board_high_w, m.psu_efficiency, m.control_w, float(record["fan_full_w"]))
        plant_high_w = banks_w(record, np.inf) + float(record["pad_pump_w_per_unit"])
        boot_low_w = firmware.boot_power_frac * switching[0] / m.psu_efficiency + m.control_w
        if firmware.stagger_s > 0.0:  # the last machines to start still stand while the first ones boot
            boot_low_w = min(boot_low_w, m.control_w)
        return cls(
            freq_mhz=freq,
            switching_w=switching - curvature * _GRID_MHZ**2 / 8.0,
            leak_at_ref_w=leak * (1.0 - 0.5 * (m.leak_per_k * MOST_COOLING_K) ** 2),
            side_low_w=m.control_w + fans_low_w + supply_low_w + site.misc_w_per_unit,
            off_low_w=min(firmware.sleep_w, boot_low_w) + site.misc_w_per_unit,
            boot_low_w=boot_low_w + site.misc_w_per_unit,
            stress=stress - stress_curvature * _GRID_MHZ**2 / 8.0,
            board_high_w=board_high_w,
            all_high_w=high_w + plant_high_w + site.misc_w_per_unit,
        )


def why_not(site: SiteParams) -> str | None:
    """Return what the bound asks for that a site has not; None where it holds."""
    if len(site.zones) != 1:
        return f"one zone; the site has {len(site.zones)}"
    plant = site.zones[0].plant
    if not isinstance(plant, ContainerParams):
        return f"a ContainerParams; the zone has a {type(plant).__name__}"
    if len(site.markets) > 1:
        return f"one market; the site has {len(site.markets)}"
    return None


def upper_bound(site: SiteParams, exogenous: Exogenous, steps: range, series: int = 0) -> Bound:
    """Compute the bound of every step of a part of a series; episodes lie inside it.

    Args:
        site: A site of one zone.
        exogenous: The world.
        steps: Steps of the part.
        series: Which series of it.

    Raises:
        ValueError: There is no bound for this site, see `why_not`, or its heatsinks are too slow for the proof's transient.
    """
    reason = why_not(site)
    if reason is not None:
        raise ValueError(f"the bound is for {reason}")
    zone, extremes = site.zones[0], _Extremes.of(site)
    m, firmware = zone.machine, zone.firmware
    values = exogenous.values[series, steps.start : steps.stop]
    contract = site.contract
    price, hashprice = marginal_usd_per_mwh(values, contract.carbon_usd_per_t), values[:, REALISED_HASHPRICE]
    cold, warm = _coldest_chip_c(site, extremes, values)
    paid_th = zone.n_units * m.ths_per_mhz * extremes.freq_mhz * CONTROL_STEP_S
    revenue = np.outer(hashprice * usd_per_th(1.0), paid_th)

    def usd(low_w: FloatArray) -> FloatArray:
        """Return the best a step can pay for energy between a least power and the physical most. [USD]"""
        power_w = np.where(price[:, None] >= 0.0, low_w, extremes.all_high_w)
        return -price[:, None] * power_w * zone.n_units * (1.0 + site.transformer_loss_frac) * STEP_MWH_PER_W

    def hashing(chip_c: FloatArray) -> FloatArray:
        leak_w = np.exp(m.leak_per_k * (chip_c - m.leak_ref_temp_c))[:, None] * extremes.leak_at_ref_w[None, :]
        low_w = (extremes.switching_w[None, :] + leak_w) / m.psu_efficiency + extremes.side_low_w
        ageing_h = np.array([wear.ageing_factor(t, 1.0) for t in chip_c]) * CONTROL_STEP_S / SECONDS_PER_HOUR
        ageing_usd = zone.n_units * site.ageing_usd_per_h * ageing_h[:, None] * extremes.stress[None, :]
        return (revenue + usd(low_w) - ageing_usd).max(axis=1)

    young = hashing(cold)
    off = usd(np.full((1, 1), extremes.off_low_w))[:, 0]
    n_boot, rest_s = divmod(firmware.boot_s, CONTROL_STEP_S)
    offered_kwh = contract.numbers["committed_pu"] * site.rated_power_w * STEP_MWH_PER_W * KWH_PER_MWH
    return Bound(
        mature=hashing(np.maximum(warm, cold)),
        young=young,
        leave=np.maximum(young, off),
        boot=usd(np.full((1, 1), extremes.boot_low_w))[:, 0],
        off=off,
        standing=standing_usd(values, contract.numbers["credit_usd_per_mwh"], offered_kwh),
        n_boot=int(n_boot),
        boot_rest_frac=rest_s / CONTROL_STEP_S,
        start_usd=zone.n_units * firmware.start_wear_usd,
    )


def _coldest_chip_c(site: SiteParams, extremes: _Extremes, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the coldest mean chip that is reachable in each step: ever, and after some steps of hashing. [°C]"""
    zone, record = site.zones[0], site.zone_record[0]
    m, firmware, container = zone.machine, zone.firmware, zone.plant
    assert isinstance(container, ContainerParams)
    dry, wet = values[:, OUTDOOR_TEMP_C], values[:, WET_BULB_TEMP_C]
    padded = dry - container.pad_effectiveness * (dry - wet)
    low = np.where(dry > container.pad_off_temp_c, padded, dry)
    high = np.where(dry >= container.pad_on_temp_c, padded, dry)
    cold = np.minimum.accumulate(low)

    least_w = float(extremes.switching_w[0])
    slowest_w_per_k = float(record["sink_full_w_per_k"]) * zone.fan_min_sink_pu
    time_constant_s = (m.sink_j_per_k + m.chip_j_per_k) / slowest_w_per_k
    if np.exp(-_YOUNG_STEPS * CONTROL_STEP_S / time_constant_s) > _TRANSIENT_FRAC:
        raise ValueError(
            f"heatsinks settle in {time_constant_s:.0f} s; too slow for the bound's {_YOUNG_STEPS} young steps"
        )

    # The fan loop uses the inlet temperature of the last sub-step; how far the inlet can have dropped since is taken off:
    # the change of the supply air, and all of the recirculation, by shortage of supply and by leak, ending at once.
    shortage = max(0.0, 1.0 / min(float(record["intake_flow_pu"]), float(record["exhaust_flow_pu"])) - 1.0)
    leak = container.leak_frac / (1.0 - container.leak_frac) / firmware.fan_min_pu
    recirculation_k = extremes.all_high_w / float(record["full_air_w_per_k"]) * (shortage + leak)
    drop_k = _worst_of_last(-np.maximum(0.0, np.concatenate([[0.0], high[:-1] - low[1:]])) - recirculation_k)
    held = firmware.fan_target_temp_c - extremes.board_high_w * zone.chip_k_per_w + drop_k
    slow = _worst_of_last(low) + least_w / slowest_w_per_k
    settled = np.minimum(held, slow)
    sink = settled - _TRANSIENT_FRAC * np.maximum(0.0, settled - cold)
    return cold, sink + least_w / m.chip_w_per_k


def _worst_of_last(values: FloatArray) -> FloatArray:
    """Return the least of each value and the _YOUNG_STEPS before it, (n_steps,)."""
    padded = np.concatenate([np.full(_YOUNG_STEPS, values[0]), values])
    return np.min(np.lib.stride_tricks.sliding_window_view(padded, _YOUNG_STEPS + 1), axis=1)
