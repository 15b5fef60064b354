"""The bundle decides as the network does, loads with two packages, and is refused when anything about it is wrong."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hashgym.advisor import packing
from hashgym.advisor.advise import Advisor
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.situation import scenario_of
from hashgym.agents.learning.graph import graph_of, to_onnx
from hashgym.agents.learning.learners import PpoConfig, SacConfig
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.batch.seeding import draw_seeds
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError, BundleError
from tests.advisor.conftest import Workshop, rewritten

pytestmark = pytest.mark.slow


def test_graph_and_network_agree_on_ten_thousand_observations(workshop: Workshop) -> None:
    bundle = Bundle(workshop.bundle)
    observations = packing.parity_observations(workshop.config, 10_000, 5)
    assert packing.parity(workshop.model, bundle, observations) == 0.0
    for first in range(0, 10_000, 1024):
        part = observations[first : first + 1024]
        assert packing.parity(workshop.model, bundle, part) == 0.0
    single = np.concatenate([bundle.decide(row).action for row in observations])
    assert np.mean(single == bundle.decide(observations).action) > 0.9999  # ties of the two best scores


@pytest.mark.parametrize(
    ("learner", "action"),
    [
        (PpoConfig(n_envs=2, n_steps=8, batch_size=16), "discrete"),
        (PpoConfig(n_envs=2, n_steps=8, batch_size=16), "profile"),
        (PpoConfig(n_envs=2, n_steps=8, batch_size=16), "box"),
        (SacConfig(n_envs=2, learning_starts=4), "box"),
    ],
    ids=["ppo-discrete", "ppo-profile", "ppo-box", "sac-box"],
)
@pytest.mark.parametrize("zones", [1, 2])
def test_every_action_form_sets_what_the_environment_sets(
    learner: PpoConfig | SacConfig, action: str, zones: int, small: Scenario, two_zones: Scenario, tmp_path: Path
) -> None:
    scenario = small if zones == 1 else two_zones
    config = EnvConfig(scenario=scenario, action=action, split="train", n_threads=1)
    env = SiteVecEnv(2, draw_seeds(0, 0, 2), scenario=scenario, action=action, n_threads=1)
    model = learner.build(env, env.batch.table, 1)
    origin = packing.Origin(name="p", scenario={"name": "x"}, metrics={}, tags={})
    bundle = packing.pack(tmp_path / "b", model, config, origin, 0)
    observations = packing.parity_observations(config, 2000, 3)
    assert packing.parity(model, bundle, observations) <= packing.PARITY_TOLERANCE
    # What the graph sets from an observation is what the kernel sets from the same action.
    batch = Batch(config, 64)
    batch.seed(np.arange(1, 65, dtype=np.uint64))
    batch.reset()
    rng, space = np.random.default_rng(0), batch.action_space()
    space.seed(0)
    for _ in range(40):
        decision = bundle.decide(batch.obs)
        before = batch.save()
        batch.step(decision.action)
        assert np.array_equal(decision.setpoint_mhz, batch.setpoint_mhz.astype(np.float32))
        if rng.random() < 0.5:
            batch.restore(before)
            batch.step(np.stack([space.sample() for _ in range(64)]))


def test_the_loader_needs_numpy_and_onnxruntime_alone(workshop: Workshop) -> None:
    code = (
        "import sys\nfrom hashgym.advisor.bundle import Bundle\n"
        f"b = Bundle({str(workshop.bundle)!r})\nb.decide([[0.0] * len(b.names)])\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules if m[0] != '_'} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hashgym", "numpy", "onnxruntime"]


@pytest.mark.parametrize("name", ["policy.onnx", "manifest.json", "model_card.md", "forecast.json"])
def test_a_changed_byte_and_a_missing_file_are_refused(workshop: Workshop, tmp_path: Path, name: str) -> None:
    shutil.copytree(workshop.bundle, tmp_path / "b")
    path = tmp_path / "b" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}: truncated or changed"):
        Bundle(tmp_path / "b")
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match=rf"{name}: truncated or changed"):
        Bundle(tmp_path / "b")
    path.unlink()
    with pytest.raises(BundleError, match=rf"{name}: missing or not readable"):
        Bundle(tmp_path / "b")


def test_every_byte_of_the_sums_counts(workshop: Workshop, tmp_path: Path) -> None:
    shutil.copytree(workshop.bundle, tmp_path / "b")
    sums = tmp_path / "b" / "SHA256SUMS"
    good = sums.read_bytes()
    for at in range(0, len(good), 7):
        bad = bytearray(good)
        bad[at] ^= 1
        sums.write_bytes(bad)
        with pytest.raises(BundleError):
            Bundle(tmp_path / "b")
    sums.write_bytes(good.replace(b"policy.onnx", b"../../../etc/passwd"))
    with pytest.raises(BundleError, match="not a SHA-256 sum and a file of the bundle"):
        Bundle(tmp_path / "b")
    sums.unlink()
    with pytest.raises(BundleError, match="not a policy bundle, SHA256SUMS is missing"):
        Bundle(tmp_path / "b")


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest.__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("schema_version", 2), "schema version is 2; this version of HashGym reads 1"),
        (_set("schema_version", True), "schema version is True"),
        (_set("envelope", None), "'envelope' is None; it must be a dictionary"),
        (_set("env", 5), "'env' is 5; it must be a dictionary"),
        (_set("actions", [5]), r"'actions\[0\]' is 5; it must be a dictionary"),
        (
            lambda m: m["envelope"].__setitem__("max_rise_pu_per_step", 1e9),
            "'envelope.max_rise_pu_per_step' is 1000000000.0; it must be above 0",
        ),
        (
            lambda m: m["envelope"].__setitem__("max_rise_pu_per_step", float("nan")),
            "'envelope.max_rise_pu_per_step' is nan",
        ),
        (
            lambda m: m["observations"][2].__setitem__("trained_low", "x"),
            r"'observations\[2\].trained_low' is 'x'; it must be a finite number",
        ),
        (lambda m: m["env"].__setitem__("step_s", 60), "'env.step_s' is 60; it must be 300"),
        (_set("model_sha256", "0" * 64), "model_sha256 is not that of policy.onnx"),
        (lambda m: m.pop("envelope"), "key 'envelope' is missing"),
        (lambda m: m["observations"].pop(), "the manifest has 30 observations"),
        (lambda m: m["actions"].append(m["actions"][0]), "steers 1 zones; the manifest has 2"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(workshop: Workshop, tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Bundle(rewritten(workshop.bundle, tmp_path / "b", change))


def test_another_observation_table_is_refused_by_the_advisor(workshop: Workshop, tmp_path: Path) -> None:
    def rename(manifest: dict[str, Any]) -> None:
        manifest["observations"][3]["name"] = "hashprice_eur"

    folder = rewritten(workshop.bundle, tmp_path / "b", rename)
    with pytest.raises(
        BundleError, match="entry 3 is 'hashprice_eur', this version has 'expected_hashprice_usd_per_ph_day'"
    ):
        Advisor.of(Bundle(folder))


def test_decide_refuses_wrong_shapes_and_names_what_is_not_a_number(workshop: Workshop) -> None:
    bundle = Bundle(workshop.bundle)
    with pytest.raises(BadInputError, match=r"observation has shape \(3,\)"):
        bundle.decide([1.0, 2.0, 3.0])
    with pytest.raises(BadInputError, match="not an array of numbers"):
        bundle.decide([["a", "b"]])
    row = np.zeros((2, len(bundle.names)), np.float32)
    row[1, 4] = np.nan
    with pytest.raises(BadInputError, match="row 1, 'outdoor_temp_c': nan is not a number"):
        bundle.decide(row)


def test_a_scenario_that_is_none_is_refused_by_the_advisor(workshop: Workshop, tmp_path: Path) -> None:
    folder = rewritten(workshop.bundle, tmp_path / "b", lambda m: m["scenario"].__setitem__("tariff", 5))
    with pytest.raises(BundleError, match="'scenario' of the manifest is not one"):
        Advisor.of(Bundle(folder))
    with pytest.raises(BundleError, match="'scenario' of the manifest is not one"):
        scenario_of(Bundle(folder), workshop.scenario.history)


def test_the_manifest_tells_what_the_policy_needs(workshop: Workshop) -> None:
    manifest = json.loads((workshop.bundle / "manifest.json").read_text())
    entry = {e["name"]: e for e in manifest["observations"]}["known_energy_price_usd_per_mwh"]
    assert entry["low"] <= entry["trained_low"] < entry["trained_high"] <= entry["high"]
    assert manifest["actions"][0]["profiles"][0]["freq_mhz"] == manifest["actions"][0]["low"]
    assert manifest["history"]["hash"] == workshop.scenario.history.hash
    assert manifest["metrics"]["values"]["score"]["lo"] == 0.4
    assert "| score | 0.5 | 0.4 | 0.6 |" in (workshop.bundle / "model_card.md").read_text()


def test_a_folder_that_is_no_bundle_is_not_replaced(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    origin = packing.Origin(name="p", scenario={}, metrics={}, tags={})
    with pytest.raises(BadInputError, match="holds no SHA256SUMS; name another folder"):
        packing.pack(tmp_path / "mine", workshop.model, workshop.config, origin, 0)
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_a_graph_that_differs_from_the_network_is_not_written(
    workshop: Workshop, tmp_path: Path, monkeypatch: Any
) -> None:
    batch = Batch(replace(workshop.config, n_threads=1))
    decoding = packing.action_decoding(batch)
    other = PpoConfig(n_envs=64, n_steps=16, batch_size=256).build(workshop.model.env, batch.table, 9)
    monkeypatch.setattr(packing, "to_onnx", lambda graph, n: to_onnx(graph_of(other, decoding), n))
    with pytest.raises(BundleError, match="nothing was written"):
        packing.pack(
            tmp_path / "b",
            workshop.model,
            workshop.config,
            packing.Origin(name="p", scenario={}, metrics={}, tags={}),
            0,
        )
    assert list(tmp_path.iterdir()) == []


class Plain(torch.nn.Module):
    """stable-baselines3's own way to ONNX, as its documentation has it."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observation: torch.Tensor) -> Any:
        return self.policy(observation, deterministic=True)


