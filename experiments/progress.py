"""What a training run tells while it runs: curves, checkpoints, validation, a progress bar."""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from hashgym.agents import checkpoint
from hashgym.agents.learners import LearnerConfig
from hashgym.envs.batch import tables
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.evaluation import paired
from hashgym.experiments.tracking import Tracker
from hashgym.sim.series.exogenous import STEPS_PER_DAY


@dataclass(frozen=True, slots=True)
class LearnedPolicy:
    """A trained network as a policy: its most probable action."""

    name: str
    action: str
    model: BaseAlgorithm

    def act(self, batch: Batch) -> npt.NDArray[Any]:
        """Return the actions, (n_envs, n_zones)."""
        actions, _ = self.model.predict(batch.obs, deterministic=True)
        return actions


class RunCallback(BaseCallback):
    """Curves once an update, checkpoints at rollout boundaries, validation, and a progress bar."""

    def __init__(
        self, config: dict[str, Any], agent: LearnerConfig, options: EnvConfig, run_dir: Path, tracker: Tracker,
        extra: dict[str, Any], best: checkpoint.Weights | None,
    ) -> None:  # fmt: skip
        """Take the configuration, and what a checkpoint kept: of the curve in `extra`, and the best weights so far."""
        super().__init__()
        self._agent, self._run_dir, self._tracker = agent, run_dir, tracker
        self.curve: list[dict[str, float]] = extra["curve"]
        before_usd = extra.get("best_usd")
        self._best, self._best_usd = best, -np.inf if before_usd is None else float(before_usd)
        self._options = replace(options, reward="profit")
        self._seed = config["seed"]
        self._checkpoint_every = config["checkpoint_steps"]
        self._validate_every = agent.total_steps / max(config["validations"], 1)
        self._has_validation = config["validations"] > 0
        self._log_every = agent.total_steps / 200
        self._sums = np.array(extra.get("sums", [0.0] * (2 + len(tables.COSTS) + len(options.costs))))
        self._n_sums = int(extra.get("n_sums", 0))
        self._bar = tqdm(
            total=agent.total_steps, unit="step", unit_scale=True, disable=not config["progress"], desc=agent.name
        )
        self._validated_at, self._logged_at = int(extra.get("validated_at", 0)), int(extra.get("logged_at", 0))
        self._saved_at = 0

    def _on_training_start(self) -> None:
        self._saved_at = self.model.num_timesteps
        self._bar.update(self._saved_at)
        if self._has_validation and self._saved_at == 0:
            self._tell(self._judge())

    def _env(self) -> SiteVecEnv:
        env = self.model.env
        if not isinstance(env, SiteVecEnv):
            raise TypeError(f"training runs on SiteVecEnv, not on {type(env).__name__}")
        return env

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps - self._saved_at >= self._checkpoint_every:
            self.save()

    def _on_step(self) -> bool:
        env = self._env()
        self._sums[0] += env.batch.reward.mean()
        self._sums[1] += env.batch.flow("profit_usd").mean()
        self._sums[2:] += env.step_costs.mean(axis=0)
        self._n_sums += 1
        self._bar.update(env.num_envs)
        return True

    def _on_rollout_end(self) -> None:
        steps = self.model.num_timesteps
        if steps - self._logged_at < self._log_every and steps < self._agent.total_steps:
            return
        self._logged_at = steps
        mean = self._sums / max(self._n_sums, 1)
        self._sums[:], self._n_sums = 0.0, 0
        values: dict[str, float] = {"train/reward": mean[0], "train/profit_usd_per_day": mean[1] * STEPS_PER_DAY}
        values |= {f"cost/{name}": value for name, value in zip(self._env().cost_names, mean[2:], strict=True)}
        values |= self._losses()
        if self._has_validation and steps - self._validated_at >= self._validate_every:
            values |= self._judge()
        self._tell(values)

    def _tell(self, values: dict[str, float]) -> None:
        steps = self.model.num_timesteps
        row = {"step": float(steps), **{key: float(value) for key, value in values.items()}}
        self.curve.append(row)
        self._tracker.metrics({key: value for key, value in row.items() if key != "step" and np.isfinite(value)}, steps)

    def _judge(self) -> dict[str, float]:
        """Run the present policy without exploring; keep its weights if it is the best on the training months."""
        self._validated_at = self.model.num_timesteps
        usd = {split: self._usd_per_day(split) for split in ("train", "validation")}
        if usd["train"] > self._best_usd:
            self._best_usd = usd["train"]
            self._best = {name: tensor.clone() for name, tensor in self.model.policy.state_dict().items()}
        return {
            f"{key}/profit_usd_per_day": value
            for key, value in (("selection", usd["train"]), ("validation", usd["validation"]))
        }

    def _usd_per_day(self, split: str) -> float:
        policy = LearnedPolicy(self._agent.name, self._options.chosen_action, self.model)
        return float(paired.run(policy, replace(self._options, split=split), self._seed).usd_per_day.mean())

    def finish(self) -> None:
        """Judge the last policy, take the best one of the run and write the last checkpoint."""
        if self._has_validation:
            self._tell(self._judge())
            if self._best is not None:
                self.model.policy.load_state_dict(self._best)
        self.save()

    def _losses(self) -> dict[str, float]:
        """Return what the learner's last update recorded."""
        recorded = self.logger.name_to_value.items()
        return {name: float(value) for name, value in recorded if isinstance(value, int | float | np.number)}

    def save(self) -> None:
        """Write a checkpoint of learner, environment and curve."""
        self._saved_at = self.model.num_timesteps
        extra = {
            "run_id": self._tracker.run_id, "curve": self.curve, "sums": self._sums.tolist(), "n_sums": self._n_sums,
            "validated_at": self._validated_at, "logged_at": self._logged_at,
            "losses": self._losses(), "best_usd": self._best_usd if np.isfinite(self._best_usd) else None,
            "history_hash": self._env().batch.scenario.history.hash,
        }  # fmt: skip
        checkpoint.save(self._run_dir / "checkpoints", self.model, self._env().save(), extra, self._best)

    def close(self) -> None:
        """Close the progress bar."""
        self._bar.close()


def csv_text(curve: list[dict[str, float]]) -> str:
    """Return a curve as CSV text with one column for every name that occurs."""
    names = list(dict.fromkeys(name for row in curve for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(curve)
    return text.getvalue()
