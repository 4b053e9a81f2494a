"""Rows of functions that change how a gradient comes about."""

import numpy as np

import dynet.functions as F

from .row import Row, elementwise, inputs, x


def _forgetful(function):
    return lambda *xs: F.forget(function, *xs)


ROWS = [
    # Where nothing is clipped, the gradient is the numerical one.
    elementwise("clip_gradient", lambda x: F.clip_gradient(x, 100.0), lambda x: x),
    elementwise("forget", _forgetful(lambda x: F.exp(x) * x), lambda x: np.exp(x) * x),
    Row(
        "forget: two arguments",
        _forgetful(lambda x, y: x * F.exp(y) + y),
        (inputs(x(3, 4), x(3, 4)), inputs(x(3, 1), x(4))),
        lambda x, y: x * np.exp(y) + y,
    ),
    Row(
        "forget: several outputs",
        _forgetful(lambda x, y: (x * y, y * y * y)),
        inputs(x(3, 4), x(3, 4)),
        lambda x, y: (x * y, y * y * y),
    ),
    Row(
        "forget: what it closes over",
        lambda x, y: F.forget(lambda x: x * F.exp(y) * x, x),
        inputs(x(3, 4), x(3, 4)),
        lambda x, y: x * x * np.exp(y),
    ),
    Row(
        "forget: an argument that it closes over too",
        lambda x, y: F.forget(lambda z: x * F.exp(y) * z + y, x * y) * y,
        inputs(x(3, 4), x(3, 4)),
        lambda x, y: (x * x * y * np.exp(y) + y) * y,
    ),
    Row(
        "forget: within forget",
        lambda x, y: F.forget(lambda x: x * F.forget(lambda z: z * y * x, x), x),
        inputs(x(3, 4), x(3, 4)),
        lambda x, y: x**3 * y,
    ),
]
