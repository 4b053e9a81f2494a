"""Joining and splitting, repeating and padding: one array out of several, several out of one."""

import math
import operator
from itertools import pairwise

import numpy as np

from ..backend import get_array_module, is_array, is_cupy
from ..function import Function
from ..kernels.arithmetic import compiled
from ..kernels.repeat import sum_copies
from ..variable import Variable
from .array import REFUSALS, array_of, at_least, refused
from .checks import check_array, check_choice, normal_axis, raw
from .indexing import Permutate
from .numpy_protocol import implements

__all__ = [
    "concat",
    "dstack",
    "hstack",
    "pad",
    "pad_sequence",
    "repeat",
    "separate",
    "split_axis",
    "stack",
    "tile",
    "transpose_sequence",
    "vstack",
]


# -- joining and splitting -----------------------------------------------------------------------


class Concat(Function):
    """Arrays one after the other along an axis"""

    __slots__ = ("axis", "function", "lengths")

    def __init__(self, axis, function="concat"):
        self.axis = axis
        self.function = function  # the name of the function that the user called

    def forward(self, *xs):
        try:
            y = np.concatenate(xs, self.axis)
            _check_dtypes(xs, y)
            self.lengths = [x.shape[self.axis] for x in xs]
        except (*REFUSALS, IndexError) as error:
            raise _not_joined(
                error, self.function, xs, f"one shape but for axis {self.axis}, which all have"
            ) from None
        return y

    def backward(self, gy):
        return SplitAxis(self.lengths, self.axis % gy.ndim).evaluate(gy)


class SplitAxis(Function):
    """Stretches of some lengths, which together are all of an axis, counted from the front"""

    __slots__ = ("lengths", "axis", "shape")

    def __init__(self, lengths, axis):
        self.lengths = lengths
        self.axis = axis

    def forward(self, x):
        self.shape = x.shape
        before = (slice(None),) * self.axis
        ys = []
        start = 0
        for length in self.lengths:
            ys.append(x[(*before, slice(start, start + length))])
            start += length
        return tuple(ys)

    def backward(self, *gys):
        before, after = self.shape[: self.axis], self.shape[self.axis + 1 :]
        gys = _with_zeros(gys, lambda i: (*before, self.lengths[i], *after))
        return np.concatenate(gys, self.axis)


def _check_dtypes(xs, y):
    """Raise a ``TypeError`` where NumPy has made one floating dtype of several."""
    dtype = y.dtype
    for x in xs:
        if x.dtype is not dtype and x.dtype != dtype and dtype.kind not in "iub":
            raise TypeError


def _not_joined(error, function, xs, expected):
    """The error for arrays that do not fit together."""
    if not xs:
        return ValueError(f"{function}: xs is empty, expected at least one array")
    for i, x in enumerate(xs):
        if not isinstance(x, np.generic):
            check_array(function, **{f"xs[{i}]": x})
    try:
        _check_dtypes(xs, np.empty(0, np.result_type(*[x.dtype for x in xs])))
    except TypeError:
        dtypes = list(dict.fromkeys(str(x.dtype) for x in xs))
        expected = "one dtype, cast some of them" if dtypes[1:] else "this machine's byte order"
        return TypeError(f"{function}: xs are of {', '.join(dtypes)}; expected {expected}")
    shapes = list(dict.fromkeys(str(x.shape) for x in xs))
    came = ", ".join(shapes[:4]) + (", ..." if len(shapes) > 4 else "")
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{function}: xs have the shapes {came}; expected {expected}")


def _with_zeros(gys, shape_of):
    """The gradients of several outputs, with zeros for those that nothing was computed from."""
    some = next(gy for gy in gys if gy is not None)
    xp = get_array_module(some)
    return [xp.zeros(shape_of(i), some.dtype) if gy is None else gy for i, gy in enumerate(gys)]


def _sequence(function, xs):
    """The arrays of a list or tuple; of one array its entries, as NumPy takes it."""
    if isinstance(xs, (list, tuple)):
        return xs
    if (isinstance(xs, Variable) or is_array(xs)) and xs.ndim:
        return tuple(xs)
    raise TypeError(f"{function}: xs is {type(xs).__name__}, expected a list or tuple of arrays")


