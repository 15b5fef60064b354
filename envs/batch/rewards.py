"""Rewards: what a step is worth to a learner. A reward is a function of the batch; a user's own is one as well.

    def frugal(batch):                      # (n_envs,): dollars, less a dollar for each megawatt-hour
        return batch.reward_of_usd(batch.flow("profit_usd") - batch.flow("energy_kwh") / 1000.0)

    env = gym.make("hashgym/HashrateTuning-v0", reward=frugal)

Under Hydra: `reward: {_target_: my.module.frugal, _partial_: true}`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...sim.foundation.constants import CONTROL_STEP_S, JOULES_PER_KWH, SECONDS_PER_HOUR
from ...sim.foundation.errors import BadInputError
from .like import CountedBatch

FloatArray = npt.NDArray[np.float64]
Reward = Callable[[CountedBatch], FloatArray]

STEP_H: Final = CONTROL_STEP_S / SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class ProfitEfficiencyStability:
    """A weighted sum of profit, hashes a joule and steadiness of power, each of the order of 1.

    Defaults: source, the project's brief, reward weights 0.7, 0.2 and 0.1.
    """

    profit: float = 0.7
    efficiency: float = 0.2
    stability: float = 0.1

    def __call__(self, batch: CountedBatch) -> FloatArray:
        """Return the reward, (n_envs,)."""
        best_th_per_kwh = float(batch.menus["best_ths_per_w"].max()) * JOULES_PER_KWH
        per_kwh = batch.flow("hash_th") / np.maximum(batch.flow("energy_kwh"), 1e-9)
        change = np.abs(batch.flow("energy_kwh") - batch.last_energy_kwh) / (batch.full_power_w / 1000.0 * STEP_H)
        profit = batch.reward_of_usd(batch.flow("profit_usd"))
        return self.profit * profit + self.efficiency * per_kwh / best_th_per_kwh - self.stability * change


@dataclass(frozen=True, slots=True)
class CoolingEnergy:
    """Less energy of the plant and the machines' fans, and less water: dollars at a price of energy that is given, not the market's."""

    usd_per_mwh: float = 50.0
    """chosen: the order of a site's price of energy, so that energy and water weigh about as they cost."""

    def __call__(self, batch: CountedBatch) -> FloatArray:
        """Return the reward, (n_envs,)."""
        cooling_kwh = batch.flow("cooling_energy_kwh") + batch.zone_flow["fan_energy_kwh"].sum(axis=1)
        return batch.reward_of_usd(-cooling_kwh * self.usd_per_mwh / 1000.0 - batch.flow("water_usd"))


@dataclass(frozen=True, slots=True)
class CarbonAdjusted:
    """Profit less a price on the grid's direct emissions, which the bill need not know."""

    usd_per_t: float = 100.0
    """chosen: the order of what an emission allowance of the EU cost in 2022-2024."""

    def __call__(self, batch: CountedBatch) -> FloatArray:
        """Return the reward, (n_envs,)."""
        return batch.reward_of_usd(batch.flow("profit_usd") - batch.flow("carbon_kg") / 1000.0 * self.usd_per_t)


@dataclass(frozen=True, slots=True)
class Cvar:
    """Conditional value at risk of a step's profit around a given value at risk.

    Source: R. Rockafellar, S. Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2 (2000): the largest over
    ζ of ζ - E max(0, ζ - x) / α; at a fixed ζ a learner maximises its last term.
    """

    alpha: float = 0.1
    """Share of steps in the tail. chosen: a tenth, so that a tail holds enough steps to learn from."""
    var_usd: float = 0.0
    """ζ, profit of a step below which the tail lies. [USD]"""

    def __call__(self, batch: CountedBatch) -> FloatArray:
        """Return the reward, (n_envs,)."""
        shortfall = np.maximum(0.0, self.var_usd - batch.flow("profit_usd"))
        return batch.reward_of_usd(self.var_usd - shortfall / self.alpha)


IN_KERNEL: Final = ("profit", "profit_over_rule")
"""Rewards that the kernel itself computes. profit: dollars of the step. profit_over_rule: dollars above what the myopic profile, never
off, would have earned at steady state in the same step; the subtracted baseline depends on no action, so the best policy is the same."""

BEYOND_RULE: Final = "beyond_rule"
"""Reward that a batch computes with a second one beside it, in which the operator's rule plays alone on the same path: the step's profit less
the rule's. All that no action changes cancels, and an episode's sum is its paired gain.

Source: H. Mao et al., "Variance reduction for reinforcement learning in input-driven environments", ICLR 2019, for why that helps."""

NAMED: Final[dict[str, Callable[[], Reward]]] = {
    "profit_efficiency_stability": ProfitEfficiencyStability,
    "cooling_energy": CoolingEnergy,
    "carbon_adjusted": CarbonAdjusted,
    "cvar": Cvar,
}

NAMES: Final = (*IN_KERNEL, BEYOND_RULE, *NAMED)


def named(reward: str | Reward) -> Reward | None:
    """Return the function of a reward, None for one of the kernel's; raises BadInputError if there is none of that name.

    Examples:
        >>> named("cvar")
        Cvar(alpha=0.1, var_usd=0.0)
        >>> named("profit") is None
        True
    """
    if callable(reward):
        return reward
    if reward not in NAMES:
        raise BadInputError(f"reward is {reward!r}; it must be one of {', '.join(NAMES)}, or a function of the batch")
    return NAMED[reward]() if reward in NAMED else None
