"""Terms: contributions to a gradient that say what they are instead of adding up at once.

Each kind is a class that holds the pieces of one contribution; ``room`` says how many of its like
may wait, ``total`` adds many up, into an array that is there already or a new one. ``gradient``
keeps them until then.
"""

import math

import numpy as np

from .backend import blas_threads_for, get_array_module
from .kernels.indexing import add_at
from .kernels.product import dot
from .kernels.rows import scatter_add, sum_rows

# Terms of one gradient wait until their output gradients hold this many bytes: few enough to
# still be in a core's cache when they are stacked, enough for a product to run at full speed. On a
# GPU the memory sets the bound: there it is the number of calls that counts.
PATIENCE = 1 << 17
PATIENCE_ON_GPU = 1 << 26

# A gradient of rows stays one while the table has this many times as many rows.
SPARSE = 4


def _patience(gy):
    return PATIENCE if type(gy) is np.ndarray else PATIENCE_ON_GPU


class Outer:
    """The gradient of a weight ``W`` in ``y = x @ W.T``: the product ``gy.T @ x``.

    ``x`` is ``(N, in)``, ``gy`` is ``(N, out)``, the total ``(out, in)``.
    """

    __slots__ = ("x", "gy")

    def __init__(self, x, gy):
        self.x = x
        self.gy = gy

    def room(self):
        # A product is worth its while once it does more than write its result.
        result = self.x.shape[1] * self.gy.shape[1] * self.gy.dtype.itemsize
        return max(_patience(self.gy), 4 * result) // max(self.gy.nbytes, 1)

    @staticmethod
    def total(terms, into, stack):
        x = stack([term.x for term in terms])
        gy = stack([term.gy for term in terms])
        # Linear keeps its weights in Fortran order; so is this product.
        if type(gy) is np.ndarray:
            with blas_threads_for(2 * x.size * gy.shape[1]):
                gW = dot(x.T, gy).T
        else:
            gW = (x.T @ gy).T
        if into is None:
            return gW
        into += gW
        return into


class Sum:
    """The gradient of a bias ``b`` in ``y = x + b``: ``gy`` summed over its rows.

    ``gy`` is ``(N, out)``, the total ``(out,)``.
    """

    __slots__ = ("gy",)

    def __init__(self, gy):
        self.gy = gy

    def room(self):
        return _patience(self.gy) // max(self.gy.nbytes, 1)

    @staticmethod
    def total(terms, into, stack):
        gb = sum_rows(stack([term.gy for term in terms]))
        if into is None:
            return gb
        into += gb
        return into


class Rows:
    """The gradient of a table whose rows were looked up: row ``ids[i]`` gets ``gy[i]``.

    ``ids`` is ``(N,)``, integers already checked against the table's length, or on a GPU passed
    over where they are out of range; ``gy`` is
    ``(N, out)``; ``shape``, the table's, is ``(rows, out)``.

    A leaf whose table is much larger than its looked-up rows keeps such a term for a gradient, so
    that a step costs what the rows cost; ``Variable.grad`` makes an array of it when asked.
    """

    __slots__ = ("ids", "gy", "shape")

    def __init__(self, ids, gy, shape):
        self.ids = ids
        self.gy = gy
        self.shape = shape

    def room(self):
        # As long as few rows wait, they may stay rows.
        table = self.shape[0] * self.shape[1] * self.gy.dtype.itemsize
        return max(_patience(self.gy), table // SPARSE) // max(self.gy.nbytes, 1)

    @staticmethod
    def merged(terms):
        """Many as one in which no row comes twice; ``None`` where an array costs hardly more.

        So it does on a GPU: how many rows there are would have to be waited for.
        """
        first, n = terms[0], sum([len(term.ids) for term in terms])
        if type(first.gy) is not np.ndarray or SPARSE * n > first.shape[0]:
            return None
        ids, place = np.unique(np.concatenate([term.ids for term in terms]), return_inverse=True)
        gy = np.zeros((len(ids), first.shape[1]), first.gy.dtype)
        scatter_add(place, np.concatenate([term.gy for term in terms]), gy)
        return Rows(ids, gy, first.shape)

    # The gradients of several sweeps add up, rows or arrays; NumPy is to leave that to this class.
    __array_ufunc__ = None

    def __add__(self, other):
        merged = Rows.merged([self, other]) if type(other) is Rows else None
        return dense(self) + dense(other) if merged is None else merged

    __radd__ = __add__

    @staticmethod
    def total(terms, into, stack):
        gy = stack([term.gy for term in terms])
        ids = stack([term.ids for term in terms])
        if into is None:
            into = get_array_module(gy).zeros(terms[0].shape, gy.dtype)
        scatter_add(ids, gy, into)
        return into


def dense(gradient):
    """A gradient as an array, which it mostly is already."""
    if type(gradient) is not Rows:
        return gradient
    array = get_array_module(gradient.gy).zeros(gradient.shape, gradient.gy.dtype)
    scatter_add(gradient.ids, gradient.gy, array)
    return array


class At:
    """The gradient of ``x`` in ``y = x[index]``: zeros of ``x``'s shape, with ``gy`` at the index.

    A loop over the steps of one array sends one such term a step; each is added in its place,
    so that the loop costs what the steps cost, not what the whole array costs at every step.
    """

    __slots__ = ("index", "gy", "shape")

    def __init__(self, index, gy, shape):
        self.index = index
        self.gy = gy
        self.shape = shape

    def room(self):
        return 0

    @staticmethod
    def total(terms, into, stack):
        xp = get_array_module(terms[0].gy)
        if into is None:
            into = xp.zeros(terms[0].shape, terms[0].gy.dtype)
        for term in terms:
            if is_basic_index(term.index):
                into[term.index] += term.gy
            else:
                add_at(into, term.index, term.gy)  # an index may name a place twice
        return into


def is_basic_index(index) -> bool:
    """Whether NumPy's indexing with ``index`` names each place at most once (a view)."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None
        or part is Ellipsis
        or isinstance(part, slice)
        or (isinstance(part, (int, np.integer)) and not isinstance(part, bool))
        for part in parts
    )


class Part:
    """The gradient of one output of a function that has several; the total is a tuple of all.

    An output that nothing was computed from gets ``None``.
    """

    __slots__ = ("index", "n", "gy")

    def __init__(self, index, n, gy):
        self.index = index
        self.n = n
        self.gy = gy

    def room(self):
        return math.inf  # they are no work to add up, and wait only for each other

    @staticmethod
    def total(terms, into, stack):
        gys = [None] * terms[0].n
        for term in terms:
            i = term.index
            gys[i] = term.gy if gys[i] is None else gys[i] + term.gy
        return tuple(gys)


# The types by which a sweep tells a term from an array.
TERMS = frozenset((Outer, Sum, Rows, At, Part))
