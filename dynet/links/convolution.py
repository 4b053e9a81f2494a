"""Convolutions that own their weights."""

from typing import Any

from ..backend import is_array
from ..functions.checks import check_floating, check_ndim
from ..functions.convolution import convolution_1d, convolution_2d, deconvolution_2d
from ..initializers import LeCunNormal
from ..link import Link
from ..parameter import Parameter
from ..variable import Variable
from .sizes import check_lengths, check_size, sized


class _Windows(Link):
    """What convolutions of all kinds have in common: how windows lie, and their weights."""

    axes = 2  # of a window

    def __init__(self, in_channels, out_channels, ksize, geometry, nobias, initialW, initial_bias):
        super().__init__()
        link = type(self).__name__
        stride, pad, dilate, groups = geometry
        if ksize is None:
            in_channels, out_channels, ksize = None, in_channels, out_channels
        elif out_channels is None:
            in_channels, out_channels = None, in_channels
        self.ksize = check_lengths(link, self.axes, 1, ksize=ksize)
        self.stride = check_lengths(link, self.axes, 1, stride=stride)
        self.pad = check_lengths(link, self.axes, 0, pad=pad)
        self.dilate = check_lengths(link, self.axes, 1, dilate=dilate)
        check_size(link, groups=groups)
        self.groups = groups
        self._check_channels(out_channels=out_channels)
        self.out_channels = out_channels
        if in_channels is None and is_array(initialW):
            in_channels = self._in_channels_of(initialW)
        if in_channels is not None:
            self._check_channels(in_channels=in_channels)
        with self.init_scope():
            W = LeCunNormal() if initialW is None else initialW
            self.W = Parameter(W, self._weight_shape(in_channels), name="W")
            self.b = None
            if not nobias:
                b = 0 if initial_bias is None else initial_bias
                self.b = Parameter(b, (out_channels,), name="b", dtype=self.W.wanted_dtype)

    def forward(self, x: Any) -> Variable:
        """The convolution of ``x``, whose second axis is that of the channels."""
        if self.W.array is None:
            link = type(self).__name__
            check_floating(link, x=x)
            check_ndim(link, 2 + self.axes, x=x)
            self._check_channels(in_channels=x.shape[1])
            with sized(x, self._weight_shape(x.shape[1]), self.W):
                return self._convolve(x)
        return self._convolve(x)

    def _check_channels(self, **channels):
        link = type(self).__name__
        check_size(link, **channels)
        for name, n in channels.items():
            if n % self.groups:
                raise ValueError(
                    f"{link}: {name} is {n}, expected a multiple of groups, which is {self.groups}"
                )

    def _weight_shape(self, in_channels):
        if in_channels is not None:
            in_channels //= self.groups
        return (self.out_channels, in_channels, *self.ksize)

    def _in_channels_of(self, W):
        """The number of channels that an initial array is for."""
        if W.ndim != 2 + self.axes:
            wanted = str(self._weight_shape(None)).replace("None", "channels")
            raise ValueError(
                f"{type(self).__name__}: initialW has shape {W.shape}, expected {wanted}"
            )
        return W.shape[1] * self.groups


class Convolution2D(_Windows):
    """A convolution of images: sums over windows, weighted the same everywhere.

    Args:
        in_channels: how many channels the images have, C; ``None`` to learn it from the first
            input.
        out_channels: how many channels come out, O.
        ksize: the size of the windows; an integer, or a pair for rows and columns.
            ``Convolution2D(out_channels, ksize)`` means ``in_channels=None``.
        stride: by how much windows lie apart; an integer or a pair.
        pad: how many zeros surround the images on each side; an integer or a pair.
        nobias: whether to go without ``b``.
        initialW: an initializer, number or array like ``W``; ``LeCunNormal()`` by default.
        initial_bias: an initializer, number or array ``(O,)``; 0 by default. An array is
            converted to the dtype of ``W``.
        dilate: how far apart the elements of a window lie; an integer or a pair.
        groups: channels are split into so many groups, each seen by as many of the outputs.

    Attributes:
        W (Parameter): ``(O, C / groups, kh, kw)``.
        b (Parameter): ``(O,)``, or ``None``.
        ksize, stride, pad, dilate (tuple): pairs, of what was given.
        out_channels, groups (int): as given.

    Raises:
        ValueError: a size is no positive integer, or the channels cannot be grouped so.

    >>> import numpy as np, dynet.links as L
    >>> L.Convolution2D(3, 16, 5, pad=2)(np.ones((1, 3, 8, 8), np.float32)).shape
    (1, 16, 8, 8)
    >>> L.Convolution2D(16, ksize=5)(np.ones((1, 3, 8, 8), np.float32)).shape
    (1, 16, 4, 4)
    """

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int | None = None,
        ksize: int | tuple[int, int] | None = None,
        stride: int | tuple[int, int] = 1,
        pad: int | tuple[int, int] = 0,
        nobias: bool = False,
        initialW: Any = None,
        initial_bias: Any = None,
        *,
        dilate: int | tuple[int, int] = 1,
        groups: int = 1,
    ):
        geometry = stride, pad, dilate, groups
        super().__init__(in_channels, out_channels, ksize, geometry, nobias, initialW, initial_bias)

    def _convolve(self, x):
        return convolution_2d(
            x, self.W, self.b, self.stride, self.pad, dilate=self.dilate, groups=self.groups
        )


