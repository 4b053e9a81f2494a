"""What links share about sizes: checked where they are given, learned from an input where not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..backend import is_integer
from ..parameter import Parameter


def check_size(link: str, **sizes: Any) -> None:
    """Raise unless every size is a positive integer."""
    for name, size in sizes.items():
        if not is_integer(size) or size < 1:
            raise ValueError(f"{link}: {name} is {size!r}, expected a positive integer")


def check_shape(link: str, **shape: Any) -> tuple[int, ...]:
    """A shape that may be given as one integer, as a tuple; raise unless it is one."""
    ((name, given),) = shape.items()
    sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if not all(is_integer(size) and size >= 1 for size in sizes):
        raise ValueError(
            f"{link}: {name} is {given!r}, expected a positive integer or a tuple of them"
        )
    return sizes


def check_lengths(link: str, axes: int, least: int, **setting: Any) -> tuple[int, ...]:
    """A setting for each of so many axes, from one integer for all of them or a tuple."""
    ((name, given),) = setting.items()
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * axes
    if len(values) != axes or not all(is_integer(v) and v >= least for v in values):
        many = "" if axes == 1 else f", or a tuple of {axes}, each"
        raise ValueError(
            f"{link}: {name} is {given!r}, expected an integer{many} of at least {least}"
        )
    return values


@contextmanager
def sized(x: Any, shape: tuple[int, ...], *parameters: Parameter) -> Iterator[None]:
    """Give the parameters that wait for one a shape, on the device of ``x`` or where they belong.

    If the block raises they wait again: an input that a link cannot take teaches it no size.
    """
    waiting = [parameter for parameter in parameters if parameter.array is None]
    try:
        for parameter in waiting:
            parameter.initialize(shape, like=x)
        yield
    except BaseException:
        for parameter in waiting:
            parameter.array = None
        raise
