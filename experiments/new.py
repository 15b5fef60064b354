"""`hashgym new site DIR`: a site of one's own to begin with: scenario, mapping and a table that run as they are."""

import argparse
import re
import shlex
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_text
from hashgym.sources.assembly import import_history
from hashgym.synthesis.generate import synthesize

START: Final = "2025-01-01"
END: Final = "2025-03-01"
SCENARIO: Final = """\
# A site of one's own. `hashgym data schema scenario` prints every key with its type, default and meaning.
name: {name}
site:
  altitude_m: 200.0              # metres above the sea
  zones:                         # one entry for machines of one model under one plant
    - machine: S19j Pro          # docs/machines.md lists them
      firmware: slow_tuner       # or fast_curtail
      n_units: 100
      plant: {{kind: container}}   # or room, loop (hydro and immersion), rear_door
tariff:
  kind: real_time                # the market's price and an adder; or flat, time_of_use
  adder_usd_per_mwh: 12.0
history: history                 # a folder beside this file: hashgym data import mapping.yaml --out history
splits:                          # first day and the day after the last, UTC; they share no day
  train: ["2025-01-05", "2025-02-01"]
  validation: ["2025-02-01", "2025-02-13"]
  test: ["2025-02-13", "2025-02-27"]
episode_days: 1
"""
MAPPING: Final = """\
# Which file and column holds what. `hashgym data schema mapping` prints every key; docs/history.md has examples of services' files.
source: the table beside this file; put the names of your own sources here
start: "2025-01-02"              # UTC
end: "2025-02-27"
timezone: America/Chicago        # of the market, and of stamps that state no offset
price: {publication: after_interval, interval_s: 3600}   # or day_ahead
series:
  - {column: market_price_usd_per_mwh, files: [site.csv], time: time, value: price_usd_per_mwh, unit: usd/mwh}
  - {column: outdoor_temp_c, files: [site.csv], time: time, value: temp_c, unit: c}
  - {column: relative_humidity_pct, files: [site.csv], time: time, value: humidity_pct, unit: percent}
  # The close of an hour is known when the hour is over: nothing is used before its stamp plus delay_s.
  - {column: coin_price_usd, files: [site.csv], time: time, value: btc_usd, unit: usd, delay_s: 3600}
  - {column: difficulty, files: [site.csv], time: time, value: difficulty, unit: "1"}
  - {column: fee_share, files: [site.csv], time: time, value: fee_share, unit: fraction, delay_s: 3600}
"""


def main(args: list[str]) -> int:
    """Write the files and import the table once; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hashgym new", description=__doc__)
    parser.add_argument("what", choices=("site",), help="what to begin with")
    parser.add_argument("folder", type=Path, help="folder that gets site.yaml, mapping.yaml, site.csv and history/")
    options = parser.parse_args(args)
    folder: Path = options.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInputError(f"{folder} exists and is not empty; name a new folder")
    write_text(folder / "site.csv", _table())
    write_text(folder / "mapping.yaml", MAPPING)
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in folder.resolve().name) or "my_site"
    write_text(folder / "site.yaml", SCENARIO.format(name=name))
    import_history(folder / "mapping.yaml").history.save(folder / "history")
    site, run = _override("scenario", folder / "site.yaml"), folder / "run"
    imported = f"{shlex.quote(str(folder / 'mapping.yaml'))} --out {shlex.quote(str(folder / 'history'))}"
    sys.stdout.write(
        f"{folder / 'site.yaml'}, mapping.yaml and site.csv stand there, and history/, made of them. Put your own files in, then:\n"
        f"  hashgym data import {imported}\n"
        f"  hashgym train {site} experiment=smoke {_override('hydra.run.dir', run)}\n"
        f"  hashgym evaluate {site} {_override('runs', run)}\n"
    )
    return 0


def _override(key: str, path: Path) -> str:
    """Return an override of a path as a shell takes it: Hydra wants quotes around blanks and letters that are not ASCII."""
    is_plain = re.fullmatch(r"[\w./-]+", str(path), re.ASCII) is not None
    return f"{key}={path}" if is_plain else shlex.quote(f"{key}='{path}'")


def _table() -> str:
    """Return two months of hours, synthetic, as a table that a utility, a weather station and an exchange might give."""
    frame = synthesize("ercot", START, END, seed=1).frame
    hours = frame.iloc[:: pd.Timedelta("1h") // pd.Timedelta("5min")]
    table = pd.DataFrame(
        {
            "time": pd.DatetimeIndex(hours.index).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "price_usd_per_mwh": hours["market_price_usd_per_mwh"].round(2).to_numpy(),
            "temp_c": hours["outdoor_temp_c"].round(1).to_numpy(),
            "humidity_pct": hours["relative_humidity_pct"].round(0).to_numpy(),
            "btc_usd": hours["coin_price_usd"].round(2).to_numpy(),
            "difficulty": np.round(hours["difficulty"].to_numpy(), -6),
            "fee_share": hours["fee_share"].round(5).to_numpy(),
        }
    )
    return table.to_csv(index=False)
