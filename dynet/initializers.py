"""What parameters start from: callables that fill an array in place."""

import math
from typing import Any

import numpy as np

from .backend import get_array_module


def get_rng(rng: Any = None):
    """The random generator that an argument stands for.

    Args:
        rng: a seed, a ``numpy.random.Generator``, or ``None`` for NumPy's global state, which
            ``numpy.random.seed`` sets.
    """
    if rng is None:
        return np.random.mtrand._rand  # the global RandomState that np.random's functions use
    if isinstance(rng, (int, np.integer)):
        return np.random.default_rng(rng)
    return rng


class Constant:
    """Every element the same.

    Args:
        fill_value: a number, or an array that broadcasts.
        dtype: of the parameter; ``config.dtype`` by default.

    >>> import numpy as np, dynet
    >>> w = np.empty(2)
    >>> dynet.initializers.Constant(3)(w)
    >>> w
    array([3., 3.])
    """

    def __init__(self, fill_value: float, dtype=None):
        self.fill_value = fill_value
        self.dtype = dtype

    def __call__(self, array) -> None:
        array[...] = self.fill_value


class Identity:
    """The identity matrix, scaled: what an IRNN's recurrence starts from.

    A rectangular matrix gets ones on its main diagonal and zeros elsewhere: a wider layer's first
    units go on into a narrower one, a narrower layer's units into the first of a wider.

    Args:
        scale: on the diagonal.
        dtype: of the parameter; ``config.dtype`` by default.

    Raises:
        ValueError: the array to fill is no matrix.

    >>> import numpy as np, dynet
    >>> w = np.empty((2, 3))
    >>> dynet.initializers.Identity()(w)
    >>> w
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """

    def __init__(self, scale: float = 1.0, dtype=None):
        self.scale = scale
        self.dtype = dtype

    def __call__(self, array) -> None:
        if array.ndim != 2:
            raise ValueError(f"Identity: the array has shape {array.shape}, expected a matrix")
        array[...] = self.scale * get_array_module(array).eye(*array.shape)


class Normal:
    """Gaussian, around 0.

    Args:
        scale: the standard deviation.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    >>> import numpy as np, dynet
    >>> w = np.empty(1000)
    >>> dynet.initializers.Normal(0.01, rng=0)(w)
    >>> bool(abs(w.std() - 0.01) < 0.001)
    True
    """

    def __init__(self, scale: float = 0.05, dtype=None, rng: Any = None):
        self.scale = scale
        self.dtype = dtype
        self.rng = get_rng(rng)

    def __call__(self, array) -> None:
        drawn = self.rng.normal(0.0, self.scale, array.shape)
        array[...] = get_array_module(array).asarray(drawn)


class LeCunNormal(Normal):
    """Gaussian with a standard deviation of ``scale / sqrt(fan in)``: sums keep their variance.

    The fan in is the number of inputs of one output: of an array ``(out, in, ...)`` the product of
    all lengths but the first.

    Args:
        scale: what to multiply the standard deviation by.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: the array to fill has fewer than two axes.

    Source: LeCun, Bottou, Orr, Müller, "Efficient BackProp" (1998), section 4.6.
    """

    def __init__(self, scale: float = 1.0, dtype=None, rng: Any = None):
        super().__init__(scale, dtype, rng)

    def __call__(self, array) -> None:
        if array.ndim < 2:
            raise ValueError(
                f"LeCunNormal: the array has shape {array.shape}, expected (out, in, ...)"
            )
        fan_in = math.prod(array.shape[1:])
        Normal(self.scale / math.sqrt(fan_in) if fan_in else 0.0, rng=self.rng)(array)
