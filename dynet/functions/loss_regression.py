"""Losses of numbers: how far predictions are from targets, or how unlikely these are."""

import math
from numbers import Real

import numpy as np

from ..function import Function
from ..variable import Variable
from .activation import softplus
from .arithmetic import absolute
from .checks import as_variable, check_choice, check_floating, check_same_shape
from .math import exp, expm1, square

__all__ = [
    "absolute_error",
    "bernoulli_nll",
    "gaussian_kl_divergence",
    "gaussian_nll",
    "huber_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "squared_error",
]


def check_alike(function, **arrays):
    """Raise unless all are floating arrays of one dtype and one shape."""
    check_floating(function, **arrays)
    check_same_shape(function, **arrays)


def alike(function, **arguments):
    """The arguments as Variables, checked: floating, of one dtype and one shape."""
    check_alike(function, **arguments)
    return [as_variable(x) for x in arguments.values()]


def check_not_empty(function, **arrays):
    """Raise unless there is an element to average."""
    for name, x in arrays.items():
        if x.size == 0:
            raise ValueError(
                f"{function}: {name} holds no elements, expected at least one ({name}: {x.shape})"
            )


def squared_error(x0, x1) -> Variable:
    """``(x0 - x1) ** 2``, element by element.

    Args:
        x0, x1: one shape, floating.

    Raises:
        ValueError: the shapes differ.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.squared_error(np.array([1.0, 2.0]), np.array([1.0, 5.0])).array
    array([0., 9.])
    """
    x0, x1 = alike("squared_error", x0=x0, x1=x1)
    return square(x0 - x1)


def absolute_error(x0, x1) -> Variable:
    """``|x0 - x1|``, element by element; the gradient is 0 where they are equal.

    Args:
        x0, x1: one shape, floating.

    Raises:
        ValueError: the shapes differ.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.absolute_error(np.array([1.0, 2.0]), np.array([1.0, 5.0])).array
    array([0., 3.])
    """
    x0, x1 = alike("absolute_error", x0=x0, x1=x1)
    return absolute(x0 - x1)


class MeanSquaredError(Function):
    """The mean of ``(x0 - x1) ** 2``"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x0, x1):
        check_alike("mean_squared_error", x0=x0, x1=x1)
        check_not_empty("mean_squared_error", x0=x0)
        self.save(x0, x1)
        error = (x0 - x1).reshape(-1)
        return error.dot(error) / x0.size

    def backward(self, gy):
        x0, x1 = self.saved
        g = (x0 - x1) * (gy * (2 / x0.size))
        return g, -g if self.wants(1) else None


def mean_squared_error(x0, x1) -> Variable:
    """The mean of ``(x0 - x1) ** 2`` over all elements.

    Args:
        x0, x1: one shape, floating, at least one element.

    Raises:
        ValueError: the shapes differ, or there is nothing to average.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 5.0])).item()
    4.5
    """
    return MeanSquaredError().apply(x0, x1)


class MeanAbsoluteError(Function):
    """The mean of ``|x0 - x1|``"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, x0, x1):
        check_alike("mean_absolute_error", x0=x0, x1=x1)
        check_not_empty("mean_absolute_error", x0=x0)
        self.save(x0, x1)
        return abs(x0 - x1).sum() / x0.size

    def backward(self, gy):
        x0, x1 = self.saved
        g = np.sign(x0 - x1) * (gy * (1 / x0.size))
        return g, -g if self.wants(1) else None


def mean_absolute_error(x0, x1) -> Variable:
    """The mean of ``|x0 - x1|`` over all elements; the gradient is 0 where they are equal.

    Args:
        x0, x1: one shape, floating, at least one element.

    Raises:
        ValueError: the shapes differ, or there is nothing to average.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 5.0])).item()
    1.5
    """
    return MeanAbsoluteError().apply(x0, x1)


class Huber(Function):
    """``a ** 2 / 2`` for ``a = x - t`` up to ``delta``, beyond a straight line"""

    __slots__ = ("delta",)
    saves = (0, 1)

    def __init__(self, delta):
        self.delta = delta

    def forward(self, x, t):
        self.save(x, t)
        error = x - t
        near = np.clip(error, -self.delta, self.delta)
        return near * (error - near / 2)

    def backward(self, gy):
        x, t = self.saved
        g = gy * np.clip(x - t, -self.delta, self.delta)
        return g, -g if self.wants(1) else None


