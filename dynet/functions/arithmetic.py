"""Arithmetic and comparison: the functions behind a Variable's operators.

Operands are Variables, arrays or numbers, and broadcast as in NumPy. A floating operand keeps
its dtype: what NumPy would silently turn from float32 into float64 is an error here.
"""

import operator

import numpy as np

from ..backend import is_array
from ..function import Function
from ..variable import Variable
from .array import sum_to
from .numpy_protocol import implements

__all__ = ["absolute"]


class Binary(Function):
    """What functions of two operands share: making them fit, and undoing it for gradients."""

    __slots__ = ("shapes",)

    def align(self, x, y):
        """The operands, checked; the shapes are kept where a gradient must shrink to them."""
        try:
            if x.shape == y.shape and x.dtype is y.dtype:
                self.shapes = None
                return x, y
        except AttributeError:
            # One of them is a number, which gets no gradient and leaves the other's shape alone.
            if type(x) in (float, int) or type(y) in (float, int):
                self.shapes = None
                return self._operand("x", x), self._operand("y", y)
        x, y = self._operand("x", x), self._operand("y", y)
        dtypes = [a.dtype for a in (x, y) if is_array(a)]
        dtype = np.result_type(*dtypes)
        if any(d.kind == "f" and d != dtype for d in dtypes):
            raise TypeError(
                f"{self.name}: x is {_dtype(x)}, y is {_dtype(y)}, expected one floating dtype; "
                "cast one of them"
            )
        self.shapes = np.shape(x), np.shape(y)
        try:
            np.broadcast_shapes(*self.shapes)
        except ValueError:
            raise ValueError(
                f"{self.name}: x {self.shapes[0]} and y {self.shapes[1]} do not broadcast"
            ) from None
        return x, y

    def _operand(self, name, x):
        if isinstance(x, np.generic):
            return x.item()  # a scalar, as a Python number is: it decides no dtype
        if is_array(x) or isinstance(x, (int, float)):
            return x
        raise TypeError(
            f"{self.name}: {name} is {type(x).__name__}, "
            "expected a Variable, an array or a real number"
        )

    def unbroadcast(self, gx, gy):
        """The gradients of the operands, from those of the operands as they were broadcast."""
        if self.shapes is None:
            return gx, gy
        x_shape, y_shape = self.shapes
        return (
            sum_to(gx, x_shape) if self.wants(0) else None,
            sum_to(gy, y_shape) if self.wants(1) else None,
        )


def _dtype(x):
    return x.dtype if is_array(x) else type(x).__name__


class Add(Binary):
    """``x + y``"""

    __slots__ = ()

    def forward(self, x, y):
        x, y = self.align(x, y)
        return x + y

    def backward(self, gz):
        return (gz, gz) if self.shapes is None else self.unbroadcast(gz, gz)


class Sub(Binary):
    """``x - y``"""

    __slots__ = ()

    def forward(self, x, y):
        x, y = self.align(x, y)
        return x - y

    def backward(self, gz):
        return self.unbroadcast(gz, -gz if self.wants(1) else None)


class Mul(Binary):
    """``x * y``"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        return x * y

    def backward(self, gz):
        x, y = self.saved
        gx = gz * y if self.wants(0) else None
        gy = gz * x if self.wants(1) else None
        return self.unbroadcast(gx, gy)


class Div(Binary):
    """``x / y``"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        return x / y

    def backward(self, gz):
        x, y = self.saved
        gx = gz / y
        gy = -gx * x / y if self.wants(1) else None
        return self.unbroadcast(gx, gy)


class FloorDiv(Binary):
    """``x // y``, flat almost everywhere: it has no gradient"""

    __slots__ = ()

    def forward(self, x, y):
        x, y = self.align(x, y)
        return x // y

    def backward(self, gz):
        return None, None


class Mod(Binary):
    """``x % y``, that is ``x - (x // y) * y``"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        return x % y

    def backward(self, gz):
        x, y = self.saved
        gy = -gz * (x // y) if self.wants(1) else None
        return self.unbroadcast(gz, gy)


class Pow(Binary):
    """``x ** y``"""

    __slots__ = ()
    saves = (0, 1, -1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        z = x**y
        self.save(x, y, z)
        return z

    def backward(self, gz):
        x, y, z = self.saved
        gx = gy = None
        if self.wants(0):
            # 0 ** -1 must not turn the derivative of x ** 0, which is 0, into NaN.
            gx = gz * y * x ** (y - (y != 0))
        if self.wants(1):
            # Where x is 0, z * log(x) tends to 0; log(1) * z is there without a detour.
            positive = x + (x == 0)
            log = np.log(positive)
            gy = gz * z * (log if is_array(x) or isinstance(x, Variable) else float(log))
        return self.unbroadcast(gx, gy)


class Neg(Function):
    """``-x``"""

    __slots__ = ()

    def forward(self, x):
        return -x

    def backward(self, gy):
        return -gy


class Absolute(Function):
    """``|x|``; at 0 the gradient is 0"""

    __slots__ = ()
    saves = (0,)

    def forward(self, x):
        self.save(x)
        return abs(x)

    def backward(self, gy):
        (x,) = self.saved
        return gy * ((x > 0) * 1.0 - (x < 0) * 1.0).astype(gy.dtype)


@implements(np.absolute, np.fabs)
def absolute(x) -> Variable:
    """``|x|`` of each element; the gradient at 0 is 0.

    Args:
        x: any shape.

    >>> import numpy as np, dynet.functions as F
    >>> F.absolute(np.array([-2.0, 3.0])).array
    array([2., 3.])
    """
    return Absolute().apply(x)


def _operator(function, ufunc):
    """A function as an operator, with the Variable on the left and on the right, and in NumPy."""
    implements(ufunc)(lambda x, y: function().apply(x, y))
    return (lambda x, y: function().apply(x, y)), (lambda x, y: function().apply(y, x))


def _comparison(compare, ufunc):
    """A comparison has no gradient: it gives a plain array of booleans."""

    def compared(x, y):
        return compare(
            x.array if isinstance(x, Variable) else x, y.array if isinstance(y, Variable) else y
        )

    implements(ufunc)(compared)
    return compared


Variable.__add__, Variable.__radd__ = _operator(Add, np.add)
Variable.__sub__, Variable.__rsub__ = _operator(Sub, np.subtract)
Variable.__mul__, Variable.__rmul__ = _operator(Mul, np.multiply)
Variable.__truediv__, Variable.__rtruediv__ = _operator(Div, np.divide)
Variable.__floordiv__, Variable.__rfloordiv__ = _operator(FloorDiv, np.floor_divide)
Variable.__mod__, Variable.__rmod__ = _operator(Mod, np.remainder)
Variable.__pow__, Variable.__rpow__ = _operator(Pow, np.power)
Variable.__neg__ = implements(np.negative)(lambda x: Neg().apply(x))
Variable.__pos__ = implements(np.positive)(lambda x: x)
Variable.__abs__ = absolute
Variable.__lt__ = _comparison(operator.lt, np.less)
Variable.__le__ = _comparison(operator.le, np.less_equal)
Variable.__gt__ = _comparison(operator.gt, np.greater)
Variable.__ge__ = _comparison(operator.ge, np.greater_equal)
Variable.__eq__ = _comparison(operator.eq, np.equal)
Variable.__ne__ = _comparison(operator.ne, np.not_equal)
