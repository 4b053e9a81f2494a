"""Shapes and indices: functions that move elements about and compute nothing."""

import numpy as np

from ..backend import get_array_module, is_array
from ..function import Function
from ..terms import At
from ..variable import Variable
from .numpy_protocol import implements

__all__ = ["broadcast_to", "get_item", "reshape", "transpose"]


class Reshape(Function):
    """The same elements in another shape"""

    __slots__ = ("shape", "old")

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        self.old = x.shape
        try:
            return x.reshape(self.shape)
        except ValueError:
            raise ValueError(
                f"reshape: x has shape {x.shape}, {x.size} elements, which do not fit {self.shape}"
            ) from None

    def backward(self, gy):
        return gy.reshape(self.old)


class Transpose(Function):
    """The axes in another order"""

    __slots__ = ("axes",)

    def __init__(self, axes=None):
        self.axes = axes

    def forward(self, x):
        try:
            return x.transpose(self.axes)
        except ValueError:
            raise ValueError(
                f"transpose: axes is {self.axes}, expected each of the {x.ndim} axes of x once "
                f"(x: {x.shape})"
            ) from None

    def backward(self, gy):
        if self.axes is None:
            return gy.transpose()
        n = len(self.axes)
        return gy.transpose(*[int(i) for i in np.argsort([axis % n for axis in self.axes])])


class BroadcastTo(Function):
    """The elements repeated along new axes and along those of length 1"""

    __slots__ = ("shape", "old")

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        self.old = np.shape(x)
        try:
            return get_array_module(x).broadcast_to(x, self.shape)
        except ValueError:
            raise ValueError(
                f"broadcast_to: x has shape {self.old}, which does not broadcast to {self.shape}"
            ) from None

    def backward(self, gy):
        return sum_to(gy, self.old)


class GetItem(Function):
    """``x[index]``"""

    __slots__ = ("index", "shape")

    def __init__(self, index):
        self.index = index

    def forward(self, x):
        self.shape = x.shape
        if type(self.index) is not int:
            # Kept under guard in debug mode: an index changed later would misplace the gradient.
            parts = self.index if type(self.index) is tuple else (self.index,)
            self.save(*[part for part in parts if is_array(part)])
        try:
            return x[self.index]
        except IndexError as error:
            raise IndexError(
                f"get_item: the index {self.index} does not fit x {x.shape}: {error}"
            ) from None

    def backward(self, gy):
        return place(gy, self.index, self.shape)


class Place(Function):
    """Zeros of some shape, with ``x`` added at an index: the gradient of ``GetItem``"""

    __slots__ = ("index", "shape")

    def __init__(self, index, shape):
        self.index = index
        self.shape = shape

    def forward(self, x):
        return At.total([At(self.index, x, self.shape)], None, None)

    def backward(self, gy):
        return gy[self.index]


def place(gy, index, shape):
    """The gradient of ``x[index]``: a term in an ordinary sweep, recorded in a recorded one."""
    return Place(index, shape).apply(gy) if isinstance(gy, Variable) else At(index, gy, shape)


def sum_to(x, shape):
    """``x`` summed over the axes that broadcasting added to ``shape`` or stretched.

    For arrays and Variables alike: it undoes a broadcast in backward rules.
    """
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    stretched = [lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1]
    return x.sum(axis=(*range(lead), *stretched), keepdims=True).reshape(shape)


@implements(np.reshape)
def reshape(x, shape) -> Variable:
    """The same elements in another shape.

    Args:
        x: any shape.
        shape (tuple of int): as many elements; one length may be -1, for what is left.

    Raises:
        ValueError: the elements do not fit.

    >>> import numpy as np, dynet.functions as F
    >>> F.reshape(np.zeros((2, 3)), (3, -1)).shape
    (3, 2)
    """
    return Reshape(shape).apply(x)


@implements(np.transpose)
def transpose(x, axes=None) -> Variable:
    """The axes in another order.

    Args:
        x: any shape.
        axes (tuple of int): for each axis of the result, that of ``x``; by default reversed.

    Raises:
        ValueError: ``axes`` does not name each axis once.

    >>> import numpy as np, dynet.functions as F
    >>> F.transpose(np.zeros((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
    """
    return Transpose(axes).apply(x)


@implements(np.broadcast_to)
def broadcast_to(x, shape) -> Variable:
    """The elements repeated as NumPy's broadcasting does.

    Args:
        x: any shape.
        shape (tuple of int): what to broadcast to.

    Raises:
        ValueError: ``x`` does not broadcast to ``shape``.

    >>> import numpy as np, dynet.functions as F
    >>> F.broadcast_to(np.zeros((3, 1)), (2, 3, 4)).shape
    (2, 3, 4)
    """
    return BroadcastTo(tuple(shape)).apply(x)


def get_item(x, index) -> Variable:
    """``x[index]``, with all of NumPy's ways to index.

    Args:
        x: any shape.
        index: integers, slices, ``None``, ``...``, arrays of integers or booleans, or a tuple.

    Raises:
        IndexError: ``x`` has no such element.

    >>> import numpy as np, dynet.functions as F
    >>> F.get_item(np.arange(6.0), slice(1, 3)).array
    array([1., 2.])
    """
    return GetItem(index).apply(x)


def _method_reshape(x, *shape):
    """The same elements in another shape: ``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
    return Reshape(shape[0] if len(shape) == 1 else shape).apply(x)


def _method_transpose(x, *axes):
    """The axes in another order; reversed if none is given."""
    if len(axes) == 1 and not isinstance(axes[0], int):
        (axes,) = axes
    return Transpose(axes or None).apply(x)


def _method_iter(x):
    if x.ndim == 0:
        raise TypeError("iteration over a Variable without axes")
    return (GetItem(i)(x) for i in range(len(x)))


Variable.reshape = _method_reshape
Variable.transpose = _method_transpose
Variable.T = property(lambda x: Transpose()(x), doc="The axes reversed.")
Variable.__getitem__ = get_item
Variable.__iter__ = _method_iter
