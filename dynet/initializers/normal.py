"""Gaussian initializers, around 0; they differ in the standard deviation."""

import math
from typing import Any

import numpy as np

from ..functions.checks import check_choice
from .base import RandomInitializer


class Normal(RandomInitializer):
    """Gaussian, around 0.

    Args:
        scale: the standard deviation.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite.

    >>> import numpy as np, dynet
    >>> w = np.empty(1000)
    >>> dynet.initializers.Normal(0.01, rng=0)(w)
    >>> bool(abs(w.std() - 0.01) < 0.001)
    True
    """

    def __init__(self, scale: float = 0.05, dtype: Any = None, rng: Any = None):
        super().__init__(scale, dtype, rng)

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.normal(0.0, self.deviation(shape), shape)

    def deviation(self, shape: tuple[int, ...]) -> float:
        """The standard deviation for an array of this shape."""
        return self.scale


class LeCunNormal(Normal):
    """Gaussian with a standard deviation of ``scale * sqrt(1 / fan_in)``: sums keep their variance.

    Args:
        scale: what to multiply the standard deviation by.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite; or, when called, the array has fewer than
            two axes; see ``get_fans``.

    Source: LeCun, Bottou, Orr, Müller, "Efficient BackProp" (1998), section 4.6.

    >>> import dynet
    >>> dynet.initializers.LeCunNormal().deviation((7, 25))
    0.2
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, rng: Any = None):
        super().__init__(scale, dtype, rng)

    def deviation(self, shape: tuple[int, ...]) -> float:
        fan_in, _ = self.fans(shape)
        return self.scale * math.sqrt(1 / fan_in)


class GlorotNormal(Normal):
    """Gaussian with a standard deviation of ``scale * sqrt(2 / (fan_in + fan_out))``.

    A compromise: activations keep their variance on the way forward, gradients on the way back.

    Args:
        scale: what to multiply the standard deviation by.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite; or, when called, the array has fewer than
            two axes; see ``get_fans``.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural
    networks" (2010), equation 12.

    >>> import dynet
    >>> dynet.initializers.GlorotNormal().deviation((20, 30))
    0.2
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, rng: Any = None):
        super().__init__(scale, dtype, rng)

    def deviation(self, shape: tuple[int, ...]) -> float:
        return self.scale * math.sqrt(2 / sum(self.fans(shape)))


class HeNormal(Normal):
    """Gaussian with a standard deviation of ``scale * sqrt(2 / fan)``: for layers before a ReLU.

    Args:
        scale: what to multiply the standard deviation by.
        dtype: of the parameter; ``config.dtype`` by default.
        fan_option: ``"fan_in"`` keeps the variance of what goes forward, ``"fan_out"`` that of
            the gradients.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite, ``fan_option`` is neither; or, when called,
            the array has fewer than two axes; see ``get_fans``.

    Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers" (2015), section 2.2.

    >>> import dynet
    >>> dynet.initializers.HeNormal().deviation((7, 50))
    0.2
    """

    def __init__(
        self, scale: float = 1.0, dtype: Any = None, fan_option: str = "fan_in", rng: Any = None
    ):
        super().__init__(scale, dtype, rng)
        check_choice("HeNormal", ("fan_in", "fan_out"), fan_option=fan_option)
        self.fan_option = fan_option

    def deviation(self, shape: tuple[int, ...]) -> float:
        fan_in, fan_out = self.fans(shape)
        return self.scale * math.sqrt(2 / (fan_in if self.fan_option == "fan_in" else fan_out))
