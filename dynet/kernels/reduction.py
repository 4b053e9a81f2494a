"""Reductions: products along rows, right also where elements are 0; the largest along an axis."""

import math

import numpy as np
from numba import njit

from ..backend import get_array_module
from .arithmetic import compiled, readable, run, runnable
from .cuda import twin

# NumPy begins a loop anew for each stretch that it reduces. If they are no longer than this, that
# takes more of its time than the elements do.
SHORT = 32


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


# A warp takes 32 elements of a row at a time, and each of its threads goes through all of them, so
# that the products are taken in the order of the loops above: no other would do where one of them
# is too large a number. What is no element counts as 1, or as a gradient of 0. Both twins begin
# with the products before each element, and may come to stand in one source.
PRODUCTS_BEFORE = r"""
#ifndef DYNET_PRODUCTS_BEFORE
#define DYNET_PRODUCTS_BEFORE
// A number times the elements of a row before each one, by a warp.
template <typename T> __device__ void products_before(
    T before, Array<T> x, long long start, long long n, int lane, Array<T> y
) {
    for (long long j = lane; j - lane < n; j += 32) {
        T mine = j < n ? x[start + j] : T(1), mine_before = before;
        for (int other = 0; other < 32; other++) {
            if (other == lane) mine_before = before;
            before *= __shfl_sync(0xffffffffu, mine, other);
        }
        if (j < n) y[start + j] = mine_before;
    }
}
#endif
"""

twin(
    product_of_others_to,
    "x",
    PRODUCTS_BEFORE
    + r"""
template <typename T> __device__ void product_of_others_to(
    long long row, int lane, Array<T> x, Array<T> gy, Array<T> gx
) {
    long long n = x.shape[1], start = row * n;
    T after = 1;
    products_before(gy[row], x, start, n, lane, gx);
    for (long long j = (n + 31) / 32 * 32 - 32 + lane; j >= 0; j -= 32) {
        T mine = j < n ? x[start + j] : T(1), mine_after = after;
        for (int other = 31; other >= 0; other--) {
            if (other == lane) mine_after = after;
            after *= __shfl_sync(0xffffffffu, mine, other);
        }
        if (j < n) gx[start + j] *= mine_after;
    }
}
""",
    by_rows=True,
)

twin(
    cumprod_backward,
    "x",
    PRODUCTS_BEFORE
    + r"""
template <typename T> __device__ void cumprod_backward(
    long long row, int lane, Array<T> x, Array<T> gy, Array<T> gx
) {
    long long n = x.shape[1], start = row * n;
    T later = 0;
    products_before(T(1), x, start, n, lane, gx);
    for (long long j = (n + 31) / 32 * 32 - 32 + lane; j >= 0; j -= 32) {
        T mine = j < n ? x[start + j] : T(1), mine_gy = j < n ? gy[start + j] : T(0);
        T mine_later = later;
        for (int other = 31; other >= 0; other--) {
            later += __shfl_sync(0xffffffffu, mine_gy, other);
            if (other == lane) mine_later = later;
            later *= __shfl_sync(0xffffffffu, mine, other);
        }
        if (j < n) gx[start + j] *= mine_later;
    }
}
""",
    by_rows=True,
)


@njit(cache=True, error_model="numpy")
def extreme_to(x, sign, y):
    """The largest ``sign * x[i, :, k]``, times ``sign``, to ``y[i, k]``; NaN if there is one."""
    outer, n, inner = x.shape
    if n == 0 or y.shape != (outer, inner):
        raise ValueError("max: the output's shape does not fit the input's")
    for i in range(outer):
        for k in range(inner):
            y[i, k] = x[i, 0, k]
        for j in range(1, n):
            for k in range(inner):
                v, best = x[i, j, k], y[i, k]
                # Without `or`, which jumps: where to is not to be foreseen.
                y[i, k] = v if (sign * v > sign * best) | (v != v) else best


