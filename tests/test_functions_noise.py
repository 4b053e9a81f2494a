"""Noise: what the table of functions cannot say."""

import threading

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import noise as kernels

MANY = 100_000


@pytest.fixture(autouse=True)
def seed():
    dynet.random.seed(7)


def drawn(key, n=MANY, first=0):
    positions = np.arange(first, first + n, dtype=np.uint64)
    return kernels.bits.py_func(np.uint64(key), positions)


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


# -- the bits -----------------------------------------------------------------------------------


def test_the_bits_are_those_of_splitmix64():
    # The generator's first numbers from the seed 0, as published with it.
    known = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert drawn(0, 4).tolist() == known
    assert [int(kernels.bits(np.uint64(0), np.uint64(i))) for i in range(4)] == known


def test_every_bit_is_set_half_of_the_time():
    bits = np.unpackbits(drawn(3).view(np.uint8).reshape(MANY, 8), axis=1)
    assert abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(MANY)


@pytest.mark.parametrize("distance", [1, 2, 3, 16, 784])
def test_neighbouring_positions_are_independent(distance):
    numbers = drawn(3) / 2.0**64
    assert abs(correlation(numbers[:-distance], numbers[distance:])) < 5 / np.sqrt(MANY)


@pytest.mark.parametrize("other", [1, 2, 256, 2**63, 0x9E3779B97F4A7C15])
def test_different_keys_give_independent_numbers(other):
    assert abs(correlation(drawn(0) / 2.0**64, drawn(other) / 2.0**64)) < 5 / np.sqrt(MANY)


# -- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.5, 0.99])
def test_dropout_drops_with_the_probability_given_and_keeps_the_mean(ratio):
    y = F.dropout(np.ones(MANY), ratio).array
    deviation = np.sqrt(ratio * (1 - ratio) / MANY)
    assert abs((y == 0).mean() - ratio) < 5 * deviation
    np.testing.assert_allclose(y[y != 0], 1 / (1 - ratio))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ratio", [1 - 2.0**-53, np.float32(0.9999999), 0, np.float64(0)])
def test_dropout_takes_ratios_up_to_the_bounds(ratio, dtype):
    y = F.dropout(np.ones(1000, dtype), ratio).array
    assert y.dtype == dtype
    assert (y == (1 if ratio == 0 else 0)).all()


@pytest.mark.parametrize("function", [F.dropout, lambda x, ratio: F.zoneout(x, x, ratio)])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("ratio", [1, 1.0, -0.1, 1.5, np.nan, np.inf, None, "0.5", [0.5]])
def test_a_ratio_out_of_range_is_refused(function, train, ratio):
    with dynet.using_config("train", train), pytest.raises(ValueError, match="ratio is"):
        function(np.ones(3), ratio)


def test_where_it_does_not_train_dropout_gives_the_variable_itself_and_draws_nothing():
    x = Variable(np.ones(3))
    state = dynet.random.get_state()
    with dynet.using_config("train", False):
        assert F.dropout(x) is x
        assert F.dropout(x, return_mask=True) == (x, None)
        assert isinstance(F.dropout(np.ones(3)), Variable)
    assert dynet.random.get_state() == state


def test_dropout_of_one_seed_is_the_same_and_of_two_calls_is_not():
    x = np.ones(64)
    first, second = F.dropout(x).array, F.dropout(x).array
    dynet.random.seed(7)
    np.testing.assert_array_equal(F.dropout(x).array, first)
    assert (first != second).any()


def test_each_element_takes_one_number_of_the_stream():
    x = np.ones((4, 5))
    whole = F.dropout(x).array
    dynet.random.seed(7)
    pieces = [F.dropout(x[:1]).array, F.dropout(x[1:]).array]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_the_layout_does_not_change_what_is_dropped():
    whole = F.dropout(np.ones((4, 5))).array
    dynet.random.seed(7)
    np.testing.assert_array_equal(F.dropout(np.ones((5, 4)).T).array, whole)


