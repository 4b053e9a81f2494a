"""What holds for every function beyond its value and gradient: in which orders, at what cost."""

import contextlib
import gc
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from table import arrays_of
from test_functions import CASES, over

import dynet
import dynet.functions as F
from dynet import FunctionHook, Variable
from dynet.gradient_check import check_backward, check_double_backward
from dynet.terms import TERMS

# Of a singular matrix the third derivative of the determinant is not there, says its docstring.
SMOOTH = [(r, c) for r, c in CASES if not (r.flat or r.measure) and r.name != "det: singular"]


def outputs(row, xs):
    """The outputs that have a gradient."""
    ys = row.function(*xs)
    return [y for y in (ys if isinstance(ys, tuple) else (ys,)) if y.requires_grad]


def variables(arrays):
    """A Variable for each array, and those of them that have a gradient."""
    xs = [Variable(np.array(a)) for a in arrays]
    return xs, [x for x in xs if x.requires_grad]


def draw(seed, variables_):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=v.shape), v.dtype) for v in variables_]


def dot(variables_, arrays):
    """The sum of all products; 0 where no Variable is."""
    terms = [(v * a).sum() for v, a in zip(variables_, arrays, strict=True) if v is not None]
    return sum(terms[1:], terms[0]) if terms else Variable(np.zeros(()))


def grad(y, xs, create_graph=False):
    """``dynet.grad``, of what may be a constant too."""
    return dynet.grad(y, xs, create_graph=create_graph) if y.requires_grad else [None] * len(xs)


# -- higher orders --------------------------------------------------------------------------------


def entangled(xs, wanted):
    """Each input with a little of all others added, so that all are computed from each other."""
    of_all = dot([F.sin(x) for x in wanted], [0.003] * len(wanted))
    return [x + of_all if x.requires_grad else x for x in xs]


def second_order(row, arrays, mix, create_graph):
    """A number made of second derivatives in random directions, and the inputs."""
    xs, wanted = variables(arrays)
    ys = outputs(row, mix(xs, wanted))
    first = grad(dot([F.sin(y) for y in ys], draw(1, ys)), wanted, create_graph=True)
    second = grad(dot(first, draw(2, wanted)), wanted, create_graph)
    return dot(second, draw(3, wanted)), wanted


@pytest.mark.parametrize("mix", [lambda xs, wanted: xs, entangled], ids=["apart", "entangled"])
@over(*SMOOTH)
def test_the_third_derivative_is_the_numerical_one(row, case, mix):
    arrays = arrays_of(case)
    y, wanted = second_order(row, arrays, mix, create_graph=True)
    direction = draw(4, wanted)
    parts = [g.array * d for g, d in zip(grad(y, wanted), direction, strict=True) if g is not None]

    def at(step):
        steps = iter(direction)
        moved = [a + step * next(steps) if a.dtype.kind == "f" else a for a in arrays]
        return second_order(row, moved, mix, create_graph=False)[0].item()

    assert at(0) == pytest.approx(y.item(), rel=1e-9, abs=1e-9)
    eps = 3e-6
    expected = (at(eps) - at(-eps)) / (2 * eps)
    # What the difference loses: digits of the value, and of the summands of the derivative.
    size = max(1, abs(y.item()), *[abs(p).sum() for p in parts])
    assert sum(p.sum() for p in parts) == pytest.approx(expected, abs=1e-6 * size)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-3), (np.float64, 1e-11)])
@over(*SMOOTH)
def test_the_recorded_gradient_is_the_ordinary_one(row, case, dtype, rtol):
    xs, wanted = variables(arrays_of(case, dtype))
    ys = outputs(row, xs)
    gys = draw(1, ys)
    ordinary = dynet.grad(ys, wanted, gys)
    recorded = dynet.grad(ys, wanted, gys, create_graph=True)
    for got, expected in zip(recorded, ordinary, strict=True):
        assert (got is None) == (expected is None)
        if got is not None:
            assert got.dtype == dtype
            np.testing.assert_allclose(got.array, expected.array, rtol, 1e-2 * rtol)


