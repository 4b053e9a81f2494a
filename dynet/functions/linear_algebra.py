"""Linear algebra: products and factors of matrices."""

import numpy as np

from ..backend import is_array
from ..function import Function
from ..variable import Variable
from .array import sum_to
from .numpy_protocol import implements

__all__ = ["matmul"]


class MatMul(Function):
    """``x @ y``, with NumPy's meaning for vectors and for stacks of matrices"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x, y):
        for name, a in ("x", x), ("y", y):
            if not is_array(a) or a.ndim == 0:
                raise TypeError(
                    f"matmul: {name} is {f'an array of shape {a.shape}' if is_array(a) else a!r}, "
                    "expected an array with at least one axis"
                )
        if x.dtype != y.dtype:
            raise TypeError(f"matmul: x is {x.dtype}, y is {y.dtype}, expected one dtype")
        self.save(x, y)
        try:
            return x @ y
        except ValueError:
            raise ValueError(
                f"matmul: x {x.shape} and y {y.shape} do not fit: the last axis of x must be as "
                "long as the last but one of y, and the axes before must broadcast"
            ) from None

    def backward(self, gz):
        x, y = self.saved
        # A vector is a matrix of one row on the left, of one column on the right.
        X = x.reshape(1, -1) if x.ndim == 1 else x
        Y = y.reshape(-1, 1) if y.ndim == 1 else y
        rows = () if x.ndim == 1 else (x.shape[-2],)
        columns = () if y.ndim == 1 else (y.shape[-1],)
        stack = gz.shape[: gz.ndim - len(rows) - len(columns)]
        gz = gz.reshape(*stack, *(rows or (1,)), *(columns or (1,)))
        gx = gy = None
        if self.wants(0):
            gx = sum_to(gz @ _transposed(Y), X.shape).reshape(x.shape)
        if self.wants(1):
            gy = sum_to(_transposed(X) @ gz, Y.shape).reshape(y.shape)
        return gx, gy


def _transposed(x):
    n = x.ndim
    return x.transpose(*range(n - 2), n - 1, n - 2)


@implements(np.matmul)
def matmul(x, y) -> Variable:
    """The matrix product ``x @ y``.

    Args:
        x: ``(..., n, k)`` or a vector ``(k,)``.
        y: ``(..., k, m)`` or a vector ``(k,)``; of the same dtype.

    Returns:
        Variable: ``(..., n, m)``, without the axis that a vector lacks.

    >>> import numpy as np, dynet.functions as F
    >>> F.matmul(np.eye(2), np.array([3.0, 4.0])).array
    array([3., 4.])
    """
    return MatMul().apply(x, y)


Variable.__matmul__ = lambda x, y: MatMul().apply(x, y)
Variable.__rmatmul__ = lambda y, x: MatMul().apply(x, y)
Variable.dot = matmul
