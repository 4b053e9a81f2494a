"""Activations: of each element, and the softmax of rows."""

import math

import numpy as np
from numba import njit

from .arithmetic import COMPILED, each, each_runs, readable, run, runnable
from .cuda import twin
from .elementary import exp, expm1, log, log1p, sigmoid
from .error_function import erfc


def _twin(kernel, body, *settings):
    """Say in CUDA what a kernel does to one element ``i``, where it does the same to every one.

    Args:
        kernel: a compiled function of vectors, of numbers perhaps, and last of the one to write.
        body: the statements of its twin.
        settings: the names of those arguments that are numbers.
    """
    code = kernel.py_func.__code__
    names = code.co_varnames[: code.co_argcount]
    parameters = [f"{'T' if name in settings else 'Array<T>'} {name}" for name in names]
    head = f"{code.co_name}(long long i, {', '.join(parameters)})"
    twin(kernel, names[-1], f"template <typename T> __device__ void {head} {{ {body} }}\n")


@njit(cache=True)
def relu_forward(x, y):
    if x.shape != y.shape:
        raise ValueError("relu: the output has another shape than the input")
    zero = y.dtype.type(0)
    # Written so that NaN stays NaN: a comparison with it is false.
    if y.flags.c_contiguous:
        x, y = x.ravel(), y.ravel()
        for i in range(y.size):
            y[i] = zero if x[i] <= zero else x[i]
    else:
        for at in np.ndindex(y.shape):
            y[at] = zero if x[at] <= zero else x[at]


@njit(cache=True)
def relu_backward(y, gy, gx):
    if y.shape != gx.shape or gy.shape != gx.shape:
        raise ValueError("relu: the gradient has another shape than the output")
    zero = gx.dtype.type(0)
    if gx.flags.c_contiguous:
        y, gy, gx = y.ravel(), gy.ravel(), gx.ravel()
        for i in range(gx.size):
            gx[i] = zero if y[i] <= zero else gy[i]
    else:
        for at in np.ndindex(gx.shape):
            gx[at] = zero if y[at] <= zero else gy[at]


_twin(relu_forward, "y[i] = x[i] <= T(0) ? T(0) : x[i];")
_twin(relu_backward, "gx[i] = y[i] <= T(0) ? T(0) : gy[i];")


def relu(x):
    """``max(x, 0)``; ``x`` any shape, NumPy's, float32 or float64."""
    y = np.empty(x.shape, x.dtype)
    relu_forward(_readable(x), y)
    return y


def relu_grad(y, gy):
    """``gy`` where the result ``y`` of relu is positive, else 0."""
    if not type(y) is type(gy) is np.ndarray or y.dtype not in COMPILED:
        on_gpu = each_runs(relu_backward, y, gy)
        return each(relu_backward, (y, gy)) if on_gpu else np.where(y <= 0, 0, gy)
    gx = np.empty(gy.shape, gy.dtype)
    relu_backward(_readable(y), _readable(gy), gx)
    return gx


def _readable(x):
    """The same, as ``readable`` gives it, in its shape; with one look where it is so already."""
    return x if x.flags.carray else readable(x).reshape(x.shape)


# -- of each element, on vectors ------------------------------------------------------------------


@njit(cache=True)
def _check(x, y, z):
    if x.size != z.size or y.size != z.size:
        raise ValueError("activation: the arrays have different sizes")


@njit(cache=True, error_model="numpy")
def sigmoid_forward(x, y):
    _check(x, x, y)
    for i in range(y.size):
        y[i] = sigmoid(x[i])


@njit(cache=True, error_model="numpy")
def sigmoid_backward(y, gy, gx):
    _check(y, gy, gx)
    one = gx.dtype.type(1)
    for i in range(gx.size):
        gx[i] = gy[i] * y[i] * (one - y[i])


_twin(sigmoid_forward, "y[i] = sigmoid(x[i]);")
_twin(sigmoid_backward, "gx[i] = gy[i] * y[i] * (T(1) - y[i]);")


@njit(cache=True, error_model="numpy")
def tanh_backward(y, gy, gx):
    _check(y, gy, gx)
    one = gx.dtype.type(1)
    for i in range(gx.size):
        gx[i] = gy[i] * (one - y[i] * y[i])


_twin(tanh_backward, "gx[i] = gy[i] * (T(1) - y[i] * y[i]);")


@njit(cache=True, error_model="numpy")
def silu_forward(x, y):
    _check(x, x, y)
    for i in range(y.size):
        y[i] = x[i] * sigmoid(x[i])


@njit(cache=True, error_model="numpy")
def silu_backward(x, gy, gx):
    _check(x, gy, gx)
    one = gx.dtype.type(1)
    for i in range(gx.size):
        s = sigmoid(x[i])
        gx[i] = gy[i] * (s * (one + x[i] * (one - s)))


_twin(silu_forward, "y[i] = x[i] * sigmoid(x[i]);")
_twin(
    silu_backward,
    """
    T s = sigmoid(x[i]);
    gx[i] = gy[i] * (s * (T(1) + x[i] * (T(1) - s)));
    """,
)


