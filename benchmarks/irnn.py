"""A step of training of an IRNN, in dynet and in others: its time and its memory.

Run from the repository's root::

    python -m benchmarks.irnn
    python -m benchmarks.irnn --batches 20 --peers torch
    python -m benchmarks.irnn --epoch-of 8000 --data FOLDER_WITH_MNIST
    python -m benchmarks.irnn --device cuda:0

A step is forward, backward, clipping the gradient to a global norm of 1, and an SGD update, in
float32. All contenders (see ``benchmarks.contenders``) start from the same weights and see the
same batches; before anything is timed, it is checked that they compute the same. They are timed
in one process in turn, in which each does some steps, and the last one is timed; the table gives
medians, next to the mean, which contains the pauses of the garbage collector.

*Cores.* All have the same number, ``--threads``. The process is confined to that many cores
(``os.sched_setaffinity``) before any framework is imported. XLA, which has no call to set its
number of threads, makes as many as it has cores; for PyTorch and every BLAS the number is also
set by name.

*Memory* is measured in a fresh process for each contender, in which whatever a process before it
could leave on disk is compiled already. It is reported as the peak of the process; as that above
a bare interpreter, to which the framework's own code adds; and as the peak over a few steps of
training above what was held when the model was built. That contains what is compiled or loaded in
the first step; so the same is also said of the steps after the first.

*The first step* is measured in fresh processes too (see ``benchmarks.alone``).

*An epoch*, of ``--epoch-of`` images of MNIST in ``--data``, read pixel by pixel, is trained with
``dynet.scan`` and with PyTorch's loop, which take turns of a few batches. It contains cutting the
batches out of the images; what is compiled was compiled before.

*On a GPU* (``--device cuda:0``) batches of 16 and of 512 are measured, a file for each; ``nn.RNN``
is cuDNN's there. How time is taken there, and in which precision all compute, is said in
``benchmarks.gpu``; memory is the host's there too.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np

from . import alone, common, gpu
from .contenders import OWN, PEERS, check_same, load, make_batch, make_weights

PLACES = OWN | PEERS
IMAGES = 60_000  # in an epoch of MNIST
BATCHES_ON_GPU = 20  # to time of each contender, which are many more steps
BATCHES_IN_A_ROW = 25  # of an epoch that is timed, until it is another's turn
# Small enough for the weights to stay where the numbers are ordinary ones.
RATE = 1e-4
DIFFERENT_BATCHES = 4


def build(name, args):
    """A contender."""
    return load(name)(make_weights(args.hidden), RATE, args.device, args.threads)


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
        contender, own = contenders[name], itertools.cycle(prepared[name])
        calls = gpu.in_a_row(args.device)
        return common.turn(lambda: contender.train(next(own)), contender.wait, calls)

    turns = {name: turn_of(name) for name in contenders}
    common.interleave(turns, args.warmup)
    common.settle()
    return common.interleave(turns, args.batches)


def measure_alone(name, args):
    """In this process, which does nothing else: the first step of training, and memory."""

    def step_of_training():
        gpu.those_that_run([name], PLACES, args.device)
        contender = build(name, args)
        common.limit_thread_pools(args.threads)
        batch = contender.prepare(*make_batch(args.steps, args.batch, np.random.default_rng(1)))

        def step():
            contender.train(batch)
            contender.wait()

        return step

    return alone.measure(step_of_training)


def measure_epoch(contenders, images, labels, args):
    """The seconds that each contender takes to train on every one of some images once."""
    order = np.random.default_rng(1).permutation(len(labels))

    def train(contender, rows):
        pixels = images[rows].reshape(len(rows), -1).T.astype(np.int32)
        contender.train(contender.prepare(pixels, labels[rows]))

    def turn_of(contender):
        starts = iter(range(0, len(order), args.batch))

        def run():
            for start in itertools.islice(starts, BATCHES_IN_A_ROW):
                train(contender, order[start : start + args.batch])
            contender.wait()

        def turn():
            return common.seconds(run)

        return turn

    turns = {name: turn_of(contender) for name, contender in contenders.items()}
    times = common.interleave(turns, -(-len(order) // (args.batch * BATCHES_IN_A_ROW)))
    return {name: sum(seconds) for name, seconds in times.items()}


def images_of(args):
    """The first images of MNIST's part to train on, and their labels."""
    from dynet.datasets import get_mnist  # not before the process is confined to its cores

    images, labels = get_mnist(args.data)[0]
    if args.epoch_of > len(labels):
        raise SystemExit(
            f"--epoch-of: got {args.epoch_of}, but {args.data} has {len(labels)} images to train on"
        )
    return images[: args.epoch_of], labels[: args.epoch_of]


