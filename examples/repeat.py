"""What `F.repeat` is for: one vector, computed once, feeds every step of a recurrent network. Here
an image becomes a code of eight numbers, and a decoder that gets nothing but this code, the same at
every step, draws the image again, row by row; how far it has come, only its state knows.

Repeating is a product with a matrix of zeros and ones, so going back is a product with the matrix
transposed: the gradients of the copies add up (`as_a_product` shows both). Where one thing alone is
repeated nothing need be copied: the result is a view, in which every step lies at the same place
in memory. (Source: the Repeat layer of a Caffe tutorial.)"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import trange

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.optimizers import Adam
from dynet.optimizers.schedules import cosine
from dynet.training import Interruption, Log

BATCH = 32  # images in an update


def as_a_product():
    matrix = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    x = dynet.Variable(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    y = F.repeat(x, (2, 0, 3), axis=0)  # the first row twice, the second never, the third thrice
    y.grad = np.arange(10.0).reshape(5, 2)
    y.backward()
    print("F.repeat(x, (2, 0, 3), axis=0) is a product of x with", *matrix, sep="\n  ")
    print("differs from it by", np.abs(y.array - matrix @ x.array).max(), end=", ")
    print("its gradient from the transposed one by", np.abs(x.grad - matrix.T @ y.grad).max())


class Copyist(dynet.Chain):
    def __init__(self, rows, columns, code, hidden, rng):
        super().__init__()
        self.rows, self.hidden = rows, hidden
        weights = {"initialW": dynet.initializers.LeCunNormal(rng=rng)}
        with self.init_scope():
            self.look = L.Linear(rows * columns, 256, **weights)
            self.code = L.Linear(256, code, **weights)
            self.upward = L.Linear(code, 3 * hidden, **weights)
            self.lateral = L.Linear(hidden, 3 * hidden, **weights)
            self.draw = L.Linear(hidden, columns, **weights)

    def every_step(self, images):  # (rows, batch, 3 * hidden), all rows the same
        code = self.code(F.relu(self.look(images)))
        return F.repeat(self.upward(code)[None], self.rows, axis=0)

    def forward(self, images):  # (batch, rows, columns), to the same
        h, states = self.xp.zeros((len(images), self.hidden), np.float32), []
        for x in self.every_step(images):
            states.append(h := F.gru(h, x, self.lateral(h)))
        return F.swapaxes(self.draw(F.stack(states), n_batch_axes=2), 0, 1)


def load(data):  # images to learn from and to test with, from 0 to 1
    digits = data == "digits"
    parts = dynet.datasets.get_digits() if digits else dynet.datasets.get_mnist(data)
    return [part.images.astype(np.float32) / np.float32(16 if digits else 255) for part in parts]


def train_batch(model, optimizer, images):  # the mean squared error before, on the device
    loss = F.sum(F.squared_difference(model(images), images)) / len(images)
    model.cleargrads()
    loss.backward()
    optimizer.update()
    return loss.array.astype(float) / images[0].size


def copies_of(images, model):  # on the CPU
    with dynet.no_backprop_mode():
        return dynet.get_device("cpu").send(model(model.device.send(images)).array)


def principal_components(train, test, n):  # the best that a linear code of n numbers can do
    mean = train.mean(axis=0)
    axes = np.linalg.svd((train - mean).reshape(len(train), -1), full_matrices=False)[2][:n]
    return mean + ((test - mean).reshape(len(test), -1) @ axes.T @ axes).reshape(test.shape)


def draw(path, rows):
    from matplotlib.figure import Figure  # optional: comes with dynet[examples]

    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for line, name, images in zip(figure.subplots(len(rows), 12), rows, rows.values(), strict=True):
        for ax, image in zip(line, images, strict=False):
            ax.imshow(image, cmap="Greys", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(path, dpi=80)


def main(args):
    as_a_product()
    train, test = [images[: args.limit] for images in load(args.data)]
    device, rng = dynet.get_device(args.device), np.random.default_rng(args.seed)
    x = device.send(train)
    model = Copyist(*train[0].shape, args.code, args.hidden, rng).to_device(device)
    optimizer = Adam(cosine(0.003, args.epochs * -(-len(train) // BATCH))).setup(model)
    xs = model.every_step(x[:BATCH]).array
    print(f"What feeds {len(xs)} steps takes {xs[0].nbytes:,} bytes; copies took {xs.nbytes:,}.")
    args.out.mkdir(parents=True, exist_ok=True)
    log, start = Log(args.out / "log.jsonl"), time.perf_counter()

    with Interruption() as interrupted:
        for epoch in (bar := trange(1, args.epochs + 1, unit="epoch")):
            order, errors = device.send(rng.permutation(len(train))), []
            for i in range(0, len(order), BATCH):
                errors.append(train_batch(model, optimizer, x[order[i : i + BATCH]]))
                if interrupted:
                    break
            line = {"epoch": epoch, "train_mse": np.stack(errors).mean()}
            line["test_mse"] = np.mean((copies_of(test, model) - test) ** 2)
            log.write(**line, seconds=time.perf_counter() - start)
            bar.set_postfix_str(f"test mse {line['test_mse']:.4f}")
            if interrupted:
                break
    pca = principal_components(train, test, args.code)
    rows = {"image": test, "copy": copies_of(test, model), "PCA": pca}
    draw(args.out / "copies.png", rows)
    print(f"mean squared error per pixel of {len(test)} unseen images, {args.code} numbers each:")
    print(", ".join(f"{name} {np.mean((rows[name] - test) ** 2):.4f}" for name in ("copy", "PCA")))


def arguments():
    parser = argparse.ArgumentParser(description="Copy images row by row from a code, repeated.")
    add = parser.add_argument
    add("--data", default="digits", help="digits, or a folder with MNIST's IDX files")
    for name, default in {"epochs": 100, "code": 8, "hidden": 64, "seed": 0}.items():
        add(f"--{name}", type=int, default=default)
    add("--limit", type=int, default=60_000, help="the most images to train and to test with")
    add("--out", type=Path, default=Path("result_repeat"), help="folder for log and picture")
    add("--device", default="cpu", help="cpu or cuda:N")
    args = parser.parse_args()
    if min(args.epochs, args.code, args.hidden, args.limit) < 1 or args.seed < 0:
        parser.error("--epochs, --code, --hidden and --limit take numbers from 1 up")
    return args


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"repeat: {error}")