@njit(cache=True, error_model="numpy")
def softplus_forward(x, beta, y):
    _check(x, x, y)
    zero = y.dtype.type(0)
    for i in range(y.size):
        z = beta * x[i]
        y[i] = ((zero if z < zero else z) + log1p(exp(-abs(z)))) / beta


@njit(cache=True, error_model="numpy")
def softplus_backward(x, gy, beta, gx):
    _check(x, gy, gx)
    for i in range(gx.size):
        gx[i] = gy[i] * sigmoid(beta * x[i])


_twin(
    softplus_forward,
    """
    T z = beta * x[i];
    y[i] = ((z < T(0) ? T(0) : z) + log1p(exp(-fabs(z)))) / beta;
    """,
    "beta",
)

_twin(softplus_backward, "gx[i] = gy[i] * sigmoid(beta * x[i]);", "beta")


@njit(cache=True, error_model="numpy")
def elu_forward(x, alpha, scale, y):
    _check(x, x, y)
    zero = y.dtype.type(0)
    for i in range(y.size):
        below = alpha * expm1(zero if x[i] > zero else x[i])
        y[i] = scale * (x[i] if x[i] > zero else below)


@njit(cache=True, error_model="numpy")
def elu_backward(x, gy, alpha, scale, gx):
    _check(x, gy, gx)
    zero, one = gx.dtype.type(0), gx.dtype.type(1)
    for i in range(gx.size):
        below = alpha * exp(zero if x[i] > zero else x[i])
        gx[i] = scale * gy[i] * (one if x[i] > zero else below)


_twin(elu_forward, "y[i] = scale * (x[i] > T(0) ? x[i] : alpha * expm1(x[i]));", "alpha", "scale")
_twin(
    elu_backward,
    "gx[i] = scale * gy[i] * (x[i] > T(0) ? T(1) : alpha * exp(x[i]));",
    "alpha",
    "scale",
)


@njit(cache=True, error_model="numpy")
def gelu_forward(x, y):
    _check(x, x, y)
    half, root_half = y.dtype.type(0.5), y.dtype.type(math.sqrt(0.5))
    for i in range(y.size):
        y[i] = half * x[i] * erfc(-root_half * x[i])


@njit(cache=True, error_model="numpy")
def gelu_backward(x, gy, gx):
    _check(x, gy, gx)
    half, root_half = gx.dtype.type(0.5), gx.dtype.type(math.sqrt(0.5))
    peak = gx.dtype.type(1 / math.sqrt(2 * math.pi))
    for i in range(gx.size):
        density = peak * exp(-half * x[i] * x[i])
        gx[i] = gy[i] * (half * erfc(-root_half * x[i]) + x[i] * density)


_twin(gelu_forward, "y[i] = T(0.5) * x[i] * erfc(T(-0.70710678118654752440) * x[i]);")
_twin(
    gelu_backward,
    """
    T below = T(0.5) * erfc(T(-0.70710678118654752440) * x[i]);
    T density = T(0.39894228040143267794) * exp(T(-0.5) * x[i] * x[i]);
    gx[i] = gy[i] * (below + x[i] * density);
    """,
)


@njit(cache=True)
def leaky_relu_forward(x, slope, y):
    _check(x, x, y)
    zero = y.dtype.type(0)
    for i in range(y.size):
        y[i] = slope * x[i] if x[i] < zero else x[i]


@njit(cache=True)
def leaky_relu_backward(x, gy, slope, gx):
    _check(x, gy, gx)
    zero = gx.dtype.type(0)
    for i in range(gx.size):
        gx[i] = slope * gy[i] if x[i] < zero else gy[i]


_twin(leaky_relu_forward, "y[i] = x[i] < T(0) ? slope * x[i] : x[i];", "slope")
_twin(leaky_relu_backward, "gx[i] = x[i] < T(0) ? slope * gy[i] : gy[i];", "slope")


# -- of rows ---------------------------------------------------------------------------------------
#
# "reassoc" lets a sum be taken in several parts at once. The largest number of each row is
# NumPy's, which no loop here comes near.


@njit(cache=True)
def _check_rows(x, y, z):
    if x.shape != z.shape or y.shape != z.shape:
        raise ValueError("softmax: the arrays have different shapes")


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def softmax_forward(x, largest, y):
    _check_rows(x, x, y)
    if largest.size != len(x):
        raise ValueError("softmax: expected the largest number of each row")
    for i in range(len(x)):
        top = largest[i]
        total = y.dtype.type(0)
        for j in range(x.shape[1]):
            e = exp(x[i, j] - top)
            y[i, j] = e
            total += e
        for j in range(x.shape[1]):
            y[i, j] /= total


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def softmax_backward(y, gy, gx):
    _check_rows(y, gy, gx)
    for i in range(len(y)):
        mean = y.dtype.type(0)
        for j in range(y.shape[1]):
            mean += y[i, j] * gy[i, j]
        for j in range(y.shape[1]):
            gx[i, j] = y[i, j] * (gy[i, j] - mean)


