"""Electricity: day-ahead prices that lean on the weather, real-time prices around them, carbon, load, calls and peaks."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from .scores import KNOTS, ScoreModel, autocorrelation, ou, parts_of

FloatArray = npt.NDArray[np.float64]

COLD_BELOW_C: Final = 5.0
HEAT_ABOVE_C: Final = 25.0
EXTREME_ABOVE_C: Final = 33.0
"""Temperatures beyond which prices answer to cold, heat and extreme heat. Source: ERCOT day-ahead price by Dallas temperature,
2020-24: the median rises below 5 °C and above 25 °C, and twice as fast above 33 °C."""

_LEAST_PART: Final = 0.15
"""Least variance that is left to what dies out. chosen: below it a price would be its calendar."""


def temperature_drivers(temp_c: FloatArray) -> dict[str, FloatArray]:
    """Return the kelvins of cold, heat and extreme heat, (n,) each."""
    return {
        "cold": np.maximum(0.0, COLD_BELOW_C - temp_c),
        "heat": np.maximum(0.0, temp_c - HEAT_ABOVE_C),
        "extreme": np.maximum(0.0, temp_c - EXTREME_ABOVE_C),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadModel:
    """Load of a grid: hour and weekday, cooling and heating degrees, and a part that dies out in a day. [MW]"""

    base_mw: float
    hour_pu: tuple[float, ...]
    weekend_pu: float
    heat_pu_per_k: float
    cold_pu_per_k: float
    noise_pu: float

    def draw(self, local: pd.DatetimeIndex, temp_c: FloatArray, step_h: float, rng: np.random.Generator) -> FloatArray:
        """Draw the load, (n,). [MW]"""
        hour = local.hour.to_numpy() + local.minute.to_numpy() / 60.0
        shape = np.interp(hour, np.arange(25) + 0.5, [*self.hour_pu, self.hour_pu[0]], period=24.0)
        heat, cold = degrees(temp_c)
        pu = shape + self.weekend_pu * (local.dayofweek.to_numpy() >= 5)
        pu = pu + self.heat_pu_per_k * heat + self.cold_pu_per_k * cold
        noise = self.noise_pu * ou(rng.standard_normal(len(local)), step_h / 24.0)
        return self.base_mw * np.maximum(pu + noise, 0.05)


def degrees(temp_c: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the kelvins above 18 °C and below 12 °C, to which load answers, (n,) each."""
    return np.maximum(0.0, temp_c - 18.0), np.maximum(0.0, 12.0 - temp_c)


