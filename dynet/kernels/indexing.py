"""Indices and labels: looking at them, comparing them, adding where they name a place twice.

Who looks at an element of an array on a GPU waits until all that is still to be computed there is
done. So on a GPU labels are looked at in debug mode only; otherwise a wrong one gives NaN.
"""

import numpy as np

from ..backend import get_array_module, is_cupy
from ..config import config
from .arithmetic import compiled
from .rows import scatter_rows


def may_look(*arrays) -> bool:
    """Whether a check may look at elements: of arrays on a GPU in debug mode only."""
    return config.debug or not any([is_cupy(a) for a in arrays])


def equals(t, label):
    """``t == label``, of integers: also where no ``t`` can be that label, which CuPy refuses."""
    bounds = np.iinfo(t.dtype)
    return t == label if bounds.min <= label <= bounds.max else np.zeros_like(t, bool)


def outside(t, n):
    """Whether each of some integers is none of 0 to ``n - 1``."""
    return (t < 0) | (t >= n) if n <= np.iinfo(t.dtype).max else t < 0


def add_at(array, index, values):
    """Add ``values`` to ``array[index]``, in place; a place that is named twice gets both.

    Whole rows by number, the usual case, are added by a kernel: a hundred times as fast as
    NumPy's ``add.at``.

    Args:
        array: any shape.
        index: one of NumPy's indices with arrays, which fits ``array``.
        values: of the shape of ``array[index]``.
    """
    (ids,) = index if type(index) is tuple and len(index) == 1 else (index,)
    if not (
        compiled(array)
        and type(ids) is np.ndarray
        and ids.dtype.kind in "iu"
        and array.ndim > 1
        and array.flags.c_contiguous
        and values.dtype == array.dtype
        and values.size
    ):
        get_array_module(array).add.at(array, index, values)
        return
    ids = ids.reshape(-1).astype(np.int64)
    ids[ids < 0] += len(array)
    values = np.ascontiguousarray(values).reshape(ids.size, -1)
    scatter_rows(ids, values, array.reshape(len(array), -1))
