"""Settings of an optimizer that change in the course of the training.

Each is a formula for the value after ``t`` calls. Only ``t`` is saved: a run that goes on computes
the value anew, from settings that the program states.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ...optimizers import Optimizer
from ..extension import Extension


def _check_positive(by, name, value):
    if not value > 0:
        raise ValueError(f"{by}: {name} is {value}, expected a number > 0")


class Shift(Extension):
    """Base class of those that set an optimizer's attribute at each call.

    Args:
        attr: the attribute, such as ``"lr"``.
        init: the value before the first call; by default what the optimizer has when the run
            begins.
        optimizer: by default the trainer's main optimizer.
    """

    def __init__(self, attr: str, init: float | None = None, optimizer: Optimizer | None = None):
        self._attr = attr
        self._init = init
        self._optimizer = optimizer
        self._t = 0

    def value(self, t: int) -> float:
        """The value after ``t`` calls; a subclass states it."""
        raise NotImplementedError(f"{type(self).__name__} has no value")

    def initialize(self, trainer: Any) -> None:
        """Find the optimizer and set its value.

        Raises:
            AttributeError: it has no such attribute.
        """
        if self._optimizer is None:
            self._optimizer = trainer.updater.get_optimizer("main")
        if not hasattr(self._optimizer, self._attr):
            raise AttributeError(
                f"{type(self).__name__}: attr is {self._attr!r}, which "
                f"{type(self._optimizer).__name__} does not have"
            )
        if self._init is None:
            self._init = getattr(self._optimizer, self._attr)
        self._set()

    def __call__(self, trainer: Any) -> None:
        self._t += 1
        self._set()

    def _set(self):
        setattr(self._optimizer, self._attr, self.value(self._t))

    def serialize(self, serializer: Any) -> None:
        self._t = serializer("_t", self._t)


class _TargetShift(Shift):
    """A shift that stops at a target, from whichever side it comes."""

    def __init__(
        self,
        attr: str,
        init: float | None = None,
        target: float | None = None,
        optimizer: Optimizer | None = None,
    ):
        super().__init__(attr, init, optimizer)
        self._target = target

    def factor(self, t: int) -> float:
        """The value divided by the initial one."""
        raise NotImplementedError

    def value(self, t: int) -> float:
        value = self._init * self.factor(t)
        if self._target is None:
            return value
        return (max if self._init > self._target else min)(value, self._target)


class ExponentialShift(_TargetShift):
    """``init * rate ** t``.

    Args:
        attr: the attribute, such as ``"lr"``.
        rate: the factor of each call.
        init: the value before the first call; by default what the optimizer has then.
        target: where it stops.
        optimizer: by default the trainer's main optimizer.

    Raises:
        ValueError: the rate is negative.

    >>> import dynet
    >>> shift = dynet.training.extensions.ExponentialShift("lr", 0.5, init=1.0, target=0.2)
    >>> [shift.value(t) for t in range(4)]
    [1.0, 0.5, 0.25, 0.2]
    """

    def __init__(
        self,
        attr: str,
        rate: float,
        init: float | None = None,
        target: float | None = None,
        optimizer: Optimizer | None = None,
    ):
        if not rate >= 0:
            raise ValueError(f"ExponentialShift: rate is {rate}, expected a number >= 0")
        super().__init__(attr, init, target, optimizer)
        self._rate = rate

    def factor(self, t: int) -> float:
        return self._rate**t


class StepShift(_TargetShift):
    """``init * gamma ** (t // step)``.

    Args:
        attr: the attribute, such as ``"lr"``.
        gamma: the factor of each step.
        step: how many calls make a step.
        init: the value before the first call; by default what the optimizer has then.
        target: where it stops.
        optimizer: by default the trainer's main optimizer.

    Raises:
        ValueError: the step is not positive.

    >>> import dynet
    >>> shift = dynet.training.extensions.StepShift("lr", 0.5, 2, init=1.0)
    >>> [shift.value(t) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        attr: str,
        gamma: float,
        step: int,
        init: float | None = None,
        target: float | None = None,
        optimizer: Optimizer | None = None,
    ):
        _check_positive("StepShift", "step", step)
        super().__init__(attr, init, target, optimizer)
        self._gamma = gamma
        self._step = step

    def factor(self, t: int) -> float:
        return self._gamma ** (t // self._step)


class InverseShift(_TargetShift):
    """``init * (1 + gamma * t) ** -power``.

    Args:
        attr: the attribute, such as ``"lr"``.
        gamma: how fast.
        power: how steep in the end.
        init: the value before the first call; by default what the optimizer has then.
        target: where it stops.
        optimizer: by default the trainer's main optimizer.

    >>> import dynet
    >>> shift = dynet.training.extensions.InverseShift("lr", 1, 1, init=1.0)
    >>> [shift.value(t) for t in range(4)]
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    def __init__(
        self,
        attr: str,
        gamma: float,
        power: float,
        init: float | None = None,
        target: float | None = None,
        optimizer: Optimizer | None = None,
    ):
        super().__init__(attr, init, target, optimizer)
        self._gamma = gamma
        self._power = power

    def factor(self, t: int) -> float:
        return (1 + self._gamma * t) ** -self._power


class PolynomialShift(_TargetShift):
    """``init * (1 - t / max_count) ** rate``, and 0 from ``max_count`` on.

    Args:
        attr: the attribute, such as ``"lr"``.
        rate: the exponent.
        max_count: after how many calls it has come to 0.
        init: the value before the first call; by default what the optimizer has then.
        target: where it stops.
        optimizer: by default the trainer's main optimizer.

    Raises:
        ValueError: ``max_count`` is not positive.

    >>> import dynet
    >>> shift = dynet.training.extensions.PolynomialShift("lr", 2, 4, init=1.0)
    >>> [shift.value(t) for t in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    def __init__(
        self,
        attr: str,
        rate: float,
        max_count: int,
        init: float | None = None,
        target: float | None = None,
        optimizer: Optimizer | None = None,
    ):
        _check_positive("PolynomialShift", "max_count", max_count)
        super().__init__(attr, init, target, optimizer)
        self._rate = rate
        self._max_count = max_count

    def factor(self, t: int) -> float:
        return max(1 - t / self._max_count, 0) ** self._rate


class MultistepShift(Shift):
    """``init * gamma ** n``, ``n`` being how many of the given counts were reached.

    Args:
        attr: the attribute, such as ``"lr"``.
        gamma: the factor of each step.
        step_value: the counts of calls at which there is a step.
        init: the value before the first call; by default what the optimizer has then.
        optimizer: by default the trainer's main optimizer.

    >>> import dynet
    >>> shift = dynet.training.extensions.MultistepShift("lr", 0.5, [1, 4], init=1.0)
    >>> [shift.value(t) for t in range(5)]
    [1.0, 0.5, 0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        attr: str,
        gamma: float,
        step_value: Sequence[int],
        init: float | None = None,
        optimizer: Optimizer | None = None,
    ):
        super().__init__(attr, init, optimizer)
        self._gamma = gamma
        self._step_value = sorted(step_value)

    def value(self, t: int) -> float:
        return self._init * self._gamma ** bisect_right(self._step_value, t)


class LinearShift(Shift):
    """From one value to another along a line, between two counts of calls; constant outside.

    Args:
        attr: the attribute, such as ``"momentum"``.
        value_range: the first and the last value.
        time_range: the counts of calls between which it moves.
        optimizer: by default the trainer's main optimizer.

    Raises:
        ValueError: the time ends before it begins.

    >>> import dynet
    >>> shift = dynet.training.extensions.LinearShift("lr", (1.0, 0.0), (1, 3))
    >>> [shift.value(t) for t in range(5)]
    [1.0, 1.0, 0.5, 0.0, 0.0]
    """

    def __init__(
        self,
        attr: str,
        value_range: tuple[float, float],
        time_range: tuple[int, int],
        optimizer: Optimizer | None = None,
    ):
        if not time_range[0] <= time_range[1]:
            raise ValueError(f"LinearShift: time_range is {time_range}, expected the smaller first")
        super().__init__(attr, value_range[0], optimizer)
        self._values = value_range
        self._times = time_range

    def value(self, t: int) -> float:
        (first, last), (begin, end) = self._values, self._times
        if t <= begin:
            return first
        if t >= end:
            return last
        return first + (last - first) * (t - begin) / (end - begin)


class WarmupShift(Shift):
    """From a start along a line to ``init``, in the first calls; then constant.

    Args:
        attr: the attribute, such as ``"lr"``.
        warmup_start: the value before the first call.
        warmup_iter: after how many calls it has come to ``init``.
        init: the value from then on.
        optimizer: by default the trainer's main optimizer.

    >>> import dynet
    >>> shift = dynet.training.extensions.WarmupShift("lr", 0.0, 4, 1.0)
    >>> [shift.value(t) for t in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        attr: str,
        warmup_start: float,
        warmup_iter: int,
        init: float,
        optimizer: Optimizer | None = None,
    ):
        super().__init__(attr, init, optimizer)
        self._start = warmup_start
        self._duration = warmup_iter

    def value(self, t: int) -> float:
        if t >= self._duration:
            return self._init
        return self._start + (self._init - self._start) * t / self._duration
