"""Terms: contributions that wait, and equal the sum of what they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet.functions as F
from dynet import Variable, grad
from dynet.gradient import Stack, Waiting
from dynet.terms import At, Outer, Part, Rows, Sum, is_basic_index

N_IN, N_OUT = 3, 4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# -- one gradient, contributions of all kinds ---------------------------------------------------


def contribution(kind, n, seed):
    """A contribution to a ``(N_OUT, N_IN)`` gradient, and the array it stands for."""
    rng = np.random.default_rng(seed)
    array = np.zeros((N_OUT, N_IN))
    if kind == "outer":
        x, gy = rng.normal(size=(n, N_IN)), rng.normal(size=(n, N_OUT))
        return Outer(x, gy), gy.T @ x
    if kind == "rows":
        ids, gy = rng.integers(0, N_OUT, n), rng.normal(size=(n, N_IN))
        np.add.at(array, ids, gy)
        return Rows(ids, gy, array.shape), array
    if kind == "at":
        index = [0, 1, 1, -1][:n]
        gy = rng.normal(size=(len(index), N_IN))
        np.add.at(array, index, gy)
        return At(index, gy, array.shape), array
    if kind == "view":
        gy = rng.normal(size=(2, 1))
        array[1:3, :1] = gy
        return At((slice(1, 3), slice(0, 1)), gy, array.shape), array
    array = rng.normal(size=array.shape)
    return array, array.copy()


KINDS = st.tuples(
    st.sampled_from(["outer", "rows", "at", "view", "dense"]), st.integers(1, 4), st.integers(0, 99)
)


@settings(deadline=None, max_examples=60)
@given(st.lists(KINDS, min_size=1, max_size=12))
def test_contributions_of_all_kinds_in_any_order_add_up_and_none_is_changed(kinds):
    arrived, meant = zip(*[contribution(*kind) for kind in kinds], strict=True)
    stack = Stack()
    waiting = Waiting(arrived[0], stack)
    for gx in arrived[1:]:
        waiting.add(gx)
    np.testing.assert_allclose(waiting.total(), sum(meant), atol=1e-12)
    for gx, array in zip(arrived, meant, strict=True):
        if isinstance(gx, np.ndarray):
            np.testing.assert_array_equal(gx, array)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_sums_of_any_batch_sizes_add_up(sizes):
    gys = [normal(n, N_OUT, seed=n) for n in sizes]
    waiting = Waiting(Sum(gys[0]), Stack())
    for gy in gys[1:]:
        waiting.add(Sum(gy))
    np.testing.assert_allclose(waiting.total(), sum(gy.sum(axis=0) for gy in gys), atol=1e-12)


def test_a_dense_array_that_came_first_is_not_added_into():
    first = np.ones((N_OUT, N_IN))
    waiting = Waiting(first, Stack())
    waiting.add(Outer(np.ones((1, N_IN)), np.ones((1, N_OUT))))
    waiting.add(first)
    np.testing.assert_array_equal(waiting.total(), 3)
    np.testing.assert_array_equal(first, 1)


def test_totals_can_be_asked_for_in_between():
    waiting = Waiting(Sum(np.ones((2, 3))), Stack())
    np.testing.assert_array_equal(waiting.total(), 2)
    waiting.add(Sum(np.ones((1, 3))))
    np.testing.assert_array_equal(waiting.total(), 3)


def test_parts_come_together_as_a_tuple_with_none_for_what_is_missing():
    waiting = Waiting(Part(2, 3, "c"), None)
    waiting.add(Part(0, 3, "a"))
    assert waiting.total() == ("a", None, "c")


def test_a_stack_copies_once_what_is_asked_for_twice_and_only_that():
    a, b = normal(2, 3), normal(1, 3)
    stack = Stack()
    stacked = stack([a, b])
    np.testing.assert_array_equal(stacked, np.concatenate([a, b]))
    assert stack([a, b]) is stacked
    np.testing.assert_array_equal(stack([b, a]), np.concatenate([b, a]))
    assert stack([a]) is a


@pytest.mark.parametrize(
    ("index", "basic"),
    [
        (0, True),
        (np.int64(0), True),
        (slice(1, 3), True),
        ((Ellipsis, None, 2), True),
        ((), True),
        (True, False),
        ([0, 0], False),
        ((slice(None), np.array([0, 0])), False),
        (np.array([True, False]), False),
    ],
)
def test_a_basic_index_is_told_from_one_that_may_name_a_place_twice(index, basic):
    assert is_basic_index(index) is basic


# -- whole loops --------------------------------------------------------------------------------


def linear_loop(W, b, xs, weights):
    """The sum of a linear map's outputs over the steps, each weighted."""
    total = 0
    for x, weight in zip(xs, weights, strict=True):
        total = total + (F.linear(x, W, b) * weight).sum()
    return total


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_a_linear_map_in_a_loop_has_the_gradients_summed_eagerly_whatever_the_batches(sizes):
    W, b = Variable(normal(N_OUT, N_IN)), Variable(normal(N_OUT))
    xs = [normal(n, N_IN, seed=i) for i, n in enumerate(sizes)]
    weights = [normal(n, N_OUT, seed=100 + i) for i, n in enumerate(sizes)]
    linear_loop(W, b, xs, weights).backward()
    gys = zip(weights, xs, strict=True)
    np.testing.assert_allclose(W.grad, sum(gy.T @ x for gy, x in gys), atol=1e-12)
    np.testing.assert_allclose(b.grad, sum(gy.sum(axis=0) for gy in weights), atol=1e-12)


