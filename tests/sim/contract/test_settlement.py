"""Bills against arithmetic by hand, and the sum of a simulation's bookings against the bill."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hashgym.sim.contract.channels import coincident_steps
from hashgym.sim.contract.contract import (
    Block,
    CoincidentPeakCharge,
    Contract,
    CurtailmentProgramme,
    DemandCharge,
    FlatTariff,
    HoursUseTariff,
    RealTimeTariff,
)
from hashgym.sim.contract.settlement import Bill, settle
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import History
from hashgym.sim.series import exogenous
from hashgym.sim.site.step import Site
from tests.conftest import site

STEP_H = 1.0 / 12.0


def history(start: str = "2023-08-01T05:00", days: int = 31, price: float = 30.0) -> History:
    index = pd.date_range(start, periods=days * 288, freq="5min", tz="UTC")
    frame = pd.DataFrame(index=index)
    frame["outdoor_temp_c"], frame["relative_humidity_pct"] = 25.0, 40.0
    frame["market_price_usd_per_mwh"], frame["coin_price_usd"] = price, 27e3
    frame["difficulty"], frame["fee_share"] = 5e13, 0.02
    frame["grid_load_mw"], frame["curtailment_call"], frame["carbon_g_per_kwh"] = 50e3, 0.0, 400.0
    return History(
        frame=frame,
        kind="imported",
        publication="after_interval",
        price_interval_s=900,
        timezone="America/Chicago",
    )


def energy(world: History, power_kw: float) -> np.ndarray:
    return np.full(len(world.frame), power_kw * STEP_H)


def bill(contract: Contract, world: History, kwh: np.ndarray, rated_w: float = 1e6) -> pd.Series:
    months, _ = settle(contract, world, kwh, rated_w)
    assert len(months) == 1
    return months.iloc[0]


def test_flat_energy_and_fixed_charge() -> None:
    contract = Contract(energy=FlatTariff(energy_price_usd_per_mwh=50.0), fixed_usd_per_month=200.0)
    world = history()
    found = bill(contract, world, energy(world, 1000.0))
    # 1 MW for 31 days is 744 MWh at 50 USD, and the customer charge.
    assert found["energy_usd"] == pytest.approx(37_200.0)
    assert found["fixed_usd"] == pytest.approx(200.0)
    assert found["total_usd"] == pytest.approx(37_400.0)
    assert found["peak_kw"] == pytest.approx(1000.0)


def test_the_fixed_charge_of_a_month_with_a_change_of_clocks() -> None:
    world = history("2023-11-01T05:00", 30)
    world = replace(
        world,
        frame=pd.concat(
            [world.frame, world.frame.iloc[-12:].set_axis(pd.date_range(world.end, periods=12, freq="5min"))]
        ),
    )
    contract = Contract(energy=FlatTariff(energy_price_usd_per_mwh=0.0), fixed_usd_per_month=1000.0)
    assert bill(contract, world, energy(world, 0.0))["fixed_usd"] == pytest.approx(1000.0)


def test_demand_is_the_highest_mean_of_a_clock_quarter_hour() -> None:
    world = history()
    kwh = energy(world, 500.0)
    kwh[300:303] = 900.0 * STEP_H  # a whole quarter-hour
    kwh[601:604] = 1500.0 * STEP_H  # one that lies across two: means of 833.3 and 1,166.7
    charges = (DemandCharge(usd_per_kw=10.0), DemandCharge(usd_per_kw=4.0, hours=(12, 13), weekdays_only=True))
    contract = Contract(energy=FlatTariff(energy_price_usd_per_mwh=0.0), demand=charges)
    found = bill(contract, world, kwh)
    assert found["demand_usd"] == pytest.approx(10.0 * (500.0 + 2 * 1000.0) / 3.0 + 10.0 * 1000.0 / 3.0, rel=1e-9)
    assert found["window_demand_usd"] == pytest.approx(4.0 * 500.0)


def test_four_coincident_peaks() -> None:
    world = history()
    peak = 3000 // 3 * 3
    world.frame.iloc[peak : peak + 3, list(world.frame.columns).index("grid_load_mw")] = 85e3
    kwh = energy(world, 800.0)
    kwh[peak : peak + 3] = [0.0, 300.0 * STEP_H, 600.0 * STEP_H]
    charge = CoincidentPeakCharge(usd_per_kw_year=60.0)
    contract = Contract(energy=FlatTariff(energy_price_usd_per_mwh=0.0), coincident_peak=charge)
    assert np.flatnonzero(coincident_steps(world, charge, 900)).tolist() == [peak, peak + 1, peak + 2]
    # A quarter of 60 USD for a mean of 300 kW.
    assert bill(contract, world, kwh)["coincident_usd"] == pytest.approx(15.0 * 300.0)


def test_a_hot_august_in_the_kind_of_riot_2023() -> None:
    """A block of 345 MW at a fixed price, sold back in the peaks, and pay for being ready.

    Riot Platforms, August 2023: 24.2 million USD of power credits, 7.4 million of demand-response credits, curtailed by
    over 95 % in the peaks. Its hours, strikes and pay are not public; the arithmetic is of that kind: 25 hours at
    2,600 USD/MWh, 95 % of the block sold back, 22.4 million USD by hand.
    """
    world = history(price=28.0)
    kwh = energy(world, 345_000.0)
    hours = np.zeros(len(kwh), np.bool_)
    hours[1000:1300] = True
    world.frame.loc[hours, "market_price_usd_per_mwh"] = 2600.0
    world.frame.loc[hours, "curtailment_call"] = 1.0
    kwh[hours] *= 0.05
    contract = Contract(
        energy=RealTimeTariff(adder_usd_per_mwh=0.0),
        block=Block(power_w=345e6, strike_usd_per_mwh=28.0),
        curtailment=CurtailmentProgramme(committed_pu=0.95, capacity_usd_per_mw_h=30.0, credit_usd_per_mwh=0.0),
    )
    found = bill(contract, world, kwh, 345e6)
    assert found["block_usd"] == pytest.approx(345.0 * 744.0 * 28.0)
    assert found["resale_usd"] == pytest.approx(-0.95 * 345.0 * 25.0 * 2600.0)
    assert found["capacity_usd"] == pytest.approx(-0.95 * 345.0 * 744.0 * 30.0)
    assert found["energy_usd"] == found["breach_usd"] == 0.0
    assert found["resale_usd"] == pytest.approx(-21.3e6, rel=0.01)
    assert found["capacity_usd"] == pytest.approx(-7.3e6, rel=0.01)


def test_july_2022_by_the_megawatt_hour() -> None:
    # 11,717 MWh given back for 9.5 million USD are 811 USD a megawatt-hour.
    world = history("2022-07-01T05:00", 31, price=811.0)
    contract = Contract(
        energy=RealTimeTariff(adder_usd_per_mwh=0.0), block=Block(power_w=11_717e6 / 744.0, strike_usd_per_mwh=0.0)
    )
    assert bill(contract, world, energy(world, 0.0))["resale_usd"] == pytest.approx(-9.5e6, rel=1e-3)


def test_a_call_credits_what_is_shed_and_one_that_fails_costs_half_a_year() -> None:
    world = history()
    world.frame.iloc[120:144, list(world.frame.columns).index("curtailment_call")] = 1.0
    kwh = energy(world, 900.0)
    kwh[120:132] = 100.0 * STEP_H  # an hour kept
    kwh[132:144] = 500.0 * STEP_H  # an hour in breach: 200 kW over what is allowed
    programme = CurtailmentProgramme(committed_pu=0.7, capacity_usd_per_mw_h=5.0, credit_usd_per_mwh=100.0)
    found = bill(Contract(energy=FlatTariff(energy_price_usd_per_mwh=0.0), curtailment=programme), world, kwh)
    assert found["credit_usd"] == pytest.approx(-100.0 * (0.7 + 0.5))
    assert found["capacity_usd"] == pytest.approx(-5.0 * 0.7 * 744.0)
    # Of the obligation 1.2 / 1.4 was met: the rest of the term's pay until then, 12 hours of it, and 180 days without any.
    missed = 1.0 - 1.2 / 1.4
    assert found["breach_usd"] == pytest.approx(missed * 5.0 * 0.7 * 12.0 + 180.0 * 24.0 * 5.0 * 0.7)


@pytest.mark.parametrize(("shed_kw", "is_passed"), [(670.0, True), (660.0, False)])
def test_a_call_is_passed_with_ninety_five_hundredths_of_the_obligation(shed_kw: float, is_passed: bool) -> None:
    world = history()
    world.frame.iloc[120:132, list(world.frame.columns).index("curtailment_call")] = 1.0
    kwh = energy(world, 1000.0)
    kwh[120:132] = (1000.0 - shed_kw) * STEP_H
    contract = Contract(
        energy=FlatTariff(energy_price_usd_per_mwh=0.0), curtailment=CurtailmentProgramme(committed_pu=0.7)
    )
    assert (bill(contract, world, kwh)["breach_usd"] == 0.0) == is_passed


@pytest.mark.parametrize(("share_asleep", "factor"), [(0.0, 1.0), (0.04, 1.0), (0.25, 0.75**2), (0.5, 0.25)])
def test_a_term_pays_by_the_square_of_an_availability_below_ninety_five_hundredths(
    share_asleep: float, factor: float
) -> None:
    world = history()
    kwh = energy(world, 1000.0)
    kwh[: round(share_asleep * len(kwh))] = 0.0
    contract = Contract(
        energy=FlatTariff(energy_price_usd_per_mwh=0.0),
        curtailment=CurtailmentProgramme(committed_pu=0.7, capacity_usd_per_mw_h=7.0),
    )
    assert bill(contract, world, kwh)["capacity_usd"] == pytest.approx(-7.0 * 0.7 * 744.0 * factor, rel=1e-3)


def test_hours_use_blocks_follow_energy_and_demand() -> None:
    # 1 MW all month is 744 hours' use; by hand from the schedule's blocks (Georgia Power, PLL-18), riders of 38 USD/MWh.
    contract = Contract(energy=HoursUseTariff())
    found = bill(contract, history(), energy(history(), 1000.0))
    first = 3.0 * 189.43 + 7.0 * 171.794 + 190.0 * 145.0
    by_hand = first + 200.0 * 19.458 + 200.0 * 14.671 + 144.0 * 11.01 + 744.0 * 38.0
    assert found["energy_usd"] + found["hours_use_usd"] == pytest.approx(by_hand)
    # A tenth of the hours at the same demand stays in the first block, 74.4 hours' use.
    kwh = np.zeros(len(history().frame))
    kwh[: len(kwh) // 10] = 1000.0 * STEP_H
    part = bill(contract, history(), kwh)
    energy_mwh = kwh.sum() / 1000.0
    by_hand = 3.0 * 189.43 + 7.0 * 171.794 + (energy_mwh - 10.0) * 145.0 + energy_mwh * 38.0
    assert part["energy_usd"] + part["hours_use_usd"] == pytest.approx(by_hand)
    ratcheted = Contract(energy=HoursUseTariff(ratchet_kw=2000.0))
    assert bill(ratcheted, history(), energy(history(), 1000.0))["hours_use_usd"] > found["hours_use_usd"]


def test_hourly_prices_against_a_baseline_are_a_block_with_resale() -> None:
    # Georgia Power's RTP-DA: the standard bill for the baseline, and the hour's price for what is drawn beyond it or less.
    world = replace(history(price=60.0), publication="day_ahead")
    contract = Contract(
        energy=RealTimeTariff(adder_usd_per_mwh=3.5), block=Block(power_w=800e3, strike_usd_per_mwh=85.0 - 3.5)
    )
    kwh = energy(world, 1000.0)
    kwh[:144] = 300.0 * STEP_H
    found = bill(contract, world, kwh)
    more_mwh, less_mwh = 0.2 * 732.0, 0.5 * 12.0
    by_hand = 0.8 * 744.0 * 85.0 + (60.0 + 3.5) * (more_mwh - less_mwh)
    assert found["energy_usd"] + found["block_usd"] + found["resale_usd"] == pytest.approx(by_hand)


def test_twelve_coincident_peaks_and_a_markup_as_in_alberta() -> None:
    # AESO Rate DTS 2025: 10,927 CAD a megawatt in each month's peak, 12.44 % of the pool price for operating reserve; CAD at 0.73 USD.
    world = history(price=50.0)
    world.frame.loc[world.frame.index[5000:5003], "grid_load_mw"] = 60e3
    charge = CoincidentPeakCharge(usd_per_kw_year=12.0 * 10.927 * 0.73, months=tuple(range(1, 13)))
    contract = Contract(energy=RealTimeTariff(adder_usd_per_mwh=2.0, markup_frac=0.1244), coincident_peak=charge)
    found = bill(contract, world, energy(world, 1000.0))
    assert found["coincident_usd"] == pytest.approx(10_927.0 * 0.73, rel=1e-6)
    assert found["energy_usd"] == pytest.approx(744.0 * (50.0 * 1.1244 + 2.0))


def test_exported_energy_has_its_own_price_and_peaks_are_of_what_is_drawn() -> None:
    world = history(price=40.0)
    kwh = energy(world, 500.0)
    kwh[1::3] = -800.0 * STEP_H  # within each quarter-hour a third is exported
    contract = Contract(
        energy=RealTimeTariff(adder_usd_per_mwh=15.0), demand=(DemandCharge(usd_per_kw=10.0),), carbon_usd_per_t=50.0
    )
    found = bill(contract, world, kwh)
    drawn_mwh, exported_mwh = 0.5 * 744.0 * 2.0 / 3.0, 0.8 * 744.0 / 3.0
    assert found["energy_usd"] == pytest.approx(drawn_mwh * 55.0)
    assert found["export_usd"] == pytest.approx(-exported_mwh * 38.0)
    assert found["peak_kw"] == pytest.approx((500.0 * 2.0 - 800.0) / 3.0)
    assert found["demand_usd"] == pytest.approx(10.0 * found["peak_kw"])
    assert found["carbon_usd"] == pytest.approx(drawn_mwh * 0.4 * 50.0)


def test_carbon_is_priced_by_the_tonne() -> None:
    world = history()
    contract = Contract(energy=FlatTariff(energy_price_usd_per_mwh=0.0), carbon_usd_per_t=50.0)
    assert bill(contract, world, energy(world, 1000.0))["carbon_usd"] == pytest.approx(744.0 * 0.4 * 50.0)


def test_a_part_that_needs_a_column_refuses_a_history_without_it() -> None:
    bare = history()
    bare = replace(bare, frame=bare.frame.drop(columns=["grid_load_mw", "curtailment_call", "carbon_g_per_kwh"]))
    for contract, message in (
        (Contract(coincident_peak=CoincidentPeakCharge()), "coincident-peak charge needs the column 'grid_load_mw'"),
        (Contract(curtailment=CurtailmentProgramme()), "programme needs the column 'curtailment_call'"),
        (Contract(carbon_usd_per_t=1.0), "carbon price needs the column 'carbon_g_per_kwh'"),
        (Contract(block=Block(power_w=1e6)), "day-ahead price needs the column"),
    ):
        with pytest.raises(BadInputError, match=message):
            exogenous.build(bare, site(contract=contract))


def test_what_a_simulation_books_adds_up_to_the_bill() -> None:
    world = history(days=31)
    rng = np.random.default_rng(2)
    world.frame["market_price_usd_per_mwh"] = rng.lognormal(3.3, 0.8, len(world.frame)).round(2)
    world.frame["grid_load_mw"] = 50e3 + 20e3 * rng.random(len(world.frame))
    world.frame["curtailment_call"] = (rng.random(len(world.frame)) < 0.01).astype(float)
    contract = Contract(
        energy=RealTimeTariff(adder_usd_per_mwh=4.0),
        block=Block(power_w=20e3, strike_usd_per_mwh=35.0, resale_fee_usd_per_mwh=1.0),
        demand=(DemandCharge(usd_per_kw=9.0), DemandCharge(usd_per_kw=3.0, hours=tuple(range(12, 20)))),
        coincident_peak=CoincidentPeakCharge(),
        curtailment=CurtailmentProgramme(credit_usd_per_mwh=50.0),
        fixed_usd_per_month=300.0,
        carbon_usd_per_t=10.0,
    )
    params = site(contract=contract)
    run = Site(params, exogenous.build(world, params))
    kwh, booked = np.zeros(len(world.frame)), 0.0
    for step in range(len(world.frame)):
        flow = run.step(
            np.array([[rng.choice([0.0, 395.0, 545.0])]]) if step % 24 == 0 else run.state.zone["target_mhz"]
        )
        kwh[step] = flow["energy_kwh"][0]
        booked += float((flow["energy_usd"] + flow["demand_usd"] + flow["coincident_usd"] - flow["programme_usd"])[0])
    months, items = settle(contract, world, kwh, params.rated_power_w)
    assert booked == pytest.approx(months["total_usd"].sum(), rel=1e-9)
    assert items.shape == (len(kwh), len(Bill._fields))


def test_energy_that_cannot_be_is_refused() -> None:
    world = history(days=3)
    kwh = energy(world, 1.0)
    kwh[5] = np.nan
    with pytest.raises(BadInputError, match=r"energy_kwh\[5\] is nan"):
        settle(Contract(), world, kwh, 1e6)
    with pytest.raises(BadInputError, match="shape"):
        settle(Contract(), world, kwh[:-1], 1e6)
