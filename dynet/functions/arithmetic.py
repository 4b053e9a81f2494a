"""Arithmetic and comparison: the functions behind a Variable's operators.

Operands are Variables, arrays or numbers, and broadcast as in NumPy. A floating operand keeps
its dtype: what NumPy would silently turn from float32 into float64 is an error here.
"""

import operator

import numpy as np

from ..backend import check_one_device, is_array
from ..function import Function
from ..kernels.arithmetic import where as select
from ..variable import Variable
from .array import reshape, sum_to
from .checks import check_floating, check_numbers, described, elements, normal_axis
from .elementary import public_name
from .numpy_protocol import implements

__all__ = [
    "absolute",
    "add",
    "arctan2",
    "bias",
    "fmod",
    "maximum",
    "minimum",
    "scale",
    "squared_difference",
    "where",
]


# Of two arrays like these that have one shape there is nothing more to check.
FLOATS = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16)


class Binary(Function):
    """What functions of two operands share: making them fit, and undoing it for gradients."""

    __slots__ = ("shapes",)
    of_booleans = True  # whether two arrays of booleans have a value

    def align(self, x, y):
        """The operands, checked; the shapes are kept where a gradient must shrink to them."""
        try:
            if x.shape == y.shape and x.dtype is y.dtype in FLOATS:
                self.shapes = None
                return x, y
        except AttributeError:
            # One of them is a number, which gets no gradient and leaves the other's shape alone.
            if type(x) in (float, int) or type(y) in (float, int):
                self.shapes = None
                return self._operand("x", x), self._operand("y", y)
        x, y = self._operand("x", x), self._operand("y", y)
        dtypes = [a.dtype for a in (x, y) if is_array(a)]
        if not dtypes:
            self.shapes = None
            return x, y
        dtype = np.result_type(*dtypes)
        if dtype.kind == "b" and not self.of_booleans:
            raise TypeError(f"{public_name(self)}: x and y are booleans, expected numbers")
        if any(d.kind == "f" and d.char != dtype.char for d in dtypes):
            raise TypeError(
                f"{public_name(self)}: x is {_dtype(x)}, y is {_dtype(y)}, expected one floating "
                "dtype; cast one of them"
            )
        self.shapes = getattr(x, "shape", ()), getattr(y, "shape", ())
        try:
            np.broadcast_shapes(*self.shapes)
        except ValueError:
            raise ValueError(
                f"{public_name(self)}: x {self.shapes[0]} and y {self.shapes[1]} do not broadcast"
            ) from None
        return x, y

    def _operand(self, name, x):
        if type(x) in (float, int, bool):
            return x
        if is_array(x):
            if x.dtype.kind in "biuf":
                return x
            raise TypeError(f"{public_name(self)}: {name} is {described(x)}, expected real numbers")
        # A scalar, as a Python number is: it decides no dtype.
        if isinstance(x, (float, np.floating)):
            return float(x)
        if isinstance(x, (int, np.integer, np.bool_)):
            return int(x)
        raise TypeError(
            f"{public_name(self)}: {name} is {type(x).__name__}, "
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

    def choose(self, first, gz):
        """The gradients of the operands, each where it was chosen, else 0."""
        gx = select(first, gz, 0) if self.wants(0) else None
        gy = select(first, 0, gz) if self.wants(1) else None
        return self.unbroadcast(gx, gy)


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
    of_booleans = False

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
    saves = (0, 1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        try:
            return x**y
        except ValueError:
            raise ValueError(
                f"pow: x is {described(x)}, y is {described(y) if is_array(y) else y}, expected "
                "something floating where a power is negative"
            ) from None

    def backward(self, gz):
        x, y = self.saved
        gx = gy = None
        if self.wants(0):
            # 0 ** -1 must not turn the derivative of x ** 0, which is 0, into NaN; but if y may
            # change, that derivative changes with it, by x ** -1.
            lowered = (y != 0) | (x != 0) if self.wants(1) else y != 0
            gx = gz * y * x ** (y - lowered)
        if self.wants(1):
            # Where x is 0, z * log(x) tends to 0; log(1) * z is there without a detour.
            positive = x + (x == 0)
            log = np.log(positive)
            gy = gz * x**y * (log if is_array(x) or isinstance(x, Variable) else float(log))
        return self.unbroadcast(gx, gy)


class Neg(Function):
    """``-x``"""

    __slots__ = ()

    def forward(self, x):
        try:
            return -x
        except TypeError:
            raise TypeError(f"neg: x is {described(x)}, expected numbers") from None

    def backward(self, gy):
        return -gy


class Absolute(Function):
    """``|x|``; at 0 the gradient is 0"""

    __slots__ = ()
    saves = (0,)

    def forward(self, x):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            check_numbers("absolute", x=x)
        self.save(x)
        return abs(x)

    def backward(self, gy):
        (x,) = self.saved
        return gy * np.sign(x)


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


def add(*xs) -> Variable:
    """The sum of all operands, element by element.

    Args:
        xs: Variables, arrays or numbers, which broadcast; at least one array or Variable.

    Raises:
        ValueError: the shapes do not broadcast.
        TypeError: there is no array, an operand is no array or number, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.add(np.array([1.0, 2.0]), np.array([10.0]), 100).array
    array([111., 112.])
    """
    if all([isinstance(x, (int, float, np.generic)) for x in xs]):
        raise TypeError(f"add: got {len(xs)} operands, expected at least one array among them")
    total, *rest = xs
    for x in rest or [0]:
        total = Add().apply(total, x)
    return total


class Maximum(Binary):
    """The larger of ``x`` and ``y``; of equals, the first"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        return np.maximum(x, y)

    def backward(self, gz):
        x, y = self.saved
        return self.choose((x >= y) | (x != x), gz)  # NaN does not equal itself


@implements(np.maximum)
def maximum(x, y) -> Variable:
    """The larger of two operands, element by element. NaN counts as the largest.

    Of equals the first one gets the gradient.

    Args:
        x, y: Variables, arrays or numbers, which broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    >>> import numpy as np, dynet.functions as F
    >>> F.maximum(np.array([1.0, 5.0]), 3).array
    array([3., 5.])
    """
    return Maximum().apply(x, y)


class Minimum(Binary):
    """The smaller of ``x`` and ``y``; of equals, the first"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        return np.minimum(x, y)

    def backward(self, gz):
        x, y = self.saved
        return self.choose((x <= y) | (x != x), gz)


@implements(np.minimum)
def minimum(x, y) -> Variable:
    """The smaller of two operands, element by element. NaN counts as the smallest.

    Of equals the first one gets the gradient.

    Args:
        x, y: Variables, arrays or numbers, which broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    >>> import numpy as np, dynet.functions as F
    >>> F.minimum(np.array([1.0, 5.0]), 3).array
    array([1., 3.])
    """
    return Minimum().apply(x, y)


class Where(Binary):
    """``x`` where the condition holds, else ``y``"""

    __slots__ = ()
    saves = (2,)

    def forward(self, x, y, condition):
        if isinstance(condition, (bool, np.bool_)):  # a comparison of arrays without axes
            condition = np.asarray(condition)
        if not is_array(condition) or condition.dtype != bool:
            raise TypeError(
                f"where: condition is {described(condition)}, expected an array of booleans"
            )
        x, y = self.align(x, y)
        self.save(condition)
        self.shapes = getattr(x, "shape", ()), getattr(y, "shape", ())
        try:
            return select(condition, x, y)
        except ValueError:
            raise ValueError(
                f"where: condition {condition.shape}, x {self.shapes[0]} and y {self.shapes[1]} "
                "do not broadcast"
            ) from None

    def backward(self, gz):
        (condition,) = self.saved
        return *self.choose(condition, gz), None


@implements(np.where)
def where(condition, x, y) -> Variable:
    """``x`` where a condition holds, else ``y``, element by element.

    The gradient goes to the operand that was chosen; the other one gets 0, also where its own
    value or slope is infinite or NaN.

    Args:
        condition: booleans, an array or Variable.
        x, y: Variables, arrays or numbers; all three broadcast.

    Raises:
        ValueError: the shapes do not broadcast.
        TypeError: ``condition`` does not hold booleans.

    >>> import numpy as np, dynet.functions as F
    >>> F.where(np.array([True, False]), np.array([1.0, 2.0]), 0.0).array
    array([1., 0.])
    """
    return Where().apply(x, y, condition)


class Fmod(Binary):
    """``x - fix(x / y) * y``: what a division leaves, with the sign of ``x``"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        return np.fmod(x, y)

    def backward(self, gz):
        x, y = self.saved
        gy = -gz * np.trunc(x / y) if self.wants(1) else None
        return self.unbroadcast(gz, gy)


@implements(np.fmod)
def fmod(x, y) -> Variable:
    """What is left of ``x`` divided by ``y``, with the sign of ``x`` as in C.

    The operator ``%`` gives it the sign of ``y``.

    Args:
        x, y: Variables, arrays or numbers, which broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    >>> import numpy as np, dynet.functions as F
    >>> F.fmod(np.array([-7.0, 7.0]), 4).array
    array([-3.,  3.])
    """
    return Fmod().apply(x, y)


class Arctan2(Binary):
    """The angle of the point ``(y, x)``: ``x`` is its height"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        return np.arctan2(x, y)

    def backward(self, gz):
        x, y = self.saved
        with np.errstate(over="ignore"):  # 1 over infinity is 0, as it should be
            g = gz / (x * x + y * y)
        gx = g * y if self.wants(0) else None
        gy = -g * x if self.wants(1) else None
        return self.unbroadcast(gx, gy)


@implements(np.arctan2)
def arctan2(x1, x2) -> Variable:
    """The angle, from -pi to pi, of the point at ``x2`` to the right and ``x1`` up.

    Args:
        x1, x2: Variables, arrays or numbers, which broadcast. Where both are 0, the gradient is
            NaN.

    Raises:
        ValueError: the shapes do not broadcast.

    >>> import numpy as np, dynet.functions as F
    >>> F.arctan2(np.array([0.0, 1.0]), np.array([1.0, 0.0])).array
    array([0.        , 1.57079633])
    """
    return Arctan2().apply(x1, x2)


class SquaredDifference(Binary):
    """``(x - y) ** 2``"""

    __slots__ = ()
    saves = (0, 1)
    of_booleans = False

    def forward(self, x, y):
        x, y = self.align(x, y)
        self.save(x, y)
        return np.square(x - y)

    def backward(self, gz):
        x, y = self.saved
        g = gz * 2 * (x - y)
        return self.unbroadcast(g, -g if self.wants(1) else None)


def squared_difference(x1, x2) -> Variable:
    """``(x1 - x2) ** 2``, element by element.

    Args:
        x1, x2: Variables, arrays or numbers, which broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    >>> import numpy as np, dynet.functions as F
    >>> F.squared_difference(np.array([1.0, 5.0]), 3).array
    array([4., 4.])
    """
    return SquaredDifference().apply(x1, x2)


def bias(x, y, axis: int = 1) -> Variable:
    """``x + y``, where the axes of ``y`` are those of ``x`` from ``axis`` on.

    Args:
        x: any shape.
        y: of the shape of as many axes of ``x``, from ``axis`` on, as it has.
        axis: the axis of ``x`` that the first one of ``y`` belongs to.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: an argument is no floating array, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.bias(np.zeros((1, 2, 3)), np.array([1.0, 2.0])).array
    array([[[1., 1., 1.],
            [2., 2., 2.]]])
    """
    return Add().apply(x, _along("bias", x, y, axis))


def scale(x, y, axis: int = 1) -> Variable:
    """``x * y``, where the axes of ``y`` are those of ``x`` from ``axis`` on.

    Args:
        x: any shape.
        y: of the shape of as many axes of ``x``, from ``axis`` on, as it has.
        axis: the axis of ``x`` that the first one of ``y`` belongs to.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: an argument is no floating array, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.scale(np.ones((1, 2, 3)), np.array([1.0, 2.0])).array
    array([[[1., 1., 1.],
            [2., 2., 2.]]])
    """
    return Mul().apply(x, _along("scale", x, y, axis))


def _along(function, x, y, axis):
    """``y`` with an axis of length 1 for each axis of ``x`` that it lacks behind its own."""
    check_floating(function, x=x, y=y)
    axis = normal_axis(function, axis, x)
    if y.shape != x.shape[axis : axis + y.ndim]:
        raise ValueError(
            f"{function}: y has shape {y.shape}, expected that of the axes of x from {axis} on "
            f"(x: {x.shape})"
        )
    return reshape(y, y.shape + (1,) * (x.ndim - axis - y.ndim))


def _operator(function, ufunc):
    """A function as an operator, with the Variable on the left and on the right, and in NumPy."""
    implements(ufunc)(lambda x, y: function().apply(x, y))
    return (lambda x, y: function().apply(x, y)), (lambda x, y: function().apply(y, x))


def _comparison(compare, ufunc):
    """A comparison has no gradient: it gives a plain array of booleans."""

    def compared(x, y):
        x = elements(x)
        y = elements(y)
        try:
            return compare(x, y)
        except (TypeError, ValueError) as error:
            check_one_device(ufunc.__name__, {"x": x, "y": y})
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"{ufunc.__name__}: x is {described(x)}, y is {described(y)}, expected numbers "
                "whose shapes broadcast"
            ) from None

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
