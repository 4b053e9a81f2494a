"""What parameters start from."""

import numpy as np
import pytest

import dynet
import dynet.links as L
from dynet import Parameter
from dynet.initializers import Constant, Identity, LeCunNormal, Normal


def filled(initializer, *shape):
    return Parameter(initializer, shape).array


def test_constant_fills_with_a_number():
    assert (filled(Constant(3), 2, 2) == 3).all()


def test_constant_fills_with_an_array_that_broadcasts():
    np.testing.assert_array_equal(filled(Constant(np.array([1, 2])), 2, 2), [[1, 2], [1, 2]])


def test_identity_is_scaled():
    np.testing.assert_array_equal(filled(Identity(0.5), 2, 2), [[0.5, 0], [0, 0.5]])


@pytest.mark.parametrize("shape", [(2, 4), (4, 2)])
def test_a_rectangular_identity_has_ones_on_its_diagonal(shape):
    np.testing.assert_array_equal(filled(Identity(), *shape), np.eye(*shape))


def test_identity_refuses_what_is_no_matrix():
    with pytest.raises(ValueError, match=r"Identity: .*\(3,\), expected a matrix"):
        filled(Identity(), 3)


def test_normal_with_a_seed_gives_the_same_numbers_again():
    np.testing.assert_array_equal(filled(Normal(rng=7), 5), filled(Normal(rng=7), 5))


def test_normal_with_another_seed_gives_other_numbers():
    assert (filled(Normal(rng=7), 5) != filled(Normal(rng=8), 5)).all()


def test_normal_draws_from_a_generator():
    expected = np.random.default_rng(3).normal(0, 2, 5).astype(np.float32)
    np.testing.assert_array_equal(filled(Normal(2, rng=np.random.default_rng(3)), 5), expected)


def test_two_parameters_of_one_initializer_differ():
    initializer = Normal(rng=7)
    assert (filled(initializer, 5) != filled(initializer, 5)).all()


@pytest.mark.parametrize("initializer", [Normal, LeCunNormal])
def test_the_seed_of_numpy_governs_what_has_no_seed_of_its_own(initializer):
    np.random.seed(5)
    first = filled(initializer(), 5, 2)
    np.random.seed(5)
    np.testing.assert_array_equal(first, filled(initializer(), 5, 2))


def test_normal_has_its_standard_deviation():
    assert filled(Normal(0.3, rng=0), 100_000).std() == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("shape", [(500, 400), (100, 50, 8)])
def test_lecun_normal_has_a_standard_deviation_of_one_over_the_root_of_the_fan_in(shape):
    assert filled(LeCunNormal(2.0, rng=0), *shape).std() == pytest.approx(2 / 20, rel=0.02)


def test_lecun_normal_refuses_a_vector():
    with pytest.raises(ValueError, match=r"LeCunNormal: .*\(3,\)"):
        filled(LeCunNormal(), 3)


def test_parameters_are_float32_by_default():
    assert {p.dtype for p in L.Linear(3, 4).params()} == {np.dtype(np.float32)}


def test_parameters_have_the_configured_dtype():
    with dynet.using_config("dtype", np.float64):
        assert {p.dtype for p in L.Linear(3, 4).params()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("initializer", [Constant(1, np.float64), Normal(dtype=np.float64)])
def test_the_dtype_of_an_initializer_goes_before_the_configured_one(initializer):
    assert filled(initializer, 3).dtype == np.float64


def test_an_array_of_integers_makes_a_floating_parameter():
    assert Parameter(np.array([1, 2])).dtype == np.float32
