"""Shapes, axes, dtypes and devices: what the table cannot say."""

import re

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from moving import AXES, SHAPES, check_moves, floating, holds_for

import dynet.functions as F
from dynet import Variable

X = np.arange(6.0).reshape(2, 3)
V = Variable(X)

# The call, the error, and what its message says.
WRONG = [
    (lambda: F.reshape([1.0], (1,)), TypeError, "reshape: x is list, expected an array"),
    (lambda: F.reshape(3.0, (1,)), TypeError, "reshape: x is float, expected an array"),
    (lambda: F.reshape(V, (4, 2)), ValueError, "reshape: x has shape (2, 3), 6 elements, which"),
    (lambda: F.reshape(V, (2.0, 3)), TypeError, "reshape: x has shape (2, 3)"),
    (lambda: F.reshape(V, (-1, -1)), ValueError, "reshape: x has shape (2, 3)"),
    (lambda: F.reshape(V, (10**30,)), ValueError, "reshape: x has shape (2, 3)"),
    (lambda: F.reshape(V, "6"), TypeError, "reshape: x has shape (2, 3)"),
    (lambda: F.flatten([[1.0]]), TypeError, "flatten: x is list, expected an array"),
    (lambda: F.expand_dims(V, 3), ValueError, "expand_dims: axis is 3, expected a place"),
    (lambda: F.expand_dims(V, 0.5), TypeError, "expand_dims: axis is 0.5"),
    (lambda: F.expand_dims(V, (0, 0)), ValueError, "expand_dims: axis is (0, 0)"),
    (lambda: F.expand_dims([1.0], 0), TypeError, "expand_dims: x is list, expected an array"),
    (lambda: F.squeeze(V, 0), ValueError, "squeeze: axis is 0, expected axes of length 1 of x (2,"),
    (lambda: F.squeeze(V, 2), ValueError, "squeeze: axis is 2"),
    (lambda: F.squeeze([[1.0]]), TypeError, "squeeze: x is list, expected an array"),
    (lambda: F.transpose(V, (0, 0)), ValueError, "transpose: axes is (0, 0), expected each of the"),
    (lambda: F.transpose(V, (0, 1, 2)), ValueError, "transpose: axes is (0, 1, 2)"),
    (lambda: F.transpose(V, 0), ValueError, "transpose: axes is (0,)"),
    (lambda: F.transpose(V, "ab"), TypeError, "transpose: axes is ab"),
    (lambda: F.transpose([[1.0]]), TypeError, "transpose: x is list, expected an array"),
    (lambda: F.swapaxes(V, 0, 2), ValueError, "swapaxes: axis1 is 0, axis2 is 2, x has 2 axes"),
    (lambda: F.swapaxes([[1.0]], 0, 1), TypeError, "swapaxes: x is list, expected an array"),
    (lambda: F.moveaxis(V, (0, 1), 0), ValueError, "moveaxis: source is (0, 1), destination is 0"),
    (lambda: F.moveaxis([[1.0]], 0, 1), TypeError, "moveaxis: x is list, expected an array"),
    (lambda: F.rollaxis(V, 0, 3), ValueError, "rollaxis: axis is 0, start is 3, x has 2 axes"),
    (lambda: F.rollaxis(V, 2), ValueError, "rollaxis: axis is 2, start is 0"),
    (lambda: F.rollaxis(V, 0.0), TypeError, "rollaxis: axis is 0.0"),
    (lambda: F.rollaxis([[1.0]], 0), TypeError, "rollaxis: x is list, expected an array"),
    (lambda: F.broadcast_to(V, (4,)), ValueError, "broadcast_to: x has shape (2, 3), which does"),
    (lambda: F.broadcast_to(V, (2, -3)), ValueError, "broadcast_to: x has shape (2, 3)"),
    (lambda: F.broadcast_to([1.0], (2,)), TypeError, "broadcast_to: x is list, expected an array"),
    (lambda: F.broadcast(V, np.ones(2)), ValueError, "broadcast: the shapes (2, 3), (2,) do not"),
    (lambda: F.broadcast(V, [1.0]), TypeError, "broadcast: args[1] is list, expected an array"),
    (lambda: F.cast(V, "a dtype"), TypeError, "cast: typ is 'a dtype', expected a dtype"),
    (lambda: F.cast(V, complex), TypeError, "cast: typ is <class 'complex'>, expected a dtype"),
    (lambda: F.cast(V, None), TypeError, "cast: typ is None, expected a dtype"),
    (lambda: F.cast([1.0], np.float32), TypeError, "cast: x is list, expected an array"),
    (lambda: F.copy(V, "tpu"), ValueError, "copy: dst is 'tpu', expected 'cpu'"),
    (lambda: F.copy([1.0], -1), TypeError, "copy: x is list, expected an array"),
    (lambda: F.depth2space(V, 2), ValueError, "depth2space: X has shape (2, 3), 2 axes, expected"),
    (
        lambda: F.depth2space(np.ones((1, 6, 1, 1)), 2),
        ValueError,
        "depth2space: X has 6 channels, expected a multiple of r * r = 4",
    ),
    (
        lambda: F.depth2space(np.ones((1, 4, 1, 1)), 2.0),
        TypeError,
        "depth2space: r is 2.0, expected an integer",
    ),
    (
        lambda: F.space2depth(np.ones((1, 1, 2, 3)), 2),
        ValueError,
        "space2depth: X has 2 rows and 3 columns, expected multiples of r = 2",
    ),
    (
        lambda: F.space2depth(np.ones((1, 1, 2, 3)), 0),
        ValueError,
        "space2depth: r is 0, expected at least 1",
    ),
    (lambda: F.space2depth([[[[1.0]]]], 1), TypeError, "space2depth: X is list, expected"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=[m for _, _, m in WRONG])
def test_bad_input_is_one_clear_error(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


# -- NumPy's result, or a clear error -------------------------------------------------------------


@holds_for(floating(), st.lists(st.integers(-2, 6), max_size=3))
def test_reshape_is_that_of_numpy_or_an_error(x, shape):
    check_moves("reshape", lambda v: F.reshape(v, shape), lambda x: x.reshape(shape), x)


@holds_for(floating(), st.none() | AXES | st.lists(AXES, max_size=3).map(tuple))
def test_squeeze_is_that_of_numpy_or_an_error(x, axis):
    check_moves("squeeze", lambda v: F.squeeze(v, axis), lambda x: np.squeeze(x, axis), x)


@holds_for(floating(), AXES | st.lists(AXES, max_size=3).map(tuple))
def test_expand_dims_is_that_of_numpy_or_an_error(x, axis):
    check_moves(
        "expand_dims", lambda v: F.expand_dims(v, axis), lambda x: np.expand_dims(x, axis), x
    )


@holds_for(floating(), st.none() | AXES | st.lists(AXES, max_size=3).map(tuple))
def test_transpose_is_that_of_numpy_or_an_error(x, axes):
    check_moves("transpose", lambda v: F.transpose(v, axes), lambda x: np.transpose(x, axes), x)


@holds_for(floating(), AXES, AXES)
def test_swapaxes_is_that_of_numpy_or_an_error(x, i, j):
    check_moves("swapaxes", lambda v: F.swapaxes(v, i, j), lambda x: np.swapaxes(x, i, j), x)


AXIS_OR_AXES = AXES | st.lists(AXES, max_size=3).map(tuple)


@holds_for(floating(), AXIS_OR_AXES, AXIS_OR_AXES)
def test_moveaxis_is_that_of_numpy_or_an_error(x, i, j):
    check_moves("moveaxis", lambda v: F.moveaxis(v, i, j), lambda x: np.moveaxis(x, i, j), x)


@holds_for(floating(), AXES, AXES)
def test_rollaxis_is_that_of_numpy_or_an_error(x, axis, start):
    check_moves(
        "rollaxis", lambda v: F.rollaxis(v, axis, start), lambda x: np.rollaxis(x, axis, start), x
    )


@holds_for(floating(), st.lists(st.integers(-1, 3), max_size=4).map(tuple))
def test_broadcast_to_is_that_of_numpy_or_an_error(x, shape):
    check_moves(
        "broadcast_to",
        lambda v: F.broadcast_to(v, shape),
        lambda x: np.broadcast_to(x, shape),
        x,
    )


@holds_for(SHAPES, SHAPES)
def test_broadcast_is_that_of_numpy_or_an_error(shape, other):
    x, y = np.ones(shape), np.ones(other)
    try:
        expected = np.broadcast_arrays(x, y)
    except ValueError:
        with pytest.raises(ValueError, match="broadcast: the shapes"):
            F.broadcast(x, y)
        return
    for got, wanted in zip(F.broadcast(x, y), expected, strict=True):
        np.testing.assert_array_equal(got.array, wanted)


@holds_for(
    floating(st.tuples(*[st.integers(0, 4)] * 4)), st.integers(-1, 3), st.sampled_from([2, 4, 9])
)
def test_space2depth_undoes_depth2space(x, r, factor):
    x = np.concatenate([x] * factor, axis=1)
    check = Variable(x)
    if r < 1 or x.shape[1] % r**2:
        with pytest.raises(ValueError, match="depth2space: "):
            F.depth2space(check, r)
        return
    np.testing.assert_array_equal(F.space2depth(F.depth2space(check, r), r).array, x)


# -- dtypes and devices ---------------------------------------------------------------------------


@holds_for(
    hnp.scalar_dtypes().filter(lambda d: d.kind in "fiub" and d.isnative),
    hnp.scalar_dtypes().filter(lambda d: d.kind in "fiub"),
)
def test_cast_is_astype(source, typ):
    x = np.array([0, 1, 2, 3], source)
    v = Variable(x)
    y = F.cast(v, typ)
    np.testing.assert_array_equal(y.array, x.astype(typ), strict=True)
    assert y.requires_grad == (source.kind == "f" and typ.kind == "f")
    if y.creator is not None:
        y.sum().backward()
        np.testing.assert_array_equal(v.grad, np.ones(4, source), strict=True)


def test_cast_to_the_dtype_that_it_has_is_the_variable_itself():
    assert F.cast(V, np.float64) is V
    assert V.astype("f8") is V


@pytest.mark.parametrize("typ", [int, bool, np.uint8])
def test_cast_to_integers_is_not_recorded(typ):
    y = V.astype(typ)
    assert y.dtype == typ
    assert y.creator is None and not y.requires_grad


def test_copy_to_where_it_is_shares_the_array():
    assert F.copy(V, -1).array is X


def test_numpys_copy_of_a_variable_is_an_array_of_its_own_with_a_gradient():
    x = Variable(X.copy())
    y = np.copy(x)
    assert not np.shares_memory(y.array, x.array)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))


