"""The kinds of advice: each tries changes in paired what-if runs and abstains unless one is clearly worth it."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..envs.batch.acting import IDLE_BELOW
from ..sim.contract.contract import TimeOfUseTariff
from ..sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ..sim.hardware.firmware import HASHING, STARTING, TRIPPED
from ..sim.hardware.ladder import SAME_MHZ
from ..sim.site.params import SiteParams
from . import wording
from .execution import rise_steps
from .records import Abstention, Advice, Effect
from .situation import Situation
from .trial import Settings, Trial, switching_usd, try_plans
from .whatif import Plan, run

FloatArray = npt.NDArray[np.float64]
Answer = tuple[list[Advice], list[Abstention]]

DYNAMIC: Final = "dynamic_hashrate"
POWER_LIMIT: Final = "power_limit"
BATTERY: Final = "battery_dispatch"
KINDS: Final = (DYNAMIC, POWER_LIMIT, BATTERY)


def of_site(site: SiteParams) -> tuple[str, ...]:
    """Return the kinds of advice that a site may be given."""
    return KINDS if site.battery is not None else (DYNAMIC, POWER_LIMIT)


def excluded(kind: str, advice: list[Advice]) -> tuple[str, ...]:
    """Return the kinds of a report's advice that set the same machines as one of them."""
    others = dict.fromkeys(entry.kind for entry in advice if entry.kind != kind)
    return tuple(other for other in others if BATTERY not in (kind, other))


LIMIT_SHARES: Final = tuple(round(0.4 + 0.05 * k, 2) for k in range(13))
"""Power limits that are tried, of the machines' highest profile. chosen: from about the lowest profile of the catalogue up to all."""

_FLOWS: Final = ("profit_usd", "energy_kwh", "hash_th", "wear_usd")
_SURE: Final = 0.9
"""Share of the paths in which a change must win before it may be executed unasked. chosen: above Settings.min_confidence."""


def dynamic_hashrate(situation: Situation, settings: Settings, evidence: dict[str, Any]) -> Answer:
    """Advise the profile that the policy chooses, zone by zone.

    "Keep" holds the present profile for `hold_h`, "change" goes to the policy's; after that the policy steers both, so
    that what is left of the difference is the value of this one change, its way back included.
    """
    wanted = situation.bundle.decide(situation.seen).setpoint_mhz[0].astype(np.float64)
    now = situation.zones["target_mhz"].copy()
    advice, abstentions = [], []
    for z in range(len(now)):
        target = f"zone {z}"
        if abs(wanted[z] - now[z]) <= SAME_MHZ:
            abstentions.append(Abstention(DYNAMIC, target, "the policy keeps the present profile"))
            continue
        changed = now.copy()
        changed[z] = wanted[z]
        plans = tuple(Plan(setpoint, settings.hold_steps, situation.bundle) for setpoint in (now, changed))
        trial = Trial(
            DYNAMIC,
            target,
            (plans[0], plans[1]),
            try_plans(situation, plans, settings),
            switching_usd(situation, now, changed),
        )
        doubt = trial.doubt(situation, settings)
        if doubt is not None:
            text = f"{wording.profile(situation, z, wanted[z])} instead of {wording.profile(situation, z, now[z])}: {doubt}"
            abstentions.append(Abstention(DYNAMIC, target, text, trial.tried))
            continue
        sure = (
            float((trial.gains_usd > 0.0).mean()) >= _SURE and min(now[z], wanted[z]) > 0.0 and not situation.excesses
        )
        advice.append(
            _advice(
                situation,
                trial,
                evidence,
                hold_h=settings.hold_h,
                current=_values(situation, z, now[z]),
                recommended={**_values(situation, z, wanted[z]), "hold_h": settings.hold_h},
                reasons=(
                    *wording.prices(situation, z),
                    wording.trade(trial.outcome, 1),
                    *_drivers(situation, trial, settings),
                ),
                automation="eligible" if sure else "needs_approval",
            )
        )
    return advice, abstentions


