"""A synthetic history: weather, electricity and coins drawn together, seed by seed, and marked as synthetic."""

from dataclasses import replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import yaml

from ..sim.foundation.errors import BadInputError
from ..sim.foundation.yamls import read_yaml
from ..sim.history.history import STEP, History
from . import reserves, sky
from .coin import STEPS_PER_DAY, STEPS_PER_HOUR, CoinModel, draw_bitcoin, draw_others, returns
from .electricity import PowerModel
from .weather import WeatherModel

_DIGITS: Final = {"coin_price_usd": 2, "price_usd": 6, "fee_share": 6, "relative_humidity_pct": 2}
"""Decimals that are kept, 3 where none are named: as published, and so that processors agree on a history bit for bit."""

GENERATOR: Final = "hashgym.synthesis 4"


@lru_cache(maxsize=32)
def _yaml(name: str) -> Any:
    text = resources.files("hashgym.synthesis").joinpath(name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=_LOADER)


_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def regions() -> tuple[str, ...]:
    """Return the names of the regions that ship."""
    folder = resources.files("hashgym.synthesis").joinpath("regions")
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def read_region(region: str) -> dict[str, Any]:
    """Return a region's content: one that ships, by name, or a file that `hashgym data calibrate` wrote.

    Raises:
        BadInputError: There is neither.
    """
    if region in regions():
        content: dict[str, Any] = _yaml(f"regions/{region}.yaml")
        return content
    path = Path(region)
    if path.suffix != ".yaml" or not path.is_file():
        raise BadInputError(
            f"no region {region!r}; there are {', '.join(regions())}, or a file of `hashgym data calibrate`"
        )
    loaded = read_yaml(path, "region")
    if not isinstance(loaded, dict) or not {"timezone", "weather", "power"} <= set(loaded):
        raise BadInputError(f"{path}: a region has the keys timezone, weather and power")
    return loaded


