"""Normalization: of batches, of layers, of groups of channels, of neighbours, of lengths."""

import math

import numpy as np

from ..backend import check_one_device
from ..function import Function
from ..kernels import normalization as kernels
from ..terms import Sum
from ..variable import Variable
from .checks import (
    check_constants,
    check_floating,
    check_integer,
    check_ndim,
    check_shape,
    normal_axes,
    not_negative,
    real,
    refuse_stand_ins,
)

__all__ = [
    "batch_normalization",
    "fixed_batch_normalization",
    "group_normalization",
    "layer_normalization",
    "local_response_normalization",
    "normalize",
]


class BatchNormalization(Function):
    """``(x - mean) / sqrt(var + eps) * gamma + beta``, with mean and variance of the batch"""

    __slots__ = ("eps", "axis", "key")

    def __init__(self, eps, axis):
        self.eps = eps
        self.axis = axis

    def forward(self, x, gamma, beta):
        refuse_stand_ins("batch_normalization", "it moves running averages", x, gamma, beta)
        check_floating("batch_normalization", x=x, gamma=gamma, beta=beta)
        self.key = key_axes("batch_normalization", x, gamma, self.axis)
        check_shape("batch_normalization", gamma.shape, beta=beta)
        blocks = _as_blocks(x, self.key)
        y, stats = kernels.batch_normalization(blocks, _flat(gamma), _flat(beta), self.eps)
        self.save(x, gamma, beta, stats)
        return y if blocks is x else _from_blocks(y, x, self.key)

    def backward(self, gy):
        x, gamma, _, stats = self.saved
        blocks = _as_blocks(x, self.key)
        gx, ggamma, gbeta = kernels.batch_normalization_grad(
            blocks, _flat(gamma), stats, self.eps, _as_blocks(gy, self.key)
        )
        if blocks is x:
            return gx, ggamma, gbeta
        return (
            _from_blocks(gx, x, self.key),
            ggamma.reshape(gamma.shape),
            gbeta.reshape(gamma.shape),
        )

    def plain(self, x, gamma, beta):
        """The same in ordinary functions."""
        axis = tuple([i for i in range(x.ndim) if i not in self.key])
        across = _across(x, self.key)
        count = max(math.prod([x.shape[i] for i in axis]), 1)
        d = x - x.sum(axis=axis, keepdims=True) / count
        var = (d * d).sum(axis=axis, keepdims=True) / count
        return d * (var + self.eps) ** -0.5 * gamma.reshape(across) + beta.reshape(across)


def key_axes(function, x, gamma, axis) -> tuple[int, ...]:
    """The axes of ``x`` that ``gamma`` has: all but ``axis``; by default those from the second."""
    if axis is None:
        key = tuple(range(1, min(gamma.ndim + 1, x.ndim)))
    else:
        averaged = normal_axes(function, axis, x)
        key = tuple([i for i in range(x.ndim) if i not in averaged])
    expected = tuple([x.shape[i] for i in key])
    if gamma.shape != expected or x.ndim == 0:
        raise ValueError(
            f"{function}: gamma has shape {gamma.shape}, expected {expected}, that of x without "
            f"the axes averaged over (x: {x.shape}, axis: {axis})"
        )
    return key


def _across(x, key):
    """The shape in which a parameter broadcasts along the other axes of ``x``."""
    return tuple([n if i in key else 1 for i, n in enumerate(x.shape)])


def _order(x, key):
    """The axes of ``x`` with those of the key side by side: as they are, if they are so."""
    if not key or key[-1] - key[0] == len(key) - 1:
        return tuple(range(x.ndim))
    return (*[i for i in range(x.ndim) if i not in key], *key)


def _as_blocks(x, key):
    """An array as ``(N, C, S)``, where the axes of the key are the middle; ``(N, C)`` if S is 1."""
    if key == (1,) and x.ndim == 2:
        return x
    order = _order(x, key)
    first = order.index(key[0]) if key else x.ndim
    shape = [x.shape[i] for i in order]
    end = first + len(key)
    blocks = (math.prod(shape[:first]), math.prod(shape[first:end]), math.prod(shape[end:]))
    return x.transpose(order).reshape(blocks if end < x.ndim else blocks[:2])


