"""The ladders of a site's zones side by side: what their profiles draw at the meter and are paid for."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .params import SiteParams

FloatArray = npt.NDArray[np.float64]

POWER_TOLERANCE_W: Final = 1e-9
"""By how much a profile may exceed a power limit, so that a limit made of a profile's own power admits it. [W] chosen: far above rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteLadders:
    """The ladders of a site's zones. Arrays are (n_zones, most profiles), a shorter ladder filled with its last profile.

    n_profiles: Profiles of each zone, (n_zones,).
    rated_power_w: Rated power of a machine of each zone, (n_zones,). [W]
    freq_mhz, setpoint_power_w: Of a machine, as `hardware.ladder.Ladder` has them. [MHz], [W]
    meter_power_w: Power of a whole zone at the site's meter: its machines' listed power, its plant in mild weather
        without pads or chiller, network, and transformer loss. [W]
    paid_hashrate_ths: Hashrate of a whole zone that the pool pays for: its machines' listed hashrate. [TH/s]
    asleep_power_w: Power at the meter of a whole zone that sleeps, (n_zones,). [W]
    """

    n_profiles: npt.NDArray[np.int64]
    rated_power_w: FloatArray
    freq_mhz: FloatArray
    setpoint_power_w: FloatArray
    meter_power_w: FloatArray
    paid_hashrate_ths: FloatArray
    asleep_power_w: FloatArray

    @classmethod
    def of(cls, site: SiteParams) -> "SiteLadders":
        """Return the ladders of a site's zones."""
        ladders = [zone.ladder for zone in site.zones]
        meter = [zone.n_units * meter_power_w_per_unit(site, z) for z, zone in enumerate(site.zones)]
        paid = [zone.n_units * zone.ladder.listed_hashrate_ths for zone in site.zones]
        at_meter = 1.0 + site.transformer_loss_frac
        asleep = [zone.n_units * (zone.firmware.sleep_w + site.misc_w_per_unit) * at_meter for zone in site.zones]
        return cls(
            n_profiles=np.array([len(ladder) for ladder in ladders], dtype=np.int64),
            rated_power_w=np.array([zone.machine.rated_power_w for zone in site.zones], dtype=np.float64),
            freq_mhz=_filled([ladder.freq_mhz for ladder in ladders]),
            setpoint_power_w=_filled([ladder.setpoint_power_w for ladder in ladders]),
            meter_power_w=_filled(meter),
            paid_hashrate_ths=_filled(paid),
            asleep_power_w=np.array(asleep),
        )

    @property
    def is_profile(self) -> npt.NDArray[np.bool_]:
        """Tell which entries are profiles and which only fill a shorter ladder's row, (n_zones, most profiles)."""
        return np.arange(self.freq_mhz.shape[1]) < self.n_profiles[:, None]

    @property
    def paid_ths_per_w(self) -> FloatArray:
        """Paid hashrate per watt at the meter, (n_zones, most profiles). [TH/s/W]"""
        return self.paid_hashrate_ths / self.meter_power_w

    def index(self, setpoint_mhz: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Return the profile nearest to each set-point, (…, n_zones); meaningless for 0."""
        gap = np.abs(self.freq_mhz - np.asarray(setpoint_mhz, dtype=np.float64)[..., None])
        return np.asarray(np.argmin(gap, axis=-1), dtype=np.int64)

    def actions(self, setpoint_mhz: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Return set-points as actions of the environments' form "profile", (…, n_zones): 0 to sleep, k is profile k - 1."""
        return np.where(np.asarray(setpoint_mhz) > 0.0, self.index(setpoint_mhz) + 1, 0)

    def highest_within(self, limit_w: FloatArray) -> npt.NDArray[np.int64]:
        """Return the highest profile whose set-point power keeps a limit, the lowest if none does, (…, n_zones).

        Args:
            limit_w: Largest power of one machine of each zone, (…, n_zones). [W]
        """
        fits = self.setpoint_power_w <= np.asarray(limit_w)[..., None] + POWER_TOLERANCE_W
        return np.asarray(np.maximum(fits.sum(axis=-1) - 1, 0), dtype=np.int64)


def meter_power_w_per_unit(site: SiteParams, z: int) -> FloatArray:
    """Return the power at the meter of a machine of zone `z` with its share of plant, network and losses, (n_profiles,). [W]"""
    zone = site.zones[z]
    plant_w = zone.plant.steady_power_w(site.zone_record[z])
    return (zone.ladder.listed_power_w + plant_w + site.misc_w_per_unit) * (1.0 + site.transformer_loss_frac)


def _filled(rows: list[FloatArray]) -> FloatArray:
    """Return rows as one array that cannot be written to, shorter ones filled with their last value."""
    most = max(len(row) for row in rows)
    filled = np.stack([np.pad(row, (0, most - len(row)), mode="edge") for row in rows])
    filled.flags.writeable = False
    return filled
