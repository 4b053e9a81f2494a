"""What the measurements share: cores, options, clocks, memory, tables, the file of results."""

import argparse
import ctypes
import datetime
import gc
import importlib.metadata
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from . import gpu

try:
    import resource
except ImportError:  # Windows
    resource = None

RESULTS = Path(__file__).parent / "results"

# How long, in seconds, a contender waits for its turn. A thread pool that has just worked keeps
# its threads spinning for some milliseconds in wait of more, OpenBLAS's for about 30, and they
# would take cores from whoever comes next.
PAUSE = 0.05

IDLE = 0.5  # the load average, over a minute, that still passes for none


# -- cores ------------------------------------------------------------------------------------


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def keep_to_cores(n: int) -> None:
    """Confine this process to its first ``n`` cores, where the system allows that (Linux).

    To be called before a framework is imported: most ask once how many cores they may use, and
    make that many threads. For XLA it is the only way that needs no flag of its own.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


def limit_thread_pools(n: int) -> None:
    """Give every BLAS and OpenMP that is loaded by now ``n`` threads."""
    threadpool_limits(n)


def load_at_start() -> float | None:
    """How many processes have been running lately; warns of more than an idle machine has.

    Threads that wait for each other at every operation, as OpenMP's do in PyTorch, become many
    times slower when another process takes one of their cores, and the others hardly do: what
    is measured beside other work says nothing.
    """
    if not hasattr(os, "getloadavg"):
        return None
    load = os.getloadavg()[0]
    if load > IDLE:
        print(f"Warning: the load of this machine is {load:.2f}; expected an idle one.\n")
    return load


# -- command lines ----------------------------------------------------------------------------


def chosen(parser: argparse.ArgumentParser, option: str, text: str, known: Iterable) -> list[str]:
    """The names in an option's value, as in ``"torch,jax"``; one that is not known is an error."""
    names = text.split(",")
    for name in names:
        if name not in known:
            parser.error(f"{option}: got {name!r}, expected some of {', '.join(known)}")
    return names


# -- clocks -----------------------------------------------------------------------------------


def settle() -> None:
    """Collect the garbage, and take what is alive by now out of the collector's sight.

    The frameworks in this one process bring several hundred thousand objects, which the
    collector would walk time and again. In a program that uses one framework it would not.
    """
    gc.collect()
    gc.freeze()


def interleave(
    contenders: dict[str, Callable], rounds: int, pause: float = PAUSE
) -> dict[str, list]:
    """What each contender returns in each of many rounds, in which each has one turn.

    So whatever else the machine does hits all alike. The order within a round is shuffled, so
    that nobody always comes after the same neighbour.
    """
    results = {name: [] for name in contenders}
    order = list(contenders)
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            time.sleep(pause)
            results[name].append(contenders[name]())
    return results


def seconds(f: Callable, *args: Any) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    f(*args)
    return time.perf_counter() - start


def turn(step: Callable, wait: Callable, calls: int = 1) -> Callable:
    """A measurement of how long a step takes that follows upon others; see ``last_in_a_row``.

    Args:
        step: is called again and again.
        wait: returns when a device has done what it was given.
        calls: how many steps are timed together, up to when the device has done them.
    """

    def run():
        for _ in range(calls):
            step()
        wait()

    return lambda: last_in_a_row(lambda: seconds(run)) / calls


def turn_that_lasts(step: Callable, wait: Callable, shortest: float) -> Callable:
    """The same of a short step, timed together with as many more as last so long, in seconds."""

    def once():
        step()
        wait()

    once()
    calls = max(1, int(shortest / seconds(once)))

    def run():
        for _ in range(calls):
            step()
        wait()

    def turn():
        once()  # so that the caches hold what is this contender's, and its threads are awake
        return seconds(run) / calls

    return turn


def last_in_a_row(measure: Callable) -> Any:
    """What a measurement gives that follows upon others, which last as long as the pause before.

    After a pause a machine has to wake up first: its caches, its clock, threads that sleep. That
    would be most of what a short call takes, and is not what a loop of them takes.
    """
    end = time.perf_counter() + PAUSE
    measure()
    while time.perf_counter() < end:
        measure()
    return measure()


def summary(values: Iterable[float]) -> dict[str, float]:
    """Median, quartiles and mean."""
    values = list(values)
    low, median, high = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    )
    return {"median": median, "low": low, "high": high, "mean": statistics.fmean(values)}


# -- memory, in bytes; None where the system does not say --------------------------------------


def peak_memory() -> int | None:
    """The most memory that this process has held, since its start or ``reset_peak``.

    From Linux's ``VmHWM``. What ``getrusage`` says is no less than what the parent held when it
    started this process, so it serves only where there is nothing else.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        if resource is None:
            return None
        unit = 1 if platform.system() == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    for line in status.splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return None


def reset_peak() -> bool:
    """Let ``peak_memory`` start anew from what is held now; whether that could be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def held_memory() -> int | None:
    """The memory that this process holds, after it has given back what it does not use."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        pass  # not the C library of GNU
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * resource.getpagesize()


# -- tables and files -------------------------------------------------------------------------


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table; a dash for ``None``."""
    return "-" if value is None else f"{value:,.{digits}f}"


def megabytes(n: int | None) -> str:
    """A size in MB for a table; a dash for ``None``."""
    return number(None if n is None else n / 1e6)


def print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print rows of text under a header: the first column to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    print(f"\n{title}\n")
    for first, *rest in lines:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))


def print_skipped(skipped: Iterable[str]) -> None:
    """Say which contenders were left out, and why, where there are such."""
    for contender in skipped:
        print(f"\nskipped: {contender}")


def machine() -> dict[str, Any]:
    """What the measurement ran on."""
    model = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions(*packages: str) -> dict[str, str | None]:
    """The version of each package, installed or imported; ``None`` for one that is neither."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = getattr(sys.modules.get(package), "__version__", None)
    return found


def write_json(path: str | Path, settings: dict[str, Any], results: dict[str, Any]) -> None:
    """Write the results, with what one must know to judge them."""
    device = settings.get("device", "cpu")
    record = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine() if device == "cpu" else machine() | {"gpu": gpu.description(device)},
        "versions": versions("dynet", "numpy", "numba", "torch", "jax", "jaxlib"),
        "settings": settings,
        **results,
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"\nwritten to {path}")
