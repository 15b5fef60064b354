"""A policy of zones treats them alike: it does not mind their order, and runs on more of them than it was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.agents.learning.learners import PpoConfig
from hashgym.agents.learning.training import Judged, Schedule, Training, load_policy
from hashgym.agents.learning.zones import Layout, ZonePolicy
from hashgym.agents.policy import Policy
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError
from tests.agents.learning.test_training import Told
from tests.conftest import SMALL


def yard(n_zones: int, **more: Any) -> Scenario:
    zone = {"machine": "s19j_pro", "firmware": "slow_tuner", "n_units": 100}
    links = [{"zone": z, "source": z - 1, "share": 0.1} for z in range(1, n_zones)]
    site = {"altitude_m": 0.0, "zones": [zone] * n_zones, "links": links}
    return scenarios.from_mapping({**SMALL, "name": f"yard{n_zones}", "site": site, **more})


@pytest.fixture(scope="module")
def four() -> Scenario:
    return yard(4)


AGENT = PpoConfig(
    total_steps=512, n_envs=8, n_steps=16, batch_size=64, n_epochs=1, net_arch=(8, 8), form="zones", standardise=True
)


def built(scenario: Scenario, form: str, **options: Any) -> tuple[ZonePolicy, Batch]:
    env = SiteVecEnv(2, [1, 2], EnvConfig(scenario=scenario, **options))
    agent = PpoConfig(n_envs=2, n_steps=8, batch_size=16, net_arch=(8, 8), form=form)
    policy: Any = agent.build(env, env.batch.table, 3).policy
    with torch.no_grad():
        for parameter in policy.action_net.parameters():
            parameter.normal_()
    return policy, env.batch


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(4)), st.sampled_from(["zones", "links"]), st.sampled_from(["hashrate", "operation"]))
def test_zones_that_are_swapped_swap_their_actions(order: list[int], form: str, task: str) -> None:
    links = [{"zone": z, "source": k, "share": 0.1} for z in range(4) for k in range(4) if k != z]
    zone = {"machine": "s19j_pro", "firmware": "slow_tuner", "n_units": 100}
    scenario = scenarios.from_mapping(
        {**SMALL, "name": "ring", "site": {"altitude_m": 0.0, "zones": [zone] * 4, "links": links}}
    )
    policy, batch = built(scenario, form, task=task)
    layout = policy.layout
    rng = np.random.default_rng(7)
    seen = torch.as_tensor(rng.uniform(batch.low, batch.high, (5, len(batch.table))).astype(np.float32))
    swapped = seen.clone()
    swapped[:, layout.zones.ravel()] = seen[:, layout.zones[order].ravel()]
    with torch.no_grad():
        plain, moved = (
            policy.action_net(
                policy.mlp_extractor.forward_actor(policy.extract_features(part, policy.pi_features_extractor))
            )
            for part in (seen, swapped)
        )
        values = [policy.predict_values(part) for part in (seen, swapped)]
    cut = 4 * layout.per_zone
    assert torch.allclose(moved[:, :cut].reshape(5, 4, -1), plain[:, :cut].reshape(5, 4, -1)[:, order], atol=1e-5)
    assert torch.allclose(moved[:, cut:], plain[:, cut:], atol=1e-5)
    assert torch.allclose(values[0], values[1], atol=1e-5)


def test_neighbours_are_heard_along_links_alone(four: Scenario) -> None:
    for form, is_heard in (("zones", False), ("links", True)):
        policy, batch = built(four, form)
        layout = policy.layout
        with torch.no_grad():
            for body in (policy.mlp_extractor.policy_net,):
                for shared in body.shared:
                    shared.weight.zero_()  # nothing by the mean of all
            policy.action_net.zone.weight[:, policy.mlp_extractor.n_zone_features :] = 0.0
            seen = torch.zeros(1, len(batch.table))
            other = seen.clone()
            other[0, layout.zones[0]] = 1.0
            plain, moved = (
                policy.action_net(policy.mlp_extractor.forward_actor(part)).reshape(4, -1) for part in (seen, other)
            )
        changed = (plain - moved).abs().sum(dim=1) > 1e-6
        assert changed.tolist() == [True, is_heard, False, False] or (is_heard and changed[:2].all() and not changed[3])


@pytest.mark.parametrize("form", ["zones", "links"])
def test_a_policy_of_four_zones_runs_on_more(form: str, four: Scenario, tmp_path: Path) -> None:
    def judge(policy: Policy) -> Judged:
        return Judged({"selection": 0.0})

    agent = PpoConfig(
        **{
            **{
                name: getattr(AGENT, name)
                for name in ("total_steps", "n_envs", "n_steps", "batch_size", "n_epochs", "net_arch", "standardise")
            },
            "form": form,
        }
    )
    config = EnvConfig(scenario=four, episode_steps=24)
    training = Training(agent, config, Schedule(validations=0), tmp_path)
    training.learn(judge, Told())
    same = load_policy(tmp_path, agent, config, config)
    batch = Batch(config, 3)
    batch.seed([1, 2, 3])
    batch.reset()
    assert np.array_equal(same.act(batch), training.policy.act(batch))

    seven = EnvConfig(scenario=yard(7), episode_steps=24)
    moved, large = load_policy(tmp_path, agent, config, seven), Batch(seven, 3)
    large.seed([1, 2, 3])
    large.reset()
    first = training.policy.act(batch)
    for _ in range(6):
        actions = moved.act(large)
        assert actions.shape == (3, 7)
        large.step(actions)
    assert first.shape == (3, 4)
    with pytest.raises(BadInputError, match="observed as those that it was trained on"):
        load_policy(
            tmp_path,
            agent,
            config,
            EnvConfig(scenario=yard(5, tariff={"kind": "real_time", "demand": [{"usd_per_kw": 5.0}]})),
        )


def test_what_has_no_zones_alike_is_refused(four: Scenario, two_zones: Scenario) -> None:
    with pytest.raises(BadInputError, match="zones must be observed"):
        Layout.of(Batch(EnvConfig(scenario=four, stack=2)))
    with pytest.raises(BadInputError, match="zones must be observed"):
        Layout.of(Batch(EnvConfig(scenario=four, observations=("hour_sin",))))
    with pytest.raises(BadInputError, match=r"zones have \[.*\] choices; use env.action=discrete"):
        Layout.of(Batch(EnvConfig(scenario=two_zones, action="profile")))
    with pytest.raises(BadInputError, match="form is 'graph'; it must be one of plain, zones, links"):
        PpoConfig(form="graph")
