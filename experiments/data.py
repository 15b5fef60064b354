"""`hashgym data`: make a synthetic history, fetch and import real ones, describe a history, calibrate a region to it."""

import argparse
import sys
from importlib import resources
from pathlib import Path

import pandas as pd

from hashgym.advisor import telemetry, wording
from hashgym.experiments import rollouts, schema
from hashgym.experiments.advise import utc_time
from hashgym.experiments.reports import quality_report
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import require_writable, write_text
from hashgym.sim.foundation.wording import plain
from hashgym.sim.history.history import History
from hashgym.sim.market.coins import coin_hashprice
from hashgym.sources import connectors, miners
from hashgym.sources.assembly import import_history
from hashgym.sources.quality import as_text
from hashgym.synthesis.calibrate import calibrate, dump
from hashgym.synthesis.generate import coin_content, synthesize


def main(args: list[str]) -> int:
    """Run one of the sub-commands; returns the exit code."""
    options = _parser().parse_args(args)
    return int(options.run(options))


def describe(history: History) -> str:
    """Return what a history holds, one line a column."""
    frame = history.frame.assign(expected_hashprice_usd_per_ph_day=coin_hashprice(history, "btc"))
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


def _synthesize(options: argparse.Namespace) -> int:
    coins = tuple(coin for coin in options.coins.split(",") if coin)
    history = synthesize(options.region, options.start, options.end, options.seed, coins, options.kind)
    history.save(options.out)
    sys.stdout.write(describe(history) + "\n")
    return 0


def shipped(path: Path) -> Path:
    """Return a mapping's file: one that ships is named without folder and ending."""
    if path.suffix or path.is_file():
        return path
    found = Path(str(resources.files("hashgym.sources").joinpath("mappings", f"{path}.yaml")))
    if not found.is_file():
        names = ", ".join(sorted(entry.stem for entry in found.parent.glob("*.yaml")))
        raise BadInputError(f"no mapping {str(path)!r}; there are {names}, or a file of your own; docs/history.md")
    return found


def _import(options: argparse.Namespace) -> int:
    mappings = [shipped(path) for path in (*options.mappings, *options.mapping)]
    if not mappings:
        raise BadInputError("data import: name one mapping or several; docs/history.md says what they hold")
    imported = import_history(mappings, options.start, options.end, options.root)
    imported.history.save(options.out, beside=quality_report.files(imported))
    sys.stdout.write(f"{describe(imported.history)}\n\n{as_text(imported.quality)}\n")
    sys.stdout.write(f"{options.out / quality_report.NAME}\n")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    for name in options.services:
        report = connectors.fetch(name, options.start, options.end, options.cache, options.set)
        sys.stdout.write(report + "\n")
    return 0


def _show(options: argparse.Namespace) -> int:
    sys.stdout.write(describe(History.load(options.folder)) + "\n")
    return 0


def _telemetry(options: argparse.Namespace) -> int:
    require_writable(options.out, *options.files)
    at = None if options.at is None else utc_time(options.at).strftime("%Y-%m-%dT%H:%M:%SZ")
    tables = [path for path in options.files if path.suffix not in ("", ".json")]
    parts = []
    for path in tables:
        given = telemetry.read(path, options.timezone)
        sys.stdout.write(f"{path}: {len(given.frame)} readings of {given.frame['machine_id'].nunique()} machines\n")
        if given.absent:
            sys.stdout.write(f"  not told       {', '.join(given.absent)}\n")
        notes, rejected = telemetry.without_site(given)
        said = [*notes, *(f"to be set aside: {text}" for text in wording.grouped(rejected))]
        sys.stdout.writelines(f"  NOTE {text}\n" for text in said)
        parts.append(given.frame.assign(time_utc=given.frame["time_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")))
    heard = [path for path in options.files if path not in tables]
    replies = miners.read(heard, model=options.model, zone=options.zone, time_utc=at)
    for reply in replies:
        sys.stdout.write(reply.as_text() + "\n")
    parts.append(miners.table(replies))
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    for reply in replies:
        if reply.lacking:
            sys.stdout.write(f"no row of {plain(reply.name)}: no {', no '.join(reply.lacking)}\n")
    if options.out is not None:
        write_text(options.out, rows.to_csv(index=False))
        sys.stdout.write(f"{options.out}: {len(rows)} rows\n")
    return 0