def synthesize(
    region: str,
    start: str,
    end: str,
    seed: int,
    coins: tuple[str, ...] = (),
    kind: Literal["replay", "free"] = "replay",
    weather: tuple[str, ...] = (),
    hashprice_usd_per_ph_day: float | None = None,
    reserve: str | None = None,
) -> History:
    """Make a synthetic history.

    Args:
        region: A region that ships, or the path of one that was calibrated.
        start: First day, ISO date, UTC.
        end: Day after the last, ISO date, UTC.
        seed: Seed of every draw.
        coins: Coins beside Bitcoin: of bch, ltc, doge.
        kind: "replay" keeps to the published monthly and quarterly levels where there are any; "free" starts from the level
            at the start and runs.
        weather: Weather beside temperature and humidity: of sun, wind.
        hashprice_usd_per_ph_day: Level to which Bitcoin's hashprice keeps in a replay, in place of the published quarters.
        reserve: Kind of reserve whose prices and deployments are drawn: rrs, ecrs or nonspin.

    Raises:
        BadInputError: Region, coin, kind, weather or span is none.

    Examples:
        >>> history = synthesize("ercot", "2025-01-01", "2025-01-03", seed=1)
        >>> history.kind, len(history.frame), history.timezone
        ('synthetic', 576, 'America/Chicago')
    """
    content = read_region(region)
    try:
        is_south = bool(content.get("is_south", False))
        climate = WeatherModel.parse(content["weather"], content.get("shift_c"), is_south=is_south)
        power = PowerModel.parse(content["power"])
        model = CoinModel.parse(content.get("coin") or _yaml("coin.yaml"))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInputError(f"region {region}: not a model of this version ({error!r})") from error
    _check(model, coins, kind, seed)
    if hashprice_usd_per_ph_day is not None:
        model = _at_level(model, hashprice_usd_per_ph_day, kind)
    wanted = _index(start, end)
    if kind == "replay" and wanted[-1] > model.published_until:
        raise BadInputError(
            f"published levels end on {model.published_until:%Y-%m-%d}; a replay cannot go on to {end}: kind 'free' can"
        )
    index = _whole_months(wanted, content["timezone"])
    weather_rng, power_rng, coin_rng, sky_rng, reserve_rng = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(5)
    )
    is_anchored = kind == "replay"
    frame = pd.DataFrame(index=index)
    hours = pd.date_range(index[0], periods=len(index) // STEPS_PER_HOUR + 2, freq="h")
    local = pd.DatetimeIndex(hours).tz_convert(content["timezone"])
    dry_c, humidity_pct = climate.draw(local, 1.0, weather_rng, is_anchored=is_anchored)
    at = np.arange(len(index)) / STEPS_PER_HOUR
    frame["outdoor_temp_c"] = np.interp(at, np.arange(len(hours)), dry_c)
    frame["relative_humidity_pct"] = np.interp(at, np.arange(len(hours)), humidity_pct)
    temp_c = frame["outdoor_temp_c"].to_numpy(np.float64)
    for column, values in power.draw(index, content["timezone"], temp_c, power_rng, is_anchored=is_anchored).items():
        frame[column] = values
    _add_beside(frame, content, weather, reserve, (sky_rng, reserve_rng))
    _add_coins(frame, model, coins, coin_rng, is_free=kind == "free")
    frame = frame.loc[wanted]
    for name in map(str, frame):
        if not name.endswith("difficulty"):
            frame[name] = frame[name].round(
                _DIGITS.get(name.removeprefix("bch_").removeprefix("ltc_").removeprefix("doge_"), 3)
            )
    return History(
        frame=frame,
        kind="synthetic",
        publication=power.publication,  # type: ignore[arg-type]
        price_interval_s=power.interval_s,
        timezone=content["timezone"],
        provenance=[
            {
                "generator": GENERATOR,
                "region": region,
                "start": start,
                "end": end,
                "seed": seed,
                "kind": kind,
                "coins": list(coins),
                **({"weather": list(weather)} if weather else {}),
                **({"reserve": reserve} if reserve else {}),
                **({"hashprice_usd_per_ph_day": hashprice_usd_per_ph_day} if hashprice_usd_per_ph_day else {}),
            }
        ],
    )


def _at_level(model: CoinModel, usd_per_ph_day: float, kind: str) -> CoinModel:
    """Return a coin model whose hashprice keeps to one level; raises BadInputError for a level or kind that has none."""
    if not (kind == "replay" and 0.0 < usd_per_ph_day < np.inf):
        raise BadInputError(f"hashprice_usd_per_ph_day is {usd_per_ph_day!r}; it must be above 0, and of kind 'replay'")
    return replace(model, hashprice_level=dict.fromkeys(model.hashprice_level, float(usd_per_ph_day)))


def _add_beside(
    frame: pd.DataFrame,
    content: dict[str, Any],
    weather: tuple[str, ...],
    reserve: str | None,
    rngs: tuple[np.random.Generator, np.random.Generator],
) -> None:
    """Add what only some scenarios need: sun and wind, and prices of reserve."""
    index = pd.DatetimeIndex(frame.index)
    if weather:
        for column, values in sky.columns(weather, index, content["timezone"], content["place"], rngs[0]).items():
            frame[column] = values
    if reserve is not None:
        price = frame.get("day_ahead_price_usd_per_mwh", frame["market_price_usd_per_mwh"]).to_numpy(np.float64)
        for column, values in reserves.columns(reserve, price, index, content["timezone"], rngs[1]).items():
            frame[column] = values


def _check(model: CoinModel, coins: tuple[str, ...], kind: str, seed: int) -> None:
    """Refuse coins, kinds and seeds that there are not; raises BadInputError."""
    for coin in coins:
        if coin not in model.others:
            raise BadInputError(f"coin {coin!r} is unknown; beside Bitcoin there are {', '.join(model.others)}")
    if kind not in ("replay", "free"):
        raise BadInputError(f"kind is {kind!r}; it must be 'replay' or 'free'")
    if seed < 0:
        raise BadInputError(f"seed is {seed}; it must be 0 or more")


def _index(start: str, end: str) -> pd.DatetimeIndex:
    try:
        index = pd.date_range(start, end, freq=STEP, inclusive="left", tz="UTC")
    except (TypeError, ValueError) as error:
        raise BadInputError(f"span {start}…{end}: not dates like 2024-01-31 ({error})") from error
    if len(index) and (index[0] != index[0].floor("h")):
        raise BadInputError(f"span {start}…{end}: a history begins with a whole hour")
    if len(index) < 2 * STEPS_PER_DAY:
        raise BadInputError(f"span {start}…{end} is shorter than two days (or empty)")
    return index


def _whole_months(index: pd.DatetimeIndex, timezone: str) -> pd.DatetimeIndex:
    """Return the steps of the whole local months around a span: a month is drawn as one, whatever part of it is asked for."""
    first, last = (moment.tz_convert(timezone).tz_localize(None).to_period("M") for moment in (index[0], index[-1]))
    begin, end = (period.start_time.tz_localize(timezone).tz_convert("UTC") for period in (first, last + 1))
    return pd.date_range(begin, end, freq=STEP, inclusive="left")


def _add_coins(
    frame: pd.DataFrame, model: CoinModel, coins: tuple[str, ...], rng: np.random.Generator, *, is_free: bool
) -> None:
    index = pd.DatetimeIndex(frame.index)
    n_hours = len(index) // STEPS_PER_HOUR + 2
    lead = returns(model, index[0], n_hours, rng)
    bitcoin = draw_bitcoin(model, index, lead, rng, is_free=is_free)
    frame["coin_price_usd"], frame["fee_share"] = bitcoin.price_usd, bitcoin.fee_share
    frame["difficulty"] = np.round(bitcoin.difficulty, -6)
    for coin, drawn in draw_others(model, coins, index, lead, bitcoin, rng).items():
        frame[f"{coin}_price_usd"], frame[f"{coin}_fee_share"] = drawn.price_usd, drawn.fee_share
        frame[f"{coin}_difficulty"] = np.round(drawn.difficulty, 0)


def coin_content() -> dict[str, Any]:
    """Return the content of the coin model that ships."""
    return dict(_yaml("coin.yaml"))
