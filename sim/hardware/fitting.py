"""Fit a machine's power model to a published list of operating points, and scale it to a relative without a list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar, nnls

from . import machine as physics
from .fans import fan_power_w
from .params import PROFILE_CHIP_TEMP_C, PROFILE_FAN_PU

FloatArray = npt.NDArray[np.float64]

FLOOR_PU: Final = 0.78
"""Lowest rail voltage over that at rated power where a list does not show one. Source: supply of the S19 XP, 11.88 to
15.18 V (256foundation/asic-rs, epic capabilities.json), taken to be at its highest at rated power."""

_NEGATIVE_LINEAR_FRAC: Final = 0.9
"""How much of the switching power at the lowest voltage a negative linear term may take away. assumed: keeps power
growing with frequency at any voltage."""

COMPUTABLE_EXCESS: Final = 1.05
"""Hashrate over chips × cores × frequency from which a point is not believed. assumed: rounding of lists."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A published list of operating points, each array (n_points,); rail_v is NaN where the list does not say."""

    freq_mhz: FloatArray
    rail_v: FloatArray
    power_w: FloatArray
    hashrate_ths: FloatArray

    @classmethod
    def read(cls, points: list[list[float | None]]) -> "Curve":
        """Return the curve of rows of MHz, V, W and TH/s as the catalogue has them."""
        return cls(*np.array(points, dtype=np.float64).T)

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.freq_mhz)

    def where(self, keep: npt.NDArray[np.bool_]) -> "Curve":
        """Return the points that a mask keeps."""
        return Curve(self.freq_mhz[keep], self.rail_v[keep], self.power_w[keep], self.hashrate_ths[keep])

    def computable(self, chips: float, cores: float | None) -> npt.NDArray[np.bool_]:
        """Tell which points the chips can compute: one hash per core and cycle."""
        if cores is None:
            return np.ones(len(self), dtype=bool)
        return self.hashrate_ths <= COMPUTABLE_EXCESS * chips * cores * self.freq_mhz * 1e-6


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients of a machine's power model and how well they meet its list."""

    coefficients: dict[str, float]
    error: FloatArray
    """Modelled over listed watts less 1, (n_points,)."""
    left_out_error: FloatArray
    """The same for each point, of a fit without it, (n_points,)."""
    n_parameters: int


def fit(curve: Curve, machine: Mapping[str, Any]) -> Fit:
    """Fit a, b and P_0 of the switching power; where the list has no rail voltage, its slope instead of b.

    Relative least squares; a, P_0 ≥ 0. b may be negative, where the rail's voltage does not all reach the chips, but
    power grows with frequency at any voltage. Lists are taken at one temperature and do not show the leakage; its
    share of the board power at rated power is given, and its part is taken off before the fit.

    Args:
        curve: The points to fit.
        machine: rated_power_w, leak_share, psu_efficiency, control_w and fan_rated_w of the machine; rated_rail_v, the rail
            voltage at rated power, where the list has none.
    """
    every = np.ones(len(curve), dtype=bool)
    coefficients, n_parameters = _solve(curve, every, machine)
    modelled = [model_w(coefficients, curve.freq_mhz, machine) / curve.power_w - 1.0]
    for index in range(len(curve)):
        keep = every.copy()
        keep[index] = False
        without, _ = _solve(curve, keep, machine)
        modelled.append(model_w(without, curve.freq_mhz[[index]], machine) / curve.power_w[index] - 1.0)
    return Fit(coefficients, modelled[0], np.concatenate(modelled[1:]), n_parameters)


def side_w(machine: Mapping[str, Any]) -> float:
    """Return what a machine draws beside its boards in the published lists: control board and fans. [W]"""
    return float(machine["control_w"] + fan_power_w(PROFILE_FAN_PU, machine.get("fan_rated_w", 0.0)))


