"""Write docs/results.md from docs/results.json: `python -m tools.results_page`.

A row of the JSON is one figure: scenario, env, policy, metric, its value as `iqm` (interquartile mean over runs) or `mean` (over
episodes), lo and hi of its 95 % interval or null, seeds (runs of training behind it), and where there is something to say `history`
and `note`. Text around the tables stands here; a figure that has an interval stands in the JSON alone.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_text

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"

Row = dict[str, Any]

_KEYS: Final = {"scenario", "env", "policy", "metric", "lo", "hi", "seeds"}
_VALUES: Final = {"iqm", "mean"}
_OPTIONAL: Final = {"history", "note"}

PROFIT: Final = "net_profit_usd_per_day"
GAIN: Final = "gain_over_always_on_pct"
OVER_RULE: Final = "gain_over_best_rule_pct"
STARTS: Final = "starts_per_week"

INTRO: Final = """# Results

Written by `python -m tools.results_page` from [results.json](results.json); do not edit. What is left to win on each scenario is on a page of its own,
[headroom](headroom.md).

Version 0.1, 2 CPU cores, 2026-11-28. Net profit is dollars a day of one container of 280 S19j Pro; intervals are bootstrap
95 %: of a synthetic scenario over twenty drawn years, then over eight episodes of 7 days within each; of a replay over the weeks of its one year. Gains
are paired differences over the mean of what they are compared with. The interval is not that of training.
"""

TEXAS: Final = """## west_texas_air, twenty drawn years of 2025

`hashgym train` and `hashgym evaluate`: ERCOT's real-time price known 15 minutes late, four coincident peaks at 65 USD a kW and year, a curtailment programme for 70 % of rated
power, start-up of 10 minutes, 0.50 USD of wear a machine, machines of four years that fail and gather dust. 160 episodes. All rules shed for calls and
peaks.

{table}

**One run of PPO on discrete actions from a clone of the tuned rule: {gains[0]} over the best rule.** Where there is something to win says
[headroom](headroom.md), what learners that begin as the best rule win of it says [learning](learning.md).
"""

FAST: Final = """## The same with firmware that starts in 10 seconds

`hashgym evaluate scenario.site.zones.0.firmware=fast_curtail`, rules and bound only.

{table}
"""

REPLAY: Final = """## Real history, held out April to December 2023

`west_texas_air_replay`: ERCOT day-ahead hub average (known the day before, used as the settlement price), hourly Bitcoin price, difficulty, fees and
Dallas weather, June 2021 to December 2023. The files are not ours to redistribute; [scenarios.md](scenarios.md) says which
they are. Neither coincident peaks nor calls: there is no list of them. One year: 39 episodes, rules and bound only.

{table}

With prices known a day ahead six hours of foresight are worth {foresight_pct:.1f} %.
"""

OTHERS: Final = """## Other scenarios, rules alone

Tuned on the training months, judged on twenty drawn years of the test months; USD a day. Those with a battery, sun or reserve are on the page of
[headroom](headroom.md). Cooling, coin and several zones are what their environments are for; learners on them are not measured yet.

{table}
"""

CHANNELS: Final = """## What a declared channel adds to the forecast

`hashgym forecast --ablate` on the same real history, April to November 2023: by how many percent the mean absolute error of 1 to 24 hours falls against
a placebo, mean of three seeds.

{table}

The share of renewables helps the price of energy; on-chain activity helps nothing.
"""

SPEED: Final = """## Speed

`hashgym bench --full`, side by side in one run; the machine is shared, so ratios say more than rates.

{table}

{by_env}

Beside simulators of the neighbourhood (`benchmarks/peers.py`, SiteOperation with random actions, rates in turn): pymgrid 1,690 steps/s, 23 times less than ours alone
and 562 times less than a batch; EV2Gym 935, 41 and 1,026 times. CityLearn fetches its data from the network, which there was none of.

