"""The profiles of a site's zones at steady state, which rules, actions and baselines reckon with."""

import numpy as np
import numpy.typing as npt

from ...sim.site.params import SiteParams, ZoneParams
from .arrays import MENU, PROFILE


def profile_table(site: SiteParams) -> tuple[np.ndarray, np.ndarray]:
    """Return each zone's profiles at steady state, (n_zones, most profiles) of PROFILE, and each zone's menu.

    Power is that of the zone at the meter at the reference temperature and fan speed of the published tables, with
    supply fans, network and transformer loss; hashrate is what the pool pays for.
    """
    most = max(len(zone.machine.profiles_mhz) for zone in site.zones)
    table = np.zeros((len(site.zones), most), PROFILE)
    menus = np.zeros(len(site.zones), MENU)
    for z, zone in enumerate(site.zones):
        count = len(zone.machine.profiles_mhz)
        table["freq_mhz"][z, :count] = zone.machine.profiles_mhz
        table["meter_w"][z, :count] = zone.n_units * meter_w_per_unit(zone, site, zone.machine.profile_power_w)
        table["paid_ths"][z, :count] = zone.n_units * zone.machine.profile_hashrate_ths
        menus["n_profiles"][z] = count
        menus["best_ths_per_w"][z] = np.max(table["paid_ths"][z, :count] / table["meter_w"][z, :count])
    return table, menus


def meter_w_per_unit(zone: ZoneParams, site: SiteParams, power_w: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the power at the meter of one machine and its share of supply fans, network and losses. [W]"""
    plant_w = zone.plant.steady_power_w(site.zone_record[site.zones.index(zone)])
    return (power_w + plant_w + site.misc_w_per_unit) * (1.0 + site.transformer_loss_frac)
