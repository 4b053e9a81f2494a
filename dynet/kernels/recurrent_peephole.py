"""The gates of an LSTM that see the cells, which ``recurrent`` has without: see there."""

import numpy as np
from numba import njit

from .arithmetic import run, runnable
from .blocks import as_before, as_matrix, blocks_of, shape_of_blocks, sigmoid_of, zeros_for_none
from .cuda import twin
from .elementary import sigmoid, tanh
from .recurrent import position


@njit(cache=True, error_model="numpy")
def peephole_lstm_forward(c, x, w, c_next, h, gates):
    """The first rows of ``c`` take a step, as many as ``x`` has; the others stay."""
    rows, width = h.shape
    if (
        c.shape != (len(c_next), width)
        or c_next.shape != c.shape
        or rows > len(c)
        or x.shape != (rows, 4 * width)
        or gates.shape != x.shape
        or w.shape != (3 * width,)
    ):
        raise ValueError("peephole_lstm: the arrays' shapes do not agree")
    f, g, o = position(width), position(2 * width), position(3 * width)
    for k in range(rows):
        for j in range(f):
            gates[k, j] = sigmoid(x[k, j] + w[j] * c[k, j])
        for j in range(f):
            gates[k, f + j] = sigmoid(x[k, f + j] + w[f + j] * c[k, j])
        for j in range(g, o):
            gates[k, j] = tanh(x[k, j])
        for j in range(f):
            c_next[k, j] = gates[k, f + j] * c[k, j] + gates[k, j] * gates[k, g + j]
        for j in range(f):
            gates[k, o + j] = sigmoid(x[k, o + j] + w[g + j] * c_next[k, j])
        for j in range(f):
            h[k, j] = gates[k, o + j] * tanh(c_next[k, j])
    for k in range(rows, len(c)):
        c_next[k] = c[k]


@njit(cache=True, error_model="numpy")
def peephole_lstm_backward(c, w, c_next, gates, gc_next, gh, gc, gx, gw):
    """``gw`` has a row for each that took a step, with its part of the gradient, or one for all."""
    rows, width = gh.shape
    if (
        c.shape != (len(gc), width)
        or gc.shape != c.shape
        or c_next.shape != c.shape
        or gc_next.shape != c.shape
        or rows > len(c)
        or gates.shape != (rows, 4 * width)
        or gx.shape != gates.shape
        or w.shape != (3 * width,)
        or gw.shape[1] != w.size
        or (len(gw) != rows and len(gw) != 1)
    ):
        raise ValueError("peephole_lstm: the arrays' shapes do not agree")
    one = gc.dtype.type(1)
    f, g, o = position(width), position(2 * width), position(3 * width)
    gw[:] = 0
    for k in range(rows):
        to = k if len(gw) == rows else 0
        for j in range(f):
            gx[k, o + j] = tanh(c_next[k, j])
        for j in range(f):
            t = gx[k, o + j]
            gc[k, j] = gc_next[k, j] + gh[k, j] * gates[k, o + j] * (one - t * t)
        for j in range(f):
            gx[k, o + j] *= gh[k, j] * gates[k, o + j] * (one - gates[k, o + j])
        for j in range(f):
            gc[k, j] += gx[k, o + j] * w[g + j]
        for j in range(f):
            gx[k, j] = gc[k, j] * gates[k, g + j] * gates[k, j] * (one - gates[k, j])
        for j in range(f):
            gx[k, f + j] = gc[k, j] * c[k, j] * gates[k, f + j] * (one - gates[k, f + j])
        for j in range(f):
            gx[k, g + j] = gc[k, j] * gates[k, j] * (one - gates[k, g + j] * gates[k, g + j])
        for j in range(f):
            through_peepholes = gx[k, j] * w[j] + gx[k, f + j] * w[f + j]
            gc[k, j] = gc[k, j] * gates[k, f + j] + through_peepholes
        for j in range(f):
            gw[to, j] += gx[k, j] * c[k, j]
        for j in range(f):
            gw[to, f + j] += gx[k, f + j] * c[k, j]
        for j in range(f):
            gw[to, g + j] += gx[k, o + j] * c_next[k, j]
    for k in range(rows, len(c)):
        gc[k] = gc_next[k]


twin(
    peephole_lstm_forward,
    "c_next",
    r"""
template <typename T> __device__ void peephole_lstm_forward(
    long long i, Array<T> c, Array<T> x, Array<T> w, Array<T> c_next, Array<T> h, Array<T> gates
) {
    long long width = c.shape[1], k = i / width, j = i % width, at = 4 * width * k + j;
    if (k >= x.shape[0]) {
        c_next[i] = c[i];
        return;
    }
    T in = sigmoid(x[at] + w[j] * c[i]), f = sigmoid(x[at + width] + w[width + j] * c[i]);
    T g = tanh(x[at + 2 * width]), next = f * c[i] + in * g;
    T o = sigmoid(x[at + 3 * width] + w[2 * width + j] * next);
    gates[at] = in;
    gates[at + width] = f;
    gates[at + 2 * width] = g;
    gates[at + 3 * width] = o;
    c_next[i] = next;
    h[i] = o * tanh(next);
}
""",
)

