"""A change that is tried: run beside "keep" along the same paths, priced, and doubted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR, usd_per_th
from ..sim.hardware.ladder import SAME_MHZ
from .records import Tried
from .situation import Situation
from .whatif import Outcome, Plan, run

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """When the advisor speaks."""

    n_paths: int = 120
    hold_h: float = 1.0
    """How long a change of profile is held before the policy decides again in both runs. [h]"""
    min_confidence: float = 0.75
    """Least share of the paths in which the change must win. chosen: three in four."""
    max_age_s: float = 600.0
    """Age above which telemetry is stale. [s] chosen: two control steps."""
    seed: int = 0

    @property
    def hold_steps(self) -> int:
        """Control steps in the hold."""
        return round(self.hold_h * SECONDS_PER_HOUR / CONTROL_STEP_S)


@dataclass(frozen=True, slots=True)
class Trial:
    """A change that was tried: what "keep" and "change" set, and how both came out; plan 0 of the outcome is "keep"."""

    kind: str
    target: str
    plans: tuple[Plan, Plan]
    outcome: Outcome
    cost_usd: float

    @property
    def gains_usd(self) -> FloatArray:
        """Paired gain of each path, (n_paths,)."""
        return self.outcome.gain("profit_usd", 1)

    @property
    def tried(self) -> Tried:
        """The change without its runs."""
        return Tried(self.plans, self.gains_usd)

    def doubt(self, situation: Situation, settings: Settings) -> str | None:
        """Return why the change breaks the envelope or its gain is not clear, None if neither."""
        broken = _broken(situation, self)
        if broken is not None:
            return broken
        mean, wins = float(self.gains_usd.mean()), float((self.gains_usd > 0.0).mean())
        if mean <= self.cost_usd:
            return f"expected gain {mean:+.2f} USD is not clear of the switching cost of {self.cost_usd:.2f} USD"
        if wins < settings.min_confidence:
            return f"it wins on {wins:.0%} of the paths only, {settings.min_confidence:.0%} are asked for (expected gain {mean:+.2f} USD)"
        return None


def try_plans(situation: Situation, plans: Sequence[Plan], settings: Settings) -> Outcome:
    """Run plans along the paths of a situation."""
    return run(
        situation.config,
        situation.world,
        situation.zones,
        plans,
        situation.max_rise_pu,
        settings.seed,
        situation.charge_pu,
    )


def _broken(situation: Situation, trial: Trial) -> str | None:
    """Return which limit of the policy's envelope a change breaks that "keep" does not, None if none."""
    envelope = situation.bundle.manifest["envelope"]
    cap_w, (keep_w, change_w) = envelope["site_cap_w"], (situation.meter_w(plan.setpoint_mhz) for plan in trial.plans)
    if cap_w is not None and change_w > max(cap_w, keep_w):
        return f"the site would draw {change_w / 1000:.0f} kW at the meter, its cap is {cap_w / 1000:.0f} kW"
    limit_c = envelope["costs"]["chip_over_temp"]["threshold"]
    hot = float(((trial.outcome.hottest_c[1] > limit_c) & (trial.outcome.hottest_c[0] <= limit_c)).mean())
    if hot > 0.0:
        return f"the hottest chip would pass {limit_c:g} °C on {hot:.0%} of the paths"
    return None


def switching_usd(situation: Situation, now: FloatArray, wanted: FloatArray) -> float:
    """Return what going to other profiles and back costs by itself: hashes not made while restarting, and wear. [USD]

    A change of profile costs the firmware's restart and half its ramp each way; sleep costs one start: its boot and the
    wear that the catalogue states.
    """
    per_ths_s = usd_per_th(situation.hashprice_usd_per_ph_day)
    total = 0.0
    for zone, from_mhz, to_mhz in zip(situation.scenario.site.zones, now, wanted, strict=True):
        rated_ths, firmware = zone.machine.rated_hashrate_ths, zone.firmware
        if abs(from_mhz - to_mhz) <= SAME_MHZ:
            continue
        if min(from_mhz, to_mhz) <= 0.0:
            total += zone.n_units * (firmware.boot_s * rated_ths * per_ths_s + firmware.start_wear_usd)
            continue
        share = abs(to_mhz - from_mhz) / (zone.max_mhz - zone.min_mhz)
        lost_s = firmware.restart_s + 0.5 * share * firmware.ramp_s
        total += 2.0 * zone.n_units * lost_s * rated_ths * per_ths_s
    return float(total)
