"""What the advisor says: advice, abstentions and their form as JSON."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..forecast.paths import interval
from .situation import Situation
from .telemetry import Rejected
from .whatif import Plan

SCHEMA_VERSION: Final = 1
INTERVAL: Final = 0.8
"""Share of the paths that an effect's interval holds. chosen: the outer quantiles of the forecast, 0.1 and 0.9."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """How a change moves one quantity against "keep", over the paths."""

    mean: float
    lo: float
    hi: float

    @classmethod
    def of(cls, gains: FloatArray, widening: float = 1.0) -> "Effect":
        """Take it from the paired differences, (n_paths,), its interval drawn wider by a factor."""
        low, high = interval(gains, INTERVAL)
        mean = float(gains.mean())
        return cls(mean, mean - widening * (mean - float(low)), mean + widening * (float(high) - mean))

    def as_dict(self) -> dict[str, float]:
        """Return it as advice.json has it."""
        return {"mean": self.mean, "lo": self.lo, "hi": self.hi}


@dataclass(frozen=True, slots=True)
class Tried:
    """A change that was tried, for plots and back-tests; it does not go into the JSON.

    plans: "keep" and "change". gains_usd: paired gain of each path, (n_paths,).
    """

    plans: tuple[Plan, Plan]
    gains_usd: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing to do, with what it is worth and how sure that is. Quantities carry their unit in their name."""

    kind: str
    target: str
    current: dict[str, float]
    recommended: dict[str, float]
    effect: dict[str, Effect]
    confidence: float
    """Share of the paths in which the change earns more than "keep"."""
    reasons: tuple[str, ...]
    steps: tuple[str, ...]
    undo_steps: tuple[str, ...]
    risk: dict[str, float]
    horizon_h: float
    expires_utc: str
    automation: str
    """"eligible" or "needs_approval"."""
    evidence: dict[str, Any]
    excludes: tuple[str, ...] = ()
    """Kinds of advice in the same report that set the same machines: one of them can be taken."""
    tried: Tried = field(repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return it as advice.json has it."""
        names = (
            "kind",
            "target",
            "current",
            "recommended",
            "confidence",
            "risk",
            "horizon_h",
            "expires_utc",
            "automation",
            "evidence",
        )
        lists = {name: list(getattr(self, name)) for name in ("reasons", "steps", "undo_steps", "excludes")}
        effect = {name: value.as_dict() for name, value in self.effect.items()}
        return {**{name: getattr(self, name) for name in names}, "effect": effect, **lists}


@dataclass(frozen=True, slots=True)
class Abstention:
    """A kind of advice that is not given, and why."""

    kind: str
    target: str
    reason: str
    tried: Tried | None = field(default=None, repr=False, compare=False)
    """The change that was not clear, None where nothing was tried."""

    def as_dict(self) -> dict[str, str]:
        """Return it as advice.json has it."""
        return {"kind": self.kind, "target": self.target, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class AdviceReport:
    """Everything that the advisor has to say at one moment."""

    at_utc: str
    clock: str
    """Where the moment comes from: "given", "telemetry" (a replay) or "system"."""
    site: str
    advice: tuple[Advice, ...]
    abstentions: tuple[Abstention, ...]
    rejected_rows: tuple[Rejected, ...]
    notes: tuple[str, ...]
    """What the person on shift should know besides: machines tripped or not heard of, a history that was held."""
    is_judged: bool
    """Whether it came to a judgement; if not, nothing is said of leaving things as they are."""
    situation: Situation | None = field(repr=False, compare=False)
    """What was looked at, for plots; None where it did not come to that."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as advice.json has it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "at_utc": self.at_utc,
            "clock": self.clock,
            "site": self.site,
            "interval": INTERVAL,
            "advice": [entry.as_dict() for entry in self.advice],
            "abstentions": [entry.as_dict() for entry in self.abstentions],
            "notes": list(self.notes),
            "rejected_rows": [entry.as_dict() for entry in self.rejected_rows],
        }
