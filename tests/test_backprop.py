"""The reverse sweep: any graph, any depth, and no memory kept longer than it is needed."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet.functions as F
from dynet import Function, Variable, grad
from dynet.gradient_check import check_backward, check_double_backward


def var(*values):
    return Variable(np.array(values, np.float64))


@pytest.fixture
def collector_off():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# -- shapes of graphs ---------------------------------------------------------------------------


def test_both_sides_of_a_diamond_count():
    x = var(3.0)
    y = x * x
    ((y + 1) * (y * 2)).backward()  # 2 x⁴ + 2 x²
    assert x.grad == 8 * 27 + 4 * 3


def test_a_variable_used_many_times_gets_every_gradient():
    x = var(3.0)
    total = x * 0
    for i in range(100):
        total = total + x * float(i)
    total.backward()
    assert x.grad == sum(range(100))


def test_a_tower_of_diamonds_is_swept_once_a_node():
    x = var(1.0)
    y = x
    for _ in range(60):  # 2 ** 60 ways lead to x
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


def test_a_way_past_a_deep_part_arrives_in_time():
    x = var(2.0)
    y = x
    for _ in range(10):
        y = y * 1.5
    (y * x + x).backward()
    np.testing.assert_allclose(x.grad, 2 * 2 * 1.5**10 + 1)


def test_parts_that_several_losses_share_are_swept_for_each():
    x = var(3.0)
    shared = x * x
    (shared * 2).backward()
    assert x.grad == 12
    (shared * 3).backward()
    assert x.grad == 12 + 18


def test_what_the_loss_does_not_depend_on_gets_no_gradient():
    x, y = var(1.0), var(1.0)
    side = x * y
    (x * 2).backward()
    assert y.grad is None
    assert side.grad is None


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from("+-*"), st.integers(0, 20), st.integers(0, 20)),
        min_size=1,
        max_size=8,
    )
)
def test_any_graph_of_operators_has_the_gradients_that_differences_give(steps):
    def graph(x, y):
        values = [x, y]
        for op, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(a + b if op == "+" else a - b if op == "-" else a * b * 0.5)
        return values[-1] + 0 * x

    check_backward(graph, (np.array([0.6, -0.4]), np.array([0.3, 0.9])), rtol=1e-4)
    check_double_backward(graph, (np.array([0.6, -0.4]), np.array([0.3, 0.9])), rtol=1e-3)


# -- sweeping again -----------------------------------------------------------------------------


def test_backward_twice_adds_up():
    x = var(1.0, 2.0)
    loss = (x * x).sum()
    loss.backward()
    loss.backward()
    np.testing.assert_array_equal(x.grad, [4, 8])


def test_adding_up_leaves_a_gradient_that_was_taken_away_as_it_was():
    x = var(1.0)
    loss = x * x
    loss.backward()
    taken = x.grad
    loss.backward()
    assert taken == 2
    assert x.grad == 4


# -- arrays of their own ------------------------------------------------------------------------


def overwrite(gradient):
    gradient[...] = 99


def test_the_gradients_of_a_sum_are_not_one_array():
    x, y = var(1.0, 2.0), var(3.0, 4.0)
    (x + y).sum().backward()
    overwrite(x.grad)
    np.testing.assert_array_equal(y.grad, 1)


@pytest.mark.parametrize(
    "f",
    [lambda x: x + 0, lambda x: x.reshape(2), lambda x: x.T, lambda x: x[...], lambda x: x - 1],
    ids=["add", "reshape", "transpose", "index", "subtract"],
)
def test_a_gradient_is_not_the_array_that_the_sweep_started_from(f):
    x = var(1.0, 2.0)
    y = f(x)
    seed = y.grad = np.ones(2)
    y.backward()
    overwrite(x.grad)
    np.testing.assert_array_equal(seed, 1)


def test_a_gradient_that_a_rule_hands_on_is_not_changed_by_later_ones():
    x = var(1.0, 2.0)
    y = x + 1
    z = (y + x) + x  # x gets the very array that y gets, and then more
    z.retain_grad()
    y.retain_grad()
    z.grad = np.ones(2)
    z.backward()
    np.testing.assert_array_equal(x.grad, 3)
    np.testing.assert_array_equal(y.grad, 1)
    np.testing.assert_array_equal(z.grad, 1)


def test_a_gradient_is_not_an_array_that_a_function_saved():
    x, y = var(1.0, 2.0), var(3.0, 4.0)
    (x * y).sum().backward()
    overwrite(x.grad)
    np.testing.assert_array_equal(y.array, [3, 4])


def test_every_leaf_of_a_linear_map_has_a_gradient_of_its_own():
    x, W, b = Variable(np.ones((1, 2))), Variable(np.eye(2)), Variable(np.zeros(2))
    F.linear(x, W, b).sum().backward()
    for v in x, W, b:
        overwrite(v.grad)
    np.testing.assert_array_equal(x.array, 1)
    np.testing.assert_array_equal(W.array, np.eye(2))
    for v in x, W, b:
        v.cleargrad()
    F.linear(x, W, b).sum().backward()
    np.testing.assert_array_equal(b.grad, 1)


def test_every_gradient_can_be_written_to():
    x = var(1.0, 2.0)
    x.sum().backward()  # a sum's rule answers with a read-only view of one number
    x.grad *= 2
    np.testing.assert_array_equal(x.grad, 2)


def test_the_gradients_that_grad_gives_are_not_one_array():
    x, y = var(1.0, 2.0), var(3.0, 4.0)
    gx, gy = grad([(x + y).sum()], [x, y])
    overwrite(gx.array)
    np.testing.assert_array_equal(gy.array, 1)


# -- depth --------------------------------------------------------------------------------------


def test_a_chain_of_a_million_steps_is_recorded_swept_and_freed():
    x = var(0.0)
    y = x
    one = np.ones(1)
    for _ in range(1_000_000):
        y = y + one
    assert y.item() == 1_000_000
    y.backward()
    assert x.grad == 1
    del y


def test_a_long_chain_is_cut_and_differentiated_twice():
    x = Variable(np.array(2.0))
    y = x * x
    for _ in range(20_000):
        y = y + 1.0
    (g,) = grad([y], [x], create_graph=True)
    (gg,) = grad([g], [x])
    assert (g.array, gg.array) == (4, 2)
    y.unchain_backward()


# -- memory -------------------------------------------------------------------------------------


class Square(Function):
    """Has no __slots__, so that its death can be watched."""

    def forward(self, x):
        self.save(x)
        return x * x

    def backward(self, gy):
        return gy * 2 * self.saved[0]


def watched_tape():
    """A loss with every kind of node behind it, and weak references to what it holds."""
    x = Variable(np.ones((2, 2)))
    y = Square()(x)
    z = F.relu(F.linear(y, x) + y[0]).reshape(4)
    loss = (z * z).sum()
    return loss, x, [weakref.ref(y.creator), weakref.ref(y.array), weakref.ref(z.array)]


def test_a_tape_dies_with_its_loss_while_the_collector_is_off(collector_off):
    loss, _x, watched = watched_tape()
    assert all(w() is not None for w in watched)
    del loss
    assert all(w() is None for w in watched)


def test_a_swept_tape_dies_with_its_loss_while_the_collector_is_off(collector_off):
    loss, x, watched = watched_tape()
    loss.backward(retain_grad=True)
    assert x.grad is not None
    del loss
    assert all(w() is None for w in watched)


def test_a_recorded_sweep_dies_with_its_gradients_while_the_collector_is_off(collector_off):
    loss, x, watched = watched_tape()
    (g,) = grad([loss], [x], create_graph=True)
    watched.append(weakref.ref(g.array))
    (g * g).sum().backward()
    del loss, g
    assert all(w() is None for w in watched)


def test_a_tape_of_several_outputs_dies_with_the_last_of_them(collector_off):
    class Both(Function):
        def forward(self, x):
            y, z = x * 2, x * 3
            self.save(y, z)
            return y, z

    y, z = Both()(var(1.0))
    creator = weakref.ref(y.creator)
    del y
    assert creator() is not None
    del z
    assert creator() is None


def test_a_failed_sweep_keeps_nothing_alive(collector_off):
    class Failing(Square):
        def backward(self, gy):
            raise KeyError

    loss = Failing()(var(1.0))
    creator = weakref.ref(loss.creator)
    with pytest.raises(KeyError) as caught:
        loss.backward()
    del caught, loss
    gc.collect()  # the traceback is a cycle of its own
    assert creator() is None


def test_an_array_that_no_rule_needs_is_freed_while_recording(collector_off):
    x = Variable(np.ones(3))
    y = x + 1
    unneeded = weakref.ref(y.array)
    y = y + 1
    assert unneeded() is None
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, 1)


def test_an_array_that_a_rule_needs_is_kept(collector_off):
    y = Variable(np.ones(3)) + 1
    needed = weakref.ref(y.array)
    y = y * y
    assert needed() is not None


def test_a_leaf_that_is_gone_gets_no_gradient_and_does_no_harm():
    y = var(3.0) * var(2.0)
    y.backward()
