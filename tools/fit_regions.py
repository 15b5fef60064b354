"""Fit the regions that ship: `python -m tools.fit_regions DATA` writes synthesis/regions/*.yaml.

Weather and the prices that are at hand as files are fitted to them; the others are made from published figures. Both say
so in their files.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from hashgym.sim.foundation.files import write_text
from hashgym.sim.history.history import History
from hashgym.sources.assembly import import_history
from hashgym.synthesis.calibrate import dump, fit_region
from hashgym.synthesis.electricity import LoadModel, PowerModel, temperature_drivers
from hashgym.synthesis.figures import from_figures, scaled_to
from hashgym.synthesis.fitting import fit, with_quantiles
from hashgym.synthesis.scores import ScoreModel
from hashgym.synthesis.weather import WeatherModel, fit_weather

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = ROOT / "sources" / "mappings"
TARGET: Final = ROOT / "synthesis" / "regions"

WEATHER: Final = {
    "dallas": ("weather_dallas", "2020-01-02", "2024-01-01"),
    "philadelphia": ("weather_philadelphia", "2020-01-02", "2024-01-01"),
    "toronto": ("weather_toronto", "2020-01-02", "2024-01-01"),
    "frankfurt": ("weather_frankfurt", "2020-01-02", "2024-01-01"),
    "atlanta": ("weather_atlanta_typical", "2022-01-01", "2024-01-01"),
    "stockholm": ("weather_stockholm_typical", "2022-01-01", "2024-01-01"),
    "aurora": ("weather_aurora_typical", "2022-01-01", "2024-01-01"),
}

NORMALS_C: Final = {
    "calgary": ("aurora", [-8.9, -6.1, -1.9, 4.6, 9.8, 13.8, 16.2, 15.6, 10.8, 5.4, -3.1, -7.4]),
    "lulea": ("stockholm", [-9.0, -9.0, -4.5, 1.5, 7.5, 13.0, 17.0, 15.0, 9.5, 3.0, -3.0, -6.5]),
    "sacramento": ("dallas", [8.5, 11.0, 13.0, 15.5, 19.5, 22.5, 25.0, 24.5, 23.0, 18.5, 12.5, 8.5]),
    "madrid": ("frankfurt", [6.3, 7.9, 11.2, 12.9, 16.7, 22.2, 25.6, 25.1, 20.9, 15.1, 9.9, 6.9]),
    "malmo": ("stockholm", [1.0, 1.0, 3.0, 7.5, 12.5, 16.0, 18.5, 18.0, 14.5, 9.5, 5.5, 2.5]),
    "sydney": ("philadelphia", [23.5, 23.4, 22.0, 19.5, 16.6, 14.2, 13.4, 14.5, 17.0, 18.9, 20.4, 22.1]),
}
"""Places whose weather is that of a fitted place moved to their monthly means. Source: Environment Canada normals 1971-2000 (Calgary),
climatestotravel.com (Luleå); the others are assumed, from common climate tables."""

SOUTHERN: Final = ("sydney",)
"""Places whose seasons are half a year apart from those of the place that stands for them."""

ZONES: Final = {
    "dallas": "America/Chicago",
    "philadelphia": "America/New_York",
    "toronto": "America/Toronto",
    "frankfurt": "Europe/Berlin",
    "atlanta": "America/New_York",
    "stockholm": "Europe/Stockholm",
    "aurora": "America/Denver",
}

FIGURES_OF_ERCOT: Final = ("2024-01-01", "2026-01-01")
"""Years that ERCOT's published quantiles are of: runs of these years have them, with the years' own levels."""

SLOPES: Final = {"cold": 0.02, "heat": 0.03, "extreme": 0.03}
"""Answer of prices to temperature where it cannot be fitted. assumed: a third of ERCOT's."""

