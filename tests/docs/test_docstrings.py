"""The examples in docstrings do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("sim", "synthesis", "envs", "agents", "evaluation", "forecast", "advisor")
MODULES = [
    ".".join(("hashgym", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def test_what_people_meet_first_has_an_example():
    objects = {
        "sim.hardware.catalogue": ("machine", "firmware"),
        "sim.site.params": ("SiteParams", "ZoneParams"),
        "sim.site.step": ("Site",),
        "sim.contract.settlement": ("settle",),
        "sim.series.exogenous": ("build",),
        "synthesis.generate": ("synthesize",),
        "envs.scenario.scenario": ("names",),
        "envs.batch.core": ("Batch",),
        "envs.batch.config": ("UserCost",),
        "envs.forms.sb3": ("SiteVecEnv",),
    }
    for module, names in objects.items():
        for name in names:
            assert ">>> " in (getattr(importlib.import_module(f"hashgym.{module}"), name).__doc__ or ""), name
