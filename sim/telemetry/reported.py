"""What machines would report: pyasic's and VNish's fields for a fleet of units, with noise, bias, drop-outs and labels."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..hardware import machine
from ..hardware.firmware import ASLEEP, HASHING, STARTING, TRIPPED
from .columns import COLUMNS, STATUS
from .fleet import HARDWARE_ERRORS_FRAC, UnitFleet

FloatArray = npt.NDArray[np.float64]

N_BOARDS: Final = 3
"""Hash boards of a machine. Source: UpstreamData/pyasic, most models."""

MAX_RPM: Final = 6150.0
"""Fan speed at full speed. Source: specification of the S19's fans (buybtc123.com)."""

DUTY_OF_SPEED: Final = ((0.0, 0.346, 0.966, 1.0), (0.0, 20.0, 92.0, 100.0))
"""Speed of a fan over the highest, and the duty at which it has it [%]. Source: 2,130 rpm in the mean at 20 % (LuxOS, S19k Pro), 5,943 at 92 %
(Braiins, S21 Pro), of MAX_RPM (256foundation/asic-rs)."""

BOARD_BELOW_CHIP_K: Final = 15.0
"""Board sensor below the chips. Source: LuxOS documentation, chip = board + 15 °C on the S19 series."""

DROP_OUT_FRAC: Final = 0.005
"""Readings that do not arrive. assumed: network and firmware restarts."""

_TEMP_NOISE_K: Final = 0.5
"""Standard deviation of a temperature reading. assumed: sensors report whole or half degrees."""

_HASHRATE_NOISE: Final = 0.015
"""Relative standard deviation of five minutes' hashrate as the machine counts it. assumed: some 4,000 nonces, 1/sqrt(n)."""

_POWER_NOISE: Final = 0.005
"""Relative standard deviation of a power reading. assumed."""

_REJECT_FRAC: Final = 0.002
"""Rejected shares. Source: 0.11-0.20 % in live telemetry (256foundation/asic-rs)."""

_SHARES_PER_STEP: Final = 40.0
"""Accepted shares a control step at the pool's vardiff. assumed: one in 7 s."""

VNISH_STATES: Final = {ASLEEP: "stopped", STARTING: "starting", HASHING: "mining", TRIPPED: "failure"}
"""VNish's miner states by our modes; a zone that tunes is "auto-tuning". Source: VNish API documentation 1.2.6."""


