"""Uniform initializers, around 0; they differ in how far they reach.

A uniform number from ``-s`` to ``s`` has a standard deviation of ``s / sqrt(3)``: hence the
bounds here are those of the Gaussians of the same name times ``sqrt(3)``.
"""

import math
from typing import Any

import numpy as np

from ..functions.checks import check_choice
from .base import RandomInitializer


class Uniform(RandomInitializer):
    """Uniform, from ``-scale`` to ``scale``.

    Args:
        scale: the bound.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite.

    >>> import numpy as np, dynet
    >>> w = np.empty(1000)
    >>> dynet.initializers.Uniform(0.1, rng=0)(w)
    >>> bool(abs(w).max() <= 0.1)
    True
    """

    def __init__(self, scale: float = 0.05, dtype: Any = None, rng: Any = None):
        super().__init__(scale, dtype, rng)

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        bound = self.bound(shape)
        return self.rng.uniform(-bound, bound, shape)

    def bound(self, shape: tuple[int, ...]) -> float:
        """The largest number for an array of this shape."""
        return self.scale


class LeCunUniform(Uniform):
    """Uniform up to ``scale * sqrt(3 / fan_in)``: sums keep their variance.

    Args:
        scale: what to multiply the bound by.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite; or, when called, the array has fewer than
            two axes; see ``get_fans``.

    Source: LeCun, Bottou, Orr, Müller, "Efficient BackProp" (1998), section 4.6.

    >>> import dynet
    >>> dynet.initializers.LeCunUniform().bound((7, 75))
    0.2
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, rng: Any = None):
        super().__init__(scale, dtype, rng)

    def bound(self, shape: tuple[int, ...]) -> float:
        fan_in, _ = self.fans(shape)
        return self.scale * math.sqrt(3 / fan_in)


class GlorotUniform(Uniform):
    """Uniform up to ``scale * sqrt(6 / (fan_in + fan_out))``.

    A compromise: activations keep their variance on the way forward, gradients on the way back.

    Args:
        scale: what to multiply the bound by.
        dtype: of the parameter; ``config.dtype`` by default.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite; or, when called, the array has fewer than
            two axes; see ``get_fans``.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural
    networks" (2010), equation 16.

    >>> import dynet
    >>> dynet.initializers.GlorotUniform().bound((70, 80))
    0.2
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, rng: Any = None):
        super().__init__(scale, dtype, rng)

    def bound(self, shape: tuple[int, ...]) -> float:
        return self.scale * math.sqrt(6 / sum(self.fans(shape)))


class HeUniform(Uniform):
    """Uniform up to ``scale * sqrt(6 / fan)``: for layers before a ReLU.

    Args:
        scale: what to multiply the bound by.
        dtype: of the parameter; ``config.dtype`` by default.
        fan_option: ``"fan_in"`` keeps the variance of what goes forward, ``"fan_out"`` that of
            the gradients.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite, ``fan_option`` is neither; or, when called,
            the array has fewer than two axes; see ``get_fans``.

    Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers" (2015), section 2.2.

    >>> import dynet
    >>> dynet.initializers.HeUniform().bound((7, 150))
    0.2
    """

    def __init__(
        self, scale: float = 1.0, dtype: Any = None, fan_option: str = "fan_in", rng: Any = None
    ):
        super().__init__(scale, dtype, rng)
        check_choice("HeUniform", ("fan_in", "fan_out"), fan_option=fan_option)
        self.fan_option = fan_option

    def bound(self, shape: tuple[int, ...]) -> float:
        fan_in, fan_out = self.fans(shape)
        return self.scale * math.sqrt(6 / (fan_in if self.fan_option == "fan_in" else fan_out))
