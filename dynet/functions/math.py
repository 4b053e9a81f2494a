"""Elementary functions: exponentials, logarithms and their like, of each element."""

import math

import numpy as np
from scipy import special

from ..backend import is_cupy
from ..kernels import error_function as kernels
from ..kernels.arithmetic import each
from ..variable import Variable
from .checks import real
from .elementary import Elementary, Flat
from .numpy_protocol import implements

__all__ = [
    "arccos",
    "arcsin",
    "arctan",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "fix",
    "floor",
    "log",
    "log1p",
    "log2",
    "log10",
    "rsqrt",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
]

# -- exponentials and logarithms ----------------------------------------------------------------


class Exp(Elementary):
    """``e ** x``"""

    __slots__ = ()
    saves = (-1,)

    def value(self, x):
        return np.exp(x)

    def slope(self, y):
        return y


@implements(np.exp)
def exp(x) -> Variable:
    """``e ** x`` of each element.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.exp(np.array([0.0])).array
    array([1.])
    """
    return Exp().apply(x)


class Expm1(Elementary):
    """``e ** x - 1``"""

    __slots__ = ()
    saves = (-1,)

    def value(self, x):
        return np.expm1(x)

    def slope(self, y):
        return y + 1


@implements(np.expm1)
def expm1(x) -> Variable:
    """``e ** x - 1`` of each element, exact also where ``x`` is small.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.expm1(np.array([1e-20])).array
    array([1.e-20])
    """
    return Expm1().apply(x)


class Log(Elementary):
    """The natural logarithm"""

    __slots__ = ()

    def value(self, x):
        return np.log(x)

    def slope(self, x):
        return 1 / x


@implements(np.log)
def log(x) -> Variable:
    """The natural logarithm of each element.

    Args:
        x: any shape, floating, positive; elsewhere the value is -inf or NaN.

    >>> import numpy as np, dynet.functions as F
    >>> F.log(np.array([1.0])).array
    array([0.])
    """
    return Log().apply(x)


class Log1p(Elementary):
    """``log(1 + x)``"""

    __slots__ = ()

    def value(self, x):
        return np.log1p(x)

    def slope(self, x):
        return 1 / (1 + x)


@implements(np.log1p)
def log1p(x) -> Variable:
    """``log(1 + x)`` of each element, exact also where ``x`` is small.

    Args:
        x: any shape, floating, above -1; elsewhere the value is -inf or NaN.

    >>> import numpy as np, dynet.functions as F
    >>> F.log1p(np.array([1e-20])).array
    array([1.e-20])
    """
    return Log1p().apply(x)


class Log2(Elementary):
    """The logarithm to base 2"""

    __slots__ = ()

    def value(self, x):
        return np.log2(x)

    def slope(self, x):
        return 1 / (x * math.log(2))


@implements(np.log2)
def log2(x) -> Variable:
    """The logarithm to base 2 of each element.

    Args:
        x: any shape, floating, positive; elsewhere the value is -inf or NaN.

    >>> import numpy as np, dynet.functions as F
    >>> F.log2(np.array([8.0])).array
    array([3.])
    """
    return Log2().apply(x)


class Log10(Elementary):
    """The logarithm to base 10"""

    __slots__ = ()

    def value(self, x):
        return np.log10(x)

    def slope(self, x):
        return 1 / (x * math.log(10))


@implements(np.log10)
def log10(x) -> Variable:
    """The logarithm to base 10 of each element.

    Args:
        x: any shape, floating, positive; elsewhere the value is -inf or NaN.

    >>> import numpy as np, dynet.functions as F
    >>> F.log10(np.array([1000.0])).array
    array([3.])
    """
    return Log10().apply(x)


# -- powers -------------------------------------------------------------------------------------


class Sqrt(Elementary):
    """The square root"""

    __slots__ = ()
    saves = (-1,)

    def value(self, x):
        return np.sqrt(x)

    def slope(self, y):
        return 0.5 / y


@implements(np.sqrt)
def sqrt(x) -> Variable:
    """The square root of each element.

    Args:
        x: any shape, floating. Of negative numbers the value is NaN; at 0 the slope is infinite.

    >>> import numpy as np, dynet.functions as F
    >>> F.sqrt(np.array([9.0])).array
    array([3.])
    """
    return Sqrt().apply(x)


class Rsqrt(Elementary):
    """``1 / sqrt(x)``"""

    __slots__ = ()
    saves = (-1,)

    def value(self, x):
        return 1 / np.sqrt(x)

    def slope(self, y):
        return -0.5 * y * y * y


def rsqrt(x) -> Variable:
    """One over the square root, ``1 / sqrt(x)``, of each element.

    Args:
        x: any shape, floating, positive; elsewhere the value is infinite or NaN.

    >>> import numpy as np, dynet.functions as F
    >>> F.rsqrt(np.array([4.0])).array
    array([0.5])
    """
    return Rsqrt().apply(x)


