"""What the table cannot say of reductions: ties, NaN, what is refused, kernels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.gradient_check import check_double_backward
from dynet.kernels import reduction as kernels

V = Variable(np.arange(6.0).reshape(2, 3) + 1)
REDUCTIONS = ["sum", "mean", "average", "max", "min", "prod", "logsumexp"]
ALONG_AN_AXIS = ["cumsum", "cumprod", "argmax", "argmin"]


@pytest.mark.parametrize("name", REDUCTIONS + ALONG_AN_AXIS)
@pytest.mark.parametrize(
    ("axis", "error", "message"),
    [
        (2, ValueError, "axis is 2, x has 2 axes (x: (2, 3))"),
        (-3, ValueError, "axis is -3, x has 2 axes (x: (2, 3))"),
        (1.0, TypeError, "axis is 1.0, expected an integer"),
        ([0, 1], TypeError, "axis is [0, 1], expected an integer"),
        ("0", TypeError, "axis is '0', expected an integer"),
    ],
)
def test_a_wrong_axis_is_an_error(name, axis, error, message):
    with pytest.raises(error) as caught:
        getattr(F, name)(V, axis)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{name}:")


@pytest.mark.parametrize("name", REDUCTIONS)
def test_an_axis_named_twice_is_an_error(name):
    with pytest.raises(ValueError, match=r"axis is \(0, -2\), which names an axis twice"):
        getattr(F, name)(V, (0, -2))


@pytest.mark.parametrize("name", [*REDUCTIONS, *ALONG_AN_AXIS, "batch_l2_norm_squared"])
@pytest.mark.parametrize("x", [[1.0, 2.0], 1.0, None])
def test_what_is_no_array_is_an_error(name, x):
    with pytest.raises(TypeError, match=f"x is {type(x).__name__}, expected a"):
        getattr(F, name)(x)


@pytest.mark.parametrize("name", ["mean", "average", "logsumexp", "batch_l2_norm_squared"])
@pytest.mark.parametrize("shape", [(2, 3), (0, 3)])
def test_integers_where_floats_are_meant_are_an_error(name, shape):
    with pytest.raises(TypeError, match=r"x is int64 \(\d, 3\), expected a floating array"):
        getattr(F, name)(np.ones(shape, int))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "cumsum", "cumprod"])
def test_integers_give_integers_without_a_gradient(name):
    x = np.array([[3, 1], [2, 4]], np.int32)
    y = getattr(F, name)(Variable(x), axis=1)
    np.testing.assert_array_equal(y.array, getattr(np, name)(x, axis=1))
    assert y.dtype.kind == "i" and not y.requires_grad


@pytest.mark.parametrize("name", ["mean", "average", "max", "min", "argmax", "argmin"])
def test_nothing_to_choose_from_or_to_average_is_an_error(name):
    with pytest.raises(ValueError, match=r"x holds no elements, .* \(x: \(0, 3\)\)"):
        getattr(F, name)(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="x holds no elements along axis 0, expected at least one"):
        getattr(F, name)(np.zeros((0, 3)), 0)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "logsumexp"])
def test_where_nothing_is_asked_for_no_elements_are_no_error(name):
    x = Variable(np.zeros((2, 0, 0)))
    y = getattr(F, name)(x, 1)
    assert y.shape == (2, 0)
    y.sum().backward()
    assert x.grad.shape == (2, 0, 0)


@pytest.mark.parametrize(("name", "neutral"), [("sum", 0), ("prod", 1), ("logsumexp", -np.inf)])
def test_of_no_elements_it_is_the_neutral_one(name, neutral):
    y = getattr(F, name)(Variable(np.zeros((2, 0))), 1)
    np.testing.assert_array_equal(y.array, [neutral, neutral])


@pytest.mark.parametrize(
    ("function", "keywords"),
    [
        (np.sum, {"dtype": np.float32}),
        (np.sum, {"out": np.zeros(())}),
        (np.sum, {"initial": 1.0}),
        (np.mean, {"where": np.ones((2, 3), bool)}),
        (np.max, {"initial": 0.0}),
        (np.cumsum, {"dtype": np.float32}),
        (np.argmax, {"keepdims": True}),
        (np.average, {"returned": True}),
    ],
)
def test_what_only_numpy_takes_is_an_error(function, keywords):
    with pytest.raises(TypeError, match=f"{next(iter(keywords))}.*it takes"):
        function(V, **keywords)


@pytest.mark.parametrize("function", [np.sum, np.mean, np.prod, np.max, np.min, np.cumsum])
def test_a_dtype_or_output_by_position_is_not_taken_for_something_else(function):
    with pytest.raises(TypeError):
        function(V, 0, np.float32)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "amax", "amin"])
def test_numpys_own_function_keeps_axes_where_asked(name):
    y = getattr(np, name)(V, axis=(0, -1), keepdims=True)
    np.testing.assert_allclose(y.array, getattr(np, name)(V.array, axis=(0, -1), keepdims=True))
    assert y.requires_grad


METHODS = ["sum", "mean", "max", "min", "prod", "cumsum", "cumprod", "argmax", "argmin"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_a_variable_has_the_methods_of_an_array(name, axis):
    y = getattr(V, name)(axis)
    np.testing.assert_allclose(y.array, getattr(V.array, name)(axis))


@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_extremes_share_the_gradient_evenly(name):
    x = Variable(np.array([[2.0, 2.0, 2.0], [1.0, 3.0, 3.0], [1.0, 1.0, 3.0]]))
    getattr(F, name)(x, axis=1).sum().backward()
    thirds = [1 / 3] * 3
    expected = {
        "max": [thirds, [0, 0.5, 0.5], [0, 0, 1]],
        "min": [thirds, [1, 0, 0], [0.5, 0.5, 0]],
    }
    np.testing.assert_array_equal(x.grad, expected[name])


@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_extremes_have_a_second_derivative_of_zero(name):
    x = Variable(np.array([2.0, 2.0, 2.0]))
    (gx,) = dynet.grad(getattr(F, name)(x) ** 2, x, create_graph=True)  # 2 * 2 / 3 each
    (ggx,) = dynet.grad(gx.sum(), x)  # of y, which the shares were multiplied with, alone
    np.testing.assert_allclose(ggx.array, [2 / 3] * 3)


@pytest.mark.parametrize("name", REDUCTIONS + ["cumsum", "cumprod"])
def test_nan_is_carried_on(name):
    x = Variable(np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]]))
    y = getattr(F, name)(x, 1)
    assert np.isnan(y.array.reshape(2, -1)[0, -1])
    assert not np.isnan(y.array.reshape(2, -1)[1]).any()


def test_the_extreme_of_nan_gives_its_gradient_to_nobody_else():
    x = Variable(np.array([[1.0, np.nan], [1.0, 2.0]]))
    F.max(x, 1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0.5, 0.5], [0, 1]])


def test_logsumexp_does_not_overflow():
    x = Variable(np.array([[1000.0, 1000.0], [-1000.0, -1001.0]]))
    y = F.logsumexp(x, 1)
    np.testing.assert_allclose(y.array, [1000 + np.log(2), -1000 + np.log1p(np.exp(-1))])
    y.sum().backward()
    p = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(x.grad, [[0.5, 0.5], [p, 1 - p]])


def test_logsumexp_of_minus_infinity_has_a_gradient_of_zeros_and_a_second_one():
    x = Variable(np.array([[-np.inf, -np.inf], [-np.inf, 1.0], [0.0, 0.0]]))
    y = F.logsumexp(x, 1)
    np.testing.assert_array_equal(y.array, [-np.inf, 1, np.log(2)])
    (gx,) = dynet.grad(y, x, np.ones(3), create_graph=True)
    np.testing.assert_allclose(gx.array, [[0, 0], [0, 1], [0.5, 0.5]])
    (ggx,) = dynet.grad(gx[:, 0].sum(), x)
    np.testing.assert_allclose(ggx.array, [[0, 0], [0, 0], [0.25, -0.25]])


def test_logsumexp_of_infinity_is_infinity():
    assert F.logsumexp(np.array([np.inf, 1.0])).item() == np.inf


@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_products_have_third_derivatives_also_where_elements_are_zero(name):
    def second(x):
        (gx,) = dynet.grad((getattr(F, name)(x, 0) * 1.5).sum(), x, create_graph=True)
        return dynet.grad((gx * gx).sum(), x, create_graph=True)[0]

    dynet.gradient_check.check_backward(second, np.array([2.0, 0.0, 3.0, 0.0, 0.5]))


def test_a_product_too_small_for_its_dtype_still_has_a_gradient():
    x = Variable(np.array([1e-200, 1e-200, 1e200]))
    F.prod(x).backward()
    np.testing.assert_allclose(x.grad, [1, 1, 0], atol=1e-300)


def test_weights_of_the_average_get_a_gradient():
    x, weights = Variable(np.array([[1.0, 3.0]])), Variable(np.array([1.0, 1.0]))
    F.average(x, 1, weights).backward()
    np.testing.assert_allclose(weights.grad, [-0.5, 0.5])
    check_double_backward(lambda x, w: F.average(x, 1, w), (x.array, weights.array))


@pytest.mark.parametrize(
    ("axis", "shape", "message"),
    [
        (None, (2,), r"weights has shape \(2,\), expected \(2, 3\)"),
        (1, (2,), r"weights has shape \(2,\), expected \(2, 3\) or \(3,\)"),
        (1, (1, 3), r"weights has shape \(1, 3\), expected"),
        ((1, 0), (2, 2), r"weights has shape \(2, 2\), expected \(2, 3\) or \(3, 2\)"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(axis, shape, message):
    with pytest.raises(ValueError, match=message):
        F.average(V, axis, np.ones(shape))


def test_weights_that_sum_to_zero_are_an_error():
    with pytest.raises(ZeroDivisionError, match="average: weights sum to 0"):
        F.average(V, 1, np.array([1.0, -1.0, 0.0]))


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0], np.array([1, 2, 3]), np.ones(3, np.float32)])
def test_weights_of_another_type_are_an_error(weights):
    with pytest.raises(TypeError, match="average: "):
        F.average(V, 1, weights)


def test_a_norm_of_no_batch_is_an_error():
    with pytest.raises(ValueError, match=r"batch_l2_norm_squared: x has shape \(3,\)"):
        F.batch_l2_norm_squared(np.ones(3))


def test_the_gradient_of_a_sum_can_be_written_to():
    x = Variable(np.ones((2, 3)))
    x.sum().backward()
    x.grad *= 2
    np.testing.assert_array_equal(x.grad, np.full((2, 3), 2))


NAMES = ["sum", "mean", "max", "min", "prod", "cumsum", "cumprod", "argmax", "argmin"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_reduction_is_that_of_numpy_or_an_error(data):
    name = data.draw(st.sampled_from(NAMES))
    shape = data.draw(array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    dtype = data.draw(st.sampled_from(["f4", "f8", "i4"]))
    one = st.integers(-4, 3)
    several = st.none() | one | st.tuples() | st.tuples(one) | st.tuples(one, one)
    axis = data.draw(several if hasattr(np.zeros(1), name) and name in METHODS[:5] else one)
    x = np.random.default_rng(0).normal(size=(*shape, 2)).astype(dtype)[..., 0]
    x = data.draw(st.sampled_from([lambda a: a, np.ascontiguousarray, np.transpose]))(x)
    try:
        y = getattr(F, name)(Variable(x), axis)
    except (ValueError, TypeError) as error:
        assert str(error).startswith(f"{name}: ")
        # NumPy's mean of integers is one of floats, that of nothing NaN; and an array without
        # axes may pass for one with an axis.
        if not (x.ndim == 0 or (name == "mean" and (dtype == "i4" or x.size == 0))):
            with pytest.raises((ValueError, TypeError)):
                getattr(np, name)(x, axis)
        return
    expected = getattr(np, name)(x, axis if x.ndim else None)
    assert y.shape == expected.shape and y.dtype == expected.dtype
    np.testing.assert_allclose(y.array, expected, rtol=1e-5)
    if y.requires_grad:
        v = Variable(x)
        getattr(F, name)(v, axis).sum().backward()
        assert v.grad.shape == x.shape and v.grad.dtype == x.dtype


class Elsewhere(np.ndarray):
    """Arrays for which there is no kernel, as those on a GPU."""


@pytest.mark.parametrize("shape", [(3, 4), (2, 0), (0, 3), (2, 1)])
def test_kernels_of_products_agree_with_the_statement_in_array_operations(shape):
    rng = np.random.default_rng(0)
    x, gy = rng.normal(size=shape) * rng.integers(0, 2, shape), rng.normal(size=shape)
    for kernel, g in (kernels.product_of_others, gy.sum(1)), (kernels.cumprod_grad, gy):
        got = kernel(x.view(Elsewhere), g.view(Elsewhere))
        np.testing.assert_allclose(got, kernel(x, g), rtol=1e-13, atol=1e-15)


def test_kernels_of_products_refuse_shapes_that_do_not_fit():
    x = np.ones((2, 3))
    for gy, gx in (np.ones(3), x), (np.ones(2), np.ones((2, 2))):
        with pytest.raises(ValueError, match="prod: the gradients' shapes"):
            kernels.product_of_others_to(x, gy, gx)
    for gy, gx in (np.ones((2, 2)), x), (x, np.ones((3, 3))):
        with pytest.raises(ValueError, match="cumprod: the gradients' shapes"):
            kernels.cumprod_backward(x, gy, gx)


@pytest.mark.parametrize("sign", [1, -1])
def test_kernels_of_maxima_refuse_arrays_that_do_not_fit(sign):
    x, y = np.zeros((2, 3, 4)), np.zeros((2, 4))
    for call in (
        lambda: kernels.extreme_to(x, 1.0 * sign, y[:1]),
        lambda: kernels.extreme_to(x[:, :0], 1.0 * sign, y),
        lambda: kernels.share_to(x, y[:, :3], y, 1.0 * sign, x.copy()),
        lambda: kernels.share_to(x, y, y[:1], 1.0 * sign, x.copy()),
        lambda: kernels.share_to(x, y, y, 1.0 * sign, x[:1].copy()),
    ):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize("f", [F.max, F.min])
@pytest.mark.parametrize(
    ("shape", "axis"), [((5, 2), 1), ((2, 50), 0), ((3, 40, 2), -2), ((7,), 0)]
)
def test_extremes_with_ties_and_nan_are_the_same_from_the_kernel_and_the_expression(f, shape, axis):
    a = np.random.default_rng(0).integers(0, 3, shape).astype(float)
    a.flat[1] = np.nan
    gradients = []
    for create_graph in False, True:
        x = Variable(a)
        y = f(x, axis)
        (gx,) = dynet.grad(y.sum(), x, create_graph=create_graph)
        gradients.append(gx.array)
    numpy = np.max if f is F.max else np.min
    np.testing.assert_array_equal(y.array, numpy(a, axis))
    np.testing.assert_array_equal(*gradients)
