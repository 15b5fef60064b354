"""`hashgym advise`: policy bundle, telemetry and history in, advice out, as JSON and as text."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from hashgym.advisor import telemetry
from hashgym.advisor.advise import Advisor, moment
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.wording import as_text
from hashgym.experiments.files import write_json
from hashgym.sim.errors import BadInputError
from hashgym.sim.history import History


def main(args: list[str]) -> int:
    """Advise; returns the exit code. No advice is an answer, too: the reasons stand in the report."""
    parser = argparse.ArgumentParser(prog="hashgym advise", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="policy bundle, made by `hashgym export`")
    parser.add_argument(
        "--telemetry", type=Path, required=True, help="CSV or Parquet, a row for each machine; docs/advice.md"
    )
    parser.add_argument("--history", type=Path, required=True, help="history folder that reaches up to the telemetry")
    parser.add_argument(
        "--at",
        help="moment of the advice, ISO 8601, UTC (default: the system's clock; on a synthetic history, when the fleet reported)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    options = parser.parse_args(args)
    advisor = Advisor.of(Bundle(options.bundle))
    history = history_at(options.history)
    given = telemetry.read(options.telemetry)
    now, clock = moment(given, history, utc_time(options.at) if options.at else None)
    report = advisor.advise(given, history, now, clock)
    sys.stdout.write(as_text(report))
    if options.json is not None:
        write_json(options.json, report.as_dict())
    return 0


def history_at(path: Path) -> History:
    """Return the history of a folder, or of one of the two files in it."""
    return History.load(path.parent if path.name in ("history.json", "history.parquet") else path)


def utc_time(value: str) -> pd.Timestamp:
    """Return a time given by hand, taken as UTC where it says nothing else; raises BadInputError if it is none."""
    try:
        stamp = pd.Timestamp(value)
    except ValueError as error:
        raise BadInputError(f"{value!r} is not a time; write it like 2025-07-14T23:00") from error
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
