"""What an optimizer does to one element of a parameter, in one pass; and the norm of a gradient.

Each method is stated twice. Its *rule*, ``_adam``, says in arithmetic what becomes of an element
``w`` by the gradient ``g``, and of the state that belongs to it. Its *loop*, ``adam``, compiled
together with the rule, does that for vectors, without a temporary. For a GPU the rule is said again
in C++ (``update_cuda``); so it is assignments of arithmetic, and a return. On arrays that are not
contiguous the rule itself is computed, on whole arrays. The settings are those of
``dynet.optimizers``, with ``1 - beta`` for ``beta`` where a mean moves by it: that is rounded, not
beta, for of 0.001 little would be left of 1 - 0.999 in float32.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numba import literal_unroll, njit

from ..backend import is_cupy
from . import update_cuda
from .arithmetic import COMPILED
from .cuda import launch, twin
from .threads import available_cores, share

# So many elements are worth one more thread; but only where the vectors have this many on average,
# since for each of them a thread has to ask Python.
WORTH_A_THREAD = 1_000_000
WORTH_A_CALL = 20_000

PIECES = 8  # for each thread

CACHE_LINE = 64  # bytes

# The sums of so many squares are added up exactly: so the total does not depend on the threads.
BLOCK = 1 << 16

rule = njit(error_model="numpy")


class Update:
    """A rule for one element, and the compiled loop that does as it says for vectors.

    The loop takes the gradient, then what it writes: the parameter and its state, all vectors of
    one length; and the settings, numbers of their dtype.
    """

    def __init__(self, rule: Callable, loop: Callable):
        self.plain = rule.py_func
        self.loop = njit(cache=True, nogil=True, error_model="numpy")(loop)

    def on_arrays(
        self, gradient: Any, written: list, settings: Iterable[float], proceed: Any = None
    ) -> None:
        """Compute the rule on whole arrays, of any module; contiguous ones of a GPU in one kernel.

        Args:
            gradient: of any layout.
            written: all of one layout.
            settings: numbers; on a GPU also float64 arrays without axes.
            proceed: for such a kernel, a boolean on the GPU: where it is false, nothing is written.
        """
        first = written[0]
        if is_cupy(first) and first.dtype in COMPILED and _contiguous(first):
            update_cuda.launch(self.plain, gradient, written, settings, proceed)
            return
        new = self.plain(gradient, *written, *settings)
        for array, values in zip(written, [new] if len(written) == 1 else new, strict=True):
            array[...] = values


def _contiguous(x):
    return x.flags.c_contiguous or x.flags.f_contiguous


def loop_of(rule: Callable) -> Callable[[Callable], Update]:
    """Make an ``Update`` of a rule and the loop that is decorated."""
    return lambda loop: Update(rule, loop)


def vector(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """An array as a vector, in the order in which another lies in memory, a contiguous one."""
    if x.strides != like.strides:
        arranged = np.empty_like(like)
        arranged[...] = x
        x = arranged
    return x.ravel("K")  # of a contiguous array a view


def run(update: Update, jobs: list[tuple[np.ndarray, list, list]]) -> None:
    """Do an update to several parameters.

    Vectors are shared out among threads. As no element has to do with another, the result is the
    very same for any number of them.

    Args:
        jobs: for each its gradient, what is written, and the settings, as the loop takes them.
    """
    loop = update.loop
    total = sum([gradient.size for gradient, _, _ in jobs])
    if total < WORTH_A_THREAD or total < WORTH_A_CALL * len(jobs):
        for gradient, written, settings in jobs:
            loop(gradient, *written, *settings)
        return

    def work(first, last):
        # Of all elements, laid end to end.
        for gradient, written, settings in jobs:
            n = gradient.size
            head = _head(written[0]) if n >= WORTH_A_CALL else 0
            a, b = _place(first, n, head), _place(last, n, head)
            for i, j in [(0, head), (head, b)] if a == 0 and head < b else [(a, b)]:
                if i < j:
                    loop(gradient[i:j], *[x[i:j] for x in written], *settings)
            first, last = first - n, last - n

    threads = min(available_cores(), 1 + total // WORTH_A_THREAD)
    share(work, total, threads, PIECES * threads)


def change(update: Update, given: Any, array: Any, *settings: Any) -> None:
    """Do what an update without state says to an array, in place, by another that is like it.

    A setting is a number, or a float64 array without axes, of the arrays' module.
    """
    if type(array) is np.ndarray and array.flags.forc and array.flags.writeable:
        cast = [array.dtype.type(s) for s in settings]
        run(update, [(vector(given, array), [array.ravel("K")], cast)])
    else:
        update.on_arrays(given, [array], settings)


def _head(x):
    """How many elements of a vector come before its first cache line begins."""
    # Vector instructions that start there run up to a fifth faster; NumPy's own arrays do not.
    return min(x.size, (-x.ctypes.data % CACHE_LINE) // x.itemsize)


def _place(i, n, head):
    """Where to cut ``n`` elements near the one numbered ``i``: some whole lines after the head."""
    return n if i >= n else max(0, head + (i - head) // CACHE_LINE * CACHE_LINE)


@njit
def _length(x, *others):
    for other in literal_unroll(others):
        if x.ndim != 1 or other.shape != x.shape:
            raise ValueError("optimizer: expected vectors of one length")
    return len(x)


# -- the gradient alone ---------------------------------------------------------------------------


@rule
def _sgd(g, w, lr):
    return w - lr * g


@loop_of(_sgd)
def sgd(gW, W, lr):
    for i in range(_length(gW, W)):
        W[i] = _sgd(gW[i], W[i], lr)


@njit(cache=True, nogil=True)
def _sgd_rows(ids, gW, lr, W):
    rows, width = W.shape
    if gW.shape != (ids.size, width):
        raise ValueError("SGD: expected a row of the gradient for each of the ids")
    for i in range(ids.size):
        row = ids[i]
        if row < 0 or row >= rows:
            raise ValueError("SGD: the gradient is one of a row outside the parameter")
        for j in range(width):
            W[row, j] -= lr * gW[i, j]


twin(
    _sgd_rows,
    "gW",
    r"""
