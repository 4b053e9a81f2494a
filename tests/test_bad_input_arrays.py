"""Bad input to losses and functions of arrays; NumPy's functions; who shares memory with whom."""

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.functions.numpy_protocol import IMPLEMENTATIONS
from dynet.gradient_check import check_backward

RNG = np.random.default_rng(0)
X, Y = RNG.random((2, 3, 4)) + 0.1
T = np.array([0, 1, 2])
BITS = np.ones((3, 4), int)
V = Variable(X)
PICTURES = np.ones((1, 4, 2, 2))


def first(shape):
    return np.zeros(shape, int)


# -- whatever comes --------------------------------------------------------------------------------

# Each public function with arguments that it takes; each of them then gives way to all the others.
GOOD = {
    "softmax_cross_entropy": dict(
        x=X, t=T, class_weight=np.ones(4), ignore_label=-1, reduce="no", label_smoothing=0.1
    ),
    "sigmoid_cross_entropy": dict(x=X, t=BITS, reduce="no"),
    "hinge": dict(x=X, t=T, norm="L1", reduce="no"),
    "squared_error": dict(x0=X, x1=Y),
    "absolute_error": dict(x0=X, x1=Y),
    "mean_squared_error": dict(x0=X, x1=Y),
    "mean_absolute_error": dict(x0=X, x1=Y),
    "huber_loss": dict(x=X, t=Y, delta=1.0, reduce="no"),
    "bernoulli_nll": dict(x=X, y=Y, reduce="no"),
    "gaussian_nll": dict(x=X, mean=Y, ln_var=Y, reduce="no"),
    "gaussian_kl_divergence": dict(mean=Y, ln_var=Y, reduce="no"),
    "contrastive": dict(x0=X, x1=Y, y=np.array([0, 1, 1]), margin=1, reduce="no"),
    "triplet": dict(anchor=X, positive=Y, negative=Y, margin=0.2, reduce="no"),
    "cross_covariance": dict(y=X, z=Y, reduce="no"),
    "connectionist_temporal_classification": dict(
        x=[X, Y], t=np.array([[1]] * 3), blank_symbol=0, input_length=T, label_length=T // 2
    ),
    "negative_sampling": dict(x=X, t=T, W=X, sampler=first, reduce="no", sample_size=2),
    "accuracy": dict(y=X, t=T, ignore_label=-1),
    "binary_accuracy": dict(y=X, t=BITS),
    "precision": dict(y=X, t=T, label_num=4, ignore_label=-1),
    "recall": dict(y=X, t=T, label_num=4, ignore_label=-1),
    "f1_score": dict(y=X, t=T, label_num=4, ignore_label=-1),
    "r2_score": dict(pred=X, true=Y, sample_weight=np.ones(3), multioutput="raw_values"),
    "reshape": dict(x=X, shape=(4, 3)),
    "transpose": dict(x=X, axes=(1, 0)),
    "flatten": dict(x=X),
    "expand_dims": dict(x=X, axis=0),
    "squeeze": dict(x=X[:1], axis=0),
    "swapaxes": dict(x=X, axis1=0, axis2=1),
    "moveaxis": dict(x=X, source=0, destination=1),
    "rollaxis": dict(x=X, axis=1, start=0),
    "broadcast_to": dict(x=X, shape=(2, 3, 4)),
    "cast": dict(x=X, typ="f4"),
    "copy": dict(x=X, dst="cpu"),
    "depth2space": dict(X=PICTURES, r=2),
    "space2depth": dict(X=PICTURES, r=2),
    "concat": dict(xs=[X, Y], axis=1),
    "stack": dict(xs=[X, Y], axis=1),
    "hstack": dict(xs=[X, Y]),
    "vstack": dict(xs=[X, Y]),
    "dstack": dict(xs=[X, Y]),
    "split_axis": dict(x=X, indices_or_sections=2, axis=1),
    "separate": dict(x=X, axis=0),
    "repeat": dict(x=X, repeats=2, axis=0),
    "tile": dict(x=X, reps=2),
    "pad": dict(x=X, pad_width=1, mode="constant", constant_values=0),
    "pad_sequence": dict(xs=[X[0], X[0, :2]], length=4, padding=0),
    "transpose_sequence": dict(xs=[X[0], X[0, :2]]),
    "get_item": dict(x=X, index=0),
    "scatter_add": dict(a=X, slices=0, b=X[0]),
    "select_item": dict(x=X, t=T),
    "permutate": dict(x=X, indices=T, axis=0),
    "diagonal": dict(x=X, offset=0, axis1=0, axis2=1),
    "flip": dict(x=X, axis=0),
    "fliplr": dict(x=X),
    "flipud": dict(x=X),
    "clip_gradient": dict(x=X, limit=1.0),
}

