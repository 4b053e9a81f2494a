"""Random decisions, drawn inside the kernel that needs them.

A number is a function of a key and a position (``dynet.random``), so it can be drawn again where
a gradient needs it, instead of being kept.
"""

import numpy as np
from numba import njit

from ..backend import StandIn, get_array_module
from .arithmetic import check_compiled, run

# An odd number near 2 ** 64 divided by the golden ratio, and two found by search; from Steele,
# Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014, and Stafford's variant 13 of
# the finalizer, which came to be called SplitMix64.
STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
SECOND_FACTOR = np.uint64(0x94D049BB133111EB)


@njit(cache=True)
def bits(key, position):
    """64 random bits, from a key and a position, both uint64.

    Compiled code calls it for one position; ``bits.py_func`` takes arrays of them.
    """
    z = key + (position + np.uint64(1)) * STEP
    z = (z ^ (z >> np.uint64(30))) * FIRST_FACTOR
    z = (z ^ (z >> np.uint64(27))) * SECOND_FACTOR
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def dropout_to(x, ratio, key, first, y):
    if y.size != x.size:
        raise ValueError("dropout: the output has another size than the input")
    threshold = np.uint64(ratio * 2.0**64)
    dropped, scale = x.dtype.type(0), x.dtype.type(1 / (1 - ratio))
    x, y = x.reshape(-1), y.reshape(-1)
    for i in range(x.size):
        kept = bits(key, first + np.uint64(i)) >= threshold
        y[i] = x[i] * (scale if kept else dropped)


@njit(cache=True)
def zoneout_to(h, x, ratio, key, first, keep, y):
    if h.size != x.size or keep.size != x.size or y.size != x.size:
        raise ValueError("zoneout: the arrays have different sizes")
    threshold = np.uint64(ratio * 2.0**64)
    h, x, keep, y = h.reshape(-1), x.reshape(-1), keep.reshape(-1), y.reshape(-1)
    for i in range(x.size):
        keep[i] = bits(key, first + np.uint64(i)) >= threshold
        y[i] = x[i] if keep[i] else h[i]


def dropout(x, ratio, key, first):
    """``x`` times 0 with probability ``ratio``, else times ``1 / (1 - ratio)``.

    Args:
        x: any shape.
        ratio (float): from 0 up to, not including, 1.
        key, first (numpy.uint64): of the stream; the number at ``first + i`` decides about the
            element ``i``, in C order.
    """
    if isinstance(x, StandIn):
        outputs = [(x.shape, x.dtype)]
        return run(dropout_to, (x,), outputs, (ratio, key, first), by_rows=True)[0]
    if type(x) is not np.ndarray:
        return x * (kept(x, ratio, key, first) / (1 - ratio)).astype(x.dtype)
    check_compiled("dropout", x)
    y = np.empty(x.shape, x.dtype)
    dropout_to(np.ascontiguousarray(x).reshape(-1), ratio, key, first, y.reshape(-1))
    return y


def zoneout(h, x, ratio, key, first):
    """``h`` with probability ``ratio``, else ``x``; and booleans that are true where it is ``x``.

    The arguments are as for ``dropout``; ``h`` is of the shape and dtype of ``x``.
    """
    if isinstance(x, StandIn):
        outputs = [(x.shape, bool), (x.shape, x.dtype)]
        keep, y = run(zoneout_to, (h, x), outputs, (ratio, key, first), by_rows=True)
        return y, keep
    if type(x) is not np.ndarray:
        keep = kept(x, ratio, key, first)
        return get_array_module(x).where(keep, x, h), keep
    check_compiled("zoneout", x)
    y, keep = np.empty(x.shape, x.dtype), np.empty(x.shape, bool)
    h, x = np.ascontiguousarray(h).reshape(-1), np.ascontiguousarray(x).reshape(-1)
    zoneout_to(h, x, ratio, key, first, keep.reshape(-1), y.reshape(-1))
    return y, keep


def kept(x, ratio, key, first):
    """What the kernels draw, as an expression: true with probability ``1 - ratio``, like ``x``."""
    positions = get_array_module(x).arange(x.size, dtype=np.uint64) + first
    return (bits.py_func(key, positions) >= np.uint64(int(ratio * 2.0**64))).reshape(x.shape)
