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


def _peephole_lstm(c, x, w):
    (i, f, g, o), n = np.split(x, 4, axis=1), len(x)
    c_next = c.copy()
    c_next[:n] = _sigmoid(f + w[1] * c[:n]) * c[:n] + _sigmoid(i + w[0] * c[:n]) * np.tanh(g)
    return c_next, _sigmoid(o + w[2] * c_next[:n]) * np.tanh(c_next[:n])


def _torch_peephole_lstm(c, x, w):
    import torch

    i, f, g, o = x.chunk(4, 1)
    n = len(x)
    c_next = (f + w[1] * c[:n]).sigmoid() * c[:n] + (i + w[0] * c[:n]).sigmoid() * g.tanh()
    h = (o + w[2] * c_next).sigmoid() * c_next.tanh()
    return c_next if n == len(c) else torch.cat([c_next, c[n:]]), h


def _composed_peephole_lstm(c, x, w):
    i, f, g, o = F.split_axis(x, 4, axis=1)
    c_next = F.sigmoid(f + w[1] * c) * c + F.sigmoid(i + w[0] * c) * F.tanh(g)
    return c_next, F.sigmoid(o + w[2] * c_next) * F.tanh(c_next)


def _tree_lstm(*cs_and_x):
    *cs, x = cs_and_x
    i, *fs, g, o = np.split(x, 3 + len(cs), axis=1)
    c = _sigmoid(i) * np.tanh(g) + sum(_sigmoid(f) * c for f, c in zip(fs, cs, strict=True))
    return c, _sigmoid(o) * np.tanh(c)


def _torch_tree_lstm(*cs_and_x):
    *cs, x = cs_and_x
    i, *fs, g, o = x.split(cs[0].shape[1], 1) if x.shape[1] else [x] * (3 + len(cs))
    c = i.sigmoid() * g.tanh() + sum(f.sigmoid() * c for f, c in zip(fs, cs, strict=True))
    return c, o.sigmoid() * c.tanh()


def _composed_tree_lstm(*cs_and_x):
    *cs, x = cs_and_x
    i, *fs, g, o = F.split_axis(x, 3 + len(cs), axis=1)
    c = F.sigmoid(i) * F.tanh(g)
    for f, before in zip(fs, cs, strict=True):
        c = c + F.sigmoid(f) * before
    return c, F.sigmoid(o) * F.tanh(c)


def _slstm(c1, c2, x1, x2):
    (i1, f1, g1, o1), (i2, f2, g2, o2) = np.split(x1, 4, axis=1), np.split(x2, 4, axis=1)
    c = _sigmoid(f1) * c1 + _sigmoid(f2) * c2 + _sigmoid(i1 + i2) * np.tanh(g1 + g2)
    return c, _sigmoid(o1 + o2) * np.tanh(c)


def _torch_slstm(c1, c2, x1, x2):
    (i1, f1, g1, o1), (i2, f2, g2, o2) = x1.chunk(4, 1), x2.chunk(4, 1)
    c = f1.sigmoid() * c1 + f2.sigmoid() * c2 + (i1 + i2).sigmoid() * (g1 + g2).tanh()
    return c, (o1 + o2).sigmoid() * c.tanh()


def _composed_slstm(c1, c2, x1, x2):
    (i1, f1, g1, o1), (i2, f2, g2, o2) = [F.split_axis(x, 4, axis=1) for x in (x1, x2)]
    c = F.sigmoid(f1) * c1 + F.sigmoid(f2) * c2 + F.sigmoid(i1 + i2) * F.tanh(g1 + g2)
    return c, F.sigmoid(o1 + o2) * F.tanh(c)


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
    Row(
        "peephole_lstm",
        F.peephole_lstm,
        (
            inputs(x(3, 2), x(3, 8), x(3, 2)),
            inputs(x(2, 19), x(2, 76), x(3, 19)),
            inputs(x(0, 3), x(0, 12), x(3, 3)),
            inputs(x(2, 0), x(2, 0), x(3, 0)),
            inputs(x(2, 3, 2), x(2, 12, 2), x(3, 3, 2)),
        ),
        _peephole_lstm,
        _torch_peephole_lstm,
        composed=_composed_peephole_lstm,
        bench=lambda n, m: inputs(x(n, m), x(n, 4 * m), x(3, m)),
    ),
    Row(
        "peephole_lstm: fewer rows than cells",
        F.peephole_lstm,
        (
            inputs(x(3, 2), x(2, 8), x(3, 2)),
            inputs(x(3, 2), x(0, 8), x(3, 2)),
            inputs(x(3, 2, 2), x(1, 8, 2), x(3, 2, 2)),
        ),
        _peephole_lstm,
        _torch_peephole_lstm,
    ),
    Row(
        "tree_lstm",
        F.tree_lstm,
        (
            inputs(x(3, 2), x(3, 2), x(3, 10)),
            inputs(x(3, 2), x(3, 8)),
            inputs(x(2, 19), x(2, 19), x(2, 19), x(2, 114)),
            inputs(x(0, 3), x(0, 3), x(0, 15)),
            inputs(x(2, 0), x(2, 0), x(2, 0)),
            inputs(x(2, 3, 2), x(2, 3, 2), x(2, 15, 2)),
        ),
        _tree_lstm,
        _torch_tree_lstm,
        composed=_composed_tree_lstm,
        bench=lambda n, m: inputs(x(n, m), x(n, m), x(n, 5 * m)),
    ),
    Row(
        "slstm",
        F.slstm,
        (
            inputs(x(3, 2), x(3, 2), x(3, 8), x(3, 8)),
            inputs(x(2, 19), x(2, 19), x(2, 76), x(2, 76)),
            inputs(x(0, 3), x(0, 3), x(0, 12), x(0, 12)),
            inputs(x(2, 0), x(2, 0), x(2, 0), x(2, 0)),
            inputs(x(2, 3, 2), x(2, 3, 2), x(2, 12, 2), x(2, 12, 2)),
        ),
        _slstm,
        _torch_slstm,
        composed=_composed_slstm,
        bench=lambda n, m: inputs(x(n, m), x(n, m), x(n, 4 * m), x(n, 4 * m)),
    ),
]
