"""The matrix product for compiled loops: which numbers it reads and writes, and their very bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding
from numba import njit
from numba.core.errors import TypingError

from dynet.kernels.product import STEPS, VECTORS, product
from dynet.kernels.tile import ROWS, VECTOR_BYTES

DTYPES = np.float32, np.float64
WIDE = 2 * VECTORS * VECTOR_BYTES // 4  # more columns than any block has


@njit(nogil=True)  # not cached: Numba would not notice that the kernel has changed
def multiply(a, a_layout, b, b_layout, out, out_layout, sizes, add):
    """``product``; a layout is a vector's place and strides."""
    a_at, a_time, a_row, a_step = a_layout
    b_at, b_time, b_step = b_layout
    at, row = out_layout
    m, n, T, K = sizes
    product(a, a_at, a_time, a_row, a_step, b, b_at, b_time, b_step, out, at, row, m, n, T, K, add)


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def places(at, *axes):
    """Where the elements of an array lie in a vector; ``axes`` are sizes and strides."""
    where = np.full((1,) * len(axes), at)
    for i, (n, stride) in enumerate(axes):
        where = (
            where + np.arange(n).reshape([-1 if j == i else 1 for j in range(len(axes))]) * stride
        )
    return where


def vector_with(values, where, extra):
    """A vector that holds the values, ``extra`` numbers behind them, and NaN for all others."""
    vector = np.full(where.max(initial=-1) + 1 + extra, np.nan, values.dtype)
    vector[where] = values
    return vector


def fused(x, y, z):
    """``x * y + z`` of float32, rounded once (Boldo and Melquiond, 2008).

    The product is exact in float64. If the sum is not, it is rounded to the neighbour that is odd:
    so rounding it to float32 in the end is like rounding the exact one.
    """
    p, z = x.astype(np.float64) * y, z.astype(np.float64)
    s = p + z
    back = s - p
    error = (p - (s - back)) + (z - back)
    even = s.view(np.int64) % 2 == 0
    s = np.where((error != 0) & even, np.nextafter(s, np.copysign(np.inf, error)), s)
    return s.astype(np.float32)


@st.composite
def products(draw):
    """Layouts and sizes, as ``multiply`` takes them."""
    rows, times = draw(st.integers(0, 2 * ROWS + 3)), draw(st.integers(0, 3))
    columns = draw(st.integers(0, 5) | st.integers(0, WIDE + 5))
    steps = draw(st.integers(0, 5) | st.integers(STEPS - 2, STEPS + 2))
    stride = st.integers(0, 3) | st.sampled_from([steps, rows, columns, columns * steps])
    place = st.integers(0, 3)
    a_layout = tuple(draw(s) for s in (place, stride, stride, stride))
    b_layout = tuple(draw(s) for s in (place, stride, stride))
    out_layout = draw(place), columns + draw(st.integers(0, 3))
    return a_layout, b_layout, out_layout, (rows, columns, times, steps)


def operands(case, dtype, seed):
    """Vectors for the layouts, and the three arrays' places in them."""
    a_layout, b_layout, out_layout, (rows, columns, times, steps) = case
    at, time, row, step = a_layout
    a_at = places(at, (times, time), (steps, step), (rows, row))
    at, time, step = b_layout
    b_at = places(at, (times, time), (steps, step), (columns, 1))
    out_at = places(out_layout[0], (rows, out_layout[1]), (columns, 1))
    rng = np.random.default_rng(seed)
    vectors = [
        vector_with(rng.standard_normal(where.shape).astype(dtype), where, extra)
        for where, extra in ((a_at, 0), (b_at, 0), (out_at, 3))
    ]
    return vectors, (a_at, b_at, out_at)


SEEDS = st.integers(0, 100)


@pytest.mark.skipif(
    not binding.get_host_cpu_features().get("fma", True), reason="this machine fuses nothing"
)
@settings(max_examples=50, deadline=None)
@given(products(), st.booleans(), SEEDS)
def test_sums_run_in_the_order_of_times_and_steps_fused(case, add, seed):
    (a, b, out), (a_at, b_at, out_at) = operands(case, np.float32, seed)
    a_layout, b_layout, out_layout, sizes = case
    expected = out.copy()
    total = expected[out_at] if add else np.zeros_like(expected[out_at])
    for t, k in np.ndindex(*sizes[2:]):
        total = fused(a[a_at[t, k]][:, None], b[b_at[t, k]], total)
    expected[out_at] = total
    multiply(a, a_layout, b, b_layout, out, out_layout, sizes, add)
    np.testing.assert_array_equal(out, expected)  # also where nothing was to be written


@settings(max_examples=50, deadline=None)
@given(products(), st.booleans(), SEEDS)
def test_sums_of_float64_are_those_of_numpy(case, add, seed):
    (a, b, out), (a_at, b_at, out_at) = operands(case, np.float64, seed)
    a_layout, b_layout, out_layout, sizes = case
    expected = out.copy()
    expected[out_at] = np.einsum("tki,tkj->ij", a[a_at], b[b_at]) + (out[out_at] if add else 0)
    multiply(a, a_layout, b, b_layout, out, out_layout, sizes, add)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 2 * ROWS + 3), st.integers(1, WIDE), st.integers(1, 2 * STEPS), SEEDS)
