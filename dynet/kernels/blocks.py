"""Rows that are blocks beside one another, as the gates of recurrent cells are.

What the kernels of such cells need around them: the axes made two, and as before again; the blocks
told apart, where no kernel takes the arrays.
"""

import math

import numpy as np

from ..backend import get_array_module


def zeros_for_none(gc_next, gh, of_cells, of_output, dtype):
    """The gradients of the cells and of what they put out: zeros for one that is ``None``."""
    if gc_next is None:
        gc_next = get_array_module(gh).zeros(of_cells, dtype)
    if gh is None:
        gh = get_array_module(gc_next).zeros(of_output, dtype)
    return gc_next, gh


def as_matrix(a):
    """The axes behind the first one as one: blocks of them stay blocks."""
    return a if a.ndim == 2 else a.reshape(a.shape[0], math.prod(a.shape[1:]))


def as_before(a, shape):
    """A matrix with the axes that it had."""
    return a if len(shape) == 2 else a.reshape(shape)


def shape_of_blocks(rows, count, shape):
    """The shape of so many blocks beside one another, each of the shape of the units."""
    return (rows, count * shape[1], *shape[2:])


def blocks_of(a, count):
    """The blocks of a matrix whose rows are so many."""
    width = a.shape[1] // count
    return [a[:, k * width : (k + 1) * width] for k in range(count)]


def sigmoid_of(x):
    """The sigmoid of arrays that no kernel takes."""
    return 0.5 * np.tanh(0.5 * x) + 0.5
