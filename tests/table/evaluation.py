"""Rows of measures; none has a gradient."""

import numpy as np

import dynet.functions as F

from .row import Row, exactly, inputs, integers, uniform, x

# Scores of three classes, and labels that name each of them.
CLASSES = tuple(
    inputs(x(n, 3, *rest), exactly(np.resize([0, 1, 2], (n, *rest))))
    for n, rest in ((5, ()), (3, ()), (2, (4,)))
)
NO_CLASS = "a share of nothing"


def _found(y, t):
    """For each class: how often it was found, rightly found, and how often it is there."""
    y = np.moveaxis(y, 1, -1).argmax(-1)
    return [
        np.array([m.sum() for m in ms])
        for ms in zip(*[(y == c, (y == c) & (t == c), t == c) for c in range(3)], strict=True)
    ]


def _precision(y, t):
    found, right, _ = _found(y, t)
    with np.errstate(invalid="ignore"):
        return right / found


def _recall(y, t):
    _, right, there = _found(y, t)
    return right / there


def _f1_score(y, t):
    found, right, there = _found(y, t)
    return 2 * right / (found + there)


def _shares(function):
    """The first of two results: the shares, without the numbers of labels."""
    return lambda y, t: function(y, t)[0]


def _scores(n, m):
    return inputs(x(n, m), integers(0, m, n))


ROWS = [
    Row(
        "accuracy",
        F.accuracy,
        CLASSES,
        lambda y, t: (np.moveaxis(y, 1, -1).argmax(-1) == t).mean(),
        measure=True,
        never_empty=NO_CLASS,
        bench=_scores,
    ),
    Row(
        "binary_accuracy",
        F.binary_accuracy,
        tuple(inputs(x(*s), integers(0, 2, *s)) for s in ((5,), (2, 3), ())),
        lambda y, t: ((y >= 0) == (t == 1)).mean(),
        measure=True,
        never_empty=NO_CLASS,
        bench=lambda n, m: inputs(x(n, m), integers(0, 2, n, m)),
    ),
    *[
        Row(
            f.__name__,
            _shares(f),
            CLASSES,
            numpy,
            measure=True,
            never_empty=NO_CLASS,
            bench=_scores,
        )
        for f, numpy in (
            (F.precision, _precision),
            (F.recall, _recall),
            (F.f1_score, _f1_score),
        )
    ],
    Row(
        "r2_score",
        F.r2_score,
        tuple(inputs(uniform(0, 1, *s), uniform(0, 1, *s)) for s in ((5,), (4, 3), (2, 1))),
        lambda y, t: (1 - ((y - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)).mean(),
        measure=True,
        never_empty=NO_CLASS,
        rtol=1e-11,
        bench=lambda n, m: inputs(uniform(0, 1, n, m), uniform(0, 1, n, m)),
    ),
]
