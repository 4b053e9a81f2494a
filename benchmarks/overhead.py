"""What the tape costs: per operation on tiny arrays, and as a loop grows long.

Run from the repository's root::

    python -m benchmarks.overhead
    python -m benchmarks.overhead --peers none --lengths 1000,10000

*Per operation.* A chain of 1,000 operations on arrays of 4 float32 elements, where arithmetic
costs next to nothing: the time to compute and record one, to sweep it, and to free its record,
for dynet and PyTorch in turn.

*Linear cost.* Forward and backward over loops of growing length: the time and the memory per
step, which should not grow with the number of steps. The garbage collector is off, for a tape
does not need it: the memory is told before, at the peak, and when the loss is gone, where all of
it should be back. The time is told with the collector on as well: it walks every object that the
process holds, again and again as they grow in number, to find that none is garbage.
"""

import argparse
import functools
import time

import numpy as np

import dynet
import dynet.functions as F

from . import common
from .contenders import load
from .long_loops import LOOPS, measure_lengths, report_lengths

CHAIN = 1000
PHASES = ("record", "sweep", "free")
# Where a sweep starts from: zero stays zero, where `y + y` brings all else to infinity.
SEED = 0.0


def add_constant(y, c, relu):
    """``y + c``, again and again."""
    for _ in range(CHAIN):
        y = y + c
    return y


def add_self(y, c, relu):
    """``y + y``, again and again."""
    for _ in range(CHAIN):
        y = y + y
    return y


def multiply_constant(y, c, relu):
    """``y * c``, again and again."""
    for _ in range(CHAIN):
        y = y * c
    return y


def multiply_self(y, c, relu):
    """``y * y``, again and again."""
    for _ in range(CHAIN):
        y = y * y
    return y


def rectify(y, c, relu):
    """``relu(y)``, again and again."""
    for _ in range(CHAIN):
        y = relu(y)
    return y


# What each chain starts from and its constant: ordinary numbers, however long the chain.
CHAINS = {
    "y + c": (add_constant, 1.0, 0.001),
    "y + y": (add_self, 0.0, 0.0),
    "y * c": (multiply_constant, 1.0, 1.0),
    "y * y": (multiply_self, 1.0, 1.0),
    "relu(y)": (rectify, 1.0, 1.0),
}


def dynet_chain(chain, start, constant):
    """Seconds of recording, sweeping and freeing one chain in dynet."""
    x = dynet.Variable(np.full(4, start, np.float32))
    c = np.full(4, constant, np.float32)
    seed = np.full(4, SEED, np.float32)
    begin = time.perf_counter()
    y = chain(x, c, F.relu)
    recorded = time.perf_counter()
    y.grad = seed
    y.backward()
    swept = time.perf_counter()
    del y
    return recorded - begin, swept - recorded, time.perf_counter() - swept


def torch_chain(chain, start, constant):
    """Seconds of recording, sweeping and freeing one chain in PyTorch."""
    import torch  # only where it is installed and asked for

    x = torch.full((4,), start, requires_grad=True)
    c = torch.full((4,), constant)
    seed = torch.full((4,), SEED)
    begin = time.perf_counter()
    y = chain(x, c, torch.relu)
    recorded = time.perf_counter()
    y.backward(seed)
    swept = time.perf_counter()
    del y
    return recorded - begin, swept - recorded, time.perf_counter() - swept


def measure_operations(runners, rounds):
    """Microseconds per operation, by chain, contender and phase."""
    results = {}
    for label, chain in CHAINS.items():
        turns = {name: functools.partial(run, *chain) for name, run in runners.items()}
        common.interleave(turns, 3)
        common.settle()
        times = common.interleave(turns, rounds)
        results[label] = {
            name: {
                phase: common.summary([1e6 * seconds / CHAIN for seconds in column])
                for phase, column in zip(PHASES, zip(*rows, strict=True), strict=True)
            }
            for name, rows in times.items()
        }
    return results


def report_operations(results, rounds):
    """Print the table of what an operation costs."""
    rows = []
    for label, by_name in results.items():
        for name, phases in by_name.items():
            cells = [f"{label}  {name}"]
            total, mine = (
                sum([by_name[n][phase]["median"] for phase in PHASES]) for n in (name, "dynet")
            )
            for phase in PHASES:
                median = phases[phase]["median"]
                ratio = median / by_name["dynet"][phase]["median"]
                cells += [f"{median:.2f}", f"{ratio:.2f}"]
            rows.append([*cells, f"{total:.2f}", f"{total / mine:.2f}"])
    header = ["us per operation"]
    for phase in (*PHASES, "all"):
        header += [phase, "/ dynet's"]
    common.print_table(
        f"Chains of {CHAIN:,} operations on 4 float32 elements, medians of {rounds}", header, rows
    )


def main():
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=100, help="chains of each contender")
    parser.add_argument("--lengths", default="1000,10000,100000", help="of loops, in steps")
    parser.add_argument("--repeats", type=int, default=5, help="loops of each length")
    parser.add_argument("--threads", type=int, default=common.available_cores())
    parser.add_argument("--peers", default="torch", choices=["torch", "none"])
    parser.add_argument("--json", default=common.RESULTS / "overhead.json", help="file to write")
    args = parser.parse_args()
    common.keep_to_cores(args.threads)
    common.limit_thread_pools(args.threads)
    load_at_start = common.load_at_start()
    lengths = [int(steps) for steps in args.lengths.split(",")]

    # The long loops first, in a process that PyTorch has not made larger yet.
    loops = {}
    for label, make_loop in LOOPS.items():
        loops[label] = measure_lengths(make_loop, lengths, args.repeats)
        report_lengths(label, loops[label])

    runners, skipped = {"dynet": dynet_chain}, []
    if args.peers == "torch":
        if load("torch") is None:
            skipped.append("torch")
        else:
            runners["torch"] = torch_chain
            common.limit_thread_pools(args.threads)  # PyTorch has brought its own
    operations = measure_operations(runners, args.rounds)
    report_operations(operations, args.rounds)
    if skipped:
        print(f"\nskipped, not installed: {', '.join(skipped)}")

    settings = {key: getattr(args, key) for key in ("rounds", "repeats", "threads")}
    settings |= {"chain": CHAIN, "load_at_start": load_at_start}
    results = {"skipped": skipped, "operations": operations, "loops": loops}
    common.write_json(args.json, settings, results)


if __name__ == "__main__":
    main()
