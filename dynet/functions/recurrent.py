"""Recurrent cells: the gates between a step's matrix products and its new state.

Those with one state before them; ``recurrent_trees`` has those with several.
"""

from ..function import Function
from ..kernels import recurrent as kernels
from ..kernels import recurrent_peephole as peephole
from ..variable import Variable
from .activation import sigmoid, tanh
from .checks import check_floating
from .joining import concat, split_axis

__all__ = ["gru", "lstm", "peephole_lstm"]


class LSTM(Function):
    """``c_next = sigmoid(f) * c + sigmoid(i) * tanh(g)`` and ``h = sigmoid(o) * tanh(c_next)``"""

    __slots__ = ()

    def forward(self, c, x):
        try:
            units, sums = c.shape, x.shape
            fits = (
                len(units) > 1
                and sums[0] <= units[0]
                and sums[1:] == (4 * units[1], *units[2:])
                and (c.dtype is x.dtype or c.dtype == x.dtype)
                and c.dtype.kind == "f"
            )
        except (AttributeError, IndexError):
            fits = False
        if not fits:
            raise _why_not_lstm(c, x)
        c_next, h, gates = kernels.lstm(c, x)
        self.save(c, x, gates)
        return c_next, h

    def backward(self, gc_next, gh):
        c, _, gates = self.saved
        return kernels.lstm_grad(c, gates, gc_next, gh)

    def plain(self, c, x):
        """The same in ordinary functions."""
        n = x.shape[0]
        i, f, g, o = split_axis(x, 4, axis=1)
        c_next = sigmoid(f) * c[:n] + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c_next)
        return c_next if n == c.shape[0] else concat([c_next, c[n:]], axis=0), h


def _why_not_lstm(c, x):
    """The error for arguments that are no cells and their gates."""
    check_floating("lstm", c=c, x=x)
    return _why_no_cells("lstm", c, x)


def _why_no_cells(function, c, x):
    """The error for shapes that are not those of cells and their gates."""
    if c.ndim < 2:
        return ValueError(f"{function}: c has shape {c.shape}, expected (N, H, ...) (x: {x.shape})")
    if x.ndim == c.ndim and x.shape[0] > c.shape[0] and x.shape[1] == 4 * c.shape[1]:
        return ValueError(
            f"{function}: x has {x.shape[0]} rows, c has {c.shape[0]}; expected as many or fewer "
            f"(c: {c.shape}, x: {x.shape})"
        )
    expected = c.shape[0], 4 * c.shape[1], *c.shape[2:]
    return ValueError(
        f"{function}: x has shape {x.shape}, expected {expected}, four gates for each cell, or "
        f"fewer rows (c: {c.shape})"
    )


def lstm(c, x) -> tuple[Variable, Variable]:
    """One step of long short-term memory: from what goes into the gates to the new state.

    ``x`` is four blocks ``i, f, g, o``, one behind the other, as in PyTorch and Keras: input gate,
    forget gate, what is to be remembered, output gate. Mostly it is
    ``linear(input, W, b) + linear(h, U)``. ::

        c_next = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c_next)

    Chainer 7's ``lstm`` takes the four numbers of a unit side by side, in the order ``g, i, f,
    o``: ``x.reshape(N, H, 4)[:, :, [1, 2, 0, 3]].swapaxes(1, 2).reshape(N, 4 * H)`` makes of its
    ``x`` the one here.

    Args:
        c: the cells, ``(N, H)``, or ``(N, H, ...)`` with any further axes; floating.
        x: the blocks, ``(N, 4H)`` or ``(N, 4H, ...)``, of the dtype of ``c``. It may have fewer
            rows: of sequences sorted by length, the longest first, those that are not over.

    Returns:
        tuple of Variable: ``c_next``, of the shape of ``c``, where the rows that ``x`` lacks are
        those of ``c``; and ``h``, ``(N, H, ...)`` with as many rows as ``x``.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the dtypes are not one and the same floating dtype.

    Source: Hochreiter, Schmidhuber, "Long Short-Term Memory", Neural Computation, 1997; with the
    forget gate of Gers, Schmidhuber, Cummins, "Learning to Forget", Neural Computation, 2000.

    >>> import numpy as np, dynet.functions as F
    >>> c_next, h = F.lstm(np.array([[2.0]]), np.array([[-99.0, 99.0, 0.0, -99.0]]))
    >>> c_next.array, h.array.round(3)
    (array([[2.]]), array([[0.]]))
    """
    return LSTM().apply(c, x)


