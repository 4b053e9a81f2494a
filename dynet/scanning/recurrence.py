"""A step that is a promise: read once for each kind of arguments, not at every call.

``scan`` runs a step in Python for two time steps of every call, since Python may do another thing
each time; that costs half a millisecond. Whoever states a step that depends on its arguments alone
can do without. The links over whole sequences are such.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import random
from ..backend import is_array
from ..config import config
from ..function import variable_at
from ..functions.checks import raw
from ..variable import Variable
from .loop import FEW, Like, Steps, obstacle_to, run_steps
from .on_gpu import run_of
from .plan import Plan
from .replay import on_tape
from .structure import Structure

# Arguments of so many kinds are remembered.
MANY = 256

_lock = threading.Lock()


class _Known(NamedTuple):
    """What a step was found to be for arguments of one kind.

    Attributes:
        plan: of the scan.
        order: of each array that the loop closes over, which of the constants it is.
        y, y_like: the structure of y, and what its leaves are like.
    """

    plan: Plan
    order: list[int]
    y: Structure
    y_like: list[Like]


class Recurrence:
    """A recurrence whose step depends on its arguments alone: a ``scan`` that is not read anew.

    It means ``scan(lambda carry, x: step(carry, x, *constants), init, xs, reverse=reverse)``. The
    first call with arguments of one kind (structures, shapes, dtypes, which of them get gradients)
    is that very scan; later ones run at once what it has compiled.

    Args:
        step: called as ``step(carry, x, *constants)``; returns a pair, the new carry and y. It has
            to be the same function of its arguments at every call, and to look at no elements of
            the constants (``float(rate[0])``). Where it closes over an array, does not give each
            constant to a function, or uses one as an index or a mask, every call is a scan.

    Raises:
        TypeError: ``step`` is not callable.

    >>> import numpy as np
    >>> from dynet.scanning import Recurrence
    >>> smooth = Recurrence(lambda mean, x, rate: (rate * mean + (1 - rate) * x, None))
    >>> mean, _ = smooth(np.zeros(1), np.ones((8, 1)), [np.full(1, 0.5)])
    >>> mean.array.round(3)
    array([0.996])
    """

    def __init__(self, step: Callable):
        if not callable(step):
            raise TypeError(
                f"Recurrence: step is {type(step).__name__}, expected a function, "
                "step(carry, x, *constants) -> (carry, y)"
            )
        self.step = step
        self._known: dict[tuple, _Known] = {}

    def __call__(
        self, init: Any, xs: Any, constants: Sequence = (), reverse: bool = False
    ) -> tuple[Any, Any]:
        """Run it over all time steps.

        Args:
            init, xs, reverse: as for ``scan``.
            constants: a tuple or list of Variables and arrays that every step gets.

        Returns:
            tuple: the last carry and ``ys``, as of ``scan``.

        Raises:
            TypeError, ValueError: as ``scan`` does.
        """

        # As they are now, for a backward pass that runs the step again.
        constants = [_held(c) for c in constants]

        def step(carry, x):
            return self.step(carry, x, *constants)

        steps = Steps(step, init, xs, None, reverse)
        # All that the compiled loop depends on, but the elements.
        kind = (
            steps.kind,
            steps.xp,
            tuple([(v.shape, v.dtype, v.node is None) for v in steps.carry]),
            tuple([(x.shape[1:], x.dtype, getattr(x, "node", None) is None) for x in steps.xs]),
            steps.still(),
            tuple([(c.shape, c.dtype, getattr(c, "node", None) is None) for c in constants]),
            config.enable_backprop,
            config.train,
        )
        known = self._known.get(kind)
        may_run = steps.length >= FEW and not config.hooks and obstacle_to(steps) is None
        if known is not None and may_run:
            steps.y_kind = known.y, known.y_like
            outputs = _again(steps, constants, known)
            if outputs is not None:
                return steps.results(*outputs)
        returned = run_steps(steps)
        if steps.run is not None:
            self._keep(kind, steps, constants)
        return returned

    def _keep(self, kind, steps, constants):
        places = {id(raw(c)): i for i, c in enumerate(constants)}
        order = [places.get(id(x)) for x in steps.run.externals]
        # Of two constants that are one array now, nobody knows which one the step used. One that
        # no function got, or without axes (NumPy computes numbers of it), counts by its elements.
        known = set(order) == set(range(len(constants))) and all(c.ndim for c in constants)
        if known and not steps.run.plan.reads_elements:
            with _lock:
                if len(self._known) >= MANY:
                    self._known.pop(next(iter(self._known)))
                self._known[kind] = _Known(steps.run.plan, order, *steps.y_kind)


def _held(constant):
    """A constant that stays what it is, whatever its Variable is assigned."""
    if isinstance(constant, Variable):
        return variable_at(constant.node, constant.array)
    if not is_array(constant):
        raise TypeError(
            f"Recurrence: constants hold {type(constant).__name__}, expected Variables and arrays"
        )
    return constant


def _again(steps, constants, known):
    """The last carry and the ys; ``None`` if a kernel refused: the plain loop will say why."""
    used = [constants[i] for i in known.order]
    externals = [(raw(c), getattr(c, "node", None)) for c in used]
    run = run_of(known.plan, steps, externals, random.get_state())
    outputs = run.forward(steps.length)
    return None if outputs is None else on_tape(run, outputs)