@pytest.mark.parametrize("action", ["discrete", "box"])
def test_sb3s_onnx_predicts_as_the_policy_at_the_ends_of_the_ranges_and_beyond(
    action: str, small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)
    env = SiteVecEnv(2, [1, 2], EnvConfig(scenario=small, action=action))
    model = PpoConfig(n_envs=2, n_steps=8, batch_size=16).build(env, env.batch.table, 0)
    low, high = env.batch.low, env.batch.high
    width, rng = high - low, np.random.default_rng(0)
    corners = np.where(rng.random((64, len(low))) < 0.5, low, high)
    rows = np.concatenate(
        [low[None], high[None], corners, corners + width, corners - width, np.full((1, len(low)), 1e9)]
    )
    rows = rows.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Plain(model.policy), (torch.as_tensor(rows[:2]),), dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("n")},), input_names=["observation"],
        )  # fmt: skip
        program.save(str(tmp_path / "p.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "p.onnx", providers=["CPUExecutionProvider"])
    out = session.run(None, {session.get_inputs()[0].name: rows})[0]
    expected = model.predict(rows, deterministic=True)[0]
    if action == "discrete":
        assert np.mean(out.reshape(expected.shape) == expected) == 1.0
    else:
        assert np.clip(out.reshape(expected.shape), -1.0, 1.0) == pytest.approx(expected, abs=1e-5)
    assert np.isfinite(out).all()


def forged(bundle: Path, folder: Path, name: str, content: bytes) -> Path:
    """Copy a bundle with a file of one's own, its sums made anew: what a stranger can do."""
    shutil.copytree(bundle, folder)
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["model_sha256"] = hashlib.sha256((folder / "policy.onnx").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / entry).read_bytes()).hexdigest()}  {entry}" for entry in names]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    return folder


