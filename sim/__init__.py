"""The simulator: physics, contracts, markets and histories of a mining site. Imports nothing else of HashGym.

>>> from hashgym.sim import Site, SiteParams, ZoneParams, firmware, machine
>>> zone = ZoneParams(machine=machine("s19j_pro"), firmware=firmware("slow_tuner"), n_units=280)
>>> SiteParams(zones=(zone,)).rated_power_w
859040.0
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hardware.catalogue import firmware, machine
    from .history.history import History
    from .site.params import SiteParams, ZoneParams
    from .site.step import Site

__all__ = ["History", "Site", "SiteParams", "ZoneParams", "firmware", "machine"]

_MODULES = {
    "History": ".history.history",
    "Site": ".site.step",
    "SiteParams": ".site.params",
    "ZoneParams": ".site.params",
    "firmware": ".hardware.catalogue",
    "machine": ".hardware.catalogue",
}


def __getattr__(name: str) -> Any:
    """Return a public name when it is first asked for: who loads a bundle needs none of them, nor what they import."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_MODULES[name], __name__), name)
