"""IRNN on MNIST: a plain ReLU network reads a digit pixel by pixel, 784 steps and no gates; its
recurrence starts as the identity. Source: Le, Jaitly, Hinton, "A Simple Way to Initialize
Recurrent Networks of Rectified Linear Units" (2015), section 4.2."""

import argparse
import gc
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.optimizers import SGD, Adam
from dynet.reporter import DictSummary
from dynet.training import Interruption, Log, evaluate

# --std, --lr, --clip, --halve of the paper, of the blog post, and two that learn faster
SETTINGS = {"paper": (0.001, 1e-8, 1.0, 0.0), "post": (0.01, 1e-8, 0.0, 0.0)}
SETTINGS |= {"sgd": (0.01, 4e-3, 1.0, 4.0), "adam": (0.01, 1e-4, 1.0, 0.0)}


class IRNN(dynet.Chain):
    def __init__(self, levels, hidden, classes, std, rng, loop):
        super().__init__()
        self.hidden, self.compiled = hidden, False if loop else None  # None: where it can be
        with self.init_scope():
            self.embed = L.EmbedID(levels, hidden, initialW=dynet.initializers.Normal(std, rng=rng))
            self.recur = L.Linear(hidden, hidden, initialW=dynet.initializers.Identity())
            self.out = L.Linear(hidden, classes, initialW=dynet.initializers.Normal(std, rng=rng))

    def forward(self, images):  # (batch, height, width), grey levels
        def step(h, pixel):
            return F.relu(self.embed(pixel) + self.recur(h)), None

        h = self.recur.W.xp.zeros((len(images), self.hidden), np.float32)
        h, _ = dynet.scan(step, h, images.reshape(len(images), -1).T, compiled=self.compiled)
        return self.out(h)

    def measure(self, x, t):  # loss and accuracy
        y = self(x)
        return F.softmax_cross_entropy(y, t), F.accuracy(y, t)


def load(data):  # (training examples, test examples), and the number of grey levels
    if data != "digits":
        try:
            return dynet.datasets.get_mnist(None if data == "auto" else data), 256
        except dynet.datasets.DownloadError as error:
            print(f"MNIST is not to be had, so on with scikit-learn's 8x8 digits. {error}")
    return dynet.datasets.get_digits(), 17


def train_batch(model, optimizer, x, t):  # loss and accuracy before the update
    loss, accuracy = model.measure(x, t)
    model.cleargrads()
    loss.backward()
    optimizer.update()
    return {"train_loss": loss, "train_accuracy": accuracy}


def train_epoch(model, optimizer, x, t, batchsize, run, interrupted):
    start, order = time.perf_counter() - run["seconds"], model.device.send(run["order"])
    with tqdm(None, f"epoch {run['epoch'] + 1}", len(t), initial=run["done"], unit="img") as bar:
        while run["done"] < len(t) and not interrupted:
            rows = order[run["done"] : run["done"] + batchsize]
            run["means"].add(train_batch(model, optimizer, x[rows], t[rows]), len(rows))
            run["done"] += len(rows)
            bar.update(len(rows))
            if run["done"] == len(t) or run["done"] // batchsize % 20 == 0:  # a GPU is waited for
                means = run["means"].compute_mean().values()
                bar.set_postfix_str("loss {:.3f}, accuracy {:.3f}".format(*means))
    run["seconds"] = time.perf_counter() - start


def main(args):
    device = dynet.get_device(args.device)
    parts, levels = load(args.data)
    (x, t), test = [[device.send(a[: args.limit]) for a in part] for part in parts]
    rng = np.random.default_rng(args.seed)
    model = IRNN(levels, args.hidden, 10, args.std, rng, args.loop).to_device(device)
    method, rate = (SGD, "lr") if args.optimizer == "sgd" else (Adam, "alpha")
    optimizer = method(args.lr).setup(model)
    if args.clip:
        optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(args.clip))

    # All that the run has to remember; `order` and `done` say where in an epoch it is.
    run = {"epoch": 0, "order": rng.permutation(len(t)), "done": 0, "means": DictSummary()}
    settings = str([args.optimizer, args.lr, args.clip, args.halve, args.batchsize])
    run |= {"seconds": 0.0, "settings": settings}
    snapshot = {"model": model, "optimizer": optimizer, "rng": rng, "run": run}
    args.out.mkdir(parents=True, exist_ok=True)
    if args.resume:
        dynet.serializers.load_npz(args.out / "snapshot.npz", snapshot)
        if run["settings"] != settings:
            raise ValueError(f"the snapshot is of a run with {run['settings']}, not {settings}")
    log = Log(args.out / "log.jsonl", keep=run["epoch"])
    gc.freeze()  # all there is by now stays: the collector need not walk it again and again

    with Interruption() as interrupted:
        while run["epoch"] < args.epochs and not interrupted:
            setattr(optimizer, rate, args.lr * 0.5 ** (run["epoch"] / (args.halve or np.inf)))
            train_epoch(model, optimizer, x, t, args.batchsize, run, interrupted)
            if run["done"] == len(t):
                line = {"epoch": run["epoch"] + 1, "iteration": optimizer.t + optimizer.skipped}
                line |= run["means"].compute_mean()
                line["test_loss"], line["test_accuracy"] = evaluate(model.measure, *test)
                log.write(**line, seconds=run["seconds"], images_per_second=len(t) / run["seconds"])
                print(f"test loss {line['test_loss']:.4f}, accuracy {line['test_accuracy']:.4f}")
                run |= {"epoch": run["epoch"] + 1, "order": rng.permutation(len(t)), "done": 0}
                run |= {"means": DictSummary(), "seconds": 0.0}
            dynet.serializers.save_npz(args.out / "snapshot.npz", snapshot)
            log.plot(args.out / "curve.png", "loss", "accuracy")
    if optimizer.skipped:
        print(f"{optimizer.skipped} updates were skipped: their gradients were not finite")


def arguments():
    parser = argparse.ArgumentParser(description="Train an IRNN on pixel-by-pixel MNIST.")
    add = parser.add_argument
    add("--data", default="auto", help="auto, digits, or a folder with MNIST's IDX files")
    for name, default in {"epochs": 16, "batchsize": 16, "hidden": 100, "seed": 0}.items():
        add(f"--{name}", type=int, default=default)
    add("--optimizer", choices=("sgd", "adam"), default="sgd")
    add("--recipe", choices=("paper", "post"), help="settings of the paper, of the blog post")
    add("--lr", type=float, help="learning rate; 0.004 for sgd, 0.0001 for adam")
    add("--halve", type=float, help="epochs in which lr halves; 4 for sgd, else 0: never")
    add("--clip", type=float, help="largest norm of all gradients, 0 for any; 1")
    add("--std", type=float, help="standard deviation of the initial weights; 0.01")
    add("--limit", type=int, help="use only so many images, to train and to test")
    add("--out", type=Path, default=Path("result"), help="folder for log, curve and snapshot")
    add("--loop", action="store_true", help="a plain Python loop over the pixels, not compiled")
    add("--resume", action="store_true", help="go on from the snapshot in the --out folder")
    add("--device", default="cpu", help="cpu or cuda:N")
    args = parser.parse_args()
    if min(args.epochs, args.batchsize, args.hidden, 1 if args.limit is None else args.limit) < 1:
        parser.error("--epochs, --batchsize, --hidden and --limit take numbers from 1 up")
    settings = SETTINGS[args.recipe or args.optimizer]
    parser.set_defaults(**dict(zip(("std", "lr", "clip", "halve"), settings, strict=True)))
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"irnn_mnist: {error}")
