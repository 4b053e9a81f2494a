"""A network that learns to write: an LSTM reads a text, and at each character guesses the next.
Backpropagation through time is truncated: the state goes on from segment to segment, the tape
does not. Source: Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks", 2015."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.optimizers import Adam
from dynet.training import Interruption, Log


class CharLM(dynet.Chain):
    def __init__(self, characters, hidden, layers, dropout, rng):
        super().__init__()
        self.dropout, initial = dropout, dynet.initializers.LeCunNormal(rng=rng)
        with self.init_scope():
            self.embed = L.EmbedID(characters, 64, dynet.initializers.Normal(1.0, rng=rng))
            self.rnn = L.NStepLSTM(layers, 64, hidden, dropout, initialW=initial)
            self.out = L.Linear(hidden, characters, initialW=initial)

    def forward(self, ids, state):  # (steps, streams); scores (steps, streams, characters)
        hx, cx, ys = self.rnn(*state, self.embed(ids))
        return self.out(F.dropout(ys, self.dropout), n_batch_axes=2), (hx, cx)

    def measure(self, x, t, state):  # the mean loss a character, and the state behind the last
        y, state = self(x, state)
        return F.softmax_cross_entropy(y.reshape(-1, y.shape[2]), t.ravel()), state


BEGINNING = None, None  # the state before the first character


def segments(ids, streams, steps):
    """Characters and those that follow them, both (steps, streams), from the left to the right.

    The text is cut into streams, which are read side by side; the last segment may be shorter.
    """
    length = (len(ids) - 1) // streams
    x, t = (part[: streams * length].reshape(streams, length).T for part in (ids[:-1], ids[1:]))
    for i in range(0, length, steps):
        yield x[i : i + steps], t[i : i + steps]


def evaluate(model, ids):  # nats per character, of all but the first
    total, state = 0.0, BEGINNING
    with dynet.no_backprop_mode(), dynet.using_config("train", False):
        for x, t in segments(ids, 1, 1000):
            loss, state = model.measure(x, t, state)
            total += loss.item() * t.size
    return total / (len(ids) - 1)


def sample(model, vocabulary, length, temperature, rng):
    """A text that the model writes; the lower the temperature, the more it keeps to the likely."""
    ids, state, device = [rng.integers(len(vocabulary))], BEGINNING, model.device
    with dynet.no_backprop_mode(), dynet.using_config("train", False):
        while len(ids) <= length:
            y, state = model(device.send(np.array([[ids[-1]]], np.int32)), state)
            p = dynet.get_device("cpu").send(F.softmax(y[0] / temperature).array[0]).astype(float)
            ids.append(rng.choice(len(p), p=p / p.sum()))
    return "".join(vocabulary[i] for i in ids[1:])


def main(args):
    train, _, held_out, vocabulary = dynet.datasets.get_text(args.data, split=(0.9, 0, 0.1))
    per_epoch = (len(train) - args.steps) // (args.batchsize * args.steps)
    if per_epoch < 1 or len(held_out) == 0:
        raise ValueError(
            f"the text is shorter than a segment: it has {len(train)} characters to learn from, "
            f"expected {(args.batchsize + 1) * args.steps} at least: --steps for each of "
            "--batchsize streams, and one more"
        )
    held_out = np.concatenate([train[-1:], held_out])  # so that its first one is guessed as well
    train, held_out = dynet.get_device(args.device).send([train, held_out])
    dynet.random.seed(args.seed)  # dropout's
    rng, writer = np.random.default_rng(args.seed), np.random.default_rng(args.seed)
    model = CharLM(len(vocabulary), args.hidden, args.layers, args.dropout, rng)
    optimizer = Adam(args.lr).setup(model.to_device(args.device))
    optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(args.clip))

    args.out.mkdir(parents=True, exist_ok=True)
    log, start, losses = Log(args.out / "log.jsonl"), time.perf_counter(), []
    updates = args.epochs * per_epoch

    def report():
        loss, mean = evaluate(model, held_out), np.stack(losses).astype(float).mean()
        line = {"update": bar.n, "epoch": bar.n / per_epoch, "train_loss": mean}
        log.write(**line, held_out_loss=loss, seconds=time.perf_counter() - start)
        log.plot(args.out / "curve.png", "loss", x="update")
        text = sample(model, vocabulary, args.sample, args.temperature, writer)
        bar.write(f"--- update {bar.n}, held-out loss {loss:.3f}\n{text}")
        losses.clear()

    with Interruption() as interrupted, tqdm(total=updates, unit="update") as bar:
        done, over = 0.0, False
        while not over:
            state, skipped = BEGINNING, rng.integers(args.steps)  # so that segments differ
            for x, t in segments(train[skipped:], args.batchsize, args.steps):
                optimizer.alpha = args.lr * (1 - done)
                loss, state = model.measure(x, t, state)
                model.cleargrads()
                loss.backward()
                loss.unchain_backward()  # the state stays, as a value: its past is forgotten
                optimizer.update()
                losses.append(loss.array)
                bar.update()
                minutes = (time.perf_counter() - start) / 60
                done = max(bar.n / updates, minutes / args.minutes)
                over = done >= 1 or bool(interrupted)
                if over or bar.n % args.report == 0:
                    report()
                if over:
                    break
    loss = log.lines[-1]["held_out_loss"]
    print(f"After {bar.n} updates the loss is {loss:.4f} nats per character on the last tenth.")


def arguments():
    parser = argparse.ArgumentParser(description="Train a character model on a text.")
    add = parser.add_argument
    add("--data", help="a file of text, or a folder with one; by default Tiny Shakespeare")
    sizes = {"epochs": 6, "batchsize": 32, "steps": 64, "hidden": 512, "layers": 1, "seed": 0}
    for name, default in (sizes | {"report": 500, "sample": 300}).items():
        add(f"--{name}", type=int, default=default)
    add("--lr", type=float, default=0.004, help="Adam's step size, which falls to 0")
    add("--clip", type=float, default=1.0, help="largest norm of all gradients")
    add("--dropout", type=float, default=0.4)
    add("--temperature", type=float, default=0.7, help="of what it writes; 1: as it has learned")
    add("--minutes", type=float, default=9.0, help="stop after so many, if epochs take longer")
    add("--out", type=Path, default=Path("result_char_lm"), help="folder for log and curve")
    add("--device", default="cpu", help="cpu or cuda:N")
    args = parser.parse_args()
    if min(args.epochs, args.batchsize, args.steps, args.report) < 1 or args.temperature <= 0:
        parser.error("epochs, batch, steps, report take numbers from 1 up, temperature above 0")
    return args


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"char_lm: {error}")