ANYTHING = [
    *(None, "abc", "mean", b"abc", 1.5, -1, True, np.inf, np.nan, 2**63, 10**30, Fraction(1, 2)),
    *(..., slice(None), {}, object(), first, range(3), iter([1]), np.float64(2), np.int32(1)),
    *([], (), [1.0, 2.0], [[1.0], [1.0, 2.0]], (1, 2), [None], [X, None], [X, [1.0]], [X, T]),
    *([X, X.astype("f4")], [V, V], [V, 1.0], V, Variable(T), Variable(T * 1.0)),
    *(X.astype(kind) for kind in ("f4", "f2", ">f8", complex, bool, int, "U5", object, "M8[s]")),
    *(T.astype(kind) for kind in ("i1", "u1", "u8", ">i8", bool, float)),
    *(T[:, None], T[None], np.array(1), np.array(1.0), X[0], X[:, :1], X[:1], X.T, X[None]),
    *(X[:0], X[:, :0], X[0, :0], T[:0]),
    *(np.array([0, 1, wrong]) for wrong in (9, -5, 2**62, -(2**63))),
    np.array([0, 1, 2**63 + 5], np.uint64),
]

# What else these arguments say is for others to judge: which GPU is meant, what the sampler does.
ELSEWHERE = {("copy", "dst"), ("negative_sampling", "sample_size")}


@pytest.mark.parametrize("name", GOOD)
def test_whatever_comes_an_error_is_of_the_right_kind_and_starts_with_the_name(name):
    function, good = getattr(F, name), GOOD[name]
    function(**good)
    for argument, came in itertools.product(good, ANYTHING):
        if (name, argument) in ELSEWHERE:
            continue
        try:
            with np.errstate(all="ignore"):
                function(**{**good, argument: came})
        except (TypeError, ValueError, IndexError) as error:
            assert type(error).__module__ == "builtins", (argument, came, error)
            assert str(error).startswith(f"{name}: "), (argument, came, error)


def test_every_function_of_these_families_gets_whatever_comes():
    families = "array joining indexing loss loss_regression loss_metric loss_ctc loss_sampling"
    names = [
        name
        for family in (*families.split(), "evaluation", "util")
        for name in getattr(F, family).__all__
    ]
    assert set(names) - set(GOOD) == {"broadcast", "forget"}  # whose arguments have no names