def huber_loss(x, t, delta: float, reduce: str = "sum_along_second_axis") -> Variable:
    """Half the squared error where it is small, and a straight line where it is large.

    ``a ** 2 / 2`` for ``a = |x - t|`` up to ``delta``, beyond it ``delta * (a - delta / 2)``
    (Huber, "Robust Estimation of a Location Parameter", 1964).

    Args:
        x: predictions, ``(N, K, ...)``, floating.
        t: targets, like ``x``.
        delta: where the line begins, at least 0.
        reduce: ``"sum_along_second_axis"``, or ``"no"`` for the loss of each element, of any
            shape.

    Returns:
        Variable: of the shape of ``x``, without the second axis where that is summed.

    Raises:
        ValueError: the shapes differ, or there is no second axis.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.huber_loss(np.array([[0.5, 3.0]]), np.zeros((1, 2)), delta=1, reduce="no").array
    array([[0.125, 2.5  ]])
    """
    x, t = alike("huber_loss", x=x, t=t)
    check_choice("huber_loss", ("sum_along_second_axis", "no"), reduce=reduce)
    if not isinstance(delta, Real) or not delta >= 0:
        raise ValueError(f"huber_loss: delta is {delta!r}, expected a number of at least 0")
    losses = Huber(float(delta)).apply(x, t)
    if reduce == "no":
        return losses
    if x.ndim < 2:
        raise ValueError(
            f"huber_loss: x has shape {x.shape}, expected a second axis to sum along, or "
            "reduce='no'"
        )
    return losses.sum(axis=1)


def _reduced(losses, reduce):
    return losses if reduce == "no" else losses.sum()


def bernoulli_nll(x, y, reduce: str = "sum") -> Variable:
    """How unlikely ``x`` is where 1 has the probability ``sigmoid(y)``: minus its logarithm.

    ``-x log p - (1 - x) log(1 - p)`` for ``p = sigmoid(y)``, computed from ``y`` itself.

    Args:
        x: what came, from 0 to 1, any shape, floating.
        y: scores, like ``x``.
        reduce: ``"sum"`` for one number, ``"no"`` for each element's.

    Returns:
        Variable: one number, or of the shape of ``x``.

    Raises:
        ValueError: the shapes differ.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.bernoulli_nll(np.array([0.0, 1.0]), np.zeros(2)).item()
    1.3862943611198906
    """
    x, y = alike("bernoulli_nll", x=x, y=y)
    check_choice("bernoulli_nll", ("sum", "no"), reduce=reduce)
    return _reduced(softplus(y) - x * y, reduce)


def gaussian_nll(x, mean, ln_var, reduce: str = "sum") -> Variable:
    """How unlikely ``x`` is under normal distributions: minus the logarithm of the density.

    ``(log(2 pi) + ln_var + (x - mean) ** 2 / var) / 2`` of each element.

    Args:
        x: what came, any shape, floating.
        mean: of the distributions, like ``x``.
        ln_var: the logarithms of their variances, like ``x``.
        reduce: ``"sum"`` for one number, ``"no"`` for each element's.

    Returns:
        Variable: one number, or of the shape of ``x``.

    Raises:
        ValueError: the shapes differ.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.gaussian_nll(np.zeros(1), np.zeros(1), np.zeros(1)).item()
    0.9189385332046727
    """
    x, mean, ln_var = alike("gaussian_nll", x=x, mean=mean, ln_var=ln_var)
    check_choice("gaussian_nll", ("sum", "no"), reduce=reduce)
    # The quotient is squared, and not its parts, which may be out of range where it is not.
    losses = (square((x - mean) * exp(ln_var * -0.5)) + ln_var + math.log(2 * math.pi)) / 2
    return _reduced(losses, reduce)


def gaussian_kl_divergence(mean, ln_var, reduce: str = "sum") -> Variable:
    """How far normal distributions are from the standard one, by Kullback and Leibler.

    ``(mean ** 2 + var - ln_var - 1) / 2`` of each element (Kingma and Welling, "Auto-Encoding
    Variational Bayes", 2013, appendix B).

    Args:
        mean: of the distributions, any shape, floating.
        ln_var: the logarithms of their variances, like ``mean``.
        reduce: ``"sum"`` for one number, ``"no"`` for each element's.

    Returns:
        Variable: one number, or of the shape of ``mean``.

    Raises:
        ValueError: the shapes differ.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.gaussian_kl_divergence(np.ones(1), np.zeros(1)).item()
    0.5
    """
    mean, ln_var = alike("gaussian_kl_divergence", mean=mean, ln_var=ln_var)
    check_choice("gaussian_kl_divergence", ("sum", "no"), reduce=reduce)
    # exp(v) - v - 1 of a small v keeps its digits this way.
    return _reduced((square(mean) + (expm1(ln_var) - ln_var)) / 2, reduce)
