"""The gates of recurrent cells: what a step does with its sums, between two matrix products.

One kernel forward and one backward for a cell. In array operations every product and sum goes
through memory on its own; a kernel goes row by row, and a row stays in the nearest cache. The
gates that are worked out on the way forward are kept for the way back: to work them out again
would take longer than all else there. Only the ``tanh`` of an LSTM's cells is, which saves memory
at little cost.

Here every array is a matrix with a row for each example; the gates of a row are blocks of it.
A kernel finds its way through a row by positions: a slice is counted when it is made and again
when it goes, which in a small network takes as long as the arithmetic. And it writes one block at a
time: LLVM makes vector instructions of a loop that writes one, but cannot know of two blocks of
one array, so many numbers apart, that they have none in common. On a GPU a thread does all that
belongs to one unit of one example, and nothing goes through memory between its steps.
"""

import numpy as np
from numba import njit

from .arithmetic import run, runnable
from .blocks import as_before, as_matrix, blocks_of, shape_of_blocks, sigmoid_of, zeros_for_none
from .cuda import twin
from .elementary import sigmoid, tanh

# Positions that are sums are unsigned: of others, Numba asks whether they count from the back.
position = np.uint64


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
    f, g, o, end = position(width), position(2 * width), position(3 * width), position(4 * width)
    for k in range(rows):
        for j in range(g):
            gates[k, j] = sigmoid(x[k, j])
        for j in range(g, o):
            gates[k, j] = tanh(x[k, j])
        for j in range(o, end):
            gates[k, j] = sigmoid(x[k, j])
        for j in range(f):
            c_next[k, j] = gates[k, f + j] * c[k, j] + gates[k, j] * gates[k, g + j]
        for j in range(f):
            h[k, j] = gates[k, o + j] * tanh(c_next[k, j])
    for k in range(rows, len(c)):
        c_next[k] = c[k]


@njit(cache=True, error_model="numpy")
def lstm_backward(c, gates, gc_next, gh, gc, gx):
    """On the way ``gx`` has the tanh of the cells in its last block, ``gc`` their gradient."""
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
    f, g, o = position(width), position(2 * width), position(3 * width)
    for k in range(rows):
        for j in range(f):
            gx[k, o + j] = tanh(gates[k, f + j] * c[k, j] + gates[k, j] * gates[k, g + j])
        for j in range(f):
            t = gx[k, o + j]
            gc[k, j] = gc_next[k, j] + gh[k, j] * gates[k, o + j] * (one - t * t)
        for j in range(f):
            gx[k, o + j] *= gh[k, j] * gates[k, o + j] * (one - gates[k, o + j])
        for j in range(f):
            gx[k, j] = gc[k, j] * gates[k, g + j] * gates[k, j] * (one - gates[k, j])
        for j in range(f):
            gx[k, f + j] = gc[k, j] * c[k, j] * gates[k, f + j] * (one - gates[k, f + j])
        for j in range(f):
            gx[k, g + j] = gc[k, j] * gates[k, j] * (one - gates[k, g + j] * gates[k, g + j])
        for j in range(f):
            gc[k, j] *= gates[k, f + j]
    for k in range(rows, len(c)):
        gc[k] = gc_next[k]


twin(
    lstm_forward,
    "c_next",
    r"""
template <typename T> __device__ void lstm_forward(
    long long i, Array<T> c, Array<T> x, Array<T> c_next, Array<T> h, Array<T> gates
) {
    long long width = c.shape[1], k = i / width, j = i % width, at = 4 * width * k + j;
    if (k >= x.shape[0]) {
        c_next[i] = c[i];
        return;
    }
    T in = sigmoid(x[at]), f = sigmoid(x[at + width]);
    T g = tanh(x[at + 2 * width]), o = sigmoid(x[at + 3 * width]);
    T next = f * c[i] + in * g;
    gates[at] = in;
    gates[at + width] = f;
    gates[at + 2 * width] = g;
    gates[at + 3 * width] = o;
    c_next[i] = next;
    h[i] = o * tanh(next);
}
""",
)

