"""Threads for kernels: those that let go of the interpreter's lock run side by side."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise

from numba import config


def share(work: Callable, n: int, threads: int) -> list:
    """What ``work(first, last)`` returns for each of ``threads`` equal parts of ``range(n)``.

    The caller's thread does the first part. An error in any part is raised, once all are over.
    """
    threads = min(threads, n)
    if threads < 2:
        return [work(0, n)]
    ends = [n * i // threads for i in range(threads + 1)]
    others = [_pool().submit(work, *part) for part in pairwise(ends[1:])]
    try:
        return [work(0, ends[1]), *[other.result() for other in others]]
    finally:
        wait(others)  # whatever happens, no thread writes on behind the caller's back


def available_cores() -> int:
    """How many cores this process may use; ``NUMBA_NUM_THREADS`` in the environment limits them."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return min(config.NUMBA_NUM_THREADS, cores)


@cache
def _pool():
    return ThreadPoolExecutor(os.cpu_count(), "dynet")


if hasattr(os, "register_at_fork"):
    # A child process has none of its parent's threads: it makes its own.
    os.register_at_fork(after_in_child=_pool.cache_clear)
