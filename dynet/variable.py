"""Variables: an array, and the node of the tape at which its gradient arrives.

A variable that the user made has a ``Leaf`` of its own. One that a function computed has the
record of that function for its node (or, where the function has several outputs, a node that
says which). A variable that wants no gradient has none. Nothing on the tape refers to a
Variable, so an array that no backward rule needs is free as soon as the user lets go of it.
"""

import weakref
from typing import Any

import numpy as np

from . import backend
from .backprop import sweep, tape
from .terms import Rows, dense


class Leaf:
    """Where the gradient of a variable that nothing computed arrives, and stays."""

    __slots__ = ("grad", "variable")

    # What the sweep wants to know of any node: a leaf is the end of the way.
    inputs = ()
    number = -1
    notes = creator = None

    def __init__(self, variable: "Variable"):
        self.grad = None
        self.variable = weakref.ref(variable)

    def unchain(self) -> None:
        """A leaf has nothing to be cut from."""


class Variable:
    """An array on the tape.

    Args:
        array (numpy.ndarray or cupy.ndarray): any shape, any dtype.
        name (str): for messages and pictures of the graph.
        grad: the gradient to start with, of the array's shape and dtype.
        requires_grad: whether a gradient is wanted; by default of floating arrays.

    Attributes:
        array: the array itself. It may be replaced; what was recorded keeps the old one.
        name: as given.
        node: where the gradient arrives; ``None`` where none is wanted.

    Raises:
        TypeError: ``array`` is no array, or a gradient is required of integers.

    >>> import numpy as np, dynet
    >>> x = dynet.Variable(np.array([1.0, 2.0]))
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    array([2., 4.])
    """

    __slots__ = ("array", "node", "name", "__weakref__")

    def __init__(
        self,
        array: Any,
        *,
        name: str | None = None,
        grad: Any = None,
        requires_grad: bool | None = None,
    ):
        if not backend.is_array(array):
            raise TypeError(
                f"Variable: array is {type(array).__name__}, expected a NumPy or CuPy array"
            )
        if not array.dtype.isnative or isinstance(array, (np.matrix, np.ma.MaskedArray)):
            raise TypeError(
                f"Variable: array is {type(array).__name__} of {array.dtype}, expected an ordinary "
                "array in this machine's byte order"
            )
        floating = array.dtype.kind == "f"
        if requires_grad is None:
            requires_grad = floating
        elif requires_grad and not floating:
            raise TypeError(
                f"Variable: requires_grad=True for an array of {array.dtype}, "
                "expected a floating dtype"
            )
        self.array = array
        self.name = name
        self.node = Leaf(self) if requires_grad else None
        if grad is not None:
            self.grad = grad

    shape = property(lambda v: v.array.shape, doc="The array's shape.")
    ndim = property(lambda v: v.array.ndim, doc="The array's number of axes.")
    size = property(lambda v: v.array.size, doc="The array's number of elements.")
    dtype = property(lambda v: v.array.dtype, doc="The array's dtype.")
    xp = property(lambda v: backend.get_array_module(v.array), doc="NumPy or CuPy.")
    device = property(lambda v: backend.get_device_from_array(v.array), doc="The array's device.")

    @property
    def requires_grad(self) -> bool:
        """Whether a backward pass brings this variable a gradient."""
        return self.node is not None

    @property
    def creator(self):
        """The recorded ``Function`` that computed this variable; ``None`` if nothing did."""
        return None if self.node is None else self.node.creator

    def __repr__(self) -> str:
        label = f"variable {self.name}" if self.name else "variable"
        array = backend.get_device("cpu").send(self.array)
        return f"{label}({np.array2string(array, separator=', ', prefix=label + '(')})"

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def item(self) -> float:
        """The one element of the array, as a Python number."""
        return self._scalar("item")

    def _scalar(self, name):
        if self.array.size != 1:
            raise TypeError(f"{name}: the Variable has shape {self.shape}, expected one element")
        return self.array.item()

    def __getstate__(self):
        # For copies and pickles. A tape cannot be copied in part; a weak reference not at all.
        if self.node is not None and self.node.inputs:
            raise TypeError(
                f"copy: this Variable (shape {self.shape}) was computed; only one that was made "
                "by hand can be copied or pickled, or `.array`"
            )
        slots = [s for c in type(self).__mro__ for s in getattr(c, "__slots__", ())]
        state = {s: getattr(self, s) for s in slots if s not in ("node", "__weakref__")}
        return state, self.requires_grad, self.grad

    def __setstate__(self, state):
        state, requires_grad, grad = state
        for name, value in state.items():
            setattr(self, name, value)
        self.node = Leaf(self) if requires_grad else None
        self.grad = grad

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "a Variable is no array: NumPy would lose its gradient; "
            "use the functions of dynet, or `.array` where no gradient is wanted"
        )

    @property
    def grad(self):
        """The gradient, an array like ``array``; ``None`` where no sweep has brought one.

        A variable that was computed keeps its gradient only if ``retain_grad`` asked for it.
        """
        if self.node is not None and type(self.node.grad) is Rows:
            self.node.grad = dense(self.node.grad)
        return None if self.node is None else self.node.grad

    @grad.setter
    def grad(self, grad):
        if grad is not None:
            if self.node is None:
                raise ValueError("Variable.grad: this variable requires no gradient")
            backend.check_like("Variable.grad: the gradient", grad, self.array)
        if self.node is not None:
            self.node.grad = grad

    def cleargrad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def retain_grad(self) -> None:
        """Ask sweeps to leave this computed variable's gradient in ``grad``, the latest there.

        Raises:
            RuntimeError: the variable requires no gradient.
        """
        if self.node is None:
            raise RuntimeError("retain_grad: this variable requires no gradient")
        if self.node.inputs:
            self.node.retain()

    def backward(self, retain_grad: bool = False) -> None:
        """Add the gradient of this variable to the ``grad`` of every leaf it was computed from.

        The sweep starts from ``grad`` where that is set (so do for anything that is not a
        scalar), else from 1. The record stays, and may be swept again, until the last variable
        that leads to it is gone.

        Args:
            retain_grad: whether every computed variable on the way keeps its gradient too.

        Raises:
            RuntimeError: nothing was recorded that leads to this variable.
            ValueError: the variable has more than one element, and no ``grad``.
        """
        node = self.node
        if node is None or not node.inputs:
            raise RuntimeError(
                f"backward: nothing recorded leads to this Variable (shape {self.shape}): it was "
                "made by hand, computed under no_backprop_mode or from constants, or unchained"
            )
        seed = node.grad
        if seed is None:
            if self.size != 1:
                raise ValueError(
                    f"backward: the Variable has shape {self.shape}, expected one element; "
                    "for anything else set `.grad` to what the sweep is to start from"
                )
            seed = self.xp.ones_like(self.array)
        for leaf, gradient in sweep({node: seed}, retain=retain_grad).items():
            _deliver(leaf, gradient)

    def unchain(self) -> None:
        """Cut the tape behind this variable: sweeps end here, also those of earlier records."""
        if self.node is not None:
            self.node.unchain()

    def unchain_backward(self) -> None:
        """Cut the tape everywhere behind this variable, and free what it held.

        Truncated backpropagation through time: after ``loss.backward()``, the state goes on to
        the next stretch as a value, without the past that led to it.
        """
        if self.node is not None:
            for node in tape([self.node]):
                node.unchain()

    def to_device(self, device: "str | int | backend.Device") -> None:
        """Move the array and the gradient to a device, in place; not on the tape, as F.copy is."""
        device = backend.get_device(device)
        self.array = device.send(self.array)
        if self.grad is not None:
            self.node.grad = device.send(self.node.grad)


def _deliver(node, gradient) -> None:
    """Add a gradient to what its leaf already has."""
    if type(node) is Leaf:
        variable = node.variable()
        if variable is None:
            return  # nobody can look at it any more
        if type(gradient) is not Rows or gradient.shape != variable.shape:
            gradient = dense(gradient)
            gradient = backend.get_array_module(gradient).asarray(gradient)
            name = variable.name or "a variable"
            backend.check_like(f"backward: the gradient of {name}", gradient, variable.array)
    if node.grad is not None:
        # Not in place: the user may hold on to what was there.
        gradient = node.grad + gradient
        if type(gradient) is not Rows:
            gradient = backend.get_array_module(gradient).asarray(gradient)
    node.grad = gradient
