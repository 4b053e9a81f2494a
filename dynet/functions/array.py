"""Shapes, axes, dtypes and devices: functions that compute nothing."""

import operator

import numpy as np

from ..backend import get_array_module, get_device, get_device_from_array
from ..function import Function, variable_at
from ..variable import Variable
from .checks import (
    as_variable,
    check_array,
    check_integer,
    check_ndim,
    described,
    elements,
    raw,
)
from .numpy_protocol import implements

__all__ = [
    "broadcast",
    "broadcast_to",
    "cast",
    "copy",
    "depth2space",
    "expand_dims",
    "flatten",
    "moveaxis",
    "reshape",
    "rollaxis",
    "space2depth",
    "squeeze",
    "swapaxes",
    "transpose",
]

# What an array method raises of an argument that it cannot take, or where there is no array.
REFUSALS = (AttributeError, TypeError, ValueError, OverflowError)


def refused(error: Exception, function: str, x, sentence: str, /, **settings) -> Exception:
    """The error to raise where NumPy refused: of its kind, in a sentence of ours.

    The functions of this family ask nothing beforehand, because they stand in the inner loops of
    recurrent networks; only what fails is looked at.

    Args:
        error: what NumPy raised.
        function: the name of the function, which the sentence starts with.
        x: what should have been an array.
        sentence: a format of ``x`` and the settings.
    """
    check_array(function, x=x)
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{function}: {sentence.format(x=x, **settings)}")


def array_of(function: str, x, name: str = "x"):
    """The array of a Variable, or ``x`` itself where that is an array; else a ``TypeError``."""
    array = raw(x)
    check_array(function, **{name: array})
    return array


class Reshape(Function):
    """The same elements in another shape"""

    __slots__ = ("shape", "old")

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        try:
            self.old = x.shape
            if self.shape is None:  # which NumPy's method takes for the shape that there is
                raise TypeError
            return x.reshape(self.shape)
        except REFUSALS as error:
            raise refused(
                error,
                "reshape",
                x,
                "x has shape {x.shape}, {x.size} elements, which do not fit {shape}",
                shape=self.shape,
            ) from None

    def backward(self, gy):
        return gy.reshape(self.old)


@implements(np.reshape)
def reshape(x, shape) -> Variable:
    """The same elements in another shape.

    Args:
        x: any shape.
        shape (tuple of int): as many elements; one length may be -1, for what is left.

    Raises:
        ValueError: the elements do not fit.

    >>> import numpy as np, dynet.functions as F
    >>> F.reshape(np.zeros((2, 3)), (3, -1)).shape
    (3, 2)
    """
    return Reshape(shape).apply(x)


class Flatten(Reshape):
    """The elements in one row"""

    __slots__ = ()

    def __init__(self):
        self.shape = -1

    def forward(self, x):
        check_array("flatten", x=x)
        return super().forward(x)


@implements(np.ravel)
def flatten(x) -> Variable:
    """The elements in one row, the last axis fastest.

    Args:
        x: any shape.

    Returns:
        Variable: of one axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.flatten(np.array([[1.0, 2.0], [3.0, 4.0]])).array
    array([1., 2., 3., 4.])
    """
    return Flatten().apply(x)


class ExpandDims(Reshape):
    """New axes of length 1; ``shape`` says where"""

    __slots__ = ()

    def forward(self, x):
        try:
            self.old = x.shape
            return np.expand_dims(x, self.shape)
        except REFUSALS as error:
            raise refused(
                error,
                "expand_dims",
                x,
                "axis is {axis}, expected a place for a new axis, among the {x.ndim} axes of x "
                "and the new ones (x: {x.shape})",
                axis=self.shape,
            ) from None


@implements(np.expand_dims)
def expand_dims(x, axis) -> Variable:
    """A new axis of length 1.

    Args:
        x: any shape.
        axis (int or tuple of int): where the new axis is in the result.

    Raises:
        ValueError: the result has no such axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.expand_dims(np.zeros((2, 3)), 1).shape
    (2, 1, 3)
    """
    return ExpandDims(axis).apply(x)


