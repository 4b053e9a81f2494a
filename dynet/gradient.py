"""How the contributions to one gradient add up.

In a recurrent network one weight gets a contribution from every time step. Adding each of them
into the weight's gradient as it comes is what most frameworks spend their backward pass on. So
a rule may answer, in place of an array, with a *term* that says what the contribution is: an
outer product, a sum, some rows of a table. Arrays add up at once; terms wait, and are totalled
together, a few hundred small matrix products as one large one.

Every kind of term is a class that holds the pieces of one contribution; ``room`` says how many
like it may wait, ``total`` adds them up. ``Waiting`` is what has arrived for one gradient so far.
"""

from operator import is_

import numpy as np

from .backend import blas_threads_for, get_array_module, is_array
from .kernels.rows import scatter_add, sum_rows

# Terms of one gradient wait until their output gradients hold this many bytes: few enough to
# still be in a core's cache when they are stacked, enough for a product to run at full speed.
PATIENCE = 1 << 18


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
        return max(PATIENCE, 4 * result) // max(self.gy.nbytes, 1)

    @staticmethod
    def total(terms, into, stack):
        x = stack([term.x for term in terms])
        gy = stack([term.gy for term in terms])
        with blas_threads_for(2 * x.size * gy.shape[1]):
            # Linear keeps its weights in Fortran order; so is this product.
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
        return PATIENCE // max(self.gy.nbytes, 1)

    @staticmethod
    def total(terms, into, stack):
        gb = sum_rows(stack([term.gy for term in terms]))
        if into is None:
            return gb
        into += gb
        return into


class Rows:
    """The gradient of a table whose rows were looked up: row ``ids[i]`` gets ``gy[i]``.

    ``ids`` is ``(N,)``, integers already checked against the table's length; ``gy`` is
    ``(N, out)``; ``shape``, the table's, is ``(rows, out)``.
    """

    __slots__ = ("ids", "gy", "shape")

    def __init__(self, ids, gy, shape):
        self.ids = ids
        self.gy = gy
        self.shape = shape

    def room(self):
        return PATIENCE // max(self.gy.nbytes, 1)

    @staticmethod
    def total(terms, into, stack):
        gy = stack([term.gy for term in terms])
        ids = stack([term.ids for term in terms])
        if into is None:
            into = get_array_module(gy).zeros(terms[0].shape, gy.dtype)
        scatter_add(ids, gy, into)
        return into


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
                xp.add.at(into, term.index, term.gy)  # an index may name a place twice
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
        return self.n  # one an output: they only wait for each other

    @staticmethod
    def total(terms, into, stack):
        gys = [None] * terms[0].n
        for term in terms:
            gys[term.index] = term.gy
        return tuple(gys)


TERMS = frozenset((Outer, Sum, Rows, At, Part))


class Stack:
    """Puts arrays one below the other, and remembers the last result.

    The weight and the bias of one linear map ask for the same output gradients one after the
    other; they are copied once.
    """

    __slots__ = ("arrays", "stacked")

    def __init__(self):
        self.arrays = ()

    def __call__(self, arrays):
        if len(arrays) == 1:
            return arrays[0]
        if len(arrays) != len(self.arrays) or not all(map(is_, arrays, self.arrays)):
            self.stacked = get_array_module(arrays[0]).concatenate(arrays)
            self.arrays = arrays
        return self.stacked


class Waiting:
    """What has arrived for one gradient: an array so far, and terms that wait to be added to it.

    Args:
        first: the first contribution.
        stack: the sweep's ``Stack``.
    """

    __slots__ = ("dense", "owned", "terms", "room", "stack")

    def __init__(self, first, stack):
        self.dense = None
        self.owned = False  # whether `dense` is ours alone, to be added to in place
        self.terms = []
        self.room = 0
        self.stack = stack
        self.add(first)

    def add(self, gx):
        """Take one more contribution: an array (or, in a recorded sweep, a Variable) or a term."""
        terms = self.terms
        if type(gx) not in TERMS:
            if self.dense is None:
                self.dense = gx
            elif self.owned:
                self.dense += gx
            else:
                self.dense = self.dense + gx
                self.owned = is_array(self.dense)
            return
        if not terms or type(gx) is not type(terms[0]):
            self.settle()
            terms = self.terms
            self.room = gx.room()
        terms.append(gx)
        if len(terms) > self.room:
            self.settle()

    def settle(self):
        """Total the terms that wait."""
        if self.terms:
            into = self.dense
            if into is not None and not self.owned:
                into = into.copy()
            self.dense = type(self.terms[0]).total(self.terms, into, self.stack)
            self.owned = True
            self.terms = []

    def total(self):
        """The gradient: the sum of all that has arrived."""
        self.settle()
        return self.dense
