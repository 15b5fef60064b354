"""The strongest rule of a site, found by a recorded search over the training months of several drawn histories."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..agents.operator_rules import CHOICES, OperatorRule, settings_of
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.batch.operating import NEUTRAL, as_texts, require_settings
from ..envs.batch.seeding import draw_seeds
from ..sim.series.exogenous import STEPS_PER_DAY, best_curve
from .paired import episodes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Candidate = dict[str, float]

SEARCH_ROLE: Final = 4
"""Role of the environments in SeedSequence([run seed, role]), after training, tuning, evaluation and rollouts."""

HISTORIES: Final = 4
"""Drawn histories of the training months. chosen: one month's spikes are luck, those of four histories less so."""


@dataclass(frozen=True, slots=True)
class Round:
    """A round of the search: how many candidates, new ones among them, are judged on how many episodes, and how many go on."""

    candidates: int
    episodes: int
    kept: int


ROUNDS: Final = (Round(1500, 8, 60), Round(1000, 12, 60), Round(500, 24, 40), Round(200, 48, 16), Round(16, 128, 1))
"""Rounds of successive halving: the first draws at random, the others keep the best and change them. chosen: more than 2,500 candidates in some
minutes, the last of them on 128 episodes."""

CHANGED: Final = 0.2
"""Share of the settings that a new candidate has other than its parent, in the mean. chosen."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best rule of a search: its settings, its profit on the last round's episodes, and what the rounds saw."""

    settings: Candidate
    usd_per_day: float
    n_candidates: int
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def rule(self, batch: Batch) -> OperatorRule:
        """Return the rule for the world of a batch."""
        return OperatorRule(batch.site, batch.exogenous, self.settings)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it; settings without an end are texts."""
        return {
            "settings": as_texts(self.settings),
            "usd_per_day": self.usd_per_day,
            "n_candidates": self.n_candidates,
            "rounds": self.rounds,
        }


def rule_config(config: EnvConfig) -> EnvConfig:
    """Return the options under which whole-site rules and planners play: set-points of everything, and all that is published."""
    scenario = config.load().scenario
    return replace(
        config,
        task="operation",
        action="setpoints",
        forecast=best_curve(scenario.history, scenario.site),
        coin_choice=False,
        reward="profit",
        observations=(),
        stack=1,
        rule=None,
    )


def training_config(config: EnvConfig) -> EnvConfig:
    """Return the options under which rules are searched and planners learn how prices move: the training months of HISTORIES drawn histories.

    Of a history that was given there is one.
    """
    is_drawn = config.load().scenario.recipe is not None
    return replace(rule_config(config), split="train", randomize={"histories": HISTORIES} if is_drawn else {})


def search(
    config: EnvConfig,
    seed: int,
    rounds: Sequence[Round] = ROUNDS,
    *,
    fixed: Candidate | None = None,
    progress: bool = False,
) -> Found:
    """Search the settings of the operator's rule that earn most on the training months.

    Args:
        config: Options of the environment; its split is not looked at.
        seed: Of candidates and sensors.
        rounds: Rounds of the search.
        fixed: Settings that are not searched.
        progress: Whether bars show how far it is.

    Raises:
        BadInputError: A fixed setting is none.
    """
    require_settings(fixed or {})
    train = training_config(config)
    probe = Batch(train)
    rng = np.random.default_rng([seed, SEARCH_ROLE])
    names = [name for name in settings_of(probe.site) if name not in (fixed or {})]
    rule = OperatorRule(probe.site, probe.exogenous, NEUTRAL)
    pool: list[Candidate] = []
    told: list[dict[str, Any]] = []
    n_candidates, best_usd = 0, -np.inf
    for number, stage in enumerate(rounds):
        fresh = [
            _drawn(names, rng) if not pool else _changed(names, pool[k % len(pool)], rng)
            for k in range(stage.candidates - len(pool))
        ]
        n_candidates += len(fresh)
        candidates = [*pool, *({**(fixed or {}), **one} for one in fresh)][: max(stage.candidates, 1)]
        series, starts = _spread(*episodes(train, probe, None), stage.episodes)
        usd = judge_settings(
            rule, train, candidates, (series, starts), seed, f"search, round {number + 1}", progress=progress
        )
        order = np.argsort(-usd, kind="stable")[: stage.kept]
        pool, best_usd = [candidates[k] for k in order], float(usd[order[0]])
        told.append(
            {
                "candidates": len(candidates),
                "episodes": len(starts),
                "best_usd_per_day": best_usd,
                "median_usd_per_day": float(np.median(usd)),
            }
        )
    return Found({name: float(pool[0].get(name, NEUTRAL[name])) for name in NEUTRAL}, best_usd, n_candidates, told)


def judge_settings(
    rule: OperatorRule,
    config: EnvConfig,
    candidates: Sequence[Candidate],
    where: tuple[IntArray, IntArray],
    seed: int,
    title: str,
    *,
    progress: bool = False,
) -> FloatArray:
    """Return the mean net profit a day of each candidate over the same episodes, (n_candidates,). [USD/d]"""
    series, starts = where
    n_episodes, n = len(starts), len(starts) * len(candidates)
    batch = Batch(config, n)
    batch.seed(np.tile(draw_seeds(seed, SEARCH_ROLE, n_episodes), len(candidates)))
    batch.reset(starts=np.tile(starts, len(candidates)), series=np.tile(series, len(candidates)))
    values = {
        name: np.repeat([float(one.get(name, NEUTRAL[name])) for one in candidates], n_episodes) for name in NEUTRAL
    }
    played, profit = rule.with_settings(values), np.zeros(n)
    for _ in tqdm(range(batch.episode_steps), title, leave=False, unit="step", disable=not progress):
        batch.step(played.act(batch))
        profit += batch.flow("profit_usd")
    days = batch.episode_steps / STEPS_PER_DAY
    return profit.reshape(len(candidates), n_episodes).mean(axis=1) / days


def _drawn(names: Sequence[str], rng: np.random.Generator) -> Candidate:
    return {name: float(rng.choice(CHOICES[name])) for name in names}


def _changed(names: Sequence[str], parent: Candidate, rng: np.random.Generator) -> Candidate:
    """Return a candidate with some settings of a parent drawn anew, one at least."""
    child = dict(parent)
    picked = [name for name in names if rng.random() < CHANGED] or [str(rng.choice(list(names)))]
    return child | {name: float(rng.choice(CHOICES[name])) for name in picked}


def _spread(series: IntArray, starts: IntArray, most: int) -> tuple[IntArray, IntArray]:
    """Return so many episodes at most, evenly spread over histories and months."""
    if len(starts) <= most:
        return series, starts
    n_series = int(series.max()) + 1
    per = len(starts) // n_series
    at = np.linspace(0, per - 1, most).round().astype(np.int64)
    picked = (np.arange(most) % n_series) * per + at
    return series[picked], starts[picked]
