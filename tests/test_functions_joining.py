"""Joining, splitting, repeating and padding: what the table cannot say."""

import re

import numpy as np
import pytest
from hypothesis import strategies as st
from moving import AXES, SHAPES, check_moves, floating, holds_for

import dynet
import dynet.functions as F
from dynet import Variable, grad
from dynet.kernels.repeat import sum_copies, sum_copies_to

X = np.arange(6.0).reshape(2, 3)
V = Variable(X)
NARROW = X.astype(np.float32)

# The call, the error, and what its message says.
WRONG = [
    (lambda: F.concat([]), ValueError, "concat: xs is empty, expected at least one array"),
    (lambda: F.concat(3), TypeError, "concat: xs is int, expected a list or tuple of arrays"),
    (lambda: F.concat(x for x in (V, V)), TypeError, "concat: xs is generator, expected a list"),
    (lambda: F.concat([V, [[1.0]]]), TypeError, "concat: xs[1] is list, expected an array"),
    (lambda: F.concat([V, 1.0]), TypeError, "concat: xs[1] is float, expected an array"),
    (lambda: F.concat([V, NARROW]), TypeError, "concat: xs are of float64, float32; expected one"),
    (lambda: F.concat([NARROW, NARROW.astype(int)]), TypeError, "concat: xs are of float32, int64"),
    (lambda: F.concat([V, X[:1]]), ValueError, "concat: xs have the shapes (2, 3), (1, 3); expect"),
    (lambda: F.concat([V, X[0]]), ValueError, "concat: xs have the shapes (2, 3), (3,); expected"),
    (lambda: F.concat([V, V], 2), ValueError, "one shape but for axis 2, which all have"),
    (lambda: F.concat([V, V], 0.5), TypeError, "concat: xs have the shapes (2, 3); expected"),
    (lambda: F.concat([V, V], None), TypeError, "concat: xs have the shapes (2, 3); expected"),
    (lambda: F.stack([]), ValueError, "stack: xs is empty, expected at least one array"),
    (
        lambda: F.stack([V, X[0]]),
        ValueError,
        "stack: xs have the shapes (2, 3), (3,); expected one",
    ),
    (lambda: F.stack([V, X[:, :2]], 1), ValueError, "stack: xs have the shapes (2, 3), (2, 2)"),
    (lambda: F.stack([V, X], 3), ValueError, "an axis of the result: axis is 3"),
    (lambda: F.stack([V, NARROW]), TypeError, "stack: xs are of float64, float32; expected one"),
    (lambda: F.stack([[1.0], V]), TypeError, "stack: xs[0] is list, expected an array"),
    (lambda: F.stack([V, V], "0"), TypeError, "stack: xs have the shapes"),
    (lambda: F.hstack([V, X[:1]]), ValueError, "hstack: xs have the shapes (2, 3), (1, 3)"),
    (lambda: F.hstack([V, [1.0]]), TypeError, "hstack: xs[1] is list, expected an array"),
    (lambda: F.hstack([]), ValueError, "hstack: xs is empty"),
    (lambda: F.vstack([V, X[:, :2]]), ValueError, "vstack: xs have the shapes (2, 3), (2, 2)"),
    (lambda: F.vstack(None), TypeError, "vstack: xs is NoneType, expected a list"),
    (lambda: F.dstack([V, NARROW]), TypeError, "dstack: xs are of float64, float32; expected one"),
    (lambda: F.split_axis(V, 2, 1), ValueError, "split_axis: indices_or_sections is 2, expected a"),
    (lambda: F.split_axis(V, 0, 1), ValueError, "split_axis: indices_or_sections is 0, expected a"),
    (lambda: F.split_axis(V, [2, 1], 1), ValueError, "expected places in ascending order"),
    (lambda: F.split_axis(V, [0.5], 1), TypeError, "expected an integer or a sequence of integers"),
    (lambda: F.split_axis(V, 1.0, 1), TypeError, "expected an integer or a sequence of integers"),
    (lambda: F.split_axis(V, 1, 2), ValueError, "split_axis: axis is 2, x has 2 axes"),
    (lambda: F.split_axis([1.0], 1, 0), TypeError, "split_axis: x is list, expected an array"),
    (lambda: F.separate(V, 2), ValueError, "separate: axis is 2, x has 2 axes (x: (2, 3))"),
    (lambda: F.separate(V[0, 0]), ValueError, "separate: axis is 0, x has 0 axes (x: ())"),
    (lambda: F.separate([1.0]), TypeError, "separate: x is list, expected an array"),
    (lambda: F.repeat(V, -1), ValueError, "repeat: repeats is -1, expected one number of copies"),
    (lambda: F.repeat(V, (1, 2), 1), ValueError, "repeat: repeats is (1, 2), expected one number"),
    (lambda: F.repeat(V, 2.0), TypeError, "repeat: repeats is 2.0, expected an integer or a"),
    (lambda: F.repeat(V, None), TypeError, "repeat: repeats is None, expected an integer"),
    (lambda: F.repeat(V, [[1], [1, 2]]), TypeError, "repeat: repeats is [[1], [1, 2]], expected"),
    (lambda: F.repeat(V, V), TypeError, "repeat: repeats is variable"),
    (lambda: F.repeat(np.ones(4), 2**62), ValueError, "repeat: repeats is 4611686018427387904, mo"),
    (lambda: F.repeat(np.ones(4), [2**62] * 4), ValueError, "4611686018427387904], more than an a"),
    (lambda: F.repeat(V, 10**30), TypeError, "repeat: repeats is 1000000"),
    (lambda: F.repeat(V, 2, 2), ValueError, "repeat: axis is 2, x has 2 axes (x: (2, 3))"),
    (lambda: F.repeat([1.0], 2), TypeError, "repeat: x is list, expected an array"),
    (lambda: F.tile(V, -1), ValueError, "tile: reps is -1, expected numbers of copies, 0 or more"),
    (lambda: F.tile(V, 1.5), TypeError, "tile: reps is 1.5, expected an integer or a tuple"),
    (lambda: F.tile(V, (1, 1.0)), TypeError, "tile: reps is (1, 1.0), expected an integer"),
    (lambda: F.tile(np.ones((4, 1)), 2**62), ValueError, "tile: reps is 4611686018427387904, more"),
    (lambda: F.tile(V, (10**30, 0)), ValueError, "tile: reps is (1000000"),
    (lambda: F.tile([1.0], 2), TypeError, "tile: x is list, expected an array"),
    (lambda: F.pad(V, 1, "mean"), ValueError, "pad: mode is 'mean', expected 'constant' or 'edge'"),
    (lambda: F.pad(V, 1, lambda *_: 0), ValueError, "pad: mode is <function"),
    (
        lambda: F.pad(V, 1, "reflect", reflect_type="odd"),
        ValueError,
        "pad: reflect_type is 'odd', expected 'even'",
    ),
    (
        lambda: F.pad(V, (1, 2, 3), "edge"),
        ValueError,
        "pad: pad_width is (1, 2, 3), mode is 'edge'",
    ),
    (
        lambda: F.pad(V, -1),
        ValueError,
        "pad: pad_width is -1, mode is 'constant', x has shape",
    ),
    (lambda: F.pad(V, 0.5), TypeError, "pad: pad_width is 0.5, mode is 'constant'"),
    (lambda: F.pad(V, 1, "edge", constant_values=1), ValueError, "pad: pad_width is"),
    (lambda: F.pad(X[:0], 1, "edge"), ValueError, "pad: pad_width is"),
    (lambda: F.pad(V, 1, constant_values=V), TypeError, "pad: pad_width is"),
    (lambda: F.pad([1.0], 1), TypeError, "pad: x is list, expected an array"),
    (lambda: F.pad_sequence([]), ValueError, "pad_sequence: xs is empty, expected at least one"),
    (lambda: F.pad_sequence([V, V[0]]), ValueError, "pad_sequence: xs[0] has shape (2, 3), xs[1]"),
    (lambda: F.pad_sequence([V, V[:, :1]]), ValueError, "pad_sequence: xs[0] has shape (2, 3)"),
    (lambda: F.pad_sequence([V, NARROW]), TypeError, "pad_sequence: xs[0] is float64, xs[1] is fl"),
    (lambda: F.pad_sequence([V, [1.0]]), TypeError, "pad_sequence: xs[1] is list, expected an arr"),
    (lambda: F.pad_sequence([V[0, 0]]), ValueError, "pad_sequence: xs[0] has no axes, expected"),
    (lambda: F.pad_sequence([V], 1), ValueError, "pad_sequence: length is 1, expected at least 2"),
    (lambda: F.pad_sequence([V], -1), ValueError, "pad_sequence: length is -1, expected at least"),
    (lambda: F.pad_sequence([V], 10**30), ValueError, "pad_sequence: length is 1000000"),
    (lambda: F.pad_sequence([V], 2.0), TypeError, "pad_sequence: length is 2.0, expected an int"),
    (lambda: F.pad_sequence([V], padding="0"), TypeError, "pad_sequence: padding is '0', expected"),
    (lambda: F.pad_sequence([np.arange(2)], padding=0.5), TypeError, "padding is 0.5, expected an"),
    (
        lambda: F.pad_sequence([np.ones(2, np.uint8)], 3, padding=-1),
        ValueError,
        "pad_sequence: length is 3, padding is -1: Python integer -1 out of bounds for uint8",
    ),
    (
        lambda: F.transpose_sequence([X[:1], V]),
        ValueError,
        "transpose_sequence: xs[1] has length 2, xs[0] has length 1; expected the longest first",
    ),
    (lambda: F.transpose_sequence([V, 1.0]), TypeError, "transpose_sequence: xs[1] is float, exp"),
    (lambda: F.transpose_sequence([V, NARROW]), TypeError, "transpose_sequence: xs[0] is float64"),
    (lambda: F.transpose_sequence([V, V[:, :1]]), ValueError, "transpose_sequence: xs[0] has sha"),
    (lambda: F.transpose_sequence(1), TypeError, "transpose_sequence: xs is int, expected a list"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=range(len(WRONG)))
def test_bad_input_is_one_clear_error(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


# -- NumPy's result, or a clear error -------------------------------------------------------------


@holds_for(floating(), SHAPES, AXES)
def test_concat_is_that_of_numpy_or_an_error(x, shape, axis):
    check_moves(
        "concat",
        lambda v: F.concat([v, np.zeros(shape, x.dtype), v], axis),
        lambda a: np.concatenate([a, np.zeros(shape, a.dtype), a], axis),
        x,
    )


@holds_for(floating(), AXES, st.integers(1, 3))
def test_stack_is_that_of_numpy_or_an_error(x, axis, n):
    check_moves("stack", lambda v: F.stack([v] * n, axis), lambda a: np.stack([a] * n, axis), x)


@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack"])
@holds_for(x=floating(), shape=SHAPES)
def test_stacks_along_the_first_axes_are_those_of_numpy_or_errors(name, x, shape):
    def numpys(a):
        return getattr(np, name)([a, np.zeros(shape, a.dtype)])

    def ours(v):
        return getattr(F, name)([v, np.zeros(shape, x.dtype)])

    check_moves(name, ours, numpys, x)


PLACES = st.lists(st.integers(-4, 4), max_size=3)


@holds_for(floating(), st.integers(-1, 4) | PLACES | PLACES.map(sorted).map(np.array), AXES)
def test_split_axis_is_numpys_split_or_an_error(x, places, axis):
    if isinstance(places, np.ndarray):
        places = places.astype(int)
    check_moves(
        "split_axis",
        lambda v: F.split_axis(v, places, axis),
        lambda x: np.split(x, places, axis),
        x,
        ValueError,  # places that do not ascend
    )


@holds_for(floating(), AXES)
def test_separate_takes_apart_as_numpy_iterates(x, axis):
    check_moves("separate", lambda v: F.separate(v, axis), lambda x: [*np.moveaxis(x, axis, 0)], x)


REPEATS = st.integers(-1, 3) | st.lists(st.integers(-1, 3), min_size=1, max_size=3).map(tuple)


@holds_for(floating(), REPEATS, st.none() | AXES)
def test_repeat_is_that_of_numpy_or_an_error(x, repeats, axis):
    check_moves(
        "repeat",
        lambda v: F.repeat(v, repeats, axis),
        lambda x: np.repeat(x, repeats, axis),
        x,
        ValueError,  # NumPy makes a negative number of copies of nothing, and finds an axis in ()
    )


@holds_for(floating(), st.data())
def test_repeat_with_a_number_for_each_entry_is_that_of_numpy(x, data):
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1)) if x.ndim else None
    n = x.size if axis is None else x.shape[axis]
    repeats = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), int)
    check_moves(
        "repeat", lambda v: F.repeat(v, repeats, axis), lambda x: np.repeat(x, repeats, axis), x
    )