def concat(xs, axis: int = 1) -> Variable:
    """Arrays one after the other along an axis.

    Args:
        xs: a list of arrays, of one dtype and one shape but for the axis.
        axis: the axis along which they are joined; as in Chainer the second, where NumPy's
            ``concatenate`` takes the first.

    Raises:
        ValueError: the shapes do not fit, or there is no array.
        TypeError: the dtypes differ: nothing becomes float64 unasked.

    >>> import numpy as np, dynet.functions as F
    >>> F.concat([np.zeros((2, 3)), np.zeros((2, 1))]).shape
    (2, 4)
    """
    return Concat(axis).apply(*_sequence("concat", xs))


def split_axis(x, indices_or_sections, axis: int, force_tuple: bool = True):
    """Stretches of an axis: so many of one length, or those between some places.

    Args:
        x: any shape with at least one axis.
        indices_or_sections (int or 1-D array of int): the number of stretches, which divides the
            axis' length; or the places where a new one starts, in ascending order.
        axis: the axis that is split.
        force_tuple: whether one stretch comes in a tuple too.

    Returns:
        tuple of Variable: views, some of them perhaps empty. ``backward`` through a few of them
        needs nothing from the others.

    Raises:
        ValueError: the axis does not fall into so many parts, or the places do not ascend.

    >>> import numpy as np, dynet.functions as F
    >>> y, z = F.split_axis(np.arange(5.0), [2], axis=0)
    >>> y.array, z.array
    (array([0., 1.]), array([2., 3., 4.]))
    """
    array = array_of("split_axis", x)
    axis = normal_axis("split_axis", axis, array)
    ys = SplitAxis(_lengths(indices_or_sections, array, axis), axis).apply(x)
    return ys if force_tuple or len(ys) != 1 else ys[0]


def _lengths(indices_or_sections, x, axis):
    """The lengths of the stretches that an axis is to be split into."""
    n = x.shape[axis]
    came = f"split_axis: indices_or_sections is {indices_or_sections!r}"
    try:
        sections = operator.index(indices_or_sections)
    except TypeError:
        sections = None
    if sections is not None:
        if sections < 1 or n % sections:
            raise ValueError(
                f"{came}, expected a number that divides {n}, the length of axis {axis} "
                f"(x: {x.shape})"
            )
        return [n // sections] * sections
    try:
        places = [operator.index(i) for i in indices_or_sections]
    except TypeError:
        raise TypeError(f"{came}, expected an integer or a sequence of integers") from None
    # As in a slice: from the end if negative, and never beyond either end.
    places = [0, *[min(i, n) if i >= 0 else max(i + n, 0) for i in places], n]
    lengths = [b - a for a, b in pairwise(places)]
    if any(length < 0 for length in lengths):
        raise ValueError(f"{came}, expected places in ascending order (x: {x.shape})")
    return lengths


class Stack(Function):
    """Arrays next to each other along a new axis"""

    __slots__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, *xs):
        try:
            shape = xs[0].shape
            for x in xs:
                if x.shape != shape:
                    raise ValueError
            axis = self.axis
            if 0 <= axis < len(shape):
                # One after the other is next to each other, once the axis is seen as two.
                y = np.concatenate(xs, axis).reshape(*shape[:axis], len(xs), *shape[axis:])
            else:
                y = np.stack(xs, axis)
            _check_dtypes(xs, y)
        except (*REFUSALS, IndexError) as error:
            raise _not_joined(
                error, "stack", xs, f"one shape, and an axis of the result: axis is {self.axis}"
            ) from None
        return y

    def backward(self, gy):
        return Separate(self.axis % gy.ndim).evaluate(gy)


class Separate(Function):
    """The entries along an axis, counted from the front"""

    __slots__ = ("axis", "shape")

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        self.shape = x.shape
        if self.axis == 0 and x.ndim > 1 and type(x) is np.ndarray:
            return tuple(x)
        before = (slice(None),) * self.axis
        return tuple([x[(*before, i, ...)] for i in range(x.shape[self.axis])])

    def backward(self, *gys):
        shape = (*self.shape[: self.axis], *self.shape[self.axis + 1 :])
        return Stack(self.axis).evaluate(*_with_zeros(gys, lambda i: shape))


