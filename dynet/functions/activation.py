"""Activations."""

import math

import numpy as np

from ..function import Function
from ..kernels import activation as kernels
from ..kernels.arithmetic import COMPILED, each, each_runs, where
from ..variable import Variable
from .array import reshape, sum_to
from .checks import check_choice, check_floating, check_integer, normal_axis, real
from .elementary import Elementary
from .math import Erfc, bell, check_scipy_knows
from .numpy_protocol import implements
from .reduction import max as largest

__all__ = [
    "clipped_relu",
    "crelu",
    "elu",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "log_softmax",
    "maxout",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "swish",
    "tanh",
]

# -- with a kink ----------------------------------------------------------------------------------


class ReLU(Function):
    """``max(x, 0)``"""

    __slots__ = ()
    saves = (-1,)

    def forward(self, x):
        if type(x) is np.ndarray and x.dtype in COMPILED:
            y = kernels.relu(x)
        else:
            check_floating("relu", x=x)
            on_gpu = each_runs(kernels.relu_forward, x)
            y = each(kernels.relu_forward, (x,)) if on_gpu else np.where(x <= 0, 0, x)
        self.save(y)
        return y

    def backward(self, gy):
        (y,) = self.saved
        return kernels.relu_grad(y, gy)  # where(y <= 0, 0, gy)


def relu(x) -> Variable:
    """``max(x, 0)`` of each element; the gradient at 0 is 0.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.relu(np.array([-1.0, 2.0])).array
    array([0., 2.])
    """
    return ReLU().apply(x)


class ClippedReLU(Elementary):
    """``min(max(x, 0), z)``"""

    __slots__ = ("z",)
    saves = (-1,)

    def __init__(self, z):
        self.z = z

    def value(self, x):
        return np.clip(x, 0, self.z)

    def slope(self, y):
        return (y > 0) & (y < self.z)


def clipped_relu(x, z: float = 20.0) -> Variable:
    """``min(max(x, 0), z)`` of each element; the gradient at 0 and at z is 0.

    Args:
        x: any shape, floating.
        z (float): what no element goes beyond, positive.

    Raises:
        ValueError: ``z`` is not positive.

    >>> import numpy as np, dynet.functions as F
    >>> F.clipped_relu(np.array([-1.0, 2.0, 30.0])).array
    array([ 0.,  2., 20.])
    """
    z = real("clipped_relu", z=z)
    if not z > 0:
        raise ValueError(f"clipped_relu: z is {z}, expected a positive number")
    return ClippedReLU(z).apply(x)


class ReLU6(ClippedReLU):
    """``min(max(x, 0), 6)``"""

    __slots__ = ()


def relu6(x) -> Variable:
    """``min(max(x, 0), 6)`` of each element; the gradient at 0 and at 6 is 0.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.relu6(np.array([-1.0, 2.0, 7.0])).array
    array([0., 2., 6.])
    """
    return ReLU6(6).apply(x)


class CReLU(Function):
    """``relu(x)`` and ``relu(-x)``, one behind the other"""

    __slots__ = ("axis",)
    saves = (-1,)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        check_floating("crelu", x=x)
        self.axis = normal_axis("crelu", self.axis, x)
        y = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], self.axis)
        self.save(y)
        return y

    def backward(self, gy):
        (y,) = self.saved
        before, n = (slice(None),) * self.axis, y.shape[self.axis] // 2
        above, below = (*before, slice(n)), (*before, slice(n, None))
        return kernels.relu_grad(y[above], gy[above]) - kernels.relu_grad(y[below], gy[below])


def crelu(x, axis: int = 1) -> Variable:
    """What is positive of ``x`` and what is negative, one behind the other: twice as many.

    Shang et al., "Understanding and Improving Convolutional Neural Networks via Concatenated
    Rectified Linear Units" (2016).

    Args:
        x: at least one axis, floating.
        axis (int): where ``relu(-x)`` follows ``relu(x)``.

    Returns:
        Variable: of the shape of ``x``, twice as long along ``axis``.

    >>> import numpy as np, dynet.functions as F
    >>> F.crelu(np.array([[-1.0, 2.0]])).array
    array([[0., 2., 1., 0.]])
    """
    return CReLU(axis).apply(x)