def _from_blocks(y, x, key):
    """Back to the axes of ``x``."""
    order = _order(x, key)
    return y.reshape([x.shape[i] for i in order]).transpose(np.argsort(order).tolist())


def _flat(a):
    return a if a.ndim == 1 else a.reshape(-1)


def batch_normalization(
    x,
    gamma,
    beta,
    eps: float = 2e-5,
    running_mean=None,
    running_var=None,
    decay: float = 0.9,
    axis: int | tuple[int, ...] | None = None,
) -> Variable:
    """Each feature with the batch's mean and variance taken out, then scaled and shifted.

    ``(x - mean) / sqrt(var + eps) * gamma + beta``, where ``var`` is the mean squared distance
    from the mean. An example that is alone in its batch comes out as ``beta``.

    Args:
        x: ``(N, C)`` or ``(N, C, d1, ...)``, floating; with ``axis``, any shape.
        gamma, beta: scale and shift, of the shape of ``x`` without the averaged axes, ``(C,)``;
            of its dtype. With two axes ``(C, D)`` they belong to ``x`` of ``(N, C, D, ...)``.
        eps: is added to the variance; not negative.
        running_mean, running_var: arrays of the shape of ``gamma``; if given, they are moved
            towards this batch's mean and its unbiased variance, in place. They take no part in
            the result. An empty batch leaves them as they are.
        decay: how much of the running statistics stays, from 0 to 1:
            ``r = decay * r + (1 - decay) * new``.
        axis: the axes that are averaged over; by default the first, and those after the ones of
            ``gamma``.

    Returns:
        Variable: of the shape of ``x``.

    Raises:
        ValueError: the shapes do not fit, or ``x`` has no such axis.
        TypeError: the dtypes are not one and the same floating dtype.

    Source: Ioffe, Szegedy, "Batch Normalization", 2015, https://arxiv.org/abs/1502.03167

    >>> import numpy as np, dynet.functions as F
    >>> x = np.array([[1.0, 5.0], [3.0, 9.0]])
    >>> F.batch_normalization(x, np.ones(2), np.zeros(2), eps=0).array
    array([[-1., -1.],
           [ 1.,  1.]])
    """
    eps = not_negative("batch_normalization", eps=eps)
    decay = real("batch_normalization", decay=decay)
    if not 0 <= decay <= 1:
        raise ValueError(f"batch_normalization: decay is {decay}, expected a number from 0 to 1")
    f = BatchNormalization(eps, axis)
    y = f.apply(x, gamma, beta)
    _, gamma, _, (mean, var) = f.saved
    given = {"running_mean": running_mean, "running_var": running_var}
    given = {name: running for name, running in given.items() if running is not None}
    check_one_device("batch_normalization", {"x": y, **given})
    for name, running in given.items():
        check_constants("batch_normalization", **{name: running})
        check_shape("batch_normalization", gamma.shape, **{name: running})
        if not getattr(running.flags, "writeable", True):  # which only NumPy's arrays say
            raise ValueError(
                f"batch_normalization: {name} is read-only, expected an array to move "
                f"({name}: {running.shape})"
            )
    count = y.size // max(gamma.size, 1)
    if count > 0:
        new = {"running_mean": mean, "running_var": var * (count / max(count - 1, 1))}
        for name, running in given.items():
            running *= decay
            running += (1 - decay) * new[name].reshape(running.shape)
    return y


