"""Arithmetic of two operands: what the table of functions cannot say."""

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import arithmetic as kernels

PAIRWISE = ["add", "maximum", "minimum", "fmod", "arctan2", "squared_difference"]


@pytest.mark.parametrize("name", PAIRWISE)
def test_shapes_that_do_not_broadcast_are_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}: x \(2,\) and y \(3,\) do not broadcast"):
        getattr(F, name)(np.ones(2), np.ones(3))


@pytest.mark.parametrize("name", PAIRWISE)
@pytest.mark.parametrize("y", [[1.0, 2.0], "2", None, 1j])
def test_what_is_no_array_nor_a_number_is_refused(name, y):
    for operands in (np.ones(2), y), (y, np.ones(2)):
        with pytest.raises(TypeError, match=rf"^{name}: [xy] is {type(y).__name__}, expected"):
            getattr(F, name)(*operands)


@pytest.mark.parametrize("name", PAIRWISE)
def test_two_floating_dtypes_are_refused(name):
    with pytest.raises(TypeError, match=rf"^{name}: x is float32, y is float64, expected one"):
        getattr(F, name)(np.ones(2, np.float32), np.ones(2))


@pytest.mark.parametrize("name", PAIRWISE)
@pytest.mark.parametrize("number", [2, 0.5, np.float64(0.5), np.int64(2)])
def test_a_number_leaves_float32_alone(name, number):
    x = Variable(np.array([0.7, 1.7], np.float32))
    for y in getattr(F, name)(x, number), getattr(F, name)(number, x):
        assert y.dtype == np.float32
        x.cleargrad()
        y.sum().backward()
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize("numbers", [(), (1,), (1, 2.0)])
def test_add_needs_an_array(numbers):
    with pytest.raises(TypeError, match=rf"^add: got {len(numbers)} operands, expected at least"):
        F.add(*numbers)


def test_add_of_one_operand_is_a_variable_of_its_own():
    x = Variable(np.ones(2))
    y = F.add(x)
    assert y is not x
    assert isinstance(F.add(x.array), Variable)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_of_equals_the_first_gets_the_gradient(name):
    x, y = Variable(np.ones(2)), Variable(np.ones(2))
    getattr(F, name)(x, y).sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])
    np.testing.assert_array_equal(y.grad, [0, 0])


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_nan_on_either_side_is_carried_on(name):
    nan, one = np.array([np.nan]), np.array([1.0])
    assert np.isnan(getattr(F, name)(nan, one).array).all()
    assert np.isnan(getattr(F, name)(one, nan).array).all()


@pytest.mark.parametrize("size", [2, 2000])
def test_where_keeps_the_gradient_of_the_other_operand_clean(size):
    x, y = Variable(np.ones(size)), Variable(np.ones(size))
    chosen = np.arange(size) % 2 == 0
    z = F.where(chosen, x, y)
    z.grad = np.where(chosen, 1, np.inf)
    z.backward()
    np.testing.assert_array_equal(x.grad, np.where(chosen, 1, 0))
    np.testing.assert_array_equal(y.grad, np.where(chosen, 0, np.inf))


def test_where_takes_a_variable_of_booleans_or_a_comparison():
    x = Variable(np.array([-1.0, 2.0]))
    for condition in Variable(x.array > 0), x > 0:
        np.testing.assert_array_equal(F.where(condition, x, 0).array, [0, 2])
    scalar = Variable(np.array(3.0))
    assert F.where(scalar > 0, scalar, 0).item() == 3


@pytest.mark.parametrize("condition", [np.array([0, 1]), np.array([0.0, 1.0]), [True, False], None])
def test_where_refuses_a_condition_that_does_not_hold_booleans(condition):
    with pytest.raises(TypeError, match=r"^where: condition is .*, expected an array of booleans"):
        F.where(condition, np.ones(2), np.zeros(2))


@pytest.mark.parametrize("size", [3, 3000])
def test_where_refuses_a_condition_that_does_not_broadcast(size):
    with pytest.raises(ValueError, match=rf"^where: condition \({size},\), x \(2,\) and y"):
        F.where(np.ones(size, bool), np.ones(2), 0.0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("size", [3, 3000])
def test_where_keeps_the_dtype(dtype, size):
    condition = np.arange(size) % 3 == 0
    x = np.arange(size).astype(dtype)
    for y in np.zeros(1, dtype), 0.25, 2:
        z = F.where(condition, x, y).array
        assert z.dtype == dtype
        np.testing.assert_array_equal(z, np.where(condition, x, y))


def test_where_of_integers_is_of_integers():
    z = F.where(np.ones(2000, bool), np.arange(2000), 0)
    assert z.dtype == np.int64
    assert not z.requires_grad


def test_the_kernel_of_where_refuses_arrays_of_different_sizes():
    c, x = np.ones(4, bool), np.zeros(4)
    for arguments in (c[:3], x, x, x), (c, x[:3], x, x), (c, x, x[:3], x), (c, x, x, x[:3]):
        with pytest.raises(ValueError, match=r"^where: the arrays have different sizes"):
            kernels.where_each(*arguments)


@pytest.mark.parametrize("name", ["bias", "scale"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((2,), 1), ((3, 5), 1), ((4, 1), -1), ((2, 3, 4, 1), 0), ((1,), 1)]
)
def test_a_bias_of_another_shape_than_the_axes_of_x_is_refused(name, shape, axis):
    with pytest.raises(ValueError, match=rf"^{name}: y has shape .*\(x: \(2, 3, 4\)\)"):
        getattr(F, name)(np.ones((2, 3, 4)), np.ones(shape), axis)


@pytest.mark.parametrize("name", ["bias", "scale"])
def test_a_bias_along_an_axis_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}: axis is 3, x has 3 axes"):
        getattr(F, name)(np.ones((2, 3, 4)), np.ones(2), 3)
    with pytest.raises(TypeError, match=rf"^{name}: axis is 1.0, expected an integer"):
        getattr(F, name)(np.ones((2, 3, 4)), np.ones(3), 1.0)
    with pytest.raises(TypeError, match=rf"^{name}: y is list"):
        getattr(F, name)(np.ones((2, 3, 4)), [1.0] * 3)
    with pytest.raises(TypeError, match=rf"^{name}: .* y is float32 .*; expected one floating"):
        getattr(F, name)(np.ones((2, 3, 4)), np.ones(3, np.float32))


def test_fmod_has_the_sign_of_x_and_the_operator_that_of_y():
    x, y = Variable(np.array([-7.0, 7.0])), np.array([4.0, -4.0])
    np.testing.assert_array_equal(F.fmod(x, y).array, [-3, 3])
    np.testing.assert_array_equal((x % y).array, [1, -1])


def test_arctan2_knows_all_four_quadrants():
    angles = np.array([-3.0, -1.0, 0.5, 2.0])
    y = F.arctan2(Variable(np.sin(angles)), Variable(np.cos(angles)))
    np.testing.assert_allclose(y.array, angles)


def test_the_second_derivative_of_maximum_goes_the_same_way():
    x, y = Variable(np.array([1.0, 3.0])), Variable(np.array([2.0, 2.0]))
    (gx,) = dynet.grad(F.maximum(x, y).sum() ** 2, x, create_graph=True)
    gxx, gxy = dynet.grad(gx.sum(), [x, y])
    np.testing.assert_array_equal(gxx.array, [0, 2])
    np.testing.assert_array_equal(gxy.array, [2, 0])
