"""An upper bound on what any policy can earn with a whole site, for a known path of prices, weather, sun and wind.

A linear programme over an episode that relaxes everything that costs a real site something, so that no policy earns more:

- machines: in each step a zone hashes at most what the concave hull of its profiles and of sleep gives for its energy, with chips as cold as the
  coldest supply air so far, without hardware errors, plants that draw nothing, starts that cost nothing, and ageing for nothing;
- more energy than that may be drawn, up to the physical most, which pays where prices are negative;
- battery: no loss of the running inverter beside what passes, none by the square of it, and no ageing;
- prices, sun and wind are known; imports, exports, blocks, the month's highest power and coincident peaks are settled as the contract has it;
- of a programme all pay for readiness and nothing else; hashes are sold at the best market of each step; all heat is sold where any can be.

Source of the form: D. Bertsimas, J. Tsitsiklis, Introduction to Linear Optimization, 1997: a relaxation's optimum bounds the problem's.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from ..sim.contract.channels import (
    BEGINS_MONTH,
    BLOCK_KWH,
    CARBON,
    CLOCK,
    COINCIDENT_PRICE,
    DEMAND_PRICE,
    ENDS_INTERVAL,
    ENERGY_PRICE,
    EXPORT_PRICE,
    HEAT_PRICE,
    N_CHANNELS,
    OUTDOOR_TEMP_C,
    REALISED_HASHPRICE,
    RESALE_PRICE,
    STEP_H,
    SUN_POWER_W,
    WET_BULB_TEMP_C,
    WIND_POWER_W,
    WINDOW_DEMAND_PRICE,
)
from ..sim.contract.settlement import standing_usd
from ..sim.energy.interconnect import highest_power_w
from ..sim.foundation.constants import CONTROL_STEP_S, KWH_PER_MWH, usd_per_th
from ..sim.foundation.errors import InfeasibleError
from ..sim.hardware import machine as physics
from ..sim.hardware.params import MachineParams
from ..sim.site.params import SiteParams
from ..sim.site.state import State
from ..sim.site.world import Exogenous

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

COLD_STEP_C: Final = 5.0
"""Steps of the coldest chip for which hulls are made: temperatures are rounded down to them. chosen."""

TONNES_PER_GRAM: Final = 1e-6
"""By definition."""


def episode_bound_usd(
    site: SiteParams, exogenous: Exogenous, series: int, start: int, n_steps: int, first_peak_kw: float = 0.0
) -> float:
    """Return an upper bound on the profit of an episode that starts with hashing machines. [USD]

    Args:
        site: The site.
        exogenous: The world.
        series: Which series of it.
        start: First step.
        n_steps: Steps of the episode.
        first_peak_kw: Peak of the month with which it begins; a month that begins with it forgets it.

    Raises:
        InfeasibleError: The programme has no solution, which says that a limit of the site cannot be kept.
    """
    return _Programme(site, exogenous, series, start, n_steps, first_peak_kw).solve()


@dataclass(frozen=True, slots=True)
class _Hull:
    """Concave hull of a zone's paid hashes over its energy in a step: least energy, and segments of falling slope. [kWh], [TH/kWh]"""

    least_kwh: float
    width_kwh: FloatArray
    slope_th_per_kwh: FloatArray

    @classmethod
    def of(cls, site: SiteParams, z: int, chip_c: float) -> "_Hull":
        zone = site.zones[z]
        m = zone.machine
        at_meter = zone.n_units * (1.0 + site.transformer_loss_frac) * STEP_H / 1000.0
        points = [(min(zone.firmware.sleep_w, m.control_w), 0.0)]
        for f in zone.ladder.freq_mhz:
            rail_v = physics.rail_voltage_v(f, m.ref_mhz, m.ref_v, m.slope_v_per_mhz, m.floor_v)
            board_w = physics.switching_power_w(f, rail_v, m.a_w_per_mhz_v2, m.b_w_per_mhz, m.base_w)
            board_w += physics.leakage_w(rail_v, chip_c, m.leak_w_per_v2, m.leak_ref_temp_c, m.leak_per_k)
            points.append((physics.wall_power_w(board_w, m.psu_efficiency, m.control_w, 0.0), f * m.ths_per_mhz))
        hull = [points[0]]
        for point in points[1:]:
            while len(hull) > 1 and _slope(hull[-1], point) >= _slope(hull[-2], hull[-1]):
                hull.pop()
            hull.append(point)
        energy = np.array([(w + site.misc_w_per_unit) * at_meter for w, _ in hull])
        hashes = np.array([ths * zone.n_units * CONTROL_STEP_S for _, ths in hull])
        # Between two frequencies of the ladder the machine draws less than the line: the true curve is convex in frequency.
        slack = _chord_gap_w(zone.ladder.freq_mhz, m, chip_c) * at_meter
        width = np.diff(energy)
        return cls(float(energy[0]) - slack, width, np.diff(hashes) / width)