class LeakyReLU(Elementary):
    """``x``, and ``slope * x`` where it is negative"""

    __slots__ = ("below",)
    value_kernel = staticmethod(kernels.leaky_relu_forward)
    gradient_kernel = staticmethod(kernels.leaky_relu_backward)

    def __init__(self, slope):
        self.below = slope

    @property
    def settings(self):
        return (self.below,)

    def value(self, x):
        return np.where(x < 0, self.below * x, x)

    def slope(self, x):
        return np.where(x < 0, self.below, 1).astype(x.dtype)


def leaky_relu(x, slope: float = 0.2) -> Variable:
    """``x``, and ``slope * x`` where it is negative; the gradient at 0 is 1.

    Args:
        x: any shape, floating.
        slope (float): of the negative side.

    >>> import numpy as np, dynet.functions as F
    >>> F.leaky_relu(np.array([-1.0, 2.0])).array
    array([-0.2,  2. ])
    """
    return LeakyReLU(real("leaky_relu", slope=slope)).apply(x)


class PReLU(Function):
    """``x``, and ``W * x`` where it is negative"""

    __slots__ = ("spread",)
    saves = (0, 1)

    def forward(self, x, W):
        self.spread = _spread("prelu", x, W=W)
        self.save(x, W)
        return where(x >= 0, x, x * W.reshape(self.spread))

    def backward(self, gy):
        x, W = self.saved
        positive = x >= 0
        gx = gW = None
        if self.wants(0):
            gx = where(positive, gy, gy * W.reshape(self.spread))
        if self.wants(1):
            gW = sum_to(where(positive, 0, gy * x), self.spread).reshape(W.shape)
        return gx, gW


def _spread(function, x, **parameter):
    """The shape in which a parameter broadcasts with ``x``: its axes are those behind the batch's.

    It is checked, too.
    """
    check_floating(function, x=x, **parameter)
    ((name, W),) = parameter.items()
    if x.ndim == 0 or W.shape != x.shape[1 : 1 + W.ndim]:
        raise ValueError(
            f"{function}: {name} has shape {W.shape}, expected that of as many axes of x, from its "
            f"second on (x: {x.shape})"
        )
    return (1,) + W.shape + (1,) * (x.ndim - 1 - W.ndim)


def prelu(x, W) -> Variable:
    """``x``, and ``W * x`` where it is negative, with slopes to be learned.

    He et al., "Delving Deep into Rectifiers" (2015).

    Args:
        x: ``(N, ...)``, floating; the first axis counts examples.
        W: slopes, of the shape of as many axes of ``x``, from the second on, as it has: one
            for all, ``()``, one for each channel, ``(C,)``, and so on. Of the same dtype.

    Raises:
        ValueError: the shapes do not fit.

    >>> import numpy as np, dynet.functions as F
    >>> F.prelu(np.array([[-1.0, -1.0, 2.0]]), np.array([0.1, 0.2, 0.3])).array
    array([[-0.1, -0.2,  2. ]])
    """
    return PReLU().apply(x, W)


