"""Split a kernel's range of environments over a few threads; safe when the process forks."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

WORTH_SPLITTING_ZONE_STEPS: Final = 500
"""Below this much work in a call the hand-over to a thread costs more than it saves. Measured, `benchmarks/`."""

_pool: ThreadPoolExecutor | None = None


def _forget_pool() -> None:
    """Drop the parent's pool in a forked child: its threads do not exist there."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def default_threads() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def split(kernel: Callable[..., object], n_envs: int, n_zone_steps: int, n_threads: int, *args: object) -> None:
    """Call `kernel(lo, hi, *args)` over [0, n_envs), cut over at most `n_threads` threads.

    The caller's thread takes the first share. Environments do not touch each other, so the result does not depend on
    the cut.
    """
    global _pool
    shares = min(n_threads, n_envs)
    if shares <= 1 or n_zone_steps < WORTH_SPLITTING_ZONE_STEPS:
        kernel(0, n_envs, *args)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=max(shares - 1, default_threads()), thread_name_prefix="hashgym")
    edges = [n_envs * share // shares for share in range(shares + 1)]
    waiting = [_pool.submit(kernel, edges[k], edges[k + 1], *args) for k in range(1, shares)]
    kernel(edges[0], edges[1], *args)
    for future in waiting:
        future.result()
