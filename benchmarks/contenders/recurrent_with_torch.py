"""The recurrent networks in PyTorch: cells in a Python loop, and modules for whole sequences."""

from functools import partial
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from .with_torch import wait_for


def lstm(p, state, x):
    h, c = state
    i, f, g, o = (F.linear(x, p.W, p.b) + F.linear(h, p.U)).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru(p, state, x):
    (h,) = state
    x_r, x_z, x_n = F.linear(x, p.W, p.b).chunk(3, dim=1)
    u_r, u_z, u_n = F.linear(h, p.U, p.bu).chunk(3, dim=1)
    r, z = torch.sigmoid(x_r + u_r), torch.sigmoid(x_z + u_z)
    n = torch.tanh(x_n + r * u_n)
    return ((1 - z) * n + z * h,)


def relu(p, state, x):
    (h,) = state
    return (torch.relu(F.linear(x, p.W, p.b) + F.linear(h, p.U)),)


HAND_WRITTEN = {"lstm": lstm, "gru": gru, "relu": relu}
CELLS = {
    **{"lstm": nn.LSTMCell, "gru": nn.GRUCell},
    "relu": partial(nn.RNNCell, nonlinearity="relu"),
}
SEQUENCES = {"lstm": nn.LSTM, "gru": nn.GRU, "relu": partial(nn.RNN, nonlinearity="relu")}


class Hand:
    """A cell of plain functions in a Python loop."""

    def __init__(self, network, weights, device, threads):
        torch.set_num_threads(threads)
        self.device = torch.device(device)
        self.states = 2 if network == "lstm" else 1
        self.hidden = weights["U"].shape[1]
        self.parameters, self.step = self.make(network, weights)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.from_numpy(weights[name]))

    def make(self, network, weights):
        """The parameters by name, and a step ``(state, x) -> state`` with h in front."""
        parameters = {
            name: nn.Parameter(torch.tensor(W, device=self.device)) for name, W in weights.items()
        }
        p, cell = SimpleNamespace(**parameters), HAND_WRITTEN[network]
        return parameters, lambda state, x: cell(p, state, x)

    def cleared(self):
        """All parameters that get a gradient."""
        return self.parameters.values()

    def outputs(self, xs):
        state = (torch.zeros(xs[0].shape[0], self.hidden, device=self.device),) * self.states
        ys = []
        for x in xs:
            state = self.step(state, x)
            ys.append(state[0])
        return torch.stack(ys)

    def prepare(self, xs, coefficients):
        return torch.from_numpy(xs).to(self.device), torch.from_numpy(coefficients).to(self.device)

    def loss(self, batch):
        xs, coefficients = batch
        for parameter in self.cleared():
            parameter.grad = None
        return (self.outputs(xs) * coefficients).sum()

    def sweep(self, batch):
        loss = self.loss(batch)
        loss.backward()
        return loss

    def wait(self):
        wait_for(self.device)

    def loss_and_gradients(self, batch):
        loss = self.sweep(batch)
        return loss.item(), {n: p.grad.cpu().numpy().copy() for n, p in self.parameters.items()}


class Cell(Hand):
    """The library's cell in a Python loop."""

    kinds = CELLS
    layer = ""  # behind the names of its parameters

    def make(self, network, weights):
        module = self.kinds[network](weights["W"].shape[1], self.hidden, device=self.device)
        self.module = module
        W, U, b, bu = [
            getattr(module, name + self.layer)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        nn.init.zeros_(bu)
        parameters = {"W": W, "U": U, "b": b}
        if network == "gru":
            parameters["bu"] = bu
        if network == "lstm":
            return parameters, lambda state, x: module(x, state)
        return parameters, lambda state, x: (module(x, *state),)

    def cleared(self):
        return self.module.parameters()


class Whole(Cell):
    """The library's module for the whole sequence."""

    kinds = SEQUENCES
    layer = "_l0"

    def outputs(self, xs):
        return self.module(xs)[0]


class EmbeddingLoop(Cell):
    """The library's cell in a Python loop, with an embedding that is looked up at each step."""

    def __init__(self, network, weights, device, threads, given):
        self.given = given
        super().__init__(network, weights, device, threads)

    def make(self, network, weights):
        parameters, step = super().make(network, weights)
        self.table = weights["table"]
        self.embed = nn.Embedding(*self.table.shape, device=self.device)
        if self.given != "table":
            return parameters, step
        parameters["table"] = self.embed.weight
        return parameters, lambda state, x: step(state, self.embed(x))

    def cleared(self):
        return [*super().cleared(), self.embed.weight]

    def prepare(self, xs, coefficients):
        return super().prepare(xs if self.given == "table" else self.table[xs], coefficients)

    def loss(self, batch):
        xs, coefficients = batch
        if self.given == "vectors":
            xs = [x.detach().requires_grad_() for x in xs]
        return super().loss((xs, coefficients))
