"""Linear maps and look-ups: where the parameters are."""

import math

import numpy as np

from ..backend import StandIn, is_array, is_cupy
from ..function import Function
from ..kernels.connection import add_bias
from ..kernels.labels import equals
from ..kernels.product import dot, dot_again
from ..kernels.rows import gather
from ..terms import Outer, Rows, Sum
from ..variable import Variable
from .array import reshape
from .checks import check_floating, check_ndim, check_shape
from .indexing import place

__all__ = ["bilinear", "embed_id", "linear"]


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
            y = dot(flat, W.T)
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
            gx = dot_again(gy, W)
            if flat is not x:
                gx = gx.reshape(x.shape)
        gW = None if self.inputs[1] is None else Outer(flat, gy)
        return (gx, gW) if len(self.inputs) == 2 else (gx, gW, Sum(gy))

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
            looked_up = ~equals(ids, self.ignore_label)
            if isinstance(gy, StandIn) or is_cupy(ids):
                # As many rows whatever the ids are; nobody has to look at these.
                ids = np.where(looked_up, ids.astype(np.int64), -1)  # -1 is no row of the table
                gy = np.where(looked_up[:, None], gy, 0)
            else:
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
        IndexError: an id lies outside the table. On a GPU, where looking would make the program
            wait, such an id gives NaN instead, and gets no gradient, unless in debug mode.
        TypeError: ``x`` holds no integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.embed_id(np.array([2, 0]), np.eye(3)).array
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    return EmbedID(ignore_label).apply(x, W)


def bilinear(e1, e2, W, V1=None, V2=None, b=None) -> Variable:
    """What is linear in each of two inputs: the sum over j, k of ``e1[j] e2[k] W[j, k]``, and more.

    ``y = e1 W e2 + e1 @ V1 + e2 @ V2 + b``, where any of the three last may be missing (Socher et
    al., Reasoning With Neural Tensor Networks, NIPS 2013).

    Args:
        e1: ``(N, J)``, or ``(N, ...)``, whose other axes together have J elements.
        e2: ``(N, K)``, or likewise.
        W: ``(J, K, L)``, all of one floating dtype.
        V1: ``(J, L)``, or ``None``.
        V2: ``(K, L)``, or ``None``.
        b: ``(L,)``, or ``None``.

    Returns:
        Variable: ``(N, L)``.

    Raises:
        ValueError: the shapes do not fit each other.
        TypeError: the dtypes differ, or an argument is no array.

    >>> import numpy as np, dynet.functions as F
    >>> e1, e2 = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
    >>> F.bilinear(e1, e2, np.ones((2, 2, 1))).array
    array([[21.]])
    """
    named = {"e1": e1, "e2": e2, "W": W, "V1": V1, "V2": V2, "b": b}
    given = {name: a for name, a in named.items() if a is not None or name in ("e1", "e2", "W")}
    check_floating("bilinear", **given)
    check_ndim("bilinear", 3, W=W)
    J, K, L = W.shape
    e1, e2 = _features("e1", e1, J, W), _features("e2", e2, K, W)
    n = len(e1)
    if len(e2) != n:
        raise ValueError(
            f"bilinear: e1 has {n} rows, e2 has {len(e2)}, expected as many (e1: {e1.shape}, "
            f"e2: {e2.shape})"
        )
    for name, shape in ("V1", (J, L)), ("V2", (K, L)), ("b", (L,)):
        if name in given:
            check_shape("bilinear", shape, **{name: given[name]})
    products = e1.reshape(n, J, 1) * e2.reshape(n, 1, K)
    y = products.reshape(n, J * K) @ W.reshape(J * K, L)
    if V1 is not None:
        y = y + e1 @ V1
    if V2 is not None:
        y = y + e2 @ V2
    return y if b is None else y + b


def _features(name, e, size, W):
    """Rows of features, all axes but the first as one."""
    if e.ndim < 2 or math.prod(e.shape[1:]) != size:
        raise ValueError(
            f"bilinear: {name} has shape {e.shape}, expected (N, {size}), or as many features on "
            f"several axes (W: {W.shape})"
        )
    return reshape(e, (e.shape[0], size))