@holds_for(floating(), st.integers(-1, 3) | st.lists(st.integers(-1, 3), max_size=4).map(tuple))
def test_tile_is_that_of_numpy_or_an_error(x, reps):
    # Of an empty array NumPy makes a negative number of copies too.
    check_moves("tile", lambda v: F.tile(v, reps), lambda x: np.tile(x, reps), x, ValueError)


WIDTHS = st.integers(-1, 4)


@holds_for(
    floating(),
    WIDTHS | st.tuples(WIDTHS, WIDTHS) | st.lists(st.tuples(WIDTHS, WIDTHS), max_size=3),
    st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]),
)
def test_pad_is_that_of_numpy_or_an_error(x, width, mode):
    check_moves("pad", lambda v: F.pad(v, width, mode), lambda x: np.pad(x, width, mode), x)


@pytest.mark.parametrize("mode", ["linear_ramp", "maximum", "mean", "median", "minimum", "empty"])
def test_pad_refuses_the_other_modes_of_numpy(mode):
    with pytest.raises(ValueError, match="pad: mode is"):
        np.pad(V, 1, mode)


LENGTHS = st.lists(st.integers(0, 4), min_size=1, max_size=4)


@holds_for(LENGTHS, st.booleans())
def test_transpose_sequence_undoes_itself(lengths, wide):
    lengths = sorted(lengths, reverse=True)
    xs = [Variable(np.random.rand(n, *((2,) * wide))) for n in lengths]
    there = F.transpose_sequence(xs)
    assert [len(y) for y in there] == [sum(n > t for n in lengths) for t in range(lengths[0])]
    back = F.transpose_sequence(there)
    for x, y in zip(xs, back, strict=False):
        np.testing.assert_array_equal(y.array, x.array)
    assert len(back) == sum(n > 0 for n in lengths)


