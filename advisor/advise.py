"""From bundle, telemetry and history to a report: advice where it is clear, the reason where it is not."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Final

import numpy as np
import pandas as pd

from ..envs.scenario.published import published_series
from ..forecast.model import Forecaster
from ..forecast.paths import TooFewForecastsError
from ..forecast.series import PublishedSeries
from ..sim.foundation.errors import BadInputError
from ..sim.history.history import STEP, History, price_ahead
from ..sim.history.publication import ahead_until
from ..sim.series.exogenous import WARM_UP_STEPS
from ..sim.site.params import SiteParams
from . import fleet as fleets
from . import kinds, telemetry
from .bundle import FORECAST, Bundle
from .outlook import read_forecaster, step_of
from .records import Abstention, Advice, AdviceReport
from .situation import Situation, in_order_of, observation_names, scenario_of
from .telemetry import Rejected, Telemetry
from .trial import Settings
from .wording import utc

_MAKERS: Final[tuple[Callable[[Situation, Settings, dict[str, Any]], tuple[list[Advice], list[Abstention]]], ...]] = (
    kinds.dynamic_hashrate,
    kinds.power_limit,
    kinds.battery_dispatch,
)


class _Silence(Exception):
    """There is nothing that advice could stand on; the message says why."""

    def __init__(self, reason: str, notes: tuple[str, ...] = (), situation: Situation | None = None) -> None:
        super().__init__(reason)
        self.notes, self.situation = notes, situation


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
        self,
        given: Telemetry,
        history: History,
        now: pd.Timestamp,
        clock: str,
        published: PublishedSeries | None = None,
        charge_pu: float | None = None,
    ) -> AdviceReport:
        """Return what there is to say at a moment.

        Args:
            given: Telemetry as it was read.
            history: History up to now; what lies beyond is not looked at.
            now: The moment.
            clock: Where the moment comes from, for the report.
            published: The history's series, where they stand ready.
            charge_pu: Energy in the site's battery over what it holds, where there is one.

        Raises:
            BadInputError: The site has a battery and its charge is not given, or beyond 0 to 1.
        """
        history = in_order_of(self.bundle, history)
        site = scenario_of(self.bundle, history).site
        given = telemetry.complete(given, site, outdoor_temp_c(history, now))
        rows, rejected = telemetry.check(given, site, now, self.settings.max_age_s)
        charge_pu = charge_of(site, charge_pu)
        try:
            situation = self._look(given, rows, site, history, now, published, charge_pu)
        except _Silence as silence:
            abstentions = [Abstention(kind, "site", str(silence)) for kind in kinds.of_site(site)]
            return self._report(
                now, clock, [], abstentions, rejected, silence.notes, silence.situation, is_judged=False
            )
        evidence = self._evidence(given, history, situation)
        advice: list[Advice] = []
        abstentions = []
        for make in _MAKERS:
            some, none = make(situation, self.settings, evidence)
            advice += some
            abstentions += none
        if len({entry.kind for entry in advice}) > 1:
            advice = [replace(entry, excludes=kinds.excluded(entry.kind, advice)) for entry in advice]
        return self._report(
            now, clock, advice, abstentions, rejected, situation.notes + _doubts(situation), situation, is_judged=True
        )

    def _look(
        self,
        given: Telemetry,
        rows: pd.DataFrame,
        site: SiteParams,
        history: History,
        now: pd.Timestamp,
        published: PublishedSeries | None,
        charge_pu: float | None,
    ) -> Situation:
        """Return the situation at a moment; raises _Silence if there is nothing that advice could stand on."""
        if given.frame.empty:
            raise _Silence("the telemetry holds no machine")
        step = step_of(history, now)
        _require_span(history, step, now)
        if step >= len(history.frame):
            history, published = reach(history, step), None
        self._require_ahead(history, step)
        fleet = assessed(self.bundle, given, rows, site, history, step)
        if fleet.silent:
            raise _Silence("; ".join(fleet.silent.values()), fleet.notes)
        series = published or published_series(history, site.markets[0])
        try:
            n_paths = self.settings.n_paths
            situation = Situation.at(self.bundle, history, series, self.forecaster, fleet, step, n_paths, charge_pu)
        except TooFewForecastsError as error:
            raise _Silence(f"no forecast: {error}") from error
        far = situation.far_outside
        if far:
            raise _Silence("far outside what the policy was trained on: " + "; ".join(far), fleet.notes, situation)
        return situation

    def _require_ahead(self, history: History, step: int) -> None:
        """Require the published prices of the next day that the forecast lives on; raises _Silence that names them."""
        uses_ahead = "day_ahead" in self.forecaster.features.get("market_price_usd_per_mwh", ())
        if history.publication != "day_ahead" and not uses_ahead:
            return
        name = history.ahead_column
        if name not in history.frame:
            raise _Silence(f"the forecast needs the column {name!r}, which the history lacks")
        out, held = ahead_until(history, step), len(price_ahead(history))
        if held < out:
            ends, needed = (utc(history.start + STEP * count) for count in (held, out))
            raise _Silence(
                f"the history holds {name} until {ends}, published are those until {needed}: import them as well"
            )

    def _report(
        self,
        now: pd.Timestamp,
        clock: str,
        advice: list[Advice],
        abstentions: list[Abstention],
        rejected: list[Rejected],
        notes: tuple[str, ...],
        situation: Situation | None,
        *,
        is_judged: bool,
    ) -> AdviceReport:
        site = str(self.bundle.manifest["site"])
        return AdviceReport(
            utc(now), clock, site, tuple(advice), tuple(abstentions), tuple(rejected), notes, is_judged, situation
        )

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


def assessed(
    bundle: Bundle, given: Telemetry, rows: pd.DataFrame, site: SiteParams, history: History, step: int
) -> fleets.Fleet:
    """Return the fleet that sound rows of telemetry tell of in a step of a history, with the notes of what was modelled."""
    outdoor_c = float(history.frame["outdoor_temp_c"].iloc[step])
    longest_s = bundle.manifest["env"]["episode_steps"] * STEP.total_seconds()
    fleet = fleets.assess(rows, site, outdoor_c, longest_s, given.frame)
    return replace(fleet, notes=(*given.notes, *fleet.notes))


def charge_of(site: SiteParams, charge_pu: float | None) -> float | None:
    """Return the charge of a site's battery, None where there is none; raises BadInputError if it is missing or no charge."""
    if site.battery is None:
        return None
    if charge_pu is None or not 0.0 <= charge_pu <= 1.0:
        raise BadInputError(
            f"the charge of the site's battery is {charge_pu!r}; it must be given, from 0 to 1 (`--battery-charge 0.6`)"
        )
    return float(charge_pu)


