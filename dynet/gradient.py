"""How the contributions to one gradient add up, at once or at the end.

In a recurrent network one weight gets a contribution from every time step. Adding each of them
into the weight's gradient as it comes is what most frameworks spend their backward pass on. So
a rule may answer, in place of an array, with a *term* that says what the contribution is: an
outer product, a sum, some rows of a table (see ``terms``). Arrays add up at once; terms wait, and
are totalled together, dozens of small matrix products as one large one.
"""

from operator import is_

from .backend import get_array_module, is_array
from .kernels.product import Turned
from .terms import TERMS, Rows


class Stack:
    """Puts arrays one below the other, and remembers the last result; one for each sweep.

    The weight and the bias of one linear map ask for the same output gradients in a row.
    """

    __slots__ = ("arrays", "stacked", "turned")

    def __init__(self):
        self.arrays = ()
        self.turned = Turned()  # weights that rules multiply by at many steps of the sweep

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

    __slots__ = ("dense", "kind", "owned", "room", "stack", "terms")

    def __init__(self, first, stack):
        self.dense = None
        self.owned = False  # whether `dense` is ours alone, to be added to in place
        self.kind = None  # the type of the terms that wait
        self.terms = []
        self.room = 0
        self.stack = stack
        self.add(first)

    def add(self, gx):
        """Take one more contribution: an array (or, in a recorded sweep, a Variable) or a term."""
        if type(gx) is self.kind:
            self.terms.append(gx)
            if len(self.terms) > self.room:
                self.total()
        elif type(gx) in TERMS:
            self.total()
            self.kind = type(gx)
            self.terms = [gx]
            self.room = gx.room()
        elif self.dense is None:
            self.dense = gx
        elif self.owned:
            self.dense += gx
        else:
            self.dense = self.dense + gx
            self.owned = is_array(self.dense)

    def total(self):
        """The gradient: the sum of all that has arrived."""
        if self.terms:
            into = self.dense
            if into is not None and not self.owned:
                into = into.copy()
            self.dense = self.kind.total(self.terms, into, self.stack)
            self.owned = True
            self.terms = []
        return self.dense


def as_rows(gy):
    """What has arrived for a leaf, if that is but a few rows of its table; else ``None``."""
    if type(gy) is Waiting:
        return Rows.merged(gy.terms) if gy.kind is Rows and gy.dense is None else None
    return Rows.merged([gy]) if type(gy) is Rows else None
