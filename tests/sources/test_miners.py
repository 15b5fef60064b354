"""Answers of firmware in each dialect: what is understood, with the right value and unit, and what is odd."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hashgym.advisor import telemetry
from hashgym.experiments import data
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.series.exogenous import build
from hashgym.sim.telemetry import reported
from hashgym.sim.telemetry.fleet import UnitFleet
from hashgym.sources import miners
from hashgym.synthesis.generate import synthesize
from tests.conftest import site

STATUS = [{"STATUS": "S", "When": 1755615295, "Description": "cgminer 1.0.0"}]
LUX = [{"STATUS": "S", "When": 1760242394, "Description": "LUXminer 2025.4"}]


def chains(**more: Any) -> dict[str, Any]:
    """Return stock's second block of `stats`: three boards, the fourth slot empty."""
    block = {f"chain_acn{k}": 126 if k < 4 else 0 for k in (1, 2, 3, 4)}
    block |= {f"freq{k}": 545 if k < 4 else 0 for k in (1, 2, 3, 4)}
    block |= {f"temp_chip{k}": "78-50-69-70" if k < 4 else "0-0-0-0" for k in (1, 2, 3, 4)}
    block |= {f"fan{k}": 5535 for k in (1, 2, 3, 4)}
    return {
        **block,
        "fan_num": 4,
        "miner_count": 3,
        "frequency": 545,
        "total_rateideal": 105800.0,
        "Elapsed": 50474,
        **more,
    }


STOCK = {
    "summary": {"STATUS": STATUS, "SUMMARY": [{"Elapsed": 50474, "GHS 30m": 104500.0, "GHS 5s": 99000.0}]},
    "stats": {"STATUS": STATUS, "STATS": [{"Type": "Antminer S19j Pro"}, chains()]},
}
LUXOS = {
    "summary": {"STATUS": LUX, "SUMMARY": [{"Elapsed": 3453, "GHS 5m": 61589.5, "GHS 24h": 2400.0}]},
    "stats": {"STATUS": LUX, "STATS": [{"Type": "Antminer S19k Pro"}, chains(freq1=300, freq2=300, freq3=300, total_rateideal=61954.2)]},
    "power": {"STATUS": LUX, "POWER": [{"PSU": False, "Watts": 1051}]},
    "temps": {"STATUS": LUX, "TEMPS": [{"BottomLeft": 47.0, "BottomRight": 34.0, "ID": 0, "TEMP": 0, "TopLeft": 46.0, "TopRight": 34.0}]},
    "fans": {"STATUS": LUX, "FANS": [{"FAN": "FAN1", "ID": 0, "RPM": 1920, "Speed": 20}]},
    "devs": {"STATUS": LUX, "DEVS": [{"Profile": "290MHz", "Nominal MHS": 20651400.0}]},
}  # fmt: skip


def braiins(hertz: tuple[float, ...] = (521e6, 529e6, 525e6)) -> dict[str, Any]:
    boards = [
        {
            "enabled": True,
            "current_frequency": {"hertz": f},
            "highest_chip_temp": {"temperature": {"degree_c": 63.0 + k}},
            "lowest_inlet_temp": {"degree_c": 30.0},
        }
        for k, f in enumerate(hertz)
    ]
    rates = {"last_5m": {"gigahash_per_second": 198000.0}, "last_24h": {"gigahash_per_second": 19713.0}}
    return {
        "miner_stats.json": {
            "miner_stats": {"real_hashrate": rates, "nominal_hashrate": {"gigahash_per_second": 200000.0}},
            "power_stats": {"approximated_consumption": {"watt": 3480}},
        },
        "miner_hw_hashboards.json": {"hashboards": boards},
        "cooling_state.json": {"fans": [{"rpm": 5943, "target_speed_ratio": 0.92}]},
        "miner_details.json": {"miner_identity": {"miner_model": "Antminer S21"}, "bosminer_uptime_s": 7039},
    }


