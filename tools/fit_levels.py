"""Bring the calendar years of synthetic prices to their published means: `python -m tools.fit_levels`.

A region's model has one level for years without monthly anchors; a year that is named in results should be as dear as it was. The factors of
`synthesis.electricity.levelled` are searched so that the mean over drawn years is the published one, and written into the regions.
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import yaml

from hashgym.sim.foundation.files import write_text
from hashgym.synthesis import generate
from hashgym.synthesis.calibrate import dump
from hashgym.synthesis.electricity import PowerModel, levelled
from hashgym.synthesis.weather import WeatherModel

ROOT: Final = Path(__file__).resolve().parent.parent / "synthesis"
SEEDS: Final = range(100, 120)
"""Seeds of the years over which the mean is taken, none of a scenario's. chosen: twenty."""

FACTORS: Final = (0.05, 20.0)
"""Range in which a factor is searched. chosen."""


def factors(region: str, published: dict[str, dict[int, float]]) -> dict[str, dict[int, float]]:
    """Return the factor of each year of each column of prices of a region."""
    content = generate.read_region(region)
    content = {**content, "power": {**content["power"], "level_by_year": {}}}
    weather = WeatherModel.parse(content["weather"], content.get("shift_c"), is_south=bool(content.get("is_south")))
    power = PowerModel.parse(content["power"])
    years = sorted({year for by_year in published.values() for year in by_year})
    zone = content["timezone"]
    index = pd.date_range(
        pd.Timestamp(f"{years[0]}-01-01", tz=zone).tz_convert("UTC"),
        pd.Timestamp(f"{years[-1] + 1}-01-01", tz=zone).tz_convert("UTC"),
        freq="5min",
        inclusive="left",
    )
    hours = index[::12]
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in published}
    for seed in SEEDS:
        weather_rng, power_rng = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
        dry_c, _ = weather.draw(hours.tz_convert(zone), 1.0, weather_rng, is_anchored=True)
        columns = power.draw(index, zone, np.repeat(dry_c, 12), power_rng, is_anchored=True)
        for name in published:
            drawn[name].append(columns[name][::3])
    year = index[::3].tz_convert(zone).year.to_numpy()
    return {name: _of_column(power, name, np.stack(drawn[name]), year, by_year) for name, by_year in published.items()}


def _of_column(
    power: PowerModel, name: str, drawn: np.ndarray, year: np.ndarray, by_year: dict[int, float]
) -> dict[int, float]:
    model = power.day_ahead if name == "day_ahead_price_usd_per_mwh" or power.settlement is None else power.settlement
    assert model is not None
    found = {}
    for number, mean in by_year.items():
        part = drawn[:, year == number].ravel()
        low, high = FACTORS
        for _ in range(40):
            middle = float(np.sqrt(low * high))
            level = levelled(part, np.full(len(part), number), {number: middle}, model, power.usd_per_unit).mean()
            low, high = (low, middle) if level > mean * power.usd_per_unit else (middle, high)
        found[number] = round(float(np.sqrt(low * high)), 4)
    return found


def main() -> None:
    """Write the factors of every region that has published means."""
    published = yaml.safe_load((ROOT / "published.yaml").read_text(encoding="utf-8"))["yearly"]
    for region, columns in published.items():
        path = ROOT / "regions" / f"{region}.yaml"
        head, content = path.read_text(encoding="utf-8").split("\n", 1)[0], generate.read_region(region)
        power = {**content["power"], "level_by_year": factors(region, columns)}
        write_text(path, f"{head}\n{dump({**content, 'power': power})}")
        sys.stdout.write(f"{region} {power['level_by_year']}\n")


if __name__ == "__main__":
    main()
