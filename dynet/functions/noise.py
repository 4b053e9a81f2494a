"""Noise: functions that draw random numbers, from the running thread's stream (dynet.random)."""

import numpy as np

from .. import random
from ..backend import StandIn, get_array_module
from ..config import config
from ..function import Function
from ..kernels import noise as kernels
from ..variable import Variable
from .activation import softmax
from .arithmetic import Add, Mul
from .checks import as_variable, check_constants, check_floating, check_same_shape, normal_axis, raw

__all__ = ["dropout", "gaussian", "gumbel_softmax", "zoneout"]


class Dropout(Function):
    """``x`` times a mask of 0 and ``1 / (1 - ratio)``, which is drawn anew wherever it is needed"""

    __slots__ = ("ratio", "place")

    def __init__(self, ratio, place=None):
        self.ratio = ratio
        self.place = place  # where in the stream of random numbers the mask's are

    def forward(self, x):
        if self.place is None:
            self.place = _reserve(x)
        return kernels.dropout(x, self.ratio, *self.place)

    def backward(self, gy):
        return Dropout(self.ratio, self.place).evaluate(gy)


def dropout(x, ratio: float = 0.5, *, mask=None, return_mask: bool = False):
    """Each element set to 0 with a probability, the others scaled so that the mean stays.

    Where ``dynet.config.train`` is false it gives ``x`` itself.

    Args:
        x: any shape, floating.
        ratio: the probability, from 0 up to, not including, 1; the other elements are multiplied
            by ``1 / (1 - ratio)``.
        mask: an array like ``x`` to multiply by, in place of a random one; ``ratio`` then counts
            for nothing.
        return_mask: whether to return the mask too. It includes the scale: its elements are 0
            and ``1 / (1 - ratio)``.

    Returns:
        Variable: of the shape of ``x``; with ``return_mask`` a tuple of it and the mask, an array,
        or ``None`` where ``dynet.config.train`` is false.

    Raises:
        ValueError: ``ratio`` is out of range, or the mask has another shape than ``x``.
        TypeError: ``x`` is not floating, or the mask of another dtype.

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    2014.

    >>> import numpy as np, dynet, dynet.functions as F
    >>> dynet.random.seed(0)
    >>> F.dropout(np.ones(5)).array
    array([2., 0., 0., 2., 0.])
    >>> with dynet.using_config("train", False):
    ...     F.dropout(np.ones(5)).array
    array([1., 1., 1., 1., 1.])
    """
    ratio = _ratio("dropout", ratio)
    array = raw(x)
    check_floating("dropout", x=array)
    if not config.train:
        y = as_variable(x)
        return (y, None) if return_mask else y
    if mask is None and not return_mask:
        return Dropout(ratio).apply(x)
    if mask is None:
        mask = Dropout(ratio).forward(get_array_module(array).ones_like(array))
    check_constants("dropout", x=array, mask=mask)
    check_same_shape("dropout", x=array, mask=mask)
    y = Mul().apply(x, mask)
    return (y, mask) if return_mask else y


class Gaussian(Function):
    """``mean + exp(ln_var / 2) * eps``"""

    __slots__ = ()
    saves = (1, 2)

    def forward(self, mean, ln_var, eps):
        check_floating("gaussian", mean=mean, ln_var=ln_var, eps=eps)
        check_same_shape("gaussian", mean=mean, ln_var=ln_var, eps=eps)
        self.save(ln_var, eps)
        return mean + np.exp(ln_var / 2) * eps

    def backward(self, gy):
        ln_var, eps = self.saved
        return gy, gy * np.exp(ln_var / 2) * eps / 2 if self.wants(1) else None, None


def gaussian(mean, ln_var, *, eps=None, return_eps: bool = False):
    """A sample of normal distributions, differentiable by their means and variances.

    ``mean + exp(ln_var / 2) * eps``, where ``eps`` is drawn from the standard normal distribution.

    Args:
        mean: any shape, floating.
        ln_var: the logarithm of the variance, of the same shape and dtype.
        eps: an array like ``mean``, in place of a random one.
        return_eps: whether to return ``eps`` too.

    Returns:
        Variable: of the shape of ``mean``; with ``return_eps`` a tuple of it and ``eps``, an array.

    Raises:
        ValueError: the shapes differ.
        TypeError: the dtypes are not one and the same floating dtype.

    Source: Kingma, Welling, "Auto-Encoding Variational Bayes", 2013,
    https://arxiv.org/abs/1312.6114

    >>> import numpy as np, dynet.functions as F
    >>> F.gaussian(np.array([3.0]), np.zeros(1), eps=np.array([-1.0])).array
    array([2.])
    """
    if eps is None:
        array = raw(mean)
        check_floating("gaussian", mean=array)
        drawn = random.normal(array.shape, np.float64).astype(array.dtype)
        eps = get_array_module(array).asarray(drawn)
    else:
        check_constants("gaussian", eps=eps)
    y = Gaussian().apply(mean, ln_var, eps)
    return (y, eps) if return_eps else y


