"""Rows of recurrent cells."""

import numpy as np

import dynet.functions as F

from .row import Row, inputs, x


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _lstm(c, x):
    i, f, g, o = np.split(x, 4, axis=1)
    c_next = c.copy()
    c_next[: len(x)] = _sigmoid(f) * c[: len(x)] + _sigmoid(i) * np.tanh(g)
    return c_next, _sigmoid(o) * np.tanh(c_next[: len(x)])


def _torch_lstm(c, x):
    import torch

    i, f, g, o = x.chunk(4, 1)
    n = len(x)
    c_next = f.sigmoid() * c[:n] + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c_next.tanh()
    return c_next if n == len(c) else torch.cat([c_next, c[n:]]), h


def _composed_lstm(c, x):
    i, f, g, o = F.split_axis(x, 4, axis=1)
    c_next = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
    return c_next, F.sigmoid(o) * F.tanh(c_next)


def _gru(h, x, u):
    (x_r, x_z, x_n), (u_r, u_z, u_n) = np.split(x, 3, axis=1), np.split(u, 3, axis=1)
    z = _sigmoid(x_z + u_z)
    return (1 - z) * np.tanh(x_n + _sigmoid(x_r + u_r) * u_n) + z * h


def _torch_gru(h, x, u):
    (x_r, x_z, x_n), (u_r, u_z, u_n) = x.chunk(3, 1), u.chunk(3, 1)
    z = (x_z + u_z).sigmoid()
    return (1 - z) * (x_n + (x_r + u_r).sigmoid() * u_n).tanh() + z * h


def _composed_gru(h, x, u):
    (x_r, x_z, x_n), (u_r, u_z, u_n) = F.split_axis(x, 3, axis=1), F.split_axis(u, 3, axis=1)
    z = F.sigmoid(x_z + u_z)
    return (1 - z) * F.tanh(x_n + F.sigmoid(x_r + u_r) * u_n) + z * h


ROWS = [
    Row(
        "lstm",
        F.lstm,
        (
            inputs(x(3, 2), x(3, 8)),
            inputs(x(2, 19), x(2, 76)),
            inputs(x(0, 3), x(0, 12)),
            inputs(x(2, 0), x(2, 0)),
            inputs(x(2, 3, 2), x(2, 12, 2)),
        ),
        _lstm,
        _torch_lstm,
        composed=_composed_lstm,
        bench=lambda n, m: inputs(x(n, m), x(n, 4 * m)),
    ),
    Row(
        "lstm: fewer rows than cells",
        F.lstm,
        (
            inputs(x(3, 2), x(2, 8)),
            inputs(x(3, 2), x(0, 8)),
            inputs(x(3, 2, 2), x(1, 8, 2)),
        ),
        _lstm,
        _torch_lstm,
    ),
    Row(
        "gru",
        F.gru,
        (
            inputs(x(3, 2), x(3, 6), x(3, 6)),
            inputs(x(2, 19), x(2, 57), x(2, 57)),
            inputs(x(0, 3), x(0, 9), x(0, 9)),
            inputs(x(2, 0), x(2, 0), x(2, 0)),
            inputs(x(2, 3, 2), x(2, 9, 2), x(2, 9, 2)),
        ),
        _gru,
        _torch_gru,
        composed=_composed_gru,
        bench=lambda n, m: inputs(x(n, m), x(n, 3 * m), x(n, 3 * m)),
    ),
]
