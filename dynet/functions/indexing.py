"""Indexing: choosing elements, putting them in another order, adding to some of them."""

import numpy as np

from ..backend import check_one_device, get_array_module, is_array, is_cupy
from ..function import Function
from ..kernels.indexing import add_at
from ..kernels.labels import may_look, outside
from ..terms import At, is_basic_index
from ..variable import Variable
from .arithmetic import where
from .array import REFUSALS, array_of, flatten, refused
from .checks import check_array, check_integers, check_ndim, check_shape, elements, normal_axis
from .numpy_protocol import implements

__all__ = [
    "diagonal",
    "flip",
    "fliplr",
    "flipud",
    "get_item",
    "permutate",
    "scatter_add",
    "select_item",
]

# The types of indices that are what they are; others hold arrays, or stand for them.
PLAIN = frozenset((int, slice, type(None), type(...)))


class GetItem(Function):
    """``x[index]``"""

    __slots__ = ("index", "shape")

    def __init__(self, index):
        self.index = index

    def forward(self, x):
        try:
            index = self.index
            if type(index) not in PLAIN:
                self.index, arrays = read_index(index, x)
                # Kept under guard in debug mode: changed later, they would misplace the gradient.
                self.save(*arrays)
            self.shape = x.shape
            return x[self.index]
        except (*REFUSALS, IndexError) as error:
            raise not_an_index(error, "get_item", "index", x, self.index) from None

    def backward(self, gy):
        return place(gy, self.index, self.shape)


def read_index(index, x):
    """An index into ``x`` with arrays for lists and for Variables, and the arrays in it."""
    if type(index) is not tuple:
        index = index if type(index) in PLAIN else _read_part(index, x)
        return index, (index,) if is_array(index) else ()
    for part in index:
        if type(part) not in PLAIN:
            index = tuple([p if type(p) in PLAIN else _read_part(p, x) for p in index])
            return index, [p for p in index if is_array(p)]
    return index, ()


def _read_part(part, x):
    if isinstance(part, Variable):
        return elements(part)
    if isinstance(part, (list, tuple)):
        part = np.asarray(part)
        part = part if part.size else part.astype(np.intp)
    return get_array_module(x).asarray(part) if isinstance(part, np.ndarray) else part


def not_an_index(error, function, argument, x, index):
    """The error for an index that does not fit."""
    check_array(function, x=x)
    if not is_cupy(x):  # to a GPU an index is sent, not from there
        parts = index if isinstance(index, tuple) else (index,)
        check_one_device(function, {"x": x, **{f"{argument} {i}": p for i, p in enumerate(parts)}})
    kind = TypeError if isinstance(error, TypeError) else IndexError
    return kind(f"{function}: the {argument} {index} does not fit x {x.shape}: {error}")


class Place(Function):
    """Zeros of some shape, with ``x`` added at an index: the gradient of ``GetItem``"""

    __slots__ = ("index", "shape")

    def __init__(self, index, shape):
        self.index = index
        self.shape = shape

    def forward(self, x):
        return At.total([At(self.index, x, self.shape)], None, None)

    def backward(self, gy):
        return gy[self.index]


def place(gy, index, shape):
    """The gradient of ``x[index]``: a term in an ordinary sweep, recorded in a recorded one."""
    return Place(index, shape).apply(gy) if isinstance(gy, Variable) else At(index, gy, shape)


def nan_if(wrong, y) -> Variable:
    """``y``, with NaN where a condition holds, and no gradient there; without a condition as it is.

    Where nobody may look whether labels are right, those that are not come to light in this way.
    """
    return y if wrong is None else where(wrong, np.nan, y)


def get_item(x, index) -> Variable:
    """``x[index]``, with all of NumPy's ways to index.

    Args:
        x: any shape.
        index: integers, slices, ``None``, ``...``, arrays of integers or booleans, or a tuple.

    Returns:
        Variable: a view where NumPy gives one.

    On a GPU an array of booleans makes the program wait, as how many are true says how large the
    result is; integers in an array that are out of range are counted round and round; and lists
    and arrays of NumPy are sent there first.

    Raises:
        IndexError: ``x`` has no such element.

    >>> import numpy as np, dynet.functions as F
    >>> F.get_item(np.arange(6.0), slice(1, 3)).array
    array([1., 2.])
    """
    return GetItem(index).apply(x)