def test_the_mask_returned_includes_the_scale_and_can_be_given_again():
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    y, mask = F.dropout(x, 0.2, return_mask=True)
    assert mask.dtype == x.dtype and set(mask.ravel()) == {np.float32(0), np.float32(1.25)}
    np.testing.assert_array_equal(y.array, x * mask)
    again, same = F.dropout(x, mask=mask, return_mask=True)
    np.testing.assert_array_equal(again.array, y.array)
    assert same is mask
    dynet.random.seed(7)
    np.testing.assert_array_equal(F.dropout(x, 0.2).array, y.array)


@pytest.mark.parametrize(
    ("error", "mask"),
    [
        (ValueError, np.ones(3)),
        (ValueError, np.ones((1, 3))),
        (TypeError, np.ones((2, 3), np.float32)),
        (TypeError, np.ones((2, 3), bool)),
        (TypeError, [[1.0] * 3] * 2),
        (TypeError, Variable(np.ones((2, 3)))),
    ],
)
def test_a_mask_unlike_the_input_is_refused(error, mask):
    with pytest.raises(error, match=r"dropout: .*mask"):
        F.dropout(np.ones((2, 3)), mask=mask)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("x", [np.arange(3), [1.0], 1.0, np.ones(3, bool)])
def test_dropout_refuses_what_is_no_floating_array(x, train):
    with dynet.using_config("train", train), pytest.raises(TypeError, match="dropout: x is"):
        F.dropout(x)


def test_dropout_carries_nan_on_also_where_it_drops():
    assert np.isnan(F.dropout(np.full(100, np.nan)).array).all()


def test_the_record_of_dropout_keeps_no_array():
    y = F.dropout(Variable(np.ones((4, 5))))
    assert y.creator.saved == ()


def test_the_gradient_is_dropped_where_the_value_was_also_in_another_thread_and_later():
    x = Variable(np.ones(50))
    y = F.dropout(x)
    F.dropout(x)
    dynet.random.seed(0)
    thread = threading.Thread(target=y.sum().backward)
    thread.start()
    thread.join()
    np.testing.assert_array_equal(x.grad, y.array)


# -- the others ---------------------------------------------------------------------------------


def test_gaussian_has_the_mean_and_the_variance_asked_for():
    y = F.gaussian(np.full(MANY, 3.0), np.full(MANY, np.log(4.0))).array
    assert abs(y.mean() - 3) < 5 * 2 / np.sqrt(MANY)
    assert abs(y.var() - 4) < 5 * 4 * np.sqrt(2 / MANY)


def test_gaussian_returns_its_noise_which_can_be_given_again():
    mean, ln_var = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    with dynet.using_config("train", False):  # it samples all the same
        y, eps = F.gaussian(mean, ln_var, return_eps=True)
    assert eps.dtype == np.float32
    np.testing.assert_array_equal(y.array, 1 + eps)
    np.testing.assert_array_equal(F.gaussian(mean, ln_var, eps=eps).array, y.array)


def test_noise_that_is_the_array_of_an_input_is_a_constant():
    mean, ln_var = Variable(np.array([0.5])), Variable(np.array([0.25]))
    y = F.gaussian(mean, ln_var, eps=ln_var.array)
    (g,) = dynet.grad(y, ln_var, create_graph=True)
    (gg,) = dynet.grad(g, ln_var)
    np.testing.assert_allclose(gg.array, np.exp(0.125) * 0.25 / 4)


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (ValueError, {"mean": np.ones(3), "ln_var": np.ones(1)}),
        (ValueError, {"mean": np.ones(3), "ln_var": np.ones(3), "eps": np.ones(1)}),
        (TypeError, {"mean": np.ones(3), "ln_var": np.ones(3), "eps": 1.0}),
        (TypeError, {"mean": np.ones(3), "ln_var": np.ones(3), "eps": Variable(np.ones(3))}),
        (TypeError, {"mean": np.ones(3), "ln_var": np.ones(3, np.float32)}),
        (TypeError, {"mean": np.arange(3), "ln_var": np.ones(3)}),
        (TypeError, {"mean": [1.0], "ln_var": np.ones(1)}),
    ],
)
def test_gaussian_names_bad_input(error, arguments):
    with pytest.raises(error, match="gaussian: "):
        F.gaussian(**arguments)


