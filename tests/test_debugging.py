"""Debug mode: arrays that the tape needs are guarded, and the first NaN is found."""

import re
import sys

import numpy as np
import pytest

import dynet.functions as F
import dynet.links as L
from dynet import Function, Variable, grad, optimizers, using_config


@pytest.fixture
def debug():
    with using_config("debug", True), np.errstate(all="ignore"):
        yield


def line(offset):
    """The line so many below the one that calls this, as messages name it."""
    return re.escape(f"{__file__}:{sys._getframe(1).f_lineno + offset}")


def var(*values):
    return Variable(np.array(values, np.float64))


def writable(*arrays):
    return [a.flags.writeable for a in arrays]


class Root(Function):
    """Finite at 0, and its slope is not."""

    def forward(self, x):
        y = np.sqrt(x)
        self.save(y)
        return y

    def backward(self, gy):
        return gy / (2 * self.saved[0])


# -- guarded arrays -----------------------------------------------------------------------------


def test_an_array_that_the_tape_needs_cannot_be_written_to(debug):
    x, y = var(1.0), var(2.0)
    z = x * y
    for v in x, y:
        with pytest.raises(ValueError, match="read-only"):
            v.array[0] = 5
    assert writable(z.array) == [True]


def test_an_array_that_the_tape_does_not_need_can_be_written_to(debug):
    x = var(1.0)
    y = x + x
    assert writable(x.array, y.array) == [True, True]


def test_the_base_of_a_view_is_guarded_too(debug):
    data = np.ones((4, 2))
    x = Variable(data[1:3])
    y = x * x
    assert writable(data, x.array) == [False, False]
    y.sum().backward()
    assert writable(data, x.array) == [True, True]


def test_the_sweep_releases_the_arrays(debug):
    x, w = var(1.0), var(2.0)
    y = x * w
    (y * y).backward()
    assert writable(x.array, w.array, y.array) == [True, True, True]


def test_a_tape_that_dies_releases_the_arrays(debug):
    x = var(1.0)
    y = x * x
    assert writable(x.array) == [False]
    del y
    assert writable(x.array) == [True]


def test_unchain_releases_the_arrays(debug):
    x = var(1.0)
    y = x * x
    y.unchain_backward()
    assert writable(x.array) == [True]


def test_an_array_that_several_records_need_is_released_by_the_last(debug):
    x = var(1.0)
    y, z = x * x, x * x
    del y
    assert writable(x.array) == [False]
    z.backward()
    assert writable(x.array) == [True]


def test_a_base_and_its_views_are_released_in_any_order(debug):
    data = np.ones((4, 2))
    a, b = Variable(data[:2]), Variable(data[2:])
    y, z, w = a * a, b * b, Variable(data) ** 2
    del w
    assert writable(data, a.array, b.array) == [False, False, False]
    del y
    assert writable(data, b.array) == [False, False]
    del z
    assert writable(data, a.array, b.array) == [True, True, True]


def test_a_view_that_is_needed_longer_keeps_its_base_guarded(debug):
    data = np.ones((4, 2))
    view = data[:2]
    whole, part = Variable(data) ** 2, Variable(view) ** 2
    del part
    assert writable(data) == [False]
    again = Variable(view) ** 2
    del whole
    assert writable(data, view) == [False, False]
    del again
    assert writable(data, view) == [True, True]


def test_a_variable_that_was_made_as_a_view_of_a_guarded_array_opens_with_it(debug):
    x = Variable(np.ones((2, 2)))
    y = x * x
    view = x.reshape(4)
    y.sum().backward()
    assert writable(x.array, view.array) == [True, True]


def test_an_array_that_was_read_only_before_stays_so(debug):
    a = np.ones(2)
    a.flags.writeable = False
    x = Variable(a)
    (x * x).sum().backward()
    assert writable(a) == [False]


def test_what_is_overwritten_between_two_sweeps_is_found_out(debug):
    x = var(1.0, 2.0)
    at = line(1)
    y = x * x
    loss = y.sum()
    loss.backward()
    x.array[0] = 5
    with pytest.raises(RuntimeError, match=f"Mul: .*overwritten.*{at}"):
        loss.backward()


def test_two_sweeps_without_a_change_are_fine(debug):
    x = var(1.0, 2.0)
    loss = (x * x).sum()
    loss.backward()
    loss.backward()
    np.testing.assert_array_equal(x.grad, [4, 8])
    assert writable(x.array) == [True]


