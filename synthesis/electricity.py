"""Electricity: day-ahead prices that lean on the weather, real-time prices around them, carbon, load, calls and peaks."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .scores import KNOTS, ScoreModel, ou

FloatArray = npt.NDArray[np.float64]

COLD_BELOW_C: Final = 5.0
HEAT_ABOVE_C: Final = 25.0
EXTREME_ABOVE_C: Final = 33.0
"""Temperatures beyond which prices answer to cold, heat and extreme heat. Source: ERCOT day-ahead price by Dallas temperature,
2020-24: the median rises below 5 °C and above 25 °C, and twice as fast above 33 °C."""


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
        base_mw=base,
        hour_pu=tuple(np.round(beta[:24] / base, 4).tolist()),
        weekend_pu=float(beta[24] / base),
        heat_pu_per_k=float(beta[25] / base),
        cold_pu_per_k=float(beta[26] / base),
        noise_pu=float(np.std(load_mw - whole @ beta) / base),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerModel:
    """Electricity of a region.

    day_ahead: hourly, with the drivers of temperature; settlement: real time, with the day-ahead score as its driver, or
    with temperature where there is no day-ahead market; None: energy settles at the day-ahead price. usd_per_unit:
    dollars for a unit of the market's currency. carbon leans on the first price. deployments_per_year, tests_per_year: how often
    the grid calls for curtailment at its highest stress, and how often it tests whether load obeys, in the mean. level_by_year: for each column of prices, the factors that bring calendar
    years to their published means, see `levelled`.
    """

    day_ahead: ScoreModel | None
    settlement: ScoreModel | None
    interval_s: int
    usd_per_unit: float
    carbon: ScoreModel | None = None
    load: LoadModel | None = None
    deployments_per_year: float = 0.0
    tests_per_year: float = 0.0
    level_by_year: dict[str, dict[int, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> "PowerModel":
        """Read a model as `as_dict` writes it."""
        models = {
            k: ScoreModel.parse(entry[k]) if entry.get(k) else None for k in ("day_ahead", "settlement", "carbon")
        }
        load = entry.get("load")
        if load:
            load = LoadModel(**{**load, "hour_pu": tuple(load["hour_pu"])})
        rest = {k: entry[k] for k in ("interval_s", "usd_per_unit", "deployments_per_year", "tests_per_year")}
        levels = {name: dict(by_year) for name, by_year in entry.get("level_by_year", {}).items()}
        return cls(**models, load=load, level_by_year=levels, **rest)  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers for a YAML."""
        models = {k: getattr(self, k) for k in ("day_ahead", "settlement", "carbon")}
        result: dict[str, Any] = {k: model.as_dict() if model else None for k, model in models.items()}
        load = self.load
        result["load"] = {k: getattr(load, k) for k in LoadModel.__slots__} if load else None
        if load:
            result["load"]["hour_pu"] = list(load.hour_pu)
        numbers = ("interval_s", "usd_per_unit", "deployments_per_year", "tests_per_year")
        return {**result, "level_by_year": self.level_by_year, **{k: getattr(self, k) for k in numbers}}

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
        first = ahead = None
        if self.day_ahead is not None:
            first = self.day_ahead.scores(hourly.local, 1.0, drivers, generators[0], is_anchored=is_anchored)
            ahead = self.day_ahead.standard(first)
            result["day_ahead_price_usd_per_mwh"] = hourly.hold(self.day_ahead.values(first) * self.usd_per_unit)
        grid, stress = hourly, first
        if self.settlement is None:
            result["market_price_usd_per_mwh"] = result.pop("day_ahead_price_usd_per_mwh")
        else:
            grid = _Grid.of(index, timezone, self.interval_s)
            own = temperature_drivers(temp_c[grid.at]) if ahead is None else {"day_ahead": hourly.hold(ahead)[grid.at]}
            step_h = self.interval_s / 3600.0
            stress = self.settlement.scores(grid.local, step_h, own, generators[1], is_anchored=is_anchored)
            result["market_price_usd_per_mwh"] = grid.hold(self.settlement.values(stress) * self.usd_per_unit)
        assert stress is not None
        if is_anchored:
            year = pd.DatetimeIndex(index).tz_convert(timezone).year.to_numpy()
            for name, by_year in self.level_by_year.items():
                model = self._first if name == "day_ahead_price_usd_per_mwh" else self._last
                result[name] = levelled(result[name], year, by_year, model, self.usd_per_unit)
        if self.carbon is not None:
            driver = {"price": self._first.standard(stress)[grid.of_step[hourly.at]] if ahead is None else ahead}
            score = self.carbon.scores(hourly.local, 1.0, driver, generators[2], is_anchored=is_anchored)
            result["carbon_g_per_kwh"] = hourly.hold(self.carbon.values(score))
        if self.load is not None:
            local = pd.DatetimeIndex(index).tz_convert(timezone)
            result["grid_load_mw"] = self.load.draw(local, temp_c, 1.0 / 12.0, generators[3])
        if self.deployments_per_year > 0.0 or self.tests_per_year > 0.0:
            local, per_year = (
                pd.DatetimeIndex(index).tz_convert(timezone),
                (self.deployments_per_year, self.tests_per_year),
            )
            result["curtailment_call"] = calls(grid.hold(stress), local, per_year, generators[4])
        return result

    @property
    def _first(self) -> ScoreModel:
        """Model of the price that is known first: the day ahead where there is one."""
        model = self.day_ahead if self.day_ahead is not None else self.settlement
        assert model is not None
        return model

    @property
    def _last(self) -> ScoreModel:
        """Model of the price at which energy settles."""
        model = self.settlement if self.settlement is not None else self.day_ahead
        assert model is not None
        return model


