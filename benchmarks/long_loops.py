"""The second half of ``benchmarks.overhead``: what a step of a loop costs as the loop grows."""

import gc
import time

import numpy as np

import dynet
import dynet.functions as F

from . import common
from .contenders import load, make_batch, make_weights

BATCH, HIDDEN = 16, 100  # of the IRNN cell
FILL = 1000  # steps


def tiny_loop(steps):
    """A function that runs ``h = relu(h * w + c)`` on 4 elements and returns the loss."""
    w = dynet.Parameter(np.ones(4, np.float32))
    start, c = np.ones(4, np.float32), np.zeros(4, np.float32)

    def run():
        h = start
        for _ in range(steps):
            h = F.relu(h * w + c)
        return F.sum(h)

    return run


def cell_loop(steps):
    """A function that runs the IRNN over so many time steps and returns the loss."""
    contender = load("dynet")(make_weights(HIDDEN), 0.0, "cpu", 1)
    batch = make_batch(steps, BATCH, np.random.default_rng(0))
    return lambda: contender.loss(batch)


LOOPS = {
    "tiny: relu(h * w + c), 4 elements": tiny_loop,
    f"IRNN cell, batch {BATCH}, hidden {HIDDEN}": cell_loop,
}


def memory_of(run, fill):
    """Bytes held before a loop, at its peak, and when its loss is gone, without the collector.

    What another loop, ``fill``, records stays alive meanwhile: it takes up what the process holds
    free, so that the measured loop must ask the system for all that it needs.
    """
    gc.collect()
    gc.disable()
    try:
        filling = fill()
        before = common.held_memory()
        could_reset = common.reset_peak()
        loss = run()
        loss.backward()
        peak = common.peak_memory() if could_reset else None
        del loss
        after = common.held_memory()
        del filling
        return {"before": before, "peak": peak, "after": after}
    finally:
        gc.enable()


def time_of(run, collector):
    """Seconds of forward and backward, with Python's garbage collector on or off."""
    gc.collect()
    if not collector:
        gc.disable()
    try:
        begin = time.perf_counter()
        run().backward()
        return time.perf_counter() - begin
    finally:
        gc.enable()


def measure_lengths(make_loop, lengths, repeats):
    """Time and memory of loops of growing length; the times are medians of several."""
    make_loop(10)().backward()  # what is compiled or loaded once
    results = []
    for steps in lengths:
        run = make_loop(steps)
        memory = memory_of(run, make_loop(FILL))
        off = [time_of(run, collector=False) for _ in range(repeats)]
        on = [time_of(run, collector=True) for _ in range(repeats)]
        used = None if memory["peak"] is None else memory["peak"] - memory["before"]
        results.append(
            {
                "steps": steps,
                "us_per_step": 1e6 * common.summary(off)["median"] / steps,
                "us_per_step_with_collector": 1e6 * common.summary(on)["median"] / steps,
                "bytes_per_step": None if used is None else used / steps,
                "memory": memory,
            }
        )
    return results


def report_lengths(label, results):
    """Print the table of what a step costs as the loop grows."""
    first = results[0]
    rows = []
    for result in results:
        memory = result["memory"]
        kilobytes = result["bytes_per_step"] and result["bytes_per_step"] / 1e3
        comparable = kilobytes and first["bytes_per_step"]  # a short loop may fit into no page
        growth = kilobytes * 1e3 / first["bytes_per_step"] if comparable else None
        times = []
        for key in "us_per_step", "us_per_step_with_collector":
            times += [common.number(result[key], 2), common.number(result[key] / first[key], 2)]
        rows.append(
            [
                f"{result['steps']:,}",
                *times,
                common.number(kilobytes, 2),
                common.number(growth, 2),
                *[common.megabytes(memory[when]) for when in ("before", "peak", "after")],
            ]
        )
    header = ["steps", "us per step", "growth", "us, gc on", "growth", "kB per step", "growth"]
    common.print_table(
        f"{label}; forward and backward, the garbage collector off unless said",
        [*header, "before, MB", "peak, MB", "after, MB"],
        rows,
    )
