"""Pictures of an environment: zones, power against price, profit so far and violations, at a glance."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...sim.contract.channels import ENERGY_PRICE
from ...sim.foundation.errors import BadInputError
from ...sim.hardware.firmware import ASLEEP, HASHING, STARTING
from ...sim.history.history import STEP
from ..batch.rewards import STEP_H

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..batch.core import Batch

MODES: Final = ("human", "rgb_array", "ansi")
Picture = npt.NDArray[np.uint8] | str
"""Pixels (height, width, 3), or text."""

_MODE_NAMES: Final = {ASLEEP: "asleep", STARTING: "starting", HASHING: "hashing"}
_SHOWN_STEPS: Final = 288
"""Steps that the curves of a picture show: a day."""
_TILES_PER_ROW: Final = 8
_COLD_C: Final = 40.0
_HOT_C: Final = 90.0
"""Chip temperatures at the ends of the colours. [°C] chosen for the eye: usual chips lie between."""


@dataclass(slots=True)
class Frame:
    """What a picture needs of one step."""

    time: pd.Timestamp
    energy_price_usd_per_mwh: float
    power_kw: float
    profit_usd: float
    pue: float
    costs: npt.NDArray[np.float64]
    mode: npt.NDArray[np.float64]
    load_pu: npt.NDArray[np.float64]
    hot_c: npt.NDArray[np.float64]
    fan_pu: npt.NDArray[np.float64]
    pad_on: npt.NDArray[np.float64]


@dataclass(slots=True)
class Episode:
    """The steps of an episode, and what stays the same over them."""

    title: str
    zones: tuple[str, ...]
    cost_names: tuple[str, ...]
    full_kw: float
    limit_c: float
    frames: list[Frame] = field(default_factory=list)


class Canvas:
    """Keeps the episode of a batch's first environment and draws it."""

    def __init__(self, batch: "Batch") -> None:
        """Take the batch; nothing is kept before `begin`."""
        self.batch = batch
        self.episode = self._new()
        self._window: Any = None

    def _new(self) -> Episode:
        batch = self.batch
        zones = tuple(f"{zone.n_units} {zone.machine.name}" for zone in batch.site.zones)
        limit_c = batch.setup.thresholds["chip_over_temp"]
        return Episode(
            f"{batch.scenario.name}, {batch.config.task}", zones, batch.cost_names, batch.full_power_w / 1000.0, limit_c
        )

    def begin(self) -> None:
        """Forget the episode before."""
        self.episode = self._new()

    def add(self) -> None:
        """Keep what the last step did."""
        batch = self.batch
        site, zone, flow = batch.state.site[0], batch.state.zone[0], batch.site_flow[0]
        step = int(site["step"]) - 1
        rated_w = np.array([part.machine.rated_power_w for part in batch.site.zones])
        self.episode.frames.append(
            Frame(
                time=(batch.scenario.history.start + STEP * step).tz_convert(batch.scenario.history.timezone),
                energy_price_usd_per_mwh=float(batch.exogenous.values[site["series"], step, ENERGY_PRICE]),
                power_kw=float(flow["energy_kwh"]) / STEP_H,
                profit_usd=float(flow["profit_usd"]),
                pue=float(flow["pue"]),
                costs=batch.costs[0].copy(),
                mode=zone["mode"].copy(),
                load_pu=zone["power_w"] / rated_w,
                hot_c=zone["hot_temp_c"].copy(),
                fan_pu=zone["fan_pu"].copy(),
                pad_on=zone["pad_on"].copy(),
            )
        )

    def render(self, mode: str) -> Picture | None:
        """Return a picture (rgb_array) or text (ansi), or show a window (human)."""
        if mode == "ansi":
            return as_text(self.episode)
        if mode == "rgb_array":
            return as_pixels(draw(self.episode))
        self.show(lambda figure: draw(self.episode, figure))
        return None

    def show(self, draw_on: "Callable[[Figure], Figure]") -> None:
        """Draw in a window, which opens at the first call; raises BadInputError where there is no display."""
        import matplotlib.pyplot as plt

        if plt.get_backend().lower() == "agg":
            raise BadInputError(
                "render_mode='human' needs a display; use 'rgb_array', or set MPLBACKEND to one that opens windows"
            )
        if self._window is None:
            plt.ion()
            self._window = plt.figure(figsize=(9.6, 5.4))
        self._window.clear()
        draw_on(self._window)
        self._window.canvas.draw_idle()
        plt.pause(0.001)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            import matplotlib.pyplot as plt

            plt.close(self._window)
            self._window = None


def as_text(episode: Episode) -> str:
    """Return the last step as text, a line for the site and one for each zone."""
    if not episode.frames:
        return f"{episode.title}: no step yet"
    last = episode.frames[-1]
    total = sum(frame.profit_usd for frame in episode.frames)
    broken = [name for name, value in zip(episode.cost_names, last.costs, strict=True) if value > 0.0]
    lines = [
        f"{last.time:%Y-%m-%d %H:%M}  {last.energy_price_usd_per_mwh:8.2f} USD/MWh  {last.power_kw:8.1f} kW  "
        f"{last.profit_usd:+8.2f} USD  so far {total:+10.2f} USD  PUE {last.pue:.3f}  {', '.join(broken) or 'all limits kept'}"
    ]
    for z, name in enumerate(episode.zones):
        mode = _MODE_NAMES.get(float(last.mode[z]), "tripped")
        load = "█" * round(10 * min(float(last.load_pu[z]), 1.0))
        wet = " pads" if last.pad_on[z] > 0.0 else ""
        lines.append(
            f"  zone {z} {name:24s} {mode:8s} {load:10s} {last.load_pu[z]:4.0%}  chip {last.hot_c[z]:5.1f} °C  fans {last.fan_pu[z]:4.0%}{wet}"
        )
    return "\n".join(lines)


