"""`hashgym forecast`: judge a bundle's forecast on held-out days against naive forecasts."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hashgym.advisor.advise import Advisor
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.outlook import world_of
from hashgym.advisor.situation import scenario_of
from hashgym.advisor.trial import Settings
from hashgym.experiments.advise import history_at, require_untrained, span_of
from hashgym.experiments.files import require_place, write_json
from hashgym.forecast.scores import rows
from hashgym.sim.errors import BadInputError
from hashgym.sim.exogenous import STEPS_PER_DAY

SPACING_STEPS = 83
"""Steps between origins: about seven hours, prime to a day's steps, so that all times of day occur."""


def main(args: list[str]) -> int:
    """Judge; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hashgym forecast", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="policy bundle with a forecast")
    parser.add_argument("--history", type=Path, required=True, help="history folder")
    parser.add_argument("--start", required=True, help="first day, ISO date, UTC; after the forecast's training months")
    parser.add_argument("--end", required=True, help="day after the last, ISO date, UTC")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a JSON file")
    options = parser.parse_args(args)
    require_place(options.json, options.bundle, options.history)
    history = history_at(options.history)
    advisor = Advisor.of(Bundle(options.bundle))
    require_untrained(advisor, history, options.start)
    first, last = span_of(history, options.start, options.end, 15)
    origins = np.arange(first, last - STEPS_PER_DAY, SPACING_STEPS)
    try:
        result = rows(
            advisor.forecaster,
            world_of(history, scenario_of(advisor.bundle, history).site.markets[0]),
            origins,
            Settings().n_paths,
            history.hash,
        )
    except ValueError as error:
        raise BadInputError(f"{options.start}…{options.end}: {error}") from error
    sys.stdout.write(text(result, len(origins)) + "\n")
    if options.json is not None:
        write_json(options.json, result)
    return 0


def text(result: list[dict[str, Any]], n_origins: int) -> str:
    """Return the rows as a table."""
    lines = [
        f"{n_origins} forecasts",
        f"{'target':26s} {'ahead':>6s} {'model':12s} {'metric':16s} {'value':>9s}  95 % interval",
    ]
    for row in result:
        ahead = f"{row['hours']} h"
        span = f"{row['lo']:.3f} … {row['hi']:.3f}"
        lines.append(
            f"{row['target']:26s} {ahead:>6s} {row['model']:12s} {row['metric']:16s} {row['value']:9.3f}  {span}"
        )
    return "\n".join(lines)
