"""The mappings that ship, over small files in the form of the real ones, and broken copies of each source."""

import gzip
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import History
from hashgym.sources.assembly import import_history

MAPPINGS = Path(str(resources.files("hashgym.sources").joinpath("mappings")))
FIRST, LAST = "2023-03-08", "2023-04-02"
"""Both changes of clocks of the spring are inside."""

STATIONS = {
    "aurora": ("USA_CO_Aurora-Buckley.Field.ANGB.724695_TMY3", -7.0),
    "stockholm": ("SWE_Stockholm.Arlanda.024600_IWEC", 1.0),
}


def put(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def table(columns: dict[str, object]) -> str:
    return str(pd.DataFrame(columns).to_csv(index=False))


def bitcoin(root: Path) -> None:
    hours = pd.date_range("2023-03-01", "2023-04-10", freq="h", tz="UTC")
    put(
        root / "bitcoin/btc_usdt_1h_x.csv.gz", table({"date": hours.strftime("%Y-%m-%d %H:%M:%S+00:00"), "close": 28e3})
    )
    days = pd.date_range("2023-03-01", "2023-04-10", freq="D").strftime("%Y-%m-%d")
    network = {"date": days, "difficulty": 4.5e13, "transaction-fees-usd": 5e5}
    put(root / "bitcoin/btc_network_1d_x.csv.gz", table(network))
    put(root / "bitcoin/btc_usd_1d_x.csv.gz", table({"date": days, "close": 28e3}))
    epochs = {
        "start": ["2023-02-25 02:00:00", "2023-03-10 15:00:00", "2023-03-24 02:00:00"],
        "difficulty_derived": [4.3e13, 4.4e13, 4.5e13],
    }
    (root / "bitcoin/btc_difficulty_epochs_x.csv").write_text(table(epochs))


def epw(root: Path, place: str) -> None:
    name, offset = STATIONS[place]
    stamps = pd.date_range("2001-01-01", "2002-01-01", freq="h", inclusive="left")
    lines = [f"1999,{t.month},{t.day},{t.hour + 1},60,x,{10 + t.hour / 4},5.0,60,101325" for t in stamps]
    put(root / f"weather/{name}.epw.gz", f"LOCATION,a,b,c,d,e,0,0,{offset},0\n" + "X\n" * 7 + "\n".join(lines) + "\n")


def ercot(root: Path) -> list[str]:
    hours = pd.date_range("2023-03-01", "2023-04-10", freq="h", tz="America/Chicago")
    stamps = [f"{t:%Y-%m-%d %H:%M:%S}{t:%z}"[:-2] + ":00" for t in hours]
    price = 30.0 + np.arange(len(hours)) % 24
    put(root / "electricity/dayahead_US-TEX-ERCO_x.csv.gz", table({"Datetime": stamps, "Price (USD/MWh)": price}))
    local = pd.date_range("2023-03-01", "2023-04-10", freq="h").strftime("%Y-%m-%dT%H:%M").tolist()
    weather = {"time": local, "temperature_2m": [15.0] * len(local), "relative_humidity_2m": [50.0] * len(local)}
    put(root / "weather/openmeteo_US-TEX-ERCO_x.json.gz", json.dumps({"utc_offset_seconds": -21600, "hourly": weather}))
    return ["ercot_day_ahead", "weather_dallas", "bitcoin"]


def alberta(root: Path) -> list[str]:
    hours = pd.date_range("2023-03-01", "2023-04-10", freq="h", tz="America/Edmonton")
    ends = (hours + pd.Timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    frame = {"date_he": ends, "actual_price": 57.0 + np.arange(len(hours)) % 24, "actual_ail": 9800}
    put(root / "electricity/aeso_poolprice_x.csv.gz", table(frame))
    epw(root, "aurora")
    return ["aeso_pool_price", "weather_aurora_typical", "bitcoin"]


def sweden(root: Path) -> list[str]:
    hours = pd.date_range("2023-03-01", "2023-04-10", freq="h", tz="Europe/Stockholm")
    spans = [f"{t:%d.%m.%Y %H:%M} - {t + pd.Timedelta(hours=1):%d.%m.%Y %H:%M}" for t in hours]
    price = 40.0 + np.arange(len(hours)) % 24
    frame = {"MTU (CET/CEST)": spans, "Day-ahead Price [EUR/MWh]": price, "Currency": "EUR", "BZN|SE1": ""}
    put(root / "electricity/dayahead_SE1_x.csv.gz", table(frame))
    epw(root, "stockholm")
    return ["se1_day_ahead", "weather_stockholm_typical", "bitcoin_daily"]


Make = Callable[[Path], list[str]]


def load(root: Path, make: Make) -> History:
    names = make(root)
    return import_history([MAPPINGS / f"{name}.yaml" for name in names], FIRST, LAST, root).history


@pytest.mark.parametrize(
    ("make", "zone", "usd"),
    [(ercot, "America/Chicago", 1.0), (alberta, "America/Edmonton", 0.741), (sweden, "Europe/Stockholm", 1.08)],
)
def test_a_source_reads_as_it_is(make: Make, zone: str, usd: float, tmp_path: Path) -> None:
    history = load(tmp_path, make)
    assert history.timezone == zone
    made = {ercot: 30.0, alberta: 57.0, sweden: 40.0}[make]
    # The made price is that of the number of hours since the first local midnight, through the change of clocks.
    first = pd.Timestamp("2023-03-01", tz=zone)
    since = (pd.DatetimeIndex(history.frame.index) - first) // pd.Timedelta(hours=1)
    assert history.frame["market_price_usd_per_mwh"].to_numpy() == pytest.approx((made + since.to_numpy() % 24) * usd)
    assert [entry["mapping"] for entry in history.provenance if "mapping" in entry] == [
        f"{n}.yaml" for n in make(tmp_path)
    ]


def changed(root: Path, pattern: str, edit: Callable[[list[str]], list[str]]) -> None:
    (path,) = root.glob(pattern)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress(("\n".join(edit(lines)) + "\n").encode()))


def cut(root: Path, pattern: str) -> None:
    (path,) = root.glob(pattern)
    path.write_bytes(path.read_bytes()[:-200])


ERCOT, AESO, SE1 = "electricity/*ERCO*", "electricity/aeso*", "electricity/*SE1*"

BROKEN: list[tuple[Make, Callable[[Path], None], str]] = [
    (ercot, lambda root: changed(root, ERCOT, lambda t: ["Datetime,LMP", *t[1:]]), "no column 'Price .USD/MWh.'; there are 'Datetime', 'LMP'"),
    (ercot, lambda root: changed(root, ERCOT, lambda t: [*t[:9], t[8].split(",")[0] + ",99", *t[9:]]), "row 10, column 'Datetime': .* stands twice"),
    (ercot, lambda root: cut(root, ERCOT), "not a readable csv file"),
    (alberta, lambda root: changed(root, AESO, lambda t: t[:300] + t[400:]), "no value of 'market_price_usd_per_mwh' for 2023-03-1.*held for at most 3 h"),
    (alberta, lambda root: changed(root, AESO, lambda t: [*t[:20], t[20].replace("76.0", "n.a."), *t[21:]]), "row 21, column 'actual_price': 'n.a.' is not a number"),
    (alberta, lambda root: changed(root, AESO, lambda t: [t[0], *[",".join([a, str(float(b) / 1000), c]) for a, b, c in (row.split(",") for row in t[1:])]]), "looks like CAD/kWh; declare unit: cad/kwh"),
    (sweden, lambda root: changed(root, SE1, lambda t: [*t[:30], t[30].replace("45.0", '"45,0"'), *t[31:]]), "row 31, column 'Day-ahead Price .EUR/MWh.': '45,0' is not a number"),
    (sweden, lambda root: changed(root, SE1, lambda t: [t[0], *[row.replace("EUR", "SEK") for row in t[1:]]]), "row 2, column 'Currency': 'SEK'; the mapping expects 'EUR'"),
    (sweden, lambda root: changed(root, SE1, lambda t: [row for row in t if not row.startswith("15.03.2023")]), "no value of 'market_price_usd_per_mwh' for 2023-03-15"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "damage", "message"), BROKEN)
def test_a_broken_copy_is_refused_by_name(
    make: Make, damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    names = make(tmp_path)
    bitcoin(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadInputError, match=message):
        import_history([MAPPINGS / f"{name}.yaml" for name in names], FIRST, LAST, tmp_path)


@pytest.fixture(autouse=True)
def coins(tmp_path: Path) -> None:
    (tmp_path / "bitcoin").mkdir()
    bitcoin(tmp_path)
