"""Rewards that are paid when the value of a state changes by what the planner thinks of it, not only when the bill shows it."""

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from ...envs.batch.core import Batch
from ...envs.forms.sb3 import SiteVecEnv
from ...sim.foundation.errors import BadInputError
from ...sim.foundation.jit import kernel
from ..planners.plan_values import PlanValues
from .hindsight import is_running


class PlanShaped(VecEnvWrapper):
    """Environments of the reward `beyond_rule` in which a step also earns by how much the planner values its state more than the rule's.

    The difference of both values starts and ends an episode at 0, so that the sum of its rewards stays the gain over the rule and the best policy
    the same; but what energy in a battery is worth is felt at once, and an advantage need not look a day ahead.

    Source:
        A. Ng, D. Harada, S. Russell, "Policy invariance under reward transformations: theory and application to reward shaping", ICML 1999.
    """

    def __init__(self, venv: SiteVecEnv, values: PlanValues) -> None:
        """Take the environments and the planner's values of their worlds; raises BadInputError if they pay another reward."""
        super().__init__(venv)
        if venv.batch.rule_alone is None:
            raise BadInputError("agent.plan_values needs reward=beyond_rule")
        self._site, self._values = venv, values
        self._own_usd, self._rule_usd, self._before_usd = (np.zeros(venv.num_envs) for _ in range(3))

    def reset(self) -> VecEnvObs:
        """Begin the next episode of every environment: both states are the same there."""
        for usd in (self._own_usd, self._rule_usd, self._before_usd):
            usd[:] = 0.0
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step every environment and add what its state gained in value beyond the rule's."""
        obs, rewards, ended, infos = self.venv.step_wait()
        batch = self._site.batch
        assert batch.rule_alone is not None
        self._look(batch, self._own_usd)
        self._look(batch.rule_alone, self._rule_usd)
        now_usd = np.where(ended, 0.0, self._own_usd - self._rule_usd)
        rewards += batch.reward_of_usd(now_usd - self._before_usd).astype(np.float32)
        self._before_usd[:] = now_usd
        self._own_usd[ended] = self._rule_usd[ended] = 0.0
        return obs, rewards, ended, infos

    def _look(self, batch: Batch, into: npt.NDArray[np.float64]) -> None:
        """Write what the planner thinks of each environment's state, where an interval begins; within it the value stays."""
        site, battery, values = batch.state.site, batch.site.battery, self._values
        held = np.zeros(batch.n_envs) if battery is None else site["battery_kwh"] / (battery.energy_wh / 1000.0)
        place = (site["step"] - values.first) / values.every
        value_states(values.value_usd, site["series"], place, is_running(batch), held, into)


@kernel
def value_states(
    value_usd: np.ndarray,
    series: np.ndarray,
    place: np.ndarray,
    is_on: np.ndarray,
    charge_pu: np.ndarray,
    into: np.ndarray,
) -> None:
    """Write the value of each state at whose step an interval begins, between two charges of the grid by their distance.

    Args:
        value_usd: As `PlanValues` has it.
        series: Of each state, (n,).
        place: Interval of each state, whole where one begins, (n,).
        is_on: Whether its machines run, (n,).
        charge_pu: Its battery's charge, (n,).
        into: Result, (n,); what lies within an interval is left as it is. [USD]
    """
    n_gaps = value_usd.shape[3] - 1
    for i in range(place.shape[0]):
        at = int(place[i])
        if place[i] != at or at < 0 or at >= value_usd.shape[1]:
            continue
        on = 1 if is_on[i] else 0
        if n_gaps == 0:
            into[i] = value_usd[series[i], at, on, 0]
            continue
        gaps = min(max(charge_pu[i], 0.0), 1.0) * n_gaps
        k = min(int(gaps), n_gaps - 1)
        low, high = value_usd[series[i], at, on, k], value_usd[series[i], at, on, k + 1]
        into[i] = low + (gaps - k) * (high - low)