@njit(cache=True, error_model="numpy")
def share_to(x, y, gy, sign, gx):
    """``gy[i, k]``, in even shares, to ``gx[i, j, k]`` for those j that nothing beats."""
    outer, n, inner = x.shape
    if y.shape != (outer, inner) or gy.shape != y.shape or gx.shape != x.shape:
        raise ValueError("max: the gradients' shapes do not fit the input's")
    equals, zero = np.empty(inner, x.dtype), x.dtype.type(0)
    for i in range(outer):
        equals[:] = 0
        for j in range(n):
            for k in range(inner):
                equals[k] += not sign * x[i, j, k] < sign * y[i, k]
        for k in range(inner):
            equals[k] = gy[i, k] / equals[k]
        for j in range(n):
            for k in range(inner):
                beaten = sign * x[i, j, k] < sign * y[i, k]
                gx[i, j, k] = zero if beaten else equals[k]


def is_short(x, axis) -> bool:
    """Whether ``extreme`` is faster along this axis than NumPy is."""
    along = type(axis) is int and -x.ndim <= axis < x.ndim
    return along and 0 < x.shape[axis] <= SHORT and compiled(x)


def _around(x, axis):
    """A contiguous array as a view ``(outer, n, inner)``, n along the axis."""
    outer = math.prod(x.shape[:axis])
    inner = math.prod(x.shape[axis + 1 :])
    x = x.reshape(outer, x.shape[axis], inner)
    # The innermost loop should be a long one.
    return x.transpose(2, 1, 0) if inner < outer else x


def extreme(x, axis, sign):
    """The largest along an axis (the smallest, if ``sign`` is -1), which stays, with length 1."""
    axis %= x.ndim
    y = np.empty((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
    extreme_to(_around(readable(x), axis), x.dtype.type(sign), _around(y, axis)[:, 0])
    return y


def extreme_grad(x, y, gy, axis, sign):
    """The gradient of the largest along some axes, of the smallest, if ``sign`` is -1.

    Args:
        x: any shape.
        y, gy: what came of it and its gradient; the reduced axes are there, with length 1.
        axis: an integer, a tuple of them, or ``None``.
    """
    if is_short(x, axis) and compiled(y, gy):
        axis %= x.ndim
        gx = np.empty(x.shape, x.dtype)
        x, y, gy = [_around(readable(a), axis) for a in (x, y, gy)]
        share_to(x, y[:, 0], gy[:, 0], x.dtype.type(sign), _around(gx, axis))
        return gx
    # Not the equal ones: where the value is NaN nothing equals it, and all get a share.
    chosen = ~(x < y if sign > 0 else x > y)
    equals = chosen.sum(axis=axis, keepdims=True).astype(gy.dtype)
    return gy / equals * chosen


def product_of_others(x, gy):
    """``gy`` times the product of all other elements of the row, for each element.

    Args:
        x: ``(rows, n)``, floating.
        gy: ``(rows,)``, of the same dtype.

    Returns:
        array: ``(rows, n)``.
    """
    if runnable(x, gy):
        return run(product_of_others_to, (x, gy), [(x.shape, x.dtype)], by_rows=True)[0]
    return gy[:, None] * _product_before(x) * _product_before(x[:, ::-1])[:, ::-1]


def cumprod_grad(x, gy):
    """The gradient of the cumulative products of each row.

    Args:
        x: ``(rows, n)``, floating.
        gy: of the same shape and dtype.

    Returns:
        array: ``(rows, n)``.
    """
    if runnable(x, gy):
        return run(cumprod_backward, (x, gy), [(x.shape, x.dtype)], by_rows=True)[0]
    later = gy.copy()
    for j in range(x.shape[1] - 2, -1, -1):
        later[:, j] += x[:, j + 1] * later[:, j + 1]
    return _product_before(x) * later


def _product_before(x):
    """The product of the elements before each one in its row."""
    xp = get_array_module(x)
    ones = xp.ones((len(x), 1), x.dtype)
    return xp.concatenate([ones, x], axis=1)[:, : x.shape[1]].cumprod(axis=1)
