"""`hashgym advise`: policy bundle, telemetry and history in, advice out, as JSON and as text."""

import argparse
import re
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Final

import pandas as pd

from hashgym.advisor import telemetry
from hashgym.advisor.advise import Advisor, moment
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.wording import as_text
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import require_writable, write_json
from hashgym.sim.history.history import History, month_range


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
    parser.add_argument(
        "--battery-charge",
        type=float,
        metavar="SHARE",
        help="energy in the site's battery, from 0 to 1, where it has one",
    )
    parser.add_argument("--timezone", help="of telemetry's stamps that state no offset, a name like America/Chicago")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    options = parser.parse_args(args)
    require_writable(options.json, options.bundle, options.telemetry, options.history)
    at = None if options.at is None else utc_time(options.at)
    advisor = Advisor.of(Bundle(options.bundle))
    history = history_at(options.history)
    given = telemetry.read(options.telemetry, options.timezone)
    now, clock = moment(given, history, at)
    report = advisor.advise(given, history, now, clock, charge_pu=options.battery_charge)
    sys.stdout.write(as_text(report))
    if options.json is not None:
        write_json(options.json, report.as_dict())
    return 0


def history_at(path: Path) -> History:
    """Return the history of a folder, or of one of the two files in it."""
    return History.load(path.parent if path.name in ("history.json", "history.parquet") else path)


def utc_time(value: str) -> pd.Timestamp:
    """Return a time given by hand, taken as UTC where it says nothing else.

    Raises:
        BadInputError: It is no full ISO 8601 time between 1970 and 2200.
    """
    try:
        stamp = pd.Timestamp(datetime.fromisoformat(value)) if _FULL.match(value) else None
    except (ValueError, OverflowError):
        stamp = None
    if stamp is None or not 1970 <= stamp.year < 2200:
        raise BadInputError(f"{value!r} is not a time; write it like 2025-07-14T23:00")
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


_FULL: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")


def span_of(history: History, start: str, end: str, least_days: int) -> tuple[int, int]:
    """Return the rows [first, last) of a span of days; raises BadInputError if it is none or too short."""
    days = []
    for value in (start, end):
        try:
            days.append(date.fromisoformat(value))
        except ValueError as error:
            raise BadInputError(f"{value!r} is not a day; write it like 2025-07-14") from error
    if (days[1] - days[0]).days < least_days:
        raise BadInputError(f"{start}…{end} is too short; give {least_days} days or more")
    return month_range(history, start, end)


def require_untrained(advisor: Advisor, history: History, start: str) -> None:
    """Refuse days of the very history that policy and forecast were trained on; raises BadInputError."""
    manifest, until = advisor.bundle.manifest, advisor.forecaster.about["until"]
    if manifest["history"]["hash"] == history.hash and start < until[:10]:
        raise BadInputError(
            f"--start {start} lies in the months that the bundle was trained on, which end {until[:10]}"
        )
