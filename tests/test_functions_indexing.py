"""Indexing: what the table cannot say."""

import re

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from moving import AXES, check_moves, floating, holds_for

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels.indexing import add_at

X = np.arange(6.0).reshape(2, 3)
V = Variable(X)
T = np.array([0, 1])

# The call, the error, and what its message says.
WRONG = [
    (lambda: V[2], IndexError, "get_item: the index 2 does not fit x (2, 3): "),
    (lambda: V[0, 0, 0], IndexError, "get_item: the index (0, 0, 0) does not fit x (2, 3): "),
    (lambda: V["a"], IndexError, "get_item: the index a does not fit x (2, 3): "),
    (lambda: V[1.0], IndexError, "get_item: the index 1.0 does not fit x (2, 3): "),
    (lambda: V["a":], TypeError, "get_item: the index slice('a', None, None) does not fit"),
    (lambda: V[::0], IndexError, "get_item: the index slice(None, None, 0) does not fit"),
    (lambda: V[np.array([0, 2])], IndexError, "get_item: the index [0 2] does not fit x (2, 3): "),
    (lambda: V[[True]], IndexError, "get_item: the index [ True] does not fit x (2, 3): "),
    (lambda: V[[0, 1], [0, 1, 2]], IndexError, "get_item: the index"),
    (lambda: V[[[0], [0, 1]]], IndexError, "get_item: the index"),
    (lambda: V[10**30], IndexError, "get_item: the index 1000"),
    (lambda: V[V], IndexError, "get_item: the index"),
    (lambda: F.get_item([1.0], 0), TypeError, "get_item: x is list, expected an array"),
    (lambda: F.scatter_add(V, 2, X[0]), IndexError, "scatter_add: the slices 2 does not fit x (2,"),
    (lambda: F.scatter_add(V, 0, X[0, :1]), ValueError, "scatter_add: b has shape (1,), expected"),
    (lambda: F.scatter_add(V, 0, X), ValueError, "scatter_add: b has shape (2, 3), expected (3,)"),
    (
        lambda: F.scatter_add(V, 0, X[0].astype("f4")),
        TypeError,
        "scatter_add: a is float64, b is float32, expected one dtype",
    ),
    (lambda: F.scatter_add(V, 0, 1.0), TypeError, "scatter_add: b is float, expected an array"),
    (lambda: F.scatter_add([1.0], 0, X[0]), TypeError, "scatter_add: a is list, expected an array"),
    (lambda: F.select_item(V, T[:, None]), ValueError, "select_item: t has shape (2, 1), expected"),
    (lambda: F.select_item(V, T[:1]), ValueError, "select_item: t has shape (1,), expected (2,)"),
    (lambda: F.select_item(V, T - 1), ValueError, "select_item: t holds -1, expected columns from"),
    (lambda: F.select_item(V, T + 2), ValueError, "select_item: t holds 3, expected columns from"),
    (lambda: F.select_item(V, T * 1.0), TypeError, "select_item: t is float64 (2,), expected an"),
    (lambda: F.select_item(V, [0, 1]), TypeError, "select_item: t is list, expected an array of"),
    (lambda: F.select_item(X[0], T), ValueError, "select_item: x has shape (3,), 1 axes, expected"),
    (lambda: F.permutate(V, np.array([0, 0])), ValueError, "permutate: indices is [0 0], expected"),
    (lambda: F.permutate(V, np.array([0, 2])), ValueError, "permutate: indices is [0 2], expected"),
    (lambda: F.permutate(V, np.array([0, -1])), ValueError, "permutate: indices is [ 0 -1], exp"),
    (lambda: F.permutate(V, T, axis=1), ValueError, "permutate: indices has shape (2,), expected"),
    (lambda: F.permutate(V, T, axis=2), ValueError, "permutate: axis is 2, x has 2 axes"),
    (lambda: F.permutate(V, T * 1.0), TypeError, "permutate: indices is float64 (2,), expected"),
    (lambda: F.permutate(V, [0, 1]), TypeError, "permutate: indices is list, expected an array"),
    (lambda: F.permutate([1.0], T), TypeError, "permutate: x is list, expected an array"),
    (lambda: F.diagonal(X[0]), ValueError, "diagonal: offset is 0, axis1 is 0, axis2 is 1; exp"),
    (lambda: F.diagonal(V, 0, 1, -1), ValueError, "diagonal: offset is 0, axis1 is 1, axis2 is -1"),
    (lambda: F.diagonal(V, 0.5), TypeError, "diagonal: offset is 0.5"),
    (lambda: F.diagonal([[1.0]]), TypeError, "diagonal: x is list, expected an array"),
    (lambda: F.flip(V, 2), ValueError, "flip: axis is 2, expected axes of x (2, 3), none twice"),
    (lambda: F.flip(V, 0.5), TypeError, "flip: axis is 0.5"),
    (lambda: F.flip([1.0], 0), TypeError, "flip: x is list, expected an array"),
    (lambda: F.fliplr(X[0]), ValueError, "fliplr: x has 1 axes, expected at least 2 (x: (3,))"),
    (lambda: F.flipud(X[0, 0]), TypeError, "flipud: x is float64, expected an array"),
    (lambda: F.flipud(V[0, 0]), ValueError, "flipud: x has 0 axes, expected at least 1 (x: ())"),
    (lambda: np.roll(V, 1, 2), ValueError, "roll: shift is 1, axis is 2; expected integers and"),
    (lambda: np.roll(V, None), TypeError, "roll: shift is None, axis is None; expected integers"),
    (lambda: np.take(V, [0.5]), TypeError, "take: indices is an array of float64, expected int"),
    (lambda: np.take(V, [True]), TypeError, "take: indices is an array of bool, expected integers"),
    (lambda: np.take(V, 0, axis=2), ValueError, "take: axis is 2, x has 2 axes"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=range(len(WRONG)))
def test_bad_input_is_one_clear_error(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


# -- NumPy's result, or a clear error -------------------------------------------------------------

INTEGERS = st.integers(-4, 4)
SLICES = st.builds(slice, *[st.none() | INTEGERS] * 2, st.none() | st.sampled_from([-2, -1, 1, 2]))
ARRAYS = hnp.arrays(
    st.sampled_from([np.int8, np.int64, np.uint64]),
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
    elements=st.integers(0, 3),
)
MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3))
LISTS = st.lists(INTEGERS, max_size=3)
PARTS = st.none() | st.just(...) | INTEGERS | SLICES | ARRAYS | MASKS | LISTS | st.booleans()