def test_weights_outside_the_model_are_not_read(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(workshop.bundle / "policy.onnx")
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)
    big = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    size = len(big.raw_data)
    big.ClearField("raw_data")
    big.data_location = onnx.TensorProto.EXTERNAL
    (tmp_path / "secret.bin").write_bytes(b"\0" * size)
    monkeypatch.chdir(tmp_path)
    for place in ("secret.bin", "../secret.bin", str(tmp_path / "secret.bin")):
        del big.external_data[:]
        big.external_data.add(key="location", value=place)
        folder = tmp_path / f"b{abs(hash(place))}"
        with pytest.raises(BundleError, match=r"policy.onnx: (onnxruntime refuses it|cannot decide)") as caught:
            Bundle(forged(workshop.bundle, folder, "policy.onnx", model.SerializeToString()))
        assert "\n" not in str(caught.value)[:100]


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "ConstantOfShape"])
def test_a_graph_of_other_operators_is_refused(operator: str, workshop: Workshop, tmp_path: Path) -> None:
    model = onnx.load(workshop.bundle / "policy.onnx")
    model.graph.node.add(op_type=operator, name="strange")
    with pytest.raises(BundleError, match=rf"has operators that no export has \({operator}\)"):
        Bundle(forged(workshop.bundle, tmp_path / "b", "policy.onnx", model.SerializeToString()))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{digest}  policy.onnx"] * 2, "not a SHA-256 sum and a file of the bundle"),
        (["{digest}  ./policy.onnx"], "not a SHA-256 sum and a file of the bundle"),
        (["{digest}  link.onnx"], "leads out of"),
        (["{digest}  pipe"], "it is no file"),
    ],
)
def test_sums_that_lead_elsewhere_are_refused(
    lines: list[str], message: str, workshop: Workshop, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    shutil.copytree(workshop.bundle, folder)
    (folder / "link.onnx").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe")
    digest = hashlib.sha256((folder / "policy.onnx").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text("".join(line.format(digest=digest) + "\n" for line in lines))
    with pytest.raises(BundleError, match=message):
        Bundle(folder)
