"""The kinds of advice: each tries its changes in paired what-if runs and abstains unless one is clearly worth it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..sim.constants import CONTROL_STEP_S, SECONDS_PER_HOUR, usd_per_th
from ..sim.state import HASHING, STARTING
from . import wording
from .records import Abstention, Advice, Effect
from .situation import Situation
from .whatif import Outcome, Plan, run

FloatArray = npt.NDArray[np.float64]

DYNAMIC: Final = "dynamic_hashrate"
POWER_LIMIT: Final = "power_limit"
KINDS: Final = (DYNAMIC, POWER_LIMIT)

LIMIT_SHARES: Final = tuple(round(0.4 + 0.05 * k, 2) for k in range(13))
"""Power limits that are tried, of the machines' highest profile."""

_EFFECTS: Final = {"profit_usd": "profit_usd", "energy_kwh": "energy_kwh", "hash_th": "hash_th", "wear_usd": "wear_usd"}
_SAME_MHZ: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """When the advisor speaks."""

    n_paths: int = 180
    hold_h: float = 1.0
    """How long a change of profile is held before the policy decides again in both runs. [h]"""
    min_confidence: float = 0.75
    """Least share of the paths in which the change must win."""
    max_age_s: float = 600.0
    """Age above which telemetry is stale. [s] Two control steps."""
    seed: int = 0

    @property
    def hold_steps(self) -> int:
        """Control steps in the hold."""
        return round(self.hold_h * SECONDS_PER_HOUR / CONTROL_STEP_S)


def dynamic_hashrate(
    situation: Situation, settings: Settings, evidence: dict[str, Any]
) -> tuple[list[Advice], list[Abstention]]:
    """Advise the profile that the policy chooses, zone by zone.

    "Keep" holds the present profile for `hold_h`, "change" goes to the policy's; after that the policy steers both, so
    that what is left of the difference is the value of this one change, its way back included.
    """
    wanted = situation.bundle.decide(situation.observation).setpoint_mhz[0].astype(np.float64)
    now = situation.zones["target_mhz"].copy()
    advice, abstentions = [], []
    for z in range(len(now)):
        if abs(wanted[z] - now[z]) <= _SAME_MHZ:
            abstentions.append(Abstention(DYNAMIC, f"zone {z}", "the policy keeps the present profile"))
            continue
        changed = now.copy()
        changed[z] = wanted[z]
        plans = [Plan(setpoint, settings.hold_steps, situation.bundle) for setpoint in (now, changed)]
        outcome = _run(situation, plans, settings)
        cost_usd = switching_usd(situation, z, float(now[z]), float(wanted[z]))
        reason = _not_clear(outcome.gain("profit_usd", 1), cost_usd, settings)
        if reason is not None:
            abstentions.append(
                Abstention(
                    DYNAMIC,
                    f"zone {z}",
                    f"{wording.profile(situation, z, float(wanted[z]))} instead of {wording.profile(situation, z, float(now[z]))}: {reason}",
                )
            )
            continue
        advice.append(_dynamic(situation, z, plans, outcome, cost_usd, settings, evidence))
    return advice, abstentions


def _dynamic(
    situation: Situation, z: int, plans: list[Plan], outcome: Outcome, cost_usd: float, settings: Settings, evidence: dict[str, Any]
) -> Advice:  # fmt: skip
    now, wanted = float(plans[0].setpoint_mhz[z]), float(plans[1].setpoint_mhz[z])
    gains = outcome.gain("profit_usd", 1)
    way = situation.ladder.way(now, wanted, z, _max_rise_pu(situation))
    reasons = [
        *wording.prices(situation, z),
        wording.trade(outcome, 1),
        *_drivers(situation, plans, settings, float(gains.mean())),
    ]
    return Advice(
        kind=DYNAMIC,
        target=f"zone {z}",
        current=_values(situation, z, now),
        recommended={**_values(situation, z, wanted), "hold_h": settings.hold_h},
        effect=_effects(outcome, 1),
        confidence=float((gains > 0.0).mean()),
        reasons=tuple(reasons),
        steps=wording.steps(situation, z, way, settings.hold_h),
        undo_steps=wording.steps(situation, z, situation.ladder.way(wanted, now, z, _max_rise_pu(situation)), None),
        risk=_risk(gains),
        horizon_h=situation.world.n_steps * CONTROL_STEP_S / SECONDS_PER_HOUR,
        expires_utc=_expiry(situation),
        automation="eligible" if min(now, wanted) > 0.0 and (gains > 0.0).mean() >= 0.9 else "needs_approval",
        evidence={**evidence, "switching_cost_usd": cost_usd},
        gains_usd=gains,
    )


