"""The model against measurements that ship with the catalogue."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hashgym.experiments import bench_zones
from hashgym.sim.cooling import chiller
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue
from tools import machine_pages, maintenance_study, measurements, steady_points, validate, validation_plots


@pytest.mark.parametrize("point", steady_points.points(), ids=lambda point: f"{point['machine']}-{point['power_w']}")
def test_the_catalogue_holds_what_the_steady_points_say(point: dict[str, object]) -> None:
    machine = catalogue.machine(str(point["machine"]))
    for name, value in steady_points.fitted(point).items():
        assert getattr(machine, name) == pytest.approx(value, rel=0.01)


def test_points_that_were_not_fitted_are_met_within_three_kelvin() -> None:
    judged = [row for row in steady_points.rows() if not row["fitted"]]
    assert len(judged) >= 4
    assert max(abs(row["error_k"]) for row in judged) <= 3.0


COEFFICIENTS = np.array([4.5e-5, 0.14, 5.5])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of measurements in the formats of the real ones, of chillers and chips whose laws are known."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (folder / "plant").mkdir()
    (folder / "machines").mkdir()
    stamps = pd.date_range("2018-05-20", "2018-06-10", freq="5min", inclusive="left")
    n = len(stamps)
    slow = np.sin(np.arange(n) / 400.0)
    for number, rated_w in measurements.RATED_COOLING_W.items():
        load, condenser_k = 0.5 + 0.2 * slow, 295.0 + 4.0 * np.cos(np.arange(n) / 300.0)
        evaporator_k = np.full(n, 278.7)
        law = measurements.ChillerData(stamps.month == 6, load, evaporator_k, condenser_k, load, load)
        cop = measurements.gordon_ng(law, COEFFICIENTS)
        frame = pd.DataFrame(
            {
                "Time": stamps,
                "PowIn": load * rated_w / cop,
                "Tons": load * rated_w,
                "TempCondIn": condenser_k,
                "TempCondOut": condenser_k + 4.0,
                "TempEvapIn": evaporator_k + 4.0,
                "TempEvapOut": evaporator_k,
                "TempWetbulb": condenser_k - 3.0,
            }
        )
        frame.loc[rng.random(n) < 0.02, "PowIn"] = 0.0
        frame.to_csv(folder / f"plant/esb_chiller{number}_5min_test.csv.gz", index=False)
    steps = pd.DataFrame(
        [(f, v) for f in (525, 550, 575, 600) for v in (1.0, 1.05, 1.1) for _ in range(12)],
        columns=["frequency_mhz", "voltage_v"],
    )
    steps["miner_name"], steps["temperature_c"] = "Gamma-1", 60.0
    steps["power_w"] = 5.0 + 0.02 * steps["frequency_mhz"] * steps["voltage_v"] ** 2
    steps["hashrate_th"] = 2.1e-3 * steps["frequency_mhz"]
    steps.to_csv(folder / "machines/bitaxe_telemetry_test.csv.gz", index=False)
    return folder


def test_a_chillers_law_is_found_again_from_its_rows(data: Path) -> None:
    rows = measurements.chiller(data, "1")
    assert 2000 < len(rows.cop) < 6000
    assert measurements.fit_chiller(rows) == pytest.approx(COEFFICIENTS, rel=0.02)
    assert np.median(rows.approach_k) == pytest.approx(3.0)
    mine = [
        chiller.cop(q, e - 273.15, c - 273.15, *COEFFICIENTS)
        for q, e, c in zip(rows.load_pu[:50], rows.evaporator_k[:50], rows.condenser_k[:50], strict=True)
    ]
    assert mine == pytest.approx(rows.cop[:50])


def test_a_sweeps_law_is_found_again_and_missing_files_are_named(data: Path, tmp_path: Path) -> None:
    sweep = measurements.bitaxe(data)[0]
    assert len(sweep.power_w) == 12
    assert np.abs(measurements.left_out_errors(sweep)).max() < 1e-9
    with pytest.raises(BadInputError, match="no machines/bitaxe"):
        measurements.bitaxe(tmp_path)


@pytest.mark.slow
def test_the_page_is_made_whole(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance_study, "SEEDS", range(2))
    monkeypatch.setattr(maintenance_study, "YEARS", ("2024-01-01", "2024-10-01"))
    monkeypatch.setattr(maintenance_study, "N_ZONES", 2)
    monkeypatch.setattr(validate, "DOCS", tmp_path)
    monkeypatch.setattr("sys.argv", ["validate", str(data)])
    validate.main()
    rows = json.loads((tmp_path / "validation.json").read_text(encoding="utf-8"))
    assert len(rows) > 100
    for entry in rows:
        assert {"section", "model", "quantity", "measured", "modelled", "contradictory", "fitted"} <= set(entry)
        assert ("error_pct" in entry) != ("error_k" in entry)
    text = (tmp_path / "validation.md").read_text(encoding="utf-8")
    assert "What could not be validated" in text
    for name in ("heat", "chip", "chiller"):
        assert f"validation/{name}.png" in text
        assert (tmp_path / "validation" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_is_the_one_that_its_rows_make() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    rows, study = (
        json.loads((docs / f"{name}.json").read_text(encoding="utf-8")) for name in ("validation", "maintenance")
    )
    assert (docs / "validation.md").read_text(encoding="utf-8") == validation_plots.page(rows, study)
    assert {entry["section"] for entry in rows} == set(validation_plots.SECTIONS)
    set_by = {entry["quantity"] for entry in rows if entry["fitted"]}
    assert any(quantity.startswith("swing of wall power") for quantity in set_by)
    assert all(entry["fitted"] for entry in rows if entry["section"] == "failures")


def test_what_the_model_was_set_by_is_told_apart_and_counts_as_no_error() -> None:
    def entry(error_pct: float, **more: bool) -> dict[str, object]:
        flags = {"contradictory": False, "fitted": False, **more}
        numbers = {"measured": 1.0, "modelled": 1.0, "error_pct": error_pct}
        return {"section": "power", "model": f"m{error_pct:g}", "quantity": "q", **numbers, **flags}

    rows = [entry(-1.0), entry(2.0), entry(6.0), entry(40.0, fitted=True), entry(50.0, contradictory=True)]
    assert validation_plots.errors(rows).splitlines()[2:] == [
        "| power of machines at published points | 3 | 2.0 % | 6.0 % |"
    ]
    predicted, _, fitted = "\n".join(validation_plots.tables(rows)).partition("Set by these measurements")
    assert "m40" in fitted
    assert "m40" not in predicted
    assert all(name in predicted and name not in fitted for name in ("m-1", "m2", "m6", "m50"))


def test_the_pages_of_the_catalogue_are_up_to_date() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    assert (docs / "machines.md").read_text(encoding="utf-8") == machine_pages.page()
    assert {path.stem for path in (docs / "machines").glob("*.png")} == set(catalogue.machine_names())


def test_the_load_of_the_bench_has_every_plant_and_runs() -> None:
    load = bench_zones.Load(n_envs=2, n_zones=8, n_threads=1)
    assert {zone.plant.kind for zone in load.run.params.zones} == {0.0, 1.0, 2.0}
    assert load.run.params.links
    flow = load.run.step(load.setpoints[0])
    assert np.isfinite(flow["profit_usd"]).all()
