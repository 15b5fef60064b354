"""The one reader of configurations: from a composed mapping, or a finished run's, to typed settings."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from stable_baselines3.common.vec_env import VecEnv

from hashgym.agents.learning import cloning, learners
from hashgym.agents.learning.hindsight import Teaching
from hashgym.agents.learning.learners import LearnerConfig
from hashgym.agents.learning.training import Schedule, Stage
from hashgym.envs.batch import rewards
from hashgym.envs.batch.config import EnvConfig
from hashgym.evaluation.years import YEARS
from hashgym.experiments import targets
from hashgym.sim.foundation.checks import Problems, require_kinds, require_known
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.foreign import read_file
from hashgym.sim.foundation.renamed import renewed

KEYS: Final = {
    "scenario",
    "env",
    "reward",
    "agent",
    "tracking",
    "seed",
    "history",
    "checkpoint_steps",
    "validations",
    "judged_episodes",
    "warm_start",
    "resume",
    "curriculum",
    "threads",
    "progress",
    "out",
}
"""Top-level keys of a training configuration."""

MOST_YEARS: Final = 1000
"""Most drawn years that are asked for. chosen: beyond it memory ends first."""


def years_of(config: Mapping[str, Any]) -> int:
    """Return the drawn years of a configuration; raises BadInputError for what is no number of years."""
    years = config.get("years", YEARS)
    if isinstance(years, bool) or not isinstance(years, int) or not 1 <= years <= MOST_YEARS:
        raise BadInputError(f"years is {years!r}; it must be a whole number, 1 to {MOST_YEARS}")
    return years


TEACHERS: Final = (None, "hysteresis", "planner")
MAX_BYTES: Final = 4 << 20
"""Largest config.json that is read. chosen: a thousand times a usual one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """A training configuration, read once.

    agent: the learner. env: options of its environments, on the training months; wrappers: what it sees them through. schedule: how the run goes. teacher: the rule that is
    cloned before it learns, None starts from nothing; clone_steps: steps of each round of cloning. judged_episodes: episodes of a split on
    which it is judged while it learns, None all. stages: of a curriculum, before the environment as it stands. threads: of torch. tracking: where
    curves go. content: the mapping itself, as config.json keeps it.
    """

    agent: LearnerConfig
    env: EnvConfig
    wrappers: tuple[Callable[[VecEnv], VecEnv], ...]
    schedule: Schedule
    teacher: str | None
    clone_steps: int
    judged_episodes: int | None
    stages: tuple[Stage, ...]
    threads: int | None
    tracking: Mapping[str, Any]
    content: Mapping[str, Any]

    @classmethod
    def of(cls, content: Mapping[str, Any], *, is_trusted: bool = True) -> "TrainSettings":
        """Read a composed configuration; raises BadInputError that names what is wrong. No history is loaded.

        Args:
            content: The configuration.
            is_trusted: Whether the user has composed it for this call; else its `_target_`s are held to `targets.ALLOWED`.
        """
        require_known("unknown key", content, KEYS)
        for key in ("env", "agent", "warm_start", "tracking", "reward"):
            if not isinstance(content.get(key) or ({} if key == "reward" or key not in content else None), Mapping):
                raise BadInputError(f"{key} is {content[key]!r:.80}; it must be a dictionary")
        warm_start = content.get("warm_start", {"teacher": None, "steps": 0})
        require_known("unknown key", warm_start, {"teacher", "steps"}, "warm_start.")
        schedule = {entry.name: content[entry.name] for entry in fields(Schedule) if entry.name in content}
        problems = Problems()
        with problems.noted():
            if warm_start["teacher"] not in TEACHERS:
                raise BadInputError(
                    f"warm_start.teacher is {warm_start['teacher']!r}; it must be hysteresis, planner or null"
                )
        whole = {
            "warm_start.steps": (warm_start["steps"], 0),
            "threads": (content.get("threads"), 1),
            "judged_episodes": (content.get("judged_episodes"), 1),
            "validations": (schedule.pop("validations", 0), 0),
        }
        for key, (value, least) in whole.items():
            is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
            if not is_whole and value is not None:
                problems.lines.append(f"{key} is {value!r}; it must be a whole number, {least} or more, or null")
        with problems.noted():
            require_kinds(Schedule, "", schedule)
            Schedule(**schedule)
        with problems.noted():
            agent = learners.from_mapping(
                content["agent"], lambda name: targets.resolve("agent", name, is_trusted=is_trusted)
            )
        with problems.noted():
            env = env_config(content, "train", is_trusted=is_trusted)
        stages: tuple[Stage, ...] = ()
        with problems.noted():
            stages = _stages(content, is_trusted=is_trusted)
        wrappers: list[Any] = []
        with problems.noted():
            for entry in content["env"].get("wrappers") or []:
                partial = {**entry, "_partial_": True} if isinstance(entry, Mapping) else entry
                wrappers.append(targets.made("env.wrappers", partial, is_trusted=is_trusted))
        if not all(map(callable, wrappers)):
            problems.lines.append("env.wrappers: each entry is a dictionary with _target_, a wrapper of a VecEnv")
        problems.raise_all()
        return cls(
            agent=agent,
            env=env,
            wrappers=tuple(wrappers),
            schedule=Schedule(**schedule, validations=_validations(agent, whole["validations"][0])),
            teacher=warm_start["teacher"],
            clone_steps=(
                warm_start["steps"] or Teaching().steps
                if warm_start["teacher"] == "planner"
                else _clone_steps(agent, warm_start["steps"])
            ),
            judged_episodes=content.get("judged_episodes"),
            stages=stages,
            threads=content.get("threads"),
            tracking=content.get("tracking", {"kind": "none"}),
            content=content,
        )

    @classmethod
    def of_run(cls, run_dir: Path) -> "TrainSettings":
        """Read the configuration of a training run; names from before a renaming are taken for the new ones.

        Raises:
            BadInputError: There is none, or it is not readable.
        """
        path = run_dir / "config.json"
        if not path.is_file():
            raise BadInputError(f"{run_dir} has no config.json; name the folder of a training run")
        try:
            content: Any = renewed(json.loads(read_file(path, MAX_BYTES)))
        except BadInputError:
            raise
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{path}: not readable ({error})") from error
        if not isinstance(content, dict) or not {"scenario", "env", "agent", "seed", "history"} <= set(content):
            raise BadInputError(f"{path}: not the configuration of a training run")
        return cls.of(content, is_trusted=False)


