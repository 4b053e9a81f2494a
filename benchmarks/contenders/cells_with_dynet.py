"""The cells in dynet, as a compiled scan and as a plain loop over one and the same step."""

from types import SimpleNamespace

import dynet
import dynet.functions as F

from .cells import EPS, clockwork_mask, named_after
from .with_dynet import to_numpy, wait_for


def clockwork(p, xs):
    U = p.U * p.U.xp.asarray(clockwork_mask(len(p.U)))

    def step(h, x):
        x, moves = x
        h = F.where(moves, F.tanh(F.linear(x, p.W, p.b) + F.linear(h, U)), h)
        return h, h

    return step


def minimal_gated_unit(p, xs):
    def step(h, x):
        f = F.sigmoid(F.linear(x, p.Wf, p.bf) + F.linear(h, p.Uf))
        n = F.tanh(F.linear(x, p.W, p.b) + F.linear(f * h, p.U))
        h = (1 - f) * h + f * n
        return h, h

    return step


def layer_norm_lstm(p, xs):
    def step(carry, x):
        h, c = carry
        gates = F.layer_normalization(F.linear(x, p.W), p.gamma_x, p.beta_x, EPS)
        gates = gates + F.layer_normalization(F.linear(h, p.U), p.gamma_h, p.beta_h, EPS)
        f, i, o, g = F.split_axis(gates, 4, axis=1)
        c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
        h = F.sigmoid(o) * F.tanh(F.layer_normalization(c, p.gamma_c, p.beta_c, EPS))
        return (h, c), h

    return step


def residual_irnn(p, xs):
    scale = 1 / len(xs)

    def step(h, x):
        h = h + F.relu(F.embed_id(x, p.embed) + F.linear(h, p.U, p.b)) * scale
        return h, h

    return step


def two_layers(p, xs):
    def step(carry, x):
        h1, h2 = carry
        h1 = F.tanh(F.linear(x, p.W1, p.b1) + F.linear(h1, p.U1))
        h2 = F.tanh(F.linear(h1, p.W2, p.b2) + F.linear(h2, p.U2))
        return (h1, h2), h2

    return step


class Scan:
    """The step, compiled."""

    label = "dynet, scan"
    compiled = True

    def __init__(self, cell, weights, device, threads):
        self.device = dynet.get_device(device)
        self.cell = named_after(cell, globals())
        self.parameters = {name: dynet.Parameter(W.copy()) for name, W in weights.items()}
        for parameter in self.parameters.values():
            parameter.to_device(self.device)

    def prepare(self, init, xs, targets):
        return self.device.send((init, xs, targets))

    def sweep(self, batch):
        init, xs, targets = batch
        for parameter in self.parameters.values():
            parameter.cleargrad()
        step = self.cell(SimpleNamespace(**self.parameters), xs)
        _, ys = dynet.scan(step, init, xs, compiled=self.compiled)
        loss = F.mean_squared_error(ys, targets)
        loss.backward()
        return loss

    def wait(self):
        wait_for(self.device)

    def loss_and_gradients(self, batch):
        loss = self.sweep(batch)
        return float(loss), {name: to_numpy(p.grad) for name, p in self.parameters.items()}


class Loop(Scan):
    """The same step, called in Python each time."""

    label = "dynet, Python loop"
    compiled = False
