"""Elementary functions of each element: what the table of functions cannot say."""

import warnings

import numpy as np
import pytest
from scipy import special

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import error_function as kernels

ELEMENTARY = sorted(set(F.math.__all__) - {"clip"})


@pytest.mark.parametrize("name", ELEMENTARY)
@pytest.mark.parametrize("x", [[1.0], 1.0, None, np.array([1, 2]), np.array([True])])
def test_what_is_no_floating_array_is_refused(name, x):
    with pytest.raises(TypeError, match=rf"^{name}: x is .*, expected a floating array$"):
        getattr(F, name)(x)


@pytest.mark.parametrize("name", ELEMENTARY)
def test_nan_is_carried_on_into_value_and_slope(name):
    x = Variable(np.array([np.nan, 0.5]))
    y = getattr(F, name)(x)
    np.testing.assert_array_equal(np.isnan(y.array), [True, False])
    y.sum().backward()
    if x.grad is not None:
        np.testing.assert_array_equal(np.isnan(x.grad), [True, False])


@pytest.mark.parametrize("name", ELEMENTARY)
def test_float16_stays_float16(name):
    x = Variable(np.array([0.5, 0.25], np.float16))
    y = getattr(F, name)(x)
    y.sum().backward()
    assert y.dtype == np.float16
    assert x.grad is None or x.grad.dtype == np.float16


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "fix"])
def test_a_function_that_is_flat_passes_no_gradient_on(name):
    x = Variable(np.array([-1.5, 1.5]))
    (getattr(F, name)(x) + 2 * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2])


def test_clip_has_gradient_1_at_its_bounds():
    x = Variable(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    F.clip(x, -1, 1).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 1, 1, 1, 0])


def test_clip_without_bounds_lets_infinity_through():
    x = Variable(np.array([np.inf, np.inf]))
    y = F.clip(x, None, None)
    y.sum().backward()
    np.testing.assert_array_equal(y.array, x.array)
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_clip_carries_nan_on():
    assert np.isnan(F.clip(np.array([np.nan]), 0, 1).array).all()


def test_clip_with_bounds_the_wrong_way_round_gives_the_upper_one_as_numpy_does():
    x = Variable(np.array([-2.0, 0.0, 2.0]))
    y = F.clip(x, 1, -1)
    y.sum().backward()
    np.testing.assert_array_equal(y.array, np.clip(x.array, 1, -1))
    np.testing.assert_array_equal(x.grad, [0, 0, 0])


@pytest.mark.parametrize("names", [("a_min", "a_max"), ("min", "max")])
@pytest.mark.parametrize("bounds", [(0, 1), (None, 1), (0, None)])
def test_np_clip_takes_the_bounds_under_both_of_their_names(names, bounds):
    x = Variable(np.array([-2.0, 0.5, 2.0]))
    clipped = np.clip(x, **dict(zip(names, bounds, strict=True)))
    np.testing.assert_array_equal(clipped.array, np.clip(x.array, *bounds))


def test_the_method_clip_takes_bounds_by_name():
    x = Variable(np.array([-2.0, 0.5, 2.0]))
    np.testing.assert_array_equal(x.clip(max=1).array, [-2, 0.5, 1])


@pytest.mark.parametrize("bounds", [("0", 1), (0, np.array([1.0, 2.0])), (Variable(np.ones(1)), 1)])
def test_clip_refuses_bounds_that_are_no_numbers(bounds):
    with pytest.raises(TypeError, match=r"^clip: x_(min|max) is \w+, expected a real number"):
        F.clip(np.zeros(2), *bounds)


@pytest.mark.parametrize("x", [[1.0], np.array([1])])
def test_clip_refuses_what_is_no_floating_array(x):
    with pytest.raises(TypeError, match=r"^clip: x is"):
        F.clip(x, 0, 1)


@pytest.mark.parametrize("name", ["exp", "expm1", "sinh", "cosh"])
def test_a_slope_that_overflows_is_infinite_and_not_nan(name):
    x = Variable(np.array([1000.0]))
    with np.errstate(over="ignore"):
        getattr(F, name)(x).backward()
    np.testing.assert_array_equal(x.grad, [np.inf])


@pytest.mark.parametrize("name", ["erf", "erfc", "arctan"])
def test_far_from_0_slopes_vanish_without_a_warning(name):
    x = Variable(np.array([-1e10, 1e10]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(F, name)(x).sum().backward()
    np.testing.assert_allclose(x.grad, [0, 0], atol=1e-19)


def test_small_numbers_are_not_lost_in_expm1_and_log1p():
    x = np.array([1e-20])
    np.testing.assert_array_equal(F.log1p(F.expm1(x)).array, x)


@pytest.mark.parametrize(
    ("name", "third"), [("sin", -np.cos(0.3)), ("exp", np.exp(0.3)), ("log", 2 / 0.3**3)]
)
def test_derivatives_go_on_to_the_third(name, third):
    x = Variable(np.array(0.3))
    g = getattr(F, name)(x)
    for _ in range(3):
        (g,) = dynet.grad(g, x, create_graph=True)
    np.testing.assert_allclose(g.item(), third)


@pytest.mark.parametrize("name", ["erf", "erfc"])
@pytest.mark.parametrize(("dtype", "far", "rtol"), [(np.float32, 9, 6e-6), (np.float64, 26, 4e-15)])
def test_the_error_function_is_that_of_scipy_everywhere(name, dtype, far, rtol):
    x = np.concatenate([np.linspace(-far, far, 10001), 10.0 ** np.arange(-30, 0)]).astype(dtype)
    expected = getattr(special, name)(x.astype(np.float64))
    np.testing.assert_allclose(getattr(F, name)(x).array, expected, rtol)
    edges = np.array([0.0, -0.0, np.inf, -np.inf, 1e30, -1e30], dtype)
    np.testing.assert_array_equal(getattr(F, name)(edges).array, getattr(special, name)(edges))


@pytest.mark.parametrize("kernel", [kernels.erf_forward, kernels.erfc_forward])
def test_the_kernels_of_the_error_function_refuse_arrays_of_different_sizes(kernel):
    with pytest.raises(ValueError, match=r"^erfc?: the arrays have different sizes"):
        kernel(np.zeros(4), np.zeros(3))
