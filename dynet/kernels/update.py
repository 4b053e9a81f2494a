"""What an optimizer does to one parameter, in one pass; and the norm of a gradient.

Parameter, gradient and state have one shape and one memory layout.
"""

import math

import numpy as np
from numba import njit

from ..backend import get_array_module


@njit(cache=True)
def _sum_of_squares(x):
    total = 0.0  # in float64: a million squares in float32 lose digits
    for i in range(x.size):
        total += float(x[i]) * float(x[i])
    return total


def sum_of_squares(x) -> float:
    """The sum of the squared elements, computed in float64."""
    if type(x) is np.ndarray:
        return _sum_of_squares(x.ravel(order="K"))
    return float((x.astype("float64") ** 2).sum())


@njit(cache=True)
def _sgd(W, gW, lr):
    if W.ndim != 1 or gW.ndim != 1 or gW.size != W.size:
        raise ValueError("SGD: expected a parameter and a gradient as vectors of one length")
    for i in range(W.size):
        W[i] -= lr * gW[i]


def sgd(W, gW, lr):
    """``W -= lr * gW``."""
    if type(W) is np.ndarray:
        (W,), gW = vectors([W], gW)
        _sgd(W, gW, W.dtype.type(lr))
    else:
        W -= lr * gW


@njit(cache=True)
def _sgd_rows(W, ids, gW, lr):
    rows, width = W.shape
    if gW.shape != (ids.size, width):
        raise ValueError("SGD: expected a row of the gradient for each of the ids")
    for i in range(ids.size):
        row = ids[i]
        if row < 0 or row >= rows:
            raise ValueError("SGD: the gradient is one of a row outside the parameter")
        for j in range(width):
            W[row, j] -= lr * gW[i, j]


def sgd_rows(W, ids, gW, lr):
    """``W[ids] -= lr * gW``, no id twice."""
    if type(W) is np.ndarray:
        _sgd_rows(W, ids, gW, W.dtype.type(lr))
    else:
        W[ids] -= lr * gW


@njit(cache=True, error_model="numpy")
def _adam(W, gW, m, v, step, rate1, rate2, eps):
    n = W.size
    if W.ndim + gW.ndim + m.ndim + v.ndim != 4 or gW.size != n or m.size != n or v.size != n:
        raise ValueError("Adam: expected a parameter, gradient and state as vectors of one length")
    for i in range(W.size):
        m[i] += rate1 * (gW[i] - m[i])
        v[i] += rate2 * (gW[i] * gW[i] - v[i])
        W[i] -= step * m[i] / (math.sqrt(v[i]) + eps)


def adam(W, gW, m, v, step, beta1, beta2, eps):
    """Adam's moving averages ``m`` of the gradient and ``v`` of its square, and the step."""
    if type(W) is np.ndarray:
        (W, m, v), gW = vectors([W, m, v], gW)
        # 1 - beta is rounded here, not beta: of 0.001 little would be left in float32.
        scalars = [W.dtype.type(s) for s in (step, 1 - beta1, 1 - beta2, eps)]
        _adam(W, gW, m, v, *scalars)
    else:
        m += (1 - beta1) * (gW - m)
        v += (1 - beta2) * (gW * gW - v)
        W -= step * m / (get_array_module(W).sqrt(v) + eps)


def vectors(written, gradient):
    """Arrays of one shape as vectors, all in the order in which the first lies in memory.

    Args:
        written: a parameter and its state: the kernel writes into them, so they must be
            contiguous, and in one order.
        gradient: may lie in memory in any way.

    Raises:
        ValueError: a vector would be a copy, and what is written there lost.
    """
    order = "C" if written[0].flags.c_contiguous else "F"
    for array in written:
        if not (array.flags.c_contiguous if order == "C" else array.flags.f_contiguous):
            raise ValueError(
                f"optimizer: a parameter or its state, of shape {array.shape}, has the strides "
                f"{array.strides}; expected a contiguous array"
            )
    return [x.reshape(-1, order=order) for x in written], gradient.reshape(-1, order=order)
