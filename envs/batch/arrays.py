"""The arrays of a batch of environments: what kernels read and what they change."""

from typing import Final, NamedTuple

import numpy as np

from ...sim.foundation.records import float_record
from ...sim.site.step import SiteBatch, SiteWorld

DISCRETE: Final = 0.0
BOX: Final = 1.0
PROFILE_INDEX: Final = 2.0
PLAN: Final = 3.0
"""Forms of the action on power: offsets from the myopic profile, a power target, a profile's number, none (the plan stands).
Numbers by definition."""

MARKET_NUMBER: Final = 1.0
MARKET_BIN: Final = 2.0
"""Forms of the action on the market: its number, or a bin of [-1, 1]. Numbers by definition."""

PROFILE: Final = float_record("freq_mhz", "meter_power_w", "paid_hashrate_ths")
"""A profile of a zone at steady state: frequency, power of the zone at the meter, hashrate that the pool pays."""

MENU: Final = np.dtype([("n_profiles", np.int64), ("best_ths_per_w", np.float64)])
"""A zone's menu: number of real profiles in its row of the padded table, and the most hashrate that a watt pays."""

RANDOMIZED: Final = ("power_dev", "hashrate_dev", "sink_dev", "noise")
"""What can be drawn anew for each episode. power_dev, hashrate_dev, sink_dev: by what share a zone's machines draw more, hash more and
shed heat better than the model that rules and observations reckon with; noise: factor on the sensors' noise."""

COLUMNS: Final = np.dtype(
    [
        (name, np.int64)
        for name in (
            "known_energy_price_usd_per_mwh",
            "energy_price_mean_24h_usd_per_mwh",
            "expected_hashprice_usd_per_ph_day",
            "break_even_usd_per_mwh",
            "price_ratio",
            "interval_pu",
            "month_peak_pu",
            "offer",
            "next_offer",
            "battery_charge_pu",
            "battery_power_pu",
            "rule_sell_price_usd_per_mwh",
            "rule_buy_price_usd_per_mwh",
            "net_power_pu",
            "reserve_sold",
            "reserve_next",
            "at_market0",
            "switch_rest_s",
            "zones",
            "per_zone",
            "zone_online",
            "grid_on",
            "pool_frac",
            "coincident_ratio",
            "call_soon",
            "hour_sin",
            "hour_cos",
            "sun_now_pu",
            "wind_now_pu",
            "curve_now_usd_per_mwh",
            "act_per_zone",
            "act_power",
            "act_cooling",
            "act_share",
            "act_service",
            "act_offer",
            "act_battery",
            "act_curtail",
            "act_reserve",
            "act_market",
            "move_per_zone",
            "move_ratio",
            "move_cooling",
            "move_share",
            "move_service",
            "move_peak",
            "move_cap",
            "move_offer",
            "move_sell",
            "move_buy",
            "move_battery",
            "move_curtail",
            "move_reserve",
            "move_market",
        )
    ]
)
"""Columns of an observation and of an action, part of ENV_PARAMS, made of their tables by `tables.observation_columns` and `actions.fill_action_columns`;
-1 where there is none. zones: column of the first zone's first entry; per_zone: entries of a zone; act_per_zone: entries of a zone in the
action, act_power, act_cooling, act_share: positions among them. move_…: columns of a residual action, those of a zone counted from the first
zone's first entry; curve_now_usd_per_mwh: first column of what a rule sees of published prices."""


ENV_PARAMS: Final = np.dtype(
    [
        *float_record(
            "action_kind",
            "market_kind",
            "first_offset",
            "sleep_below",
            "wake_above",
            "min_sleep_s",
            "over_rule",
            "shield",
            "reward_per_usd",
            "chip_limit_c",
            "ramp_limit_pu",
            "gradient_limit_k",
            "inlet_low_c",
            "inlet_high_c",
            "coolant_low_c",
            "coolant_high_c",
            "episode_steps",
            "first_start",
            "last_start",
            "n_series",
            "rated_kw",
            "interval_h",
            "peak_kw",
            "adder_usd_per_mwh",
            "markup_frac",
            "export_adder_usd_per_mwh",
            "sun_w",
            "wind_w",
            "battery_w",
            "export_w",
            "top_w",
            "rule_cap_w",
            *(f"{name}_{end}" for name in RANDOMIZED for end in ("low", "high")),
        ).descr,
        *COLUMNS.descr,
    ]
)
"""Parameters of a batch. action_kind, market_kind: forms of the action; first_offset: profile offset of discrete action 1; sleep_below,
wake_above, min_sleep_s: sleep band and shortest sleep; over_rule: 1 for `profit_over_rule`; shield: 1 where commands
pass the shield; …_limit_…, inlet_…, coolant_…:
thresholds of costs; first_start, last_start: range of episode starts; peak_kw: largest drawn peak of the month before, 0
without demand charges; adder…, markup_frac, sun_w … rule_cap_w: what the operator's rule reads of the site: its tariff, powers of what stands
behind the meter, the most that is exported, all machines at their top profile, and the cap that it keeps; …_low, …_high of RANDOMIZED: ranges from which an episode draws; then COLUMNS."""


class EnvWorld(NamedTuple):
    """What kernels read: arrays that no step writes."""

    sim: SiteWorld
    known: np.ndarray  # (n_series, n_steps, n_known) float32
    env: np.ndarray  # (1,) of ENV_PARAMS
    profiles: np.ndarray  # (n_zones, n_profiles) of PROFILE
    menus: np.ndarray  # (n_zones,) of MENU
    fresh: np.ndarray  # (n_zones,) of ZONE_STATE: how zones begin an episode
    bounds: np.ndarray  # (2, n_observations) float32: lowest and highest value of each observation
    rules: np.ndarray  # (1,) of RULE: the rule that a residual action moves, (0,) for other actions


class EnvBatch(NamedTuple):
    """What kernels change."""

    sim: SiteBatch
    action: np.ndarray  # (n_envs, n_actions)
    moves: np.ndarray  # (n_envs, n_moves): residual action, of which `action` is made; (n_envs, 0) for other actions
    myopic: np.ndarray  # (n_envs, n_zones) int64: profile that earns most at the known price
    obs: np.ndarray  # (n_envs, n_observations) float32
    reward: np.ndarray  # (n_envs,)
    costs: np.ndarray  # (n_envs, n_costs)
    shielded: np.ndarray  # (n_envs, len(SHIELD)): what the shield changed
    scratch: (
        np.ndarray
    )  # (n_envs, 3, n_zones + 1): what it weighs: powers that are wanted, the least, commands of plants before
    truncated: np.ndarray  # (n_envs,) bool