def test_gumbel_softmax_chooses_a_category_with_its_probability():
    pi = np.array([0.5, 0.3, 0.15, 0.05])
    y = F.gumbel_softmax(np.log(np.tile(pi, (MANY, 1)))).array
    np.testing.assert_allclose(y.sum(axis=1), 1)
    chosen = np.bincount(y.argmax(axis=1), minlength=4) / MANY
    assert (abs(chosen - pi) < 5 * np.sqrt(pi * (1 - pi) / MANY)).all()


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (ValueError, {"tau": 0}),
        (ValueError, {"tau": -1.0}),
        (ValueError, {"tau": None}),
        (ValueError, {"axis": 2}),
        (TypeError, {"log_pi": np.ones((2, 3), int)}),
        (TypeError, {"log_pi": [[1.0]]}),
    ],
)
def test_gumbel_softmax_names_bad_input(error, arguments):
    with pytest.raises(error, match="gumbel_softmax: "):
        F.gumbel_softmax(**{"log_pi": np.ones((2, 3)), **arguments})


def test_zoneout_keeps_the_old_state_with_the_probability_given():
    y = F.zoneout(np.zeros(MANY), np.ones(MANY), 0.3).array
    assert set(y) == {0, 1}
    assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / MANY)


def test_zoneout_takes_nothing_of_the_state_that_it_did_not_choose():
    y = F.zoneout(np.full(100, np.nan), np.ones(100)).array
    assert (y[~np.isnan(y)] == 1).all() and 0 < np.isnan(y).sum() < 100


def test_where_it_does_not_train_zoneout_gives_the_expectation():
    h, x = Variable(np.array([1.0])), np.array([3.0])
    with dynet.using_config("train", False):
        y = F.zoneout(h, x, 0.25)
        assert isinstance(F.zoneout(x, x, 0.25), Variable)
    assert y.item() == 0.25 * 1 + 0.75 * 3
    y.backward()
    assert h.grad == 0.25


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("error", "h", "x"),
    [
        (ValueError, np.ones((2, 1)), np.ones((2, 3))),
        (TypeError, np.ones(3, np.float32), np.ones(3)),
        (TypeError, np.arange(3), np.arange(3)),
        (TypeError, 0.0, np.ones(3)),
    ],
)
def test_zoneout_refuses_states_that_differ(error, h, x, train):
    with dynet.using_config("train", train), pytest.raises(error, match="zoneout: "):
        F.zoneout(h, x)


# -- kernels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", ">f8", "longdouble"])
@pytest.mark.parametrize(
    "call", [lambda x: F.dropout(x), lambda x: F.zoneout(x, x)], ids=["dropout", "zoneout"]
)
def test_a_dtype_that_the_kernels_do_not_know_is_named(call, dtype):
    with pytest.raises(TypeError, match=f"x is {np.dtype(dtype)}, expected float32 or float64"):
        call(np.ones(3, dtype))


def test_a_kernel_refuses_arrays_of_different_sizes():
    key = np.uint64(0)
    with pytest.raises(ValueError, match="dropout"):
        kernels.dropout_to(np.ones(3), 0.5, key, key, np.ones(4)[:2])
    for sizes in (2, 3, 3, 3), (3, 3, 2, 3), (3, 3, 3, 2), (3, 4, 3, 3):
        h, x, keep, y = [np.ones(n) for n in sizes]
        with pytest.raises(ValueError, match="zoneout"):
            kernels.zoneout_to(h, x, 0.5, key, key, keep > 0, y)
