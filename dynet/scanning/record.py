"""Reading a step: it is run in Python, and every function that it calls is noted.

A ``Recorder`` is a function hook. It follows arrays by their identity: from what a step is given,
through the functions, to what it returns. The Variables that a step handles are meanwhile
``Watched``: whoever looks at their elements is found out, and so is whoever keeps one.
"""

import sys
import threading
import weakref
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import debugging
from ..backend import is_array
from ..config import config
from ..function import Function, Output, variable_at
from ..function_hooks import FunctionHook
from ..variable import Variable
from .runtime import weighed_sum

_running = threading.local()
_all_running = []  # the recorders of all threads

# Rooms that may look at a Variable's array: the tape and the functions, which are noted.
_TRUSTED = (
    "dynet.function",
    "dynet.variable",
    "dynet.higher_order",
    "dynet.scanning.",
    "dynet.backend",
)


class Obstacle(Exception):
    """Why a step cannot be compiled, as the end of a sentence that starts with the step."""


def is_dynets(cls: type) -> bool:
    """Whether a class is one of dynet's own, not a user's."""
    return cls.__module__.startswith("dynet.")


class Watched(Variable):
    """A Variable of a step that is being read; it tells who looks at it."""

    __slots__ = ()


def _is_trusted():
    """Whether it is the tape or a function that called the method of a Watched that calls this.

    Not where it hands out elements: in a comparison, or by the functions' own ``elements``.
    """
    frame = sys._getframe(2)
    name = frame.f_code.co_name
    if name == "raw":
        frame = frame.f_back
    recorder = getattr(_running, "recorder", None)
    return (
        frame.f_globals.get("__name__", "").startswith(_TRUSTED)
        and name not in ("elements", "compared")
        # Else the function is one that nobody hears of.
        and recorder is not None
        and config.hooks is recorder.hooks
    )


def _note(what):
    own = getattr(_running, "recorder", None)
    # In a thread that the step has started, nobody knows whose Variable it is.
    for recorder in _all_running if own is None else [own]:
        if recorder.obstacle is None:
            recorder.obstacle = f"{what} ({debugging.user_line()})"


def _watch(name, what, trusted):
    original = getattr(Variable, name)
    if isinstance(original, property) or not callable(original):

        def get(self):
            if not (trusted and _is_trusted()):
                _note(what)
            return original.__get__(self)

        def put(self, value):
            if not _is_trusted():
                _note(f"it sets a Variable's {name}")
            original.__set__(self, value)

        setattr(Watched, name, property(get, put))
        return

    def method(self, *args, **kwargs):
        if not (trusted and _is_trusted()):
            _note(what)
        return original(self, *args, **kwargs)

    setattr(Watched, name, method)


for _name in ("array", "__len__", "node", "requires_grad"):
    _watch(_name, f"it looks at a Variable's {_name.strip('_')}", trusted=True)
for _name in ("__bool__", "__int__", "__float__", "item", "__repr__", "__array__", "__getstate__"):
    _watch(_name, f"it looks at a Variable's elements by {_name.strip('_')}", trusted=False)
for _name in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"):
    _watch(_name, "it compares a Variable, which gives a plain array", trusted=False)
for _name in (
    "backward", "unchain", "unchain_backward", "retain_grad", "grad", "creator", "to_device",
    "cleargrad",
):  # fmt: skip
    _watch(_name, f"it uses the tape by a Variable's {_name}", trusted=False)
Watched.__hash__ = Variable.__hash__


def _watched_function(cls):
    """A user's class of functions, whose objects tell who looks at what they saved."""
    if "_dynet_watched" not in cls.__dict__:

        def saved(self):
            if not _is_trusted():
                _note(f"it looks at what {cls.__name__} saved")
            return Function.saved.__get__(self)

        body = {"__slots__": (), "saved": property(saved, Function.saved.__set__)}
        cls._dynet_watched = type(cls.__name__, (cls,), body)
    return cls.__dict__["_dynet_watched"]