twin(
    lstm_backward,
    "gc",
    r"""
template <typename T> __device__ void lstm_backward(
    long long i, Array<T> c, Array<T> gates, Array<T> gc_next, Array<T> gh, Array<T> gc, Array<T> gx
) {
    long long width = c.shape[1], k = i / width, j = i % width, at = 4 * width * k + j;
    if (k >= gates.shape[0]) {
        gc[i] = gc_next[i];
        return;
    }
    T in = gates[at], f = gates[at + width], g = gates[at + 2 * width], o = gates[at + 3 * width];
    T t = tanh(f * c[i] + in * g);
    T d = gc_next[i] + gh[i] * o * (T(1) - t * t);
    gx[at] = d * g * in * (T(1) - in);
    gx[at + width] = d * c[i] * f * (T(1) - f);
    gx[at + 2 * width] = d * in * (T(1) - g * g);
    gx[at + 3 * width] = t * gh[i] * o * (T(1) - o);
    gc[i] = d * f;
}
""",
)


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
    z, n = position(width), position(2 * width)
    for k in range(rows):
        for j in range(n):
            gates[k, j] = sigmoid(x[k, j] + u[k, j])
        for j in range(z):
            gates[k, n + j] = tanh(x[k, n + j] + gates[k, j] * u[k, n + j])
        for j in range(z):
            h_next[k, j] = (one - gates[k, z + j]) * gates[k, n + j] + gates[k, z + j] * h[k, j]


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
    z, n = position(width), position(2 * width)
    for k in range(rows):
        for j in range(z):
            new = gates[k, n + j]
            gx[k, n + j] = gh_next[k, j] * (one - gates[k, z + j]) * (one - new * new)
        for j in range(z):
            gx[k, j] = gx[k, n + j] * u[k, n + j] * gates[k, j] * (one - gates[k, j])
        for j in range(z):
            gh[k, j] = gh_next[k, j] * gates[k, z + j]
        for j in range(z):
            gx[k, z + j] = gh[k, j] * (h[k, j] - gates[k, n + j]) * (one - gates[k, z + j])
        for j in range(n):
            gu[k, j] = gx[k, j]
        for j in range(z):
            gu[k, n + j] = gx[k, n + j] * gates[k, j]


twin(
    gru_forward,
    "h_next",
    r"""
template <typename T> __device__ void gru_forward(
    long long i, Array<T> h, Array<T> x, Array<T> u, Array<T> h_next, Array<T> gates
) {
    long long width = h.shape[1], at = 3 * width * (i / width) + i % width;
    T r = sigmoid(x[at] + u[at]), z = sigmoid(x[at + width] + u[at + width]);
    T n = tanh(x[at + 2 * width] + r * u[at + 2 * width]);
    gates[at] = r;
    gates[at + width] = z;
    gates[at + 2 * width] = n;
    h_next[i] = (T(1) - z) * n + z * h[i];
}
""",
)

twin(
    gru_backward,
    "gh",
    r"""
template <typename T> __device__ void gru_backward(
    long long i, Array<T> h, Array<T> u, Array<T> gates, Array<T> gh_next, Array<T> gh, Array<T> gx,
    Array<T> gu
) {
    long long width = h.shape[1], at = 3 * width * (i / width) + i % width;
    T r = gates[at], z = gates[at + width], n = gates[at + 2 * width];
    T gn = gh_next[i] * (T(1) - z) * (T(1) - n * n);
    T gr = gn * u[at + 2 * width] * r * (T(1) - r);
    T gz = gh_next[i] * z * (h[i] - n) * (T(1) - z);
    gx[at] = gu[at] = gr;
    gx[at + width] = gu[at + width] = gz;
    gx[at + 2 * width] = gn;
    gu[at + 2 * width] = gn * r;
    gh[i] = gh_next[i] * z;
}
""",
)


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
    c, x = as_matrix(c), as_matrix(x)
    N, width = c.shape
    if runnable(c, x):
        outputs = ((N, width), dtype), ((n, width), dtype), ((n, 4 * width), dtype)
        c_next, h, gates = run(lstm_forward, (c, x), outputs, by_rows=n == N)
    else:
        i, f, g, o = blocks_of(x, 4)
        i, f, g, o = sigmoid_of(i), sigmoid_of(f), np.tanh(g), sigmoid_of(o)
        c_next = f * c[:n] + i * g
        h = o * np.tanh(c_next)
        gates = np.concatenate([i, f, g, o], axis=1)
        if n < N:
            c_next = np.concatenate([c_next, c[n:]])
    return as_before(c_next, shape), as_before(h, (n, *shape[1:])), gates