def power_limit(
    situation: Situation, settings: Settings, evidence: dict[str, Any]
) -> tuple[list[Advice], list[Abstention]]:
    """Advise one power limit for the next day, for a site that nobody steers in between.

    "Keep" holds the present profiles for the day; each limit holds in every zone the highest profile below it. The limit
    is chosen on one half of the paths and valued on the other, so that the best of many is not flattered by chance.
    """
    now = situation.zones["target_mhz"].copy()
    runs = np.isin(situation.zones["mode"], (HASHING, STARTING))
    if not runs.any():
        return [], [Abstention(POWER_LIMIT, "site", "no zone is hashing; there is nothing to limit")]
    candidates = limits(situation, now, runs)
    if not candidates:
        return [], [Abstention(POWER_LIMIT, "site", "the ladder has no other profile to limit to")]
    n_steps = situation.world.n_steps
    plans = [Plan(setpoint, n_steps) for setpoint in (now, *candidates)]
    outcome = _run(situation, plans, settings)
    gains = outcome.totals["profit_usd"][1:] - outcome.totals["profit_usd"][:1]
    choosing, valuing = np.arange(0, gains.shape[1], 2), np.arange(1, gains.shape[1], 2)
    best = int(np.argmax(gains[:, choosing].mean(axis=1)))
    cost_usd = sum(switching_usd(situation, z, float(now[z]), float(candidates[best][z])) for z in range(len(now)))
    held = _part(outcome, [0, best + 1], valuing)
    chosen_usd = held.gain("profit_usd", 1)
    reason = _not_clear(chosen_usd, cost_usd, settings)
    limit_w = {name: _site_w(situation, setpoint) for name, setpoint in (("now", now), ("new", candidates[best]))}
    if reason is not None:
        text = f"{limit_w['new'] / 1000:.0f} kW instead of {limit_w['now'] / 1000:.0f} kW for a day, the best of {len(candidates)} limits: {reason}"
        return [], [Abstention(POWER_LIMIT, "site", text)]
    advice = Advice(
        kind=POWER_LIMIT,
        target="site",
        current={"power_limit_w": limit_w["now"], **_zones(now)},
        recommended={"power_limit_w": limit_w["new"], **_zones(candidates[best])},
        effect=_effects(held, 1),
        confidence=float((chosen_usd > 0.0).mean()),
        reasons=(*wording.day_prices(situation), wording.trade(held, 1), f"The best of {len(candidates)} limits, chosen on {len(choosing)} paths and valued on {len(valuing)} others."),
        steps=tuple(
            step
            for z in range(len(now))
            for step in wording.steps(situation, z, situation.ladder.way(float(now[z]), float(candidates[best][z]), z, _max_rise_pu(situation)), n_steps * CONTROL_STEP_S / SECONDS_PER_HOUR)
        ),
        undo_steps=tuple(
            step
            for z in range(len(now))
            for step in wording.steps(situation, z, situation.ladder.way(float(candidates[best][z]), float(now[z]), z, _max_rise_pu(situation)), None)
        ),
        risk=_risk(chosen_usd),
        horizon_h=n_steps * CONTROL_STEP_S / SECONDS_PER_HOUR,
        expires_utc=_expiry(situation),
        automation="needs_approval",
        evidence={**evidence, "switching_cost_usd": cost_usd, "paths_valued": len(valuing)},
        gains_usd=chosen_usd,
    )  # fmt: skip
    return [advice], []


def limits(situation: Situation, now: FloatArray, runs: npt.NDArray[np.bool_]) -> list[FloatArray]:
    """Return the set-points that the tried power limits lead to, each (n_zones,), without the present ones."""
    ladder, found = situation.ladder, {}
    for share in LIMIT_SHARES:
        fits = (ladder.power_w <= share * ladder.power_w[:, -1:] + 1e-9).sum(axis=1) - 1
        chosen = ladder.freq_mhz[np.arange(len(now)), np.maximum(fits, 0)]
        setpoint = np.where(runs, chosen, now)
        if np.abs(setpoint - now).max() > _SAME_MHZ:
            found[tuple(setpoint.tolist())] = setpoint
    return list(found.values())


def switching_usd(situation: Situation, z: int, now_mhz: float, wanted_mhz: float) -> float:
    """Return what going to another profile and back costs by itself: hashes not made while restarting, and wear. [USD]

    A change of profile costs the firmware's restart and half its ramp each way; sleep costs one start: its boot and the
    wear that the catalogue states.
    """
    zone = situation.scenario.site.zones[z]
    per_ths_s = usd_per_th(float(situation.world.values[0, 0, 3]))
    top_ths = float(zone.machine.rated_hashrate_ths)
    if min(now_mhz, wanted_mhz) <= 0.0:
        return zone.n_units * (zone.firmware.boot_s * top_ths * per_ths_s + zone.firmware.start_wear_usd)
    share = abs(wanted_mhz - now_mhz) / (zone.max_mhz - zone.min_mhz)
    lost_s = zone.firmware.restart_s + 0.5 * share * zone.firmware.ramp_s
    return 2.0 * zone.n_units * lost_s * top_ths * per_ths_s


