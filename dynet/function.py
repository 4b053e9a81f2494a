"""Functions: one differentiable operation each; called on variables, it becomes its own record.

To write one, subclass ``Function`` and state the two halves side by side::

    class Cube(Function):
        def forward(self, x):
            self.save(x)
            return x * x * x

        def backward(self, gy):
            (x,) = self.saved
            return gy * 3 * x * x

    y = Cube()(x)
"""

from itertools import count

import numpy as np

from . import debugging
from .backend import is_array
from .config import config
from .gradient import Part
from .variable import Variable, grad

_next_number = count().__next__
_new = object.__new__


class Function:
    """One operation: its value, its chain rule, and, once called, its place on the tape.

    A subclass states ``forward`` and ``backward``. Settings go into its ``__init__``, arrays
    that the chain rule needs through ``save``.

    Attributes:
        inputs (list): the nodes of the inputs, ``None`` for a constant or a variable that wants
            no gradient.
        saved (tuple): the arrays that ``forward`` gave to ``save``.
        number (int): larger than that of everything recorded before.

    >>> import numpy as np, dynet
    >>> class Cube(dynet.Function):
    ...     def forward(self, x):
    ...         self.save(x)
    ...         return x * x * x
    ...     def backward(self, gy):
    ...         (x,) = self.saved
    ...         return gy * 3 * x * x
    >>> x = dynet.Variable(np.array([1.0, 2.0]))
    >>> y = Cube()(x)
    >>> y.grad = np.ones(2)
    >>> y.backward()
    >>> x.grad
    array([ 3., 12.])
    """

    __slots__ = ("inputs", "saved", "seen", "number", "notes")

    # A fused function, whose rule is a kernel, states itself here in ordinary functions, as a
    # method of the same arguments as `forward`, on Variables; it then saves its inputs first,
    # in their order. See `backward_recorded`.
    plain = None

    def forward(self, *xs):
        """The value, from arrays to an array or a tuple of arrays.

        Args:
            xs: the inputs; Variables arrive as their arrays, everything else as it was given.
        """
        raise NotImplementedError(f"{self.name} has no forward")

    def backward(self, *gys):
        """The chain rule, from the gradient of each output to that of each input.

        Args:
            gys: arrays of the outputs' shapes; in a recorded sweep (``create_graph``) Variables,
                as are then the saved inputs and outputs. ``None`` for one of several outputs
                that nothing was computed from.

        Returns:
            A gradient, or a tuple with one for each input; ``None`` where an input has none. An
            array, or a term of ``dynet.gradient``.
        """
        raise NotImplementedError(f"{self.name} has no backward")

    def save(self, *arrays) -> None:
        """Keep arrays for ``backward``, which finds them in ``self.saved``, in this order."""
        self.saved = arrays

    def wants(self, i: int) -> bool:
        """Whether input ``i`` wants a gradient: a rule may skip what nobody asked for."""
        return self.inputs[i] is not None

    @property
    def name(self) -> str:
        """The class's name, for messages."""
        return type(self).__name__

    def __call__(self, *inputs):
        """Compute the value and, where a gradient may be wanted, leave the record.

        Args:
            inputs: Variables; anything else is a constant, handed to ``forward`` as it is.

        Returns:
            Variable, or a tuple of them where ``forward`` returns a tuple.

        Raises:
            RuntimeError: the object is the record of an earlier call already.
        """
        if hasattr(self, "number"):
            raise RuntimeError(
                f"{self.name}: this object is the record of an earlier call; "
                "make a new one for every call"
            )
        return self.apply(*inputs)

    def apply(self, *inputs):
        """What a call does, for an object that is known to be fresh: ``Add().apply(x, y)``."""
        arrays = []
        nodes = []
        recording = False
        for x in inputs:
            if isinstance(x, Variable):
                arrays.append(x.array)
                node = x.node
                nodes.append(node)
                if node is not None:
                    recording = True
            else:
                arrays.append(x)
                nodes.append(None)

        self.saved = ()
        y = self.forward(*arrays)

        node = None
        if recording and config.enable_backprop:
            node = self
            self.inputs = tuple(nodes)
            self.number = _next_number()
            self.notes = None
            if self.saved:
                # By these a recorded sweep finds out which saved array was which input or
                # output; the arrays that were not saved are not kept.
                if type(y) is tuple:
                    arrays += y
                else:
                    arrays.append(y)
                self.seen = tuple(map(id, arrays))
        if config.debug:
            self._watch(arrays[: len(inputs)], y, node)
        if type(y) is np.ndarray:
            variable = _new(Variable)
            variable.array = y
            variable.node = node
            variable.name = None
            return variable
        if type(y) is tuple:
            return tuple(
                [
                    _variable(_checked(self, a), node and Output(self, i, len(y)))
                    for i, a in enumerate(y)
                ]
            )
        return _variable(_checked(self, y), node)

    def evaluate(self, *xs):
        """Like a call, inside a backward rule: of arrays it is just the value, unrecorded.

        So a rule that needs more than operators still is written once for both kinds of sweep.
        """
        if any([isinstance(x, Variable) for x in xs]):
            return self.apply(*xs)
        return self.forward(*xs)

    # -- as a node of the tape (see backprop) ---------------------------------------------------

    def backward_recorded(self, gys):
        """The chain rule in Variables, so that what it does is on the tape in its turn.

        The saved inputs and outputs become Variables at the nodes where they once were; or, for
        a fused function, the kernel's place is taken by the ordinary functions of ``plain``.
        """
        if self.plain is not None:
            return self._backward_of_plain(gys)
        self._refuse_hidden_arrays()
        arrays = self.saved
        self.saved = tuple([self._find(a) for a in arrays])
        try:
            return self.backward(*gys)
        finally:
            self.saved = arrays

    def _find(self, array):
        """A saved array as the Variable that it was, or itself if it was neither in nor out."""
        if id(array) not in self.seen:
            return array
        i = self.seen.index(id(array))
        outputs = len(self.seen) - len(self.inputs)
        if i < len(self.inputs):
            node = self.inputs[i]
        elif outputs == 1:
            node = self
        else:
            node = Output(self, i - len(self.inputs), outputs)
        return array if node is None else _variable(_checked(self, array), node)

    def _backward_of_plain(self, gys):
        # Each input goes through an identity of its own, so that the gradient asked for is that
        # of this function alone, also where one input was computed from another.
        xs = [
            a if node is None else Identity().apply(_variable(a, node))
            for a, node in zip(self.saved, self.inputs, strict=False)
        ]
        ys = _as_tuple(self.plain(*xs))
        pairs = [(y, gy) for y, gy in zip(ys, gys, strict=True) if gy is not None]
        gxs = iter(
            grad(
                [y for y, _ in pairs],
                [x for x, node in zip(xs, self.inputs, strict=True) if node is not None],
                [gy for _, gy in pairs],
                create_graph=True,
            )
        )
        return tuple([None if node is None else next(gxs) for node in self.inputs])

    def _refuse_hidden_arrays(self):
        slots = [s for c in type(self).__mro__ for s in getattr(c, "__slots__", ())]
        own = [s for s in slots if s not in Function.__slots__]
        for attribute in (*own, *getattr(self, "__dict__", ())):
            value = getattr(self, attribute, None)
            if is_array(value) and value.dtype.kind == "f":
                raise RuntimeError(
                    f"{self.name}: keeps a floating array in self.{attribute}; a rule that is "
                    "differentiated again must get it by self.save(...), or a gradient is lost"
                )

    def _watch(self, arrays, y, node):
        """Debug mode: look for NaN, and guard what the tape needs."""
        line = debugging.user_line()
        debugging.check_output(self, arrays, _as_tuple(y), line)
        if node is not None:
            self.notes = Notes()
            self.notes.trace = debugging.Trace(line, self.saved)

    @property
    def creator(self):
        """The function that a variable with this node was made by."""
        return self if self.inputs else None

    @property
    def grad(self):
        """The gradient of the output, where it was retained."""
        return None if self.notes is None else self.notes.grad

    @grad.setter
    def grad(self, value):
        if self.notes is None:
            self.notes = Notes()
        self.notes.grad = value

    def retain(self) -> None:
        """Mark this node to keep the gradient that sweeps bring."""
        if self.notes is None:
            self.notes = Notes()
        self.notes.retain = True

    def keep_grad(self, gy, always: bool) -> None:
        """Keep the gradient, if that was asked for."""
        if (always or self.notes.retain) and type(gy) is not tuple:
            self.grad = getattr(gy, "array", gy).copy()

    def unchain(self) -> None:
        """Forget where the inputs came from: the tape ends here."""
        self.inputs = ()
        self.saved = ()


