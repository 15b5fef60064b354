"""Rules and plans as policies over a batch: what an evaluation runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from ..envs.batch.core import Batch
from ..sim.site.ladders import SiteLadders
from .planners.foresight import Foresight
from .rules import PEAK_HOURS, Menu, Rule, RuleInputs, is_asleep

Act = Callable[[Batch], npt.NDArray[Any]]

_CLOCK_SLACK_H: Final = 1e-3  # assumed: what float32 sine and cosine lose of an hour is less


class Policy(Protocol):
    """A named policy: the action form that it needs, and what it does with a batch."""

    @property
    def name(self) -> str:
        """Name in tables and results."""

    @property
    def action(self) -> str:
        """Form of action, as `EnvConfig.action` has it."""

    def act(self, batch: Batch) -> npt.NDArray[Any]:
        """Return the actions, (n_envs, n_zones)."""


@dataclass(frozen=True)
class RulePolicy:
    """A rule or a plan as a policy of absolute profiles."""

    name: str
    choose: Act
    action: str = "profile"

    def act(self, batch: Batch) -> npt.NDArray[Any]:
        """Return the actions, (n_envs, n_zones)."""
        return self.choose(batch)


def rule_policy(rule: Rule) -> RulePolicy:
    """Return a rule as a policy; it sees what the observation holds, and keeps to the site's cap."""

    def choose(batch: Batch) -> npt.NDArray[Any]:
        return rule.menu.under_cap(rule.act(rule_inputs(batch)))

    return RulePolicy(rule.name, choose)


def rule_inputs(batch: Batch) -> RuleInputs:
    """Return what a rule sees of a batch."""
    names, contract = {"price_ratio", "hour_sin", "hour_cos"}, batch.site.contract
    names |= {"coincident_ratio"} if contract.coincident_peak is not None else set()
    names |= {"call_soon"} if contract.curtailment is not None else set()
    seen = {name: batch.obs[:, batch.column(name)].astype(np.float64) for name in names}
    hour = np.arctan2(seen["hour_sin"], seen["hour_cos"]) % (2.0 * np.pi) / (2.0 * np.pi) * 24.0
    may_peak = (hour >= PEAK_HOURS[0] - _CLOCK_SLACK_H) & (hour < PEAK_HOURS[1] - _CLOCK_SLACK_H)
    return RuleInputs(
        seen["price_ratio"], batch.myopic, is_asleep(batch.state.zone["mode"]),
        np.where(may_peak, seen.get("coincident_ratio", 0.0), 0.0), seen.get("call_soon", np.zeros(batch.n_envs)) > 0.0,
    )  # fmt: skip


def foresight_policy(plan: Foresight) -> RulePolicy:
    """Return a plan with foresight as a policy."""
    return RulePolicy(plan.name, lambda batch: plan.act(batch.state.zone, batch.state.site))


def menu_of(batch: Batch) -> Menu:
    """Return what a rule knows of a batch's site."""
    return Menu.of(SiteLadders.of(batch.site), batch.site.site_cap_w)
