"""Where a site's hashes are sold, and what they earn."""

import numpy as np

from ..contract.channels import N_CHANNELS, REALISED_HASHPRICE
from ..foundation.constants import N_SUB_STEPS, SUB_STEP_S, usd_per_th
from ..foundation.jit import kernel


@kernel
def sell(hash_th: float, row: np.ndarray, pool_frac: float, site: np.void) -> float:
    """Return what a step's hashes earn at the market of the moment. [USD] No hash counts while machines change the market.

    Args:
        hash_th: Hashes of the step. [TH]
        row: Channels of the step.
        pool_frac: Share of the step with a pool.
        site: State of the site; the change of market goes on.
    """
    lost_s = min(site["switch_s"], N_SUB_STEPS * SUB_STEP_S)
    site["switch_s"] -= lost_s
    paid_th = hash_th * (1.0 - lost_s / (N_SUB_STEPS * SUB_STEP_S)) * pool_frac
    m = site["market"]
    return paid_th * usd_per_th(row[REALISED_HASHPRICE] if m == 0 else row[N_CHANNELS + m - 1])


@kernel
def change_market(site: np.void, market: int, switch_s: np.ndarray) -> None:
    """Sell a site's hashes at a market from now on; where it is another one, the change takes its time."""
    if market != site["market"]:
        site["switch_s"] = switch_s[market]
        site["market"] = market
