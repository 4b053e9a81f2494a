"""Rows of arithmetic."""

import numpy as np

import dynet.functions as F

from .row import Row, elementwise, exactly, inputs, pairwise, positive, torch_function

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
]
