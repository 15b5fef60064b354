"""A machine: voltage, hashrate and power as functions of frequency and temperature."""

import math

import numpy as np
import numpy.typing as npt

from ..foundation.jit import allocating_kernel, kernel

FloatArray = npt.NDArray[np.float64]


@kernel
def rail_voltage_v(freq_mhz: float, ref_mhz: float, ref_v: float, slope_v_per_mhz: float, floor_v: float) -> float:
    """Return the rail voltage that the firmware sets for a frequency, V = max(V_floor, V_0 + k (f - f_0)). [V]

    Source:
        Published LuxOS and ePIC profile tables (see the machine's entry in the catalogue).

    Examples:
        >>> rail_voltage_v(500.0, 545.0, 13.0, 0.004, 12.0)
        12.82
    """
    return max(floor_v, ref_v + slope_v_per_mhz * (freq_mhz - ref_mhz))


@kernel
def switching_power_w(
    freq_mhz: float, rail_v: float, a_w_per_mhz_v2: float, b_w_per_mhz: float, base_w: float
) -> float:
    """Return the board power that does not depend on temperature, P = a f V² + b f + P_0. [W]

    Source:
        CMOS switching power C V² f; linear and constant terms as the published profiles need them.
    """
    return a_w_per_mhz_v2 * freq_mhz * rail_v * rail_v + b_w_per_mhz * freq_mhz + base_w


@kernel
def leakage_w(rail_v: float, chip_temp_c: float, w_per_v2: float, ref_temp_c: float, per_k: float) -> float:
    """Return the leakage power of the boards, P = λ V² exp(β (T - T_ref)). [W]

    Source:
        Sub-threshold leakage, N. Weste, D. Harris, CMOS VLSI Design, 4th ed., sec. 5.3; exponential fit in temperature.
    """
    return w_per_v2 * rail_v * rail_v * math.exp(per_k * (chip_temp_c - ref_temp_c))


@kernel
def error_frac(chip_temp_c: float, ref_frac: float, ref_temp_c: float, per_k: float) -> float:
    """Return the share of nonces lost to hardware errors, at most 1.

    Args:
        chip_temp_c: Temperature of the hottest chips. [°C]
        ref_frac: Share at the reference temperature.
        ref_temp_c: Reference temperature. [°C]
        per_k: Growth with temperature. [1/K]
    """
    return min(1.0, ref_frac * math.exp(per_k * (chip_temp_c - ref_temp_c)))


@kernel
def wall_power_w(board_w: float, psu_efficiency: float, control_w: float, fan_w: float) -> float:
    """Return the power at the machine's socket. [W]"""
    return board_w / psu_efficiency + control_w + fan_w


@allocating_kernel
def rail_voltages_v(freq_mhz: FloatArray, records: np.ndarray) -> FloatArray:
    """Return the rail voltage that the firmware of each of many machines sets, (n,). [V]

    Args:
        freq_mhz: Frequencies, (n,). [MHz]
        records: Parameters of each machine, (n,) of a record with the voltage law's names.
    """
    volts = np.empty(freq_mhz.size)
    for k in range(freq_mhz.size):
        p = records[k]
        volts[k] = rail_voltage_v(freq_mhz[k], p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    return volts


@allocating_kernel
def error_fracs(chip_temp_c: FloatArray, records: np.ndarray) -> FloatArray:
    """Return the share of nonces that each of many machines loses to hardware errors, (n,).

    Args:
        chip_temp_c: Temperatures of the hottest chips, (n,). [°C]
        records: Parameters of each machine, (n,) of a record with the names of `error_frac`'s figures.
    """
    shares = np.empty(chip_temp_c.size)
    for k in range(chip_temp_c.size):
        p = records[k]
        shares[k] = error_frac(chip_temp_c[k], p["error_ref_frac"], p["error_ref_temp_c"], p["error_per_k"])
    return shares
