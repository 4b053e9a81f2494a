"""The cells in PyTorch, each as a Python loop over its step."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F

from .cells import EPS, clockwork_mask, named_after
from .with_torch import wait_for


def clockwork(p, xs):
    U = p.U * torch.from_numpy(clockwork_mask(len(p.U))).to(p.U.device)

    def step(h, x):
        x, moves = x
        h = torch.where(moves, torch.tanh(F.linear(x, p.W, p.b) + F.linear(h, U)), h)
        return h, h

    return step


def minimal_gated_unit(p, xs):
    def step(h, x):
        f = torch.sigmoid(F.linear(x, p.Wf, p.bf) + F.linear(h, p.Uf))
        n = torch.tanh(F.linear(x, p.W, p.b) + F.linear(f * h, p.U))
        h = (1 - f) * h + f * n
        return h, h

    return step


def layer_norm_lstm(p, xs):
    def step(carry, x):
        h, c = carry
        gates = F.layer_norm(F.linear(x, p.W), p.gamma_x.shape, p.gamma_x, p.beta_x, EPS)
        gates = gates + F.layer_norm(F.linear(h, p.U), p.gamma_h.shape, p.gamma_h, p.beta_h, EPS)
        f, i, o, g = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        normalized = F.layer_norm(c, p.gamma_c.shape, p.gamma_c, p.beta_c, EPS)
        h = torch.sigmoid(o) * torch.tanh(normalized)
        return (h, c), h

    return step


def residual_irnn(p, xs):
    scale = 1 / len(xs)

    def step(h, x):
        h = h + torch.relu(F.embedding(x, p.embed) + F.linear(h, p.U, p.b)) * scale
        return h, h

    return step


def two_layers(p, xs):
    def step(carry, x):
        h1, h2 = carry
        h1 = torch.tanh(F.linear(x, p.W1, p.b1) + F.linear(h1, p.U1))
        h2 = torch.tanh(F.linear(h1, p.W2, p.b2) + F.linear(h2, p.U2))
        return (h1, h2), h2

    return step


class Loop:
    """A plain Python loop over the time steps."""

    label = "PyTorch, Python loop"

    def __init__(self, cell, weights, device, threads):
        torch.set_num_threads(threads)
        self.device = torch.device(device)
        self.cell = named_after(cell, globals())
        self.parameters = {
            name: torch.tensor(W, device=self.device, requires_grad=True)
            for name, W in weights.items()
        }

    def prepare(self, init, xs, targets):
        return self._sent(init), self._sent(xs), self._sent(targets)

    def _sent(self, arrays):
        if isinstance(arrays, tuple):
            return tuple(map(self._sent, arrays))
        return torch.from_numpy(arrays).to(self.device)

    def sweep(self, batch):
        carry, xs, targets = batch
        for parameter in self.parameters.values():
            parameter.grad = None
        step = self.cell(SimpleNamespace(**self.parameters), xs)
        ys = []
        for x in zip(*xs, strict=True) if isinstance(xs, tuple) else xs:
            carry, y = step(carry, x)
            ys.append(y)
        loss = F.mse_loss(torch.stack(ys), targets)
        loss.backward()
        return loss

    def wait(self):
        wait_for(self.device)

    def loss_and_gradients(self, batch):
        loss = self.sweep(batch)
        return loss.item(), {n: p.grad.cpu().numpy().copy() for n, p in self.parameters.items()}
