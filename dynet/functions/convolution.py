"""Convolutions: sums over windows that move across images, weighted the same everywhere."""

import numpy as np

from ..function import Function
from ..kernels import convolution as kernels
from ..kernels.convolution import Geometry
from ..variable import Variable
from .checks import check_floating, check_integer, check_ndim, refuse_stand_ins

__all__ = ["convolution_1d", "convolution_2d", "deconvolution_2d", "im2col"]


# -- where windows lie ------------------------------------------------------------------------


def pair(function: str, name: str, x, least: int) -> tuple[int, int]:
    """An argument that is one integer, for both axes, or two of them."""
    values = x if isinstance(x, (tuple, list)) else (x, x)
    for v in values:
        if isinstance(v, bool) or not isinstance(v, (int, np.integer)):
            raise TypeError(f"{function}: {name} is {x!r}, expected an integer or a pair of them")
    if len(values) != 2 or min(values) < least:
        raise ValueError(
            f"{function}: {name} is {x!r}, expected an integer or a pair of them, "
            f"each at least {least}"
        )
    return int(values[0]), int(values[1])


def windows_along(size: int, kernel: int, stride: int, pad: int, cover_all: bool, dilate=1) -> int:
    """How many windows there are along an axis; less than 1 where none fits."""
    room = size + 2 * pad - (kernel - 1) * dilate - 1
    return (room + stride - 1 if cover_all else room) // stride + 1


def size_covered(windows: int, kernel: int, stride: int, pad: int, cover_all: bool, dilate=1):
    """The smallest length of an axis along which there are so many windows."""
    size = (windows - 1) * stride + (kernel - 1) * dilate + 1 - 2 * pad
    return size - stride + 1 if cover_all else size


def geometry_of(
    function: str, x, kernel: tuple, stride, pad, cover_all: bool, dilate=1, groups: int = 1
) -> Geometry:
    """The geometry of all windows that fit an image ``x`` (N, C, h, w), the arguments checked."""
    stride, pad = pair(function, "stride", stride, 1), pair(function, "pad", pad, 0)
    dilate = pair(function, "dilate", dilate, 1)
    image = x.shape[2:]
    out = tuple(map(windows_along, image, kernel, stride, pad, (cover_all, cover_all), dilate))
    if min(out) < 1 or min(image) < 1:
        extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilate, strict=True))
        raise ValueError(
            f"{function}: a window of {extent} does not fit the image of {image} with pad {pad} "
            f"(x: {x.shape})"
        )
    return Geometry(image, kernel, out, stride, pad, dilate, groups)


# -- convolution, its transpose, and the gradient of its weight ---------------------------------
# Each is linear in both of its arguments, and the derivatives of each are the two others.


class Convolution2D(Function):
    """``y[n, o, u, v] = sum over c, i, j of x[n, c, s u + d i - p, s v + d j - p] W[o, c, i, j]``

    plus ``b[o]``, where ``x`` beyond its edges is 0; s, d, p: stride, dilation, pad.
    """

    __slots__ = ("geometry",)
    saves = (0, 1)

    def __init__(self, geometry):
        self.geometry = geometry

    def forward(self, x, W, b=None):
        refuse_stand_ins("convolution", "its threads are its own", x, W)
        self.save(x, W)
        return kernels.convolve(x, W, b, self.geometry)

    def backward(self, gy):
        x, W = self.saved
        gx = Deconvolution2D(self.geometry).evaluate(gy, W) if self.wants(0) else None
        gW = ConvolutionWeight(self.geometry).evaluate(x, gy) if self.wants(1) else None
        return (gx, gW) if len(self.inputs) == 2 else (gx, gW, _bias_gradient(self, gy))