class FixedBatchNormalization(Function):
    """``(x - mean) / sqrt(var + eps) * gamma + beta``, with a mean and a variance that are given"""

    __slots__ = ("eps", "axis", "key")
    saves = (0, 1, 3, 4)

    def __init__(self, eps, axis):
        self.eps = eps
        self.axis = axis

    def forward(self, x, gamma, beta, mean, var):
        name = "fixed_batch_normalization"
        check_floating(name, x=x, gamma=gamma, beta=beta, mean=mean, var=var)
        self.key = key_axes(name, x, gamma, self.axis)
        check_shape(name, gamma.shape, beta=beta, mean=mean, var=var)
        self.save(x, gamma, mean, var)
        across = _across(x, self.key)
        y = x - mean.reshape(across)
        y *= (gamma / np.sqrt(var + self.eps)).reshape(across)
        y += beta.reshape(across)
        return y

    def backward(self, gy):
        x, gamma, mean, var = self.saved
        axis = tuple([i for i in range(x.ndim) if i not in self.key])
        across = _across(x, self.key)
        inv_std = 1 / np.sqrt(var + self.eps)
        scale = gamma * inv_std
        gx = ggamma = gbeta = gmean = gvar = None
        if self.wants(0):
            gx = gy * scale.reshape(across)
        if self.wants(2) or self.wants(3):
            gbeta = gy.sum(axis=axis)
            gmean = -gbeta * scale
        if self.wants(1) or self.wants(4):
            product = (gy * (x - mean.reshape(across))).sum(axis=axis)
            ggamma = product * inv_std
            gvar = product * scale / (var + self.eps) / -2
        return gx, ggamma, gbeta, gmean, gvar


def fixed_batch_normalization(
    x,
    gamma,
    beta,
    mean,
    var,
    eps: float = 2e-5,
    axis: int | tuple[int, ...] | None = None,
) -> Variable:
    """Batch normalization with statistics that are given, as when a trained model is used.

    Args:
        x: ``(N, C)`` or ``(N, C, d1, ...)``, floating; with ``axis``, any shape.
        gamma, beta, mean, var: ``(C,)``, as for ``batch_normalization``; of the dtype of ``x``.
        eps: is added to the variance; not negative.
        axis: the axes that the statistics were averaged over, as for ``batch_normalization``.

    Returns:
        Variable: ``(x - mean) / sqrt(var + eps) * gamma + beta``, of the shape of ``x``.

    Raises:
        ValueError: the shapes do not fit, or ``x`` has no such axis.
        TypeError: the dtypes are not one and the same floating dtype.

    >>> import numpy as np, dynet.functions as F
    >>> one = np.ones(1)
    >>> F.fixed_batch_normalization(np.array([[7.0]]), one, 0 * one, 3 * one, 4 * one, 0).array
    array([[2.]])
    """
    eps = not_negative("fixed_batch_normalization", eps=eps)
    return FixedBatchNormalization(eps, axis).apply(x, gamma, beta, mean, var)


class GroupNormalization(Function):
    """``(x - mean) / sqrt(var + eps) * gamma + beta``, for each group of channels of an example"""

    __slots__ = ("groups", "eps")
    function = "group_normalization"

    def __init__(self, groups, eps):
        self.groups = groups
        self.eps = eps

    def check(self, x, gamma, beta):
        """Raise unless the channels can be grouped so."""
        name, groups = self.function, self.groups
        check_floating(name, x=x, gamma=gamma, beta=beta)
        check_integer(name, groups=groups)
        if x.ndim < 2:
            raise ValueError(f"{name}: x has shape {x.shape}, expected (N, C, ...)")
        if groups < 1 or x.shape[1] % groups:
            raise ValueError(
                f"{name}: groups is {groups}, expected a divisor of the {x.shape[1]} channels "
                f"(x: {x.shape})"
            )
        check_shape(name, x.shape[1:2], gamma=gamma, beta=beta)

    def forward(self, x, gamma, beta):
        self.check(x, gamma, beta)
        y, stats = kernels.group_normalization(x, self.groups, gamma, beta, self.eps, self.function)
        self.save(x, gamma, beta, stats)
        return y

    def backward(self, gy):
        x, gamma, _, stats = self.saved
        gx, ggamma, gbeta = kernels.group_normalization_grad(
            x, self.groups, gamma, stats, self.eps, gy
        )
        return (gx, Sum(ggamma), Sum(gbeta)) if ggamma.ndim == 2 else (gx, ggamma, gbeta)

    def plain(self, x, gamma, beta):
        """The same in ordinary functions."""
        rows = kernels.rows_of(x, self.groups)
        count = max(rows.shape[1], 1)
        d = rows - rows.sum(axis=1, keepdims=True) / count
        var = (d * d).sum(axis=1, keepdims=True) / count
        x_hat = (d * (var + self.eps) ** -0.5).reshape(x.shape)
        across = _across(x, (1,))
        return x_hat * gamma.reshape(across) + beta.reshape(across)