def model_w(coefficients: Mapping[str, float], freq_mhz: FloatArray, machine: Mapping[str, Any]) -> FloatArray:
    """Return the modelled power at the socket under the conditions of the published lists. [W], shape of freq_mhz."""
    c, list_temp_c = coefficients, PROFILE_CHIP_TEMP_C
    boards_w = [
        physics.switching_power_w(f, v, c["a_w_per_mhz_v2"], c["b_w_per_mhz"], c["base_w"])
        # The lists are taken at the temperature to which the fitted leakage belongs.
        + physics.leakage_w(v, list_temp_c, c["leak_w_per_v2"], list_temp_c, 0.0)
        for f, v in zip(freq_mhz, _rail_v(c, freq_mhz), strict=True)
    ]
    fan_w = fan_power_w(PROFILE_FAN_PU, machine.get("fan_rated_w", 0.0))
    return np.array([physics.wall_power_w(w, machine["psu_efficiency"], machine["control_w"], fan_w) for w in boards_w])


def scale(family: Mapping[str, float], machine: Mapping[str, Any]) -> dict[str, float]:
    """Return the coefficients of a machine without a list: its relative's curve, stretched to its rated point.

    Args:
        family: Coefficients of the relative.
        machine: As for `fit`, with rated_hashrate_ths and, where it is known, ref_mhz.
    """
    board_w = (machine["rated_power_w"] - side_w(machine)) * machine["psu_efficiency"]
    family_w = (family["a_w_per_mhz_v2"] * family["ref_v"] ** 2 + family["b_w_per_mhz"]) * family["ref_mhz"]
    ref_mhz = machine.get("ref_mhz", family["ref_mhz"])
    per_mhz = family["ref_mhz"] / ref_mhz
    size = board_w * (1.0 - machine["leak_share"]) / (family_w + family["base_w"])
    return {
        "ref_mhz": ref_mhz,
        "ref_v": family["ref_v"],
        "slope_v_per_mhz": family["slope_v_per_mhz"] * per_mhz,
        "floor_v": family["floor_v"],
        "a_w_per_mhz_v2": family["a_w_per_mhz_v2"] * size * per_mhz,
        "b_w_per_mhz": family["b_w_per_mhz"] * size * per_mhz,
        "base_w": family["base_w"] * size,
        "leak_w_per_v2": machine["leak_share"] * board_w / family["ref_v"] ** 2,
        "ths_per_mhz": machine["rated_hashrate_ths"] / ref_mhz,
    }


def bounded(
    coefficients: dict[str, float], least_j_per_th: float, machine: Mapping[str, Any], freq_mhz: FloatArray
) -> dict[str, float]:
    """Return the coefficients with the lowest rail voltage raised until no frequency is more efficient than what is published.

    A curve that goes on below its published points lets its voltage fall further than anybody has shown. Nothing shows its constant
    part either: that goes into the linear one, at equal power at the reference.

    Args:
        coefficients: Those of `fit` or `scale`.
        least_j_per_th: Best efficiency that is published. [J/TH]
        machine: As for `fit`.
        freq_mhz: Ladder of the machine, (n,). [MHz]
    """
    ths = freq_mhz * coefficients["ths_per_mhz"]
    linear = coefficients["b_w_per_mhz"] + coefficients["base_w"] / coefficients["ref_mhz"]
    coefficients = {**coefficients, "b_w_per_mhz": linear, "base_w": 0.0}

    def best(floor_v: float) -> float:
        return float((model_w({**coefficients, "floor_v": floor_v}, freq_mhz, machine) / ths).min())

    low, high = coefficients["floor_v"], coefficients["ref_v"]
    if best(low) >= least_j_per_th:
        return coefficients
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if best(middle) >= least_j_per_th else (middle, high)
    return {**coefficients, "floor_v": high}


def _rail_v(law: Mapping[str, float], freq_mhz: FloatArray) -> FloatArray:
    """Return the rail voltages that a voltage law sets. [V], shape of freq_mhz."""
    line = (law["ref_mhz"], law["ref_v"], law["slope_v_per_mhz"], law["floor_v"])
    return np.array([physics.rail_voltage_v(f, *line) for f in freq_mhz])