def test_bits_do_not_depend_on_what_else_is_computed(dtype, rows, columns, steps, seed):
    a, b = normal(rows * steps, dtype=dtype, seed=seed), normal(steps * columns, dtype=dtype)
    together, apart = np.empty((2, rows * columns), dtype)
    b_layout, out_layout = (0, 0, columns), (0, columns)
    multiply(
        a, (0, 0, steps, 1), b, b_layout, together, out_layout, (rows, columns, 1, steps), False
    )
    for i in range(rows):
        for j, k in (0, columns // 2), (columns // 2, columns):
            layouts = (i * steps, 0, 0, 1), (j, 0, columns), (i * columns + j, 0)
            sizes = 1, k - j, 1, steps
            multiply(a, layouts[0], b, layouts[1], apart, layouts[2], sizes, False)
    np.testing.assert_array_equal(together, apart)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_over_time_has_the_bits_of_its_parts_one_after_the_other(dtype):
    times, steps, n = 50, 7, 10
    a, b = normal(2, times * steps * n, dtype=dtype)
    at_once, in_turn = np.zeros((2, n * n), dtype)
    stride = steps * n
    multiply(a, (0, stride, 1, n), b, (0, stride, n), at_once, (0, n), (n, n, times, steps), True)
    for t in range(times):
        layouts = (t * stride, 0, 1, n), (t * stride, 0, n)
        multiply(a, layouts[0], b, layouts[1], in_turn, (0, n), (n, n, 1, steps), True)
    np.testing.assert_array_equal(at_once, in_turn)


# -- what does not fit ----------------------------------------------------------------------------

# The last element of each is the last one of its vector.
FITTING = {
    "a": (9 + 30 + 2 * 10 + 3 * 2 + 1, (9, 30, 10, 2)),
    "b": (5 + 40 + 3 * 7 + 4 + 1, (5, 40, 7)),
    "out": (2 + 2 * 6 + 4 + 1, (2, 6)),
}
SIZES = 3, 5, 2, 4
FAR = 2**62  # four times that is 0, as Numba counts


def arguments(dtype=np.float64, **changes):
    """Arguments of ``multiply`` that just fit, but for some sizes and layouts."""
    arguments = []
    for name in "a", "b", "out":
        size, layout = FITTING[name]
        arguments += [
            np.zeros(changes.get(name, size), dtype),
            changes.get(name + "_layout", layout),
        ]
    return [*arguments, changes.get("sizes", SIZES), changes.get("add", False)]


def test_what_just_fits_is_accepted():
    multiply(*arguments())


@pytest.mark.parametrize("name", FITTING)
def test_a_vector_that_is_too_short_is_an_error(name):
    with pytest.raises(ValueError, match=f"product: {name} is too short"):
        multiply(*arguments(**{name: FITTING[name][0] - 1}))


@pytest.mark.parametrize("name", FITTING)
@pytest.mark.parametrize("far", [1, FAR, 4 * (FAR // 4 - 1), 2 * FAR - 1])
def test_a_place_or_stride_that_leads_outside_is_an_error(name, far):
    layout = FITTING[name][1]
    for i in range(len(layout)):
        changed = (*layout[:i], layout[i] + far if far == 1 else far, *layout[i + 1 :])
        with pytest.raises(ValueError, match=f"product: {name} is too short"):
            multiply(*arguments(**{f"{name}_layout": changed}))


@pytest.mark.parametrize("i", range(4))
@pytest.mark.parametrize("far", [1, FAR, 2 * FAR - 1])
def test_a_size_that_leads_outside_is_an_error(i, far):
    sizes = (*SIZES[:i], SIZES[i] + far if far == 1 else far, *SIZES[i + 1 :])
    with pytest.raises(ValueError, match="too short"):
        multiply(*arguments(sizes=sizes))


@pytest.mark.parametrize("name", ["a_layout", "b_layout", "out_layout", "sizes"])
def test_what_is_negative_is_an_error(name):
    whole = SIZES if name == "sizes" else FITTING[name.removesuffix("_layout")][1]
    for i in range(len(whole)):
        with pytest.raises(ValueError, match="product: a place, a stride or a size is negative"):
            multiply(*arguments(**{name: (*whole[:i], -1, *whole[i + 1 :])}))


@pytest.mark.parametrize("i", [0, 1])
def test_without_rows_or_columns_nothing_is_touched(i):
    sizes = tuple(0 if j == i else n for j, n in enumerate(SIZES))
    multiply(*arguments(a=0, b=0, out=0, sizes=sizes))


@pytest.mark.parametrize("i", [2, 3])
@pytest.mark.parametrize("add", [False, True])
def test_a_sum_of_nothing_is_zero(i, add):
    sizes = tuple(0 if j == i else n for j, n in enumerate(SIZES))
    changed = arguments(a=0, b=0, sizes=sizes, add=add)
    out = changed[4]
    out[:] = 7
    multiply(*changed)
    written = places(2, (3, 6), (5, 1))
    np.testing.assert_array_equal(out[written], 7 if add else 0)
    out[written] = 7
    np.testing.assert_array_equal(out, 7)


@pytest.mark.parametrize(
    "i, wrong",
    [
        (0, np.zeros(100, np.int64)),
        (0, np.zeros((10, 10))),
        (2, np.zeros(100, np.float32)),
        (2, np.zeros(200)[::2]),
        (4, np.broadcast_to(np.zeros(1), 100)),
        (4, np.frombuffer(bytes(800))),
        (1, (9, 30, 10, 2.0)),
        (3, (5.0, 40, 7)),
        (5, (2, True)),
        (6, (3, 5, 2.5, 4)),
    ],
)
def test_arguments_of_other_types_are_refused_when_the_caller_is_compiled(i, wrong):
    changed = arguments()
    changed[i] = wrong
    with pytest.raises(TypingError, match="product: "):
        multiply(*changed)


def test_what_is_only_read_need_not_be_writable():
    fitting = arguments()
    for x in fitting[0], fitting[2]:
        x.flags.writeable = False
    multiply(*fitting)
