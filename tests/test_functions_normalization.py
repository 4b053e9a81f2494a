"""Normalization: what the table of functions cannot say."""

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import normalization as kernels

rng = np.random.default_rng(0)


def normal(*shape, dtype=np.float64):
    return np.asarray(rng.normal(size=shape), dtype)


class Elsewhere(np.ndarray):
    """Stands for an array of another module than NumPy: it does not go to the kernels."""


def gradients(function, arrays):
    xs = [Variable(a) for a in arrays]
    y = function(*xs)
    y.grad = np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape)
    y.backward()
    return [y.array, *[x.grad for x in xs]]


# -- batch normalization ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (1, 3)])
def test_running_statistics_move_towards_the_mean_and_the_unbiased_variance(shape):
    x = normal(*shape)
    mean, var = normal(3), normal(3) ** 2
    rows = x.swapaxes(1, -1).reshape(-1, 3)
    n = len(rows)
    expected_mean = 0.8 * mean + 0.2 * rows.mean(axis=0)
    expected_var = 0.8 * var + 0.2 * rows.var(axis=0) * n / max(n - 1, 1)
    F.batch_normalization(x, np.ones(3), np.zeros(3), 2e-5, mean, var, 0.8)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-12)
    np.testing.assert_allclose(var, expected_var, rtol=1e-12)


def test_running_statistics_have_the_axes_of_the_scale():
    x = normal(4, 3, 2)
    mean = np.zeros((3, 2))
    F.batch_normalization(x, np.ones((3, 2)), np.zeros((3, 2)), running_mean=mean, decay=0)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12)


def test_a_running_variance_alone_is_moved():
    var = np.zeros(1, np.float32)
    x = np.array([[1], [3]], np.float32)
    F.batch_normalization(x, x[0], x[0], running_var=var, decay=0.5)
    np.testing.assert_array_equal(var, np.array([1], np.float32))


def test_an_empty_batch_leaves_running_statistics_alone():
    mean, var = np.full(3, 2.0), np.full(3, 3.0)
    F.batch_normalization(np.zeros((0, 3)), np.ones(3), np.ones(3), 1e-5, mean, var)
    assert (mean == 2).all() and (var == 3).all()


def test_a_recorded_sweep_leaves_running_statistics_alone():
    mean = np.zeros(3)
    x = Variable(normal(4, 3))
    y = F.batch_normalization(x, np.ones(3), np.zeros(3), running_mean=mean)
    before = mean.copy()
    dynet.grad((y * y * y).sum(), x, create_graph=True)
    np.testing.assert_array_equal(mean, before)


@pytest.mark.parametrize(("running", "error"), [(np.zeros(2), ValueError), ([0.0] * 3, TypeError)])
def test_a_running_statistic_that_does_not_fit_is_refused_and_the_other_not_moved(running, error):
    mean = np.zeros(3)
    with pytest.raises(error, match="batch_normalization: running_var"):
        F.batch_normalization(normal(4, 3), np.ones(3), np.ones(3), 1e-5, mean, running)
    assert (mean == 0).all()


