"""What electricity costs: tariffs, when their prices are known, and the settlement of energy."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .history import History
from .unit import require

FloatArray = npt.NDArray[np.float64]

HOURS_OF_DAY: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTimeTariff:
    """The history's settlement price plus an adder; known as the history says."""

    adder_usd_per_mwh: float = 15.0
    """Delivery charges and retail margin. [USD/MWh] assumed: large transmission-level load in ERCOT without 4CP."""

    def __post_init__(self) -> None:
        """Check the range; raises BadInputError."""
        require(
            np.isfinite(self.adder_usd_per_mwh), "RealTimeTariff", "adder_usd_per_mwh", self.adder_usd_per_mwh, "finite"
        )

    def settlement_usd_per_mwh(self, market_usd_per_mwh: FloatArray, local: pd.DatetimeIndex) -> FloatArray:
        """Return the price of energy in each step, (…, n_steps), from the market's and the local time. [USD/MWh]"""
        return market_usd_per_mwh + self.adder_usd_per_mwh

    def is_known_ahead(self, history: History) -> bool:
        """Tell whether the price of a step is known when the step begins."""
        return history.publication == "day_ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOfUseTariff:
    """A calendar of prices by local hour, weekdays and season; known for all time."""

    weekday_usd_per_mwh: tuple[float, ...]
    """Price by local hour of a weekday, 24 values. [USD/MWh]"""
    weekend_usd_per_mwh: tuple[float, ...]
    """Price by local hour of a Saturday or Sunday, 24 values. [USD/MWh]"""
    summer_factor: float = 1.0
    """Factor in the summer months."""
    summer_months: tuple[int, ...] = (6, 7, 8, 9)

    def __post_init__(self) -> None:
        """Check lengths and months; raises BadInputError."""
        for name in ("weekday_usd_per_mwh", "weekend_usd_per_mwh"):
            values = getattr(self, name)
            require(len(values) == HOURS_OF_DAY, "TimeOfUseTariff", name, values, "24 prices, one for each local hour")
        ok = all(1 <= month <= 12 for month in self.summer_months)
        require(ok, "TimeOfUseTariff", "summer_months", self.summer_months, "months from 1 to 12")

    def settlement_usd_per_mwh(self, market_usd_per_mwh: FloatArray, local: pd.DatetimeIndex) -> FloatArray:
        """Return the price of energy in each step, (…, n_steps), by the local time. [USD/MWh]"""
        hour = local.hour.to_numpy()
        weekday = np.asarray(self.weekday_usd_per_mwh, dtype=np.float64)[hour]
        weekend = np.asarray(self.weekend_usd_per_mwh, dtype=np.float64)[hour]
        price = np.where(local.dayofweek.to_numpy() < 5, weekday, weekend)
        summer = np.isin(local.month.to_numpy(), self.summer_months)
        price = np.where(summer, price * self.summer_factor, price)
        return np.broadcast_to(price, market_usd_per_mwh.shape).copy()

    def is_known_ahead(self, history: History) -> bool:
        """Tell whether the price of a step is known when the step begins: always."""
        return True


Tariff = RealTimeTariff | TimeOfUseTariff


def known_price_usd_per_mwh(settlement: FloatArray, settled_until: npt.NDArray[np.int64] | None) -> FloatArray:
    """Return the last price that is published when each step begins, (…, n_steps). [USD/MWh]

    Args:
        settlement: Price in force, (…, n_steps). [USD/MWh]
        settled_until: For each step, the step before which prices are out, (n_steps,); None where the price in force is
            always known. Nothing is known before the first interval has ended; there the first price stands, and
            episodes start later.
    """
    if settled_until is None:
        return settlement.copy()
    return settlement[..., np.maximum(settled_until - 1, 0)]