def test_an_index_that_the_tape_needs_is_guarded(debug):
    x, index = var(1.0, 2.0), np.array([0, 1])
    y = x[index]
    assert writable(index) == [False]
    y.sum().backward()
    assert writable(index) == [True]


def test_grad_with_create_graph_releases_the_arrays_once_all_is_swept(debug):
    x = var(1.0, 2.0)
    loss = (x * x * x).sum()
    (g,) = grad([loss], [x], create_graph=True)
    ((g * g).sum() + loss).backward()
    assert writable(x.array, g.array) == [True, True]


def test_a_training_loop_runs_as_it_does_without_debugging():
    def train():
        rng = np.random.default_rng(0)
        model = L.Linear(3, 2, initialW=rng.normal(size=(2, 3)), initial_bias=np.zeros(2))
        optimizer = optimizers.SGD(lr=0.1).setup(model)
        data = rng.normal(size=(8, 3))
        for i in range(0, 8, 2):
            y = model(data[i : i + 2])
            loss = (y * y).sum()
            model.cleargrads()
            loss.backward()
            optimizer.update()
        return model.W.array

    expected = train()
    with using_config("debug", True):
        np.testing.assert_array_equal(train(), expected)


def test_an_update_while_an_unswept_tape_needs_the_parameter_is_refused(debug):
    model = L.Linear(3, 2)
    optimizer = optimizers.SGD(lr=0.1).setup(model)
    x = Variable(np.ones((1, 3), np.float32))
    unswept = model(x)
    model(x).sum().backward()
    with pytest.raises(RuntimeError, match=r"parameter W \(2, 3\) is read-only"):
        optimizer.update()
    del unswept
    optimizer.update()


def test_without_debugging_arrays_stay_writable():
    x = var(1.0)
    y = x * x
    assert writable(x.array, y.array) == [True, True]


def test_a_tape_recorded_without_debugging_can_be_swept_with_it():
    x = var(2.0)
    y = x * x
    with using_config("debug", True):
        y.backward()
    assert x.grad == 4


def test_a_tape_recorded_with_debugging_can_be_swept_without_it():
    x = var(2.0)
    with using_config("debug", True):
        y = x * x
    y.backward()
    assert x.grad == 4
    del y
    assert writable(x.array) == [True]


# -- the first NaN ------------------------------------------------------------------------------


def test_the_first_nan_forward_is_reported_with_the_users_line(debug):
    x = var(-1.0, 1.0)
    at = line(2)
    with pytest.raises(FloatingPointError, match=f"Log: output 0.*finite \\(2,\\).*{at}"):
        F.log(x)


def test_an_infinity_is_reported_too(debug):
    with pytest.raises(FloatingPointError, match="Div"):
        1 / var(0.0)


def test_the_report_says_which_inputs_were_not_finite_already(debug):
    with pytest.raises(FloatingPointError, match=r"not finite \(1,\), finite \(2,\)"):
        var(np.nan) + var(1.0, 2.0)


def test_a_nan_is_found_also_where_nothing_is_recorded(debug):
    with pytest.raises(FloatingPointError):
        F.log(np.array([-1.0]))


def test_the_first_infinity_backward_is_reported_with_the_line_that_recorded_it(debug):
    x = var(0.0, 1.0)
    at = line(1)
    y = Root()(x)
    with pytest.raises(FloatingPointError, match=f"Root: the gradient of input 0.*{at}"):
        (y * 2).sum().backward()


def test_the_line_is_that_of_the_user_also_inside_a_link(debug):
    model = L.Linear(2, 2)
    model.W.array[0, 0] = np.inf
    at = line(2)
    with pytest.raises(FloatingPointError, match=f"Linear.*{at}"):
        model(np.ones((1, 2), np.float32))


def test_an_infinity_inside_a_term_is_found(debug):
    W = Variable(np.ones((1, 2)))
    y = F.linear(np.full((1, 2), 1e200), W)
    y.grad = np.full((1, 1), np.inf)
    with pytest.raises(FloatingPointError, match="Linear"):
        y.backward()


def test_a_nan_backward_in_a_tape_recorded_without_debugging_is_found_without_a_line():
    with np.errstate(all="ignore"):
        y = Root()(var(0.0))
        with (
            using_config("debug", True),
            pytest.raises(FloatingPointError, match="recorded with debug off"),
        ):
            y.backward()


def test_without_debugging_a_nan_goes_through():
    with np.errstate(all="ignore"):
        y = F.log(var(-1.0))
        y.backward()
    assert np.isnan(y.array)
