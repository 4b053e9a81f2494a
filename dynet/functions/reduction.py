"""Reductions: sums, means and their like, over all elements or along some axes."""

import numpy as np

from ..function import Function
from ..variable import Variable
from .numpy_protocol import implements

__all__ = ["mean", "sum"]


class Sum(Function):
    """The sum over some axes, or all"""

    __slots__ = ("axis", "keepdims", "shape", "kept")

    def __init__(self, axis=None, keepdims=False):
        self.axis = axis
        self.keepdims = keepdims

    def forward(self, x):
        self.shape = x.shape
        try:
            y = x.sum(axis=self.axis, keepdims=True)
        except np.exceptions.AxisError:
            raise ValueError(
                f"{self.name.lower()}: axis is {self.axis}, x has {x.ndim} axes (x: {x.shape})"
            ) from None
        self.kept = y.shape
        return y if self.keepdims else y.squeeze(axis=self.axis)

    def backward(self, gy):
        return np.broadcast_to(gy.reshape(self.kept), self.shape)


@implements(np.sum)
def sum(x, axis=None, keepdims: bool = False) -> Variable:
    """The sum of the elements.

    Args:
        x: any shape.
        axis: an axis or a tuple of them; all by default.
        keepdims: whether the summed axes stay, with length 1.

    Raises:
        ValueError: ``x`` has no such axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.sum(np.ones((2, 3)), axis=1).array
    array([3., 3.])
    """
    return Sum(axis, keepdims).apply(x)


class Mean(Sum):
    """The mean over some axes, or all"""

    __slots__ = ("count",)

    def forward(self, x):
        total = super().forward(x)
        if x.size == 0:
            raise ValueError(f"mean: x holds no elements, expected at least one (x: {x.shape})")
        self.count = x.size // total.size
        return total / self.count

    def backward(self, gy):
        return super().backward(gy / self.count)


@implements(np.mean)
def mean(x, axis=None, keepdims: bool = False) -> Variable:
    """The mean of the elements.

    Args:
        x: any shape with at least one element.
        axis: an axis or a tuple of them; all by default.
        keepdims: whether the averaged axes stay, with length 1.

    Raises:
        ValueError: ``x`` has no such axis, or there is nothing to average.

    >>> import numpy as np, dynet.functions as F
    >>> F.mean(np.array([[1.0, 3.0]]), axis=1).array
    array([2.])
    """
    return Mean(axis, keepdims).apply(x)


Variable.sum = sum
Variable.mean = mean