EPIC = {
    "HBStatus": [{"Detected": True, "Enabled": k > 0, "Index": k} for k in range(3)],
    "HBs": [
        {"Core Clock Avg": 487.5, "Hashrate": [49440724.0, 103.1, 0.8], "Temperature": 67.0},
        {"Core Clock Avg": 487.5, "Hashrate": [49925124.0, 104.1, 0.8], "Temperature": 64.3},
    ],
    "Session": {"Uptime": 23170},
    "Status": {"Operating State": "Mining"},
    "Power Supply Stats": {"Input Power": 2166.6},
    "Fans": {"Fans Speed": 100},
    "Fans Rpm": {"Fans Speed 1": 5971, "Fans Speed 2": 0, "Fans Speed 5": None},
}
WHATSMINER = {
    "STATUS": STATUS,
    "SUMMARY": [
        {
            "HS RT": 112e6, "MHS 5m": 111.5e6, "Target MHS": 112e6, "Power": 3400, "Power_RT": 3427, "freq_avg": 648,
            "Chip Temp Max": 92.5, "Env Temp": 28.5, "Fan Speed In": 6150, "Fan Speed Out": 6150, "Uptime": 10792,
            "Error Code 0": 110, "Error Code Count": 1,
        }
    ],
}  # fmt: skip
AXEOS = {
    "ASICModel": "BM1368", "hostname": "bitaxe", "hashRate": 620.5, "power": 14.8, "frequency": 490, "temp": -1,
    "fanspeed": 35, "fanrpm": 3517, "uptimeSeconds": 9000,
}  # fmt: skip
WEB = {
    "STATUS": {"when": 1755615295}, "INFO": {"type": "Antminer S19j Pro"},
    "STATS": [{"elapsed": 9000, "rate_5s": 90000.0, "rate_30m": 104500.0, "rate_ideal": 105800.0, "chain_num": 3, "fan": [5535, 5535],
               "chain": [{"freq_avg": 545, "rate_real": 34800.0, "temp_chip": [71, 78]} for _ in range(3)]}],
}  # fmt: skip
VNISH = {
    "miner": {
        "miner_status": {"miner_state": "mining", "miner_state_time": 3600}, "miner_type": "Antminer S19j Pro",
        "hr_realtime": 104500.0, "hr_nominal": 105800.0, "chip_temp": {"min": 60, "max": 78}, "power_usage": 3050,
        "cooling": {"fan_duty": 80}, "chains": [{"frequency": 545, "hashrate_rt": 34800.0} for _ in range(3)],
    }
}  # fmt: skip


def understood(content: Any, tmp_path: Path, model: str | None = None) -> miners.Reply:
    (tmp_path / "rig7.json").write_text(json.dumps(content))
    (reply,) = miners.read([tmp_path / "rig7.json"], model=model)
    return reply