class Deconvolution2D(Function):
    """The gradient of a convolution's input, as a function of that of its output"""

    __slots__ = ("geometry",)
    saves = (0, 1)

    def __init__(self, geometry):
        self.geometry = geometry

    def forward(self, x, W, b=None):
        refuse_stand_ins("convolution", "its threads are its own", x, W)
        self.save(x, W)
        return kernels.deconvolve(x, W, b, self.geometry)

    def backward(self, gy):
        x, W = self.saved
        gx = Convolution2D(self.geometry).evaluate(gy, W) if self.wants(0) else None
        gW = ConvolutionWeight(self.geometry).evaluate(gy, x) if self.wants(1) else None
        return (gx, gW) if len(self.inputs) == 2 else (gx, gW, _bias_gradient(self, gy))


class ConvolutionWeight(Function):
    """The gradient of a convolution's weight, from its input and the gradient of its output"""

    __slots__ = ("geometry",)
    saves = (0, 1)

    def __init__(self, geometry):
        self.geometry = geometry

    def forward(self, x, gy):
        self.save(x, gy)
        return kernels.convolution_weight(x, gy, self.geometry)

    def backward(self, gW):
        x, gy = self.saved
        gx = Deconvolution2D(self.geometry).evaluate(gy, gW) if self.wants(0) else None
        ggy = Convolution2D(self.geometry).evaluate(x, gW) if self.wants(1) else None
        return gx, ggy


def _bias_gradient(function, gy):
    return gy.sum(axis=(0, 2, 3)) if function.wants(2) else None