ERCOT_LOAD: Final = LoadModel(
    base_mw=46_000.0,
    hour_pu=(0.93, 0.90, 0.88, 0.87, 0.88, 0.92, 0.97, 0.99, 0.99, 0.99, 1.0, 1.01, 1.02, 1.03, 1.04, 1.06, 1.08, 1.09, 1.08, 1.07, 1.06, 1.04, 1.0, 0.96),
    weekend_pu=-0.04, heat_pu_per_k=0.030, cold_pu_per_k=0.019, noise_pu=0.02,
)  # fmt: skip
"""assumed: 43 GW on a mild spring day, 80-86 GW at 40 °C and 75 GW at -10 °C, as ERCOT's peaks of 2023-24; a peak at 17 h."""


def weather(name: str, data: Path) -> WeatherModel:
    """Fit the weather of a place to its file."""
    mapping, start, end = WEATHER[name]
    frame = _imported([mapping], start, end, data, ZONES[name]).frame.iloc[::12]
    local = pd.DatetimeIndex(frame.index).tz_convert(ZONES[name])
    return fit_weather(
        frame["outdoor_temp_c"].to_numpy(np.float64),
        frame["relative_humidity_pct"].to_numpy(np.float64),
        local,
        1.0,
        has_level=not mapping.endswith("_typical"),
    )


def _imported(names: list[str], start: str, end: str, data: Path, zone: str) -> History:
    """Import sources; what they lack of a history stands at constants, which no fit reads."""
    filler: dict[str, Any] = {
        "market_price_usd_per_mwh": 30.0,
        "outdoor_temp_c": 15.0,
        "relative_humidity_pct": 50.0,
        "coin_price_usd": 30e3,
        "difficulty": 5e13,
        "fee_share": 0.02,
    }
    texts = [yaml.safe_load((SOURCES / f"{name}.yaml").read_text(encoding="utf-8")) for name in names]
    mapped = {entry["column"] for text in texts for entry in text["series"]}
    rest = [{"column": k, "constant": v} for k, v in filler.items() if k not in mapped]
    extra: dict[str, Any] = {"series": rest}
    if not any("price" in text for text in texts):
        extra |= {"timezone": zone, "price": {"publication": "day_ahead", "interval_s": 3600}}
    scratch = TARGET / f".{'-'.join(names)}.yaml"
    scratch.write_text(yaml.safe_dump(extra), encoding="utf-8")
    try:
        return import_history([*(SOURCES / f"{name}.yaml" for name in names), scratch], start, end, data).history
    finally:
        scratch.unlink()


def _clock(
    model: WeatherModel,
    zone: str,
    shift_c: list[float] | None,
    *,
    is_south: bool = False,
    span: tuple[str, str] = ("2021-01-01", "2025-01-01"),
) -> tuple[pd.DatetimeIndex, dict[str, np.ndarray]]:
    """Return hours of whole years and what a place's weather drives on them."""
    local = pd.date_range(*span, freq="h", inclusive="left", tz="UTC").tz_convert(zone)
    placed = replace(model, shift_c=tuple(shift_c), is_south=is_south) if shift_c else model
    dry_c, _ = placed.draw(local, 1.0, np.random.default_rng(0), is_anchored=False)
    return local, temperature_drivers(dry_c)


def shift_of(place: str, models: dict[str, WeatherModel]) -> tuple[str, list[float] | None]:
    """Return the fitted place that stands for a place, and what moves it to the place's monthly means."""
    if place in models:
        return place, None
    base, normals = NORMALS_C[place]
    local = pd.date_range("2021-01-01", "2025-01-01", freq="h", inclusive="left", tz="UTC").tz_convert(ZONES[base])
    model = replace(models[base], is_south=place in SOUTHERN)
    runs = [model.draw(local, 1.0, np.random.default_rng(k), is_anchored=False)[0] for k in range(3)]
    means = pd.Series(np.mean(runs, axis=0)).groupby(np.asarray(local.month)).mean()
    return base, np.round(np.array(normals) - means.to_numpy(), 2).tolist()


def figured(key: str, figures: dict[str, Any], clock: tuple[pd.DatetimeIndex, dict[str, np.ndarray]]) -> ScoreModel:
    """Return a price model from published figures, with temperature as its driver."""
    return with_quantiles(from_figures(figures[key], SLOPES), clock[0], clock[1])