def _schema(options: argparse.Namespace) -> int:
    sys.stdout.write(schema.as_text(schema.FORMATS[options.format]()))
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    require_writable(options.out, options.folder)
    if options.out.suffix != ".yaml":
        raise BadInputError(f"{options.out}: a region is a file that ends in .yaml")
    content = calibrate(History.load(options.folder), coin_content(), options.out.stem)
    write_text(options.out, "# Written by `hashgym data calibrate`.\n" + dump(content))
    sys.stdout.write(f"{options.out}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hashgym data", description=__doc__)
    sub = parser.add_subparsers(
        dest="what", required=True, metavar="synthesize|fetch|import|telemetry|show|calibrate|rollouts|schema"
    )
    make = sub.add_parser("synthesize", help="make a synthetic history from calibrated structure")
    make.add_argument("--region", default="ercot", help="region that ships, or a file of `calibrate` (default: ercot)")
    make.add_argument("--start", required=True, help="first day, ISO date, UTC")
    make.add_argument("--end", required=True, help="day after the last, ISO date, UTC")
    make.add_argument("--seed", type=int, default=0, help="seed of every draw (default: 0)")
    make.add_argument("--coins", default="", help="coins beside Bitcoin, for example ltc,doge (default: none)")
    make.add_argument(
        "--kind", choices=("replay", "free"), default="replay", help="keep to published levels, or run free"
    )
    make.add_argument("--out", type=Path, required=True, help="folder of the new history")
    make.set_defaults(run=_synthesize)
    get = sub.add_parser("fetch", help="fetch public services into a cache; docs/history.md")
    get.add_argument("services", nargs="+", help=f"of {', '.join(connectors.names())}")
    get.add_argument("--start", required=True, help="first day, ISO date, UTC")
    get.add_argument("--end", required=True, help="day after the last, ISO date, UTC")
    get.add_argument(
        "--cache", type=Path, required=True, help="folder of the cache; a call that is repeated goes on in it"
    )
    get.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="parameter of a service, as latitude=31.9"
    )
    get.set_defaults(run=_fetch)
    read = sub.add_parser("import", help="build a history from real files")
    read.add_argument(
        "mappings",
        nargs="*",
        type=Path,
        help="YAMLs that say which file and column holds what, or names of those that ship; docs/history.md",
    )
    read.add_argument("--mapping", type=Path, action="append", default=[], help="the same, once for each")
    read.add_argument("--start", help="first moment, UTC, in place of the mappings'")
    read.add_argument("--end", help="end, UTC, in place of the mappings'")
    read.add_argument("--root", type=Path, help="folder that file names are relative to (default: that of the mapping)")
    read.add_argument("--out", type=Path, required=True, help="folder of the new history")
    read.set_defaults(run=_import)
    played = sub.add_parser("rollouts", help="episodes of a policy, or of a site's log, as a Minari dataset")
    rollouts.add_arguments(played)
    played.set_defaults(run=rollouts.run)
    show = sub.add_parser("show", help="describe a history")
    show.add_argument("folder", type=Path, help="folder of the history")
    show.set_defaults(run=_show)
    heard = sub.add_parser(
        "telemetry", help="what machines report: say what is understood, and write it as the advisor's table"
    )
    heard.add_argument(
        "files", nargs="+", type=Path, help="JSON that firmware or pyasic answers, or tables; docs/advice.md"
    )
    heard.add_argument("--model", help="model of machines that do not name theirs")
    heard.add_argument("--zone", type=int, help="number of the machines' zone (default: left to the model)")
    heard.add_argument("--at", help="time of answers that tell none, ISO 8601, UTC")
    heard.add_argument("--timezone", help="of a table's stamps that state no offset, a name like America/Chicago")
    heard.add_argument("--out", type=Path, metavar="FILE.csv", help="write the rows as a table for `hashgym advise`")
    heard.set_defaults(run=_telemetry)
    fit = sub.add_parser("calibrate", help="fit the generator to a history")
    fit.add_argument("folder", type=Path, help="folder of the history")
    fit.add_argument("--out", type=Path, required=True, help="region file to write, .yaml")
    fit.set_defaults(run=_calibrate)
    form = sub.add_parser("schema", help="keys, types, defaults and meanings of a file format")
    form.add_argument("format", choices=tuple(schema.FORMATS))
    form.set_defaults(run=_schema)
    return parser
