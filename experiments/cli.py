"""The `hashgym` command: one word says what to do, the rest goes to it."""

import argparse
import logging
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Final

from hashgym.sim.foundation.errors import HashGymError

COMMANDS: Final = {
    "train": ("hashgym.experiments.train", "train a policy; takes Hydra overrides and -m for sweeps"),
    "evaluate": (
        "hashgym.experiments.evaluate",
        "run rules, bound and trained policies on held-out months; Hydra overrides",
    ),
    "data": ("hashgym.experiments.data", "make a synthetic history, import real files, describe a history"),
    "bench": ("hashgym.experiments.bench", "measure steps per second beside Gymnasium's Pendulum and EnvPool's"),
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
    if args[0] not in COMMANDS:
        sys.stderr.write(f"hashgym: no command {args[0]!r}; there are {', '.join(COMMANDS)}\n")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    command: Callable[[list[str]], int] = import_module(COMMANDS[args[0]][0]).main
    try:
        return command(args[1:])
    except (HashGymError, OSError) as error:
        if is_debug:
            traceback.print_exc()
        sys.stderr.write(f"hashgym {args[0]}: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return argparse.ArgumentParser(
        prog="hashgym",
        usage="hashgym COMMAND [--debug] …",
        description="Reinforcement-learning simulator and policy workshop for cryptocurrency-mining sites.",
        epilog="commands:\n" + "\n".join(lines) + "\n\n`hashgym COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


if __name__ == "__main__":
    sys.exit(main())
