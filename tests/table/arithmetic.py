"""Rows of arithmetic."""

import numpy as np

import dynet.functions as F

from .row import Row, elementwise, exactly, inputs, pairwise, positive, torch_function, x

MODULO = (
    inputs(exactly([[-2.7, 5.3], [0.4, 9.1]]), exactly([1.1, -2.0])),
    inputs(exactly([1.5, 7.2]), exactly(2.0)),
    inputs(exactly(np.zeros((0, 2))), exactly([1.1, -2.0])),
)


def _both(name, operator, build=None):
    """An operator of a Variable and numbers, against itself on arrays."""
    keywords = {} if build is None else {"build": build}
    return elementwise(name, operator, operator, **keywords)


def _pair(name, operator, **keywords):
    return pairwise(name, operator, operator, operator, **keywords)


def _add(*xs):
    return sum(xs[1:], xs[0])


def _along(axis, operator):
    """``y`` from some axis of ``x`` on."""

    def call(x, y):
        index = [None] * axis + [slice(None)] * y.ndim + [None] * (x.ndim - axis - y.ndim)
        return operator(x, y[tuple(index)])

    return call


def _squared(x, y):
    return (x - y) ** 2


CONDITION = exactly([[True, False, True, False], [False] * 4, [True] * 4])
WHERE = (
    inputs(CONDITION, x(3, 4), x(3, 4)),
    inputs(exactly([True, False, True]), x(2, 1), x(1, 3)),
    inputs(exactly([[True], [False]]), x(), x(3)),
    inputs(exactly(np.zeros((0, 3), bool)), x(3), x(1)),
)


def _where_bench(n, m):
    return inputs(lambda rng: rng.random((n, m)) < 0.5, x(n, m), x(n, m))


CHANNELS = (
    inputs(x(2, 3, 4), x(3)),
    inputs(x(2, 3, 4), x(3, 4)),
    inputs(x(2, 3), x()),
    inputs(x(0, 3, 2), x(3)),
)

ROWS = [
    _pair("+", lambda x, y: x + y),
    _both("+: a number on the right", lambda x: x + 3),
    _both("+: a number on the left", lambda x: 3 + x),
    _both("+: itself", lambda x: x + x),
    _pair("-", lambda x, y: x - y),
    _both("-: a number on the right", lambda x: x - 1.5),
    _both("-: a number on the left", lambda x: 1.5 - x),
    _pair("*", lambda x, y: x * y),
    _both("*: a number on the right", lambda x: x * 2),
    _both("*: a number on the left", lambda x: 2 * x),
    _both("*: a number of NumPy", lambda x: x * np.float64(2)),
    _both("*: itself", lambda x: x * x),
    _pair("/", lambda x, y: x / y),
    _both("/: a number on the right", lambda x: x / 4),
    _both("/: a number on the left", lambda x: 4 / x),
    Row("//", lambda x, y: x // y, MODULO, lambda x, y: x // y, flat=True),
    Row(
        "//: a number",
        lambda x: 7 // (x // 0.3),
        inputs(exactly([1.0, 5.5])),
        lambda x: 7 // (x // 0.3),
        flat=True,
    ),
    Row("%", lambda x, y: x % y, MODULO, lambda x, y: x % y),
    Row("%: a number", lambda x: 7 % x, inputs(exactly([1.5, 2.2])), lambda x: 7 % x),
    _pair("**", lambda x, y: x**y, build=positive),
    _both("**: a whole number", lambda x: x**3),
    _both("**: a fraction", lambda x: x**0.5, positive),
    _both("**: a negative number", lambda x: x**-1),
    _both("**: of a number", lambda x: 2**x),
    _both("**: of a number of NumPy", lambda x: np.float64(2) ** x),
    _both("neg", lambda x: -x),
    elementwise("absolute", F.absolute, np.absolute, torch_function("abs")),
    _both("absolute: abs", abs),
    Row(
        "add",
        F.add,
        (
            inputs(x(3, 4), x(3, 4)),
            inputs(x(2, 1, 4), x(3, 1), x(4), x()),
            inputs(x(0, 3), x(1), x(1, 3)),
            inputs(x(3)),
        ),
        _add,
        _add,
        bench=lambda n, m: inputs(x(n, m), x(n, m), x(n, m)),
    ),
    elementwise("add: numbers among them", lambda x: F.add(1, x, 2.5), lambda x: x + 3.5),
    elementwise("add: the same", lambda x: F.add(x, x, x), lambda x: 3 * x),
    pairwise("maximum", F.maximum, np.maximum, torch_function("maximum")),
    elementwise("maximum: a number", lambda x: F.maximum(0.5, x), lambda x: x.clip(0.5)),
    pairwise("minimum", F.minimum, np.minimum, torch_function("minimum")),
    elementwise("minimum: a number", lambda x: F.minimum(x, 0.5), lambda x: x.clip(None, 0.5)),
    Row("where", F.where, WHERE, np.where, torch_function("where"), bench=_where_bench),
    Row(
        "where: many",
        F.where,
        inputs(lambda rng: rng.random((1, 2, 600)) < 0.5, x(2, 1), x(600)),
        lambda c, x, y: c * x + ~c * y,
    ),
    Row(
        "where: numbers",
        lambda c, x: F.where(c, 1, x) + F.where(c, x, 0.5),
        (inputs(CONDITION, x(4)), inputs(lambda rng: rng.random(1024) < 0.5, x(1))),
        lambda c, x: c + ~c * x + c * x + ~c * 0.5,
    ),
    Row(
        "fmod",
        F.fmod,
        MODULO,
        np.fmod,
        torch_function("fmod"),
        bench=lambda n, m: inputs(x(n, m), x(n, m)),
    ),
    Row(
        "fmod: a number", lambda x: F.fmod(7, x), inputs(exactly([1.5, -2.2])), lambda x: 7 % abs(x)
    ),
    pairwise("arctan2", F.arctan2, np.arctan2, torch_function("arctan2")),
    elementwise("arctan2: a number", lambda x: F.arctan2(x, 1), np.arctan),
    pairwise("squared_difference", F.squared_difference, _squared, _squared),
    elementwise(
        "squared_difference: a number",
        lambda x: F.squared_difference(1, x),
        lambda x: 1 - 2 * x + x * x,
    ),
    Row(
        "bias",
        F.bias,
        CHANNELS,
        _along(1, lambda x, y: x + y),
        _along(1, lambda x, y: x + y),
        bench=lambda n, m: inputs(x(n, m), x(m)),
    ),
    Row(
        "bias: axis",
        lambda x, y: F.bias(x, y, axis=0),
        (inputs(x(2, 3, 4), x(2)), inputs(x(2, 3), x(2, 3))),
        _along(0, lambda x, y: x + y),
    ),
    Row(
        "bias: a negative axis",
        lambda x, y: F.bias(x, y, axis=-2),
        inputs(x(2, 3, 4), x(3, 4)),
        _along(1, lambda x, y: x + y),
    ),
    Row(
        "scale",
        F.scale,
        CHANNELS,
        _along(1, lambda x, y: x * y),
        _along(1, lambda x, y: x * y),
        bench=lambda n, m: inputs(x(n, m), x(m)),
    ),
    Row(
        "scale: axis",
        lambda x, y: F.scale(x, y, axis=-1),
        inputs(x(2, 3, 4), x(4)),
        _along(2, lambda x, y: x * y),
    ),
]