@implements(np.stack)
def stack(xs, axis: int = 0) -> Variable:
    """Arrays next to each other along a new axis.

    Args:
        xs: a list of arrays, of one dtype and one shape.
        axis: where the new axis is in the result.

    Raises:
        ValueError: the shapes differ, there is no array, or the result has no such axis.
        TypeError: the dtypes differ: nothing becomes float64 unasked.

    >>> import numpy as np, dynet.functions as F
    >>> F.stack([np.zeros((2, 3))] * 4, axis=1).shape
    (2, 4, 3)
    """
    return Stack(axis).apply(*_sequence("stack", xs))


def separate(x, axis: int = 0) -> tuple:
    """The entries along an axis, each without it: what ``stack`` joins again.

    Args:
        x: any shape with at least one axis.
        axis: the axis that is taken apart.

    Returns:
        tuple of Variable: views. ``backward`` through a few of them needs nothing from the
        others.

    Raises:
        ValueError: ``x`` has no such axis.

    >>> import numpy as np, dynet.functions as F
    >>> len(F.separate(np.zeros((2, 3)))), F.separate(np.zeros((2, 3)))[0].shape
    (2, (3,))
    """
    return Separate(normal_axis("separate", axis, array_of("separate", x))).apply(x)


@implements(np.hstack)
def hstack(xs) -> Variable:
    """Arrays side by side: vectors end to end, others joined along the second axis.

    Args:
        xs: a list of arrays of one dtype.

    Raises:
        ValueError: the shapes do not fit, or there is no array.
        TypeError: the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.hstack([np.array([1.0, 2.0]), np.array([3.0])]).array
    array([1., 2., 3.])
    """
    xs = _at_least("hstack", 1, xs)
    return Concat(0 if xs and xs[0].ndim == 1 else 1, "hstack").apply(*xs)


@implements(np.vstack)
def vstack(xs) -> Variable:
    """Arrays one below the other: vectors are rows, others are joined along the first axis.

    Args:
        xs: a list of arrays of one dtype.

    Raises:
        ValueError: the shapes do not fit, or there is no array.
        TypeError: the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.vstack([np.array([1.0, 2.0]), np.array([3.0, 4.0])]).shape
    (2, 2)
    """
    return Concat(0, "vstack").apply(*_at_least("vstack", 2, xs))


@implements(np.dstack)
def dstack(xs) -> Variable:
    """Arrays one behind the other, joined along the third axis.

    Args:
        xs: a list of arrays of one dtype. A vector counts as ``(1, n, 1)``, a matrix as
            ``(m, n, 1)``.

    Raises:
        ValueError: the shapes do not fit, or there is no array.
        TypeError: the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.dstack([np.zeros((2, 3)), np.zeros((2, 3))]).shape
    (2, 3, 2)
    """
    return Concat(2, "dstack").apply(*_at_least("dstack", 3, xs))


def _at_least(function, ndim, xs):
    xs = _sequence(function, xs)
    for i, x in enumerate(xs):
        array_of(function, x, f"xs[{i}]")
    return [at_least(ndim, x) for x in xs]


# -- copies ----------------------------------------------------------------------------------------


# More entries than memory has room for. Of so many that their number overflows, NumPy's repeat
# writes outside the array.
MANY = 1 << 62


class Repeat(Function):
    """Each entry along an axis (counted from the front) several times, one after the other"""

    __slots__ = ("repeats", "axis", "length")

    def __init__(self, repeats, axis):
        self.repeats = repeats  # an int, or an array (n,) of them
        self.axis = axis

    def forward(self, x):
        self.length = x.shape[self.axis]
        repeats = self.repeats
        if isinstance(repeats, int) and (self.length == 1 or type(x) is not np.ndarray):
            # Every entry beside its copies, along an axis of their own: of one entry, a view.
            before, after = x.shape[: self.axis], x.shape[self.axis + 1 :]
            x = np.expand_dims(x, self.axis + 1)
            x = np.broadcast_to(x, (*before, self.length, repeats, *after))
            return x.reshape(*before, self.length * repeats, *after)
        # CuPy takes no array of numbers.
        return np.repeat(x, repeats if type(x) is np.ndarray else repeats.tolist(), self.axis)

    def backward(self, gy):
        return SumCopies(self.repeats, self.axis, self.length).evaluate(gy)


