"""What the table of functions cannot say of convolutions: many settings, sizes, bad input."""

import multiprocessing
import os

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError
from table.convolution import convolved

import dynet.functions as F
from dynet import Variable
from dynet.kernels import convolution as kernels


def z(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


def random(*shape, dtype=np.float64):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


def pairs(low, high):
    return st.tuples(*[st.integers(low, high)] * 2)


# -- the three operations, on any geometry ------------------------------------------------------


class Elsewhere(np.ndarray):
    """An array that is not NumPy's own, as CuPy's are: it goes by the array module's functions."""


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 3),
    groups=st.integers(1, 3),
    channels=st.integers(1, 3),
    outs=st.sampled_from([1, 2, 9, 17, 33]),
    image=pairs(1, 9),
    kernel=pairs(1, 4),
    stride=pairs(1, 4),
    pad=pairs(0, 4),
    dilate=pairs(1, 3),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_compiled_and_array_expressions_agree_on_any_geometry(
    n, groups, channels, outs, image, kernel, stride, pad, dilate, dtype
):
    out = tuple(
        (i + 2 * p - d * (k - 1) - 1) // s + 1
        for i, k, s, p, d in zip(image, kernel, stride, pad, dilate, strict=True)
    )
    assume(min(out) > 0)
    geometry = kernels.Geometry(image, kernel, out, stride, pad, dilate, groups)
    x = random(n, groups * channels, *image, dtype=dtype)
    W = random(groups * outs, channels, *kernel, dtype=dtype)
    gy = random(n, groups * outs, *out, dtype=dtype)
    for operation, arrays in (
        (kernels.convolve, (x, W, random(groups * outs, dtype=dtype))),
        (kernels.deconvolve, (gy, W, random(groups * channels, dtype=dtype))),
        (kernels.convolution_weight, (x, gy)),
    ):
        compiled = operation(*arrays, geometry)
        expression = operation(*[a.view(Elsewhere) for a in arrays], geometry)
        assert type(compiled) is np.ndarray and compiled.dtype == dtype
        tolerance = 1e-3 if dtype == np.float32 else 1e-11
        np.testing.assert_allclose(compiled, np.asarray(expression), tolerance, tolerance)


