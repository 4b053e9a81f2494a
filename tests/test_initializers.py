"""What parameters start from."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.links as L
from dynet import Parameter
from dynet.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LeCunNormal,
    LeCunUniform,
    NaN,
    Normal,
    One,
    Orthogonal,
    Uniform,
    Zero,
    generate_array,
    get_fans,
    get_rng,
)

SCALED = [LeCunNormal, GlorotNormal, HeNormal, LeCunUniform, GlorotUniform, HeUniform]
RANDOM = [Normal, Uniform, Orthogonal, *SCALED]
ALL = [Zero, One, NaN, Identity, *RANDOM]


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


@pytest.mark.parametrize("initializer", RANDOM)
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


# What is multiplied by the scale for an array (50, 30, 4): fan in 120, fan out 200.
SPREADS = [
    (LeCunNormal, {}, math.sqrt(1 / 120)),
    (GlorotNormal, {}, math.sqrt(2 / 320)),
    (HeNormal, {}, math.sqrt(2 / 120)),
    (HeNormal, {"fan_option": "fan_out"}, math.sqrt(2 / 200)),
    (LeCunUniform, {}, math.sqrt(1 / 120)),
    (GlorotUniform, {}, math.sqrt(2 / 320)),
    (HeUniform, {}, math.sqrt(2 / 120)),
    (HeUniform, {"fan_option": "fan_out"}, math.sqrt(2 / 200)),
]


@pytest.mark.parametrize("initializer, settings, expected", SPREADS)
def test_the_standard_deviation_follows_from_the_fans(initializer, settings, expected):
    array = filled(initializer(1.5, rng=0, **settings), 50, 30, 4)
    assert array.std() == pytest.approx(1.5 * expected, rel=0.03)
    assert abs(array.mean()) < 4 * 1.5 * expected / math.sqrt(array.size)


@pytest.mark.parametrize("initializer", [Uniform, LeCunUniform, GlorotUniform, HeUniform])
def test_a_uniform_initializer_reaches_its_bounds_and_no_further(initializer):
    uniform = initializer(0.2, dtype=np.float64, rng=0)
    array = filled(uniform, 100, 100)
    bound = uniform.bound((100, 100))
    assert 0.99 * bound < -array.min() <= bound and 0.99 * bound < array.max() <= bound


@pytest.mark.parametrize("initializer", SCALED)
def test_what_depends_on_the_fans_refuses_a_vector(initializer):
    message = rf"{initializer.__name__}: the array has shape \(3,\), expected \(out, in, ...\)"
    with pytest.raises(ValueError, match=message):
        filled(initializer(), 3)


@pytest.mark.parametrize("initializer", SCALED)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 3, 0)])
def test_an_array_without_elements_is_filled(initializer, shape):
    assert filled(initializer(), *shape).shape == shape


def test_the_fans_of_a_window_count_its_elements():
    assert get_fans((20, 3, 5, 7)) == (3 * 35, 20 * 35)


@pytest.mark.parametrize("shape", [(3,), (), 3, [2, 3]])
def test_fans_are_those_of_a_tuple_of_two_or_more(shape):
    with pytest.raises(ValueError, match="get_fans: shape is"):
        get_fans(shape)


@pytest.mark.parametrize("initializer, value", [(Zero, 0), (One, 1), (NaN, np.nan)])
def test_constants_have_names(initializer, value):
    np.testing.assert_array_equal(filled(initializer(), 2), [value, value])


@given(st.integers(1, 6), st.lists(st.integers(1, 3), max_size=2), st.sampled_from("fd"))
@settings(max_examples=50, deadline=None)
def test_orthogonal_rows_or_columns_are_orthonormal_up_to_the_scale(rows, rest, dtype):
    array = filled(Orthogonal(2.0, dtype=dtype, rng=0), rows, *rest)
    matrix = array.reshape(rows, -1)
    product = matrix @ matrix.T if rows <= matrix.shape[1] else matrix.T @ matrix
    tolerance = {"f": 1e-5, "d": 1e-13}[dtype]
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=tolerance)


def test_an_orthogonal_scalar_is_plus_or_minus_the_scale():
    signs = {float(filled(Orthogonal(1.5, rng=seed))) for seed in range(20)}
    assert signs == {1.5, -1.5}


def test_orthogonal_matrices_favour_no_direction():
    rng = np.random.default_rng(0)
    first = np.array([filled(Orthogonal(1, rng=rng), 3, 3)[0] for _ in range(2000)])
    assert abs(first.mean(0)).max() < 0.06
    np.testing.assert_allclose(first.T @ first / 2000, np.eye(3) / 3, atol=0.03)


WRONG = [("embedding", (2, 3)), ("projection", (3, 2)), ("basis", (2, 3)), ("basis", (3, 2))]


@pytest.mark.parametrize("mode, shape", WRONG)
def test_a_mode_of_orthogonal_rules_out_shapes(mode, shape):
    with pytest.raises(ValueError, match=rf"{re.escape(str(shape))}.* the mode '{mode}' takes "):
        filled(Orthogonal(mode=mode), *shape)


@pytest.mark.parametrize("mode, shape", [(m, s[::-1]) for m, s in WRONG[:2]] + [("basis", (3, 3))])
def test_a_mode_of_orthogonal_takes_the_others(mode, shape):
    assert filled(Orthogonal(mode=mode), *shape).shape == shape


def test_an_orthogonal_array_has_elements():
    with pytest.raises(ValueError, match=r"Orthogonal: the array has shape \(0, 3\)"):
        filled(Orthogonal(), 0, 3)


@pytest.mark.parametrize("initializer", RANDOM)
def test_the_numbers_for_a_seed_do_not_depend_on_memory_order(initializer):
    in_order = Parameter(initializer(rng=3), (4, 3), order="C").array
    other = Parameter(initializer(rng=3), (4, 3), order="F").array
    np.testing.assert_array_equal(in_order, other)


@pytest.mark.parametrize("initializer", RANDOM)
def test_every_random_initializer_takes_a_seed_or_a_generator(initializer):
    arrays = [
        filled(initializer(rng=rng), 4, 3) for rng in (5, np.int64(5), np.random.default_rng(5))
    ]
    assert (arrays[0] == arrays[1]).all() and (arrays[0] == arrays[2]).all()
    old = [filled(initializer(rng=np.random.RandomState(5)), 4, 3) for _ in range(2)]
    assert (old[0] == old[1]).all()


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_without_a_seed_draws_from_the_state_of_numpy_too(twin_of):
    original, twin = Normal(), twin_of(Normal())
    np.random.seed(5)
    first = filled(original, 3)
    np.random.seed(5)
    np.testing.assert_array_equal(filled(twin, 3), first)


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_with_a_seed_goes_on_where_the_original_stands(twin_of):
    original = Normal(rng=1)
    filled(original, 3)
    twin = twin_of(original)
    np.testing.assert_array_equal(filled(twin, 3), filled(original, 3))


@pytest.mark.parametrize("initializer", ALL)
@pytest.mark.parametrize("dtype", ["e", "f", "d"])
def test_every_initializer_has_a_dtype(initializer, dtype):
    assert filled(initializer(dtype=dtype), 3, 3).dtype == dtype


BAD_SETTINGS = [
    *[(lambda i=i: i(-0.1), f"{i.__name__}: scale is -0.1") for i in RANDOM],
    (lambda: Normal(math.nan), "Normal: scale is nan"),
    (lambda: Normal(math.inf), "Normal: scale is inf"),
    (lambda: Normal("a"), "Normal: scale is 'a'"),
    (lambda: Identity(None), "Identity: scale is None, expected a real number"),
    (lambda: Normal(dtype=int), "Normal: dtype is int64, expected a floating dtype"),
    (lambda: Normal(rng="a"), "rng is str, expected a seed, a numpy.random.Generator"),
    (lambda: Normal(rng=True), "rng is bool, expected a seed"),
    (lambda: Normal(rng=-1), "the seed is -1, expected 0 or a positive integer"),
    (lambda: HeNormal(fan_option="in"), "HeNormal: fan_option is 'in', expected 'fan_in'"),
    (lambda: HeUniform(fan_option=0), "HeUniform: fan_option is 0, expected 'fan_in'"),
    (lambda: Orthogonal(mode="rows"), "Orthogonal: mode is 'rows', expected 'auto'"),
    (lambda: Constant("a"), "Constant: fill_value is 'a', expected a real number"),
    (lambda: Constant(1j), "Constant: fill_value is 1j, expected a real number"),
    (lambda: filled(Constant(np.ones(2)), 3), "fill_value has shape (2,), which does not broad"),
    (lambda: filled(Constant(np.ones((2, 3))), 3), "fill_value has shape (2, 3), which does not"),
]


@pytest.mark.parametrize("make, message", BAD_SETTINGS, ids=[m for _, m in BAD_SETTINGS])
def test_a_bad_setting_is_said(make, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        make()


@pytest.mark.parametrize("initializer", ALL)
@pytest.mark.parametrize("target", [np.ones((3, 3), int), [[1.0]]], ids=["int", "list"])
def test_only_floating_arrays_are_filled(initializer, target):
    with pytest.raises(
        TypeError, match=f"{initializer.__name__}: got .* to fill, expected a float"
    ):
        initializer()(target)


def test_an_array_of_another_dtype_than_the_initializers_is_not_filled():
    array = np.ones(3)
    with pytest.raises(ValueError, match="of float64, the initializer's dtype is float32"):
        Zero(np.float32)(array)
    assert (array == 1).all()


def test_get_rng_gives_a_generator_back():
    rng = np.random.RandomState(0)
    assert get_rng(rng) is rng


def test_an_array_is_generated_in_the_dtype_of_its_initializer():
    assert generate_array(One("d"), (2, 3)).dtype == np.float64
    assert generate_array(One(), 2, np, np.float16).dtype == np.float16


def test_an_array_is_not_generated_in_another_dtype_than_its_initializers():
    with pytest.raises(ValueError, match="dtype is float32, that of the initializer float64"):
        generate_array(One("d"), (2,), np, "f")


@pytest.mark.parametrize("shape", [None, (2, None)])
def test_an_array_is_not_generated_without_a_shape(shape):
    with pytest.raises(ValueError, match="generate_array: shape is"):
        generate_array(One(), shape)


# -- in a Parameter -------------------------------------------------------------------------------


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


def test_an_initializer_may_give_back_the_array_that_it_filled():
    assert (filled(lambda array: np.multiply(array, 0, out=array), 2) == 0).all()


def test_a_parameter_of_nothing_is_full_of_nan():
    assert np.isnan(Parameter(None, (2,)).array).all()


def test_a_parameter_has_the_dtype_that_is_asked_for():
    for initializer in (1, np.ones(2), Normal()):
        assert Parameter(initializer, (2,), dtype=np.float16).dtype == np.float16


@pytest.mark.parametrize("shape", [3, np.int64(3), [3], (np.int64(3),)], ids=repr)
def test_a_shape_is_an_integer_or_a_sequence_of_them(shape):
    assert Parameter(np.ones(3), shape).shape == (3,)


BAD_PARAMETERS = [
    (lambda: Parameter("a", (2,)), TypeError, "initializer is str, expected a number, an array"),
    (lambda: Parameter(Normal, (2,)), TypeError, "initializer is the class Normal, expected an "),
    (lambda: Parameter(0, (2,), dtype=int), ValueError, "dtype is int64, expected a floating"),
    (lambda: Parameter(One("d"), (2,), dtype="f"), ValueError, "dtype is float32, that of the in"),
    (lambda: Parameter(0, (2,), dtype=">f4"), ValueError, "dtype is >f4, .*byte order"),
    (lambda: Parameter(np.ones(2, ">f4")), ValueError, "dtype is >f4, .*byte order"),
    (lambda: Parameter(np.ones(2, "F")), TypeError, "initializer is an array of complex64, expec"),
    (lambda: Parameter(np.array(["a"])), TypeError, "initializer is an array of <U1, expected rea"),
    (lambda: Parameter(np.zeros_like, (2,)), TypeError, "the initializer returned ndarray, expec"),
    (lambda: Parameter(L.Linear(2, 2), (2, 2)), TypeError, "the initializer returned Variable, ex"),
    *[
        (
            lambda s=s: Parameter(0, s),
            ValueError,
            rf"shape is {re.escape(repr(s))}, expected an int",
        )
        for s in [-1, (3, -1), 2.5, (2.5,), "ab", True, (None, "a"), {}]
    ],
    *[
        (lambda o=o: Parameter(0, (2, 2), order=o), ValueError, f"order is {o!r}, expected 'C' or")
        for o in ["K", "A", "f", None]
    ],
]


@pytest.mark.parametrize(
    "make, error, message", BAD_PARAMETERS, ids=[m for *_, m in BAD_PARAMETERS]
)
def test_a_parameter_says_what_it_cannot_start_from(make, error, message):
    with pytest.raises(error, match=f"Parameter None: {message}"):
        make()
