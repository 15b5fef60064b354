from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.hashrate import HashrateTuningEnv
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError
from hashgym.synthesis.generate import synthesize
from tests.conftest import SMALL


def changed(path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    if not rest:
        return {**SMALL, first: value}
    return {**SMALL, first: {**SMALL[first], rest: value}}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "red", "unknown key 'colour'"),
        ("site.colour", "red", "unknown key 'site.colour'"),
        ("site", 3, "must be a dictionary"),
        ("site.zones", [{"machine": "s99", "firmware": "slow_tuner"}], "no machine 's99'"),
        (
            "site.zones",
            [{"machine": "s21", "firmware": "slow_tuner", "n_units": 9, "fans": 4}],
            r"unknown key 'site.zones\[0\].fans'",
        ),
        (
            "site.zones",
            [{"machine": "s21", "firmware": "slow_tuner", "n_units": 9, "plant": {"pad": 1}}],
            r"zones\[0\].plant.pad",
        ),
        ("tariff.kind", "free", "tariff.kind is 'free'; it must be one of real_time, flat, time_of_use"),
        ("tariff.adder", 1.0, "unknown key 'tariff.adder'"),
        ("history.region", "mars", "no region 'mars'"),
        ("history.path", "x", "unknown key 'history.path'"),
        ("episode_days", 0.0001, "episode_days is 0.0001"),
        (
            "splits",
            {"train": ["2024-06-03", "2025-06-25"]},
            "splits.train: span 2024-06-03…2025-06-25 is not inside the history",
        ),
        ("splits", {"tset": ["2024-06-03", "2024-06-10"]}, "scenario.splits has 'tset'; did you mean 'test'?"),
        ("splits", {"train": ["03.06.2024", "2024-06-10"]}, "scenario.splits.train is .* as .'2024-01-01'"),
        (
            "tariff",
            {"kind": "flat", "energy_price_usd_per_mwh": -87000.0},
            "energy_price_usd_per_mwh is -87000.0; it must be in ±20,000",
        ),
        (
            "splits",
            {"train": ["2024-06-03", "2024-06-10"], "test": ["2024-06-09", "2024-06-20"]},
            "'train' and 'test' overlap",
        ),
    ],
)
def test_each_mistake_in_a_scenario_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        scenarios.from_mapping(changed(path, value))


def test_a_missing_key_is_named() -> None:
    with pytest.raises(BadInputError, match="key 'tariff' is missing"):
        scenarios.from_mapping({key: value for key, value in SMALL.items() if key != "tariff"})


def test_a_time_of_use_tariff_is_known_ahead_and_billed() -> None:
    calendar = {"kind": "time_of_use", "weekday_usd_per_mwh": [40.0] * 24, "weekend_usd_per_mwh": [20.0] * 24}
    env = HashrateTuningEnv(scenario=scenarios.from_mapping(changed("tariff", calendar)))
    names = [entry.name for entry in env.table]
    obs, _ = env.reset(seed=0, options={"start": "2024-06-07T12:00:00"})
    assert obs[names.index("known_energy_price_usd_per_mwh")] == 40.0
    info = env.step(np.array([3]))[4]
    assert info["energy_usd"] == pytest.approx(info["energy_kwh"] * 0.040)
    env.reset(options={"start": "2024-06-08T12:00:00"})
    info = env.step(np.array([3]))[4]
    assert info["energy_usd"] == pytest.approx(info["energy_kwh"] * 0.020)


def test_config_hash_follows_the_configuration() -> None:
    first, same = scenarios.from_mapping(SMALL), scenarios.from_mapping(dict(SMALL))
    assert first.config_hash == same.config_hash
    assert scenarios.from_mapping(changed("tariff.adder_usd_per_mwh", 16.0)).config_hash != first.config_hash