WRONG = [
    (
        lambda: F.accuracy(X, T, "1"),
        TypeError,
        "accuracy: ignore_label is '1', expected an integer",
    ),
    (lambda: F.recall(X, T, ignore_label=T), TypeError, "recall: ignore_label is array([0, 1, 2])"),
    (lambda: F.f1_score(X, T, 4, 1.0), TypeError, "f1_score: ignore_label is 1.0, expected an int"),
    (
        lambda: F.precision(X, T + 2),
        ValueError,
        "precision: t holds the label 4, expected labels from 0 on, less than 4",
    ),
    (lambda: F.precision(X, T, 2**62), ValueError, "precision: label_num is 4611686018427387904"),
    (
        lambda: F.negative_sampling(X, T.astype("u8") - np.uint64(1), X, first, 1),
        ValueError,
        "negative_sampling: t holds the label 18446744073709551615, expected labels from 0 to 2",
    ),
    (
        lambda: F.negative_sampling(X, T, X, lambda shape: np.full(shape, 2**63, np.uint64), 1),
        ValueError,
        "negative_sampling: what the sampler drew holds the label 9223372036854775808, expected",
    ),
    (lambda: F.reshape(X, None), TypeError, "reshape: x has shape (3, 4), 12 elements, which do"),
    (lambda: F.cast(X + 1j, float), TypeError, "cast: x is complex128 (3, 4), expected real num"),
    (
        lambda: F.pad(T, 1, constant_values=1.5),
        TypeError,
        "pad: pad_width is 1, mode is 'constant', x has shape (3,): constant_values is 1.5, "
        "expected numbers of int64",
    ),
    (lambda: F.pad(X, 1, constant_values=None), TypeError, "pad: pad_width is 1, mode is 'consta"),
    (lambda: F.pad(T.astype("u1"), 1, constant_values=-1), TypeError, "pad: pad_width is 1, mode"),
    (
        lambda: F.scatter_add(X, [[0], [0, 1]], X),
        IndexError,
        "scatter_add: the slices [[0], [0, 1]",
    ),
    (lambda: F.scatter_add(X, [V], X), TypeError, "scatter_add: the slices [variable("),
    (lambda: V.take([[0], [0, 1]]), TypeError, "take: indices is [[0], [0, 1]], expected integers"),
    (lambda: F.clip_gradient([1.0], 1), TypeError, "clip_gradient: x is list, expected a floating"),
    (lambda: F.clip_gradient(T, 1), TypeError, "clip_gradient: x is int64 (3,), expected a floati"),
    (lambda: F.clip_gradient(X, "1"), TypeError, "clip_gradient: limit is str, expected a real nu"),
    (lambda: F.clip_gradient(X, X), TypeError, "clip_gradient: limit is ndarray, expected a real"),
    (lambda: F.forget(X, X), TypeError, "forget: func is ndarray, expected a callable"),
    (lambda: F.forget(lambda x: [x * 2], V), TypeError, "forget: func returned list, expected a"),
    (lambda: F.forget(lambda x: None, V), TypeError, "forget: func returned NoneType, expected a"),
    (lambda: F.broadcast(X, 2.0), TypeError, "broadcast: args[1] is float, expected an array"),
    (lambda: np.atleast_2d(V, [1.0]), TypeError, "atleast_2d: arrays[1] is list, expected an arr"),
    (lambda: np.array_split(V, 0), ValueError, "array_split: indices_or_sections is 0, expected"),
    (
        lambda: F.transpose_sequence([X.astype(">f8")]),
        TypeError,
        "transpose_sequence: xs are of >f8; expected this machine's byte order",
    ),
]


