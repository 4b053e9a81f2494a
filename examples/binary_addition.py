"""Three sigmoid units learn to add binary numbers: two bits go in at each step, the least first, a
bit of the sum comes out, and what has to be remembered is the carry. They learn from short numbers
and add long ones. The network is a `for` loop, and the weights that its steps share are one and the
same variables. (Source: slides on recurrence in Caffe, a framework without a tape. There the input
was cut into slices, every step's copy of a layer named, and the outputs pasted together.)"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import trange

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.datasets import get_binary_addition
from dynet.optimizer_hooks import GradientClipping, WeightDecay
from dynet.optimizers import Adam
from dynet.training import Interruption, Log

LENGTHS = 2, 4, 8, 16, 30, 64  # bits of the numbers that are added to see how far it has come
EVERY = 50  # updates to a line of the log


class Adder(dynet.Chain):
    def __init__(self, hidden, rng, scan):
        super().__init__()
        self.hidden, self.scan = hidden, scan
        weights = {"initialW": dynet.initializers.Normal(1.0, rng=rng)}
        with self.init_scope():
            self.read = L.Linear(2, hidden, **weights)
            self.recur = L.Linear(hidden, hidden, nobias=True, **weights)
            self.write = L.Linear(hidden, 1, **weights)

    def forward(self, bits):  # (steps, batch, 2) to (steps, batch, 1), and the hidden states
        def step(h, x):
            h = F.sigmoid(self.read(x) + self.recur(h))
            return h, (self.write(h), h)

        h = self.xp.zeros((bits.shape[1], self.hidden), np.float32)
        if self.scan:
            return dynet.scan(step, h, bits)[1]
        outputs = []
        for x in bits:
            h, y = step(h, x)
            outputs.append(y)
        sums, states = zip(*outputs, strict=True)
        return F.stack(sums), F.stack(states)


def problems(n, bits, rng, device):  # pairs of numbers of so many bits; the sum has one more
    inputs, targets = get_binary_addition(n, bits + 1, rng)
    return device.send((inputs.swapaxes(0, 1), targets.T[:, :, None]))  # steps first


def train_batch(model, optimizer, x, t):  # the loss before the update, on the device
    y, _ = model(x)
    loss = F.sum(F.squared_difference(y, t)) / (2 * x.shape[1])  # Euclidean
    model.cleargrads()
    loss.backward()
    optimizer.update()
    return loss.array.astype(float)


def added_right(model, x, t):  # which of the sums have no wrong bit
    with dynet.no_backprop_mode():
        y, _ = model(x)
    return ((y.array > 0.5) == t).all(axis=(0, 2))


def draw(path, log, model, x, t):
    from matplotlib.figure import Figure  # optional: comes with dynet[examples]

    figure = Figure(figsize=(11, 3.5), layout="constrained")
    losses, lengths, addition = figure.subplots(1, 3, width_ratios=(3, 3, 5))
    updates = [line["iteration"] for line in log.lines]
    losses.semilogy(updates, [line["loss"] for line in log.lines])
    losses.set(xlabel="update", ylabel="loss", title="learning from short numbers")
    for i, bits in enumerate(LENGTHS):
        right = [line[f"right_{bits}_bits"] for line in log.lines]
        lengths.plot(updates, right, color=f"{0.8 - 0.16 * i}", label=f"{bits} bits")
    lengths.set(xlabel="update", ylabel="sums without a wrong bit", title="adding longer ones")
    lengths.legend()
    with dynet.no_backprop_mode():
        y, h = model(x[:, :1])
    x, y, h = dynet.get_device("cpu").send([x, y.array, h.array])
    rows = [x[:, 0, 0], x[:, 0, 1], *h[:, 0].T, y[:, 0, 0]]
    addition.imshow(np.clip(rows, 0, 1)[:, ::-1], cmap="Greys", vmin=0, vmax=1, aspect="auto")
    units = [f"unit {i + 1}" for i in range(h.shape[2])]
    addition.set_yticks(range(len(rows)), ["a", "b", *units, "a + b"])
    addition.set(xticks=[], xlabel="bits, the least at the right", title="how it adds two of them")
    addition.hlines([1.5, len(rows) - 1.5], -0.5, len(x) - 0.5, color="C1")
    figure.savefig(path, dpi=80)


def main(args):
    device, rng = dynet.get_device(args.device), np.random.default_rng(args.seed)
    model = Adder(args.hidden, rng, args.scan).to_device(device)
    optimizer = Adam(args.lr).setup(model)
    optimizer.add_hook(GradientClipping(1.0))
    optimizer.add_hook(WeightDecay(args.decay))  # which lets no unit get stuck at 0 or 1
    tests = {n: problems(1000, n, np.random.default_rng([1, args.seed]), device) for n in LENGTHS}
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "log.jsonl")
    start, loss, right = time.perf_counter(), [], {}

    with Interruption() as interrupted:
        for i in (bar := trange(1, args.iterations + 1, unit="update")):
            batch = problems(args.batchsize, args.bits, rng, device)
            loss.append(train_batch(model, optimizer, *batch))
            if i % EVERY == 0 or i == args.iterations or interrupted:
                right = {n: added_right(model, *test).mean().item() for n, test in tests.items()}
                named = {f"right_{bits}_bits": share for bits, share in right.items()}
                seconds = time.perf_counter() - start
                mean, loss = np.stack(loss).mean().item(), []
                log.write(iteration=i, loss=mean, **named, seconds=seconds)
                bar.set_postfix_str(f"loss {mean:.4f}, right {right[30]:.1%}")
            if interrupted:
                break
    draw(args.out / "addition.png", log, model, *tests[30])
    print(f"Learned from {args.bits} bits, it adds without a wrong bit, of 1,000 pairs each,")
    print(", ".join(f"{share:.1%} of {bits} bits" for bits, share in right.items()))


def arguments():
    parser = argparse.ArgumentParser(description="Teach a few sigmoid units to add binary numbers.")
    add = parser.add_argument
    add("--bits", type=int, default=8, help="of the numbers to learn from; 8")
    add("--hidden", type=int, default=3, help="units; 3")
    add("--iterations", type=int, default=1500, help="updates; 1500")
    add("--batchsize", type=int, default=64, help="pairs of numbers in an update; 64")
    add("--lr", type=float, default=0.1, help="Adam's step size; 0.1")
    add("--decay", type=float, default=1.5e-3, help="weight decay; 0.0015")
    add("--scan", action="store_true", help="the loop compiled by dynet.scan")
    add("--seed", type=int, default=0)
    add("--device", default="cpu", help="cpu or cuda:N")
    add("--out", type=Path, default=Path("result_addition"), help="folder for log and picture")
    args = parser.parse_args()
    if min(args.bits, args.hidden, args.iterations, args.batchsize) < 1 or args.seed < 0:
        parser.error("--bits, --hidden, --iterations, --batchsize take numbers from 1 up")
    return args


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"binary_addition: {error}")
