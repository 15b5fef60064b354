"""HashGym: reinforcement-learning simulator and policy workshop for cryptocurrency-mining sites.

The rooms are packages of their own: `hashgym.sim`, `hashgym.envs`, `hashgym.agents` and so on; nothing is imported here.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """Return `__version__` when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hashgym")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
