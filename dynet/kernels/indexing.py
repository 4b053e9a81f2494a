"""Adding where an index names a place twice."""

import numpy as np

from ..backend import get_array_module
from .arithmetic import compiled
from .rows import scatter_rows


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
