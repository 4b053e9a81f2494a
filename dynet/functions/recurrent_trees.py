"""Recurrent cells that join several states to one: those of a tree node's children."""

from ..function import Function
from ..kernels import recurrent_trees as kernels
from ..variable import Variable
from .activation import sigmoid, tanh
from .checks import check_floating
from .joining import split_axis

__all__ = ["slstm", "tree_lstm"]


class TreeLSTM(Function):
    """``c = sigmoid(i) * tanh(g) + sum of sigmoid(f_n) * c_n``, ``h = sigmoid(o) * tanh(c)``"""

    __slots__ = ()

    def forward(self, *cs_and_x):
        *cs, x = cs_and_x
        try:
            units, dtype = cs[0].shape, cs[0].dtype
            fits = (
                len(units) > 1
                and x.shape == (units[0], (3 + len(cs)) * units[1], *units[2:])
                and x.dtype == dtype
                and dtype.kind == "f"
                and all([c.shape == units and c.dtype == dtype for c in cs])
            )
        except AttributeError:
            fits = False
        if not fits:
            raise _why_not_tree_lstm(cs, x)
        c, h, gates = kernels.tree_lstm(cs, x)
        self.save(*cs, x, c, gates)
        return c, h

    def backward(self, gc, gh):
        *cs, _, c, gates = self.saved
        gcs, gx = kernels.tree_lstm_grad(cs, c, gates, gc, gh)
        return (*gcs, gx)

    def plain(self, *cs_and_x):
        """The same in ordinary functions."""
        *cs, x = cs_and_x
        i, *fs, g, o = split_axis(x, 3 + len(cs), axis=1)
        c = sigmoid(i) * tanh(g)
        for f, before in zip(fs, cs, strict=True):
            c = c + sigmoid(f) * before
        return c, sigmoid(o) * tanh(c)


def _why_not_tree_lstm(cs, x):
    """The error for arguments that are no cells and their gates."""
    named = {f"c{n}": c for n, c in enumerate(cs, 1)}
    check_floating("tree_lstm", **named, x=x)
    units = cs[0].shape
    if len(units) < 2:
        return ValueError(f"tree_lstm: c1 has shape {units}, expected (N, H, ...) (x: {x.shape})")
    for name, c in named.items():
        if c.shape != units:
            return ValueError(
                f"tree_lstm: {name} has shape {c.shape}, expected {units}, the shape of c1"
            )
    expected = units[0], (3 + len(cs)) * units[1], *units[2:]
    return ValueError(
        f"tree_lstm: x has shape {x.shape}, expected {expected}, the {3 + len(cs)} blocks that go "
        f"with {len(cs)} arrays of cells (c1: {units})"
    )


def tree_lstm(*cs_and_x) -> tuple[Variable, Variable]:
    """One node of a tree of LSTMs: ``tree_lstm(c1, ..., cN, x)``.

    The node's state is made of those of its children, as that of ``lstm`` is of the one before: it
    has a forget gate for each of them. ``x`` is blocks ``i, f_1, ..., f_N, g, o``, one behind the
    other; mostly it is the sum of a linear map of the node's input and one of every child's ``h``.
    With one child this is ``lstm``. ::

        c = sigmoid(i) * tanh(g) + sigmoid(f_1) * c_1 + ... + sigmoid(f_N) * c_N
        h = sigmoid(o) * tanh(c)

    A node with fewer children than the others has zeros for the cells of those it lacks.

    Chainer 7's ``tree_lstm`` takes blocks too (as its ``lstm`` does not), in the order ``g, i, o,
    f_1, ..., f_N``.

    Args:
        cs_and_x: the children's cells, at least one array, ``(N, H)``, or ``(N, H, ...)`` with any
            further axes, floating; and last the blocks ``x``, ``(N, (3 + children) * H)`` or
            ``(N, (3 + children) * H, ...)``, of the same dtype.

    Returns:
        tuple of Variable: ``c`` and ``h``, of the shape of the children's cells.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: no cells were given, or the dtypes are not one and the same floating dtype.

    Source: Tai, Socher, Manning, "Improved Semantic Representations From Tree-Structured Long
    Short-Term Memory Networks", 2015, https://arxiv.org/abs/1503.00075: its N-ary Tree-LSTM.

    >>> import numpy as np, dynet.functions as F
    >>> c1, c2, x = np.array([[2.0]]), np.array([[3.0]]), np.array([[-99.0, 99, 99, 0, -99]])
    >>> c, h = F.tree_lstm(c1, c2, x)
    >>> c.array, h.array.round(3)
    (array([[5.]]), array([[0.]]))
    """
    if len(cs_and_x) < 2:
        raise TypeError(
            f"tree_lstm: got {len(cs_and_x)} arguments, expected the cells of at least one child, "
            "and x"
        )
    return TreeLSTM().apply(*cs_and_x)