class Convolution1D(_Windows):
    """A convolution along one axis, for instance of sounds.

    Args:
        in_channels, out_channels, nobias, initialW, initial_bias, groups: as for
            ``Convolution2D``.
        ksize, stride, pad, dilate: likewise, each one integer.
        cover_all: whether the windows go on until they have covered every element, where
            otherwise those stop that do not fit whole.

    Attributes:
        W (Parameter): ``(O, C / groups, k)``.
        b (Parameter): ``(O,)``, or ``None``.
        ksize, stride, pad, dilate (tuple): of one integer each.
        out_channels, groups (int): as given.
        cover_all (bool): as given.

    Raises:
        ValueError: a size is no positive integer, or the channels cannot be grouped so.

    >>> import numpy as np, dynet.links as L
    >>> L.Convolution1D(3, 16, 5, stride=2)(np.ones((1, 3, 9), np.float32)).shape
    (1, 16, 3)
    """

    axes = 1

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int | None = None,
        ksize: int | tuple[int] | None = None,
        stride: int | tuple[int] = 1,
        pad: int | tuple[int] = 0,
        nobias: bool = False,
        initialW: Any = None,
        initial_bias: Any = None,
        cover_all: bool = False,
        dilate: int | tuple[int] = 1,
        groups: int = 1,
    ):
        geometry = stride, pad, dilate, groups
        super().__init__(in_channels, out_channels, ksize, geometry, nobias, initialW, initial_bias)
        self.cover_all = cover_all

    def _convolve(self, x):
        return convolution_1d(
            x, self.W, self.b, self.stride, self.pad, self.cover_all, self.dilate, self.groups
        )


class Deconvolution2D(_Windows):
    """A transposed convolution: every element puts a weighted window into the result.

    Args:
        in_channels: how many channels the images have, C; ``None`` to learn it from the first
            input.
        out_channels: how many channels come out, O.
        ksize: the size of the windows; an integer, or a pair for rows and columns.
            ``Deconvolution2D(out_channels, ksize)`` means ``in_channels=None``.
        stride: by how much windows lie apart in the result; an integer or a pair.
        pad: how much of the result is cut off on each side; an integer or a pair.
        nobias: whether to go without ``b``.
        outsize: rows and columns of the result; by default the fewest that all windows fit into.
        initialW: an initializer, number or array like ``W``; ``LeCunNormal()`` by default.
        initial_bias: an initializer, number or array ``(O,)``; 0 by default. An array is
            converted to the dtype of ``W``.
        dilate: how far apart the elements of a window lie; an integer or a pair.
        groups: channels are split into so many groups, each seen by as many of the outputs.

    Attributes:
        W (Parameter): ``(C, O / groups, kh, kw)``.
        b (Parameter): ``(O,)``, or ``None``.
        ksize, stride, pad, dilate (tuple): pairs, of what was given.
        outsize (tuple): a pair, or ``None``.
        out_channels, groups (int): as given.

    Raises:
        ValueError: a size is no positive integer, or the channels cannot be grouped so.

    >>> import numpy as np, dynet.links as L
    >>> L.Deconvolution2D(3, 16, 4, stride=2, pad=1)(np.ones((1, 3, 8, 8), np.float32)).shape
    (1, 16, 16, 16)
    """

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int | None = None,
        ksize: int | tuple[int, int] | None = None,
        stride: int | tuple[int, int] = 1,
        pad: int | tuple[int, int] = 0,
        nobias: bool = False,
        outsize: int | tuple[int, int] | None = None,
        initialW: Any = None,
        initial_bias: Any = None,
        *,
        dilate: int | tuple[int, int] = 1,
        groups: int = 1,
    ):
        geometry = stride, pad, dilate, groups
        super().__init__(in_channels, out_channels, ksize, geometry, nobias, initialW, initial_bias)
        if outsize is not None:
            outsize = check_lengths("Deconvolution2D", 2, 1, outsize=outsize)
        self.outsize = outsize

    def _weight_shape(self, in_channels):
        return (in_channels, self.out_channels // self.groups, *self.ksize)

    def _in_channels_of(self, W):
        super()._in_channels_of(W)
        return W.shape[0]

    def _convolve(self, x):
        return deconvolution_2d(
            x,
            self.W,
            self.b,
            self.stride,
            self.pad,
            self.outsize,
            dilate=self.dilate,
            groups=self.groups,
        )