class ScatterAdd(Function):
    """``a`` with ``b`` added at an index"""

    __slots__ = ("index",)

    def __init__(self, index):
        self.index = index

    def forward(self, a, b):
        check_array("scatter_add", a=a, b=b)
        if a.dtype != b.dtype:
            raise TypeError(f"scatter_add: a is {a.dtype}, b is {b.dtype}, expected one dtype")
        y = a.copy()
        try:
            self.index, arrays = read_index(self.index, a)
            self.save(*arrays)
            chosen = a[self.index]
        except (*REFUSALS, IndexError) as error:
            raise not_an_index(error, "scatter_add", "slices", a, self.index) from None
        if b.shape != chosen.shape:
            raise ValueError(
                f"scatter_add: b has shape {b.shape}, expected {chosen.shape}, that of a[slices]"
            )
        if is_basic_index(self.index):
            y[self.index] += b
        else:
            add_at(y, self.index, b)
        return y

    def backward(self, gy):
        return gy, gy[self.index] if self.wants(1) else None


def scatter_add(a, slices, b) -> Variable:
    """``a`` with ``b`` added at an index; a place that the index names twice gets both.

    Args:
        a: any shape.
        slices: integers, slices, ``None``, ``...``, arrays of integers or booleans, or a tuple.
        b: of the shape of ``a[slices]`` and the dtype of ``a``.

    Returns:
        Variable: of the shape of ``a``, which stays as it is.

    Raises:
        IndexError: ``a`` has no such element.
        ValueError: ``b`` has another shape: nothing is broadcast.
        TypeError: the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.scatter_add(np.zeros(3), np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0])).array
    array([1., 0., 5.])
    """
    return ScatterAdd(slices).apply(a, b)


class SelectItem(Function):
    """``y[i] = x[i, t[i]]``"""

    __slots__ = ("shape", "wrong")
    saves = (1,)

    def forward(self, x, t):
        check_array("select_item", x=x)
        check_ndim("select_item", 2, x=x)
        check_integers("select_item", t=t)
        check_shape("select_item", x.shape[:1], t=t)
        self.wrong = outside(t, x.shape[1])
        if may_look(t) or x.dtype.kind != "f":
            if self.wrong.any():
                raise ValueError(
                    f"select_item: t holds {int(t[self.wrong][0])}, expected columns from 0 to "
                    f"{x.shape[1] - 1} (x: {x.shape})"
                )
            self.wrong = None
        self.shape = x.shape
        self.save(t)
        y = x[get_array_module(x).arange(len(t)), t]
        return y if self.wrong is None else np.where(self.wrong, x.dtype.type(np.nan), y)

    def backward(self, gy):
        (t,) = self.saved
        if self.wrong is not None:
            gy = np.where(self.wrong, 0, gy)
        return place(gy, (get_array_module(t).arange(len(t)), t), self.shape), None


def select_item(x, t) -> Variable:
    """One element of each row, ``x[i, t[i]]``.

    Args:
        x: ``(N, C)``.
        t: columns, integers from 0 to C - 1, ``(N,)``.

    Returns:
        Variable: ``(N,)``.

    Raises:
        ValueError: a column is out of range, or the shapes do not fit. On a GPU, where looking
            would make the program wait, it gives NaN of a floating ``x``, unless in debug mode.
        TypeError: ``t`` holds no integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.select_item(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0])).array
    array([2., 3.])
    """
    return SelectItem().apply(x, t)


class Permutate(Function):
    """``y[i] = x[order[i]]`` along an axis, for an order that names every entry once"""

    __slots__ = ("order", "axis")

    def __init__(self, order, axis=0):
        self.order = order
        self.axis = axis

    def forward(self, x):
        return x.take(self.order, axis=self.axis)

    def backward(self, gy):
        return Permutate(inverse(self.order), self.axis).evaluate(gy)


