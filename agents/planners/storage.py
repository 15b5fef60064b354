"""A compiled dynamic programme over machines and a battery behind one connection, for prices that are known or follow a chain."""

import numpy as np

from ...sim.foundation.jit import allocating_kernel, kernel


@kernel
def step_usd(
    load_mwh: float, revenue_usd: float, battery_mwh: float, supply_mwh: float, price: float, p: np.void
) -> tuple[float, bool]:
    """Return what an interval earns, and whether it fits the connection.

    Args:
        load_mwh: Energy of the machines at the meter. [MWh]
        revenue_usd: What they are paid. [USD]
        battery_mwh: Energy that the battery draws at its socket, what it gives negative. [MWh]
        supply_mwh: Energy of sun and wind. [MWh]
        price: Of the market. [USD/MWh]
        p: Adders, limits and wear, of PLAN_PARAMS.
    """
    net_mwh = load_mwh + battery_mwh - supply_mwh
    if net_mwh > p["import_mwh"] + 1e-9:
        return 0.0, False
    usd = revenue_usd - max(0.0, -battery_mwh) * p["wear_usd_per_mwh"]
    if net_mwh >= 0.0:
        return usd - net_mwh * (price * (1.0 + p["markup_frac"]) + p["adder_usd_per_mwh"]), True
    export_mwh = min(-net_mwh, p["export_mwh"])
    return usd + export_mwh * max(0.0, price + p["export_adder_usd_per_mwh"]), True


PLAN_PARAMS = np.dtype(
    [
        (name, np.float64)
        for name in (
            "import_mwh",
            "export_mwh",
            "adder_usd_per_mwh",
            "markup_frac",
            "export_adder_usd_per_mwh",
            "wear_usd_per_mwh",
            "start_usd",
            "start_intervals",
            "capacity_mwh",
            "rated_mwh",
            "charge_pu",
            "discharge_pu",
            "end_usd_per_mwh",
        )
    ]
)
"""What a plan reckons with, of one interval: limits of the connection, adders of the tariff, wear of what the battery gives, what a start costs in wear and in
intervals without hashes, the battery's size, its efficiencies one way, and what a megawatt-hour is worth that is left at the end."""


@kernel
def fill_moves(battery_pu: np.ndarray, step_mwh: float, p: np.void, moves: np.ndarray) -> None:
    """Fill what each power draws at the socket from each charge, and the charge that it leads to, (n_charges, n_powers, 2). [MWh]"""
    for k in range(moves.shape[0]):
        held = k * step_mwh
        for b in range(moves.shape[1]):
            if battery_pu[b] < 0.0:
                socket = min(-battery_pu[b] * p["rated_mwh"], (p["capacity_mwh"] - held) / p["charge_pu"])
                moves[k, b, 0], moves[k, b, 1] = socket, held + socket * p["charge_pu"]
            else:
                socket = min(battery_pu[b] * p["rated_mwh"], held * p["discharge_pu"])
                moves[k, b, 0], moves[k, b, 1] = -socket, held - socket / p["discharge_pu"]


@kernel
def best_choice(
    state: tuple[int, int, float],
    price: float,
    supply_mwh: float,
    load_mwh: np.ndarray,
    revenue_usd: np.ndarray,
    moves: np.ndarray,
    later: np.ndarray,
    p: np.void,
) -> tuple[float, float]:
    """Return the value of a state and the number of its best choice.

    Args:
        state: Machines on, number of the charge, and distance of charges. [MWh]
        price: Expected price of the interval. [USD/MWh]
        supply_mwh: Energy of sun and wind. [MWh]
        load_mwh: As `solve` has it.
        revenue_usd: Of the interval, (n_choices,). [USD]
        moves: Of `fill_moves`.
        later: Expected value after the interval, (2, n_charges). [USD]
        p: PLAN_PARAMS.
    """
    on, k, step_mwh = state
    n_charges, n_powers = moves.shape[0], moves.shape[1]
    best, choice = -np.inf, 0.0
    for m in range(load_mwh.shape[0]):
        runs = 1 if m > 0 else 0
        cost = 0.0
        if runs == 1 and on == 0:
            cost = p["start_usd"] + p["start_intervals"] * revenue_usd[m]
        for b in range(n_powers):
            usd, fits = step_usd(load_mwh[m], revenue_usd[m], moves[k, b, 0], supply_mwh, price, p)
            if not fits:
                continue
            value = later[runs, 0]
            if n_charges > 1:
                at = min(int(moves[k, b, 1] / step_mwh), n_charges - 2)
                share = moves[k, b, 1] / step_mwh - at
                value = (1.0 - share) * later[runs, at] + share * later[runs, at + 1]
            if usd - cost + value > best:
                best, choice = usd - cost + value, float(m * n_powers + b)
    return best, choice


