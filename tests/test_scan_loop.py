"""``scan``, by its definition: the plain loop, its trees of arrays, its arguments."""

import sys
import tracemalloc
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.function import variable_at
from dynet.scanning import explain, loop
from dynet.scanning.structure import describe, flatten, places, unflatten

either = pytest.mark.parametrize("compiled", [False, None])

State = namedtuple("State", "h c")


def numbers(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def model(n=3, seed=0):
    """A step with two parameters, and those."""
    W, b = Variable(numbers(n, n, seed=seed + 1)), Variable(numbers(n, seed=seed + 2))

    def step(h, x):
        h = F.tanh(F.linear(h, W, b) + x)
        return h, h * x

    return step, [W, b]


def by_hand(step, h, xs, reverse=False):
    """The loop as a user writes it, over one array."""
    order = range(len(xs))
    ys = {}
    for t in reversed(order) if reverse else order:
        h, ys[t] = step(h, xs[t])
    return h, F.stack([ys[t] for t in order])


def swept(result, variables):
    """The gradients of a weighted sum of the last carry and all ys."""
    for v in variables:
        v.cleargrad()
    h, ys = result
    weights = numbers(*ys.shape, seed=9)
    ((h * h).sum() + (ys * weights).sum()).backward()
    return [v.grad for v in variables]


# -- values and gradients ------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    length=st.integers(1, 6),
    batch=st.integers(1, 3),
    n=st.integers(1, 4),
    reverse=st.booleans(),
    wants=st.tuples(st.booleans(), st.booleans()),
)
def test_values_and_gradients_are_those_of_the_loop(length, batch, n, reverse, wants):
    step, parameters = model(n)
    h0 = Variable(numbers(batch, n, seed=5), requires_grad=wants[0])
    xs = Variable(numbers(length, batch, n, seed=6), requires_grad=wants[1])
    variables = [*parameters, *[v for v in (h0, xs) if v.requires_grad]]
    scanned = dynet.scan(step, h0, xs, reverse=reverse, compiled=False)
    looped = by_hand(step, h0, xs, reverse)
    for a, b in zip(scanned, looped, strict=True):
        np.testing.assert_array_equal(a.array, b.array)
    for a, b in zip(swept(scanned, variables), swept(looped, variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@either
def test_a_scan_is_a_part_of_a_larger_model(compiled):
    step, parameters = model()
    E = Variable(numbers(7, 3, seed=8))
    ids = np.array([[1, 2], [0, 6], [3, 3], [2, 5], [4, 1]])

    def gradients(run):
        h0 = E.sum(axis=0, keepdims=True) * np.ones((2, 1))
        return swept(run(step, h0, F.embed_id(ids, E) * 2), [E, *parameters])

    scanned = gradients(lambda *args: dynet.scan(*args, compiled=compiled))
    for a, b in zip(scanned, gradients(by_hand), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@either
def test_a_scan_may_be_differentiated_twice(compiled):
    step, (W, b) = model()
    h0, xs = Variable(numbers(2, 3, seed=5)), Variable(numbers(5, 2, 3, seed=6))

    def second(run):
        h, ys = run(step, h0, xs)
        first = dynet.grad([(h * h).sum() + (ys**3).sum()], [W, xs], create_graph=True)
        return dynet.grad([sum([(g * g).sum() for g in first])], [W, b, h0, xs])

    scanned = second(lambda *args: dynet.scan(*args, compiled=compiled))
    for ours, theirs in zip(scanned, second(by_hand), strict=True):
        np.testing.assert_allclose(ours.array, theirs.array, rtol=1e-10)


def test_a_step_may_scan_in_its_turn():
    W = Variable(numbers(3, 3))

    def inner(h, x):
        return F.tanh(h @ W + x), None

    def outer(h, xs):
        h, _ = dynet.scan(inner, h, xs, compiled=False)
        return h, h

    def outer_by_hand(h, xs):
        for x in xs:
            h, _ = inner(h, x)
        return h, h

    h0, xs = Variable(numbers(2, 3, seed=1)), Variable(numbers(4, 5, 2, 3, seed=2))
    scanned = swept(dynet.scan(outer, h0, xs, compiled=False), [W, h0, xs])
    looped = swept(by_hand(outer_by_hand, h0, xs), [W, h0, xs])
    for a, b in zip(scanned, looped, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@either
def test_dropout_in_a_step_draws_the_numbers_that_it_draws_in_a_loop(compiled):
    def step(h, x):
        h = F.dropout(h + x, 0.5)
        return h, h

    h0, xs = Variable(np.ones((4, 5))), Variable(np.ones((6, 4, 5)))
    dynet.random.seed(3)
    _, scanned = dynet.scan(step, h0, xs, compiled=compiled)
    dynet.random.seed(3)
    _, looped = by_hand(step, h0, xs)
    np.testing.assert_array_equal(scanned.array, looped.array)


def test_arrays_get_no_gradient_and_need_none():
    step, (W, _) = model()
    h, ys = dynet.scan(step, numbers(2, 3), numbers(5, 2, 3), compiled=False)
    (h.sum() + ys.sum()).backward()
    assert W.grad is not None
    h, ys = dynet.scan(lambda h, x: (h + x, h), numbers(2, 3), numbers(5, 2, 3), compiled=False)
    assert not h.requires_grad and not ys.requires_grad


def test_outputs_of_which_only_some_want_a_gradient_are_stacked_with_it():
    W, steps = Variable(np.array(2.0)), iter(range(3))

    def step(h, x):
        return h, (x * W if next(steps) == 1 else x)

    _, ys = dynet.scan(step, np.zeros(()), np.array([1.0, 3.0, 5.0]), compiled=False)
    ys.sum().backward()
    assert W.grad == 3


def test_arrays_that_a_step_returns_are_constants():
    h, ys = dynet.scan(lambda h, x: (h.array + 1, x.array), np.zeros(2), np.ones((3, 2)))
    assert isinstance(h, Variable) and not h.requires_grad and not ys.requires_grad
    np.testing.assert_array_equal(ys.array, np.ones((3, 2)))


@pytest.mark.parametrize("xs", [np.arange(3), Variable(np.arange(3.0))], ids=["array", "Variable"])
def test_a_number_at_each_time_step_is_an_array_without_axes(xs):
    def step(carry, x):
        assert isinstance(x, Variable) and isinstance(x.array, np.ndarray) and x.shape == ()
        return carry, x

    _, ys = dynet.scan(step, None, xs)
    np.testing.assert_array_equal(ys.array, [0, 1, 2])
    assert ys.dtype == xs.dtype


@either
def test_in_reverse_the_last_step_runs_first_and_outputs_keep_their_places(compiled):
    def step(count, x):
        return count + 1, (count, x)

    xs = np.arange(10.0, 15.0)
    count, (when, which) = dynet.scan(step, np.array(0.0), xs, reverse=True, compiled=compiled)
    assert count.array == 5
    np.testing.assert_array_equal(when.array, [4, 3, 2, 1, 0])
    np.testing.assert_array_equal(which.array, xs)


def test_under_no_backprop_mode_nothing_is_recorded():
    step, _ = model()
    with dynet.no_backprop_mode():
        h, ys = dynet.scan(step, numbers(2, 3), Variable(numbers(5, 2, 3)), compiled=False)
    assert h.creator is None and ys.creator is None


def test_under_no_backprop_mode_only_the_outputs_are_kept():
    def step(h, x):
        h = F.tanh(h + x)
        return h, h.sum()

    h0, xs = Variable(np.zeros((100, 100))), np.ones(500)
    tracemalloc.start()
    try:
        with dynet.no_backprop_mode():
            dynet.scan(step, h0, xs, compiled=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * h0.array.nbytes


def test_a_long_loop_needs_no_recursion():
    length = 20 * sys.getrecursionlimit()
    decay = Variable(np.array(1.0))
    h, ys = dynet.scan(lambda h, x: (h * decay, h), np.array(1.0), None, length, compiled=False)
    (h + ys.sum()).backward()
    assert decay.grad == length + length * (length - 1) / 2


# -- trees ---------------------------------------------------------------------------------------


def nested(tree):
    """A tree of arrays with 1 added to each."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {key: nested(child) for key, child in reversed(tree.items())}
    if isinstance(tree, State):
        return State(*map(nested, tree))
    return type(tree)(map(nested, tree)) if isinstance(tree, (tuple, list)) else tree + 1


A = np.zeros(2)
TREES = [A, (A,), [A, None], {"b": A, "a": (A, [A])}, State(A, {1: A, "x": A}), (), None, [{}, A]]


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_the_carry_and_the_outputs_come_in_the_structure_they_have_in_the_step(tree):
    carry, ys = dynet.scan(lambda tree, x: (nested(tree), tree), tree, length=3, compiled=False)
    leaves, structure = flatten(tree)
    for result, shape, values in (carry, (2,), [3]), (ys, (3, 2), [[0], [1], [2]]):
        came, its = flatten(result)
        assert its == structure
        assert len(came) == len(leaves)
        for leaf in came:
            assert leaf.shape == shape and (leaf.array == values).all()


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_the_step_gets_its_input_in_the_structure_of_xs(tree):
    def step(carry, x):
        leaves, structure = flatten(x)
        assert structure == flatten(tree)[1]
        assert all([isinstance(leaf, Variable) and leaf.shape == () for leaf in leaves])
        return carry, x

    length = None if flatten(tree)[0] else 2
    _, ys = dynet.scan(step, None, tree, length, compiled=False)
    assert flatten(ys)[1] == flatten(tree)[1]


def test_gradients_find_their_way_through_trees():
    W = Variable(numbers(3, 3))
    h0, c0, xs = Variable(numbers(2, 3)), Variable(numbers(2, 3)), Variable(numbers(4, 2, 3))

    def step(state, x):
        c = state["c"] + state["h"] @ W
        h = F.tanh(c * x["x"][0])
        return {"c": c, "h": h}, [h, (c,)]

    def gradients(h, ys, cs):
        for v in (W, h0, c0, xs):
            v.cleargrad()
        (h.sum() + (ys * ys * cs).sum()).backward()
        return [v.grad for v in (W, h0, c0, xs)]

    state, [ys, (cs,)] = dynet.scan(step, {"h": h0, "c": c0}, {"x": [xs]}, compiled=False)
    scanned = gradients(state["h"], ys, cs)
    state, outputs = {"h": h0, "c": c0}, []
    for x in xs:
        state, y = step(state, {"x": [x]})
        outputs.append(y)
    ys, cs = F.stack([y[0] for y in outputs]), F.stack([y[1][0] for y in outputs])
    for a, b in zip(scanned, gradients(state["h"], ys, cs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_dict_may_be_returned_in_another_order_and_comes_back_in_that_of_init():
    init = {"h": np.zeros(2), "c": np.ones(2)}
    carry, _ = dynet.scan(lambda s, x: ({"c": s["c"], "h": s["h"]}, None), init, length=2)
    assert list(carry) == ["h", "c"]
    assert (carry["h"].array == 0).all() and (carry["c"].array == 1).all()


def test_a_step_may_change_the_list_that_it_gets():
    def step(carry, x):
        carry.append(carry.pop(0) + 1)
        return carry, None

    init = [np.array(0.0), np.array(10.0)]
    carry, _ = dynet.scan(step, init, length=3)
    assert [v.item() for v in carry] == [11, 2]
    assert len(init) == 2 and init[0] == 0


trees = st.recursive(
    st.none() | st.integers(1, 3).map(np.zeros),
    lambda children: (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.tuples(children, children).map(State._make)
        | st.dictionaries(st.sampled_from(["a", "b", 1, None]), children, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(tree=trees)
def test_a_tree_taken_apart_and_put_together_is_the_same_tree(tree):
    leaves, structure = flatten(tree)
    again = unflatten(structure, leaves)
    assert repr(again) == repr(tree)  # with the same order of keys
    leaves_again, structure_again = flatten(again)
    assert structure_again == structure and hash(structure_again) == hash(structure)
    assert all([a is b for a, b in zip(leaves, leaves_again, strict=True)])
    assert len(places(structure)) == len(leaves)


@settings(max_examples=50, deadline=None)
@given(one=trees, other=trees)
def test_trees_have_one_structure_just_if_they_print_alike_but_for_their_leaves(one, other):
    def sorted_keys(tree):
        if isinstance(tree, dict):
            return {k: sorted_keys(tree[k]) for k in sorted(tree, key=repr)}
        if isinstance(tree, State):
            return State(*map(sorted_keys, tree))
        if isinstance(tree, (tuple, list)):
            return type(tree)(map(sorted_keys, tree))
        return None if tree is None else "leaf"

    alike = repr(sorted_keys(one)) == repr(sorted_keys(other))
    assert (flatten(one)[1] == flatten(other)[1]) == alike


def test_the_order_of_a_dicts_keys_is_not_part_of_its_structure():
    one, _ = flatten({"a": A, "b": A + 1})
    leaves, structure = flatten({"b": A + 1, "a": A})
    assert structure == flatten({"a": A, "b": A})[1]
    assert [leaf[0] for leaf in leaves] == [leaf[0] for leaf in one] == [0, 1]


def test_a_tree_is_described_with_its_dtypes_and_shapes():
    tree = (np.zeros((2, 3), "f"), {"c": Variable(np.zeros(4))}, None, State(np.zeros((), int), []))
    leaves, structure = flatten(tree)
    assert describe(structure, leaves) == (
        "(float32 (2, 3), {'c': float64 (4,)}, None, State(h=int64 (), c=[]))"
    )
    assert places(structure) == ["[0]", "[1]['c']", "[3].h"]


# -- no time steps -------------------------------------------------------------------------------


def test_without_time_steps_the_carry_is_init_and_the_outputs_are_empty():
    h0 = Variable(numbers(2, 3))
    xs = {"x": np.zeros((0, 4), "f"), "ids": np.zeros((0, 2), int)}

    def step(carry, x):
        assert x["x"].shape == (4,) and x["ids"].dtype == int
        return carry, (x["x"] * 2, [carry[0]], None)

    (h, c), ys = dynet.scan(step, (h0, np.ones(3)), xs)
    assert h is h0 and (c.array == 1).all()
    leaves, structure = flatten(ys)
    assert describe(structure, leaves) == "(float32 (0, 4), [float64 (0, 2, 3)], None)"


def test_without_time_steps_the_trial_leaves_no_trace():
    class Heard(dynet.FunctionHook):
        count = 0

        def forward_preprocess(self, function, xs):
            self.count += 1

    def step(h, x):
        assert not dynet.config.train and not dynet.config.enable_backprop
        return h, F.log(F.dropout(h * x))

    state = dynet.random.get_state()
    with Heard() as heard, dynet.using_config("debug", True):
        _, ys = dynet.scan(step, np.ones(3), length=0, xs=np.zeros((0, 3)))
    assert ys.shape == (0, 3)
    assert heard.count == 0 and dynet.random.get_state() == state and dynet.config.train


def test_numbers_that_the_trial_draws_are_put_back():
    state = dynet.random.get_state()
    dynet.scan(lambda h, x: (h, h + dynet.random.normal((3,), float)), np.ones(3), length=0)
    assert dynet.random.get_state() == state


def test_without_time_steps_and_a_way_to_know_the_output_there_is_one_clear_error():
    def step(h, x):
        raise KeyError("no such word")

    with pytest.raises(ValueError, match="no way to know what y would be") as caught:
        dynet.scan(step, np.ones(3), np.zeros((0, 3), np.float32))
    assert "zeros for x (float32 (3,)), step raised KeyError: 'no such word'" in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


# -- compiled or not -----------------------------------------------------------------------------


def add(h, x):
    return h + x, h


H, XS = np.zeros(2), np.ones((5, 2))


@pytest.fixture
def attempts(monkeypatch):
    """Puts an outcome in the place of what compiling a step comes to; the attempts made."""

    class Attempts(list):
        outcome = SimpleNamespace(done=True, carry=[Variable(H)], ys=[Variable(XS)], run=None)

    made = Attempts()

    def attempt(steps):
        steps(steps.carry, steps.x_at(0))
        dynet.random.normal((3,))
        made.append(steps)
        return made.outcome

    monkeypatch.setattr(loop, "attempt", attempt)
    return made


@pytest.mark.parametrize("compiled", [None, True])
def test_what_was_compiled_gives_the_result(attempts, compiled):
    carry, ys = dynet.scan(add, H, XS, compiled=compiled)
    assert carry is attempts.outcome.carry[0] and ys is attempts.outcome.ys[0]


def test_where_an_attempt_fails_the_loop_goes_on_from_its_steps(attempts):
    calls = []

    def step(h, x):
        calls.append(x)
        return h + x, h

    attempts.outcome = SimpleNamespace(
        done=False,
        carry=[variable_at(None, np.full(2, 100.0))],
        ys=[[variable_at(None, np.full(2, y))] for y in (-1.0, -2.0)],
        steps=2,
        reason="it counts",
        refused=False,
    )
    carry, ys = dynet.scan(step, H, XS)
    assert len(calls) == 1 + 3  # one in the attempt
    assert (carry.array == 103).all()
    np.testing.assert_array_equal(ys.array[:, 0], [-1, -2, 100, 101, 102])


def test_compiled_true_is_an_error_where_the_attempt_fails(attempts):
    attempts.outcome = SimpleNamespace(
        done=False, reason="it counts", carry=[], ys=[], steps=0, refused=False
    )
    with pytest.raises(RuntimeError, match="scan: compiled=True, but it counts"):
        dynet.scan(add, H, XS, compiled=True)


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("compiled", [None, True])
def test_few_steps_are_the_plain_loop(attempts, length, compiled):
    carry, _ = dynet.scan(add, H, XS[:length], compiled=compiled)
    assert (carry.array == length).all() and not attempts


def test_compiled_false_is_the_plain_loop(attempts):
    dynet.scan(add, H, XS, compiled=False)
    assert not attempts


def test_in_debug_mode_the_loop_runs(attempts):
    with dynet.using_config("debug", True):
        dynet.scan(add, H, XS)
        with pytest.raises(RuntimeError, match="scan: compiled=True, but in debug mode"):
            dynet.scan(add, H, XS, compiled=True)
        assert "debug mode" in explain(add, H, XS)
    assert not attempts


def test_where_there_is_no_step_arrays_stay_on_the_gpu(pretend_gpu):
    h, xs = pretend_gpu.asarray(H), pretend_gpu.asarray(XS)
    carry, ys = dynet.scan(add, h, xs[:0])
    assert type(carry.array) is type(ys.array) is pretend_gpu.ndarray and ys.shape == (0, 2)


def test_arrays_on_two_devices_are_an_error(pretend_gpu):
    with pytest.raises(ValueError, match=r"scan: init\[0\] is on cpu, xs is on cuda:0; expected"):
        dynet.scan(add, (H,), pretend_gpu.asarray(XS))


def test_a_carry_that_moves_to_another_device_is_an_error(pretend_gpu):
    with pytest.raises(ValueError, match=r"\(2,\) on cuda, expected float64 \(2,\) on cpu, as"):
        dynet.scan(lambda h, x: (pretend_gpu.asarray(h.array), None), H, XS)


def test_explain_says_why_a_step_is_not_compiled(attempts):
    state = dynet.random.get_state()
    assert explain(add, H, XS) is None
    attempts.outcome = SimpleNamespace(done=False, reason="it counts")
    assert explain(add, H, XS) == "it counts"
    assert dynet.random.get_state() == state
    assert explain(add, H, XS[:3]).startswith("there are 3 time steps, and fewer than 4")
    assert len(attempts) == 2


# -- bad input -----------------------------------------------------------------------------------


def returns(carry, y=None):
    """A step that returns the same always."""
    return lambda h, x: (carry, y)


def changing(*ys):
    """A step whose y changes."""
    ys = iter(ys)
    return lambda h, x: (h, next(ys))


N = np.zeros((2, 3))
PAIR = (N, {"c": N})

# The arguments, the error, and what its message says.
WRONG = [
    ((3, N, N), TypeError, "scan: step is int, expected a function, step(carry, x) -> (carry, y)"),
    ((add, N, N, None, 1), TypeError, "scan: reverse is 1, expected True or False"),
    ((add, N, N, None, False, 1), TypeError, "scan: compiled is 1, expected None, True or False"),
    ((add, N, N, 2.0), TypeError, "scan: length is 2.0, expected an integer or None"),
    ((add, N, N, True), TypeError, "scan: length is True, expected an integer or None"),
    ((add, N, None, -1), ValueError, "scan: length is -1, expected 0 or more"),
    ((add, N), ValueError, "scan: xs has no arrays, expected a length where there are none"),
    ((add, N, (None, [])), ValueError, "scan: xs has no arrays, expected a length"),
    ((add, N, N, 3), ValueError, "scan: length is 3, xs have the length 2 (xs: float64 (2, 3))"),
    (
        (add, N, {"a": N, "b": (N[:1], None)}),
        ValueError,
        "scan: xs have the lengths 2 of xs['a'], 1 of xs['b'][0]; expected one length, that of the "
        "first axis (xs: {'a': float64 (2, 3), 'b': (float64 (1, 3), None)})",
    ),
    (
        (add, N, [N, np.array(1.0)]),
        ValueError,
        "scan: xs[1] is float64 (), expected time as the first axis",
    ),
    ((add, 0.0, N), TypeError, "scan: init is float, expected an ordinary array, a Variable, None"),
    ((add, (N, {"c": "zero"}), N), TypeError, "scan: init[1]['c'] is str, expected an ordinary"),
    ((add, State(N, 1), N), TypeError, "scan: init.c is int, expected an ordinary array"),
    ((add, N, [N, 2]), TypeError, "scan: xs[1] is int, expected an ordinary array"),
    ((add, N, OrderedDict(a=N)), TypeError, "scan: xs is OrderedDict, expected an ordinary array"),
    ((add, np.float64(1), N), TypeError, "scan: init is float64, expected an ordinary array"),
    ((add, np.ma.array(N), N), TypeError, "scan: init is MaskedArray of float64, expected an"),
    ((add, N.astype(">f8"), N), TypeError, "scan: init is ndarray of >f8, expected an ordinary"),
    (
        (add, dynet.Parameter(), N),
        TypeError,
        "scan: init is a Parameter that has no array yet, expected an ordinary array",
    ),
    (
        (lambda h, x: h, N, N),
        TypeError,
        "scan: step returned one Variable, float64 (2, 3), expected a pair, (carry, y)",
    ),
    ((lambda h, x: None, N, N), TypeError, "scan: step returned NoneType, expected a pair, (carry"),
    (
        (lambda h, x: (h, x, x), N, N),
        TypeError,
        "scan: step returned a tuple of 3, expected a pair",
    ),
    ((returns(1.0), N, N), TypeError, "scan: the carry that step returned is float, expected an"),
    (
        (returns((N, {"c": 1.0})), PAIR, N),
        TypeError,
        "scan: the carry[1]['c'] that step returned is float, expected an ordinary array",
    ),
    (
        (returns(N, [N, 5]), N, N),
        TypeError,
        "scan: the y[1] that step returned is int, expected an",
    ),
    (
        (returns((N, N)), PAIR, N),
        ValueError,
        "scan: the carry that step returned is (float64 (2, 3), float64 (2, 3)), expected "
        "(float64 (2, 3), {'c': float64 (2, 3)}), as init is",
    ),
    (
        (returns((N, {"h": N})), PAIR, N),
        ValueError,
        "is (float64 (2, 3), {'h': float64 (2, 3)}), expected (float64 (2, 3), {'c': float64",
    ),
    (
        (returns([N, {"c": N}]), PAIR, N),
        ValueError,
        "is [float64 (2, 3), {'c': float64 (2, 3)}], expected (float64 (2, 3), {'c': float64",
    ),
    (
        (returns(N[:, :2]), N, N),
        ValueError,
        "scan: the carry that step returned is float64 (2, 2), expected float64 (2, 3), as init is",
    ),
    (
        (returns(N.astype("f")), N, N),
        ValueError,
        "scan: the carry that step returned is float32 (2, 3), expected float64 (2, 3), as init is",
    ),
    (
        (returns(None), N, N),
        ValueError,
        "carry that step returned is None, expected float64 (2, 3)",
    ),
    (
        (changing(N, N[:1]), N, N),
        ValueError,
        "scan: the y that step returned is float64 (1, 3), expected float64 (2, 3), as the first y",
    ),
    (
        (changing({"a": N}, {"a": N, "b": N}), N, N),
        ValueError,
        "scan: the y that step returned is {'a': float64 (2, 3), 'b': float64 (2, 3)}, expected "
        "{'a': float64 (2, 3)}, as the first y is",
    ),
    ((changing(N, N.astype("f")), N, N), ValueError, "y that step returned is float32 (2, 3), exp"),
    (
        (changing(N, None), N, N),
        ValueError,
        "y that step returned is None, expected float64 (2, 3)",
    ),
]


@pytest.mark.parametrize("arguments, error, message", WRONG, ids=[case[2][:60] for case in WRONG])
def test_bad_input_is_an_error_that_says_what_came_and_what_was_expected(arguments, error, message):
    with pytest.raises(error) as caught:
        dynet.scan(*arguments)
    assert message in str(caught.value)
