"""The IRNN in dynet, as a Python loop and as a compiled scan."""

import numpy as np

import dynet
import dynet.functions as F
import dynet.links as L

from . import THRESHOLD


class IRNN(dynet.Chain):
    """The network, from given weights."""

    def __init__(self, weights):
        super().__init__()
        grey_levels, hidden = weights["embed.W"].shape
        classes = len(weights["out.b"])
        with self.init_scope():
            self.embed = L.EmbedID(grey_levels, hidden, initialW=weights["embed.W"])
            self.recur = L.Linear(
                hidden, hidden, initialW=weights["recur.W"], initial_bias=weights["recur.b"]
            )
            self.out = L.Linear(
                hidden, classes, initialW=weights["out.W"], initial_bias=weights["out.b"]
            )

    def forward(self, xs):
        """Scores ``(batch, classes)`` of the ids ``(steps, batch)``."""
        h = self.recur.W.xp.zeros((xs.shape[1], self.recur.W.shape[0]), np.float32)
        for x in xs:
            h = F.relu(self.embed(x) + self.recur(h))
        return self.out(h)


class ScannedIRNN(IRNN):
    """The same with its recurrence as a compiled scan."""

    def forward(self, xs):
        h = self.recur.W.xp.zeros((xs.shape[1], self.recur.W.shape[0]), np.float32)
        h, _ = dynet.scan(
            lambda h, x: (F.relu(self.embed(x) + self.recur(h)), None), h, xs, compiled=True
        )
        return self.out(h)


class Loop:
    """A plain Python loop over the time steps."""

    label = "dynet, Python loop"
    network = IRNN

    def __init__(self, weights, rate, device, threads):
        self.device = dynet.get_device(device)
        self.model = self.network(weights)
        self.model.to_device(self.device)
        self.optimizer = dynet.optimizers.SGD(rate)
        self.optimizer.setup(self.model)
        self.optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(THRESHOLD))

    def prepare(self, xs, t):
        return self.device.send((xs, t))

    def loss(self, batch):
        """The loss, with the record that leads to it."""
        xs, t = batch
        return F.softmax_cross_entropy(self.model(xs), t)

    def loss_and_gradients(self, batch):
        self.model.cleargrads()
        loss = self.loss(batch)
        loss.backward()
        return float(loss), {name: to_numpy(p.grad) for name, p in self._parameters().items()}

    def train(self, batch):
        self.model.cleargrads()
        loss = self.loss(batch)
        loss.backward()
        self.optimizer.update()

    def wait(self):
        wait_for(self.device)

    def biases(self):
        parameters = self._parameters()
        return {name: to_numpy(parameters[name].array) for name in ("recur.b", "out.b")}

    def _parameters(self):
        model = self.model
        return {
            "embed.W": model.embed.W,
            "recur.W": model.recur.W,
            "recur.b": model.recur.b,
            "out.W": model.out.W,
            "out.b": model.out.b,
        }


class Scan(Loop):
    """The same step, compiled."""

    label = "dynet, scan"
    network = ScannedIRNN


def to_numpy(array):
    return dynet.get_device("cpu").send(array).copy()


def wait_for(device):
    """Return when all is done that the device was given."""
    if device.name != "cpu":
        device.xp.cuda.Device().synchronize()
