"""Element by element: running a kernel over arrays, and choosing between two."""

import numpy as np
from numba import njit

from ..backend import StandIn, get_array_module, is_cupy
from .cuda import MOST_AXES, launch, twin_of

# What kernels compute with. NumPy has one object for each, so that a look here costs little.
COMPILED = np.dtype(np.float32), np.dtype(np.float64)


def compiled(*arrays) -> bool:
    """Whether kernels take these arrays: NumPy's, of float32 or float64, and no Variables."""
    for a in arrays:  # noqa: SIM110 - it is asked in inner loops, where `all` takes twice the time
        if type(a) is not np.ndarray or a.dtype not in COMPILED:
            return False
    return True


def runnable(*arrays) -> bool:
    """Whether ``run`` takes these: NumPy's or CuPy's arrays, float32 or float64, and stand-ins."""
    for a in arrays:
        if type(a) is not np.ndarray and not isinstance(a, StandIn) and not is_cupy(a):
            return False
        if a.dtype not in COMPILED:
            return False
    return True


class _Memory:
    """What NumPy makes an array of: where the elements of another array lie, which it keeps."""

    __slots__ = ("__array_interface__", "array")


def readable(array):
    """An array for kernels that only read it: contiguous, and as one that may be written to.

    For Numba a read-only array is of another type than one that may be written to, so that it would
    compile every kernel once more for each choice of arrays that are read-only. In debug mode many
    are.
    """
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else _unlocked(array)


def _unlocked(array):
    memory = _Memory()
    memory.array = array
    interface = array.__array_interface__
    interface["data"] = interface["data"][0], False  # not read-only
    memory.__array_interface__ = interface
    return np.asarray(memory)


def run(kernel, arrays, outputs, settings=(), by_rows=False) -> list:
    """What a kernel writes; where arrays stand in for others, what it would write.

    So a function whose kernel is called here works in a compiled ``scan`` too. On arrays of CuPy's
    the kernel's twin runs, which every kernel that comes here has.

    Args:
        kernel: a compiled function of the arrays, the settings, and the arrays to write into, all
            contiguous. It returns nothing; or it returns -1, and something else where it refuses
            what it was given. Its twin cannot refuse: it writes NaN there.
        arrays: its arrays.
        outputs: the shape and dtype of each array that it writes.
        settings: numbers.
        by_rows: whether row ``i`` of the outputs depends on row ``i`` of those arrays that have as
            many rows, and on nothing but that and the other arrays as a whole: the kernel may then
            be given some of the rows.

    Raises:
        ValueError: the kernel refused.
    """
    for a in arrays:
        if isinstance(a, StandIn):
            return a.run(kernel, arrays, outputs, settings, by_rows)
    if type(arrays[0]) is not np.ndarray:
        xp = get_array_module(arrays[0])
        written = [xp.empty(shape, dtype) for shape, dtype in outputs]
        launch(kernel, list(map(_countable, arrays)), list(map(_countable, written)), settings)
        return written
    written = [np.empty(shape, dtype) for shape, dtype in outputs]
    # A look at a flag takes no longer than to make contiguous what is.
    read = [a if a.flags.carray and a.ndim else readable(a) for a in arrays]
    status = kernel(*read, *settings, *written)
    if status is not None and status != -1:
        raise ValueError(f"{kernel.__name__} refused what it was given: it returned {status}")
    return written


def _countable(array):
    """An array for a twin, to which it has no more axes than its shape has room for."""
    return array if array.ndim <= MOST_AXES else array.reshape(-1)


def each_runs(kernel, *arrays) -> bool:
    """Whether ``each`` takes these arrays: those that are ``compiled``, or CuPy's for a twin."""
    for a in arrays:
        if type(a) is not np.ndarray and not (is_cupy(a) and twin_of(kernel)):
            return False
        if a.dtype not in COMPILED:
            return False
    return True


def check_compiled(function: str, x) -> None:
    """Raise unless ``x``, an array of NumPy's, has a dtype that kernels compute with."""
    if x.dtype not in COMPILED:
        raise TypeError(f"{function}: x is {x.dtype}, expected float32 or float64")


def each(kernel, arrays, settings=()):
    """What a kernel, or its twin on the GPU, makes of the elements of arrays of one shape.

    Args:
        kernel: a compiled function of a vector for each array, the settings, and a vector to
            write into.
        arrays: of one shape, float32 or float64; the result is like the first one.
        settings: numbers, which are passed on in that dtype.
    """
    first = arrays[0]
    if type(first) is not np.ndarray:
        y = get_array_module(first).empty(first.shape, first.dtype)
        casts = list(map(first.dtype.type, settings))
        launch(kernel, list(map(_countable, arrays)), [_countable(y)], casts)
        return y
    y = np.empty(first.shape, first.dtype)
    if settings or len(arrays) > 2 or not (first.flags.writeable and arrays[-1].flags.writeable):
        vectors = [readable(a).reshape(-1) for a in arrays]
        kernel(*vectors, *map(first.dtype.type, settings), y.reshape(-1))
    elif len(arrays) == 1:  # the same, without lists: they take a third of the time of a small call
        kernel(first.ravel(), y.reshape(-1))
    else:
        kernel(first.ravel(), arrays[1].ravel(), y.reshape(-1))
    return y


@njit(cache=True)
def where_each(condition, x, y, z):
    if condition.size != z.size or x.size != z.size or y.size != z.size:
        raise ValueError("where: the arrays have different sizes")
    for i in range(z.size):
        z[i] = x[i] if condition[i] else y[i]


# From so many elements on, the kernel is the faster one.
MANY = 1000


def where(condition, x, y):
    """``np.where``; for many numbers in a tenth of the time, as it never jumps.

    Args:
        condition: booleans, an array.
        x, y: arrays, Variables or numbers; all three broadcast.
    """
    if type(condition) is np.ndarray and condition.size >= MANY:
        kinds = {a.dtype.char if type(a) is np.ndarray else type(a) for a in (x, y)}
        floats = kinds & {"f", "d"}
        if len(floats) == 1 and kinds <= {*floats, int, float}:
            dtype = np.dtype(floats.pop())
            shape = np.broadcast_shapes(condition.shape, np.shape(x), np.shape(y))
            x, y = [np.broadcast_to(np.asarray(a, dtype), shape) for a in (x, y)]
            z = np.empty(shape, dtype)
            condition = np.broadcast_to(condition, shape)
            vectors = [readable(a).reshape(-1) for a in (condition, x, y)]
            where_each(*vectors, z.reshape(-1))
            return z
    return np.where(condition, x, y)