def as_pixels(figure: "Figure") -> npt.NDArray[np.uint8]:
    """Return a figure as pixels, (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


_PRICE_TICKS: Final = (0.0, *(sign * price for price in (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0) for sign in (-1, 1)))


def _scale_prices(axis: Any) -> None:
    """Scale an axis of prices, linear around 0 and by decades beyond, with whole numbers at its ticks."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    axis.set_yscale("asinh", linear_width=30.0)
    low, high = axis.get_ylim()
    inside = sorted(tick for tick in _PRICE_TICKS if low <= tick <= high)
    axis.yaxis.set_major_locator(
        FixedLocator(inside) if len(inside) >= 3 else MaxNLocator(4, integer=high - low >= 4.0)
    )
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter("{x:,.0f}" if high - low >= 4.0 else "{x:,.1f}")


def draw(episode: Episode, figure: "Figure | None" = None) -> "Figure":
    """Draw the last step and the day before it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 5.4), dpi=80, layout="constrained") if figure is None else figure
    shown = episode.frames[-_SHOWN_STEPS:]
    grid = figure.add_gridspec(3, 2, width_ratios=(1.0, 1.25))
    _tiles(figure.add_subplot(grid[:, 0]), episode)
    axes = [figure.add_subplot(grid[row, 1]) for row in range(3)]
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.tick_params(labelsize=7)
        axis.margins(x=0.0)
    if not shown:
        return figure
    hours = np.arange(1 - len(shown), 1) * STEP_H
    price, power = (
        np.array([getattr(frame, name) for frame in shown]) for name in ("energy_price_usd_per_mwh", "power_kw")
    )
    axes[0].plot(hours, price, color="#d9822b", lw=1.2, drawstyle="steps-post")
    _scale_prices(axes[0])
    axes[0].set_ylabel("USD/MWh", fontsize=8)
    axes[0].set_title("price", fontsize=8, loc="left")
    axes[1].fill_between(hours, power, step="pre", color="#1f6feb", alpha=0.35, lw=0)
    axes[1].set_ylim(0.0, episode.full_kw * 1.1)
    axes[1].set_ylabel("kW", fontsize=8)
    axes[1].set_title("power at the meter", fontsize=8, loc="left")
    so_far = np.cumsum([frame.profit_usd for frame in episode.frames])[-len(shown) :]
    axes[2].plot(hours, so_far, color="#2da44e", lw=1.4)
    broken = np.array([bool((frame.costs > 0.0).any()) for frame in shown])
    axes[2].plot(hours[broken], so_far[broken], "|", color="#cf222e", ms=9)
    axes[2].set_ylabel("USD", fontsize=8)
    axes[2].set_xlabel("hours", fontsize=8)
    axes[2].set_title("profit so far; red: a limit is broken", fontsize=8, loc="left")
    return figure


def _tiles(axis: Any, episode: Episode) -> None:
    """Draw a tile for each zone: colour by its hottest chip, filled to its load, with fans and pads."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    n = len(episode.zones)
    columns = min(n, _TILES_PER_ROW if n > 12 else 2 if n > 3 else 1)
    rows = -(-n // columns)
    axis.set_xlim(0.0, columns)
    axis.set_ylim(rows, -0.35)
    axis.axis("off")
    last = episode.frames[-1] if episode.frames else None
    when = f"{last.time:%a %d %b %Y %H:%M}" if last else "before the first step"
    axis.text(0.0, -0.3, f"{episode.title}\n{when}", fontsize=9, va="top", weight="bold")
    small = n > 12
    for z, name in enumerate(episode.zones):
        x, y = z % columns, z // columns + 0.02
        axis.add_patch(Rectangle((x + 0.03, y + 0.03), 0.94, 0.9, facecolor="#eef1f4", edgecolor="#57606a", lw=1.0))
        if last is None:
            continue
        share = (float(last.hot_c[z]) - _COLD_C) / (_HOT_C - _COLD_C)
        load = 0.9 * min(max(float(last.load_pu[z]), 0.0), 1.0)
        axis.add_patch(
            Rectangle(
                (x + 0.03, y + 0.93 - load),
                0.94,
                load,
                facecolor=colormaps["turbo"](0.15 + 0.75 * share),
                alpha=0.75,
                lw=0,
            )
        )
        if last.hot_c[z] > episode.limit_c:
            axis.add_patch(Rectangle((x + 0.03, y + 0.03), 0.94, 0.9, fill=False, edgecolor="#cf222e", lw=3.0))
        mode = _MODE_NAMES.get(float(last.mode[z]), "tripped")
        text = (
            f"{last.hot_c[z]:.0f}°"
            if small
            else (
                f"zone {z}: {name}\n{mode}, {last.load_pu[z]:.0%} of rated\nchip {last.hot_c[z]:.1f} °C\n"
                f"fans {last.fan_pu[z]:.0%}{', pads wet' if last.pad_on[z] > 0.0 else ''}"
            )
        )
        axis.text(x + 0.5, y + 0.48, text, ha="center", va="center", fontsize=7 if small else 9)
