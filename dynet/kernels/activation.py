"""Element-wise activations."""

import numpy as np
from numba import njit

from ..backend import get_array_module


@njit(cache=True)
def relu_forward(x, y):
    x, y = x.ravel(), y.ravel()
    if x.size != y.size:
        raise ValueError("relu: the output has another size than the input")
    zero = y.dtype.type(0)
    for i in range(y.size):
        # Written so that NaN stays NaN: a comparison with it is false.
        y[i] = zero if x[i] <= zero else x[i]


@njit(cache=True)
def relu_backward(y, gy, gx):
    y, gy, gx = y.ravel(), gy.ravel(), gx.ravel()
    if y.size != gx.size or gy.size != gx.size:
        raise ValueError("relu: the gradient has another size than the output")
    zero = gx.dtype.type(0)
    for i in range(gx.size):
        gx[i] = zero if y[i] <= zero else gy[i]


def relu(x):
    """``max(x, 0)``; ``x`` any shape, any float dtype."""
    if type(x) is not np.ndarray:
        return get_array_module(x).maximum(x, 0)
    y = np.empty(x.shape, x.dtype)
    relu_forward(x, y)
    return y


def relu_grad(y, gy):
    """``gy`` where the result ``y`` of relu is positive, else 0."""
    if not type(y) is type(gy) is np.ndarray:
        return gy * (y > 0)
    gx = np.empty(gy.shape, gy.dtype)
    relu_backward(y, gy, gx)
    return gx
