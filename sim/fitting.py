"""Fit a machine's power model to its published operating points."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from .cooling import fan_power_w
from .unit import PROFILE_FAN_PU

FloatArray = npt.NDArray[np.float64]


def fit(entry: Mapping[str, Any], common: Mapping[str, Any]) -> tuple[dict[str, float], FloatArray]:
    """Fit a, b and P_0 of the switching power and the hashrate per MHz, by relative least squares with a, b, P_0 ≥ 0.

    The leakage is not seen in tables taken at one temperature; its share of the board power at the reference point is
    given, and its part is taken off before the fit.

    Args:
        entry: A machine of machines.yaml: points as rows of MHz, V, W, TH/s; leak_share; ref_v.
        common: The common part of machines.yaml.

    Returns:
        The coefficients, and the relative error of the modelled watts at each point.
    """
    points = np.asarray(entry["points"], dtype=np.float64)
    freq_mhz, power_w, hashrate_ths = points[:, 0], points[:, 2], points[:, 3]
    rail_v = np.maximum(entry["floor_v"], entry["ref_v"] + entry["slope_v_per_mhz"] * (freq_mhz - entry["ref_mhz"]))
    efficiency = common["psu_efficiency"]
    side_w = common["control_w"] + fan_power_w(PROFILE_FAN_PU, common["fan_rated_w"])
    board_w = (power_w - side_w) * efficiency
    reference_w = float(np.interp(entry["ref_mhz"], freq_mhz, board_w))
    leak_w_per_v2 = entry["leak_share"] * reference_w / entry["ref_v"] ** 2
    leak_w = leak_w_per_v2 * rail_v**2
    columns = np.stack([freq_mhz * rail_v**2, freq_mhz, np.ones_like(freq_mhz)], axis=1)
    solution, _ = nnls(columns / power_w[:, None], (board_w - leak_w) / power_w)
    modelled_w = (columns @ solution + leak_w) / efficiency + side_w
    coefficients = {
        "a_w_per_mhz_v2": float(solution[0]),
        "b_w_per_mhz": float(solution[1]),
        "base_w": float(solution[2]),
        "leak_w_per_v2": float(leak_w_per_v2),
        "ths_per_mhz": float(np.sum(freq_mhz * hashrate_ths) / np.sum(freq_mhz**2)),
    }
    return coefficients, modelled_w / power_w - 1.0
