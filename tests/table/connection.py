"""Rows of connections."""

import numpy as np

import dynet.functions as F

from .row import Row, exactly, inputs, integers, torch_function, x


def _bilinear(n, m):
    return inputs(x(n, m), x(n, m), x(m, m, m), x(m))


ROWS = [
    Row(
        "linear",
        F.linear,
        (inputs(x(4, 3), x(2, 3), x(2)), inputs(x(0, 3), x(2, 3), x(2)), inputs(x(1, 1), x(1, 1))),
        lambda x, W, b=0: x @ W.T + b,
        torch_function("linear"),
        bench=lambda n, m: inputs(x(n, m), x(m, m), x(m)),
    ),
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
        torch_function("linear"),
    ),
    Row(
        "embed_id",
        F.embed_id,
        (
            inputs(exactly([2, 0, 2]), x(3, 4)),
            inputs(exactly([[2, 0], [1, 2]]), x(3, 4)),
            inputs(integers(0, 3, 0), x(3, 4)),
        ),
        lambda ids, W: W[ids],
        torch_function("embedding"),
        bench=lambda n, m: inputs(integers(0, 1000, n), x(1000, m)),
    ),
    Row(
        "embed_id: an ignored id",
        lambda ids, W: F.embed_id(ids, W, ignore_label=-1),
        inputs(exactly([[2, -1], [1, 2]]), x(3, 4)),
        lambda ids, W: W[ids] * (ids != -1)[..., None],
    ),
    Row(
        "bilinear",
        F.bilinear,
        (
            inputs(x(4, 2), x(4, 3), x(2, 3, 2)),
            inputs(x(4, 2), x(4, 3), x(2, 3, 2), x(2, 2), x(3, 2), x(2)),
            inputs(x(1, 2, 2), x(1, 3), x(4, 3, 1), x(4, 1), x(3, 1)),
            inputs(x(0, 2), x(0, 3), x(2, 3, 2)),
        ),
        lambda e1, e2, W, V1=None, V2=None, b=0: (
            np.einsum("nj,nk,jkl->nl", e1.reshape(-1, len(W)), e2, W)
            + (0 if V1 is None else e1.reshape(-1, len(W)) @ V1 + e2 @ V2)
            + b
        ),
    ),
    Row(
        "bilinear: a bias alone",
        lambda e1, e2, W, b: F.bilinear(e1, e2, W.transpose(1, 2, 0), b=b),
        (inputs(x(4, 2), x(4, 3), x(5, 2, 3), x(5))),
        torch=torch_function("bilinear"),
        bench=lambda n, m: _bilinear(n, 8 if m < 100 else 64),
    ),
]
