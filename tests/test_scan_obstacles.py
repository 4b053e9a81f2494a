"""Steps that cannot be compiled truthfully: ``scan`` runs them as the plain loop, and says why.

Every test compares with ``compiled=False``: the values, all gradients, what the step did besides,
and where the stream of random numbers is afterwards. Nothing else is promised of a step that does
what a compiled loop could not.
"""

import copy
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from numba import njit

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Function, Variable, scanning
from dynet.kernels import arithmetic
from dynet.scanning.structure import flatten

T, B, N = 12, 4, 3
HERE = os.path.basename(__file__)


def numbers(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


class Made(NamedTuple):
    """A step; the Variables it closes over; what it has done besides, as a function."""

    step: object
    closed_over: tuple = ()
    effects: object = lambda: ()


def inputs(init=None, xs=None, dtype=np.float64):
    init = Variable(numbers(B, N, seed=5, dtype=dtype)) if init is None else init
    return init, Variable(numbers(T, B, N, seed=6, dtype=dtype)) if xs is None else xs


def variables(*trees):
    return [v for v in flatten(trees)[0] if isinstance(v, Variable)]


def ran(make, compiled, given, length=None):
    """All that a run of a step comes to: values, gradients, effects, the stream's state."""
    for seed in (dynet.random.seed, np.random.seed, random.seed):
        seed(1)
    made = make()
    init, xs = given()
    outputs = variables(dynet.scan(made.step, init, xs, length=length, compiled=compiled))
    weighed = [
        F.cast((v * numbers(*v.shape, seed=9 + i, dtype=v.dtype)).sum(), np.float64)
        for i, v in enumerate(outputs)
        if v.requires_grad
    ]
    if weighed:
        sum(weighed).backward()
    leaves = [v for v in variables(init, xs) if v.requires_grad]
    gradients = [v.grad for v in (*leaves, *made.closed_over)]
    plain = [float(e) if np.ndim(e) == 0 else e for e in made.effects()]
    return [v.array for v in outputs], gradients, plain, dynet.random.get_state()


def assert_alike(ours, theirs, rtol):
    for what, a, b in zip(("values", "gradients", "effects"), ours, theirs, strict=False):
        assert len(a) == len(b), what
        for x, y in zip(a, b, strict=True):
            assert (x is None) == (y is None), what
            if x is not None:
                np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol, err_msg=what)
    assert ours[3] == theirs[3]


def check_same(make, given=inputs, length=None, rtol=1e-9):
    """What runs by default is the plain loop, or as good; nothing is said of a mistake."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        theirs = ran(make, False, given, length)
        assert_alike(ran(make, None, given, length), theirs, rtol)


def why_not(make, given=inputs, length=None):
    init, xs = given()
    with np.errstate(all="ignore"):
        return scanning.explain(make().step, init, xs, length=length)


def check_compiled(make, given=inputs, length=None, rtol=1e-9):
    assert why_not(make, given, length) is None
    check_same(make, given, length, rtol)


def check_plain(make, reason, given=inputs, line=True):
    """It is run as the plain loop; ``explain`` and ``compiled=True`` say why, and where."""
    check_same(make, given)
    why = why_not(make, given)
    assert why is not None and reason in why, why
    assert not line or f"{HERE}:" in why, why
    init, xs = given()
    with pytest.raises(RuntimeError) as raised:
        dynet.scan(make().step, init, xs, compiled=True)
    assert reason in str(raised.value)


def elman(between=lambda h, x: h):
    """A recurrent step of which something is done with what it computes."""

    def make():
        W = Variable(numbers(N, N, seed=1))

        def step(h, x):
            h = F.tanh(F.linear(h, W) + x)
            h = between(h, x)
            return h, h * x

        return Made(step, (W,))

    return make


def elementwise(rule):
    """A step around one function of the state."""

    def step(h, x):
        h = F.tanh(rule(h) * 0.5 + x)
        return h, h

    return lambda: Made(step)


def logging(look):
    """A step that notes a number about its state at every time step."""

    def make():
        W, log = Variable(numbers(N, N, seed=1)), []

        def step(h, x):
            h = F.tanh(F.linear(h, W) + x)
            log.append(look(h))
            return h, h * x

        return Made(step, (W,), lambda: list(log))

    return make


# -- looks ---------------------------------------------------------------------------------------


def elements(x):
    """A helper of the user's."""
    return x.array if isinstance(x, Variable) else x


class Peeks(dynet.Link):
    def __call__(self, h):
        return np.abs(h.array).max()


def in_a_thread(look):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(look()))
    thread.start()
    thread.join()
    return seen[0]


def unheard(look):
    with dynet.using_config("hooks", ()):
        return look()


