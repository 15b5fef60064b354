"""`hashgym backtest`: give advice on days that have passed and see what it was worth."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from hashgym.advisor.advise import Advisor
from hashgym.advisor.backtest import backtest
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.situation import scenario_of
from hashgym.experiments.advise import history_at, require_untrained, span_of
from hashgym.sim.foundation.constants import CONTROL_STEP_S
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import require_writable, write_json
from hashgym.sim.series.exogenous import STEPS_PER_DAY


def main(args: list[str]) -> int:
    """Run the back-test; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hashgym backtest", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="policy bundle with a forecast")
    parser.add_argument("--history", type=Path, required=True, help="history folder")
    parser.add_argument("--start", required=True, help="first day, ISO date, UTC")
    parser.add_argument("--end", required=True, help="day after the last, ISO date, UTC")
    parser.add_argument("--every-h", type=float, default=4.0, help="hours between decisions (default: 4)")
    parser.add_argument("--json", type=Path, help="write summary and cases to a JSON file")
    options = parser.parse_args(args)
    if options.every_h * 3600.0 % CONTROL_STEP_S or options.every_h <= 0.0:
        raise BadInputError(f"--every-h is {options.every_h}; it must be a multiple of five minutes")
    require_writable(options.json, options.bundle, options.history)
    history = history_at(options.history)
    advisor = Advisor.of(Bundle(options.bundle))
    require_untrained(advisor, history, options.start)
    first, last = span_of(history, options.start, options.end, 2)
    spacing = round(options.every_h * 3600.0 / CONTROL_STEP_S)
    steps = range(first, last - STEPS_PER_DAY, spacing)
    result = backtest(advisor, scenario_of(advisor.bundle, history), steps, progress=True)
    sys.stdout.write(text(result) + "\n")
    if options.json is not None:
        write_json(options.json, result)
    return 0


def text(result: dict[str, Any]) -> str:
    """Return a back-test as text."""
    lines = [
        f"{result['decisions']} decisions over {result['days']:.0f} days, {result['history']['kind']} history {result['history']['hash']}"
    ]
    for kind, entry in result["kinds"].items():
        if entry["abstention_rate"] is None:
            continue
        lines += ["", f"{kind}: advised {entry['advised']} times, abstained {entry['abstention_rate']:.0%}"]
        lines += [f"  {count:5d} × {reason}" for reason, count in entry["abstained_because"].items()]
        for when in ("when_advised", "whenever_tried"):
            if entry[when]["cases"]:
                lines.append(f"  {when.replace('_', ' ')}: {entry[when]['cases']} cases on {entry[when]['days']} days")
                lines += [_figure_text(name, entry[when][name]) for name in _FIGURES]
    return "\n".join(lines)


_FIGURES: Final = {"predicted_usd": 1.0, "realised_usd": 1.0, "paid": 100.0, "confidence": 100.0, "covered": 100.0}


def _figure_text(name: str, value: dict[str, float | None]) -> str:
    scale, unit = _FIGURES[name], "USD" if name.endswith("_usd") else "%"
    mean, low, high = (None if value[key] is None else scale * float(value[key] or 0.0) for key in ("mean", "lo", "hi"))
    span = "one week only" if low is None else f"{low:.2f} … {high:.2f}"
    return f"    {name:14s} {mean:8.2f} {unit} ({span})"
