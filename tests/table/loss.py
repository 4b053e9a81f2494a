"""Rows of losses."""

import numpy as np

import dynet.functions as F

from .row import Row, exactly, inputs, integers, torch_function, x

WEIGHT = np.array([0.5, 2.0, 1.0])


def _nll(p, t):
    return -np.log(np.take_along_axis(p, t[:, None], 1)[:, 0])


def _softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def _weighted(x, t):
    return F.softmax_cross_entropy(x, t, class_weight=WEIGHT.astype(x.dtype))


def _cross_entropy(**keywords):
    return lambda x, t: F.softmax_cross_entropy(x, t, **keywords)


SCORES = inputs(x(4, 3), exactly([2, 0, 1, 2]))
SCORES_AND_IGNORED = inputs(x(4, 3), exactly([2, -1, 1, -1]))
SCORES_WITH_AXES = inputs(x(2, 3, 2, 2), exactly([[[0, 1], [2, -1]], [[1, 1], [-1, 0]]]))

ROWS = [
    Row(
        "softmax_cross_entropy",
        F.softmax_cross_entropy,
        (
            SCORES,
            inputs(x(1, 1), exactly([0])),
            inputs(x(2, 3, 1), exactly([[0], [2]])),
        ),
        torch=torch_function("cross_entropy"),
        never_empty="an empty batch has no mean",
        bench=lambda n, m: inputs(x(n, m), integers(0, m, n)),
    ),
    Row(
        "softmax_cross_entropy: ignored labels",
        F.softmax_cross_entropy,
        SCORES_AND_IGNORED,
        torch=torch_function("cross_entropy", ignore_index=-1),
    ),
    Row(
        "softmax_cross_entropy: more axes",
        F.softmax_cross_entropy,
        SCORES_WITH_AXES,
        torch=torch_function("cross_entropy", ignore_index=-1),
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
        torch=torch_function("cross_entropy", ignore_index=-1, reduction="none"),
    ),
]
