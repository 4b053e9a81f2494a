"""Updates of 10 million parameters against PyTorch's fastest way of each, and of a large table.

Run from the repository's root::

    python -m benchmarks.optimizers
    python -m benchmarks.optimizers --only SGD,Adam --threads 2 --rounds 30
    python -m benchmarks.optimizers --device cuda:0

*Updates.* Each optimizer moves parameters of float32 whose gradients are there: one array, the
layers of a perceptron, or many small matrices, of as many numbers in all. PyTorch has several
ways of doing so: ``fused``, ``foreach``, the plain ``loop``, and the loop ``compiled``, where a C++
compiler is found and the arrays are few. All of them are measured, the fastest counts.

*A large table.* Forward, backward and an update by SGD of an embedding of which a batch looks up a
thousand rows: of a table of a million rows and of one of ten thousand, which should cost the same,
and of PyTorch's with ``sparse=True``.

The contenders take turns within one process, on each number of cores that is asked for; a turn is
as many updates as fit into a few milliseconds, after one that does not count.
"""

import argparse
import os
from collections.abc import Callable

import numpy as np

import dynet
import dynet.links as L

from . import common, gpu
from .contenders.with_dynet import wait_for

TURN = 0.02  # seconds
IDS = 1000  # how many rows of a table a batch looks up
WIDTH = 64
FEW = 100  # arrays; to compile the update of more takes minutes

# The first three are those that are promised to be no slower than PyTorch's; the name and the
# settings of PyTorch's optimizer, where there is one.
OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 1e-3}),
    "MomentumSGD": ("SGD", {"lr": 1e-3, "momentum": 0.9}),
    "Adam": ("Adam", {}),
    "AdamW": ("AdamW", {}),
    "AMSGrad": ("Adam", {"amsgrad": True}),
    "NesterovAG": ("SGD", {"lr": 1e-3, "momentum": 0.9, "nesterov": True}),
    "AdaGrad": ("Adagrad", {}),
    "AdaDelta": ("Adadelta", {}),
    "RMSprop": ("RMSprop", {}),
    "CorrectedMomentumSGD": None,
    "MSVAG": None,
    "RMSpropGraves": None,
    "SMORMS3": None,
    "AdaBound": None,
    "AMSBound": None,
}
PROMISED = tuple(OPTIMIZERS)[:3]


