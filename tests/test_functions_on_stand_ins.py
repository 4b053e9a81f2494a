"""The functions' rules on stand-ins, in whose place ``scan`` puts compiled code.

Every function of the table is called on arrays; then its ``forward`` and its ``backward`` are run
again on Mirrors, which hide their elements. They must come to the very same bits, or raise.
"""

import sys
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from stand_in import Mirror, Refused, held
from table import TABLE, arrays_of

import dynet
import dynet.functions as F
from dynet import Function, Variable
from dynet.gradient import Stack
from dynet.scanning.record import fresh, settings_of
from dynet.terms import TERMS

# Why these, by the names of their classes, do not work on stand-ins, or not in every case.
REFUSED = {
    "it goes over arrays in ways that nothing in compiled code answers to": (
        "ConnectionistTemporalClassification Convolution2D CumProd CumSum Deconvolution2D "
        "Diagonal EinSum Flip Im2Col LocalResponseNormalization MaxPooling2D Pad PadSequence "
        "Repeat Roll ScatterAdd TensorDot Tile WindowSpread WindowSum"
    ),
    "it is LAPACK's": "BatchDet BatchInv Cholesky Det Inv",
    "it looks at labels before it uses them": (
        "SelectItem SigmoidCrossEntropy SoftmaxCrossEntropy"
    ),
    "it does more than its rule says": "BatchNormalization Copy Forget",
}
REFUSED = {name: reason for reason, names in REFUSED.items() for name in names.split()}

# On arrays, one pass gives the gradient of the scale too; on stand-ins its terms are added later.
CLOSE = {"GroupNormalization", "LayerNormalization", "Swish"}


def is_close_only(f):
    """Whether stand-ins get an expression where arrays get a kernel of each element."""
    return f.name in CLOSE or any(
        getattr(f, kernel, None) for kernel in ("value_kernel", "gradient_kernel")
    )


DTYPES = np.float32, np.float64
CASES = [(row.function, case) for row in TABLE for case in row.cases]
LABELS = [
    f"{row.name} {' '.join(str(a.shape) for a in arrays_of(case))}"
    for row in TABLE
    for case in row.cases
]


class Call(NamedTuple):
    """A call of a function: itself, now a record; what it was before; what went in and came out."""

    function: Function
    settings: dict
    inputs: list
    state: tuple  # of the random numbers
    outputs: tuple


class Calls(dynet.FunctionHook):
    """Notes the calls that leave a record."""

    def __init__(self):
        self.calls = []
        self.open = []

    def forward_preprocess(self, function, xs):
        state = dynet.random.get_state()
        self.open.append((function, settings_of(function), list(xs), state))

    def forward_postprocess(self, function, xs, ys):
        while self.open[-1][0] is not function:
            self.open.pop()  # it raised
        self.calls.append(Call(*self.open.pop(), tuple(map(np.asarray, ys))))


@cache
def calls_of(function, case, dtype):
    """The calls that a function of the table makes."""
    with Calls() as hook:
        function(*[Variable(a) for a in arrays_of(case, dtype)])
    return [call for call in hook.calls if hasattr(call.function, "number")]


def mirrored(arrays):
    return [Mirror(a) if isinstance(a, np.ndarray) else a for a in arrays]


def on_stand_ins(call, gys):
    """What the function's rules make of Mirrors: its outputs, and the gradients of its inputs."""
    function = fresh(type(call.function), call.settings)
    now = dynet.random.get_state()
    dynet.random.set_state(call.state)
    try:
        ys = function.forward(*mirrored(call.inputs))
    finally:
        dynet.random.set_state(now)
    function.inputs = call.function.inputs
    return as_tuple(ys), as_tuple(function.backward(*mirrored(gys)))


def as_tuple(x):
    return x if type(x) is tuple else (x,)


def gradients_of(call):
    """Some numbers like the outputs."""
    rng = np.random.default_rng(1)
    return [np.asarray(rng.normal(size=y.shape), y.dtype) for y in call.outputs]


def total(gradient):
    """A gradient as an array: a term is totalled, once the arrays of its Mirrors are back."""
    if type(gradient) not in TERMS:
        return held(gradient)
    term = object.__new__(type(gradient))
    for name in type(gradient).__slots__:
        setattr(term, name, held(getattr(gradient, name)))
    return type(term).total([term], None, Stack())


def check(got, expected, close=False):
    got, expected = np.asarray(got), np.asarray(expected)  # one element may be a scalar of NumPy's
    assert got.dtype == expected.dtype
    if close:
        rtol = 1e-5 if got.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(got, expected, rtol, rtol)
    else:
        np.testing.assert_array_equal(got, expected, strict=True)


def is_refusal(error):
    """Whether a Mirror refused, or the function itself does."""
    while error is not None:
        if isinstance(error, Refused) or "no place in compiled code" in str(error):
            return True
        error = error.__context__
    return False