@pytest.mark.parametrize("call, error, message", WRONG, ids=[message for *_, message in WRONG])
def test_bad_input_is_named_in_one_sentence(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()


@pytest.mark.parametrize("limit", [np.float64(0.5), np.float32(0.5), Fraction(1)])
def test_settings_that_are_numbers_of_whatever_kind_leave_float32_as_it_is(limit):
    x = Variable(np.full((3, 2), 0.1, np.float32))
    loss = F.contrastive(x, x * 2, T // 2, limit) + F.triplet(x, x * 2, x, limit)
    loss += F.huber_loss(x, x * 2, limit, reduce="no").sum()
    if not isinstance(limit, Fraction):
        loss += F.clip_gradient(x, limit).sum()
    loss.backward()
    assert loss.dtype == x.grad.dtype == np.float32


@pytest.mark.parametrize("dtype", ["f2", np.longdouble])
def test_rows_of_floats_for_which_there_is_no_kernel_are_looked_up_too(dtype):
    x, W = Variable(X.astype(dtype)), Variable(Y.astype(dtype))
    F.embed_id(np.array([[0, 2, 0]]), W).sum().backward()
    np.testing.assert_array_equal(W.grad, np.array([[2], [0], [1]]) * np.ones((3, 4)))
    F.negative_sampling(x, T, W, first, 2).backward()
    assert x.grad.dtype == W.grad.dtype == dtype


# -- NumPy's functions -----------------------------------------------------------------------------

SQUARE = X[:, :3] @ X[:, :3].T + np.eye(3)

# As NumPy documents them, of arrays and of Variables.
DOCUMENTED = [
    lambda x, y: np.add(x, y, out=None),
    lambda x, y: np.multiply(x, y, dtype=None),
    lambda x, y: np.sum(x, None),
    lambda x, y: np.sum(x, 0, keepdims=np._NoValue),
    lambda x, y: np.sum(x, axis=(0, -1), dtype=None, out=None, keepdims=True),
    lambda x, y: np.mean(x, axis=1, out=None, keepdims=False),
    lambda x, y: np.max(x, 1, keepdims=np._NoValue),
    lambda x, y: np.prod(x, axis=-1, keepdims=True),
    lambda x, y: np.cumsum(x, axis=1, out=None),
    lambda x, y: np.average(x, 1, weights=X, keepdims=np._NoValue),
    lambda x, y: np.clip(x, 0.3, None),
    lambda x, y: np.clip(x, a_min=None, a_max=0.5, out=None),
    lambda x, y: np.clip(x, min=0.3, max=0.5),
    lambda x, y: np.where(X > 0.5, x, y),
    lambda x, y: np.where(X > 0.5, x, 0),
    lambda x, y: np.concatenate((x, Y, y), axis=None, out=None),
    lambda x, y: np.concatenate([x, y], dtype=None),
    lambda x, y: np.stack([X, y], -1, out=None),
    lambda x, y: np.hstack((x, y), dtype=None),
    lambda x, y: np.split(x, [1, 3], 1),
    lambda x, y: np.split(x, [-1, 7], axis=1),
    lambda x, y: np.array_split(x, 3, axis=1),
    lambda x, y: np.array_split(x, np.array(3), 1),
    lambda x, y: np.take(x, [-1, 0, -1], 1),
    lambda x, y: np.take(x, [[5]], out=None),
    lambda x, y: np.trace(x, 1, dtype=None, out=None),
    lambda x, y: np.dot(x, y.T, out=None),
    lambda x, y: np.outer(x, y, out=None),
    lambda x, y: np.einsum("ij,ij->i", x, y, out=None, dtype=None),
    lambda x, y: np.atleast_3d(x, Y),
    lambda x, y: Y / x,
    lambda x, y: np.float64(2) ** x,
]


@pytest.mark.parametrize("call", DOCUMENTED, ids=range(len(DOCUMENTED)))
def test_numpys_functions_called_as_documented_give_numpys_result_with_its_gradient(call):
    expected = call(X, Y)
    got = call(V, Variable(Y))
    several = isinstance(expected, (list, tuple))
    for theirs, ours in zip(*([expected, got] if several else [[expected], [got]]), strict=True):
        ours = ours if isinstance(ours, Variable) else Variable(ours)
        np.testing.assert_allclose(ours.array, theirs, rtol=1e-13, strict=True)
    check_backward(lambda x, y: tuple(filter(_computed, _as_tuple(call(x, y)))), (X, Y))


def _as_tuple(ys):
    return tuple(ys) if isinstance(ys, (list, tuple)) else (ys,)


def _computed(y):
    return isinstance(y, Variable) and y.requires_grad


REFUSED = [
    (lambda: np.add(V, V, out=X.copy()), "np.add: a Variable cannot be written into an array"),
    (lambda: np.exp(X, out=V), "np.exp: a Variable cannot be written into an array"),
    (lambda: np.add(V, V, where=X > 0.5), "np.add: of a Variable: got an unexpected keyword argum"),
    (lambda: np.add.reduce(V), "np.add.reduce: of a Variable, expected an ordinary call"),
    (lambda: np.add.accumulate(V), "np.add.accumulate: of a Variable, expected an ordinary call"),
    (lambda: np.multiply.outer(V, X), "np.multiply.outer: of a Variable, expected an ordinary"),
    (lambda: np.add.at(V, [0], 1.0), "np.add.at: of a Variable, expected an ordinary call"),
    (lambda: np.add.at(X.copy(), [0], V[0]), "np.add.at: of a Variable, expected an ordinary"),
    (lambda: np.sum(V, where=X > 0.5), "np.sum: of a Variable: got an unexpected keyword argum"),
    (lambda: np.sum(V, 0, None, np.zeros(4)), "np.sum: of a Variable: "),
    (lambda: np.max(V, initial=3), "np.max: of a Variable: got an unexpected keyword argument"),
    (lambda: np.average(V, returned=True), "np.average: of a Variable: got an unexpected"),
    (lambda: np.take(V, [0, 9], mode="clip"), "np.take: of a Variable: got an unexpected"),
    (lambda: np.where(V), "np.where: of a Variable: missing a required argument"),
    (lambda: np.reshape(V, (4, 3), order="F"), "np.reshape: of a Variable: got an unexpected"),
    (lambda: np.ravel(V, "F"), "np.ravel: of a Variable: too many positional arguments"),
    (lambda: np.copyto(X.copy(), V), "np.copyto: dynet has no such function of Variables"),
    (lambda: np.sort(V), "np.sort: dynet has no such function of Variables"),
    (lambda: np.linalg.norm(V), "np.linalg.norm: dynet has no such function of Variables"),
    (lambda: np.linalg.cholesky(V[:, :3], upper=True), "np.linalg.cholesky: of a Variable: got"),
    (lambda: np.divmod(X, V), "np.divmod: dynet has no such function of Variables"),
    (lambda: np.array([V, V]), "a Variable is no array: NumPy would lose its gradient"),
    (lambda: np.concatenate([[V, V], [V, V]]), "a Variable is no array: NumPy would lose its"),
]


@pytest.mark.parametrize("call, message", REFUSED, ids=[message for _, message in REFUSED])
def test_what_numpys_functions_cannot_do_with_variables_is_a_type_error_that_names_them(
    call, message
):
    with pytest.raises(TypeError, match="^" + re.escape(message)):
        call()


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "//", "%", "**", "@"])
def test_no_operator_writes_a_variable_into_an_array(operator):
    x = SQUARE.copy()
    with pytest.raises(TypeError, match="a Variable cannot be written into an array"):
        exec(f"x {operator}= v", dict(x=x, v=Variable(SQUARE)))
    with pytest.raises(TypeError, match="a Variable is no array"):
        x[0] = V[0, :3]
    np.testing.assert_array_equal(x, SQUARE)


