"""Rows of a table: looking them up by id, and adding into them."""

import numpy as np
from numba import njit

from ..backend import StandIn, get_array_module
from .arithmetic import compiled, run, runnable


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
    sum_rows_to(x, y)
    return y


def scatter_add(ids, gy, table):
    """Add the rows of ``gy`` (N, out) into the rows ``ids`` (N,) of ``table``, in place.

    The look-up has checked the ids; one that was overwritten since, and now lies outside the
    table, is passed over. Debug mode keeps ids from being overwritten.
    """
    if compiled(table):
        scatter_rows(ids, gy, table)
    else:
        inside = (ids >= 0) & (ids < len(table))
        get_array_module(table).add.at(table, ids[inside], gy[inside])


def gather(ids, table, ignore=None):
    """The rows ``ids`` (N,) of ``table`` (rows, out): ``(N, out)``; zeros for the id ``ignore``.

    Raises:
        IndexError: an id is outside the table.
    """
    if isinstance(ids, StandIn) and runnable(table):
        outputs = [((ids.size, table.shape[1]), table.dtype)]
        settings = ignore is not None, ignore or 0
        # A table with as many rows as there are ids would be taken for a part of the batch.
        by_rows = len(table) != ids.size
        return run(gather_rows, (ids, table), outputs, settings, by_rows)[0]
    if compiled(table):
        y = np.empty((ids.size, table.shape[1]), table.dtype)
        wrong = gather_rows(ids, table, ignore is not None, ignore or 0, y)
        if wrong >= 0:
            raise _out_of_range(ids[wrong], table)
        return y
    xp = get_array_module(table)
    kept = xp.ones(ids.shape, bool) if ignore is None else ids != ignore
    wrong = kept & ((ids < 0) | (ids >= len(table)))
    if wrong.any():
        raise _out_of_range(int(ids[wrong][0]), table)
    return table[xp.where(kept, ids, 0)] * kept[:, None]


def _out_of_range(id, table):
    return IndexError(
        f"embed_id: x holds the id {id}, expected ids from 0 to {len(table) - 1} (W: {table.shape})"
    )
