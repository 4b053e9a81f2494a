"""The table of differentiable functions: one row each, for the tests that hold for all of them.

Whoever adds a function adds a row. The name before the colon is that in ``dynet.functions`` (or
the operator's sign); what follows it tells several rows of one function apart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import dynet.functions as F


@dataclass(frozen=True)
class Row:
    """One function, with inputs to try it on and what it should say."""

    name: str
    # On Variables.
    function: Callable
    # From a random generator to the arrays: float64 where a gradient is wanted, else integers.
    inputs: Callable
    # The same function in NumPy, on arrays, and in PyTorch, on tensors.
    numpy: Callable | None = None
    torch: Callable | None = None
    # Functions that are flat have no gradient, and so none to differentiate again.
    flat: bool = False


def x(*shape):
    """Numbers of both signs, none of them near 0, where some functions have a kink."""

    def build(rng):
        return rng.uniform(0.3, 2, shape) * rng.choice([-1, 1], shape)

    return build


def positive(*shape):
    return lambda rng: rng.uniform(0.3, 2, shape)


def exactly(values):
    return lambda rng: np.array(values)


def inputs(*builders):
    def build(rng):
        return tuple(b(rng) for b in builders)

    return build


WEIGHT = np.array([0.5, 2.0, 1.0])


def _torch(name, *arguments, **keywords):
    """A function of torch.nn.functional, found when it is called: PyTorch may not be there."""

    def call(*tensors):
        import torch

        return getattr(torch.nn.functional, name)(*tensors, *arguments, **keywords)

    return call


def _nll(p, t):
    return -np.log(np.take_along_axis(p, t[:, None], 1)[:, 0])


def _softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def _weighted(x, t):
    return F.softmax_cross_entropy(x, t, class_weight=WEIGHT.astype(x.dtype))


def _cross_entropy(**keywords):
    return lambda x, t: F.softmax_cross_entropy(x, t, **keywords)


def _index(name, index, *shape):
    return Row(f"get_item: {name}", lambda x: x[index], inputs(x(*shape)), lambda x: x[index])


def _both(name, operator, *shapes, build=x):
    """An operator as it is on Variables, against itself on arrays."""
    return Row(name, operator, inputs(*[build(*s) for s in shapes]), operator)


def _matmul(name, *shapes):
    return _both(f"matmul: {name}", lambda x, y: x @ y, *shapes)


SCORES = inputs(x(4, 3), exactly([2, 0, 1, 2]))
SCORES_AND_IGNORED = inputs(x(4, 3), exactly([2, -1, 1, -1]))
SCORES_WITH_AXES = inputs(x(2, 3, 2, 2), exactly([[[0, 1], [2, -1]], [[1, 1], [-1, 0]]]))

TABLE = [
    # -- operators --------------------------------------------------------------------------------
    _both("+", lambda x, y: x + y, (3, 4), (3, 4)),
    _both("+: broadcasting both ways", lambda x, y: x + y, (2, 1, 4), (3, 1)),
    _both("+: a vector without axes", lambda x, y: x + y, (3,), ()),
    _both("+: a number on the right", lambda x: x + 3, (3, 4)),
    _both("+: a number on the left", lambda x: 3 + x, (3, 4)),
    _both("+: itself", lambda x: x + x, (3, 4)),
    _both("-", lambda x, y: x - y, (3, 4), (3, 4)),
    _both("-: broadcasting", lambda x, y: x - y, (4,), (3, 4)),
    _both("-: a number on the right", lambda x: x - 1.5, (3, 4)),
    _both("-: a number on the left", lambda x: 1.5 - x, (3, 4)),
    _both("*", lambda x, y: x * y, (3, 4), (3, 4)),
    _both("*: broadcasting", lambda x, y: x * y, (3, 1), (4,)),
    _both("*: a number on the right", lambda x: x * 2, (3, 4)),
    _both("*: a number on the left", lambda x: 2 * x, (3, 4)),
    _both("*: a number of NumPy", lambda x: x * np.float64(2), (3, 4)),
    _both("*: itself", lambda x: x * x, (3, 4)),
    _both("/", lambda x, y: x / y, (3, 4), (3, 4)),
    _both("/: broadcasting", lambda x, y: x / y, (4,), (3, 1)),
    _both("/: a number on the right", lambda x: x / 4, (3, 4)),
    _both("/: a number on the left", lambda x: 4 / x, (3, 4)),
    Row(
        "//",
        lambda x, y: x // y,
        inputs(exactly([[-2.7, 5.3], [0.4, 9.1]]), exactly([1.1, -2.0])),
        lambda x, y: x // y,
        flat=True,
    ),
    Row(
        "//: a number",
        lambda x: 7 // (x // 0.3),
        inputs(exactly([1.0, 5.5])),
        lambda x: 7 // (x // 0.3),
        flat=True,
    ),
    Row(
        "%",
        lambda x, y: x % y,
        inputs(exactly([[-2.7, 5.3], [0.4, 9.1]]), exactly([1.1, -2.0])),
        lambda x, y: x % y,
    ),
    Row("%: a number", lambda x: 7 % x, inputs(exactly([1.5, 2.2])), lambda x: 7 % x),
    _both("**", lambda x, y: x**y, (3, 4), (3, 4), build=positive),
    _both("**: broadcasting", lambda x, y: x**y, (3, 1), (4,), build=positive),
    _both("**: a whole number", lambda x: x**3, (3, 4)),
    _both("**: a fraction", lambda x: x**0.5, (3, 4), build=positive),
    _both("**: a negative number", lambda x: x**-1, (3, 4)),
    _both("**: of a number", lambda x: 2**x, (3, 4)),
    _both("**: of a number of NumPy", lambda x: np.float64(2) ** x, (3, 4)),
    _both("neg", lambda x: -x, (3, 4)),
    Row("absolute", F.absolute, inputs(x(3, 4)), np.abs),
    _both("absolute: abs", abs, (3, 4)),
    # -- products ---------------------------------------------------------------------------------
    Row("matmul", F.matmul, inputs(x(2, 3), x(3, 4)), np.matmul, lambda x, y: x @ y),
    _matmul("vector by vector", (3,), (3,)),
    _matmul("vector by matrix", (3,), (3, 4)),
    _matmul("matrix by vector", (2, 3), (3,)),
    _matmul("stack by stack", (2, 3, 4), (2, 4, 2)),
    _matmul("stack by matrix", (2, 3, 4), (4, 2)),
    _matmul("matrix by stack", (3, 4), (2, 4, 2)),
    _matmul("stack by vector", (2, 3, 4), (4,)),
    _matmul("vector by stack", (4,), (2, 4, 2)),
    _matmul("stacks that broadcast", (2, 1, 2, 3), (3, 3, 2)),
    Row(
        "linear",
        F.linear,
        inputs(x(4, 3), x(2, 3), x(2)),
        lambda x, W, b: x @ W.T + b,
        _torch("linear"),
    ),
    Row("linear: no bias", F.linear, inputs(x(4, 3), x(2, 3)), lambda x, W: x @ W.T),
    Row(
        "linear: features on several axes",
        F.linear,
        inputs(x(4, 3, 2), x(2, 6), x(2)),
        lambda x, W, b: x.reshape(4, 6) @ W.T + b,
    ),
    Row(
        "linear: two batch axes",
        lambda x, W, b: F.linear(x, W, b, n_batch_axes=2),
        inputs(x(4, 3, 2), x(5, 2), x(5)),
        lambda x, W, b: x @ W.T + b,
        _torch("linear"),
    ),
    Row(
        "embed_id",
        F.embed_id,
        inputs(exactly([2, 0, 2]), x(3, 4)),
        lambda ids, W: W[ids],
        _torch("embedding"),
    ),
    Row(
        "embed_id: ids with two axes",
        F.embed_id,
        inputs(exactly([[2, 0], [1, 2]]), x(3, 4)),
        lambda ids, W: W[ids],
    ),
    Row(
        "embed_id: an ignored id",
        lambda ids, W: F.embed_id(ids, W, ignore_label=-1),
        inputs(exactly([[2, -1], [1, 2]]), x(3, 4)),
        lambda ids, W: W[ids] * (ids != -1)[..., None],
    ),
    # -- shapes -----------------------------------------------------------------------------------
    Row("reshape", lambda x: F.reshape(x, (3, -1)), inputs(x(2, 6)), lambda x: x.reshape(3, -1)),
    _both("reshape: method", lambda x: x.reshape(6, 2), (3, 4)),
    Row("transpose", F.transpose, inputs(x(2, 3, 4)), np.transpose),
    Row(
        "transpose: axes",
        lambda x: F.transpose(x, (1, -1, 0)),
        inputs(x(2, 3, 4)),
        lambda x: x.transpose(1, 2, 0),
    ),
    _both("transpose: T", lambda x: x.T, (3, 4)),
    Row(
        "broadcast_to",
        lambda x: F.broadcast_to(x, (2, 3, 4)),
        inputs(x(3, 1)),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
    ),
    Row(
        "get_item",
        lambda x: F.get_item(x, slice(1, 3)),
        inputs(x(4, 3)),
        lambda x: x[1:3],
        lambda x: x[1:3],
    ),
    _index("an integer", 1, 4, 3),
    _index("one element", (1, -1), 4, 3),
    _index("slices with steps", (slice(None, None, 2), slice(2, None, -1)), 4, 3),
    _index("None", (None, slice(None), None), 4, 3),
    _index("Ellipsis", (..., 0), 2, 3, 4),
    _index("integers that repeat", np.array([2, 0, 2, -1]), 3, 2),
    _index("a list of integers", [1, 1], 3, 2),
    _index("two arrays of integers", (np.array([0, 0, 2]), np.array([1, 1, 0])), 3, 2),
    _index("an array and a slice", (slice(1), np.array([[0, 1], [1, 1]])), 3, 2),
    _index("a boolean mask", np.array([[True, False], [False, True], [True, True]]), 3, 2),
    # -- elementary functions and reductions ------------------------------------------------------
    Row("exp", F.exp, inputs(x(3, 4)), np.exp),
    Row("log", F.log, inputs(positive(3, 4)), np.log),
    Row("relu", F.relu, inputs(x(3, 4)), lambda x: np.maximum(x, 0), _torch("relu")),
    Row("relu: no axes", F.relu, inputs(positive()), lambda x: np.maximum(x, 0)),
    Row("sum", F.sum, inputs(x(3, 4)), np.sum),
    Row("sum: an axis", lambda x: F.sum(x, 1), inputs(x(3, 4)), lambda x: x.sum(1)),
    Row(
        "sum: axes that stay",
        lambda x: F.sum(x, (0, -1), keepdims=True),
        inputs(x(2, 3, 4)),
        lambda x: x.sum((0, -1), keepdims=True),
    ),
    Row("mean", F.mean, inputs(x(3, 4)), np.mean),
    Row("mean: an axis", lambda x: x.mean(axis=0), inputs(x(3, 4)), lambda x: x.mean(0)),
    # -- losses -----------------------------------------------------------------------------------
    Row(
        "softmax_cross_entropy",
        F.softmax_cross_entropy,
        SCORES,
        lambda x, t: _nll(_softmax(x), t).mean(),
        _torch("cross_entropy"),
    ),
    Row(
        "softmax_cross_entropy: ignored labels",
        F.softmax_cross_entropy,
        SCORES_AND_IGNORED,
        torch=_torch("cross_entropy", ignore_index=-1),
    ),
    Row(
        "softmax_cross_entropy: more axes",
        F.softmax_cross_entropy,
        SCORES_WITH_AXES,
        torch=_torch("cross_entropy", ignore_index=-1),
    ),
    Row(
        "softmax_cross_entropy: weights of classes",
        _weighted,
        SCORES,
        lambda x, t: (_nll(_softmax(x), t) * WEIGHT[t]).mean(),
    ),
    Row(
        "softmax_cross_entropy: divided by the batch",
        _cross_entropy(normalize=False),
        SCORES_AND_IGNORED,
        lambda x, t: _nll(_softmax(x), t)[t >= 0].sum() / len(x),
    ),
    Row(
        "softmax_cross_entropy: each loss",
        _cross_entropy(reduce="no"),
        SCORES_WITH_AXES,
        torch=_torch("cross_entropy", ignore_index=-1, reduction="none"),
    ),
]