TARGETS = np.array([0, 1, 2, 0])
LOOKS = {
    "bool": lambda h: bool(h.sum() * 0 + 1),
    "float": lambda h: float(h.sum()),
    "int": lambda h: int(h.sum() * 100),
    "item": lambda h: h.sum().item(),
    "array": lambda h: h.array.sum(),
    "array of a view": lambda h: h.T[0].array.sum(),
    "array of a sum": lambda h: F.sum(h).array,
    "repr": lambda h: hash(repr(h)) % 997,
    "str": lambda h: hash(str(h)) % 997,
    "a formatted string": lambda h: hash(f"{h}") % 997,
    "greater": lambda h: (h > 0).sum(),
    "less or equal": lambda h: (h <= 0).sum(),
    "equal": lambda h: (h == 0).sum(),
    "np.less": lambda h: np.less(h, 0).sum(),
    "np.isnan": lambda h: np.isnan(h).sum(),
    "argmax": lambda h: F.argmax(h).item(),
    "np.argmax": lambda h: np.argmax(h).item(),
    "the method argmin": lambda h: h.argmin(axis=1).array.sum(),
    "accuracy": lambda h: F.accuracy(h, TARGETS).item(),
    "f1_score": lambda h: F.f1_score(h, TARGETS)[0].array.sum(),
    "a cast to integers": lambda h: F.cast(h * 10, np.int32).array.sum(),
    "astype": lambda h: (h * 10).astype(np.int64).array.sum(),
    "DLPack": lambda h: np.from_dlpack(h).sum(),
    "a helper": lambda h: elements(h).sum(),
    "a link": lambda h: Peeks()(h),
    "a thread": lambda h: in_a_thread(lambda: h.array.sum()),
    "a function in a thread": lambda h: in_a_thread(lambda: float(h.sum())),
    "a function that nobody hears of": lambda h: unheard(lambda: float(h.sum())),
    "iteration": lambda h: max([float(v) for v in h[0]]),
    "the node": lambda h: h.node.number * 0,
    "requires_grad": lambda h: h.requires_grad,
    "creator": lambda h: h.creator is None,
    "grad": lambda h: h.grad is None,
    "pickle": lambda h: len(pickle.dumps(Variable(h.array))),
    "setting the array": lambda h: setattr(h, "array", h.array * 0.5) or 0,
    "retain_grad": lambda h: h.retain_grad() or 0,
    "unchain": lambda h: (h * 1).unchain() or 0,
    "to_device": lambda h: h.to_device("cpu") or 0,
    "backward": lambda h: (h * 0).sum().backward() or 0,
    "grad of a function": lambda h: dynet.grad([(h * h).sum()], [h])[0].array.sum(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_step_that_looks_at_a_value_is_run_as_the_loop(look):
    check_plain(logging(look), "")


FORKS = {
    "if": lambda h, x: h * 2 if h.sum() > 0 else h,
    "if by NumPy": lambda h, x: h * 2 if np.greater(h, 0.5).any() else h,
    "where": lambda h, x: F.where(h > 0, h, h * 0.1),
    "where by NumPy": lambda h, x: F.where(np.less(h, 0), h * 0.1, h),
    "accuracy": lambda h, x: h * 2 if F.accuracy(h, TARGETS).item() > 0.4 else h,
    "threads": lambda h, x: h * (2 if in_a_thread(lambda: h.array.sum() > 0) else 1),
    "argmax": lambda h, x: h * F.argmax(h, axis=1).array[:, None],
    "a mask": lambda h, x: h * h.array,
    "range": lambda h, x: sum([h] * int(abs(h.sum()) % 3 + 1)),
}


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_step_that_goes_by_a_value_is_run_as_the_loop(fork):
    check_plain(elman(fork), "")


@pytest.mark.parametrize("compiled", [None, False])
@pytest.mark.parametrize("look", [np.asarray, copy.copy, copy.deepcopy, pickle.dumps, np.sort])
def test_what_a_variable_refuses_it_refuses_in_a_step_too(look, compiled):
    with pytest.raises(TypeError):
        dynet.scan(logging(look)().step, *inputs(), compiled=compiled)


def test_a_step_that_asks_for_a_gradient_that_comes_late_is_run_as_the_loop():
    def make():
        W = Variable(np.array(0.5))

        def step(carry, x):
            a, b, c = carry
            return (a * W + x, a, b), c * 2 if c.requires_grad else c * 3

        return Made(step, (W,))

    given = lambda: ((numbers(B, N), numbers(B, N), numbers(B, N)), numbers(T, B, N))  # noqa: E731
    check_plain(make, "requires_grad", given)


class Saves(Function):
    def forward(self, x):
        y = np.exp(-x * x)
        self.save(x, y)
        return y

    def backward(self, gy):
        x, y = self.saved
        return -2 * x * y * gy


def test_a_step_that_looks_at_what_a_function_saved_is_run_as_the_loop():
    def make():
        def step(h, x):
            f = Saves()
            y = f(h + x)
            return y * (2 if f.saved[1].sum() > 8 else 1), y

        return Made(step)

    check_plain(make, "saved", line=False)


def test_the_shape_of_a_value_may_be_looked_at():
    check_compiled(elman(lambda h, x: h * (2 if h.shape[0] > 3 and h.ndim == len(x.shape) else 1)))


# -- leaks ---------------------------------------------------------------------------------------


class Cycle:
    def __init__(self, h):
        self.itself, self.h = self, h


def caught(h):
    try:
        raise ValueError(h)
    except ValueError as error:
        return error


KEEPS = {
    "its state": lambda h, z, x, h0: h,
    "what it made on the way": lambda h, z, x, h0: z,
    "what nothing else uses": lambda h, z, x, h0: F.sum(z),
    "its input": lambda h, z, x, h0: x,
    "the carry that it was given": lambda h, z, x, h0: h0,
    "a view": lambda h, z, x, h0: h[:2],
    "a reshaped view": lambda h, z, x, h0: h.reshape(-1),
    "a closure": lambda h, z, x, h0: lambda: h,
    "a generator": lambda h, z, x, h0: (v for v in [z]),
    "a dict": lambda h, z, x, h0: {"h": h},
    "an exception": lambda h, z, x, h0: caught(h),
    "a reference cycle": lambda h, z, x, h0: Cycle(h),
    "the node": lambda h, z, x, h0: z.node,
    "the creator": lambda h, z, x, h0: z.creator,
}


@pytest.mark.parametrize("what", KEEPS.values(), ids=KEEPS)
def test_a_step_that_keeps_something_is_run_as_the_loop(what):
    def make():
        W, kept = Variable(numbers(N, N, seed=1)), []

        def step(h0, x):
            z = F.linear(h0, W)
            h = F.tanh(z + x)
            kept.append(what(h, z, x, h0))
            return h, h * x

        return Made(step, (W,), lambda: [len(kept)])

    check_plain(make, "", line=False)


def test_a_stateful_link_is_run_as_the_loop():
    class Stateful(dynet.Link):
        h = None

        def __call__(self, x):
            self.h = x if self.h is None else F.tanh(self.h * 0.5 + x)
            return self.h

    def make():
        link = Stateful()
        return Made(lambda h, x: (h * 1, link(x + h)), (), lambda: [link.h.array])

    check_plain(make, "")


class Masks(Function):
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, gy):
        return gy * self.mask


PARTS = [(Masks, lambda f: f), (Masks, lambda f: f.mask), (Saves, lambda f: f),
         (Saves, lambda f: f.saved[1])]  # fmt: skip


@pytest.mark.parametrize("cls, part", PARTS)
def test_a_step_that_keeps_a_function_or_what_it_computed_is_run_as_the_loop(cls, part):
    def make():
        kept = []

        def step(h, x):
            f = cls()
            h = f(h + x)
            kept.append(part(f))
            return h, h

        return Made(step, (), lambda: [len(kept)])

    check_plain(make, "", line=False)


def test_variables_that_survive_are_ordinary_ones():
    kept = []

    def step(h, x):
        kept.extend([h, x, h * x])
        return h * x, h + x

    carry, ys = dynet.scan(step, *inputs())
    assert {type(v) for v in (*kept, carry, ys)} == {Variable}
    with pytest.raises(ZeroDivisionError):
        dynet.scan(lambda h, x: kept.append(h * 1) or 1 // 0, *inputs())
    assert type(kept[-1]) is Variable


# -- what changes from step to step --------------------------------------------------------------


def counting(use):
    """A step with a counter, or something else of its own."""

    def make():
        box = SimpleNamespace(
            n=0,
            a=numbers(B, N, seed=3),
            small=numbers(B, N, seed=3) * 1e-6,
            W=Variable(numbers(N, N, seed=1)),
            rng=np.random.default_rng(0),
            probes=[],
        )

        def step(h, x):
            box.n += 1
            h = F.tanh(use(box, h, x))
            return h, h

        return Made(step, (), lambda: [box.n, box.a, box.small, box.W.array])

    return make


def write(target, values):
    target[...] = values
    return target


def decay(array):
    array *= 0.9
    return 0.0


CHANGES = {
    "a counter": lambda s, h, x: h + x * s.n,
    "every other step": lambda s, h, x: h + x if s.n % 2 else h - x,
    "another number of functions": lambda s, h, x: h + x if s.n % 2 else -(h + x),
    "a number of Python's": lambda s, h, x: h + x * random.random(),
    "a number of NumPy's": lambda s, h, x: h + x * np.random.rand(),
    "a number of a generator's": lambda s, h, x: h + x * s.rng.random(),
    "a number of dynet's": lambda s, h, x: h + x * float(dynet.random.uniform((1,))[0]),
    "the time": lambda s, h, x: h + x + time.perf_counter_ns() * 0.0 * s.n + s.n,
    "a coin of Python's": lambda s, h, x: h + x if random.random() < 0.6 else h - x,
    "a coin of NumPy's": lambda s, h, x: h + x if np.random.rand() < 0.6 else h - x,
    "new zeros": lambda s, h, x: h + x + np.zeros((B, N)),
    "new noise": lambda s, h, x: h + x + dynet.random.normal((B, N), np.float64),
    "new Variables": lambda s, h, x: h + x + Variable(np.ones(N)),
    "noise in place": lambda s, h, x: h + x + write(s.a, s.rng.normal(size=(B, N))),
    "little noise in place": lambda s, h, x: h + x + write(s.small, 1e-7 * s.rng.random((B, N))),
    "turned over in place": lambda s, h, x: h + x + write(s.small, s.small[::-1].copy()),
    "shuffled in place": lambda s, h, x: h + x + (s.rng.shuffle(s.small.T), s.small)[1],
    "a decay in place": lambda s, h, x: F.linear(h, s.W) + x + decay(s.W.array),
    "another parameter": lambda s, h, x: F.linear(h, Variable(s.W.array * 0.9)) + x,
    "a leaf of every step": lambda s, h, x: h + x + Variable(s.a),
    "the stream put back": lambda s, h, x: (dynet.random.seed(3), F.dropout(h + x, 0.5))[1],
}  # fmt: skip


@pytest.mark.parametrize("use", CHANGES.values(), ids=CHANGES)
def test_a_step_that_changes_is_run_as_the_loop(use):
    check_plain(counting(use), "", line=False)


def test_a_parameter_that_decays_a_little_in_place_is_found_out():
    def make():
        W = Variable(numbers(N, N, seed=1, dtype=np.float32))

        def step(h, x):
            h = F.tanh(F.linear(h, W) + x)
            W.array *= np.float32(0.9999)
            return h, h

        return Made(step, (), lambda: [W.array])

    check_plain(make, "in place", lambda: inputs(dtype=np.float32), line=False)


def test_inputs_that_the_step_changes_in_place_are_found_out():
    xs = numbers(T, B, N)

    def make():
        xs[...] = numbers(T, B, N)

        def step(h, x):
            xs[2:] *= 0.5
            h = F.tanh(h + x)
            return h, h

        return Made(step, (), lambda: [xs])

    check_plain(make, "", lambda: (Variable(numbers(B, N)), xs), line=False)


def test_each_variable_that_a_step_makes_gets_its_own_gradient():
    zeros = np.zeros((B, N))

    def gradients(compiled, alone):
        one, probes = Variable(zeros), []

        def step(h, x):
            probes.append(one if alone else Variable(zeros))
            h = F.tanh(h + x + probes[-1])
            return h, h

        h, ys = dynet.scan(step, *inputs(), compiled=compiled)
        (h.sum() + ys.sum()).backward()
        return [p.grad for p in probes]

    gradients(None, alone=True)  # the same program, that compiled is right for
    for ours, theirs in zip(gradients(None, False), gradients(False, False), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_what_changes_at_the_third_step_is_not_found():
    """The one limit: two steps are read. It stands here so that nobody takes it for a promise."""
    calls = []

    def step(h, x):
        calls.append(1)
        return (h + x if len(calls) < 3 else h - x), None

    init, xs = np.zeros((B, N)), np.ones((T, B, N))
    h, _ = dynet.scan(step, init, xs)
    assert len(calls) == 2
    np.testing.assert_array_equal(h.array, np.full((B, N), T))


def test_a_parameter_replaced_between_two_calls_is_the_new_one():
    def make():
        W = Variable(numbers(N, N, seed=1))
        step = lambda h, x: (F.tanh(F.linear(h, W) + x),) * 2  # noqa: E731
        dynet.scan(step, *inputs())
        W.array = numbers(N, N, seed=2)
        return Made(step, (W,))

    check_compiled(make)


# -- settings, noise and statistics --------------------------------------------------------------


def test_dropout_and_zoneout_in_a_step_are_compiled():
    check_compiled(elementwise(lambda h: F.zoneout(h, F.dropout(h, 0.3), 0.4)))


def untrained(h):
    with dynet.using_config("train", False):
        return F.dropout(h, 0.5)


def unrecorded(h):
    with dynet.no_backprop_mode():
        return F.exp(-h * h)


@pytest.mark.parametrize("rule", [untrained, lambda h: h * unrecorded(h)])
def test_settings_that_hold_for_a_part_of_a_step_are_compiled(rule):
    check_compiled(elementwise(rule))


def watched(h):
    with dynet.function_hooks.TimerHook():
        return h * 1


def debugged(h):
    with dynet.using_config("debug", True):
        return F.exp(h * 3)


@pytest.mark.parametrize("rule", [
    lambda h: F.dropout(h, return_mask=True)[0],
    lambda h: F.gaussian(h, h),
    lambda h: F.gumbel_softmax(h),
    lambda h: F.forget(F.tanh, h),
    lambda h: F.batch_normalization(h, np.ones(N), np.zeros(N), running_mean=np.zeros(N)),
    watched,
], ids=["a mask", "gaussian", "gumbel_softmax", "forget", "statistics", "a hook"])  # fmt: skip
def test_noise_outside_and_what_a_function_keeps_aside_are_run_as_the_loop(rule):
    check_plain(elementwise(rule), "", line=False)


def test_running_statistics_are_moved_at_every_step():
    def make():
        norm = L.BatchNormalization(N, dtype=np.float64)
        step = lambda h, x: (norm(h + x), None)  # noqa: E731
        return Made(step, tuple(norm.params()), lambda: [norm.avg_mean, norm.avg_var])

    check_plain(make, "BatchNormalization")


class Hears(dynet.FunctionHook):
    def __init__(self):
        self.names = []

    def forward_preprocess(self, function, xs):
        self.names.append(function.name)


@pytest.mark.parametrize("compiled", [None, False])
def test_a_hook_in_force_hears_of_every_function(compiled):
    with Hears() as hook:
        dynet.scan(elman()().step, *inputs(), compiled=compiled)
    assert hook.names.count("Tanh") == T
    with Hears(), pytest.raises(RuntimeError, match="hook"):
        dynet.scan(elman()().step, *inputs(), compiled=True)


def test_a_hook_of_the_step_s_own_hears_of_every_function():
    hook = Hears()

    def step(h, x):
        with hook:
            h = F.tanh(h + x)
        return h, None

    dynet.scan(step, *inputs())
    assert hook.names == ["Add", "Tanh"] * T


@pytest.mark.parametrize("inside", [False, True])
def test_debug_mode_finds_the_first_infinity(inside):
    step = lambda h, x: (debugged(h) if inside else F.exp(h * 3), None)  # noqa: E731
    with (
        dynet.using_config("debug", not inside),
        np.errstate(over="ignore"),
        pytest.raises(FloatingPointError, match=f"Exp.*{HERE}"),
    ):
        dynet.scan(step, np.ones((B, N)), np.ones((T, B, N)))


@pytest.mark.parametrize("at", [1, 2, 10])
@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whatever_a_step_raises_everything_is_as_before(at, kind):
    seen = []

    def step(h, x):
        seen.append(h)
        h = F.dropout(h + x)
        if len(seen) == at:
            float(h.sum())
            raise kind("stop")
        return h, h.array.sum(keepdims=True)

    before = dynet.config.hooks, dynet.config.train, dynet.config.enable_backprop
    with pytest.raises(kind):
        dynet.scan(step, *inputs())
    assert len(seen) == at
    assert before == (dynet.config.hooks, dynet.config.train, dynet.config.enable_backprop)
    assert {type(h) for h in seen} == {Variable}
    check_compiled(elman())  # the next scan is none the worse for it


@pytest.mark.parametrize("bad", [-1, 5, np.iinfo(np.int64).max, np.iinfo(np.int64).min])
@pytest.mark.parametrize("at", [0, 1, 9])
def test_a_value_that_a_function_refuses_is_refused_as_in_the_loop(at, bad):
    ids = np.random.default_rng(0).integers(0, 5, (T, B))
    ids[at, 2] = bad
    W = Variable(numbers(5, N))
    said = []
    for compiled in (None, False):
        state = dynet.random.get_state()
        with pytest.raises(IndexError) as raised:
            dynet.scan(lambda h, x: (F.tanh(h + F.embed_id(x, W)), h), np.ones((B, N)), ids,
                       compiled=compiled)  # fmt: skip
        said.append(str(raised.value))
        assert dynet.random.get_state() == state
    assert said[0] == said[1]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_ids_may_be_of_any_integer_dtype(dtype):
    ids = np.random.default_rng(0).integers(0, 5, (T, B)).astype(dtype)

    def make():
        W = Variable(numbers(5, N))
        return Made(lambda h, x: (F.tanh(h + F.embed_id(x, W)),) * 2, (W,))

    check_compiled(make, lambda: inputs(xs=ids))


# -- functions of the user's ---------------------------------------------------------------------


class Rule(Function):
    """Of a factor that only the backward rule knows."""

    def forward(self, x):
        return x * 1

    def backward(self, gy):
        return gy


class Cube(Rule):
    def forward(self, x):
        self.save(x)
        return x * x * x

    def backward(self, gy):
        (x,) = self.saved
        return 3 * x * x * gy


class SavesSomethingElse(Rule):
    def forward(self, x):
        e = np.exp(x)
        self.save(e, x.sum(axis=0))
        return np.log1p(e)

    def backward(self, gy):
        e, _ = self.saved
        return gy * e / (1 + e)


class WritesIntoItsOwn(Rule):
    def forward(self, x):
        y = x.copy()
        y *= 2
        y += 1
        return y

    def backward(self, gy):
        return gy * 2


class LoopsOverColumns(Rule):
    def forward(self, x):
        return np.stack([x[:, j] * (j + 1) for j in range(x.shape[1])], axis=1)

    def backward(self, gy):
        return np.stack([gy[:, j] * (j + 1) for j in range(gy.shape[1])], axis=1)


class OverTheBatch(Rule):
    def forward(self, x):
        return x - x.mean(axis=0)

    def backward(self, gy):
        return gy - gy.mean(axis=0)


class Wanted(Rule):
    def backward(self, gy):
        return gy if self.wants(0) else None


class NoGradient(Rule):
    def backward(self, gy):
        return None


class Several(Rule):
    def forward(self, x):
        return x * 2, (x > 0).astype(np.int32), x * 3

    def backward(self, a, b, c):
        assert b is None and c is None
        return a * 2


class Settings(Rule):
    def __init__(self, setting):
        self.setting = setting


class Takes(Rule):
    def forward(self, x, constant):
        return x * 1

    def backward(self, gy):
        return gy, None


COMPILED_RULES = [
    Cube, SavesSomethingElse, WritesIntoItsOwn, LoopsOverColumns, OverTheBatch, Wanted, NoGradient,
    lambda: lambda h: Several()(h)[0],
    lambda: Settings(([1, 2], {"a": [None]}, "s", 2.5, np.float32(1), slice(1), np.arange(3))),
]  # fmt: skip


@pytest.mark.parametrize("rule", COMPILED_RULES)
def test_a_function_of_array_expressions_is_compiled_as_it_is(rule):
    check_compiled(elementwise(lambda h: rule()(h)))


class LoopsOverElements(Rule):
    def forward(self, x):
        y = np.empty_like(x)
        for i in np.ndindex(x.shape):
            y[i] = x[i]
        return y


class Linalg(Rule):
    def forward(self, x):
        return x / np.linalg.norm(x)


class BranchesForward(Rule):
    def forward(self, x):
        return x * (2 if x.sum() > 0 else 1)


class BranchesBackward(Rule):
    def forward(self, x):
        self.save(x)
        return x * 1

    def backward(self, gy):
        (x,) = self.saved
        return gy * 2 if x.max() > 0.5 else gy


class ClipsByNorm(Rule):
    def backward(self, gy):
        norm = np.sqrt((gy * gy).sum())
        return gy / norm if norm > 1 else gy


class Converts(Rule):
    def forward(self, x):
        return x * float(x.max())


class Selects(Rule):
    def forward(self, x):
        return x[x > -100].reshape(x.shape)


class WritesIntoAView(Rule):
    def forward(self, x):
        y = x.copy()
        y[:2] *= 2
        return y


class Swallows(Rule):
    def forward(self, x):
        try:
            large = bool((np.abs(x) > 0.93).any())
        except Exception:
            large = False
        return x * 0.1 if large else x * 1


class CallsAnother(Rule):
    def forward(self, x):
        return F.exp(x).array if isinstance(x, np.ndarray) else x


class Integers(Rule):
    def forward(self, x):
        return x * x.argmax(axis=1)[:, None]


class InComplex(Rule):
    def forward(self, x):
        return (x * 1j).imag


class Draws(Rule):
    def forward(self, x):
        return x * (np.random.rand(*x.shape) < 0.5)


@pytest.mark.parametrize("rule", [
    LoopsOverElements, Linalg, BranchesForward, BranchesBackward, ClipsByNorm, Converts, Selects,
    WritesIntoAView, Swallows, CallsAnother, Integers, InComplex, Masks,
])  # fmt: skip
def test_a_function_that_no_stand_in_can_go_through_is_run_as_the_loop(rule):
    check_plain(elementwise(lambda h: rule()(h)), rule.__name__)


def test_a_function_that_draws_its_numbers_itself_is_run_as_the_loop():
    check_plain(elementwise(lambda h: Draws()(h)), "", line=False)


ODD = [object(), lambda: 0, 1 + 2j, {1}, frozenset([1]), SimpleNamespace(a=1), range(3),
       np.random.default_rng(0), [Variable(np.ones(2))]]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("how", [lambda h, o: Settings(o)(h), lambda h, o: Takes()(h, o)])
def test_settings_and_constants_that_cannot_be_compared_are_run_as_the_loop(how, odd):
    check_plain(elementwise(lambda h: how(h, odd)), "")


def test_a_list_of_states_for_an_input_is_run_as_the_loop():
    check_plain(elementwise(lambda h: Takes()(h, [h])), "")


OUTSIDE = SimpleNamespace(factor=1.0)
FACTORS = [1.0]
TABLE = np.ones(N)


def factor():
    return OUTSIDE.factor


class ByObject(Rule):
    def backward(self, gy):
        return gy * OUTSIDE.factor


class ByHelper(Rule):
    def backward(self, gy):
        return gy * factor()


class ByDefault(Rule):
    def backward(self, gy, factors=FACTORS):
        return gy * factors[0]


class ByTable(Rule):
    def backward(self, gy):
        return gy * TABLE


class ByClass(Rule):
    factor = 1.0

    def backward(self, gy):
        return gy * self.factor


class ByBase(ByClass):
    def backward(self, gy):
        return gy * type(self).factor


class ByConfig(Rule):
    def backward(self, gy):
        return gy * (1.0 if dynet.config.train else 0.5)


def set_outside(value):
    OUTSIDE.factor = FACTORS[0] = TABLE[:] = ByClass.factor = value
    dynet.config.train = value == 1


@pytest.mark.parametrize("cls", [ByObject, ByHelper, ByDefault, ByTable, ByClass, ByBase, ByConfig])
def test_a_rule_that_reads_what_is_outside_has_it_as_it_is_at_every_call(cls):
    def make(value):
        set_outside(value)
        return elementwise(lambda h: cls()(h))()

    try:
        ran(lambda: make(1.0), None, inputs)
        check_same(lambda: make(0.5))
    finally:
        set_outside(1.0)


class Scaled(Rule):
    def __init__(self, by):
        self.by = by

    def backward(self, gy):
        return gy * self.by


def test_an_array_for_a_setting_that_is_overwritten_later_counts_as_it_was():
    by = np.ones(N)
    ran(elementwise(lambda h: Scaled(by)(h)), None, inputs)
    by[:] = 2
    check_same(elementwise(lambda h: Scaled(by)(h)))
    check_same(elementwise(lambda h: Scaled(np.ones(N))(h)))


def test_a_table_of_positions_that_is_overwritten_later_is_never_read_out_of_bounds():
    at = np.array([2, 0, 1])
    ran(elementwise(lambda h: F.get_item(h, (slice(None), at))), None, inputs)
    at[:] = 10**12
    fresh = np.array([2, 0, 1])
    check_same(elementwise(lambda h: F.get_item(h, (slice(None), fresh))))


class TheWrongShape(Rule):
    def backward(self, gy):
        return gy.sum(axis=0)


class TheWrongDtype(Rule):
    def backward(self, gy):
        return gy.astype(np.float32)


@pytest.mark.parametrize("cls", [TheWrongShape, TheWrongDtype])
def test_a_wrong_gradient_in_a_step_is_the_error_that_it_is_in_the_loop(cls):
    said = []
    for compiled in (None, False):
        given = inputs()
        h, _ = dynet.scan(elementwise(lambda h: cls()(h))().step, *given, compiled=compiled)
        with pytest.raises(ValueError) as raised:
            h.sum().backward()
        said.append(str(raised.value))
    assert said[0] == said[1]


@njit
def twice(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2 * x[i, j]


class Twice(Function):
    def forward(self, x):
        return arithmetic.run(twice, [x], [(x.shape, x.dtype)], by_rows=True)[0]

    def backward(self, gy):
        return arithmetic.run(twice, [gy], [(gy.shape, gy.dtype)], by_rows=True)[0]


def test_a_function_with_a_kernel_of_its_own_is_compiled():
    check_compiled(elementwise(lambda h: Twice()(h)))


# -- integers, dtypes, shapes, values ------------------------------------------------------------


class Counts(Function):
    """Arithmetic that wraps around at the end of a dtype's range."""

    def forward(self, k):
        next_one = k * 3 + k
        return next_one, next_one / 2, (next_one > 9) * 1.0, (k * k) % 7, (k * k + k) // 3, -k

    def backward(self, *gys):
        return None


INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_wrap_around_as_they_do_in_numpy(dtype):
    def step(k, x):
        ys = Counts()(k)
        return ys[0], ys

    check_same(lambda: Made(step), lambda: (np.arange(1, 7).astype(dtype), np.zeros(40)))


class Second(Function):
    def forward(self, h, x):
        return x

    def backward(self, gy):
        return None, gy


@pytest.mark.parametrize("dtype", ["float16", "longdouble", "U3", "M8[s]", "m8[s]", "O"])
def test_dtypes_that_no_compiled_loop_has_are_run_as_the_loop(dtype):
    xs = np.arange(T * B * N).reshape(T, B, N).astype(dtype)
    step = lambda h, x: (Second()(h, x), x)  # noqa: E731
    h, ys = dynet.scan(step, xs[0], xs)
    assert h.dtype == ys.dtype == xs.dtype
    np.testing.assert_array_equal(h.array, xs[-1])
    np.testing.assert_array_equal(ys.array, xs)
    with pytest.raises(RuntimeError, match="compiled"):
        dynet.scan(step, xs[0], xs, compiled=True)


def test_a_step_may_mix_dtypes_by_casts():
    def step(h, x):
        wide = F.cast(h, np.float64) * 1.1
        h = F.tanh(F.cast(wide, np.float32) * 0.5 + x)
        return h, wide

    check_same(lambda: Made(step), lambda: inputs(dtype=np.float32), rtol=1e-5)
    half = lambda h: F.cast(F.cast(h, np.float16), np.float64)  # noqa: E731
    check_plain(elementwise(half), "float16")


@pytest.mark.parametrize("array", [
    np.ones((B, N), ">f8") * 2, np.broadcast_to(np.ones(N), (B, N)), numbers(B, N)[::-1, ::-1],
    np.asfortranarray(numbers(B, N)), np.arange(B * N, dtype=np.int8).reshape(B, N),
])  # fmt: skip
def test_arrays_of_any_layout_may_be_closed_over(array):
    check_same(elementwise(lambda h: h * array))


@pytest.mark.parametrize("kind", [np.matrix, np.ma.array, np.complex128])
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_arrays_of_other_kinds_are_refused_as_in_the_loop(kind):
    array, said = kind(np.eye(N)), []
    for compiled in (None, False):
        with pytest.raises((TypeError, ValueError)) as raised:
            step = elementwise(lambda h: Multiplies()(h, array))().step
            dynet.scan(step, *inputs(), compiled=compiled)
        said.append(str(raised.value))
    assert said[0] == said[1]


class Multiplies(Takes):
    def forward(self, x, constant):
        return x * constant


@pytest.mark.parametrize("xs", [
    np.asfortranarray(numbers(T, B, N)), numbers(T, B, N)[::-1, :, ::-1],
    np.broadcast_to(numbers(B, N), (T, B, N)),
])  # fmt: skip
def test_inputs_of_any_layout_may_be_scanned(xs):
    check_compiled(elementwise(lambda h: h), lambda: inputs(xs=xs))


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (0, 0), (1, 1), (1, 3), ()])
@pytest.mark.parametrize("length", [4, 5])
def test_a_batch_may_be_small_or_empty(shape, length):
    given = lambda: (Variable(numbers(*shape)), Variable(numbers(length, *shape, seed=1)))  # noqa: E731
    check_compiled(elementwise(lambda h: h), given)


def test_there_need_be_no_inputs():
    check_compiled(lambda: Made(lambda h, x: (F.tanh(h * 1.1), h)), lambda: (inputs()[0], ()), T)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, 0.0, -0.0])