@holds_for(floating(), PARTS | st.lists(PARTS, max_size=4).map(tuple))
def test_an_index_means_what_it_means_in_numpy(x, index):
    check_moves("get_item", lambda v: v[index], lambda x: x[index], x)


@holds_for(
    floating(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)),
    hnp.arrays(np.int64, hnp.array_shapes(min_dims=0, max_dims=2, max_side=4), elements=INTEGERS),
)
def test_rows_by_number_mean_what_they_mean_in_numpy(x, ids):
    check_moves("get_item", lambda v: v[ids], lambda x: x[ids], x)


@holds_for(floating(), st.data())
def test_scatter_add_is_numpys_add_at(a, data):
    index = data.draw(PARTS | st.lists(PARTS, max_size=3).map(tuple))
    try:
        b = np.arange(a[index].size).reshape(a[index].shape).astype(a.dtype)
    except (IndexError, ValueError):
        with pytest.raises(IndexError, match="scatter_add: the slices"):
            F.scatter_add(Variable(a), index, a)
        return
    expected = a.copy()
    np.add.at(expected, index, b)
    before = a.copy()
    y = F.scatter_add(Variable(a), index, Variable(b))
    np.testing.assert_array_equal(y.array, expected)
    np.testing.assert_array_equal(a, before)


@holds_for(floating(), AXES, st.booleans(), st.data())
def test_permutate_is_numpys_take_or_an_error(x, axis, inv, data):
    n = x.shape[axis] if -x.ndim <= axis < x.ndim else 2
    order = np.array(data.draw(st.permutations(range(n))), int)

    def numpys(x):
        return np.take(x, np.argsort(order) if inv else order, axis)

    check_moves("permutate", lambda v: F.permutate(v, order, axis, inv), numpys, x)


@holds_for(floating(), st.integers(-4, 4), AXES, AXES)
def test_diagonal_is_that_of_numpy_or_an_error(x, offset, i, j):
    check_moves(
        "diagonal",
        lambda v: F.diagonal(v, offset, i, j),
        lambda x: np.diagonal(x, offset, i, j),
        x,
    )


@holds_for(floating(), st.none() | AXES | st.lists(AXES, max_size=3).map(tuple))
def test_flip_is_that_of_numpy_or_an_error(x, axis):
    check_moves("flip", lambda v: F.flip(v, axis), lambda x: np.flip(x, axis), x)


