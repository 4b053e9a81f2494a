"""Products along rows: the gradients of `prod` and `cumprod`, right also where elements are 0."""

import numpy as np
from numba import njit

from ..backend import get_array_module

COMPILED = np.dtype(np.float32), np.dtype(np.float64)


@njit(cache=True)
def product_of_others_to(x, gy, gx):
    """Row by row: ``gy[i]`` times the product of all elements of the row but one, to ``gx``."""
    rows, n = x.shape
    if gx.shape != x.shape or gy.size != rows:
        raise ValueError("prod: the gradients' shapes do not fit those of the values")
    for i in range(rows):
        before = gy[i]
        for j in range(n):
            gx[i, j] = before
            before *= x[i, j]
        after = x.dtype.type(1)
        for j in range(n - 1, -1, -1):
            gx[i, j] *= after
            after *= x[i, j]


@njit(cache=True)
def cumprod_backward(x, gy, gx):
    """Row by row: what each element contributed to the products up to it and beyond, to ``gx``.

    With ``before[j]`` the product of the elements before ``j``, the gradient of element ``j`` is
    ``before[j] * later[j]``, where ``later[j] = gy[j] + x[j + 1] * later[j + 1]``.
    """
    rows, n = x.shape
    if gx.shape != x.shape or gy.shape != x.shape:
        raise ValueError("cumprod: the gradients' shapes do not fit those of the values")
    for i in range(rows):
        before = x.dtype.type(1)
        for j in range(n):
            gx[i, j] = before
            before *= x[i, j]
        later = x.dtype.type(0)
        for j in range(n - 1, -1, -1):
            later += gy[i, j]
            gx[i, j] *= later
            later *= x[i, j]


def product_of_others(x, gy):
    """``gy`` times the product of all other elements of the row, for each element.

    Args:
        x: ``(rows, n)``, floating.
        gy: ``(rows,)``, of the same dtype.

    Returns:
        array: ``(rows, n)``.
    """
    if type(x) is np.ndarray and x.dtype in COMPILED:
        gx = np.empty(x.shape, x.dtype)
        product_of_others_to(np.ascontiguousarray(x), np.ascontiguousarray(gy), gx)
        return gx
    return gy[:, None] * _product_before(x) * _product_before(x[:, ::-1])[:, ::-1]


def cumprod_grad(x, gy):
    """The gradient of the cumulative products of each row.

    Args:
        x: ``(rows, n)``, floating.
        gy: of the same shape and dtype.

    Returns:
        array: ``(rows, n)``.
    """
    if type(x) is np.ndarray and x.dtype in COMPILED:
        gx = np.empty(x.shape, x.dtype)
        cumprod_backward(np.ascontiguousarray(x), np.ascontiguousarray(gy), gx)
        return gx
    later = gy.copy()
    for j in range(x.shape[1] - 2, -1, -1):
        later[:, j] += x[:, j + 1] * later[:, j + 1]
    return _product_before(x) * later


def _product_before(x):
    """The product of the elements before each one in its row."""
    xp = get_array_module(x)
    ones = xp.ones((len(x), 1), x.dtype)
    return xp.concatenate([ones, x], axis=1)[:, : x.shape[1]].cumprod(axis=1)
