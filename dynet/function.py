"""Functions: one differentiable operation each; called on variables, it becomes its own record."""

from itertools import count

import numpy as np

from . import debugging
from .backend import ON_THE_CPU, check_one_device, get_array_module, is_array
from .config import config
from .terms import Part
from .variable import Variable

next_number = count().__next__
_new = object.__new__


class _Node:
    """What the record of a function and one of several outputs have in common on the tape."""

    __slots__ = ("notes", "number")

    @property
    def creator(self):
        """The function that a variable at this node was made by; ``None`` once unchained."""
        return self if self.inputs else None

    @property
    def grad(self):
        """The gradient, where it was retained or set."""
        return None if self.notes is None else self.notes.grad

    @grad.setter
    def grad(self, value):
        self.take_notes().grad = value

    def retain(self) -> None:
        """Mark this node to keep the gradient that sweeps bring."""
        self.take_notes().retain = True

    def keep_grad(self, gy, always: bool) -> None:
        """Keep the gradient, if that was asked for."""
        if (always or self.notes.retain) and type(gy) is not tuple:
            gy = getattr(gy, "array", gy)
            self.grad = get_array_module(gy).array(gy, copy=True)

    def take_notes(self):
        """The notes, made now if there were none."""
        if self.notes is None:
            self.notes = Notes()
        return self.notes


class Notes:
    """What only a few nodes carry: a gradient that was asked for, the trace of debug mode."""

    __slots__ = ("grad", "retain", "trace")

    def __init__(self):
        self.grad = self.trace = None
        self.retain = False


class Function(_Node):
    """One operation: its value, its chain rule, and, once called, its place on the tape.

    A subclass states ``forward`` and ``backward``, side by side. Settings go into its
    ``__init__``, arrays that the chain rule needs through ``save``. The attributes below, ``seen``,
    ``notes``, ``grad``, ``name`` and ``creator`` are the tape's own.

    Attributes:
        inputs (tuple): the nodes of the inputs, ``None`` for a constant or a variable that wants
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
    >>> Cube()(x).sum().backward()
    >>> x.grad
    array([ 3., 12.])
    """

    __slots__ = ("inputs", "saved", "seen")

    # What `forward` saves, where that is the same in every call: for each saved array the number
    # of the input that it is, or -1 for the first output, -2 for the second. Where a subclass
    # does not say it, every call has to note which array was which, at some cost.
    saves: tuple[int, ...] | None = None

    # A fused function, whose rule is a kernel, states itself here in ordinary functions, as a
    # method of the same arguments as `forward`, on Variables; it then saves its inputs first,
    # in their order. The statement takes the kernel's place where a gradient is differentiated.
    plain = None

    def forward(self, *xs):
        """The value: an array or a tuple of arrays, from those of the Variables among the inputs.

        Whatever else was given as an input arrives as it is.
        """
        raise NotImplementedError(f"{self.name} has no forward")

    def backward(self, *gys):
        """The chain rule, from the gradient of each output to that of each input.

        Args:
            gys: arrays of the outputs' shapes; where the gradient is to be differentiated again
                (``create_graph``) Variables, as are then the saved inputs and outputs. ``None``
                for one of several outputs that nothing was computed from.

        Returns:
            A gradient, or a tuple with one for each input; ``None`` where an input has none. An
            array, or a term of ``dynet.terms``.
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
        observed = config.observed
        if observed:
            for hook in config.hooks:
                hook.forward_preprocess(self, arrays)
        try:
            y = self.forward(*arrays)
        except Exception:
            check_one_device(self.name, arrays, self.forward)  # most likely that is why
            raise

        node = None
        if recording and config.enable_backprop:
            node = self
            self.inputs = tuple(nodes)
            self.number = next_number()
            self.notes = None
            if self.saved and self.saves is None:
                self.seen = (*map(id, arrays), *map(id, y if type(y) is tuple else (y,)))
        if observed:
            return self._watched(arrays, y, node)
        if type(y) is np.ndarray:
            # `variable_at`, written out: nearly every call comes by here.
            variable = _new(Variable)
            variable.array = y
            variable.node = node
            variable.name = None
            return variable
        return self._variables(arrays, y, node)

    def _variables(self, arrays, y, node):
        if type(y[0] if type(y) is tuple and y else y) not in ON_THE_CPU:
            check_one_device(self.name, arrays, self.forward)  # CuPy takes some of NumPy's arrays
        if type(y) is not tuple:
            return variable_at(node, self.as_output(y))
        nodes = [node] * len(y)
        if node is not None and len(y) > 1:
            nodes = [Output(self, i, len(y)) for i in range(len(y))]
        return tuple([variable_at(n, self.as_output(a)) for n, a in zip(nodes, y, strict=True)])

    def evaluate(self, *xs):
        """Like a call, inside a backward rule: of arrays it is just the value, unrecorded.

        So a rule that needs more than operators still is written once for arrays and Variables.
        """
        if any([isinstance(x, Variable) for x in xs]):
            return self.apply(*xs)
        # Of arrays without axes NumPy's operators make scalars.
        return self.forward(*[np.asarray(x) if isinstance(x, np.generic) else x for x in xs])

    def as_output(self, y):
        """What ``forward`` returned as an array: NumPy gives scalars for arrays without axes."""
        if is_array(y):
            return y
        if isinstance(y, np.generic):
            return np.asarray(y)
        raise TypeError(
            f"{self.name}: forward returned {type(y).__name__}, "
            "expected an array or a tuple of arrays"
        )

    def _watched(self, arrays, y, node):
        """Tell the hooks; in debug mode look for NaN, and guard what the tape needs."""
        outputs = y if type(y) is tuple else (y,)
        for hook in config.hooks:
            hook.forward_postprocess(self, arrays, outputs)
        if config.debug:
            debugging.inspect(self, arrays, outputs, recorded=node is not None)
        variables = self._variables(arrays, y, node)
        for hook in config.hooks:
            hook.forward_return(self, variables)
        return variables

    def unchain(self) -> None:
        """Forget where the inputs came from, and what the rule would need: the tape ends here."""
        self.inputs = self.saved = ()
        if self.notes is not None:
            self.notes.trace = None


class Output(_Node):
    """One of the outputs of a function with several: a node between it and what used it."""

    __slots__ = ("function", "index", "n")

    def __init__(self, function: Function, index: int, n: int):
        self.function = function
        self.index = index
        self.n = n
        self.number = next_number()
        self.notes = None

    def backward(self, gy):
        """The function gets the gradients of all its outputs together."""
        return Part(self.index, self.n, gy)

    @property
    def inputs(self):
        """The function; empty once this output or the function was unchained."""
        return (self.function,) if self.function is not None and self.function.inputs else ()

    @property
    def creator(self):
        """The function that computed this output; ``None`` once unchained."""
        return self.function if self.inputs else None

    @property
    def name(self) -> str:
        """For messages."""
        return f"output {self.index} of {self.function.name if self.function else 'a function'}"

    def unchain(self) -> None:
        """Forget the function: the tape ends here."""
        self.function = None


def variable_at(node, array) -> Variable:
    """A variable at a node of the tape; ``None`` for a constant."""
    variable = _new(Variable)
    variable.array = array
    variable.node = node
    variable.name = None
    return variable