# -- methods, and NumPy's functions of Variables --------------------------------------------------


def test_broadcast_to_and_transpose_take_one_number_as_numpy_does():
    x = Variable(np.ones(1))
    assert F.broadcast_to(x, 3).shape == np.broadcast_to(x, 3).shape == (3,)
    assert F.transpose(x, 0).shape == x.transpose(0).shape == x.transpose(np.int64(0)).shape == (1,)
    x.transpose(0).sum().backward()
    np.testing.assert_array_equal(x.grad, [1])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.reshape(3, 2),
        lambda x: x.reshape((3, 2)),
        lambda x: x.reshape(-1),
        lambda x: x.flatten(),
        lambda x: x.ravel(),
        lambda x: x.reshape(1, 2, 3).squeeze(),
        lambda x: x.reshape(1, 2, 3).squeeze(0),
        lambda x: x.transpose(),
        lambda x: x.transpose(None),
        lambda x: x.transpose(1, 0),
        lambda x: x.transpose((1, 0)),
        lambda x: x.transpose([1, 0]),
        lambda x: x.T,
        lambda x: x.swapaxes(0, 1),
        lambda x: x.astype("f4"),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: np.ravel(x),
        lambda x: np.transpose(x, axes=(1, 0)),
        lambda x: np.squeeze(x[:1], axis=0),
        lambda x: np.expand_dims(x, axis=0),
        lambda x: np.swapaxes(x, 0, 1),
        lambda x: np.moveaxis(x, 0, 1),
        lambda x: np.rollaxis(x, 1),
        lambda x: np.broadcast_to(x, (2, 2, 3)),
        lambda x: np.broadcast_arrays(x, x[0])[1],
        lambda x: np.atleast_1d(x, x.reshape(-1)[0])[1],
        lambda x: np.atleast_1d(x),
        lambda x: np.atleast_2d(x[0]),
        lambda x: np.atleast_2d(x.reshape(-1)[0]),
        lambda x: np.atleast_3d(x.reshape(-1)[0]),
        lambda x: np.atleast_3d(x[0]),
        lambda x: np.atleast_3d(x),
        lambda x: np.copy(x),
    ],
)
def test_methods_and_numpys_functions_do_what_they_do_with_arrays(call):
    y, expected = call(Variable(X)), call(X)
    assert type(y) is Variable and y.requires_grad
    np.testing.assert_array_equal(y.array, expected, strict=True)


@pytest.mark.parametrize(
    "call",
    [
        np.shape,
        np.ndim,
        np.size,
        lambda x: np.size(x, 1),
        np.zeros_like,
        np.ones_like,
        lambda x: np.zeros_like(x, dtype=np.float32),
        lambda x: np.full_like(x, 7),
        lambda x: np.empty_like(x).shape,
        np.isnan,
        np.isinf,
        np.isfinite,
    ],
)
def test_what_has_no_gradient_numpy_tells_of_the_array(call):
    y, expected = call(V), call(X)
    assert type(y) is type(expected)
    np.testing.assert_array_equal(y, expected)


def test_a_reshaped_array_is_a_view():
    for y in V.reshape(3, 2), V.ravel(), V.T, F.expand_dims(V, 0), V.swapaxes(0, 1):
        assert np.shares_memory(y.array, X)


def test_arrays_without_axes_have_their_shapes_too():
    x = Variable(np.array(2.0))
    for f in F.flatten, F.squeeze, F.transpose, lambda x: F.expand_dims(x, 0), F.broadcast:
        x.cleargrad()
        y = f(x)
        (y[0] if isinstance(y, tuple) else y).sum().backward()
        np.testing.assert_array_equal(x.grad, np.array(1.0), strict=True)