class SumCopies(Function):
    """The copies that ``Repeat`` made, added up"""

    __slots__ = ("repeats", "axis", "length")

    def __init__(self, repeats, axis, length):
        self.repeats = repeats
        self.axis = axis
        self.length = length

    def forward(self, x):
        if isinstance(self.repeats, int) and not compiled(x):
            before, after = x.shape[: self.axis], x.shape[self.axis + 1 :]
            x = x.reshape(*before, self.length, self.repeats, *after)
            return x.sum(axis=self.axis + 1)
        counts = np.full(self.length, self.repeats)
        return sum_copies(x, counts, self.axis, self.length)

    def backward(self, gy):
        return Repeat(self.repeats, self.axis).evaluate(gy)


@implements(np.repeat)
def repeat(x, repeats, axis: int | None = None) -> Variable:
    """Each element, or each entry along an axis, several times, one after the other.

    It is a product with a matrix of zeros and ones, whose row for each copy has its one where the
    original is. The gradient is the product with that matrix's transpose: of an element, the sum
    of those of its copies.

    Args:
        x: any shape.
        repeats (int or tuple of int): how many copies; one number, or one for each entry.
        axis: the axis whose entries are copied; by default the elements, and the result has one
            axis.

    Returns:
        Variable: where there is but one entry, a view that cannot be written to: ``h[None]``
        repeated 100 times along axis 0 gives ``h`` to each of 100 steps, and takes no memory.

    Raises:
        ValueError: a number is negative, there are not as many as entries, or ``x`` has no such
            axis.
        TypeError: ``repeats`` holds no integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.repeat(np.array([[1.0, 2.0], [3.0, 4.0]]), 2, axis=1).array
    array([[1., 1., 2., 2.],
           [3., 3., 4., 4.]])
    >>> F.repeat(np.array([1.0, 2.0]), (1, 3)).array
    array([1., 2., 2., 2.])
    >>> F.repeat(np.zeros((1, 16, 100), np.float32), 784, axis=0).array.strides
    (0, 400, 4)
    """
    array = array_of("repeat", x)
    if axis is None:
        x = x.reshape(-1)
        axis, n = 0, array.size
    else:
        axis = normal_axis("repeat", axis, array)
        n = array.shape[axis]
    return Repeat(_numbers_of_copies(repeats, n), axis).apply(x)


def _numbers_of_copies(repeats, n):
    """What ``repeats`` says of ``n`` entries: an int, or an array (n,) of them."""
    if type(repeats) is int and 0 <= repeats < 1 << 31:
        return repeats
    try:
        numbers = np.array(repeats)
    except (TypeError, ValueError):
        numbers = None
    if numbers is None or numbers.dtype.kind not in "iub":
        raise TypeError(f"repeat: repeats is {repeats!r}, expected an integer or a tuple of them")
    if numbers.shape not in ((), (1,), (n,)) or (numbers < 0).any():
        raise ValueError(
            f"repeat: repeats is {repeats!r}, expected one number of copies, 0 or more, or one for "
            f"each of the {n} entries of x"
        )
    if numbers.sum(dtype=float) * n >= MANY:
        raise ValueError(f"repeat: repeats is {repeats!r}, more than an array can hold")
    return int(numbers.item()) if numbers.size == 1 else numbers.astype(np.int64)


