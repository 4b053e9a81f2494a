"""Random decisions, drawn inside the kernel that needs them.

A number is a function of a key and a position (``dynet.random``), so it can be drawn again where
a gradient needs it, instead of being kept.
"""

import numpy as np
from numba import njit

from .arithmetic import check_compiled, readable, run
from .cuda import twin

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


# `bits` in CUDA. Two twins have it with them, and may come to stand in one source.
BITS = f"""
#ifndef DYNET_BITS
#define DYNET_BITS
__device__ inline unsigned long long bits(unsigned long long key, unsigned long long position) {{
    unsigned long long z = key + (position + 1) * {STEP}ull;
    z = (z ^ (z >> 30)) * {FIRST_FACTOR}ull;
    z = (z ^ (z >> 27)) * {SECOND_FACTOR}ull;
    return z ^ (z >> 31);
}}
__device__ inline bool is_kept(
    double ratio, unsigned long long key, unsigned long long position
) {{
    return bits(key, position) >= (unsigned long long)(ratio * 18446744073709551616.0);
}}
#endif
"""

twin(
    dropout_to,
    "y",
    BITS
    + r"""
template <typename T> __device__ void dropout_to(
    long long i, Array<T> x, double ratio, unsigned long long key, unsigned long long first,
    Array<T> y
) {
    y[i] = x[i] * (is_kept(ratio, key, first + i) ? T(1 / (1 - ratio)) : T(0));
}
""",
)

twin(
    zoneout_to,
    "y",
    BITS
    + r"""
template <typename T> __device__ void zoneout_to(
    long long i, Array<T> h, Array<T> x, double ratio, unsigned long long key,
    unsigned long long first, Array<bool> keep, Array<T> y
) {
    keep[i] = is_kept(ratio, key, first + i);
    y[i] = keep[i] ? x[i] : h[i];
}
""",
)


def dropout(x, ratio, key, first):
    """``x`` times 0 with probability ``ratio``, else times ``1 / (1 - ratio)``.

    Args:
        x: any shape.
        ratio (float): from 0 up to, not including, 1.
        key, first (numpy.uint64): of the stream; the number at ``first + i`` decides about the
            element ``i``, in C order.
    """
    check_compiled("dropout", x)
    if not isinstance(x, np.ndarray):
        outputs = [(x.shape, x.dtype)]
        return run(dropout_to, (x,), outputs, (ratio, key, first), by_rows=True)[0]
    y = np.empty(x.shape, x.dtype)
    dropout_to(readable(x).reshape(-1), ratio, key, first, y.reshape(-1))
    return y


def zoneout(h, x, ratio, key, first):
    """``h`` with probability ``ratio``, else ``x``; and booleans that are true where it is ``x``.

    The arguments are as for ``dropout``; ``h`` is of the shape and dtype of ``x``.
    """
    check_compiled("zoneout", x)
    if not isinstance(x, np.ndarray):
        outputs = [(x.shape, bool), (x.shape, x.dtype)]
        keep, y = run(zoneout_to, (h, x), outputs, (ratio, key, first), by_rows=True)
        return y, keep
    y, keep = np.empty(x.shape, x.dtype), np.empty(x.shape, bool)
    h, x = readable(h).reshape(-1), readable(x).reshape(-1)
    zoneout_to(h, x, ratio, key, first, keep.reshape(-1), y.reshape(-1))
    return y, keep
