"""A two-layer network with dropout on MNIST: a training loop written by hand, of small parts."""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.iterators import SerialIterator
from dynet.optimizers import Adam
from dynet.reporter import DictSummary
from dynet.training import Interruption, Log, evaluate, progress, resume, snapshot

COLUMNS = ["epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy"]


class MLP(dynet.Chain):
    def __init__(self, hidden, classes, rng):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(None, hidden, initialW=dynet.initializers.LeCunNormal(rng=rng))
            self.l2 = L.Linear(hidden, classes, initialW=dynet.initializers.LeCunNormal(rng=rng))

    def forward(self, x):  # (batch, height, width), from 0 to 1
        h = F.relu(self.l1(F.dropout(x, 0.2)))
        return self.l2(F.dropout(h, 0.5))


def load(data):  # (training examples, test examples), images from 0 to 1
    if data != "digits":
        try:
            return scaled(dynet.datasets.get_mnist(None if data == "auto" else data), 255)
        except dynet.datasets.DownloadError as error:
            print(f"MNIST is not to be had, so on with scikit-learn's 8x8 digits. {error}")
    return scaled(dynet.datasets.get_digits(), 16)


def scaled(parts, largest):
    return [(images.astype(np.float32) / np.float32(largest), labels) for images, labels in parts]


def measure(model, x, t):  # loss and accuracy
    y = model(x)
    return F.softmax_cross_entropy(y, t), F.accuracy(y, t)


def train_epoch(state, x, t, interrupted):
    model, optimizer, batches = state["model"], state["optimizer"], state["batches"]
    bar = progress(batches, desc=f"epoch {batches.epoch + 1}", summary=state["means"])
    for batch in bar:
        rows = model.device.send(np.array(batch))
        loss, accuracy = measure(model, x[rows], t[rows])
        model.cleargrads()
        loss.backward()
        optimizer.update()
        bar.add(len(batch), train_loss=loss, train_accuracy=accuracy)
        if interrupted:
            break


def main(args):
    device = dynet.get_device(args.device)
    train, test = [[device.send(a[: args.limit]) for a in part] for part in load(args.data)]
    dynet.random.seed(args.seed)  # dropout's
    rng = np.random.default_rng(args.seed)  # that of the weights and the order
    model = MLP(args.hidden, 10, rng).to_device(device)
    optimizer = Adam(args.lr).setup(model)
    # The images are on the device, once and for all; a batch says which of them it consists of.
    batches = SerialIterator(range(len(train[0])), args.batchsize, rng=rng)
    # All that the run has to remember, in the middle of an epoch too.
    state = {"model": model, "optimizer": optimizer, "batches": batches, "means": DictSummary()}

    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "snapshot.npz"
    if args.resume and not resume(file, **state):
        raise FileNotFoundError(f"there is no {file} to go on from")
    log = Log(args.out / "log.jsonl", keep=batches.epoch, print=COLUMNS)
    with Interruption() as interrupted:
        while batches.epoch < args.epochs and not interrupted:
            train_epoch(state, *train, interrupted)
            if batches.is_new_epoch:
                loss, accuracy = evaluate(partial(measure, model), *test)
                line = {"epoch": batches.epoch, **state["means"].compute_mean()}
                log.write(**line, test_loss=loss, test_accuracy=accuracy)
                state["means"] = DictSummary()
            snapshot(file, **state)
            log.plot(args.out / "curve.png", "loss", "accuracy")


def arguments():
    parser = argparse.ArgumentParser(description="Train a two-layer network on MNIST.")
    add = parser.add_argument
    add("--data", default="auto", help="auto, digits, or a folder with MNIST's IDX files")
    for name, default in {"epochs": 20, "batchsize": 100, "hidden": 500, "seed": 0}.items():
        add(f"--{name}", type=int, default=default)
    add("--lr", type=float, default=0.001, help="Adam's step size")
    add("--limit", type=int, help="use only so many images, to train and to test")
    add("--out", type=Path, default=Path("result_mlp"), help="folder for log, curve, snapshot")
    add("--resume", action="store_true", help="go on from the snapshot in the --out folder")
    add("--device", default="cpu", help="cpu or cuda:N")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"mnist_mlp: {error}")