class Squeeze(Reshape):
    """Without axes of length 1; ``shape`` says which"""

    __slots__ = ()

    def forward(self, x):
        try:
            self.old = x.shape
            return x.squeeze(self.shape)
        except REFUSALS as error:
            raise refused(
                error,
                "squeeze",
                x,
                "axis is {axis}, expected axes of length 1 of x {x.shape}",
                axis=self.shape,
            ) from None


@implements(np.squeeze)
def squeeze(x, axis=None) -> Variable:
    """Without axes of length 1.

    Args:
        x: any shape.
        axis (int or tuple of int): the axes to drop; by default all of length 1.

    Raises:
        ValueError: an axis is not there, or has another length.

    >>> import numpy as np, dynet.functions as F
    >>> F.squeeze(np.zeros((1, 3, 1))).shape
    (3,)
    """
    return Squeeze(axis).apply(x)


class Transpose(Function):
    """The axes in another order"""

    __slots__ = ("axes",)

    def __init__(self, axes=None):
        self.axes = axes

    def forward(self, x):
        try:
            return x.transpose(self.axes)
        except REFUSALS as error:
            raise refused(
                error,
                "transpose",
                x,
                "axes is {axes}, expected each of the {x.ndim} axes of x once (x: {x.shape})",
                axes=self.axes,
            ) from None

    def backward(self, gy):
        if self.axes is None:
            return gy.transpose()
        back = [0] * gy.ndim
        for i, axis in enumerate(self.axes):
            back[axis] = i
        return gy.transpose(*back)


@implements(np.transpose)
def transpose(x, axes=None) -> Variable:
    """The axes in another order.

    Args:
        x: any shape.
        axes (tuple of int): for each axis of the result, that of ``x``; by default reversed.

    Raises:
        ValueError: ``axes`` does not name each axis once.

    >>> import numpy as np, dynet.functions as F
    >>> F.transpose(np.zeros((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
    """
    return Transpose((axes,) if isinstance(axes, (int, np.integer)) else axes).apply(x)


class SwapAxes(Function):
    """Two axes in each other's place"""

    __slots__ = ("axis1", "axis2")

    def __init__(self, axis1, axis2):
        self.axis1 = axis1
        self.axis2 = axis2

    def forward(self, x):
        try:
            return x.swapaxes(self.axis1, self.axis2)
        except REFUSALS as error:
            raise refused(
                error,
                "swapaxes",
                x,
                "axis1 is {axis1}, axis2 is {axis2}, x has {x.ndim} axes (x: {x.shape})",
                axis1=self.axis1,
                axis2=self.axis2,
            ) from None

    def backward(self, gy):
        return gy.swapaxes(self.axis1, self.axis2)


@implements(np.swapaxes)
def swapaxes(x, axis1: int, axis2: int) -> Variable:
    """Two axes in each other's place.

    Args:
        x: any shape.
        axis1, axis2: the axes.

    Raises:
        ValueError: ``x`` has no such axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.swapaxes(np.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    return SwapAxes(axis1, axis2).apply(x)


class MoveAxis(Function):
    """Some axes in new places, the others in order around them"""

    __slots__ = ("source", "destination")

    def __init__(self, source, destination):
        self.source = source
        self.destination = destination

    def forward(self, x):
        try:
            x.ndim  # noqa: B018 - of a list, NumPy would make an array
            return np.moveaxis(x, self.source, self.destination)
        except REFUSALS as error:
            raise refused(
                error,
                "moveaxis",
                x,
                "source is {source}, destination is {destination}, expected as many of the "
                "{x.ndim} axes of x in both, none twice (x: {x.shape})",
                source=self.source,
                destination=self.destination,
            ) from None

    def backward(self, gy):
        return np.moveaxis(gy, self.destination, self.source)


@implements(np.moveaxis)
def moveaxis(x, source, destination) -> Variable:
    """Some axes in new places, the others in order around them.

    Args:
        x: any shape.
        source (int or tuple of int): the axes to move.
        destination (int or tuple of int): where each of them is in the result.

    Raises:
        ValueError: ``x`` has no such axis, or one is named twice.

    >>> import numpy as np, dynet.functions as F
    >>> F.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return MoveAxis(source, destination).apply(x)


