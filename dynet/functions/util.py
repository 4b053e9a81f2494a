"""What changes not the value, but how its gradient comes about."""

import numpy as np

from .. import random
from ..backend import is_array
from ..backprop import sweep
from ..config import config, using_config
from ..function import Function, next_number, variable_at
from ..higher_order import Identity, backward_recorded
from ..variable import Leaf, Variable
from .checks import check_floating, raw, real, refuse_stand_ins

__all__ = ["clip_gradient", "forget"]


class ClipGradient(Function):
    """``y = x``; the gradient on its way back is clipped, element by element"""

    __slots__ = ("limit",)

    def __init__(self, limit):
        self.limit = limit

    def forward(self, x):
        check_floating("clip_gradient", x=x)
        return x

    def backward(self, gy):
        # np.clip means the same, at five times the cost for a small array.
        return np.minimum(np.maximum(gy, -self.limit), self.limit)


def clip_gradient(x, limit: float) -> Variable:
    """``x`` itself, whose gradient is clipped to ``[-limit, limit]``, element by element.

    Used inside a recurrence, on the state that goes from step to step, it keeps gradients from
    exploding on their way back through time (A. Graves, "Generating Sequences With Recurrent
    Neural Networks", 2013, section 2.1).

    Args:
        x: any shape, floating.
        limit: the largest that an element of the gradient may be, above 0.

    Raises:
        ValueError: ``limit`` is not above 0.
        TypeError: ``x`` is not floating, or ``limit`` no number.

    >>> import numpy as np, dynet, dynet.functions as F
    >>> x = dynet.Variable(np.array([1.0, 2.0]))
    >>> (F.clip_gradient(x, 0.1) * np.array([5.0, -0.01])).sum().backward()
    >>> x.grad
    array([ 0.1 , -0.01])
    """
    limit = real("clip_gradient", limit=limit)
    if not limit > 0:
        raise ValueError(f"clip_gradient: limit is {limit!r}, expected a number above 0")
    return ClipGradient(limit).apply(x)


class Forget(Function):
    """What ``func`` computes, without a record of how; for a gradient it is computed again"""

    __slots__ = ("func", "outputs", "state", "train", "saves")

    def __init__(self, func, outputs, n, state):
        self.func = func
        self.outputs = outputs
        self.saves = tuple(range(n))  # the arguments; what else it uses is on the tape already
        self.state = state
        self.train = config.train

    def forward(self, *arrays):
        refuse_stand_ins("forget", "what it computed is kept aside", *arrays)
        self.save(*arrays[: len(self.saves)])
        outputs, self.outputs = self.outputs, None
        return outputs

    def backward(self, *gys):
        recorded = any([isinstance(gy, Variable) for gy in gys])
        xs = [_branch(x, wanted=self.wants(i)) for i, x in enumerate(self.saved)]
        now = random.get_state()
        random.set_state(self.state)
        start = next_number()
        try:
            with using_config("train", self.train), using_config("enable_backprop", True):
                ys = self.func(*xs)
        finally:
            random.set_state(now)
        ys = ys if isinstance(ys, tuple) else (ys,)
        ends = [getattr(x, "node", None) for x in xs] + list(self.inputs[len(xs) :])
        if not set(_used_from_outside(xs, ys, start)) <= set(ends):
            raise RuntimeError(
                "forget: run again for its gradient, func used other Variables than the first "
                "time; it must depend on nothing that changes in between"
            )
        seeds = {}
        for y, gy in zip(ys, gys, strict=True):
            if gy is not None and getattr(y, "node", None) is not None:
                seeds[y.node] = gy if y.node not in seeds else seeds[y.node] + gy
        ends_wanted = {node for node in ends if node is not None}
        record = backward_recorded if recorded else None
        arrived = sweep(seeds, ends_wanted, None, record, ends_wanted)
        return tuple([arrived.get(node) for node in ends])


def _branch(x, wanted):
    """A Variable like ``x``, which a sweep can end at without having to end at ``x`` elsewhere."""
    if not wanted:
        return x
    return Identity().apply(x) if isinstance(x, Variable) else Variable(x)


def _used_from_outside(xs, ys, start):
    """The nodes that ``ys`` were computed from and that were there before ``start``, but ``xs``."""
    seen = {None, *[getattr(x, "node", None) for x in xs]}
    outside = []
    nodes = [getattr(y, "node", None) for y in ys]
    for node in nodes:  # the list grows while the loop runs through it
        if node in seen:
            continue
        seen.add(node)
        if type(node) is Leaf and node.variable() is None:
            continue  # func made it for itself, and nobody can look at its gradient any more
        if node.number < start:
            outside.append(node)
        else:
            nodes.extend(node.inputs)
    return outside


def forget(func, *xs):
    """Call a function, and forget how it came to its result: for less memory, at twice the time.

    Nothing is kept of what ``func`` records but its arguments; the backward pass runs it again.
    Parameters and other Variables that it uses without being given them get their gradients
    too. Random numbers come out the same the second time; what else ``func`` changes (the
    statistics of batch normalization) is changed twice.

    Args:
        func: takes Variables, returns a Variable or a tuple of them. It must depend on nothing
            that changes until the backward pass.
        xs: its arguments, Variables or arrays.

    Returns:
        What ``func`` returns.

    Raises:
        TypeError: ``func`` is no function, or returns something else.
        RuntimeError: in the backward pass, if ``func`` uses other Variables than the first time.

    T. Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016).

    >>> import numpy as np, dynet, dynet.functions as F
    >>> x, w = dynet.Variable(np.array(2.0)), dynet.Variable(np.array(3.0))
    >>> y = F.forget(lambda x: x * x * w, x)
    >>> y.creator.name
    'Forget'
    >>> y.backward()
    >>> print(x.grad, w.grad)
    12.0 4.0
    """
    if not callable(func):
        raise TypeError(f"forget: func is {type(func).__name__}, expected a callable")
    if not config.enable_backprop:
        return func(*xs)
    state, start = random.get_state(), next_number()
    branches = [Variable(x.array) if isinstance(x, Variable) and x.requires_grad else x for x in xs]
    # Recorded this once, and at once forgotten, to find what it uses besides its arguments.
    result = func(*branches)
    ys = result if isinstance(result, tuple) else (result,)
    arrays = tuple([raw(y) for y in ys])
    for y in arrays:
        if not is_array(y):
            raise TypeError(
                f"forget: func returned {type(y).__name__}, expected a Variable or a tuple of them"
            )
    if not any([isinstance(y, Variable) and y.requires_grad for y in ys]):
        return result
    outside = _used_from_outside(branches, ys, start)
    forgotten = Forget(func, arrays if ys is result else arrays[0], len(xs), state)
    return forgotten.apply(*xs, *[variable_at(node, None) for node in outside])