def report(results, args):
    """Print the tables."""
    rows, rows_of_first = [], []
    for result in results.values():
        ms, memory, first = result["ms"], result["memory"], result["first_step"]
        rows.append(
            [
                result["label"],
                common.number(ms["median"]),
                f"{ms['low']:.1f}-{ms['high']:.1f}",
                common.number(ms["mean"]),
                common.number(result["epoch_minutes"], 2),
                *[common.number(result["times_that_of"].get(name), 2) for name in OWN],
                common.megabytes(memory["peak"]),
                common.megabytes(memory["above_bare"]),
                common.megabytes(memory["above_built"]),
                common.megabytes(memory["above_first_batch"]),
            ]
        )
        rows_of_first.append(
            [
                result["label"],
                common.number(first["empty_cache"], 2),
                common.number(first["second_process"], 2),
                common.megabytes(memory["peak_of_first"]),
                common.megabytes(memory["peak"]),
            ]
        )
    common.print_table(
        f"IRNN, {args.steps} steps, batch {args.batch}, hidden {args.hidden}, float32, "
        f"{args.device}, {args.threads} threads; {args.batches} turns each",
        [
            "",
            "ms per batch",
            "quartiles",
            "mean",
            "epoch, min",
            "/ dynet's scan",
            "/ dynet's loop",
            "peak MB",
            "above Python",
            "above model",
            "above 1st batch",
        ],
        rows,
    )
    common.print_table(
        "The first step beyond a later one, in seconds, and the peak of that process",
        ["", "nothing compiled yet", "second process", "peak MB", "peak MB, second"],
        rows_of_first,
    )


def report_epoch(seconds, args):
    """Print how long an epoch took, and the ratio."""
    if args.device != "cpu":
        return
    if not seconds:
        print(f"\nAn epoch of {args.epoch_of:,} images: skipped, no --data with MNIST's files")
        return
    common.print_table(
        f"An epoch of {args.epoch_of:,} images, batch {args.batch}",
        ["", "seconds", "/ dynet's scan"],
        [
            [name, common.number(total), common.number(total / seconds["dynet-scan"], 2)]
            for name, total in seconds.items()
        ],
    )


SHARED_OPTIONS = ("batch", "hidden", "steps", "device", "threads")


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.irnn", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--batch", help="one size or several; 16, and on a GPU 16,512")
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--batches", type=int, help="to time, of each contender; 60, on a GPU 20")
    parser.add_argument("--warmup", type=int, default=5, help="batches before those")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=common.available_cores())
    parser.add_argument("--peers", default=",".join(PEERS), help="some of these, or none")
    parser.add_argument("--data", help="folder with MNIST's IDX files, to time an epoch")
    parser.add_argument("--epoch-of", type=int, default=8000, help="images in that epoch")
    parser.add_argument("--json", type=Path, help="file to write; of each size if there are more")
    parser.add_argument("--alone", choices=[*OWN, *PEERS], help=argparse.SUPPRESS)
    args = parser.parse_args()
    none = args.peers == "none"
    args.peers = [] if none else common.chosen(parser, "--peers", args.peers, PEERS)
    on_cpu = args.device == "cpu"
    if args.data and not on_cpu:
        parser.error(f"--data: an epoch is timed on the CPU only, got --device {args.device}")
    sizes = (args.batch or ("16" if on_cpu else "16,512")).split(",")
    if not all(size.isdecimal() and int(size) for size in sizes):
        parser.error(f"--batch: got {args.batch!r}, expected sizes like 16 or 16,512")
    args.batch = [int(size) for size in sizes]
    args.batches = args.batches or (60 if on_cpu else BATCHES_ON_GPU)
    args.json = args.json or common.RESULTS / gpu.results_name("irnn", args.device)
    return args


def of_each_size(args):
    """The command line of each size of a batch."""
    for size in args.batch:
        path = args.json
        if len(args.batch) > 1:
            path = path.with_stem(f"{path.stem}_batch_{size}")
        yield argparse.Namespace(**vars(args) | {"batch": size, "json": path})


def main():
    """Measure, print the tables, write the files."""
    args = parse()
    common.keep_to_cores(args.threads)
    args.device = gpu.require(args.device)
    if args.alone:
        print(json.dumps(measure_alone(args.alone, next(of_each_size(args)))))
        return
    images = images_of(args) if args.data else None
    load_at_start = common.load_at_start()
    names, skipped = gpu.those_that_run((*OWN, *args.peers), PLACES, args.device)
    for of_size in of_each_size(args):
        measure(names, skipped, images, load_at_start, of_size)


def measure(names, skipped, images, load_at_start, args):
    """The same for one size of a batch."""
    contenders = {name: build(name, args) for name in names}
    common.limit_thread_pools(args.threads)
    times = measure_times(contenders, args)
    epoch = {}
    if args.data:
        pair = [name for name in ("dynet-scan", "torch") if name in contenders]
        epoch = measure_epoch({name: contenders[name] for name in pair}, *images, args)
    bare = alone.peak_of_bare_interpreter()
    options = [f"--{key}={getattr(args, key)}" for key in SHARED_OPTIONS]
    results = {}
    for name, contender in contenders.items():
        ms = common.summary([1e3 * s for s in times[name]])
        results[name] = {
            "label": contender.label,
            "ms": ms,
            "epoch_minutes": ms["median"] / 60e3 * IMAGES / args.batch,
            **alone.in_two_processes("benchmarks.irnn", f"--alone={name}", *options),
        }
    for result in results.values():
        result["memory"]["above_bare"] = bare and result["memory"]["peak"] - bare
        result["times_that_of"] = {
            name: result["ms"]["median"] / results[name]["ms"]["median"] for name in OWN
        }
    report(results, args)
    report_epoch(epoch, args)
    common.print_skipped(skipped)
    settings = {key: getattr(args, key) for key in (*SHARED_OPTIONS, "batches", "warmup")}
    settings |= {"in_a_row": gpu.in_a_row(args.device), "load_at_start": load_at_start}
    found = {"skipped": skipped, "contenders": results}
    if epoch:
        found["epoch"] = {"images": args.epoch_of, "seconds": epoch}
    common.write_json(args.json, settings, found)


if __name__ == "__main__":
    main()
