"""Copies of rows: adding them up again."""

import math

import numpy as np
from numba import njit

from ..backend import get_array_module
from .arithmetic import compiled


@njit(cache=True)
def sum_copies_to(gy, counts, gx):
    """``gx[:, j]`` is the sum of the ``counts[j]`` rows that stand in ``gy`` for row ``j``."""
    outer, rows, inner = gx.shape
    if gy.shape[0] != outer or gy.shape[2] != inner or counts.size != rows:
        raise ValueError("repeat: the gradient has another shape than the copies")
    copies = 0
    for j in range(rows):
        if counts[j] < 0:
            raise ValueError("repeat: a negative number of copies")
        copies += counts[j]
    if copies != gy.shape[1]:
        raise ValueError("repeat: the gradient has another number of rows than the copies")
    zero = gx.dtype.type(0)
    for i in range(outer):
        k = 0
        for j in range(rows):
            if inner == 1:
                total = zero
                for _ in range(counts[j]):
                    total += gy[i, k, 0]
                    k += 1
                gx[i, j, 0] = total
            else:
                gx[i, j] = 0
                for _ in range(counts[j]):
                    for m in range(inner):
                        gx[i, j, m] += gy[i, k, m]
                    k += 1


def sum_copies(gy, counts, axis, rows):
    """The copies that ``repeat`` made along an axis, added up.

    Args:
        gy: an array that has ``counts.sum()`` entries along the axis.
        counts: how many copies there are of each of the ``rows``, int64 ``(rows,)``.

    NumPy's own sums along a short axis take ten times as long.
    """
    shape = (*gy.shape[:axis], rows, *gy.shape[axis + 1 :])
    if compiled(gy):
        gx = np.empty(shape, gy.dtype)
        outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        gy = np.ascontiguousarray(gy).reshape(outer, gy.shape[axis], inner)
        sum_copies_to(gy, counts, gx.reshape(outer, rows, inner))
        return gx
    xp = get_array_module(gy)
    gx = xp.zeros(shape, gy.dtype)
    ids = xp.asarray(np.repeat(np.arange(rows), counts))
    xp.add.at(gx, (slice(None),) * axis + (ids,), gy)
    return gx
