"""Activations: what the table of functions cannot say."""

import warnings

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.gradient_check import check_backward
from dynet.kernels import activation as kernels

ONE_ARRAY = {
    "relu": F.relu,
    "relu6": F.relu6,
    "clipped_relu": F.clipped_relu,
    "crelu": F.crelu,
    "leaky_relu": F.leaky_relu,
    "maxout": lambda x: F.maxout(x, 1),
    "sigmoid": F.sigmoid,
    "hard_sigmoid": F.hard_sigmoid,
    "tanh": F.tanh,
    "softplus": F.softplus,
    "elu": F.elu,
    "selu": F.selu,
    "silu": F.silu,
    "gelu": F.gelu,
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
}
WITH_TANH = {"gelu: tanh": lambda x: F.gelu(x, "tanh")}
WITH_PARAMETER = {
    "prelu": lambda x: F.prelu(x, np.asarray(0.5, x.dtype)),
    "swish": lambda x: F.swish(x, np.asarray(1.5, x.dtype)),
}
ALL = {**ONE_ARRAY, **WITH_TANH, **WITH_PARAMETER}


def over(functions):
    return pytest.mark.parametrize("f", functions.values(), ids=functions.keys())


@pytest.mark.parametrize("name", ONE_ARRAY)
@pytest.mark.parametrize("x", [[[1.0]], None, np.array([[1, 2]]), np.array([[True]])])
def test_what_is_no_floating_array_is_refused(name, x):
    with pytest.raises(TypeError, match=rf"^{name}: x is .*, expected a floating array"):
        ONE_ARRAY[name](x)


@over(ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_however_large_the_number_value_and_derivatives_are_finite(f, dtype):
    xs = np.array([[-1e15, -1000, -90, -1e-30], [0, 1e-30, 90, 1e15]], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = Variable(xs)
        y = f(x)
        assert np.isfinite(y.array).all()
        y.grad = np.ones_like(y.array)
        y.backward()
        assert np.isfinite(x.grad).all()
        x = Variable(xs)
        (gx,) = dynet.grad(f(x).sum(), x, create_graph=True)
        if gx.requires_grad:
            (ggx,) = dynet.grad(gx.sum(), x)
            assert np.isfinite(ggx.array).all()


@over(ALL)
def test_nan_is_carried_on_and_goes_no_further_than_its_row(f):
    x = Variable(np.array([[np.nan, 1.0], [2.0, -3.0]]))
    y = f(x)
    np.testing.assert_array_equal(np.isnan(y.array).any(axis=1), [True, False])
    assert np.isnan(y.array[0, 0])


@over(ALL)
def test_float16_goes_another_way_than_the_kernels_to_the_same_result(f):
    xs = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float16)
    x, wide = Variable(xs), Variable(xs.astype(np.float32))
    y, wide_y = f(x), f(wide)
    np.testing.assert_allclose(y.array, wide_y.array, atol=4e-3)
    y[:, 0].sum().backward()
    wide_y[:, 0].sum().backward()
    assert y.dtype == x.grad.dtype == np.float16
    np.testing.assert_allclose(x.grad, wide.grad, atol=4e-3)


@over(ALL)
def test_the_bytes_of_a_number_may_stand_in_the_other_order(f):
    x = np.array([[-1.0, 2.0], [0.5, -3.0]])
    swapped = x.astype(x.dtype.newbyteorder())
    np.testing.assert_allclose(f(swapped).array, f(x).array, rtol=1e-14)


@over({name: f for name, f in ALL.items() if name not in ("relu", "crelu", "maxout")})
def test_the_statement_in_variables_is_the_kernel(f):
    x = Variable(np.random.default_rng(0).normal(size=(3, 4)) * 3)
    y = f(x) * np.arange(4)
    (gx,), (recorded,) = [dynet.grad(y.sum(), x, create_graph=c) for c in (False, True)]
    np.testing.assert_allclose(recorded.array, gx.array, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(
    ("f", "at", "gradient"),
    [
        (F.relu6, [0, 6], [0, 0]),
        (lambda x: F.clipped_relu(x, 2), [0, 2], [0, 0]),
        (lambda x: F.crelu(x, 0), [0], [0]),
        (F.leaky_relu, [0], [1]),
        (lambda x: F.prelu(x, np.array(0.5)), [0], [1]),
        (lambda x: F.elu(x, 0.5), [0], [0.5]),
        (F.hard_sigmoid, [-2.5, 2.5], [0, 0]),
    ],
)
def test_the_gradient_at_a_kink(f, at, gradient):
    x = Variable(np.array(at, float))
    f(x).sum().backward()
    np.testing.assert_array_equal(x.grad, gradient)


def test_maxout_shares_the_gradient_among_equals():
    x = Variable(np.ones((1, 2)))
    F.maxout(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0.5, 0.5]])


