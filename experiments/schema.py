"""`hashgym data schema`: the formats of scenarios, mappings and telemetry, printed from the classes that read them."""

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario import sites
from hashgym.sim.contract.contract import Contract
from hashgym.sim.cooling.plants import PLANTS
from hashgym.sim.hardware import catalogue
from hashgym.sim.hardware.params import FirmwareParams, MachineParams
from hashgym.sim.history.history import COLUMNS
from hashgym.sim.market.pools import Market
from hashgym.sim.site.params import SiteParams
from hashgym.sim.telemetry import columns as telemetry
from hashgym.sources import mapping as mappings
from hashgym.sources.units import UNITS
from hashgym.synthesis.generate import synthesize

REQUIRED: Final = "required"
MEANING_WIDTH: Final = 80

BY_NAME: Final[dict[type, Callable[[], tuple[str, ...]]]] = {
    MachineParams: catalogue.machine_names,
    FirmwareParams: catalogue.firmware_names,
}
"""Classes whose instances a scenario names, from the catalogue."""

KINDS: Final[dict[type, str]] = {cls: kind for kinds in (PLANTS, sites.TARIFFS) for kind, cls in kinds.items()}
"""Classes that a scenario picks by the key `kind`."""

NOT_IN_YAML: Final = {
    SiteParams: ("contract", "markets"),
    Contract: ("energy",),
    mappings.Series: ("origin", "role", "zone_is_default"),
}
"""Fields that another part of the file fills."""


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A key of a format: its type, its default or `required`, and what it means."""

    name: str
    type: str
    default: str
    meaning: str


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """Keys that stand together in a file, under a path such as `site.zones[]`."""

    path: str
    meaning: str
    keys: tuple[Key, ...]


def scenario() -> list[Section]:
    """Return the format of a scenario's YAML."""
    nested: dict[str, list[Section]] = {
        "site": sections("site", SiteParams),
        "tariff": sections("tariff", Contract) + [s for cls in sites.TARIFFS.values() for s in sections("tariff", cls)],
        "markets": sections("markets[]", Market),
        "history": [_arguments("history", synthesize)],
    }
    top = tuple(
        Key(
            name,
            f"see {nested[name][0].path}" if name in nested else "",
            "" if name in scenarios.OPTIONAL else REQUIRED,
            meaning,
        )
        for name, meaning in scenarios.KEYS.items()
    )
    first = Section("", "A scenario: YAML of conf/scenario, or of a folder of your own (--config-dir).", top)
    return [first, *(section for part in nested.values() for section in part)]


def mapping() -> list[Section]:
    """Return the format of a mapping's YAML."""
    top = tuple(Key(name, "", "", meaning) for name, meaning in mappings.KEYS.items())
    price = tuple(Key(name, "", "", meaning) for name, meaning in mappings.PRICE_KEYS.items())
    known = tuple(Key(name, "", "", ", ".join(units)) for name, units in UNITS.items())
    ranges = tuple(
        Key(name, column.unit, REQUIRED if column.is_required else "", f"{column.low:g} … {column.high:g}")
        for name, column in COLUMNS.items()
    )
    return [
        Section("", "A mapping: YAML for one source; several are put together by `hashgym data import`.", top),
        Section("price", "When the settlement price is known.", price),
        *sections("series[]", mappings.Series),
        Section(
            "series[].unit",
            "Units that each column may be given in, by column. fees_usd_per_day becomes fee_share.",
            known,
        ),
        Section(
            "series[].column",
            "Columns of a history with unit and range; any other one is declared by `channel`.",
            ranges,
        ),
    ]


def telemetry_rows() -> list[Section]:
    """Return the format of telemetry: a row for each machine and reading."""
    rows = tuple(
        Key(
            name,
            column.unit or ("number" if column.is_number else "text"),
            REQUIRED,
            f"{column.meaning}; {column.low:g} … {column.high:g}"
            if column.is_number and column.high < float("inf")
            else column.meaning,
        )
        for name, column in telemetry.COLUMNS.items()
    )
    return [Section("", f"Telemetry: CSV or Parquet with these columns. status: {', '.join(telemetry.STATUS)}.", rows)]


FORMATS: Final[dict[str, Callable[[], list[Section]]]] = {
    "scenario": scenario,
    "mapping": mapping,
    "telemetry": telemetry_rows,
}