@holds_for(LENGTHS, st.none() | st.integers(0, 6))
def test_pad_sequence_holds_every_sequence_or_refuses_the_length(lengths, length):
    xs = [Variable(np.random.rand(n, 2)) for n in lengths]
    if length is not None and length < max(lengths):
        with pytest.raises(ValueError, match="pad_sequence: length is"):
            F.pad_sequence(xs, length)
        return
    y = F.pad_sequence(xs, length, padding=7)
    assert y.shape == (len(xs), max(lengths) if length is None else length, 2)
    for row, x in zip(y.array, xs, strict=True):
        np.testing.assert_array_equal(row[: len(x)], x.array)
        assert (row[len(x) :] == 7).all()


# -- dtypes ---------------------------------------------------------------------------------------

DTYPES = st.sampled_from([np.dtype(c) for c in "?bBhHiIlLqQefdg"])


@pytest.mark.parametrize("join", [F.concat, F.stack, F.hstack, F.vstack, F.dstack])
@holds_for(a=DTYPES, b=DTYPES)
def test_what_is_joined_has_numpys_dtype_unless_a_float_would_be_promoted(join, a, b):
    xs = [np.ones((1, 1), a), np.ones((1, 1), b)]
    if a == b or np.result_type(a, b).kind != "f":
        assert join(xs).dtype == np.result_type(a, b)
    else:
        with pytest.raises(TypeError, match=r"xs are of .*; expected one dtype"):
            join(xs)


