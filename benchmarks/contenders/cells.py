"""Five recurrent cells that no library has built in: what each computes, and data to run it on.

``clockwork``
    The units stand in five modules; module ``i`` moves at every ``2**i``-th step,
    ``h = tanh(W x + U h + b)``, and keeps its state at the others. ``U`` is masked so that a
    module hears only itself and slower ones (Koutník, Greff, Gomez, Schmidhuber, "A Clockwork
    RNN", 2014).
``minimal-gated-unit``
    ``f = sigmoid(Wf x + Uf h + bf)``, ``n = tanh(W x + U (f * h) + b)``,
    ``h = (1 - f) * h + f * n`` (Zhou, Wu, Zhang, Zhou, "Minimal Gated Unit for Recurrent Neural
    Networks", 2016).
``layer-norm-lstm``
    ``f, i, o, g = LN(W x) + LN(U h)``, ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)``,
    ``h = sigmoid(o) * tanh(LN(c))``, each ``LN`` with a scale and a shift of its own (Ba, Kiros,
    Hinton, "Layer Normalization", 2016, equations 20 to 22; the shifts serve as the bias).
``residual-irnn``
    ``h = h + relu(embed(x) + U h + b) * scale``, where ``U`` starts as the identity and the scale
    is 1 over the number of steps, so that the state grows by a factor of e at most.
``two-layers``
    ``h1 = tanh(W1 x + U1 h1 + b1)``, ``h2 = tanh(W2 h1 + U2 h2 + b2)``, both in one step.

Each step gives its state, the last one where there are two, as its output; the loss is the mean
squared difference of all outputs from targets. So a gradient arrives at every step: from the end
alone it would shrink to denormal numbers, with which processors take much longer, and whether they
do is up to how a framework sets them.

A contender, in ``cells_with_dynet`` and its like, is a class with

- ``label``: what a table calls it;
- ``__init__(cell, weights, device, threads)``: the cell of this name, with its weights;
- ``prepare(init, xs, targets)``: a batch in the framework's own arrays, on its device;
- ``sweep(batch)``: forward and backward, which may still go on when the call returns;
- ``wait()``: returns when the sweeps so far are over;
- ``loss_and_gradients(batch)``: as a float, and NumPy arrays by name.
"""

from typing import Any, NamedTuple

import numpy as np

MODULES = 5  # of the clockwork RNN
GREY_LEVELS = 256
EPS = 1e-5  # that a layer normalization adds to the variance
# About which its scales start. From 1 this LSTM is chaotic: runs that differ by one rounding soon
# have nothing in common, and there is nothing to check.
SCALE = 0.5

# Where the class of each contender stands, by name.
OWN = {"dynet-scan": "cells_with_dynet.Scan", "dynet": "cells_with_dynet.Loop"}
PEERS = {"torch": "cells_with_torch.Loop", "jax": "cells_with_jax.Scan"}

# By cell, the shapes of its weights; F and H stand for the number of features and of units.
SHAPES = {
    "clockwork": {"W": "HF", "U": "HH", "b": "H"},
    "minimal-gated-unit": {
        **{"Wf": "HF", "Uf": "HH", "bf": "H"},
        **{"W": "HF", "U": "HH", "b": "H"},
    },
    "layer-norm-lstm": {
        **{"W": "4F", "U": "4H"},
        **{"gamma_x": "4", "beta_x": "4", "gamma_h": "4", "beta_h": "4"},
        **{"gamma_c": "H", "beta_c": "H"},
    },
    "residual-irnn": {"embed": "GH", "U": "HH", "b": "H"},
    "two-layers": {
        **{"W1": "HF", "U1": "HH", "b1": "H"},
        **{"W2": "HH", "U2": "HH", "b2": "H"},
    },
}


class Task(NamedTuple):
    """A cell's weights by name, and a batch for it: first state, inputs and targets."""

    weights: dict[str, np.ndarray]
    init: Any
    xs: Any
    targets: np.ndarray


def make_task(cell: str, steps: int, batch: int, features: int, hidden: int) -> Task:
    """What all contenders get: arrays, or for some cells a pair of them.

    Returns:
        Task: states are ``(batch, hidden)``, inputs ``(steps, batch, features)``, for the
        residual IRNN ids ``(steps, batch)``, and targets ``(steps, batch, hidden)``. With the
        inputs of the clockwork RNN goes which units move, booleans ``(steps, hidden)``.
    """
    rng = np.random.default_rng(0)

    def normal(shape, std=1.0):
        return rng.normal(0, std, shape).astype(np.float32)

    lengths = {"F": features, "H": hidden, "4": 4 * hidden, "G": GREY_LEVELS}
    weights = {}
    for name, letters in SHAPES[cell].items():
        shape = tuple(lengths[letter] for letter in letters)
        weights[name] = normal(shape, 0.1 if len(shape) == 1 else shape[1] ** -0.5)
        if name.startswith("gamma"):
            weights[name] += SCALE
    init = np.zeros((batch, hidden), np.float32)
    xs = normal((steps, batch, features))
    if cell == "clockwork":
        periods = 2 ** module_of_units(hidden)
        xs = (xs, np.arange(steps)[:, None] % periods == 0)
    elif cell == "residual-irnn":
        weights["U"] = np.eye(hidden, dtype=np.float32)
        xs = rng.integers(0, GREY_LEVELS, (steps, batch), np.int32)
    elif cell in ("layer-norm-lstm", "two-layers"):
        init = (init, init.copy())
    return Task(weights, init, xs, normal((steps, batch, hidden)))


def module_of_units(hidden: int) -> np.ndarray:
    """Which module of the clockwork RNN each unit belongs to, from 0, the fastest, up."""
    return np.arange(hidden) * MODULES // hidden


def named_after(cell: str, functions: dict[str, Any]) -> Any:
    """A framework's own function for a cell, which is called after it."""
    return functions[cell.replace("-", "_")]


def clockwork_mask(hidden: int) -> np.ndarray:
    """1 where a unit (row) hears another one (column), whose module is its own or a slower one."""
    module = module_of_units(hidden)
    return (module[:, None] <= module).astype(np.float32)
