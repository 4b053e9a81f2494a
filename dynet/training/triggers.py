"""Triggers: when a ``Trainer`` calls an extension, or stops.

A trigger is called with the trainer after each update and says whether it is time. Those that
remember something can be saved and loaded with the trainer.

>>> import dynet
>>> trigger = dynet.training.triggers.EarlyStoppingTrigger(monitor="validation/main/loss")
>>> trigger.get_training_length()  # at the most
(100, 'epoch')
"""

import math
import operator
import warnings
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from ..reporter import DictSummary
from .early_stopping import EarlyStopping

# Parts of an epoch are sums and quotients of floats: 0.3 / 0.1 is a little less than 3. This is
# less than an example of the largest dataset.
_ROUNDING = 1e-9


def get_trigger(trigger: Any) -> Callable:
    """The trigger that is meant.

    Args:
        trigger: a trigger, that is a callable; a pair such as ``(2, "epoch")`` or
            ``(100, "iteration")`` for an ``IntervalTrigger``; ``None`` for one that never fires.

    Raises:
        TypeError: it is something else.
    """
    if trigger is None:
        return _never
    if callable(trigger):
        return trigger
    if isinstance(trigger, (tuple, list)) and len(trigger) == 2:
        return IntervalTrigger(*trigger)
    raise TypeError(
        f"get_trigger: trigger is {trigger!r}, expected a callable, a pair such as (1, 'epoch'), "
        "or None"
    )


def _never(trainer):
    return False


def training_length(stop_trigger: Any) -> tuple[float, str] | None:
    """How long a training is at the most, such as ``(20, "epoch")``, if its trigger says so."""
    says = getattr(stop_trigger, "get_training_length", None)
    return says() if says is not None else None


def _check_unit(by, unit):
    if unit not in ("epoch", "iteration"):
        raise ValueError(f"{by}: unit is {unit!r}, expected 'epoch' or 'iteration'")


def _position(trainer, unit):
    updater = trainer.updater
    return updater.epoch_detail if unit == "epoch" else updater.iteration


class IntervalTrigger:
    """Fires each time that so many epochs or iterations have passed.

    Args:
        period: how many; a part of an epoch is possible.
        unit: ``"epoch"`` or ``"iteration"``.

    Raises:
        ValueError: the period is not positive, or no whole number of iterations; there is no such
            unit.

    >>> import dynet
    >>> trigger = dynet.training.triggers.IntervalTrigger(0.5, "epoch")
    """

    def __init__(self, period: float, unit: str):
        _check_unit("IntervalTrigger", unit)
        is_positive = isinstance(period, Real) and period > 0
        if not is_positive or (unit == "iteration" and period % 1 != 0):
            raise ValueError(
                f"IntervalTrigger: period is {period!r} {unit}s, expected a positive number, and a "
                "whole one of iterations"
            )
        self.period = period
        self.unit = unit
        self._previous = 0.0  # where the training was when the trigger was last asked

    def __call__(self, trainer: Any) -> bool:
        now = _position(trainer, self.unit)
        fires = self._periods(self._previous) != self._periods(now)
        self._previous = float(now)
        return fires

    def _periods(self, position):
        return (position / self.period + _ROUNDING) // 1

    def get_training_length(self) -> tuple[float, str]:
        """The period and the unit: of a stop trigger, how long the training is."""
        return self.period, self.unit

    def serialize(self, serializer: Any) -> None:
        """Save or load when it was last asked."""
        self._previous = serializer("previous", self._previous)