def _stages(content: Mapping[str, Any], *, is_trusted: bool) -> tuple[Stage, ...]:
    """Return the stages of a curriculum: entries with a scenario's difficulty and the steps that it lasts; raises BadInputError."""
    found, until_step = list[Stage](), 0
    for k, entry in enumerate(content.get("curriculum") or ()):
        at = f"curriculum[{k}]"
        if not isinstance(entry, Mapping) or set(entry) != {"difficulty", "steps"}:
            raise BadInputError(f"{at} is {entry!r:.80}; it must be a dictionary with difficulty and steps")
        difficulty, steps = entry["difficulty"], entry["steps"]
        if isinstance(difficulty, bool) or not isinstance(difficulty, int | float) or not 0.0 < difficulty <= 1.0:
            raise BadInputError(f"{at}.difficulty is {difficulty!r}; it must be above 0 and 1 at most")
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise BadInputError(f"{at}.steps is {steps!r}; it must be a whole number, 1 or more")
        until_step += steps
        eased = {**content, "scenario": {**content["scenario"], "difficulty": difficulty}}
        found.append(Stage(env_config(eased, "train", is_trusted=is_trusted), until_step))
    return tuple(found)


VALIDATION_STEPS: Final = 250_000
MOST_VALIDATIONS: Final = 8
CLONE_SHARE: Final = 0.27
MOST_CLONE_STEPS: Final = 384
LEAST_CLONE_STEPS: Final = 16
"""What null stands for: a validation for so many steps, so many at most; the share of all steps that cloning watches, in four rounds of so many
steps at most and at least. chosen: the demo's three million steps get eight validations and 384 steps a round."""


def _validations(agent: LearnerConfig, given: int | None) -> int:
    return min(MOST_VALIDATIONS, max(1, agent.total_steps // VALIDATION_STEPS)) if given is None else given


def _clone_steps(agent: LearnerConfig, given: int | None) -> int:
    share = round(CLONE_SHARE * agent.total_steps / (cloning.ROUNDS * agent.n_envs))
    return min(MOST_CLONE_STEPS, max(LEAST_CLONE_STEPS, share)) if given is None else given


def env_config(content: Mapping[str, Any], split: str, *, is_trusted: bool = True) -> EnvConfig:
    """Return the environment options of a composed configuration; raises BadInputError on unknown keys."""
    allowed = [*(entry.name for entry in fields(EnvConfig)), "wrappers"]
    require_known("unknown key", content["env"], allowed, "env.")
    given = {
        **{key: value for key, value in content["env"].items() if key != "wrappers"},
        "costs": tuple(targets.made("env.costs", content["env"].get("costs") or [], is_trusted=is_trusted)),
    }
    return EnvConfig(
        **given,
        scenario=content["scenario"],
        history=content["history"],
        split=split,
        reward=_reward(content.get("reward"), is_trusted=is_trusted),
        n_threads=content.get("threads"),
    )


def _reward(entry: Mapping[str, Any] | None, *, is_trusted: bool) -> str | rewards.Reward:
    """Return the reward of a configuration: a name, or what `_target_` makes."""
    if entry is None:
        return "profit"
    if "_target_" in entry:
        made: rewards.Reward = targets.made("reward", entry, is_trusted=is_trusted)
        return made
    require_known("unknown key", entry, {"name"}, "reward.")
    return str(entry["name"])
