"""Rows of functions of shapes and indices."""

import numpy as np

import dynet.functions as F

from .row import Row, inputs, x


def _index(name, index, *shape):
    return Row(f"get_item: {name}", lambda x: x[index], inputs(x(*shape)), lambda x: x[index])


ROWS = [
    Row(
        "reshape",
        lambda x: F.reshape(x, (3, -1)),
        (inputs(x(2, 6)), inputs(x(3)), inputs(x(3, 0, 2))),
        lambda x: x.reshape(3, -1) if x.size else x.reshape(3, 0),
        bench=lambda n, m: inputs(x(3 * n, m)),
    ),
    Row("reshape: method", lambda x: x.reshape(6, 2), inputs(x(3, 4)), lambda x: x.reshape(6, 2)),
    Row(
        "transpose",
        F.transpose,
        (inputs(x(2, 3, 4)), inputs(x()), inputs(x(0, 3))),
        np.transpose,
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "transpose: axes",
        lambda x: F.transpose(x, (1, -1, 0)),
        inputs(x(2, 3, 4)),
        lambda x: x.transpose(1, 2, 0),
    ),
    Row("transpose: T", lambda x: x.T, inputs(x(3, 4)), lambda x: x.T),
    Row(
        "broadcast_to",
        lambda x: F.broadcast_to(x, (2, 3, 4)),
        (inputs(x(3, 1)), inputs(x()), inputs(x(2, 1, 4))),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
        bench=lambda n, m: inputs(x(3, 1)),
    ),
    Row(
        "broadcast_to: nothing",
        lambda x: F.broadcast_to(x, (0, 3)),
        (inputs(x(3)), inputs(x(0, 1))),
        lambda x: np.broadcast_to(x, (0, 3)),
    ),
    Row(
        "get_item",
        lambda x: F.get_item(x, slice(1, 3)),
        (inputs(x(4, 3)), inputs(x(5)), inputs(x(4, 0))),
        lambda x: x[1:3],
        lambda x: x[1:3],
        bench=lambda n, m: inputs(x(n, m)),
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
]