class ManualScheduleTrigger:
    """Fires at given epochs or iterations.

    Args:
        points: one number or several.
        unit: ``"epoch"`` or ``"iteration"``.

    Raises:
        ValueError: there is no such unit.

    >>> import dynet
    >>> trigger = dynet.training.triggers.ManualScheduleTrigger([10, 15], "epoch")
    """

    def __init__(self, points: float | Sequence[float], unit: str):
        _check_unit("ManualScheduleTrigger", unit)
        self.points = [float(point) for point in np.ravel(points)]
        self.unit = unit
        self._previous = 0.0

    def __call__(self, trainer: Any) -> bool:
        now = _position(trainer, self.unit)
        fires = any(self._previous < point - _ROUNDING <= now for point in self.points)
        self._previous = float(now)
        return fires

    def serialize(self, serializer: Any) -> None:
        """Save or load when it was last asked."""
        self._previous = serializer("previous", self._previous)


class OnceTrigger:
    """Fires at the first time that it is asked.

    Args:
        call_on_resume: whether it fires again when a run goes on after a snapshot.

    >>> import dynet
    >>> trigger = dynet.training.triggers.OnceTrigger(call_on_resume=True)
    """

    def __init__(self, call_on_resume: bool = False):
        self.call_on_resume = call_on_resume
        self._has_fired = False

    def __call__(self, trainer: Any) -> bool:
        fires = not self._has_fired
        self._has_fired = True
        return fires

    def serialize(self, serializer: Any) -> None:
        """Save or load whether it has fired, unless it is to fire again."""
        if not self.call_on_resume:
            self._has_fired = serializer("has_fired", self._has_fired)


class TimeTrigger:
    """Fires each time that so many seconds of training have passed.

    Args:
        period: how many seconds.

    Raises:
        ValueError: the period is not positive.

    >>> import dynet
    >>> trigger = dynet.training.triggers.TimeTrigger(3600)
    """

    def __init__(self, period: float):
        if not (isinstance(period, Real) and period > 0):
            raise ValueError(f"TimeTrigger: period is {period!r}, expected a number > 0")
        self.period = period
        self._next = float(period)

    def __call__(self, trainer: Any) -> bool:
        now = trainer.elapsed_time
        if now < self._next:
            return False
        # What took longer than the period is not made up for by firing again and again.
        self._next += self.period * (math.floor((now - self._next) / self.period) + 1)
        return True

    def serialize(self, serializer: Any) -> None:
        """Save or load when it fires next."""
        self._next = serializer("next", self._next)


class _Monitor:
    """What the triggers share that watch a value: its mean since they were last due.

    Args:
        key: the value's name in the observation.
        trigger: when they are due.
    """

    def __init__(self, key: str, trigger: Any):
        self.key = key
        self.trigger = get_trigger(trigger)
        self.summary = DictSummary()

    def due_mean(self, trainer: Any) -> float | None:
        """The mean if it is due; ``None`` if not, or if there was no value, with a warning."""
        if self.key in trainer.observation:
            self.summary.add({self.key: trainer.observation[self.key]})
        if not self.trigger(trainer):
            return None
        means, self.summary = self.summary.compute_mean(), DictSummary()
        if self.key not in means:
            names = ", ".join(trainer.observation) or "nothing"
            warnings.warn(
                f"a trigger waits for {self.key!r}, which was not observed; there was {names}",
                stacklevel=3,
            )
        return means.get(self.key)

    def serialize(self, serializer):
        self.summary.serialize(serializer["summary"])
        if hasattr(self.trigger, "serialize"):
            self.trigger.serialize(serializer["trigger"])