def convolution_2d(
    x,
    W,
    b=None,
    stride=1,
    pad=0,
    cover_all: bool = False,
    *,
    dilate=1,
    groups: int = 1,
) -> Variable:
    """A convolution of images: sums over windows, weighted the same everywhere.

    As everywhere in deep learning, the window is not turned round: it is a cross-correlation.

    Args:
        x: images, ``(N, C, h, w)``.
        W: the weights of each output channel, ``(O, C / groups, kh, kw)``, of the same dtype.
        b: ``(O,)``, or ``None``.
        stride: by how much windows lie apart; an integer or a pair, for rows and columns.
        pad: how many zeros surround the images on each side; an integer or a pair.
        cover_all: whether the windows go on until they have covered every element, where
            otherwise those stop that do not fit whole.
        dilate: how far apart the elements of a window lie; an integer or a pair.
        groups: channels are split into so many groups, each seen by as many of the outputs.

    Returns:
        Variable: ``(N, O, oh, ow)``, where ``oh = (h + 2 pad - dilate (kh - 1) - 1) // stride + 1``
        (rounded up with ``cover_all``), ``ow`` likewise.

    Raises:
        ValueError: the shapes do not fit each other, or no window fits the images.
        TypeError: the dtypes differ, or an argument is no array.

    >>> import numpy as np, dynet.functions as F
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> F.convolution_2d(x, np.ones((1, 1, 2, 2))).array
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    function = "convolution_2d"
    _check_operands(function, x, W, b, groups, axes=2)
    _check_channels(function, x, W, b, groups)
    geometry = geometry_of(function, x, W.shape[2:], stride, pad, cover_all, dilate, groups)
    return _convolution(geometry, x, W, b)


def _convolution(geometry, x, W, b):
    f = Convolution2D(geometry)
    return f.apply(x, W) if b is None else f.apply(x, W, b)


def _check_operands(function, x, W, b, groups, axes):
    """What convolutions of all kinds ask of their arguments."""
    arrays = {"x": x, "W": W} if b is None else {"x": x, "W": W, "b": b}
    check_floating(function, **arrays)
    check_ndim(function, 2 + axes, x=x, W=W)
    check_integer(function, groups=groups)
    if groups < 1:
        raise ValueError(f"{function}: groups is {groups}, expected at least 1")
    for name, a in ("x", x), ("W", W):
        if min(a.shape[2:]) < 1:
            raise ValueError(f"{function}: {name} has shape {a.shape}, an axis without elements")


def _check_channels(function, x, W, b, groups):
    if x.shape[1] != W.shape[1] * groups or W.shape[0] % groups:
        raise ValueError(
            f"{function}: x has {x.shape[1]} channels, W has shape {W.shape} and groups is "
            f"{groups}; expected W (O, C / groups, ...) with O a multiple of groups (x: {x.shape})"
        )
    _check_bias(function, b, W.shape[0], W)


def _check_bias(function, b, channels, W):
    if b is not None and b.shape != (channels,):
        raise ValueError(
            f"{function}: b has shape {b.shape}, expected {(channels,)} (W: {W.shape})"
        )


def convolution_1d(
    x, W, b=None, stride=1, pad=0, cover_all: bool = False, dilate=1, groups: int = 1
) -> Variable:
    """A convolution along one axis, for instance of sounds: sums over windows, weighted alike.

    Args:
        x: ``(N, C, l)``.
        W: ``(O, C / groups, k)``, of the same dtype.
        b: ``(O,)``, or ``None``.
        stride, pad, cover_all, dilate, groups: as for ``convolution_2d``, each an integer.

    Returns:
        Variable: ``(N, O, ol)``, where ``ol = (l + 2 pad - dilate (k - 1) - 1) // stride + 1``
        (rounded up with ``cover_all``).

    Raises:
        ValueError: the shapes do not fit each other, or no window fits.
        TypeError: the dtypes differ, or an argument is no array.

    >>> import numpy as np, dynet.functions as F
    >>> F.convolution_1d(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]])).array
    array([[[1., 2.]]])
    """
    function = "convolution_1d"
    _check_operands(function, x, W, b, groups, axes=1)
    _check_channels(function, x, W, b, groups)
    row = {
        name: (least, _one(function, name, value, least))
        for name, value, least in (("stride", stride, 1), ("pad", pad, 0), ("dilate", dilate, 1))
    }
    images, windows = (a.reshape(*a.shape[:2], 1, a.shape[2]) for a in (x, W))
    geometry = geometry_of(
        function, images, windows.shape[2:], **row, cover_all=cover_all, groups=groups
    )
    y = _convolution(geometry, images, windows, b)
    return y.reshape(y.shape[0], y.shape[1], y.shape[3])


def _one(function, name, x, least):
    if isinstance(x, (tuple, list)) and len(x) == 1:
        (x,) = x
    if isinstance(x, (tuple, list)):
        raise ValueError(f"{function}: {name} is {x!r}, expected one integer")
    return pair(function, name, x, least)[0]


def deconvolution_2d(
    x,
    W,
    b=None,
    stride=1,
    pad=0,
    outsize=None,
    *,
    dilate=1,
    groups: int = 1,
) -> Variable:
    """A transposed convolution: what the gradient of a convolution is to its input.

    Every element of ``x`` puts a window, weighted by ``W``, into the result, where windows that
    overlap add up (Zeiler et al., Deconvolutional Networks, CVPR 2010).

    Args:
        x: ``(N, C, h, w)``.
        W: ``(C, O / groups, kh, kw)``, of the same dtype.
        b: ``(O,)``, or ``None``.
        stride: by how much windows lie apart in the result; an integer or a pair.
        pad: how much of the result is cut off on each side; an integer or a pair.
        outsize: rows and columns of the result; by default the fewest that all windows fit into.
            It must be a size from which a convolution with these settings makes ``(h, w)``.
        dilate: how far apart the elements of a window lie; an integer or a pair.
        groups: channels are split into so many groups, each seen by as many of the outputs.

    Returns:
        Variable: ``(N, O, oh, ow)``, where ``oh = stride (h - 1) + dilate (kh - 1) + 1 - 2 pad``
        and ``ow`` likewise, unless ``outsize`` says so.

    Raises:
        ValueError: the shapes do not fit each other.
        TypeError: the dtypes differ, or an argument is no array.

    >>> import numpy as np, dynet.functions as F
    >>> x = np.array([[[[1.0, 2.0]]]])
    >>> F.deconvolution_2d(x, np.ones((1, 1, 1, 2)), stride=2).array
    array([[[[1., 1., 2., 2.]]]])
    """
    function = "deconvolution_2d"
    _check_operands(function, x, W, b, groups, axes=2)
    if x.shape[1] != W.shape[0] or W.shape[0] % groups:
        raise ValueError(
            f"{function}: x has {x.shape[1]} channels, W has shape {W.shape} and groups is "
            f"{groups}; expected W (C, O / groups, ...) with C a multiple of groups (x: {x.shape})"
        )
    _check_bias(function, b, W.shape[1] * groups, W)
    stride, pad = pair(function, "stride", stride, 1), pair(function, "pad", pad, 0)
    dilate = pair(function, "dilate", dilate, 1)
    along = W.shape[2:], stride, pad, (False, False), dilate
    least = tuple(map(size_covered, x.shape[2:], *along))
    outsize = least if outsize is None else pair(function, "outsize", outsize, 1)
    if min(outsize) < 1 or tuple(map(windows_along, outsize, *along)) != x.shape[2:]:
        most = tuple(n + s - 1 for n, s in zip(least, stride, strict=True))
        raise ValueError(
            f"{function}: outsize is {outsize}, expected from {least} to {most}, and at least 1 "
            f"(x: {x.shape}, W: {W.shape}, stride {stride}, pad {pad}, dilate {dilate})"
        )
    geometry = Geometry(outsize, W.shape[2:], x.shape[2:], stride, pad, dilate, groups)
    f = Deconvolution2D(geometry)
    return f.apply(x, W) if b is None else f.apply(x, W, b)


# -- windows as columns -------------------------------------------------------------------------


class Im2Col(Function):
    """``y[n, (c, i, j), u, v] = x[n, c, s u + d i - p, s v + d j - p]``, 0 beyond the edges"""

    __slots__ = ("geometry",)

    def __init__(self, geometry):
        self.geometry = geometry

    def forward(self, x):
        (kh, kw), out = self.geometry.kernel, self.geometry.out
        n, c = x.shape[:2]
        return kernels.windows(x, self.geometry).reshape(n, c * kh * kw, *out)

    def backward(self, gy):
        return Col2Im(self.geometry).evaluate(gy)


class Col2Im(Function):
    """The transpose of ``Im2Col``: each element added to where it was taken from"""

    __slots__ = ("geometry",)

    def __init__(self, geometry):
        self.geometry = geometry

    def forward(self, y):
        (kh, kw), out = self.geometry.kernel, self.geometry.out
        n, channels = y.shape[:2]
        cols = y.reshape(n, channels // (kh * kw), kh, kw, *out)
        return kernels.add_windows(cols, self.geometry)

    def backward(self, gx):
        return Im2Col(self.geometry).evaluate(gx)


def im2col(x, ksize, stride=1, pad=0, cover_all: bool = False, dilate=1) -> Variable:
    """The windows of images as columns: what a convolution multiplies with its weights.

    Args:
        x: ``(N, C, h, w)``, floating.
        ksize: the size of the windows; an integer or a pair.
        stride, pad, cover_all, dilate: as for ``convolution_2d``.

    Returns:
        Variable: ``(N, C * kh * kw, oh, ow)``.

    Raises:
        ValueError: no window fits the images.
        TypeError: ``x`` is no floating array.

    >>> import numpy as np, dynet.functions as F
    >>> F.im2col(np.array([[[[1.0, 2.0, 4.0]]]]), (1, 2)).array
    array([[[[1., 2.]],
    <BLANKLINE>
            [[2., 4.]]]])
    """
    check_floating("im2col", x=x)
    check_ndim("im2col", 4, x=x)
    kernel = pair("im2col", "ksize", ksize, 1)
    return Im2Col(geometry_of("im2col", x, kernel, stride, pad, cover_all, dilate)).apply(x)
