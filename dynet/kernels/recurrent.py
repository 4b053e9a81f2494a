"""The gates of recurrent cells: what a step does with its sums, between two matrix products.

One kernel forward and one backward for a cell. In array operations every product and sum goes
through memory on its own; a kernel goes row by row, and a row stays in the nearest cache. The
gates that are worked out on the way forward are kept for the way back: to work them out again
would take longer than all else there. Only the ``tanh`` of an LSTM's cells is, which saves memory
at little cost.

Here every array is a matrix with a row for each example; the gates of a row are blocks of it.
"""

import math

import numpy as np
from numba import njit

from ..backend import get_array_module
from .arithmetic import run, runnable
from .elementary import sigmoid, tanh


@njit(cache=True, error_model="numpy")
def _sigmoid_of_each(x, y):
    for j in range(y.size):
        y[j] = sigmoid(x[j])


@njit(cache=True, error_model="numpy")
def _tanh_of_each(x, y):
    for j in range(y.size):
        y[j] = tanh(x[j])


@njit(cache=True, error_model="numpy")
def lstm_forward(c, x, c_next, h, gates):
    """The first rows of ``c`` take a step, as many as ``x`` has; the others stay."""
    rows, width = h.shape
    if (
        c.shape != (len(c_next), width)
        or c_next.shape != c.shape
        or rows > len(c)
        or x.shape != (rows, 4 * width)
        or gates.shape != x.shape
    ):
        raise ValueError("lstm: the arrays' shapes do not agree")
    for k in range(rows):
        _sigmoid_of_each(x[k, : 2 * width], gates[k, : 2 * width])
        _tanh_of_each(x[k, 2 * width : 3 * width], gates[k, 2 * width : 3 * width])
        _sigmoid_of_each(x[k, 3 * width :], gates[k, 3 * width :])
        i, f = gates[k, :width], gates[k, width : 2 * width]
        g, o = gates[k, 2 * width : 3 * width], gates[k, 3 * width :]
        before, after, out = c[k], c_next[k], h[k]
        for j in range(width):
            after[j] = f[j] * before[j] + i[j] * g[j]
        for j in range(width):
            out[j] = o[j] * tanh(after[j])
    for k in range(rows, len(c)):
        c_next[k] = c[k]


@njit(cache=True, error_model="numpy")
def lstm_backward(c, gates, gc_next, gh, gc, gx):
    rows, width = gh.shape
    if (
        c.shape != (len(gc), width)
        or gc.shape != c.shape
        or gc_next.shape != c.shape
        or rows > len(c)
        or gates.shape != (rows, 4 * width)
        or gx.shape != gates.shape
    ):
        raise ValueError("lstm: the arrays' shapes do not agree")
    one = gc.dtype.type(1)
    for k in range(rows):
        i, f = gates[k, :width], gates[k, width : 2 * width]
        g, o = gates[k, 2 * width : 3 * width], gates[k, 3 * width :]
        gi, gf = gx[k, :width], gx[k, width : 2 * width]
        gg, go = gx[k, 2 * width : 3 * width], gx[k, 3 * width :]
        before, g_before, g_after, g_out = c[k], gc[k], gc_next[k], gh[k]
        for j in range(width):
            t = tanh(f[j] * before[j] + i[j] * g[j])
            d = g_after[j] + g_out[j] * o[j] * (one - t * t)
            g_before[j] = d * f[j]
            gi[j] = d * g[j] * i[j] * (one - i[j])
            gf[j] = d * before[j] * f[j] * (one - f[j])
            gg[j] = d * i[j] * (one - g[j] * g[j])
            go[j] = g_out[j] * t * o[j] * (one - o[j])
    for k in range(rows, len(c)):
        gc[k] = gc_next[k]


@njit(cache=True, error_model="numpy")
def gru_forward(h, x, u, h_next, gates):
    rows, width = h.shape
    if (
        h_next.shape != h.shape
        or x.shape != (rows, 3 * width)
        or u.shape != x.shape
        or gates.shape != x.shape
    ):
        raise ValueError("gru: the arrays' shapes do not agree")
    one = h.dtype.type(1)
    for k in range(rows):
        x_rz, u_rz, rz = x[k, : 2 * width], u[k, : 2 * width], gates[k, : 2 * width]
        for j in range(2 * width):
            rz[j] = sigmoid(x_rz[j] + u_rz[j])
        r, z, n = rz[:width], rz[width:], gates[k, 2 * width :]
        x_n, u_n = x[k, 2 * width :], u[k, 2 * width :]
        for j in range(width):
            n[j] = tanh(x_n[j] + r[j] * u_n[j])
        before, after = h[k], h_next[k]
        for j in range(width):
            after[j] = (one - z[j]) * n[j] + z[j] * before[j]


@njit(cache=True, error_model="numpy")
def gru_backward(h, u, gates, gh_next, gh, gx, gu):
    rows, width = h.shape
    if (
        gh.shape != h.shape
        or gh_next.shape != h.shape
        or u.shape != (rows, 3 * width)
        or gates.shape != u.shape
        or gx.shape != u.shape
        or gu.shape != u.shape
    ):
        raise ValueError("gru: the arrays' shapes do not agree")
    one = gh.dtype.type(1)
    for k in range(rows):
        r, z = gates[k, :width], gates[k, width : 2 * width]
        n, u_n = gates[k, 2 * width :], u[k, 2 * width :]
        gr, gz, gn = gx[k, :width], gx[k, width : 2 * width], gx[k, 2 * width :]
        gu_n = gu[k, 2 * width :]
        before, g_before, g_after = h[k], gh[k], gh_next[k]
        for j in range(width):
            d = g_after[j] * (one - z[j]) * (one - n[j] * n[j])
            gn[j] = d
            gu_n[j] = d * r[j]
            gr[j] = d * u_n[j] * r[j] * (one - r[j])
            gz[j] = g_after[j] * (before[j] - n[j]) * z[j] * (one - z[j])
            g_before[j] = g_after[j] * z[j]
        gu[k, : 2 * width] = gx[k, : 2 * width]