def test_arrays_of_another_byte_order_are_refused_by_name():
    with pytest.raises(TypeError, match="xs are of >f4; expected this machine's byte order"):
        F.stack([np.ones(2, ">f4")] * 2)


# -- several outputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [lambda x: F.split_axis(x, [1, 3], 0), F.separate])
def test_outputs_that_nobody_used_get_zeros(f):
    x = Variable(np.arange(8.0).reshape(4, 2))
    f(x)[1].sum().backward()
    expected = np.zeros((4, 2))
    expected[1 : 3 if len(f(x)) == 3 else 2] = 1
    np.testing.assert_array_equal(x.grad, expected)


def test_outputs_are_views():
    for y in (*F.split_axis(V, [1], 1), *F.separate(V), *F.separate(V, 1), *F.separate(V[0])):
        assert np.shares_memory(y.array, X)


def test_one_stretch_is_a_variable_where_no_tuple_is_asked_for():
    assert F.split_axis(V, 1, 0, force_tuple=False).shape == (2, 3)
    assert len(F.split_axis(V, 1, 0)) == 1
    assert len(F.split_axis(V, 3, 1, force_tuple=False)) == 3


def test_an_axis_without_entries_is_separated_into_nothing():
    assert F.separate(np.ones((0, 3))) == ()
    assert F.transpose_sequence([]) == F.transpose_sequence([np.ones((0, 3))]) == ()


