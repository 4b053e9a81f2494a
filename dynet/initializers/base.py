"""What all initializers share: the checks of the array, the fans of a shape, random generators."""

import math
from typing import Any

import numpy as np

from ..backend import fill, is_array, is_integer
from ..parameter import Parameter


class Initializer:
    """Fills an array in place; a subclass states with what, in ``values``.

    Random numbers are drawn on the CPU and sent: from one seed come the same on all devices.

    Args:
        dtype: of the parameters that start from it; ``config.dtype`` by default.

    Raises:
        ValueError: the dtype is not floating; or, when called, the array has another dtype.
        TypeError: what is to be filled is no floating array.

    >>> import numpy as np, dynet
    >>> class Rising(dynet.initializers.Initializer):
    ...     def values(self, shape):
    ...         return np.arange(np.prod(shape)).reshape(shape)
    >>> dynet.Parameter(Rising(), (2, 2)).array
    array([[0., 1.],
           [2., 3.]], dtype=float32)
    """

    def __init__(self, dtype: Any = None):
        self.dtype = None if dtype is None else np.dtype(dtype)
        if self.dtype is not None and self.dtype.kind != "f":
            raise ValueError(
                f"{type(self).__name__}: dtype is {self.dtype}, expected a floating dtype"
            )

    def __call__(self, array: Any) -> None:
        """Fill an array, of NumPy or CuPy, in any memory order."""
        name = type(self).__name__
        if not is_array(array) or array.dtype.kind != "f":
            came = array.dtype if is_array(array) else type(array).__name__
            raise TypeError(f"{name}: got {came} to fill, expected a floating array")
        if self.dtype is not None and array.dtype != self.dtype:
            raise ValueError(
                f"{name}: the array is of {array.dtype}, the initializer's dtype is {self.dtype}"
            )
        fill(array, self.values(array.shape))

    def values(self, shape: tuple[int, ...]) -> Any:
        """What to fill an array of this shape with: an array, or a number, that broadcasts."""
        raise NotImplementedError(f"{type(self).__name__} has no values")

    def fans(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """``get_fans``, with the initializer's name in the message; each at least 1."""
        if len(shape) < 2:
            raise ValueError(
                f"{type(self).__name__}: the array has shape {shape}, expected (out, in, ...)"
            )
        fan_in, fan_out = get_fans(shape)
        return max(fan_in, 1), max(fan_out, 1)  # 0 is that of an array without elements


def get_fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs an output has, and how many outputs an input goes to.

    Args:
        shape: ``(out, in, ...)``: of a linear map's weight, or a convolution's with the lengths of
            its window.

    Returns:
        tuple of int: the fan in, ``in * ...``, and the fan out, ``out * ...``.

    Raises:
        ValueError: there are fewer than two axes.

    >>> import dynet
    >>> dynet.initializers.get_fans((20, 3, 5, 5))
    (75, 500)
    """
    if not isinstance(shape, tuple) or len(shape) < 2:
        raise ValueError(f"get_fans: shape is {shape!r}, expected a tuple (out, in, ...)")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def get_rng(rng: Any = None) -> np.random.Generator | np.random.RandomState:
    """The random generator that an argument stands for.

    Args:
        rng: a seed, a ``numpy.random.Generator`` or ``RandomState``, or ``None`` for NumPy's global
            state, which ``numpy.random.seed`` sets.

    Raises:
        TypeError: it is none of these.
        ValueError: a seed is negative.

    >>> import dynet
    >>> get_rng = dynet.initializers.get_rng
    >>> get_rng(7).random() == get_rng(7).random()
    True
    """
    if rng is None:
        return np.random.mtrand._rand  # the global RandomState that np.random's functions use
    if isinstance(rng, (np.random.Generator, np.random.RandomState)):
        return rng
    if not is_integer(rng):
        raise TypeError(
            f"get_rng: rng is {type(rng).__name__}, expected a seed, a numpy.random.Generator, a "
            "numpy.random.RandomState or None"
        )
    if rng < 0:
        raise ValueError(f"get_rng: the seed is {rng}, expected 0 or a positive integer")
    return np.random.default_rng(rng)


class RandomInitializer(Initializer):
    """An initializer that draws numbers, as large as a scale says.

    Args:
        scale: 0 or positive.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: the scale is negative or not finite.
    """

    def __init__(self, scale: float, dtype: Any, rng: Any):
        super().__init__(dtype)
        number = isinstance(scale, (int, float, np.integer, np.floating))
        if not number or not 0 <= scale < math.inf:
            raise ValueError(
                f"{type(self).__name__}: scale is {scale!r}, expected 0 or a positive number"
            )
        self.scale = scale
        # NumPy's global state is looked up when numbers are drawn: a copy or a pickle of this
        # initializer must go on with it, not with a copy of its own.
        self._rng = None if rng is None else get_rng(rng)

    @property
    def rng(self) -> np.random.Generator | np.random.RandomState:
        """Where the numbers come from."""
        return get_rng(self._rng)


def generate_array(
    initializer: Any, shape: int | tuple[int, ...], xp: Any = np, dtype: Any = None
) -> Any:
    """The array that a ``Parameter`` of the same arguments starts from.

    Args:
        initializer: as for ``Parameter``.
        shape: of the array.
        xp: ``numpy`` or ``cupy``.
        dtype: as for ``Parameter``.

    Returns:
        numpy.ndarray or cupy.ndarray: of the shape.

    Raises:
        TypeError, ValueError: as for ``Parameter``.

    >>> import dynet
    >>> dynet.initializers.generate_array(dynet.initializers.One(), (2,))
    array([1., 1.], dtype=float32)
    """
    parameter = Parameter(initializer, shape, dtype=dtype)
    if not parameter.is_initialized:
        raise ValueError(
            f"generate_array: shape is {shape!r}, expected an integer or a tuple of them"
        )
    return xp.asarray(parameter.array)