class Call(NamedTuple):
    """One function that a step called.

    Attributes:
        cls: the function's class.
        settings: what was in its attributes before it ran.
        frozen: settings and sources, comparable.
        sources: where each input comes from: ``("x", i)``, ``("carry", i)``, ``("external", i)``,
            ``("constant", value)``, or the number of an earlier call and which of its outputs.
        outputs: the shape and dtype of each.
        records: whether calls left a record (not so under ``no_backprop_mode``).
        line: where it was called.
    """

    cls: type
    settings: dict
    frozen: tuple
    sources: tuple
    outputs: tuple
    records: bool
    line: str


class Record(NamedTuple):
    """What one run of a step did.

    Attributes:
        calls: every ``Call``.
        carry, ys: where the leaves that it returned come from.
        externals: the arrays that it closes over, each with the node of its Variable or ``None``.
    """

    calls: list
    carry: tuple
    ys: tuple
    externals: list


class Recorder(FunctionHook):
    """Notes what one run of a step does, while it is in force.

    Attributes:
        obstacle (str): the first reason found why the step cannot be compiled.
        calls, functions (list): every ``Call``, and the function that was called.
        externals (list): the arrays that the step closes over, with their nodes.
        hooks (tuple): the hooks in force while it runs.
    """

    def __init__(self):
        self.obstacle = None
        self.calls = []
        self.externals = []
        self._places = {}  # of arrays by id: where they come from
        self._kept = []  # those arrays, so that no other gets their id
        self._made = []  # weak references to the Variables that are watched
        self.hooks = ()
        self._xs = []  # what the function that runs was called with
        self._open = None
        self._prints = []  # of the externals, when they were first read
        self.functions = []

    def run(self, steps, carry, x):
        """Run the step; returns its new carry and y, as lists of Variables.

        Args:
            steps: the scan.
            carry, x: lists of Variables; the step gets others in their place.
        """
        given = {"carry": [self._stand_in(v) for v in carry], "x": [self._stand_in(v) for v in x]}
        for kind, variables in given.items():
            for i, v in enumerate(variables):
                self._follow(v, (kind, i))
        config.hooks = self.hooks = (self,)  # nobody else listens, or the step would not be read
        _running.recorder = self
        _all_running.append(self)
        try:
            carry, ys = steps(given.pop("carry"), given.pop("x"))
        finally:
            config.hooks = ()
            _running.recorder = None
            _all_running.remove(self)
            self._release()
        return carry, ys

    def finish(self, carry, ys) -> Record:
        """What was noted, once it is known where the results come from."""
        carry = tuple([self._source(v.array, v.node) for v in carry])
        ys = tuple([self._source(v.array, v.node) for v in ys])
        return Record(self.calls, carry, ys, self.externals)

    def check_variables(self) -> None:
        """Raise if something holds a Variable of the step, when all that is known of has let go."""
        for reference, where in self._made:
            if reference() is not None:
                raise Obstacle(f"it keeps a Variable outside its carry and y: {where}")

    def check_externals(self) -> None:
        """Raise if the step has changed an array in place that it closes over."""
        check_unchanged([x for x, _ in self.externals], self._prints)

    def forget(self):
        """Let go of the arrays."""
        self._places.clear()
        self._kept.clear()
        self.functions.clear()

    def _stand_in(self, v):
        # Another array object with the same elements: each is known by where it comes from.
        if not is_dynets(type(v)):
            self.obstacle = f"it is given a {type(v).__name__}, which is more than a Variable"
        other = variable_at(v.node, v.array.view())
        other.name = v.name
        return other

    def _follow(self, v, place, where="one that it was given"):
        self._places[id(v.array)] = place
        self._kept.append(v.array)
        self._made.append((weakref.ref(v), where))
        v.__class__ = Watched

    def _release(self):
        for reference, _ in self._made:
            v = reference()
            if v is not None:
                v.__class__ = Variable
        for call, function in zip(self.calls, self.functions, strict=True):
            function.__class__ = call.cls

    def _source(self, x, node):
        if not is_array(x):
            return "constant", x
        place = self._places.get(id(x))
        if place is None:
            # One array may be a Variable's here and a constant there.
            key = id(x), node and id(node)
            place = self._places.get(key)
            if place is None:
                self.externals.append((x, node))
                self._prints.append(fingerprint(x))
                self._kept.append(x)
                place = self._places[key] = ("external", len(self.externals) - 1)
        return place

    # -- as a hook ---------------------------------------------------------------------------

    def forward_preprocess(self, function, xs):
        if self._open is not None:
            outer, _, line = self._open
            self.obstacle = self.obstacle or f"{outer.name} calls {function.name} inside ({line})"
            return
        line = debugging.user_line()
        if config.hooks is not self.hooks or config.debug:
            what = "turns on debug mode" if config.debug else "has a hook of its own"
            self.obstacle = self.obstacle or f"it {what} ({line})"
        self._open = function, settings_of(function), line

    def _frozen(self, function, settings, sources, line):
        try:
            constants = [s if s[0] != "constant" else ("constant", freeze(s[1])) for s in sources]
            return freeze(settings), tuple(constants)
        except TypeError as error:
            self.obstacle = self.obstacle or f"{function.name} has {error} ({line})"
            return ()

    def forward_return(self, function, ys):
        if self._open is None or self._open[0] is not function:
            return
        _, settings, line = self._open
        self._open = None
        recorded = hasattr(function, "number")
        nodes = function.inputs if recorded else [None] * len(self._xs)
        sources = tuple([self._source(x, n) for x, n in zip(self._xs, nodes, strict=True)])
        variables = ys if type(ys) is tuple else (ys,)
        outputs = tuple([(v.shape, v.dtype) for v in variables])
        if not is_dynets(type(function)):
            left = {n: a for n, a in settings_of(function).items() if is_array(a)}
            for name in left:
                if left[name] is not settings.get(name):
                    self.obstacle = self.obstacle or (
                        f"{function.name} keeps an array in self.{name}, where anybody may look at "
                        f"it; self.save(...) keeps one for backward ({line})"
                    )
        call = len(self.calls)
        records = config.enable_backprop
        self.functions.append(function)
        self.calls.append(
            Call(
                type(function),
                settings,
                self._frozen(function, settings, sources, line),
                sources,
                outputs,
                records,
                line,
            )
        )
        if not is_dynets(type(function)):
            function.__class__ = _watched_function(type(function))
        for i, v in enumerate(variables):
            if id(v.array) in self._places:  # the function gave what it got
                v.array = v.array.view()
            self._follow(v, (call, i), f"one that {function.name} made ({line})")

    def forward_postprocess(self, function, xs, ys):
        self._xs = list(xs)

    def backward_preprocess(self, function, gys):
        self.obstacle = self.obstacle or f"it runs a backward pass ({debugging.user_line()})"


