"""LSTM, GRU and ReLU networks of one layer: what they compute, in which ways, and on which data.

Each network is run in three ways, and in each by dynet and by PyTorch:

``hand``
    a cell of plain functions (``linear``, ``sigmoid``, ...) in a Python loop, the same statements
    in both frameworks;
``cell``
    the library's cell in a Python loop: ``StatelessLSTM`` and its like, ``nn.LSTMCell`` and its;
``whole``
    the library's link over the whole sequence: ``NStepLSTM``, ``nn.LSTM`` and their like; in JAX a
    jitted ``lax.scan``, before which the inputs of all steps are multiplied with their weight.

The formulas and the order of the gates are PyTorch's: LSTM ``i, f, g, o``, and GRU ``r, z, n`` with
``n = tanh(x_n + r * u_n)``. The loss is the sum of the outputs of all steps, each times a number of
its own. The weights get gradients; the input, which is data, gets none from anyone.

PyTorch's cells and both libraries' whole sequences have a second bias, which the hand-written LSTM
and ReLU cells, dynet's cells and JAX go without; it is zero, and its gradient that of the first.

With an embedding, the library's cell, in a loop or by ``dynet.scan``, looks up its input in a table
at each step; ``GIVEN`` says what it is given in place of ids, to tell the share of the table.

A contender, in ``recurrent_with_dynet`` and its like, is a class with

- ``__init__(network, weights, device, threads)``: with an embedding, also ``given``, and among the
  weights a ``table``;
- ``prepare(xs, coefficients)``: a batch in the framework's own arrays, on its device; with an
  embedding, of ids;
- ``sweep(batch)``: forward and backward, which may still go on when the call returns;
- ``wait()``: returns when the sweeps so far are over;
- ``loss(batch)``, except in JAX: the loss, with the record that leads to it, and no gradients yet;
- ``loss_and_gradients(batch)``: as a float, and NumPy arrays by name.
"""

from typing import NamedTuple

import numpy as np

# By network, how many blocks of gates it has.
GATES = {"lstm": 4, "gru": 3, "relu": 1}

WAYS = {
    "hand": "hand-written cell in a loop",
    "cell": "the library's cell in a loop",
    "whole": "whole sequences",
}
FRAMEWORKS = {"dynet": WAYS, "torch": WAYS, "jax": ("whole",)}

# Where the class of each contender stands, by name.
PLACES = {
    f"{framework}-{way}": f"recurrent_with_{framework}.{way.capitalize()}"
    for framework, ways in FRAMEWORKS.items()
    for way in ways
}
EMBEDDING_PLACES = {
    "dynet-loop": "recurrent_with_dynet.EmbeddingLoop",
    "dynet-scan": "recurrent_with_dynet.EmbeddingScan",
    "torch-loop": "recurrent_with_torch.EmbeddingLoop",
}

# What a network with an embedding is given: ids; the vectors that they name, which get a gradient
# each; those vectors as constants.
GIVEN = ("table", "vectors", "constants")


class Task(NamedTuple):
    """A network's weights by name, and a batch for it."""

    weights: dict[str, np.ndarray]
    xs: np.ndarray
    coefficients: np.ndarray


def make_task(
    network: str, steps: int, batch: int, features: int, hidden: int, words: int | None = None
) -> Task:
    """What all contenders get, in float32.

    Args:
        words: with an embedding, how long its table is.

    Returns:
        Task: the weights start from where PyTorch's do, with which no state explodes; ``W`` of the
        input, ``U`` of the state, ``b``, and in a GRU ``bu``, which is added to the state's part.
        Inputs are ``(steps, batch, features)``, or ids ``(steps, batch)``; coefficients are
        ``(steps, batch, hidden)``.
    """
    rng = np.random.default_rng(0)
    rows, limit = GATES[network] * hidden, hidden**-0.5

    def uniform(*shape):
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    weights = {"W": uniform(rows, features), "U": uniform(rows, hidden), "b": uniform(rows)}
    if network == "gru":
        weights["bu"] = uniform(rows)
    if words is None:
        xs = rng.standard_normal((steps, batch, features), np.float32)
    else:
        weights["table"] = rng.standard_normal((words, features), np.float32)
        xs = rng.integers(0, words, (steps, batch))
    return Task(weights, xs, rng.standard_normal((steps, batch, hidden), np.float32))