def group_normalization(x, groups: int, gamma, beta, eps: float = 1e-5) -> Variable:
    """Each group of channels of each example normalized by its own mean and variance.

    ``(x - mean) / sqrt(var + eps) * gamma + beta``; examples do not mix.

    Args:
        x: ``(N, C, d1, ...)``, floating.
        groups: how many groups the channels make, C / groups neighbours each.
        gamma, beta: scale and shift of each channel, ``(C,)``, of the dtype of ``x``.
        eps: is added to the variance; not negative.

    Returns:
        Variable: of the shape of ``x``.

    Raises:
        ValueError: the shapes do not fit, or C is no multiple of ``groups``.
        TypeError: the dtypes are not one and the same floating dtype, or ``groups`` is no integer.

    Source: Wu, He, "Group Normalization", 2018, https://arxiv.org/abs/1803.08494

    >>> import numpy as np, dynet.functions as F
    >>> x = np.array([[1.0, 3.0, 5.0, 9.0]])
    >>> F.group_normalization(x, 2, np.ones(4), np.zeros(4), eps=0).array
    array([[-1.,  1., -1.,  1.]])
    """
    eps = not_negative("group_normalization", eps=eps)
    return GroupNormalization(groups, eps).apply(x, gamma, beta)


class LayerNormalization(GroupNormalization):
    """The same with all channels of an example as one group"""

    __slots__ = ()
    function = "layer_normalization"

    def __init__(self, eps):
        super().__init__(1, eps)

    def check(self, x, gamma, beta):
        check_floating(self.function, x=x, gamma=gamma, beta=beta)
        check_ndim(self.function, 2, x=x)
        check_shape(self.function, x.shape[1:], gamma=gamma, beta=beta)


def layer_normalization(x, gamma, beta, eps: float = 1e-5) -> Variable:
    """Each row normalized by its own mean and variance, then scaled and shifted by column.

    ``(x - mean) / sqrt(var + eps) * gamma + beta``

    Args:
        x: ``(N, C)``, floating.
        gamma, beta: scale and shift, ``(C,)``, of the dtype of ``x``.
        eps: is added to the variance; not negative.

    Returns:
        Variable: ``(N, C)``.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the dtypes are not one and the same floating dtype.

    Source: Ba, Kiros, Hinton, "Layer Normalization", 2016, https://arxiv.org/abs/1607.06450

    >>> import numpy as np, dynet.functions as F
    >>> F.layer_normalization(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=0).array
    array([[-1.,  1.]])
    """
    eps = not_negative("layer_normalization", eps=eps)
    return LayerNormalization(eps).apply(x, gamma, beta)


class SumOfNeighbours(Function):
    """For each channel the sum of it and up to ``half`` on either side: its own gradient"""

    __slots__ = ("half",)

    def __init__(self, half):
        self.half = half

    def forward(self, x):
        y = x.copy()
        for distance in range(1, min(self.half, x.shape[1] - 1) + 1):
            y[:, distance:] += x[:, :-distance]
            y[:, :-distance] += x[:, distance:]
        return y

    def backward(self, gy):
        return SumOfNeighbours(self.half).evaluate(gy)


