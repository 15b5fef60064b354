"""`hashgym film`: an episode as a film (MP4, GIF) or as an interactive page (HTML)."""

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np

from hashgym.envs import ENV_IDS
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.forms.render import Episode
from hashgym.envs.forms.single import SiteEnv
from hashgym.experiments import policies
from hashgym.experiments.settings import TrainSettings
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import require_writable, write_bytes, write_text

FORMS: Final = (".mp4", ".gif", ".html")
FRAMES_PER_S: Final = 12
TASKS: Final = {
    name.removeprefix("hashgym/").removesuffix("-v0"): task for task, name in ENV_IDS.items() if task != "chip"
}
"""Environments over a site, by name."""


def main(args: list[str]) -> int:
    """Play an episode and write it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hashgym film", description=__doc__)
    parser.add_argument(
        "--env", default="HashrateTuning", help="HashrateTuning, CoolingControl, SiteOperation or CoinSwitching"
    )
    parser.add_argument(
        "--scenario", default=None, help="scenario by name or file (default: the environment's, or the run's)"
    )
    parser.add_argument("--policy", default="profile_by_price", help=f"still, {policies.NAMES}")
    parser.add_argument("--start", help="when it begins, a UTC stamp (default: drawn)")
    parser.add_argument("--steps", type=int, default=288, help="steps of five minutes (default: 288, a day)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the episode (default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="file that ends in .mp4, .gif or .html")
    options = parser.parse_args(args)
    if options.out.suffix not in FORMS:
        raise BadInputError(f"{options.out}: a film ends in {', '.join(FORMS)}")
    if options.steps < 1:
        raise BadInputError(f"--steps is {options.steps}; it must be 1 or more")
    require_writable(options.out)
    env, act = _play(options)
    env.reset(seed=options.seed, options={"start": options.start} if options.start else None)
    pictures = []
    for _ in range(options.steps):
        _, _, _, ended, _ = env.step(act(env))
        if options.out.suffix != ".html":
            pictures.append(np.asarray(env.render()))
        if ended:
            break
    if options.out.suffix == ".html":
        assert env._canvas is not None
        write_text(options.out, page(env._canvas.episode))
    else:
        write_bytes(options.out, film(pictures, options.out.suffix))
    sys.stdout.write(f"{options.out}\n")
    return 0


def _play(options: argparse.Namespace) -> tuple[SiteEnv, Callable[[SiteEnv], Any]]:
    """Return the environment, and what chooses its actions."""
    if options.env not in TASKS:
        raise BadInputError(f"--env is {options.env!r}; it must be one of {', '.join(TASKS)}")
    given = {"scenario": options.scenario} if options.scenario else {}
    config = EnvConfig(task=TASKS[options.env], **given)
    if options.policy in ("random", "still"):
        env = _made(options.env, config)
        env.action_space.seed(options.seed)
        if options.policy == "random":
            return env, lambda played: played.action_space.sample()
        if not isinstance(env.action_space, gym.spaces.Box):
            raise BadInputError(f"--policy still needs a Box; {options.env} has {env.action_space}")
        still = np.zeros(env.action_space.shape, np.float32)
        return env, lambda _: still
    if options.policy in policies.RULES and options.env != "HashrateTuning":
        raise BadInputError(
            f"--policy {options.policy} steers HashrateTuning; for {options.env} there are still, random, a run and a function"
        )
    if options.scenario is None and (Path(options.policy) / "config.json").is_file():
        config = replace(TrainSettings.of_run(Path(options.policy)).env, split="test")
    config, policy = policies.policy_of(options.policy, config, options.seed)
    env = _made(next(name for name, task in TASKS.items() if task == config.task), config)
    return env, lambda played: policy.act(played.batch)[0]


def _made(name: str, config: EnvConfig) -> SiteEnv:
    options = {entry.name: getattr(config, entry.name) for entry in fields(config) if entry.name != "task"}
    made = gym.make(f"hashgym/{name}-v0", render_mode="rgb_array", **options).unwrapped
    assert isinstance(made, SiteEnv)
    return made


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise BadInputError(f"the library {name} is not installed; run `pip install hashgym[film]`") from None


def film(pictures: list[np.ndarray], suffix: str) -> bytes:
    """Return pictures as a film, MP4 or GIF; raises BadInputError if the library is not installed."""
    imageio = _library("imageio.v3")
    # H.264 takes pictures of even height and width.
    even = np.stack([picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2] for picture in pictures])
    handle, aside = tempfile.mkstemp(suffix=suffix)
    os.close(handle)
    try:
        if suffix == ".gif":
            imageio.imwrite(aside, even, duration=1000 / FRAMES_PER_S, loop=0)
        else:
            imageio.imwrite(aside, even, fps=FRAMES_PER_S, codec="libx264", macro_block_size=2)
        return Path(aside).read_bytes()
    finally:
        Path(aside).unlink(missing_ok=True)


def page(episode: Episode) -> str:
    """Return an episode as a page with curves that can be zoomed and read off; raises BadInputError if the library is not installed."""
    graph, subplots = _library("plotly.graph_objects"), _library("plotly.subplots")
    times = [frame.time for frame in episode.frames]
    broken = [k for k in range(len(episode.cost_names)) if any(frame.costs[k] > 0.0 for frame in episode.frames)]
    titles = ["price [USD/MWh]", "power at the meter [kW]", "hottest chip [°C]", "profit so far [USD]"] + [
        "costs"
    ] * bool(broken)
    figure = subplots.make_subplots(
        rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.045, subplot_titles=titles
    )

    def line(row: int, name: str, values: Any, shape: str = "linear") -> None:
        figure.add_trace(graph.Scatter(x=times, y=values, name=name, line={"shape": shape}), row=row, col=1)

    line(1, "price", [frame.energy_price_usd_per_mwh for frame in episode.frames], "hv")
    line(2, "power", [frame.power_kw for frame in episode.frames], "hv")
    for z, name in enumerate(episode.zones):
        line(3, f"zone {z}: {name}", [float(frame.hot_c[z]) for frame in episode.frames])
    line(4, "profit", np.cumsum([frame.profit_usd for frame in episode.frames]).tolist())
    for k in broken:
        line(5, episode.cost_names[k], [float(frame.costs[k]) for frame in episode.frames], "hv")
    figure.update_layout(height=220 * len(titles), title=episode.title, template="plotly_white", hovermode="x unified")
    return str(figure.to_html(include_plotlyjs=True, full_html=True))
