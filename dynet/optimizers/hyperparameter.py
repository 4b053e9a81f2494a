"""Settings of optimizers: checked when they are set, by a number or by a schedule."""

import math
from collections.abc import Callable
from numbers import Real
from typing import Any


class Hyperparameter:
    """A setting of an optimizer, as an attribute: ``optimizer.lr`` is ``optimizer.hyperparam.lr``.

    Args:
        expected: what it must be, in words.
        test: whether a number is that.
    """

    def __init__(
        self,
        expected: str = "a finite number >= 0",
        test: Callable[[float], bool] = lambda v: 0 <= v < math.inf,
    ):
        self.expected = expected
        self.test = test

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, optimizer, owner=None):
        return self if optimizer is None else getattr(optimizer.hyperparam, self.name)

    def __set__(self, optimizer, value):
        setattr(optimizer.hyperparam, self.name, value)


def positive() -> Hyperparameter:
    """A setting above 0."""
    return Hyperparameter("a finite number > 0", lambda v: 0 < v < math.inf)


def fraction() -> Hyperparameter:
    """A setting from 0 up to, not including, 1: how much of an average stays."""
    return Hyperparameter("a number >= 0 and < 1", lambda v: 0 <= v < 1)


def stabilizer() -> Hyperparameter:
    """A setting that keeps a divisor away from 0: not so small that it is 0 in float32."""
    return Hyperparameter("0, or a finite number >= 1e-38", lambda v: v == 0 or 1e-38 <= v < 1e38)


class Hyperparameters:
    """Settings by name; a parameter's own ones hide those of its optimizer.

    A setting is a number, or a schedule: a function of the number of updates that there were
    before (see ``dynet.optimizers.schedules``). To read it gives the number.

    Args:
        kind (type): of the optimizer, whose ``Hyperparameter`` attributes say what there is.
        parent: the settings of the optimizer, for those of a parameter.

    >>> import dynet
    >>> hyperparam = dynet.optimizers.SGD(lr=0.5).hyperparam
    >>> hyperparam.lr = lambda t: 0.5 / (1 + t)
    >>> hyperparam.advance(4)
    >>> hyperparam.lr
    0.1
    """

    def __init__(self, kind: type, parent: "Hyperparameters | None" = None):
        self.__dict__.update(_kind=kind, _parent=parent, _schedules={})

    def __getattr__(self, name):  # asked only for what this object has not itself
        if name.startswith("_") or self._parent is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return getattr(self._parent, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setting = getattr(self._kind, name, None)
        if not isinstance(setting, Hyperparameter):
            there = [
                n for n in dir(self._kind) if isinstance(getattr(self._kind, n), Hyperparameter)
            ]
            raise AttributeError(
                f"{self._kind.__name__} has no hyperparameter {name!r}; it has {', '.join(there)}"
            )
        schedule = value if callable(value) else None
        value = self._check(name, schedule(0) if schedule else value)
        self._schedules.pop(name, None)
        if schedule:
            self._schedules[name] = schedule
        self.__dict__[name] = value

    def _check(self, name, value):
        setting = getattr(self._kind, name)
        if not isinstance(value, Real):
            raise TypeError(
                f"{self._kind.__name__}: {name} is {type(value).__name__}, expected "
                f"{setting.expected}, or a function of the number of updates that gives one"
            )
        if not setting.test(value):
            raise ValueError(
                f"{self._kind.__name__}: {name} is {value}, expected {setting.expected}"
            )
        return value

    def of_one_parameter(self) -> "Hyperparameters":
        """Settings of one parameter, with these behind them."""
        return Hyperparameters(self._kind, self)

    def advance(self, t: int) -> None:
        """Set what has a schedule to its value after ``t`` updates."""
        for name, schedule in self._schedules.items():
            self.__dict__[name] = self._check(name, schedule(t))
