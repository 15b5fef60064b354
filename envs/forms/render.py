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
    load_kw: float
    sun_kw: float
    battery_kw: float
    charge_pu: float


@dataclass(slots=True)
class Episode:
    """The steps of an episode, and what stays the same over them."""

    title: str
    zones: tuple[str, ...]
    cost_names: tuple[str, ...]
    full_kw: float
    limit_c: float
    has_energy: bool = False
    has_battery: bool = False
    has_sun: bool = False
    import_kw: float = np.inf
    export_kw: float = 0.0
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
        site = batch.site
        inter = site.interconnect
        return Episode(
            f"{batch.scenario.name}, {batch.config.task}",
            zones,
            batch.cost_names,
            batch.full_power_w / 1000.0,
            limit_c,
            has_energy=site.has_energy,
            has_battery=site.battery is not None,
            has_sun=site.sun is not None or site.wind is not None,
            import_kw=np.inf if inter is None else inter.import_limit_w / 1000.0,
            export_kw=0.0 if inter is None else inter.export_limit_w / 1000.0,
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
                load_kw=float(flow["load_kwh"]) / STEP_H,
                sun_kw=float(flow["sun_kwh"] + flow["wind_kwh"]) / STEP_H,
                battery_kw=-float(flow["battery_drawn_kwh"]) / STEP_H,
                charge_pu=self._charge_pu(),
            )
        )

    def _charge_pu(self) -> float:
        """Return the energy in the battery over what it holds when new, 0 without one."""
        battery = self.batch.site.battery
        if battery is None:
            return 0.0
        return float(self.batch.state.site["battery_kwh"][0]) / (battery.energy_wh / 1000.0)

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
    if episode.has_energy:
        flows = [f"load {last.load_kw:.0f} kW", f"meter {last.power_kw:+.0f} kW"]
        flows += [f"sun and wind {last.sun_kw:.0f} kW"] if episode.has_sun else []
        flows += [f"battery {last.battery_kw:+.0f} kW, {last.charge_pu:.0%} full"] if episode.has_battery else []
        lines.append(f"  {', '.join(flows)}")
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
    n_rows = 4 if episode.has_battery else 3
    grid = figure.add_gridspec(n_rows, 2, width_ratios=(1.0, 1.25), height_ratios=(1.0, 1.5, *(1.0,) * (n_rows - 2)))
    _tiles(figure.add_subplot(grid[: n_rows - episode.has_battery, 0]), episode)
    if episode.has_battery:
        _battery(figure.add_subplot(grid[-1, 0]), episode)
    axes = [figure.add_subplot(grid[row, 1]) for row in range(n_rows)]
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
    if episode.has_energy:
        _flows(axes[1], episode, shown, np.asarray(hours, np.float64))
    else:
        axes[1].fill_between(hours, power, step="pre", color="#1f6feb", alpha=0.35, lw=0)
        axes[1].set_ylim(0.0, episode.full_kw * 1.1)
        axes[1].set_title("power at the meter", fontsize=8, loc="left")
    axes[1].set_ylabel("kW", fontsize=8)
    if episode.has_battery:
        charge = np.array([100.0 * frame.charge_pu for frame in shown])
        axes[3].fill_between(hours, charge, color="#8250df", alpha=0.35, lw=0)
        axes[3].set_ylim(0.0, 105.0)
        axes[3].set_ylabel("%", fontsize=8)
        axes[3].set_title("charge of the battery", fontsize=8, loc="left")
        axes[3].set_xlabel("hours", fontsize=8)
    so_far = np.cumsum([frame.profit_usd for frame in episode.frames])[-len(shown) :]
    axes[2].plot(hours, so_far, color="#2da44e", lw=1.4)
    broken = np.array([bool((frame.costs > 0.0).any()) for frame in shown])
    axes[2].plot(hours[broken], so_far[broken], "|", color="#cf222e", ms=9)
    axes[2].set_ylabel("USD", fontsize=8)
    if not episode.has_battery:
        axes[2].set_xlabel("hours", fontsize=8)
    axes[2].set_title("profit so far; red: a limit is broken", fontsize=8, loc="left")
    return figure


def _flows(axis: Any, episode: Episode, shown: list[Frame], hours: npt.NDArray[np.float64]) -> None:
    """Draw what machines draw, what sun and battery give, and what is left at the meter between its limits."""
    load, sun, battery, net = (
        np.array([getattr(frame, name) for frame in shown]) for name in ("load_kw", "sun_kw", "battery_kw", "power_kw")
    )
    if episode.has_sun:
        axis.fill_between(hours, sun, step="pre", color="#eac54f", alpha=0.6, lw=0, label="sun and wind")
    if episode.has_battery:
        axis.fill_between(hours, battery, step="pre", color="#8250df", alpha=0.35, lw=0, label="battery gives")
    axis.plot(hours, load, color="#57606a", lw=1.1, drawstyle="steps-pre", label="machines and plant")
    axis.plot(hours, net, color="#1f6feb", lw=1.3, drawstyle="steps-pre", label="at the meter")
    for limit, sign in ((episode.import_kw, 1.0), (episode.export_kw, -1.0)):
        if np.isfinite(limit):
            axis.axhline(sign * limit, color="#cf222e", lw=0.8, ls=":")
    axis.axhline(0.0, color="#24292f", lw=0.5)
    axis.set_title("flows; dotted: limits of the connection", fontsize=8, loc="left")
    axis.legend(fontsize=6, ncols=4, frameon=False, loc="upper left", borderaxespad=0.1)
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.18 * (high - low))


def _battery(axis: Any, episode: Episode) -> None:
    """Draw the battery as a bar that is filled to its charge, with what it does."""
    from matplotlib.patches import Rectangle

    axis.set_xlim(0.0, 1.0)
    axis.set_ylim(0.0, 1.0)
    axis.axis("off")
    axis.add_patch(Rectangle((0.03, 0.25), 0.9, 0.5, facecolor="#eef1f4", edgecolor="#57606a", lw=1.0))
    axis.add_patch(Rectangle((0.93, 0.4), 0.02, 0.2, facecolor="#57606a", lw=0))
    if not episode.frames:
        return
    last = episode.frames[-1]
    filled = 0.9 * min(max(last.charge_pu, 0.0), 1.0)
    axis.add_patch(Rectangle((0.03, 0.25), filled, 0.5, facecolor="#8250df", alpha=0.55, lw=0))
    does = f"gives {last.battery_kw:.0f} kW" if last.battery_kw > 10.0 else f"takes {-last.battery_kw:.0f} kW"
    does = "stands" if abs(last.battery_kw) <= 10.0 else does
    text = f"battery {last.charge_pu:.0%} full, {does}"
    axis.text(0.48, 0.5, text, ha="center", va="center", fontsize=9)


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
