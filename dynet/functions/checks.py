"""What functions ask of their arguments, arrays or Variables, and what they say of others.

A check costs a comparison or two; its sentence is composed only when it fails.
"""

import numpy as np

from ..backend import StandIn, is_array, is_integer
from ..function import variable_at
from ..variable import Variable


def raw(x):
    """The array of a Variable; anything else as it is."""
    return x.array if isinstance(x, Variable) else x


def elements(x):
    """The same, where it is looked into at once, and what comes of that is not recorded.

    A step of ``scan`` that does so cannot be compiled; it is found out by this.
    """
    return x.array if isinstance(x, Variable) else x


def as_variable(x) -> Variable:
    """An array as a Variable that is a constant; a Variable as it is."""
    return x if isinstance(x, Variable) else variable_at(None, x)


def described(x) -> str:
    """What an argument is, for messages: ``float32 (2, 3)``, or its type."""
    x = raw(x)
    return f"{x.dtype} {x.shape}" if is_array(x) else type(x).__name__


def check_floating(function: str, **arrays) -> None:
    """Raise unless every argument is an array of one and the same floating dtype."""
    dtype = None
    for name, x in arrays.items():
        if not is_array(raw(x)) or x.dtype.kind != "f":
            raise TypeError(f"{function}: {name} is {described(x)}, expected a floating array")
        if dtype is None:
            dtype = x.dtype
        elif x.dtype != dtype:
            came = ", ".join(f"{n} is {described(a)}" for n, a in arrays.items())
            raise TypeError(f"{function}: {came}; expected one floating dtype")


def check_constants(function: str, **arrays) -> None:
    """Raise if an argument is a Variable, whose gradient would be lost, or no floating array."""
    for name, x in arrays.items():
        if isinstance(x, Variable):
            raise TypeError(
                f"{function}: {name} is a Variable, expected an array: it gets no gradient"
            )
    check_floating(function, **arrays)


def refuse_stand_ins(function: str, why: str, *arrays) -> None:
    """Raise if there is a stand-in: the function does what a compiled ``scan`` could not repeat."""
    if any([isinstance(x, StandIn) for x in arrays]):
        raise TypeError(f"{function}: it has no place in compiled code: {why}")


def check_integers(function: str, **arrays) -> None:
    """Raise unless every argument is an array of integers."""
    for name, x in arrays.items():
        if not is_array(raw(x)) or x.dtype.kind not in "iu":
            raise TypeError(f"{function}: {name} is {described(x)}, expected an array of integers")


def check_integer(function: str, **settings) -> None:
    """Raise unless every setting is one integer."""
    for name, value in settings.items():
        if not is_integer(value):
            raise TypeError(f"{function}: {name} is {value!r}, expected an integer")


def check_array(function: str, **arrays) -> None:
    """Raise unless every argument is an array, of whatever dtype."""
    for name, x in arrays.items():
        if not is_array(raw(x)):
            raise TypeError(f"{function}: {name} is {described(x)}, expected an array")


def check_numbers(function: str, **arrays) -> None:
    """Raise unless every argument is an array of real numbers; booleans count as 0 and 1."""
    for name, x in arrays.items():
        if not is_array(raw(x)) or x.dtype.kind not in "biuf":
            raise TypeError(f"{function}: {name} is {described(x)}, expected an array of numbers")


def check_ndim(function: str, ndim: int, **arrays) -> None:
    """Raise unless every array has so many axes."""
    for name, x in arrays.items():
        if x.ndim != ndim:
            raise ValueError(
                f"{function}: {name} has shape {x.shape}, {x.ndim} axes, expected {ndim}"
            )


def check_shape(function: str, shape: tuple, **arrays) -> None:
    """Raise unless every array has this very shape: nothing is broadcast."""
    for name, x in arrays.items():
        if x.shape != shape:
            raise ValueError(f"{function}: {name} has shape {x.shape}, expected {shape}")


def check_same_shape(function: str, **arrays) -> None:
    """Raise unless all arrays have one shape: nothing is broadcast."""
    first, *rest = arrays.values()
    if any(x.shape != first.shape for x in rest):
        came = ", ".join(f"{name} has shape {x.shape}" for name, x in arrays.items())
        raise ValueError(f"{function}: {came}; expected one shape")


def check_choice(function: str, choices: tuple, **arguments) -> None:
    """Raise unless every argument is one of the choices."""
    for name, value in arguments.items():
        if not (isinstance(value, str) and value in choices):
            raise ValueError(
                f"{function}: {name} is {value!r}, expected {' or '.join(map(repr, choices))}"
            )


def real(function: str, **setting) -> float:
    """A setting as a Python number: one of NumPy's would make float64 of float32."""
    ((name, value),) = setting.items()
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{function}: {name} is {type(value).__name__}, expected a real number")
    if value != value:
        raise ValueError(f"{function}: {name} is nan, expected a real number")
    return float(value)


def not_negative(function: str, **setting) -> float:
    """A setting that is at least 0, as a Python number."""
    ((name, value),) = setting.items()
    number = real(function, **setting)
    if number < 0:
        raise ValueError(f"{function}: {name} is {value}, expected 0 or a positive number")
    return number


def normal_axis(function: str, axis, x) -> int:
    """An axis of ``x`` counted from the front, where a negative one counts from the back."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{function}: axis is {axis!r}, expected an integer (x: {x.shape})")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{function}: axis is {axis}, x has {x.ndim} axes (x: {x.shape})")
    return int(axis) % x.ndim


def normal_axes(function: str, axis, x) -> tuple[int, ...]:
    """Axes of ``x`` counted from the front: of ``None`` all, of one axis that one."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = [normal_axis(function, a, x) for a in (axis if isinstance(axis, tuple) else (axis,))]
    if len(set(axes)) < len(axes):
        raise ValueError(f"{function}: axis is {axis}, which names an axis twice (x: {x.shape})")
    return tuple(axes)
