"""Rows of linear algebra."""

import numpy as np

import dynet.functions as F

from .row import Row, inputs, x

SHAPES = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3, 4), (2, 4, 2)),
    ((2, 3, 4), (4, 2)),
    ((3, 4), (2, 4, 2)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 2)),
    ((2, 1, 2, 3), (3, 3, 2)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 3)),
]

ROWS = [
    Row(
        "matmul",
        F.matmul,
        tuple(inputs(x(*s), x(*t)) for s, t in SHAPES),
        np.matmul,
        lambda x, y: x @ y,
        bench=lambda n, m: inputs(x(n, m), x(m, n)),
    ),
    Row("matmul: operator", lambda x, y: x @ y, inputs(x(2, 3), x(3, 4)), lambda x, y: x @ y),
]
