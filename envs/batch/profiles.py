"""The profiles of a site's zones as the kernels of an environment read them."""

import numpy as np

from ...sim.site.ladders import SiteLadders
from ...sim.site.params import SiteParams
from .arrays import MENU, PROFILE


def profile_table(site: SiteParams) -> tuple[np.ndarray, np.ndarray]:
    """Return each zone's profiles, (n_zones, most profiles) of PROFILE, 0 behind the last one, and menus, (n_zones,) of MENU."""
    ladders = SiteLadders.of(site)
    table = np.zeros(ladders.freq_mhz.shape, PROFILE)
    table["freq_mhz"] = ladders.freq_mhz
    table["meter_power_w"] = ladders.meter_power_w
    table["paid_hashrate_ths"] = ladders.paid_hashrate_ths
    table[~ladders.is_profile] = 0.0
    menus = np.zeros(len(site.zones), MENU)
    menus["n_profiles"] = ladders.n_profiles
    menus["best_ths_per_w"] = ladders.paid_ths_per_w.max(axis=1)
    return table, menus