template <typename T, typename I>
__device__ void _sgd_rows(long long i, Array<I> ids, Array<T> gW, T lr, Array<T> W) {
    long long width = W.shape[1];
    long long row = ids[i / width];
    if (row >= 0 && row < W.shape[0]) W[row * width + i % width] -= lr * gW[i];
}
""",
)


def sgd_rows(W, ids, gW, lr):
    """``W[ids] -= lr * gW``, no id twice."""
    if type(W) is np.ndarray:
        _sgd_rows(ids, gW, W.dtype.type(lr), W)
    elif gW.shape != (ids.size, W.shape[1]):
        raise ValueError("SGD: expected a row of the gradient for each of the ids")
    elif W.flags.c_contiguous:
        launch(_sgd_rows, [ids, gW], [W], [W.dtype.type(lr)])
    else:
        W[ids] -= lr * gW


# -- with momentum --------------------------------------------------------------------------------


@rule
def _momentum_sgd(g, w, v, lr, momentum):
    v = momentum * v - lr * g
    return w + v, v


@loop_of(_momentum_sgd)
def momentum_sgd(gW, W, v, lr, momentum):
    for i in range(_length(gW, W, v)):
        W[i], v[i] = _momentum_sgd(gW[i], W[i], v[i], lr, momentum)


@rule
def _corrected_momentum_sgd(g, w, v, lr, momentum):
    v = momentum * v - g
    return w + lr * v, v


@loop_of(_corrected_momentum_sgd)
def corrected_momentum_sgd(gW, W, v, lr, momentum):
    for i in range(_length(gW, W, v)):
        W[i], v[i] = _corrected_momentum_sgd(gW[i], W[i], v[i], lr, momentum)


@rule
def _nesterov_ag(g, w, v, lr, momentum):
    v = momentum * v - lr * g
    return w + (momentum * v - lr * g), v


@loop_of(_nesterov_ag)
def nesterov_ag(gW, W, v, lr, momentum):
    for i in range(_length(gW, W, v)):
        W[i], v[i] = _nesterov_ag(gW[i], W[i], v[i], lr, momentum)


@rule
def _msvag(g, w, m, v, lr, rate, correction, spread, tiny, decay):
    m = m + rate * (g - m)
    v = v + rate * (g * g - v)
    mean = correction * m
    square = mean * mean
    # At least the square, whatever the rounding; and not 0 where there never was a gradient.
    both = np.maximum(np.maximum(square + spread * (correction * v - square), square), tiny)
    return w - (lr * (square / both) * mean + decay * w), m, v


@loop_of(_msvag)
def msvag(gW, W, m, v, lr, rate, correction, spread, tiny, decay):
    for i in range(_length(gW, W, m, v)):
        W[i], m[i], v[i] = _msvag(
            gW[i], W[i], m[i], v[i], lr, rate, correction, spread, tiny, decay
        )


# -- with a step for each element ------------------------------------------------------------------


@rule
def _ada_grad(g, w, h, lr, eps):
    h = h + g * g
    return w - lr * g / (np.sqrt(h) + eps), h


@loop_of(_ada_grad)
def ada_grad(gW, W, h, lr, eps):
    for i in range(_length(gW, W, h)):
        W[i], h[i] = _ada_grad(gW[i], W[i], h[i], lr, eps)


@rule
def _ada_delta(g, w, msg, msdx, rate, eps):
    msg = msg + rate * (g * g - msg)
    dx = np.sqrt((msdx + eps) / (msg + eps)) * g
    return w - dx, msg, msdx + rate * (dx * dx - msdx)


@loop_of(_ada_delta)
def ada_delta(gW, W, msg, msdx, rate, eps):
    for i in range(_length(gW, W, msg, msdx)):
        W[i], msg[i], msdx[i] = _ada_delta(gW[i], W[i], msg[i], msdx[i], rate, eps)


@rule
def _rmsprop(g, w, ms, lr, rate, eps):
    ms = ms + rate * (g * g - ms)
    return w - lr * g / (np.sqrt(ms) + eps), ms


@loop_of(_rmsprop)
def rmsprop(gW, W, ms, lr, rate, eps):
    for i in range(_length(gW, W, ms)):
        W[i], ms[i] = _rmsprop(gW[i], W[i], ms[i], lr, rate, eps)


@rule
def _rmsprop_eps_inside(g, w, ms, lr, rate, eps):
    ms = ms + rate * (g * g - ms)
    return w - lr * g / np.sqrt(ms + eps), ms


@loop_of(_rmsprop_eps_inside)
def rmsprop_eps_inside(gW, W, ms, lr, rate, eps):
    for i in range(_length(gW, W, ms)):
        W[i], ms[i] = _rmsprop_eps_inside(gW[i], W[i], ms[i], lr, rate, eps)


@rule
def _rmsprop_graves(g, w, n, mean, delta, lr, rate, momentum, eps):
    n = n + rate * (g * g - n)
    mean = mean + rate * (g - mean)
    delta = momentum * delta - lr * g / np.sqrt(n - mean * mean + eps)
    return w + delta, n, mean, delta


@loop_of(_rmsprop_graves)
def rmsprop_graves(gW, W, n, mean, delta, lr, rate, momentum, eps):
    for i in range(_length(gW, W, n, mean, delta)):
        W[i], n[i], mean[i], delta[i] = _rmsprop_graves(
            gW[i], W[i], n[i], mean[i], delta[i], lr, rate, momentum, eps
        )


@rule
def _smorms3(g, w, mem, mean, square, lr, eps, one):
    r = one / (mem + one)
    mean = mean + r * (g - mean)
    square = square + r * (g * g - square)
    x = mean * mean / (square + eps)
    w = w - g * np.minimum(lr, x) / (np.sqrt(square) + eps)
    return w, one + mem * (one - x), mean, square


@loop_of(_smorms3)
def smorms3(gW, W, mem, mean, square, lr, eps, one):
    for i in range(_length(gW, W, mem, mean, square)):
        W[i], mem[i], mean[i], square[i] = _smorms3(
            gW[i], W[i], mem[i], mean[i], square[i], lr, eps, one
        )


# -- Adam and its kin ------------------------------------------------------------------------------


@rule
def _adam(g, w, m, v, step, rate1, rate2, eps, decay):
    m = m + rate1 * (g - m)
    v = v + rate2 * (g * g - v)
    return w - (step * m / (np.sqrt(v) + eps) + decay * w), m, v


@loop_of(_adam)
def adam(gW, W, m, v, step, rate1, rate2, eps, decay):
    for i in range(_length(gW, W, m, v)):
        W[i], m[i], v[i] = _adam(gW[i], W[i], m[i], v[i], step, rate1, rate2, eps, decay)


@rule
def _ams_grad(g, w, m, v, vhat, step, rate1, rate2, eps, decay):
    m = m + rate1 * (g - m)
    v = v + rate2 * (g * g - v)
    vhat = np.maximum(vhat, v)
    return w - (step * m / (np.sqrt(vhat) + eps) + decay * w), m, v, vhat


@loop_of(_ams_grad)
def ams_grad(gW, W, m, v, vhat, step, rate1, rate2, eps, decay):
    for i in range(_length(gW, W, m, v, vhat)):
        W[i], m[i], v[i], vhat[i] = _ams_grad(
            gW[i], W[i], m[i], v[i], vhat[i], step, rate1, rate2, eps, decay
        )


@rule
def _ada_bound(g, w, m, v, step, rate1, rate2, eps, decay, lower, upper):
    m = m + rate1 * (g - m)
    v = v + rate2 * (g * g - v)
    rate = np.minimum(np.maximum(step / (np.sqrt(v) + eps), lower), upper)
    return w - (rate * m + decay * w), m, v


@loop_of(_ada_bound)
def ada_bound(gW, W, m, v, step, rate1, rate2, eps, decay, lower, upper):
    for i in range(_length(gW, W, m, v)):
        W[i], m[i], v[i] = _ada_bound(
            gW[i], W[i], m[i], v[i], step, rate1, rate2, eps, decay, lower, upper
        )


@rule
def _ams_bound(g, w, m, v, vhat, step, rate1, rate2, eps, decay, lower, upper):
    m = m + rate1 * (g - m)
    v = v + rate2 * (g * g - v)
    vhat = np.maximum(vhat, v)
    rate = np.minimum(np.maximum(step / (np.sqrt(vhat) + eps), lower), upper)
    return w - (rate * m + decay * w), m, v, vhat


@loop_of(_ams_bound)
def ams_bound(gW, W, m, v, vhat, step, rate1, rate2, eps, decay, lower, upper):
    for i in range(_length(gW, W, m, v, vhat)):
        W[i], m[i], v[i], vhat[i] = _ams_bound(
            gW[i], W[i], m[i], v[i], vhat[i], step, rate1, rate2, eps, decay, lower, upper
        )


# -- what hooks do to a gradient -------------------------------------------------------------------


@rule
def _add_multiple(w, g, rate):
    return g + rate * w


@loop_of(_add_multiple)
def add_multiple(W, gW, rate):
    for i in range(_length(W, gW)):
        gW[i] = _add_multiple(W[i], gW[i], rate)


@rule
def _add_sign(w, g, rate):
    return g + rate * np.sign(w)


@loop_of(_add_sign)
def add_sign(W, gW, rate):
    for i in range(_length(W, gW)):
        gW[i] = _add_sign(W[i], gW[i], rate)


@rule
def _scale_sum(w, g, rate, scale):
    return scale * (g + rate * w)


@loop_of(_scale_sum)
def scale_sum(W, gW, rate, scale):
    for i in range(_length(W, gW)):
        gW[i] = _scale_sum(W[i], gW[i], rate, scale)


@rule
def _multiple(g, w, rate):
    return rate * g


@loop_of(_multiple)
def multiple(gW, W, rate):
    for i in range(_length(gW, W)):
        W[i] = _multiple(gW[i], W[i], rate)


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _sum_of_squares(x):
    total = 0.0  # in float64: a million squares in float32 lose digits, and large ones overflow
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


def sum_of_squares(x) -> Any:
    """The sum of the squared elements, computed in float64: a number; on a GPU, an array there."""
    if is_cupy(x):
        return update_cuda.sum_of_squares(x)
    x = x.ravel(order="K")
    blocks = -(-x.size // BLOCK)

    def work(first, last):
        return [_sum_of_squares(x[i * BLOCK : (i + 1) * BLOCK]) for i in range(first, last)]

    if blocks == 1:
        return _sum_of_squares(x)
    parts = share(work, blocks, min(available_cores(), 1 + x.size // WORTH_A_THREAD))
    return math.fsum([s for part in parts for s in part])