def ercot(data: Path, figures: dict[str, Any]) -> tuple[WeatherModel, PowerModel]:
    """Return ERCOT: day ahead fitted after the winter storm of 2021, at the level of 2024-25; real time around it."""
    history = _imported(["ercot_day_ahead", "weather_dallas", "carbon_ercot"], "2021-03-01", "2023-12-31", data, "")
    place, power = fit_region(history)
    assert power.day_ahead is not None
    level = figures["ercot_da_2024"]
    day_ahead = scaled_to(power.day_ahead, level["quantiles"], level["low"], level["high"])
    for month in pd.period_range("2024-01", "2025-12", freq="M"):
        # Yearly medians: 20 USD in 2024, 28 in 2025; 24 in both together.
        price = 20.0 if month.year == 2024 else 28.0
        day_ahead.anchors[str(month)] = float(
            day_ahead.latent(np.array([price]))[0] - day_ahead.latent(np.array([24.0]))[0]
        )
    clock = _clock(place, "America/Chicago", None, span=FIGURES_OF_ERCOT)
    day_ahead = with_quantiles(day_ahead, clock[0], clock[1], is_anchored=True)
    settlement = _around(day_ahead, figures["ercot_rt"], clock)
    return place, replace(
        power, day_ahead=day_ahead, settlement=settlement, interval_s=900, load=ERCOT_LOAD, **ERS_CALLS
    )


ERS_CALLS: Final = {"deployments_per_year": 0.5, "tests_per_year": 1.0}
"""Calls of ERCOT's Emergency Response Service. Source: deployed on 13 July 2022 and on 6 September 2023, twice in 2022 to 2025; a test passed stands
for a year (Nodal Protocols 8.1.3)."""

REAL_TIME_ON_DAY_AHEAD: Final = 0.85
"""Slope of the real-time score on the day-ahead score. Chosen: gives the published correlation of 0.81 of asinh(price/20)."""


def _around(
    day_ahead: ScoreModel, figures: dict[str, Any], clock: tuple[pd.DatetimeIndex, dict[str, np.ndarray]]
) -> ScoreModel:
    model = from_figures(figures, {"day_ahead": REAL_TIME_ON_DAY_AHEAD}, day_ahead)
    quarters = pd.date_range(clock[0][0], clock[0][-1], freq="15min")
    score = day_ahead.standard(day_ahead.scores(clock[0], 1.0, clock[1], np.random.default_rng(5), is_anchored=True))
    return with_quantiles(model, quarters, {"day_ahead": np.repeat(score, 4)[: len(quarters)]})


def fitted(name: str, start: str, end: str, data: Path, usd_per_unit: float, weather: str | None = None) -> ScoreModel:
    """Return a price model fitted to a file, with the drivers of a weather file where one belongs to it."""
    frame = _imported([name] + ([weather] if weather else []), start, end, data, "").frame.iloc[::12]
    zone = yaml.safe_load((SOURCES / f"{name}.yaml").read_text(encoding="utf-8"))["timezone"]
    local = pd.DatetimeIndex(frame.index).tz_convert(zone)
    drivers = temperature_drivers(frame["outdoor_temp_c"].to_numpy(np.float64)) if weather else {}
    return fit(frame["market_price_usd_per_mwh"].to_numpy(np.float64) / usd_per_unit, local, 1.0, drivers)


