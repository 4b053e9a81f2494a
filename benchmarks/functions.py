"""Every function, forward and backward, against PyTorch's, and fused ones against plain ones.

Run from the repository's root::

    python -m benchmarks.functions
    python -m benchmarks.functions --only softmax_cross_entropy,layer_normalization --threads 2
    python -m benchmarks.functions --device cuda:0

The functions and their inputs are those of the table of tests (``tests/table``), in float32, at
the sizes that are asked for. A figure is the time of one call that records, one backward sweep
from a gradient given, and freeing the record; of the forward alone, where there is no gradient.
The contenders take turns within one process, on one core unless told otherwise; a turn is as many
calls as fit into a few milliseconds, after one that does not count; the figure is the median
turn's. Of a function that some contender lacks on a GPU it is said why, and the others go on.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import dynet

from . import common, gpu
from .contenders.with_dynet import wait_for

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


def dynet_call(function, arrays, device) -> Callable:
    """One call and one sweep in dynet."""
    xs = [dynet.Variable(device.send(a)) for a in arrays]
    ys = function(*xs)
    seeds = [device.xp.ones(y.shape, y.dtype) for y in (ys if isinstance(ys, tuple) else (ys,))]

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


def torch_call(torch, function, arrays, device) -> Callable:
    """One call and one sweep in PyTorch."""
    tensors = [
        torch.tensor(a, device=device.name, requires_grad=a.dtype.kind == "f") for a in arrays
    ]
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


def contenders_of(row, arrays, device, torch, skipped):
    """The turns of whoever has this function; to ``skipped`` is added who fails on a GPU, and why.

    Whether a function of PyTorch's exists there is not known before it is tried, and should not
    end a measurement of hundreds.
    """
    makers = {"dynet": lambda: dynet_call(row.function, arrays, device)}
    if row.composed is not None:
        makers["composed"] = lambda: dynet_call(row.composed, arrays, device)
    if torch is not None and row.torch is not None:
        makers["torch"] = lambda: torch_call(torch, row.torch, arrays, device)
    turns = {}
    for name, make in makers.items():
        try:
            turns[name] = common.turn_that_lasts(make(), lambda: wait_for(device), TURN)
        except Exception as error:
            if device.name == "cpu":
                raise
            skipped.append(f"{row.name} in {name}: {type(error).__name__}: {error}")
    return turns


def measure(rows, sizes, rounds, threads, device, torch, skipped):
    """Microseconds by row, label and contender."""
    # On one core nobody has threads that spin on into the next one's turn.
    pause = common.PAUSE if threads > 1 else 0
    results = {}
    for row in rows:
        for label, arrays in inputs_of(row, sizes).items():
            turns = contenders_of(row, arrays, device, torch, skipped)
            common.interleave(turns, 2, pause)
            times = common.interleave(turns, rounds, pause)
            results.setdefault(row.name, {})[label] = {
                name: common.summary([1e6 * s for s in seconds]) for name, seconds in times.items()
            }
    return results


def report(results, device, threads):
    """Print a line for every function and size."""
    lines = []
    for name, by_label in results.items():
        for label, by_contender in by_label.items():
            median = {c: by_contender[c]["median"] if c in by_contender else None for c in COLUMNS}
            ratios = [
                None if None in (median["dynet"], median[c]) else median["dynet"] / median[c]
                for c in ("torch", "composed")
            ]
            cells = [common.number(median[c]) for c in COLUMNS]
            lines.append([name, label, *cells, *[common.number(r, 2) for r in ratios]])
    common.print_table(
        f"Forward and backward, float32, {device}, {threads} thread{'s' * (threads > 1)}, medians",
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
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers", default="torch", choices=["torch", "none"])
    parser.add_argument("--json", help="file to write")
    args = parser.parse_args()
    path = args.json or common.RESULTS / gpu.results_name("functions", args.device)
    common.keep_to_cores(args.threads)
    args.device = gpu.require(args.device)
    load_at_start = common.load_at_start()
    sizes = [tuple(int(n) for n in size.split("x")) for size in args.sizes.split(",")]
    rows = rows_to_measure(table_of_tests())
    if args.only:
        names = set(args.only.split(","))
        unknown = names - {row.name.partition(":")[0] for row in rows}
        if unknown:
            parser.error(f"--only: the table has no function called {', '.join(sorted(unknown))}")
        rows = [row for row in rows if row.name.partition(":")[0] in names]

    torch, skipped = gpu.torch_for(args.device) if args.peers == "torch" else (None, [])
    if torch is not None:
        torch.set_num_threads(args.threads)
    common.limit_thread_pools(args.threads)
    device = dynet.get_device(args.device)
    results = measure(rows, sizes, args.rounds, args.threads, device, torch, skipped)
    report(results, args.device, args.threads)
    common.print_skipped(skipped)
    settings = {"rounds": args.rounds, "device": args.device, "threads": args.threads}
    settings["load_at_start"] = load_at_start
    common.write_json(path, settings, {"skipped": skipped, "functions": results})


if __name__ == "__main__":
    main()
