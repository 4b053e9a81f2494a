"""The checks of gradients find what is wrong."""

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet.gradient_check import check_backward, check_double_backward, numerical_grad

X = np.array([0.5, -1.2, 2.0])


class Cube(dynet.Function):
    def forward(self, x):
        self.save(x)
        return x**3

    def backward(self, gy):
        (x,) = self.saved
        return gy * 3 * x * x


class CubeWithWrongFactor(Cube):
    def backward(self, gy):
        (x,) = self.saved
        return gy * 2 * x * x


class CubeThatForgetsItsInput(Cube):
    """Right in first order; in second, what it saved is a constant."""

    def forward(self, x):
        self.save(x.copy())
        return x**3


class CubeWithoutGradient(Cube):
    def backward(self, gy):
        return None


class TimesThatForgetsOne(dynet.Function):
    def forward(self, x, y):
        self.save(x, y)
        return x * y

    def backward(self, gz):
        return gz * self.saved[1], None


def call(function):
    return lambda *xs: function()(*xs)


def test_a_right_rule_passes_in_first_and_second_order():
    check_backward(call(Cube), X)
    check_double_backward(call(Cube), X)


def test_a_wrong_rule_is_caught():
    with pytest.raises(AssertionError, match="input 0"):
        check_backward(call(CubeWithWrongFactor), X)


def test_a_rule_wrong_in_second_order_only_is_caught():
    check_backward(call(CubeThatForgetsItsInput), X)
    with pytest.raises(AssertionError, match="input 0"):
        check_double_backward(call(CubeThatForgetsItsInput), X)


def test_a_missing_gradient_is_caught():
    with pytest.raises(AssertionError):
        check_backward(call(CubeWithoutGradient), X)


def test_a_missing_gradient_of_one_input_of_two_is_caught():
    with pytest.raises(AssertionError, match="input 1"):
        check_backward(call(TimesThatForgetsOne), (X, X + 1))


def test_a_function_cut_off_from_its_input_is_caught():
    with pytest.raises((AssertionError, RuntimeError)):
        check_backward(lambda x: dynet.Variable(x.array) * 2, X)


def test_a_flat_function_passes_in_second_order():
    check_double_backward(lambda x: x // 0.7, X)


@pytest.mark.parametrize("check", [check_backward, check_double_backward])
def test_float32_is_refused(check):
    with pytest.raises(TypeError, match="float32, expected float64"):
        check(F.exp, X.astype(np.float32))


def test_a_float32_parameter_is_refused():
    W = dynet.Variable(X.astype(np.float32))
    with pytest.raises(TypeError, match="float32, expected float64"):
        check_backward(lambda x: (W * W).sum(), X, params=W)


def test_the_gradients_of_parameters_are_checked():
    W = dynet.Variable(X.copy())
    with pytest.raises(AssertionError, match="input 1"):
        check_backward(lambda x: x * CubeWithWrongFactor()(W), X, params=W)


def test_integers_go_along_without_a_gradient():
    check_backward(F.embed_id, (np.array([1, 0]), np.ones((2, 2))))


def test_several_outputs_are_checked_together():
    check_backward(lambda x: (x * x, F.exp(x)), X, (np.ones(3), np.full(3, 2.0)))


def test_the_inputs_are_as_they_were():
    x = X.copy()
    check_double_backward(call(Cube), x)
    np.testing.assert_array_equal(x, X)


def test_numerical_grad_is_that_of_the_weighted_sum_of_the_outputs():
    x = np.array([3.0])
    (g,) = numerical_grad(lambda: (x**2, 5 * x), [x], [np.ones(1), np.full(1, 2.0)])
    np.testing.assert_allclose(g, [16.0], rtol=1e-8)