def test_numbers_without_axes_are_stacked():
    xs = [Variable(np.array(float(i))) for i in range(3)]
    y = F.stack(xs)
    np.testing.assert_array_equal(y.array, [0, 1, 2])
    (y * np.array([1.0, 2.0, 3.0])).sum().backward()
    assert [x.grad.item() for x in xs] == [1, 2, 3]


def test_one_array_is_the_list_of_its_entries_as_in_numpy():
    np.testing.assert_array_equal(np.concatenate(V).array, np.concatenate(X))
    np.testing.assert_array_equal(np.stack(V, axis=1).array, X.T)


# -- repeat ---------------------------------------------------------------------------------------


def test_repeat_keeps_its_numbers_whatever_happens_to_the_array():
    x, repeats = Variable(np.ones(2)), np.array([1, 3])
    y = F.repeat(x, repeats)
    repeats[:] = 5
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 3])


@pytest.mark.parametrize("axis", [0, -1, None])
def test_one_vector_repeated_is_a_view_that_cannot_be_written_to(axis):
    x = Variable(np.ones({0: (1, 4, 3), -1: (4, 3, 1), None: ()}[axis], np.float32))
    y = F.repeat(x, 5, axis)
    assert np.shares_memory(x.array, y.array) and y.array.strides[axis or 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        y.array[:] = 2


def test_several_entries_are_copied_so_that_they_can_be_written_to():
    x = Variable(np.ones((2, 3)))
    F.repeat(x, 1, axis=0).array[:] = 2
    np.testing.assert_array_equal(x.array, np.ones((2, 3)))


@holds_for(st.lists(st.integers(0, 3), min_size=1, max_size=4) | st.integers(0, 3), st.data())
def test_repeat_is_a_product_with_a_matrix_of_zeros_and_ones(repeats, data):
    n = data.draw(st.integers(0, 3)) if isinstance(repeats, int) else len(repeats)
    M = np.eye(n)[np.repeat(np.arange(n), repeats)]  # (copies, n), one 1 in every row
    x = Variable(data.draw(floating(st.just((n, 3)))).astype(float))
    y = F.repeat(x, repeats, axis=0)
    np.testing.assert_array_equal(y.array, M @ x.array, strict=True)
    gy = np.arange(1.0, 1 + y.size).reshape(y.shape)
    y.grad = gy
    y.backward()
    np.testing.assert_array_equal(x.grad, M.T @ gy, strict=True)


@pytest.mark.parametrize("shape", [(1, 3), (2, 3)])
def test_the_gradient_of_repeat_can_be_differentiated(shape):
    x = Variable(np.arange(1.0, 1 + np.prod(shape)).reshape(shape))
    (gx,) = grad([(F.repeat(x, 4, axis=0) ** 3).sum()], [x], create_graph=True)
    gx.sum().backward()
    np.testing.assert_array_equal(x.grad, 4 * 6 * x.array)


def test_a_vector_feeds_every_step_of_a_compiled_scan_and_is_repeated_within_a_step():
    def gradients(compiled):
        h, x = Variable(np.full((2, 1), 0.5)), Variable(np.ones((2, 3)) / 3)
        step = lambda h, x: (F.tanh(F.repeat(h, 3, axis=1) + x)[:, :1], None)  # noqa: E731
        last, _ = dynet.scan(step, h, F.repeat(x[None], 4, axis=0), compiled=compiled)
        last.sum().backward()
        return h.grad, x.grad

    for compiled, plain in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_allclose(compiled, plain, 1e-12)


def test_repeat_of_nothing_has_no_gradient_but_zeros():
    x = Variable(np.ones((2, 3)))
    F.repeat(x, 0, axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_repeat_sums_the_copies_of_every_floating_dtype(dtype):
    x = Variable(np.ones((2, 2), dtype))
    F.repeat(x, (2, 1), axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad, np.array([[2, 1], [2, 1]], dtype), strict=True)


def test_the_kernel_of_repeat_refuses_what_does_not_fit():
    gx = np.zeros((1, 2, 3))
    for gy, counts in [
        (np.zeros((1, 3, 3)), np.array([1, 1])),
        (np.zeros((1, 2, 2)), np.array([1, 1])),
        (np.zeros((2, 2, 3)), np.array([1, 1])),
        (np.zeros((1, 2, 3)), np.array([2])),
        (np.zeros((1, 2, 3)), np.array([3, -1])),
    ]:
        with pytest.raises(ValueError, match="repeat: "):
            sum_copies_to(gy, counts, gx)
    with pytest.raises(ValueError, match="repeat: "):
        sum_copies(np.zeros(3), np.array([1, 1]), 0, 2)


# -- padding --------------------------------------------------------------------------------------


def test_padding_with_nan_leaves_the_gradients_alone():
    x = Variable(np.ones(2))
    y = F.pad_sequence([x, np.ones(3)], padding=np.nan)
    assert np.isnan(y.array[0, 2])
    y[0, :2].sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])