class RollAxis(MoveAxis):
    """One axis moved back until it stands before another"""

    __slots__ = ()

    def forward(self, x):
        try:
            n = x.ndim
            axis, start = operator.index(self.source), operator.index(self.destination)
            if not (-n <= axis < n and -n <= start <= n):
                raise ValueError
        except REFUSALS as error:
            raise refused(
                error,
                "rollaxis",
                x,
                "axis is {axis}, start is {start}, x has {x.ndim} axes (x: {x.shape})",
                axis=self.source,
                start=self.destination,
            ) from None
        axis %= n
        start = start + n if start < 0 else start
        self.source = axis
        # Taken out, the axis leaves what stood behind it one place further to the front.
        self.destination = start - (start > axis)
        return super().forward(x)


@implements(np.rollaxis)
def rollaxis(x, axis: int, start: int = 0) -> Variable:
    """One axis moved until it stands before another.

    Args:
        x: any shape.
        axis: the axis to move.
        start: the axis before which it is to stand; the number of axes for the end.

    Raises:
        ValueError: ``x`` has no such axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.rollaxis(np.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    return RollAxis(axis, start).apply(x)


class BroadcastTo(Function):
    """The elements repeated along new axes and along those of length 1"""

    __slots__ = ("shape", "old")

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        try:
            self.old = x.shape
            if self.old == self.shape:
                return x
            return get_array_module(x).broadcast_to(x, self.shape)
        except REFUSALS as error:
            raise refused(
                error,
                "broadcast_to",
                x,
                "x has shape {x.shape}, which does not broadcast to {shape}",
                shape=self.shape,
            ) from None

    def backward(self, gy):
        return sum_to(gy, self.old)


def sum_to(x, shape):
    """``x`` summed over the axes that broadcasting added to ``shape`` or stretched.

    For arrays and Variables alike: it undoes a broadcast in backward rules.
    """
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    stretched = [lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1]
    return x.sum(axis=(*range(lead), *stretched), keepdims=True).reshape(shape)


@implements(np.broadcast_to)
def broadcast_to(x, shape) -> Variable:
    """The elements repeated as NumPy's broadcasting does, in a view that cannot be written to.

    Args:
        x: any shape.
        shape (tuple of int): what to broadcast to.

    Raises:
        ValueError: ``x`` does not broadcast to ``shape``.

    >>> import numpy as np, dynet.functions as F
    >>> F.broadcast_to(np.zeros((3, 1)), (2, 3, 4)).shape
    (2, 3, 4)
    """
    return BroadcastTo(tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)).apply(x)


@implements(np.broadcast_arrays)
def broadcast(*args) -> tuple:
    """Several arrays, each repeated to the shape that they have together.

    Args:
        args: arrays of shapes that broadcast.

    Returns:
        tuple: a Variable for each.

    Raises:
        ValueError: the shapes do not broadcast.

    >>> import numpy as np, dynet.functions as F
    >>> x, y = F.broadcast(np.zeros((3, 1)), np.zeros(2))
    >>> x.shape, y.shape
    ((3, 2), (3, 2))
    """
    try:
        shape = np.broadcast_shapes(*[x.shape for x in args])
    except (AttributeError, ValueError):
        arrays = [raw(x) for x in args]
        check_array("broadcast", **{f"args[{i}]": x for i, x in enumerate(arrays)})
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise ValueError(f"broadcast: the shapes {shapes} do not broadcast") from None
    return tuple([BroadcastTo(shape).apply(x) for x in args])


class Cast(Function):
    """The elements in another floating dtype, in a new array"""

    __slots__ = ("dtype", "old")

    def __init__(self, dtype):
        self.dtype = dtype

    def forward(self, x):
        self.old = x.dtype
        return x.astype(self.dtype)

    def backward(self, gy):
        return gy.astype(self.old)


def cast(x, typ) -> Variable:
    """The elements in another dtype; the gradient comes back in the dtype of ``x``.

    Args:
        x: any shape.
        typ: a dtype: floating, of integers or of booleans.

    Returns:
        Variable: ``x`` itself where it has that dtype already. Where ``typ`` is not floating the
        result requires no gradient.

    Raises:
        TypeError: ``typ`` is no such dtype, or ``x`` is of none.

    >>> import numpy as np, dynet.functions as F
    >>> F.cast(np.array([1.5, 2.5]), np.float32).array
    array([1.5, 2.5], dtype=float32)
    """
    try:
        dtype = np.dtype(float if typ is None else typ)
    except TypeError:
        dtype = None
    if typ is None or dtype is None or dtype.kind not in "fiub":
        raise TypeError(f"cast: typ is {typ!r}, expected a dtype of real numbers or booleans")
    array = array_of("cast", x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"cast: x is {described(array)}, expected real numbers or booleans")
    if array.dtype == dtype:
        return as_variable(x)
    if dtype.kind == "f":
        return Cast(dtype).apply(x)
    return variable_at(None, elements(x).astype(dtype))


@implements(np.copy)
def _numpy_copy(x):
    """The same elements in an array of their own."""
    return Cast(x.dtype).apply(x)


class Copy(Function):
    """The same array on a device; the gradient goes back to where the array came from"""

    __slots__ = ("device", "source")

    def __init__(self, device):
        self.device = device

    def forward(self, x):
        check_array("copy", x=x)
        self.source = get_device("cpu" if isinstance(x, np.ndarray) else x.device.id)
        return self.device.send(x)

    def backward(self, gy):
        return Copy(self.source).evaluate(gy)


def copy(x, dst) -> Variable:
    """The same elements on a device; the gradient is sent back.

    Args:
        x: any shape.
        dst: the device: ``"cpu"``, ``"cuda:0"``, a GPU's number, -1 for the CPU, or a ``Device``.

    Returns:
        Variable: where ``x`` is on that device already, of the same array.

    Raises:
        ValueError: no device is called so.
        RuntimeError: there is no such GPU.

    >>> import numpy as np, dynet.functions as F
    >>> F.copy(np.array([1.0, 2.0]), "cpu").array
    array([1., 2.])
    """
    try:
        device = get_device(dst)
    except ValueError:
        raise ValueError(
            f"copy: dst is {dst!r}, expected 'cpu', 'cuda:N', a GPU's number or a Device"
        ) from None
    with get_device_from_array(raw(x)):  # its own may not be the current one
        return Copy(device).apply(x)


class Depth2Space(Function):
    """``y[n, c, h * r + i, w * r + j] = x[n, (i * r + j) * C + c, h, w]``, ``C`` channels in y"""

    __slots__ = ("r",)

    def __init__(self, r):
        self.r = r

    def forward(self, x):
        r = _check_blocks("depth2space", self.r, x)
        n, channels, height, width = x.shape
        if channels % r**2:
            raise ValueError(
                f"depth2space: X has {channels} channels, expected a multiple of r * r = {r**2} "
                f"(X: {x.shape})"
            )
        channels //= r**2
        blocks = x.reshape(n, r, r, channels, height, width)
        return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(n, channels, height * r, width * r)

    def backward(self, gy):
        return Space2Depth(self.r).evaluate(gy)


class Space2Depth(Function):
    """``y[n, (i * r + j) * C + c, h, w] = x[n, c, h * r + i, w * r + j]``, ``C`` channels in x"""

    __slots__ = ("r",)

    def __init__(self, r):
        self.r = r

    def forward(self, x):
        r = _check_blocks("space2depth", self.r, x)
        n, channels, height, width = x.shape
        if height % r or width % r:
            raise ValueError(
                f"space2depth: X has {height} rows and {width} columns, expected multiples of "
                f"r = {r} (X: {x.shape})"
            )
        blocks = x.reshape(n, channels, height // r, r, width // r, r)
        return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(
            n, channels * r**2, height // r, width // r
        )

    def backward(self, gy):
        return Depth2Space(self.r).evaluate(gy)


def _check_blocks(function, r, x):
    check_array(function, X=x)
    check_ndim(function, 4, X=x)
    check_integer(function, r=r)
    if r < 1:
        raise ValueError(f"{function}: r is {r}, expected at least 1")
    return int(r)


def depth2space(X, r: int) -> Variable:
    """Channels laid out as blocks of pixels, for pictures ``r`` times as high and wide.

    Args:
        X: ``(N, r * r * C, H, W)``. The first C channels are the upper left pixels of the
            blocks, the next C those to the right of them.
        r: the height and width of a block.

    Returns:
        Variable: ``(N, C, H * r, W * r)``.

    Raises:
        ValueError: the channels do not fit into blocks, or ``X`` has not four axes.

    Source: W. Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient
    Sub-Pixel Convolutional Neural Network, 2016; channels in the order of Chainer.

    >>> import numpy as np, dynet.functions as F
    >>> F.depth2space(np.arange(4.0).reshape(1, 4, 1, 1), 2).array
    array([[[[0., 1.],
             [2., 3.]]]])
    """
    return Depth2Space(r).apply(X)


def space2depth(X, r: int) -> Variable:
    """Blocks of pixels laid out as channels, for pictures ``r`` times less high and wide.

    Args:
        X: ``(N, C, H, W)``.
        r: the height and width of a block; it divides ``H`` and ``W``.

    Returns:
        Variable: ``(N, r * r * C, H / r, W / r)``, in the order of ``depth2space``.

    Raises:
        ValueError: the picture is not made of whole blocks, or ``X`` has not four axes.

    >>> import numpy as np, dynet.functions as F
    >>> F.space2depth(np.arange(4.0).reshape(1, 1, 2, 2), 2).array.ravel()
    array([0., 1., 2., 3.])
    """
    return Space2Depth(r).apply(X)


# -- methods, and NumPy's functions that have no name here ----------------------------------------


def _method_reshape(x, *shape):
    """The same elements in another shape: ``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
    return Reshape(shape[0] if len(shape) == 1 else shape).apply(x)


