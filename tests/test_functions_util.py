"""forget and clip_gradient: what the table of functions cannot say."""

import tracemalloc

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable


def test_clip_gradient_clips_each_element_of_the_gradient():
    x = Variable(np.ones(4, np.float32))
    y = F.clip_gradient(x, 0.5)
    y.grad = np.array([-3, -0.25, 0.25, np.inf], np.float32)
    y.backward()
    np.testing.assert_array_equal(x.grad, np.array([-0.5, -0.25, 0.25, 0.5], np.float32))
    assert x.grad.dtype == np.float32


def test_clip_gradient_lets_a_gradient_of_nan_be_seen():
    x = Variable(np.ones(1))
    y = F.clip_gradient(x, 0.5)
    y.grad = np.array([np.nan])
    y.backward()
    assert np.isnan(x.grad).all()


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_clip_gradient_refuses_a_limit_that_is_not_above_0(limit):
    with pytest.raises(ValueError, match="clip_gradient: limit"):
        F.clip_gradient(np.ones(3), limit)


def chain(x):
    for _ in range(100):
        x = F.exp(x * 0.001)
    return x


def held_by(function):
    x = Variable(np.ones(10_000))
    tracemalloc.start()
    try:
        y = function(x)
        return tracemalloc.get_traced_memory()[0], y
    finally:
        tracemalloc.stop()


def test_forget_holds_little_memory_until_the_backward_pass():
    recorded, _ = held_by(chain)
    forgotten, _ = held_by(lambda x: F.forget(chain, x))
    assert forgotten < recorded / 50


def test_forget_gives_parameters_that_it_closes_over_their_gradients():
    layer = dynet.links.Linear(3, 2)
    x = Variable(np.ones((4, 3), np.float32))
    F.forget(lambda x: F.relu(layer(x)), x).sum().backward()
    forgotten = [p.grad for p in layer.params()] + [x.grad]
    layer.cleargrads()
    x.cleargrad()
    F.relu(layer(x)).sum().backward()
    for got, expected in zip(forgotten, [p.grad for p in layer.params()] + [x.grad], strict=True):
        np.testing.assert_array_equal(got, expected)


def test_forget_in_a_loop_runs_each_step_again_just_once():
    class Calls(dynet.FunctionHook):
        count = 0

        def forward_preprocess(self, function, xs):
            Calls.count += function.name == "Exp"

    h = Variable(np.ones(2))
    for _ in range(50):
        # The state is closed over, so that its whole past is within reach.
        h = F.forget(lambda x, h=h: F.exp(h * 0.1) + x, np.ones(2))
    with Calls():
        h.sum().backward()
    assert Calls.count == 50


def test_forget_draws_the_same_random_numbers_again_and_leaves_the_stream_where_it_was():
    x = Variable(np.ones(1000))
    dynet.random.seed(0)
    y = F.forget(lambda x: F.dropout(x) * x, x)
    state = dynet.random.get_state()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, 2 * y.array)
    assert dynet.random.get_state() == state


def test_forget_runs_again_in_the_mode_of_the_first_time():
    x = Variable(np.ones(100))
    with dynet.using_config("train", False):
        y = F.forget(F.dropout, x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones(100))


def test_forget_under_no_backprop_mode_is_the_function_itself():
    x = Variable(np.ones(3))
    with dynet.no_backprop_mode():
        assert F.forget(F.exp, x).creator is None


def test_forget_hands_an_output_on_that_is_an_argument_as_it_is():
    x = Variable(np.ones(3))
    y, z = F.forget(lambda x: (x, x), x)
    (y + 2 * z).sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 3, 3])


def test_forget_finds_out_a_function_that_uses_other_variables_the_second_time():
    state = [Variable(np.ones(3))]

    def step(x):
        state[0] = F.exp(state[0])
        return x * state[0]

    y = F.forget(step, Variable(np.ones(3)))
    with pytest.raises(RuntimeError, match="other Variables"):
        y.sum().backward()


def test_forget_refuses_a_function_that_returns_something_else():
    with pytest.raises(TypeError, match="func returned list"):
        F.forget(lambda x: (x, [x]), Variable(np.ones(3)))
