"""The second part of ``benchmarks.recurrent``: what an embedding inside a loop adds to a backward.

The library's cell runs for 100 steps, batch 32, 128 features and units, and looks up its input in a
table of 20,000 words (``--words``) at every step, inside the loop or inside the scanned step. Only
the backward is timed, and with three inputs in turn:

- the table, a parameter: its gradient is computed;
- the looked-up vectors in its place, which get a gradient each, but no table does;
- the same vectors as constants: nothing behind the cell gets a gradient.

The share of the table's gradient is what the backward takes with the table beyond what it takes
with vectors, out of what it takes with the table. What it takes beyond constants contains also the
product of the gates' gradients with their weights, which is owed for any input that is computed.

When ``backward`` returns, the gradient is in PyTorch an array of the table's size; in dynet it is
the rows that were looked up, each once, which is what optimizers take. What it takes dynet to make
the array of them, for who asks for ``grad``, stands beside.
"""

from functools import partial

from . import common
from .contenders import check_gradients, load
from .contenders.recurrent import EMBEDDING_PLACES, GIVEN, make_task

SIZE = (100, 32, 128, 128)  # steps, batch, input, hidden


def backward(contender, batch):
    """The seconds that a backward takes, and then those of asking for the table's gradient."""
    loss = contender.loss(batch)
    contender.wait()

    def sweep():
        loss.backward()
        contender.wait()

    def ask():
        _ = table.grad
        contender.wait()

    seconds = common.seconds(sweep)
    table = contender.parameters.get("table")
    return seconds, 0.0 if table is None else common.seconds(ask)


def measure_network(network, args):
    """By contender, what its backward takes in ms, by what it is given, and the table's share."""
    weights, *data = make_task(network, *SIZE, args.words)
    names = [name for name in EMBEDDING_PLACES if name.startswith(("dynet", *args.peers))]
    made = {
        (name, given): load(name, EMBEDDING_PLACES)(
            network, weights, args.device, args.threads, given
        )
        for name in names
        for given in GIVEN
    }
    common.limit_thread_pools(args.threads)
    batches = {key: contender.prepare(*data) for key, contender in made.items()}
    with_table = {key: contender for key, contender in made.items() if "table" in key}
    check_gradients(with_table, batches)
    turns = {
        key: partial(common.last_in_a_row, partial(backward, made[key], batches[key]))
        for key in made
    }
    common.interleave(turns, args.warmup)
    common.settle()
    times = common.interleave(turns, args.batches)
    results = {}
    for name in names:
        ms = {
            given: common.summary([1e3 * seconds for seconds, _ in times[name, given]])
            for given in GIVEN
        }
        table, vectors, constants = [ms[given]["median"] for given in GIVEN]
        results[name] = {
            "ms": ms,
            "share": (table - vectors) / table,
            "share_beyond_constants": (table - constants) / table,
            "ms_of_array": common.summary([1e3 * array for _, array in times[name, "table"]]),
        }
    return results


def measure(args):
    """The same by network."""
    return {network: measure_network(network, args) for network in args.networks}


def report(results, args):
    """Print the table."""
    rows = []
    for network, by_name in results.items():
        for name, result in by_name.items():
            ms = [result["ms"][given]["median"] for given in GIVEN]
            shares = [result["share"], result["share_beyond_constants"]]
            rows.append(
                [
                    f"{network}, {name}",
                    *[common.number(value, 2) for value in ms],
                    *[f"{share:.1%}" for share in shares],
                    common.number(result["ms_of_array"]["median"], 2),
                ]
            )
    steps, batch, features, hidden = SIZE
    common.print_table(
        f"Backward with an embedding of {args.words:,} words, {steps} steps, batch {batch}, input "
        f"{features}, hidden {hidden}, {args.device}, {args.threads} threads; ms, medians of "
        f"{args.batches}",
        ["", *GIVEN, "share of the table", "with its input's", "as an array, ms"],
        rows,
    )
