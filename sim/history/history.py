"""A history: one table of 5-minute UTC steps, where it came from, and a hash of what it holds."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from ..foundation.constants import CONTROL_STEP_S
from ..foundation.errors import BadInputError
from ..foundation.files import whole_folder
from ..foundation.foreign import read_file
from ..foundation.parquet import read_parquet
from ..foundation.renamed import renamed_hint
from ..foundation.wording import with_unit

STEP: Final = pd.Timedelta(seconds=CONTROL_STEP_S)
Publication = Literal["after_interval", "day_ahead"]

MOST_LETTERS: Final = 100
"""Most letters of a channel's name or unit. chosen: beyond what anybody reads."""
MAX_BYTES: Final = 1 << 30
"""Largest file of a history. chosen: ten years of twenty columns take 200 MB."""

PUBLISHED_H: Final = 13.5
"""Local hour at which the day-ahead prices of the next day are out, unless a history says another. Source: ERCOT posts DAM results by 13:30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column of a history means and which values it may take."""

    unit: str
    low: float
    high: float
    is_required: bool = True


COLUMNS: Final[dict[str, Column]] = {
    "outdoor_temp_c": Column(unit="°C", low=-60.0, high=60.0),
    "relative_humidity_pct": Column(unit="%", low=0.0, high=100.0),
    "market_price_usd_per_mwh": Column(unit="USD/MWh", low=-2000.0, high=30000.0),
    "day_ahead_price_usd_per_mwh": Column(unit="USD/MWh", low=-2000.0, high=30000.0, is_required=False),
    "coin_price_usd": Column(unit="USD", low=1e-9, high=1e8),
    "difficulty": Column(unit="1", low=1e-9, high=1e20),
    "fee_share": Column(unit="share of block reward", low=0.0, high=0.999),
    "grid_load_mw": Column(unit="MW", low=0.0, high=1e6, is_required=False),
    "carbon_g_per_kwh": Column(unit="g/kWh", low=0.0, high=2000.0, is_required=False),
    "curtailment_call": Column(unit="1", low=0.0, high=1.0, is_required=False),
    "reserve_price_usd_per_mw_h": Column(unit="USD/MW/h", low=0.0, high=30000.0, is_required=False),
    "reserve_call": Column(unit="1", low=0.0, high=1.0, is_required=False),
    "ghi_w_per_m2": Column(unit="W/m²", low=0.0, high=1600.0, is_required=False),
    "wind_speed_m_per_s": Column(unit="m/s", low=0.0, high=100.0, is_required=False),
    "sun_power_pu": Column(unit="rated power", low=0.0, high=1.2, is_required=False),
    "wind_power_pu": Column(unit="rated power", low=0.0, high=1.2, is_required=False),
    **{
        f"{coin}_{name}": Column(unit=unit, low=low, high=high, is_required=False)
        for coin in ("bch", "ltc", "doge")
        for name, unit, low, high in (
            ("price_usd", "USD", 1e-9, 1e8),
            ("difficulty", "1", 1e-9, 1e20),
            ("fee_share", "share of block reward", 0.0, 0.999),
        )
    },
}
"""Columns that the simulator knows, with the values that they may take. Bounds are chosen: beyond them a value is an error of units or of
reading. Others may stand beside them as declared channels: `History.channels`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A named series beyond COLUMNS: its unit and its usual range.

    Its rows hold what is known from their stamp on. A source that publishes later is moved by its delay where it is
    imported (`delay_s` of a mapping); who makes a history by hand does the same.
    """

    unit: str
    low: float
    high: float

    def __post_init__(self) -> None:
        """Check the unit; raises BadInputError."""
        if not (isinstance(self.unit, str) and self.unit.isprintable() and len(self.unit) <= MOST_LETTERS):
            raise BadInputError(f"Channel.unit is {self.unit!r:.200}; it must be text that can be printed")


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Exogenous history in the canonical form.

    frame: columns of COLUMNS on a UTC index of 300 s without gaps; each row holds what was in force, of a declared channel
    what was known, from its stamp on.
    ahead: prices that are out for the steps from the frame's end on (day-ahead prices, or settlement prices of a day-ahead
    market), None or (n,); a history that ends now needs them to know what an operator knows. channels: columns beyond COLUMNS. kind: "synthetic" or
    "imported". publication: when the settlement price of an interval is known, after the interval
    or the day before. price_interval_s: length of a settlement interval. timezone: local time of the market. published_h:
    local hour at which the day-ahead prices of the next day are out.
    """

    frame: pd.DataFrame
    kind: Literal["synthetic", "imported"]
    publication: Publication
    price_interval_s: int
    timezone: str
    provenance: list[dict[str, Any]] = field(default_factory=list)
    ahead: np.ndarray | None = None
    channels: dict[str, Channel] = field(default_factory=dict)
    published_h: float = PUBLISHED_H

    def __post_init__(self) -> None:
        """Check the table against the canonical form; raises BadInputError."""
        if self.kind not in ("synthetic", "imported"):
            raise BadInputError(f"History.kind is {self.kind!r}; it must be 'synthetic' or 'imported'")
        if self.publication not in ("after_interval", "day_ahead"):
            raise BadInputError(
                f"History.publication is {self.publication!r}; it must be 'after_interval' or 'day_ahead'"
            )
        if (
            not isinstance(self.price_interval_s, int)
            or not 0 < self.price_interval_s <= 86400
            or self.price_interval_s % int(CONTROL_STEP_S)
        ):
            raise BadInputError(
                f"History.price_interval_s is {self.price_interval_s!r}; it must be a multiple of 300, a day at most"
            )
        if not 0.0 <= self.published_h < 24.0:
            raise BadInputError(
                f"History.published_h is {self.published_h!r}; it must be a local hour, 0 or more and below 24"
            )
        try:
            ZoneInfo(self.timezone)
        except (TypeError, ValueError, OSError, KeyError) as error:
            raise BadInputError(
                f"History.timezone is {self.timezone!r}; it must be a name like America/Chicago"
            ) from error
        check_frame(self.frame, self.channels)
        if self.ahead is not None:
            name = self.ahead_column
            if self.ahead.ndim != 1 or not len(self.ahead):
                raise BadInputError(f"History.ahead has shape {self.ahead.shape}; it must be a list of prices, or null")
            if name not in self.frame:
                raise BadInputError(f"History.ahead holds prices ahead; the history lacks the column {name!r}")
            check_range(name, self.ahead, lambda row: f"history.json, 'ahead' entry {row}")

    @property
    def ahead_column(self) -> str:
        """Column that `ahead` goes on with: the settlement price of a day-ahead market, else the day-ahead price."""
        return "market_price_usd_per_mwh" if self.publication == "day_ahead" else "day_ahead_price_usd_per_mwh"

    @property
    def hash(self) -> str:
        """SHA-256 over stamps, column names, values and publication rule, shortened to 16 hexadecimal digits."""
        digest = hashlib.sha256()
        digest.update(f"{self.publication}|{self.price_interval_s}|{self.timezone}|{self.published_h:g}|".encode())
        digest.update(pd.DatetimeIndex(self.frame.index).as_unit("s").asi8.tobytes())
        for name in (*COLUMNS, *sorted(self.channels)):
            if name in self.frame:
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(self.frame[name].to_numpy(np.float64)).tobytes())
        if self.ahead is not None:
            digest.update(np.ascontiguousarray(self.ahead, dtype=np.float64).tobytes())
        return digest.hexdigest()[:16]

    @property
    def start(self) -> pd.Timestamp:
        """Stamp of the first step."""
        return self.frame.index[0]

    @property
    def end(self) -> pd.Timestamp:
        """End of the last step."""
        return self.frame.index[-1] + STEP

    def save(self, folder: Path, beside: Mapping[str, str] | None = None) -> None:
        """Write the history into a new folder; an older one there is moved aside until the new one stands whole.

        Args:
            folder: The folder.
            beside: Texts to write beside it, by file name.
        """
        meta = {
            "kind": self.kind,
            "publication": self.publication,
            "price_interval_s": self.price_interval_s,
            "timezone": self.timezone,
            "published_h": self.published_h,
            "provenance": self.provenance,
            "ahead": None if self.ahead is None else self.ahead.tolist(),
            "channels": {name: asdict(channel) for name, channel in self.channels.items()},
            "hash": self.hash,
        }
        with whole_folder(folder, "history.json") as aside:
            # As bytes: pyarrow takes no path that is not UTF-8.
            (aside / "history.parquet").write_bytes(self.frame.to_parquet())
            (aside / "history.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
            for name, text in (beside or {}).items():
                (aside / name).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "History":
        """Read a history; raises BadInputError if a part is missing, damaged or does not match its hash.

        A folder that another process replaces meanwhile is read anew.
        """
        for _ in range(MOST_READS):
            before = _identity(folder)
            try:
                return cls._read(folder)
            except BadInputError:
                now = _identity(folder)
                is_moving = now is None and folder.with_name(f".{folder.name}.old").exists()
                if now == before and not is_moving:
                    raise
                time.sleep(_PAUSE_S)
        return cls._read(folder)

    @classmethod
    def _read(cls, folder: Path) -> "History":
        meta_path, table_path = folder / "history.json", folder / "history.parquet"
        for path in (meta_path, table_path):
            if not path.is_file():
                raise BadInputError(
                    f"{folder}: no {path.name}; make a history with `hashgym data synthesize` or `hashgym data import`"
                )
        try:
            meta = json.loads(read_file(meta_path, MAX_BYTES, folder))
            frame = read_parquet(read_file(table_path, MAX_BYTES, folder))
            expected, ahead = meta.pop("hash"), meta.pop("ahead", None)
            channels = {name: _channel(entry) for name, entry in meta.pop("channels", {}).items()}
            ahead = None if ahead is None else np.array(ahead, dtype=np.float64)
            history = cls(frame=frame, ahead=ahead, channels=channels, **meta)
        except BadInputError:
            raise
        except Exception as error:
            raise BadInputError(f"{folder}: not a readable history ({error})") from error
        if history.hash != expected:
            raise BadInputError(f"{table_path}: content hash is {history.hash}, history.json says {expected}")
        return history


MOST_READS: Final = 10
_PAUSE_S: Final = 0.01
"""How often a folder that is being replaced is read anew, and the time between. chosen: a replacement takes two renames."""


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another of the same name, None if there is none; numbers of files are used anew."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_ino, status.st_ctime_ns


def _channel(entry: dict[str, Any]) -> Channel:
    """Return a channel as a file declares it; a `delay_s` there is in the rows already."""
    return Channel(**{name: value for name, value in entry.items() if name != "delay_s"})


def price_ahead(history: History) -> np.ndarray:
    """Return the prices of `History.ahead_column` over the frame and on to the last one that is out, (n_steps or more,)."""
    within = history.frame[history.ahead_column].to_numpy(np.float64)
    return within if history.ahead is None else np.concatenate([within, history.ahead])


def check_frame(frame: pd.DataFrame, channels: Mapping[str, Channel]) -> None:
    """Check a table against the canonical form; raises BadInputError that names column and row."""
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex) or str(index.tz) != "UTC":
        raise BadInputError("a history's index must be a DatetimeIndex in UTC")
    if len(index) < 2:
        raise BadInputError(f"a history has {len(index)} rows; it must have 2 or more")
    steps = np.diff(index.as_unit("s").asi8)
    wrong = np.flatnonzero(steps != int(CONTROL_STEP_S))
    if wrong.size:
        raise BadInputError(f"history row {wrong[0] + 2} ({index[wrong[0] + 1]}) is not 300 s after the row before")
    for name, column in COLUMNS.items():
        if name not in frame and column.is_required:
            hint = renamed_hint(map(str, frame), [name])
            raise BadInputError(f"a history lacks the column {name!r} [{column.unit}]{hint}")
    for name in (str(entry) for entry in frame):
        if (name not in COLUMNS and name not in channels) or not name.isprintable() or len(name) > MOST_LETTERS:
            raise BadInputError(f"history column {name!r} is neither a known one nor declared in 'channels'")
        check_range(
            name,
            frame[name].to_numpy(np.float64),
            lambda row: f"history row {row + 1} ({index[row]})",
            channels.get(name),
        )
    for name in channels:
        if name not in frame or name in COLUMNS:
            raise BadInputError(f"history channel {name!r} is declared; it must be a column of its own")


def check_range(name: str, values: np.ndarray, where: Any, column: Channel | None = None) -> None:
    """Raise a BadInputError for the first value of a column that is not finite or out of range; `where(row)` names it."""
    allowed = COLUMNS[name] if column is None else column
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= allowed.low) & (values <= allowed.high)))
    if bad.size:
        row = int(bad[0])
        raise BadInputError(
            f"{where(row)}, column {name!r}: {float(values[row])!r} is not in {allowed.low:g}…{with_unit(allowed.high, allowed.unit)}"
        )


def month_range(history: History, first: str, last: str) -> tuple[int, int]:
    """Return the rows [first, last) of a span of dates.

    Args:
        history: The history.
        first: First day, ISO date, UTC.
        last: Day after the last, ISO date, UTC.

    Raises:
        BadInputError: The span is empty or reaches out of the history.

    Examples:
        >>> from hashgym.synthesis.generate import synthesize
        >>> month_range(synthesize("ercot", "2025-01-01", "2025-01-04", seed=1), "2025-01-02", "2025-01-03")
        (288, 576)
    """
    begin, end = pd.Timestamp(first, tz="UTC"), pd.Timestamp(last, tz="UTC")
    if not history.start <= begin < end <= history.end:
        raise BadInputError(
            f"span {first}…{last} is not inside the history {history.start.date()}…{history.end.date()} (or is empty)"
        )
    return int((begin - history.start) / STEP), int((end - history.start) / STEP)