class Reporter:
    """Turns a fleet's state into readings, step by step; its noise, biases and stuck values follow from a seed."""

    def __init__(self, fleet: UnitFleet, seed: int) -> None:
        """Draw the biases of every unit's sensors."""
        self.fleet, self.seed = fleet, seed
        rng = np.random.default_rng([seed, 0])
        n = fleet.n_units
        bias = fleet.record["power_bias_frac"]
        self.power_bias = bias * np.clip(rng.standard_normal(n), -3.0, 3.0)
        self.temp_bias_k = np.clip(rng.standard_normal(n), -3.0, 3.0)
        self._stuck_c = np.full(n, np.nan)
        self._accepted, self._rejected, self._counted_until = np.zeros(n), np.zeros(n), 0

    def read(self, stamp: pd.Timestamp) -> pd.DataFrame:
        """Return one row for each unit that answers, after a step of the fleet.

        Columns: time_utc, unit, zone, model, algorithm, n_fans, mode, tuning, uptime_s, freq_mhz, rail_v, hashrate_ths,
        expected_hashrate_ths, board0_ths to board2_ths, power_w (reported), metered_w (true), hot_temp_c, board_temp_c, inlet_temp_c,
        outlet_temp_c, fan_rpm, fan_duty_pct, hw_errors_pct, accepted, rejected, and the label `fault`.
        """
        fleet, state, record = self.fleet, self.fleet.state, self.fleet.record
        n = fleet.n_units
        rng = np.random.default_rng([self.seed, 1, fleet.step_number])
        noise = rng.standard_normal((6, n))
        lost = (rng.random(n) < DROP_OUT_FRAC) | (fleet.levels("silent") > 0.0)
        hashing = state["mode"] == HASHING
        hidden = fleet.levels("no_hashes") > 0.0
        hashrate_ths = np.where(hidden, 0.0, state["hashrate_ths"] * (1.0 + _HASHRATE_NOISE * noise[0]))
        drift = 0.3 * fleet.levels("power_sensor_drift")
        power_w = state["power_w"] * (1.0 + self.power_bias + drift + _POWER_NOISE * noise[1])
        chip_c = state["hot_temp_c"] + self.temp_bias_k + _TEMP_NOISE_K * noise[2]
        stuck = fleet.levels("temp_sensor_stuck") > 0.0
        self._stuck_c = np.where(stuck, np.where(np.isnan(self._stuck_c), chip_c, self._stuck_c), np.nan)
        error = machine.error_fracs(fleet.flow["max_chip_temp_c"], record)
        error = np.minimum(1.0, error + HARDWARE_ERRORS_FRAC * fleet.levels("hardware_errors"))
        is_seen = hashing & ~hidden
        shares = _SHARES_PER_STEP * (fleet.step_number - self._counted_until)
        self._accepted += rng.poisson(shares, n) * is_seen
        self._rejected += rng.poisson(shares * _REJECT_FRAC, n) * is_seen
        self._counted_until = fleet.step_number
        expected_ths = state["target_mhz"] * record["ths_per_mhz"]
        left = 1.0 - fleet.levels("board_lost")
        rows = pd.DataFrame(
            {
                "time_utc": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "unit": np.arange(n),
                "zone": fleet.zone_of,
                "model": [fleet.site.zones[z].machine.name for z in fleet.zone_of],
                "algorithm": [fleet.site.zones[z].machine.algorithm for z in fleet.zone_of],
                "n_fans": record["n_fans"],
                "mode": state["mode"],
                "tuning": state["tuning"] > 0.0,
                "uptime_s": state["mode_s"],
                "freq_mhz": state["freq_mhz"],
                "rail_v": machine.rail_voltages_v(state["freq_mhz"], record) * fleet.voltage_pu * hashing,
                "hashrate_ths": hashrate_ths,
                "expected_hashrate_ths": expected_ths,
                "board0_ths": hashrate_ths / (2.0 + left),
                "board1_ths": hashrate_ths / (2.0 + left),
                "board2_ths": hashrate_ths * left / (2.0 + left),
                "power_w": power_w,
                "metered_w": state["power_w"],
                "hot_temp_c": np.where(stuck, self._stuck_c, chip_c),
                "board_temp_c": chip_c - BOARD_BELOW_CHIP_K * hashing,
                "inlet_temp_c": state["inlet_temp_c"] + _TEMP_NOISE_K * noise[3],
                "outlet_temp_c": fleet.exhaust_temp_c + _TEMP_NOISE_K * noise[4],
                "fan_rpm": (record["n_fans"] > 0.0)
                * MAX_RPM
                * state["fan_pu"]
                * (1.0 - 0.5 * fleet.levels("fan_slow"))
                * (1.0 + 0.01 * noise[5]),
                "fan_duty_pct": np.interp(state["fan_pu"], *DUTY_OF_SPEED),
                "hw_errors_pct": 100.0 * error * hashing,
                "accepted": self._accepted,
                "rejected": self._rejected,
                "fault": fleet.labels(),
            }
        )
        return rows[~lost].reset_index(drop=True)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return readings as the table of telemetry that the advisor takes, see `telemetry.COLUMNS`."""
    names = {code: name for name, code in STATUS.items()}
    return pd.DataFrame(
        {
            "time_utc": rows["time_utc"],
            "machine_id": [f"z{zone}-{unit:05d}" for zone, unit in zip(rows["zone"], rows["unit"], strict=True)],
            "zone": rows["zone"],
            "model": rows["model"],
            "status": rows["mode"].map(names),
            "status_s": rows["uptime_s"],
            "freq_mhz": rows["freq_mhz"],
            "hashrate_ths": rows["hashrate_ths"].round(6),
            "power_w": rows["power_w"].round(0),
            "hot_temp_c": rows["hot_temp_c"].round(1),
            "inlet_temp_c": rows["inlet_temp_c"].round(1),
            "fan_pu": np.interp(rows["fan_duty_pct"], *DUTY_OF_SPEED[::-1]).round(3),
        }
    )[list(COLUMNS)]


def pyasic(row: pd.Series) -> dict[str, Any]:
    """Return a reading as pyasic's `MinerData` has it.

    Source:
        UpstreamData/pyasic, `MinerData` and `HashBoard`.
    """
    is_mining = bool(row["mode"] == HASHING)
    unit = int(row["unit"])
    boards = [
        {
            "slot": slot,
            "hashrate": {"rate": row[f"board{slot}_ths"], "unit": "TH/s"},
            "inlet_temp": round(row["inlet_temp_c"], 1),
            "outlet_temp": round(row["outlet_temp_c"], 1),
            "temp": round(row["board_temp_c"], 1),
            "chip_temp": round(row["hot_temp_c"], 1),
            "voltage": round(row["rail_v"], 2),
            "active": is_mining,
            "missing": False,
        }
        for slot in range(N_BOARDS)
    ]
    hashes = row["hashrate_ths"]
    return {
        "ip": f"10.{unit >> 16 & 255}.{unit >> 8 & 255}.{unit & 255}",
        "datetime": row["time_utc"],
        "uptime": int(row["uptime_s"]),
        "device_info": {"model": row["model"], "algo": row["algorithm"].upper()},
        "hashrate": {"rate": round(hashes, 6), "unit": "TH/s"},
        "expected_hashrate": {"rate": round(row["expected_hashrate_ths"], 6), "unit": "TH/s"},
        "hashboards": boards,
        "expected_hashboards": N_BOARDS,
        "temperature_avg": round(row["hot_temp_c"], 1),
        "env_temp": round(row["inlet_temp_c"], 1),
        "wattage": round(row["power_w"]),
        "fans": [{"speed": round(row["fan_rpm"])} for _ in range(int(row["n_fans"]))],
        "efficiency_fract": round(row["power_w"] / hashes, 2) if hashes > 0.0 else None,
        "errors": [],
        "is_mining": is_mining,
        "pools": [{"accepted": int(row["accepted"]), "rejected": int(row["rejected"]), "active": True, "alive": True}],
    }


def vnish(row: pd.Series) -> dict[str, Any]:
    """Return a reading as VNish's `summary` has it, its hashrates in GH/s.

    Source:
        VNish API documentation, firmware 1.2.6, `GET /api/v1/summary`.
    """
    state = "auto-tuning" if row["tuning"] else VNISH_STATES[float(row["mode"])]
    chip, board, ghs = round(row["hot_temp_c"]), round(row["board_temp_c"]), row["hashrate_ths"] * 1000.0
    return {
        "miner": {
            "miner_status": {"miner_state": state, "miner_state_time": int(row["uptime_s"])},
            "miner_type": row["model"],
            "hr_realtime": round(ghs, 1),
            "hr_nominal": round(row["expected_hashrate_ths"] * 1000.0, 1),
            "pcb_temp": {"min": board, "max": board},
            "chip_temp": {"min": chip, "max": chip},
            "power_consumption": round(row["power_w"]),
            "power_usage": round(row["power_w"]),
            "hw_errors_percent": round(row["hw_errors_pct"], 3),
            "pools": [
                {"id": 0, "status": "active", "accepted": int(row["accepted"]), "rejected": int(row["rejected"])}
            ],
            "cooling": {
                "fan_num": int(row["n_fans"]),
                "fans": [
                    {"id": k, "rpm": round(row["fan_rpm"]), "max_rpm": MAX_RPM} for k in range(int(row["n_fans"]))
                ],
                "fan_duty": round(row["fan_duty_pct"]),
            },
            "chains": [
                {
                    "id": slot,
                    "frequency": round(row["freq_mhz"]),
                    "voltage": round(row["rail_v"] * 1000.0),
                    "power_consumption": round(row["power_w"] / N_BOARDS),
                    "hashrate_rt": round(row[f"board{slot}_ths"] * 1000.0, 1),
                    "hr_error": round(row["hw_errors_pct"], 3),
                    "pcb_temp": {"min": board, "max": board},
                    "chip_temp": {"min": chip, "max": chip},
                    "status": {"state": state},
                }
                for slot in range(N_BOARDS)
            ],
        }
    }