@pytest.mark.parametrize(
    ("content", "dialect", "expected"),
    [
        (STOCK, "Antminer stock (cgminer API)",
         {"time_utc": "2025-08-19T14:54:55Z", "model": "Antminer S19j Pro", "status": "hashing", "status_s": 50474, "freq_mhz": 545,
          "hashrate_ths": 104.5, "hot_temp_c": 78, "fan_pu": 0.9}),
        (WEB, "Antminer stock, web API", {"hashrate_ths": 104.5, "freq_mhz": 545, "hot_temp_c": 78, "status_s": 9000, "fan_pu": 0.9}),
        (LUXOS, "LuxOS",
         {"model": "Antminer S19k Pro", "freq_mhz": 300, "hashrate_ths": 61.5895, "power_w": 1051, "hot_temp_c": 62, "fan_pu": 0.2}),
        (braiins(), "Braiins OS",
         {"model": "Antminer S21", "freq_mhz": 525, "hashrate_ths": 198, "power_w": 3480, "hot_temp_c": 65, "inlet_temp_c": 30,
          "fan_pu": 0.92, "status_s": 7039}),
        (EPIC, "ePIC PowerPlay", {"hashrate_ths": 99.365848, "freq_mhz": 487.5, "power_w": 2166.6, "hot_temp_c": 82, "fan_pu": 1}),
        (WHATSMINER, "WhatsMiner",
         {"hashrate_ths": 111.5, "freq_mhz": 648, "power_w": 3427, "hot_temp_c": 92.5, "inlet_temp_c": 28.5, "fan_pu": 1}),
        (AXEOS, "AxeOS (Bitaxe)", {"machine_id": "bitaxe", "hashrate_ths": 0.6205, "power_w": 14.8, "freq_mhz": 490, "fan_pu": 0.35}),
        (VNISH, "VNish, summary", {"hashrate_ths": 104.5, "power_w": 3050, "freq_mhz": 545, "hot_temp_c": 78, "fan_pu": 0.8}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_dialect_is_understood(content: Any, dialect: str, expected: dict[str, Any], tmp_path: Path) -> None:
    reply = understood(content, tmp_path)
    assert reply.dialect == dialect
    for name, value in expected.items():
        assert reply.values[name] == (value if isinstance(value, str) else pytest.approx(value)), name


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (STOCK, "it tells no power; the advisor takes the catalogue's at its clock"),
        (LUXOS, "300.0 MHz (its profile is called 290MHz) lies between 290 and 315 MHz: interpolated on the ladder, 61.9 TH/s"),
        (LUXOS, "runs for 1.0 h, so that its mean of 24 h, 2.4 TH/s, is not its hashrate; that of minutes is, 61.6"),
        (LUXOS, "no chip sensor: 47 °C at the board and 15 K above it are taken"),
        (braiins(), "tuned board by board: 521.0, 529.0, 525.0 MHz, their mean is taken"),
        (braiins((560e6, 560e6, 560e6)), "560.0 MHz lies beyond 300…525 MHz: extrapolated on the ladder"),
        (braiins((400e6, 400e6, 400e6)), "400.0 MHz make 200.0 TH/s by its own reckoning, 151."),
        (EPIC, "2 of 3 boards are on"),
        (EPIC, "it does not name its model; `model` must be given"),
        (WHATSMINER, "1 error told: 110"),
        (AXEOS, "'BM1368' is not in the catalogue; there are s9"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_odd_is_said_with_its_numbers(content: Any, note: str, tmp_path: Path) -> None:
    assert any(note in text for text in understood(content, tmp_path).notes)


def test_a_sensor_that_is_not_there_is_not_told(tmp_path: Path) -> None:
    assert "hot_temp_c" in understood(AXEOS, tmp_path).absent


def test_the_dataclass_of_pyasic_reads_back_what_the_simulator_reports(tmp_path: Path) -> None:
    params = site()
    exogenous = build(synthesize("ercot", "2025-01-01", "2025-01-04", seed=1), params)
    units = UnitFleet(params, exogenous, 1)
    for _ in range(3):
        units.step(params.zones[0].ladder.freq_mhz[-1:])
    rows = reported.Reporter(units, 1).read(pd.Timestamp("2025-01-01T00:15", tz="UTC"))
    content = [reported.pyasic(row) for _, row in rows.iterrows()]
    content[0]["hashrate"] = {"rate": content[0]["hashrate"]["rate"] * 1000.0, "unit": "GH/s"}
    (tmp_path / "fleet.json").write_text(json.dumps(content))
    replies = miners.read([tmp_path / "fleet.json"], zone=0)
    found = miners.table(replies)
    assert len(found) == len(rows)
    assert found["hashrate_ths"].tolist() == pytest.approx(rows["hashrate_ths"].round(6).tolist())
    assert found["power_w"].tolist() == rows["power_w"].round().tolist()
    assert set(found["model"]) == {"Antminer S19j Pro"}
    assert (found["status"] == "hashing").all()
    assert telemetry.of_frame(found).absent == ("freq_mhz",)


def test_files_of_one_machine_are_put_together(tmp_path: Path) -> None:
    for name, part in STOCK.items():
        (tmp_path / f"rig7_{name}.json").write_text(json.dumps(part))
    (reply,) = miners.read([tmp_path / "rig7_summary.json", tmp_path / "rig7_stats.json"])
    assert (reply.name, reply.values["hashrate_ths"], reply.values["freq_mhz"]) == ("rig7", 104.5, 545)


def test_the_command_says_what_it_understood_and_writes_the_advisors_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("rig7", VNISH), ("rig8", EPIC), ("rig9", {"hello": 1})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    names = [str(tmp_path / f"rig{k}.json") for k in (7, 8, 9)]
    out = tmp_path / "fleet.csv"
    assert data.main(["telemetry", *names, "--at", "2025-07-01T12:00", "--zone", "0", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "rig7: VNish, summary" in said
    assert "hashrate_ths   104.5" in said
    assert "not told       inlet_temp_c" in said
    assert "rig9: no firmware that is known answers like this" in said
    assert "no row of rig8: no model (--model gives it)\nno row of rig9: no firmware that is known\n" in said
    given = telemetry.read(out)
    assert given.frame["machine_id"].tolist() == ["rig7"]
    assert given.frame["zone"].tolist() == [0.0]
    assert data.main(["telemetry", str(out)]) == 0
    assert "1 readings of 1 machines\n  not told       inlet_temp_c" in capsys.readouterr().out


def test_an_answer_that_is_none_is_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(BadInputError, match=r"a.json: not a readable JSON") as caught:
        miners.read([tmp_path / "a.json"])
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(miners, "MAX_BYTES", 1 << 20)
    (tmp_path / "a.json").write_text(" " * (2 << 20))
    with pytest.raises(BadInputError, match="larger than 1 MiB"):
        miners.read([tmp_path / "a.json"])


def test_the_command_says_what_is_odd_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fleet.csv").write_text(
        "time_utc,machine_id,model,hashrate_ths\n2025-07-01T12:00Z,a,Antminer S21,200000\n2025-07-01T12:00Z,b,Antminer S31,200\n"
    )
    assert data.main(["telemetry", str(tmp_path / "fleet.csv")]) == 0
    said = capsys.readouterr().out
    assert (
        "NOTE to be set aside: row 2 (a), hashrate_ths: 200000 TH/s is not in 0…2000; as GH/s it would be 200 TH/s"
        in said
    )
    assert "NOTE to be set aside: row 3 (b), model: 'Antminer S31' is not in the catalogue; the nearest are" in said
