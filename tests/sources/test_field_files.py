"""Files as services and exchanges write them: each of their ways by a short mapping, with the right values."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from hashgym.sim.foundation.errors import BadInputError
from hashgym.sources import tables
from hashgym.sources.assembly import Imported, import_history
from hashgym.sources.clocks import own_steps
from tests.conftest import REST

PRICE = {"column": "market_price_usd_per_mwh", "unit": "usd/mwh", "value": "price"}
LOAD = {"column": "grid_load_mw", "unit": "mw", "value": "Load"}
Read = Callable[..., Imported]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Import a span of one series from files {NAME: TEXT}; everything else is constant."""

    def run(files: dict[str, str | bytes], start: str, end: str, **entry: Any) -> Imported:
        for name, text in files.items():
            (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        series = {"files": list(files), **entry}
        content = {
            "start": start,
            "end": end,
            "timezone": "UTC",
            "price": {"publication": "day_ahead", "interval_s": 900},
            "series": [series] + [{"column": k, "constant": v} for k, v in REST.items() if k != entry["column"]],
        }
        (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(content))
        return import_history(tmp_path / "mapping.yaml")

    return run


def values(imported: Imported, column: str, minutes: int) -> list[float]:
    """Return every so manieth value of a column."""
    found: list[float] = imported.history.frame[column].iloc[:: minutes // 5].tolist()
    return found


def entsoe(intervals: list[tuple[str, str, float]]) -> str:
    head = '"MTU (CET/CEST)","Area","Day-ahead Price (EUR/MWh)"\n'
    return head + "".join(f'"{begin} - {end}","BZN|SE1","{price}"\n' for begin, end, price in intervals)


ENTSOE = {
    "column": "market_price_usd_per_mwh",
    "unit": "eur/mwh",
    "usd_per_unit": 1.0,
    "time": "MTU (CET/CEST)",
    "value": "Day-ahead Price (EUR/MWh)",
    "time_split": " - ",
    "time_format": "%d/%m/%Y %H:%M:%S",
    "timezone": "Europe/Stockholm",
}


def test_marks_of_a_zone_tell_autumns_two_hours_apart(read: Read) -> None:
    clock = ["01:30:00", "01:45:00", *[f"02:{m:02d}:00 ({z})" for z in ("CEST", "CET") for m in (0, 15, 30, 45)]]
    clock += ["03:00:00", "03:15:00"]
    prices = [5.0, 6.0, 61.1, 10.2, 1.7, 1.2, 22.1, 1.1, 0.7, -462.3, 3.0, 4.0]
    stamps = [f"26/10/2025 {c}" for c in clock]
    file = {"be.csv": entsoe(list(zip(stamps, [*stamps[1:], "26/10/2025 03:30:00"], prices, strict=True)))}
    imported = read(file, "2025-10-25T23:30", "2025-10-26T02:30", **ENTSOE)
    assert values(imported, "market_price_usd_per_mwh", 15) == prices


def test_marks_of_a_zone_in_spring(read: Read) -> None:
    text = entsoe(
        [
            ("30/03/2025 01:30:00", "30/03/2025 01:45:00 (CET)", 1.0),
            ("30/03/2025 01:45:00 (CET)", "30/03/2025 03:00:00 (CEST)", 2.0),
            ("30/03/2025 03:00:00 (CEST)", "30/03/2025 03:15:00", 3.0),
            ("30/03/2025 03:15:00", "30/03/2025 03:30:00", 4.0),
        ]
    )
    imported = read({"be.csv": text}, "2025-03-30T00:30", "2025-03-30T01:30", **ENTSOE)
    assert values(imported, "market_price_usd_per_mwh", 15) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("stamp", "message"),
    [
        ("30/03/2025 03:00:00 (EST)", "has a mark that Europe/Stockholm does not know; there are CET, CEST"),
        ("30/03/2025 03:00:00 (CET)", "is not of the clock that Europe/Stockholm keeps then"),
    ],
)
def test_a_mark_of_another_clock_is_refused(read: Read, stamp: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read({"be.csv": entsoe([(stamp, "x", 1.0), (stamp, "x", 2.0)])}, "2025-03-30", "2025-03-31", **ENTSOE)


def test_decimal_commas_and_two_time_columns(read: Read) -> None:
    text = "\ufeffDatum;Anfang;Ende;DE [€/MWh];FR [€/MWh]\n"
    text += "".join(f"30.10.2022;{h};x;-;{p}\n" for h, p in (("00:00", "1"), ("01:00", "2")))
    text += "30.10.2022;02:00;02:00;1.100,2;0\n30.10.2022;02:00;03:00;99,92;0\n30.10.2022;03:00;04:00;-8,5;0\n"
    smard = {
        **PRICE, "unit": "eur/mwh", "usd_per_unit": 1.0, "value": "DE [€/MWh]", "separator": ";", "decimal": ",",
        "thousands": ".", "time": ["Datum", "Anfang"], "time_format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin",
        "repeated": "twice",
    }  # fmt: skip
    with pytest.raises(BadInputError, match=r"row 2, column 'DE .*': '-' is not a number; if it stands for no value"):
        read({"smard.csv": text}, "2022-10-30T00:00", "2022-10-30T03:00", **smard)
    imported = read({"smard.csv": text}, "2022-10-30T00:00", "2022-10-30T03:00", missing=["-"], **smard)
    assert values(imported, "market_price_usd_per_mwh", 60) == [1100.2, 99.92, -8.5]
    with pytest.raises(BadInputError, match="'1.100,2' is not a number; say decimal: ','"):
        read(
            {"smard.csv": text},
            "2022-10-30",
            "2022-10-31",
            **{**smard, "missing": "-", "decimal": ".", "thousands": ""},
        )
    with pytest.raises(BadInputError, match=r"'1.100,2' is not a number; say thousands: '\.'"):
        read({"smard.csv": text}, "2022-10-30", "2022-10-31", **{**smard, "missing": "-", "thousands": ""})
    with pytest.raises(BadInputError, match=r"no column 'Datum'; there are 'Datum;Anfang.* say separator: \";\""):
        read({"smard.csv": text}, "2022-10-30", "2022-10-31", **{**smard, "separator": ","})
    with pytest.raises(
        BadInputError, match=r"'30.10.2022 02:00' is no unambiguous time stamp of time_format '%m/%d/%Y %H:%M'"
    ):
        read(
            {"smard.csv": text},
            "2022-10-30",
            "2022-10-31",
            **{**smard, "missing": "-", "time_format": "%m/%d/%Y %H:%M"},
        )


def test_a_market_with_one_offset_all_year(read: Read) -> None:
    stamps = pd.date_range("2026-04-05 01:05", "2026-04-05 04:00", freq="5min").strftime("%Y/%m/%d %H:%M:%S")
    text = "REGION,SETTLEMENTDATE,RRP\n" + "".join(f"VIC1,{s},{-1000 + k}\n" for k, s in enumerate(stamps))
    aemo = {
        **PRICE, "unit": "aud/mwh", "usd_per_unit": 1.0, "value": "RRP", "time": "SETTLEMENTDATE",
        "time_format": "%Y/%m/%d %H:%M:%S", "stamp": "end",
    }  # fmt: skip
    span = ("2026-04-04T15:00", "2026-04-04T18:00")
    imported = read({"aemo.csv": text}, *span, timezone="+10:00", **aemo)
    assert imported.history.frame["market_price_usd_per_mwh"].tolist() == [-1000.0 + k for k in range(36)]
    with pytest.raises(BadInputError, match=r"'2026/04/05 02:00:00' is no .* in Australia/Melbourne: clocks change then. A market "
                       r"may keep one offset all year, as '\+10:00'"):  # fmt: skip
        read({"aemo.csv": text}, *span, timezone="Australia/Melbourne", **aemo)
    with pytest.raises(BadInputError, match=r"no value of 'market_price_usd_per_mwh' for 2026-04-04 16:"):
        read({"aemo.csv": text}, *span, timezone="Australia/Melbourne", repeated="once", **aemo)
    # Where the hour may be held, the report asks.
    held = read({"aemo.csv": text}, "2026-04-04T14:10", "2026-04-04T18:00", timezone="Australia/Melbourne", repeated="once",
                max_age_h=2, **aemo)  # fmt: skip
    assert any("keep one offset all year" in text for text in held.quality[0].warnings)


def stacked(zones: dict[str, float]) -> str:
    stamps = pd.date_range("2017-11-05 00:00", "2017-11-05 03:00", freq="5min", tz="America/New_York")
    rows = [
        f'"{s:%m/%d/%Y %H:%M:%S}","{s.tzname()}","{zone}",{load + k}\n'
        for k, s in enumerate(stamps)
        for zone, load in zones.items()
    ]
    return '"Time Stamp","Time Zone","Name","Load"\n' + "".join(rows)


def test_rows_of_several_places_in_one_file(read: Read) -> None:
    nyiso = {
        **LOAD, "time": ["Time Stamp", "Time Zone"], "time_format": "%m/%d/%Y %H:%M:%S", "timezone": "America/New_York",
    }  # fmt: skip
    file, span = {"pal.csv": stacked({"N.Y.C.": 4000.0, "WEST": 1600.0})}, ("2017-11-05T04:00", "2017-11-05T08:00")
    imported = read(file, *span, where={"Name": "WEST"}, **nyiso)
    # Both hours of autumn are there, told apart by the column of the zone.
    assert imported.history.frame["grid_load_mw"].tolist() == [1600.0 + k for k in range(48)]
    with pytest.raises(BadInputError, match="no row has 'Name' 'WST'; there are N.Y.C., WEST"):
        read(file, *span, where={"Name": "WST"}, **nyiso)
    with pytest.raises(BadInputError, match="row 3, .* stands twice .*'where' says which count"):
        read(file, *span, **nyiso)


ERCOT = {**PRICE, "timezone": "America/Chicago", "time_format": "%m/%d/%Y", "stamp": "hour_ending"}


def test_date_hour_and_interval_in_columns_of_their_own(read: Read) -> None:
    rows = [
        (day, hour, quarter, flag)
        for day, hours in (("11/02/2025", [(1, "N"), (2, "N"), (2, "Y"), (3, "N")]), ("11/03/2025", [(24, "N")]))
        for hour, flag in hours
        for quarter in (1, 2, 3, 4)
    ]
    text = "DeliveryDate,DeliveryHour,DeliveryInterval,Name,price,DSTFlag\n"
    text += "".join(f"{d},{h},{q},{name},{k}.5,{f}\n" for k, (d, h, q, f) in enumerate(rows) for name in ("HB", "LZ"))
    parts = {"date": "DeliveryDate", "hour": "DeliveryHour", "interval": "DeliveryInterval"}
    entry = {**ERCOT, "time": parts, "repeated": {"DSTFlag": "Y"}, "where": {"Name": "HB"}}
    imported = read({"spp.csv": text}, "2025-11-02T05:00", "2025-11-02T09:00", interval_s=900, **entry)
    assert values(imported, "market_price_usd_per_mwh", 15) == [k + 0.5 for k in range(16)]
    late = read({"spp.csv": text}, "2025-11-04T05:00", "2025-11-04T06:00", interval_s=900, **entry)
    assert values(late, "market_price_usd_per_mwh", 15) == [16.5, 17.5, 18.5, 19.5]
    with pytest.raises(
        BadInputError, match=r"interval_s' is missing; it is the length of what 'DeliveryInterval' counts"
    ):
        read({"spp.csv": text}, "2025-11-02T05:00", "2025-11-02T09:00", **entry)


def test_hours_that_end_at_one_to_twenty_four(read: Read) -> None:
    days = [("08/05/2025", "N", 24), ("11/02/2025", "N", 24)]
    rows = [(day, f"{h:02d}:00", flag) for day, flag, n in days for h in range(1, n + 1)]
    rows.insert(26, ("11/02/2025", "02:00", "Y"))
    text = "DeliveryDate,HourEnding,price,DSTFlag\n" + "".join(
        f"{d},{h}, {k}.25,{f}\n" for k, (d, h, f) in enumerate(rows)
    )
    entry = {**ERCOT, "time": {"date": "DeliveryDate", "hour": "HourEnding"}, "repeated": {"DSTFlag": "Y"}}
    summer = read({"dam.csv": text}, "2025-08-05T05:00", "2025-08-06T05:00", **entry)
    assert values(summer, "market_price_usd_per_mwh", 60) == [k + 0.25 for k in range(24)]
    autumn = read({"dam.csv": text}, "2025-11-02T05:00", "2025-11-03T06:00", **entry)
    assert values(autumn, "market_price_usd_per_mwh", 60) == [k + 0.25 for k in range(24, 49)]


@pytest.mark.parametrize("repeated", ["twice", {"DSTFlag": "Y"}])
def test_ends_of_intervals_as_the_clock_has_them(read: Read, repeated: Any) -> None:
    spring = [("03/13/2016", t, "N") for t in ("01:15", "01:30", "01:45", "03:00", "03:15", "03:30")]
    autumn = [("11/06/2016", t, "N") for t in ("01:15", "01:30", "01:45", "01:00")]
    autumn += [("11/06/2016", t, "Y") for t in ("01:15", "01:30", "01:45", "02:00")]
    for rows, start in ((spring, "2016-03-13T07:00"), (autumn, "2016-11-06T06:00")):
        text = "DeliveryDate,TimeEnding,Load,DSTFlag\n" + "".join(
            f"{d},{t},{k},{f}\n" for k, (d, t, f) in enumerate(rows)
        )
        end = str(pd.Timestamp(start) + pd.Timedelta(minutes=15 * len(rows)))
        imported = read(
            {"load.csv": text}, start, end, **LOAD, time=["DeliveryDate", "TimeEnding"], time_format="%m/%d/%Y %H:%M",
            timezone="America/Chicago", stamp="end", repeated=repeated,
        )  # fmt: skip
        assert values(imported, "grid_load_mw", 15) == list(range(len(rows)))


def test_one_stamp_of_an_end_needs_the_length(read: Read) -> None:
    entry = {**LOAD, "time": "when", "timezone": "UTC", "stamp": "end"}
    file = {"load.csv": "when,Load\n2025-01-01T24:00,7\n"}
    with pytest.raises(
        BadInputError, match="one stamp that ends an interval does not say how long that is; say 'interval_s'"
    ):
        read(file, "2025-01-01T23:00", "2025-01-02", **entry)
    imported = read(file, "2025-01-01T23:00", "2025-01-02", interval_s=3600, max_age_h=1, **entry)
    assert values(imported, "grid_load_mw", 60) == [7.0]


def test_milliseconds_then_microseconds_without_a_header(read: Read) -> None:
    hours = pd.date_range("2024-12-31T22:00", periods=5, freq="h", tz="UTC")
    old = "".join(f"{t.value // 10**6},1,2,3,{k + 100}.5,9\n" for k, t in enumerate(hours[:2]))
    new = "".join(f"{t.value // 10**3},1,2,3,{k + 102}.5,9\n" for k, t in enumerate(hours[2:]))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("BTC-2025.csv", new)
    entry = {"column": "coin_price_usd", "unit": "usd", "header": False, "time": 0, "value": 4, "delay_s": 3600}
    # Named in whatever order: files are put together by their stamps.
    files: dict[str, str | bytes] = {"b.zip": packed.getvalue(), "a.csv": old}
    imported = read(files, "2024-12-31T23:00", "2025-01-01T04:00", **entry)
    assert values(imported, "coin_price_usd", 60) == [100.5, 101.5, 102.5, 103.5, 104.5]


def test_digits_that_may_be_a_date_are_asked_for(read: Read) -> None:
    entry = {**LOAD, "time": "t", "timezone": "UTC"}
    with pytest.raises(BadInputError, match=r"may be a date with an hour or seconds since 1970; say time_format"):
        read({"a.csv": "t,Load\n2024010100,1\n2024010101,2\n"}, "2024-01-01", "2024-01-01T02:00", **entry)
    imported = read({"a.csv": "t,Load\n2024010100,1\n2024010101,2\n"}, "2024-01-01", "2024-01-01T02:00",
                    time_format="%Y%m%d%H", **entry)  # fmt: skip
    assert values(imported, "grid_load_mw", 60) == [1.0, 2.0]


def test_newest_first_with_am_and_pm_below_a_line_of_text(read: Read) -> None:
    hours = pd.date_range("2019-06-03T10:00", periods=5, freq="h")[::-1]
    text = "Timestamps are UTC,https://somewhere\nDate,Symbol,Close\n"
    text += "".join(f"{t:%Y-%m-%d %I-%p},BTCUSD,{9000 + t.hour}\n" for t in hours)
    imported = read(
        {"coinbase.csv": text}, "2019-06-03T11:00", "2019-06-03T16:00", column="coin_price_usd", unit="usd", skip_rows=1,
        time="Date", time_format="%Y-%m-%d %I-%p", value="Close", timezone="UTC", delay_s=3600,
    )  # fmt: skip
    assert values(imported, "coin_price_usd", 60) == [9010.0, 9011.0, 9012.0, 9013.0, 9014.0]


def test_rows_that_are_lists_newest_first(read: Read) -> None:
    rows = [
        [1703311464, 822528, 72.0e12, 1.07],
        [1702180644, 820512, 67.3e12, 0.99],
        [1700957763, 818496, 68.0e12, 1.05],
    ]
    imported = read(
        {"adjustments.json": json.dumps(rows)}, "2023-12-10", "2023-12-24", column="difficulty", unit="1", format="json",
        time=0, value=2, max_age_h=500,
    )  # fmt: skip
    difficulty = imported.history.frame["difficulty"]
    assert difficulty.loc["2023-12-10T03:55Z"] == 68.0e12
    assert difficulty.loc["2023-12-10T04:00Z"] == 67.3e12
    assert difficulty.iloc[-1] == 72.0e12


def test_year_month_day_hour_with_marks_of_no_value(read: Read) -> None:
    text = (
        "YEAR,MO,DY,HR,T2M\n" + "".join(f"2026,5,29,{h},{20 + h / 10}\n" for h in range(22)) + "2026,5,29,22,-999.0\n"
    )
    power = {
        "column": "outdoor_temp_c", "unit": "c", "value": "T2M", "timezone": "UTC",
        "time": {"year": "YEAR", "month": "MO", "day": "DY", "hour": "HR"},
    }  # fmt: skip
    with pytest.raises(
        BadInputError, match=r"row 24, .*-999.0 is not in .*; if -999 stands for no value, say missing: \[-999\]"
    ):
        read({"power.csv": text}, "2026-05-29", "2026-05-29T22:00", **power)
    imported = read({"power.csv": text}, "2026-05-29", "2026-05-29T22:00", missing=[-999], **power)
    assert values(imported, "outdoor_temp_c", 60) == pytest.approx([20 + h / 10 for h in range(22)])
    with pytest.raises(BadInputError, match="no value of 'outdoor_temp_c' for 2026-05-30 00:00"):
        read({"power.csv": text}, "2026-05-29", "2026-05-30T02:00", missing=[-999], **power)


def test_an_epw_marks_what_it_lacks(read: Read) -> None:
    head = "LOCATION,Here,-,NLD,IWEC,1,52.3,4.8,1.0,-2.0\n" + "X\n" * 7
    text = head + "".join(
        f"1995,1,1,{h},60,flags,{99.9 if h == 3 else h},1.0,{999 if h == 4 else 80},101325\n" for h in range(1, 25)
    )
    weather = {"format": "epw", "time": "time", "timezone": "file", "typical_year": True}
    span = ("2025-01-01T00:00", "2025-01-01T05:00")
    temp = read({"here.epw": text}, *span, column="outdoor_temp_c", value="dry_bulb_c", unit="c", **weather)
    assert values(temp, "outdoor_temp_c", 60) == [2.0, 2.0, 4.0, 5.0, 6.0]
    damp = read({"here.epw": text}, *span, column="relative_humidity_pct", value="relative_humidity_pct", unit="percent",
                **weather)  # fmt: skip
    assert values(damp, "relative_humidity_pct", 60) == [80.0] * 5


def open_meteo(stamps: pd.DatetimeIndex) -> str:
    hourly = {"time": stamps.strftime("%Y-%m-%dT%H:%M").tolist(), "temp": [float(k) for k in range(len(stamps))]}
    return json.dumps({"utc_offset_seconds": -18000, "timezone": "America/Chicago", "hourly": hourly})


@pytest.mark.parametrize("day", ["2024-03-10", "2024-11-03"])
def test_a_local_clock_in_a_file_of_one_offset_is_refused(read: Read, day: str) -> None:
    entry = {
        "column": "outdoor_temp_c", "unit": "c", "format": "json", "records": "hourly", "time": "time", "value": "temp",
        "timezone": "file",
    }  # fmt: skip
    local = pd.date_range(day, periods=24, freq="h", tz="America/Chicago").tz_localize(None)
    fixed = pd.date_range(day, periods=24, freq="h")
    span = (f"{day}T05:00", f"{day}T12:00")
    with pytest.raises(BadInputError, match="clock of America/Chicago changes here, and the file states one offset, -05:00, .*; ask "
                       "the service for timezone=GMT"):  # fmt: skip
        read({"dallas.json": open_meteo(local)}, *span, **entry)
    imported = read({"dallas.json": open_meteo(fixed)}, *span, **entry)
    assert values(imported, "outdoor_temp_c", 60) == [float(k) for k in range(7)]


def test_a_change_of_step_holds_each_value_for_its_own_length(read: Read) -> None:
    hours = pd.date_range("2025-09-30T12:00", "2025-09-30T22:00", freq="h", tz="UTC", inclusive="left")
    quarters = pd.date_range("2025-09-30T22:00", "2025-10-01T02:00", freq="15min", tz="UTC", inclusive="left")
    stamps = hours.append(quarters)
    text = "when,price\n" + "".join(f"{t.isoformat()},{k}\n" for k, t in enumerate(stamps))
    span = ("2025-09-30T12:00", "2025-10-01T02:00")
    imported = read({"a.csv": text}, *span, time="when", **PRICE)
    expected = np.concatenate([np.repeat(np.arange(10), 12), np.repeat(np.arange(10, 26), 3)])
    assert imported.history.frame["market_price_usd_per_mwh"].tolist() == expected.tolist()
    assert imported.quality[0].fresh_share == 1.0
    # Stamps of ends say the same, each with the length of its own interval.
    ends = hours[1:].append(quarters).append(quarters[-1:] + pd.Timedelta(minutes=15))
    text = "when,price\n" + "".join(f"{t.isoformat()},{k}\n" for k, t in enumerate(ends))
    at_end = read({"a.csv": text}, *span, time="when", stamp="end", **PRICE)
    assert at_end.history.frame["market_price_usd_per_mwh"].tolist() == expected.tolist()


def test_a_gap_is_no_change_of_step() -> None:
    minutes = np.array([0, 15, 30, 45, 60, 90, 105, 120, 135, 150, 180, 210, 225])
    assert own_steps(minutes).tolist() == [15] * 13


def test_repeats_that_a_format_omits_are_held_as_long_as_declared(read: Read) -> None:
    text = "when,price\n" + "".join(f"2025-01-01T{h:02d}:00Z,{h}\n" for h in (0, 1, 2, 9, 10))
    span = ("2025-01-01", "2025-01-01T11:00")
    imported = read({"a.csv": text}, *span, time="when", max_age_h=8, **PRICE)
    assert values(imported, "market_price_usd_per_mwh", 60) == [0, 1, 2, 2, 2, 2, 2, 2, 2, 9, 10]
    with pytest.raises(BadInputError, match=r"no value .* for 2025-01-01 05:00:00\+00:00…2025-01-01 08:55"):
        read({"a.csv": text}, *span, time="when", **PRICE)


def test_zeros_at_the_end_are_doubted(read: Read) -> None:
    prices = [40.0, 0.0, 0.0, 35.0, *[30.0] * 15, 0.0, 0.0, 0.0, 0.0, 0.0]
    text = "when,price\n" + "".join(f"2025-01-01T{h:02d}:00Z,{p}\n" for h, p in enumerate(prices))
    imported = read({"a.csv": text}, "2025-01-01", "2025-01-02", time="when", **PRICE)
    assert any("the last 5 prices are 0, from 2025-01-01 19:00" in doubt for doubt in imported.quality[0].warnings)
    whole = read({"a.csv": text.replace(",40.0", ",0.0").replace(",35.0", ",0.0")}, "2025-01-01", "2025-01-01T18:00",
                 time="when", **PRICE)  # fmt: skip
    assert any("the last 5 prices" in doubt for doubt in whole.quality[0].warnings)
    usual = read({"a.csv": text.replace("T19:00Z,0.0", "T19:00Z,7")}, "2025-01-01", "2025-01-01T18:00", time="when",
                 **PRICE)  # fmt: skip
    assert not any("not yet published" in doubt for doubt in usual.quality[0].warnings if "last 2" in doubt)


def test_the_mappings_zone_is_that_of_its_series(read: Read) -> None:
    text = "when,price\n2025-01-01T00:00,10\n2025-01-01T01:00,20\n"
    imported = read({"a.csv": text}, "2025-01-01", "2025-01-01T02:00", time="when", **PRICE)
    assert values(imported, "market_price_usd_per_mwh", 60) == [10.0, 20.0]


def test_all_that_is_wrong_with_a_mapping_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(
        "timezoen: UTC\nstart: 2025-01-01\nend: 2025-02-01\nprice: {publication: day_ahead, interval_s: 3600}\nseries:\n"
        "  - {column: market_price_usd_per_mwh, files: [a.csv], tiem: when, value: price, unit: usd/mhw, decimal: point}\n"
        "  - {column: outdoor_temp, constant: 5}\n"
    )
    with pytest.raises(BadInputError) as caught:
        import_history(tmp_path / "mapping.yaml")
    lines = str(caught.value).splitlines()
    assert [line.split("mapping.yaml: ", 1)[1][:60] for line in lines[:3]] == [
        "unknown key 'timezoen'; did you mean 'timezone'? there are e",
        "unknown key 'series[market_price_usd_per_mwh].tiem'; did you",
        "key 'series[market_price_usd_per_mwh].time' is missing",
    ]
    said = "\n".join(lines)
    for part in (
        "decimal' is 'point'; it must be one sign",
        "unit 'usd/mhw'",
        "unknown column 'outdoor_temp'",
        "'timezone' is missing",
    ):
        assert part in said


def test_a_file_that_unfolds_beyond_bounds_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_BYTES", 1 << 20)
    bomb = gzip.compress(b"when,price\n" + b"2025-01-01T00:00Z,1\n" * 200_000)
    assert len(bomb) < 1 << 14
    with pytest.raises(BadInputError, match="holds more than 1 MiB; split it"):
        read({"a.csv.gz": bomb}, "2025-01-01", "2025-01-02", time="when", **PRICE)


def test_rows_in_whatever_order_are_sorted(read: Read) -> None:
    stamps = pd.date_range("2025-01-01", "2025-02-01", freq="15min", tz="UTC", inclusive="left")
    order = np.random.default_rng(0).permutation(len(stamps))
    frame = pd.DataFrame({"when": stamps.strftime("%Y-%m-%dT%H:%M:%SZ"), "price": np.arange(len(stamps)) % 997})
    text = frame.iloc[order].to_csv(index=False)
    imported = read({"a.csv": text}, "2025-01-01", "2025-02-01", time="when", **PRICE)
    assert imported.history.frame["market_price_usd_per_mwh"].iloc[::3].tolist() == frame["price"].tolist()
