"""Pictures of a unit on the bench: what was tried, what it earned and which limits it broke."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..forms.render import Canvas, Picture, as_pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .batch import ChipBatch


class ChipCanvas(Canvas):
    """Keeps the tries of a batch's first unit and draws them."""

    def __init__(self, batch: "ChipBatch") -> None:
        """Take the batch; nothing is kept before `begin`."""
        self.unit = batch
        self.tries: list[dict[str, float]] = []
        self._window: Any = None

    def begin(self) -> None:
        """Forget the unit before."""
        self.tries = []

    def add(self) -> None:
        """Keep what the last step did."""
        batch, unit = self.unit, self.unit.state[0]
        flow = dict(zip(batch.info_keys, batch.flow_table[0].tolist(), strict=True))
        usd_per_h = flow["profit_usd"] * 6.0
        self.tries.append(
            {
                "freq": float(unit["freq_pu"]),
                "volt": float(unit["volt_pu"]),
                "usd_per_h": usd_per_h,
                "hot_c": flow["max_chip_temp_c"],
                "error": flow["error_frac"],
                "hash": float(batch.obs[0, 2]),
                "power": float(batch.obs[0, 3]),
                "cost": float(batch.costs[0].sum()),
            }
        )

    def render(self, mode: str) -> Picture | None:
        """Return a picture (rgb_array) or text (ansi), or show a window (human)."""
        if mode == "ansi":
            return self._text()
        if mode == "rgb_array":
            return as_pixels(self.picture())
        self.show(self.picture)
        return None

    def _text(self) -> str:
        if not self.tries:
            return f"{self.unit.config.machine} on the bench: nothing tried yet"
        last = self.tries[-1]
        return (
            f"{len(self.tries):3d}  {last['freq']:.3f} of rated frequency, {last['volt']:.3f} of stock voltage: {last['hash']:.3f} of rated hashrate, "
            f"{last['power']:.3f} of rated power, chip {last['hot_c']:.1f} °C, {last['error']:.2%} errors, {last['usd_per_h']:+.3f} USD/h"
            f"{', limits broken' if last['cost'] > 0.0 else ''}"
        )

    def picture(self, figure: "Figure | None" = None) -> "Figure":
        """Draw the tries over frequency and voltage, and what they earned one after the other."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.6, 4.2), dpi=80, layout="constrained") if figure is None else figure
        plane, course = figure.subplots(1, 2)
        plane.set_xlim(0.6, 1.12)
        plane.set_ylim(0.89, 1.06)
        plane.set_xlabel("frequency, of rated")
        plane.set_ylabel("voltage, of stock")
        course.set_xlabel("try")
        course.set_ylabel("USD/h")
        plane.set_title(f"{self.unit.machine.name} on the bench", fontsize=9, loc="left")
        course.set_title("red: a limit is broken", fontsize=9, loc="left")
        if self.tries:
            freq, volt, usd, cost = (
                np.array([entry[name] for entry in self.tries]) for name in ("freq", "volt", "usd_per_h", "cost")
            )
            shown = plane.scatter(freq, volt, c=usd, cmap="viridis", s=46)
            figure.colorbar(shown, ax=plane, label="USD/h")
            plane.plot(freq[cost > 0.0], volt[cost > 0.0], "x", color="#cf222e", ms=9)
            course.plot(np.arange(1, len(usd) + 1), usd, color="#1f6feb")
            course.plot(np.flatnonzero(cost > 0.0) + 1, usd[cost > 0.0], "x", color="#cf222e")
        for axis in (plane, course):
            axis.grid(alpha=0.25)
        return figure