@pytest.mark.parametrize(("function", "case"), CASES, ids=LABELS)
def test_a_rule_gives_of_stand_ins_what_it_gives_of_arrays(function, case):
    for call in [call for dtype in DTYPES for call in calls_of(function, case, dtype)]:
        f, gys = call.function, gradients_of(call)
        try:
            ys, gxs = on_stand_ins(call, gys)
        except Exception as error:
            if is_refusal(error) and f.name in REFUSED:
                continue
            raise
        assert all(isinstance(y, Mirror) for y in ys)
        for got, y in zip(ys, call.outputs, strict=True):
            check(held(got), y, close=is_close_only(f))
        for i, (got, gx) in enumerate(zip(gxs, as_tuple(f.backward(*gys)), strict=True)):
            assert (got is None) == (gx is None)
            if gx is not None and f.wants(i):
                pieces = [got] if type(got) not in TERMS else [got.gy]
                assert all(isinstance(piece, Mirror) for piece in pieces)
                check(total(got), total(gx), close=is_close_only(f))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_done_on_stand_ins_is_refused(name):
    def refuses(call):
        try:
            on_stand_ins(call, gradients_of(call))
        except Exception as error:
            return is_refusal(error)

    calls = (call for c in CASES for call in calls_of(*c, np.float64))
    assert any(refuses(call) for call in calls if call.function.name == name), REFUSED[name]


def test_ids_that_are_ignored_name_no_row_of_the_table():
    ids, W = np.array([0, 7, 1, 7], np.uint8), Variable(np.ones((2, 3), np.float32))
    with Calls() as hook:
        F.embed_id(ids, W, ignore_label=7)
    _, (_, rows) = on_stand_ins(hook.calls[0], [np.ones((4, 3), np.float32)])
    np.testing.assert_array_equal(held(rows.ids), [0, -1, 1, -1])
    np.testing.assert_array_equal(held(rows.gy)[:, 0], [1, 0, 1, 0])


@pytest.mark.parametrize(
    "look",
    [
        bool,
        float,
        int,
        list,
        np.asarray,
        np.linalg.inv,
        lambda x: x.item(),
        lambda x: x.__setitem__(0, 1.0),
        lambda x: np.zeros(1).__setitem__(slice(None), x),
        lambda x: np.zeros(1)[x],
        lambda x: np.add(x, x, out=np.zeros(1)),
        lambda x: f"{x:.2f}",
    ],
)
def test_a_mirror_does_not_let_itself_be_looked_into(look):
    with pytest.raises(Refused):
        look(Mirror(np.zeros(1)))


# -- what functions look into, without a record ---------------------------------------------------


class Seen(Variable):
    """A Variable that writes down by which functions its array is asked for."""

    __slots__ = ("by",)

    @property
    def array(self):
        self.by.add(sys._getframe(1).f_code.co_name)
        return Variable.array.__get__(self)

    @array.setter
    def array(self, array):
        self.by = set()
        Variable.array.__set__(self, array)


LOOKING = {
    "a comparison": lambda x, i: x > 0,
    "a comparison by NumPy": lambda x, i: np.equal(x, 0),
    "isnan": lambda x, i: np.isnan(x),
    "isinf": lambda x, i: np.isinf(x),
    "isfinite": lambda x, i: np.isfinite(x),
    "argmax": lambda x, i: F.argmax(x),
    "argmin": lambda x, i: F.argmin(x),
    "accuracy": lambda x, i: F.accuracy(x, i),
    "binary_accuracy": lambda x, i: F.binary_accuracy(x[:, 0], i),
    "f1_score": lambda x, i: F.f1_score(x, i),
    "precision": lambda x, i: F.precision(x, i),
    "recall": lambda x, i: F.recall(x, i),
    "r2_score": lambda x, i: F.r2_score(x, x),
    "cast to integers": lambda x, i: F.cast(x, int),
    "an index": lambda x, i: x[i],
    "take": lambda x, i: x.take(i, 0),
    "permutate": lambda x, i: F.permutate(x, i),
    "scatter_add": lambda x, i: F.scatter_add(x, i, x),
    "hinge": lambda x, i: F.hinge(x, i),
    "contrastive": lambda x, i: F.contrastive(x, x, i),
    "negative_sampling": lambda x, i: F.negative_sampling(x, i, x, lambda s: np.ones(s, int), 1),
}


@pytest.mark.parametrize("name", LOOKING)
def test_whoever_looks_into_an_array_without_a_record_says_so(name):
    x, i = Seen(np.ones((2, 2))), Seen(np.array([1, 0]))
    LOOKING[name](x, i)
    assert "elements" in x.by | i.by


def test_whoever_records_what_it_does_looks_into_nothing():
    x = Seen(np.ones((2, 2)))
    F.dropout(F.softmax(x * x + x, axis=1))
    F.split_axis(x, 2, axis=1), F.concat([x, x]), x.sum(axis=0), x[0]
    assert "elements" not in x.by
