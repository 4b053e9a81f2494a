"""Which array module an array belongs to (NumPy or CuPy), and moving arrays between devices.

CuPy is optional: it is imported only when a GPU is asked for by name. An array says by its
type where it belongs, so nothing here needs CuPy to recognise a NumPy array. Also the little that
every room asks of numbers and of the machine: what an integer is, how many cores there are.

An operation computes on one device, the one on which its arrays are, and makes its results there:
of several GPUs that must be the *current* one, which ``Device.use`` chooses.
"""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from .cuda_version import what_to_install

# What forwards mostly return; of these nobody has to ask where they are.
ON_THE_CPU = frozenset((np.ndarray, np.float32, np.float64))


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
    return _of_cupy(type(x))


@cache  # it is asked of every array, and types are few
def _of_cupy(kind):
    return kind.__module__.partition(".")[0] == "cupy"


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
    """An array on another one's device: itself where it is there already, else a copy."""
    if type(array) is np.ndarray is type(other):
        return array
    return get_device_from_array(other).send(array)


def fill(array: Any, values: Any) -> None:
    """Write values, a number or an array on whichever device, into an array, where that is."""
    with get_device_from_array(array):
        array[...] = beside(values, array) if is_array(values) else values


def check_like(what: str, gradient: Any, array: Any) -> None:
    """Raise unless a gradient, an array or a Variable, has an array's shape, dtype and device."""
    gradient = getattr(gradient, "array", gradient)
    if not is_array(gradient):
        raise TypeError(f"{what} is {type(gradient).__name__}, expected an array")
    if array is None:
        return
    if gradient.shape != array.shape or gradient.dtype != array.dtype:
        raise ValueError(
            f"{what} is {gradient.dtype} {gradient.shape}, "
            f"expected {array.dtype} {array.shape} like the variable's array"
        )
    if None not in (its := _place(gradient), ours := _place(array)) and its != ours:
        raise ValueError(
            f"{what} is on {its}, the variable's array on {ours}; expected both on one device"
        )


def _place(array):
    """The name of an array's device; ``None`` of a stand-in and of what is no array."""
    if is_cupy(array):
        return f"cuda:{array.data.device_id}"
    return "cpu" if isinstance(array, np.ndarray) else None


def check_one_device(
    who: str, arrays: Mapping[str, Any] | Sequence, forward: Callable | None = None
) -> None:
    """Raise unless all arrays are on one device, which of several GPUs is the current one.

    Args:
        who: the function or link that was given them, for the message.
        arrays: arrays or Variables by name, or a sequence of those in the order of the arguments of
            ``forward``; what is no array counts for nothing.
        forward: says, where it comes to that, what the arguments are called.

    Raises:
        ValueError: they are on several devices, or on a GPU that is not the current one.

    >>> import numpy as np, dynet
    >>> dynet.backend.check_one_device("linear", {"x": np.zeros(3), "W": np.zeros((2, 3))})
    """
    values = arrays.values() if isinstance(arrays, Mapping) else arrays
    gpu, on_cpu, several = None, False, False
    for x in values:
        if not is_cupy(x):
            x = x if is_array(x) else getattr(x, "array", x)
            if not is_cupy(x):
                on_cpu |= isinstance(x, np.ndarray)
                continue
        number = x.data.device_id  # `x.device` would make an object every time
        several |= gpu not in (None, number)
        gpu = number
    if gpu is None:
        return
    if several or on_cpu:
        raise ValueError(_mixture(who, _named(arrays, forward)))
    import cupy  # only where a CuPy array already exists

    current = cupy.cuda.runtime.getDevice()
    if gpu != current:
        raise ValueError(
            f"{who}: the arrays are on cuda:{gpu}, the current device is cuda:{current}; "
            f"`dynet.get_device('cuda:{gpu}').use()` makes that the current one"
        )


def _named(arrays, forward):
    """The arrays of a call by the names of its arguments."""
    if isinstance(arrays, Mapping):
        return arrays
    names = []
    for parameter in inspect.signature(forward).parameters.values() if forward else ():
        if parameter.kind is parameter.VAR_POSITIONAL:
            more = range(len(arrays) - len(names))
            names.extend([f"{parameter.name}[{i}]" for i in more])
        else:
            names.append(parameter.name)
    names.extend([f"argument {i}" for i in range(len(names), len(arrays))])
    return dict(zip(names, arrays, strict=False))


