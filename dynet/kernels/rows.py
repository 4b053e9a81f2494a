"""Rows of a table: looking them up by id, and adding into them."""

import math

import numpy as np
from numba import njit

from ..backend import StandIn, get_array_module
from .arithmetic import compiled, readable, run, runnable
from .cuda import launch, twin
from .labels import equals, may_look


@njit(cache=True)
def gather_rows(ids, table, ignoring, ignore, y):
    """Row ``ids[i]`` of the table to ``y[i]``; zeros for the id ``ignore``, if ``ignoring``.

    Returns the position of the first id out of range, or -1.
    """
    rows, width = table.shape
    if y.shape != (ids.size, width):
        raise ValueError("embed_id: the output has another shape than the rows")
    for i in range(ids.size):
        row = ids[i]
        if ignoring and row == ignore:
            y[i] = 0
        elif row < 0 or row >= rows:
            return i
        else:
            for j in range(width):
                y[i, j] = table[row, j]
    return -1


@njit(cache=True)
def scatter_rows(ids, gy, table):
    """Add ``gy[i]`` into row ``ids[i]`` of the table; ids outside it are passed over."""
    rows, width = table.shape
    if gy.shape != (ids.size, width):
        raise ValueError("embed_id: the gradient has another shape than the rows")
    for i in range(ids.size):
        row = ids[i]
        if row >= 0 and row < rows:
            for j in range(width):
                table[row, j] += gy[i, j]


# A twin cannot refuse an id that is out of range: it writes NaN.
twin(
    gather_rows,
    "y",
    r"""
template <typename I, typename T> __device__ void gather_rows(
    long long i, Array<I> ids, Array<T> table, bool ignoring, long long ignore, Array<T> y
) {
    long long width = y.shape[1], id = ids[i / width];
    if (ignoring && id == ignore)
        y[i] = T(0);
    else if (id < 0 || id >= table.shape[0])
        y[i] = T(nan(""));
    else
        y[i] = table[id * width + i % width];
}
""",
)

# What several rows add to one row of the table is added in any order: the last digits of the sum
# may differ from run to run. A card older than Pascal (compute capability 6.0) has no such addition
# of float64.
twin(
    scatter_rows,
    "gy",
    r"""
template <typename I, typename T> __device__ void scatter_rows(
    long long i, Array<I> ids, Array<T> gy, Array<T> table
) {
    long long width = gy.shape[1], id = ids[i / width];
    if (id >= 0 && id < table.shape[0]) atomicAdd(&table[id * width + i % width], gy[i]);
}
""",
)


@njit(cache=True)
def sum_rows_to(x, y):
    """The sum of the rows of ``x`` to ``y``."""
    rows, width = x.shape
    if y.size != width:
        raise ValueError("the sum of rows has another width than the rows")
    y[:] = 0
    for i in range(rows):
        for j in range(width):
            y[j] += x[i, j]


def sum_rows(x):
    """The rows of ``x`` (N, out) summed to ``(out,)``; NumPy's own sum takes four times as long."""
    if not compiled(x):
        return x.sum(axis=0)
    y = np.empty(x.shape[1], x.dtype)
    sum_rows_to(readable(x), y)
    return y


def scatter_add(ids, gy, table):
    """Add the rows of ``gy`` (N, out) into the rows ``ids`` (N,) of ``table``, in place.

    The look-up has checked the ids; one that was overwritten since, and now lies outside the
    table, is passed over. Debug mode keeps ids from being overwritten. On a GPU nothing but debug
    mode has checked them, and those outside the table are passed over, too.
    """
    if compiled(table):
        scatter_rows(readable(ids), readable(gy), table)
        return
    if runnable(table):
        into = table if table.flags.c_contiguous else np.zeros_like(table, order="C")
        launch(scatter_rows, (ids, gy), [into])
        if into is not table:
            table += into
        return
    inside = (ids >= 0) & (ids < len(table))
    ids, gy = np.where(inside, ids, 0), np.where(inside[:, None], gy, 0)
    get_array_module(table).add.at(table, ids, gy)


def gather(ids, table, ignore=None):
    """The rows ``ids`` (N,) of ``table`` (rows, out): ``(N, out)``; zeros for the id ``ignore``.

    On a GPU, where looking would make the program wait, an id outside the table gives NaN, unless
    in debug mode.

    Raises:
        IndexError: an id is outside the table.
    """
    if compiled(table):
        y = np.empty((ids.size, table.shape[1]), table.dtype)
        wrong = gather_rows(readable(ids), table, ignore is not None, ignore or 0, y)
        if wrong >= 0:
            raise _out_of_range(ids[wrong], table)
        return y
    look = may_look(table)
    if (not look or isinstance(ids, StandIn)) and runnable(table):
        outputs = [((ids.size, table.shape[1]), table.dtype)]
        settings = ignore is not None, ignore or 0
        # A table with as many rows as there are ids would be taken for a part of the batch.
        by_rows = len(table) != ids.size
        return run(gather_rows, (ids, table), outputs, settings, by_rows)[0]
    xp = get_array_module(table)
    kept = xp.ones(ids.shape, bool) if ignore is None else ~equals(ids, ignore)
    wrong = kept & ((ids < 0) | (ids >= len(table)))
    if look and wrong.any():
        raise _out_of_range(int(ids[wrong][0]), table)
    y = np.where(kept[:, None], table[np.where(kept & ~wrong, ids, 0)], 0)
    return np.where(wrong[:, None], math.nan, y)


def _out_of_range(id, table):
    return IndexError(
        f"embed_id: x holds the id {id}, expected ids from 0 to {len(table) - 1} (W: {table.shape})"
    )
