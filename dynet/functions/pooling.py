"""Pooling: one number for each window of an image, and the way back."""

import numpy as np

from ..backend import get_array_module
from ..function import Function
from ..kernels import pooling as kernels
from ..kernels.convolution import Geometry
from ..variable import Variable
from .checks import check_floating, check_ndim
from .convolution import geometry_of, pair, size_covered, windows_along

__all__ = ["average_pooling_2d", "max_pooling_2d", "unpooling_2d"]


# -- the largest of a window ------------------------------------------------------------------


class MaxPooling2D(Function):
    """The largest element of each window; the gradient goes to the first of equals"""

    __slots__ = ("geometry",)

    def __init__(self, geometry):
        self.geometry = geometry

    def forward(self, x):
        y, places = kernels.largest(x, self.geometry)
        self.save(places)
        return y

    def backward(self, gy):
        return ToPlaces(self.geometry).evaluate(gy, self.saved[0])


class ToPlaces(Function):
    """Each element added to the place in its image that an array of integers names"""

    __slots__ = ("geometry",)
    saves = (1,)

    def __init__(self, geometry):
        self.geometry = geometry

    def forward(self, gy, places):
        self.save(places)
        return kernels.scatter(gy, places, self.geometry)

    def backward(self, gx):
        return FromPlaces(self.geometry).evaluate(gx, self.saved[0]), None


class FromPlaces(Function):
    """The elements at the places that an array of integers names"""

    __slots__ = ("geometry",)
    saves = (1,)

    def __init__(self, geometry):
        self.geometry = geometry

    def forward(self, x, places):
        self.save(places)
        return kernels.gather(x, places, self.geometry)

    def backward(self, gy):
        return ToPlaces(self.geometry).evaluate(gy, self.saved[0]), None


def max_pooling_2d(
    x, ksize, stride=None, pad=0, cover_all: bool = True, return_indices: bool = False
):
    """The largest element of each window of images.

    The gradient goes to that element alone, the first of equals. What lies beyond the edges of
    an image counts as -inf.

    Args:
        x: images, ``(N, C, h, w)``, floating.
        ksize: the size of the windows; an integer or a pair, for rows and columns.
        stride: by how much windows lie apart; by default ``ksize``, so that they do not overlap.
        pad: how far windows reach beyond the edges; an integer or a pair.
        cover_all: whether the windows go on until they have covered every element, where
            otherwise those stop that do not fit whole.
        return_indices: whether to tell, too, which element was taken.

    Returns:
        Variable: ``(N, C, oh, ow)``, where ``oh = (h + 2 pad - kh) / stride + 1``, rounded up with
        ``cover_all``, else down; ``ow`` likewise. With ``return_indices`` a tuple of it and an
        array of integers of its shape: the number of the element in its window, row by row.

    Raises:
        ValueError: no window fits the images, or one would hold no element of them.
        TypeError: ``x`` is no floating array.

    >>> import numpy as np, dynet.functions as F
    >>> F.max_pooling_2d(np.arange(12.0).reshape(1, 1, 3, 4), 2).array
    array([[[[ 5.,  7.],
             [ 9., 11.]]]])
    """
    geometry = _geometry("max_pooling_2d", x, ksize, stride, pad, cover_all)
    _check_none_empty("max_pooling_2d", geometry, x, cover_all)
    f = MaxPooling2D(geometry)
    y = f.apply(x)
    return (y, kernels.within_windows(f.saved[0], geometry)) if return_indices else y


def _geometry(function, x, ksize, stride, pad, cover_all):
    check_floating(function, x=x)
    check_ndim(function, 4, x=x)
    kernel = pair(function, "ksize", ksize, 1)
    return geometry_of(function, x, kernel, kernel if stride is None else stride, pad, cover_all)


def _check_none_empty(function, geometry, x, cover_all):
    """Raise if a window lies wholly beyond an edge: it would have no maximum, and no mean."""
    for size, kernel, out, stride, pad in zip(*geometry[:5], strict=True):
        if pad >= kernel or (out - 1) * stride - pad >= size:
            raise ValueError(
                f"{function}: a window would hold no element of x: windows of {geometry.kernel} "
                f"with stride {geometry.stride}, pad {geometry.pad} and cover_all {cover_all}; "
                f"expected a pad less than the window, and a last window that begins within the "
                f"image (x: {x.shape})"
            )


# -- sums of windows --------------------------------------------------------------------------


class WindowSum(Function):
    """The sum of each window, divided by what ``divisor`` names"""

    __slots__ = ("geometry", "divisor")

    def __init__(self, geometry, divisor):
        self.geometry = geometry
        self.divisor = divisor

    def forward(self, x):
        return kernels.window_sum(x, _counts(x, self.geometry, self.divisor), self.geometry)

    def backward(self, gy):
        return WindowSpread(self.geometry, self.divisor).evaluate(gy)


