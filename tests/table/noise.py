"""Rows of noise: either seeded, or with the random numbers given."""

import numpy as np

import dynet
import dynet.functions as F
from dynet.backend import get_array_module

from .row import Row, inputs, torch_function, x


def _seeded(function, *arguments, **keywords):
    """A function that draws the same numbers in every call."""

    def call(*xs):
        dynet.random.seed(1)
        return function(*xs, *arguments, **keywords)

    return call


def _mask_like(x):
    mask = (np.arange(x.size).reshape(x.shape) % 3 > 0) * np.asarray(1.5, x.dtype)
    return get_array_module(x).asarray(mask)


def _dropout_composed(x):
    return x * ((dynet.random.uniform(x.shape) >= 0.5) * np.float32(2))


def _softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _gumbel(x):
    dynet.random.seed(1)
    return dynet.random.generator().gumbel(size=x.shape)


ROWS = [
    # What is random agrees with PyTorch only where there is nothing to draw.
    Row(
        "dropout",
        F.dropout,
        inputs(x(0, 3)),
        lambda x: x,
        torch_function("dropout"),
        composed=_dropout_composed,
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "dropout: seeded",
        _seeded(F.dropout, 0.3),
        (inputs(x(4, 3)), inputs(x(2, 3, 2)), inputs(x())),
    ),
    Row("dropout: of nothing", lambda x: F.dropout(x, 0), inputs(x(3, 2)), lambda x: x),
    Row(
        "dropout: a mask given",
        lambda x: F.dropout(x, mask=_mask_like(x)),
        (inputs(x(4, 3)), inputs(x(0, 2))),
        lambda x: x * _mask_like(x),
    ),
    Row(
        "gaussian",
        _seeded(F.gaussian),
        (inputs(x(4, 3), x(4, 3)), inputs(x(0, 2), x(0, 2)), inputs(x(), x())),
        bench=lambda n, m: inputs(x(n, m), x(n, m)),
    ),
    Row(
        "gaussian: the noise given",
        lambda mean, ln_var: F.gaussian(mean, ln_var, eps=_mask_like(mean)),
        inputs(x(4, 3), x(4, 3)),
        lambda mean, ln_var: mean + np.sqrt(np.exp(ln_var)) * _mask_like(mean),
    ),
    Row(
        "gumbel_softmax",
        _seeded(F.gumbel_softmax, tau=0.5),
        (inputs(x(4, 3)), inputs(x(0, 3)), inputs(x(2, 3, 2))),
        lambda x: _softmax((x + _gumbel(x)) / 0.5, 1),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "gumbel_softmax: another axis",
        _seeded(F.gumbel_softmax, tau=2, axis=-1),
        (inputs(x(2, 3, 2)), inputs(x(3))),
        lambda x: _softmax((x + _gumbel(x)) / 2, -1),
    ),
    Row(
        "zoneout",
        _seeded(F.zoneout, 0.4),
        (inputs(x(4, 3), x(4, 3)), inputs(x(0, 2), x(0, 2)), inputs(x(), x())),
        bench=lambda n, m: inputs(x(n, m), x(n, m)),
    ),
]
