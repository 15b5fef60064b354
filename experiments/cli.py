"""The `hashgym` command: one word says what to do, the rest goes to it."""

import argparse
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module, metadata
from pathlib import Path
from typing import Final

from hashgym.sim.foundation.errors import HashGymError
from hashgym.sim.foundation.wording import plain

COMMANDS: Final = {
    "train": ("hashgym.experiments.train", "train a policy; takes Hydra overrides and -m for sweeps"),
    "evaluate": (
        "hashgym.experiments.evaluate",
        "run rules, bound and trained policies on held-out months; Hydra overrides",
    ),
    "data": ("hashgym.experiments.data", "make a synthetic history, import real files, describe a history"),
    "new": (
        "hashgym.experiments.new",
        "a site of one's own to begin with: scenario, mapping and a table that run as they are",
    ),
    "bench": ("hashgym.experiments.bench", "measure steps per second beside Gymnasium's Pendulum and EnvPool's"),
    "update": (
        "hashgym.experiments.update",
        "let a trained policy go on with newer history, and take it only if it is not worse",
    ),
    "export": ("hashgym.experiments.export", "turn a training run into a policy bundle; Hydra overrides"),
    "advise": ("hashgym.experiments.advise", "turn telemetry, forecast and an exported policy into advice"),
    "film": ("hashgym.experiments.film", "an episode as a film or as an interactive page"),
    "forecast": ("hashgym.experiments.forecast", "judge a forecast on held-out days against naive ones"),
    "backtest": ("hashgym.experiments.backtest", "give advice on days that have passed and see what it was worth"),
    "demo": ("hashgym.experiments.demo", "history, training, evaluation and report in one go"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = sys.argv[1:] if argv is None else argv
    is_debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    if not args or args[0] in ("-h", "--help"):
        _parser().print_help()
        return 0
    if args[0] in ("-V", "--version"):
        sys.stdout.write(f"hashgym {metadata.version('hashgym')}\n")
        return 0
    if args[0] not in COMMANDS:
        near = get_close_matches(args[0], COMMANDS, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        sys.stderr.write(f"hashgym: no command {plain(args[0])!r}{hint} There are {', '.join(COMMANDS)}\n")
        return 2
    _prepare()
    try:
        command: Callable[[list[str]], int] = import_module(COMMANDS[args[0]][0]).main
        return command(args[1:])
    except BrokenPipeError:  # who read has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (HashGymError, OSError, ModuleNotFoundError) as error:
        if is_debug:
            traceback.print_exc()
        said = str(error) or type(error).__name__
        if isinstance(error, ModuleNotFoundError):
            said = f"{error.name} is not installed; run `pip install hashgym[workshop]`"
        lines = [plain(line) for line in said.splitlines()]
        sys.stderr.write(f"hashgym {args[0]}: " + "\n  ".join(lines) + "\n")
        return 2


def _prepare() -> None:
    """Set up what every command needs: logging, streams that take any text, and the working folder on Python's path."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of ASCII gets escapes, not a crash
            stream.reconfigure(errors="backslashreplace")
    if str(Path.cwd()) not in sys.path:  # what a `_target_` or a policy names lies beside one's files
        sys.path.append(str(Path.cwd()))


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return argparse.ArgumentParser(
        prog="hashgym",
        usage="hashgym COMMAND [--debug] … | --version",
        description="Reinforcement-learning simulator and policy workshop for cryptocurrency-mining sites.",
        epilog="commands:\n" + "\n".join(lines) + "\n\n`hashgym COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


if __name__ == "__main__":
    sys.exit(main())