def _always():
    """What ``getrefcount`` says of an object that a list holds and a name has, in this Python."""
    kept = [object()]
    f = kept[0]
    return sys.getrefcount(f)


_ALWAYS = _always()


def check_functions(recorders, variables) -> None:
    """Raise if anything but the tape and some Variables holds a function that steps called.

    Nothing can refer weakly to a function, so its references are counted.
    """
    functions = [f for recorder in recorders for f in recorder.functions]
    calls = [call for recorder in recorders for call in recorder.calls]
    holders = [*[(v.node,) for v in variables], *[getattr(f, "inputs", ()) for f in functions]]
    outputs = {id(node): node for holder in holders for node in holder if type(node) is Output}
    holders += [(output.function,) for output in outputs.values()]
    held = {}
    for holder in holders:
        for node in holder:
            held[id(node)] = held.get(id(node), 0) + 1
    del holders, holder, node
    while functions:
        f, call = functions.pop(), calls.pop()
        if sys.getrefcount(f) - _ALWAYS > held.get(id(f), 0):
            raise Obstacle(
                f"it keeps the function {call.cls.__name__}, or its record ({call.line})"
            )


# Of larger arrays, in bytes, only some elements are looked at.
LARGE = 1 << 20


def check_unchanged(arrays, prints) -> None:
    """Raise if a step has changed one of some arrays in place."""
    for x, before in zip(arrays, prints, strict=True):
        if fingerprint(x) != before:
            raise Obstacle(
                f"it changes an array in place that it computes with, {x.dtype} {x.shape}"
            )


