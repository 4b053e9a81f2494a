"""Reductions: sums, means, maxima and their like, over all elements or along some axes.

Also what goes along an axis: cumulative sums and products, and the places of maxima and minima.
"""

import math

import numpy as np

from ..backend import get_array_module, is_cupy
from ..function import Function
from ..kernels import reduction as kernels
from ..kernels.labels import may_look
from ..variable import Variable
from .checks import check_floating, check_numbers, elements, normal_axes, normal_axis
from .numpy_protocol import implements

__all__ = [
    "argmax",
    "argmin",
    "average",
    "batch_l2_norm_squared",
    "cumprod",
    "cumsum",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "sum",
]


class Reduction(Function):
    """What functions that reduce some axes, or all, to one number share"""

    __slots__ = ("axis", "keepdims", "kept")

    def __init__(self, axis=None, keepdims=False):
        self.axis = axis
        self.keepdims = keepdims

    def reduce(self, x):
        """The value, from an array; the reduced axes stay, with length 1."""
        raise NotImplementedError(f"{self.name} has no reduce")

    def forward(self, x):
        try:
            y = self.reduce(x)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            function = self.name.lower()
            check_numbers(function, x=x)
            normal_axes(function, self.axis, x)
            if x.size == 0 and isinstance(error, ValueError):
                raise _no_elements(function, x, self.axis) from None
            raise
        self.kept = y.shape
        return y if self.keepdims else y.squeeze(axis=self.axis)


def _no_elements(function, x, axis):
    where = "" if axis is None else f" along axis {axis}"
    return ValueError(
        f"{function}: x holds no elements{where}, expected at least one (x: {x.shape})"
    )


def _of_numpy(*numpy_functions):
    """NumPy's reductions take a dtype and an output where ours take ``keepdims``: by name, then."""

    def register(function):
        implements(*numpy_functions)(
            lambda a, axis=None, *, keepdims=False: function(a, axis, keepdims)
        )
        return function

    return register


class Sum(Reduction):
    """The sum over some axes, or all"""

    __slots__ = ("shape",)

    def reduce(self, x):
        self.shape = x.shape
        return x.sum(axis=self.axis, keepdims=True)

    def backward(self, gy):
        gy = gy.reshape(self.kept)
        if type(gy) is np.ndarray:
            gx = np.empty(self.shape, gy.dtype)  # for small arrays a fourth of broadcast_to's time
        elif is_cupy(gy):  # whose broadcast_to would let one number be written in many places
            gx = get_array_module(gy).empty(self.shape, gy.dtype)
        else:
            return np.broadcast_to(gy, self.shape)
        gx[...] = gy
        return gx


@_of_numpy(np.sum)
def sum(x, axis=None, keepdims: bool = False) -> Variable:
    """The sum of the elements; of none it is 0.

    Args:
        x: any shape.
        axis: an axis or a tuple of them; all by default.
        keepdims: whether the summed axes stay, with length 1.

    Raises:
        ValueError: ``x`` has no such axis, or it is named twice.
        TypeError: ``x`` is no array, or ``axis`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.sum(np.ones((2, 3)), axis=1).array
    array([3., 3.])
    """
    return Sum(axis, keepdims).apply(x)


class Mean(Sum):
    """The mean over some axes, or all"""

    __slots__ = ("count",)

    def reduce(self, x):
        if x.dtype.kind != "f":
            check_floating(self.name.lower(), x=x)
        if x.dtype.itemsize == 2:  # a sum of float16 would soon be too large a number
            return self.reduce(x.astype(np.float32)).astype(np.float16)
        total = super().reduce(x)
        if x.size == 0 and total.size:
            raise _no_elements(self.name.lower(), x, self.axis)
        self.count = x.size // (total.size or 1)
        return total / (self.count or 1)

    def backward(self, gy):
        return super().backward(gy * (1 / (self.count or 1)))


@_of_numpy(np.mean)
def mean(x, axis=None, keepdims: bool = False) -> Variable:
    """The mean of the elements.

    Args:
        x: any shape, floating.
        axis: an axis or a tuple of them; all by default.
        keepdims: whether the averaged axes stay, with length 1.

    Raises:
        ValueError: ``x`` has no such axis, or it is named twice, or there is nothing to average.
        TypeError: ``x`` is not floating, or ``axis`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.mean(np.array([[1.0, 3.0]]), axis=1).array
    array([2.])
    """
    return Mean(axis, keepdims).apply(x)


class Average(Mean):
    """The same, as ``average`` without weights"""

    __slots__ = ()


