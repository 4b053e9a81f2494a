"""Elementary functions: exponentials, logarithms and their like, of each element."""

import numpy as np

from ..variable import Variable
from .elementary import Elementary
from .numpy_protocol import implements

__all__ = ["exp", "log"]


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
