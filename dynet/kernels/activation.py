"""Element-wise activations."""

import numpy as np
from numba import njit

from ..backend import get_array_module


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
    """``max(x, 0)``; ``x`` any shape, float32 or float64."""
    if type(x) is not np.ndarray:
        return get_array_module(x).maximum(x, 0)
    y = np.empty(x.shape, x.dtype)
    try:
        relu_forward(x, y)
    except NotImplementedError:  # Numba knows no float16
        raise TypeError(f"relu: x is {x.dtype}, expected float32 or float64") from None
    return y


def relu_grad(y, gy):
    """``gy`` where the result ``y`` of relu is positive, else 0."""
    if not type(y) is type(gy) is np.ndarray:
        return gy * (y > 0)
    gx = np.empty(gy.shape, gy.dtype)
    relu_backward(y, gy, gx)
    return gx
