"""The elementary functions of kernels are NumPy's, to some units in the last place."""

import numpy as np
import pytest
from numba import njit

from dynet.kernels import elementary

WIDER = {np.float32: np.float64, np.float64: np.longdouble}
REFERENCE = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def of_each(name):
    function = getattr(elementary, name)

    @njit
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    def call(x):
        y = np.empty_like(x)
        loop(x, y)
        return y

    return call


FUNCTIONS = {name: of_each(name) for name in REFERENCE}


def arguments(name):
    rng = np.random.default_rng(0)
    small = rng.normal(size=10_000) * 10.0 ** rng.uniform(-30, 0, 10_000)
    if name == "exp":
        return np.concatenate([small, rng.uniform(-87, 88, 10_000)])
    if name == "expm1":
        return np.concatenate([small, rng.uniform(-30, 88, 10_000)])
    if name == "log":
        return np.exp(rng.uniform(-80, 80, 20_000))
    if name == "log1p":
        large = np.exp(rng.uniform(-40, 40, 10_000))
        return np.concatenate([small.clip(-0.9), large, -rng.uniform(0, 0.999, 10_000)])
    return np.concatenate([small, rng.uniform(-30, 30, 10_000)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REFERENCE)
def test_it_is_within_three_units_in_the_last_place(name, dtype):
    x = arguments(name).astype(dtype)
    exact = REFERENCE[name](x.astype(WIDER[dtype]))
    units = np.abs(FUNCTIONS[name](x) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert units.max() < 3


SPECIAL = [0, -0.0, np.inf, -np.inf, np.nan, -1, -2, 1000, -1000, 88.5, 709.5, -103, -745, 1e-40]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REFERENCE)
def test_special_numbers_come_out_as_in_numpy(name, dtype):
    x = np.array([*SPECIAL, 1e-310], dtype)
    with np.errstate(all="ignore"):
        expected = REFERENCE[name](x)
    tolerance = 8 * np.finfo(dtype).smallest_subnormal
    np.testing.assert_allclose(
        FUNCTIONS[name](x), expected, rtol=4 * np.finfo(dtype).eps, atol=tolerance
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REFERENCE)
def test_it_gives_the_format_it_was_given(name, dtype):
    function = getattr(elementary, name)
    # What the function returns decides the dtype of an array that is filled with it.
    of_one = njit(lambda x: np.array([function(x)]))
    assert of_one(dtype(0.5)).dtype == dtype


@pytest.mark.parametrize("name", REFERENCE)
def test_a_kernel_that_reorders_its_sums_does_not_reorder_what_it_calls(name):
    function = getattr(elementary, name)

    @njit(fastmath={"reassoc", "contract", "nsz"})
    def total(x):
        y = x[0] * 0
        for i in range(x.size):
            y += function(x[i])
        return y

    x = np.linspace(0.1, 5, 100, dtype=np.float32)
    assert total(x) == pytest.approx(REFERENCE[name](x.astype(np.float64)).sum(), rel=1e-5)
