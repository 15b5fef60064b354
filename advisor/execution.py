"""How a change is carried out: the ladder of profiles and the limit on how fast power may rise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..sim.hardware.firmware import HASHING, setpoint_power_w
from ..sim.site.params import SiteParams

FloatArray = npt.NDArray[np.float64]

_SAME_MHZ = 0.5


@dataclass(frozen=True, slots=True)
class Ladder:
    """The profiles of each zone, padded with the last one, (n_zones, n_profiles).

    freq_mhz: frequency. power_w: power set-point of a machine. hashrate_ths: hashrate of a machine. rated_power_w: of a
    machine of each zone, (n_zones,).
    """

    freq_mhz: FloatArray
    power_w: FloatArray
    hashrate_ths: FloatArray
    rated_power_w: FloatArray

    @classmethod
    def of(cls, site: SiteParams) -> "Ladder":
        """Take it from a site."""
        most = max(len(zone.machine.profiles_mhz) for zone in site.zones)
        padded = [
            (*zone.machine.profiles_mhz, *[zone.max_mhz] * (most - len(zone.machine.profiles_mhz)))
            for zone in site.zones
        ]
        freq_mhz = np.array(padded)
        record = site.zone_record
        power_w = np.array([[setpoint_power_w(f, record[z]) for f in row] for z, row in enumerate(freq_mhz)])
        hashrate = freq_mhz * record["ths_per_mhz"][:, None]
        return cls(freq_mhz, power_w, hashrate, record["rated_power_w"].copy())

    def index(self, setpoint_mhz: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Return the profile nearest to each set-point, (…, n_zones); meaningless for 0."""
        gap = np.abs(self.freq_mhz - np.asarray(setpoint_mhz, dtype=np.float64)[..., None])
        return np.asarray(np.argmin(gap, axis=-1), dtype=np.int64)

    def nearest(self, zone: int, setpoint_mhz: float) -> int:
        """Return the profile of one zone that is nearest to a set-point above 0."""
        return int(np.argmin(np.abs(self.freq_mhz[zone] - setpoint_mhz)))

    def actions(self, setpoint_mhz: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Return set-points as actions of the environment's form "profile", (…, n_zones)."""
        return np.where(np.asarray(setpoint_mhz) > 0.0, self.index(setpoint_mhz) + 1, 0)

    def limited(self, wanted_mhz: npt.NDArray[np.floating], zones: np.ndarray, max_rise_pu: float) -> FloatArray:
        """Return the set-points that may be given now on the way to those that are wanted, (n, n_zones). [MHz]

        A machine that hashes rises by as many profiles as stay within `max_rise_pu` of its rated power, one at least.
        Shedding, sleep and waking are not held back.

        Args:
            wanted_mhz: Set-points, 0 to sleep, (n, n_zones). [MHz]
            zones: State, (n, n_zones) of ZONE_STATE.
            max_rise_pu: Largest rise in a step, of rated power.
        """
        wanted = np.asarray(wanted_mhz, dtype=np.float64)
        now_mhz = zones["target_mhz"]
        rises = (zones["mode"] == HASHING) & (wanted > now_mhz + _SAME_MHZ)
        if not rises.any():
            return wanted
        now, zone = self.index(now_mhz), np.arange(self.freq_mhz.shape[0])
        limit_w = self.power_w[zone, now] + max_rise_pu * self.rated_power_w
        reach = (self.power_w[None] <= limit_w[..., None] + 1e-9).sum(axis=-1) - 1
        most_mhz = self.freq_mhz[zone, np.minimum(np.maximum(reach, now + 1), self.freq_mhz.shape[1] - 1)]
        return np.where(rises, np.minimum(wanted, most_mhz), wanted)

    def way(self, now_mhz: float, wanted_mhz: float, zone: int, max_rise_pu: float) -> list[float]:
        """Return the set-points, step by step, that lead one hashing zone from a profile to another. [MHz]"""
        if wanted_mhz <= now_mhz or now_mhz <= 0.0:
            return [wanted_mhz]
        steps, at, goal = [], self.nearest(zone, now_mhz), self.nearest(zone, wanted_mhz)
        while at < goal:
            limit_w = self.power_w[zone, at] + max_rise_pu * self.rated_power_w[zone] + 1e-9
            at = min(goal, max(at + 1, int((self.power_w[zone] <= limit_w).sum()) - 1))
            steps.append(float(self.freq_mhz[zone, at]))
        return steps
