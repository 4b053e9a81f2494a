"""What the table of functions cannot say of pooling: ties, NaN, indices, bad input."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dynet.functions as F
from dynet import Variable
from dynet.kernels import pooling as kernels
from dynet.kernels.convolution import Geometry


def z(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


def image(rows, dtype=np.float64):
    return np.array(rows, dtype)[None, None]


def pairs(low, high):
    return st.tuples(*[st.integers(low, high)] * 2)


class Elsewhere(np.ndarray):
    """An array that is not NumPy's own, as CuPy's are: it goes by the array module's functions."""


@settings(max_examples=60, deadline=None)
@given(
    image=pairs(1, 9),
    kernel=pairs(1, 4),
    stride=pairs(1, 4),
    pad=pairs(0, 3),
    cover=st.integers(0, 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_compiled_and_array_expressions_agree_on_any_geometry(
    image, kernel, stride, pad, cover, dtype
):
    along = list(zip(image, kernel, stride, pad, strict=True))
    out = tuple((i + 2 * p - k + cover * (s - 1)) // s + 1 for i, k, s, p in along)
    assume(min(out) > 0)
    geometry = Geometry(image, kernel, out, stride, pad, (1, 1), 1)
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (2, 2, *image)).astype(dtype)  # with ties
    gy, counts = rng.normal(size=(2, 2, *out)).astype(dtype), rng.uniform(1, 9, out).astype(dtype)
    x[rng.random(x.shape) < 0.1] = np.nan

    def both(operation, *arguments):
        compiled = operation(*arguments, geometry)
        there = [a.view(Elsewhere) for a in arguments]
        for got, expected in zip(
            compiled if isinstance(compiled, tuple) else [compiled],
            operation(*there, geometry)
            if isinstance(compiled, tuple)
            else [operation(*there, geometry)],
            strict=True,
        ):
            np.testing.assert_allclose(got, np.asarray(expected), rtol=1e-4, atol=1e-4)
            assert got.dtype == dtype or got.dtype.kind == "i"
        return compiled

    both(kernels.window_sum, x, counts)
    both(kernels.window_spread, gy, counts)
    if all(p < k and (o - 1) * s - p < i for (i, k, s, p), o in zip(along, out, strict=True)):
        _, places = both(kernels.largest, x)
        both(kernels.scatter, gy, places)
        both(kernels.gather, x, places)


def test_max_pooling_gives_the_gradient_to_the_first_of_equals():
    x = Variable(np.ones((1, 1, 2, 2)))
    F.max_pooling_2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad, image([[1, 0], [0, 0]]))


def test_max_pooling_adds_gradients_where_windows_overlap():
    x = Variable(image([[0, 0, 0], [0, 5, 0], [0, 0, 0]]))
    F.max_pooling_2d(x, 2, stride=1).sum().backward()
    np.testing.assert_array_equal(x.grad, image([[0, 0, 0], [0, 4, 0], [0, 0, 0]]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("at", range(4))
def test_max_pooling_carries_nan_on(at, dtype):
    x = np.array([1, np.inf, -np.inf, 3], dtype)
    x[at] = np.nan
    y = F.max_pooling_2d(np.append(x, np.zeros(4, dtype)).reshape(1, 2, 2, 2), 2).array
    assert np.isnan(y[0, 0, 0, 0]) and y[0, 1, 0, 0] == 0


def test_the_largest_of_nothing_but_minus_infinity_is_that_and_has_a_gradient():
    x = Variable(np.full((1, 1, 2, 2), -np.inf))
    y = F.max_pooling_2d(x, 2)
    y.sum().backward()
    assert y.item() == -np.inf
    np.testing.assert_array_equal(x.grad, image([[1, 0], [0, 0]]))


def test_a_window_may_be_larger_than_the_image_where_all_is_to_be_covered():
    x = np.arange(6.0).reshape(1, 1, 2, 3)
    assert F.max_pooling_2d(x, 1 << 40).item() == 5


def test_max_pooling_tells_which_element_of_its_window_was_taken():
    x = image([[1, 2, 0, 0, 9], [4, 3, 7, 0, 0]])
    y, indices = F.max_pooling_2d(x, 2, return_indices=True)
    np.testing.assert_array_equal(y.array, image([[4, 7, 9]]))
    np.testing.assert_array_equal(indices, image([[2, 2, 0]], int))
    assert isinstance(indices, np.ndarray) and indices.dtype.kind == "i"


def test_indices_count_the_padding_of_a_window():
    _, indices = F.max_pooling_2d(image([[5.0]]), 3, pad=1, return_indices=True)
    np.testing.assert_array_equal(indices, image([[4]], int))


def test_average_pooling_counts_zeros_beyond_the_edges_or_does_not():
    x = np.ones((1, 1, 3, 3))
    counted = F.average_pooling_2d(x, 3, stride=2, pad=1).array
    np.testing.assert_allclose(counted, image([[4, 4], [4, 4]]) / 9)
    np.testing.assert_array_equal(
        F.average_pooling_2d(x, 3, stride=2, pad=1, pad_value=None).array, np.ones((1, 1, 2, 2))
    )


def test_the_mean_of_equal_elements_is_that_element():
    x = np.full((1, 1, 21, 21), 3.0)
    for k in 2, 3, 7:
        assert (F.average_pooling_2d(x, k).array == 3).all()


@pytest.mark.parametrize("size", [7, 8])
def test_unpooling_gives_back_the_size_before_a_pooling(size):
    y = F.max_pooling_2d(z(1, 1, size, size), 2)
    assert F.unpooling_2d(y, 2, outsize=(size, size)).shape == (1, 1, size, size)


@pytest.mark.parametrize(("cover_all", "size"), [(True, 7), (False, 8)])
def test_unpooling_has_by_default_the_smallest_size_that_gives_as_many_windows(cover_all, size):
    y = F.unpooling_2d(z(1, 1, 4, 4), 2, cover_all=cover_all)
    assert y.shape == (1, 1, size, size)


X = z(2, 3, 5, 5)
BAD = [
    (lambda: F.max_pooling_2d(X, 0), ValueError, "ksize is 0"),
    (lambda: F.max_pooling_2d(X, (2, 2, 2)), ValueError, "ksize is (2, 2, 2)"),
    (lambda: F.max_pooling_2d(X, 2.0), TypeError, "ksize is 2.0"),
    (lambda: F.max_pooling_2d(X, 2, stride=0), ValueError, "stride is 0"),
    (lambda: F.max_pooling_2d(X, 2, pad=-1), ValueError, "pad is -1"),
    (lambda: F.max_pooling_2d(X, 6, cover_all=False), ValueError, "(6, 6) does not fit"),
    (lambda: F.max_pooling_2d(X, 2, pad=2), ValueError, "would hold no element"),
    (lambda: F.max_pooling_2d(z(1, 1, 4, 4), 1, stride=2), ValueError, "would hold no element"),
    (lambda: F.max_pooling_2d(z(1, 1, 0, 4), 2, pad=1), ValueError, "does not fit"),
    (lambda: F.max_pooling_2d(X[0], 2), ValueError, "x has shape (3, 5, 5)"),
    (lambda: F.max_pooling_2d(X.tolist(), 2), TypeError, "x is list"),
    (lambda: F.max_pooling_2d(X.astype(int), 2), TypeError, "x is int64"),
    (lambda: F.average_pooling_2d(X, 6), ValueError, "(6, 6) does not fit"),
    (lambda: F.average_pooling_2d(X, 2, pad_value=1), ValueError, "pad_value is 1"),
    (lambda: F.average_pooling_2d(X, 2, pad_value="0"), ValueError, "pad_value is '0'"),
    (lambda: F.average_pooling_2d(X, 2, pad=2, pad_value=None), ValueError, "no element"),
    (lambda: F.average_pooling_2d(X.astype(bool), 2), TypeError, "x is bool"),
    (lambda: F.unpooling_2d(X, 2, outsize=(13, 10)), ValueError, "would be (13, 10)"),
    (lambda: F.unpooling_2d(X, 2, outsize=(10, -1)), ValueError, "outsize is (10, -1)"),
    (lambda: F.unpooling_2d(z(1, 1, 1, 1), 2, pad=2), ValueError, "would be"),
    (lambda: F.unpooling_2d(None, 2), TypeError, "x is NoneType"),
]


@pytest.mark.parametrize(("call", "error", "names"), BAD, ids=[f"{b[2]}" for b in BAD])
def test_bad_input_is_named(call, error, names):
    with pytest.raises(error, match=r"^(max_|average_|un)pooling_2d: ") as caught:
        call()
    assert names in str(caught.value)


# -- kernels ----------------------------------------------------------------------------------

TWO = (2, 2)
PLACES = np.zeros((1, 2, 2), np.int32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.max_of_windows(z(1, 4, 4), TWO, TWO, (0, 0), z(2, 2, 2), PLACES),
        lambda: kernels.max_of_windows(z(1, 4, 4), TWO, TWO, (0, 0), z(1, 2, 3), PLACES),
        lambda: kernels.max_of_windows(
            z(1, 4, 4), TWO, TWO, (0, 0), z(1, 3, 2), np.zeros((1, 3, 2), np.int32)
        ),
        lambda: kernels.max_of_windows(z(1, 4, 4), TWO, TWO, (2, 0), z(1, 2, 2), PLACES),
        lambda: kernels.max_of_windows(z(1, 4, 4), TWO, (0, 2), (0, 0), z(1, 2, 2), PLACES),
        lambda: kernels.max_of_windows(z(1, 4, 4), (0, 2), TWO, (0, 0), z(1, 2, 2), PLACES),
        lambda: kernels.scatter_to_places(z(1, 2), np.array([[0, 4]]), z(1, 4)),
        lambda: kernels.scatter_to_places(z(1, 2), np.array([[0, -1]]), z(1, 4)),
        lambda: kernels.scatter_to_places(z(1, 2), np.array([[0]]), z(1, 4)),
        lambda: kernels.scatter_to_places(z(2, 2), np.array([[0, 1], [0, 1]]), z(1, 4)),
        lambda: kernels.gather_from_places(z(1, 4), np.array([[0, 4]]), z(1, 2)),
        lambda: kernels.gather_from_places(z(1, 4), np.array([[0, -1]]), z(1, 2)),
        lambda: kernels.gather_from_places(z(1, 4), np.array([[0]]), z(1, 2)),
        lambda: kernels.sum_of_windows(z(1, 4, 4), TWO, TWO, (0, 0), z(2, 3), z(1, 2, 2)),
        lambda: kernels.sum_of_windows(z(1, 4, 4), TWO, TWO, (0, 0), z(2, 2), z(2, 2, 2)),
        lambda: kernels.sum_of_windows(z(1, 4, 4), TWO, TWO, (-1, 0), z(2, 2), z(1, 2, 2)),
        lambda: kernels.spread_over_windows(z(1, 2, 2), TWO, TWO, (0, 0), z(2, 3), z(1, 4, 4)),
        lambda: kernels.spread_over_windows(z(1, 2, 2), TWO, TWO, (0, 0), z(2, 2), z(2, 4, 4)),
    ],
)
def test_the_kernels_refuse_what_does_not_fit(call):
    with pytest.raises(ValueError):
        call()


def test_windows_beyond_the_image_sum_up_to_0():
    y = np.ones((1, 3, 2))
    kernels.sum_of_windows(np.ones((1, 4, 4)), TWO, TWO, (0, 0), np.ones((3, 2)), y)
    np.testing.assert_array_equal(y, [[[4, 4], [4, 4], [0, 0]]])
