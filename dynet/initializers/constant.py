"""Initializers that draw nothing: a constant, and the identity."""

import math
from typing import Any

import numpy as np

from ..backend import is_array
from .base import Initializer


class Constant(Initializer):
    """Every element the same.

    Args:
        fill_value: a number, or an array that broadcasts.
        dtype: of the parameter; ``config.dtype`` by default.

    Raises:
        TypeError: ``fill_value`` is neither a real number nor an array of them.
        ValueError: when called: ``fill_value`` does not broadcast to the array's shape.

    >>> import numpy as np, dynet
    >>> w = np.empty(2)
    >>> dynet.initializers.Constant(3)(w)
    >>> w
    array([3., 3.])
    """

    def __init__(self, fill_value: Any, dtype: Any = None):
        super().__init__(dtype)
        filling = fill_value if is_array(fill_value) else np.asarray(fill_value)
        if filling.dtype.kind not in "biuf":
            raise TypeError(
                f"{type(self).__name__}: fill_value is {fill_value!r}, expected a real number or "
                "an array of them"
            )
        self.fill_value = fill_value

    def values(self, shape: tuple[int, ...]) -> Any:
        given = self.fill_value.shape if is_array(self.fill_value) else np.shape(self.fill_value)
        fits = len(given) <= len(shape) and all(
            n in (1, m) for n, m in zip(given[::-1], shape[::-1], strict=False)
        )
        if not fits:
            raise ValueError(
                f"{type(self).__name__}: fill_value has shape {given}, which does not broadcast "
                f"to the array's {shape}"
            )
        return self.fill_value


class Zero(Constant):
    """All zeros.

    Args:
        dtype: of the parameter; ``config.dtype`` by default.

    >>> import dynet
    >>> dynet.Parameter(dynet.initializers.Zero(), (2,)).array
    array([0., 0.], dtype=float32)
    """

    def __init__(self, dtype: Any = None):
        super().__init__(0.0, dtype)


class One(Constant):
    """All ones.

    Args:
        dtype: of the parameter; ``config.dtype`` by default.

    >>> import dynet
    >>> dynet.Parameter(dynet.initializers.One(), (2,)).array
    array([1., 1.], dtype=float32)
    """

    def __init__(self, dtype: Any = None):
        super().__init__(1.0, dtype)


class NaN(Constant):
    """All NaN: for what is to be filled by hand before it is used.

    Args:
        dtype: of the parameter; ``config.dtype`` by default.

    >>> import dynet
    >>> dynet.Parameter(dynet.initializers.NaN(), (2,)).array
    array([nan, nan], dtype=float32)
    """

    def __init__(self, dtype: Any = None):
        super().__init__(math.nan, dtype)


class Identity(Initializer):
    """The identity matrix, scaled: what an IRNN's recurrence starts from.

    A rectangular matrix gets ones on its main diagonal and zeros elsewhere: a wider layer's first
    units go on into a narrower one, a narrower layer's units into the first of a wider.

    Args:
        scale: on the diagonal.
        dtype: of the parameter; ``config.dtype`` by default.

    Raises:
        TypeError: ``scale`` is no real number.
        ValueError: when called: the array to fill is no matrix.

    Source: Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units" (2015), section 2.

    >>> import numpy as np, dynet
    >>> w = np.empty((2, 3))
    >>> dynet.initializers.Identity()(w)
    >>> w
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None):
        super().__init__(dtype)
        if not isinstance(scale, (int, float, np.integer, np.floating)):
            raise TypeError(f"Identity: scale is {scale!r}, expected a real number")
        self.scale = scale

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity: the array has shape {shape}, expected a matrix")
        return self.scale * np.eye(*shape)
