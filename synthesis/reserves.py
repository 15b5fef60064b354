"""Reserve of a synthetic history: prices by the hour that lean on the day-ahead price, and deployments at the grid's stress."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..sim.foundation.errors import BadInputError
from .scores import ou

FloatArray = npt.NDArray[np.float64]

STEPS_PER_HOUR: Final = 12  # by definition, of five minutes


class Product(NamedTuple):
    """A kind of reserve: slope of the log of its price on that of the day-ahead price, mean by year [USD/MW-h], deployments a year, their hours."""

    slope: float
    mean_by_year: dict[int, float]
    deployments_per_year: float
    deployment_h: tuple[float, float]


PRODUCTS: Final = {
    "rrs": Product(1.0, {2022: 20.0, 2023: 13.0, 2024: 4.5, 2025: 3.0}, 0.5, (0.5, 2.0)),
    "ecrs": Product(0.8, {2022: 60.0, 2023: 76.8, 2024: 9.6, 2025: 5.0}, 4.0, (0.5, 2.0)),
    "nonspin": Product(0.5, {2022: 22.0, 2023: 25.0, 2024: 7.0, 2025: 4.0}, 6.0, (1.0, 4.0)),
}
"""Source: ECRS 76.77 in 2023 and 9.62 in 2024, ERCOT's market monitor; the other means, and how often loads are deployed, are assumed: load resources in
RRS had no deployment for years and one on 6 September 2023, most of ECRS's calls come in summer and last two hours at most. Slopes: near 1 for
RRS, near a half for Non-Spin."""

LOG_STD: Final = 0.6
LOG_TAU_H: Final = 30.0
"""Standard deviation of the log price around the day-ahead price's, and its correlation time. [h] assumed."""

LEAST_USD: Final = 0.5
"""Day-ahead price that the log is taken of at least. [USD/MWh] chosen: prices of 0 and below are as one."""


def columns(
    product: str, day_ahead: FloatArray, index: pd.DatetimeIndex, timezone: str, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Draw the columns of reserve, (n_steps,) each; each calendar year has its published mean, others that of the last one.

    Args:
        product: Of PRODUCTS.
        day_ahead: Day-ahead price of each step, (n_steps,). [USD/MWh]
        index: Steps of 300 s, UTC.
        timezone: Local time of the market.
        rng: Generator of the draws.

    Raises:
        BadInputError: There is no such product.
    """
    if product not in PRODUCTS:
        raise BadInputError(f"reserve is {product!r}; it must be one of {', '.join(PRODUCTS)}")
    slope, by_year, per_year, (shortest_h, longest_h) = PRODUCTS[product]
    n_hours = -(-len(index) // STEPS_PER_HOUR)
    noise = np.repeat(LOG_STD * ou(rng.standard_normal(n_hours), 1.0 / LOG_TAU_H), STEPS_PER_HOUR)[: len(index)]
    local = index.tz_convert(timezone)
    raw = np.exp(slope * np.log(np.maximum(day_ahead, LEAST_USD)) + noise)
    year = local.year.to_numpy()
    price = np.zeros(len(index))
    for number in np.unique(year):
        own = year == number
        price[own] = raw[own] / raw[own].mean() * by_year.get(int(number), by_year[max(by_year)])
    called, n_calls = np.zeros(len(index)), int(rng.poisson(per_year * len(index) / (8766.0 * STEPS_PER_HOUR)))
    dear = np.argsort(-day_ahead, kind="stable")[: max(1, len(index) // 50)]
    for step in rng.choice(dear, min(n_calls, len(dear)), replace=False):
        called[step : step + round(float(rng.uniform(shortest_h, longest_h)) * STEPS_PER_HOUR)] = 1.0
    return {"reserve_price_usd_per_mw_h": price, "reserve_call": called}