def _method_transpose(x, *axes):
    """The axes in another order; reversed if none is given."""
    return transpose(x, (axes[0] if len(axes) == 1 else axes) if axes else None)


def _method_astype(x, dtype):
    """The elements in another dtype: ``dynet.functions.cast``."""
    return cast(x, dtype)


def at_least(ndim: int, x):
    """``x``, an array or a Variable, with axes of length 1 up to a number, where NumPy has them."""
    if x.ndim >= ndim:
        return x
    # A row becomes a matrix of one row; of that, or of a matrix, the third axis is the new one.
    matrix = (1,) * (min(ndim, 2) - x.ndim) + x.shape
    return x.reshape(matrix if ndim < 3 else (*matrix, 1))


def _at_least(ndim):
    def at_least_of_each(*xs):
        for i, x in enumerate(xs):
            array_of(f"atleast_{ndim}d", x, f"arrays[{i}]")
        ys = tuple([at_least(ndim, x) for x in xs])
        return ys if len(ys) > 1 else ys[0]

    return at_least_of_each


def _of_the_array(numpy_function, array=raw):
    return lambda x, *arguments, **keywords: numpy_function(array(x), *arguments, **keywords)


implements(np.atleast_1d)(_at_least(1))
implements(np.atleast_2d)(_at_least(2))
implements(np.atleast_3d)(_at_least(3))

# What has no gradient is answered for the array alone.
for _numpy_function in (
    np.shape,
    np.ndim,
    np.size,
    np.zeros_like,
    np.ones_like,
    np.empty_like,
    np.full_like,
):
    implements(_numpy_function)(_of_the_array(_numpy_function))
for _numpy_function in np.isnan, np.isinf, np.isfinite:
    implements(_numpy_function)(_of_the_array(_numpy_function, elements))

Variable.reshape = _method_reshape
Variable.flatten = flatten
Variable.ravel = flatten
Variable.squeeze = squeeze
Variable.transpose = _method_transpose
Variable.T = property(lambda x: Transpose().apply(x), doc="The axes reversed.")
Variable.swapaxes = swapaxes
Variable.astype = _method_astype