def shapes_of(size):
    """By label, the shapes of arrays of ``size`` numbers in all, about."""
    width = max(1, int((size / 2.4) ** 0.5))  # of 784, two hidden layers and one of 10
    layers = [(width, max(1, width * 2 // 5)), (width,), (width, width), (width,)]
    return {
        "one array": [(size,)],
        "perceptron": [*layers, (width, width), (width,), (10, width), (10,)],
        "many small": [(100, 100)] * max(1, size // 10_000),
    }


def filled(shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


# -- updates ----------------------------------------------------------------------------------


def dynet_update(name, shapes, device) -> Callable:
    """An update of parameters of some shapes by an optimizer of dynet, as it is by default."""
    link = dynet.Link()
    with link.init_scope():
        for i, (W, gW) in enumerate(zip(filled(shapes), filled(shapes), strict=True)):
            setattr(link, f"p{i}", dynet.Parameter(W))
            getattr(link, f"p{i}").grad = gW
    return getattr(dynet.optimizers, name)().setup(link.to_device(device)).update


def torch_updates(torch, name, settings, shapes, device) -> dict[str, Callable]:
    """The same in PyTorch, in each of its ways."""
    tensors = [torch.tensor(W, device=device.name, requires_grad=True) for W in filled(shapes)]
    for tensor, gW in zip(tensors, filled(shapes), strict=True):
        tensor.grad = torch.tensor(gW, device=device.name)
    ways = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    updates = {}
    for way, option in ways.items():
        try:
            updates[way] = getattr(torch.optim, name)(tensors, **settings, **option).step
        except (TypeError, RuntimeError):
            continue  # this optimizer is not made in this way
    if len(tensors) <= FEW:
        torch._dynamo.reset()
        compiled = torch.compile(getattr(torch.optim, name)(tensors, **settings).step)
        try:
            for _ in range(3):
                compiled()
            updates["compiled"] = compiled
        except Exception as error:  # PyTorch says in many ways that it found no compiler
            print(f"torch.compile, left out: {str(error).strip().splitlines()[0]}")
    return updates


def turn_of(update, device) -> Callable:
    """A turn: seconds per update."""
    return common.turn_that_lasts(update, lambda: wait_for(device), TURN)


def measure(turns, rounds):
    common.interleave(turns, 1)
    common.settle()
    times = common.interleave(turns, rounds)
    return {name: common.summary([1e3 * s for s in seconds]) for name, seconds in times.items()}


def measure_updates(names, size, rounds, device, torch):
    """By optimizer and arrays, what an update takes in dynet and in each way of PyTorch's."""
    results = {}
    for name in names:
        for label, shapes in shapes_of(size).items():
            if label != "one array" and name not in PROMISED:
                continue
            turns = {"dynet": turn_of(dynet_update(name, shapes, device), device)}
            if torch is not None and OPTIMIZERS[name]:
                ways = torch_updates(torch, *OPTIMIZERS[name], shapes, device)
                turns |= {way: turn_of(update, device) for way, update in ways.items()}
            results.setdefault(name, {})[label] = with_ratio(measure(turns, rounds))
    return results


def with_ratio(times):
    """What was measured, and how dynet's median stands to PyTorch's best."""
    ways = [way for way in times if way != "dynet"]
    if not ways:
        return times
    best = min(ways, key=lambda way: times[way]["median"])
    return {**times, "best": best, "ratio": times["dynet"]["median"] / times[best]["median"]}


def report_updates(results, size, where, rounds):
    rows = []
    for name, by_label in results.items():
        for label, times in by_label.items():
            cells = [name, label, common.number(times["dynet"]["median"], 2)]
            if "best" in times:
                cells.append(common.number(times[times["best"]]["median"], 2))
                cells += [times["best"], f"{times['ratio']:.2f}"]
            else:
                cells += ["-"] * 3
            rows.append(cells)
    common.print_table(
        f"Updates of {size:,} parameters, {where}, ms, medians of {rounds} turns",
        ["optimizer", "arrays", "dynet", "PyTorch", "by", "dynet / PyTorch"],
        rows,
    )


# -- a large table ----------------------------------------------------------------------------


def dynet_table(rows, ids, device) -> Callable:
    """Forward, backward and update of a table in dynet."""
    link, ids = L.EmbedID(rows, WIDTH).to_device(device), device.send(ids)
    optimizer = dynet.optimizers.SGD(lr=1e-3).setup(link)
    return lambda: optimizer.update(lambda: link(ids).sum())


def torch_table(torch, rows, ids, device) -> Callable:
    """The same in PyTorch."""
    link = torch.nn.Embedding(rows, WIDTH, sparse=True, device=device.name)
    optimizer = torch.optim.SGD(link.parameters(), lr=1e-3)
    ids = torch.tensor(ids, device=device.name)

    def step():
        optimizer.zero_grad()
        link(ids).sum().backward()
        optimizer.step()

    return step


def measure_tables(rows, rounds, device, torch):
    """By length of the table, what a step takes."""
    turns = {}
    for n in rows:
        ids = np.random.default_rng(0).integers(n, size=IDS)
        turns[f"{n:,} dynet"] = turn_of(dynet_table(n, ids, device), device)
        if torch is not None:
            turns[f"{n:,} torch"] = turn_of(torch_table(torch, n, ids, device), device)
    times = measure(turns, rounds)
    results = {}
    for label, summary in times.items():
        n, contender = label.split()
        results.setdefault(n, {})[contender] = summary
    return results


def report_tables(results, where, rounds):
    rows = []
    for n, times in results.items():
        cells = [n, common.number(times["dynet"]["median"], 3), "-", "-"]
        if "torch" in times:
            cells[2] = common.number(times["torch"]["median"], 3)
            cells[3] = f"{times['dynet']['median'] / times['torch']['median']:.2f}"
        rows.append(cells)
    common.print_table(
        f"SGD on a table of vectors of {WIDTH}, {IDS:,} looked up, {where}: forward, backward, "
        f"update, ms, medians of {rounds} turns",
        ["rows", "dynet", "PyTorch", "dynet / PyTorch"],
        rows,
    )


def main():
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.optimizers", description=__doc__.split("\n")[0]
    )
    cores = common.available_cores()
    parser.add_argument("--rounds", type=int, default=20, help="turns of each contender")
    parser.add_argument("--size", type=int, default=10_000_000, help="parameters in all")
    parser.add_argument("--rows", default="1000000,10000", help="of the tables")
    parser.add_argument("--only", default=",".join(OPTIMIZERS), help="optimizers, by name")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:N")
    parser.add_argument("--threads", help="numbers of cores; 1 and all, with a GPU all")
    parser.add_argument("--peers", default="torch", choices=["torch", "none"])
    parser.add_argument("--json", help="file to write")
    args = parser.parse_args()
    names = args.only.split(",")
    for name in names:
        if name not in OPTIMIZERS:
            parser.error(f"--only: got {name!r}, expected some of {', '.join(OPTIMIZERS)}")
    path = args.json or common.RESULTS / gpu.results_name("optimizers", args.device)
    args.device = gpu.require(args.device)
    device = dynet.get_device(args.device)
    load_at_start = common.load_at_start()
    torch, skipped = gpu.torch_for(args.device) if args.peers == "torch" else (None, [])
    common.print_skipped(skipped)

    updates, tables = {}, {}
    all_cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    least = 1 if args.device == "cpu" else cores
    counts = sorted(map(int, args.threads.split(",")) if args.threads else {least, cores})
    for threads in counts:
        if all_cores:
            os.sched_setaffinity(0, sorted(all_cores)[:threads])
        common.limit_thread_pools(threads)
        if torch is not None:
            torch.set_num_threads(threads)
        where = f"{args.device}, on {threads} core(s)"
        updates[threads] = measure_updates(names, args.size, args.rounds, device, torch)
        report_updates(updates[threads], args.size, where, args.rounds)
        rows = map(int, args.rows.split(","))
        tables[threads] = measure_tables(rows, args.rounds, device, torch)
        report_tables(tables[threads], where, args.rounds)

    settings = {"rounds": args.rounds, "size": args.size, "device": args.device, "threads": counts}
    settings |= {"ids": IDS, "width": WIDTH, "load_at_start": load_at_start}
    results = {"skipped": skipped, "updates": updates, "tables": tables}
    common.write_json(path, settings, results)


if __name__ == "__main__":
    main()