class SLSTM(Function):
    """The same with two children, where each has an ``x`` of its own"""

    __slots__ = ()

    def forward(self, c1, c2, x1, x2):
        try:
            units, sums = c1.shape, x1.shape
            fits = (
                len(units) > 1
                and c2.shape == units
                and sums == (units[0], 4 * units[1], *units[2:])
                and x2.shape == sums
                and c1.dtype == c2.dtype == x1.dtype == x2.dtype
                and c1.dtype.kind == "f"
            )
        except AttributeError:
            fits = False
        if not fits:
            raise _why_not_slstm(c1, c2, x1, x2)
        c, h, gates = kernels.slstm(c1, c2, x1, x2)
        self.save(c1, c2, x1, x2, c, gates)
        return c, h

    def backward(self, gc, gh):
        c1, c2, _, _, c, gates = self.saved
        return kernels.slstm_grad(c1, c2, c, gates, gc, gh)

    def plain(self, c1, c2, x1, x2):
        """The same in ordinary functions."""
        i1, f1, g1, o1 = split_axis(x1, 4, axis=1)
        i2, f2, g2, o2 = split_axis(x2, 4, axis=1)
        c = sigmoid(f1) * c1 + sigmoid(f2) * c2 + sigmoid(i1 + i2) * tanh(g1 + g2)
        return c, sigmoid(o1 + o2) * tanh(c)


def _why_not_slstm(c1, c2, x1, x2):
    """The error for arguments that are no cells and their gates."""
    check_floating("slstm", c1=c1, c2=c2, x1=x1, x2=x2)
    units = c1.shape
    if len(units) < 2:
        return ValueError(f"slstm: c1 has shape {units}, expected (N, H, ...) (x1: {x1.shape})")
    if c2.shape != units:
        return ValueError(f"slstm: c2 has shape {c2.shape}, expected {units}, the shape of c1")
    expected = units[0], 4 * units[1], *units[2:]
    name, came = ("x1", x1) if x1.shape != expected else ("x2", x2)
    return ValueError(
        f"slstm: {name} has shape {came.shape}, expected {expected}, four gates for each cell "
        f"(c1: {units}, x1: {x1.shape}, x2: {x2.shape})"
    )


def slstm(c1, c2, x1, x2) -> tuple[Variable, Variable]:
    """One node of a binary tree of LSTMs, where what goes into the gates comes from each child.

    ``x1`` and ``x2`` are four blocks ``i, f, g, o`` each, as for ``lstm``. The forget gates are a
    child's own; into the other gates goes the sum of both. ::

        c = sigmoid(i1 + i2) * tanh(g1 + g2) + sigmoid(f1) * c1 + sigmoid(f2) * c2
        h = sigmoid(o1 + o2) * tanh(c)

    Chainer 7's ``slstm`` takes the four numbers of a unit side by side, as its ``lstm`` does; see
    ``lstm`` for how to put them in order. It documents the formula above, as in the paper, but
    computes ``sigmoid(i1) * tanh(g1) + sigmoid(i2) * tanh(g2)`` in place of the first product.

    Args:
        c1, c2: the children's cells, ``(N, H)``, or ``(N, H, ...)`` with any further axes;
            floating.
        x1, x2: the blocks, ``(N, 4H)`` or ``(N, 4H, ...)``, of the dtype of the cells.

    Returns:
        tuple of Variable: ``c`` and ``h``, of the shape of ``c1``.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the dtypes are not one and the same floating dtype.

    Source: Zhu, Sobhani, Guo, "Long Short-Term Memory Over Tree Structures", 2015,
    https://arxiv.org/abs/1503.04881

    >>> import numpy as np, dynet.functions as F
    >>> x = np.array([[-99.0, 99, 0, -99]])
    >>> c, h = F.slstm(np.array([[2.0]]), np.array([[3.0]]), x, x)
    >>> c.array, h.array.round(3)
    (array([[5.]]), array([[0.]]))
    """
    return SLSTM().apply(c1, c2, x1, x2)