class LocalResponseNormalization(Function):
    """``x / (k + alpha * sum of squares of neighbouring channels) ** beta``"""

    __slots__ = ("half", "k", "alpha", "beta")
    saves = (0,)

    def __init__(self, n, k, alpha, beta):
        self.half = n // 2
        self.k = k
        self.alpha = alpha
        self.beta = beta

    def forward(self, x):
        check_floating("local_response_normalization", x=x)
        if x.ndim < 2:
            raise ValueError(
                f"local_response_normalization: x has shape {x.shape}, expected (N, C, ...)"
            )
        self.save(x)
        return x * self.base(x) ** -self.beta

    def base(self, x):
        """What is raised to the power, of an array or a Variable."""
        return self.k + self.alpha * SumOfNeighbours(self.half).evaluate(x * x)

    def backward(self, gy):
        (x,) = self.saved
        base = self.base(x)
        h = gy * base**-self.beta
        neighbours = SumOfNeighbours(self.half).evaluate(h * x / base)
        return h - 2 * self.alpha * self.beta * x * neighbours


def local_response_normalization(
    x, n: int = 5, k: float = 2, alpha: float = 1e-4, beta: float = 0.75
) -> Variable:
    """Each element divided by a power of the squares of its neighbours in other channels.

    ``x[i] / (k + alpha * sum(x[j] ** 2)) ** beta``, for the channels ``j`` from ``i - n // 2`` to
    ``i + n // 2``. PyTorch's function of this name divides ``alpha`` by ``n``.

    Args:
        x: ``(N, C, ...)``, floating.
        n: how many channels count, for an even number one more.
        k, alpha, beta: numbers, as in the formula.

    Returns:
        Variable: of the shape of ``x``.

    Raises:
        ValueError: ``x`` has no axis of channels, or ``n`` is not positive.
        TypeError: ``x`` is not floating, or ``n`` no integer.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", 2012, section 3.3.

    >>> import numpy as np, dynet.functions as F
    >>> F.local_response_normalization(np.array([[6.0, 8.0]]), n=3, k=0, alpha=1, beta=0.5).array
    array([[0.6, 0.8]])
    """
    name = "local_response_normalization"
    check_integer(name, n=n)
    if n < 1:
        raise ValueError(f"{name}: n is {n}, expected a positive number")
    k, alpha, beta = real(name, k=k), real(name, alpha=alpha), real(name, beta=beta)
    return LocalResponseNormalization(n, k, alpha, beta).apply(x)


class Normalize(Function):
    """``x / (|x| + eps)``, with the Euclidean length along some axes"""

    __slots__ = ("eps", "axis")
    saves = (0,)

    def __init__(self, eps, axis):
        self.eps = eps
        self.axis = axis

    def forward(self, x):
        check_floating("normalize", x=x)
        self.axis = normal_axes("normalize", self.axis, x)
        self.save(x)
        return x / (np.sqrt((x * x).sum(axis=self.axis, keepdims=True)) + self.eps)

    def backward(self, gy):
        (x,) = self.saved
        squares = (x * x).sum(axis=self.axis, keepdims=True)
        # The length has no derivative at 0. There x is 0, and so is all that is multiplied by it,
        # as long as the root that it is divided by is not 0 too.
        zero = squares == 0
        root = np.sqrt(squares + zero)
        length = root - zero + self.eps
        along = (gy * x).sum(axis=self.axis, keepdims=True) / (root * length)
        return (gy - x * along) / length


def normalize(x, eps: float = 1e-5, axis: int | tuple[int, ...] = 1) -> Variable:
    """Vectors scaled to the Euclidean length 1: ``x / (|x| + eps)``; a vector of zeros stays.

    Args:
        x: any shape with such axes, floating.
        eps: is added to the length; not negative.
        axis: the axis, or axes, along which the elements are those of one vector.

    Returns:
        Variable: of the shape of ``x``.

    Raises:
        ValueError: ``x`` has no such axis.
        TypeError: ``x`` is not floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.normalize(np.array([[3.0, 4.0]]), eps=0).array
    array([[0.6, 0.8]])
    """
    eps = not_negative("normalize", eps=eps)
    return Normalize(eps, axis).apply(x)
