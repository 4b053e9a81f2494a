"""The IRNN in JAX, with loss, gradient, clipping and update in one compiled function."""

import jax
import jax.numpy as jnp
import numpy as np

from . import THRESHOLD


def device_of(name):
    """The device called ``cpu`` or ``cuda:N``."""
    kind, _, number = name.partition(":")
    return jax.devices(kind)[int(number or 0)]


def loss_of(weights, xs, t):
    """The loss of a batch: ids ``(steps, batch)`` and labels ``(batch,)``."""
    embed, W, b = weights["embed.W"], weights["recur.W"], weights["recur.b"]

    # Taking the look-ups out of the scan was tried, and is no faster.
    def step(h, x):
        return jax.nn.relu(embed[x] + h @ W.T + b), None

    h, _ = jax.lax.scan(step, jnp.zeros((xs.shape[1], len(b)), jnp.float32), xs)
    scores = jax.nn.log_softmax(h @ weights["out.W"].T + weights["out.b"])
    return -jnp.mean(jnp.take_along_axis(scores, t[:, None], axis=1))


class Scan:
    """A jitted ``lax.scan`` over the time steps."""

    label = "JAX, jitted lax.scan"

    def __init__(self, weights, rate, device, threads):
        self.device = device_of(device)
        self.weights = jax.device_put(weights, self.device)
        value_and_grad = jax.value_and_grad(loss_of)

        def update(weights, xs, t):
            loss, gradients = value_and_grad(weights, xs, t)
            norm = jnp.sqrt(sum([jnp.sum(g * g) for g in jax.tree.leaves(gradients)]))
            factor = rate * jnp.minimum(1.0, THRESHOLD / norm)
            return loss, jax.tree.map(lambda w, g: w - factor * g, weights, gradients)

        self.value_and_grad = jax.jit(value_and_grad)
        self.update = jax.jit(update)

    def prepare(self, xs, t):
        return jax.device_put((xs, t), self.device)

    def loss_and_gradients(self, batch):
        loss, gradients = self.value_and_grad(self.weights, *batch)
        return float(loss), {name: np.asarray(g) for name, g in gradients.items()}

    def train(self, batch):
        _, self.weights = self.update(self.weights, *batch)

    def wait(self):
        jax.block_until_ready(self.weights)

    def biases(self):
        return {name: np.asarray(self.weights[name]) for name in ("recur.b", "out.b")}
