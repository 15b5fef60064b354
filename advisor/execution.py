"""How a change is carried out: power of hashing machines may rise by so much in a step."""

import numpy as np
import numpy.typing as npt

from ..sim.hardware.firmware import HASHING
from ..sim.hardware.ladder import SAME_MHZ
from ..sim.site.ladders import SiteLadders

FloatArray = npt.NDArray[np.float64]


def limit_rise(
    ladders: SiteLadders, wanted_mhz: npt.NDArray[np.floating], zones: np.ndarray, max_rise_pu: float
) -> FloatArray:
    """Return the set-points that may be given now on the way to those that are wanted, (n, n_zones). [MHz]

    A machine that hashes rises by as many profiles as stay within `max_rise_pu` of its rated power, one at least.
    Shedding, sleep and waking are not held back.

    Args:
        ladders: Profiles of the zones.
        wanted_mhz: Set-points, 0 to sleep, (n, n_zones). [MHz]
        zones: State, (n, n_zones) of ZONE_STATE.
        max_rise_pu: Largest rise in a step, of rated power.
    """
    wanted = np.asarray(wanted_mhz, dtype=np.float64)
    now_mhz = zones["target_mhz"]
    rises = (zones["mode"] == HASHING) & (wanted > now_mhz + SAME_MHZ)
    if not rises.any():
        return wanted
    highest = _highest_next(ladders, ladders.index(now_mhz), max_rise_pu)
    most_mhz = ladders.freq_mhz[np.arange(ladders.freq_mhz.shape[0]), highest]
    return np.where(rises, np.minimum(wanted, most_mhz), wanted)


def rise_steps(ladders: SiteLadders, zone: int, now_mhz: float, wanted_mhz: float, max_rise_pu: float) -> list[float]:
    """Return the set-points, step by step, that `limit_rise` gives one hashing zone on its way to another profile. [MHz]"""
    if wanted_mhz <= now_mhz or now_mhz <= 0.0:
        return [wanted_mhz]
    n_zones, steps = ladders.freq_mhz.shape[0], list[float]()
    profile, goal = (int(ladders.index(np.full(n_zones, mhz))[zone]) for mhz in (now_mhz, wanted_mhz))
    while profile < goal:
        profile = min(goal, int(_highest_next(ladders, np.full(n_zones, profile), max_rise_pu)[zone]))
        steps.append(float(ladders.freq_mhz[zone, profile]))
    return steps


def _highest_next(ladders: SiteLadders, profile: npt.NDArray[np.int64], max_rise_pu: float) -> npt.NDArray[np.int64]:
    """Return the highest profile that may follow one in a step, (…, n_zones) each."""
    n_zones, most = ladders.freq_mhz.shape
    limit_w = ladders.setpoint_power_w[np.arange(n_zones), profile] + max_rise_pu * ladders.rated_power_w
    return np.minimum(np.maximum(ladders.highest_within(limit_w), profile + 1), most - 1)