def test_special_values_go_through_as_in_the_loop(value):
    xs = numbers(T, B, N)
    xs[5, 1, 1] = value

    def step(h, x):
        h = F.tanh(h * x)
        ys = F.maximum(h, x), F.relu(x), F.clip(x, -1.0, 1.0), F.softmax(h + x), abs(x), F.sign(x)
        return h, (*ys, F.max(h + x, axis=1), F.sigmoid(x), x * x * 10)

    check_compiled(lambda: Made(step), lambda: inputs(xs=xs))


CLOSE_TO_THE_CARRY = {
    "a map alone": lambda h, x, W, b: F.linear(h, W, b),
    "a bias alone": lambda h, x, W, b: h + b,
    "the rows turned over": lambda h, x, W, b: F.linear(F.flip(h, 0), W),
    "the columns turned over": lambda h, x, W, b: F.linear(h[:, ::-1], W, b),
}


@pytest.mark.parametrize("rule", CLOSE_TO_THE_CARRY.values(), ids=CLOSE_TO_THE_CARRY)
def test_a_carry_may_be_what_a_parameter_gives_it(rule):
    def make():
        W, b = Variable(numbers(N, N, seed=1) * 0.5), Variable(numbers(N, seed=2))
        return Made(lambda h, x: (rule(h, x, W, b), h * x), (W, b))

    check_same(make)