class PeepholeLSTM(Function):
    """The same, where ``i`` and ``f`` also see ``c`` and ``o`` also sees ``c_next``"""

    __slots__ = ()

    def forward(self, c, x, w):
        try:
            units, sums = c.shape, x.shape
            fits = (
                len(units) > 1
                and sums[0] <= units[0]
                and sums[1:] == (4 * units[1], *units[2:])
                and w.shape == (3, *units[1:])
                and (c.dtype is x.dtype is w.dtype or c.dtype == x.dtype == w.dtype)
                and c.dtype.kind == "f"
            )
        except (AttributeError, IndexError):
            fits = False
        if not fits:
            raise _why_not_peephole_lstm(c, x, w)
        c_next, h, gates = peephole.peephole_lstm(c, x, w)
        self.save(c, x, w, c_next, gates)
        return c_next, h

    def backward(self, gc_next, gh):
        c, _, w, c_next, gates = self.saved
        return peephole.peephole_lstm_grad(c, w, c_next, gates, gc_next, gh)

    def plain(self, c, x, w):
        """The same in ordinary functions."""
        n = x.shape[0]
        before = c[:n]
        i, f, g, o = split_axis(x, 4, axis=1)
        c_next = sigmoid(f + w[1] * before) * before + sigmoid(i + w[0] * before) * tanh(g)
        h = sigmoid(o + w[2] * c_next) * tanh(c_next)
        return c_next if n == c.shape[0] else concat([c_next, c[n:]], axis=0), h


def _why_not_peephole_lstm(c, x, w):
    """The error for arguments that are no cells, their gates and their peepholes."""
    check_floating("peephole_lstm", c=c, x=x, w=w)
    units, sums = c.shape, x.shape
    if len(units) > 1 and sums[1:] == (4 * units[1], *units[2:]) and sums[0] <= units[0]:
        return ValueError(
            f"peephole_lstm: w has shape {w.shape}, expected {(3, *units[1:])}, three peepholes "
            f"for each cell (c: {units})"
        )
    return _why_no_cells("peephole_lstm", c, x)


def peephole_lstm(c, x, w) -> tuple[Variable, Variable]:
    """One step of an LSTM whose gates see the cells: from what goes into the gates to the state.

    ``x`` is four blocks ``i, f, g, o``, as for ``lstm``. Each gate sees its own cell alone: the
    input gate and the forget gate as it was, the output gate as it has become. ::

        c_next = sigmoid(f + w[1] * c) * c + sigmoid(i + w[0] * c) * tanh(g)
        h = sigmoid(o + w[2] * c_next) * tanh(c_next)

    In Chainer 7's ``StatefulPeepholeLSTM`` a gate sees all cells, by a matrix. This is that with
    diagonal matrices, as in Graves's paper.

    Args:
        c: the cells, ``(N, H)``, or ``(N, H, ...)`` with any further axes; floating.
        x: the blocks, ``(N, 4H)`` or ``(N, 4H, ...)``, of the dtype of ``c``. It may have fewer
            rows: of sequences sorted by length, the longest first, those that are not over.
        w: how each cell acts upon its input gate, its forget gate and its output gate, ``(3, H)``
            or ``(3, H, ...)``, of the dtype of ``c``.

    Returns:
        tuple of Variable: ``c_next``, of the shape of ``c``, where the rows that ``x`` lacks are
        those of ``c``; and ``h``, ``(N, H, ...)`` with as many rows as ``x``.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the dtypes are not one and the same floating dtype.

    Source: Gers, Schmidhuber, "Recurrent Nets that Time and Count", 2000; Graves, "Generating
    Sequences With Recurrent Neural Networks", 2013, https://arxiv.org/abs/1308.0850

    >>> import numpy as np, dynet.functions as F
    >>> w = np.array([[0.0], [99.0], [-99.0]])
    >>> c_next, h = F.peephole_lstm(np.array([[2.0]]), np.zeros((1, 4)), w)
    >>> c_next.array, h.array.round(3)
    (array([[2.]]), array([[0.]]))
    """
    return PeepholeLSTM().apply(c, x, w)