class Output:
    """One of the outputs of a function with several: a node between it and what used it."""

    __slots__ = ("inputs", "number", "notes", "index", "n")

    def __init__(self, function: Function, index: int, n: int):
        self.inputs = (function,)
        self.index = index
        self.n = n
        self.number = _next_number()
        self.notes = None

    def backward(self, gy):
        """The function gets the gradients of all its outputs together."""
        return Part(self.index, self.n, gy)

    def backward_recorded(self, gys):
        return Part(self.index, self.n, *gys)

    @property
    def creator(self):
        """The function that computed this output."""
        return self.inputs[0] if self.inputs else None

    @property
    def name(self) -> str:
        return f"output {self.index} of {self.inputs[0].name}" if self.inputs else "output"

    grad = Function.grad
    retain = Function.retain
    keep_grad = Function.keep_grad

    def unchain(self) -> None:
        """Forget the function: the tape ends here."""
        self.inputs = ()


class Notes:
    """What only a few nodes carry: a gradient that was asked for, the trace of debug mode."""

    __slots__ = ("grad", "retain", "trace")

    def __init__(self):
        self.grad = None
        self.retain = False
        self.trace = None


class Identity(Function):
    """``y = x``: a new node with the same value."""

    __slots__ = ()

    def forward(self, x):
        return x

    def backward(self, gy):
        return gy


def _variable(array, node) -> Variable:
    """A variable at a node of the tape."""
    variable = _new(Variable)
    variable.array = array
    variable.node = node
    variable.name = None
    return variable


def _as_tuple(y):
    return y if type(y) is tuple else (y,)


def _checked(function, y):
    """An output as an array: NumPy gives scalars where an array has no axes."""
    if is_array(y):
        return y
    if isinstance(y, np.generic):
        return np.asarray(y)
    raise TypeError(
        f"{function.name}: forward returned {type(y).__name__}, expected an array or a tuple of arrays"
    )
