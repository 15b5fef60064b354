"""Make a policy bundle from a trained policy: graph, manifest, card and sums, checked before the folder takes its place."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from ..agents.learning.graph import ActionDecoding, graph_of, to_onnx
from ..agents.learning.rule_graph import RuleGraph
from ..envs import ENV_IDS
from ..envs.batch import tables
from ..envs.batch.actions import RESIDUAL, commands_table
from ..envs.batch.config import EnvConfig, UserCost
from ..envs.batch.core import Batch
from ..envs.batch.operating import as_texts, operate_rows
from ..sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ..sim.foundation.errors import BadInputError, BundleError
from ..sim.foundation.files import whole_folder
from ..sim.foundation.wording import as_markdown
from ..sim.series.exogenous import MODEL, WARM_UP_STEPS
from ..sim.site.ladders import SiteLadders
from . import bundle as bundles
from .bundle import Bundle
from .manifest import SCHEMA_VERSION

MAX_RISE_PU: Final = 0.1
"""Largest rise of a hashing machine's power set-point that the advisor executes in a step, of rated power: half of what
counts as a `power_ramp`. Source: the published action limit of 0.1 per five minutes for hashrate changes."""

EXPORTED_TASK: Final = "hashrate"
"""The task whose policies a bundle can hold: the advisor executes frequency set-points and nothing else."""

PARITY_OBSERVATIONS: Final = 10_000
PARITY_TOLERANCE: Final = 1e-5
"""Largest difference between graph and network, of each action's range. chosen: what two runtimes round differently in float32 is less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a policy comes from, as its manifest tells."""

    name: str
    scenario: dict[str, Any]
    """The mapping of the scenario's YAML."""
    metrics: dict[str, Any]
    """What evaluation said of it."""
    tags: dict[str, str]
    """Git revision, versions."""
    extra: dict[str, bytes] = field(default_factory=dict)
    """Further files of the bundle, such as a forecaster."""


def require_exportable(config: EnvConfig) -> None:
    """Refuse a policy of an environment that a bundle cannot hold; raises BadInputError that says why."""
    task = config.task
    if config.observations:
        raise BadInputError(
            "the policy sees chosen observations alone (env.observations), which cannot be exported: a bundle holds the whole table"
        )
    if task != EXPORTED_TASK and not (task == "operation" and config.action == RESIDUAL and not config.coin_choice):
        raise BadInputError(
            f"the policy was trained on task {task!r} ({ENV_IDS.get(task, 'unknown')}) with action {config.action!r}, which cannot be exported; a "
            f"bundle holds policies of task {EXPORTED_TASK!r} ({ENV_IDS[EXPORTED_TASK]}), as `hashgym train env=hashrate` makes them, and of "
            "residual actions, as env=residual does"
        )
    if config.forecast == MODEL:
        raise BadInputError(
            "the policy sees the models' quantiles (env.forecast=model), which cannot be exported: a controller has what is published"
        )
    if config.stack > 1 and config.action == RESIDUAL:
        raise BadInputError(
            "the policy sees several observations at once (env.stack); with residual actions it cannot be exported"
        )


def pack(folder: Path, model: BaseAlgorithm, config: EnvConfig, origin: Origin, seed: int) -> Bundle:
    """Write the bundle of a trained policy and return it as a reader finds it.

    Args:
        folder: Where it goes; an older bundle there is replaced.
        model: The trained learner.
        config: Options of the environment that it was trained in, with its scenario.
        origin: Where it comes from.
        seed: Seed of the observations on which graph and network are compared.

    Raises:
        BadInputError: The policy cannot be exported, or the folder holds something else.
        BundleError: Graph and network differ.
    """
    require_exportable(config)
    batch = Batch(replace(config, split="train"))
    decoding = RuleGraph(batch) if batch.setup.action == RESIDUAL else action_decoding(batch)
    onnx = to_onnx(graph_of(model, decoding), len(batch.table))
    low, high = trained_range(model, config)
    manifest = _manifest(batch, config, origin, onnx, low, high)
    files = {
        bundles.MODEL: onnx,
        bundles.MANIFEST: (json.dumps(manifest, indent=2, allow_nan=False) + "\n").encode(),
        bundles.CARD: _card(manifest).encode(),
        **origin.extra,
    }
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    with whole_folder(folder, bundles.SUMS) as aside:
        for name, content in files.items():
            (aside / name).write_bytes(content)
        (aside / bundles.SUMS).write_text(sums, encoding="utf-8")
        check_parity(model, Bundle(aside), config, seed)
    return Bundle(folder)