class GRU(Function):
    """``h_next = (1 - z) * n + z * h``, with ``z`` and ``n`` of the sums in ``x`` and ``u``"""

    __slots__ = ()

    def forward(self, h, x, u):
        try:
            units, sums = h.shape, x.shape
            fits = (
                len(units) > 1
                and sums == (units[0], 3 * units[1], *units[2:])
                and u.shape == sums
                and (h.dtype is x.dtype is u.dtype or h.dtype == x.dtype == u.dtype)
                and h.dtype.kind == "f"
            )
        except AttributeError:
            fits = False
        if not fits:
            raise _why_not_gru(h, x, u)
        h_next, gates = kernels.gru(h, x, u)
        self.save(h, x, u, gates)
        return h_next

    def backward(self, gh_next):
        h, _, u, gates = self.saved
        return kernels.gru_grad(h, u, gates, gh_next)

    def plain(self, h, x, u):
        """The same in ordinary functions."""
        x_r, x_z, x_n = split_axis(x, 3, axis=1)
        u_r, u_z, u_n = split_axis(u, 3, axis=1)
        r, z = sigmoid(x_r + u_r), sigmoid(x_z + u_z)
        n = tanh(x_n + r * u_n)
        return (1 - z) * n + z * h


def _why_not_gru(h, x, u):
    """The error for arguments that are no units and what goes into their gates."""
    check_floating("gru", h=h, x=x, u=u)
    if h.ndim < 2:
        return ValueError(
            f"gru: h has shape {h.shape}, expected (N, H, ...) (x: {x.shape}, u: {u.shape})"
        )
    expected = h.shape[0], 3 * h.shape[1], *h.shape[2:]
    name, came = ("x", x) if x.shape != expected else ("u", u)
    return ValueError(
        f"gru: {name} has shape {came.shape}, expected {expected}, three gates for each unit "
        f"(h: {h.shape}, x: {x.shape}, u: {u.shape})"
    )


def gru(h, x, u) -> Variable:
    """One step of gated recurrent units: from what goes into the gates to the new state.

    ``x`` is what the input contributes and ``u`` what the state contributes, each three blocks
    ``r, z, n``, one behind the other, as in PyTorch: reset gate, update gate, the new. Mostly
    they are ``linear(input, W, b)`` and ``linear(h, U, bu)``. ::

        r = sigmoid(x_r + u_r)
        z = sigmoid(x_z + u_z)
        n = tanh(x_n + r * u_n)
        h_next = (1 - z) * n + z * h

    The reset gate is multiplied with what the state contributes, as in PyTorch; in the paper, and
    in Chainer 7's ``links.GRU``, with the state, before ``U`` is. The ``z`` of ``links.GRU`` is
    ``1 - z`` here.

    Args:
        h: the state, ``(N, H)``, or ``(N, H, ...)`` with any further axes; floating.
        x, u: the blocks, ``(N, 3H)`` or ``(N, 3H, ...)``, of the dtype of ``h``.

    Returns:
        Variable: ``h_next``, of the shape of ``h``.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the dtypes are not one and the same floating dtype.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation", 2014, https://arxiv.org/abs/1406.1078

    >>> import numpy as np, dynet.functions as F
    >>> x = np.array([[0.0, 99.0, 0.0]])
    >>> F.gru(np.array([[2.0]]), x, x).array
    array([[2.]])
    """
    return GRU().apply(h, x, u)
