"""The gates of recurrent cells that have several cells before them, as in a tree.

See ``recurrent``, whose cells have one. What is said there of rows, positions and blocks goes for
these kernels too.
"""

import numpy as np
from numba import njit

from .arithmetic import run, runnable
from .blocks import as_before, as_matrix, blocks_of, shape_of_blocks, sigmoid_of, zeros_for_none
from .cuda import twin
from .elementary import sigmoid, tanh
from .recurrent import position


@njit(cache=True, error_model="numpy")
def tree_lstm_forward(cs, x, c, h, gates):
    """``cs`` has the cells before beside one another, a block for each."""
    rows, width = h.shape
    if (
        c.shape != h.shape
        or len(cs) != rows
        or cs.shape[1] % max(width, 1) != 0
        or x.shape != (rows, 3 * width + cs.shape[1])
        or gates.shape != x.shape
    ):
        raise ValueError("tree_lstm: the arrays' shapes do not agree")
    f, g = position(width), position(width + cs.shape[1])
    o, end = position(g + f), position(x.shape[1])
    for k in range(rows):
        for j in range(g):
            gates[k, j] = sigmoid(x[k, j])
        for j in range(g, o):
            gates[k, j] = tanh(x[k, j])
        for j in range(o, end):
            gates[k, j] = sigmoid(x[k, j])
        for j in range(f):
            c[k, j] = gates[k, j] * gates[k, g + j]
        for child in range(cs.shape[1] // max(width, 1)):
            at = position(child * width)
            for j in range(f):
                c[k, j] += gates[k, f + at + j] * cs[k, at + j]
        for j in range(f):
            h[k, j] = gates[k, o + j] * tanh(c[k, j])


@njit(cache=True, error_model="numpy")
def tree_lstm_backward(cs, c, gates, gc, gh, gcs, gx):
    """On the way ``gx`` has the gradient of ``c`` in the block of the new, and its tanh behind."""
    rows, width = gh.shape
    if (
        c.shape != gh.shape
        or gc.shape != gh.shape
        or len(cs) != rows
        or cs.shape[1] % max(width, 1) != 0
        or gcs.shape != cs.shape
        or gates.shape != (rows, 3 * width + cs.shape[1])
        or gx.shape != gates.shape
    ):
        raise ValueError("tree_lstm: the arrays' shapes do not agree")
    one = gx.dtype.type(1)
    f, g = position(width), position(width + cs.shape[1])
    o = position(g + f)
    for k in range(rows):
        for j in range(f):
            gx[k, o + j] = tanh(c[k, j])
        for j in range(f):
            t = gx[k, o + j]
            gx[k, g + j] = gc[k, j] + gh[k, j] * gates[k, o + j] * (one - t * t)
        for j in range(f):
            gx[k, o + j] *= gh[k, j] * gates[k, o + j] * (one - gates[k, o + j])
        for j in range(f):
            gx[k, j] = gx[k, g + j] * gates[k, g + j] * gates[k, j] * (one - gates[k, j])
        for child in range(cs.shape[1] // max(width, 1)):
            at = position(child * width)
            for j in range(f):
                gcs[k, at + j] = gx[k, g + j] * gates[k, f + at + j]
            for j in range(f):
                slope = cs[k, at + j] * (one - gates[k, f + at + j])
                gx[k, f + at + j] = gcs[k, at + j] * slope
        for j in range(f):
            gx[k, g + j] *= gates[k, j] * (one - gates[k, g + j] * gates[k, g + j])


twin(
    tree_lstm_forward,
    "c",
    r"""
template <typename T> __device__ void tree_lstm_forward(
    long long i, Array<T> cs, Array<T> x, Array<T> c, Array<T> h, Array<T> gates
) {
    long long width = c.shape[1], k = i / width, j = i % width, all = cs.shape[1];
    long long at = (3 * width + all) * k + j, at_g = at + width + all, at_o = at_g + width;
    T in = sigmoid(x[at]), g = tanh(x[at_g]), o = sigmoid(x[at_o]), sum = in * g;
    for (long long child = 0; child < all; child += width) {
        T f = sigmoid(x[at + width + child]);
        gates[at + width + child] = f;
        sum += f * cs[all * k + child + j];
    }
    gates[at] = in;
    gates[at_g] = g;
    gates[at_o] = o;
    c[i] = sum;
    h[i] = o * tanh(sum);
}
""",
)

twin(
    tree_lstm_backward,
    "c",
    r"""
template <typename T> __device__ void tree_lstm_backward(
    long long i, Array<T> cs, Array<T> c, Array<T> gates, Array<T> gc, Array<T> gh, Array<T> gcs,
    Array<T> gx
) {
    long long width = c.shape[1], k = i / width, j = i % width, all = cs.shape[1];
    long long at = (3 * width + all) * k + j, at_g = at + width + all, at_o = at_g + width;
    T in = gates[at], g = gates[at_g], o = gates[at_o], t = tanh(c[i]);
    T d = gc[i] + gh[i] * o * (T(1) - t * t);
    for (long long child = 0; child < all; child += width) {
        T f = gates[at + width + child], gf = d * f;
        gcs[all * k + child + j] = gf;
        gx[at + width + child] = gf * cs[all * k + child + j] * (T(1) - f);
    }
    gx[at] = d * g * in * (T(1) - in);
    gx[at_g] = d * in * (T(1) - g * g);
    gx[at_o] = t * gh[i] * o * (T(1) - o);
}
""",
)


@njit(cache=True, error_model="numpy")
def slstm_forward(c1, c2, x1, x2, c, h, gates):
    """``gates`` has five blocks: of both inputs together, and a forget gate for each."""
    rows, width = h.shape
    if (
        c.shape != h.shape
        or c1.shape != h.shape
        or c2.shape != h.shape
        or x1.shape != (rows, 4 * width)
        or x2.shape != x1.shape
        or gates.shape != (rows, 5 * width)
    ):
        raise ValueError("slstm: the arrays' shapes do not agree")
    f1, f2, g, o = position(width), position(2 * width), position(3 * width), position(4 * width)
    for k in range(rows):
        for j in range(f1):
            gates[k, j] = sigmoid(x1[k, j] + x2[k, j])
        for j in range(f1):
            gates[k, f1 + j] = sigmoid(x1[k, f1 + j])
        for j in range(f1):
            gates[k, f2 + j] = sigmoid(x2[k, f1 + j])
        for j in range(f1):
            gates[k, g + j] = tanh(x1[k, f2 + j] + x2[k, f2 + j])
        for j in range(f1):
            gates[k, o + j] = sigmoid(x1[k, g + j] + x2[k, g + j])
        for j in range(f1):
            kept = gates[k, f1 + j] * c1[k, j] + gates[k, f2 + j] * c2[k, j]
            c[k, j] = kept + gates[k, j] * gates[k, g + j]
        for j in range(f1):
            h[k, j] = gates[k, o + j] * tanh(c[k, j])


@njit(cache=True, error_model="numpy")
def slstm_backward(c1, c2, c, gates, gc, gh, gc1, gc2, gx1, gx2):
    """On the way ``gx1`` has the gradient of ``c`` in its third block, its tanh in the last."""
    rows, width = gh.shape
    if (
        c.shape != gh.shape
        or gc.shape != gh.shape
        or c1.shape != gh.shape
        or c2.shape != gh.shape
        or gc1.shape != gh.shape
        or gc2.shape != gh.shape
        or gates.shape != (rows, 5 * width)
        or gx1.shape != (rows, 4 * width)
        or gx2.shape != gx1.shape
    ):
        raise ValueError("slstm: the arrays' shapes do not agree")
    one = gx1.dtype.type(1)
    # The blocks of gates; those of gx1 and gx2 begin at 0, f1, f2 and g.
    f1, f2, g, o = position(width), position(2 * width), position(3 * width), position(4 * width)
    for k in range(rows):
        for j in range(f1):
            gx1[k, g + j] = tanh(c[k, j])
        for j in range(f1):
            t = gx1[k, g + j]
            gx1[k, f2 + j] = gc[k, j] + gh[k, j] * gates[k, o + j] * (one - t * t)
        for j in range(f1):
            gx1[k, g + j] *= gh[k, j] * gates[k, o + j] * (one - gates[k, o + j])
        for j in range(f1):
            gx1[k, j] = gx1[k, f2 + j] * gates[k, g + j] * gates[k, j] * (one - gates[k, j])
        for j in range(f1):
            gc1[k, j] = gx1[k, f2 + j] * gates[k, f1 + j]
        for j in range(f1):
            gc2[k, j] = gx1[k, f2 + j] * gates[k, f2 + j]
        for j in range(f1):
            gx1[k, f1 + j] = gc1[k, j] * c1[k, j] * (one - gates[k, f1 + j])
        for j in range(f1):
            gx2[k, f1 + j] = gc2[k, j] * c2[k, j] * (one - gates[k, f2 + j])
        for j in range(f1):
            gx1[k, f2 + j] *= gates[k, j] * (one - gates[k, g + j] * gates[k, g + j])
        for j in range(f1):
            gx2[k, j] = gx1[k, j]
        for j in range(f2, o):
            gx2[k, j] = gx1[k, j]


twin(
    slstm_forward,
    "c",
    r"""
template <typename T> __device__ void slstm_forward(
    long long i, Array<T> c1, Array<T> c2, Array<T> x1, Array<T> x2, Array<T> c, Array<T> h,
    Array<T> gates
) {
    long long width = c.shape[1], k = i / width, j = i % width;
    long long at = 4 * width * k + j, to = 5 * width * k + j;
    T in = sigmoid(x1[at] + x2[at]), o = sigmoid(x1[at + 3 * width] + x2[at + 3 * width]);
    T f1 = sigmoid(x1[at + width]), f2 = sigmoid(x2[at + width]);
    T g = tanh(x1[at + 2 * width] + x2[at + 2 * width]);
    T sum = f1 * c1[i] + f2 * c2[i] + in * g;
    gates[to] = in;
    gates[to + width] = f1;
    gates[to + 2 * width] = f2;
    gates[to + 3 * width] = g;
    gates[to + 4 * width] = o;
    c[i] = sum;
    h[i] = o * tanh(sum);
}
""",
)

twin(
    slstm_backward,
    "c",
    r"""
template <typename T> __device__ void slstm_backward(
    long long i, Array<T> c1, Array<T> c2, Array<T> c, Array<T> gates, Array<T> gc, Array<T> gh,
    Array<T> gc1, Array<T> gc2, Array<T> gx1, Array<T> gx2
) {
    long long width = c.shape[1], k = i / width, j = i % width;
    long long at = 5 * width * k + j, to = 4 * width * k + j;
    T in = gates[at], f1 = gates[at + width], f2 = gates[at + 2 * width];
    T g = gates[at + 3 * width], o = gates[at + 4 * width], t = tanh(c[i]);
    T d = gc[i] + gh[i] * o * (T(1) - t * t);
    gc1[i] = d * f1;
    gc2[i] = d * f2;
    gx1[to] = gx2[to] = d * g * in * (T(1) - in);
    gx1[to + width] = d * f1 * c1[i] * (T(1) - f1);
    gx2[to + width] = d * f2 * c2[i] * (T(1) - f2);
    gx1[to + 2 * width] = gx2[to + 2 * width] = d * in * (T(1) - g * g);
    gx1[to + 3 * width] = gx2[to + 3 * width] = t * gh[i] * o * (T(1) - o);
}
""",
)


def tree_lstm(cs, x):
    """One step of cells that have several before them.

    Args:
        cs (list): the cells before, each ``(N, H, ...)``.
        x: what goes into the gates, ``(N, (3 + len(cs)) * H, ...)``.

    Returns:
        tuple: the cells after the step and what they put out, ``(N, H, ...)``; the gates,
        ``(N, (3 + len(cs)) * H * ...)``.
    """
    shape, dtype = cs[0].shape, cs[0].dtype
    cs, x = [as_matrix(c) for c in cs], as_matrix(x)
    if runnable(*cs, x):
        outputs = (cs[0].shape, dtype), (cs[0].shape, dtype), (x.shape, dtype)
        c, h, gates = run(tree_lstm_forward, (_beside(cs), x), outputs, by_rows=True)
    else:
        i, *fs, g, o = blocks_of(x, 3 + len(cs))
        i, g, o, fs = sigmoid_of(i), np.tanh(g), sigmoid_of(o), [sigmoid_of(f) for f in fs]
        c = i * g
        for f, before in zip(fs, cs, strict=True):
            c = c + f * before
        h = o * np.tanh(c)
        gates = np.concatenate([i, *fs, g, o], axis=1)
    return as_before(c, shape), as_before(h, shape), gates


def tree_lstm_grad(cs, c, gates, gc, gh):
    """The gradients of ``cs``, a list, and of ``x``; ``gates`` as ``tree_lstm`` gave them.

    One of the gradients that arrive may be ``None``.
    """
    shape, dtype, count = c.shape, c.dtype, len(cs)
    gc, gh = zeros_for_none(gc, gh, shape, shape, dtype)
    cs, (c, gc, gh) = [as_matrix(before) for before in cs], map(as_matrix, (c, gc, gh))
    if runnable(*cs, c, gates, gc, gh):
        cs = _beside(cs)
        outputs = (cs.shape, dtype), (gates.shape, dtype)
        gcs, gx = run(tree_lstm_backward, (cs, c, gates, gc, gh), outputs, by_rows=True)
        gcs = blocks_of(gcs, count)
    else:
        i, *fs, g, o = blocks_of(gates, 3 + count)
        t = np.tanh(c)
        d = gc + gh * o * (1 - t * t)
        gcs = [d * f for f in fs]
        gfs = [gc * c * (1 - f) for gc, c, f in zip(gcs, cs, fs, strict=True)]
        gi, gg, go = d * g * i * (1 - i), d * i * (1 - g * g), gh * t * o * (1 - o)
        gx = np.concatenate([gi, *gfs, gg, go], axis=1)
    gx = as_before(gx, shape_of_blocks(shape[0], 3 + count, shape))
    return [as_before(gc, shape) for gc in gcs], gx


def slstm(c1, c2, x1, x2):
    """One step of cells that have two before them, each with gates of its own.

    Args:
        c1, c2: the cells before, ``(N, H, ...)``.
        x1, x2: what goes into the gates, ``(N, 4H, ...)``.

    Returns:
        tuple: the cells after the step and what they put out, ``(N, H, ...)``; the gates,
        ``(N, 5 * H * ...)``: input, both to forget, the new, output.
    """
    shape, dtype = c1.shape, c1.dtype
    arrays = c1, c2, x1, x2 = [as_matrix(a) for a in (c1, c2, x1, x2)]
    if runnable(*arrays):
        N, width = c1.shape
        outputs = (c1.shape, dtype), (c1.shape, dtype), ((N, 5 * width), dtype)
        c, h, gates = run(slstm_forward, arrays, outputs, by_rows=True)
    else:
        (i1, f1, g1, o1), (i2, f2, g2, o2) = blocks_of(x1, 4), blocks_of(x2, 4)
        i, f1, f2 = sigmoid_of(i1 + i2), sigmoid_of(f1), sigmoid_of(f2)
        g, o = np.tanh(g1 + g2), sigmoid_of(o1 + o2)
        c = f1 * c1 + f2 * c2 + i * g
        h = o * np.tanh(c)
        gates = np.concatenate([i, f1, f2, g, o], axis=1)
    return as_before(c, shape), as_before(h, shape), gates


def slstm_grad(c1, c2, c, gates, gc, gh):
    """The gradients of ``c1``, ``c2``, ``x1`` and ``x2``; ``gates`` as ``slstm`` gave them.

    One of the gradients that arrive may be ``None``.
    """
    shape, dtype = c.shape, c.dtype
    gc, gh = zeros_for_none(gc, gh, shape, shape, dtype)
    c1, c2, c, gc, gh = map(as_matrix, (c1, c2, c, gc, gh))
    arrays = c1, c2, c, gates, gc, gh
    N, width = c.shape
    if runnable(*arrays):
        outputs = [(c.shape, dtype)] * 2 + [((N, 4 * width), dtype)] * 2
        gc1, gc2, gx1, gx2 = run(slstm_backward, arrays, outputs, by_rows=True)
    else:
        i, f1, f2, g, o = blocks_of(gates, 5)
        t = np.tanh(c)
        d = gc + gh * o * (1 - t * t)
        gc1, gc2 = d * f1, d * f2
        gi, gg, go = d * g * i * (1 - i), d * i * (1 - g * g), gh * t * o * (1 - o)
        gx1 = np.concatenate([gi, gc1 * c1 * (1 - f1), gg, go], axis=1)
        gx2 = np.concatenate([gi, gc2 * c2 * (1 - f2), gg, go], axis=1)
    gcs = [as_before(gc, shape) for gc in (gc1, gc2)]
    return (*gcs, *[as_before(gx, shape_of_blocks(shape[0], 4, shape)) for gx in (gx1, gx2)])


def _beside(cs):
    return cs[0] if len(cs) == 1 else np.concatenate(cs, axis=1)