def test_more_terms_than_may_wait_are_totalled_in_between():
    steps, n = 700, 16
    gys, xs = normal(steps, n, N_OUT), normal(steps, n, N_IN, seed=1)
    ids = np.random.default_rng(2).integers(0, 5, (steps, n))
    assert Outer(xs[0], gys[0]).room() < steps
    W, b, table = (Variable(np.zeros(s)) for s in ((N_OUT, N_IN), N_OUT, (5, N_OUT)))
    total = linear_loop(W, b, xs, gys)
    for i in range(steps):
        total = total + (F.embed_id(ids[i], table) * gys[i]).sum()
    total.backward()
    expected = np.zeros((5, N_OUT))
    np.add.at(expected, ids, gys)
    np.testing.assert_allclose(W.grad, np.einsum("tno,tni->oi", gys, xs), atol=1e-9)
    np.testing.assert_allclose(b.grad, gys.sum(axis=(0, 1)), atol=1e-9)
    np.testing.assert_allclose(table.grad, expected, atol=1e-9)


def test_a_term_that_alone_holds_more_than_may_wait_is_taken():
    x, gy = normal(64, 600), normal(64, 600, seed=1)
    assert Sum(gy).room() == 0
    W, b = Variable(np.zeros((600, 600))), Variable(np.zeros(600))
    (linear_loop(W, b, [x], [gy]) + linear_loop(W, b, [x], [gy])).backward()
    np.testing.assert_allclose(W.grad, 2 * gy.T @ x, atol=1e-9)
    np.testing.assert_allclose(b.grad, 2 * gy.sum(axis=0), atol=1e-9)


@pytest.mark.parametrize("order", ["terms first", "dense first", "in turn"])
def test_terms_and_dense_arrays_add_up_on_one_variable(order):
    W, b = Variable(normal(N_OUT, N_IN)), Variable(normal(N_OUT))
    x, weight = normal(2, N_IN), normal(2, N_OUT, seed=1)

    def term():
        return linear_loop(W, b, [x], [weight])

    def dense():
        return (W * 2).sum() + (b * 3).sum()

    # The sweep runs newest first.
    parts = {
        "terms first": [dense, dense, term, term],
        "dense first": [term, term, dense, dense],
        "in turn": [term, dense, term, dense],
    }
    sum(part() for part in parts[order]).backward()
    np.testing.assert_allclose(W.grad, 2 * weight.T @ x + 4)
    np.testing.assert_allclose(b.grad, 2 * weight.sum(axis=0) + 6)