A site with battery and sun takes 0.79 to 1.04 of the steps of the same site without (four runs of 2,048 environments, mean 0.92). EnvPool was not at hand for this
run: the version before did 2.05 times its Pendulum, and the aim is 2.5.

1,024 environments over five years of history take 0.73 GiB in all. Import and first step, history included: 3.0 s with a warm cache of kernels.
10⁸ steps of random play (`benchmarks/random_play.py --steps 100000000`: every environment, every scenario, machines off their model by up to a third, actions at
their ends) broke no bound.
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: its value, None where only a span is known, and the ends of its interval or span."""

    value: float | None
    lo: float | None
    hi: float | None

    def text(self, digits: int = 1) -> str:
        """Return it as `value (lo … hi)`, or `lo to hi` where there is no value."""
        if self.value is None:
            return f"{_number(self.lo or 0.0, digits)} to {_number(self.hi or 0.0, digits)}"
        if self.lo is None or self.hi is None:
            return _number(self.value, digits)
        ends = f"{_number(self.lo, digits)} … {_number(self.hi, digits)}"
        return f"{_number(self.value, digits)} ({ends})"

    def percent(self) -> str:
        """Return a gain with its interval, signs and all."""
        ends = f"{_number(self.lo or 0.0, 2, '+')} … {_number(self.hi or 0.0, 2, '+')}"
        return f"{_number(self.value or 0.0, 2, '+')} % ({ends})"


def _number(value: float, digits: int, sign: str = "") -> str:
    return f"{value:{sign},.{digits}f}".replace("-", "−")


def read(path: Path) -> list[Row]:
    """Return the rows of a results file; raises BadInputError that names file, row and key if one is not of the schema."""
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))
    for number, row in enumerate(rows):
        missing, unknown = _KEYS - set(row), set(row) - _KEYS - _VALUES - _OPTIONAL
        if missing or unknown or len(_VALUES & set(row)) != 1:
            raise BadInputError(
                f"{path}, row {number}: keys are {', '.join(sorted(row))}; a row has {', '.join(sorted(_KEYS))}, either iqm or mean, and "
                "may have history and note"
            )
        ends = row["lo"], row["hi"]
        value = _value(row)
        if value is not None and None not in ends and not ends[0] <= value <= ends[1]:
            raise BadInputError(f"{path}, row {number}: {value!r} is not in its interval {ends[0]!r}…{ends[1]!r}")
        if value is None and None in ends:
            raise BadInputError(f"{path}, row {number}: it has neither a value nor both ends of a span")
    return rows


def _value(row: Row) -> float | None:
    value: float | None = row["iqm"] if "iqm" in row else row["mean"]
    return value


class Results:
    """Figures by what they are of."""

    def __init__(self, rows: list[Row]) -> None:
        """Take the rows of a results file."""
        self.rows = rows

    def where(self, **wanted: str) -> list[Row]:
        """Return the rows that hold these values, in order of the file."""
        return [row for row in self.rows if all(row[key] == value for key, value in wanted.items())]

    def figures(self, **wanted: str) -> list[Figure]:
        """Return the figures of those rows."""
        return [Figure(_value(row), row["lo"], row["hi"]) for row in self.where(**wanted)]

    def cell(self, digits: int = 1, **wanted: str) -> str:
        """Return the one figure of those rows as text, "" if there is none."""
        found = self.figures(**wanted)
        return found[0].text(digits) if found else ""

    def names(self, key: str, **wanted: str) -> list[str]:
        """Return the values of a key among those rows, each once, in order of the file."""
        return list(dict.fromkeys(row[key] for row in self.where(**wanted)))


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])


def policies(results: Results, scenario: str) -> str:
    """Return the table of a scenario's policies, in order of the file."""
    rows = []
    for row in results.where(scenario=scenario, metric=PROFIT):
        wanted = {"scenario": scenario, "policy": row["policy"]}
        gain = "0" if row["policy"] == "always_on" else results.cell(metric=GAIN, **wanted)
        label = f"{row['policy']} ({row['note']})" if "note" in row else row["policy"]
        rows.append([label, results.cell(metric=PROFIT, **wanted), gain, results.cell(2, metric=STARTS, **wanted)])
    return table(["policy", "net profit, USD/day", "gain over always-on, %", "starts a week"], rows)