class Square(Elementary):
    """``x * x``"""

    __slots__ = ()

    def value(self, x):
        return np.square(x)

    def slope(self, x):
        return 2 * x


@implements(np.square)
def square(x) -> Variable:
    """``x * x`` of each element.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.square(np.array([-3.0])).array
    array([9.])
    """
    return Square().apply(x)


# -- angles -------------------------------------------------------------------------------------


class Sin(Elementary):
    """The sine"""

    __slots__ = ()

    def value(self, x):
        return np.sin(x)

    def slope(self, x):
        return np.cos(x)


@implements(np.sin)
def sin(x) -> Variable:
    """The sine of each element.

    Args:
        x: any shape, floating, in radians.

    >>> import numpy as np, dynet.functions as F
    >>> F.sin(np.array([0.0])).array
    array([0.])
    """
    return Sin().apply(x)


class Cos(Elementary):
    """The cosine"""

    __slots__ = ()

    def value(self, x):
        return np.cos(x)

    def slope(self, x):
        return -np.sin(x)


@implements(np.cos)
def cos(x) -> Variable:
    """The cosine of each element.

    Args:
        x: any shape, floating, in radians.

    >>> import numpy as np, dynet.functions as F
    >>> F.cos(np.array([0.0])).array
    array([1.])
    """
    return Cos().apply(x)


class Tan(Elementary):
    """The tangent"""

    __slots__ = ()
    saves = (-1,)

    def value(self, x):
        return np.tan(x)

    def slope(self, y):
        return 1 + y * y


@implements(np.tan)
def tan(x) -> Variable:
    """The tangent of each element.

    Args:
        x: any shape, floating, in radians.

    >>> import numpy as np, dynet.functions as F
    >>> F.tan(np.array([0.0])).array
    array([0.])
    """
    return Tan().apply(x)


class Arcsin(Elementary):
    """The inverse of the sine"""

    __slots__ = ()

    def value(self, x):
        return np.arcsin(x)

    def slope(self, x):
        return 1 / np.sqrt((1 - x) * (1 + x))


@implements(np.arcsin)
def arcsin(x) -> Variable:
    """The angle from -pi/2 to pi/2 whose sine is ``x``, of each element.

    Args:
        x: any shape, floating, from -1 to 1, where the slope is infinite; beyond it is NaN.

    >>> import numpy as np, dynet.functions as F
    >>> F.arcsin(np.array([0.0])).array
    array([0.])
    """
    return Arcsin().apply(x)


class Arccos(Elementary):
    """The inverse of the cosine"""

    __slots__ = ()

    def value(self, x):
        return np.arccos(x)

    def slope(self, x):
        return -1 / np.sqrt((1 - x) * (1 + x))


@implements(np.arccos)
def arccos(x) -> Variable:
    """The angle from 0 to pi whose cosine is ``x``, of each element.

    Args:
        x: any shape, floating, from -1 to 1, where the slope is infinite; beyond it is NaN.

    >>> import numpy as np, dynet.functions as F
    >>> F.arccos(np.array([1.0])).array
    array([0.])
    """
    return Arccos().apply(x)


class Arctan(Elementary):
    """The inverse of the tangent"""

    __slots__ = ()

    def value(self, x):
        return np.arctan(x)

    def slope(self, x):
        with np.errstate(over="ignore"):  # 1 over infinity is the slope there
            return 1 / (1 + x * x)


@implements(np.arctan)
def arctan(x) -> Variable:
    """The angle from -pi/2 to pi/2 whose tangent is ``x``, of each element.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.arctan(np.array([0.0])).array
    array([0.])
    """
    return Arctan().apply(x)


class Sinh(Elementary):
    """The hyperbolic sine"""

    __slots__ = ()

    def value(self, x):
        return np.sinh(x)

    def slope(self, x):
        return np.cosh(x)


@implements(np.sinh)
def sinh(x) -> Variable:
    """The hyperbolic sine of each element, ``(e ** x - e ** -x) / 2``.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.sinh(np.array([0.0])).array
    array([0.])
    """
    return Sinh().apply(x)


class Cosh(Elementary):
    """The hyperbolic cosine"""

    __slots__ = ()

    def value(self, x):
        return np.cosh(x)

    def slope(self, x):
        return np.sinh(x)


@implements(np.cosh)
def cosh(x) -> Variable:
    """The hyperbolic cosine of each element, ``(e ** x + e ** -x) / 2``.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.cosh(np.array([0.0])).array
    array([1.])
    """
    return Cosh().apply(x)


# -- the error function -------------------------------------------------------------------------


def check_scipy_knows(function, x):
    """Raise if ``x`` is of a wider format than SciPy's functions take."""
    if x.dtype.itemsize > 8:
        raise TypeError(f"{function}: x is {x.dtype}, expected float16, float32 or float64")


