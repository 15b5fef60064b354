"""From mappings and files to a history: every series held to the 5-minute grid, never ahead of its time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ..sim.foundation.errors import BadInputError
from ..sim.history.history import COLUMNS, STEP, History
from ..sim.market.coins import COINS
from .clocks import own_steps, spread_over
from .mapping import Mapping, Series, read_mappings, span_of
from .quality import Quality, assess
from .readers import check_price, read_series

_BLOCKS_PER_DAY: Final = 144.0
"""Source: Bitcoin's target of a block in ten minutes."""

_MOST_AHEAD: Final = pd.Timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Imported:
    """A history made from files, and what there is to say of each series."""

    history: History
    quality: tuple[Quality, ...]


def import_history(
    mappings: Path | Sequence[Path], start: str | None = None, end: str | None = None, root: Path | None = None
) -> Imported:
    """Build a history from the files that mappings name.

    Rule for gaps: a value is held until the next, for at most max_age_h (default three times the series' step at that place);
    anything longer is refused by name. No value is used before its stamp plus delay_s.

    Args:
        mappings: One YAML or several, each of a source.
        start: First moment, UTC, in place of the mappings'.
        end: End, UTC, in place of the mappings'.
        root: Folder that file names are relative to; None: that of each mapping.

    Raises:
        BadInputError: Names mapping and key, or file, row and column, and what would be right.
    """
    paths = [mappings] if isinstance(mappings, Path) else list(mappings)
    mapping = read_mappings(paths, start, end, root)
    index = span_of(mapping, STEP)
    frame = pd.DataFrame(index=index)
    provenance: list[dict[str, Any]] = [*mapping.sources]
    published = "market_price_usd_per_mwh" if mapping.publication == "day_ahead" else "day_ahead_price_usd_per_mwh"
    ahead: np.ndarray | None = None
    quality: list[Quality] = []
    for series in mapping.series:
        if series.constant is not None:
            frame[series.column] = series.constant
            for stamp, value in series.changes:
                frame.loc[stamp:, series.column] = value
            changed = {"changes": {f"{stamp:%Y-%m-%dT%H:%M:%SZ}": value for stamp, value in series.changes}}
            given = {"column": series.column, "constant": series.constant}
            provenance.append({**given, **changed} if series.changes else given)
            continue
        joined = _joined(series, index)
        frame[series.column], age_ns, step_ns = _held(joined, index, series)
        if series.column == published:
            ahead = _ahead(joined, index, series)
        quality.append(assess(series, joined, index, age_ns, step_ns, mapping.timezone))
        provenance.append(
            {
                "column": series.column,
                "files": [p.name for p in series.files],
                "rows": len(joined),
                "unit": series.unit,
                "delay_s": series.delay_s,
            }
        )
    _share_of_fees(frame, index)
    missing = [name for name, column in COLUMNS.items() if column.is_required and name not in frame]
    if missing:
        raise BadInputError(f"{', '.join(path.name for path in paths)}: 'series' lacks {', '.join(missing)}")
    return Imported(_history(mapping, frame, ahead, provenance), tuple(quality))


def _history(
    mapping: Mapping, frame: pd.DataFrame, ahead: np.ndarray | None, provenance: list[dict[str, Any]]
) -> History:
    return History(
        ahead=ahead,
        published_h=mapping.published_h,
        frame=frame,
        kind="imported",
        publication=mapping.publication,  # type: ignore[arg-type]
        price_interval_s=mapping.interval_s,
        timezone=mapping.timezone,
        provenance=provenance,
        channels={series.column: series.channel for series in mapping.series if series.channel is not None},
    )


def _share_of_fees(frame: pd.DataFrame, index: pd.DatetimeIndex) -> None:
    if "fees_usd_per_day" not in frame:
        return
    if "coin_price_usd" not in frame:
        raise BadInputError("'series': fees_usd_per_day needs coin_price_usd beside it")
    subsidy = COINS["btc"].subsidy_at(index.tz_localize(None).to_numpy())
    reward = subsidy * _BLOCKS_PER_DAY * frame["coin_price_usd"]
    frame["fee_share"] = frame["fees_usd_per_day"] / (frame["fees_usd_per_day"] + reward)
    del frame["fees_usd_per_day"]