def others(results: Results) -> str:
    """Return the net profit of rules on the scenarios that no learner was measured on."""
    shown = ("georgia_room", "nordic_hydro", "alberta_immersion", "scrypt_shed")
    names = results.names("policy", scenario=shown[0], metric=PROFIT)
    rows = [[f"`{s}`", *(results.cell(scenario=s, policy=p, metric=PROFIT) for p in names)] for s in shown]
    return table(["scenario", *names], rows)


def channels(results: Results) -> str:
    """Return what channels add to forecasts; bold where the interval lies above 0."""
    metrics = results.names("metric", env="forecast")
    rows = []
    for channel in results.names("policy", env="forecast"):
        found = [results.figures(env="forecast", policy=channel, metric=metric)[0] for metric in metrics]
        cells = [f"**{figure.text()}**" if (figure.lo or 0.0) > 0.0 else figure.text() for figure in found]
        rows.append([f"`{channel}`", *cells])
    return table(["channel", *(metric.removesuffix("_error_cut_pct") for metric in metrics)], rows)


def speed(results: Results) -> str:
    """Return the rates of the bench and what they are over others'."""
    rows = []
    for what in results.names("env", scenario="bench"):
        zones, steps = (results.cell(0, scenario="bench", env=what, metric=f"{n}steps_per_s") for n in ("zone_", ""))
        ratios = results.where(scenario="bench", env=what, metric="ratio")
        ratio = f"{_number(_value(ratios[0]) or 0.0, 2)} × {ratios[0]['note']}" if ratios else ""
        rows.append([what, f"{zones} zone-steps/s" if zones else steps, ratio])
    return table(["what", "steps/s", "ratio"], rows)


def by_env(results: Results) -> str:
    """Return the rates of every environment, alone and 1,024 in a call."""
    rows = []
    for row in results.where(metric="steps_per_s_alone"):
        wanted = {"env": row["env"], "scenario": row["scenario"]}
        cells = [results.cell(0, metric=f"steps_per_s_{how}", **wanted) for how in ("alone", "1024")]
        rows.append([f"{row['env']}, {row['scenario']}", *cells])
    return table(["environment", "alone, steps/s", "1,024 in a call, steps/s"], rows)


def page(rows: list[Row]) -> str:
    """Return docs/results.md of the rows of results.json."""
    results = Results(rows)

    def gains(scenario: str) -> list[str]:
        return [figure.percent() for figure in results.figures(scenario=scenario, policy="ppo", metric=OVER_RULE)]

    def usd(scenario: str, policy: str) -> float:
        return results.figures(scenario=scenario, policy=policy, metric=PROFIT)[0].value or 0.0

    texas, replay = "west_texas_air", "west_texas_air_replay"
    foresight_pct = 100.0 * (usd(replay, "foresight_6h") / usd(replay, "hysteresis") - 1.0)
    parts = [
        INTRO,
        TEXAS.format(table=policies(results, texas), gains=gains(texas)),
        FAST.format(table=policies(results, f"{texas}, fast_curtail")),
        REPLAY.format(table=policies(results, replay), foresight_pct=foresight_pct),
        OTHERS.format(table=others(results)),
        CHANNELS.format(table=channels(results)),
        SPEED.format(table=speed(results), by_env=by_env(results)),
    ]
    return "\n".join(parts)


def main() -> None:
    """Write the page."""
    write_text(DOCS / "results.md", page(read(DOCS / "results.json")))


if __name__ == "__main__":
    main()