def inverse(order):
    """The order that puts back what ``order`` has put in another."""
    xp = get_array_module(order)
    back = xp.empty_like(order)
    back[order] = xp.arange(len(order), dtype=order.dtype)
    return back


def permutate(x, indices, axis: int = 0, inv: bool = False) -> Variable:
    """The entries along an axis in another order: ``y[i] = x[indices[i]]``.

    Args:
        x: any shape with at least one axis.
        indices: integers, each number from 0 to the axis' length - 1 once.
        axis: the axis whose entries are moved.
        inv: whether to put back instead, ``y[indices[i]] = x[i]``.

    Raises:
        ValueError: ``indices`` does not name every entry once. On a GPU, where looking would make
            the program wait, the result is NaN instead, unless in debug mode.
        TypeError: ``indices`` holds no integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.permutate(np.array([1.0, 2.0, 3.0]), np.array([2, 0, 1])).array
    array([3., 1., 2.])
    """
    indices = elements(indices)
    array = array_of("permutate", x)
    check_integers("permutate", indices=indices)
    axis = normal_axis("permutate", axis, array)
    n = array.shape[axis]
    check_shape("permutate", (n,), indices=indices)
    check_one_device("permutate", {"x": array, "indices": indices})
    xp = get_array_module(indices)
    named = xp.zeros(n, bool)
    order = indices.astype(np.int64)  # a copy, which nobody changes before the backward pass
    wrong = outside(order, n)
    named[xp.where(wrong, 0, order)] = True
    wrong = wrong.any() | ~named.all()
    if may_look(indices) and wrong:
        raise ValueError(
            f"permutate: indices is {indices}, expected each number from 0 to {n - 1} once "
            f"(x: {array.shape})"
        )
    y = Permutate(inverse(order) if inv else order, axis).apply(x)
    return y if may_look(indices) else nan_if(wrong, y)


class Diagonal(Function):
    """The elements whose places on two axes differ by ``offset``, on a new last axis"""

    __slots__ = ("offset", "axis1", "axis2", "shape")

    def __init__(self, offset, axis1, axis2):
        self.offset = offset
        self.axis1 = axis1
        self.axis2 = axis2

    def forward(self, x):
        try:
            self.shape = x.shape
            return x.diagonal(self.offset, self.axis1, self.axis2)
        except REFUSALS as error:
            raise refused(
                error,
                "diagonal",
                x,
                "offset is {offset}, axis1 is {axis1}, axis2 is {axis2}; expected an integer and "
                "two axes of x {x.shape}",
                offset=self.offset,
                axis1=self.axis1,
                axis2=self.axis2,
            ) from None

    def backward(self, gy):
        return OnDiagonal(self.offset, self.axis1, self.axis2, self.shape).evaluate(gy)


class OnDiagonal(Function):
    """Zeros, with ``x`` where ``Diagonal`` takes it from"""

    __slots__ = ("offset", "axis1", "axis2", "shape")

    def __init__(self, offset, axis1, axis2, shape):
        self.offset = offset
        self.axis1 = axis1
        self.axis2 = axis2
        self.shape = shape

    def forward(self, x):
        xp = get_array_module(x)
        y = xp.zeros(self.shape, x.dtype)
        i = xp.arange(x.shape[-1])
        rows, columns = i + max(-self.offset, 0), i + max(self.offset, 0)
        xp.moveaxis(y, (self.axis1, self.axis2), (-2, -1))[..., rows, columns] = x
        return y

    def backward(self, gy):
        return Diagonal(self.offset, self.axis1, self.axis2).evaluate(gy)


