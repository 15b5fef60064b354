"""Air that zones give each other: exhaust of one that reaches the inlet of another."""

from typing import Final

import numpy as np

from ..foundation.jit import kernel

MOST_MIXED: Final = 0.9
"""Largest share of other zones' exhaust in a zone's supply. assumed: some outdoor air always comes in."""


@kernel
def mix_exhaust(links: np.ndarray, params: np.ndarray, zones: np.ndarray, sums: np.ndarray) -> None:
    """Find what share of each zone's supply is other zones' exhaust, and how hot it is, from the last sub-step's flows.

    The exhaust is under way for a sub-step. A zone's supply takes at most MOST_MIXED of it.

    Args:
        links: Links of the site, (n_links,).
        params: Parameters of its zones, (n_zones,).
        zones: State of its zones, (n_zones,).
        sums: Their sums, which take the result, (n_zones,).
    """
    for z in range(sums.shape[0]):
        sums[z]["mixed_frac"] = 0.0
        sums[z]["mixed_temp_c"] = 0.0
    for k in range(links.shape[0]):
        z, y = links[k]["zone"], links[k]["source"]
        source, zone, into = zones[y], zones[z], sums[z]
        own = zone["exhaust_w_per_k"] * params[z]["n_units"] * zone["online_frac"]
        if own > 0.0:
            arriving = links[k]["share"] * source["exhaust_w_per_k"] * params[y]["n_units"] * source["online_frac"]
            into["mixed_frac"] += arriving / own
            into["mixed_temp_c"] += arriving / own * source["exhaust_temp_c"]
    for z in range(sums.shape[0]):
        into = sums[z]
        if into["mixed_frac"] > 0.0:
            into["mixed_temp_c"] /= into["mixed_frac"]
            into["mixed_frac"] = min(into["mixed_frac"], MOST_MIXED)
