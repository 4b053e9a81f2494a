"""Threads for kernels: those that let go of the interpreter's lock run side by side."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise

from numba import config

from .. import backend


def share(work: Callable, n: int, threads: int, pieces: int | None = None) -> list:
    """What ``work(first, last)`` returns for each of some equal parts of ``range(n)``.

    The caller's thread and ``threads - 1`` others take the parts one by one, as each comes free. An
    error in any part is raised, once all are over.

    Args:
        pieces: how many parts; by default as many as threads. With more of them, it costs less
            that a thread needs a while to wake up.
    """
    pieces = min(pieces or threads, n)
    if threads < 2 or pieces < 2:
        return [work(0, n)]
    parts = list(pairwise([n * i // pieces for i in range(pieces + 1)]))
    results = [None] * pieces
    left = iter(range(pieces))

    def take():
        for i in left:
            results[i] = work(*parts[i])

    others = [_pool().submit(take) for _ in range(min(threads, pieces) - 1)]
    try:
        take()
        for other in others:
            if not other.cancel():  # one that has not begun by now finds nothing left
                other.result()
    finally:
        wait(others)  # whatever happens, no thread writes on behind the caller's back
    return results


def available_cores() -> int:
    """How many cores kernels may use: ``NUMBA_NUM_THREADS`` in the environment limits them."""
    return min(config.NUMBA_NUM_THREADS, backend.available_cores())


@cache
def _pool():
    return ThreadPoolExecutor(os.cpu_count(), "dynet")


if hasattr(os, "register_at_fork"):
    # A child process has none of its parent's threads: it makes its own.
    os.register_at_fork(after_in_child=_pool.cache_clear)
