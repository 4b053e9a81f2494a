"""``scan`` and what it means: the plain Python loop over a step, which checks what the step gives.

``Steps`` is a step with what it is to run over. Its loop defines the result; ``replay`` gives the
same one faster, for the steps that it can compile.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import random
from ..backend import check_one_device, get_array_module, is_integer
from ..config import config, no_backprop_mode, using_config
from ..function import variable_at
from ..functions import get_item, stack
from ..functions.checks import as_variable, raw
from ..variable import Variable
from .replay import attempt
from .structure import Structure, describe, flatten, places, unflatten

# Two steps run in Python in any case; for one more there is nothing to gain.
FEW = 4


class Like(NamedTuple):
    """What an array is to be like."""

    dtype: np.dtype
    shape: tuple[int, ...]
    xp: Any

    @staticmethod
    def of(variables: Iterable[Variable]) -> "list[Like]":
        """What the arrays of some Variables are like."""
        return [Like(v.array.dtype, v.array.shape, get_array_module(v.array)) for v in variables]


class Steps:
    """A step, and the time steps that it is to run over, in the order in which it does.

    Nothing that the step makes is kept here.

    Args:
        step, init, xs, length, reverse: as ``scan`` is given them.

    Attributes:
        step (callable): the user's.
        carry (list of Variable): the leaves of ``init``.
        xs (list): the leaves of ``xs``, Variables or arrays, time first.
        length (int): how many time steps there are.
        reverse (bool): whether the last one runs first.
        xp (module): of the arrays of carry and xs.
        kind (tuple): the structures of carry and x, and the direction.
        y_kind (tuple): the structure of y, and what its leaves are like; ``None`` before a step
            has run.
        run (Run): what has run them compiled; ``None`` if nothing has.
    """

    def __init__(self, step, init, xs, length, reverse):
        if not callable(step):
            raise TypeError(
                f"scan: step is {type(step).__name__}, expected a function, "
                "step(carry, x) -> (carry, y)"
            )
        if not isinstance(reverse, bool):
            raise TypeError(f"scan: reverse is {reverse!r}, expected True or False")
        leaves, self._init = flatten(init, "init{}")
        self.xs, self._x = flatten(xs, "xs{}")
        self.kind = self._init, self._x, reverse
        self.xp = _one_module(leaves, self._init, self.xs, self._x)
        self.step = step
        self.carry = [as_variable(leaf) for leaf in leaves]
        self.length = _length(self.xs, self._x, length)
        self.reverse = reverse
        self.run = None
        self._carry_like = Like.of(self.carry)
        self.y_kind: tuple[Structure, list[Like]] | None = None

    def still(self) -> frozenset[int]:
        """Which leaves of xs are one and the same at all time steps, as ``F.repeat`` makes them."""
        arrays = map(raw, self.xs)
        return frozenset([i for i, x in enumerate(arrays) if x.strides[0] == 0 and x.size])

    def x_at(self, t: int) -> list[Variable]:
        """The leaves of the x of the ``t``-th step that runs."""
        i = self.length - 1 - t if self.reverse else t
        return [
            # While a step is being read, whatever this loop does in it has to be noted.
            get_item(leaf, i)
            if config.hooks or (isinstance(leaf, Variable) and leaf.requires_grad)
            # With `...` an array without axes is an array still.
            else variable_at(None, raw(leaf)[i, ...])
            for leaf in self.xs
        ]

    def __call__(self, carry: list[Variable], x: list[Variable]):
        """Run the user's step once: the leaves of the new carry and of y, as two lists.

        Raises:
            TypeError: the step returned no pair, or a leaf of it is no array.
            ValueError: the carry is not like ``init``, or y not like the first one.
        """
        returned = self.step(unflatten(self._init, carry), unflatten(self._x, x))
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            raise _no_pair(returned)
        leaves, structure = flatten(returned[0], "the carry{} that step returned")
        carry = [as_variable(leaf) for leaf in leaves]
        if not _are_like(carry, structure, self._carry_like, self._init):
            raise _unlike("carry", carry, structure, self._carry_like, self._init, "init")
        leaves, structure = flatten(returned[1], "the y{} that step returned")
        y = [as_variable(leaf) for leaf in leaves]
        if self.y_kind is None:
            self.y_kind = structure, Like.of(y)
        expected, likes = self.y_kind
        if not _are_like(y, structure, likes, expected):
            raise _unlike("y", y, structure, likes, expected, "the first y")
        return carry, y

    def plain(self, carry: list[Variable], first: int = 0, ys: Sequence[list[Variable]] = ()):
        """The plain loop: the leaves of the last carry, and those of y, stacked.

        Args:
            carry: leaves, from which step ``first`` goes on.
            first: how many steps were run before.
            ys: of each of those the leaves of its y.
        """
        ys = list(ys)
        for t in range(first, self.length):
            carry, y = self(carry, self.x_at(t))
            ys.append(y)
        if self.reverse:
            ys.reverse()
        _, likes = self.y_kind
        return carry, [_stacked([y[i] for y in ys]) for i in range(len(likes))]

    def no_ys(self) -> list[Variable]:
        """The leaves of y stacked, where there is no time step: the step is tried on zeros.

        Raises:
            ValueError: the step raised.
        """
        x = [get_array_module(raw(x)).zeros(x.shape[1:], x.dtype) for x in self.xs]
        state = random.get_state()
        try:
            # Nobody asked for this run: it trains nothing, and nobody hears of it or of its NaN.
            with (
                no_backprop_mode(),
                using_config("train", False),
                using_config("debug", False),
                using_config("hooks", ()),
                np.errstate(all="ignore"),
            ):
                self(self.carry, [variable_at(None, array) for array in x])
        except Exception as error:
            raise ValueError(
                "scan: there is no time step, which leaves no way to know what y would be: on "
                f"zeros for x ({describe(self._x, x)}), step raised {type(error).__name__}: {error}"
            ) from error
        finally:
            random.set_state(state)
        return [
            variable_at(None, like.xp.zeros((0, *like.shape), like.dtype))
            for like in self.y_kind[1]
        ]

    def results(self, carry: list[Variable], ys: list[Variable]) -> tuple[Any, Any]:
        """What ``scan`` returns, from its leaves."""
        return unflatten(self._init, carry), unflatten(self.y_kind[0], ys)


def _stacked(column):
    """One leaf of y at all time steps as one Variable: a constant, if no gradient is wanted."""
    if config.hooks or any([v.node is not None for v in column]):
        return stack(column)
    arrays = [v.array for v in column]
    return variable_at(None, get_array_module(arrays[0]).stack(arrays))


def _are_like(variables, structure, likes, expected):
    if structure != expected:
        return False
    for v, like in zip(variables, likes, strict=True):
        array = v.array
        if array.shape != like.shape or array.dtype != like.dtype:
            return False
        if (type(array) is not np.ndarray or like.xp is not np) and (
            get_array_module(array) is not like.xp
        ):
            return False
    return True


def _unlike(name, variables, structure, likes, expected, model):
    came, wanted = describe(structure, variables), describe(expected, likes)
    if came == wanted:  # it is where the arrays are that differs
        came += f" on {_devices(Like.of(variables))}"
        wanted += f" on {_devices(likes)}"
    return ValueError(
        f"scan: the {name} that step returned is {came}, expected {wanted}, as {model} is"
    )


def _devices(likes):
    return " and ".join(dict.fromkeys("cpu" if like.xp is np else "cuda" for like in likes))


def _no_pair(returned):
    if isinstance(returned, (tuple, list)):
        came = f"a {type(returned).__name__} of {len(returned)}"
    elif isinstance(returned, Variable):
        came = f"one Variable, {returned.dtype} {returned.shape}"
    else:
        came = type(returned).__name__
    return TypeError(f"scan: step returned {came}, expected a pair, (carry, y)")


def _one_module(init, init_structure, xs, xs_structure):
    """The module of all arrays, since a step computes on one device.

    Raises:
        ValueError: they are on two.
    """
    arrays = [raw(leaf) for leaf in (*init, *xs)]
    xp = get_array_module(*arrays)
    if xp is not np:
        names = [f"init{place}" for place in places(init_structure)]
        names += [f"xs{place}" for place in places(xs_structure)]
        check_one_device("scan", dict(zip(names, arrays, strict=True)))
    return xp


def _length(xs, structure, length):
    """How many time steps there are, by the arrays or as given."""
    if length is not None:
        if not is_integer(length):
            raise TypeError(f"scan: length is {length!r}, expected an integer or None")
        if length < 0:
            raise ValueError(f"scan: length is {length}, expected 0 or more")
    if not xs:
        if length is None:
            raise ValueError("scan: xs has no arrays, expected a length where there are none")
        return int(length)
    names = [f"xs{place}" for place in places(structure)]
    for name, leaf in zip(names, xs, strict=True):
        if not leaf.shape:
            raise ValueError(f"scan: {name} is {leaf.dtype} (), expected time as the first axis")
    lengths = [leaf.shape[0] for leaf in xs]
    if len(set(lengths)) > 1:
        came = ", ".join(f"{n} of {name}" for name, n in zip(names, lengths, strict=True))
        raise ValueError(
            f"scan: xs have the lengths {came}; expected one length, that of the first axis "
            f"(xs: {describe(structure, xs)})"
        )
    if length is not None and length != lengths[0]:
        raise ValueError(
            f"scan: length is {length}, xs have the length {lengths[0]} "
            f"(xs: {describe(structure, xs)})"
        )
    return lengths[0]


def obstacle_to(steps):
    """What stands in the way of compiling any step at all; ``None`` if nothing does."""
    if config.debug:
        return "in debug mode every function is watched as it runs"
    if {"raise", "call", "print", "log"} & set(np.geterr().values()):
        return "NumPy's errstate is to tell of what happens in its operations"
    return None


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    compiled: bool | None = None,
) -> tuple[Any, Any]:
    """A recurrence: a step of your own, from a state and an input to the next state and an output.

    By definition it is this loop (and so is ``jax.lax.scan``, whose arguments these are)::

        carry, ys = init, []
        for x in xs:
            carry, y = step(carry, x)
            ys.append(y)
        return carry, F.stack(ys)

    where ``carry``, ``xs`` and ``y`` may each be a Variable, an array, ``None``, or a tuple, list
    or dict of such. The step is ordinary Python; it may use links and any Variables from outside,
    which get their gradients as in a loop.

    It is run in Python for the first two time steps of *every* call, so that it may change from
    one call to the next. Where what it did there can be compiled, compiled code does the same
    for all steps; otherwise they run in Python too. They all do so with fewer than 4 steps, in
    debug mode, and while a function hook listens. ``dynet.scanning.explain`` says what
    stands in the way: looks at elements, Variables that the step keeps, arrays that it makes anew
    each time are found out. Not so what the two steps do not show: a step that changes its mind at
    the third one, or by a generator of random numbers of its own, or changes in place an array of
    more than a megabyte, of which only some elements are looked at; and side effects, the step's or
    a function's own, happen at two time steps. Warnings of NumPy's (overflow) are not given; where
    ``np.errstate`` is to raise, the plain loop runs. Memory that a scan needed, up to 256 MB, is
    kept for the next one.

    On a GPU all time steps are one kernel, or, where what a step multiplies by does not fit into
    a multiprocessor, CUDA graphs that are launched one after the other. There the results are
    compared with those of the two steps, and the gradients with the tape's, only when a step of a
    new structure is first seen, which waits for the GPU (a step with a ``Function`` of your own
    always counts as new); and arrays that a step changes in place are not found out.

    ``ys`` may share memory with what the backward pass needs, as any function's output may: it is
    not to be written to. Two outputs of a compiled scan are not computed from one another:
    ``dynet.grad`` of ``ys`` with respect to the last carry finds nothing there.

    Args:
        step: called as ``step(carry, x)``; returns a pair, the new carry and y. The carry stays of
            the structure, shapes and dtypes that it had; so does y from the first step on.
        init: the carry that the first step gets.
        xs: arrays with time first, ``(T, ...)``; a step gets one ``x`` of each, ``(...)``. A list
            is no sequence of time steps (``F.stack`` makes one of it), but several inputs. An array
            that is the same at all steps without a copy (``F.repeat``) is not copied here either.
        length: T; needed where ``xs`` is ``None``, and then ``x`` is ``None`` too.
        reverse: whether to run from the last time step to the first. ``ys[t]`` belongs to
            ``xs[t]`` all the same.
        compiled: ``None`` to compile what can be compiled; ``False`` for the plain loop; ``True``
            for an error where the step cannot be compiled (fewer than 4 steps need not be).

    Returns:
        tuple: the last carry, of Variables in the structure of ``init``; and ``ys``, Variables
        ``(T, ...)`` in the structure of y. For T = 0 they are ``init`` and empty arrays: to know
        their shapes, the step is tried once, on zeros, with ``config.train`` off.

    Raises:
        TypeError: an argument is of another type, the step returns no pair, or a leaf of a tree is
            no array.
        ValueError: the lengths in ``xs`` differ, or from ``length``, or neither is given; the carry
            or y changes its structure, shape or dtype; or T is 0 and the step raises on zeros.
        RuntimeError: with ``compiled=True``, the step cannot be compiled.

    >>> import numpy as np, dynet
    >>> decay = dynet.Variable(np.array(0.5))
    >>> def smooth(mean, x):
    ...     mean = decay * mean + (1 - decay) * x
    ...     return mean, mean
    >>> last, means = dynet.scan(smooth, np.array(0.0), np.array([4.0, 0.0, 8.0]))
    >>> means.array
    array([2. , 1. , 4.5])
    >>> last.backward()
    >>> decay.grad
    array(-7.)
    """
    if compiled is not None and not isinstance(compiled, bool):
        raise TypeError(f"scan: compiled is {compiled!r}, expected None, True or False")
    return run_steps(Steps(step, init, xs, length, reverse), compiled)


def run_steps(steps: Steps, compiled: bool | None = None) -> tuple[Any, Any]:
    """What ``scan`` returns for these steps."""
    if steps.length == 0:
        return steps.results(steps.carry, steps.no_ys())
    carry, first, ys = steps.carry, 0, []
    if compiled is not False:
        obstacle = obstacle_to(steps)
        if obstacle is None and steps.length >= FEW:
            outcome = attempt(steps)
            if outcome.done:
                steps.run = outcome.run
                return steps.results(outcome.carry, outcome.ys)
            obstacle = None if outcome.refused else outcome.reason
            carry, first, ys = outcome.carry, outcome.steps, outcome.ys
        if compiled and obstacle is not None:
            raise RuntimeError(f"scan: compiled=True, but {obstacle}")
    return steps.results(*steps.plain(carry, first, ys))


def explain(
    step: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> str | None:
    """Why ``scan`` runs a step as the plain loop; ``None`` if it compiles it.

    The scan is run, and the random numbers that it draws from ``dynet.random`` are put back.

    Args:
        step, init, xs, length, reverse: as for ``scan``, which says of each what it raises.

    >>> import numpy as np, dynet
    >>> dynet.scanning.explain(lambda carry, x: (carry + x, carry), np.zeros(2), np.ones((3, 2)))
    'there are 3 time steps, and fewer than 4 are not worth compiling'
    """
    steps = Steps(step, init, xs, length, reverse)
    obstacle = obstacle_to(steps)
    if obstacle is not None:
        return obstacle
    if steps.length < FEW:
        return f"there are {steps.length} time steps, and fewer than {FEW} are not worth compiling"
    state = random.get_state()
    try:
        outcome = attempt(steps)
    finally:
        random.set_state(state)
    return None if outcome.done else outcome.reason
