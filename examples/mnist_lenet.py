"""A small convolutional network, LeNet, on MNIST: trained by a Trainer and its extensions.

The network and the settings are those of Caffe's MNIST example (Jia et al., "Caffe: Convolutional
Architecture for Fast Feature Embedding", 2014): convolutions without a nonlinearity behind them,
momentum, weight decay, a learning rate that falls slowly, twice as high for biases.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.datasets import TupleDataset
from dynet.iterators import SerialIterator
from dynet.optimizer_hooks import WeightDecay
from dynet.optimizers import MomentumSGD, schedules
from dynet.training import StandardUpdater, Trainer, extensions


class LeNet(dynet.Chain):
    def __init__(self, rng):
        super().__init__()
        W = dynet.initializers.LeCunUniform(rng=rng)  # what Caffe calls xavier
        with self.init_scope():
            self.conv1 = L.Convolution2D(1, 20, 5, initialW=W)
            self.conv2 = L.Convolution2D(20, 50, 5, initialW=W)
            self.ip1 = L.Linear(50 * 4 * 4, 500, initialW=W)
            self.ip2 = L.Linear(500, 10, initialW=W)

    def forward(self, x):  # (batch, 1, 28, 28)
        h = F.max_pooling_2d(self.conv1(x), 2, stride=2)
        h = F.max_pooling_2d(self.conv2(h), 2, stride=2)
        return self.ip2(F.relu(self.ip1(h)))


def load(data):  # (training examples, test examples), images (N, 1, 28, 28) from 0 to 1
    if data != "digits":
        try:
            return as_datasets(dynet.datasets.get_mnist(None if data == "auto" else data), 256)
        except dynet.datasets.DownloadError as error:
            print(f"MNIST is not to be had, so on with scikit-learn's digits, enlarged. {error}")
    large = np.ones((4, 4), np.uint8)  # 8x8 to 32x32, of which the middle is kept
    parts = dynet.datasets.get_digits()
    return as_datasets([(np.kron(x, large)[:, 2:30, 2:30], t) for x, t in parts], 16)


def as_datasets(parts, scale):
    return [TupleDataset(x[:, None].astype(np.float32) / np.float32(scale), t) for x, t in parts]


def main(args):
    device = dynet.get_device(args.device)
    train, test = [part[: args.limit] for part in load(args.data)]
    rng = np.random.default_rng(args.seed)
    model = L.Classifier(LeNet(rng)).to_device(device)
    optimizer = MomentumSGD(schedules.inverse(args.lr, 1e-4, 0.75), momentum=0.9).setup(model)
    for parameter in model.params():
        if parameter.name == "b":
            parameter.update_rule.hyperparam.lr = schedules.inverse(2 * args.lr, 1e-4, 0.75)
    optimizer.add_hook(WeightDecay(5e-4))

    batches = SerialIterator(train, args.batchsize, rng=rng)
    tests = SerialIterator(test, 500, repeat=False, shuffle=False)
    updater = StandardUpdater(batches, optimizer, device=device)
    trainer = Trainer(updater, (args.epochs, "epoch"), out=args.out)
    trainer.extend(extensions.Evaluator(tests, model, device=device))
    trainer.extend(extensions.observe_lr())
    trainer.extend(extensions.LogReport())
    trainer.extend(extensions.PrintReport(["epoch", "lr", *LOSSES, *ACCURACIES, "elapsed_time"]))
    trainer.extend(extensions.PlotReport(LOSSES, "epoch", filename="loss.png"))
    trainer.extend(extensions.PlotReport(ACCURACIES, "epoch", filename="accuracy.png"))
    trainer.extend(extensions.ProgressBar(update_interval=10))
    trainer.extend(extensions.dump_graph("main/loss"))
    trainer.extend(extensions.snapshot(filename="snapshot.npz", snapshot_on_error=True))
    if args.resume:
        dynet.serializers.load_npz(args.out / "snapshot.npz", trainer)
    trainer.run()


LOSSES = ["main/loss", "validation/main/loss"]
ACCURACIES = ["main/accuracy", "validation/main/accuracy"]


def arguments():
    parser = argparse.ArgumentParser(description="Train LeNet on MNIST.")
    add = parser.add_argument
    add("--data", default="auto", help="auto, digits, or a folder with MNIST's IDX files")
    for name, default in {"epochs": 10, "batchsize": 64, "seed": 0}.items():
        add(f"--{name}", type=int, default=default)
    add("--lr", type=float, default=0.01, help="the learning rate at first")
    add("--limit", type=int, help="use only so many images, to train and to test")
    add("--out", type=Path, default=Path("result_lenet"), help="folder for all that is written")
    add("--resume", action="store_true", help="go on from the snapshot in the --out folder")
    add("--device", default="cpu", help="cpu or cuda:N")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main(arguments())
    except KeyboardInterrupt:
        sys.exit("mnist_lenet: interrupted; --resume goes on from here")
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"mnist_lenet: {error}")