@kernel
def expect(chain: np.ndarray, value: np.ndarray, mean: np.ndarray) -> None:
    """Fill the mean of values over the levels that follow each, (n_levels, 2, n_charges).

    Args:
        chain: Chance of each level after each, (n_levels, n_levels).
        value: Values of the levels that follow, (n_levels, 2, n_charges).
        mean: Result.
    """
    for level in range(mean.shape[0]):
        mean[level] = 0.0
        for after in range(mean.shape[0]):
            for on in range(2):
                for k in range(mean.shape[2]):
                    mean[level, on, k] += chain[level, after] * value[after, on, k]


@allocating_kernel
def solve(
    price: np.ndarray,
    chain: np.ndarray,
    supply_mwh: np.ndarray,
    load_mwh: np.ndarray,
    revenue_usd: np.ndarray,
    battery_pu: np.ndarray,
    p: np.void,
    n_charges: int,
    keep: int,
    policy: np.ndarray,
    values: np.ndarray,
) -> None:
    """Fill the best choice of machines and battery, and what it is worth to be in each state, for the first intervals.

    Backward over the level of the last price, machines off or on, and the battery's charge. A choice is made before the price of its
    interval is known: what counts is the mean over the levels that follow.

    Args:
        price: Mean price of each interval at each level, (n, n_levels). [USD/MWh]
        chain: Chance of each level after each, by interval, (n, n_levels, n_levels).
        supply_mwh: Energy of sun and wind in each interval, (n,). [MWh]
        load_mwh: Energy of each choice of the machines, the first one off, (n_choices,). [MWh]
        revenue_usd: What each pays in each interval, (n, n_choices). [USD]
        battery_pu: Powers among which the battery chooses, over its rated power, positive to give, (n_powers,).
        p: PLAN_PARAMS.
        n_charges: Charges on the grid.
        keep: Intervals whose choices are kept.
        policy: Result, (keep, n_levels, 2, n_charges): number of the machines' choice times n_powers, plus that of the power.
        values: Result, (keep, n_levels, 2, n_charges): what each state earns to the end of the plan. [USD]
    """
    n, n_levels = price.shape
    n_powers = battery_pu.shape[0]
    step_mwh = p["capacity_mwh"] / max(n_charges - 1, 1)
    value = np.zeros((n_levels, 2, n_charges))
    mean, now = np.zeros((n_levels, 2, n_charges)), np.zeros((n_levels, 2, n_charges))
    for level in range(n_levels):
        for on in range(2):
            for k in range(n_charges):
                value[level, on, k] = (
                    p["end_usd_per_mwh"] * k * step_mwh * p["discharge_pu"] + 0.5 * p["start_usd"] * on
                )
    moves = np.zeros((n_charges, n_powers, 2))
    fill_moves(battery_pu, step_mwh, p, moves)
    for t in range(n - 1, -1, -1):
        expect(chain[t], value, mean)
        for level in range(n_levels):
            expected = 0.0
            for after in range(n_levels):
                expected += chain[t, level, after] * price[t, after]
            for on in range(2):
                for k in range(n_charges):
                    state = (on, k, step_mwh)
                    best = best_choice(state, expected, supply_mwh[t], load_mwh, revenue_usd[t], moves, mean[level], p)
                    now[level, on, k] = best[0]
                    if t < keep:
                        policy[t, level, on, k], values[t, level, on, k] = int(best[1]), best[0]
        value[:] = now