def test_a_gradient_that_nobody_asks_for_is_no_nan():
    """Zeros that are swept through a root at 0 would be NaN; the loop sweeps nothing there."""

    def gradients(compiled):
        W = Variable(np.zeros(N))

        def step(carry, x):
            h, s = carry
            h = F.tanh(h * 0.5 + x + W)
            return (h, F.sqrt(s * W)), h

        _, ys = dynet.scan(step, (np.ones((B, N)),) * 2, numbers(T, B, N), compiled=compiled)
        ys.sum().backward()
        return W.grad

    np.testing.assert_allclose(gradients(None), gradients(False), rtol=1e-12)


# -- the same thing in several places ------------------------------------------------------------


def both(same=False):
    a = Variable(numbers(B, N, seed=1))
    return (a, a if same else Variable(numbers(B, N, seed=2))), Variable(numbers(T, B, N))


ALIASES = {
    "y is x": (lambda h, x: (F.tanh(h), x), inputs),
    "y is the carry given": (lambda h, x: (F.tanh(h + x), h), inputs),
    "the carry is x": (lambda h, x: (x, h * 2), inputs),
    "the carry stays": (lambda h, x: (h, h * x), inputs),
    "nothing is computed": (lambda h, x: (h, x), inputs),
    "the carry is swapped": (lambda c, x: ((c[1], c[0] + x), c), both),
    "one Variable twice in init": (
        lambda c, x: ((c[1] * 2, F.tanh(c[0] + x)), c[0]), lambda: both(True),
    ),
    "one Variable twice in the carry": (lambda c, x: ((c[0] * x,) * 2, c[1]), both),
    "one Variable thrice in y": (lambda h, x: (h * x, {"a": (h,) * 2, "b": h}), inputs),
}  # fmt: skip


