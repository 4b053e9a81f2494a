"""Every function, forward and backward, against PyTorch's, and fused ones against plain ones.

Run from the repository's root::

    python -m benchmarks.functions
    python -m benchmarks.functions --only softmax_cross_entropy,layer_normalization --threads 2

The functions and their inputs are those of the table of tests (``tests/table``), in float32, at
the sizes that are asked for. A figure is the time of one call that records, one backward sweep
from a gradient given, and freeing the record; of the forward alone, where there is no gradient.
The contenders take turns within one process, on one core unless told otherwise; a turn is as many
calls as fit into a few milliseconds, after one that does not count; the figure is the median
turn's.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import dynet

from . import common

TESTS = Path(__file__).parents[1] / "tests"
TURN = 0.003  # seconds


def table_of_tests():
    """The rows of the table of tests, found beside this folder."""
    spec = importlib.util.spec_from_file_location(
        "table", TESTS / "table" / "__init__.py", submodule_search_locations=[str(TESTS / "table")]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["table"] = module
    spec.loader.exec_module(module)
    return module.TABLE


def rows_to_measure(table):
    """The rows with a peer, and of a function that has none the first with inputs for this."""
    rows = {}
    for row in table:
        name = row.name.partition(":")[0]
        if row.bench is not None and (row.torch or row.composed or name not in rows):
            rows.setdefault(name, []).append(row)
    return [row for of_function in rows.values() for row in of_function]


def inputs_of(row, sizes):
    """By label, the arrays to run a row on: float32 where a gradient is wanted."""
    builders = row.bench
    if callable(builders):
        builders = {f"{n}x{m}": row.bench(n, m) for n, m in sizes}
    found = {}
    for label, build in builders.items():
        arrays = build(np.random.default_rng(0))
        found[label] = [np.asarray(a, np.float32) if a.dtype.kind == "f" else a for a in arrays]
    return found


def dynet_call(function, arrays) -> Callable:
    """One call and one sweep in dynet."""
    xs = [dynet.Variable(a) for a in arrays]
    ys = function(*xs)
    seeds = [np.ones(y.shape, y.dtype) for y in (ys if isinstance(ys, tuple) else (ys,))]

    def call():
        ys = function(*xs)
        if isinstance(ys, tuple):
            wanted = [(y, gy) for y, gy in zip(ys, seeds, strict=True) if y.requires_grad]
            if wanted:
                leaves = [x for x in xs if x.requires_grad]
                dynet.grad([y for y, _ in wanted], leaves, [gy for _, gy in wanted])
        elif ys.requires_grad:
            ys.grad = seeds[0]
            ys.backward()
            for x in xs:
                x.cleargrad()

    return call


def torch_call(torch, function, arrays) -> Callable:
    """One call and one sweep in PyTorch."""
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    leaves = [t for t in tensors if t.requires_grad]
    ys = function(*tensors)
    seeds = [torch.ones_like(y) for y in (ys if isinstance(ys, (tuple, list)) else (ys,))]

    def call():
        ys = function(*tensors)
        if isinstance(ys, (tuple, list)):
            torch.autograd.grad(ys, leaves, seeds, allow_unused=True)
        elif ys.requires_grad:
            ys.backward(seeds[0])
            for leaf in leaves:
                leaf.grad = None

    return call


def turn(call) -> Callable:
    """A turn of as many calls as fit into one, which tells the seconds of each."""
    call()
    start = time.perf_counter()
    call()
    calls = max(1, int(TURN / (time.perf_counter() - start)))

    def run():
        call()  # so that the caches hold what is this contender's, and its threads are awake
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls

    return run


def contenders_of(row, arrays, torch):
    """The turns of whoever has this function."""
    turns = {"dynet": turn(dynet_call(row.function, arrays))}
    if row.composed is not None:
        turns["composed"] = turn(dynet_call(row.composed, arrays))
    if torch is not None and row.torch is not None:
        turns["torch"] = turn(torch_call(torch, row.torch, arrays))
    return turns


def measure(rows, sizes, rounds, threads, torch):
    """Microseconds by row, label and contender."""
    # On one core nobody has threads that spin on into the next one's turn.
    pause = common.PAUSE if threads > 1 else 0
    results = {}
    for row in rows:
        for label, arrays in inputs_of(row, sizes).items():
            turns = contenders_of(row, arrays, torch)
            common.interleave(turns, 2, pause)
            times = common.interleave(turns, rounds, pause)
            results.setdefault(row.name, {})[label] = {
                name: common.summary([1e6 * s for s in seconds]) for name, seconds in times.items()
            }
    return results


def report(results, threads):
    """Print a line for every function and size."""
    lines = []
    for name, by_label in results.items():
        for label, by_contender in by_label.items():
            median = {c: by_contender[c]["median"] if c in by_contender else None for c in COLUMNS}
            ratios = [
                None if median[c] is None else median["dynet"] / median[c]
                for c in ("torch", "composed")
            ]
            cells = [common.number(median[c]) for c in COLUMNS]
            lines.append([name, label, *cells, *[common.number(r, 2) for r in ratios]])
    common.print_table(
        f"Forward and backward, float32, {threads} thread{'s' * (threads > 1)}, medians",
        ["us", "size", *COLUMNS, "dynet / torch", "dynet / composed"],
        lines,
    )


COLUMNS = ("dynet", "torch", "composed")


def main():
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.functions", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--sizes", default="128x1000,16x10", help="rows x columns")
    parser.add_argument("--only", help="names of functions; all by default")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contender")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers", default="torch", choices=["torch", "none"])
    parser.add_argument("--json", default=common.RESULTS / "functions.json", help="file to write")
    args = parser.parse_args()
    common.keep_to_cores(args.threads)
    load_at_start = common.load_at_start()
    sizes = [tuple(int(n) for n in size.split("x")) for size in args.sizes.split(",")]
    rows = rows_to_measure(table_of_tests())
    if args.only:
        names = set(args.only.split(","))
        unknown = names - {row.name.partition(":")[0] for row in rows}
        if unknown:
            parser.error(f"--only: the table has no function called {', '.join(sorted(unknown))}")
        rows = [row for row in rows if row.name.partition(":")[0] in names]

    torch = None
    if args.peers == "torch":
        try:
            import torch  # only where it is installed and asked for
        except ModuleNotFoundError:
            print("skipped, not installed: torch")
        else:
            torch.set_num_threads(args.threads)
    common.limit_thread_pools(args.threads)
    results = measure(rows, sizes, args.rounds, args.threads, torch)
    report(results, args.threads)
    settings = {"rounds": args.rounds, "threads": args.threads, "load_at_start": load_at_start}
    skipped = ["torch"] if torch is None and args.peers == "torch" else []
    common.write_json(args.json, settings, {"skipped": skipped, "functions": results})


if __name__ == "__main__":
    main()