def action_decoding(batch: Batch) -> ActionDecoding:
    """Return how the actions of an environment become set-points."""
    names = [entry.name for entry in batch.table]
    if batch.setup.action not in ("discrete", "profile", "box"):
        raise BadInputError(f"action {batch.setup.action!r} cannot be exported")
    columns = {
        name: np.array([names.index(f"zone{z}_{name}") for z in range(batch.n_zones)])
        for name in ("asleep", "mode_h", "myopic_pu")
    }
    return ActionDecoding(
        kind=batch.setup.action,
        ladders=SiteLadders.of(batch.site),
        first_offset=tables.DISCRETE_OFFSETS[0],
        sleep_below=tables.BOX_SLEEP_BELOW,
        wake_above=tables.BOX_WAKE_ABOVE,
        min_sleep_h=tables.MIN_SLEEP_S / SECONDS_PER_HOUR,
        **columns,
    )


def trained_range(model: BaseAlgorithm, config: EnvConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each observation over the training months, each (n_observations,).

    What lies outside the site is taken over every step of the months, what lies inside over a run of the policy.
    """
    probe = Batch(replace(config, split="train"))
    first, last = probe.scenario.rows("train")
    known = probe.exogenous.known[:, max(first, WARM_UP_STEPS) : last].reshape(-1, len(probe.exogenous.channels))
    starts = np.arange(probe.start_range[0], probe.start_range[1] + 1, probe.episode_steps)
    batch = Batch(replace(config, split="train"), len(starts))
    batch.seed(np.arange(1, len(starts) + 1, dtype=np.uint64))
    batch.reset(starts=starts)
    low, high = batch.obs.min(axis=0), batch.obs.max(axis=0)
    for _ in range(batch.episode_steps):
        batch.step(model.predict(batch.obs, deterministic=True)[0])
        np.minimum(low, batch.obs.min(axis=0), out=low)
        np.maximum(high, batch.obs.max(axis=0), out=high)
    n = known.shape[1]
    low[:n], high[:n] = (
        np.clip(known.min(axis=0), probe.low[:n], None),
        np.clip(known.max(axis=0), None, probe.high[:n]),
    )
    return low, high


def parity_observations(config: EnvConfig, n: int, seed: int) -> np.ndarray:
    """Return observations to compare on, (n, n_observations): half from episodes under random actions, half from anywhere."""
    rng = np.random.default_rng(seed)
    batch = Batch(replace(config, split="train"), 256)
    batch.seed(rng.integers(1, 2**63, 256, dtype=np.uint64))
    batch.reset()
    space, seen = batch.action_space(), list[np.ndarray]()
    space.seed(seed)
    while len(seen) * 256 < n // 2:
        for _ in range(12):
            batch.step(np.stack([space.sample() for _ in range(256)]))
        seen.append(batch.obs.copy())
    anywhere = rng.uniform(batch.low, batch.high, (n - n // 2, len(batch.table))).astype(np.float32)
    return np.concatenate([np.concatenate(seen)[: n // 2], anywhere])


def parity(model: BaseAlgorithm, bundle: Bundle, observations: np.ndarray) -> float:
    """Return the largest difference between the bundle's and the network's actions, of each action's range.

    Discrete actions that differ count as 1, unless their two best scores lie within 1e-5.
    """
    expected = np.asarray(model.predict(observations, deterministic=True)[0])
    decision = bundle.decide(observations)
    if decision.scores.ndim == 2:
        space: Any = model.action_space
        return float(np.max(np.abs(decision.action - expected) / (space.high - space.low)))
    best = np.sort(decision.scores, axis=2)
    is_tied = best[:, :, -1] - best[:, :, -2] <= PARITY_TOLERANCE
    return float(np.max((decision.action != expected) & ~is_tied))


def rule_parity(bundle: Bundle, config: EnvConfig, observations: np.ndarray) -> float:
    """Return the largest difference between the bundle's commands and those that the environment's rule makes of the bundle's actions; 0 without a rule."""
    decision = bundle.decide(observations)
    if decision.commands is None:
        return 0.0
    batch = Batch(replace(config, split="train"))
    rows = np.zeros(decision.commands.shape)
    operate_rows(batch.world, observations, decision.action.astype(np.float64), rows)
    return float(np.max(np.abs(rows - decision.commands) / np.maximum(1.0, np.abs(rows).max(axis=0)), initial=0.0))


def check_parity(model: BaseAlgorithm, bundle: Bundle, config: EnvConfig, seed: int) -> None:
    """Refuse a bundle that does not decide as the network does; raises BundleError."""
    observations = parity_observations(config, PARITY_OBSERVATIONS, seed)
    difference = max(parity(model, bundle, observations), rule_parity(bundle, config, observations))
    if difference > PARITY_TOLERANCE:
        raise BundleError(f"graph and network differ by {difference:.3g} of an action's range; nothing was written")


def _manifest(
    batch: Batch, config: EnvConfig, origin: Origin, onnx: bytes, low: np.ndarray, high: np.ndarray
) -> dict[str, Any]:
    scenario = batch.scenario
    observations = [
        {
            "index": k,
            "name": entry.name,
            "unit": entry.unit,
            "low": entry.low,
            "high": entry.high,
            "trained_low": float(low[k]),
            "trained_high": float(high[k]),
            "group": entry.group,
            "meaning": entry.meaning,
        }
        for k, entry in enumerate(batch.table)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "name": origin.name,
        "model_sha256": hashlib.sha256(onnx).hexdigest(),
        "env": {
            "id": ENV_IDS[config.task],
            "action": batch.setup.action,
            "forecast": batch.setup.forecast,
            "step_s": CONTROL_STEP_S,
            "episode_steps": batch.episode_steps,
            **({} if batch.setup.rule is None else {"rule": as_texts(batch.setup.rule)}),
        },
        "observations": observations,
        "actions": [_action(batch, z) for z in range(batch.n_zones)],
        **_residual(batch),
        "envelope": _envelope(batch),
        "scenario": origin.scenario if config.events is None else {**origin.scenario, "events": config.events},
        "site": scenario.name,
        "config_hash": scenario.config_hash,
        "history": {"kind": scenario.history.kind, "hash": scenario.history.hash},
        "metrics": origin.metrics,
        "source": origin.tags,
        "requires": {name: metadata.version(name) for name in ("numpy", "onnxruntime")},
    }


def _residual(batch: Batch) -> dict[str, Any]:
    """Return the tables of residual actions and of the commands that they come to; nothing for other actions."""
    if batch.setup.action != RESIDUAL:
        return {}
    tables_of = {"moves": batch.actions, "commands": commands_table(batch.setup.form, batch.site)}
    return {key: [{"index": k, **asdict(entry)} for k, entry in enumerate(table)] for key, table in tables_of.items()}


def _action(batch: Batch, z: int) -> dict[str, Any]:
    zone = batch.site.zones[z]
    ladder = zone.ladder
    return {
        "name": f"zone{z}_setpoint_mhz",
        "unit": "MHz",
        "low": zone.min_mhz,
        "high": zone.max_mhz,
        "meaning": "frequency set-point of the zone's machines, one of the profiles; 0 is sleep",
        "machine": zone.machine.name,
        "n_units": zone.n_units,
        "profiles": [
            {
                "freq_mhz": float(ladder.freq_mhz[k]),
                "power_w": round(float(ladder.setpoint_power_w[k]), 1),
                "hashrate_ths": round(float(ladder.nominal_hashrate_ths[k]), 2),
            }
            for k in range(len(ladder))
        ],
    }


def _envelope(batch: Batch) -> dict[str, Any]:
    cap_w = batch.site.site_cap_w
    costs: list[tuple[tables.Cost | UserCost, float | None]] = [
        (cost, batch.setup.thresholds[cost.name]) for cost in tables.COSTS
    ]
    costs += [(cost, None) for cost in batch.config.costs]
    return {
        "max_rise_pu_per_step": MAX_RISE_PU,
        "min_sleep_s": tables.MIN_SLEEP_S,
        "site_cap_w": cap_w if np.isfinite(cap_w) else None,
        "costs": {
            cost.name: {"threshold": threshold, "limit": cost.limit, "unit": cost.unit, "meaning": cost.meaning}
            for cost, threshold in costs
        },
        "trip_temp_c": [zone.firmware.trip_temp_c for zone in batch.site.zones],
    }


def _card(manifest: dict[str, Any]) -> str:
    env, metrics, history = manifest["env"], manifest["metrics"], manifest["history"]
    lines = [
        f"# {as_markdown(manifest['name'])} for {as_markdown(manifest['site'])}",
        "",
        f"A policy for `{env['id']}` (action `{env['action']}`, forecast `{env['forecast']}`): it takes {len(manifest['observations'])} "
        f"observations in physical units, every {env['step_s']:g} s, and gives the frequency set-point of {len(manifest['actions'])} zone(s).",
        "",
        "## What it was judged by",
        "",
        f"History {history['kind']} `{history['hash']}`, scenario `{manifest['config_hash']}`, split `{metrics.get('split', '?')}`, "
        f"{metrics.get('episodes', '?')} episodes of {metrics.get('episode_days', '?')} days, of {metrics.get('years', '?')} drawn years or histories. "
        "Intervals are bootstrap 95 % over years and the episodes within each.",
        "",
        "| what | mean | low | high |",
        "|---|---|---|---|",
    ]
    for key, value in metrics.get("values", {}).items():
        cells = ["–" if value[part] is None else f"{value[part]:.4g}" for part in ("mean", "lo", "hi")]
        lines.append(f"| {as_markdown(key)} | {' | '.join(cells)} |")
    lines += [
        "",
        "## What it is for, and what not",
        "",
        "- The machines, firmware and tariff of the scenario in `manifest.json`; other models and other prices are other worlds.",
        "- Market, weather and temperatures inside `trained_low`…`trained_high`; outside, the advisor widens its intervals, and abstains where weather or temperatures are far out.",
        f"- A hashing machine's power set-point rises by {manifest['envelope']['max_rise_pu_per_step']:g} of rated power a step at most when the advisor executes.",
        "- Its figures come from a simulator. No machine has run it.",
        "",
        "`sha256sum -c SHA256SUMS` checks the files. Loading needs numpy and onnxruntime.",
        "",
    ]
    return "\n".join(lines)