def lstm(c, x):
    """One step of an LSTM's cells.

    Args:
        c: the cells, ``(N, H, ...)``.
        x: what goes into their gates, ``(n, 4H, ...)``, where n is at most N.

    Returns:
        tuple: the cells after the step, ``(N, H, ...)``; what they put out, ``(n, H, ...)``; the
        gates, ``(n, 4 * H * ...)``.
    """
    shape, dtype, n = c.shape, c.dtype, x.shape[0]
    c, x = _matrix(c), _matrix(x)
    N, width = c.shape
    if runnable(c, x):
        outputs = ((N, width), dtype), ((n, width), dtype), ((n, 4 * width), dtype)
        c_next, h, gates = run(lstm_forward, (c, x), outputs, by_rows=n == N)
    else:
        i, f, g, o = _blocks(x, 4)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c_next = f * c[:n] + i * g
        h = o * np.tanh(c_next)
        gates = np.concatenate([i, f, g, o], axis=1)
        if n < N:
            c_next = np.concatenate([c_next, c[n:]])
    return _back(c_next, shape), _back(h, (n, *shape[1:])), gates


def lstm_grad(c, gates, gc_next, gh):
    """The gradients of ``c`` and ``x``; ``gates`` as ``lstm`` gave them.

    One of the gradients that arrive may be ``None``.
    """
    shape, dtype, n = c.shape, c.dtype, gates.shape[0]
    if gc_next is None:
        gc_next = get_array_module(gh).zeros(shape, dtype)
    if gh is None:
        gh = get_array_module(gc_next).zeros((n, *shape[1:]), dtype)
    c, gc_next, gh = _matrix(c), _matrix(gc_next), _matrix(gh)
    N, width = c.shape
    if runnable(c, gates, gc_next, gh):
        outputs = ((N, width), dtype), ((n, 4 * width), dtype)
        gc, gx = run(lstm_backward, (c, gates, gc_next, gh), outputs, by_rows=n == N)
    else:
        i, f, g, o = _blocks(gates, 4)
        t = np.tanh(f * c[:n] + i * g)
        d = gc_next[:n] + gh * o * (1 - t * t)
        gc = d * f
        gi, gf = d * g * i * (1 - i), d * c[:n] * f * (1 - f)
        gg, go = d * i * (1 - g * g), gh * t * o * (1 - o)
        gx = np.concatenate([gi, gf, gg, go], axis=1)
        if n < N:
            gc = np.concatenate([gc, gc_next[n:]])
    return _back(gc, shape), _back(gx, _of_blocks(n, 4, shape))


def gru(h, x, u):
    """One step of a GRU's units.

    Args:
        h: the units, ``(N, H, ...)``.
        x, u: what goes into their gates from the input and from the units, ``(N, 3H, ...)``.

    Returns:
        tuple: the units after the step, ``(N, H, ...)``, and the gates, ``(N, 3 * H * ...)``.
    """
    shape, dtype = h.shape, h.dtype
    h, x, u = _matrix(h), _matrix(x), _matrix(u)
    if runnable(h, x, u):
        outputs = (h.shape, dtype), (x.shape, dtype)
        h_next, gates = run(gru_forward, (h, x, u), outputs, by_rows=True)
    else:
        (x_r, x_z, x_n), (u_r, u_z, u_n) = _blocks(x, 3), _blocks(u, 3)
        r, z = _sigmoid(x_r + u_r), _sigmoid(x_z + u_z)
        n = np.tanh(x_n + r * u_n)
        h_next = (1 - z) * n + z * h
        gates = np.concatenate([r, z, n], axis=1)
    return _back(h_next, shape), gates


def gru_grad(h, u, gates, gh_next):
    """The gradients of ``h``, ``x`` and ``u``; ``gates`` as ``gru`` gave them."""
    shape, dtype = h.shape, h.dtype
    h, u, gh_next = _matrix(h), _matrix(u), _matrix(gh_next)
    if runnable(h, u, gates, gh_next):
        outputs = (h.shape, dtype), (u.shape, dtype), (u.shape, dtype)
        gh, gx, gu = run(gru_backward, (h, u, gates, gh_next), outputs, by_rows=True)
    else:
        (r, z, n), u_n = _blocks(gates, 3), _blocks(u, 3)[2]
        gh = gh_next * z
        gn = gh_next * (1 - z) * (1 - n * n)
        gr, gz = gn * u_n * r * (1 - r), gh_next * (h - n) * z * (1 - z)
        gx = np.concatenate([gr, gz, gn], axis=1)
        gu = np.concatenate([gr, gz, gn * r], axis=1)
    of_blocks = _of_blocks(shape[0], 3, shape)
    return _back(gh, shape), _back(gx, of_blocks), _back(gu, of_blocks)


def _matrix(a):
    """The axes behind the first one as one: blocks of them stay blocks."""
    return a if a.ndim == 2 else a.reshape(a.shape[0], math.prod(a.shape[1:]))


def _back(a, shape):
    """A matrix with the axes that it had."""
    return a if len(shape) == 2 else a.reshape(shape)


def _of_blocks(rows, count, shape):
    """The shape of so many blocks beside one another, each of the shape of the units."""
    return (rows, count * shape[1], *shape[2:])


def _blocks(a, count):
    width = a.shape[1] // count
    return [a[:, k * width : (k + 1) * width] for k in range(count)]


def _sigmoid(x):
    return 0.5 * np.tanh(0.5 * x) + 0.5