def _run(situation: Situation, plans: Sequence[Plan], settings: Settings) -> Outcome:
    return run(
        situation.scenario,
        situation.forecast,
        situation.world,
        situation.zones,
        plans,
        _max_rise_pu(situation),
        settings.seed,
    )


def _not_clear(gains: FloatArray, cost_usd: float, settings: Settings) -> str | None:
    """Return why a gain is not clear, None if it is."""
    mean, wins = float(gains.mean()), float((gains > 0.0).mean())
    if mean <= cost_usd:
        return f"expected gain {mean:+.2f} USD is not clear of the switching cost of {cost_usd:.2f} USD"
    if wins < settings.min_confidence:
        return f"it wins on {wins:.0%} of the paths only, {settings.min_confidence:.0%} are asked for (expected gain {mean:+.2f} USD)"
    return None


def _effects(outcome: Outcome, plan: int) -> dict[str, Effect]:
    effects = {name: Effect.of(outcome.gain(key, plan)) for name, key in _EFFECTS.items()}
    effects["max_chip_temp_c"] = Effect.of(outcome.hottest_c[plan] - outcome.hottest_c[0])
    return effects


def _part(outcome: Outcome, plans: list[int], paths: npt.NDArray[np.int64]) -> Outcome:
    pick = np.ix_(plans, paths)
    return Outcome(
        {key: values[pick] for key, values in outcome.totals.items()}, outcome.hottest_c[pick], outcome.profit_usd[pick]
    )


def _risk(gains: FloatArray) -> dict[str, float]:
    """Return the probability of a loss and the mean of the worst tenth of the paths (CVaR)."""
    worst = np.sort(gains)[: max(1, len(gains) // 10)]
    return {"loss_probability": float((gains < 0.0).mean()), "mean_of_worst_tenth_usd": float(worst.mean())}


def _drivers(situation: Situation, plans: list[Plan], settings: Settings, mean_usd: float) -> list[str]:
    """Return, for price and hashprice, what the gain would be without what is special about now."""
    texts = []
    for name, label in (("price_usd_per_mwh", "the price of energy"), ("hashprice_usd_per_ph_day", "hashprice")):
        shape = situation.paths.values[name].shape
        usual = np.full(shape, situation.usual(name))
        outcome = run(
            situation.scenario, situation.forecast, situation.with_paths(name, usual), situation.zones, plans,
            _max_rise_pu(situation), settings.seed,
        )  # fmt: skip
        without = float(outcome.gain("profit_usd", 1).mean())
        texts.append(
            f"With {label} at its mean of the last week the same change would be worth {without:+.2f} USD instead of {mean_usd:+.2f}."
        )
    return texts


def _max_rise_pu(situation: Situation) -> float:
    return float(situation.bundle.manifest["envelope"]["max_rise_pu_per_step"])


def _expiry(situation: Situation) -> str:
    """Return when the advice is void: when the next settlement price is out."""
    interval_s = situation.scenario.history.price_interval_s
    return wording.utc(situation.now + wording.seconds(interval_s))


def _values(situation: Situation, z: int, setpoint_mhz: float) -> dict[str, float]:
    zone = situation.scenario.site.zones[z]
    power_w, hashrate_ths = zone.firmware.sleep_w, 0.0
    if setpoint_mhz > 0.0:
        k = int(situation.ladder.index(np.full(len(situation.zones), setpoint_mhz))[z])
        power_w, hashrate_ths = float(situation.ladder.power_w[z, k]), float(situation.ladder.hashrate_ths[z, k])
    return {
        "setpoint_mhz": setpoint_mhz,
        "power_w_per_machine": power_w,
        "hashrate_ths_per_machine": hashrate_ths,
        "machines": float(zone.n_units),
    }


def _zones(setpoint: FloatArray) -> dict[str, float]:
    return {f"zone{z}_setpoint_mhz": float(value) for z, value in enumerate(setpoint)}


def _site_w(situation: Situation, setpoint: FloatArray) -> float:
    """Return the power set-point of all machines, at their sockets. [W]"""
    return sum(
        _values(situation, z, float(value))["power_w_per_machine"] * situation.scenario.site.zones[z].n_units
        for z, value in enumerate(setpoint)
    )
