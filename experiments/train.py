"""`hashgym train`: train a policy; `hashgym train resume=FOLDER` goes on with a run."""

import json
import logging
from pathlib import Path
from typing import Any

from hashgym.experiments import hydra_main, training
from hashgym.sim.errors import BadInputError

log = logging.getLogger(__name__)


def main(args: list[str]) -> int:
    """Train with Hydra overrides; returns the exit code."""
    return hydra_main.run("train", _train, args)


def _train(config: dict[str, Any], run_dir: Path) -> float:
    """Train, or go on with the run that `resume` names; returns the last validated profit for sweepers."""
    if config["resume"] is not None:
        run_dir = Path(config["resume"])
        if not (run_dir / "config.json").is_file():
            raise BadInputError(f"resume: {run_dir} has no config.json; name the folder of a training run")
        config = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
    result = training.train(config, run_dir)
    log.info(
        "trained %s in %.0f s; weights %s; in %s", config["agent"]["name"], result.seconds, result.weights_hash, run_dir
    )
    validated = [row["validation/profit_usd_per_day"] for row in result.curve if "validation/profit_usd_per_day" in row]
    return validated[-1] if validated else float("nan")
