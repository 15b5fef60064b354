"""Electricity: day-ahead prices that lean on the weather, real-time prices around them, carbon, load, calls and peaks."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

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
        if self.carbon is not None:
            driver = {"price": self._first.standard(stress)[grid.of_step[hourly.at]] if ahead is None else ahead}
            score = self.carbon.scores(hourly.local, 1.0, driver, generators[2], is_anchored=is_anchored)
            result["carbon_g_per_kwh"] = hourly.hold(self.carbon.values(score))
        if self.load is not None:
            local = pd.DatetimeIndex(index).tz_convert(timezone)
            result["grid_load_mw"] = self.load.draw(local, temp_c, 1.0 / 12.0, generators[3])
        if self.calls_h_per_year > 0.0:
            local = pd.DatetimeIndex(index).tz_convert(timezone)
            result["curtailment_call"] = calls(grid.hold(stress), local, self._last, self.calls_h_per_year)
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


def calls(stress: FloatArray, local: pd.DatetimeIndex, model: ScoreModel, hours_per_year: float) -> FloatArray:
    """Return 1 in curtailment calls: they begin where the grid's stress is among its highest hours, (n_steps,).

    A call lasts as long as the stress, an hour at least and four at most; a local day has four hours at most. The hours are the
    highest of each year; where less than two months of one are there, those that are high for the model.

    Args:
        stress: Score of the price at which energy settles, (n_steps,).
        local: Local times of the steps.
        model: The price's model.
        hours_per_year: Hours of calls in a year.
    """
    share = min(hours_per_year / 8766.0, 0.05)
    usual = float(np.interp(special.ndtri(1.0 - share), KNOTS, model.score))
    year, day = local.year.to_numpy(), local.dayofyear.to_numpy()
    called = np.zeros(len(stress))
    for number in np.unique(year):
        own = np.flatnonzero(year == number)
        if len(own) < LEAST_YEAR_STEPS:
            called[own] = _called(stress[own] > usual, day[own])
            continue
        # Calls are longer than the stress is high: the threshold is the one at which they last as long as they should.
        low, high = float(np.median(stress[own])), float(stress[own].max())
        for _ in range(20):
            middle = 0.5 * (low + high)
            is_more = _called(stress[own] > middle, day[own]).mean() > share
            low, high = (middle, high) if is_more else (low, middle)
        called[own] = _called(stress[own] > high, day[own])
    return called


def _called(is_high: npt.NDArray[np.bool_], day: npt.NDArray[np.int32]) -> FloatArray:
    """Return 1 in the calls that steps of high stress bring, (n_steps,)."""
    called, used, today = np.zeros(len(is_high)), 0, -1
    shortest, longest = CALL_STEPS
    for step in np.flatnonzero(is_high):
        if day[step] != today:
            today, used = int(day[step]), 0
        if called[step] or used >= longest:
            continue
        run = int(np.argmin(np.append(is_high[step : step + longest], False)))
        steps = min(max(run, shortest), longest - used)
        called[step : step + steps] = 1.0
        used += steps
    return called
