"""The cells in JAX, each a ``lax.scan`` over its step, compiled together with its gradient."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from .cells import EPS, clockwork_mask, named_after
from .with_jax import device_of


def clockwork(p, xs):
    U = p.U * clockwork_mask(len(p.U))

    def step(h, x):
        x, moves = x
        h = jnp.where(moves, jnp.tanh(x @ p.W.T + p.b + h @ U.T), h)
        return h, h

    return step


def minimal_gated_unit(p, xs):
    def step(h, x):
        f = jax.nn.sigmoid(x @ p.Wf.T + p.bf + h @ p.Uf.T)
        n = jnp.tanh(x @ p.W.T + p.b + (f * h) @ p.U.T)
        h = (1 - f) * h + f * n
        return h, h

    return step


def layer_norm(x, gamma, beta):
    centred = x - x.mean(axis=1, keepdims=True)
    variance = jnp.mean(centred**2, axis=1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + EPS) * gamma + beta


def layer_norm_lstm(p, xs):
    def step(carry, x):
        h, c = carry
        gates = layer_norm(x @ p.W.T, p.gamma_x, p.beta_x)
        gates = gates + layer_norm(h @ p.U.T, p.gamma_h, p.beta_h)
        f, i, o, g = jnp.split(gates, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(layer_norm(c, p.gamma_c, p.beta_c))
        return (h, c), h

    return step


def residual_irnn(p, xs):
    scale = 1 / len(xs)

    def step(h, x):
        h = h + jax.nn.relu(p.embed[x] + h @ p.U.T + p.b) * scale
        return h, h

    return step


def two_layers(p, xs):
    def step(carry, x):
        h1, h2 = carry
        h1 = jnp.tanh(x @ p.W1.T + p.b1 + h1 @ p.U1.T)
        h2 = jnp.tanh(h1 @ p.W2.T + p.b2 + h2 @ p.U2.T)
        return (h1, h2), h2

    return step


class Scan:
    """A jitted ``lax.scan`` over the time steps."""

    label = "JAX, jitted lax.scan"

    def __init__(self, cell, weights, device, threads):
        def loss_of(weights, init, xs, targets):
            _, ys = jax.lax.scan(
                named_after(cell, globals())(SimpleNamespace(**weights), xs), init, xs
            )
            return jnp.mean((ys - targets) ** 2)

        self.device = device_of(device)
        self.weights = jax.device_put(weights, self.device)
        self.value_and_grad = jax.jit(jax.value_and_grad(loss_of))

    def prepare(self, init, xs, targets):
        return jax.device_put((init, xs, targets), self.device)

    def sweep(self, batch):
        self.found = self.value_and_grad(self.weights, *batch)
        return self.found

    def wait(self):
        jax.block_until_ready(self.found)

    def loss_and_gradients(self, batch):
        loss, gradients = self.sweep(batch)
        return float(loss), {name: np.asarray(g) for name, g in gradients.items()}
