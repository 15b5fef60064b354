"""`hashgym data`: make a synthetic history, import real files, describe a history."""

import argparse
import sys
from pathlib import Path

from hashgym.sim.history import History
from hashgym.sim.importing import import_history
from hashgym.sim.market import coin_hashprice
from hashgym.sim.synthesis import synthesize


def main(args: list[str]) -> int:
    """Run one of the sub-commands; returns the exit code."""
    options = _parser().parse_args(args)
    if options.what == "synthesize":
        history = synthesize(options.region, options.start, options.end, options.seed)
        history.save(options.out)
    elif options.what == "import":
        history = import_history(options.mapping)
        history.save(options.out)
    else:
        history = History.load(options.folder)
    sys.stdout.write(describe(history) + "\n")
    return 0


def describe(history: History) -> str:
    """Return what a history holds, one line a column."""
    frame = history.frame.assign(hashprice_usd_per_ph_day=coin_hashprice(history, "btc"))
    lines = [
        f"{history.kind} history {history.hash}, {history.start:%Y-%m-%d}…{history.end:%Y-%m-%d}, {len(frame)} steps of 5 min"
    ]
    lines.append(
        f"price known {history.publication.replace('_', ' ')} of {history.price_interval_s} s, {history.timezone}"
    )
    lines.append(f"{'column':30s} {'mean':>14s} {'5 %':>14s} {'median':>14s} {'95 %':>14s} {'largest':>14s}")
    for name, column in frame.items():
        low, middle, high = column.quantile([0.05, 0.5, 0.95])
        cells = (column.mean(), low, middle, high, column.max())
        lines.append(f"{name!s:30s} " + " ".join(f"{value:14.5g}" for value in cells))
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hashgym data", description=__doc__)
    sub = parser.add_subparsers(dest="what", required=True, metavar="synthesize|import|show")
    make = sub.add_parser("synthesize", help="make a synthetic history from calibrated structure")
    make.add_argument("--region", default="ercot", help="region of the catalogue (default: ercot)")
    make.add_argument("--start", required=True, help="first day, ISO date, UTC")
    make.add_argument("--end", required=True, help="day after the last, ISO date, UTC")
    make.add_argument("--seed", type=int, default=0, help="seed of every draw (default: 0)")
    make.add_argument("--out", type=Path, required=True, help="folder of the new history")
    read = sub.add_parser("import", help="build a history from real files")
    read.add_argument(
        "--mapping", type=Path, required=True, help="YAML that says which file and column holds what; docs/history.md"
    )
    read.add_argument("--out", type=Path, required=True, help="folder of the new history")
    show = sub.add_parser("show", help="describe a history")
    show.add_argument("folder", type=Path, help="folder of the history")
    return parser