def average(x, axis=None, weights=None, keepdims: bool = False) -> Variable:
    """The weighted mean of the elements, ``sum(x * weights) / sum(weights)``.

    Args:
        x: any shape, floating.
        axis: an axis or a tuple of them; all by default.
        weights: of the shape of ``x``, or of its lengths along ``axis``, in that order; of the
            same dtype. ``None`` weighs all alike.
        keepdims: whether the averaged axes stay, with length 1.

    Raises:
        ValueError: ``x`` has no such axis, or it is named twice; the weights have another shape;
            without weights, there is nothing to average.
        TypeError: ``x`` or ``weights`` is not floating, or ``axis`` no integer.
        ZeroDivisionError: some weights sum to 0. On a GPU, where looking would make the program
            wait, the mean is infinite or NaN instead, unless in debug mode.

    >>> import numpy as np, dynet.functions as F
    >>> F.average(np.array([1.0, 5.0]), weights=np.array([3.0, 1.0])).item()
    2.0
    """
    if weights is None:
        return Average(axis, keepdims).apply(x)
    check_floating("average", x=x, weights=weights)
    axes = normal_axes("average", axis, x)
    if weights.shape != x.shape:
        expected = tuple([x.shape[i] for i in axes])
        if axis is None or weights.shape != expected:
            raise ValueError(
                f"average: weights has shape {weights.shape}, expected {x.shape}"
                + ("" if axis is None else f" or {expected}")
                + f" (x: {x.shape}, axis: {axis})"
            )
        weights = weights.transpose(*[int(i) for i in np.argsort(axes)])
        weights = weights.reshape(*[n if i in axes else 1 for i, n in enumerate(x.shape)])
    total = sum(weights, axis, keepdims)
    if may_look(total.array) and (elements(total) == 0).any():
        raise ZeroDivisionError(
            f"average: weights sum to 0, by which nothing can be divided (x: {x.shape}, "
            f"weights: {weights.shape}, axis: {axis})"
        )
    return sum(weights * x, axis, keepdims) / total


@implements(np.average)
def _average_of_numpy(a, axis=None, weights=None, *, keepdims=False):
    return average(a, axis, weights, keepdims)


class Max(Reduction):
    """The largest element along some axes, or of all; equals share the gradient"""

    __slots__ = ()
    saves = (0, -1)
    sign = 1

    def reduce(self, x):
        if kernels.is_short(x, self.axis):
            return kernels.extreme(x, self.axis, self.sign)
        return x.max(axis=self.axis, keepdims=True)

    def forward(self, x):
        y = super().forward(x)
        self.save(x, y)
        return y

    def backward(self, gy):
        x, y = self.saved
        y, gy = y.reshape(self.kept), gy.reshape(self.kept)
        return kernels.extreme_grad(x, y, gy, self.axis, self.sign)


@_of_numpy(np.max, np.amax)
def max(x, axis=None, keepdims: bool = False) -> Variable:
    """The largest element; several equal ones share its gradient evenly.

    Args:
        x: any shape.
        axis: an axis or a tuple of them; all by default.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        Variable: NaN where an element is NaN.

    Raises:
        ValueError: ``x`` has no such axis, or it is named twice, or there are no elements.
        TypeError: ``x`` is no array, or ``axis`` no integer.

    >>> import numpy as np, dynet
    >>> x = dynet.Variable(np.array([1.0, 3.0, 3.0]))
    >>> y = dynet.functions.max(x)
    >>> y.backward()
    >>> y.item(), x.grad
    (3.0, array([0. , 0.5, 0.5]))
    """
    return Max(axis, keepdims).apply(x)


class Min(Max):
    """The smallest element along some axes, or of all; equals share the gradient"""

    __slots__ = ()
    sign = -1

    def reduce(self, x):
        if kernels.is_short(x, self.axis):
            return kernels.extreme(x, self.axis, self.sign)
        return x.min(axis=self.axis, keepdims=True)


@_of_numpy(np.min, np.amin)
def min(x, axis=None, keepdims: bool = False) -> Variable:
    """The smallest element; several equal ones share its gradient evenly.

    Args:
        x: any shape.
        axis: an axis or a tuple of them; all by default.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        Variable: NaN where an element is NaN.

    Raises:
        ValueError: ``x`` has no such axis, or it is named twice, or there are no elements.
        TypeError: ``x`` is no array, or ``axis`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.min(np.array([[4.0, 2.0], [3.0, 5.0]]), axis=0).array
    array([3., 2.])
    """
    return Min(axis, keepdims).apply(x)


