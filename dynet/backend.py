"""Which array module an array belongs to (NumPy or CuPy), and moving arrays between devices.

CuPy is optional: it is imported only when a GPU is asked for by name. An array says by its
type where it belongs, so nothing here needs CuPy to recognise a NumPy array. Also the little that
every room asks of numbers and of the machine: what an integer is, how many cores there are.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController


class StandIn:
    """What stands for an array without having its elements: a step of ``scan`` is read with such.

    A subclass has an array's attributes and methods, and NumPy's functions take it.
    """

    __slots__ = ()


def is_array(x: Any) -> bool:
    """Whether ``x`` is a NumPy or CuPy array, or stands for one."""
    return isinstance(x, (np.ndarray, StandIn)) or is_cupy(x)


def is_integer(x: Any) -> bool:
    """Whether ``x`` is one integer, Python's or NumPy's; a boolean is none."""
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool)


def is_cupy(x: Any) -> bool:
    """Whether ``x`` is an array of CuPy's, which nothing needs to be imported to know."""
    return type(x).__module__.partition(".")[0] == "cupy"


def get_array_module(*xs: Any):
    """The module (``numpy`` or ``cupy``) that the arguments' arrays belong to.

    Args:
        xs: arrays, Variables or anything else; what is no CuPy array counts as NumPy's.

    >>> import numpy as np, dynet
    >>> dynet.backend.get_array_module(np.zeros(3)).__name__
    'numpy'
    """
    for x in xs:
        if is_cupy(x) or is_cupy(getattr(x, "array", None)):
            import cupy  # only where a CuPy array already exists

            return cupy
    return np


def beside(array: Any, other: Any) -> Any:
    """An array with another one's module: itself where it has that already, else a copy."""
    xp = get_array_module(other)
    if get_array_module(array) is xp:
        return array
    return xp.asarray(get_device("cpu").send(array))


def check_like(what: str, gradient: Any, array: Any) -> None:
    """Raise unless a gradient, an array or a Variable, has an array's shape, dtype and module."""
    if not is_array(getattr(gradient, "array", gradient)):
        raise TypeError(f"{what} is {type(gradient).__name__}, expected an array")
    if array is None:
        return
    if gradient.shape != array.shape or gradient.dtype != array.dtype:
        raise ValueError(
            f"{what} is {gradient.dtype} {gradient.shape}, "
            f"expected {array.dtype} {array.shape} like the variable's array"
        )
    if get_array_module(gradient) is not get_array_module(array):
        raise ValueError(
            f"{what} is an array of {get_array_module(gradient).__name__}, the variable's of "
            f"{get_array_module(array).__name__}; expected both on one device"
        )


class Device:
    """The CPU or one GPU: where arrays live and which array module works on them there.

    Attributes:
        name (str): ``"cpu"`` or ``"cuda:N"``.
        xp (module): ``numpy`` or ``cupy``.
    """

    def __init__(self, name: str, xp, cuda=None):
        self.name = name
        self.xp = xp
        self._cuda = cuda

    def send(self, array):
        """The array on this device: itself where it is there already, else a copy."""
        if self._cuda is None:
            return array.get() if is_cupy(array) else array
        with self._cuda:
            return self.xp.asarray(array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<device {self.name}>"


def get_device(spec: "str | int | Device") -> Device:
    """The device that a name or number stands for.

    Args:
        spec: ``"cpu"`` or ``-1``; ``"cuda:0"``, ``"cuda"`` or a GPU's number; or a ``Device``.

    Raises:
        ValueError: no device is called so.
        RuntimeError: a GPU was asked for and CuPy is not installed, or has no such GPU.

    >>> import dynet
    >>> dynet.get_device("cpu")
    <device cpu>
    """
    if isinstance(spec, Device):
        return spec
    text = str(spec)
    if text in ("cpu", "-1"):
        return Device("cpu", np)
    number = "0" if text == "cuda" else text.removeprefix("cuda:")
    if not number.isdecimal():
        raise ValueError(
            f"get_device: got {spec!r}, expected 'cpu', 'cuda', 'cuda:N' or a GPU's number"
        )
    try:
        import cupy  # optional dependency
    except ImportError as error:
        raise RuntimeError(
            f"get_device: {spec!r} needs CuPy, which is not installed here; "
            "`pip install 'dynet[gpu]'` installs it for CUDA 12 (cupy-cuda12x)"
        ) from error
    index = int(number)
    if index >= cupy.cuda.runtime.getDeviceCount():
        raise RuntimeError(
            f"get_device: got {spec!r}, but this machine has "
            f"{cupy.cuda.runtime.getDeviceCount()} GPU(s)"
        )
    return Device(f"cuda:{index}", cupy, cupy.cuda.Device(index))


# A matrix product of fewer operations than this is over within a millisecond on one core.
SMALL_PRODUCT = 100_000_000


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def blas_threads_for(operations: int) -> Iterator[None]:
    """Let a small matrix product run on one core.

    A BLAS that has used a second thread keeps it spinning for a while, in wait of more. Within a
    long backward pass, where small products come one after the other with other work between
    them, that costs the first core more than the second one saves.
    """
    if operations >= SMALL_PRODUCT:
        yield
        return
    libraries = _blas_libraries()
    before = [library.num_threads for library in libraries]
    for library in libraries:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, threads in zip(libraries, before, strict=True):
            library.set_num_threads(threads)


@cache
def _blas_libraries():
    return ThreadpoolController().select(user_api="blas").lib_controllers
