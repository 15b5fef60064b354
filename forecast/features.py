"""What a forecast looks at: a registry of features with unit, formula and window, computed for all origins at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .series import FloatArray, IntArray, PublishedSeries

LEADS_H: Final = 24
"""Hours ahead that are forecast, each as the mean over the hour."""

WARM_UP_H: Final = 168
"""Hours of history that the longest window needs."""

PRICE_SCALE_USD_PER_MWH: Final = 30.0
"""Price at which the inverse hyperbolic sine turns from linear to logarithmic. chosen: about the median of ERCOT's prices."""


@dataclass(frozen=True, slots=True)
class OriginView:
    """Origins and the hours ahead of them, on a grid of (n_origins, n_leads)."""

    world: PublishedSeries
    origin: IntArray  # (n_origins, 1)
    lead: IntArray  # (1, n_leads), 1 is the first hour

    @property
    def hour(self) -> int:
        """Steps in an hour."""
        return self.world.steps_per_hour

    def mean_before(self, name: str, hours: int) -> FloatArray:
        """Return the mean of what is published of the last hours before the origin, (n_origins, 1)."""
        return self.world.series[name].mean(self.origin, self.origin - hours * self.hour, self.origin)

    def std_before(self, name: str, hours: int) -> FloatArray:
        """Return the standard deviation of what is published of the last hours, (n_origins, 1)."""
        return self.world.series[name].std(self.origin, self.origin - hours * self.hour, self.origin)

    def at_lead(self, name: str, lag_h: int = 0) -> FloatArray:
        """Return the published mean of the hour that lies `lag_h` before the forecast one, (n_origins, n_leads)."""
        first = self.origin + (self.lead - 1 - lag_h) * self.hour
        return self.world.series[name].mean(self.origin, first, first + self.hour)

    def latest(self, name: str) -> FloatArray:
        """Return the newest value at the origin, (n_origins, 1)."""
        return self.world.series[name].latest(self.origin)

    def phase(self, period: str) -> FloatArray:
        """Return where in its day, week or year the middle of the forecast hour lies, 0…1, (n_origins, n_leads)."""
        middle = self.origin + (self.lead - 1) * self.hour + self.hour // 2
        local = self.world.local(middle.ravel())
        day = (local.hour + local.minute / 60.0).to_numpy() / 24.0
        if period == "day":
            value = day
        elif period == "week":
            value = (local.dayofweek.to_numpy() + day) / 7.0
        else:
            value = (local.dayofyear.to_numpy() - 1 + day) / 366.0
        return np.asarray(value, dtype=np.float64).reshape(middle.shape)


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of a forecast. window: which hours it looks at, counted back from the origin unless said otherwise."""

    name: str
    unit: str
    formula: str
    window: str
    needs: tuple[str, ...]
    compute: Callable[[OriginView], FloatArray]


def spread(market_price_usd_per_mwh: FloatArray) -> FloatArray:
    """Return asinh(price / 30 USD/MWh): linear around 0, logarithmic in spikes, defined for negative prices."""
    return np.arcsinh(market_price_usd_per_mwh / PRICE_SCALE_USD_PER_MWH)


def _phases() -> list[Feature]:
    return [
        Feature(
            f"{period}_{name}",
            "1",
            f"{name} of 2π · share of the {period}",
            "forecast hour, local time",
            (),
            lambda view, period=period, wave=wave: wave(2.0 * np.pi * view.phase(period)),  # type: ignore[misc]
        )
        for period in ("day", "week", "year")
        for name, wave in (("sin", np.sin), ("cos", np.cos))
    ]


def _price(name: str, formula: str, window: str, compute: Callable[[OriginView], FloatArray], *needs: str) -> Feature:
    def scaled(view: OriginView) -> FloatArray:
        return spread(compute(view))

    return Feature(name, "1", f"asinh({formula} / 30)", window, needs or ("market_price_usd_per_mwh",), scaled)


def _level(
    name: str, unit: str, series: str, formula: str, window: str, compute: Callable[[OriginView], FloatArray]
) -> Feature:
    return Feature(name, unit, formula, window, (series,), compute)


def _log_ratio(name: str, series: str, hours: int) -> Feature:
    return Feature(
        name,
        "1",
        f"ln(latest / mean) of {series}",
        f"{hours} h",
        (series,),
        lambda view: np.log(view.latest(series) / view.mean_before(series, hours)),
    )


def _since_change_h(view: OriginView) -> FloatArray:
    """Return the hours since the difficulty last changed, at most two weeks."""
    values = view.world.series["difficulty"].values
    changed = np.where(np.concatenate([[True], np.diff(values) != 0.0]), np.arange(len(values)), 0)
    last = np.maximum.accumulate(changed)
    return np.minimum((view.origin - last[view.origin]) / view.hour, 336.0)


_PRICE, _DAY_AHEAD, _TEMP = "market_price_usd_per_mwh", "day_ahead_price_usd_per_mwh", "outdoor_temp_c"

REGISTRY: Final[dict[str, Feature]] = {
    entry.name: entry
    for entry in (
        Feature("lead_h", "h", "hours ahead", "forecast hour", (), lambda view: view.lead.astype(np.float64)),
        *_phases(),
        _price("price_latest", "newest price", "origin", lambda view: view.latest(_PRICE)),
        *(
            _price(f"price_mean_{h}h", "mean price", f"{h} h", lambda view, h=h: view.mean_before(_PRICE, h))  # type: ignore[misc]
            for h in (1, 6, 24, 168)
        ),
        *(
            _price(f"price_lag_{h}h", "price", f"forecast hour - {h} h", lambda view, h=h: view.at_lead(_PRICE, h))  # type: ignore[misc]
            for h in (24, 48, 168)
        ),
        _price("price_std_24h", "standard deviation of price", "24 h", lambda view: view.std_before(_PRICE, 24)),
        _price(
            "day_ahead", "day-ahead price if out", "forecast hour", lambda view: view.at_lead(_DAY_AHEAD), _DAY_AHEAD
        ),
        Feature(
            "day_ahead_error_24h", "1", "asinh(mean price / 30) - asinh(mean day-ahead price / 30)", "24 h",
            (_PRICE, _DAY_AHEAD),
            lambda view: spread(view.mean_before(_PRICE, 24)) - spread(view.mean_before(_DAY_AHEAD, 24)),
        ),
        _level("temp_latest", "°C", _TEMP, "newest temperature", "origin", lambda view: view.latest(_TEMP)),
        *(
            _level(f"temp_mean_{h}h", "°C", _TEMP, "mean temperature", f"{h} h", lambda view, h=h: view.mean_before(_TEMP, h))  # type: ignore[misc]
            for h in (3, 24, 168)
        ),
        *(
            _level(
                f"temp_lag_{h}h", "°C", _TEMP, "temperature", f"forecast hour - {h} h",
                lambda view, h=h: view.at_lead(_TEMP, h),  # type: ignore[misc]
            )
            for h in (24, 48)
        ),
        Feature(
            "temp_change_24h", "K", "newest - mean of the hour a day before", "origin", (_TEMP,),
            lambda view: view.latest(_TEMP)
            - view.world.series[_TEMP].mean(view.origin, view.origin - 25 * view.hour, view.origin - 24 * view.hour),
        ),
        _level(
            "humidity_latest", "%", "relative_humidity_pct", "newest humidity", "origin",
            lambda view: view.latest("relative_humidity_pct"),
        ),
        *(_log_ratio(f"hashprice_over_mean_{h}h", "expected_hashprice_usd_per_ph_day", h) for h in (3, 24, 168)),
        *(_log_ratio(f"coin_over_mean_{h}h", "coin_price_usd", h) for h in (24, 168)),
        Feature(
            "coin_volatility_24h", "1", "standard deviation / mean of the coin's price", "24 h", ("coin_price_usd",),
            lambda view: view.std_before("coin_price_usd", 24) / view.mean_before("coin_price_usd", 24),
        ),
        _level("fee_share_latest", "1", "fee_share", "newest fee share", "origin", lambda view: view.latest("fee_share")),
        *(
            _level(f"fee_share_mean_{h}h", "1", "fee_share", "mean fee share", f"{h} h", lambda view, h=h: view.mean_before("fee_share", h))  # type: ignore[misc]
            for h in (24, 168)
        ),
        Feature("since_retarget_h", "h", "time since the difficulty changed", "336 h", ("difficulty",), _since_change_h),
    )
}  # fmt: skip
"""Every feature by its name."""


_OF_CHANNEL: Final[dict[str, tuple[str, str, Callable[[OriginView, str], FloatArray]]]] = {
    "latest": ("newest value", "origin", lambda view, series: view.latest(series)),
    "over_mean_24h": ("newest - mean", "24 h", lambda view, series: view.latest(series) - view.mean_before(series, 24)),
    "over_mean_168h": ("newest - mean", "168 h", lambda view, series: view.latest(series) - view.mean_before(series, 168)),
}  # fmt: skip
"""What is made of a channel that a history declares: formula, window and how it is computed."""


def of_channel(series: str) -> tuple[str, ...]:
    """Return the names of the features of a declared channel."""
    return tuple(f"channel:{series}:{kind}" for kind in _OF_CHANNEL)


def feature(name: str) -> Feature:
    """Return a feature of the registry, or of a declared channel; raises ValueError if there is none of that name."""
    if name in REGISTRY:
        return REGISTRY[name]
    head, _, rest = name.partition(":")
    series, _, kind = rest.rpartition(":")
    if head != "channel" or not series or kind not in _OF_CHANNEL:
        kinds = ", ".join(_OF_CHANNEL)
        raise ValueError(
            f"no feature {name!r}; there are {', '.join(REGISTRY)}, and channel:NAME:KIND, KIND of {kinds}"
        )
    formula, window, compute = _OF_CHANNEL[kind]
    return Feature(name, "that of the channel", formula, window, (series,), lambda view: compute(view, series))


def check_names(names: tuple[str, ...]) -> None:
    """Raise a ValueError for a feature that is not in the registry, or if there is none."""
    if not names:
        raise ValueError("no feature is listed")
    for name in names:
        feature(name)


def matrix(world: PublishedSeries, names: tuple[str, ...], origins: IntArray) -> npt.NDArray[np.float32]:
    """Return the features of all hours ahead of all origins, (n_origins · LEADS_H, n_features), float32.

    Missing values (a day-ahead price that is not yet out) are NaN.

    Raises:
        ValueError: A series is missing, or a feature is not in the registry; names it.
    """
    check_names(names)
    for name in names:
        world.need(*feature(name).needs)
    view = OriginView(world, origins[:, None], np.arange(1, LEADS_H + 1)[None, :])
    shape = (len(origins), LEADS_H)
    result = np.empty((*shape, len(names)), dtype=np.float32)
    for column, name in enumerate(names):
        result[:, :, column] = np.broadcast_to(feature(name).compute(view), shape)
    return result.reshape(-1, len(names))
