"""Activations: of each element, and the softmax of rows."""

import math

import numpy as np
from numba import njit

from ..backend import StandIn
from .arithmetic import COMPILED, run, runnable
from .elementary import exp, expm1, log, log1p, sigmoid
from .error_function import erfc


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


def relu(x):
    """``max(x, 0)``; ``x`` any shape, NumPy's, float32 or float64."""
    y = np.empty(x.shape, x.dtype)
    relu_forward(x, y)
    return y


def relu_grad(y, gy):
    """``gy`` where the result ``y`` of relu is positive, else 0."""
    if not type(y) is type(gy) is np.ndarray or y.dtype not in COMPILED:
        return np.where(y <= 0, 0, gy)
    gx = np.empty(gy.shape, gy.dtype)
    relu_backward(y, gy, gx)
    return gx


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


@njit(cache=True, error_model="numpy")
def tanh_backward(y, gy, gx):
    _check(y, gy, gx)
    one = gx.dtype.type(1)
    for i in range(gx.size):
        gx[i] = gy[i] * (one - y[i] * y[i])


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
    if isinstance(rows, StandIn):
        return run(kernel, (rows, others), [(rows.shape, rows.dtype)], by_rows=True)[0]
    y = np.empty(rows.shape, rows.dtype)
    kernel(np.ascontiguousarray(rows), np.ascontiguousarray(others), y)
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