twin(
    softmax_forward,
    "y",
    r"""
template <typename T> __device__ void
softmax_forward(long long row, int lane, Array<T> x, Array<T> largest, Array<T> y) {
    long long n = x.shape[1], start = row * n;
    T total = 0;
    for (long long j = lane; j < n; j += 32) {
        T e = exp(x[start + j] - largest[row]);
        y[start + j] = e;
        total += e;
    }
    total = warp_sum(total);
    for (long long j = lane; j < n; j += 32) y[start + j] /= total;
}
""",
    by_rows=True,
)

twin(
    softmax_backward,
    "gx",
    r"""
template <typename T> __device__ void
softmax_backward(long long row, int lane, Array<T> y, Array<T> gy, Array<T> gx) {
    long long n = y.shape[1], start = row * n;
    T mean = 0;
    for (long long j = lane; j < n; j += 32) mean += y[start + j] * gy[start + j];
    mean = warp_sum(mean);
    for (long long j = lane; j < n; j += 32)
        gx[start + j] = y[start + j] * (gy[start + j] - mean);
}
""",
    by_rows=True,
)


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def log_softmax_forward(x, largest, y):
    _check_rows(x, x, y)
    if largest.size != len(x):
        raise ValueError("log_softmax: expected the largest number of each row")
    for i in range(len(x)):
        top = largest[i]
        total = y.dtype.type(0)
        for j in range(x.shape[1]):
            total += exp(x[i, j] - top)
        log_total = log(total)
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - top) - log_total


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def log_softmax_backward(y, gy, gx):
    _check_rows(y, gy, gx)
    for i in range(len(y)):
        total = y.dtype.type(0)
        for j in range(y.shape[1]):
            total += gy[i, j]
        for j in range(y.shape[1]):
            gx[i, j] = gy[i, j] - exp(y[i, j]) * total


twin(
    log_softmax_forward,
    "y",
    r"""
template <typename T> __device__ void
log_softmax_forward(long long row, int lane, Array<T> x, Array<T> largest, Array<T> y) {
    long long n = x.shape[1], start = row * n;
    T total = 0;
    for (long long j = lane; j < n; j += 32) total += exp(x[start + j] - largest[row]);
    total = log(warp_sum(total));
    for (long long j = lane; j < n; j += 32) y[start + j] = (x[start + j] - largest[row]) - total;
}
""",
    by_rows=True,
)

twin(
    log_softmax_backward,
    "gx",
    r"""
template <typename T> __device__ void
log_softmax_backward(long long row, int lane, Array<T> y, Array<T> gy, Array<T> gx) {
    long long n = y.shape[1], start = row * n;
    T total = 0;
    for (long long j = lane; j < n; j += 32) total += gy[start + j];
    total = warp_sum(total);
    for (long long j = lane; j < n; j += 32)
        gx[start + j] = gy[start + j] - exp(y[start + j]) * total;
}
""",
    by_rows=True,
)


def softmax(x, axis):
    """``exp(x)`` over its sum along an axis."""
    if x.size == 0:
        return x.copy()
    if not runnable(x):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)
    rows = _rows(x, axis)
    return _unrows(_of_rows(softmax_forward, rows, rows.max(axis=1)), x.shape, axis)


def softmax_grad(y, gy, axis):
    """``y * (gy - (y * gy).sum(axis))``"""
    if not runnable(y, gy) or y.size == 0:
        return y * (gy - (y * gy).sum(axis=axis, keepdims=True))
    return _unrows(_of_rows(softmax_backward, _rows(y, axis), _rows(gy, axis)), y.shape, axis)


def log_softmax(x, axis):
    """``x - log(exp(x).sum(axis))``"""
    if x.size == 0:
        return x.copy()
    if not runnable(x):
        z = x - x.max(axis=axis, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))
    rows = _rows(x, axis)
    return _unrows(_of_rows(log_softmax_forward, rows, rows.max(axis=1)), x.shape, axis)


def log_softmax_grad(y, gy, axis):
    """``gy - exp(y) * gy.sum(axis)``"""
    if not runnable(y, gy) or y.size == 0:
        return gy - np.exp(y) * gy.sum(axis=axis, keepdims=True)
    return _unrows(_of_rows(log_softmax_backward, _rows(y, axis), _rows(gy, axis)), y.shape, axis)


def _of_rows(kernel, rows, others):
    """What a kernel makes of each row of a matrix, and of what others have in that row."""
    if type(rows) is not np.ndarray:
        return run(kernel, (rows, others), [(rows.shape, rows.dtype)], by_rows=True)[0]
    y = np.empty(rows.shape, rows.dtype)
    kernel(readable(rows), readable(others), y)
    return y


def _rows(x, axis):
    """The rows along an axis, as a matrix."""
    if axis != x.ndim - 1:
        x = x.swapaxes(axis, -1)
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _unrows(rows, shape, axis):
    """A matrix of rows as an array of some shape, in which they lie along an axis."""
    if axis == len(shape) - 1:
        return rows if len(shape) == 2 else rows.reshape(shape)
    swapped = list(shape)
    swapped[axis], swapped[-1] = shape[-1], shape[axis]
    return rows.reshape(swapped).swapaxes(axis, -1)
