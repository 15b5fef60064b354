"""Real measurements that are not ours to ship, read from a folder of the user's: chillers and single-chip miners.

The folder holds `plant/esb_chiller{1,2}_*.csv.gz` (hazrmard/EngineeringScienceBuilding) and
`machines/bitaxe_telemetry_*.csv.gz` (mtab3000/bitaxe-monitor).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import least_squares

from hashgym.sim.cooling import chiller as chiller_model
from hashgym.sim.foundation.constants import ZERO_CELSIUS_K
from hashgym.sim.foundation.errors import BadInputError

FloatArray = npt.NDArray[np.float64]

RATED_COOLING_W: Final = {"1": 3.00e6, "2": 2.83e6}
"""Rated cooling of the chillers. Measured: median of cooling over the controller's percent of load."""


@dataclass(frozen=True, slots=True)
class ChillerData:
    """Steady rows of a chiller, each array (n,)."""

    is_june: npt.NDArray[np.bool_]
    load_pu: FloatArray
    evaporator_k: FloatArray
    condenser_k: FloatArray
    cop: FloatArray
    approach_k: FloatArray


def find(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern; raises BadInputError if there is none."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise BadInputError(f"no {pattern} in {folder}; see this module's docstring for what belongs there")
    return found


def chiller(folder: Path, number: str) -> ChillerData:
    """Return the rows of a chiller in which it has run steadily for a quarter of an hour above 15 % load.

    What is steady was settled before any fit: from one five-minute row to the next power and cooling change by less
    than 10 %, condenser water by less than 0.5 K and chilled water by less than 0.2 K.
    """
    path = find(folder, f"plant/esb_chiller{number}_*.csv.gz")[0]
    frame = pd.read_csv(path, parse_dates=["Time"])
    power_w, cooling_w = frame["PowIn"], frame["Tons"]  # the column "Tons" is in watts
    condenser_k, evaporator_k = frame["TempCondIn"], frame["TempEvapOut"]
    running = power_w > 20e3
    for back in (1, 2, 3):
        running &= power_w.shift(back) > 20e3
    cop = cooling_w / power_w.where(power_w > 0.0)
    physical = cop.between(1.5, 15.0) & (frame["TempEvapIn"] > evaporator_k)
    physical &= (frame["TempCondOut"] > condenser_k) & (condenser_k > evaporator_k)
    steady = (power_w.pct_change(fill_method=None).abs() < 0.1) & (cooling_w.pct_change(fill_method=None).abs() < 0.1)
    steady &= (condenser_k.diff().abs() < 0.5) & (evaporator_k.diff().abs() < 0.2)
    keep = running & physical & steady & (cooling_w > 0.15 * RATED_COOLING_W[number])
    part = frame[keep]
    return ChillerData(
        (part["Time"].dt.month == 6).to_numpy(),
        (cooling_w[keep] / RATED_COOLING_W[number]).to_numpy(np.float64),
        evaporator_k[keep].to_numpy(np.float64),
        condenser_k[keep].to_numpy(np.float64),
        cop[keep].to_numpy(np.float64),
        (condenser_k[keep] - part["TempWetbulb"]).to_numpy(np.float64),
    )


def gordon_ng(data: ChillerData, coefficients: FloatArray) -> FloatArray:
    """Return the COP of each row by the simulator's own `chiller.cop`, of s, l and r. (n,)"""
    rows = zip(data.load_pu, celsius(data.evaporator_k), celsius(data.condenser_k), strict=True)
    return np.array(
        [chiller_model.cop(load, evaporator, condenser, *coefficients) for load, evaporator, condenser in rows]
    )


def fit_chiller(data: ChillerData) -> FloatArray:
    """Return s, l and r of the Gordon-Ng model fitted to the rows of May, robustly, on the logarithm of COP."""
    may = ChillerData(*(getattr(data, name)[~data.is_june] for name in ChillerData.__slots__))

    def misfit(coefficients: FloatArray) -> FloatArray:
        return np.asarray(np.log(np.maximum(gordon_ng(may, coefficients), 0.1)) - np.log(may.cop))

    found = least_squares(misfit, (1e-5, 0.2, 5.0), loss="soft_l1", f_scale=0.03, x_scale=(1e-5, 0.1, 1.0))
    return np.asarray(found.x, np.float64)


REGULATOR_OFFSET_W: Final = 5.0
"""What the firmware of the Bitaxe adds to regulator power. Source: ESP-Miner, GAMMA_POWER_OFFSET."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Set-points of one Bitaxe: medians of steady samples, each array (n,)."""

    name: str
    freq_mhz: FloatArray
    core_v: FloatArray
    power_w: FloatArray
    hashrate_ths: FloatArray


def bitaxe(folder: Path) -> list[Sweep]:
    """Return the sweep of each single-chip miner: set-points with eight steady samples or more near 60 °C."""
    frames = []
    for path in find(folder, "machines/bitaxe_telemetry_*.csv.gz"):
        frame = pd.read_csv(path).rename(columns={"core_voltage_actual_v": "voltage_v"})
        columns = [
            "miner_name",
            "frequency_mhz",
            "voltage_v",
            "power_w",
            "hashrate_th",
            "temperature_c",
            "uptime_s",
            "input_voltage_v",
        ]
        frames.append(frame[[name for name in columns if name in frame]])
    rows = pd.concat(frames, ignore_index=True)
    steady = (rows["temperature_c"] - 60.0).abs() < 1.25
    steady &= (rows["power_w"] > REGULATOR_OFFSET_W) & (rows["hashrate_th"] > 0.0)
    if "input_voltage_v" in rows:
        steady &= ~(rows["input_voltage_v"] < 4.5)
    if "uptime_s" in rows:
        steady &= ~(rows["uptime_s"] < 300.0)
    rows = rows[steady].assign(level=lambda part: part["voltage_v"].round(2))
    result = []
    for name, part in rows.groupby("miner_name"):
        points = part.groupby(["frequency_mhz", "level"]).agg(
            voltage_v=("voltage_v", "median"),
            power_w=("power_w", "median"),
            hashrate_th=("hashrate_th", "mean"),
            n=("power_w", "size"),
        )
        points = points[points["n"] >= 8].reset_index()
        arrays = ("frequency_mhz", "voltage_v", "power_w", "hashrate_th")
        result.append(Sweep(str(name), *(points[column].to_numpy(np.float64) for column in arrays)))
    return result


def left_out_errors(sweep: Sweep) -> FloatArray:
    """Return the relative error at each set-point of P = a f V² + P_0 fitted to the others. (n,)"""
    columns = np.stack([sweep.freq_mhz * sweep.core_v**2, np.ones_like(sweep.core_v)], axis=1)
    errors = np.empty(len(sweep.power_w))
    for index in range(len(errors)):
        keep = np.arange(len(errors)) != index
        solution = np.linalg.lstsq(columns[keep], sweep.power_w[keep], rcond=None)[0]
        errors[index] = columns[index] @ solution / sweep.power_w[index] - 1.0
    return errors


def celsius(kelvin: FloatArray) -> FloatArray:
    """Convert kelvin to degrees Celsius."""
    return kelvin - ZERO_CELSIUS_K
