"""The recurrent networks in JAX: a jitted ``lax.scan``, compiled together with its gradient."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from .with_jax import device_of


def lstm(p, state, x):
    h, c = state
    i, f, g, o = jnp.split(x + h @ p.U.T, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(p, state, x):
    (h,) = state
    x_r, x_z, x_n = jnp.split(x, 3, axis=1)
    u_r, u_z, u_n = jnp.split(h @ p.U.T + p.bu, 3, axis=1)
    r, z = jax.nn.sigmoid(x_r + u_r), jax.nn.sigmoid(x_z + u_z)
    n = jnp.tanh(x_n + r * u_n)
    return ((1 - z) * n + z * h,)


def relu(p, state, x):
    (h,) = state
    return (jax.nn.relu(x + h @ p.U.T),)


STEPS = {"lstm": lstm, "gru": gru, "relu": relu}


class Whole:
    """A jitted ``lax.scan`` over the steps, after one product for all their inputs."""

    def __init__(self, network, weights, device, threads):
        def loss_of(weights, xs, coefficients):
            p = SimpleNamespace(**weights)

            def step(state, x):
                state = STEPS[network](p, state, x)
                return state, state[0]

            start = jnp.zeros((xs.shape[1], p.U.shape[1]), jnp.float32)
            states = 2 if network == "lstm" else 1
            _, ys = jax.lax.scan(step, (start,) * states, xs @ p.W.T + p.b)
            return jnp.sum(ys * coefficients)

        self.device = device_of(device)
        self.weights = jax.device_put(weights, self.device)
        self.value_and_grad = jax.jit(jax.value_and_grad(loss_of))

    def prepare(self, xs, coefficients):
        return jax.device_put((xs, coefficients), self.device)

    def sweep(self, batch):
        self.found = self.value_and_grad(self.weights, *batch)
        return self.found

    def wait(self):
        jax.block_until_ready(self.found)

    def loss_and_gradients(self, batch):
        loss, gradients = self.sweep(batch)
        return float(loss), {name: np.asarray(g) for name, g in gradients.items()}
