"""What is measured in a process of its own: the memory of training, and its first step.

The first step of training takes longer than later ones: code is loaded, and compiled. What it
takes beyond a later one is measured in two processes, one after the other: the first finds none
of the scans compiled that ``dynet.scan`` keeps on disk, the second finds what the first has left.
The kernels that Numba compiles once for all of dynet are there in both, if dynet has run before;
those that CuPy builds for a GPU are not there in the first.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from . import common

STEPS = 5


def measure(build: Callable[[], Callable]) -> dict[str, Any]:
    """In this process: the seconds that the first step takes beyond a later one, and memory.

    Args:
        build: makes a model and its batch, and returns a step of training on it.

    Returns:
        dict: ``first_step`` in seconds; ``memory`` in bytes: the peak of the process, that of
        training above the built model, and that of all steps but the first above what was held
        after the first.
    """
    step = build()
    until_built, built = common.peak_memory(), common.held_memory()
    could_reset = common.reset_peak()
    first = common.seconds(step)
    in_first, after_first = common.peak_memory(), common.held_memory()
    common.reset_peak()
    later = [common.seconds(step) for _ in range(STEPS - 1)]
    in_later = common.peak_memory()
    if could_reset:
        memory = {
            "peak": max(until_built, in_first, in_later),
            "above_built": max(in_first, in_later) - built,
            "above_first_batch": in_later - after_first,
        }
    else:
        memory = {"peak": in_later, "above_built": None, "above_first_batch": None}
    return {"first_step": first - statistics.median(later), "memory": memory}


def in_two_processes(module: str, *options: str) -> dict[str, Any]:
    """What ``python -m module`` with some options, which is to print ``measure``'s, says twice.

    Returns:
        dict: ``first_step``, with ``empty_cache`` and ``second_process``, in seconds; ``memory``
        of the second process, with ``peak_of_first`` of the first one.
    """
    with tempfile.TemporaryDirectory() as folder:
        caches = {"DYNET_SCAN_CACHE": folder, "CUPY_CACHE_DIR": os.path.join(folder, "cupy")}
        environment = os.environ | caches
        command = [sys.executable, "-m", module, *options]
        first, second = [json.loads(_output_of(command, environment)) for _ in range(2)]
    return {
        "first_step": {
            "empty_cache": first["first_step"],
            "second_process": second["first_step"],
        },
        "memory": second["memory"] | {"peak_of_first": first["memory"]["peak"]},
    }


def peak_of_bare_interpreter() -> int | None:
    """The peak memory of a Python that does nothing; ``None`` where the system does not say."""
    code = "print(*[l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')])"
    try:
        return int(_output_of([sys.executable, "-c", code])) * 1024
    except (subprocess.CalledProcessError, ValueError):
        return None  # not Linux


def _output_of(command, environment=None):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return done.stdout
