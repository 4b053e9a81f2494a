"""Hyperparameters that change from update to update.

A schedule is a function of the number of updates that there were before; these here make some::

    optimizer = dynet.optimizers.MomentumSGD(lr=schedules.cosine(0.1, 10_000))

Any other function serves as well: ``lr=lambda t: 0.1 / (1 + t)``. Only, an optimizer that is to
be pickled needs one that can be, as all of these. An epoch is so many updates as there are batches.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial

Schedule = Callable[[int], float]


def exponential(start: float, rate: float, every: float = 1) -> Schedule:
    """``start * rate ** (t / every)``: each ``every`` updates multiply it by ``rate``.

    Args:
        start: the first value.
        rate: > 0.
        every: how many updates, > 0.

    >>> lr = exponential(0.5, 0.5, every=100)
    >>> lr(0), lr(100), lr(200)
    (0.5, 0.25, 0.125)
    """
    _check("exponential", "rate", rate, rate > 0, "a number > 0")
    _check("exponential", "every", every, every > 0, "a number > 0")
    return partial(_exponential, start, rate, every)


def _exponential(start, rate, every, t):
    return start * rate ** (t / every)


def inverse(start: float, gamma: float, power: float = 1.0) -> Schedule:
    """``start / (1 + gamma * t) ** power``.

    With powers above 1/2, up to 1, the rates meet the conditions of Robbins and Monro (1951) for
    stochastic approximation to converge.

    Args:
        start: the first value.
        gamma: how fast it falls, >= 0.
        power: how far.

    >>> lr = inverse(0.5, gamma=0.25)
    >>> lr(0), lr(4), lr(12)
    (0.5, 0.25, 0.125)
    """
    _check("inverse", "gamma", gamma, gamma >= 0, "a number >= 0")
    return partial(_inverse, start, gamma, power)


def _inverse(start, gamma, power, t):
    return start / (1 + gamma * t) ** power


def piecewise(values: Sequence[float], at: Sequence[int]) -> Schedule:
    """One value after the other, changing at given updates.

    Args:
        values: one more than there are changes.
        at: the numbers of updates after which the next value comes, in rising order.

    >>> lr = piecewise([0.1, 0.01, 0.001], at=[100, 150])
    >>> lr(99), lr(100), lr(1000)
    (0.1, 0.01, 0.001)
    """
    values, at = tuple(values), tuple(at)
    if len(values) != len(at) + 1:
        raise ValueError(
            f"piecewise: values has {len(values)} entries and at {len(at)}, expected one more"
        )
    _check("piecewise", "at", at, list(at) == sorted(set(at)), "rising numbers")
    return partial(_piecewise, values, at)


def _piecewise(values, at, t):
    return values[bisect_right(at, t)]


def step(start: float, rate: float, at: Sequence[int]) -> Schedule:
    """A value that is multiplied by ``rate`` at each of given updates.

    Args:
        start: the first value.
        rate: >= 0.
        at: as for ``piecewise``.

    >>> lr = step(0.5, 0.5, at=[100, 150])
    >>> lr(99), lr(100), lr(150)
    (0.5, 0.25, 0.125)
    """
    _check("step", "rate", rate, rate >= 0, "a number >= 0")
    at = tuple(at)
    return piecewise([start * rate**i for i in range(len(at) + 1)], at)


def polynomial(start: float, updates: int, power: float, end: float = 0.0) -> Schedule:
    """``end + (start - end) * (1 - t / updates) ** power``, and ``end`` from then on.

    Args:
        start: the first value.
        updates: after how many the end is reached, > 0.
        power: of the polynomial, > 0.
        end: the last value.

    >>> lr = polynomial(1.0, 100, power=2)
    >>> lr(0), lr(50), lr(100), lr(200)
    (1.0, 0.25, 0.0, 0.0)
    """
    _check("polynomial", "updates", updates, updates > 0, "a number > 0")
    _check("polynomial", "power", power, power > 0, "a number > 0")
    return partial(_polynomial, start, updates, power, end)


def _polynomial(start, updates, power, end, t):
    return end + (start - end) * (1 - min(t / updates, 1)) ** power


def linear(start: float, updates: int, end: float = 0.0) -> Schedule:
    """A straight line from ``start`` to ``end`` in so many updates, and ``end`` from then on.

    >>> lr = linear(1.0, 100, end=0.5)
    >>> lr(0), lr(50), lr(200)
    (1.0, 0.75, 0.5)
    """
    return polynomial(start, updates, 1, end)


def cosine(start: float, updates: int, end: float = 0.0, restart: float | None = None) -> Schedule:
    """``end + (start - end) * (1 + cos(pi * t / updates)) / 2``, and ``end`` from then on.

    Args:
        start: the first value.
        updates: after how many the end is reached, > 0.
        end: the last value.
        restart: where given, it begins anew at ``start`` in place of staying at the end, each time
            with so many times as many updates, >= 1.

    Source: Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (ICLR 2017).

    >>> lr = cosine(1.0, 100)
    >>> lr(0), round(lr(50), 9), lr(100), lr(200)
    (1.0, 0.5, 0.0, 0.0)
    >>> lr = cosine(1.0, 100, restart=2)
    >>> lr(100), round(lr(200), 9), lr(300)
    (1.0, 0.5, 1.0)
    """
    _check("cosine", "updates", updates, updates > 0, "a number > 0")
    _check("cosine", "restart", restart, restart is None or restart >= 1, "None or a number >= 1")
    return partial(_cosine, start, updates, end, restart)


def _cosine(start, updates, end, restart, t):
    if restart == 1:
        t %= updates
    elif restart is not None:
        while t >= updates:
            t, updates = t - updates, restart * updates
    return end + (start - end) * (1 + math.cos(math.pi * min(t / updates, 1))) / 2


def warmup(updates: int, then: float | Schedule) -> Schedule:
    """A straight line up to where another schedule starts, and then that one, from its start.

    The updates before take 1, 2, ... parts in ``updates + 1`` of its first value, so that none is
    lost on a value of 0.

    Args:
        updates: how many to warm up for, >= 0.
        then: a number or schedule.

    Source: Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour" (2017),
    section 2.2.

    >>> lr = warmup(3, then=linear(1.0, 100))
    >>> lr(0), lr(1), lr(2), lr(3), lr(53)
    (0.25, 0.5, 0.75, 1.0, 0.5)
    """
    _check("warmup", "updates", updates, updates >= 0, "a number >= 0")
    return partial(_warmup, updates, then)


def _warmup(updates, then, t):
    value = then(max(t - updates, 0)) if callable(then) else then
    return value if t >= updates else value * (t + 1) / (updates + 1)


def _check(schedule, name, value, good, expected):
    if not good:
        raise ValueError(f"{schedule}: {name} is {value}, expected {expected}")
