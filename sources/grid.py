"""Electricity prices of North American markets through the `gridstatus` library, an extra: `pip install hashgym[grid]`."""

import importlib
from typing import Any

import pandas as pd

from .cache import Chunk
from .web import SourceError


def span(arguments: dict[str, Any], chunk: Chunk, settings: dict[str, Any], timezone: str) -> pd.DataFrame:
    """Return prices of a chunk, columns time (UTC, begin of interval) and the history's column.

    Args:
        arguments: iso (class of the library), method, arguments of it, column (of the history), value, location and time
            (columns of the library's table).
        chunk: The span.
        settings: location, and what else the service lets be set.
        timezone: Of the market, whose days the library asks for.

    Raises:
        SourceError: The library is not installed, or gave nothing.
    """
    try:
        library = importlib.import_module("gridstatus")
    except ImportError:
        raise SourceError("the library gridstatus is not installed; run `pip install hashgym[grid]`") from None
    parts = []
    try:
        market = getattr(library, arguments["iso"])()
        # Day-ahead calls filter the day of publication, so days are asked for one by one.
        first, last = (moment.tz_convert(timezone).tz_localize(None) for moment in (chunk.start, chunk.end))
        for day in pd.date_range(first.floor("D"), last, freq="D", inclusive="left"):
            table = getattr(market, arguments["method"])(day.strftime("%Y-%m-%d"), **_options(library, arguments))
            parts.append(
                table[table[arguments["location"]] == settings["location"]] if arguments.get("location") else table
            )
    except Exception as error:  # the library raises whatever its services do
        raise SourceError(
            f"gridstatus {arguments['iso']}.{arguments['method']}: {type(error).__name__}: {error}"
        ) from None
    table = pd.concat(parts)
    stamps = pd.DatetimeIndex(pd.to_datetime(table[arguments["time"]], utc=True))
    return pd.DataFrame({"time": stamps, arguments["column"]: table[arguments["value"]].to_numpy(float)})


def _options(library: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    options = dict(arguments.get("options", {}))
    if "market" in options:
        options["market"] = getattr(library.Markets, options["market"])
    return options