def lstm_grad(c, gates, gc_next, gh):
    """The gradients of ``c`` and ``x``; ``gates`` as ``lstm`` gave them.

    One of the gradients that arrive may be ``None``.
    """
    shape, dtype, n = c.shape, c.dtype, gates.shape[0]
    gc_next, gh = zeros_for_none(gc_next, gh, shape, (n, *shape[1:]), dtype)
    c, gc_next, gh = as_matrix(c), as_matrix(gc_next), as_matrix(gh)
    N, width = c.shape
    if runnable(c, gates, gc_next, gh):
        outputs = ((N, width), dtype), ((n, 4 * width), dtype)
        gc, gx = run(lstm_backward, (c, gates, gc_next, gh), outputs, by_rows=n == N)
    else:
        i, f, g, o = blocks_of(gates, 4)
        t = np.tanh(f * c[:n] + i * g)
        d = gc_next[:n] + gh * o * (1 - t * t)
        gc = d * f
        gi, gf = d * g * i * (1 - i), d * c[:n] * f * (1 - f)
        gg, go = d * i * (1 - g * g), gh * t * o * (1 - o)
        gx = np.concatenate([gi, gf, gg, go], axis=1)
        if n < N:
            gc = np.concatenate([gc, gc_next[n:]])
    return as_before(gc, shape), as_before(gx, shape_of_blocks(n, 4, shape))


def gru(h, x, u):
    """One step of a GRU's units.

    Args:
        h: the units, ``(N, H, ...)``.
        x, u: what goes into their gates from the input and from the units, ``(N, 3H, ...)``.

    Returns:
        tuple: the units after the step, ``(N, H, ...)``, and the gates, ``(N, 3 * H * ...)``.
    """
    shape, dtype = h.shape, h.dtype
    h, x, u = as_matrix(h), as_matrix(x), as_matrix(u)
    if runnable(h, x, u):
        outputs = (h.shape, dtype), (x.shape, dtype)
        h_next, gates = run(gru_forward, (h, x, u), outputs, by_rows=True)
    else:
        (x_r, x_z, x_n), (u_r, u_z, u_n) = blocks_of(x, 3), blocks_of(u, 3)
        r, z = sigmoid_of(x_r + u_r), sigmoid_of(x_z + u_z)
        n = np.tanh(x_n + r * u_n)
        h_next = (1 - z) * n + z * h
        gates = np.concatenate([r, z, n], axis=1)
    return as_before(h_next, shape), gates


def gru_grad(h, u, gates, gh_next):
    """The gradients of ``h``, ``x`` and ``u``; ``gates`` as ``gru`` gave them."""
    shape, dtype = h.shape, h.dtype
    h, u, gh_next = as_matrix(h), as_matrix(u), as_matrix(gh_next)
    if runnable(h, u, gates, gh_next):
        outputs = (h.shape, dtype), (u.shape, dtype), (u.shape, dtype)
        gh, gx, gu = run(gru_backward, (h, u, gates, gh_next), outputs, by_rows=True)
    else:
        (r, z, n), u_n = blocks_of(gates, 3), blocks_of(u, 3)[2]
        gh = gh_next * z
        gn = gh_next * (1 - z) * (1 - n * n)
        gr, gz = gn * u_n * r * (1 - r), gh_next * (h - n) * z * (1 - z)
        gx = np.concatenate([gr, gz, gn], axis=1)
        gu = np.concatenate([gr, gz, gn * r], axis=1)
    of_sums = shape_of_blocks(shape[0], 3, shape)
    return as_before(gh, shape), as_before(gx, of_sums), as_before(gu, of_sums)