def test_sigmoid_is_exact_far_out_on_the_negative_side():
    x = np.array([-30.0, -300.0, -700.0])
    np.testing.assert_allclose(F.sigmoid(x).array, np.exp(x), rtol=1e-12)


def test_softplus_is_exact_far_out_on_the_negative_side():
    x = np.array([-30.0, -300.0, -700.0])
    np.testing.assert_allclose(F.softplus(x).array, np.exp(x), rtol=1e-12)


def test_gelu_is_exact_far_out_on_the_negative_side():
    assert -1e-85 < F.gelu(np.array([-20.0])).item() < -1e-90


def test_log_softmax_stays_exact_where_softmax_is_0():
    x = np.array([[0.0, -1e4]])
    np.testing.assert_array_equal(F.log_softmax(x).array, [[0, -1e4]])
    np.testing.assert_array_equal(F.softmax(x).array, [[1, 0]])


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax])
def test_scores_of_minus_infinity_count_for_nothing(f):
    x = Variable(np.array([[1.0, -np.inf, 2.0]]))
    y = f(x)
    np.testing.assert_array_equal(y.array[:, ::2], f(np.array([[1.0, 2.0]])).array)
    y[:, ::2].sum().backward()
    assert x.grad[0, 1] == 0
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax])
def test_adding_a_number_to_all_scores_changes_nothing(f):
    x = np.array([[1.0, 5.0, 2.0]])
    np.testing.assert_array_equal(f(x + 1024).array, f(x).array)


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax, F.crelu, lambda x, a: F.maxout(x, 1, a)])
def test_an_axis_that_is_not_there_is_refused(f):
    for axis in 2, -3:
        with pytest.raises(ValueError, match=rf"axis is {axis}, x has 2 axes"):
            f(np.ones((2, 3)), axis)
    for axis in 1.0, None, (0, 1), True:
        with pytest.raises(TypeError, match=r"axis is .*, expected an integer"):
            f(np.ones((2, 3)), axis)


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax])
@pytest.mark.parametrize("axis", range(4))
def test_along_every_axis_of_an_array_of_any_layout(f, axis):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    expected = np.moveaxis(f(np.moveaxis(x, axis, -1).copy(), -1).array, -1, axis)
    for laid_out in (
        x,
        np.asfortranarray(x),
        x[::-1][::-1],
        x.transpose(2, 0, 3, 1).transpose(1, 3, 0, 2),
    ):
        np.testing.assert_allclose(f(laid_out, axis).array, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda x: F.clipped_relu(x, 0), ValueError, "clipped_relu: z is 0.0, expected a positive"),
        (lambda x: F.clipped_relu(x, np.nan), ValueError, "clipped_relu: z is nan"),
        (lambda x: F.clipped_relu(x, "6"), TypeError, "clipped_relu: z is str, expected a real"),
        (lambda x: F.elu(x, x), TypeError, "elu: alpha is ndarray, expected a real number"),
        (lambda x: F.selu(x, None), TypeError, "selu: alpha is NoneType"),
        (lambda x: F.leaky_relu(x, [1]), TypeError, "leaky_relu: slope is list"),
        (lambda x: F.softplus(x, 0), ValueError, "softplus: beta is 0"),
        (lambda x: F.softplus(x, x), TypeError, "softplus: beta is ndarray"),
        (lambda x: F.gelu(x, "erf"), ValueError, "gelu: approximate is 'erf', expected 'none' or"),
        (lambda x: F.gelu(x, True), ValueError, "gelu: approximate is True"),
        (lambda x: F.maxout(x, 2), ValueError, "maxout: pool_size is 2, .* divides 3, the length"),
        (lambda x: F.maxout(x, 0), ValueError, "maxout: pool_size is 0, expected a positive"),
        (lambda x: F.maxout(x, 1.0), TypeError, "maxout: pool_size is 1.0, expected an integer"),
        (lambda x: F.maxout(x, True), TypeError, "maxout: pool_size is True, expected an integer"),
        (lambda x: F.prelu(x, np.ones(2)), ValueError, r"prelu: W has shape \(2,\), .*x: \(2, 3\)"),
        (lambda x: F.prelu(x, np.ones((3, 1))), ValueError, r"prelu: W has shape \(3, 1\)"),
        (lambda x: F.prelu(x, np.ones(1)), ValueError, r"prelu: W has shape \(1,\)"),
        (lambda x: F.prelu(x[0, 0:1][0:1].reshape(()), np.ones(())), ValueError, "prelu: W has"),
        (lambda x: F.prelu(x, 0.5), TypeError, "prelu: W is float, expected a floating array"),
        (
            lambda x: F.prelu(x, np.ones(3, "f")),
            TypeError,
            "prelu: .*; expected one floating dtype",
        ),
        (lambda x: F.swish(x, np.ones(2)), ValueError, r"swish: beta has shape \(2,\)"),
        (lambda x: F.swish(x, 1.0), TypeError, "swish: beta is float"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_sentence(call, error, sentence):
    with pytest.raises(error, match=rf"^{sentence}"):
        call(np.ones((2, 3)))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.elu(x, np.float64(0.5)),
        lambda x: F.selu(x, np.float64(0.5), np.float64(2)),
        lambda x: F.leaky_relu(x, np.float64(0.5)),
        lambda x: F.clipped_relu(x, np.float64(0.5)),
        lambda x: F.softplus(x, np.float64(0.5)),
    ],
)
def test_a_setting_that_is_a_number_of_numpy_leaves_float32_alone(f):
    x = Variable(np.array([-1.0, 0.2], np.float32))
    y = f(x)
    (gx,) = dynet.grad(y.sum(), x, create_graph=True)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == gx.dtype == np.float32


