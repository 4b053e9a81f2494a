"""Reporting: how a number that a link computes deep inside a model reaches whoever collects it.

A link says ``report({"loss": loss}, self)``; whoever trains it opens a ``Reporter``'s scope around
the call and finds ``main/loss`` in a dict, ``main`` being the name under which it knows the link.
Without a scope a report goes nowhere.
"""

import json
import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np

from .backend import is_array, is_cupy
from .variable import Variable

_open = threading.local()  # .scopes: the running thread's open scopes, the innermost last


class Reporter:
    """Knows links by name, and collects what they report.

    Attributes:
        observation (dict): what was reported within the innermost open scope.
        keep_graph (bool): whether Variables are kept as they are reported, with the whole tape
            that leads to them; at first only their arrays are.

    >>> import dynet
    >>> link = dynet.Link()
    >>> reporter = dynet.Reporter()
    >>> reporter.add_observer("main", link)
    >>> with reporter.scope({}) as observation:
    ...     dynet.report({"loss": 0.5}, link)
    >>> observation
    {'main/loss': 0.5}
    """

    def __init__(self):
        self.observation: dict[str, Any] = {}
        self.keep_graph = False
        self._observers: dict[int, tuple[str, Any]] = {}

    def add_observer(self, name: str, observer: Any) -> None:
        """Give an object that reports (a link) its name."""
        # The object is kept, so that nobody else can come to have its id.
        self._observers[id(observer)] = name, observer

    def add_observers(self, prefix: str, observers: Iterable[tuple[str, Any]]) -> None:
        """Give many their names, which follow the prefix: ``link.namedlinks()``, say."""
        for name, observer in observers:
            # The first of a link's namedlinks, itself, is "/"; the slash is added by a report.
            self.add_observer(prefix + name.rstrip("/"), observer)

    @contextmanager
    def scope(self, observation: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Collect into ``observation`` what the running thread reports inside the block."""
        scopes = _open.__dict__.setdefault("scopes", [])
        before, self.observation = self.observation, observation
        scopes.append(self)
        try:
            yield observation
        finally:
            scopes.pop()
            self.observation = before

    def report(self, values: Mapping[str, Any], observer: Any = None) -> None:
        """Take values, under the observer's name where there is one.

        Raises:
            KeyError: the observer has no name here.
        """
        prefix = ""
        if observer is not None:
            if id(observer) not in self._observers:
                raise KeyError(
                    f"report: {type(observer).__name__} is no observer of this Reporter; add it "
                    "with add_observer, or a model with add_observers(prefix, model.namedlinks())"
                )
            prefix = self._observers[id(observer)][0] + "/"
        for name, value in values.items():
            if isinstance(value, Variable) and not self.keep_graph:
                value = value.array
            self.observation[prefix + name] = value


def report(values: Mapping[str, Any], observer: Any = None) -> None:
    """Report named values to the innermost open ``Reporter.scope`` of the running thread.

    Args:
        values: Variables, arrays of one element, or numbers. Those on a GPU stay there until
            somebody asks for the numbers, so that to report them costs no waiting.
        observer: who reports, usually the link itself; its name there goes before the values'.
    """
    scopes = _open.__dict__.get("scopes")
    if scopes:
        scopes[-1].report(values, observer)


@contextmanager
def report_scope(observation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Collect into another dict what goes to the innermost open ``Reporter`` inside the block.

    Raises:
        RuntimeError: there is no open scope of a Reporter.
    """
    scopes = _open.__dict__.get("scopes")
    if not scopes:
        raise RuntimeError("report_scope: no Reporter is open; expected one, by reporter.scope({})")
    with scopes[-1].scope(observation):
        yield observation


class DictSummary:
    """The means of what was reported again and again.

    What is on a GPU is summed up there, and not waited for until the means are asked for.

    >>> summary = DictSummary()
    >>> summary.add({"loss": 1.0})
    >>> summary.add({"loss": 2.0, "accuracy": 0.5})
    >>> summary.compute_mean()
    {'loss': 1.5, 'accuracy': 0.5}
    """

    def __init__(self):
        self.sums: dict[str, Any] = {}  # floats, or float64 arrays on a GPU
        self.counts: dict[str, float] = {}

    def add(self, values: Mapping[str, Any], weight: float = 1) -> None:
        """Add values, as if they had come ``weight`` times; what is no number is passed over."""
        numbers = {name: as_summand(value) for name, value in values.items()}
        for name, number in numbers.items():
            if number is not None:
                number = number if weight == 1 else float(weight) * number
                self.sums[name] = self.sums.get(name, 0.0) + number
                self.counts[name] = self.counts.get(name, 0.0) + float(weight)

    def compute_mean(self) -> dict[str, float]:
        """The mean of each value; NaN where all weights were 0."""
        return {
            name: total / self.counts[name] if self.counts[name] else math.nan
            for name, total in self._read_sums().items()
        }

    def _read_sums(self):
        """The sums as floats: here a GPU is waited for."""
        self.sums = {name: as_number(total) for name, total in self.sums.items()}
        return self.sums

    def serialize(self, serializer: Any) -> None:
        """Save or load the sums, to the last bit."""
        # As text, since the names are not known before the file is read.
        state = json.dumps([self._read_sums(), self.counts])
        loaded = serializer("sums", state)
        if loaded != state:
            self.sums, self.counts = json.loads(loaded)


def as_number(value: Any) -> float | None:
    """A number, or an array or Variable of one element, as a float; ``None`` for all else.

    >>> import numpy as np
    >>> as_number(np.array([2], np.int32)), as_number("two")
    (2.0, None)
    """
    number = as_summand(value)
    return number.item() if is_array(number) else number


def as_summand(value: Any) -> Any:
    """The same, but of what is on a GPU a float64 array without axes: it is not waited for."""
    if isinstance(value, Variable):
        value = value.array
    if is_array(value) or isinstance(value, np.generic):
        if value.size != 1 or value.dtype.kind not in "biuf":
            return None
        if is_cupy(value):
            with value.device:
                return value.reshape(()).astype(np.float64, copy=False)
        value = value.item()
    return float(value) if isinstance(value, Real) else None