def power_limit(situation: Situation, settings: Settings, evidence: dict[str, Any]) -> Answer:
    """Advise one power limit for the next day, for a site that nobody steers in between.

    "Keep" holds the present profiles for the day; each limit holds in every zone the highest profile below it. The limit
    is chosen on one half of the paths and valued on the other, so that the best of many is not flattered by chance.
    """
    now = situation.zones["target_mhz"].copy()
    runs = np.isin(situation.zones["mode"], (HASHING, STARTING, TRIPPED)) & (now > 0.0)
    if not runs.any():
        return [], [Abstention(POWER_LIMIT, "site", "no zone is hashing; there is nothing to limit")]
    candidates = limits(situation, now, runs)
    if not candidates:
        return [], [Abstention(POWER_LIMIT, "site", "the ladder has no other profile to limit to")]
    candidates = _under_cap(situation, now, candidates)
    if not candidates:
        return [], [Abstention(POWER_LIMIT, "site", "no other profile keeps the site under its cap")]
    plans = [Plan(setpoint, situation.world.n_steps) for setpoint in (now, *candidates)]
    outcome = try_plans(situation, plans, settings)
    gains = outcome.totals["profit_usd"][1:] - outcome.totals["profit_usd"][:1]
    choosing, valuing = np.arange(0, gains.shape[1], 2), np.arange(1, gains.shape[1], 2)
    best = 1 + int(np.argmax(gains[:, choosing].mean(axis=1)))
    chosen = plans[best].setpoint_mhz
    part = outcome.part(np.array([0, best]), valuing)
    trial = Trial(POWER_LIMIT, "site", (plans[0], plans[best]), part, switching_usd(situation, now, chosen))
    now_w, limit_w = situation.meter_w(now), situation.meter_w(chosen)
    doubt = trial.doubt(situation, settings)
    if doubt is not None:
        text = f"{limit_w / 1000:.0f} kW instead of {now_w / 1000:.0f} kW for a day, the best of {len(candidates)} limits: {doubt}"
        return [], [Abstention(POWER_LIMIT, "site", text, trial.tried)]
    how = f"The best of {len(candidates)} limits, chosen on {len(choosing)} paths and valued on {len(valuing)} others."
    advice = _advice(
        situation,
        trial,
        {**evidence, "paths_valued": len(valuing)},
        hold_h=_horizon_h(situation),
        current={"power_limit_w": now_w, **_zones(situation, now)},
        recommended={"power_limit_w": limit_w, **_zones(situation, chosen)},
        reasons=(*wording.day_prices(situation), wording.trade(part, 1), how),
        automation="needs_approval",
    )
    return [advice], []


def battery_dispatch(situation: Situation, settings: Settings, evidence: dict[str, Any]) -> Answer:
    """Advise what the battery is to do for the next hour.

    "Keep" leaves it standing for `hold_h`, "change" gives it the policy's command as long; the machines, and after that the battery, are the policy's
    in both, so that what is left of the difference is the worth of this one hour, an empty or a full battery afterwards included.
    """
    decision, battery = situation.bundle.decide(situation.seen), situation.scenario.site.battery
    if battery is None or decision.commands is None:
        return [], []
    names = [entry["name"] for entry in situation.bundle.manifest["commands"]]
    command = float(decision.commands[0, names.index("battery")])
    if abs(command) < IDLE_BELOW:
        return [], [Abstention(BATTERY, "battery", "the policy lets the battery stand")]
    wanted = decision.setpoint_mhz[0].astype(np.float64)
    plans = tuple(Plan(wanted, settings.hold_steps, situation.bundle, held) for held in (0.0, command))
    outcome = try_plans(situation, plans, settings)
    trial = Trial(BATTERY, "battery", (plans[0], plans[1]), outcome, 0.0)
    doubt = trial.doubt(situation, settings)
    power_kw = command * battery.power_w / 1000.0
    if doubt is not None:
        return [], [
            Abstention(BATTERY, "battery", f"{power_kw:+.0f} kW for {settings.hold_h:g} h: {doubt}", trial.tried)
        ]
    charge_pu = float(situation.charge_pu or 0.0)
    told = {"charge_pu": charge_pu}
    advice = _advice(
        situation,
        trial,
        evidence,
        hold_h=settings.hold_h,
        current={"battery_power_w": 0.0, **told},
        recommended={"battery_power_w": command * battery.power_w, "hold_h": settings.hold_h, **told},
        reasons=(*wording.market_prices(situation), wording.trade(outcome, 1), *_drivers(situation, trial, settings)),
        automation="needs_approval",
    )
    steps, undo = wording.battery_steps(situation, command, settings.hold_h)
    return [replace(advice, steps=steps, undo_steps=undo)], []


def limits(situation: Situation, now: FloatArray, runs: npt.NDArray[np.bool_]) -> list[FloatArray]:
    """Return the set-points that the tried power limits lead to, each (n_zones,), without the present ones."""
    ladders = situation.ladders
    found: dict[tuple[float, ...], FloatArray] = {}
    for share in LIMIT_SHARES:
        highest = ladders.highest_within(share * ladders.setpoint_power_w[:, -1])
        chosen = ladders.freq_mhz[np.arange(len(now)), highest]
        setpoint = np.where(runs, chosen, now)
        if np.abs(setpoint - now).max() > SAME_MHZ:
            found[tuple(setpoint.tolist())] = setpoint
    return list(found.values())