def sections(path: str, cls: type) -> list[Section]:
    """Return a section for a parameter class and one for each class that stands in its fields."""
    about, meanings = _meanings(cls)
    hints, keys, rest = typing.get_type_hints(cls), [], []
    if cls in KINDS:
        keys.append(Key("kind", KINDS[cls], "", "picks the keys below"))
    for entry in dataclasses.fields(cls):
        if entry.name in NOT_IN_YAML.get(cls, ()):
            continue
        text, classes, is_list = _type(hints[entry.name])
        below = f"{path}.{entry.name}{'[]' if is_list else ''}"
        keys.append(Key(entry.name, text.format(path=below), _default(entry), meanings.get(entry.name, "")))
        rest += [section for inner in classes if inner is not cls for section in sections(below, inner)]
    return [Section(path, about, tuple(keys)), *rest]


def _type(hint: Any) -> tuple[str, list[type], bool]:
    """Return the name of a type, the classes in it that have sections of their own, and whether they stand in a list."""
    if hint in BY_NAME:
        return f"name: {', '.join(BY_NAME[hint]())}", [], False
    if dataclasses.is_dataclass(hint):
        return "see {path}", [typing.cast(type, hint)], False
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [_type(part) for part in inner]
        names = dict.fromkeys(name for name, _, _ in parts)
        return " or ".join(names), [cls for _, classes, _ in parts for cls in classes], any(p[2] for p in parts)
    if origin is tuple:
        name, classes, _ = _type(inner[0])
        return name if classes else f"list of {name}", classes, True
    if origin is not None and issubclass(origin, Mapping):
        return "dictionary", [], False
    return {type(None): "null", Path: "text", str: "text"}.get(hint, getattr(hint, "__name__", str(hint))), [], False


def _default(entry: Any) -> str:
    if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
        return REQUIRED
    value = entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()
    return "" if value == "" else _value(value)


def _value(value: Any) -> str:
    """Return a default as YAML writes it."""
    if dataclasses.is_dataclass(value) or value == {}:
        return "{}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return {"None": "null", "inf": ".inf", "True": "true", "False": "false"}.get(str(value), str(value))


def _meanings(cls: type) -> tuple[str, dict[str, str]]:
    """Return the first line of a class's docstring, and what its fields mean.

    A meaning is the string below a field, of the class or of its bases, or what the class's docstring says after `field:`.
    """
    names = [entry.name for entry in dataclasses.fields(cls)]
    about, _, rest = inspect.cleandoc(cls.__doc__ or "").partition("\n")
    found: dict[str, str] = {}
    either = "|".join(names)
    marks = list(re.finditer(rf"\b((?:{either})(?:, (?:{either}))*):\s", rest))
    ends = [mark.start() for mark in marks[1:]] + [len(rest)]
    for mark, end in zip(marks, ends, strict=False):
        text = rest[mark.end() : end]
        for name in mark.group(1).split(", "):
            found[name] = _one_line(text)
    for base in reversed(cls.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, below in itertools.pairwise(statements):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(below):
                found[field.target.id] = _one_line(ast.literal_eval(typing.cast(ast.Expr, below).value))
    return about, found


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(";. ")


def _arguments(path: str, function: Callable[..., Any]) -> Section:
    """Return a section for a function whose arguments stand in a file."""
    doc = inspect.getdoc(function) or ""
    told = dict(re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", doc, re.MULTILINE))
    hints, keys = typing.get_type_hints(function), []
    for name, argument in inspect.signature(function).parameters.items():
        default = REQUIRED if argument.default is inspect.Parameter.empty else _value(argument.default)
        hint = hints[name]
        text = " or ".join(typing.get_args(hint)) if typing.get_origin(hint) is typing.Literal else _type(hint)[0]
        keys.append(Key(name, text, default, _one_line(told.get(name, ""))))
    return Section(path, doc.partition("\n")[0], tuple(keys))


def as_text(parts: list[Section]) -> str:
    """Return sections as text: a line for each key with its type, its default and its meaning."""
    blocks = []
    for part in parts:
        lines = [f"{part.path}: {part.meaning}" if part.path else part.meaning]
        width = max(len(key.name) for key in part.keys)
        for key in part.keys:
            facts = "; ".join(text for text in (key.type, key.default and _stated(key.default)) if text)
            head = f"  {key.name:<{width}}  "
            text = f"({facts}) {key.meaning}" if facts else key.meaning
            lines += textwrap.wrap(
                text, len(head) + MEANING_WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
            ) or [head.rstrip()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _stated(default: str) -> str:
    return default if default == REQUIRED else f"default {default}"