def test_softplus_takes_a_negative_beta():
    check_backward(lambda x: F.softplus(x, -2), np.array([-1.0, 0.5]))
    np.testing.assert_allclose(F.softplus(np.array([3.0]), -1).array, [-np.log1p(np.exp(-3))])


x, y, small = np.zeros(4), np.zeros(4), np.zeros(3)
rows, narrow = np.zeros((2, 3)), np.zeros((2, 2))
top = np.zeros(2)
MISMATCHED = {
    "sigmoid": lambda: kernels.sigmoid_forward(x, small),
    "sigmoid, gy": lambda: kernels.sigmoid_backward(x, small, y),
    "sigmoid, gx": lambda: kernels.sigmoid_backward(x, y, small),
    "tanh": lambda: kernels.tanh_backward(small, x, y),
    "silu": lambda: kernels.silu_forward(small, x),
    "silu, gx": lambda: kernels.silu_backward(x, y, small),
    "softplus": lambda: kernels.softplus_forward(x, 1.0, small),
    "softplus, gy": lambda: kernels.softplus_backward(x, small, 1.0, y),
    "elu": lambda: kernels.elu_forward(small, 1.0, 1.0, y),
    "elu, gy": lambda: kernels.elu_backward(x, small, 1.0, 1.0, y),
    "leaky_relu": lambda: kernels.leaky_relu_forward(small, 1.0, y),
    "leaky_relu, gy": lambda: kernels.leaky_relu_backward(x, small, 1.0, y),
    "gelu": lambda: kernels.gelu_forward(small, x),
    "gelu, gy": lambda: kernels.gelu_backward(x, small, y),
    "softmax": lambda: kernels.softmax_forward(rows, top, narrow),
    "softmax, largest": lambda: kernels.softmax_forward(rows, top[:1], rows),
    "softmax, gy": lambda: kernels.softmax_backward(rows, narrow, rows),
    "log_softmax": lambda: kernels.log_softmax_forward(narrow, top, rows),
    "log_softmax, largest": lambda: kernels.log_softmax_forward(rows, top[:1], rows),
    "log_softmax, gx": lambda: kernels.log_softmax_backward(rows, rows, rows[:1]),
}


@pytest.mark.parametrize("call", MISMATCHED.values(), ids=MISMATCHED.keys())
def test_a_kernel_refuses_arrays_that_do_not_fit_each_other(call):
    with pytest.raises(ValueError, match=r"different (sizes|shapes)|largest number of each row"):
        call()
