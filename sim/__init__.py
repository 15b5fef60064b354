"""The simulator: physics, contracts, markets and histories of a mining site. Imports nothing else of HashGym.

>>> from hashgym.sim import Site, SiteParams, ZoneParams, firmware, machine
>>> zone = ZoneParams(machine=machine("s19j_pro"), firmware=firmware("slow_tuner"), n_units=280)
>>> SiteParams(zones=(zone,)).rated_power_w
859040.0
"""

from .hardware.catalogue import firmware, machine
from .history.history import History
from .site.params import SiteParams, ZoneParams
from .site.step import Site

__all__ = ["History", "Site", "SiteParams", "ZoneParams", "firmware", "machine"]