def _solve(curve: Curve, keep: npt.NDArray[np.bool_], machine: Mapping[str, Any]) -> tuple[dict[str, float], int]:
    """Return the coefficients from the kept points and their number; the voltage law is the list's own."""
    order = np.argsort(curve.power_w)
    ref_mhz = float(np.interp(machine["rated_power_w"], curve.power_w[order], curve.freq_mhz[order]))
    if not np.isnan(curve.rail_v).any():
        return _power(curve.where(keep), _voltage_law(curve, ref_mhz), machine)[0], 3

    lowest_pu = float(curve.freq_mhz.min()) / ref_mhz

    def solve(slope_pu: float) -> tuple[dict[str, float], float]:
        return _power(curve.where(keep), _unlisted_law(slope_pu, ref_mhz, lowest_pu, machine["rated_rail_v"]), machine)

    grid = np.linspace(0.0, 1.2, 25)
    best = grid[int(np.argmin([solve(slope_pu)[1] for slope_pu in grid]))]
    bounds = (max(0.0, best - 0.05), best + 0.05)
    slope_pu = minimize_scalar(lambda slope_pu: solve(slope_pu)[1], bounds=bounds, method="bounded").x
    return solve(float(slope_pu))[0], 3


def _voltage_law(curve: Curve, ref_mhz: float) -> dict[str, float]:
    """Return the law of the listed voltages: a floor where the lowest is listed twice, else FLOOR_PU, and a line."""
    lowest_v = float(curve.rail_v.min())
    has_floor = int(np.sum(curve.rail_v == lowest_v)) > 1
    rising = curve.rail_v > lowest_v if has_floor else np.ones(len(curve), dtype=bool)
    slope, at_zero = np.polyfit(curve.freq_mhz[rising], curve.rail_v[rising], 1)
    ref_v = float(at_zero + slope * ref_mhz)
    floor_v = lowest_v if has_floor else min(lowest_v, FLOOR_PU * ref_v)
    return {"ref_mhz": ref_mhz, "ref_v": ref_v, "slope_v_per_mhz": float(slope), "floor_v": floor_v}


def _unlisted_law(slope_pu: float, ref_mhz: float, lowest_pu: float, ref_v: float) -> dict[str, float]:
    """Return the voltage law of a list without voltages; it shows no floor above its lowest frequency."""
    floor_v = ref_v * max(FLOOR_PU, 1.0 + slope_pu * (lowest_pu - 1.0))
    return {"ref_mhz": ref_mhz, "ref_v": ref_v, "slope_v_per_mhz": ref_v * slope_pu / ref_mhz, "floor_v": floor_v}


def _power(curve: Curve, law: dict[str, float], machine: Mapping[str, Any]) -> tuple[dict[str, float], float]:
    """Return the coefficients of the switching power under a voltage law, and the sum of squared relative errors."""
    freq_mhz, power_w = curve.freq_mhz, curve.power_w
    is_listed = not np.isnan(curve.rail_v).any()
    rail_v = curve.rail_v if is_listed else _rail_v(law, freq_mhz)
    board_w = (power_w - side_w(machine)) * machine["psu_efficiency"]
    order = np.argsort(freq_mhz)
    reference_w = float(np.interp(law["ref_mhz"], freq_mhz[order], board_w[order]))
    leak_w_per_v2 = machine["leak_share"] * reference_w / law["ref_v"] ** 2
    kept_v2 = _NEGATIVE_LINEAR_FRAC * law["floor_v"] ** 2
    # Where the slope of the voltage is fitted, a linear term would say the same: it stays 0.
    linear = np.stack([freq_mhz, freq_mhz * (rail_v**2 - kept_v2)]) * is_listed
    columns = np.stack([freq_mhz * rail_v**2, linear[0], np.ones_like(freq_mhz), linear[1]], axis=1)
    (both, flat, base_w, steep), misfit = nnls(
        columns / power_w[:, None], (board_w - leak_w_per_v2 * rail_v**2) / power_w
    )
    coefficients = {
        **law,
        "a_w_per_mhz_v2": float(both + steep),
        "b_w_per_mhz": float(flat - kept_v2 * steep),
        "base_w": float(base_w),
        "leak_w_per_v2": float(leak_w_per_v2),
        "ths_per_mhz": float(np.sum(freq_mhz * curve.hashrate_ths) / np.sum(freq_mhz**2)),
    }
    return coefficients, float(misfit)