def outdoor_temp_c(history: History, now: pd.Timestamp) -> float:
    """Return the outdoor temperature that a history last held at a moment. [°C]"""
    step = min(max(int((now - history.start) / STEP), 0), len(history.frame) - 1)
    return float(history.frame["outdoor_temp_c"].iloc[step])


def _doubts(situation: Situation) -> tuple[str, ...]:
    """Return notes of what lies outside the trained range, and what that does to the figures."""
    if not situation.excesses:
        return ()
    texts = "; ".join(excess.text for excess in situation.excesses)
    wider = f"intervals are drawn {100.0 * (situation.widening - 1.0):.0f} % wider"
    return (
        f"outside what the policy was trained on: {texts}; it is given the nearest value that it knows, and {wider}",
    )


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


def _require_span(history: History, step: int, now: pd.Timestamp) -> None:
    """Require two days of history before now, and none missing up to it; raises _Silence that names what is."""
    if step < WARM_UP_STEPS:
        raise _Silence(f"the history begins {utc(history.start)}; advice at {utc(now)} needs two days of it before")
    late_s = (now - history.end).total_seconds()
    if late_s > history.price_interval_s:
        raise _Silence(
            f"the history ends {utc(history.end)}, {late_s / 3600.0:.1f} h before {utc(now)}; import it up to now"
        )


def reach(history: History, step: int) -> History:
    """Return a history that goes on to a step by what was last in force, a settlement interval at most.

    Prices that are out ahead become the rows' own; the rest of them stays ahead.
    """
    frame, n = history.frame, step + 1 - len(history.frame)
    stamps = pd.date_range(frame.index[-1] + STEP, periods=n, freq=STEP)
    rows = frame.iloc[[-1] * n].set_axis(stamps)
    ahead = history.ahead
    if ahead is not None:
        rows[history.ahead_column] = np.append(ahead[:n], np.full(max(0, n - len(ahead)), ahead[-1]))
        ahead = ahead[n:] if len(ahead) > n else None
    return replace(history, frame=pd.concat([frame, rows]), ahead=ahead)
