"""A cache of one service: a CSV for each chunk, what each came from, and the mapping that reads them all."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from ..sim.foundation.errors import BadInputError
from ..sim.foundation.files import write_text


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span [start, end) that is fetched at once."""

    start: pd.Timestamp
    end: pd.Timestamp

    @property
    def name(self) -> str:
        """File name of the chunk."""
        return f"{self.start:%Y%m%dT%H}-{self.end:%Y%m%dT%H}.csv"

    def names(self) -> dict[str, Any]:
        """Return what a query can be filled with."""
        last = self.end - pd.Timedelta(seconds=1)
        return {
            "start_s": int(self.start.timestamp()),
            "end_s": int(last.timestamp()),
            "start_ms": int(self.start.timestamp() * 1000),
            "end_ms": int(self.end.timestamp() * 1000) - 1,
            "start_iso": self.start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "end_iso": last.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "start_day": self.start.strftime("%Y-%m-%d"),
            "end_day": last.strftime("%Y-%m-%d"),
            "start_date": self.start.strftime("%Y%m%d"),
            "end_date": last.strftime("%Y%m%d"),
            "days": max(1, round((self.end - self.start) / pd.Timedelta(days=1))),
        }


LATEST: Final = pd.Timedelta(days=30)
"""Age beyond which a chunk that ends early is taken as all there is. chosen: archives lag by days."""


def is_whole(frame: pd.DataFrame, chunk: Chunk, now: pd.Timestamp) -> bool:
    """Tell whether a chunk need not be asked for again: it reaches its end, or is so old that nothing more will come."""
    usual = frame["time"].diff().median() if len(frame) > 1 else pd.Timedelta(0)
    reaches_end = chunk.end - frame["time"].iloc[-1] <= 2 * usual
    return bool(chunk.end <= now and (reaches_end or now - chunk.end > LATEST))


class Cache:
    """The folder of one service."""

    def __init__(self, folder: Path) -> None:
        """Open it, or make it.

        Raises:
            BadInputError: The folder cannot be made, or its record of chunks is damaged.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "fetched.json"
            self.chunks: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except (OSError, ValueError) as error:
            raise BadInputError(f"{folder}: not a usable cache ({error}); remove it or name another folder") from error

    def has(self, chunk: Chunk) -> bool:
        """Tell whether a chunk lies there whole."""
        return bool(self.chunks.get(chunk.name, {}).get("is_whole")) and (self.folder / chunk.name).is_file()

    def add(self, chunk: Chunk, frame: pd.DataFrame, origin: dict[str, Any], *, is_whole: bool) -> None:
        """Keep a chunk's rows and where they came from; a chunk whose end lies in the future is asked for again."""
        written = frame.assign(time=frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self._write(chunk.name, written.to_csv(index=False))
        fetched = pd.Timestamp.now(tz="UTC").isoformat(timespec="seconds")
        self.chunks[chunk.name] = {**origin, "rows": len(frame), "fetched_utc": fetched, "is_whole": is_whole}
        self._write("fetched.json", json.dumps(self.chunks, indent=2, sort_keys=True) + "\n")

    def told(self) -> str:
        """Return in words how many chunks there are and which came from a second source."""
        switched = {k: v for k, v in self.chunks.items() if "switched_from" in v}
        text = f"{len(self.chunks)} chunks"
        if switched:
            seconds = sorted({entry["service"] for entry in switched.values()})
            text += f", {len(switched)} of them from {', '.join(seconds)}: {', '.join(sorted(switched))}"
        return text

    def write_mapping(self, source: str, series: list[dict[str, Any]], market: dict[str, Any] | None) -> None:
        """Write the mapping that reads all chunks."""
        files = sorted(self.chunks)
        entries = [{**entry, "files": files, "time": "time", "value": entry["column"]} for entry in series]
        content = {"source": source, **(market or {}), "series": entries}
        self._write("mapping.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    def _write(self, name: str, text: str) -> None:
        write_text(self.folder / name, text)