@pytest.mark.parametrize("step, given", ALIASES.values(), ids=ALIASES)
def test_one_variable_may_stand_in_several_places(step, given):
    check_compiled(lambda: Made(step), given)


def test_what_is_scanned_may_be_closed_over_too():
    given = inputs()

    def make():
        for v in given:
            v.cleargrad()
        h0, xs = given
        return Made(lambda h, x: (F.tanh(h * h0 + x + xs[0]), h + h0))

    check_compiled(make, lambda: given)


@pytest.mark.parametrize("other", [
    lambda W: W.array, lambda W: Variable(W.array),
    lambda W: Variable(W.array, requires_grad=False),
], ids=["the array", "another Variable", "a constant"])  # fmt: skip
@pytest.mark.parametrize("order", [1, -1])
def test_one_array_may_be_a_parameter_here_and_something_else_there(other, order):
    def make():
        W = Variable(numbers(N, N))
        U, V = (W, other(W))[::order]
        step = lambda h, x: (F.tanh(F.linear(h, U) + F.linear(x, V)),) * 2  # noqa: E731
        return Made(step, tuple([v for v in (U, V) if isinstance(v, Variable) and v.requires_grad]))

    check_compiled(make)


def test_carries_of_integers_and_booleans_go_along():
    mask = np.eye(B, N) > 0

    def step(carry, x):
        h, t, m = carry
        return (F.where(m, F.tanh(h + x), h), t + 1, m), (t, h)

    check_compiled(lambda: Made(step), lambda: ((inputs()[0], np.array(0), mask), inputs()[1]))


