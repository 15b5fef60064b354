"""The ladder of a machine: its profiles, each a frequency with the power and hashrate that belong to it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from . import machine as physics
from .params import PROFILE_CHIP_TEMP_C, PROFILE_FAN_PU, MachineParams

FloatArray = npt.NDArray[np.float64]


BEYOND_PU: Final = 0.15
"""Share beyond the ends of a ladder to which machines are tuned. Source: a tuned S21 Pro at 635 MHz, whose rated clock is 588 (256foundation/asic-rs,
braiins v26_04)."""


SAME_MHZ: Final = 0.5
"""A clock is a profile's if it is as near as this. [MHz] chosen: profiles lie 22 MHz apart or more."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The profiles of one machine, ascending. Arrays are (n_profiles,), of one machine, and cannot be written to.

    A machine's power at a frequency depends on the temperature of its chips and the speed of its fans; a profile has
    two powers, for two conditions:

    freq_mhz: Frequency. [MHz]
    listed_power_w: Power at the socket under the conditions of the published tables, chips at `PROFILE_CHIP_TEMP_C`
        and fans at `PROFILE_FAN_PU`: what a running machine is reckoned to draw. [W]
    listed_hashrate_ths: Hashrate at `PROFILE_CHIP_TEMP_C`, hardware errors taken off. [TH/s]
    setpoint_power_w: Power that the profile stands for as a set-point, chips at the reference temperature of their
        leakage and fans standing: by it rises are limited and power limits are chosen. [W] The kernels reckon it by
        `firmware.setpoint_power_w`.
    nominal_hashrate_ths: Hashrate without hardware errors, which the firmware shows beside the profile. [TH/s]
    """

    freq_mhz: FloatArray
    listed_power_w: FloatArray
    listed_hashrate_ths: FloatArray
    setpoint_power_w: FloatArray
    nominal_hashrate_ths: FloatArray

    @property
    def min_mhz(self) -> float:
        """Lowest frequency. [MHz]"""
        return float(self.freq_mhz[0])

    @property
    def max_mhz(self) -> float:
        """Highest frequency. [MHz]"""
        return float(self.freq_mhz[-1])

    @property
    def step_mhz(self) -> float:
        """Frequency by which the firmware throttles: from the lowest profile to the next. [MHz]"""
        return float(self.freq_mhz[1] - self.freq_mhz[0])

    def __len__(self) -> int:
        """Return the number of profiles."""
        return len(self.freq_mhz)

    def nearest(self, freq_mhz: float) -> int:
        """Return the profile whose frequency is nearest, the lower one of two that are as near.

        >>> from hashgym.sim.hardware.catalogue import machine
        >>> ladder = ladder_of(machine("s19j_pro"))
        >>> float(ladder.freq_mhz[ladder.nearest(451.0)])
        445.0
        """
        return int(np.argmin(np.abs(self.freq_mhz - freq_mhz)))

    def between(self, freq_mhz: float) -> tuple[float, float]:
        """Return listed power and hashrate at a clock: of a profile, between two of them, or beyond the ends along their last step.

        >>> from hashgym.sim.hardware.catalogue import machine
        >>> ladder = ladder_of(machine("s19j_pro"))
        >>> power_w, hashrate_ths = ladder.between(457.5)  # half way from 445 to 470 MHz
        >>> round(power_w), round(hashrate_ths, 1)
        (2518, 88.7)
        """
        low = min(max(int(np.searchsorted(self.freq_mhz, freq_mhz)) - 1, 0), len(self) - 2)
        share = (freq_mhz - self.freq_mhz[low]) / (self.freq_mhz[low + 1] - self.freq_mhz[low])
        power_w, hashrate_ths = (
            values[low] + share * (values[low + 1] - values[low])
            for values in (self.listed_power_w, self.listed_hashrate_ths)
        )
        return float(power_w), float(hashrate_ths)

    def is_profile(self, freq_mhz: float) -> bool:
        """Tell whether a clock is one of the profiles'."""
        return bool(np.abs(self.freq_mhz - freq_mhz).min() <= SAME_MHZ)

    def has(self, freq_mhz: float) -> bool:
        """Tell whether a clock is one that the machine may be tuned to: on the ladder or a little beyond its ends."""
        return self.min_mhz * (1.0 - BEYOND_PU) <= freq_mhz <= self.max_mhz * (1.0 + BEYOND_PU)

    def action(self, setpoint_mhz: float) -> int:
        """Return a set-point as an action of the environments' form "profile": 0 to sleep, k is profile k - 1."""
        return self.nearest(setpoint_mhz) + 1 if setpoint_mhz > 0.0 else 0


@lru_cache(maxsize=256)
def ladder_of(machine: MachineParams) -> Ladder:
    """Return the ladder of a machine."""
    freq_mhz = np.array(machine.profiles_mhz)
    error = physics.error_frac(
        PROFILE_CHIP_TEMP_C, machine.error_ref_frac, machine.error_ref_temp_c, machine.error_per_k
    )
    ladder = Ladder(
        freq_mhz=freq_mhz,
        listed_power_w=_power_w(machine, PROFILE_CHIP_TEMP_C, PROFILE_FAN_PU),
        listed_hashrate_ths=freq_mhz * machine.ths_per_mhz * (1.0 - error),
        setpoint_power_w=_power_w(machine, machine.leak_ref_temp_c, 0.0),
        nominal_hashrate_ths=freq_mhz * machine.ths_per_mhz,
    )
    for name in Ladder.__slots__:
        getattr(ladder, name).flags.writeable = False
    return ladder


def _power_w(machine: MachineParams, chip_temp_c: float, fan_pu: float) -> FloatArray:
    return np.array([machine.power_w(f, chip_temp_c, fan_pu) for f in machine.profiles_mhz])
