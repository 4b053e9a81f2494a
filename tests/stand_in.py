"""A stand-in with elements: what a rule does to arrays that it may not look into.

``scan`` runs the functions' own rules on stand-ins, which have shapes and dtypes but no elements.
A ``Mirror`` is one that computes along, so that a test can see whether a rule that gets stand-ins
comes to the very result that it has of arrays; and it writes down what the rule asked of it.
"""

import numpy as np

from dynet import random
from dynet.backend import StandIn

# NumPy's functions that are no ufuncs and that a stand-in takes.
FUNCTIONS = {
    np.broadcast_to,
    np.clip,
    np.concatenate,
    np.expand_dims,
    np.moveaxis,
    np.stack,
    np.where,
}

METHODS = (
    "astype",
    "clip",
    "copy",
    "dot",
    "max",
    "mean",
    "min",
    "prod",
    "ravel",
    "reshape",
    "squeeze",
    "sum",
    "swapaxes",
    "take",
    "transpose",
)

ATTRIBUTES = ("dtype", "nbytes", "ndim", "shape", "size")


class Refused(TypeError):
    """A stand-in was asked for what only elements can tell."""


class NoSuchAttribute(Refused, AttributeError):
    """A stand-in lacks an attribute or method of arrays."""


class Reserved:
    """A number that only ``run`` may see: the key or the first position of random numbers."""

    __slots__ = ("_number",)

    def __init__(self, number):
        self._number = number


class Mirror(StandIn, np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array, and holds it.

    Args:
        array (numpy.ndarray): what it stands for.
        used (set): where it writes down, by name, what it was asked for; a new one by default.
    """

    __slots__ = ("_array", "_used")

    def __init__(self, array, used=None):
        self._array = np.asarray(array)
        self._used = set() if used is None else used

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        self._used.add(f"ufunc {ufunc.__name__}" + (f".{method}" if method != "__call__" else ""))
        if method not in ("__call__", "reduce") or ufunc.nout != 1:
            raise Refused(f"{ufunc.__name__}.{method} of a stand-in")
        if out is not None and out != (self,):
            raise Refused(f"{ufunc.__name__}: a stand-in is written into an array")
        result = getattr(ufunc, method)(*_arrays(inputs), **_arrays(keywords))
        if out is None:
            return self._mirror(result)
        if result.shape != self.shape:
            raise ValueError(f"{ufunc.__name__}: {result.shape} is put into {self.shape}")
        self._array = np.asarray(result, self.dtype)
        return self

    def __array_function__(self, function, types, arguments, keywords):
        self._used.add(f"function {function.__module__}.{function.__name__}")
        if function not in FUNCTIONS:
            raise Refused(f"{function.__module__}.{function.__name__} of a stand-in")
        return self._mirror(function(*_arrays(arguments), **_arrays(keywords)))

    def run(self, kernel, arrays, outputs, settings, by_rows):
        """What ``dynet.kernels.arithmetic.run`` asks of stand-ins."""
        name = kernel.py_func.__name__
        self._used.add(f"kernel {name}{' by rows' if by_rows else ''}")
        written = [np.empty(shape, dtype) for shape, dtype in outputs]
        settings = [s._number if isinstance(s, Reserved) else s for s in settings]
        if any(isinstance(s, (StandIn, np.ndarray)) for s in settings):
            raise Refused(f"{name}: an array among the settings")
        refused = kernel(*map(np.ascontiguousarray, _arrays(arrays)), *settings, *written)
        if refused not in (None, -1):
            raise ValueError(f"{name} refuses what it was given: {refused}")
        return [self._mirror(array) for array in written]

    def reserve(self, n):
        """Positions of the stream of random numbers, which only ``run`` may know."""
        self._used.add("method reserve")
        return tuple(map(Reserved, random.reserve(n)))

    def __getitem__(self, index):
        self._used.add("method __getitem__")
        parts = index if type(index) is tuple else (index,)
        if any(isinstance(part, StandIn) for part in parts):
            raise Refused("a stand-in for an index")
        return self._mirror(self._array[index])

    def __len__(self):
        self._used.add("len")
        return len(self._array)

    @property
    def T(self):
        """The axes reversed."""
        self._used.add("attribute T")
        return self._mirror(self._array.T)

    def _mirror(self, array):
        return Mirror(array, self._used)

    def __getattr__(self, name):
        raise NoSuchAttribute(f"{name} of a stand-in")


def _refusing(name):
    def refuse(self, *arguments, **keywords):
        raise Refused(f"{name} of a stand-in")

    return refuse


for _name in (
    "__array__",
    "__bool__",
    "__complex__",
    "__contains__",
    "__delitem__",
    "__float__",
    "__format__",
    "__index__",
    "__int__",
    "__iter__",
    "__setitem__",
):
    setattr(Mirror, _name, _refusing(_name))


def _method(name):
    def method(self, *arguments, **keywords):
        self._used.add(f"method {name}")
        return self._mirror(getattr(self._array, name)(*_arrays(arguments), **_arrays(keywords)))

    return method


for _name in METHODS:
    setattr(Mirror, _name, _method(_name))


def _attribute(name):
    def attribute(self):
        self._used.add(f"attribute {name}")
        return getattr(self._array, name)

    return property(attribute)


for _name in ATTRIBUTES:
    setattr(Mirror, _name, _attribute(_name))


def _arrays(x):
    """The arrays of Mirrors, also within a list, a tuple or a dict."""
    if isinstance(x, Mirror):
        return x._array
    if isinstance(x, (list, tuple)):
        return type(x)(map(_arrays, x))
    if isinstance(x, dict):
        return {key: _arrays(value) for key, value in x.items()}
    return x


def held(x):
    """The array of a Mirror; whatever else as it is."""
    return _arrays(x)
