"""Rules that operators run today, as policies over a batch. They see what the observation holds and nothing else.

A rule of one's own is a class with a name and a `choose`:

    class ColdHours(Rule):
        "Run the stock profile below 15 °C outdoors, sleep above."

        name = "cold_hours"

        def choose(self, seen: Seen) -> Choices:
            return np.where(seen.observed["outdoor_temp_c"][:, None] < 15.0, self.top, 0)

    trace = run(ColdHours(Menu.of(scenario.site)), config, seed=0)
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from ..envs.batch.core import Batch
from ..envs.batch.operating import CAP_RESERVE, PEAK_COS, PEAK_LEAST, PEAK_SIN
from ..sim.hardware.firmware import ASLEEP
from ..sim.site.ladders import SiteLadders
from ..sim.site.params import SiteParams

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Choices = npt.NDArray[np.int64]
"""A choice of each zone, (n_envs, n_zones): 0 is off, k is profile k - 1."""


@dataclass(frozen=True, slots=True)
class Menu:
    """What a rule knows of a site.

    n_profiles and best_efficiency: number of profiles and index of the most efficient one of each zone, (n_zones,).
    break_even_share: break-even price of each profile over that of the site's best, (n_zones, n_profiles).
    meter_w and paid_ths: power and hashrate of a zone at each choice, off first, (n_zones, 1 + n_profiles). [W, TH/s]
    cap_w: largest power at the meter. [W]
    """

    n_profiles: npt.NDArray[np.int64]
    best_efficiency: npt.NDArray[np.int64]
    break_even_share: FloatArray
    meter_w: FloatArray
    paid_ths: FloatArray
    cap_w: float

    @classmethod
    def of(cls, site: SiteParams) -> "Menu":
        """Take it from the ladders of a site's zones and the site's cap."""
        ladders = SiteLadders.of(site)
        ratio = ladders.paid_ths_per_w
        meter_w, paid_ths = (
            np.pad(values, ((0, 0), (1, 0))) for values in (ladders.meter_power_w, ladders.paid_hashrate_ths)
        )
        best, share = np.argmax(ratio, axis=1), ratio / ratio.max()
        return cls(ladders.n_profiles, best, share, meter_w, paid_ths, site.site_cap_w * (1.0 - CAP_RESERVE))

    def under_cap(self, choices: Choices) -> Choices:
        """Return the choices lowered step by step where a watt earns least until the cap holds."""
        choices, zones = choices.copy(), np.arange(choices.shape[1])
        while True:
            over = np.flatnonzero(self.meter_w[zones, choices].sum(axis=1) > self.cap_w)
            if not over.size:
                return choices
            now = choices[over]
            below = np.maximum(now - 1, 0)
            saved_w = self.meter_w[zones, now] - self.meter_w[zones, below]
            lost_ths = self.paid_ths[zones, now] - self.paid_ths[zones, below]
            with np.errstate(invalid="ignore"):
                loss = np.where(now > 0, lost_ths / saved_w, np.inf)
            choices[over, np.argmin(loss, axis=1)] -= 1


class Observed(Mapping[str, FloatArray]):
    """The newest observations of a batch by name, (n_envs,) each, in the units of its table."""

    def __init__(self, batch: Batch) -> None:
        """Take the batch."""
        self._batch = batch

    def __getitem__(self, name: str) -> FloatArray:
        """Return an observation; raises BadInputError that lists the names if there is none of this one."""
        return self._batch.obs[:, self._batch.column(name)].astype(np.float64)

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return (entry.name for entry in self._batch.table)

    def __len__(self) -> int:
        """Return the number of observations."""
        return len(self._batch.table)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule sees at a step, for each environment: nothing that the observation does not hold.

    price_ratio: known price over break-even price of the best profile, (n_envs,). myopic, is_asleep: myopic profile and
    whether a zone sleeps, (n_envs, n_zones). coincident_ratio: load of the grid over the month's highest so far in hours in
    which peaks come, else 0; is_called: a curtailment call stands or is announced; is_first: an episode begins, (n_envs,) each. observed: every observation by name.
    """

    price_ratio: FloatArray
    myopic: npt.NDArray[np.int64]
    is_asleep: BoolArray
    coincident_ratio: FloatArray | float = 0.0
    is_called: BoolArray | bool = False
    is_first: BoolArray = field(default_factory=lambda: np.zeros(1, np.bool_))
    observed: Mapping[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def of(cls, batch: Batch) -> "Seen":
        """Return what a rule sees of a batch."""
        observed, contract = Observed(batch), batch.site.contract
        coincident_ratio, is_called = np.zeros(batch.n_envs), np.zeros(batch.n_envs, np.bool_)
        if contract.coincident_peak is not None:
            may_peak = observed["hour_sin"] * PEAK_SIN + observed["hour_cos"] * PEAK_COS > PEAK_LEAST
            coincident_ratio = np.where(may_peak, observed["coincident_ratio"], 0.0)
        if contract.curtailment is not None:
            is_called = observed["call_soon"] > 0.0
        is_asleep = batch.state.zone["mode"] == ASLEEP
        is_first = batch.state.site["age"] == 0
        return cls(observed["price_ratio"], batch.myopic, is_asleep, coincident_ratio, is_called, is_first, observed)


class Rule(ABC):
    """A policy of absolute profiles that keeps to the site's cap and obeys calls: `choose` says what it wants."""

    name: ClassVar[str]
    action: Final = "profile"

    def __init__(self, menu: Menu, peak_ratio: FloatArray | float = np.inf) -> None:
        """Take what is known of the site, and the share of the month's highest load of the grid from which it sheds.

        Args:
            menu: What is known of the site.
            peak_ratio: A number, or one for each environment, (n_envs,); infinite: it never sheds before peaks.
        """
        self.menu = menu
        self.peak_ratio = np.asarray(peak_ratio, dtype=np.float64)
        self.top = menu.n_profiles
        """Choice of each zone's stock profile, (n_zones,)."""

    @abstractmethod
    def choose(self, seen: Seen) -> Choices:
        """Return what each zone is to do, (n_envs, n_zones): 0 is off, k is profile k - 1."""

    def act(self, batch: Batch) -> Choices:
        """Return the choices under the site's cap, (n_envs, n_zones); in calls and before peaks of the grid all zones are off."""
        seen = Seen.of(batch)
        sheds = np.asarray((seen.coincident_ratio >= self.peak_ratio) | seen.is_called)
        return self.menu.under_cap(np.where(sheds.reshape(-1, 1), 0, self.choose(seen)))


class AlwaysOn(Rule):
    """Run the stock profile, whatever the price."""

    name = "always_on"

    def choose(self, seen: Seen) -> Choices:
        """Return the top profile."""
        return np.broadcast_to(self.top, seen.myopic.shape).copy()


class BestEfficiency(Rule):
    """Run the profile of the least joules per terahash, whatever the price."""

    name = "best_efficiency"

    def choose(self, seen: Seen) -> Choices:
        """Return the most efficient profile."""
        return np.broadcast_to(self.menu.best_efficiency + 1, seen.myopic.shape).copy()


class BreakEven(Rule):
    """Run the stock profile below its break-even price, sleep above it: each zone by its own efficiency, the least efficient first."""

    name = "break_even"

    def choose(self, seen: Seen) -> Choices:
        """Return the top profile or off."""
        top_share = self.menu.break_even_share[np.arange(len(self.top)), self.top - 1]
        return np.where(seen.price_ratio[:, None] < top_share, self.top[None, :], 0)


class ProfileByPrice(Rule):
    """Run the profile that earns most at the known price, sleep when none earns anything."""

    name = "profile_by_price"

    def choose(self, seen: Seen) -> Choices:
        """Return the myopic profile or off."""
        return np.where(seen.price_ratio[:, None] < self.menu.break_even_share.max(axis=1), seen.myopic + 1, 0)


class Hysteresis(Rule):
    """Run the myopic profile; sleep above `off_ratio` times the break-even price, wake below `on_ratio` times."""

    name = "hysteresis"

    def __init__(
        self,
        menu: Menu,
        off_ratio: FloatArray | float,
        on_ratio: FloatArray | float,
        peak_ratio: FloatArray | float = np.inf,
    ) -> None:
        """Take the thresholds: numbers, or one for each environment, (n_envs,)."""
        super().__init__(menu, peak_ratio)
        self.off_ratio = np.asarray(off_ratio, dtype=np.float64)
        self.on_ratio = np.asarray(on_ratio, dtype=np.float64)

    def choose(self, seen: Seen) -> Choices:
        """Return the myopic profile or off."""
        ratio = seen.price_ratio[:, None] / self.menu.break_even_share.max(axis=1)
        goes_off = ratio > self.off_ratio.reshape(-1, 1)
        comes_on = ratio < self.on_ratio.reshape(-1, 1)
        is_off = np.where(seen.is_asleep, ~comes_on, goes_off)
        return np.where(is_off, 0, seen.myopic + 1)


class Strike(Rule):
    """Run the stock profile; sleep after two windows above the strike price, the zone's break-even, and wake after four below.

    Source:
        Foreman, "Price Response" (support.foreman.mn 20811079260955): windows of five minutes, two before shedding and four before coming back.
    """

    name = "strike"

    def __init__(self, menu: Menu, peak_ratio: FloatArray | float = np.inf) -> None:
        """Take what is known of the site, and the share of the grid's highest load from which it sheds."""
        super().__init__(menu, peak_ratio)
        self._above: Choices = np.zeros((0, 0), np.int64)
        self._below: Choices = np.zeros((0, 0), np.int64)

    def choose(self, seen: Seen) -> Choices:
        """Return the top profile or off."""
        if self._above.shape != seen.is_asleep.shape:
            self._above, self._below = (np.zeros(seen.is_asleep.shape, np.int64) for _ in range(2))
        top_share = self.menu.break_even_share[np.arange(len(self.top)), self.top - 1]
        is_above = seen.price_ratio[:, None] > top_share
        self._above = np.where(seen.is_first[:, None], 0, self._above)
        self._below = np.where(seen.is_first[:, None], 0, self._below)
        self._above, self._below = np.where(is_above, self._above + 1, 0), np.where(is_above, 0, self._below + 1)
        is_off = np.where(seen.is_asleep, self._below < WINDOWS_BELOW, self._above >= WINDOWS_ABOVE)
        return np.where(is_off, 0, self.top[None, :])


WINDOWS_ABOVE: Final = 2
WINDOWS_BELOW: Final = 4
"""Windows of five minutes above the strike price before shedding, and below it before coming back. Source: as Strike."""

PARAMETER_FREE: Final[tuple[type[Rule], ...]] = (AlwaysOn, BestEfficiency, BreakEven, ProfileByPrice, Strike)