@pytest.mark.parametrize("f", [f for f in IMPLEMENTATIONS if isinstance(f, np.ufunc)], ids=str)
@pytest.mark.parametrize("method", ["at", "reduce", "accumulate", "outer", "reduceat"])
def test_no_method_of_a_ufunc_loses_a_gradient(f, method):
    arguments = {"at": (V, [0], V)[: 1 + f.nin], "outer": (V, V), "reduceat": (V, [0])}
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        getattr(f, method)(*arguments.get(method, (V,)))


# -- memory ----------------------------------------------------------------------------------------

# Functions of two variables whose gradients may be parts of one array, or the incoming one itself.
OF_TWO = {
    "add": lambda x, w: x + w,
    "sub": lambda x, w: x - w,
    "twice": lambda x, w: x + x + w,
    "views": lambda x, w: x.T.reshape(-1) + w.T.reshape(-1),
    "broadcast": lambda x, w: sum(F.broadcast(x, w)),
    "broadcast_to": lambda x, w: F.broadcast_to(x, (1, 3, 4)) + w,
    "squeeze": lambda x, w: F.squeeze(F.expand_dims(x, 0)) + F.expand_dims(w, 0),
    "concat": lambda x, w: F.concat([x, w]),
    "stack": lambda x, w: F.stack([x, w]),
    "dstack": lambda x, w: F.dstack([x, w]),
    "split_axis": lambda x, w: F.split_axis(x, 2, 1)[0] + F.split_axis(w, 2, 1)[0],
    "separate": lambda x, w: F.separate(x)[0] + F.separate(w)[1],
    "pad_sequence": lambda x, w: F.pad_sequence([x, w]),
    "tile": lambda x, w: F.tile(x, 1) + F.tile(w, 1),
    "flip": lambda x, w: F.flip(x) + F.flip(w),
    "get_item": lambda x, w: x[1:] + w[1:],
    "scatter_add": lambda x, w: F.scatter_add(x, slice(None), w),
    "copy": lambda x, w: F.copy(x, "cpu") + F.copy(w, "cpu"),
    "sum": lambda x, w: x.sum(axis=0) + w.sum(axis=0),
    "squared_error": F.squared_error,
    "mean_squared_error": F.mean_squared_error,
    "mean_absolute_error": F.mean_absolute_error,
    "huber_loss": lambda x, w: F.huber_loss(x, w, 1.0),
    "clip_gradient": lambda x, w: F.clip_gradient(x, 1) + F.clip_gradient(w, 1),
    "forget": lambda x, w: F.forget(lambda a, b: a + b, x, w),
}


