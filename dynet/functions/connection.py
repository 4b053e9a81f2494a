"""Linear maps and look-ups: where the parameters are."""

import math

import numpy as np

from ..backend import is_array
from ..function import Function
from ..kernels.connection import add_bias
from ..kernels.rows import gather
from ..terms import Outer, Rows, Sum
from ..variable import Variable
from .array import place

__all__ = ["embed_id", "linear"]


class Linear(Function):
    """``x @ W.T + b`` for ``x`` (N, in), ``W`` (out, in), ``b`` (out,)"""

    __slots__ = ("n_batch_axes",)
    saves = (0, 1)

    def __init__(self, n_batch_axes=1):
        self.n_batch_axes = n_batch_axes

    def forward(self, x, W, b=None):
        try:
            flat = x if x.ndim == 2 and self.n_batch_axes == 1 else self._flat(x)
            if W.ndim != 2 or (x.dtype is not W.dtype and x.dtype != W.dtype):
                raise ValueError
            y = flat.dot(W.T)
            if b is not None:
                if b.ndim != 1 or (b.dtype is not y.dtype and b.dtype != y.dtype):
                    raise ValueError
                add_bias(y, b)
        except (AttributeError, ValueError) as error:
            raise _why_not_linear(x, W, b, self.n_batch_axes) from error
        self.save(x, W)
        return y if flat is x else y.reshape(*x.shape[: self.n_batch_axes], len(W))

    def backward(self, gy):
        x, W = self.saved
        flat = x if x.ndim == 2 and self.n_batch_axes == 1 else self._flat(x)
        if flat is not x:
            gy = gy.reshape(len(flat), len(W))
        gx = None
        if self.inputs[0] is not None:
            gx = gy.dot(W)
            if flat is not x:
                gx = gx.reshape(x.shape)
        if len(self.inputs) == 2:
            return gx, Outer(flat, gy)
        return gx, Outer(flat, gy), Sum(gy)

    def _flat(self, x):
        """``x`` with its batch axes as one, and the others as one."""
        k = self.n_batch_axes
        if not 0 < k < x.ndim:
            raise ValueError
        return x.reshape(math.prod(x.shape[:k]), math.prod(x.shape[k:]))


def _why_not_linear(x, W, b, n_batch_axes):
    """The error for arguments that a linear map cannot take."""
    named = {"x": x, "W": W} if b is None else {"x": x, "W": W, "b": b}
    for name, a in named.items():
        if not is_array(a):
            return TypeError(f"linear: {name} is {type(a).__name__}, expected an array")
    shapes = "(" + ", ".join(f"{name}: {a.shape}" for name, a in named.items()) + ")"
    if not 0 < n_batch_axes < x.ndim:
        return ValueError(
            f"linear: x has {x.ndim} axes and n_batch_axes is {n_batch_axes}; expected at least "
            f"one batch axis first, then at least one axis of features {shapes}"
        )
    if W.ndim != 2:
        return ValueError(f"linear: W has {W.ndim} axes, expected 2, (out, in) {shapes}")
    features = math.prod(x.shape[n_batch_axes:])
    if features != W.shape[1]:
        return ValueError(f"linear: x has {features} features, W expects {W.shape[1]} {shapes}")
    if b is not None and b.shape != W.shape[:1]:
        return ValueError(f"linear: b has shape {b.shape}, expected {W.shape[:1]} {shapes}")
    dtypes = ", ".join(f"{name} is {a.dtype}" for name, a in named.items())
    return TypeError(f"linear: {dtypes}; expected one floating dtype {shapes}")


class EmbedID(Function):
    """``W[ids]``, with zeros for an id that is to be ignored"""

    __slots__ = ("ignore_label", "many_axes", "table")
    saves = (0,)

    def __init__(self, ignore_label=None):
        self.ignore_label = ignore_label

    def forward(self, ids, W):
        try:
            if ids.dtype.kind not in "iu":
                raise TypeError(f"embed_id: x is an array of {ids.dtype}, expected integers")
            if W.ndim != 2:
                raise ValueError(f"embed_id: W has shape {W.shape}, expected (ids, out)")
        except AttributeError:
            raise TypeError(
                f"embed_id: x is {type(ids).__name__}, W is {type(W).__name__}, expected arrays"
            ) from None
        self.table = W.shape
        if ids.ndim == 1:
            self.many_axes = False
            self.save(ids)
            return gather(ids, W, self.ignore_label)
        self.many_axes = True
        flat = ids.reshape(-1)
        self.save(flat)
        return gather(flat, W, self.ignore_label).reshape(*ids.shape, W.shape[1])

    def backward(self, gy):
        (ids,) = self.saved
        if self.many_axes:
            gy = gy.reshape(ids.size, self.table[1])
        if self.ignore_label is not None:
            looked_up = ids != self.ignore_label
            gy, ids = gy[looked_up], ids[looked_up]
        if isinstance(gy, Variable):
            return None, place(gy, ids, self.table)
        if ids.dtype.char in "LQ":
            ids = ids.astype(np.int64)  # NumPy cannot put uint64 and int64 together
        return None, Rows(ids, gy, self.table)


def linear(x, W, b=None, n_batch_axes: int = 1) -> Variable:
    """A linear map of the last axes, ``x @ W.T + b``.

    Args:
        x: ``(N, in)``, or ``(N1, ..., Nk, ...)`` with ``n_batch_axes`` = k, whose other axes
            together have ``in`` elements.
        W: ``(out, in)``, of the same floating dtype.
        b: ``(out,)``, or ``None``.
        n_batch_axes: how many axes count examples.

    Returns:
        Variable: ``(N1, ..., Nk, out)``.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the dtypes differ, or an argument is no array.

    >>> import numpy as np, dynet.functions as F
    >>> F.linear(np.ones((2, 3)), np.ones((4, 3)), np.zeros(4)).shape
    (2, 4)
    """
    f = Linear(n_batch_axes)
    return f.apply(x, W) if b is None else f.apply(x, W, b)


def embed_id(x, W, ignore_label: int | None = None) -> Variable:
    """The rows of a table that some ids name: a linear map of their one-hot vectors.

    Args:
        x: ids, integers of any dtype and shape, each from 0 to the table's length - 1.
        W: the table, ``(ids, out)``.
        ignore_label: an id that gives zeros and gets no gradient; it may lie outside the table.

    Returns:
        Variable: of the shape of ``x`` and one more axis, ``out``.

    Raises:
        IndexError: an id lies outside the table.
        TypeError: ``x`` holds no integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.embed_id(np.array([2, 0]), np.eye(3)).array
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    return EmbedID(ignore_label).apply(x, W)
