"""Parameters: the variables that links own and optimizers update."""

from typing import Any

import numpy as np

from .backend import get_array_module, is_array
from .config import config
from .variable import Leaf, Variable


class Parameter(Variable):
    """A variable that a link owns and an optimizer updates.

    Args:
        initializer: a number, an array, or something that fills an array (``dynet.initializers``).
        shape: of the array to make; without it the parameter waits for ``initialize``, unless
            the initializer is an array.
        name (str): its name in its link.
        order (str): ``"C"`` or ``"F"``, how the array lies in memory.

    >>> import dynet
    >>> dynet.Parameter(dynet.initializers.Constant(2), (3,)).array
    array([2., 2., 2.], dtype=float32)
    """

    __slots__ = ("initializer", "order")

    def __init__(self, initializer: Any, shape=None, *, name: str | None = None, order: str = "C"):
        self.initializer = initializer
        self.name = name
        self.order = order
        self.array = None
        self.node = Leaf(self)
        if is_array(initializer) and shape is None:
            shape = initializer.shape
        if shape is not None:
            self.initialize(shape)

    @property
    def is_initialized(self) -> bool:
        """Whether the parameter has its array yet."""
        return self.array is not None

    def initialize(self, shape: "int | tuple[int, ...]") -> None:
        """Make the array, of the given shape, and fill it.

        Raises:
            ValueError: the initializer is an array of another shape.
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        given = self.initializer
        if is_array(given) and given.shape != shape:
            raise ValueError(
                f"Parameter {self.name}: the initial array has shape {given.shape}, "
                f"expected {shape}"
            )
        dtype = config.dtype
        if is_array(given) and given.dtype.kind == "f":
            dtype = given.dtype
        elif callable(given) and getattr(given, "dtype", None) is not None:
            dtype = np.dtype(given.dtype)
        array = get_array_module(given).empty(shape, dtype, order=self.order)
        if callable(given):
            given(array)
        else:
            array[...] = given
        self.array = array

    def __repr__(self) -> str:
        if self.array is None:
            return f"parameter {self.name or ''}(not initialized)"
        return super().__repr__().replace("variable", "parameter", 1)
