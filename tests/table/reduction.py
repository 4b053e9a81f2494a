"""Rows of reductions."""

import numpy as np

import dynet.functions as F

from .row import Row, elementwise, inputs, torch_function, x

ROWS = [
    elementwise("sum", F.sum, np.sum, torch_function("sum")),
    Row(
        "sum: an axis",
        lambda x: F.sum(x, 1),
        (inputs(x(3, 4)), inputs(x(0, 3)), inputs(x(2, 0))),
        lambda x: x.sum(1),
    ),
    Row(
        "sum: axes that stay",
        lambda x: F.sum(x, (0, -1), keepdims=True),
        inputs(x(2, 3, 4)),
        lambda x: x.sum((0, -1), keepdims=True),
    ),
    Row(
        "mean",
        F.mean,
        (inputs(x(3, 4)), inputs(x()), inputs(x(2, 1, 3))),
        np.mean,
        torch_function("mean"),
        never_empty="there is nothing to average",
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row("mean: an axis", lambda x: x.mean(axis=0), inputs(x(3, 4)), lambda x: x.mean(0)),
]