@pytest.mark.parametrize(
    "kind", [dynet.Parameter, type("Named", (Variable,), {"double": lambda v: v * 2})]
)
def test_a_subclass_of_variable_may_begin(kind):
    check_same(elementwise(lambda h: h), lambda: inputs(kind(numbers(B, N))))


def test_the_name_of_the_first_carry_is_there_in_the_first_step():
    step = lambda h, x: (h * (2 if h.name == "first" else 1) + x, None)  # noqa: E731
    check_same(lambda: Made(step), lambda: inputs(Variable(numbers(B, N), name="first")))


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("wrong", [
    lambda h: (h[:2], h), lambda h: (F.cast(h, np.float32), h), lambda h: ((h, h), h), lambda h: h,
    lambda h: (h, [h]),
], ids=["shape", "dtype", "structure", "no pair", "y"])  # fmt: skip
def test_what_a_step_gives_is_checked_at_every_step_that_runs(wrong, at):
    said = []
    for compiled in (None, False):
        calls = []

        def step(h, x, calls=calls):
            calls.append(1)
            return wrong(h + x) if len(calls) == at else (h + x, h)

        with pytest.raises((TypeError, ValueError), match="step returned") as raised:
            dynet.scan(step, *inputs(), compiled=compiled)
        said.append(str(raised.value))
    assert said[0] == said[1]