@pytest.mark.parametrize("name", OF_TWO)
@pytest.mark.parametrize("retain", [False, True])
def test_the_gradient_of_a_leaf_is_an_array_that_nobody_else_has(name, retain):
    x, w = Variable(X.copy()), Variable(Y.copy())
    y = OF_TWO[name](x, w)
    y.grad = seed = np.full(y.shape, 0.5)
    y.backward(retain_grad=retain)
    arrays = [x.grad, w.grad, x.array, w.array, y.array, seed]
    assert not any(np.shares_memory(a, b) for g in (0, 1) for a, b in _pairs_with(arrays, g))
    expected = x.grad.copy(), w.grad.copy()
    x.grad[...] = 99  # an array that can be written to, and whose writing changes nothing
    np.testing.assert_array_equal(w.grad, expected[1])
    x.cleargrad()
    w.cleargrad()
    y.grad = seed
    y.backward()
    np.testing.assert_array_equal(x.grad, expected[0])
    np.testing.assert_array_equal(w.grad, expected[1])
    for g, h in zip(dynet.grad([y], [x, w], [seed]), expected, strict=True):
        assert not np.shares_memory(g.array, seed)
        np.testing.assert_array_equal(g.array, h)


def _pairs_with(arrays, i):
    return [(arrays[i], other) for j, other in enumerate(arrays) if j != i]


VIEWS = {
    "reshape": lambda x: F.reshape(x, (4, 3)),
    "flatten": F.flatten,
    "transpose": F.transpose,
    "swapaxes": lambda x: F.swapaxes(x, 0, 1),
    "moveaxis": lambda x: F.moveaxis(x, 0, 1),
    "expand_dims": lambda x: F.expand_dims(x, 1),
    "squeeze": F.squeeze,
    "split_axis": lambda x: F.split_axis(x, 2, 1)[1],
    "separate": lambda x: F.separate(x, 1)[2],
    "get_item": lambda x: x[1:, ::2],
    "diagonal": F.diagonal,
    "flip": F.flip,
}


@pytest.mark.parametrize("name", VIEWS)
def test_what_is_written_through_a_view_changes_no_gradient(name):
    x = Variable(X.copy())
    y = VIEWS[name](x)
    assert np.shares_memory(y.array, x.array)
    y.grad = np.ones(y.shape)
    y.backward()
    expected = x.grad.copy()
    x.cleargrad()
    if y.array.flags.writeable:
        y.array[...] = 99
    y.grad = np.ones(y.shape)
    y.backward()
    np.testing.assert_array_equal(x.grad, expected)


SLICES = st.slices(4)
INDICES = st.one_of(
    SLICES,
    st.tuples(SLICES, SLICES),
    st.integers(-4, 3),
    st.lists(st.integers(-4, 3), max_size=4).map(lambda i: np.array(i, int)),
    st.lists(st.booleans(), min_size=4, max_size=4).map(np.array),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(INDICES, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_the_gradients_of_views_that_overlap_add_up(indices, transposed, create_graph):
    x = Variable(np.arange(16.0).reshape(4, 4))
    expected = np.zeros((4, 4))
    base, target = (x.T, expected.T) if transposed else (x, expected)
    total = 0
    for k, index in enumerate(indices, start=1):
        part = base[index]
        weight = np.arange(part.size * k * 1.0, part.size * (k + 1.0))[: part.size]
        total = total + (part.reshape(-1) * weight).sum()
        np.add.at(target, index, weight.reshape(part.shape))
    (g,) = dynet.grad([total], [x], create_graph=create_graph)
    np.testing.assert_array_equal(g.array, expected)