def _slope(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (other[1] - one[1]) / max(other[0] - one[0], 1e-12)


def _chord_gap_w(freq_mhz: FloatArray, m: MachineParams, chip_c: float) -> float:
    """Return the most by which a chord between neighbouring profiles lies above the power of the frequencies between, at the socket. [W]"""
    gap = 0.0
    for low, high in pairwise(freq_mhz.tolist()):
        inner = np.linspace(low, high, 9)
        powers = []
        for f in inner:
            rail_v = physics.rail_voltage_v(f, m.ref_mhz, m.ref_v, m.slope_v_per_mhz, m.floor_v)
            board_w = physics.switching_power_w(f, rail_v, m.a_w_per_mhz_v2, m.b_w_per_mhz, m.base_w)
            powers.append(board_w + physics.leakage_w(rail_v, chip_c, m.leak_w_per_v2, m.leak_ref_temp_c, m.leak_per_k))
        chord = np.interp(inner, [low, high], [powers[0], powers[-1]])
        gap = max(gap, float((chord - np.array(powers)).max()))
    return gap / m.psu_efficiency


class _Programme:
    """The linear programme of an episode: costs, bounds and rows, and what is due whatever is done."""

    def __init__(
        self, site: SiteParams, exogenous: Exogenous, series: int, start: int, n_steps: int, first_peak_kw: float
    ) -> None:
        self.site, self.n = site, n_steps
        self.rows = exogenous.values[series, start : start + n_steps]
        self.clock = self.rows[:, CLOCK].astype(np.int64)
        self.first_peak_kw = first_peak_kw
        at = exogenous.column("energy_price_mean_24h_usd_per_mwh")
        self.end_usd_per_mwh = max(0.0, float(exogenous.known[series, min(start + n_steps, exogenous.n_steps - 1), at]))
        self.cost: list[FloatArray] = []
        self.high: list[FloatArray] = []
        self.place: dict[str, npt.NDArray[np.int64]] = {}
        self.count = 0

    def variables(self, name: str, cost: npt.ArrayLike, high: npt.ArrayLike, n: int | None = None) -> None:
        """Add variables from 0 to `high`, by default one for each step."""
        n = self.n if n is None else n
        self.cost.append(np.broadcast_to(np.asarray(cost, np.float64), (n,)))
        self.high.append(np.broadcast_to(np.asarray(high, np.float64), (n,)))
        self.place[name] = np.arange(self.count, self.count + n)
        self.count += n

    def solve(self) -> float:
        """Return the bound. [USD]"""
        site, rows = self.site, self.rows
        least, widths, usd = self._machines()
        for k in range(widths.shape[1]):
            self.variables(f"x{k}", -usd[:, k], widths[:, k])
        most_kwh = self._most_kwh()
        warm = float(any(zone.plant.delivers_heat for zone in site.zones))
        heat = warm * np.maximum(0.0, rows[:, HEAT_PRICE]) / KWH_PER_MWH
        self.variables("waste", -heat, most_kwh)
        carbon = rows[:, CARBON] * site.contract.carbon_usd_per_t * TONNES_PER_GRAM
        inter = site.interconnect
        most_in = np.inf if inter is None else inter.import_limit_w / 1000.0 * STEP_H
        most_out = 0.0 if inter is None else inter.export_limit_w / 1000.0 * STEP_H
        self.variables("block", rows[:, RESALE_PRICE] / KWH_PER_MWH + carbon, np.minimum(rows[:, BLOCK_KWH], most_in))
        self.variables("over", rows[:, ENERGY_PRICE] / KWH_PER_MWH + carbon, most_in)
        self.variables("export", -rows[:, EXPORT_PRICE] / KWH_PER_MWH, most_out)
        self.variables("supply", 0.0, (rows[:, SUN_POWER_W] + rows[:, WIND_POWER_W]) / 1000.0 * STEP_H)
        equal = [self._balance(least, widths.shape[1])]
        if site.battery is not None:
            equal.append(self._battery())
        below = [*self._peaks(), *self._import_limit(most_in)]
        total = -float(standing_usd(rows, site.contract.numbers["credit_usd_per_mwh"], self._offered_kwh()).sum())
        total += self._first_worth() + float((heat * least).sum())
        matrices = [
            sparse.hstack([part, sparse.csr_matrix((part.shape[0], self.count - part.shape[1]))]) for part, _ in equal
        ]
        result = optimize.linprog(
            np.concatenate(self.cost),
            A_eq=sparse.vstack(matrices).tocsr(),
            b_eq=np.concatenate([right for _, right in equal]),
            A_ub=sparse.vstack([part for part, _ in below]).tocsr() if below else None,
            b_ub=np.concatenate([right for _, right in below]) if below else None,
            bounds=np.stack([np.zeros(self.count), np.concatenate(self.high)], axis=1),
            method="highs",
        )
        if result.status != 0:
            raise InfeasibleError(f"bound of an episode: {result.message}")
        return total - float(result.fun) + TOLERANCE_USD

    def _machines(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the least energy of each step (n,), and its segments of energy and what a kilowatt-hour more earns, (n, k)."""
        site, rows = self.site, self.rows
        low_c = np.minimum(rows[:, OUTDOOR_TEMP_C], rows[:, WET_BULB_TEMP_C])
        cold_c = np.floor(np.minimum.accumulate(low_c) / COLD_STEP_C) * COLD_STEP_C
        best = np.maximum(rows[:, REALISED_HASHPRICE], rows[:, N_CHANNELS:].max(axis=1, initial=-np.inf))
        least, widths, slopes, warm = np.zeros(self.n), [], [], []
        for z, zone in enumerate(site.zones):
            classes, index = np.unique(cold_c, return_inverse=True)
            hulls = [_Hull.of(site, z, float(c)) for c in classes]
            n = max(len(hull.width_kwh) for hull in hulls)
            least += np.array([hull.least_kwh for hull in hulls])[index]
            widths.append(np.stack([np.pad(hull.width_kwh, (0, n - len(hull.width_kwh))) for hull in hulls])[index])
            slopes.append(
                np.stack([np.pad(hull.slope_th_per_kwh, (0, n - len(hull.slope_th_per_kwh))) for hull in hulls])[index]
            )
            warm += [float(zone.plant.delivers_heat)] * n
        heat = np.maximum(0.0, rows[:, HEAT_PRICE])[:, None] / KWH_PER_MWH * np.array(warm)
        return (
            least,
            np.concatenate(widths, axis=1),
            np.concatenate(slopes, axis=1) * usd_per_th(1.0) * best[:, None] + heat,
        )

    def _most_kwh(self) -> float:
        """Return the most that machines and plants can draw in a step. [kWh]"""
        state = State.hashing(1, self.site).zone[0]
        record, total = self.site.zone_record, 0.0
        for z, zone in enumerate(self.site.zones):
            total += zone.n_units * (highest_power_w(zone.max_mhz, state[z], record[z]) + self.site.misc_w_per_unit)
        return total * (1.0 + self.site.transformer_loss_frac) * STEP_H / 1000.0

    def _offered_kwh(self) -> float:
        return self.site.contract.numbers["committed_pu"] * self.site.rated_power_w / 1000.0 * STEP_H

    def _first_worth(self) -> float:
        """Return what sold heat of warm coolant and machines could be worth at the begin, and the worth of the battery's first charge. [USD]"""
        heat = float(np.maximum(0.0, self.rows[:, HEAT_PRICE]).max()) / KWH_PER_MWH
        stored = 0.0
        for z, zone in enumerate(self.site.zones):
            if zone.plant.delivers_heat:
                record = self.site.zone_record[z]
                stored += zone.n_units * float(record["lump_j_per_k"] + record["chip_j_per_k"]) * WARMEST_K / 3.6e6
        usd = heat * stored
        if self.site.battery is not None:
            battery = self.site.battery
            usd -= battery.first_charge_kwh * battery.cell_efficiency * self.end_usd_per_mwh / KWH_PER_MWH
        return usd

    def _balance(self, least: FloatArray, n_segments: int) -> tuple[sparse.csr_matrix, FloatArray]:
        """Return the rows that say: what is drawn and what sun and wind give is what is used."""
        if self.site.battery is not None:
            battery, linear = self.site.battery, self.site.battery.inverter_linear_frac
            rated = battery.power_w / 1000.0 * STEP_H
            self.variables("charge", 0.0, rated)
            self.variables("discharge", 0.0, rated)
            ends = np.zeros(self.n)
            ends[-1] = -battery.cell_efficiency * self.end_usd_per_mwh / KWH_PER_MWH
            self.variables("stored", ends, battery.energy_wh / 1000.0)
            self.held = (1.0 - linear) * battery.cell_efficiency, (1.0 + linear) / battery.cell_efficiency
        signs = {
            **{f"x{k}": 1.0 for k in range(n_segments)},
            "waste": 1.0,
            "block": -1.0,
            "over": -1.0,
            "export": 1.0,
            "supply": -1.0,
        }
        side = 0.0
        if self.site.battery is not None:
            signs |= {"charge": 1.0, "discharge": -1.0}
            side = self.site.battery.auxiliary_frac * self.site.battery.power_w / 1000.0 * STEP_H
        columns = np.concatenate([self.place[name] for name in signs])
        values = np.repeat(np.array(list(signs.values())), self.n)
        lines = np.tile(np.arange(self.n), len(signs))
        return sparse.csr_matrix((values, (lines, columns)), (self.n, self.count)), -least - side

    def _battery(self) -> tuple[sparse.csr_matrix, FloatArray]:
        """Return the rows that say what the battery holds after each step."""
        assert self.site.battery is not None
        at, held = np.arange(self.n), self.held
        kept = 1.0 - self.site.battery.self_discharge_per_month * STEP_H / 730.5
        values = np.concatenate(
            [np.ones(self.n), np.full(self.n - 1, -kept), np.full(self.n, -held[0]), np.full(self.n, held[1])]
        )
        lines = np.concatenate([at, at[1:], at, at])
        columns = np.concatenate(
            [self.place["stored"], self.place["stored"][:-1], self.place["charge"], self.place["discharge"]]
        )
        right = np.zeros(self.n)
        right[0] = kept * self.site.battery.first_charge_kwh
        return sparse.csr_matrix((values, (lines, columns)), (self.n, self.count)), right

    def _import_limit(self, most_in: float) -> list[tuple[sparse.csr_matrix, FloatArray]]:
        """Return the rows that hold block and over together within the import limit."""
        if not np.isfinite(most_in) or not self.rows[:, BLOCK_KWH].any():
            return []
        at, columns = np.arange(self.n), np.concatenate([self.place["block"], self.place["over"]])
        matrix = sparse.csr_matrix((np.ones(2 * self.n), (np.tile(at, 2), columns)), (self.n, self.count))
        return [(matrix, np.full(self.n, most_in))]

    def _peaks(self) -> list[tuple[sparse.csr_matrix, FloatArray]]:
        """Add the month's peaks and the coincident ones, and return the rows that hold what is drawn in each interval below them."""
        ends = (self.clock & ENDS_INTERVAL) > 0
        interval = np.concatenate([[0], np.cumsum(ends)[:-1]])
        month = np.cumsum((self.clock & BEGINS_MONTH) > 0)
        hours, blocks = self.site.contract.numbers["interval_h"], []
        last = np.flatnonzero(ends)
        kinds: list[tuple[str, IntArray, IntArray, FloatArray]] = []
        for name, channel in (("demand", DEMAND_PRICE), ("window", WINDOW_DEMAND_PRICE)):
            priced = last[self.rows[last, channel] > 0.0]
            if len(priced):
                months, of_month = np.unique(month[priced], return_inverse=True)
                rate = np.array([self.rows[priced[of_month == k], channel].max() for k in range(len(months))])
                begun = np.where(months == 0, self.first_peak_kw, 0.0)
                self.variables(name, rate, np.inf, len(months))
                kinds.append((name, priced, self.place[name][of_month], hours * np.ones(len(priced))))
                blocks.append(self._floor(name, begun, rate))
        flagged = np.unique(interval[self.rows[:, COINCIDENT_PRICE] > 0.0])
        if len(flagged):
            price = np.array([self.rows[interval == k, COINCIDENT_PRICE].max() for k in flagged]) / KWH_PER_MWH
            self.variables("coincident", price, np.inf, len(flagged))
            closing = np.array([np.flatnonzero(interval == k)[-1] for k in flagged])
            kinds.append(("coincident", closing, self.place["coincident"], np.ones(len(flagged))))
        width = self.count
        found = [
            (sparse.hstack([part, sparse.csr_matrix((part.shape[0], width - part.shape[1]))]), right)
            for part, right in blocks
        ]
        for _, closing, target, per in kinds:
            lines, columns, values = [], [], []
            for row, step in enumerate(closing):
                steps = np.flatnonzero(interval == interval[step])
                for name, sign in (("block", 1.0), ("over", 1.0), ("export", -1.0)):
                    lines.append(np.full(len(steps), row))
                    columns.append(self.place[name][steps])
                    values.append(np.full(len(steps), sign))
                lines.append(np.array([row]))
                columns.append(np.array([target[row]]))
                values.append(np.array([-per[row]]))
            matrix = sparse.csr_matrix(
                (np.concatenate(values), (np.concatenate(lines), np.concatenate(columns))), (len(closing), width)
            )
            found.append((matrix, np.zeros(len(closing))))
        return found

    def _floor(self, name: str, begun: FloatArray, rate: FloatArray) -> tuple[sparse.csr_matrix, FloatArray]:
        """Return the rows that hold a peak above the one with which the month began, whose price is not due again."""
        n, places = len(begun), self.place[name]
        self.cost.append(-rate * begun)
        self.high.append(np.ones(n))
        ones = np.arange(self.count, self.count + n)
        self.count += n
        # What was paid before is given back by variables that are 1 at most.
        lines = np.concatenate([np.arange(n), np.arange(n)])
        matrix = sparse.csr_matrix(
            (np.concatenate([-np.ones(n), begun]), (lines, np.concatenate([places, ones]))), (n, self.count)
        )
        return matrix, np.zeros(n)


WARMEST_K: Final = 60.0
"""Most by which warm coolant and machines could cool down while their heat is sold. [K] assumed: from 80 to 20 °C."""

TOLERANCE_USD: Final = 1e-3
"""Tolerance of the solver. chosen: far above its own, far below a dollar."""