@holds_for(floating())
def test_fliplr_and_flipud_are_those_of_numpy_or_errors(x):
    check_moves("fliplr", F.fliplr, np.fliplr, x)
    check_moves("flipud", F.flipud, np.flipud, x)


FULL = hnp.array_shapes(max_dims=3, max_side=3)


@holds_for(floating(FULL), ARRAYS | LISTS | INTEGERS, st.none() | AXES)
def test_take_is_that_of_numpy_or_an_error(x, indices, axis):
    try:
        expected = np.take(x, indices, axis)
    except (IndexError, ValueError):
        with pytest.raises((IndexError, ValueError)):
            np.take(Variable(x), indices, axis)
        return
    np.testing.assert_array_equal(np.take(Variable(x), indices, axis).array, expected)
    np.testing.assert_array_equal(Variable(x).take(indices, axis).array, expected)


SHIFTS = st.integers(-5, 5) | st.lists(st.integers(-5, 5), min_size=1, max_size=2)


@holds_for(floating(), SHIFTS, st.none() | AXES | st.lists(AXES, max_size=3).map(tuple))
def test_roll_is_that_of_numpy_or_an_error(x, shift, axis):
    check_moves("roll", lambda v: np.roll(v, shift, axis), lambda x: np.roll(x, shift, axis), x)


# -- indices --------------------------------------------------------------------------------------


def test_a_variable_of_integers_is_an_index():
    x = Variable(X.copy())
    x[Variable(np.array([1, 1]))].sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0, 0], [2, 2, 2]])


def test_a_list_changed_after_the_look_up_changes_no_gradient():
    x, index = Variable(X.copy()), [0, 1]
    y = x[index]
    index[0] = 1
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))


def test_permutate_keeps_its_order_whatever_happens_to_the_indices():
    x, indices = Variable(X.copy()), np.array([1, 0])
    y = F.permutate(x, indices)
    indices[:] = 0
    (y * np.array([[1.0], [2.0]])).sum().backward()
    np.testing.assert_array_equal(x.grad, [[2, 2, 2], [1, 1, 1]])


def test_debug_mode_guards_the_indices_of_a_look_up():
    x, ids = Variable(X.copy()), np.array([1, 0])
    with dynet.using_config("debug", True):
        y = x[ids, None]
        with pytest.raises(ValueError, match="read-only"):
            ids[0] = 0
        y.sum().backward()
    ids[0] = 0


def test_slices_are_views():
    for y in V[0], V[:, 1:], V[..., None], F.flip(V, 0), F.diagonal(V):
        assert np.shares_memory(y.array, X)


def test_a_loop_over_the_steps_of_one_array_gives_every_step_its_gradient():
    x = Variable(np.arange(12.0).reshape(2, 3, 2))
    total = 0
    for t in range(3):
        total = total + x[:, t] * (t + 1)
    total.sum().backward()
    np.testing.assert_array_equal(x.grad[0], [[1, 1], [2, 2], [3, 3]])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_select_item_and_permutate_take_integers_of_every_dtype(dtype):
    t = np.array([1, 0], dtype)
    np.testing.assert_array_equal(F.select_item(X, t).array, [1, 3])
    np.testing.assert_array_equal(F.permutate(X, t).array, X[::-1])
    np.testing.assert_array_equal(F.permutate(X, t, inv=True).array, X[::-1])


def test_scatter_add_of_rows_carries_nan_on():
    y = F.scatter_add(X, np.array([0, 0]), np.full((2, 3), np.nan))
    assert np.isnan(y.array[0]).all() and not np.isnan(y.array[1]).any()


# -- the kernel -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3)])
@pytest.mark.parametrize("ids", [np.array([0, -1, 3, 3, 0]), np.array([[1, 1], [-4, 2]])])
@pytest.mark.parametrize("wrap", [lambda i: i, lambda i: (i,)])
def test_add_at_is_that_of_numpy(dtype, shape, ids, wrap):
    values = np.arange(ids.size * np.prod(shape[1:], dtype=int)).astype(dtype)
    values = values.reshape(ids.shape + shape[1:])
    for layout in np.zeros(shape, dtype), np.zeros(shape, dtype, order="F"):
        expected = layout.copy()
        np.add.at(expected, wrap(ids), values)
        add_at(layout, wrap(ids), values)
        np.testing.assert_array_equal(layout, expected)