def _joined(series: Series, index: pd.DatetimeIndex) -> pd.Series:
    """Return the values of all files of a series, in dollars where it is a price, on the UTC times at which they begin."""
    parts: list[pd.Series] = [part for part in (read_series(path, series) for path in series.files) if len(part)]
    if not parts:
        raise BadInputError(f"{series.files[0]}: no value in column {series.value!r}")
    parts.sort(key=lambda part: part.index[0])
    joined = pd.concat(parts)
    if series.duplicates == "same":
        joined = joined.sort_index(kind="stable")
        clash = joined.index.duplicated(keep=False) & ~joined.reset_index().duplicated(keep=False).to_numpy()
        if clash.any():
            names = ", ".join(path.name for path in series.files)
            raise BadInputError(f"{names}: files of {series.label!r} hold different values at {joined.index[clash][0]}")
        joined = joined[~joined.index.duplicated()]
    if not joined.index.is_monotonic_increasing or joined.index.has_duplicates:
        names = ", ".join(path.name for path in series.files)
        raise BadInputError(f"{names}: the files of {series.label!r} overlap; 'duplicates: same' drops equal rows")
    check_price(series, joined)
    if series.typical_year:
        joined = spread_over(joined, index[0], index[-1])
    if isinstance(series.usd_per_unit, Series):
        # Rates are asked for where prices can be in force, not for all that the files hold.
        after = joined.index.searchsorted(index[0], side="right") - 1
        joined = joined.iloc[max(after, 0) :]
        joined = joined[joined.index < index[-1] + _MOST_AHEAD]
        rates, _, _ = _held(_joined(series.usd_per_unit, index), pd.DatetimeIndex(joined.index), series.usd_per_unit)
        return joined * rates
    return joined * series.usd_per_unit


def _held(values: pd.Series, index: pd.DatetimeIndex, series: Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hold each value from the time it is in force until the next; refuse gaps longer than the series allows.

    Returns:
        The values, how long each has been held [ns], and the series' step at that place [ns], (n_steps,) each.
    """
    in_force = pd.DatetimeIndex(values.index).as_unit("ns").asi8 + int(series.delay_s * 1e9)
    wanted = index.as_unit("ns").asi8
    position = np.searchsorted(in_force, wanted, side="right") - 1
    held = np.maximum(position, 0)
    step_ns = own_steps(in_force)[held]
    limit_ns = 3.0 * step_ns if series.max_age_h is None else np.full(len(wanted), series.max_age_h * 3.6e12)
    age_ns = wanted - in_force[held]
    bad = np.flatnonzero((position < 0) | (age_ns >= limit_ns))
    if bad.size:
        first = int(bad[0])
        run = int(np.flatnonzero(np.diff(np.append(bad, -1)) != 1)[0])
        names = ", ".join(path.name for path in series.files)
        raise BadInputError(
            f"{names}: no value of {series.label!r} for {index[first]}…{index[int(bad[run])]}; "
            f"a value is held for at most {limit_ns[first] / 3.6e12:g} h (max_age_h)"
        )
    return values.to_numpy(np.float64)[position], age_ns, step_ns


def _ahead(values: pd.Series, index: pd.DatetimeIndex, series: Series) -> np.ndarray | None:
    """Return what the files hold beyond the index's end, two days at most and up to the first gap; None if nothing."""
    stamps = pd.DatetimeIndex(values.index)
    if len(stamps) < 2:
        return None
    own = pd.to_timedelta(own_steps(stamps.as_unit("ns").asi8), unit="ns")
    usual = own[-1]
    beyond_end = np.flatnonzero((stamps[:-1] >= index[-1] - own[:-1]) & (np.diff(stamps) > own[:-1]))
    last_stamp = stamps[int(beyond_end[0])] if beyond_end.size else stamps[-1]
    last = min(last_stamp + pd.Timedelta(seconds=series.delay_s) + usual, index[-1] + STEP + _MOST_AHEAD)
    beyond = pd.date_range(index[-1] + STEP, last, freq=STEP, inclusive="left")
    return _held(values, beyond, series)[0] if len(beyond) else None