@implements(np.diagonal)
def diagonal(x, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """A diagonal of matrices, in a view that cannot be written to.

    Args:
        x: any shape with at least two axes.
        offset: how far to the right of the main diagonal; to the left, if negative.
        axis1, axis2: the axes that count rows and columns.

    Returns:
        Variable: of the other axes' shape, and the diagonal on a last axis.

    Raises:
        ValueError: ``x`` has no such axes.

    >>> import numpy as np, dynet.functions as F
    >>> F.diagonal(np.arange(9.0).reshape(3, 3), offset=1).array
    array([1., 5.])
    """
    return Diagonal(offset, axis1, axis2).apply(x)


class Flip(Function):
    """The entries along some axes in reverse"""

    __slots__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        try:
            x.ndim  # noqa: B018 - of a list, NumPy would make an array
            return np.flip(x, self.axis)
        except REFUSALS as error:
            raise refused(
                error,
                "flip",
                x,
                "axis is {axis}, expected axes of x {x.shape}, none twice",
                axis=self.axis,
            ) from None

    def backward(self, gy):
        return np.flip(gy, self.axis)


@implements(np.flip)
def flip(x, axis=None) -> Variable:
    """The entries along an axis in reverse.

    Args:
        x: any shape.
        axis (int or tuple of int): the axes to reverse; all by default.

    Returns:
        Variable: a view.

    Raises:
        ValueError: ``x`` has no such axis, or one is named twice.

    >>> import numpy as np, dynet.functions as F
    >>> F.flip(np.array([1.0, 2.0, 3.0])).array
    array([3., 2., 1.])
    """
    return Flip(axis).apply(x)


@implements(np.fliplr)
def fliplr(x) -> Variable:
    """The columns in reverse, from left to right: the entries along the second axis.

    Args:
        x: any shape with at least two axes.

    Raises:
        ValueError: ``x`` has fewer axes.

    >>> import numpy as np, dynet.functions as F
    >>> F.fliplr(np.array([[1.0, 2.0]])).array
    array([[2., 1.]])
    """
    _check_has_axis("fliplr", 1, x)
    return Flip(1).apply(x)


@implements(np.flipud)
def flipud(x) -> Variable:
    """The rows in reverse, upside down: the entries along the first axis.

    Args:
        x: any shape with at least one axis.

    Raises:
        ValueError: ``x`` has no axis.

    >>> import numpy as np, dynet.functions as F
    >>> F.flipud(np.array([[1.0], [2.0]])).array
    array([[2.],
           [1.]])
    """
    _check_has_axis("flipud", 0, x)
    return Flip(0).apply(x)


def _check_has_axis(function, axis, x):
    array = array_of(function, x)
    if array.ndim <= axis:
        raise ValueError(
            f"{function}: x has {array.ndim} axes, expected at least {axis + 1} (x: {array.shape})"
        )


class Roll(Function):
    """The entries along some axes shifted, those that fall out at the end put in at the start"""

    __slots__ = ("shift", "axis")

    def __init__(self, shift, axis):
        self.shift = shift
        self.axis = axis

    def forward(self, x):
        try:
            return np.roll(x, self.shift, self.axis)
        except REFUSALS as error:
            raise refused(
                error,
                "roll",
                x,
                "shift is {shift}, axis is {axis}; expected integers and axes of x {x.shape}",
                shift=self.shift,
                axis=self.axis,
            ) from None

    def backward(self, gy):
        return np.roll(gy, np.negative(self.shift).tolist(), self.axis)


# -- methods, and NumPy's functions that have no name here ----------------------------------------


@implements(np.roll)
def _numpy_roll(x, shift, axis=None):
    return Roll(shift, axis).apply(x)


@implements(np.take)
def _method_take(x, indices, axis=None):
    """The entries along an axis that some indices name; of all the elements, by default."""
    if axis is None:
        x, axis = flatten(x), 0
    axis = normal_axis("take", axis, x)
    try:
        indices = _read_part(indices, x)
        indices = indices if is_array(indices) else np.asarray(indices)
    except REFUSALS as error:
        raise TypeError(f"take: indices is {indices!r}, expected integers: {error}") from None
    if indices.dtype.kind not in "iu":
        raise TypeError(f"take: indices is an array of {indices.dtype}, expected integers")
    return GetItem((slice(None),) * axis + (indices,)).apply(x)


def _method_iter(x):
    if x.ndim == 0:
        raise TypeError("iteration over a Variable without axes")
    return (GetItem(i).apply(x) for i in range(len(x)))


Variable.__getitem__ = get_item
Variable.__iter__ = _method_iter
Variable.diagonal = diagonal
Variable.take = _method_take