# -- NumPy's functions of Variables ---------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.concatenate([x, x]),
        lambda x: np.concatenate((x, x), axis=1),
        lambda x: np.concatenate([x, x[0]], axis=None),
        lambda x: np.concatenate([X, x]),
        lambda x: np.stack([x, X], axis=-1),
        lambda x: np.hstack([x, x]),
        lambda x: np.vstack([x, x]),
        lambda x: np.dstack([x, x]),
        lambda x: np.column_stack([x, x[:, 0]]),
        lambda x: np.column_stack([x[0, 0], x[1, 0]]),
        lambda x: np.repeat(x, 2),
        lambda x: np.repeat(x, [1, 2], axis=0),
        lambda x: np.tile(x, 2),
        lambda x: np.pad(x, 1),
        lambda x: np.pad(x, ((0, 1), (2, 0)), mode="wrap"),
        lambda x: np.split(x, 2)[1],
        lambda x: np.split(x, 3, axis=1)[1],
        lambda x: np.array_split(x, 2, axis=1)[0],
        lambda x: np.array_split(x, 4, axis=1)[3],
        lambda x: np.array_split(x, [1], axis=1)[1],
        lambda x: x.repeat(2),
        lambda x: x.repeat(2, axis=-1),
    ],
)
def test_methods_and_numpys_functions_do_what_they_do_with_arrays(call):
    y, expected = call(Variable(X)), call(X)
    assert type(y) is Variable and y.requires_grad
    np.testing.assert_array_equal(y.array, expected, strict=True)