def fit_load(load_mw: FloatArray, local: pd.DatetimeIndex, temp_c: FloatArray, step_h: float) -> LoadModel:
    """Fit the load model by least squares, (n,) each."""
    heat, cold = degrees(temp_c)
    hours = np.eye(24)[local.hour.to_numpy()]
    whole = np.column_stack([hours, local.dayofweek.to_numpy() >= 5, heat, cold]).astype(np.float64)
    beta = np.linalg.lstsq(whole, load_mw, rcond=None)[0]
    base = float(beta[:24].mean())
    return LoadModel(
        base_mw=base, hour_pu=tuple(np.round(beta[:24] / base, 4).tolist()), weekend_pu=float(beta[24] / base),
        heat_pu_per_k=float(beta[25] / base), cold_pu_per_k=float(beta[26] / base),
        noise_pu=float(np.std(load_mw - whole @ beta) / base),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerModel:
    """Electricity of a region.

    day_ahead: hourly, with the drivers of temperature; settlement: real time, with the day-ahead score as its driver, or
    with temperature where there is no day-ahead market; None: energy settles at the day-ahead price. usd_per_unit:
    dollars for a unit of the market's currency. carbon leans on the first price. calls_h_per_year: hours in which the
    dearest stress of the grid calls for curtailment.
    """

    day_ahead: ScoreModel | None
    settlement: ScoreModel | None
    interval_s: int
    usd_per_unit: float
    carbon: ScoreModel | None = None
    load: LoadModel | None = None
    calls_h_per_year: float = 0.0

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> "PowerModel":
        """Read a model as `as_dict` writes it."""
        models = {
            k: ScoreModel.parse(entry[k]) if entry.get(k) else None for k in ("day_ahead", "settlement", "carbon")
        }
        load = entry.get("load")
        if load:
            load = LoadModel(**{**load, "hour_pu": tuple(load["hour_pu"])})
        rest = {k: entry[k] for k in ("interval_s", "usd_per_unit", "calls_h_per_year")}
        return cls(**models, load=load, **rest)  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers for a YAML."""
        models = {k: getattr(self, k) for k in ("day_ahead", "settlement", "carbon")}
        result: dict[str, Any] = {k: model.as_dict() if model else None for k, model in models.items()}
        load = self.load
        result["load"] = {k: getattr(load, k) for k in LoadModel.__slots__} if load else None
        if load:
            result["load"]["hour_pu"] = list(load.hour_pu)
        return {**result, **{k: getattr(self, k) for k in ("interval_s", "usd_per_unit", "calls_h_per_year")}}

    @property
    def publication(self) -> str:
        """When the settlement price is known."""
        return "day_ahead" if self.settlement is None else "after_interval"

    def draw(
        self, index: pd.DatetimeIndex, timezone: str, temp_c: FloatArray, rng: np.random.Generator, *, is_anchored: bool
    ) -> dict[str, FloatArray]:
        """Draw the columns of a history, (n_steps,) each.

        Args:
            index: Steps of 300 s, UTC.
            timezone: Local time of the market.
            temp_c: Dry bulb of each step. [°C]
            rng: Generator of the draws.
            is_anchored: As `ScoreModel.scores` has it.
        """
        generators = [np.random.default_rng(s) for s in rng.integers(0, 2**63, 5)]
        hourly = _Grid.of(index, timezone, 3600)
        drivers = temperature_drivers(temp_c[hourly.at])
        result: dict[str, FloatArray] = {}
        first = None
        if self.day_ahead is not None:
            first = self.day_ahead.scores(hourly.local, 1.0, drivers, generators[0], is_anchored=is_anchored)
            result["day_ahead_price_usd_per_mwh"] = hourly.hold(self.day_ahead.values(first) * self.usd_per_unit)
        grid, stress = hourly, first
        if self.settlement is None:
            result["price_usd_per_mwh"] = result.pop("day_ahead_price_usd_per_mwh")
        else:
            grid = _Grid.of(index, timezone, self.interval_s)
            own = temperature_drivers(temp_c[grid.at]) if first is None else {"day_ahead": hourly.hold(first)[grid.at]}
            step_h = self.interval_s / 3600.0
            stress = self.settlement.scores(grid.local, step_h, own, generators[1], is_anchored=is_anchored)
            result["price_usd_per_mwh"] = grid.hold(self.settlement.values(stress) * self.usd_per_unit)
        assert stress is not None
        if self.carbon is not None:
            driver = {"price": grid.hold(stress)[hourly.at] if first is None else first}
            score = self.carbon.scores(hourly.local, 1.0, driver, generators[2], is_anchored=is_anchored)
            result["carbon_g_per_kwh"] = hourly.hold(self.carbon.values(score))
        if self.load is not None:
            local = pd.DatetimeIndex(index).tz_convert(timezone)
            result["grid_load_mw"] = self.load.draw(local, temp_c, 1.0 / 12.0, generators[3])
        if self.calls_h_per_year > 0.0:
            model = self.settlement if self.settlement is not None else self.day_ahead
            assert model is not None
            result["curtailment_call"] = calls(grid.hold(stress), index, model, self.calls_h_per_year)
        return result


@dataclass(frozen=True, slots=True)
class _Grid:
    """Intervals of the market's clock over steps: the step at which each begins, its local time, and each step's interval."""

    at: npt.NDArray[np.int64]
    local: pd.DatetimeIndex
    of_step: npt.NDArray[np.int64]

    @classmethod
    def of(cls, index: pd.DatetimeIndex, timezone: str, interval_s: int) -> "_Grid":
        local = pd.DatetimeIndex(index).tz_convert(timezone)
        seconds = local.tz_localize(None).as_unit("s").asi8
        begins = np.concatenate([[True], (seconds[1:] % interval_s == 0)])
        at = np.flatnonzero(begins)
        return cls(at, local[at], np.cumsum(begins) - 1)

    def hold(self, values: FloatArray) -> FloatArray:
        return values[self.of_step]


CALL_STEPS: Final = (12, 48)
"""Shortest and longest curtailment call in steps of 5 minutes, and the most in a day. assumed: one to four hours, as in the summer contract
periods of demand-response programmes."""


LEAST_YEAR_STEPS: Final = 60 * 288
"""Steps of a year from which its own dearest hours are known. chosen: two months."""


def calls(stress: FloatArray, index: pd.DatetimeIndex, model: ScoreModel, hours_per_year: float) -> FloatArray:
    """Return 1 in curtailment calls: they begin where the grid's stress is among its highest hours, (n_steps,).

    A call lasts as long as the stress, an hour at least and four at most; a day has four hours at most. In a year that is
    dearer than the model's the hours are those of the year.
    """
    # The knots are the model's own quantiles: the score that it passes for the asked share of hours.
    share = min(hours_per_year / 8766.0, 0.05)
    threshold = np.full(len(stress), float(np.interp(1.0 - share, special.ndtr(KNOTS), model.score)))
    year = index.year.to_numpy()
    for number in np.unique(year):
        own = year == number
        if own.sum() >= LEAST_YEAR_STEPS:
            threshold[own] = max(threshold[own][0], float(np.quantile(stress[own], 1.0 - share)))
    high = stress > threshold
    day = (index.as_unit("s").asi8 - 8 * 3600) // 86400
    called, left, used, today = np.zeros(len(stress)), 0, 0, -1
    shortest, longest = CALL_STEPS
    for step in np.flatnonzero(high | np.concatenate([[False], high[:-1]])):
        if day[step] != today:
            today, used = int(day[step]), 0
        if not high[step] or called[step] or used >= longest:
            continue
        run = int(np.argmin(np.append(high[step : step + longest], False)))
        left = min(max(run, shortest), longest - used)
        called[step : step + left] = 1.0
        used += left
    return called


def from_figures(figures: dict[str, Any], slopes: dict[str, float], driver: ScoreModel | None = None) -> ScoreModel:
    """Return a model from published figures where the series itself is not at hand; its knots are still to be moved.

    Args:
        figures: quantiles {probability: value}, low, high, median_by_hour and p95_by_hour (24), median_by_month (12), ac (1 h,
            24 h, 168 h; of asinh(value/20)), weekend_ratio; level_std.
        slopes: Score per unit of each driver.
        driver: Model of the first driver, whose season and variance are taken off.
    """
    value, score = from_quantiles(figures["quantiles"], figures["low"], figures["high"]), KNOTS

    def latent(values: Any) -> FloatArray:
        return np.interp(np.asarray(values, dtype=np.float64), value + 1e-9 * np.arange(len(value)), score)

    hour, month = latent(figures["median_by_hour"]), latent(figures["median_by_month"])
    season = hour[None, :] + (month - month.mean())[:, None]
    spread = (latent(figures["p95_by_hour"]) - hour) / float(special.ndtri(0.95))
    level_std = float(figures.get("level_std", 0.3))
    known_var = level_std**2 + float(month.var())
    if driver is not None:
        slope = next(iter(slopes.values()))
        noise_var = np.outer(driver.spread_month**2, driver.spread_hour**2).mean(axis=0) + driver.level_std**2
        season = hour[None, :] - slope * driver.season.mean(axis=0)[None, :]
        season = np.repeat(season, 12, axis=0)
        known_var = slope**2 * (noise_var + driver.season.std(axis=0) ** 2)
        level_std = 0.0
    rest = np.sqrt(np.maximum(spread**2 - known_var, _LEAST_PART))
    return ScoreModel(
        score=score, value=value, season=season,
        weekend=float(latent(np.median(value) * figures["weekend_ratio"]) - latent(np.median(value))),
        slopes=slopes, spread_month=np.ones(12), spread_hour=rest,
        parts=_parts_from(figures["ac"], hour, float(np.mean(rest**2)), driver), level_std=level_std,
    )  # fmt: skip


def _parts_from(
    ac: dict[float, float], hour: FloatArray, rest_var: float, driver: ScoreModel | None
) -> tuple[tuple[float, float], ...]:
    """Return the parts that give a whole series its autocorrelations, beside what its season and drivers give."""
    lags = np.array(sorted(float(k) for k in ac))
    wanted = np.array([float(ac[k]) for k in sorted(ac)])
    seasonal = np.array([autocorrelation(np.tile(hour, 3), max(1, round(lag)) % 24 or 24) for lag in lags])
    other_var = 1.0 - rest_var
    slow = 0.97 if driver is None else 0.9
    # What is not the rest is season, level and driver: the season comes back daily, the others fade slowly.
    share = min(float(hour.var()) / max(other_var, 1e-6), 1.0)
    other = other_var * (share * seasonal + (1.0 - share) * slow ** (lags / 24.0))
    return parts_of(lags, np.clip((wanted - other) / rest_var, 0.0, 1.0))


def scaled_to(model: ScoreModel, quantiles: dict[float, float], low: float, high: float) -> ScoreModel:
    """Return a model of other quantiles; anchors are moved so that each month keeps its median."""
    fresh = from_quantiles(quantiles, low, high)
    moved = {}
    for name, level in model.anchors.items():
        season = float(model.season[int(name[5:]) - 1].mean())
        median = model.values(np.array([season + level]))
        moved[name] = float(np.interp(median, fresh, KNOTS)[0]) - season
    return replace(model, value=fresh, score=KNOTS, anchors=moved)


def from_quantiles(quantiles: dict[float, float], low: float, high: float) -> FloatArray:
    """Return the values at a model's knots from some quantiles, interpolated in asinh(value/20)."""
    given = sorted((float(p), float(v)) for p, v in quantiles.items())
    z = np.concatenate([[-5.0], special.ndtri(np.array([p for p, _ in given])), [5.0]])
    v = np.arcsinh(np.array([low, *[v for _, v in given], high]) / 20.0)
    return 20.0 * np.sinh(np.interp(KNOTS, z, v))