class WindowSpread(Function):
    """The transpose: each element, divided likewise, added to all places of its window"""

    __slots__ = ("geometry", "divisor")

    def __init__(self, geometry, divisor):
        self.geometry = geometry
        self.divisor = divisor

    def forward(self, y):
        return kernels.window_spread(y, _counts(y, self.geometry, self.divisor), self.geometry)

    def backward(self, gx):
        return WindowSum(self.geometry, self.divisor).evaluate(gx)


def _counts(x, geometry, divisor):
    """By what each window's sum is divided, ``(oh, ow)``, of the dtype of ``x``.

    ``divisor`` is ``None`` for 1, ``"window"`` for the number of places in a window, ``"inside"``
    for the number of those that lie inside the image.
    """
    xp = get_array_module(x)
    counts = [np.ones(out) for out in geometry.out]
    if divisor == "window":
        counts = [np.full(out, k) for out, k in zip(geometry.out, geometry.kernel, strict=True)]
    elif divisor == "inside":
        counts = []
        for size, kernel, out, stride, pad in zip(*geometry[:5], strict=True):
            begin = np.arange(out) * stride - pad
            counts.append(np.minimum(begin + kernel, size) - np.maximum(begin, 0))
    rows, columns = counts
    return xp.asarray(rows[:, None] * columns, x.dtype)


def average_pooling_2d(x, ksize, stride=None, pad=0, pad_value=0) -> Variable:
    """The mean of each window of images.

    Args:
        x: images, ``(N, C, h, w)``, floating.
        ksize: the size of the windows; an integer or a pair, for rows and columns.
        stride: by how much windows lie apart; by default ``ksize``, so that they do not overlap.
        pad: how far windows reach beyond the edges; an integer or a pair.
        pad_value: what lies beyond the edges: zeros that count, or, with ``None``, nothing: the
            mean is then that of the elements inside the image.

    Returns:
        Variable: ``(N, C, oh, ow)``, where ``oh = (h + 2 pad - kh) // stride + 1`` and ``ow``
        likewise.

    Raises:
        ValueError: no window fits the images, or one would hold no element of them.
        TypeError: ``x`` is no floating array.

    >>> import numpy as np, dynet.functions as F
    >>> F.average_pooling_2d(np.arange(4.0).reshape(1, 1, 2, 2), 2).array
    array([[[[1.5]]]])
    """
    geometry = _geometry("average_pooling_2d", x, ksize, stride, pad, False)
    if pad_value is None:
        _check_none_empty("average_pooling_2d", geometry, x, False)
    elif isinstance(pad_value, bool) or pad_value != 0:
        raise ValueError(f"average_pooling_2d: pad_value is {pad_value!r}, expected 0 or None")
    return WindowSum(geometry, "inside" if pad_value is None else "window").apply(x)


def unpooling_2d(x, ksize, stride=None, pad=0, outsize=None, cover_all: bool = True) -> Variable:
    """Each element put into every place of its window: images as large as before a pooling.

    Where windows overlap, their elements add up.

    Args:
        x: ``(N, C, h, w)``, floating.
        ksize: the size of the windows; an integer or a pair, for rows and columns.
        stride: by how much windows lie apart in the result; by default ``ksize``.
        pad: how much of the result is cut off on each side; an integer or a pair.
        outsize: rows and columns of the result: a size that a pooling with these settings makes
            ``(h, w)`` of, with or without ``cover_all``.
        cover_all: whether the result has by default the smallest size from which pooling with
            ``cover_all`` makes ``(h, w)``, or that without.

    Returns:
        Variable: ``(N, C, oh, ow)``, by default with ``oh = stride (h - 1) + kh - 2 pad``, and with
        ``cover_all`` ``stride - 1`` less; ``ow`` likewise.

    Raises:
        ValueError: the sizes do not fit each other.
        TypeError: ``x`` is no floating array.

    >>> import numpy as np, dynet.functions as F
    >>> F.unpooling_2d(np.array([[[[1.0, 2.0]]]]), 2, cover_all=False).array
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    function = "unpooling_2d"
    check_floating(function, x=x)
    check_ndim(function, 4, x=x)
    kernel = pair(function, "ksize", ksize, 1)
    stride = kernel if stride is None else pair(function, "stride", stride, 1)
    pad = pair(function, "pad", pad, 0)
    out = x.shape[2:]
    least = tuple(map(size_covered, out, kernel, stride, pad, (cover_all, cover_all)))
    size = least if outsize is None else pair(function, "outsize", outsize, 1)
    for along in zip(size, out, kernel, stride, pad, strict=True):
        length, windows, *settings = along
        if length < 1 or windows not in (
            windows_along(length, *settings, True),
            windows_along(length, *settings, False),
        ):
            raise ValueError(
                f"{function}: the result would be {size}, expected a size that a pooling makes "
                f"{out} of (x: {x.shape}, ksize {kernel}, stride {stride}, pad {pad})"
            )
    return WindowSpread(Geometry(size, kernel, out, stride, pad, (1, 1), 1), None).apply(x)
