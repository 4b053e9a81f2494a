"""The five shapes of sequence problem: one to one, one to many, many to one, many to many, and many
to many in step. What there is one of is (batch, features), what there are many of is (time, batch,
features). A recurrence is a `for` loop along the first axis, and to go back through time is to go
back through what the loop recorded. (Source: Karpathy, "The Unreasonable Effectiveness of Recurrent
Neural Networks", 2015. The tasks are small ones on digits, numbers and bits.)"""

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import trange

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.training import Interruption, Log

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ROMAN = [
    ["", "C", "CC", "CCC", "CD", "D", "DC", "DCC", "DCCC", "CM"],
    ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"],
    ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"],
]
LETTERS = " efghinorstuvwxz"


def unroll(cell, xs):  # (time, batch, features), to the states after each step
    h, states = None, []
    for x in xs:
        states.append(h := cell(h, x))
    return F.stack(states)


class Network(dynet.Chain):
    def __init__(self, task, train, test, classes, embed, *cells, units=64):
        super().__init__()
        self.task, self.train, self.test = task, train, test
        with self.init_scope():
            self.embed, self.out = embed, L.Linear(units, classes)
            for name in cells:
                setattr(self, name, L.StatelessGRU(units, units))

    def forward(self, x):  # what is embedded, the states if there are any, and the answer
        return getattr(self, self.task.partition(":")[0].replace(" ", "_"))(x)

    def look(self, x):  # at one of a batch, or at one in every step
        return F.dropout(F.relu(self.embed(x, n_batch_axes=x.ndim - 1)), 0.5)

    def one_to_one(self, x):
        e = self.look(x)
        return e, None, self.out(e)

    def one_to_many(self, x):
        e = self.look(x)
        h = unroll(self.writer, F.repeat(e[None], len(self.test[1]), axis=0))
        return e, h, self.out(h, n_batch_axes=2)

    def many_to_one(self, xs):
        e = self.look(xs)
        h = unroll(self.reader, e)
        return e, h, self.out(h[-1])

    def many_to_many(self, xs):
        e = self.embed(xs)
        last = unroll(self.reader, e)[-1:]
        h = unroll(self.writer, F.repeat(last, len(self.test[1]), axis=0))
        return e, h, self.out(h, n_batch_axes=2)

    def in_step(self, xs):
        e = self.look(xs)
        h = unroll(self.reader, e)
        return e, h, self.out(h, n_batch_axes=2)


def spell(words, width, letters):  # (time, batch): which letters, with spaces behind a word
    return np.array([[letters.index(c) for c in word.ljust(width)] for word in words]).T


def networks():
    parts = [(x / np.float32(16), t) for x, t in dynet.datasets.get_digits()]
    flat = [(x.reshape(-1, 64), t) for x, t in parts]
    named = [(x, spell([NAMES[d] for d in t], 5, LETTERS)) for x, t in flat]
    rows = [(x.swapaxes(0, 1), t) for x, t in parts]
    numbers = np.random.permutation(np.arange(1, 1000)) // [[100], [10], [1]] % 10
    romans = spell(["".join(map(list.__getitem__, ROMAN, ds)) for ds in numbers.T], 12, " CDILMVX")
    written = [[a[:, part] for a in (numbers, romans)] for part in (slice(800), slice(800, None))]
    bits = [np.random.randint(2, size=(steps, 1000)) for steps in (10, 50)]  # 50 for the test
    parity = [(b[:, :, None].astype(np.float32), b.cumsum(axis=0) % 2) for b in bits]
    return [
        Network("one to one: image to digit", *flat, 10, L.Linear(64, 64)),
        Network("one to many: image to name", *named, len(LETTERS), L.Linear(64, 64), "writer"),
        Network("many to one: rows to digit", *rows, 10, L.Linear(8, 64), "reader"),
        Network("many to many: to Roman", *written, 8, L.EmbedID(10, 64), "reader", "writer"),
        Network("in step: bits to parity", *parity, 2, L.Linear(1, 64), "reader"),
    ]


def main(args):
    np.random.seed(args.seed)  # of the weights and the batches
    dynet.random.seed(args.seed)  # of dropout
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "log.jsonl")
    table = [("", "input", "embedded", "states", "output", "target", "loss", "right")]
    with Interruption() as interrupted:
        for model in [network.to_device(args.device) for network in networks()]:
            (x, t), (test_x, test_t) = model.device.send([model.train, model.test])
            task = f"{model.task}, "
            optimizer, axis = dynet.optimizers.Adam(0.003).setup(model), x.shape.index(t.shape[-1])
            for i in (bar := trange(1, args.updates + 1, desc=model.task, unit="update")):
                batch = model.device.send(np.random.randint(t.shape[-1], size=32))
                xs, ts = x.take(batch, axis), t[..., batch]
                e, h, y = model(xs)
                loss = F.softmax_cross_entropy(y.reshape(-1, y.shape[-1]), ts.reshape(-1))
                model.cleargrads()
                loss.backward()
                optimizer.update()
                if i % 50 == 0 or i == args.updates or interrupted:
                    with dynet.no_backprop_mode(), dynet.using_config("train", False):
                        right = (model(test_x)[2].array.argmax(axis=-1) == test_t).mean().item()
                    log.write(update=i, **{task + "loss": loss, task + "right": right})
                    bar.set_postfix_str(f"{right:.1%} right")
                if interrupted:
                    break
            shapes = [str(a.shape) if a is not None else "" for a in (xs, e, h, y, ts, loss)]
            table.append((model.task, *shapes, f"{right:.1%}"))
            if interrupted:
                break
    log.plot(args.out / "curves.png", "right", "loss", x="update")
    for line in table:
        print("{:26}{:>12}{:>13}{:>13}{:>13}{:>9}{:>5}{:>7}".format(*line))


def arguments():
    parser = argparse.ArgumentParser(description="Train a network of each of the five shapes.")
    parser.add_argument("--updates", type=int, default=2000, help="of each network; 2000")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--out", type=Path, default=Path("result_shapes"), help="folder")
    args = parser.parse_args()
    if args.updates < 1 or args.seed < 0:
        parser.error("--updates takes a number from 1 up, --seed from 0 up")
    return args


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"five_shapes: {error}")
