"""Property tests of functions that move elements about: NumPy's result, or a clear error.

Of a function that puts every element of its result where some element of ``x`` was, or a
constant, NumPy tells the gradient too: what it makes of the numbers 0, 1, 2, ... says where
each element came from.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dynet import Variable

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
AXES = st.integers(-4, 4)
REFUSALS = (TypeError, ValueError, IndexError)

LAYOUTS = {
    "C": lambda a: a,
    "Fortran": lambda a: np.array(a, order="F"),
    "every other": lambda a: np.repeat(a[..., None], 2, axis=-1)[..., 0],
    "backwards": lambda a: np.array(a[::-1])[::-1] if a.ndim else a,
    "transposed": lambda a: np.array(a.T).T,
    "read-only": lambda a: _locked(a.copy()),
}


def _locked(a):
    a.flags.writeable = False
    return a


def holds_for(*strategies, **named):
    """A property test, which may take its time: a kernel is compiled at its first call."""
    return lambda test: settings(deadline=None)(given(*strategies, **named)(test))


@st.composite
def floating(draw, shapes=SHAPES):
    """Arrays of both dtypes and of every layout, of whole numbers: their sums are exact."""
    shape = draw(shapes)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    x = np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    return LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](x)


def check_moves(name, ours, numpys, x, *more):
    """Hold a function of a floating array against NumPy's, with its gradient.

    Args:
        name: what the messages of our errors start with.
        ours: the function, of a Variable.
        numpys: the same, of an array; it puts zeros where the result has nothing of ``x``.
        x: the array.
        more: kinds of errors that ours may raise where NumPy finds a result.
    """
    v = Variable(x)
    try:
        expected = numpys(x)
        # Numbers from 1 on, so that 0 is a constant.
        places = numpys(np.arange(1, 1 + x.size).reshape(x.shape))
    except (*REFUSALS, ArithmeticError):
        with pytest.raises(REFUSALS) as raised:
            ours(v)
        assert str(raised.value).startswith(f"{name}: "), str(raised.value)
        return
    try:
        y = ours(v)
    except more as error:
        assert str(error).startswith(f"{name}: "), str(error)
        return
    several = isinstance(y, tuple)
    ys = y if several else (y,)
    expected = list(expected) if several else [expected]
    places = list(places) if several else [places]
    assert len(ys) == len(expected)
    total = np.zeros(1 + x.size)
    for i, (y, e, p) in enumerate(zip(ys, expected, places, strict=True)):
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y.array, e, strict=True)
        gy = np.arange(1.0, 1 + y.size).reshape(y.shape) + 10 * i
        np.add.at(total, p, gy)
        y.grad = np.asarray(gy, x.dtype)
        if i != 1:  # nobody asks the second of several
            y.backward()
        else:
            np.add.at(total, p, -gy)
    gradient = np.zeros(x.shape, x.dtype) if v.grad is None else v.grad
    np.testing.assert_array_equal(gradient, total[1:].reshape(x.shape).astype(x.dtype), strict=True)
    np.testing.assert_array_equal(v.array, x)
