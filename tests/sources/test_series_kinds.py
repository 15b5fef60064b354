"""Every kind of series that a mapping can name, each with a file of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from hashgym.envs.scenario.published import published_series
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue
from hashgym.sim.history.history import History
from hashgym.sim.history.publication import day_ahead_until, until
from hashgym.sim.market.coins import difficulty_of_blocks
from hashgym.sim.series.exogenous import build
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sources.assembly import import_history
from tests.conftest import REST

Read = Callable[..., History]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def run(
        text: str,
        start: str,
        end: str,
        zone: str = "UTC",
        name: str = "series.csv",
        price: dict[str, Any] | None = None,
        **entry: Any,
    ) -> History:
        (tmp_path / name).write_text(text)
        entry = {
            "column": "market_price_usd_per_mwh",
            "time": "when",
            "value": "v",
            "unit": "usd/mwh",
            "files": [name],
            **entry,
        }
        content = {
            "start": start,
            "end": end,
            "timezone": zone,
            "price": price or {"publication": "after_interval", "interval_s": 3600},
            "series": [{k: v for k, v in entry.items() if v is not None}]
            + [{"column": k, "constant": v} for k, v in REST.items() if k != entry["column"]],
        }
        (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(content))
        return import_history(tmp_path / "mapping.yaml").history

    return run


def rows(stamps: list[str], values: list[Any]) -> str:
    return "when,v\n" + "".join(f"{stamp},{value}\n" for stamp, value in zip(stamps, values, strict=True))


def hourly(values: pd.Series) -> list[float]:
    return values.iloc[::12].tolist()


def autumn(second: bool = True) -> tuple[list[str], list[float]]:
    """Local stamps around the end of summer time in Stockholm, 29 October 2023, 03:00 → 02:00."""
    stamps = [f"2023-10-29T0{h}:00" for h in (0, 1, 2)] + (["2023-10-29T02:00"] if second else [])
    stamps += [f"2023-10-29T0{h}:00" for h in (3, 4, 5)]
    return stamps, [float(k) for k in range(len(stamps))]


def test_autumns_hour_stands_twice(read: Read) -> None:
    history = read(
        rows(*autumn()), "2023-10-28T22:00", "2023-10-29T05:00", timezone="Europe/Stockholm", repeated="twice"
    )
    assert hourly(history.frame["market_price_usd_per_mwh"]) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_an_empty_first_hour_does_not_move_the_second(read: Read) -> None:
    stamps, values = autumn()
    text = rows(stamps, [*values[:2], "", *values[3:]])
    history = read(text, "2023-10-28T22:00", "2023-10-29T05:00", timezone="Europe/Stockholm", repeated="twice")
    assert hourly(history.frame["market_price_usd_per_mwh"]) == [0.0, 1.0, 1.0, 3.0, 4.0, 5.0, 6.0]


def test_an_hour_that_should_stand_twice_and_does_not_is_refused(read: Read) -> None:
    with pytest.raises(BadInputError, match="row 4, column 'when': '2023-10-29T02:00' stands once"):
        read(
            rows(*autumn(second=False)),
            "2023-10-28T22:00",
            "2023-10-29T04:00",
            timezone="Europe/Stockholm",
            repeated="twice",
        )


def test_autumns_hour_stands_once_and_is_held(read: Read) -> None:
    history = read(
        rows(*autumn(second=False)),
        "2023-10-28T22:00",
        "2023-10-29T05:00",
        timezone="Europe/Stockholm",
        repeated="once",
    )
    assert hourly(history.frame["market_price_usd_per_mwh"]) == [0.0, 1.0, 2.0, 2.0, 3.0, 4.0, 5.0]


def test_springs_hour_is_missing(read: Read) -> None:
    stamps = [f"2023-03-26T0{h}:00" for h in (0, 1, 2, 3, 4)]
    text = rows(stamps, [0, 1, "", 3, 4])
    history = read(text, "2023-03-25T23:00", "2023-03-26T03:00", timezone="Europe/Stockholm")
    assert hourly(history.frame["market_price_usd_per_mwh"]) == [0.0, 1.0, 3.0, 4.0]
    with pytest.raises(BadInputError, match="'2023-03-26T02:00' is no unambiguous time stamp in Europe/Stockholm"):
        read(rows(stamps, [0, 1, 2, 3, 4]), "2023-03-25T23:00", "2023-03-26T03:00", timezone="Europe/Stockholm")


HOURS = [f"2024-01-01T{h:02d}:00Z" for h in range(6)]


def test_equal_rows_are_dropped_and_different_ones_refused(read: Read) -> None:
    doubled = rows([*HOURS[:3], HOURS[2], *HOURS[3:]], [0, 1, 2, 2, 3, 4, 5])
    history = read(doubled, "2024-01-01", "2024-01-01T06:00", duplicates="same")
    assert hourly(history.frame["market_price_usd_per_mwh"]) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    with pytest.raises(
        BadInputError, match=r"row 5, column 'when': .* stands twice \(also row 4\); 'duplicates: same'"
    ):
        read(doubled, "2024-01-01", "2024-01-01T06:00")
    other = rows([*HOURS[:3], HOURS[2], *HOURS[3:]], [0, 1, 2, 2.5, 3, 4, 5])
    with pytest.raises(
        BadInputError, match=r"row 5, column 'when': .* \(also row 4\) with different values, 2 and 2.5"
    ):
        read(other, "2024-01-01", "2024-01-01T06:00", duplicates="same")


def test_prices_of_another_currency_take_the_rate_of_their_day(read: Read, tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text("day,rate\n2023-12-31,1.10\n2024-01-01,1.20\n")
    stamps = [*[f"2024-01-01T{h:02d}:00Z" for h in (22, 23)], *[f"2024-01-02T{h:02d}:00Z" for h in (0, 1)]]
    rate = {"files": ["rates.csv"], "time": "day", "value": "rate", "timezone": "UTC", "delay_s": 86400}
    history = read(
        rows(stamps, [100, 100, 100, 100]), "2024-01-01T22:00", "2024-01-02T02:00", unit="eur/mwh", usd_per_unit=rate
    )
    # The rate of a day is known when it has ended.
    assert hourly(history.frame["market_price_usd_per_mwh"]) == pytest.approx([110.0, 110.0, 120.0, 120.0])
    with pytest.raises(BadInputError, match="rates.csv: no value of 'usd_per_unit' for"):
        read(
            rows(stamps, [40] * 4),
            "2024-01-01T22:00",
            "2024-01-02T02:00",
            unit="eur/mwh",
            usd_per_unit={**rate, "max_age_h": 1},
        )


def test_rates_are_not_asked_for_outside_the_span(read: Read, tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text("day,rate\n2023-12-31,1.10\n2024-01-01,1.20\n")
    stamps = [f"{day}T{h:02d}:00Z" for day in ("2023-06-01", "2024-01-01") for h in (10, 11)]
    rate = {"files": ["rates.csv"], "time": "day", "value": "rate", "timezone": "UTC"}
    history = read(
        rows(stamps, [50] * 4), "2024-01-01T10:00", "2024-01-01T12:00", unit="eur/mwh", usd_per_unit=rate, max_age_h=2
    )
    assert hourly(history.frame["market_price_usd_per_mwh"]) == pytest.approx([60.0, 60.0])


def epw(hours: int) -> str:
    head = "LOCATION,Here,TX,USA,TMY3,1,32.0,-97.0,-6.0,180.0\n" + "X\n" * 7
    lines = []
    stamp = pd.Timestamp("2001-01-01")
    for k in range(hours):
        at = stamp + pd.Timedelta(hours=k)
        lines.append(f"1999,{at.month},{at.day},{at.hour + 1},60,flags,{k % 24}.0,5.0,60,101325")
    return head + "\n".join(lines) + "\n"


def test_an_epw_stands_for_every_year(read: Read) -> None:
    history = read(
        epw(8760),
        "2024-02-27T06:00",
        "2024-03-02T06:00",
        name="here.epw",
        column="outdoor_temp_c",
        format="epw",
        time="time",
        value="dry_bulb_c",
        unit="c",
        timezone="file",
        typical_year=True,
    )
    temp = history.frame["outdoor_temp_c"]
    # Local midnight of the file's UTC-6 is 06:00 UTC; hour 1 of an EPW is the hour from midnight on.
    assert hourly(temp)[:4] == [0.0, 1.0, 2.0, 3.0]
    assert temp.loc["2024-02-29 10:00:00+00:00"] == temp.loc["2024-02-28 10:00:00+00:00"]
    assert len(temp) == 4 * 288
    with pytest.raises(BadInputError, match="row 1: an EPW begins with LOCATION"):
        read(
            "LAT,1\n",
            "2024-02-27",
            "2024-02-28",
            name="here.epw",
            column="outdoor_temp_c",
            format="epw",
            time="time",
            value="dry_bulb_c",
            unit="c",
            timezone="file",
            typical_year=True,
        )


def test_a_typical_year_is_one_year(read: Read) -> None:
    stamps = pd.date_range("2022-01-01", "2024-01-02", freq="D").strftime("%Y-%m-%dT00:00Z").tolist()
    with pytest.raises(BadInputError, match="a typical year is one year; the values run from 2022-01-01"):
        read(rows(stamps, [40.0] * len(stamps)), "2024-02-27", "2024-02-28", typical_year=True)


def test_difficulty_follows_from_blocks(read: Read) -> None:
    heights = np.arange(2015, 6050)
    seconds = 1.7e9 + 580.0 * np.arange(len(heights))
    text = "height,when\n" + "".join(f"{h},{int(s)}\n" for h, s in zip(heights, seconds, strict=True))
    start, end = (
        pd.Timestamp(seconds[k], unit="s").ceil("5min").strftime("%Y-%m-%dT%H:%M") for k in (1, len(heights) - 2)
    )
    blocks = {"column": "difficulty", "unit": "1", "value": None, "height": "height", "derive": "retarget"}
    history = read(text, start, end, time_unit="s", first_difficulty=1e13, max_age_h=500, **blocks)
    _, expected = difficulty_of_blocks(heights, seconds, 1e13)
    assert (
        history.frame["difficulty"].unique().tolist() == expected[: len(history.frame["difficulty"].unique())].tolist()
    )
    # 2015 intervals of 580 s where 2016 of 600 s are the target.
    assert history.frame["difficulty"].iloc[-1] / 1e13 == pytest.approx(2016 * 600.0 / (2015 * 580.0), rel=1e-9)
    with pytest.raises(BadInputError, match="names 2 files; blocks are read from one"):
        read(text, start, end, time_unit="s", first_difficulty=1e13, files=["series.csv", "series.csv"], **blocks)


def test_a_declared_channel_is_known_a_delay_after_its_stamp_and_not_before(read: Read) -> None:
    stamps = [f"2024-01-{day:02d}T{hour:02d}:00Z" for day in (1, 2) for hour in range(24)]
    site = SiteParams(
        zones=(ZoneParams(machine=catalogue.machine("s21"), firmware=catalogue.firmware("slow_tuner"), n_units=10),)
    )
    changed, delay_h, seen = 30, 2, []
    for after in (0.0, 7.0):
        history = read(
            rows(stamps, [hour + (after if hour >= changed else 0.0) for hour in range(48)]),
            "2024-01-01T02:00",
            "2024-01-03",
            column="mood",
            unit=None,
            delay_s=3600 * delay_h,
            channel={"unit": "1", "low": 0.0, "high": 60.0},
        )
        world = build(history, site)
        observed = world.known[0, :, world.channels.index("mood")]
        published = published_series(history, site.markets[0]).series["mood"]
        forecast_from = published.latest(np.arange(len(observed)))
        seen.append((history.frame["mood"].to_numpy(), observed, forecast_from))
    first = (changed + delay_h - 2) * 12  # the history begins at two o'clock
    for one, other in zip(*seen, strict=True):
        assert np.array_equal(one[:first], other[:first])
        assert other[first] == one[first] + 7.0 == changed + 7.0


def test_a_declared_channel_that_leaves_its_range_is_named(read: Read) -> None:
    with pytest.raises(BadInputError, match=r"row 7, column 'mood': 15.0 is not in 0…14"):
        read(
            rows(HOURS, [10, 11, 12, 13, 14, 15]),
            "2024-01-01T02:00",
            "2024-01-01T06:00",
            column="mood",
            unit=None,
            channel={"unit": "1", "low": 0.0, "high": 14.0},
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expect": {"currency": "EUR"}}, "no column 'currency'"),
        ({"expect": {"v": "EUR"}}, r"row 2, column 'v': '0'; the mapping expects 'EUR'"),
        ({"delay_s": -60}, r"delay_s' is -60; it must be a number, 0 or more"),
        ({"delay_s": float("nan")}, "delay_s' is nan"),
        ({"delay_s": "1h"}, "delay_s' is '1h'"),
        ({"time_format": 5}, "time_format' is 5; it must be text"),
        ({"channel": {"unit": "1", "low": "abc", "high": 1}, "column": "mood"}, "channel.low' is 'abc'"),
    ],
)
def test_keys_of_the_wrong_kind_are_named(read: Read, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read(rows(HOURS, [0, 1, 2, 3, 4, 5]), "2024-01-01", "2024-01-01T06:00", **change)


@pytest.mark.parametrize(
    ("stamps", "values", "message"),
    [
        (
            [*HOURS[:3], "2024-01-01T03:00", *HOURS[4:]],
            [0, 1, 2, 3, 4, 5],
            "row 5, .*has no offset; other rows have one",
        ),
        (["31-12-2023", *HOURS[1:]], [0, 1, 2, 3, 4, 5], "'31-12-2023' is no unambiguous time stamp"),
        (HOURS, [0, 1, "inf", 3, 4, 5], "row 4, column 'v': 'inf' is not a number"),
        ([], [], "no value in column 'v'"),
    ],
)
def test_rows_that_cannot_be_read_are_named(read: Read, stamps: list[str], values: list[Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read(rows(stamps, values), "2024-01-01", "2024-01-01T06:00")


def test_a_constant_has_no_unit(read: Read) -> None:
    with pytest.raises(BadInputError, match=r"unknown key 'series\[market_price_usd_per_mwh\].unit'"):
        read("", "2024-01-01", "2024-01-02", constant=50.0, unit="eur/kwh", files=None, time=None, value=None)


def test_a_gap_after_the_end_is_no_matter(read: Read) -> None:
    stamps = [f"2024-01-01T{h:02d}:00Z" for h in (0, 1, 2, 3, 4, 9, 10)]
    ahead = {"publication": "day_ahead", "interval_s": 3600}
    history = read(rows(stamps, list(range(7))), "2024-01-01", "2024-01-01T03:00", price=ahead, max_age_h=2)
    assert history.ahead is not None
    assert history.ahead[::12].tolist() == [3.0, 4.0]


def test_prices_are_out_at_the_hour_that_the_market_publishes(read: Read) -> None:
    stamps = [f"2024-01-{d:02d}T{h:02d}:00Z" for d in (1, 2, 3) for h in range(24)]
    late = {"publication": "day_ahead", "interval_s": 3600, "published_h": 20.25}
    history = read(rows(stamps, list(range(72))), "2024-01-01", "2024-01-03", price=late)
    day = 288
    known = day_ahead_until(history)
    assert known[[20 * 12, 20 * 12 + 2, 20 * 12 + 3]].tolist() == [day, day, 2 * day]
    assert until(history, 1).published_h == 20.25
    usual = read(rows(stamps, list(range(72))), "2024-01-01", "2024-01-03", price={**late, "published_h": 13.5})
    assert usual.hash != history.hash
