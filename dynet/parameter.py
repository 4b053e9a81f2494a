"""Parameters: the variables that links own and optimizers update."""

from typing import Any

import numpy as np

from .backend import (
    Device,
    beside,
    fill,
    get_device,
    get_device_from_array,
    is_array,
    is_integer,
)
from .config import config
from .variable import Leaf, Variable


class Parameter(Variable):
    """A variable that a link owns and an optimizer updates.

    Args:
        initializer: a number, an array, or something that fills an array (``dynet.initializers``);
            ``None`` stands for NaN: for what is to be filled by hand.
        shape: of the array to make; a length that is ``None`` waits for ``initialize``. Without a
            shape the parameter is like the array that it starts from, or waits for any shape.
        name (str): its name in its link.
        order (str): ``"C"`` or ``"F"``, how the array lies in memory.
        dtype: floating; by default that of the initializer, if it has one, or ``config.dtype``.

    Attributes:
        device (Device): where its array is, or is to be made.
        update_enabled (bool): whether optimizers move it; see ``Link.disable_update``.
        update_rule: how the optimizer that moved it last does so, with settings of its own
            (``parameter.update_rule.hyperparam.lr = 0.1``); ``None`` before ``setup``.

    Raises:
        TypeError: the initializer is none of those, or returns values in place of filling an array.
        ValueError: the dtype is not floating, or not that of the initializer; the shape or the
            order is none.

    >>> import dynet
    >>> dynet.Parameter(dynet.initializers.Constant(2), (3,)).array
    array([2., 2., 2.], dtype=float32)
    """

    __slots__ = (
        "initializer",
        "order",
        "update_enabled",
        "update_rule",
        "wanted_device",
        "wanted_dtype",
        "wanted_shape",
    )

    def __init__(
        self,
        initializer: Any = None,
        shape: Any = None,
        *,
        name: str | None = None,
        order: str = "C",
        dtype: Any = None,
    ):
        self.initializer = np.nan if initializer is None else initializer
        self.name = name
        self.order = order
        if order not in ("C", "F"):
            raise ValueError(f"Parameter {name}: order is {order!r}, expected 'C' or 'F'")
        self.array = None
        self.node = Leaf(self)
        self.update_enabled = True
        self.update_rule = None
        self.wanted_device: Device | None = None  # where `to_device` has sent it
        self.wanted_dtype = self._dtype(dtype)
        if is_array(initializer) and shape is None:
            shape = initializer.shape
        self.wanted_shape = None if shape is None else self._lengths(shape)
        if shape is not None and None not in self.wanted_shape:
            self.initialize(self.wanted_shape)

    def _lengths(self, shape):
        """A shape, that may be given as one integer, as a tuple."""
        lengths = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        for n in lengths:
            if n is not None and not (is_integer(n) and n >= 0):
                raise ValueError(
                    f"Parameter {self.name}: shape is {shape!r}, expected an integer, or a tuple "
                    "of integers and None; none of them negative"
                )
        return lengths

    def _dtype(self, asked):
        """The dtype to have: as asked for, the initializer's, or the configured one."""
        given = self.initializer
        its = None
        if is_array(given):
            if given.dtype.kind not in "biuf":
                raise TypeError(
                    f"Parameter {self.name}: initializer is an array of {given.dtype}, expected "
                    "real numbers"
                )
            # An array may be converted, where that is asked for; one of integers always is.
            its = given.dtype if given.dtype.kind == "f" and asked is None else None
        elif isinstance(given, type):
            raise TypeError(
                f"Parameter {self.name}: initializer is the class {given.__name__}, expected an "
                f"instance such as {given.__name__}()"
            )
        elif callable(given):
            its = getattr(given, "dtype", None)
        elif not isinstance(given, (int, float, np.number, np.bool_)):
            raise TypeError(
                f"Parameter {self.name}: initializer is {type(given).__name__}, expected a number, "
                "an array, or something that fills an array"
            )
        dtype = np.dtype(asked or its or config.dtype)
        if dtype.kind != "f" or not dtype.isnative:
            raise ValueError(
                f"Parameter {self.name}: dtype is {dtype}, expected a floating dtype in this "
                "machine's byte order"
            )
        if its is not None and dtype != its:
            raise ValueError(
                f"Parameter {self.name}: dtype is {dtype}, that of the initializer {np.dtype(its)}"
            )
        return dtype

    @property
    def is_initialized(self) -> bool:
        """Whether the parameter has its array yet."""
        return self.array is not None

    @property
    def device(self) -> Device:
        """Where the array is; before there is one, where it is to be made."""
        if self.array is None:
            return self.wanted_device or get_device_from_array(self.initializer)
        return get_device_from_array(self.array)

    def to_device(self, device: "str | int | Device") -> None:
        """Move the array and the gradient to a device; what is not there yet is made there."""
        self.wanted_device = get_device(device)
        if self.array is not None:
            super().to_device(self.wanted_device)

    def initialize(self, shape: tuple[int, ...], like: Any = None) -> None:
        """Make the array, of the given shape, and fill it.

        Args:
            shape: its lengths.
            like: an array on whose device it is to be, unless ``to_device`` has named another one.

        Raises:
            ValueError: the shape is not the one that the parameter waits for, or the initializer
                is an array of another.
        """
        # Where the initializer's numbers are, which are the same on every device; then it moves.
        given = self.initializer
        with get_device_from_array(given) as home:
            array = self._empty(shape, home.xp)
        if is_array(given) and given.shape != shape:
            raise ValueError(
                f"Parameter {self.name}: the initial array has shape {given.shape}, "
                f"expected {shape}"
            )
        if callable(given):
            returned = given(array)
            if returned is not None and returned is not array:
                raise TypeError(
                    f"Parameter {self.name}: the initializer returned {type(returned).__name__}, "
                    "expected one that fills the array it is given, and returns None"
                )
        else:
            fill(array, given)
        if self.wanted_device is not None:
            array = self.wanted_device.send(array)
        elif like is not None:
            array = beside(array, like)
        self.array = array

    def make_array(self, shape: tuple[int, ...]) -> Any:
        """An array such as the parameter waits for, of the given shape, with anything in it.

        Raises:
            ValueError: the shape is not the one that the parameter waits for.
        """
        with self.device as device:
            return self._empty(shape, device.xp)

    def _empty(self, shape, xp):
        if not self.takes(shape):
            raise ValueError(
                f"Parameter {self.name}: got the shape {shape}, expected {self.wanted_shape}"
            )
        return xp.empty(shape, self.wanted_dtype, order=self.order)

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
