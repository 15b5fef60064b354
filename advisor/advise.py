"""From bundle, telemetry and history to a report: advice where it is clear, the reason where it is not."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Final

import pandas as pd

from ..forecast.model import Forecaster
from ..forecast.series import World
from ..sim.errors import BadInputError
from ..sim.exogenous import WARM_UP_STEPS
from ..sim.history import STEP, History
from . import fleet as fleets
from . import kinds, telemetry
from .bundle import FORECAST, Bundle
from .kinds import KINDS, Settings
from .outlook import read_forecaster, step_of, world_of
from .records import Abstention, Advice, Report
from .situation import Situation, observation_names, scenario_of
from .telemetry import Rejected, Telemetry
from .wording import utc

_MAKERS: Final[tuple[Callable[[Situation, Settings, dict[str, Any]], tuple[list[Advice], list[Abstention]]], ...]] = (
    kinds.dynamic_hashrate,
    kinds.power_limit,
)


@dataclass(frozen=True)
class Advisor:
    """A policy and a forecast that stand ready; `advise` looks at one moment."""

    bundle: Bundle
    forecaster: Forecaster
    settings: Settings

    @classmethod
    def of(cls, bundle: Bundle, settings: Settings | None = None) -> "Advisor":
        """Take policy and forecast from a bundle.

        Raises:
            BundleError: The bundle was made for other observations.
            BadInputError: It holds no forecast.
        """
        bundle.require_observations(observation_names(bundle))
        if FORECAST not in bundle.content:
            raise BadInputError(f"{bundle.folder} holds no {FORECAST}; export the policy with a forecast")
        forecaster = read_forecaster(bundle.content[FORECAST], str(bundle.folder / FORECAST))
        return cls(bundle, forecaster, settings or Settings())

    def advise(
        self, given: Telemetry, history: History, now: pd.Timestamp, clock: str, published: World | None = None
    ) -> Report:
        """Return what there is to say at a moment.

        Args:
            given: Telemetry as it was read.
            history: History up to now; what lies beyond is not looked at.
            now: The moment.
            clock: Where the moment comes from, for the report.
            published: The history's series, where they stand ready.
        """
        site = scenario_of(self.bundle, history).site
        rows, rejected = telemetry.check(given, site, now, self.settings.max_age_s)

        def silent(reason: str, situation: Situation | None = None) -> Report:
            return self._report(now, clock, [], [Abstention(kind, "site", reason) for kind in KINDS], rejected, situation)

        if given.frame.empty:
            return silent("the telemetry holds no machine")
        step = step_of(history, now)
        lacking = _lacking(history, step, now)
        if lacking is not None:
            return silent(lacking)
        if step >= len(history.frame):
            history, published = _reach(history, step), None
        outdoor_temp_c = float(history.frame["outdoor_temp_c"].iloc[step])
        longest_s = self.bundle.manifest["env"]["episode_steps"] * STEP.total_seconds()
        fleet = fleets.assess(rows, site, outdoor_temp_c, longest_s)
        if fleet.silent:
            return silent("; ".join(fleet.silent.values()))
        try:
            situation = Situation.at(
                self.bundle, history, published or world_of(history), self.forecaster, fleet.site, fleet.zones, step, self.settings.n_paths
            )  # fmt: skip
        except ValueError as error:
            return silent(f"no forecast: {error}")
        outside = situation.outside()
        if outside:
            return silent("outside what the policy was trained on: " + "; ".join(outside), situation)
        evidence = self._evidence(given, history, situation)
        advice: list[Advice] = []
        abstentions: list[Abstention] = []
        for make in _MAKERS:
            some, none = make(situation, self.settings, evidence)
            advice += some
            abstentions += none
        return self._report(now, clock, advice, abstentions, rejected, situation)

    def _report(
        self, now: pd.Timestamp, clock: str, advice: list[Advice], abstentions: list[Abstention],
        rejected: list[Rejected], situation: Situation | None,
    ) -> Report:  # fmt: skip
        site = str(self.bundle.manifest["site"])
        return Report(utc(now), clock, site, tuple(advice), tuple(abstentions), tuple(rejected), situation)

    def _evidence(self, given: Telemetry, history: History, situation: Situation) -> dict[str, Any]:
        return {
            "bundle": self.bundle.manifest["model_sha256"][:16],
            "forecast_until_utc": self.forecaster.about["until"],
            "history": {"kind": history.kind, "hash": history.hash},
            "telemetry_sha256": given.sha256[:16],
            "simulator": f"hashgym {metadata.version('hashgym')}",
            "paths": situation.paths.n_paths,
            "seed": self.settings.seed,
        }


def moment(given: Telemetry, history: History, at: pd.Timestamp | None) -> tuple[pd.Timestamp, str]:
    """Return the moment of the advice and where it comes from.

    A given moment stands. A synthetic history has no relation to the calendar: there now is when the fleet last
    reported. Else the system's clock tells, so that telemetry that has stopped coming is seen to be stale.
    """
    if at is not None:
        return at, "given"
    if history.kind == "synthetic" and given.reported is not None:
        return given.reported, "telemetry"
    return pd.Timestamp.now(tz="UTC").floor("s"), "system"


def _lacking(history: History, step: int, now: pd.Timestamp) -> str | None:
    """Return what a history lacks for advice at a step, None if nothing."""
    if step < WARM_UP_STEPS:
        return f"the history begins {utc(history.start)}; advice at {utc(now)} needs two days of it before"
    late_s = (now - history.end).total_seconds()
    if late_s > history.price_interval_s:
        return f"the history ends {utc(history.end)}, {late_s / 3600.0:.1f} h before {utc(now)}; import it up to now"
    return None


def _reach(history: History, step: int) -> History:
    """Return a history that goes on to a step by what was last in force, a settlement interval at most."""
    frame = history.frame
    stamps = pd.date_range(frame.index[-1] + STEP, periods=step + 1 - len(frame), freq=STEP)
    last = frame.iloc[[-1] * len(stamps)].set_axis(stamps)
    return replace(history, frame=pd.concat([frame, last]))
