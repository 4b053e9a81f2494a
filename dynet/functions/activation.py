"""Activations."""

from ..function import Function
from ..kernels.activation import relu as relu_kernel
from ..kernels.activation import relu_grad
from ..variable import Variable

__all__ = ["relu"]


class ReLU(Function):
    """``max(x, 0)``"""

    __slots__ = ()
    saves = (-1,)

    def forward(self, x):
        y = relu_kernel(x)
        self.save(y)
        return y

    def backward(self, gy):
        (y,) = self.saved
        return relu_grad(y, gy)  # gy * (y > 0)


def relu(x) -> Variable:
    """``max(x, 0)`` of each element; the gradient at 0 is 0.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.relu(np.array([-1.0, 2.0])).array
    array([0., 2.])
    """
    return ReLU().apply(x)
