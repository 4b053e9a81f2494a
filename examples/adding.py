"""The adding problem: a network reads a number and a mark at each of up to 55 steps, and has to say
what the two marked numbers come to. Sequences differ in length; a mask says where each is over.
Source: Hochreiter, Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997)."""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import trange

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.datasets import get_adding_problem
from dynet.initializers import LeCunNormal
from dynet.optimizers import Adam
from dynet.training import Interruption, Log, evaluate

CELLS = {"gru": L.StatelessGRU, "lstm": L.StatelessLSTM, "mgu": L.StatelessMGU}
EVERY = 50  # updates to a line of the log
HELD_OUT = 1000  # sequences that no update sees
GUESS = 1 / 6  # the mean squared error of one who always says 1


class Adder(dynet.Chain):
    """A recurrent cell, and a linear map of the state that it is in where a sequence ends."""

    def __init__(self, cell, hidden, rng):
        super().__init__()
        weights = {"lateral_init": LeCunNormal(rng=rng), "upward_init": LeCunNormal(rng=rng)}
        self.states = 2 if cell is L.StatelessLSTM else 1  # cells and outputs, or these alone
        with self.init_scope():
            self.cell = cell(2, hidden, **weights)
            self.out = L.Linear(hidden, 1, initialW=LeCunNormal(rng=rng))

    def forward(self, inputs, mask):  # (batch, steps, 2) and (batch, steps)
        def step(state, now):
            x, inside = now
            after = self.cell(*state, x)
            after = after if self.states > 1 else [after]
            # Where a sequence is over its state stays as it is, whatever the padding says.
            return [F.where(inside, a, b) for a, b in zip(after, state, strict=True)], None

        zeros = self.xp.zeros((len(inputs), self.cell.out_size), np.float32)
        steps_first = inputs.swapaxes(0, 1), mask.T[:, :, None]
        state, _ = dynet.scan(step, [zeros] * self.states, steps_first)
        return self.out(state[-1])


def measure(model, inputs, mask, targets):
    return F.mean_squared_error(model(inputs, mask), targets)


def draw(path, log, answers, targets):
    from matplotlib.figure import Figure  # optional: comes with dynet[examples]

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    learning, sums = figure.subplots(1, 2)
    iterations = [line["iteration"] for line in log.lines]
    for name in "train_mse", "test_mse":
        learning.semilogy(iterations, [line[name] for line in log.lines], label=name)
    learning.axhline(GUESS, color="0.6", linestyle="--", label="always saying 1")
    learning.set(xlabel="iteration", ylabel="mean squared error")
    learning.legend()
    sums.plot([0, 2], [0, 2], color="0.6", linewidth=1)
    sums.plot(targets, answers, ".", color="C1", markersize=3)
    sums.set(xlabel="sum", ylabel="answer", aspect="equal")
    for ax in learning, sums:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


def main(args):
    device, rng = dynet.get_device(args.device), np.random.default_rng(args.seed)
    held_out = get_adding_problem(HELD_OUT, args.length, rng=rng)
    *seen, targets = [device.send(a) for a in held_out]
    model = Adder(CELLS[args.cell], args.hidden, rng).to_device(device)
    optimizer = Adam(args.lr).setup(model)
    optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(1.0))
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "log.jsonl")
    losses = []

    with Interruption() as interrupted:
        for i in (bar := trange(args.iterations, unit="update")):
            batch = get_adding_problem(args.batchsize, args.length, rng=rng)  # each one is new
            loss = measure(model, *map(device.send, batch))
            model.cleargrads()
            loss.backward()
            optimizer.update()
            losses.append(loss.array)
            if len(losses) == EVERY or i + 1 == args.iterations or interrupted:
                (mse,) = evaluate(partial(measure, model), *seen, targets)
                train_mse = np.stack(losses).astype(float).mean()
                log.write(iteration=i + 1, train_mse=train_mse, test_mse=mse)
                bar.set_postfix_str(f"on held-out sequences: mse {mse:.5f}", refresh=False)
                losses = []
            if interrupted:
                break
        with dynet.no_backprop_mode():
            answers = dynet.get_device("cpu").send(model(*seen).array)
        draw(args.out / "learning.png", log, answers, held_out.targets)
    print(f"mean squared error {mse:.5f} on {HELD_OUT} sequences of {args.length} to ", end="")
    print(f"{held_out.inputs.shape[1]} steps; {GUESS:.5f} is that of always saying 1")


def arguments():
    parser = argparse.ArgumentParser(description="Teach a network to add two marked numbers.")
    add = parser.add_argument
    add("--length", type=int, default=50, help="least steps of a sequence; 50, to a tenth more")
    add("--cell", choices=CELLS, default="gru", help="the recurrent network; gru")
    for name, default in {"iterations": 1000, "batchsize": 100, "hidden": 64, "seed": 0}.items():
        add(f"--{name}", type=int, default=default)
    add("--lr", type=float, default=0.003, help="Adam's step size, 0.003")
    add("--out", type=Path, default=Path("result_adding"), help="folder for log and picture")
    add("--device", default="cpu", help="cpu or cuda:N")
    args = parser.parse_args()
    if min(args.iterations, args.batchsize, args.hidden) < 1 or args.seed < 0:
        parser.error("--iterations, --batchsize and --hidden take numbers from 1 up, --seed from 0")
    return args


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"adding: {error}")
