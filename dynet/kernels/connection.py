"""The bias of a linear map."""

import numpy as np
from numba import njit

from .arithmetic import COMPILED


@njit(cache=True)
def add_bias_in_place(y, b):
    rows, width = y.shape
    if b.size != width:
        raise ValueError("linear: b has another size than the output")
    for i in range(rows):
        for j in range(width):
            y[i, j] += b[j]


def add_bias(y, b):
    """``y += b`` for ``y`` (N, out), ``b`` (out,); NumPy's broadcast costs five times as much."""
    if type(y) is np.ndarray and y.dtype in COMPILED:
        add_bias_in_place(y, b)
    else:
        y += b
