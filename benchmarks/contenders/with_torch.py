"""The IRNN in PyTorch, as a Python loop and by its built-in recurrent network."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from . import THRESHOLD


class LoopedIRNN(nn.Module):
    """The network with its recurrence as a Python loop."""

    def __init__(self, weights):
        super().__init__()
        self.embed = nn.Embedding(*weights["embed.W"].shape)
        self.recur = nn.Linear(*weights["recur.W"].shape)
        self.out = nn.Linear(*weights["out.W"].shape[::-1])
        self.named = {
            "embed.W": self.embed.weight,
            "recur.W": self.recur.weight,
            "recur.b": self.recur.bias,
            "out.W": self.out.weight,
            "out.b": self.out.bias,
        }
        _fill(self.named, weights)

    def forward(self, xs):
        h = torch.zeros(xs.shape[1], self.recur.out_features, device=xs.device)
        for x in xs:
            h = torch.relu(self.embed(x) + self.recur(h))
        return self.out(h)


class BuiltInIRNN(nn.Module):
    """The network with ``nn.RNN`` for its recurrence.

    ``nn.RNN`` cannot go without a weight on its input: it is the identity, and stays it. So it
    costs a matrix product that the others do not have, but one for all time steps together. The
    second bias is zero, and stays it.
    """

    def __init__(self, weights):
        super().__init__()
        hidden = len(weights["recur.b"])
        self.embed = nn.Embedding(*weights["embed.W"].shape)
        self.rnn = nn.RNN(hidden, hidden, nonlinearity="relu")
        self.out = nn.Linear(*weights["out.W"].shape[::-1])
        nn.init.eye_(self.rnn.weight_ih_l0).requires_grad_(False)
        nn.init.zeros_(self.rnn.bias_ih_l0).requires_grad_(False)
        self.named = {
            "embed.W": self.embed.weight,
            "recur.W": self.rnn.weight_hh_l0,
            "recur.b": self.rnn.bias_hh_l0,
            "out.W": self.out.weight,
            "out.b": self.out.bias,
        }
        _fill(self.named, weights)

    def forward(self, xs):
        hs, _ = self.rnn(self.embed(xs))
        return self.out(hs[-1])


class Loop:
    """A plain Python loop over the time steps."""

    label = "PyTorch, Python loop"
    network = LoopedIRNN

    def __init__(self, weights, rate, device, threads):
        torch.set_num_threads(threads)
        self.device = torch.device(device)
        self.model = self.network(weights).to(self.device)
        self.parameters = list(self.model.named.values())
        self.optimizer = torch.optim.SGD(self.parameters, rate)

    def prepare(self, xs, t):
        # cross_entropy takes no labels of 32 bits.
        return torch.from_numpy(xs).to(self.device), torch.from_numpy(t).long().to(self.device)

    def loss_and_gradients(self, batch):
        loss = self._sweep(batch)
        return loss.item(), {n: p.grad.cpu().numpy() for n, p in self.model.named.items()}

    def train(self, batch):
        self._sweep(batch)
        nn.utils.clip_grad_norm_(self.parameters, THRESHOLD)
        self.optimizer.step()

    def wait(self):
        wait_for(self.device)

    def biases(self):
        named = self.model.named
        return {name: named[name].detach().cpu().numpy() for name in ("recur.b", "out.b")}

    def _sweep(self, batch):
        xs, t = batch
        self.optimizer.zero_grad()
        loss = cross_entropy(self.model(xs), t)
        loss.backward()
        return loss


class BuiltIn(Loop):
    """The recurrence in C++."""

    label = "PyTorch, nn.RNN"
    network = BuiltInIRNN


def wait_for(device):
    """Return when all is done that the device was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _fill(parameters, weights):
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(weights[name]))
