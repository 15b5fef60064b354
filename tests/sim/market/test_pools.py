"""Pools and markets: what is paid by expectation, by luck and in cash."""

from dataclasses import replace

import numpy as np
import pytest

from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue
from hashgym.sim.history.history import Channel, History
from hashgym.sim.market.coins import coin_hashprice
from hashgym.sim.market.pools import (
    Market,
    Pool,
    expected_usd_per_ph_day,
    luck,
    paid_frac,
    realised_usd_per_ph_day,
    usual_market,
)
from hashgym.sim.market.sale import change_market
from hashgym.sim.series import exogenous
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from hashgym.synthesis.generate import synthesize

SPACING_S = 600.0


@pytest.fixture(scope="module")
def history() -> History:
    return synthesize("alberta", "2024-06-01", "2024-08-01", 2, ("bch", "ltc", "doge"))


def test_a_pool_keeps_fee_stale_work_and_downtime(history: History) -> None:
    pool = Pool(fee_frac=0.02, stale_frac=0.005, latency_ms=40.0, uptime_frac=0.99, bonus_frac=0.01)
    assert paid_frac(pool, history, SPACING_S) == pytest.approx(0.98 * 0.995 * 0.99 * 1.01)
    slow = replace(pool, latency_ms=640.0)
    # 600 ms more of a block's 600 s are a thousandth of the work.
    assert paid_frac(slow, history, SPACING_S) == pytest.approx(0.98 * (1.0 - 0.006) * 0.99 * 1.01)


def test_a_series_of_the_history_replaces_the_constant(history: History) -> None:
    column = "pool_mine_fee_frac"
    fee = np.where(np.arange(len(history.frame)) < 1000, 0.01, 0.04)
    given = replace(
        history,
        frame=history.frame.assign(**{column: fee}),
        channels={column: Channel(unit="1", low=0.0, high=1.0)},
    )
    pool = Pool(name="mine", stale_frac=0.0)
    paid = paid_frac(pool, given, SPACING_S)
    assert paid[[0, 999, 1000]] == pytest.approx([0.99, 0.99, 0.96])
    assert paid_frac(replace(pool, name="other"), given, SPACING_S) == pytest.approx(0.98)


@pytest.mark.parametrize("scheme", ["pplns", "pps+", "solo"])
def test_luck_is_fair_and_the_smaller_the_pool_the_rougher(scheme: str) -> None:
    n_steps = 200_000
    small, large = (
        luck(Pool(scheme=scheme, network_share=share), n_steps, share, SPACING_S, 0) for share in (0.05, 0.3)
    )
    for share, found in ((0.05, small), (0.3, large)):
        per_step = share * 300.0 / SPACING_S
        assert found.mean() == pytest.approx(1.0, abs=4.0 / np.sqrt(per_step * n_steps))
        assert found.var() == pytest.approx(1.0 / per_step, rel=0.05)


def test_a_day_has_the_same_luck_in_every_history() -> None:
    pool = Pool(scheme="pplns")
    whole = luck(pool, 1000, 0.1, SPACING_S, 5000)
    assert np.array_equal(luck(pool, 400, 0.1, SPACING_S, 5300), whole[300:700])
    assert not np.array_equal(luck(replace(pool, seed=1), 400, 0.1, SPACING_S, 5300), whole[300:700])
    assert not np.array_equal(luck(replace(pool, name="b"), 400, 0.1, SPACING_S, 5300), whole[300:700])


def test_schemes_pay_the_same_in_the_long_run_and_differ_by_roughness(history: History) -> None:
    markets = {scheme: Market(pool=Pool(scheme=scheme)) for scheme in ("fpps", "pps+", "pplns")}
    paid = {scheme: realised_usd_per_ph_day(market, history, 1e5) for scheme, market in markets.items()}
    expected = expected_usd_per_ph_day(markets["fpps"], history)
    assert np.array_equal(paid["fpps"], expected)
    ratio = {scheme: values / expected for scheme, values in paid.items()}
    for values in ratio.values():
        assert values.mean() == pytest.approx(1.0, abs=0.05)
    assert ratio["pps+"].std() < ratio["pplns"].std()
    # PPLNS smooths luck over its window: neighbours hang together.
    steps = np.diff(ratio["pplns"]).std()
    assert steps < 0.2 * ratio["pplns"].std()


def test_a_switching_pool_mines_what_was_best_a_step_ago_and_loses_by_switching(history: History) -> None:
    pool = Pool(name="switching", fee_frac=0.0, stale_frac=0.0, switching_loss_frac=0.5)
    both = expected_usd_per_ph_day(Market(coins=("btc", "bch"), pool=pool), history)
    btc, bch = coin_hashprice(history, "btc"), coin_hashprice(history, "bch")
    best = np.where(btc >= bch, 0, 1)
    mined = np.concatenate([best[:1], best[:-1]])
    changed = np.concatenate([[False], np.diff(mined) != 0])
    assert changed.any()
    assert both == pytest.approx(np.where(mined == 0, btc, bch) * np.where(changed, 0.5, 1.0))


def test_merged_coins_add_up(history: History) -> None:
    pool = Pool(fee_frac=0.0, stale_frac=0.0)
    parts = [expected_usd_per_ph_day(Market(coins=(coin,), pool=pool), history) for coin in ("ltc", "doge")]
    whole = expected_usd_per_ph_day(Market(coins=("ltc+doge",), pool=pool), history)
    assert whole == pytest.approx(
        parts[0] + parts[1], rel=1e-3
    )  # the spacing of the lead coin's blocks stands for both
    assert usual_market("scrypt").coins == ("ltc+doge",)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pool(scheme="ppx"), "scheme is 'ppx'; it must be one of fpps"),
        (lambda: Pool(fee_frac=1.2), "fee_frac"),
        (lambda: Pool(network_share=0.0), "network_share"),
        (lambda: Pool(seed=-1), "seed"),
        (lambda: Market(coins=("xmr",)), "coins is 'xmr'"),
        (lambda: Market(coins=("btc", "ltc")), "of one algorithm"),
        (lambda: Market(coins=("btc+bch",)), "mined merged"),
        (lambda: Market(coins=()), "one coin or more"),
        (lambda: Market(switch_s=-1.0), "switch_s"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(build: object, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        build()  # type: ignore[operator]


def test_a_change_of_market_takes_its_time_once(history: History) -> None:
    zone = ZoneParams(machine=catalogue.machine("s19j_pro"), firmware=catalogue.firmware("slow_tuner"), n_units=10)
    markets = (Market(), Market(coins=("bch",), pool=Pool(name="b"), switch_s=150.0))
    site = SiteParams(zones=(zone,), markets=markets)
    run = Site(site, exogenous.build(history, site), n_envs=2)
    change_market(run.state.site[1], 1, site.switch_s)
    first = run.step(np.full((2, 1), 545.0))["revenue_usd"].copy()
    change_market(run.state.site[1], 1, site.switch_s)
    second = run.step(np.full((2, 1), 545.0))["revenue_usd"].copy()
    assert second[0] == pytest.approx(first[0], rel=0.05)
    assert first[1] == pytest.approx(0.5 * second[1], rel=0.05)  # 150 of 300 s are lost, and only once