class BestValueTrigger:
    """Fires when the mean of a value over an interval is better than in all intervals before.

    So ``snapshot_object(model, "best.npz")`` with it keeps the best model.

    Args:
        key: the value's name in the trainer's observation.
        compare: called with the best mean so far and a new one, says whether the new is better.
            NaN is never the best.
        trigger: the interval.

    Attributes:
        best_value (float): the best mean so far; ``None`` before the first.

    >>> import dynet
    >>> is_better = lambda best, new: new < 0.99 * best
    >>> trigger = dynet.training.triggers.BestValueTrigger("main/loss", is_better)
    """

    def __init__(
        self, key: str, compare: Callable[[float, float], bool], trigger: Any = (1, "epoch")
    ):
        self._monitor = _Monitor(key, trigger)
        self._compare = compare
        self.best_value: float | None = None

    def __call__(self, trainer: Any) -> bool:
        mean = self._monitor.due_mean(trainer)
        if mean is None or math.isnan(mean):
            return False
        if self.best_value is not None and not self._compare(self.best_value, mean):
            return False
        self.best_value = mean
        return True

    def serialize(self, serializer: Any) -> None:
        """Save or load the best mean and the sums of this interval."""
        self._monitor.serialize(serializer)
        best = math.nan if self.best_value is None else self.best_value
        best = serializer("best_value", best)
        self.best_value = None if math.isnan(best) else best


class MaxValueTrigger(BestValueTrigger):
    """Fires when the mean of a value over an interval is larger than ever before.

    Args:
        key: the value's name in the trainer's observation, such as
            ``"validation/main/accuracy"``.
        trigger: the interval.

    >>> import dynet
    >>> trigger = dynet.training.triggers.MaxValueTrigger("validation/main/accuracy")
    """

    def __init__(self, key: str, trigger: Any = (1, "epoch")):
        super().__init__(key, operator.lt, trigger)


class MinValueTrigger(BestValueTrigger):
    """Fires when the mean of a value over an interval is smaller than ever before.

    Args:
        key: the value's name in the trainer's observation, such as ``"validation/main/loss"``.
        trigger: the interval.

    >>> import dynet
    >>> trigger = dynet.training.triggers.MinValueTrigger("main/loss", (100, "iteration"))
    """

    def __init__(self, key: str, trigger: Any = (1, "epoch")):
        super().__init__(key, operator.gt, trigger)


class EarlyStoppingTrigger:
    """Fires when a value has not been better than its best for some intervals in a row.

    Args:
        check_trigger: the interval over which the mean of the value is taken.
        monitor: the value's name in the trainer's observation.
        patience: how many intervals in a row.
        mode: ``"min"``, smaller is better; ``"max"``; ``"auto"``: ``"max"`` for names with
            "accuracy" in them, else ``"min"``.
        verbose: whether each mean, the best and the count are printed.
        max_trigger: when it fires at the latest.

    Raises:
        ValueError: as in ``EarlyStopping``.

    >>> import dynet
    >>> stop = dynet.training.triggers.EarlyStoppingTrigger(monitor="validation/main/loss")
    """

    def __init__(
        self,
        check_trigger: Any = (1, "epoch"),
        monitor: str = "main/loss",
        patience: int = 3,
        mode: str = "auto",
        verbose: bool = False,
        max_trigger: Any = (100, "epoch"),
    ):
        if mode == "auto":
            mode = "max" if "accuracy" in monitor else "min"
        self._monitor = _Monitor(monitor, check_trigger)
        self._stopping = EarlyStopping(patience, mode)
        self._verbose = verbose
        self._max_trigger = get_trigger(max_trigger)

    def __call__(self, trainer: Any) -> bool:
        mean = self._monitor.due_mean(trainer)
        stops = mean is not None and self._stopping.should_stop(mean)
        if mean is not None and self._verbose:
            print(
                f"{self._monitor.key}: {mean:.6g}, best {self._stopping.best:.6g}, "
                f"{self._stopping.count} of {self._stopping.patience} not better"
            )
        return self._max_trigger(trainer) or stops

    def get_training_length(self) -> tuple[float, str] | None:
        """How long the training is at the most; ``None`` if ``max_trigger`` does not say."""
        return training_length(self._max_trigger)

    def serialize(self, serializer: Any) -> None:
        """Save or load the best value, the count and the sums of this interval."""
        self._monitor.serialize(serializer)
        self._stopping.serialize(serializer["stopping"])
        if hasattr(self._max_trigger, "serialize"):
            self._max_trigger.serialize(serializer["max_trigger"])
