"""Compiled dynamic programmes over one zone: the upper bound and plans with foresight."""

import numpy as np

from ...sim.foundation.jit import allocating_kernel


@allocating_kernel
def bound_usd(
    mature: np.ndarray,
    young: np.ndarray,
    leave: np.ndarray,
    boot: np.ndarray,
    off: np.ndarray,
    n_boot: int,
    boot_rest_frac: float,
    n_young: int,
    start_usd: float,
) -> float:
    """Return the most that any policy can earn over an episode that begins with hashing machines.

    Backward over states off, boot 1…n_boot, young 1…n_young, mature. Each argument bounds what a whole step in a state
    can earn, (n_steps,); `leave` is the bound of a step that begins hashing and ends asleep or tripped.

    Args:
        mature: Hashing, warm for at least n_young steps.
        young: Hashing after a start.
        leave: Hashing at first, then not.
        boot: Booting.
        off: Asleep or tripped.
        n_boot: Whole steps that a start takes.
        boot_rest_frac: What is left of the start, as a share of a step.
        n_young: Steps until a started machine counts as mature.
        start_usd: Wear of a start. [USD]
    """
    last = n_boot + n_young + 1
    value = np.zeros(last + 1)
    after = np.zeros(last + 1)
    for t in range(mature.shape[0] - 1, -1, -1):
        after[:] = value
        first_hash = (1.0 - boot_rest_frac) * max(young[t], leave[t]) + boot_rest_frac * max(boot[t], off[t])
        begin = first_hash if n_boot == 0 else boot[t]
        begun = after[1] if n_boot > 0 else max(after[0], after[1])
        value[0] = max(off[t] + after[0], begin - start_usd + begun)
        for state in range(1, n_boot + 1):
            step = first_hash if state == n_boot else boot[t]
            broken_off = max(step, max(boot[t], off[t]))
            value[state] = max(step + after[state + 1], broken_off + after[0])
        for state in range(n_boot + 1, last + 1):
            step = mature[t] if state == last else young[t]
            value[state] = max(step + after[min(state + 1, last)], leave[t] + after[0])
    return value[n_boot + 1]


@allocating_kernel
def plan(
    earn: np.ndarray,
    change: np.ndarray,
    boot: np.ndarray,
    off: np.ndarray,
    n_boot: int,
    start_usd: float,
    end_off_usd: float,
    choice: np.ndarray,
) -> None:
    """Fill the best choice in each step and state, for known prices.

    States: 0 off, k ≥ 1 hashing at profile k - 1. Choices: 0 off, k ≥ 1 profile k - 1. A start takes n_boot whole steps
    and is not broken off.

    Args:
        earn: What a step at each profile earns, (n_steps, n_profiles). [USD]
        change: What a change to each profile loses, (n_steps, n_profiles). [USD]
        boot: What a step of booting costs, negative, (n_steps,). [USD]
        off: What a step asleep costs, negative, (n_steps,). [USD]
        n_boot: Whole steps that a start takes.
        start_usd: Wear and lost time of a start beyond whole steps. [USD]
        end_off_usd: Value of being off at the end, against hashing. [USD]
        choice: Result, (n_steps, 1 + n_profiles).
    """
    n_steps, n_profiles = earn.shape
    value = np.zeros((n_steps + 1, n_profiles + 1))
    value[n_steps, 0] = end_off_usd
    for t in range(n_steps - 1, -1, -1):
        best_stay, boot_usd = off[t] + value[t + 1, 0], -start_usd
        ready = min(t + n_boot, n_steps)
        for j in range(t, ready):
            boot_usd += boot[j]
        choice[t, 0], value[t, 0] = 0, best_stay
        best_next, best_next_usd = 0, -np.inf
        for k in range(n_profiles):
            usd = earn[t, k] - change[t, k] + value[t + 1, k + 1]
            if usd > best_next_usd:
                best_next, best_next_usd = k, usd
            begun = boot_usd + (earn[ready, k] + value[ready + 1, k + 1] if ready < n_steps else 0.0)
            if begun > value[t, 0]:
                choice[t, 0], value[t, 0] = k + 1, begun
        for k in range(n_profiles):
            stay = earn[t, k] + value[t + 1, k + 1]
            choice[t, k + 1], value[t, k + 1] = k + 1, stay
            if best_next_usd > stay:
                choice[t, k + 1], value[t, k + 1] = best_next + 1, best_next_usd
            if best_stay > value[t, k + 1]:
                choice[t, k + 1], value[t, k + 1] = 0, best_stay