class Prod(Reduction):
    """The product over some axes, or all; each element's slope is the product of the others"""

    __slots__ = ("axes",)
    saves = (0,)

    def reduce(self, x):
        self.axes = normal_axes("prod", self.axis, x)
        return x.prod(axis=self.axis, keepdims=True)

    def forward(self, x):
        y = super().forward(x)
        self.save(x)
        return y

    def backward(self, gy):
        (x,) = self.saved
        gx = kernels.product_of_others(_as_rows(x, self.axes), gy.reshape(-1))
        return _from_rows(gx, self.axes, x.shape)

    def plain(self, x):
        """The same in ordinary functions: the product of the halves, and of their halves."""
        y = _as_rows(x, self.axes)
        if y.shape[1] == 0:
            y = y.sum(axis=1, keepdims=True) + 1  # the product of nothing
        while y.shape[1] > 1:
            half = y.shape[1] // 2
            y = np.concatenate([y[:, :half] * y[:, half : 2 * half], y[:, 2 * half :]], axis=1)
        y = y.reshape(self.kept)
        return y if self.keepdims else y.sum(axis=self.axis)


def _as_rows(x, axes):
    """An array or Variable as ``(rows, n)``: some axes, as one, last."""
    order = [i for i in range(x.ndim) if i not in axes] + list(axes)
    n = math.prod([x.shape[i] for i in axes])
    rows = math.prod([x.shape[i] for i in order[: x.ndim - len(axes)]])
    return x.transpose(*order).reshape(rows, n)


def _from_rows(y, axes, shape):
    """What ``_as_rows`` did to a ``shape``, undone."""
    order = [i for i in range(len(shape)) if i not in axes] + list(axes)
    y = y.reshape([shape[i] for i in order])
    return y.transpose(*[int(i) for i in np.argsort(order)])


@_of_numpy(np.prod)
def prod(x, axis=None, keepdims: bool = False) -> Variable:
    """The product of the elements; of none it is 1. The gradient is right also where some are 0.

    Args:
        x: any shape.
        axis: an axis or a tuple of them; all by default.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        ValueError: ``x`` has no such axis, or it is named twice.
        TypeError: ``x`` is no array, or ``axis`` no integer.

    >>> import numpy as np, dynet
    >>> x = dynet.Variable(np.array([2.0, 0.0, 3.0]))
    >>> dynet.functions.prod(x).backward()
    >>> x.grad
    array([0., 6., 0.])
    """
    return Prod(axis, keepdims).apply(x)


class LogSumExp(Reduction):
    """``log(sum(exp(x)))`` over some axes, or all"""

    __slots__ = ()
    saves = (0, -1)

    def reduce(self, x):
        if x.dtype.kind != "f":
            check_floating("logsumexp", x=x)
        xp = get_array_module(x)
        top = x.max(axis=self.axis, keepdims=True) if x.size else xp.zeros((), x.dtype)
        top = xp.where(xp.isfinite(top), top, 0)  # -inf - -inf would be NaN
        with np.errstate(divide="ignore", over="ignore"):  # log 0 is -inf, exp inf is inf
            return xp.log(xp.exp(x - top).sum(axis=self.axis, keepdims=True)) + top

    def forward(self, x):
        y = super().forward(x)
        self.save(x, y)
        return y

    def backward(self, gy):
        x, y = self.saved
        # Where all are -inf, so is y; the slopes are 0 then, not exp(-inf - -inf).
        y = np.maximum(y.reshape(self.kept), np.finfo(y.dtype).min)
        return gy.reshape(self.kept) * np.exp(x - y)


def logsumexp(x, axis=None) -> Variable:
    """``log(sum(exp(x)))``, computed so that nothing overflows.

    Where all elements are -inf, or there are none, it is -inf, with a gradient of 0.

    Args:
        x: any shape, floating.
        axis: an axis or a tuple of them; all by default.

    Raises:
        ValueError: ``x`` has no such axis, or it is named twice.
        TypeError: ``x`` is not floating, or ``axis`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.logsumexp(np.array([[1000.0, 1000.0], [0.0, -np.inf]]), axis=1).array
    array([1000.69314718,    0.        ])
    """
    return LogSumExp(axis).apply(x)


class CumSum(Function):
    """The sums of the elements up to each one along an axis"""

    __slots__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return x.cumsum(axis=self.axis)

    def backward(self, gy):
        backwards = (slice(None),) * self.axis + (slice(None, None, -1),)
        return np.cumsum(gy[backwards], axis=self.axis)[backwards]


def _along_axis(function, x, axis):
    """The argument checked, flat if there is no axis, and the axis counted from the front."""
    check_numbers(function, x=x)
    if axis is None:
        return x.reshape(-1), 0
    return x, normal_axis(function, axis, x)


@implements(np.cumsum)
def cumsum(x, axis: int | None = None) -> Variable:
    """The sums of the elements up to each one.

    Args:
        x: any shape.
        axis: along which to sum; by default ``x`` is flattened first.

    Returns:
        Variable: of the shape of ``x``, or ``(size,)`` without an axis.

    Raises:
        ValueError: ``x`` has no such axis.
        TypeError: ``x`` is no array, or ``axis`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.cumsum(np.array([1.0, 2.0, 4.0])).array
    array([1., 3., 7.])
    """
    x, axis = _along_axis("cumsum", x, axis)
    return CumSum(axis).apply(x)


