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
        shape: of the array to make, in ``config.dtype`` unless the initializer has another; a
            length that is ``None`` waits for ``initialize``. Without a shape the parameter is
            like the array that it starts from, or waits for any shape.
        name (str): its name in its link.
        order (str): ``"C"`` or ``"F"``, how the array lies in memory.

    Attributes:
        update_enabled (bool): whether optimizers move it; see ``Link.disable_update``.
        update_rule: how the optimizer that moved it last does so, with settings of its own
            (``parameter.update_rule.hyperparam.lr = 0.1``); ``None`` before ``setup``.

    >>> import dynet
    >>> dynet.Parameter(dynet.initializers.Constant(2), (3,)).array
    array([2., 2., 2.], dtype=float32)
    """

    __slots__ = (
        "initializer",
        "order",
        "update_enabled",
        "update_rule",
        "wanted_dtype",
        "wanted_shape",
    )

    def __init__(self, initializer: Any, shape=None, *, name: str | None = None, order: str = "C"):
        self.initializer = initializer
        self.name = name
        self.order = order
        self.array = None
        self.node = Leaf(self)
        self.update_enabled = True
        self.update_rule = None
        dtype = None
        if is_array(initializer):
            dtype = initializer.dtype if initializer.dtype.kind == "f" else None
            shape = initializer.shape if shape is None else shape
        elif callable(initializer):
            dtype = getattr(initializer, "dtype", None)
        self.wanted_dtype = np.dtype(dtype or config.dtype)
        self.wanted_shape = (shape,) if isinstance(shape, int) else shape
        if shape is not None and None not in self.wanted_shape:
            self.initialize(self.wanted_shape)

    @property
    def is_initialized(self) -> bool:
        """Whether the parameter has its array yet."""
        return self.array is not None

    def initialize(self, shape: tuple[int, ...]) -> None:
        """Make the array, of the given shape, and fill it.

        Raises:
            ValueError: the shape is not the one that the parameter waits for, or the initializer
                is an array of another.
        """
        if not self.takes(shape):
            raise ValueError(
                f"Parameter {self.name}: got the shape {shape}, expected {self.wanted_shape}"
            )
        given = self.initializer
        if is_array(given) and given.shape != shape:
            raise ValueError(
                f"Parameter {self.name}: the initial array has shape {given.shape}, "
                f"expected {shape}"
            )
        array = get_array_module(given).empty(shape, self.wanted_dtype, order=self.order)
        if callable(given):
            given(array)
        else:
            array[...] = given
        self.array = array

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether a shape is the wanted one, ``None`` standing for anything."""
        wanted = self.wanted_shape
        return wanted is None or (
            len(shape) == len(wanted)
            and all(w is None or w == n for n, w in zip(shape, wanted, strict=True))
        )

    def __getstate__(self):
        state, *gradient = super().__getstate__()
        return state | {"update_rule": None}, *gradient  # no optimizer knows the copy

    def __repr__(self) -> str:
        if self.array is None:
            return f"parameter {self.name or ''}(not initialized)"
        return super().__repr__().replace("variable", "parameter", 1)
