"""`hashgym train`: train a policy; `hashgym train resume=FOLDER` goes on with a run."""

import logging
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from hashgym.experiments import hydra_main, settings, training
from hashgym.sim.foundation.errors import BadInputError

log = logging.getLogger(__name__)


def main(args: list[str]) -> int:
    """Train with Hydra overrides; returns the exit code."""
    return hydra_main.run("train", _train, args)


def _train(config: dict[str, Any], run_dir: Path) -> float:
    """Train, or go on with the run that `resume` names; returns the last validated profit for sweepers."""
    is_resumed = config["resume"] is not None
    if is_resumed:
        others = [text for text in HydraConfig.get().overrides.task if not text.startswith("resume=")]
        if others:
            raise BadInputError(f"resume goes on with the run's own configuration; leave out {', '.join(others)}")
        run_dir = Path(config["resume"])
        config = settings.read_config(run_dir)
    result = training.train(config, run_dir, is_resumed=is_resumed)
    log.info(
        "trained %s in %.0f s; weights %s; in %s", config["agent"]["name"], result.seconds, result.weights_hash, run_dir
    )
    validated = [row["validation/profit_usd_per_day"] for row in result.curve if "validation/profit_usd_per_day" in row]
    return validated[-1] if validated else float("nan")
