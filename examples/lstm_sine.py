"""An LSTM that plays a signal from memory: its input is zero at every step, so all that it has to
go by is its state. As it stands it has the settings of a Caffe tutorial, in which the signal comes
in segments and the state is carried from one to the next; `--stacked` learns it from the start on.
Source of task and forget bias: Koutnik, Greff, Gomez, Schmidhuber, "A Clockwork RNN" (2014)."""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import trange

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.initializers import LeCunNormal, Normal
from dynet.optimizers import Adam, MomentumSGD
from dynet.optimizers.schedules import cosine
from dynet.training import Interruption, Log

SEGMENT = 320  # steps, a little more than one period of the signal's slow sine
EVERY = 100  # updates to a line of the log


class Player(dynet.Chain):
    """LSTMs one above the other, and a linear map of the topmost one's output."""

    def __init__(self, sizes, initialW, clip):
        super().__init__()
        weights = {"lateral_init": initialW, "upward_init": initialW}
        with self.init_scope():
            self.cells = dynet.ChainList(
                *[
                    L.StatelessLSTM(n, size, **weights, forget_bias_init=5, clip=clip)
                    for n, size in pairwise([1, *sizes])
                ]
            )
            self.out = L.Linear(sizes[-1], 1, initialW=initialW)

    def forward(self, states, x, cont):  # x: (steps, batch, 1); where cont is 0, states start anew
        def step(states, now):
            after, (h, goes_on) = [], now
            for cell, (c, below) in zip(self.cells, states, strict=True):
                c, h = cell(c, below, h, goes_on)
                after.append((c, h))
            return after, h

        states, h = dynet.scan(step, states, (x, cont))
        return states, self.out(h, n_batch_axes=2)

    def zeros(self):
        return [tuple(self.xp.zeros((2, 1, cell.out_size), np.float32)) for cell in self.cells]


def tutorial(iterations, rng):
    """The model, its optimizer, and from where to where in the signal each update goes."""
    model = Player([15], Normal(0.1, rng=rng), clip=0.1)
    optimizer = MomentumSGD(lr=1e-4, momentum=0.95).setup(model)
    starts = [i % 10 * SEGMENT for i in range(iterations)]
    return model, optimizer, [(start, start + SEGMENT) for start in starts]


def stacked(iterations, rng):
    """The same, but more memory, and backpropagation from the signal's start, ever further."""
    model = Player([32, 32], LeCunNormal(rng=rng), clip=None)
    optimizer = Adam(cosine(0.003, iterations)).setup(model)
    optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(1.0))
    # A few more steps at a time: sent a whole period further at once, it may forget how to swing.
    lengths = [SEGMENT + i * 11 * SEGMENT // iterations for i in range(iterations)]
    return model, optimizer, [(0, min(length, 10 * SEGMENT)) for length in lengths]


def play(model, x, cont):  # from zero state, and no target in sight
    with dynet.no_backprop_mode():
        return dynet.get_device("cpu").send(model(model.zeros(), x, cont)[1].array)


def draw(path, signal, played):
    from matplotlib.figure import Figure  # optional: comes with dynet[examples]

    figure = Figure(figsize=(10, 3), layout="constrained")
    ax = figure.subplots()
    ax.plot(signal.ravel(), color="0.7", linewidth=2.5, label="signal")
    ax.plot(played.ravel(), color="C3", linewidth=1, label="played from memory")
    ax.set(xlabel="step", xlim=(0, len(signal)))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path, dpi=100)


def main(args):
    device = dynet.get_device(args.device)
    signal = dynet.datasets.get_sine(None).reshape(-1, 1, 1)  # steps, batch, features
    x = np.zeros_like(signal)
    cont = np.ones(signal.shape[:2], np.float32)
    cont[0] = 0  # whatever came before the first step is over
    settings = stacked if args.stacked else tutorial
    model, optimizer, spans = settings(args.iterations, np.random.default_rng(args.seed))
    model.to_device(device)
    target, x, cont = device.send([signal, x, cont])
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "log.jsonl")
    states, losses = model.zeros(), []

    with Interruption() as interrupted:
        for i in (bar := trange(args.iterations, unit="update")):
            start, stop = spans[i]
            states, y = model(states, x[start:stop], cont[start:stop])
            loss = F.sum(F.squared_difference(y, target[start:stop])) / 2
            model.cleargrads()
            loss.backward()
            optimizer.update()
            # Only the numbers are carried over: the backward pass ends where the segment begins.
            states = [(c.array, h.array) for c, h in states]
            losses.append(2 * loss.array.astype(float) / (stop - start))  # where they are
            if len(losses) == EVERY or i + 1 == args.iterations or interrupted:
                mse = np.stack(losses).mean().item()
                log.write(iteration=i + 1, steps=stop - start, train_mse=mse)
                bar.set_postfix_str(f"mse {mse:.4f}", refresh=False)
                losses = []
            if interrupted:
                break
        played = play(model, x, cont)
        error, variance = np.mean((played - signal) ** 2), signal.var()
        log.write(iteration=optimizer.t, played_mse=error, variance=variance)
        draw(args.out / "signal.png", signal, played)
    print(f"{len(signal)} steps played from memory: mean squared error {error:.4f}, ", end="")
    print(f"{error / variance:.1%} of the signal's variance {variance:.4f}")


def arguments():
    parser = argparse.ArgumentParser(description="Teach an LSTM to play a signal from memory.")
    add = parser.add_argument
    add("--stacked", action="store_true", help="two LSTMs of 32 cells, trained from the start on")
    add("--iterations", type=int, default=5000, help="updates; 5000")
    add("--seed", type=int, default=0)
    add("--device", default="cpu", help="cpu or cuda:N")
    add("--out", type=Path, default=Path("result_sine"), help="folder for log and picture")
    args = parser.parse_args()
    if args.iterations < 1 or args.seed < 0:
        parser.error("--iterations takes numbers from 1 up, --seed from 0 up")
    return args


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"lstm_sine: {error}")
