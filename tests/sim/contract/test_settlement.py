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


def test_a_call_credits_what_is_shed_and_fines_what_is_not() -> None:
    world = history()
    world.frame.iloc[120:144, list(world.frame.columns).index("curtailment_call")] = 1.0
    kwh = energy(world, 900.0)
    kwh[120:132] = 100.0 * STEP_H  # an hour kept
    kwh[132:144] = 500.0 * STEP_H  # an hour in breach: 200 kW over what is allowed
    programme = CurtailmentProgramme(
        committed_pu=0.7, capacity_usd_per_mw_h=5.0, credit_usd_per_mwh=100.0, breach_usd_per_mwh=1000.0
    )
    found = bill(Contract(energy=FlatTariff(energy_price_usd_per_mwh=0.0), curtailment=programme), world, kwh)
    assert found["credit_usd"] == pytest.approx(-100.0 * (0.7 + 0.5))
    assert found["breach_usd"] == pytest.approx(1000.0 * 0.2)
    assert found["capacity_usd"] == pytest.approx(-5.0 * 0.7 * 744.0)


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
    kwh[5] = -1.0
    with pytest.raises(BadInputError, match=r"energy_kwh\[5\] is .*-1"):
        settle(Contract(), world, kwh, 1e6)
    with pytest.raises(BadInputError, match="shape"):
        settle(Contract(), world, kwh[:-1], 1e6)