def maxout(x, pool_size: int, axis: int = 1) -> Variable:
    """The largest of each ``pool_size`` neighbours along an axis.

    Goodfellow et al., "Maxout Networks" (2013).

    Args:
        x: any shape with the axis.
        pool_size (int): of how many neighbours one is left; it divides the length of the axis.
        axis (int): the axis that gets shorter.

    Returns:
        Variable: of the shape of ``x``, but along ``axis`` shorter by the factor ``pool_size``.

    Raises:
        ValueError: ``pool_size`` does not divide the axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.maxout(np.array([[1.0, 5.0, 7.0, 2.0]]), 2).array
    array([[5., 7.]])
    """
    check_floating("maxout", x=x)
    axis = normal_axis("maxout", axis, x)
    n = x.shape[axis]
    check_integer("maxout", pool_size=pool_size)
    if pool_size < 1 or n % pool_size:
        raise ValueError(
            f"maxout: pool_size is {pool_size}, expected a positive number that divides {n}, the "
            f"length of axis {axis} (x: {x.shape})"
        )
    pools = reshape(x, (*x.shape[:axis], n // pool_size, pool_size, *x.shape[axis + 1 :]))
    return largest(pools, axis=axis + 1)


# -- S-shaped -------------------------------------------------------------------------------------


class Sigmoid(Elementary):
    """``1 / (1 + e ** -x)``"""

    __slots__ = ()
    saves = (-1,)
    value_kernel = staticmethod(kernels.sigmoid_forward)
    gradient_kernel = staticmethod(kernels.sigmoid_backward)

    def value(self, x):
        with np.errstate(over="ignore"):  # 1 over infinity is 0, as it should be
            return 1 / (1 + np.exp(-x))

    def slope(self, y):
        return y * (1 - y)


def sigmoid(x) -> Variable:
    """``1 / (1 + e ** -x)`` of each element.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.sigmoid(np.array([-1000.0, 0.0])).array
    array([0. , 0.5])
    """
    return Sigmoid().apply(x)


class HardSigmoid(Elementary):
    """``0.2 * x + 0.5``, from 0 to 1"""

    __slots__ = ()
    saves = (-1,)

    def value(self, x):
        return np.clip(0.2 * x + 0.5, 0, 1)

    def slope(self, y):
        return 0.2 * ((y > 0) & (y < 1)).astype(y.dtype)


def hard_sigmoid(x) -> Variable:
    """``0.2 * x + 0.5`` of each element, or 0 or 1 where that lies beyond them.

    (PyTorch's function of this name has the slope 1/6.)

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.hard_sigmoid(np.array([-3.0, 0.0, 1.0])).array
    array([0. , 0.5, 0.7])
    """
    return HardSigmoid().apply(x)


class Tanh(Elementary):
    """The hyperbolic tangent"""

    __slots__ = ()
    saves = (-1,)
    gradient_kernel = staticmethod(kernels.tanh_backward)

    def value(self, x):
        return np.tanh(x)

    def slope(self, y):
        return 1 - y * y


@implements(np.tanh)
def tanh(x) -> Variable:
    """The hyperbolic tangent of each element.

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.tanh(np.array([0.0, 1000.0])).array
    array([0., 1.])
    """
    return Tanh().apply(x)


# -- smooth relatives of relu ---------------------------------------------------------------------


class Softplus(Elementary):
    """``log(1 + e ** (beta x)) / beta``"""

    __slots__ = ("beta",)
    value_kernel = staticmethod(kernels.softplus_forward)
    gradient_kernel = staticmethod(kernels.softplus_backward)

    def __init__(self, beta):
        self.beta = beta

    @property
    def settings(self):
        return (self.beta,)

    def value(self, x):
        z = self.beta * x
        return (np.maximum(z, 0) + np.log1p(np.exp(-abs(z)))) / self.beta

    def slope(self, x):
        return Sigmoid().evaluate(self.beta * x)


def softplus(x, beta: float = 1.0) -> Variable:
    """``log(1 + e ** (beta x)) / beta`` of each element: a smooth relu.

    Args:
        x: any shape, floating.
        beta (float): the larger, the nearer to relu; not 0.

    Raises:
        ValueError: ``beta`` is 0.

    >>> import numpy as np, dynet.functions as F
    >>> F.softplus(np.array([-1000.0, 0.0, 1000.0])).array
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    beta = real("softplus", beta=beta)
    if beta == 0:
        raise ValueError("softplus: beta is 0, expected another number")
    return Softplus(beta).apply(x)


class ELU(Elementary):
    """``scale * x``, and ``scale * alpha * (e ** x - 1)`` where ``x`` is negative"""

    __slots__ = ("alpha", "scale")
    value_kernel = staticmethod(kernels.elu_forward)
    gradient_kernel = staticmethod(kernels.elu_backward)

    def __init__(self, alpha, scale=1.0):
        self.alpha = alpha
        self.scale = scale

    @property
    def settings(self):
        return self.alpha, self.scale

    def value(self, x):
        return self.scale * (np.maximum(x, 0) + self.alpha * np.expm1(np.minimum(x, 0)))

    def slope(self, x):
        return self.scale * np.where(x > 0, 1, self.alpha * np.exp(np.minimum(x, 0)))


def elu(x, alpha: float = 1.0) -> Variable:
    """``x``, and ``alpha * (e ** x - 1)`` where it is negative; the gradient at 0 is alpha.

    Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units" (2015).

    Args:
        x: any shape, floating.
        alpha (float): the value far on the negative side is -alpha.

    >>> import numpy as np, dynet.functions as F
    >>> F.elu(np.array([-1000.0, 2.0])).array
    array([-1.,  2.])
    """
    return ELU(real("elu", alpha=alpha)).apply(x)


class SELU(ELU):
    """``elu`` with the scale that keeps mean 0 and variance 1"""

    __slots__ = ()


def selu(x, alpha: float = 1.6732632423543772, scale: float = 1.0507009873554805) -> Variable:
    """``scale * elu(x, alpha)``: by default what keeps mean 0 and variance 1 from layer to layer.

    Klambauer et al., "Self-Normalizing Neural Networks" (2017).

    Args:
        x: any shape, floating.
        alpha (float): as for ``elu``.
        scale (float): what everything is multiplied by.

    >>> import numpy as np, dynet.functions as F
    >>> F.selu(np.array([-1000.0, 1.0])).array
    array([-1.75809934,  1.05070099])
    """
    return SELU(real("selu", alpha=alpha), real("selu", scale=scale)).apply(x)


class SiLU(Elementary):
    """``x * sigmoid(x)``"""

    __slots__ = ()
    value_kernel = staticmethod(kernels.silu_forward)
    gradient_kernel = staticmethod(kernels.silu_backward)

    def value(self, x):
        return x * Sigmoid().forward(x)

    def slope(self, x):
        s = Sigmoid().evaluate(x)
        return s * (1 + x * (1 - s))


def silu(x) -> Variable:
    """``x * sigmoid(x)`` of each element.

    Elfwing et al., "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in
    Reinforcement Learning" (2018).

    Args:
        x: any shape, floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.silu(np.array([-1000.0, 0.0, 1000.0])).array
    array([  -0.,    0., 1000.])
    """
    return SiLU().apply(x)


class Swish(Function):
    """``x * sigmoid(beta * x)``"""

    __slots__ = ("spread",)
    saves = (0, 1)

    def forward(self, x, beta):
        self.spread = _spread("swish", x, beta=beta)
        self.save(x, beta)
        return x * Sigmoid().forward(x * beta.reshape(self.spread))

    def backward(self, gy):
        x, beta = self.saved
        beta = beta.reshape(self.spread)
        s = Sigmoid().evaluate(x * beta)
        y = x * s
        gx = gbeta = None
        if self.wants(0):
            gx = gy * (s + beta * y * (1 - s))
        if self.wants(1):
            gbeta = sum_to(gy * x * y * (1 - s), self.spread).reshape(self.saved[1].shape)
        return gx, gbeta


def swish(x, beta) -> Variable:
    """``x * sigmoid(beta * x)``, with ``beta`` to be learned.

    Ramachandran et al., "Searching for Activation Functions" (2017).

    Args:
        x: ``(N, ...)``, floating; the first axis counts examples.
        beta: of the shape of as many axes of ``x``, from the second on, as it has: one for all,
            ``()``, one for each channel, ``(C,)``, and so on. Of the same dtype.

    Raises:
        ValueError: the shapes do not fit.

    >>> import numpy as np, dynet.functions as F
    >>> F.swish(np.array([[2.0, 2.0]]), np.array([0.0, 1000.0])).array
    array([[1., 2.]])
    """
    return Swish().apply(x, beta)


class GELU(Elementary):
    """``x`` times the probability that a standard normal number is less"""

    __slots__ = ()
    value_kernel = staticmethod(kernels.gelu_forward)
    gradient_kernel = staticmethod(kernels.gelu_backward)

    def value(self, x):
        check_scipy_knows("gelu", x)
        return 0.5 * x * Erfc().evaluate(-math.sqrt(0.5) * x)

    def slope(self, x):
        density = bell(math.sqrt(0.5) * x) / math.sqrt(2 * math.pi)
        return 0.5 * Erfc().evaluate(-math.sqrt(0.5) * x) + x * density


class TanhGELU(Elementary):
    """``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))) / 2``"""

    __slots__ = ()

    def value(self, x):
        return 0.5 * x * (1 + self.tanh(x))

    def slope(self, x):
        t = self.tanh(x)
        near = self.near(x)
        steepness = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * near * near)
        return 0.5 * (1 + t) + 0.5 * near * (1 - t * t) * steepness

    def tanh(self, x):
        near = self.near(x)
        return np.tanh(math.sqrt(2 / math.pi) * (near + 0.044715 * near * near * near))

    def near(self, x):
        """Far off the tangent is -1 or 1 in any case, and the cube too large a number."""
        return np.clip(x, -30, 30)


def gelu(x, approximate: str = "none") -> Variable:
    """``x`` times the probability that a standard normal number is less than it.

    Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).

    Args:
        x: any shape, floating.
        approximate: ``"none"`` for the formula with the error function, ``"tanh"`` for the
            paper's approximation by a hyperbolic tangent, as in PyTorch.

    Raises:
        ValueError: ``approximate`` is something else.

    >>> import numpy as np, dynet.functions as F
    >>> F.gelu(np.array([-1000.0, 0.0, 1000.0])).array
    array([  -0.,    0., 1000.])
    """
    check_choice("gelu", ("none", "tanh"), approximate=approximate)
    return (GELU() if approximate == "none" else TanhGELU()).apply(x)


# -- along an axis --------------------------------------------------------------------------------


class Softmax(Function):
    """``exp(x) / exp(x).sum(axis)``"""

    __slots__ = ("axis",)
    saves = (-1,)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        check_floating("softmax", x=x)
        self.axis = normal_axis("softmax", self.axis, x)
        y = kernels.softmax(x, self.axis)
        self.save(y)
        return y

    def backward(self, gy):
        (y,) = self.saved
        return kernels.softmax_grad(y, gy, self.axis)  # y * (gy - (y * gy).sum(axis))


def softmax(x, axis: int = 1) -> Variable:
    """``exp(x)`` over its sum along an axis: positive numbers that add up to 1.

    Args:
        x: any shape with the axis, floating.
        axis (int): along which they add up.

    Raises:
        ValueError: ``x`` has no such axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.softmax(np.array([[1000.0, 1000.0]])).array
    array([[0.5, 0.5]])
    """
    return Softmax(axis).apply(x)


class LogSoftmax(Function):
    """``x - log(exp(x).sum(axis))``"""

    __slots__ = ("axis",)
    saves = (-1,)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        check_floating("log_softmax", x=x)
        self.axis = normal_axis("log_softmax", self.axis, x)
        y = kernels.log_softmax(x, self.axis)
        self.save(y)
        return y

    def backward(self, gy):
        (y,) = self.saved
        return kernels.log_softmax_grad(y, gy, self.axis)  # gy - exp(y) * gy.sum(axis)


def log_softmax(x, axis: int = 1) -> Variable:
    """The logarithm of ``softmax``, ``x - log(exp(x).sum(axis))``.

    Args:
        x: any shape with the axis, floating.
        axis (int): along which the softmax adds up to 1.

    Raises:
        ValueError: ``x`` has no such axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.log_softmax(np.array([[1000.0, 0.0]])).array
    array([[    0., -1000.]])
    """
    return LogSoftmax(axis).apply(x)