@pytest.mark.parametrize("image", [(1, 1), (3, 3), (7, 5), (30, 29), (3, 700)])
@pytest.mark.parametrize("n", [1, 2, 65])
def test_many_and_large_images_are_convolved_like_one(n, image):
    # So many that several threads share them, so large that they are gone through in parts.
    x, W = random(n, 5, *image), random(40, 5, 3, 3)
    y = F.convolution_2d(x, W, pad=1).array
    gy = random(*y.shape)
    v, w = Variable(x), Variable(W)
    z = F.convolution_2d(v, w, pad=1)
    z.grad = gy
    z.backward()
    gW = np.zeros_like(W)
    for i in range(n):
        one, w = Variable(x[i : i + 1]), Variable(W)
        z = F.convolution_2d(one, w, pad=1)
        np.testing.assert_allclose(y[i : i + 1], z.array, rtol=1e-11, atol=1e-12)
        z.grad = gy[i : i + 1]
        z.backward()
        np.testing.assert_allclose(v.grad[i : i + 1], one.grad, rtol=1e-11, atol=1e-12)
        gW += w.grad
    np.testing.assert_allclose(w.grad if n == 1 else gW, gW, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(y[:1], convolved(x[:1], W, pad=1), rtol=1e-11, atol=1e-12)


def test_the_gradient_of_the_weight_adds_up_over_threads():
    x, gy = random(64, 8, 14, 14), random(64, 40, 12, 12)
    geometry = kernels.Geometry((14, 14), (3, 3), (12, 12), (1, 1), (0, 0), (1, 1), 1)
    gW = kernels.convolution_weight(x, gy, geometry)
    parts = [
        kernels.convolution_weight(x[i : i + 1], gy[i : i + 1], geometry) for i in range(len(x))
    ]
    np.testing.assert_allclose(gW, sum(parts), rtol=1e-10, atol=1e-10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_convolves_with_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(kernels, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(kernels, "available_cores", lambda: 2)
    x, W = random(4, 1, 5, 5), random(2, 1, 3, 3)
    expected = F.convolution_2d(x, W).array
    with multiprocessing.get_context("fork").Pool(1) as pool:
        y = pool.apply_async(convolved_in_a_child, (x, W)).get(timeout=60)
    np.testing.assert_array_equal(y, expected)


def convolved_in_a_child(x, W):
    return F.convolution_2d(x, W).array


def test_an_error_in_a_thread_is_raised_in_the_caller(monkeypatch):
    monkeypatch.setattr(kernels, "available_cores", lambda: 2)

    def work(first, last):
        if first:
            raise RuntimeError("in the second half")

    with pytest.raises(RuntimeError, match="in the second half"):
        kernels._share(work, 4, kernels.WORTH_A_THREAD)


def test_float16_is_convolved_by_the_array_module():
    x, W = random(1, 1, 3, 3, dtype=np.float16), random(1, 1, 2, 2, dtype=np.float16)
    y = F.convolution_2d(x, W)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.array, convolved(x, W), rtol=1e-2, atol=1e-2)


def test_numbers_in_the_other_byte_order_are_convolved_too():
    x, W = random(2, 1, 3, 3), random(2, 1, 2, 2)
    y = F.convolution_2d(x.astype(x.dtype.newbyteorder()), W.astype(W.dtype.newbyteorder()))
    np.testing.assert_allclose(y.array, convolved(x, W), rtol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_reach_the_windows_that_see_them_and_no_others(bad):
    x, W = random(1, 1, 5, 5), np.ones((20, 1, 2, 2))
    x[0, 0, 0, 0] = bad
    y = F.convolution_2d(x, W).array
    assert not np.isfinite(y[0, :, 0, 0]).any()
    assert np.isfinite(y.reshape(20, -1)[:, 1:]).all()


def test_the_gradient_of_a_constant_input_is_not_computed(monkeypatch):
    W = Variable(random(2, 1, 2, 2))
    y = F.convolution_2d(random(1, 1, 3, 3), W)
    monkeypatch.setattr(kernels, "deconvolve", None)
    y.sum().backward()
    assert W.grad.shape == W.shape


def test_a_transposed_convolution_is_the_transpose():
    x, y, W = random(2, 3, 7, 6), random(2, 4, 3, 2), random(4, 3, 3, 2)
    forth = F.convolution_2d(x, W, stride=(2, 3), pad=(1, 0)).array
    assert forth.shape[2:] == (4, 2)
    y = random(2, 4, 4, 2)
    back = F.deconvolution_2d(y, W, stride=(2, 3), pad=(1, 0), outsize=(7, 6)).array
    np.testing.assert_allclose((forth * y).sum(), (x * back).sum(), rtol=1e-12)


def test_settings_may_be_integers_of_numpy():
    y = F.convolution_2d(z(1, 1, 5, 5), z(1, 1, 3, 3), stride=np.int64(2), pad=(np.int32(1), 0))
    assert y.shape == (1, 1, 3, 2)


# -- bad input --------------------------------------------------------------------------------

X, W = z(2, 4, 5, 5), z(6, 4, 3, 3)
BAD = [
    (lambda: F.convolution_2d(X, z(6, 3, 3, 3)), ValueError, "x has 4 channels, W has shape (6, 3"),
    (lambda: F.convolution_2d(X, W, groups=2), ValueError, "groups is 2"),
    (lambda: F.convolution_2d(X, z(5, 2, 3, 3), groups=2), ValueError, "W has shape (5, 2, 3, 3)"),
    (lambda: F.convolution_2d(X, W, groups=0), ValueError, "groups is 0"),
    (lambda: F.convolution_2d(X, W, groups=1.0), TypeError, "groups is 1.0"),
    (lambda: F.convolution_2d(X, z(6, 4, 7, 3)), ValueError, "(7, 3) does not fit"),
    (lambda: F.convolution_2d(X, W, dilate=3), ValueError, "(7, 7) does not fit"),
    (lambda: F.convolution_2d(X, z(6, 4, 0, 3)), ValueError, "W has shape (6, 4, 0, 3)"),
    (lambda: F.convolution_2d(z(2, 4, 0, 5), W, pad=3), ValueError, "x has shape (2, 4, 0, 5)"),
    (lambda: F.convolution_2d(X, W, stride=0), ValueError, "stride is 0"),
    (lambda: F.convolution_2d(X, W, stride=(1, -1)), ValueError, "stride is (1, -1)"),
    (lambda: F.convolution_2d(X, W, stride=(1, 1, 1)), ValueError, "stride is (1, 1, 1)"),
    (lambda: F.convolution_2d(X, W, stride=1.5), TypeError, "stride is 1.5"),
    (lambda: F.convolution_2d(X, W, stride=True), TypeError, "stride is True"),
    (lambda: F.convolution_2d(X, W, stride="2"), TypeError, "stride is '2'"),
    (lambda: F.convolution_2d(X, W, pad=-1), ValueError, "pad is -1"),
    (lambda: F.convolution_2d(X, W, dilate=0), ValueError, "dilate is 0"),
    (lambda: F.convolution_2d(X, W, z(1)), ValueError, "b has shape (1,), expected (6,)"),
    (lambda: F.convolution_2d(X, W, z(6, 1)), ValueError, "b has shape (6, 1)"),
    (lambda: F.convolution_2d(X, W, 1.0), TypeError, "b is float"),
    (lambda: F.convolution_2d(z(4, 5, 5), W), ValueError, "x has shape (4, 5, 5), 3 axes"),
    (lambda: F.convolution_2d(X, z(6, 36)), ValueError, "W has shape (6, 36), 2 axes"),
    (lambda: F.convolution_2d(X.tolist(), W), TypeError, "x is list"),
    (lambda: F.convolution_2d(X.astype(int), W), TypeError, "x is int64"),
    (lambda: F.convolution_2d(X, W.astype("f")), TypeError, "W is float32"),
    (lambda: F.convolution_1d(X, W), ValueError, "x has shape (2, 4, 5, 5), 4 axes, expected 3"),
    (lambda: F.convolution_1d(z(2, 4, 5), z(6, 3, 3)), ValueError, "W has shape (6, 3, 3)"),
    (lambda: F.convolution_1d(z(2, 4, 5), z(6, 4, 3), stride=(1, 2)), ValueError, "stride is (1"),
    (lambda: F.convolution_1d(z(2, 4, 5), z(6, 4, 3), pad=-1), ValueError, "pad is -1"),
    (lambda: F.convolution_1d(z(2, 4, 2), z(6, 4, 3)), ValueError, "(1, 3) does not fit"),
    (lambda: F.deconvolution_2d(X, W), ValueError, "x has 4 channels, W has shape (6, 4, 3, 3)"),
    (lambda: F.deconvolution_2d(X, z(4, 6, 3, 3), groups=3), ValueError, "groups is 3"),
    (lambda: F.deconvolution_2d(X, z(4, 6, 3, 3), z(4)), ValueError, "expected (6,)"),
    (lambda: F.deconvolution_2d(X, z(4, 6, 3, 3), outsize=8), ValueError, "outsize is (8, 8)"),
    (lambda: F.deconvolution_2d(X, z(4, 6, 3, 3), outsize=(7,)), ValueError, "outsize is (7,)"),
    (lambda: F.deconvolution_2d(X, z(4, 6, 3, 3), pad=4), ValueError, "outsize is (-1, -1)"),
    (lambda: F.im2col(X, 6), ValueError, "(6, 6) does not fit"),
    (lambda: F.im2col(X, 0), ValueError, "ksize is 0"),
    (lambda: F.im2col(X, "3"), TypeError, "ksize is '3'"),
    (lambda: F.im2col(z(5, 5), 3), ValueError, "x has shape (5, 5)"),
    (lambda: F.im2col(X.astype(int), 3), TypeError, "x is int64"),
]


@pytest.mark.parametrize(("call", "error", "names"), BAD, ids=[f"{b[2]}" for b in BAD])
def test_bad_input_is_named(call, error, names):
    with pytest.raises(error, match=r"^(de)?convolution_[12]d: |^im2col: ") as caught:
        call()
    assert names in str(caught.value)


# -- kernels ----------------------------------------------------------------------------------


def tables(*values):
    return np.array(values, np.int64)


def correlate_images(**changes):
    """One image of 4x4, windows of 2 places, 3 output channels; with some arguments changed."""
    lanes = kernels.VECTOR_BYTES // 8
    arguments = dict(
        x=z(1, 1, 4, 4),
        top=0,
        left=0,
        frame=z(1, 1, 4, 4),
        places=tables(*range(kernels.ROWS)),
        taps=tables(0, 1),
        spans=tables([0, 2]),
        B=z(1, 1, 2, lanes),
        start=z(1, 1, lanes),
        width=3,
        first=0,
        last=1,
        y=z(1, 3, kernels.ROWS),
    )
    kernels.correlate_images(*(arguments | changes).values())


def correlate_with_gradients(**changes):
    lanes = kernels.VECTOR_BYTES // 8
    arguments = dict(
        x=z(1, 1, 4, 4),
        top=0,
        left=0,
        frame=z(1, 1, 4, 4),
        places=tables(0, 1),
        taps=tables(*range(kernels.ROWS)),
        gy=z(1, 3, 2),
        width=3,
        first=0,
        last=1,
        gB=z(1, 1, kernels.ROWS, lanes),
    )
    kernels.correlate_with_gradients(*(arguments | changes).values())


LANES = kernels.VECTOR_BYTES // 8
ROWS = kernels.ROWS


@pytest.mark.parametrize(
    "changes",
    [
        {"x": z(1, 2, 4, 4)},
        {"frame": z(1, 1, 2, 2)},
        {"places": tables(*range(ROWS - 1))},
        {"places": tables(*range(ROWS - 1), 15)},
        {"places": tables(-1, *range(ROWS - 1))},
        {"taps": tables(0, 1, 2)},
        {"taps": tables(0, 17 - ROWS)},
        {"taps": tables(0, -1)},
        {"spans": tables([0, 2], [0, 2])},
        {"spans": tables([0, 3])},
        {"spans": tables([-1, 2])},
        {"B": z(1, 1, 2, LANES + 1)},
        {"B": z(1, 2, 2, LANES)},
        {"start": z(1, 1, LANES - 1)},
        {"width": 4},
        {"first": -1},
        {"last": 2},
        {"first": 2},
        {"y": z(1, 3, ROWS + 1)},
        {"y": z(2, 3, ROWS)},
        {"y": z(1, 2, ROWS)},
    ],
)
def test_the_kernel_of_convolutions_refuses_what_does_not_fit(changes):
    correlate_images()
    with pytest.raises(ValueError):
        correlate_images(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"x": z(1, 2, 4, 4)},
        {"frame": z(1, 1, 2, 2)},
        {"places": tables(0)},
        {"places": tables(0, 15)},
        {"places": tables(-1, 0)},
        {"taps": tables(*range(ROWS + 1))},
        {"taps": tables(*range(ROWS - 1), 16)},
        {"gy": z(2, 3, 2)},
        {"gy": z(1, 3, 3)},
        {"gy": z(1, LANES + 1, 2)},
        {"width": 4},
        {"first": -1},
        {"last": 2},
        {"gB": z(1, 1, ROWS + 1, LANES)},
        {"gB": z(1, 1, ROWS, LANES + 1)},
        {"gB": z(1, 2, ROWS, LANES)},
        {"gB": z(2, 1, ROWS, LANES)},
    ],
)
def test_the_kernel_of_weights_refuses_what_does_not_fit(changes):
    correlate_with_gradients()
    with pytest.raises(ValueError):
        correlate_with_gradients(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"places": tables(*range(2 * ROWS))[::2]},
        {"places": np.arange(ROWS, dtype=np.int32)},
        {"B": z(1, 1, 2, LANES, dtype=np.float32)},
    ],
)
def test_the_innermost_loop_refuses_strided_tables_and_mixed_dtypes(changes):
    with pytest.raises(TypingError):
        correlate_images(**changes)