def test_an_example_alone_in_its_batch_comes_out_as_the_shift():
    y = F.batch_normalization(normal(1, 3), normal(3), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(y.array, [[1, 2, 3]])


def test_a_scale_without_axes_belongs_to_all_elements():
    x = normal(3, 4)
    y, *_ = gradients(
        lambda x, gamma, beta: F.batch_normalization(x, gamma, beta, axis=(0, 1)),
        [x, np.array(2.0), np.array(1.0)],
    )
    np.testing.assert_allclose(y, (x - x.mean()) / np.sqrt(x.var() + 2e-5) * 2 + 1, rtol=1e-12)


# -- numbers ------------------------------------------------------------------------------------

ONES = {n: (np.ones(n, np.float32), np.zeros(n, np.float32)) for n in (1, 2, 4, 5000)}
EACH = {
    "batch": lambda x, *p: F.batch_normalization(x.T.copy(), *p).array.T,
    "batch of maps": lambda x, *p: F.batch_normalization(x[None], *p).array[0],
    "layer": lambda x, *p: F.layer_normalization(x, *p).array,
    "group": lambda x, *p: F.group_normalization(x[:, None], 1, p[0][:1], p[1][:1]).array[:, 0],
}


def normalized_rows(kind, x):
    """The rows of ``x`` (2, M), each normalized on its own."""
    n = x.shape[1] if kind == "layer" else len(x)
    return EACH[kind](x, np.ones(n, x.dtype), np.zeros(n, x.dtype))


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("size", [30, 10_007])
def test_a_mean_that_is_large_costs_no_digits_of_the_variance(kind, size):
    x = (4096 + normal(2, size)).astype(np.float32)
    wide = x.astype(np.float64)
    d = wide - wide.mean(axis=1, keepdims=True)
    expected = d / np.sqrt((d * d).mean(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(normalized_rows(kind, x), expected, atol=2e-3)


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_carried_on_within_what_is_normalized_together_and_no_further(kind, bad):
    x = normal(2, 40, dtype=np.float32)
    x[0, 7] = bad
    y = normalized_rows(kind, x)
    assert np.isnan(y[0]).all() if np.isnan(bad) else np.isnan(y[0]).any()
    assert np.isfinite(y[1]).all()


CASES = {
    "batch": (F.batch_normalization, [(5, 3), (3,), (3,)]),
    "batch of maps": (F.batch_normalization, [(5, 3, 4), (3,), (3,)]),
    "layer": (F.layer_normalization, [(5, 3), (3,), (3,)]),
    "group": (lambda x, g, b: F.group_normalization(x, 2, g, b), [(5, 4, 3), (4,), (4,)]),
}


@pytest.mark.parametrize("kind", CASES)
def test_the_kernel_and_the_expression_for_other_array_modules_agree(kind, monkeypatch):
    function, shapes = CASES[kind]
    arrays = [normal(*s) for s in shapes]
    expected = gradients(function, arrays)
    for kernel, _ in KERNELS.values():
        monkeypatch.setattr(kernels, kernel.__name__, None)
    for ours, theirs in zip(
        gradients(function, [a.view(Elsewhere) for a in arrays]), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


def test_a_vector_of_zeros_has_finite_gradients_of_its_direction():
    x = Variable(np.zeros((1, 3)))
    y = F.normalize(x, eps=0.5)
    (gx,) = dynet.grad(y.sum(), x, create_graph=True)
    np.testing.assert_array_equal(gx.array, [[2, 2, 2]])
    (ggx,) = dynet.grad(gx.sum(), x)
    assert np.isfinite(ggx.array).all()


# -- bad input ----------------------------------------------------------------------------------

x, one, zero = np.ones((4, 3)), np.ones(3), np.zeros(3)
BAD = [
    (ValueError, "gamma has shape", lambda: F.batch_normalization(x, np.ones(4), zero)),
    (ValueError, "gamma has shape", lambda: F.batch_normalization(x, np.ones((4, 3)), zero)),
    (ValueError, "gamma has shape", lambda: F.batch_normalization(np.ones(()), one, zero)),
    (ValueError, "beta has shape", lambda: F.batch_normalization(x, one, np.zeros((1, 3)))),
    (ValueError, "axis is 2", lambda: F.batch_normalization(x, one, zero, axis=2)),
    (ValueError, "names an axis twice", lambda: F.batch_normalization(x, one, zero, axis=(0, -2))),
    (TypeError, "axis is", lambda: F.batch_normalization(x, one, zero, axis=[0])),
    (TypeError, "gamma is float32", lambda: F.batch_normalization(x, one.astype("f"), zero)),
    (TypeError, "x is int64", lambda: F.batch_normalization(x.astype(int), one, zero)),
    (TypeError, "gamma is list", lambda: F.batch_normalization(x, [1.0] * 3, zero)),
    (TypeError, "eps is str", lambda: F.batch_normalization(x, one, zero, eps="1")),
    (TypeError, "decay is None", lambda: F.batch_normalization(x, one, zero, decay=None)),
    (ValueError, "var has shape", lambda: F.fixed_batch_normalization(x, one, zero, one, x)),
    (ValueError, "gamma has", lambda: F.fixed_batch_normalization(x, x, zero, one, one)),
    (TypeError, "mean is float", lambda: F.fixed_batch_normalization(x, one, zero, 1.0, one)),
    (ValueError, "x has shape", lambda: F.layer_normalization(np.ones((2, 3, 3)), one, zero)),
    (ValueError, "gamma has shape", lambda: F.layer_normalization(x, np.ones(1), zero)),
    (ValueError, "beta has shape", lambda: F.layer_normalization(x, one, np.zeros(4))),
    (ValueError, "groups is 2", lambda: F.group_normalization(x, 2, one, zero)),
    (ValueError, "groups is 0", lambda: F.group_normalization(x, 0, one, zero)),
    (ValueError, "groups is -3", lambda: F.group_normalization(x, -3, one, zero)),
    (TypeError, "groups is 1.0", lambda: F.group_normalization(x, 1.0, one, zero)),
    (ValueError, "x has shape", lambda: F.group_normalization(one, 1, one, zero)),
    (ValueError, "gamma has shape", lambda: F.group_normalization(x, 3, np.ones(1), zero)),
    (ValueError, "x has shape", lambda: F.local_response_normalization(one)),
    (ValueError, "n is 0", lambda: F.local_response_normalization(x, n=0)),
    (TypeError, "n is 2.5", lambda: F.local_response_normalization(x, n=2.5)),
    (TypeError, "k is None", lambda: F.local_response_normalization(x, k=None)),
    (ValueError, "axis is 1", lambda: F.normalize(one)),
    (TypeError, "x is int64", lambda: F.normalize(x.astype(int))),
    (TypeError, "eps is None", lambda: F.normalize(x, eps=None)),
]


@pytest.mark.parametrize(("error", "said", "call"), BAD)
def test_bad_input_is_named(error, said, call):
    with pytest.raises(error, match=f"normaliz[a-z]*: .*{said}"):
        call()


FUSED = {
    "batch_normalization": F.batch_normalization,
    "layer_normalization": F.layer_normalization,
    "group_normalization": lambda x, gamma, beta: F.group_normalization(x, 1, gamma, beta),
}


@pytest.mark.parametrize("dtype", ["float16", ">f8", "longdouble"])
@pytest.mark.parametrize("name", FUSED)
def test_a_dtype_that_the_kernels_do_not_know_is_named(name, dtype):
    said = f"^{name}: x is {np.dtype(dtype)}, expected float32 or float64"
    with pytest.raises(TypeError, match=said):
        FUSED[name](x.astype(dtype), one.astype(dtype), zero.astype(dtype))


# -- kernels ------------------------------------------------------------------------------------


def z(*shape):
    """Zeros, with as many again behind them."""
    return np.zeros((2 * (shape[0] + 1), *shape[1:]))[: shape[0]]


KERNELS = {
    "features": (kernels.features_forward, [(2, 3), (3,), (3,), 0.1, (2, 3), (2, 3)]),
    "maps": (kernels.maps_forward, [(6, 4), (3,), (3,), 0.1, (6, 4), (2, 3)]),
    "groups": (kernels.groups_forward, [(4, 6), (6,), (6,), 2, 0.1, (4, 6), (4, 4)]),
    "features, backward": (
        kernels.features_backward,
        [(2, 3), (3,), (2, 3), 0.1, (2, 3), (2, 3), (3,), (3,)],
    ),
    "maps, backward": (
        kernels.maps_backward,
        [(6, 4), (3,), (2, 3), 0.1, (6, 4), (6, 4), (3,), (3,)],
    ),
    "groups, backward": (
        kernels.groups_backward,
        [(4, 6), (6,), (4, 4), (4, 6), 2, 0.1, (4, 6), (4, 6)],
    ),
}


def wrong_calls():
    for name, (_, shapes) in KERNELS.items():
        for i, shape in enumerate(shapes):
            if type(shape) is tuple and i > 0:
                yield pytest.param(name, i, (*shape[:-1], shape[-1] - 1), id=f"{name}: {i} short")
                yield pytest.param(name, i, (shape[0] + 1, *shape[1:]), id=f"{name}: {i} long")
    yield pytest.param("maps", 0, (5, 4), id="maps that are no whole examples")
    yield pytest.param("maps, backward", 0, (5, 4), id="gradients that are no whole examples")
    yield pytest.param("groups", 3, 0, id="no groups")
    yield pytest.param("groups", 3, 4, id="groups that do not divide the channels")
    yield pytest.param("groups, backward", 0, (4, 7), id="rows that are no whole channels")


@pytest.mark.parametrize(("name", "i", "wrong"), list(wrong_calls()))
def test_a_kernel_refuses_arrays_that_do_not_fit(name, i, wrong):
    kernel, shapes = KERNELS[name]
    shapes = [*shapes[:i], wrong, *shapes[i + 1 :]]
    with pytest.raises(ValueError, match="normalization: "):
        kernel(*[z(*s) if type(s) is tuple else s for s in shapes])


@pytest.mark.parametrize("name", ["running_mean", "running_var"])
def test_running_statistics_in_a_variable_are_refused_for_they_would_not_move(name):
    x, one = np.ones((2, 3)), np.ones(3)
    with pytest.raises(TypeError, match=f"batch_normalization: {name} is a Variable"):
        F.batch_normalization(x, one, one, **{name: Variable(one)})
