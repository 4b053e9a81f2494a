"""The recurrent networks in dynet: cells in a Python loop, and links over whole sequences."""

from types import SimpleNamespace

import numpy as np

import dynet
import dynet.functions as F
import dynet.links as L

from .with_dynet import to_numpy, wait_for


def lstm(p, state, x):
    h, c = state
    i, f, g, o = F.split_axis(F.linear(x, p.W, p.b) + F.linear(h, p.U), 4, axis=1)
    c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
    return F.sigmoid(o) * F.tanh(c), c


def gru(p, state, x):
    (h,) = state
    x_r, x_z, x_n = F.split_axis(F.linear(x, p.W, p.b), 3, axis=1)
    u_r, u_z, u_n = F.split_axis(F.linear(h, p.U, p.bu), 3, axis=1)
    r, z = F.sigmoid(x_r + u_r), F.sigmoid(x_z + u_z)
    n = F.tanh(x_n + r * u_n)
    return ((1 - z) * n + z * h,)


def relu(p, state, x):
    (h,) = state
    return (F.relu(F.linear(x, p.W, p.b) + F.linear(h, p.U)),)


HAND_WRITTEN = {"lstm": lstm, "gru": gru, "relu": relu}


class Hand:
    """A cell of plain functions in a Python loop."""

    def __init__(self, network, weights, device, threads):
        self.device = dynet.get_device(device)
        self.states = 2 if network == "lstm" else 1
        self.hidden = weights["U"].shape[1]
        self.parameters, self.step = self.make(network, weights)
        for name, parameter in self.parameters.items():
            parameter.array[...] = weights[name]
        for parameter in self.cleared():
            parameter.to_device(self.device)

    def make(self, network, weights):
        """The parameters by name, and a step ``(state, x) -> state`` with h in front."""
        # Matrices lie by columns, as L.Linear keeps them.
        parameters = {n: dynet.Parameter(W.copy(), W.shape, order="F") for n, W in weights.items()}
        p, cell = SimpleNamespace(**parameters), HAND_WRITTEN[network]
        return parameters, lambda state, x: cell(p, state, x)

    def cleared(self):
        """All parameters that there are; each gets a gradient."""
        return self.parameters.values()

    def outputs(self, xs):
        state = self.start(xs)
        ys = []
        for x in xs:
            state = self.step(state, x)
            ys.append(state[0])
        return F.stack(ys)

    def start(self, xs):
        zeros = self.device.xp.zeros((xs[0].shape[0], self.hidden), np.float32)
        return (zeros,) * self.states

    def prepare(self, xs, coefficients):
        return self.device.send((xs, coefficients))

    def loss(self, batch):
        xs, coefficients = batch
        for parameter in self.cleared():
            parameter.cleargrad()
        return F.sum(self.outputs(xs) * coefficients)

    def sweep(self, batch):
        loss = self.loss(batch)
        loss.backward()
        return loss

    def wait(self):
        wait_for(self.device)

    def loss_and_gradients(self, batch):
        loss = self.sweep(batch)
        return float(loss), {name: to_numpy(p.grad) for name, p in self.parameters.items()}


class Cell(Hand):
    """The library's cell in a Python loop."""

    def make(self, network, weights):
        features = weights["W"].shape[1]
        if network == "lstm":
            cell = L.StatelessLSTM(features, self.hidden)
        elif network == "gru":
            cell = L.StatelessGRU(features, self.hidden)
        else:
            cell = L.StatelessRNN(features, self.hidden, activation="relu")
        parameters = {"W": cell.upward.W, "U": cell.lateral.W, "b": cell.upward.b}
        if network == "gru":
            parameters["bu"] = cell.lateral.b

        def step_of_lstm(state, x):
            h, c = state
            c, h = cell(c, h, x)
            return h, c

        return parameters, step_of_lstm if network == "lstm" else lambda state, x: (
            cell(*state, x),
        )


class Whole(Hand):
    """The library's link over the whole sequence."""

    def make(self, network, weights):
        links = {"lstm": L.NStepLSTM, "gru": L.NStepGRU, "relu": L.NStepRNNReLU}
        self.rnn = rnn = links[network](1, weights["W"].shape[1], self.hidden, initial_bias=0)
        parameters = {"W": rnn.weight_ih_l0, "U": rnn.weight_hh_l0, "b": rnn.bias_ih_l0}
        if network == "gru":
            parameters["bu"] = rnn.bias_hh_l0
        return parameters, None

    def cleared(self):
        return self.rnn.params()

    def outputs(self, xs):
        *_, ys = self.rnn(*[None] * self.states, xs)
        return ys


class EmbeddingLoop(Cell):
    """The library's cell in a Python loop, with an embedding that is looked up at each step."""

    def __init__(self, network, weights, device, threads, given):
        self.given = given
        super().__init__(network, weights, device, threads)

    def make(self, network, weights):
        parameters, step = super().make(network, weights)
        self.table = weights["table"]
        self.embed = L.EmbedID(*self.table.shape)
        if self.given != "table":
            return parameters, step
        parameters["table"] = self.embed.W
        return parameters, lambda state, x: step(state, self.embed(x))

    def prepare(self, xs, coefficients):
        return super().prepare(xs if self.given == "table" else self.table[xs], coefficients)

    def loss(self, batch):
        xs, coefficients = batch
        return super().loss((self.leaves(xs) if self.given == "vectors" else xs, coefficients))

    def leaves(self, vectors):
        """Variables that get a gradient, those of a step in one."""
        return list(map(dynet.Variable, vectors))


class EmbeddingScan(EmbeddingLoop):
    """The same step, compiled."""

    def leaves(self, vectors):
        return dynet.Variable(vectors)

    def outputs(self, xs):
        def step(state, x):
            state = self.step(state, x)
            return state, state[0]

        return dynet.scan(step, self.start(xs), xs, compiled=True)[1]