def _of_scipy(function, kernel, x):
    """What a function of SciPy's gives; on a GPU, where SciPy has none, what a kernel's twin does.

    The twin computes in float32; that is what SciPy makes of float16, too.
    """
    y = each(kernel, (x.astype(np.float32),)) if is_cupy(x) else function(x)
    return y.astype(x.dtype.char)


def bell(x):
    """``exp(-x * x)``, of an array or Variable: 0 far out, where the square may be too large."""
    near = np.clip(x, -30, 30)
    return np.exp(-near * near)


class Erf(Elementary):
    """The error function"""

    __slots__ = ()
    value_kernel = staticmethod(kernels.erf_forward)

    def value(self, x):
        check_scipy_knows("erf", x)
        return _of_scipy(special.erf, kernels.erf_forward, x)

    def slope(self, x):
        return 2 / math.sqrt(math.pi) * bell(x)


@implements(special.erf)
def erf(x) -> Variable:
    """The error function of each element, 2/sqrt(pi) times the integral of exp(-t**2) from 0.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.erf(np.array([0.0])).array
    array([0.])
    """
    return Erf().apply(x)


class Erfc(Elementary):
    """``1 - erf(x)``"""

    __slots__ = ()
    value_kernel = staticmethod(kernels.erfc_forward)

    def value(self, x):
        check_scipy_knows("erfc", x)
        return _of_scipy(special.erfc, kernels.erfc_forward, x)

    def slope(self, x):
        return -2 / math.sqrt(math.pi) * bell(x)


@implements(special.erfc)
def erfc(x) -> Variable:
    """``1 - erf(x)`` of each element, exact also where ``erf(x)`` is nearly 1.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.erfc(np.array([0.0])).array
    array([1.])
    """
    return Erfc().apply(x)


# -- rounding and bounds ------------------------------------------------------------------------


class Sign(Flat):
    """-1, 0 or 1"""

    __slots__ = ()

    def value(self, x):
        return np.sign(x)


@implements(np.sign)
def sign(x) -> Variable:
    """-1, 0 or 1, for each element below, at or above 0. It passes no gradient on.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.sign(np.array([-2.0, 0.0, 3.0])).array
    array([-1.,  0.,  1.])
    """
    return Sign().apply(x)


class Floor(Flat):
    """The whole number below"""

    __slots__ = ()

    def value(self, x):
        return np.floor(x)


@implements(np.floor)
def floor(x) -> Variable:
    """The largest whole number not above each element. It passes no gradient on.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.floor(np.array([-1.5, 1.5])).array
    array([-2.,  1.])
    """
    return Floor().apply(x)


class Ceil(Flat):
    """The whole number above"""

    __slots__ = ()

    def value(self, x):
        return np.ceil(x)


@implements(np.ceil)
def ceil(x) -> Variable:
    """The smallest whole number not below each element. It passes no gradient on.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.ceil(np.array([-1.5, 1.5])).array
    array([-1.,  2.])
    """
    return Ceil().apply(x)


class Fix(Flat):
    """The whole number towards 0"""

    __slots__ = ()

    def value(self, x):
        return np.trunc(x)


@implements(np.fix, np.trunc)
def fix(x) -> Variable:
    """Each element without what follows its decimal point. It passes no gradient on.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.fix(np.array([-1.5, 1.5])).array
    array([-1.,  1.])
    """
    return Fix().apply(x)


class Clip(Elementary):
    """``min(max(x, x_min), x_max)``"""

    __slots__ = ("x_min", "x_max")

    def __init__(self, x_min, x_max):
        self.x_min = -math.inf if x_min is None else real("clip", x_min=x_min)
        self.x_max = math.inf if x_max is None else real("clip", x_max=x_max)

    def value(self, x):
        return np.clip(x, self.x_min, self.x_max)

    def slope(self, x):
        return (x >= self.x_min) & (x <= self.x_max)


def clip(x, x_min, x_max) -> Variable:
    """Each element, or the bound that it lies beyond; the gradient at the bounds themselves is 1.

    Args:
        x: any shape, floating.
        x_min (float): the lower bound, or ``None``.
        x_max (float): the upper bound, or ``None``. Where it is below ``x_min``, every element
            becomes ``x_max``.

    Raises:
        TypeError: a bound is no number, or ``x`` is not floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.clip(np.array([-2.0, 0.5, 2.0]), -1, 1).array
    array([-1. ,  0.5,  1. ])
    """
    return Clip(x_min, x_max).apply(x)


@implements(np.clip)
def _numpy_clip(a, a_min=None, a_max=None, *, min=None, max=None):
    """NumPy has two names for each bound."""
    return clip(a, a_min if min is None else min, a_max if max is None else max)


def _method_clip(x, min=None, max=None) -> Variable:
    """Each element, or the bound that it lies beyond."""
    return clip(x, min, max)


Variable.clip = _method_clip