# -- threads, processes, scans in scans ----------------------------------------------------------


def gradient_of(seed, compiled=None):
    """Of a scan with dropout, all in the running thread."""
    dynet.random.seed(seed)
    W = Variable(numbers(N, N, seed=seed))
    h, ys = dynet.scan(
        lambda h, x: (F.dropout(F.tanh(F.linear(h, W) + x), 0.3),) * 2,
        *inputs(
            Variable(numbers(4 + seed % 2, N)), Variable(numbers(T, 4 + seed % 2, N, seed=seed))
        ),
        compiled=compiled,
    )
    (h.sum() + (ys * ys).sum()).backward()
    return W.grad


def test_scans_in_several_threads_do_not_meet():
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(gradient_of, range(8)))
    for seed, gradient in enumerate(found):
        np.testing.assert_allclose(gradient, gradient_of(seed, False), rtol=1e-9)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_scans():
    expected = gradient_of(0)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put(gradient_of(0)))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=60), expected)
    child.join(10)
    assert child.exitcode == 0


def test_a_step_that_computes_in_another_thread_is_run_as_the_loop():
    check_plain(elman(lambda h, x: in_a_thread(lambda: h * 2)), "", line=False)


@pytest.mark.parametrize("compiled", [None, False, True])
def test_a_step_may_scan(compiled):
    def make():
        W = Variable(numbers(N, N, seed=1))

        def inner(h, x):
            h = F.tanh(F.linear(h, W) + x)
            return h, h

        def step(h, x):
            return dynet.scan(inner, h, F.stack([x, -x, x, x * 2]), compiled=compiled)

        return Made(step, (W,))

    check_compiled(make)


def test_scans_one_after_the_other_have_the_loop_s_gradients():
    def gradients(compiled):
        W = Variable(numbers(N, N, seed=1))
        h, xs = inputs()

        def step(h, x):
            h = F.tanh(F.linear(h, W) - x)
            return h, h * 3

        for _ in range(3):
            h, xs = dynet.scan(step, h, xs, compiled=compiled)
        (h.sum() + xs.sum()).backward()
        return W.grad

    np.testing.assert_allclose(gradients(None), gradients(False), rtol=1e-9)


@pytest.mark.parametrize("again", [1, 2])
def test_the_backward_pass_runs_each_function_before_the_scan_once(again):
    calls = []

    class Notes(Rule):
        def backward(self, gy):
            calls.append(1)
            return gy

    h0, xs = inputs()
    for _ in range(again):
        calls.clear()
        h, _ = dynet.scan(lambda h, x: (h * 0.7 + x * again, None), Notes()(h0), Notes()(xs))
        h.sum().backward()
        assert len(calls) == 2


# -- between the forward and the backward pass ---------------------------------------------------


def between(compiled, change):
    W, (h0, xs) = Variable(numbers(N, N, seed=1)), inputs()
    step = lambda h, x: (F.tanh(F.linear(h, W) * x),) * 2  # noqa: E731
    h, ys = dynet.scan(step, h0, xs, compiled=compiled)
    loss = h.sum() + (ys * ys).sum()
    change(SimpleNamespace(W=W, xs=xs, h=h, ys=ys))
    loss.backward()
    return [v.grad for v in (W, h0, xs)]