def pairs_of_arguments():
    """Cases in which one array may stand for two arguments."""
    for row, case in SMOOTH:
        arrays = arrays_of(case)
        floating = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        alike = [(i, j) for i in floating for j in floating if arrays[i].shape == arrays[j].shape]
        pair = next((p for p in alike if p[0] < p[1]), None)
        if pair is not None and arrays[pair[0]].size:
            yield pytest.param(row, arrays, *pair, id=f"{row.name} {arrays[pair[0]].shape}")


@pytest.mark.parametrize(("row", "arrays", "i", "j"), list(pairs_of_arguments()))
def test_one_variable_as_two_arguments_gets_both_gradients_in_both_orders(row, arrays, i, j):
    def gradients(first, second):
        xs = [first if k == i else second if k == j else a for k, a in enumerate(arrays)]
        ys = outputs(row, xs)
        wanted = list({id(x): x for x in (first, second)}.values())
        gxs = grad(dot([F.sin(y) for y in ys], draw(1, ys)), wanted, create_graph=True)
        ggxs = grad(dot(gxs, draw(2, [first]) * len(wanted)), wanted)
        return [sum([g.array for g in gs if g is not None], 0 * array) for gs in (gxs, ggxs)]

    array = arrays[i]
    x = Variable(array)
    got = gradients(x, x)
    expected = gradients(Variable(array), Variable(array))  # one array, told apart
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-9 * (1 + abs(e).max()))


def cases_with_scalars():
    """Cases in which an output has no axes."""
    for row, case in SMOOTH:
        y = row.function(*arrays_of(case))
        if any(v.ndim == 0 for v in (y if isinstance(y, tuple) else (y,))):
            yield row, case


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@over(*cases_with_scalars())
def test_a_gradient_that_numpy_made_a_scalar_is_as_good_as_an_array(row, case, dtype):
    xs, wanted = variables(arrays_of(case, dtype))
    ys = outputs(row, xs)
    got = dynet.grad([y * 0.5 for y in ys], wanted)  # array(1.0) * 0.5 is np.float64(0.5)
    expected = dynet.grad(ys, wanted, [np.full(y.shape, 0.5, dtype) for y in ys])
    for g, e in zip(got, expected, strict=True):
        assert (g is None) == (e is None)
        if g is not None:
            assert g.dtype == dtype
            np.testing.assert_allclose(g.array, e.array, rtol=1e-5)


def test_the_gradient_of_a_power_by_its_base_is_differentiable_by_an_exponent_of_0():
    x, y = Variable(np.array([2.0, 0.0])), Variable(np.zeros(2))
    (gx,) = dynet.grad((x**y).sum(), x, create_graph=True)
    np.testing.assert_array_equal(gx.array, [0, 0])
    (gxy,) = dynet.grad(gx[0], y)
    assert gxy.array[0] == 0.5


@pytest.mark.parametrize("create_graph", [False, True])
def test_relu_keeps_an_infinite_gradient_from_what_it_has_cut_off(create_graph):
    x = Variable(np.array([-1.0, 4.0]))
    with np.errstate(divide="ignore"):
        (gx,) = dynet.grad(F.sqrt(F.relu(x)).sum(), x, create_graph=create_graph)
    np.testing.assert_array_equal(gx.array, [0, 0.25])


@pytest.mark.parametrize("create_graph", [False, True])
def test_sigmoid_cross_entropy_has_a_gradient_at_infinite_scores(create_graph):
    x = Variable(np.array([np.inf, -np.inf, np.inf, 0.0]))
    t = np.array([1, 1, 0, 1])
    (gx,) = dynet.grad(F.sigmoid_cross_entropy(x, t), x, create_graph=create_graph)
    np.testing.assert_array_equal(gx.array * 4, [0, -1, 1, -0.5])


@pytest.mark.parametrize("create_graph", [False, True])
def test_ctc_has_the_gradient_0_where_a_score_of_minus_infinity_forbids_all_ways(create_graph):
    scores = np.zeros((2, 3, 4))
    scores[:, 1, 2] = -np.inf  # the second sequence would need this symbol, the others do not
    scores[:, 0, 3] = -np.inf
    xs = [Variable(x) for x in scores]
    losses = F.connectionist_temporal_classification(xs, np.array([[1], [2], [3]]), 0, reduce="no")
    gxs = dynet.grad(losses, xs, create_graph=create_graph)
    slopes = np.stack([g.array for g in gxs])
    np.testing.assert_array_equal(losses.array[1], np.inf)
    np.testing.assert_array_equal(slopes[:, 1], np.zeros((2, 4)))
    assert np.isfinite(slopes).all() and (slopes[:, 0, 3] == 0).all()
    assert (slopes[:, [0, 2], [1, 3]] < 0).all()


