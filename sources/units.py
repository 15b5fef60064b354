"""Units and currencies that a mapping may declare, and what they are in a history."""

from collections.abc import Callable
from typing import Any, Final

from ..sim.history.history import COLUMNS

Convert = Callable[[Any], Any]

_SAME: Final[Convert] = lambda x: x  # noqa: E731
_PER_KWH: Final[Convert] = lambda x: 1000.0 * x  # noqa: E731
_PERCENT: Final[Convert] = lambda x: x / 100.0  # noqa: E731

CURRENCIES: Final = ("usd", "eur", "cad", "sek", "nok", "aud", "gbp")
"""Currencies of electricity prices; all but dollars need `usd_per_unit`."""

_PRICE: Final[dict[str, Convert]] = {
    f"{currency}/{energy}": convert
    for currency in CURRENCIES
    for energy, convert in (("mwh", _SAME), ("kwh", _PER_KWH))
}

UNITS: Final[dict[str, dict[str, Convert]]] = {
    "outdoor_temp_c": {"c": _SAME, "f": lambda x: (x - 32.0) / 1.8, "k": lambda x: x - 273.15},
    "relative_humidity_pct": {"percent": _SAME, "fraction": lambda x: 100.0 * x},
    "market_price_usd_per_mwh": _PRICE,
    "day_ahead_price_usd_per_mwh": _PRICE,
    "grid_load_mw": {"mw": _SAME, "gw": _PER_KWH},
    "carbon_g_per_kwh": {"g/kwh": _SAME, "kg/mwh": _SAME, "lb/mwh": lambda x: 0.45359237 * x},
    "curtailment_call": {"1": _SAME},
    "reserve_price_usd_per_mw_h": {"usd/mw/h": _SAME},
    "reserve_call": {"1": _SAME},
    "ghi_w_per_m2": {"w/m2": _SAME, "kw/m2": lambda x: 1000.0 * x, "mj/m2/h": lambda x: x / 0.0036},
    "wind_speed_m_per_s": {
        "m/s": _SAME,
        "km/h": lambda x: x / 3.6,
        "mph": lambda x: 0.44704 * x,
        "kn": lambda x: x / 1.943844,
    },
    "sun_power_pu": {"1": _SAME, "percent": _PERCENT},
    "wind_power_pu": {"1": _SAME, "percent": _PERCENT},
    "fees_usd_per_day": {"usd": _SAME},
    "difficulty": {"1": _SAME},
    **{name: {"usd": _SAME} for name in COLUMNS if name.endswith("price_usd")},
    **{name: {"1": _SAME} for name in COLUMNS if name.endswith("_difficulty")},
    **{name: {"fraction": _SAME, "percent": _PERCENT} for name in COLUMNS if name.endswith("fee_share")},
}
"""Units that a mapping may declare for a column, and how to convert them. fees_usd_per_day becomes fee_share."""
