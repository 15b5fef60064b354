"""Options of an environment are a plain value: making one reads nothing, and what is wrong is named."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import pytest

import hashgym.envs  # noqa: F401  (registers the ids)
from hashgym.envs.batch.config import EnvConfig, UserCost
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError
from tests.conftest import SMALL


def test_making_options_makes_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    synthesize = scenarios.synthesize

    def counted(*args: Any) -> Any:
        made.append(args)
        return synthesize(*args)

    monkeypatch.setattr(scenarios, "synthesize", counted)
    content = {**SMALL, "history": {**SMALL["history"], "seed": 4711}}
    config = EnvConfig(scenario=content, task="operation", thresholds={"power_ramp": 0.1})
    other = replace(config, stack=2, reward="cvar")
    assert "4711" in repr(other)
    assert hash(config) == hash(replace(other, stack=1, reward="profit"))
    assert config == replace(other, stack=1, reward="profit") != other
    assert made == []
    assert config.load().scenario is other.load().scenario
    assert len(made) == 1


def test_options_leave_to_the_scenario_what_they_do_not_say(small: Scenario) -> None:
    config = EnvConfig(scenario=small)
    setup = config.load()
    assert (config.action, config.forecast) == (None, None)
    assert (setup.action, setup.forecast) == ("discrete", "day_ahead")
    assert setup.thresholds["power_ramp"] == 0.2
    assert replace(config, task="operation", forecast="none").load().action == "box"
    assert repr(small) == f"Scenario('small', config_hash='{small.config_hash}')"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": {"power_ramp": 0.1}}, "unknown option 'limits'; 'limits' is now 'thresholds'; there are action, "),
        ({"episode_step": 3}, "unknown option 'episode_step'; did you mean 'episode_steps'"),
        ({"colour": "red"}, "unknown option 'colour'; there are action, coin_choice"),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest_ones(options: dict[str, Any], message: str) -> None:
    for task in ("HashrateTuning", "SiteOperation"):
        with pytest.raises(BadInputError, match=message):
            gym.make(f"hashgym/{task}-v0", **options)
    with pytest.raises(BadInputError, match=message):
        gym.make_vec("hashgym/HashrateTuning-v0", num_envs=2, **options)
    with pytest.raises(BadInputError, match=message):
        SiteVecEnv(2, [0, 1], **options)
    with pytest.raises(BadInputError, match="unknown option 'machin'; did you mean 'machine'"):
        gym.make("hashgym/ChipTuning-v0", machin="s21")


def test_stable_baselines_form_takes_options_as_a_value_or_by_name(small: Scenario) -> None:
    thirst = UserCost("thirst", lambda batch: batch.flow("water_l"), "L")
    config = EnvConfig(scenario=small, stack=3, costs=(thirst,))
    given = SiteVecEnv(2, [0, 1], config)
    by_name = SiteVecEnv(2, [0, 1], scenario=small, stack=3, costs=(thirst,))
    changed = SiteVecEnv(2, [0, 1], config, stack=1)
    assert given.batch.config == by_name.batch.config == config
    assert changed.batch.config == replace(config, stack=1)
    assert given.observation_space == by_name.observation_space != changed.observation_space