def fingerprint(x):
    """A number that changes when an array does."""
    if type(x) is not np.ndarray or x.dtype.kind not in "biuf" or x.dtype.itemsize > 8:
        return None
    bits = (x if x.flags.c_contiguous else x.T).reshape(-1)
    if x.nbytes > LARGE:
        bits = bits[:: x.nbytes // LARGE + 1].copy()
    return weighed_sum(bits.view(f"u{x.dtype.itemsize}"))


_TAPE_S_OWN = frozenset(("inputs", "saved", "seen", "notes", "number"))


@cache
def _slots(cls) -> tuple:
    """The names of the attributes of a class of functions, without the tape's own."""
    names = [name for c in cls.__mro__ for name in c.__dict__.get("__slots__", ())]
    return tuple([name for name in names if name not in _TAPE_S_OWN])


def settings_of(function) -> dict:
    """What is in a function's attributes, without what the tape keeps there."""
    cls = type(function)
    settings = {name: getattr(function, name) for name in _slots(cls) if hasattr(function, name)}
    return settings | getattr(function, "__dict__", {})


def fresh(cls, settings: dict) -> Function:
    """A function as it was before it was called."""
    function = object.__new__(cls)
    for name, value in settings.items():
        setattr(function, name, value)
    function.saved = ()
    return function


def freeze(x: Any):
    """A setting as something that can be compared and hashed, elements of arrays included."""
    kind = type(x)
    if x is None or kind in (bool, int, str, bytes, type, type(Ellipsis)):
        return kind, x
    if kind is float:
        return kind, x.hex()
    if kind in (tuple, list):
        return kind, *[freeze(a) for a in x]
    if kind is dict:
        return kind, *[(freeze(k), freeze(v)) for k, v in x.items()]
    if kind is slice:
        return kind, freeze(x.start), freeze(x.stop), freeze(x.step)
    if kind is np.ndarray or isinstance(x, np.generic):
        return np.ndarray, x.shape, x.dtype.str, x.tobytes()
    if isinstance(x, np.dtype):
        return np.dtype, x.str
    if isinstance(x, Variable):
        raise TypeError("a Variable for a setting, whose elements may change from step to step")
    if isinstance(x, type) or (callable(x) and not hasattr(x, "__dict__")):
        return kind, x
    raise TypeError(f"a setting of type {kind.__name__}, which cannot be compared")


def compare(first: Record, second: Record) -> None:
    """Raise an ``Obstacle`` unless the two records are of one program."""
    for a, b in zip(first.calls, second.calls):  # noqa: B905 - told apart below
        if a.cls is not b.cls:
            raise Obstacle(
                f"it called {a.cls.__name__} in its first run ({a.line}), {b.cls.__name__} in its "
                f"second ({b.line})"
            )
        name = f"{a.cls.__name__} ({a.line})"
        if a.frozen[0] != b.frozen[0]:
            raise Obstacle(f"{name} had other settings in its second run")
        if a.outputs != b.outputs:
            raise Obstacle(f"{name} gave {_shapes(a)} in its first run, {_shapes(b)} in its second")
        if a.frozen[1] != b.frozen[1]:
            raise Obstacle(f"{name} was called with something else in its second run")
        if a.records != b.records:
            raise Obstacle(f"{name} was recorded in one run and not in the other")
        for _, i in [s for s in a.sources if s[0] == "external"]:
            _check_same(f"{name} got", first.externals[i], second.externals[i])
    if len(first.calls) != len(second.calls):
        counts = len(first.calls), len(second.calls)
        raise Obstacle("it called {} functions in its first run, {} in its second".format(*counts))
    for what, a, b in ("carry", first.carry, second.carry), ("y", first.ys, second.ys):
        for i, (s, t) in enumerate(zip(a, b, strict=True)):
            if s != t:
                raise Obstacle(f"leaf {i} of its {what} came from somewhere else in its second run")
            if s[0] == "external":
                _check_same(
                    f"leaf {i} of its {what} is", first.externals[s[1]], second.externals[s[1]]
                )


def _check_same(what, first, second):
    if first[0] is not second[0] or first[1] is not second[1]:
        raise Obstacle(
            f"{what} an array that is another one in every run; if it is constant, make it once, "
            "outside the step"
        )


def _shapes(call):
    return ", ".join([f"{dtype} {shape}" for shape, dtype in call.outputs])