def _mixture(who, arrays):
    """The sentence that says which array is where, and how they come together."""
    on: dict[str, list[str]] = {}
    for name, x in arrays.items():
        place = _place(getattr(x, "array", x))
        if place is not None:
            on.setdefault(place, []).append(name)
    came = []
    for place, names in on.items():
        several = ", ".join(names[:-1]) + " and " if len(names) > 1 else ""
        came.append(f"{several}{names[-1]} {'are' if several else 'is'} on {place}")
    to = next(place for place in on if place != "cpu")
    stray = next(names[0] for place, names in on.items() if place != to)
    return (
        f"{who}: {', '.join(came)}; expected all on one device: "
        f"`dynet.get_device({to!r}).send(...)` moves an array like {stray} there, "
        f"`link.to_device({to!r})` a whole link"
    )


class Device:
    """The CPU or one GPU: where arrays live and which array module works on them there.

    ``with device:`` makes it the current device within the block.

    Attributes:
        name (str): ``"cpu"`` or ``"cuda:N"``.
        xp (module): ``numpy`` or ``cupy``.

    >>> import numpy as np, dynet
    >>> device = dynet.get_device("cpu")
    >>> device.send(np.ones(3))
    array([1., 1., 1.])
    """

    def __init__(self, name: str, xp, cuda=None):
        self.name = name
        self.xp = xp
        self._cuda = cuda

    def use(self) -> None:
        """Make it the running thread's current device: of several GPUs that which computes."""
        if self._cuda is not None:
            self._cuda.use()

    def __enter__(self) -> "Device":
        if self._cuda is not None:
            self._cuda.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._cuda is not None:
            self._cuda.__exit__(*exception)

    def send(self, array: Any) -> Any:
        """An array on this device: itself where it is there already, else a copy.

        Args:
            array: an array, or a tuple or list of them, of which each is sent. What comes from a
                GPU to the CPU has been waited for.

        Raises:
            TypeError: it is no array; or it is text, which no GPU takes.
        """
        if isinstance(array, (tuple, list)):
            return type(array)([self.send(a) for a in array])
        if not is_array(array):
            raise TypeError(
                f"Device.send: got {type(array).__name__}, expected an array of NumPy's or CuPy's"
            )
        if self._cuda is None:
            return array.get(order="A") if is_cupy(array) else array
        if array.dtype.kind not in "biufc":
            raise TypeError(
                f"Device.send: got an array of {array.dtype} to be sent to {self.name}, "
                "expected numbers"
            )
        if is_cupy(array) and not (array.flags.c_contiguous or array.flags.f_contiguous):
            if _place(array) == self.name:
                return array
            with array.device:  # between GPUs, CuPy copies only what is contiguous
                array = array.copy()
        with self._cuda:
            return self.xp.asarray(array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self):
        return get_device, (self.name,)

    def __repr__(self) -> str:
        return f"<device {self.name}>"


def get_device_from_array(array: Any) -> Device:
    """The device that an array, or a Variable's, is on; of anything else the CPU.

    >>> import numpy as np, dynet
    >>> dynet.backend.get_device_from_array(np.zeros(3))
    <device cpu>
    """
    array = getattr(array, "array", array)
    if not is_cupy(array):
        return Device("cpu", np)
    return Device(_place(array), get_array_module(array), array.device)


def get_device(spec: "str | int | Device") -> Device:
    """The device that a name or number stands for.

    Args:
        spec: ``"cpu"`` or ``-1``; ``"cuda:0"``, ``"cuda"`` or a GPU's number; or a ``Device``.

    Raises:
        ValueError: no device is called so.
        RuntimeError: a GPU was asked for, and CuPy is not installed, or finds no such GPU.

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
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(
            f"get_device: got {spec!r}, expected 'cpu', 'cuda', 'cuda:N' or a GPU's number"
        )
    try:
        import cupy  # optional dependency
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise
        raise RuntimeError(
            f"get_device: {spec!r} needs CuPy, which is not installed here; {what_to_install()}"
        ) from error
    except ImportError as error:
        raise RuntimeError(
            f"get_device: {spec!r} needs CuPy, which is installed but cannot be imported: {error}"
        ) from error
    index = int(number)
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(
            f"get_device: got {spec!r}, but CuPy {cupy.__version__} finds no GPU here: {error}"
        ) from error
    if index >= count:
        raise RuntimeError(f"get_device: got {spec!r}, but this machine has {count} GPU(s)")
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