class Tile(Function):
    """The whole array several times over, along each axis"""

    __slots__ = ("reps", "shape")

    def __init__(self, reps):
        self.reps = reps

    def forward(self, x):
        self.shape = x.shape
        return np.tile(x, self.reps)

    def backward(self, gy):
        reps = (1,) * (gy.ndim - len(self.reps)) + self.reps
        lengths = (1,) * (gy.ndim - len(self.shape)) + self.shape
        # Each axis seen as two: which copy, and where in it.
        apart, copies = [], []
        for r, n in zip(reps, lengths, strict=True):
            if r != 1:
                copies.append(len(apart))
                apart.append(r)
            apart.append(n)
        gx = gy.reshape(apart)
        return (gx.sum(axis=tuple(copies)) if copies else gx).reshape(self.shape)


@implements(np.tile)
def tile(x, reps) -> Variable:
    """The whole array several times over.

    Args:
        x: any shape.
        reps (int or tuple of int): how many copies along each of the last axes; more numbers than
            ``x`` has axes add axes in front.

    Raises:
        ValueError: a number is negative.
        TypeError: ``reps`` holds no integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.tile(np.array([1.0, 2.0]), (2, 2)).array
    array([[1., 2., 1., 2.],
           [1., 2., 1., 2.]])
    """
    array = array_of("tile", x)
    try:
        numbers = tuple([operator.index(r) for r in (reps if np.iterable(reps) else (reps,))])
    except TypeError:
        raise TypeError(f"tile: reps is {reps!r}, expected an integer or a tuple of them") from None
    if any(r < 0 for r in numbers):
        raise ValueError(f"tile: reps is {reps!r}, expected numbers of copies, 0 or more")
    if math.prod(r or 1 for r in numbers) * max(array.size, 1) >= MANY:
        raise ValueError(f"tile: reps is {reps!r}, more than an array can hold")
    return Tile(numbers).apply(x)


# -- padding ---------------------------------------------------------------------------------------

# The modes of NumPy in which every element of the result is a constant or an element of x.
MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


class Pad(Function):
    """The array in a frame, of a constant or of elements of its own"""

    __slots__ = ("pad_width", "mode", "keywords")

    def __init__(self, pad_width, mode, keywords):
        self.pad_width = pad_width
        self.mode = mode
        self.keywords = keywords

    def forward(self, x):
        check_array("pad", x=x)
        pad_width = self.pad_width
        try:
            self.pad_width = np.array(pad_width)  # a copy, which nobody changes
            _check_constants(self.keywords.get("constant_values", 0), x)
            if self.mode != "constant" and is_cupy(x):
                return _framed(x, self.pad_width, self.mode)
            return np.pad(x, self.pad_width.tolist(), self.mode, **self.keywords)
        except REFUSALS as error:
            raise refused(
                error,
                "pad",
                x,
                "pad_width is {pad_width}, mode is {mode!r}, x has shape {x.shape}: {error}",
                pad_width=pad_width,
                mode=self.mode,
                error=error,
            ) from None

    def backward(self, gy):
        return Unpad(self.pad_width, self.mode).evaluate(gy)


def _framed(x, pad_width, mode):
    """``x`` in a frame of its own elements, for arrays on a GPU.

    Which element comes where is NumPy's to say, here as in the way back: CuPy has another opinion
    of a frame that is wider than the array.
    """
    for axis, width in enumerate(np.broadcast_to(pad_width, (x.ndim, 2)).tolist()):
        if any(width):
            came_from = np.pad(np.arange(x.shape[axis]), width, mode)
            x = x.take(get_array_module(x).asarray(came_from), axis=axis)
    return x


def _check_constants(values, x):
    """Raise where NumPy would make of the values of a frame what they are not."""
    values = np.asarray(values)
    real = values.dtype.kind in "fiub"
    if not real or (x.dtype.kind in "iub" and not np.array_equal(values.astype(x.dtype), values)):
        raise TypeError(f"constant_values is {values}, expected numbers of {x.dtype}")


