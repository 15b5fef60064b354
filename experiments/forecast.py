"""`hashgym forecast`: judge a bundle's forecast on held-out days against naive ones, or what a history's channels add."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from hashgym.advisor.advise import Advisor
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.situation import scenario_of
from hashgym.advisor.trial import Settings
from hashgym.envs.scenario.published import published_series
from hashgym.experiments.advise import history_at, require_untrained, span_of
from hashgym.forecast.fitting import FitConfig, fit
from hashgym.forecast.scores import gains_pct, median_miss, rows
from hashgym.forecast.series import Published
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import require_writable, write_json
from hashgym.sim.history.history import History
from hashgym.sim.market.pools import Market
from hashgym.sim.series.exogenous import STEPS_PER_DAY

SPACING_STEPS = 83
"""Steps between origins: about seven hours, prime to a day's steps, so that all times of day occur."""

N_SEEDS = 3
"""Fits whose errors are averaged: trees of one seed differ by a few percent."""


def main(args: list[str]) -> int:
    """Judge; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hashgym forecast", description=__doc__)
    judged = parser.add_mutually_exclusive_group(required=True)
    judged.add_argument("--bundle", type=Path, help="policy bundle with a forecast")
    judged.add_argument(
        "--ablate", action="store_true", help="fit on what lies before the days, without and with each declared channel"
    )
    parser.add_argument("--history", type=Path, required=True, help="history folder")
    parser.add_argument("--start", required=True, help="first day, ISO date, UTC; after the forecast's training months")
    parser.add_argument("--end", required=True, help="day after the last, ISO date, UTC")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a JSON file")
    options = parser.parse_args(args)
    inputs = (options.history, *([options.bundle] if options.bundle else []))
    require_writable(options.json, *inputs)
    history = history_at(options.history)
    if options.ablate:
        result = ablation(history, options.start, options.end, progress=True)
        sys.stdout.write(text(result, len(_origins(history, options.start, options.end))) + "\n")
        if options.json is not None:
            write_json(options.json, result)
        return 0
    advisor = Advisor.of(Bundle(options.bundle))
    require_untrained(advisor, history, options.start)
    origins = _origins(history, options.start, options.end)
    sys.stderr.write(f"judging {len(origins)} forecasts of each target\n")
    try:
        result = rows(
            advisor.forecaster,
            published_series(history, scenario_of(advisor.bundle, history).site.markets[0]),
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


def _origins(history: History, start: str, end: str) -> npt.NDArray[np.int64]:
    first, last = span_of(history, start, end, 15)
    return np.arange(first, last - STEPS_PER_DAY, SPACING_STEPS)


def ablation(
    history: History, start: str, end: str, config: FitConfig | None = None, *, progress: bool = False
) -> list[dict[str, Any]]:
    """Return what each channel that a history declares adds to each forecast over held-out days.

    A row's value is by how many percent the error of forecasts that look at the channel lies below that of forecasts that look at
    a placebo in its place: the same channel moved by half the history, which has its form and says nothing. An interval
    that holds 0 says that the channel does not help. Each is fitted with several seeds on what was published before `start`.

    Raises:
        BadInputError: The history declares no channel, or is too short before `start`.
    """
    if not history.channels:
        raise BadInputError(
            "the history declares no channels: there is nothing to leave out; docs/history.md, 'channel'"
        )
    config = replace(config or FitConfig(), n_vintages=1)
    world, origins = published_series(history, Market()), _origins(history, start, end)
    until, found = pd.Timestamp(start, tz="UTC"), []
    try:
        for channel in history.channels:
            series = world.series[channel]
            moved = Published(np.roll(series.values, len(series.values) // 2), series.known_until)
            errors = {}
            for key, seen in (("placebo", replace(world, series={**world.series, channel: moved})), ("channel", world)):
                seeds = tqdm(range(N_SEEDS), f"{channel}, {key}", unit="fit", disable=not progress)
                fits = [fit(seen, until, replace(config, channels=(channel,), seed=config.seed + k)) for k in seeds]
                errors[key] = {name: median_miss(fits, seen, name, origins) for name in fits[0].vintages}
            for name, plain in errors["placebo"].items():
                gains = gains_pct(plain, errors["channel"][name], origins, world.steps_per_hour)
                for hours, (value, low, high) in gains.items():
                    found.append(
                        {
                            "target": name,
                            "horizon_h": int(hours.split("-")[-1]),
                            "hours": hours,
                            "model": channel,
                            "metric": "mae_gain_pct",
                            "value": value,
                            "lo": low,
                            "hi": high,
                            "history": history.hash,
                        }
                    )
    except ValueError as error:
        raise BadInputError(f"{start}…{end}: {error}") from error
    return found


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
