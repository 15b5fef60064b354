"""Yardsticks that see true prices: a receding plan over hours ahead, executed in the simulator."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...envs.batch.core import Batch
from ...sim.contract.channels import REALISED_HASHPRICE
from ...sim.contract.settlement import marginal_usd_per_mwh
from ...sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR, STEP_MWH_PER_W, usd_per_th
from ...sim.hardware.firmware import ASLEEP, STARTING, TRIPPED
from ...sim.site.ladders import SiteLadders
from ...sim.site.params import SiteParams
from ...sim.site.world import Exogenous
from ..rules import Seen
from . import dynamic

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StepValues:
    """What each step of a series earns at steady state, demand charges and calls left out: arrays of (n_steps, n_profiles) or (n_steps,). [USD]"""

    earn: FloatArray
    change: FloatArray
    boot: FloatArray
    off: FloatArray

    @classmethod
    def of(cls, site: SiteParams, profiles: np.ndarray, exogenous: Exogenous, series: int) -> "StepValues":
        """Compute them for the one zone of a site.

        Args:
            site: A site of one zone.
            profiles: The zone's profiles with meter_w and paid_ths, (n_profiles,).
            exogenous: The world.
            series: Which series of it.
        """
        zone = site.zones[0]
        values = exogenous.values[series]
        price, hashprice = marginal_usd_per_mwh(values, site.contract.carbon_usd_per_t), values[:, REALISED_HASHPRICE]
        revenue = np.outer(hashprice * usd_per_th(1.0), profiles["paid_hashrate_ths"])
        energy = np.outer(price, profiles["meter_power_w"]) * STEP_MWH_PER_W
        lost_s = zone.firmware.restart_s + 0.5 * zone.firmware.ramp_s / len(profiles)
        boot_w = zone.firmware.boot_power_frac * profiles["meter_power_w"].mean()
        return cls(
            earn=revenue * CONTROL_STEP_S - energy,
            change=revenue * lost_s,
            boot=-price * boot_w * STEP_MWH_PER_W,
            off=-price * SiteLadders.of(site).asleep_power_w[0] * STEP_MWH_PER_W,
        )


class Foresight:
    """Plan each step anew over the true prices of the next hours and take the plan's first choice.

    One zone; in calls it sleeps. At the end of the horizon being off is worth what a start costs less than hashing.
    """

    action: Final = "profile"

    def __init__(self, site: SiteParams, profiles: np.ndarray, exogenous: Exogenous, horizon_h: float) -> None:
        """Compute what each step earns.

        Raises:
            ValueError: The site has more than one zone.
        """
        if len(site.zones) != 1:
            raise ValueError(f"foresight plans one zone; the site has {len(site.zones)}")
        self.name = f"foresight_{horizon_h:g}h"
        self.horizon = round(horizon_h * SECONDS_PER_HOUR / CONTROL_STEP_S)
        zone = site.zones[0]
        self.n_boot, rest_s = divmod(zone.firmware.boot_s, CONTROL_STEP_S)
        self.start_usd = zone.n_units * zone.firmware.start_wear_usd
        self.rest_frac = rest_s / CONTROL_STEP_S
        self.ladder = zone.ladder
        self.values = [StepValues.of(site, profiles, exogenous, s) for s in range(exogenous.values.shape[0])]

    def act(self, batch: Batch) -> npt.NDArray[np.int64]:
        """Return the choices, (n_envs, 1): 0 is off, k is profile k - 1."""
        zone, site = batch.state.zone, batch.state.site
        actions = np.zeros((len(site), 1), np.int64)
        is_called = np.broadcast_to(np.asarray(Seen.of(batch).is_called), (len(site),))
        for i in np.flatnonzero(~is_called):
            state = zone[i, 0]
            k = self.ladder.nearest(state["target_mhz"])
            if state["mode"] == STARTING:
                actions[i, 0] = k + 1
                continue
            is_off = state["mode"] in (ASLEEP, TRIPPED)
            actions[i, 0] = self._choose(int(site["series"][i]), int(site["step"][i]), 0 if is_off else k + 1)
        return actions

    def _choose(self, series: int, step: int, state: int) -> int:
        values, last = self.values[series], step + self.horizon
        earn = values.earn[step:last]
        lost_usd = max(0.0, float(earn[-1].max())) * (self.n_boot + self.rest_frac)
        choice = np.empty((len(earn), earn.shape[1] + 1), np.int64)
        dynamic.plan(
            earn,
            values.change[step:last],
            values.boot[step:last],
            values.off[step:last],
            int(self.n_boot),
            self.start_usd + self.rest_frac * max(0.0, float(earn[0].max())),
            -self.start_usd - lost_usd,
            choice,
        )
        return int(choice[0, state])
