"""What surrounds a site: the exogenous world that no action changes, and what befalls it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..foundation.errors import BadInputError
from ..foundation.renamed import renamed_hint

SITE_EVENTS: Final = ("grid_on", "pool_frac", "call_pu")
"""What befalls a site in a step: 1 with grid power, share of the step with a pool, share of rated power that a
curtailment call leaves (1 without a call)."""

ZONE_EVENTS: Final = ("online_frac", "fouling_frac")
"""What befalls a zone in a step: share of its machines that work, share of the heatsinks' conductance lost to dust."""

MOST_FOULING: Final = 0.6
"""Largest share of conductance that dust may take. assumed: beyond it a machine trips within seconds of a start."""

BILL_CHANNELS: Final = (
    "energy_price_usd_per_mwh", "resale_price_usd_per_mwh", "block_kwh", "block_usd", "fixed_usd", "coincident_usd_per_mwh",
    "demand_usd_per_kw", "window_demand_usd_per_kw", "clock", "call_pu", "capacity_usd", "carbon_g_per_kwh",
    "heat_usd_per_mwh",
)  # fmt: skip
"""Channels that the settlement reads, made by `billing.channels`: prices of energy drawn beyond a block and resold of it, the block
and its cost in a step, fixed charge of a step, price of energy in a coincident peak, prices of a kilowatt of the month's
peaks, marks of interval and month, power that a call leaves over rated power, pay for readiness in a step, carbon
intensity, price of heat."""

SIM_CHANNELS: Final = (
    "outdoor_temp_c", "wet_bulb_temp_c", "energy_price_usd_per_mwh", "realised_hashprice_usd_per_ph_day", *BILL_CHANNELS[1:],
)  # fmt: skip
"""Channels in force, in the order in which the kernel reads them; hashprices of further markets follow them."""

N_CHANNELS: Final = len(SIM_CHANNELS)


@dataclass(frozen=True, slots=True)
class Exogenous:
    """The world that no action changes, shared read-only by all environments.

    values: what is in force in each step, in the order of SIM_CHANNELS, then the hashprices of the second and further
    markets. known: what an operator knows of it when the
    step begins, float32 as observations are, in the order of channels.
    """

    values: npt.NDArray[np.float64]  # (n_series, n_steps, N_CHANNELS + n_markets - 1)
    known: npt.NDArray[np.float32]  # (n_series, n_steps, len(channels))
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check shapes and finiteness; raises BadInputError."""
        further = tuple(f"hashprice of market {m}" for m in range(1, self.values.shape[-1] - N_CHANNELS + 1))
        in_force = SIM_CHANNELS + further
        for name, array, columns in (("values", self.values, in_force), ("known", self.known, self.channels)):
            if array.ndim != 3 or array.shape[2] != len(columns):
                raise BadInputError(
                    f"Exogenous.{name} has shape {array.shape}; it must be (n_series, n_steps, {len(columns)})"
                )
            if not np.isfinite(array).all():
                bad = np.argwhere(~np.isfinite(array))[0]
                raise BadInputError(f"Exogenous.{name} is not finite at step {bad[1]}, channel {columns[bad[2]]!r}")
            array.flags.writeable = False
        if (self.values[:, :, 1] > self.values[:, :, 0]).any():
            step = int(np.argwhere(self.values[:, :, 1] > self.values[:, :, 0])[0][1])
            raise BadInputError(f"Exogenous.values: the wet bulb is above the dry bulb at step {step}")
        if self.values.shape[:2] != self.known.shape[:2]:
            raise BadInputError(
                f"Exogenous.known has {self.known.shape[:2]} series and steps, values {self.values.shape[:2]}"
            )

    def __reduce__(self) -> tuple[type["Exogenous"], tuple[object, ...]]:
        """Pickle by the constructor, so that the copy is checked and read-only as well."""
        return Exogenous, (self.values, self.known, self.channels)

    @classmethod
    def plain(cls, values: npt.NDArray[np.float64]) -> "Exogenous":
        """Return a world of weather, one price of energy and hashprice alone, known as it comes.

        Args:
            values: Dry bulb [°C], wet bulb [°C], price [USD/MWh] and hashprice [USD/(PH/s)/day], (n_series, n_steps, 4).
        """
        rows = np.zeros((*values.shape[:2], N_CHANNELS))
        rows[..., : values.shape[2]] = values
        rows[..., SIM_CHANNELS.index("call_pu")] = 1.0
        return cls(rows, values[:, :, 2:3].astype(np.float32), ("known_energy_price_usd_per_mwh",))

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