class Unpad(Function):
    """Without the frame of ``Pad``, whose elements are added where they came from"""

    __slots__ = ("pad_width", "mode")

    def __init__(self, pad_width, mode):
        self.pad_width = pad_width
        self.mode = mode

    def forward(self, x):
        for axis, (left, right) in enumerate(np.broadcast_to(self.pad_width, (x.ndim, 2)).tolist()):
            if left == right == 0:
                continue
            before = (slice(None),) * axis
            n = x.shape[axis] - left - right
            y = x[(*before, slice(left, left + n))]
            if self.mode != "constant":
                y = y.copy()
                came_from = np.pad(np.arange(n), (left, right), self.mode)
                for i in (*range(left), *range(left + n, left + n + right)):
                    y[(*before, came_from[i])] += x[(*before, i)]
            x = y
        return x

    def backward(self, gy):
        return Pad(self.pad_width, self.mode, {}).evaluate(gy)


@implements(np.pad)
def pad(x, pad_width, mode: str = "constant", **keywords) -> Variable:
    """The array in a frame.

    Args:
        x: any shape.
        pad_width: how many entries before and after: one number, a pair, or a pair for each axis.
        mode: what the frame holds. ``"constant"``: ``constant_values``, by default 0; ``"edge"``:
            the outermost elements; ``"reflect"`` and ``"symmetric"``: the elements mirrored,
            without the outermost and with it; ``"wrap"``: those of the other end.
        keywords: NumPy's for the mode, ``constant_values``.

    Raises:
        ValueError: the mode is another one of NumPy's, or the widths do not fit.
        TypeError: the widths are no integers, or ``constant_values`` no numbers of the dtype.

    >>> import numpy as np, dynet.functions as F
    >>> F.pad(np.array([1.0, 2.0, 3.0]), (1, 2), "reflect").array
    array([2., 1., 2., 3., 2., 1.])
    """
    check_choice("pad", MODES, mode=mode)
    check_choice("pad", ("even",), reflect_type=keywords.get("reflect_type", "even"))
    return Pad(pad_width, mode, keywords).apply(x)


# -- sequences of different lengths ----------------------------------------------------------------


class PadSequence(Function):
    """Arrays of different lengths as the rows of one, with a number after the end of each"""

    __slots__ = ("length", "padding", "lengths")

    def __init__(self, length, padding):
        self.length = length
        self.padding = padding

    def forward(self, *xs):
        self.lengths, entry = _check_sequences("pad_sequence", xs)
        longest = max(self.lengths)
        length = longest if self.length is None else self.length
        if length < longest:
            raise ValueError(
                f"pad_sequence: length is {length}, expected at least {longest}, the length of the "
                "longest of xs"
            )
        dtype = xs[0].dtype
        try:
            y = get_array_module(xs[0]).full((len(xs), length, *entry), self.padding, dtype)
        except (OverflowError, ValueError) as error:
            raise ValueError(
                f"pad_sequence: length is {length}, padding is {self.padding}: {error}"
            ) from None
        for row, x in zip(y, xs, strict=True):
            row[: len(x)] = x
        return y

    def backward(self, gy):
        return tuple([gy[i, :length] for i, length in enumerate(self.lengths)])


def _check_sequences(function, xs):
    """The lengths of some arrays, and the shape that an entry of each must have."""
    if not xs:
        raise ValueError(f"{function}: xs is empty, expected at least one array")
    for i, x in enumerate(xs):
        check_array(function, **{f"xs[{i}]": x})
        if x.ndim == 0:
            raise ValueError(f"{function}: xs[{i}] has no axes, expected (length, ...)")
        if x.shape[1:] != xs[0].shape[1:]:
            raise ValueError(
                f"{function}: xs[0] has shape {xs[0].shape}, xs[{i}] has shape {x.shape}; expected "
                "one shape but for the first axis"
            )
        if x.dtype != xs[0].dtype:
            raise TypeError(
                f"{function}: xs[0] is {xs[0].dtype}, xs[{i}] is {x.dtype}; expected one dtype"
            )
    return [len(x) for x in xs], xs[0].shape[1:]


