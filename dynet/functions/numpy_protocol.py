"""NumPy's own functions, called on Variables: ``np.tanh(v)``, ``np.concatenate([v, w])``.

NumPy asks an argument that is no array of its own what is to be done (its protocols
``__array_ufunc__``, NEP 13, and ``__array_function__``, NEP 18). A Variable answers with the
function of dynet that ``implements`` the one called, or with an error: never with an array that
has lost its gradient. Backward rules make use of it: ``gy * np.cos(x)`` means the same on NumPy's
and CuPy's arrays and on Variables.
"""

import inspect
from collections.abc import Callable

import numpy as np

from ..variable import Variable

# The function of dynet for each of NumPy's.
IMPLEMENTATIONS: dict[Callable, Callable] = {}


def implements(*numpy_functions: Callable) -> Callable:
    """A decorator: what NumPy's functions do when they are called on a Variable."""

    def register(function):
        for numpy_function in numpy_functions:
            IMPLEMENTATIONS[numpy_function] = function
        return function

    return register


def _array_ufunc(variable, ufunc, method, *inputs, **keywords):
    if method != "__call__":
        raise TypeError(
            f"{_name(ufunc)}.{method}: of a Variable, expected an ordinary call; "
            "use the functions of dynet, or `.array` where no gradient is wanted"
        )
    if keywords.get("out") is not None:
        raise TypeError(
            f"{_name(ufunc)}: a Variable cannot be written into an array, which would lose "
            "its gradient; write `y = x + v` for `x += v`, without `out`"
        )
    return _call(ufunc, inputs, keywords)


def _array_function(variable, function, types, arguments, keywords):
    return _call(function, arguments, keywords)


def _name(function):
    """As users write it: ``np.linalg.inv``."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np')}.{function.__name__}"


def _call(function, arguments, keywords):
    ours = IMPLEMENTATIONS.get(function)
    if keywords:  # without those that say nothing, like `out=None`
        keywords = {
            name: value
            for name, value in keywords.items()
            if value is not np._NoValue and not (value is None and name in ("dtype", "out"))
        }
    if ours is None:
        raise TypeError(
            f"{_name(function)}: dynet has no such function of Variables; "
            "use `.array` where no gradient is wanted"
        )
    try:
        return ours(*arguments, **keywords)
    except TypeError:
        # Does ours lack an argument of NumPy's, or was the call itself at fault?
        try:
            inspect.signature(ours).bind(*arguments, **keywords)
        except TypeError as error:
            raise TypeError(
                f"{_name(function)}: of a Variable: {error}; it takes {inspect.signature(ours)}"
            ) from None
        raise


Variable.__array_ufunc__ = _array_ufunc
Variable.__array_function__ = _array_function