class CumProd(Function):
    """The products of the elements up to each one along an axis"""

    __slots__ = ("axis",)
    saves = (0,)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        self.save(x)
        return x.cumprod(axis=self.axis)

    def backward(self, gy):
        (x,) = self.saved
        axes = (self.axis,)
        return _from_rows(
            kernels.cumprod_grad(_as_rows(x, axes), _as_rows(gy, axes)), axes, x.shape
        )

    def plain(self, x):
        """The same in ordinary functions: products of 1 element, of up to 2, of up to 4, ..."""
        y = _as_rows(x, (self.axis,))
        span = 1
        while span < y.shape[1]:
            y = np.concatenate([y[:, :span], y[:, span:] * y[:, :-span]], axis=1)
            span *= 2
        return _from_rows(y, (self.axis,), x.shape)


@implements(np.cumprod)
def cumprod(x, axis: int | None = None) -> Variable:
    """The products of the elements up to each one. The gradient is right also where some are 0.

    Args:
        x: any shape.
        axis: along which to multiply; by default ``x`` is flattened first.

    Returns:
        Variable: of the shape of ``x``, or ``(size,)`` without an axis.

    Raises:
        ValueError: ``x`` has no such axis.
        TypeError: ``x`` is no array, or ``axis`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.cumprod(np.array([1.0, 2.0, 4.0])).array
    array([1., 2., 8.])
    """
    x, axis = _along_axis("cumprod", x, axis)
    return CumProd(axis).apply(x)


def _place_of(extreme, x, axis):
    """``argmax`` or ``argmin``, by name: a place has no gradient, so nothing is recorded."""
    x = elements(x)
    check_numbers(extreme, x=x)
    if axis is not None:
        axis = normal_axis(extreme, axis, x)
    if (x.size if axis is None else x.shape[axis]) == 0:
        raise _no_elements(extreme, x, axis)
    return Variable(get_array_module(x).asarray(getattr(x, extreme)(axis=axis)))


@implements(np.argmax)
def argmax(x, axis: int | None = None) -> Variable:
    """The place of the largest element, the first of equals; it has no gradient.

    Args:
        x: any shape.
        axis: along which to look; by default the place is that in the flattened ``x``.

    Returns:
        Variable: integers, of the shape of ``x`` without the axis.

    Raises:
        ValueError: ``x`` has no such axis, or there are no elements along it.
        TypeError: ``x`` is no array, or ``axis`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.argmax(np.array([[1.0, 3.0], [4.0, 2.0]]), axis=1).array
    array([1, 0])
    """
    return _place_of("argmax", x, axis)


@implements(np.argmin)
def argmin(x, axis: int | None = None) -> Variable:
    """The place of the smallest element, the first of equals; it has no gradient.

    Args:
        x: any shape.
        axis: along which to look; by default the place is that in the flattened ``x``.

    Returns:
        Variable: integers, of the shape of ``x`` without the axis.

    Raises:
        ValueError: ``x`` has no such axis, or there are no elements along it.
        TypeError: ``x`` is no array, or ``axis`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.argmin(np.array([[1.0, 3.0], [4.0, 2.0]]), axis=1).array
    array([0, 1])
    """
    return _place_of("argmin", x, axis)


class BatchL2NormSquared(Function):
    """``sum(x ** 2)`` over all axes but the first"""

    __slots__ = ()
    saves = (0,)

    def forward(self, x):
        check_floating("batch_l2_norm_squared", x=x)
        if x.ndim < 2:
            raise ValueError(
                f"batch_l2_norm_squared: x has shape {x.shape}, expected a batch of vectors or "
                "larger arrays, (N, ...)"
            )
        self.save(x)
        return (x * x).sum(axis=tuple(range(1, x.ndim)))

    def backward(self, gy):
        (x,) = self.saved
        return 2 * gy.reshape(len(x), *(1,) * (x.ndim - 1)) * x


def batch_l2_norm_squared(x) -> Variable:
    """The squared Euclidean norm of each example, ``sum(x ** 2)`` over all axes but the first.

    Args:
        x: ``(N, ...)``, floating, with at least two axes.

    Returns:
        Variable: ``(N,)``.

    Raises:
        ValueError: ``x`` has fewer axes.
        TypeError: ``x`` is not floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.batch_l2_norm_squared(np.array([[3.0, 4.0], [0.0, 1.0]])).array
    array([25.,  1.])
    """
    return BatchL2NormSquared().apply(x)


Variable.sum = sum
Variable.mean = mean
Variable.max = max
Variable.min = min
Variable.prod = prod
Variable.cumsum = cumsum
Variable.cumprod = cumprod
Variable.argmax = argmax
Variable.argmin = argmin