def main() -> int:
    """Fit all regions; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the files that sources/mappings names")
    data = parser.parse_args().data
    figures = yaml.safe_load((ROOT / "synthesis" / "published.yaml").read_text(encoding="utf-8"))
    TARGET.mkdir(exist_ok=True)
    models = {name: weather(name, data) for name in WEATHER}
    place, power = ercot(data, figures)
    _write(
        "ercot",
        "America/Chicago",
        "dallas",
        place,
        None,
        power,
        "day ahead: file 2021-03…2023-12; real time: figures of 2024-25; load assumed",
    )
    eastern = _imported(["pjm_dom", "weather_philadelphia", "carbon_pjm"], "2021-01-02", "2023-12-30", data, "")
    beside = fit_region(eastern)[1]
    _write(
        "pjm",
        "America/New_York",
        "philadelphia",
        models["philadelphia"],
        None,
        beside,
        "file 2021…2023",
    )
    # Georgia has no market; its power costs what PJM's southern neighbour pays, under Atlanta's weather.
    georgia = replace(beside, carbon=None)
    _write("georgia", "America/New_York", "atlanta", models["atlanta"], None, georgia, "PJM's file 2021…2023")
    for name, zone, site, publication, unit, made in _others(data):
        base, shift_c = shift_of(site, models)
        clock = _clock(models[base], zone, shift_c, is_south=site in SOUTHERN)
        price = made if made is not None else figured(name, figures, clock)
        load = _alberta_load(data) if name == "alberta" else None
        is_ahead = publication == "day_ahead"
        carbon = _ontario_carbon(data) if name == "ontario" else None
        power = PowerModel(
            day_ahead=price if is_ahead else None,
            settlement=None if is_ahead else price,
            interval_s=3600,
            usd_per_unit=unit,
            load=load,
            carbon=carbon,
        )
        _write(name, zone, site, models[base], shift_c, power, "file" if made is not None else "published figures")
    return 0


def _others(data: Path) -> list[tuple[str, str, str, str, float, ScoreModel | None]]:
    """Return name, time zone, place, publication, dollars per unit of currency, and a fitted model if there is a file.

    Rates are yearly means of 2020-24, rounded. Source: European Central Bank reference rates.
    """
    return [
        ("nyiso", "America/New_York", "philadelphia", "day_ahead", 1.0, fitted("nyiso_capitl", "2020-01-02", "2023-12-31", data, 1.0, "weather_philadelphia")),
        ("caiso", "America/Los_Angeles", "sacramento", "day_ahead", 1.0, fitted("caiso_np15", "2020-01-02", "2023-12-31", data, 1.0)),
        ("sweden_north", "Europe/Stockholm", "lulea", "day_ahead", 1.08, fitted("se1_day_ahead", "2018-01-02", "2023-12-31", data, 1.08)),
        ("sweden_south", "Europe/Stockholm", "malmo", "day_ahead", 1.08, None),
        ("germany", "Europe/Berlin", "frankfurt", "day_ahead", 1.08, None),
        ("spain", "Europe/Madrid", "madrid", "day_ahead", 1.08, None),
        ("ontario", "America/Toronto", "toronto", "after_interval", 0.75, None),
        ("alberta", "America/Edmonton", "calgary", "after_interval", 0.75, None),
        ("new_south_wales", "Australia/Sydney", "sydney", "after_interval", 0.69, None),
    ]  # fmt: skip


def _alberta_load(data: Path) -> LoadModel:
    from hashgym.synthesis.electricity import fit_load

    frame = _imported(["aeso_pool_price", "weather_aurora_typical"], "2023-01-02", "2023-12-31", data, "").frame.iloc[
        ::12
    ]
    local = pd.DatetimeIndex(frame.index).tz_convert("America/Edmonton")
    load_mw = frame["grid_load_mw"].to_numpy(np.float64)
    return fit_load(load_mw, local, frame["outdoor_temp_c"].to_numpy(np.float64), 1.0)


def _ontario_carbon(data: Path) -> ScoreModel:
    frame = _imported(
        ["carbon_ontario", "weather_toronto"], "2021-01-02", "2023-12-31", data, "America/Toronto"
    ).frame.iloc[::12]
    local = pd.DatetimeIndex(frame.index).tz_convert("America/Toronto")
    model = fit(frame["carbon_g_per_kwh"].to_numpy(np.float64), local, 1.0, {})
    return replace(model, slopes={"price": 0.0})


def _write(
    name: str, zone: str, site: str, place: WeatherModel, shift_c: list[float] | None, power: PowerModel, fitted_to: str
) -> None:
    content: dict[str, Any] = {"region": name, "place": site, "fitted_to": fitted_to, "timezone": zone}
    if shift_c is not None:
        content["shift_c"] = shift_c
    if site in SOUTHERN:
        content["is_south"] = True
    content |= {"weather": place.as_dict(), "power": power.as_dict()}
    write_text(
        TARGET / f"{name}.yaml", "# Statistics computed from real history; see docs/synthesis.md.\n" + dump(content)
    )
    sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    sys.exit(main())
