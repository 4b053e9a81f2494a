"""A step of training of an IRNN, in dynet and in others: its time and its memory.

Run from the repository's root::

    python -m benchmarks.irnn
    python -m benchmarks.irnn --batches 20 --peers torch

A step is forward, backward, clipping the gradient to a global norm of 1, and an SGD update, in
float32. All contenders (see ``benchmarks.contenders``) start from the same weights and see the
same batches; before anything is timed, it is checked that they compute the same. They are timed
in one process in turn, one step each, and the table gives medians, next to the mean, which
contains the pauses of the garbage collector.

*Cores.* All have the same number, ``--threads``. The process is confined to that many cores
(``os.sched_setaffinity``) before any framework is imported. XLA, which has no call to set its
number of threads, makes as many as it has cores; for PyTorch and every BLAS the number is also
set by name.

*Memory* is measured in a fresh process for each contender. It is reported as the peak of the
process; as that above a bare interpreter, to which the framework's own code adds; and as the
peak over a few steps of training above what was held when the model was built. That contains what
is compiled or loaded in the first step; so the same is also said of the steps after the first.
"""

import argparse
import json
import subprocess
import sys

import numpy as np

from . import common
from .contenders import NAMES, check_same, load, make_batch, make_weights

IMAGES = 60_000  # in an epoch of MNIST
# Small enough for the weights to stay where the numbers are ordinary ones.
RATE = 1e-4
BATCHES_OF_MEMORY = 5
DIFFERENT_BATCHES = 4


def build(name, args):
    """A contender, or ``None`` if its framework is not installed."""
    cls = load(name)
    return cls and cls(make_weights(args.hidden), RATE, args.device, args.threads)


def measure_times(contenders, args):
    """The seconds that each contender's steps of training take, in turn."""
    rng = np.random.default_rng(1)
    batches = [make_batch(args.steps, args.batch, rng) for _ in range(DIFFERENT_BATCHES)]
    prepared = {
        name: [contender.prepare(*batch) for batch in batches]
        for name, contender in contenders.items()
    }
    check_same(contenders, {name: own[0] for name, own in prepared.items()}, RATE)

    def turn_of(name):
        contender, own = contenders[name], prepared[name]
        turns = iter(range(args.warmup + args.batches))
        return lambda: common.seconds(contender.train, own[next(turns) % len(own)])

    turns = {name: turn_of(name) for name in contenders}
    common.interleave(turns, args.warmup)
    common.settle()
    return common.interleave(turns, args.batches)


def measure_memory(name, args):
    """In this process: its peak, and the peak of training above the built model, in bytes."""
    contender = build(name, args)
    common.limit_thread_pools(args.threads)
    rng = np.random.default_rng(1)
    batches = [contender.prepare(*make_batch(args.steps, args.batch, rng))] * args.batches
    until_built, built = common.peak_memory(), common.held_memory()
    could_reset = common.reset_peak()
    contender.train(batches[0])
    in_first, after_first = common.peak_memory(), common.held_memory()
    common.reset_peak()
    for batch in batches[1:]:
        contender.train(batch)
    in_later = common.peak_memory()
    if not could_reset:
        return {"peak": in_later, "above_built": None, "above_first_batch": None}
    return {
        "peak": max(until_built, in_first, in_later),
        "above_built": max(in_first, in_later) - built,
        "above_first_batch": in_later - after_first,
    }


def memory_in_fresh_process(name, args):
    """What ``measure_memory`` says in a process of its own."""
    options = [f"--{key}={getattr(args, key)}" for key in SHARED_OPTIONS]
    options += [f"--memory-of={name}", f"--batches={BATCHES_OF_MEMORY}"]
    return json.loads(_output_of([sys.executable, "-m", "benchmarks.irnn", *options]))


def peak_of_bare_interpreter():
    """The peak memory of a Python that does nothing."""
    code = "print(*[l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')])"
    try:
        return int(_output_of([sys.executable, "-c", code])) * 1024
    except (subprocess.CalledProcessError, ValueError):
        return None  # not Linux


def _output_of(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def report(results, args):
    """Print the table."""
    mine = results["dynet"]["ms"]["median"]
    rows = []
    for result in results.values():
        ms, memory = result["ms"], result["memory"]
        rows.append(
            [
                result["label"],
                common.number(ms["median"]),
                f"{ms['low']:.1f}-{ms['high']:.1f}",
                common.number(ms["mean"]),
                common.number(result["epoch_minutes"], 2),
                common.number(ms["median"] / mine, 2),
                common.megabytes(memory["peak"]),
                common.megabytes(memory["above_bare"]),
                common.megabytes(memory["above_built"]),
                common.megabytes(memory["above_first_batch"]),
            ]
        )
    common.print_table(
        f"IRNN, {args.steps} steps, batch {args.batch}, hidden {args.hidden}, float32, "
        f"{args.device}, {args.threads} threads; {args.batches} batches each",
        [
            "",
            "ms per batch",
            "quartiles",
            "mean",
            "epoch, min",
            "time / dynet's",
            "peak MB",
            "above Python",
            "above model",
            "above 1st batch",
        ],
        rows,
    )


SHARED_OPTIONS = ("batch", "hidden", "steps", "device", "threads")


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.irnn", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--batches", type=int, default=60, help="to time, of each contender")
    parser.add_argument("--warmup", type=int, default=5, help="batches before those")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=common.available_cores())
    parser.add_argument("--peers", default=",".join(NAMES[1:]), help="some of these, or none")
    parser.add_argument("--json", default=common.RESULTS / "irnn.json", help="file to write")
    parser.add_argument("--memory-of", choices=NAMES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.peers = [] if args.peers == "none" else args.peers.split(",")
    for peer in args.peers:
        if peer not in NAMES[1:]:
            parser.error(f"--peers: got {peer!r}, expected some of {', '.join(NAMES[1:])}, or none")
    return args


def main():
    """Measure, print the table, write the file."""
    args = parse()
    common.keep_to_cores(args.threads)
    if args.memory_of:
        print(json.dumps(measure_memory(args.memory_of, args)))
        return
    load_at_start = common.load_at_start()
    built = {name: build(name, args) for name in ("dynet", *args.peers)}
    skipped = [name for name, contender in built.items() if contender is None]
    contenders = {name: contender for name, contender in built.items() if contender is not None}
    common.limit_thread_pools(args.threads)
    times = measure_times(contenders, args)
    bare = peak_of_bare_interpreter()
    results = {}
    for name, contender in contenders.items():
        ms = common.summary([1e3 * s for s in times[name]])
        memory = memory_in_fresh_process(name, args)
        memory["above_bare"] = bare and memory["peak"] - bare
        results[name] = {
            "label": contender.label,
            "ms": ms,
            "epoch_minutes": ms["median"] / 60e3 * IMAGES / args.batch,
            "memory": memory,
        }
    report(results, args)
    if skipped:
        print(f"\nskipped, not installed: {', '.join(skipped)}")
    settings = {key: getattr(args, key) for key in (*SHARED_OPTIONS, "batches", "warmup")}
    settings["load_at_start"] = load_at_start
    common.write_json(args.json, settings, {"skipped": skipped, "contenders": results})


if __name__ == "__main__":
    main()