def test_an_environment_runs_on_every_plant_and_on_mixing_air() -> None:
    zones = [
        {"machine": "s19j_pro/vnish", "firmware": "slow_tuner", "n_units": 240, "n_slots": 280},
        {
            "machine": "s21",
            "firmware": "fast_curtail",
            "n_units": 20,
            "plant": {"kind": "room", "supply_target_c": 22.0},
        },
        {"machine": "s21_hyd", "firmware": "fast_curtail", "n_units": 50, "plant": {"kind": "loop"}},
    ]
    links = [{"zone": 1, "source": 0, "share": 0.1}]
    mixed = scenarios.from_mapping({**SMALL, "name": "mixed", "site": {"zones": zones, "links": links}})
    env = HashrateTuningEnv(scenario=mixed, action="profile")
    env.reset(seed=1)
    for _ in range(30):
        observation, _, _, _, info = env.step(np.array([5, 5, 5]))
    assert env.observation_space.contains(observation)
    assert 1.0 < info["pue"] < 1.6
    assert info["hash_th"] > 0.0


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (
            {"zones": [{"machine": "s21", "firmware": "slow_tuner", "plant": {"kind": "cellar"}}]},
            "plant.kind is 'cellar'",
        ),
        (
            {"zones": [{"machine": "s21", "firmware": "slow_tuner", "n_units": 9}], "links": [{"from": 1}]},
            r"unknown key 'site.links\[0\].from'",
        ),
        ({"zones": [{"machine": "s21_hyd", "firmware": "slow_tuner", "n_units": 9}]}, "cooled by liquid"),
        (
            {"zones": [{"machine": m, "firmware": "slow_tuner", "n_units": 9} for m in ("s21", "l9")]},
            "mines scrypt; the market btc@pool",
        ),
        ({"zones": [{"machine": "s21/stock", "firmware": "slow_tuner"}]}, "no curve 'stock'"),
    ],
)
def test_mistakes_in_plants_and_links_are_named(site: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        scenarios.from_mapping({**SMALL, "site": site, "markets": [{}]})


FROZEN = {
    "alberta_immersion": ("6ed01507e2fd92ae", "72c41ae516878082"),
    "ercot_battery_old_fleet": ("2415e371554db559", "ab44952a445c7b82"),
    "georgia_room": ("1f66a5707fd1400c", "84da14a069581f7f"),
    "nordic_hydro": ("033552a21f5e24d9", "12d92c7491b3d2c6"),
    "pv_battery_tight": ("51cdc75854aced78", "4aa7740c82593fd0"),
    "pv_battery_tight_nsw": ("92bb208efed52aef", "59f62535d226ccfa"),
    "reserve_desk": ("c518174d7cfc2c02", "5554330d7991bd8a"),
    "scrypt_shed": ("b19a08be95315e96", "a24ca0636ada92f1"),
    "west_texas_air": ("b2b2f82c771e6b45", "5081a09a183dbd64"),
    "west_texas_ppa": ("8dd20bf1fbd8978a", "4d174cf909e60a96"),
}
"""Hashes of scenario and history. Results carry them: whoever changes one makes every published result one of the past."""


@pytest.mark.parametrize("name", sorted(FROZEN))
def test_a_scenario_that_ships_is_frozen(name: str) -> None:
    world = scenarios.load(name)
    assert (world.config_hash, world.history.hash) == FROZEN[name]
    env = HashrateTuningEnv(scenario=world)
    env.reset(seed=0)
    assert np.isfinite(env.step(env.action_space.sample())[0]).all()


def test_the_page_of_the_scenarios_is_up_to_date() -> None:
    text = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    for name in scenarios.names():
        content = scenarios.read(name)
        assert content["about"] in text, name
        assert name in FROZEN or name.endswith("_replay")
    for hashes in FROZEN.values():
        assert f"`{hashes[0]}`; `{hashes[1]}`" in text


def test_a_replay_asks_for_its_history_and_takes_it() -> None:
    with pytest.raises(BadInputError, match="hashgym data import ercot_day_ahead weather_dallas .*history=FOLDER"):
        scenarios.load("west_texas_air_replay")
    content = {**scenarios.read("west_texas_air_replay"), "splits": SMALL["splits"], "episode_days": 1}
    world = scenarios.from_mapping(content, synthesize("ercot", "2024-06-01", "2024-07-16", 3))
    assert world.site.zones[0].n_units == 280  # of the base
    assert world.site.contract.coincident_peak is None  # its own tariff stands whole


def test_words_about_a_scenario_do_not_change_its_hash() -> None:
    plain = scenarios.from_mapping(SMALL)
    assert scenarios.from_mapping({**SMALL, "about": "words"}).config_hash == plain.config_hash


def test_a_site_may_have_limits_of_its_own() -> None:
    world = scenarios.from_mapping({**SMALL, "thresholds": {"chip_over_temp": 75.0}})
    assert EnvConfig(scenario=world).load().thresholds["chip_over_temp"] == 75.0
    assert EnvConfig(scenario=world, thresholds={"chip_over_temp": 70.0}).load().thresholds["chip_over_temp"] == 70.0
    with pytest.raises(BadInputError, match="thresholds.chip_over_temp is 99.0; it must be 85 at most"):
        EnvConfig(scenario=scenarios.from_mapping({**SMALL, "thresholds": {"chip_over_temp": 99.0}})).load()


def test_the_forecast_is_the_best_that_is_published(small: Scenario) -> None:
    assert EnvConfig(scenario=small).load().forecast == "day_ahead"
    assert EnvConfig(scenario="alberta_immersion").load().forecast == "persistence"
    assert EnvConfig(scenario="georgia_room").load().forecast == "day_ahead"  # a calendar is its own forecast


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("site.altitude_m", "200 m", "scenario.site.altitude_m is '200 m'; it must be a number"),
        ("site.altitude_m", None, "scenario.site.altitude_m is None; it must be a number"),
        ("splits", {"test": "2024-01-01"}, "scenario.splits.test is '2024-01-01'; it must be two days"),
        ("splits", {"test": ["2024-01-01"]}, r"scenario.splits.test is \['2024-01-01'\]; it must be two days"),
        ("splits", ["2024-01-01"], "scenario.splits is .*; it must be a dictionary"),
        ("site.zones", 5, "scenario.site.zones is 5; it must be a list"),
        ("site.zones", [{"machine": "s21", "firmware": "slow_tuner", "n_units": 50.5}],
         r"scenario.site.zones\[0\].n_units is 50.5; it must be a whole number"),
        ("site.zones", [{"machine": "s21", "firmware": "slow_tuner"}], r"zones\[0\].n_units is missing; it must be a whole number"),
        ("site.zones", [{"machine": "s22", "firmware": "slow_tuner", "n_units": 9}],
         r"zones\[0\].machine: no machine 's22' in the catalogue; the nearest are"),
        ("site.zones", [{"firmware": "slow_tuner", "n_units": 9}], r"zones\[0\].machine is missing"),
        ("site.zones", [{"machine": "s21_hyd", "firmware": "slow_tuner", "n_units": 9,
                         "plant": {"kind": "loop", "coolant_target_c": "45 C"}}],
         r"zones\[0\].plant.coolant_target_c is '45 C'; it must be a number"),
        ("site.zones", [{"machine": "s21", "firmware": "slow_tuner", "n_units": 9, "plant": "container"}],
         r"zones\[0\].plant is 'container'; it must be a dictionary"),
        ("site.links", [{"zone": 0, "share": 0.1}], r"scenario.site.links\[0\].source is missing"),
        ("history.seed", "abc", "scenario.history.seed is 'abc'; it must be a whole number, 0 or more"),
        ("history.seed", 1.7, "scenario.history.seed is 1.7"),
        ("episode_days", "x", "scenario.episode_days is 'x'; it must be whole steps"),
        ("tariff.adder_usd_per_mwh", "50 USD", "scenario.tariff.adder_usd_per_mwh is '50 USD'; it must be a number"),
        ("thresholds", "hot", "scenario.thresholds is 'hot'; it must be a dictionary"),
        ("name", None, "scenario.name is None; it must be a name"),
        ("name", "x\x1b[31m", "it must be a name"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_named_in_one_line(path: str, value: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        scenarios.from_mapping(changed(path, value))
    assert "\n" not in str(caught.value)


def test_everything_wrong_with_a_scenario_is_said_at_once() -> None:
    broken = changed("site.altitude_m", "200 m")
    broken["site"]["zones"] = [{"machine": "s19j pro", "firmware": "slow_tuner", "n_units": 50.5}, {"machine": "s99"}]
    broken["splits"] = {"test": "2024-01-01"}
    broken["tariff"] = {"kind": "flat", "usd_per_mwh": 50.0}
    broken["episode_days"] = "week"
    with pytest.raises(BadInputError) as caught:
        scenarios.from_mapping(broken)
    lines = str(caught.value).splitlines()
    assert len(lines) >= 8
    for part in ("altitude_m", "zones[0].n_units", "zones[1].machine", "zones[1].firmware", "splits.test", "tariff.usd_per_mwh",
                 "energy_price_usd_per_mwh is missing", "episode_days"):  # fmt: skip
        assert any(part in line for line in lines), part


def test_a_scenario_is_its_file_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = changed("history", "history")
    scenarios.from_mapping(SMALL).history.save(tmp_path / "site" / "history")
    (tmp_path / "site" / "my_site.yaml").write_text(yaml.safe_dump({**content, "name": "my_site"}))
    hashes = set()
    for folder, name in (
        (tmp_path, "site/my_site.yaml"),
        (tmp_path / "site", "./my_site.yaml"),
        (tmp_path, tmp_path / "site/my_site.yaml"),
    ):
        monkeypatch.chdir(folder)
        for make in (gym.make, gym.make_vec):
            env = make("hashgym/HashrateTuning-v0", scenario=name)
            scenario = env.unwrapped.batch.scenario
            env.reset(seed=1)
            hashes.add((scenario.name, scenario.config_hash, scenario.history.hash))
            env.close()
    assert len(hashes) == 1
    env = gym.make("hashgym/HashrateTuning-v0", scenario=SMALL)
    env.reset(seed=1)
    env.reset(options={"scenario": tmp_path / "site/my_site.yaml"})
    assert env.unwrapped.batch.scenario.name == "my_site"
    env.reset(seed=1, options={"scenario": SMALL})
    assert env.unwrapped.batch.scenario.name == SMALL["name"]
    with pytest.raises(BadInputError, match=r"absent.yaml: not a?\s?readable"):
        gym.make("hashgym/HashrateTuning-v0", scenario="absent.yaml")
    with pytest.raises(BadInputError, match="no scenario 'west_texas'; did you mean .*'west_texas_air'"):
        gym.make("hashgym/HashrateTuning-v0", scenario="west_texas")