def gumbel_softmax(log_pi, tau: float = 0.1, axis: int = 1) -> Variable:
    """A sample of categorical distributions, nearly one-hot, differentiable by them.

    ``softmax((log_pi + g) / tau)``, where ``g`` is drawn from the standard Gumbel distribution.

    Args:
        log_pi: the logarithms of the probabilities, or of numbers proportional to them; any shape
            with such an axis, floating.
        tau: the temperature, positive: the nearer to 0, the nearer is the result to one-hot.
        axis: the axis of the categories.

    Returns:
        Variable: of the shape of ``log_pi``.

    Raises:
        ValueError: ``log_pi`` has no such axis, or ``tau`` is not positive.
        TypeError: ``log_pi`` is not floating.

    Source: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", 2016,
    https://arxiv.org/abs/1611.01144

    >>> import numpy as np, dynet.functions as F
    >>> float(F.gumbel_softmax(np.zeros((1, 4))).sum().array.round(6))
    1.0
    """
    if not (isinstance(tau, (float, int, np.floating, np.integer)) and tau > 0):
        raise ValueError(f"gumbel_softmax: tau is {tau!r}, expected a positive number")
    array = raw(log_pi)
    check_floating("gumbel_softmax", log_pi=array)
    axis = normal_axis("gumbel_softmax", axis, array)
    g = get_array_module(array).asarray(random.generator().gumbel(size=array.shape))
    return softmax((log_pi + g.astype(array.dtype)) / float(tau), axis=axis)


class Zoneout(Function):
    """``x`` where a mask is true, ``h`` elsewhere"""

    __slots__ = ("ratio",)

    def __init__(self, ratio):
        self.ratio = ratio

    def forward(self, h, x):
        y, keep = kernels.zoneout(h, x, self.ratio, *_reserve(x))
        self.save(keep)
        return y

    def backward(self, gy):
        (keep,) = self.saved
        return gy * ~keep if self.wants(0) else None, gy * keep if self.wants(1) else None


def zoneout(h, x, ratio: float = 0.5) -> Variable:
    """Each element of a new state replaced by that of the old one with a probability.

    Where ``dynet.config.train`` is false it gives what that comes to on average,
    ``h * ratio + x * (1 - ratio)``.

    Args:
        h: the old state, any shape, floating.
        x: the new state, of the same shape and dtype.
        ratio: the probability, from 0 up to, not including, 1.

    Returns:
        Variable: of the shape of ``x``.

    Raises:
        ValueError: ``ratio`` is out of range, or the shapes differ.
        TypeError: the dtypes are not one and the same floating dtype.

    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
    2016, https://arxiv.org/abs/1606.01305

    >>> import numpy as np, dynet, dynet.functions as F
    >>> with dynet.using_config("train", False):
    ...     F.zoneout(np.array([0.0]), np.array([4.0]), 0.25).array
    array([3.])
    """
    ratio = _ratio("zoneout", ratio)
    arrays = {n: raw(v) for n, v in (("h", h), ("x", x))}
    check_floating("zoneout", **arrays)
    check_same_shape("zoneout", **arrays)
    if not config.train:
        return Add().apply(Mul().apply(h, ratio), Mul().apply(x, 1 - ratio))
    return Zoneout(ratio).apply(h, x)


def _reserve(x):
    """A place in the stream of random numbers, for as many as ``x`` has elements."""
    return x.reserve(x.size) if isinstance(x, StandIn) else random.reserve(x.size)


def _ratio(function, ratio) -> float:
    """A ratio as a Python number, checked."""
    if not (isinstance(ratio, (float, int, np.floating)) and 0 <= ratio < 1):
        raise ValueError(
            f"{function}: ratio is {ratio!r}, expected a number from 0 up to, not including, 1"
        )
    return float(ratio)