def pad_sequence(xs, length: int | None = None, padding=0) -> Variable:
    """Arrays of different lengths in one, with a number after the end of each.

    Args:
        xs: a list of arrays ``(length_i, ...)``, of one dtype.
        length: that of the result, by default that of the longest.
        padding: the number to fill up with.

    Returns:
        Variable: ``(len(xs), length, ...)``.

    Raises:
        ValueError: an array is longer than ``length``, the shapes do not fit, or there is no
            array.
        TypeError: the dtypes differ, or ``padding`` is no number of the dtype.

    >>> import numpy as np, dynet.functions as F
    >>> F.pad_sequence([np.array([1.0, 2.0]), np.array([3.0])], padding=-1).array
    array([[ 1.,  2.],
           [ 3., -1.]])
    """
    xs = _sequence("pad_sequence", xs)
    if length is not None and (
        isinstance(length, bool) or not isinstance(length, (int, np.integer))
    ):
        raise TypeError(f"pad_sequence: length is {length!r}, expected an integer or None")
    floating = any(
        array_of("pad_sequence", x, f"xs[{i}]").dtype.kind == "f" for i, x in enumerate(xs)
    )
    if not isinstance(padding, (int, np.integer, *((float, np.floating) if floating else ()))):
        raise TypeError(
            f"pad_sequence: padding is {padding!r}, expected "
            f"{'a number' if floating else 'an integer, as xs are'}"
        )
    return PadSequence(length, padding).apply(*xs)


def transpose_sequence(xs) -> tuple:
    """The first entries of several arrays together, their second entries together, and so on.

    What a loop over time steps takes of sequences of different lengths: at each step those that
    are not at their end yet. Of what it gives it makes the sequences again.

    Args:
        xs: a list of arrays ``(length_i, ...)``, of one dtype, the longest first.

    Returns:
        tuple of Variable: as many as the first array is long; the t-th is
        ``(how many are longer than t, ...)``.

    Raises:
        ValueError: an array is longer than the one before it, or the shapes do not fit.
        TypeError: the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> [y.array for y in F.transpose_sequence([np.array([1.0, 2.0]), np.array([3.0])])]
    [array([1., 3.]), array([2.])]
    """
    xs = _sequence("transpose_sequence", xs)
    if not xs:
        return ()
    arrays = [raw(x) for x in xs]
    lengths, _ = _check_sequences("transpose_sequence", arrays)
    for i in range(1, len(lengths)):
        if lengths[i] > lengths[i - 1]:
            raise ValueError(
                f"transpose_sequence: xs[{i}] has length {lengths[i]}, xs[{i - 1}] has length "
                f"{lengths[i - 1]}; expected the longest first"
            )
    step = np.arange(lengths[0])[:, None]
    there = step < lengths
    starts = np.cumsum([0, *lengths[:-1]])
    order = get_array_module(arrays[0]).asarray((starts + step)[there])
    by_step = Permutate(order).apply(Concat(0, "transpose_sequence").apply(*xs))
    return SplitAxis(there.sum(axis=1).tolist(), 0).apply(by_step)


# -- methods, and NumPy's functions that have no name here -----------------------------------------


@implements(np.concatenate)
def _numpy_concatenate(xs, axis=0):
    if axis is None:
        return concat([x.reshape(-1) for x in xs], 0)
    return concat(xs, axis)


@implements(np.column_stack)
def _numpy_column_stack(xs):
    columns = [x.reshape(-1, 1) if x.ndim < 2 else x for x in _at_least("column_stack", 0, xs)]
    return Concat(1, "column_stack").apply(*columns)


@implements(np.split)
def _numpy_split(x, indices_or_sections, axis=0):
    return split_axis(x, indices_or_sections, axis)


@implements(np.array_split)
def _numpy_array_split(x, indices_or_sections, axis=0):
    try:
        sections = operator.index(indices_or_sections)
    except TypeError:
        return split_axis(x, indices_or_sections, axis)
    if sections < 1:
        raise ValueError(
            f"array_split: indices_or_sections is {sections}, expected at least 1 (x: {x.shape})"
        )
    n = x.shape[normal_axis("array_split", axis, x)]
    length, longer = divmod(n, sections)  # the first few are one longer
    lengths = [length + 1] * longer + [length] * (sections - longer)
    return split_axis(x, np.cumsum(lengths)[:-1], axis)


Variable.repeat = repeat