# -- memory ---------------------------------------------------------------------------------------


def nodes_behind(ys):
    """All nodes of the tape that some variables were computed by."""
    nodes = [y.node for y in ys]
    for node in nodes:  # the list grows while the loop runs through it
        nodes.extend([n for n in node.inputs if n is not None and n not in nodes])
    return nodes


def swept_once(row, case, create_graph):
    """Weak references to the arrays that a sweep, or one recorded and differentiated, needed."""
    xs, wanted = variables(arrays_of(case))
    ys = outputs(row, xs)
    saved = [a for node in nodes_behind(ys) for a in getattr(node, "saved", ())]
    floating = [a for a in saved if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    references = [weakref.ref(a) for a in (*xs, *[x.array for x in xs], *floating)]
    gxs = dynet.grad(ys, wanted, create_graph=create_graph)
    if create_graph:
        grad(dot(gxs, draw(1, wanted)), wanted)
    return references


@pytest.fixture
def garbage():
    """With the garbage collector off: a function that counts what it would find."""
    gc.collect()
    gc.disable()
    yield gc.collect
    gc.enable()


@pytest.mark.parametrize("create_graph", [False, True], ids=["ordinary", "recorded"])
def test_tapes_die_with_their_last_variable_and_leave_no_garbage(create_graph, garbage):
    alive = [
        row.name
        for row, case in SMOOTH
        if any(reference() is not None for reference in swept_once(row, case, create_graph))
    ]
    assert alive == []
    assert garbage() == 0


@pytest.mark.parametrize("bad", [[1.0], None, np.array(["a"]), np.ones((2, 2, 0, 3, 1))], ids=str)
def test_calls_that_raise_leave_no_garbage(bad, garbage):
    for _ in range(2):  # the first time, Numba may compile
        garbage()
        for row, case in CASES:
            with contextlib.suppress(Exception):
                row.function(*[bad] * len(arrays_of(case)))
    assert garbage() == 0


class Calls(FunctionHook):
    """The functions that ran on Variables or arrays of the user, and what went in and out."""

    def __init__(self):
        self.forward = {}
        self.backward = []

    def forward_postprocess(self, function, xs, ys):
        self.forward[id(function)] = (function, [*xs, *ys])

    def backward_postprocess(self, function, gys, gxs):
        self.backward.append((function, gxs))


# What functions keep beside their inputs and outputs: indices and masks; of fused ones slopes,
# exponentials or statistics that the kernel for the gradient would have to compute again.
KEEP_THEIR_OWN = {
    "BatchNormalization",
    "ConnectionistTemporalClassification",
    "GetItem",
    "GRU",
    "GroupNormalization",
    "LSTM",
    "LayerNormalization",
    "MaxPooling2D",
    "PeepholeLSTM",
    "SLSTM",
    "ScatterAdd",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "TreeLSTM",
    "Zoneout",
}


def memory_of(array):
    """The array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return id(array)


@over(*SMOOTH)
def test_a_record_keeps_inputs_and_outputs_and_little_else(row, case):
    xs, _ = variables(arrays_of(case, np.float32))
    with Calls() as calls:
        ys = outputs(row, xs)
    for node in nodes_behind(ys):
        if id(node) not in calls.forward or node.name in KEEP_THEIR_OWN:
            continue
        passed = {memory_of(a) for a in calls.forward[id(node)][1] if isinstance(a, np.ndarray)}
        for a in node.saved:
            assert not isinstance(a, np.ndarray) or memory_of(a) in passed, node.name


LINEAR = {
    "+": lambda x: x + 1,
    "neg": lambda x: -x,
    "sum": lambda x: x.sum(axis=0),
    "mean": lambda x: x.mean(axis=0),
    "cumsum": lambda x: x.cumsum(axis=1),
    "concat": lambda x: F.concat([x, x]),
    "stack": lambda x: F.stack([x, x]),
    "pad": lambda x: F.pad(x, 1),
    "repeat": lambda x: F.repeat(x, 2, axis=1),
    "tile": lambda x: F.tile(x, 2),
    "astype": lambda x: x.astype(np.float32),
    "get_item": lambda x: x[np.array([0, 1])],
    "permutate": lambda x: F.permutate(x, np.array([1, 0])),
    "where": lambda x: F.where(np.ones((2, 3), bool), x, 0.0),
    "dropout": F.dropout,
    "zoneout": lambda x: F.zoneout(x, x),
    "average_pooling_2d": lambda x: F.average_pooling_2d(x.reshape(1, 1, 2, 3), 2),
    "max_pooling_2d": lambda x: F.max_pooling_2d(x.reshape(1, 1, 2, 3), 2),
    "im2col": lambda x: F.im2col(x.reshape(1, 1, 2, 3), 2),
}


@pytest.mark.parametrize("function", LINEAR.values(), ids=LINEAR)
def test_a_function_with_a_constant_slope_lets_its_input_go(function):
    x = Variable(np.ones((2, 3))) + 1
    array = weakref.ref(x.array)
    y = function(x)
    del x
    assert array() is None
    (y * 1.0).sum().backward()


def test_a_power_keeps_its_operands_alone():
    y = (Variable(np.ones(3)) + 1) ** 2
    array = weakref.ref(y.array)
    z = y + 1
    del y
    assert array() is None
    z.sum().backward()


# -- what is not done -----------------------------------------------------------------------------

# Where the gradient of a constant costs nothing, or comes with that of another input.
COMES_FOR_FREE = {
    "Add",
    "BatchNormalization",
    "Concat",
    "Div",
    "FixedBatchNormalization",
    "Fmod",
    "Gaussian",
    "GRU",
    "GroupNormalization",
    "Huber",
    "LSTM",
    "LayerNormalization",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Mod",
    "PadSequence",
    "PeepholeLSTM",
    "SLSTM",
    "ScatterAdd",
    "SquaredDifference",
    "Stack",
    "Sub",
    "TreeLSTM",
}


@over(*[(r, c) for r, c in SMOOTH if sum(a.dtype.kind == "f" for a in arrays_of(c)) > 1])
def test_no_gradient_of_a_constant_is_computed_where_that_is_work(row, case):
    arrays = arrays_of(case)
    for i, a in enumerate(arrays):
        if a.dtype.kind != "f":
            continue
        xs = [Variable(b) if i == j else b for j, b in enumerate(arrays)]
        with Calls() as calls:
            dynet.grad(outputs(row, xs), xs[i])
        for function, gxs in calls.backward:
            if function.name not in COMES_FOR_FREE:
                for node, gx in zip(function.inputs, gxs, strict=True):
                    assert node is not None or gx is None or type(gx) in TERMS, function.name


def test_fixed_batch_normalization_computes_what_is_wanted():
    x, parameters = Variable(np.ones((2, 3))), [np.ones(3)] * 4
    with Calls() as calls:
        F.fixed_batch_normalization(x, *parameters).sum().backward()
    assert [gx is None for gx in calls.backward[-1][1]] == [False, True, True, True, True]


@over(*[(r, c) for r, c in SMOOTH if not r.name.startswith("forget")])
def test_an_ordinary_sweep_works_on_arrays_alone(row, case):
    xs, wanted = variables(arrays_of(case))
    ys = outputs(row, xs)
    with Calls() as calls:
        dynet.grad(ys, wanted)
    assert calls.forward == {}
    assert all(not isinstance(gx, Variable) for _, gxs in calls.backward for gx in gxs)


# -- several outputs ------------------------------------------------------------------------------

SEVERAL = {
    "split_axis": lambda x: F.split_axis(x, 3, axis=1),
    "separate": lambda x: F.separate(x, axis=1),
    "transpose_sequence": lambda x: F.transpose_sequence([x[0], x[1, :2], x[2, :1]]),
    "broadcast": lambda x: F.broadcast(x, x[:1], x[:, :1]),
    "forget": lambda x: F.forget(lambda x: (x * x, F.sin(x), 2 * x), x),
    "forget: what it was given": lambda x: F.forget(lambda x: (x, x, x * x), x),
}


@pytest.mark.parametrize(
    "uses", [[0], [1], [2], [0, 2], [1, 1], [2, 0, 2]], ids=lambda uses: str(uses)
)
@pytest.mark.parametrize("function", SEVERAL.values(), ids=SEVERAL)
def test_outputs_may_be_used_in_part_and_more_than_once(function, uses):
    def of_some(x):
        ys = function(x)
        return tuple([ys[i] * ys[uses[0]] for i in uses[::-1] if ys[i].shape == ys[uses[0]].shape])

    array = np.random.default_rng(0).uniform(0.5, 2, (3, 3))
    check_backward(of_some, array)
    check_double_backward(of_some, array)


def test_a_variable_that_func_of_forget_makes_for_itself_may_be_another_one_each_time():
    x = Variable(np.array([1.0, 2.0]))

    def recurrence(x):
        state = Variable(np.ones(2))
        for _ in range(2):
            state = state * x
        return state

    F.forget(recurrence, x).sum().backward()
    np.testing.assert_array_equal(x.grad, 2 * x.array)


# -- threads --------------------------------------------------------------------------------------


BATCH = np.random.default_rng(0).normal(size=(8, 5))


def trained(seed, debug):
    """Parameters after some steps, on a batch that all threads share."""
    dynet.random.seed(seed)
    W = Variable(np.random.default_rng(seed).normal(size=(3, 5)))
    with dynet.using_config("debug", debug), dynet.using_config("train", seed % 2 == 0):
        for _ in range(60):
            W.cleargrad()
            h = F.linear(F.dropout(BATCH, 0.2), W) + F.linear(BATCH, W)
            F.softmax_cross_entropy(h + F.tanh(h), np.arange(8) % 3).backward()
            with dynet.no_backprop_mode():
                W.array = W.array - (0.1 * Variable(W.grad)).array
    return W.array


@pytest.fixture
def four_threads():
    """Threads that take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(4) as threads:
        yield threads
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("debug", [[False] * 4, [True, False] * 2, [True] * 4], ids=str)
def test_threads_that_train_at_once_with_settings_of_their_own_do_not_meet(debug, four_threads):
    expected = [trained(seed, d) for seed, d in enumerate(debug)]
    np.testing.assert_array_equal(list(four_threads.map(trained, range(4), debug)), expected)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_threads_may_guard_one_array_at_once(four_threads):
    def square_often(array):
        with dynet.using_config("debug", True):
            for _ in range(1000):
                F.square(Variable(array))

    for _ in range(3):
        array = np.ones(3)
        list(four_threads.map(square_often, [array] * 4))
        assert array.flags.writeable


# -- grad -----------------------------------------------------------------------------------------


def test_a_gradient_is_differentiable_by_the_gradient_that_it_started_from():
    x, v = Variable(np.array([1.0, 2.0])), Variable(np.array([3.0, 5.0]))
    (gx,) = dynet.grad(x * x * x, x, v, create_graph=True)  # 3 x x v
    gx_by_x, gx_by_v = dynet.grad(gx.sum(), [x, v], create_graph=True)
    np.testing.assert_array_equal(gx_by_v.array, 3 * x.array**2)
    np.testing.assert_array_equal(gx_by_x.array, 6 * x.array * v.array)
    (mixed,) = dynet.grad(gx_by_v.sum(), x)
    np.testing.assert_array_equal(mixed.array, 6 * x.array)


def test_a_recorded_gradient_may_be_swept_again_and_the_tape_before_it_too():
    x = Variable(np.array([1.0, 2.0]))
    y = (x**3).sum()
    (gx,) = dynet.grad(y, x, create_graph=True)
    for _ in range(2):
        (ggx,) = dynet.grad(gx.sum(), x)
        np.testing.assert_array_equal(ggx.array, 6 * x.array)
    y.backward()
    gx.sum().backward()
    np.testing.assert_array_equal(x.grad, 3 * x.array**2 + 6 * x.array)


def test_an_input_that_takes_no_part_in_some_order_has_the_gradient_none():
    x, y, z = [Variable(np.array(a)) for a in (2.0, 3.0, 5.0)]
    gx, gz = dynet.grad(x * x * y, [x, z], create_graph=True)
    assert gz is None
    gxx, gxz = dynet.grad(gx, [x, z], create_graph=True)
    assert (gxx.item(), gxz) == (6, None)
    gxxx, gxxy = dynet.grad(gxx, [x, y], create_graph=True)
    assert (gxxx, gxxy.item()) == (None, 2)
