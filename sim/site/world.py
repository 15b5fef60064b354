"""What surrounds a site: the exogenous world that no action changes, and what befalls it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..contract.channels import (
    CALL_PU,
    CHANNELS,
    ENERGY_PRICE,
    N_CHANNELS,
    OUTDOOR_TEMP_C,
    REALISED_HASHPRICE,
    WET_BULB_TEMP_C,
)
from ..foundation.errors import BadInputError
from ..foundation.renamed import renamed_hint

SITE_EVENTS: Final = ("grid_on", "pool_frac", "call_pu")
"""What befalls a site in a step: 1 with grid power, share of the step with a pool, share of rated power that a
curtailment call leaves (1 without a call)."""

GRID_ON: Final = SITE_EVENTS.index("grid_on")
POOL_FRAC: Final = SITE_EVENTS.index("pool_frac")
CALL_LEFT: Final = SITE_EVENTS.index("call_pu")
"""Places of the events of a site."""

ZONE_EVENTS: Final = ("online_frac", "fouling_frac")
"""What befalls a zone in a step: share of its machines that work, share of the heatsinks' conductance lost to dust."""

ONLINE: Final = ZONE_EVENTS.index("online_frac")
FOULING: Final = ZONE_EVENTS.index("fouling_frac")
"""Places of the events of a zone."""

MOST_FOULING: Final = 0.6
"""Largest share of conductance that dust may take. assumed: beyond it a machine trips within seconds of a start."""


@dataclass(frozen=True, slots=True)
class Exogenous:
    """The world that no action changes, shared read-only by all environments.

    values: what is in force in each step, in the order of CHANNELS, then the hashprices of the second and further
    markets. known: what an operator knows of it when the
    step begins, float32 as observations are, in the order of channels.
    """

    values: npt.NDArray[np.float64]  # (n_series, n_steps, N_CHANNELS + n_markets - 1)
    known: npt.NDArray[np.float32]  # (n_series, n_steps, len(channels))
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check shapes and finiteness; raises BadInputError."""
        further = tuple(f"hashprice of market {m}" for m in range(1, self.values.shape[-1] - N_CHANNELS + 1))
        in_force = CHANNELS + further
        for name, array, columns in (("values", self.values, in_force), ("known", self.known, self.channels)):
            if array.ndim != 3 or array.shape[2] != len(columns):
                raise BadInputError(
                    f"Exogenous.{name} has shape {array.shape}; it must be (n_series, n_steps, {len(columns)})"
                )
            if not np.isfinite(array).all():
                bad = np.argwhere(~np.isfinite(array))[0]
                raise BadInputError(f"Exogenous.{name} is not finite at step {bad[1]}, channel {columns[bad[2]]!r}")
            array.flags.writeable = False
        above = np.argwhere(self.values[:, :, WET_BULB_TEMP_C] > self.values[:, :, OUTDOOR_TEMP_C])
        if len(above):
            raise BadInputError(f"Exogenous.values: the wet bulb is above the dry bulb at step {above[0][1]}")
        if self.values.shape[:2] != self.known.shape[:2]:
            raise BadInputError(
                f"Exogenous.known has {self.known.shape[:2]} series and steps, values {self.values.shape[:2]}"
            )

    def __reduce__(self) -> tuple[type["Exogenous"], tuple[object, ...]]:
        """Pickle by the constructor, so that the copy is checked and read-only as well."""
        return Exogenous, (self.values, self.known, self.channels)

    @classmethod
    def plain(
        cls,
        outdoor_temp_c: npt.ArrayLike,
        wet_bulb_temp_c: npt.ArrayLike,
        energy_price_usd_per_mwh: npt.ArrayLike,
        hashprice_usd_per_ph_day: npt.ArrayLike,
    ) -> "Exogenous":
        """Return series of weather, one price of energy and hashprice alone, known as they come.

        Args:
            outdoor_temp_c: Dry bulb, broadcast with the others to (n_series, n_steps); one of them has that shape. [°C]
            wet_bulb_temp_c: Wet bulb. [°C]
            energy_price_usd_per_mwh: Price of energy.
            hashprice_usd_per_ph_day: Realised hashprice.
        """
        given = (outdoor_temp_c, wet_bulb_temp_c, energy_price_usd_per_mwh, hashprice_usd_per_ph_day)
        dry, wet, price, hashprice = np.broadcast_arrays(*(np.asarray(part, np.float64) for part in given))
        rows = np.zeros((*dry.shape, N_CHANNELS))
        rows[..., OUTDOOR_TEMP_C], rows[..., WET_BULB_TEMP_C] = dry, wet
        rows[..., ENERGY_PRICE], rows[..., REALISED_HASHPRICE] = price, hashprice
        rows[..., CALL_PU] = 1.0
        return cls(rows, price[..., None].astype(np.float32), ("known_energy_price_usd_per_mwh",))

    def in_force(self, name: str) -> npt.NDArray[np.float64]:
        """Return a channel that is in force, (n_series, n_steps); raises BadInputError if there is none of that name."""
        if name not in CHANNELS:
            raise BadInputError(
                f"no channel {name!r} in force{renamed_hint([name], CHANNELS)}; there are {', '.join(CHANNELS)}"
            )
        return self.values[:, :, CHANNELS.index(name)]

    @property
    def n_steps(self) -> int:
        """Number of control steps in each series."""
        return int(self.values.shape[1])

    def column(self, name: str) -> int:
        """Return the index of a known channel; raises BadInputError if there is none of that name."""
        if name not in self.channels:
            hint = renamed_hint([name], self.channels)
            raise BadInputError(f"no channel {name!r}{hint}; there are {', '.join(self.channels)}")
        return self.channels.index(name)


@dataclass(frozen=True, slots=True)
class Events:
    """What happens to a site whatever the policy does, beside weather and markets; made by `events.simulate` or by hand.

    A series or a step beyond the last one has the last one's values, so that one row stands for all time.
    """

    site: npt.NDArray[np.float64]  # (n_series, n_steps, len(SITE_EVENTS))
    zone: npt.NDArray[np.float64]  # (n_series, n_steps, n_zones, len(ZONE_EVENTS))

    def __post_init__(self) -> None:
        """Check shapes and ranges; raises BadInputError."""
        for name, array, n_axes, columns in (
            ("site", self.site, 3, SITE_EVENTS),
            ("zone", self.zone, 4, ZONE_EVENTS),
        ):
            if array.ndim != n_axes or array.shape[-1] != len(columns) or 0 in array.shape:
                raise BadInputError(
                    f"Events.{name} has shape {array.shape}; its last axis must be {', '.join(columns)}"
                )
            most = np.array([MOST_FOULING if column == "fouling_frac" else 1.0 for column in columns])
            wrong = np.argwhere(~((array >= 0.0) & (array <= most)))
            if len(wrong):
                bad = tuple(wrong[0])
                allowed = f"in [0, {most[bad[-1]]:g}]"
                raise BadInputError(
                    f"Events.{name} is {array[bad]} at step {bad[1]}, {columns[bad[-1]]!r}; it must be {allowed}"
                )
            array.flags.writeable = False
        if not np.isin(self.site[..., 0], (0.0, 1.0)).all():
            raise BadInputError("Events.site: 'grid_on' is 0 or 1 in each step")

    @classmethod
    def none(cls, n_zones: int) -> "Events":
        """Return a world in which nothing happens: power, pools and all machines, clean."""
        zone = np.tile(np.array([1.0, 0.0]), (1, 1, n_zones, 1))
        return cls(np.ones((1, 1, len(SITE_EVENTS))), zone)
