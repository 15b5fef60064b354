"""Every environment is judged beside the same rules, costs of one's own included."""

import numpy as np

from hashgym.envs.batch import tables
from hashgym.envs.batch.config import EnvConfig, UserCost
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.summary import judge
from hashgym.evaluation.tuning import Tuning


class FlatOut:
    """Full power with the cooling where it stands."""

    name = "ppo_flat_out"
    action = "box"

    def act(self, batch: Batch) -> np.ndarray:
        return np.tile([1.0, 0.0, 0.0], (batch.n_envs, 1))


def test_a_learner_on_all_of_a_site_is_judged_beside_rules(small: Scenario) -> None:
    thirst = UserCost("thirst", lambda batch: batch.flow("water_l"), "L")
    drawn = {"power_dev": [0.1, 0.1]}
    config = EnvConfig(scenario=small, split="test", task="operation", costs=(thirst,), randomize=drawn)
    summary = judge(config, [FlatOut()], 0, Tuning(4.5, 1.1, 0.0, {}))
    entries = summary["policies"]
    assert tuple(entries["ppo_flat_out"]["costs"]) == (*tables.COST_NAMES, "thirst")
    assert entries["always_on"]["costs"]["thirst"] > 0.0
    # At full power with cooling where it stands it is the rule, on machines as the model has them.
    same = [entries[name]["net_profit_usd_per_day"]["mean"] for name in ("ppo_flat_out", "always_on")]
    assert same[0] == same[1]
    assert same[0] <= summary["bound"]["net_profit_usd_per_day"]["mean"]