def _under_cap(situation: Situation, now: FloatArray, candidates: list[FloatArray]) -> list[FloatArray]:
    cap_w = situation.bundle.manifest["envelope"]["site_cap_w"]
    most_w = np.inf if cap_w is None else max(cap_w, situation.meter_w(now))
    return [setpoint for setpoint in candidates if situation.meter_w(setpoint) <= most_w]


def _advice(
    situation: Situation,
    trial: Trial,
    evidence: dict[str, Any],
    *,
    hold_h: float,
    current: dict[str, float],
    recommended: dict[str, float],
    reasons: tuple[str, ...],
    automation: str,
) -> Advice:
    """Put a trial that is clear into words and figures."""
    outcome, gains = trial.outcome, trial.gains_usd
    wide = situation.widening
    effect = {name: Effect.of(outcome.gain(name, 1), wide) for name in _FLOWS}
    effect["max_chip_temp_c"] = Effect.of(outcome.hottest_c[1] - outcome.hottest_c[0], wide)
    keep, change = (plan.setpoint_mhz for plan in trial.plans)
    worst = np.sort(gains)[: max(1, len(gains) // 10)]
    return Advice(
        kind=trial.kind,
        target=trial.target,
        current=current,
        recommended=recommended,
        effect=effect,
        confidence=float((gains > 0.0).mean()),
        reasons=reasons,
        steps=(
            *_steps(situation, keep, change, is_now=True),
            f"hold it for {hold_h:g} h unless newer advice says otherwise",
        ),
        undo_steps=_steps(situation, change, keep, is_now=False),
        risk={"loss_probability": float((gains < 0.0).mean()), "mean_of_worst_tenth_usd": float(worst.mean())},
        horizon_h=_horizon_h(situation),
        expires_utc=wording.utc(situation.next_price),
        automation=automation,
        evidence={**evidence, "switching_cost_usd": trial.cost_usd},
        tried=trial.tried,
    )


def _steps(situation: Situation, before: FloatArray, after: FloatArray, *, is_now: bool) -> tuple[str, ...]:
    texts: list[str] = []
    for z in np.flatnonzero(np.abs(after - before) > SAME_MHZ):
        # Only machines that hash are held back on their way up.
        from_mhz = 0.0 if is_now and situation.zones["mode"][z] != HASHING else float(before[z])
        setpoints = rise_steps(situation.ladders, int(z), from_mhz, float(after[z]), situation.max_rise_pu)
        texts += wording.steps(situation, int(z), setpoints)
    return tuple(texts)


def _drivers(situation: Situation, trial: Trial, settings: Settings) -> list[str]:
    """Return, for price and hashprice, what the gain would be without what is special about now."""
    texts, mean_usd = [], float(trial.gains_usd.mean())
    drivers = [("expected_hashprice_usd_per_ph_day", "hashprice")]
    if not isinstance(
        situation.scenario.site.contract.energy, TimeOfUseTariff
    ):  # a calendar does not look at the market
        drivers.insert(0, ("market_price_usd_per_mwh", "the price of energy"))
    for name, label in drivers:
        world = situation.with_paths(name, np.full(situation.paths.values[name].shape, situation.usual(name)))
        outcome = run(
            situation.config,
            world,
            situation.zones,
            trial.plans,
            situation.max_rise_pu,
            settings.seed,
            situation.charge_pu,
        )
        without = float(outcome.gain("profit_usd", 1).mean())
        texts.append(
            f"With {label} at its mean of the last week the same change would be worth {without:+.2f} USD instead of {mean_usd:+.2f}."
        )
    return texts


def _horizon_h(situation: Situation) -> float:
    return situation.world.n_steps * CONTROL_STEP_S / SECONDS_PER_HOUR


def _values(situation: Situation, z: int, setpoint_mhz: float) -> dict[str, float]:
    zone = situation.scenario.site.zones[z]
    power_w, hashrate_ths = zone.firmware.sleep_w, 0.0
    if setpoint_mhz > 0.0:
        k = zone.ladder.nearest(setpoint_mhz)
        power_w, hashrate_ths = float(zone.ladder.setpoint_power_w[k]), float(zone.ladder.nominal_hashrate_ths[k])
    return {
        "setpoint_mhz": float(setpoint_mhz),
        "power_w_per_machine": power_w,
        "hashrate_ths_per_machine": hashrate_ths,
        "machines": float(situation.whole.zones[z].n_units),
        "machines_heard": float(zone.n_units),
    }


def _zones(situation: Situation, setpoint: FloatArray) -> dict[str, float]:
    values: dict[str, float] = {}
    for z, (heard, whole) in enumerate(zip(situation.scenario.site.zones, situation.whole.zones, strict=True)):
        values |= {
            f"zone{z}_setpoint_mhz": float(setpoint[z]),
            f"zone{z}_machines": float(whole.n_units),
            f"zone{z}_machines_heard": float(heard.n_units),
        }
    return values