def test_a_tied_embedding_gets_rows_and_outer_products_in_one_gradient():
    W = Variable(normal(5, N_IN))
    ids = np.array([[0, 3], [3, 1], [4, 3]])
    weight = normal(2, 5, seed=1)
    total = 0
    for step in ids:
        total = total + (F.linear(F.embed_id(step, W), W) * weight).sum()
    total.backward()
    expected = np.zeros((5, N_IN))
    for step in ids:
        expected += weight.T @ W.array[step]
        np.add.at(expected, step, weight @ W.array)
    np.testing.assert_allclose(W.grad, expected, atol=1e-12)


def test_a_tied_embedding_has_the_same_gradient_in_a_recorded_sweep():
    W = Variable(normal(5, N_IN))
    y = F.linear(F.embed_id(np.array([0, 3, 3]), W), W)
    loss = (y * y).sum()
    (recorded,) = grad([loss], [W], create_graph=True)
    (ordinary,) = grad([loss], [W])
    np.testing.assert_allclose(recorded.array, ordinary.array)


def test_steps_taken_from_one_array_give_back_to_their_places():
    xs = Variable(normal(6, 2, 3))
    weights = normal(6, 2, 3, seed=1)
    total = 0
    for t in range(6):
        total = total + (xs[t] * weights[t]).sum()
    total = total + (xs[[0, 0, 5]] * 2.0).sum() + xs[1:3].sum()
    total.backward()
    expected = weights.copy()
    expected[0] += 4
    expected[5] += 2
    expected[1:3] += 1
    np.testing.assert_allclose(xs.grad, expected)


def test_ids_of_different_integer_types_add_up_on_one_table():
    W = Variable(normal(5, 2))
    dtypes = [np.int64, np.int32, np.uint8, np.uint64]
    sum(F.embed_id(np.array([1, 2], dtype), W).sum() for dtype in dtypes).backward()
    np.testing.assert_array_equal(W.grad, [[0, 0], [4, 4], [4, 4], [0, 0], [0, 0]])


@pytest.mark.parametrize("ignored", [1, -1, 7], ids=["in the table", "negative", "beyond"])
def test_an_ignored_id_gets_no_gradient_in_either_sweep(ignored):
    W = Variable(normal(5, 2))
    ids = np.array([0, ignored, 2, ignored])
    loss = F.embed_id(ids, W, ignore_label=ignored).sum()
    expected = np.zeros((5, 2))
    expected[[0, 2]] = 1
    for create_graph in False, True:
        (g,) = grad([loss], [W], create_graph=create_graph)
        np.testing.assert_array_equal(g.array, expected)


def test_a_weight_in_fortran_order_gets_a_right_gradient():
    x, weight = normal(2, N_IN), normal(2, N_OUT, seed=1)
    W = Variable(np.asfortranarray(normal(N_OUT, N_IN)))
    b = Variable(np.zeros(N_OUT))
    (linear_loop(W, b, [x, x], [weight, weight]) + W.sum()).backward()
    np.testing.assert_allclose(W.grad, 2 * weight.T @ x + 1)


def test_a_term_wanted_by_grad_for_a_computed_weight_is_an_array():
    V = Variable(normal(N_OUT, N_IN))
    W = V * 2
    y = F.linear(normal(2, N_IN), W)
    (gW,) = grad([y.sum()], [W])
    (gV,) = grad([y.sum()], [V])
    np.testing.assert_allclose(gV.array, 2 * gW.array)


def test_a_batch_of_no_examples_gives_zeros():
    W, b = Variable(normal(N_OUT, N_IN)), Variable(normal(N_OUT))
    F.linear(np.zeros((0, N_IN)), W, b).sum().backward()
    np.testing.assert_array_equal(W.grad, np.zeros((N_OUT, N_IN)))
    np.testing.assert_array_equal(b.grad, np.zeros(N_OUT))
