"""`hashgym data schema` prints every key that the readers take, and defaults that they accept."""

import dataclasses

import pytest
import yaml

from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario import sites
from hashgym.experiments import schema
from hashgym.experiments.cli import main
from hashgym.sim.contract.contract import Contract
from hashgym.sim.cooling.plants import PLANTS
from hashgym.sim.market.pools import Market, Pool
from hashgym.sim.site.params import Link, SiteParams, ZoneParams
from hashgym.sim.telemetry.columns import COLUMNS
from hashgym.sources import mapping as mappings


def keys(sections, path, kind=None):
    """Return the keys of a section by name."""
    for section in sections:
        found = {key.name: key for key in section.keys}
        if section.path == path and (kind is None or ("kind" in found and found["kind"].type == kind)):
            return found
    raise LookupError(path)


def field_names(cls):
    return {entry.name for entry in dataclasses.fields(cls)}


def test_every_key_of_a_scenario_is_there():
    sections = schema.scenario()
    assert set(keys(sections, "")) == set(scenarios.KEYS)
    assert set(keys(sections, "site")) == field_names(SiteParams) - {"contract", "markets"}
    assert set(keys(sections, "site.zones[]")) == field_names(ZoneParams)
    assert set(keys(sections, "site.links[]")) == field_names(Link)
    assert set(keys(sections, "tariff")) == field_names(Contract) - {"energy"}
    assert set(keys(sections, "markets[]")) == field_names(Market)
    assert set(keys(sections, "markets[].pool")) == field_names(Pool)
    for kind, cls in PLANTS.items():
        assert set(keys(sections, "site.zones[].plant", kind)) == field_names(cls) | {"kind"}
    for kind, cls in sites.TARIFFS.items():
        assert set(keys(sections, "tariff", kind)) == field_names(cls) | {"kind"}


def test_every_key_of_mapping_and_telemetry_is_there():
    sections = schema.mapping()
    assert set(keys(sections, "")) == set(mappings.KEYS)
    assert set(keys(sections, "series[]")) == field_names(mappings.Series) - {"origin", "role", "zone_is_default"}
    assert set(keys(sections, "series[].channel")) == {"unit", "low", "high"}
    assert set(keys(schema.telemetry_rows(), "")) == set(COLUMNS)


@pytest.mark.parametrize("kind", PLANTS)
def test_printed_defaults_of_a_site_are_those_that_the_reader_takes(kind):
    sections = schema.scenario()

    def defaults(path, of_kind=None):
        printed = keys(sections, path, of_kind).items()
        return {name: yaml.safe_load(key.default) for name, key in printed if key.default not in ("", schema.REQUIRED)}

    machine = "s21_hyd" if kind == "loop" else "s21"
    zone = {"machine": machine, "firmware": "slow_tuner", "n_units": 9, "plant": {"kind": kind}}
    short = {"site": {"zones": [zone]}, "tariff": {"kind": "real_time"}}
    plant = {"kind": kind, **defaults("site.zones[].plant", kind)}
    written = {
        "site": {**defaults("site"), "zones": [{**defaults("site.zones[]"), **zone, "plant": plant}]},
        "tariff": {"kind": "real_time", **defaults("tariff", "real_time")},
    }
    assert sites.site_of(written) == sites.site_of(short)


@pytest.mark.parametrize(
    ("name", "line"),
    [("scenario", "altitude_m "), ("mapping", "max_age_h "), ("telemetry", "hashrate_ths ")],
)
def test_the_command_prints_a_format(name, line, capsys):
    assert main(["data", "schema", name]) == 0
    printed = capsys.readouterr().out
    assert f"\n  {line}" in printed
    assert max(map(len, printed.splitlines())) < 160