CHANGED = {
    "a parameter in place": lambda v: write(v.W.array, v.W.array * 0.5),
    "a parameter replaced": lambda v: setattr(v.W, "array", np.ones((N, N))),
    "the inputs in place": lambda v: write(v.xs.array, v.xs.array * 0.5),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_what_changes_before_the_backward_pass_counts_as_in_the_loop(change):
    for ours, theirs in zip(between(None, change), between(False, change), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("compiled", [None, False])
def test_a_parameter_of_another_shape_before_the_backward_pass_is_an_error(compiled):
    with pytest.raises(ValueError, match=r"expected float64 \(7, 2\)"):
        between(compiled, lambda v: setattr(v.W, "array", np.ones((7, 2))))


def test_results_share_no_memory():
    step = lambda h, x: (lambda y: (y, (y, y)))(F.tanh(h + x))  # noqa: E731
    h, ys = dynet.scan(step, *inputs())
    arrays = [h.array, *[y.array for y in ys]]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


def test_a_result_wants_a_gradient_where_it_does_in_the_loop():
    W = Variable(numbers(N, N))

    def step(carry, x):
        h, _, m = carry
        with dynet.no_backprop_mode():
            s = F.tanh(F.linear(h, W))
        return (F.tanh(h * x), s, m), (s, x, h, m)

    init = numbers(B, N), Variable(numbers(B, N)), Variable(numbers(B, N))
    ours, theirs = [
        [v.requires_grad for v in variables(dynet.scan(step, init, numbers(T, B, N), compiled=c))]
        for c in (None, False)
    ]
    assert ours == theirs


def test_a_gradient_that_is_differentiated_is_that_of_the_training_that_was():
    def first(compiled, train):
        dynet.random.seed(3)
        W = Variable(numbers(N, N))
        step = lambda h, x: (F.dropout(F.tanh(F.linear(h, W) * x), 0.5),) * 2  # noqa: E731
        _, ys = dynet.scan(step, *inputs(), compiled=compiled)
        with dynet.using_config("train", train):
            return dynet.grad([ys.sum()], [W], create_graph=True)[0].array

    np.testing.assert_allclose(first(None, False), first(False, True), rtol=1e-9)


def test_a_gradient_that_is_differentiated_after_the_step_changed_is_an_error():
    by = [2.0]
    W = Variable(numbers(N, N))
    _, ys = dynet.scan(lambda h, x: (F.tanh(F.linear(h, W) * x * by[0]),) * 2, *inputs())
    by[0] = 5.0
    with pytest.raises(RuntimeError, match="scan"):
        dynet.grad([ys.sum()], [W], create_graph=True)


# -- the interpreter survives, and other processes agree -----------------------------------------

SCRIPT = """
import sys, numpy as np, dynet, dynet.functions as F
from dynet import Function, Variable
"""


def script(tmp_path, text, **files):
    """What a script prints, in a process and with a cache of its own."""
    for name, content in files.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(content))
    path = tmp_path / "a_script.py"
    path.write_text(SCRIPT + textwrap.dedent(text))
    environment = dict(os.environ, DYNET_SCAN_CACHE=str(tmp_path / "cache"))
    environment["PYTHONPATH"] = os.pathsep.join([p for p in sys.path if p])
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout.split("\n")[:-1]


def test_a_gradient_of_a_wrong_shape_that_arrives_at_a_scan_is_an_error(tmp_path):
    said = script(tmp_path, """
        class Wrong(Function):
            def __init__(self, rule): self.rule = rule
            def forward(self, x): return x * 1
            def backward(self, gy): return self.rule(gy)
        rules = [
            lambda gy: np.ones(1), lambda gy: np.ones(()), lambda gy: gy[:1], lambda gy: 2.0,
            lambda gy: gy[..., :1], lambda gy: gy.reshape(-1), lambda gy: np.concatenate([gy, gy]),
        ]
        W = Variable(np.ones((3, 3)) * 0.1)
        for rule in rules:
            for i in range(2):
                h, ys = dynet.scan(lambda h, x: (F.tanh(F.linear(h, W) + x),) * 2,
                                   Variable(np.ones((40, 3))), Variable(np.ones((1000, 40, 3))))
                try:
                    Wrong(rule)([h, ys][i]).sum().backward()
                except (ValueError, TypeError) as error:
                    print("refused")
                else:
                    print("taken", i)
    """)  # fmt: skip
    assert said == ["refused"] * 14


KERNEL = """
    from numba import njit
    from dynet import Function
    from dynet.kernels import arithmetic
    @njit
    def times(x, y):
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                y[i, j] = {} * x[i, j]
    class Times(Function):
        def forward(self, x):
            return arithmetic.run(times, [x], [(x.shape, x.dtype)], by_rows=True)[0]
        def backward(self, gy):
            return arithmetic.run(times, [gy], [(gy.shape, gy.dtype)], by_rows=True)[0]
"""
USE = """
def step(h, x):
    h = F.tanh(Times()(h) * 0.3 + x)
    return h, h
init, xs = Variable(np.ones((4, 3))), np.linspace(-1, 1, 120).reshape(10, 4, 3)
runs = []
for compiled in (False, True):
    init.cleargrad()
    h, ys = dynet.scan(step, init, xs, compiled=compiled)
    (h.sum() + ys.sum()).backward()
    runs.append([ys.array, init.grad])
print(all(np.allclose(a, b, rtol=1e-12) for a, b in zip(*runs)))
"""


def test_a_kernel_in_a_script_is_compiled(tmp_path):
    assert script(tmp_path, textwrap.dedent(KERNEL.format(2)) + USE) == ["True"]


def test_a_kernel_that_is_edited_is_compiled_anew(tmp_path):
    use = "from a_kernel import Times\n" + USE
    for by in (2, 3):
        assert script(tmp_path, use, a_kernel=KERNEL.format(by)) == ["True"]


def test_a_damaged_cache_does_no_harm(tmp_path):
    plain = "class Times(Function):\n    forward = backward = lambda self, x: x * 1\n" + USE
    assert script(tmp_path, plain) == ["True"]
    for pattern in ("loop_*.py", "**/*.nb[ic]"):
        damaged = list((tmp_path / "cache").glob(pattern))
        assert damaged
        for file in damaged:
            times = file.stat()
            file.write_bytes(file.read_bytes()[: times.st_size // 2])
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert script(tmp_path, plain) == ["True"]
