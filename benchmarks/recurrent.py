"""LSTM, GRU and ReLU networks, in a loop and whole, in dynet and in others: forward and backward.

Run from the repository's root::

    python -m benchmarks.recurrent
    python -m benchmarks.recurrent --networks lstm --sizes 320x1x1x15 --ways cell --peers torch
    python -m benchmarks.recurrent --embedding
    python -m benchmarks.recurrent --device cuda:0

What the networks are, and the three ways in which each is run, is described in
``benchmarks.contenders.recurrent``. All start from the same weights and see the same data, in
float32; before anything is timed, it is checked that they compute the same loss and gradients. They
are timed in one process in turn, on the same cores (see ``benchmarks.irnn``); the tables give
medians, and how many times as long as dynet's others take.

The second part, alone with ``--embedding``, is described in ``benchmarks.embedding``.

On a GPU PyTorch's whole sequences are cuDNN's; see also ``benchmarks.gpu``.
"""

import argparse
from functools import partial
from pathlib import Path

from . import common, embedding, gpu
from .contenders import check_gradients, load
from .contenders.recurrent import FRAMEWORKS, GATES, PLACES, WAYS, make_task

SIZES = ("320x1x1x15", "784x16x100x100", "100x32x128x128", "35x20x650x650")
PEERS = tuple(framework for framework in FRAMEWORKS if framework != "dynet")
SETTINGS = ("device", "threads", "batches", "warmup", "words")


def measure(network, size, args):
    """By contender, how long its sweeps take, in ms."""
    task = make_task(network, *size)
    names = [
        f"{framework}-{way}"
        for framework in ("dynet", *args.peers)
        for way in args.ways
        if way in FRAMEWORKS[framework]
    ]
    contenders = {
        name: load(name, PLACES)(network, task.weights, args.device, args.threads) for name in names
    }
    common.limit_thread_pools(args.threads)
    batches = {name: c.prepare(task.xs, task.coefficients) for name, c in contenders.items()}
    check_gradients(contenders, batches)
    turns = {
        name: common.turn(
            partial(contender.sweep, batches[name]), contender.wait, gpu.in_a_row(args.device)
        )
        for name, contender in contenders.items()
    }
    common.interleave(turns, args.warmup)
    common.settle()
    times = common.interleave(turns, args.batches)
    return {name: common.summary([1e3 * s for s in times[name]]) for name in names}


def report(network, size, results, args):
    """Print the table of one network at one size."""
    rows = []
    for way in args.ways:
        ms = {
            framework: results[f"{framework}-{way}"]["median"]
            for framework in FRAMEWORKS
            if f"{framework}-{way}" in results
        }
        times = [common.number(ms.get(framework), 2) for framework in ("dynet", *args.peers)]
        ratios = [
            common.number(ms[peer] / ms["dynet"] if peer in ms else None, 2) for peer in args.peers
        ]
        rows.append([WAYS[way], *times, *ratios])
    steps, batch, features, hidden = size
    common.print_table(
        f"{network}, {steps} steps, batch {batch}, input {features}, hidden {hidden}, float32, "
        f"{args.device}, {args.threads} threads; ms, medians of {args.batches} turns",
        ["", "dynet", *args.peers, *[f"{peer} / dynet" for peer in args.peers]],
        rows,
    )


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recurrent", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--networks", default=",".join(GATES), help="some of these")
    parser.add_argument("--sizes", default=",".join(SIZES), help="steps x batch x input x hidden")
    parser.add_argument("--ways", default=",".join(WAYS), help="some of these")
    parser.add_argument("--peers", default=",".join(PEERS), help="some of these, or none")
    parser.add_argument("--batches", type=int, default=10, help="to time, of each contender")
    parser.add_argument("--warmup", type=int, default=2, help="batches before those")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=common.available_cores())
    parser.add_argument("--embedding", action="store_true", help="the part on an embedding alone")
    parser.add_argument("--words", type=int, default=20_000, help="in the embedding's table")
    parser.add_argument("--json", type=Path, help="file to write")
    args = parser.parse_args()
    args.json = args.json or common.RESULTS / gpu.results_name("recurrent", args.device)
    args.networks = common.chosen(parser, "--networks", args.networks, GATES)
    args.ways = common.chosen(parser, "--ways", args.ways, WAYS)
    none = args.peers == "none"
    args.peers = [] if none else common.chosen(parser, "--peers", args.peers, PEERS)
    sizes = args.sizes.split(",")
    args.sizes = {size: tuple(int(n) for n in size.split("x") if n.isdecimal()) for size in sizes}
    for size, numbers in args.sizes.items():
        if len(numbers) != 4 or 0 in numbers or size != "x".join(map(str, numbers)):
            parser.error(f"--sizes: got {size!r}, expected sizes like {SIZES[0]}")
    return args


def main():
    """Measure, print the tables, write the file."""
    args = parse()
    common.keep_to_cores(args.threads)
    args.device = gpu.require(args.device)
    load_at_start = common.load_at_start()
    whole = [f"{peer}-whole" for peer in args.peers]
    running, skipped = gpu.those_that_run(whole, PLACES, args.device)
    args.peers = [name.removesuffix("-whole") for name in running]
    found = {"skipped": skipped}
    if not args.embedding:
        found["networks"] = {network: {} for network in args.networks}
        for network, by_size in found["networks"].items():
            for size, numbers in args.sizes.items():
                by_size[size] = measure(network, numbers, args)
                report(network, numbers, by_size[size], args)
    found["embedding"] = embedding.measure(args)
    embedding.report(found["embedding"], args)
    common.print_skipped(skipped)
    settings = {key: getattr(args, key) for key in SETTINGS}
    settings |= {"in_a_row": gpu.in_a_row(args.device), "load_at_start": load_at_start}
    common.write_json(args.json, settings, found)


if __name__ == "__main__":
    main()
