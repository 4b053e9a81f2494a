"""Recurrent cells that no library has built in, in dynet and in others: a forward and a backward.

Run from the repository's root::

    python -m benchmarks.cells
    python -m benchmarks.cells --only clockwork,two-layers --peers jax --batches 10

The five cells, and what their loss is, are described in ``benchmarks.contenders.cells``. Each is
written once as a step of plain operations, in every framework alike, and run over a sequence: by
``dynet.scan``, which compiles it; by the plain loop that this stands for; by a loop in PyTorch; and
by a jitted ``lax.scan`` in JAX. All start from the same weights and see the same batch, in float32;
before anything is timed, it is checked that they compute the same loss and gradients. They are
timed in one process in turn, on the same cores (see ``benchmarks.irnn``); the tables give medians.
What the first sweep takes beyond a later one is measured in fresh processes (``benchmarks.alone``).
On a GPU, ``--device cuda:0``, see also ``benchmarks.gpu``.
"""

import argparse
import json
from functools import partial
from pathlib import Path

from . import alone, common, gpu
from .contenders import check_gradients, load
from .contenders.cells import OWN, PEERS, SHAPES, make_task

CELLS = tuple(SHAPES)
PLACES = OWN | PEERS


def build(name, cell, args):
    """A contender with its batch."""
    task = make_task(cell, args.steps, args.batch, args.features, args.hidden)
    contender = load(name, PLACES)(cell, task.weights, args.device, args.threads)
    return contender, contender.prepare(task.init, task.xs, task.targets)


def measure_times(built, cell, args):
    """The seconds that each contender's sweeps take, in turn."""
    contenders = {name: contender for name, (contender, _) in built.items()}
    batches = {name: batch for name, (_, batch) in built.items()}
    loss, _ = check_gradients(contenders, batches)
    print(f"Checked: {cell} has the same loss ({loss:.6f}) and gradients: {', '.join(contenders)}")
    turns = {
        name: common.turn(
            partial(contender.sweep, batches[name]), contender.wait, gpu.in_a_row(args.device)
        )
        for name, contender in contenders.items()
    }
    common.interleave(turns, args.warmup)
    common.settle()
    return common.interleave(turns, args.batches)


def measure_alone(name, cell, args):
    """In this process, which does nothing else: the first sweep, and memory."""

    def step():
        gpu.those_that_run([name], PLACES, args.device)
        contender, batch = build(name, cell, args)
        common.limit_thread_pools(args.threads)

        def sweep():
            contender.sweep(batch)
            contender.wait()

        return sweep

    return alone.measure(step)


def measure(cell, names, args):
    """By contender: times of sweeps, of the first one, and memory."""
    built = {name: build(name, cell, args) for name in names}
    common.limit_thread_pools(args.threads)
    times = measure_times(built, cell, args)
    options = [f"--{key}={getattr(args, key)}" for key in SHARED_OPTIONS]
    return {
        name: {
            "label": contender.label,
            "ms": common.summary([1e3 * s for s in times[name]]),
            **alone.in_two_processes(
                "benchmarks.cells", f"--alone={name}", f"--only={cell}", *options
            ),
        }
        for name, (contender, _) in built.items()
    }


def report(results, names, args):
    """Print the tables."""
    others = [name for name in names if name != "dynet-scan"]
    rows, rows_of_first, rows_of_memory = [], [], []
    for cell, by_name in results.items():
        ms = {name: result["ms"]["median"] for name, result in by_name.items()}
        ratios = [common.number(ms[name] / ms["dynet-scan"], 2) for name in others]
        rows.append([cell, *[common.number(ms[name]) for name in names], *ratios])
        first = [by_name[name]["first_step"] for name in names]
        rows_of_first.append(
            [
                cell,
                *[common.number(by["empty_cache"], 2) for by in first],
                *[common.number(by["second_process"], 2) for by in first],
            ]
        )
        memory = [by_name[name]["memory"]["above_first_batch"] for name in names]
        rows_of_memory.append([cell, *[common.megabytes(n) for n in memory]])
    common.print_table(
        f"Forward and backward of {args.steps} steps, batch {args.batch}, features "
        f"{args.features}, hidden {args.hidden}, float32, {args.device}, {args.threads} threads; "
        f"ms, medians of {args.batches} turns",
        ["", *names, *[f"{name} / dynet-scan" for name in others]],
        rows,
    )
    common.print_table(
        "The first of them beyond a later one, in seconds: nothing compiled yet; second process",
        ["", *names, *[f"{name}, second" for name in names]],
        rows_of_first,
    )
    common.print_table(
        "Peak memory of later ones above what was held after the first, in MB",
        ["", *names],
        rows_of_memory,
    )


SHARED_OPTIONS = ("steps", "batch", "features", "hidden", "device", "threads")


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cells", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--features", type=int, default=8, help="of the input at each step")
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--batches", type=int, default=30, help="to time, of each contender")
    parser.add_argument("--warmup", type=int, default=3, help="batches before those")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=common.available_cores())
    parser.add_argument("--peers", default=",".join(PEERS), help="some of these, or none")
    parser.add_argument("--only", default=",".join(CELLS), help="some of these")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--alone", choices=PLACES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    none = args.peers == "none"
    args.peers = [] if none else common.chosen(parser, "--peers", args.peers, PEERS)
    args.only = common.chosen(parser, "--only", args.only, CELLS)
    args.json = args.json or common.RESULTS / gpu.results_name("cells", args.device)
    return args


def main():
    """Measure, print the tables, write the file."""
    args = parse()
    common.keep_to_cores(args.threads)
    args.device = gpu.require(args.device)
    if args.alone:
        print(json.dumps(measure_alone(args.alone, args.only[0], args)))
        return
    load_at_start = common.load_at_start()
    names, skipped = gpu.those_that_run((*OWN, *args.peers), PLACES, args.device)
    results = {cell: measure(cell, names, args) for cell in args.only}
    report(results, names, args)
    common.print_skipped(skipped)
    settings = {key: getattr(args, key) for key in (*SHARED_OPTIONS, "batches", "warmup")}
    settings |= {"in_a_row": gpu.in_a_row(args.device), "load_at_start": load_at_start}
    common.write_json(args.json, settings, {"skipped": skipped, "cells": results})


if __name__ == "__main__":
    main()