# Its `gw` has a row for each that took a step: threads that share one would have to wait.
twin(
    peephole_lstm_backward,
    "gc",
    r"""
template <typename T> __device__ void peephole_lstm_backward(
    long long i, Array<T> c, Array<T> w, Array<T> c_next, Array<T> gates, Array<T> gc_next,
    Array<T> gh, Array<T> gc, Array<T> gx, Array<T> gw
) {
    long long width = c.shape[1], k = i / width, j = i % width, at = 4 * width * k + j;
    if (k >= gates.shape[0]) {
        gc[i] = gc_next[i];
        return;
    }
    T in = gates[at], f = gates[at + width], g = gates[at + 2 * width], o = gates[at + 3 * width];
    T t = tanh(c_next[i]);
    T go = t * gh[i] * o * (T(1) - o);
    T d = gc_next[i] + gh[i] * o * (T(1) - t * t) + go * w[2 * width + j];
    T gi = d * g * in * (T(1) - in), gf = d * c[i] * f * (T(1) - f);
    gx[at] = gi;
    gx[at + width] = gf;
    gx[at + 2 * width] = d * in * (T(1) - g * g);
    gx[at + 3 * width] = go;
    gc[i] = d * f + gi * w[j] + gf * w[width + j];
    long long of_w = 3 * width * k + j;
    gw[of_w] = gi * c[i];
    gw[of_w + width] = gf * c[i];
    gw[of_w + 2 * width] = go * c_next[i];
}
""",
)


def peephole_lstm(c, x, w):
    """One step of an LSTM whose gates see the cells.

    Args:
        c: the cells, ``(N, H, ...)``.
        x: what goes into their gates, ``(n, 4H, ...)``, where n is at most N.
        w: what the input gate, the forget gate and the output gate see of them, ``(3, H, ...)``.

    Returns:
        tuple: the cells after the step, ``(N, H, ...)``; what they put out, ``(n, H, ...)``; the
        gates, ``(n, 4 * H * ...)``.
    """
    shape, dtype, n = c.shape, c.dtype, x.shape[0]
    c, x, w = as_matrix(c), as_matrix(x), w.reshape(-1)
    N, width = c.shape
    if runnable(c, x, w):
        outputs = ((N, width), dtype), ((n, width), dtype), ((n, 4 * width), dtype)
        c_next, h, gates = run(peephole_lstm_forward, (c, x, w), outputs, by_rows=n == N)
    else:
        (i, f, g, o), (w_i, w_f, w_o) = blocks_of(x, 4), w.reshape(3, width)
        i, f, g = sigmoid_of(i + w_i * c[:n]), sigmoid_of(f + w_f * c[:n]), np.tanh(g)
        c_next = f * c[:n] + i * g
        o = sigmoid_of(o + w_o * c_next)
        h = o * np.tanh(c_next)
        gates = np.concatenate([i, f, g, o], axis=1)
        if n < N:
            c_next = np.concatenate([c_next, c[n:]])
    return as_before(c_next, shape), as_before(h, (n, *shape[1:])), gates


def peephole_lstm_grad(c, w, c_next, gates, gc_next, gh):
    """The gradients of ``c``, ``x`` and ``w``; ``gates`` as ``peephole_lstm`` gave them.

    One of the gradients that arrive may be ``None``. Of NumPy's arrays the kernel adds the
    gradients of ``w`` up over the rows, which saves writing and reading them; of stand-ins that is
    left to the loop, which may be at work on some of the rows, and of CuPy's to another kernel.
    """
    of_w, shape, dtype, n = w.shape, c.shape, c.dtype, gates.shape[0]
    gc_next, gh = zeros_for_none(gc_next, gh, shape, (n, *shape[1:]), dtype)
    c, c_next, gc_next, gh = map(as_matrix, (c, c_next, gc_next, gh))
    w = w.reshape(-1)
    N, width = c.shape
    arrays = c, w, c_next, gates, gc_next, gh
    if runnable(*arrays):
        parts = 1 if all([type(a) is np.ndarray for a in arrays]) else n
        outputs = ((N, width), dtype), ((n, 4 * width), dtype), ((parts, 3 * width), dtype)
        gc, gx, gw = run(peephole_lstm_backward, arrays, outputs, by_rows=n == N)
        gw = gw.reshape((parts, *of_w)).sum(axis=0)
    else:
        (i, f, g, o), (w_i, w_f, w_o) = blocks_of(gates, 4), w.reshape(3, width)
        t = np.tanh(c_next[:n])
        go = gh * t * o * (1 - o)
        d = gc_next[:n] + gh * o * (1 - t * t) + go * w_o
        gi, gf, gg = d * g * i * (1 - i), d * c[:n] * f * (1 - f), d * i * (1 - g * g)
        gc = d * f + gi * w_i + gf * w_f
        gx = np.concatenate([gi, gf, gg, go], axis=1)
        seen = np.concatenate([gi * c[:n], gf * c[:n], go * c_next[:n]], axis=1)
        gw = seen.sum(axis=0).reshape(of_w)
        if n < N:
            gc = np.concatenate([gc, gc_next[n:]])
    return as_before(gc, shape), as_before(gx, shape_of_blocks(n, 4, shape)), gw