def levelled(
    price: FloatArray, year: npt.NDArray[np.int32], by_year: dict[int, float], model: ScoreModel, usd_per_unit: float
) -> FloatArray:
    """Return prices at the level of their years, (n_steps,): a dear year has the higher peaks, a cheap one is cheaper at all hours.

    A factor above 1 stretches what lies above the model's median, one below 1 shrinks positive prices. No price passes the
    model's highest.

    Args:
        price: Prices as the model draws them, (n_steps,). [USD/MWh]
        year: Local year of each step, (n_steps,).
        by_year: Factor of each year; others keep the model's level.
        model: The model.
        usd_per_unit: Dollars for a unit of the model's currency.
    """
    middle, highest = (float(np.interp(x, KNOTS, model.value)) * usd_per_unit for x in (0.0, KNOTS[-1]))
    years, at = np.unique(year, return_inverse=True)
    factor = np.array([by_year.get(int(y), 1.0) for y in years])[at]
    base = np.where(factor > 1.0, middle, 0.0)
    return np.minimum(np.where(price > base, base + factor * (price - base), price), np.maximum(price, highest))


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


DEPLOYMENT_H: Final = (1.0, 3.75)
"""Shortest and longest deployment. [h] Source: ERCOT Emergency Response Service, 13 July 2022, 14:58 to 18:44; 6 September 2023, about an hour."""

TEST_H: Final = 0.5
"""Length of an unannounced test. [h] assumed: under an hour."""

TEST_HOURS: Final = (8, 20)
"""Local hours of weekdays in which tests begin, first and the one after the last. assumed."""

APART_STEPS: Final = 7 * 288
"""Steps from one deployment to the next at least. chosen: a week; a day of stress is one deployment."""


def calls(
    stress: FloatArray, local: pd.DatetimeIndex, per_year: tuple[float, float], rng: np.random.Generator
) -> FloatArray:
    """Return 1 in curtailment calls: deployments, which begin where the grid's stress is highest, and tests, (n_steps,).

    Args:
        stress: Score of the price at which energy settles, (n_steps,).
        local: Local times of the steps.
        per_year: Deployments and tests in a year, in the mean.
        rng: Generator of the draws.
    """
    called, years = np.zeros(len(stress)), len(stress) / (8766.0 * 12.0)
    n_deployments, n_tests = (int(rng.poisson(rate * years)) for rate in per_year)
    order, begins = np.argsort(-stress, kind="stable"), list[int]()
    for step in order:
        if len(begins) >= n_deployments:
            break
        if all(abs(step - other) >= APART_STEPS for other in begins):
            begins.append(int(step))
    for step in begins:
        called[step : step + round(float(rng.uniform(*DEPLOYMENT_H)) * 12)] = 1.0
    hour = local.hour.to_numpy()
    may_test = np.flatnonzero((local.dayofweek.to_numpy() < 5) & (hour >= TEST_HOURS[0]) & (hour < TEST_HOURS[1]))
    for step in rng.choice(may_test, min(n_tests, len(may_test)), replace=False):
        called[step : step + round(TEST_H * 12)] = 1.0
    return called
