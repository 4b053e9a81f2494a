"""Functions of elements, axes and matrices: whatever the array, NumPy's result or a named error.

Arrays of every shape, dtype and layout are drawn at random; what the functions should say of them
is stated in NumPy. Elements come from a few values, none of them near a kink.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from scipy import special
from test_bad_input_elementwise import OF_ONE_ARRAY, OPERATORS, value_or_refusal

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.gradient_check import check_backward
from dynet.kernels import activation, arithmetic, error_function, noise, normalization, reduction

EXAMPLES = settings(max_examples=40, deadline=None)
SHAPES = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
FLOATING = st.sampled_from(["f2", "f4", "f8"])
RTOL = {"e": 1e-2, "f": 1e-4, "d": 1e-7}

BOTH_SIGNS = -3.3, -1.7, -0.6, 0.35, 1.2, 2.9
POSITIVE = 0.35, 0.8, 1.2, 2.9
UNIT = -0.8, -0.3, 0.2, 0.7

# -- arrays of every layout ---------------------------------------------------------------------


def every_other(a):
    wide = np.zeros((*a.shape, 2), a.dtype)
    wide[..., 0] = a
    return wide[..., 0]


def read_only(a):
    a.flags.writeable = False
    return a


def repeated(a):
    """One element, or a few, everywhere along the last axis: of stride 0."""
    return np.broadcast_to(a[..., :1], a.shape) if a.size else a


LAYOUTS = {
    "contiguous": lambda a: a,
    "Fortran": lambda a: np.asarray(a, order="F"),
    "transposed": lambda a: np.ascontiguousarray(a.T).reshape(a.T.shape).T,
    "backwards": lambda a: np.flip(np.flip(a).copy()),
    "every other": every_other,
    "read-only": read_only,
    "repeated": lambda a: repeated(a) if a.ndim else a,
}


@st.composite
def arrays(draw, values=BOTH_SIGNS, shape=SHAPES, dtype=FLOATING):
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    seed = draw(st.integers(0, 9))
    a = np.asarray(np.random.default_rng(seed).choice(values, shape))
    a = a.astype(draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype)
    return np.asarray(LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](a))


def gradient_of(f, x, gy):
    """The gradient by one array, in both orders and of ``gy`` in another layout: all agree."""
    v = Variable(x)
    y = f(v)
    strided = read_only(np.asarray(every_other(gy)))
    (plain,), *others = (
        dynet.grad(y, v, gy),
        dynet.grad(y, v, strided),
        dynet.grad(y, v, gy, create_graph=True),
    )
    for (g,) in others:
        assert_near(g.array, plain.array, x)
    return plain.array


def without_warnings(call, *arguments, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call(*arguments, **settings)


def weights_like(y):
    """Gradients that tell the elements apart."""
    return np.linspace(0.5, 2, y.size).reshape(y.shape).astype(y.dtype)


def assert_near(got, expected, like):
    rtol = RTOL[like.dtype.char]
    assert got.shape == np.shape(expected)
    assert got.dtype == like.dtype
    np.testing.assert_allclose(got, expected, rtol, rtol)


# -- of each element ----------------------------------------------------------------------------


def logistic(x):
    return 1 / (1 + np.exp(-x))


def gelu_by_tanh(x):
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772
NUMPYS = {
    BOTH_SIGNS: ["exp", "expm1", "square", "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh"],
    POSITIVE: ["log", "log1p", "log2", "log10", "sqrt"],
    UNIT: ["arcsin", "arccos"],
}
ELEMENTWISE = {
    **{f: (getattr(F, f), getattr(np, f), v) for v, names in NUMPYS.items() for f in names},
    "absolute": (F.absolute, np.absolute, BOTH_SIGNS),
    "rsqrt": (F.rsqrt, lambda x: x**-0.5, POSITIVE),
    "erf": (F.erf, special.erf, BOTH_SIGNS),
    "erfc": (F.erfc, special.erfc, BOTH_SIGNS),
    "clip": (lambda x: F.clip(x, -1, 2), lambda x: np.clip(x, -1, 2), BOTH_SIGNS),
    "relu": (F.relu, lambda x: np.maximum(x, 0), BOTH_SIGNS),
    "relu6": (lambda x: F.relu6(3 * x), lambda x: np.clip(3 * x, 0, 6), BOTH_SIGNS),
    "clipped_relu": (lambda x: F.clipped_relu(x, 2), lambda x: np.clip(x, 0, 2), BOTH_SIGNS),
    "leaky_relu": (F.leaky_relu, lambda x: np.where(x < 0, 0.2 * x, x), BOTH_SIGNS),
    "elu": (F.elu, lambda x: np.where(x < 0, np.expm1(x), x), BOTH_SIGNS),
    "selu": (F.selu, lambda x: SCALE * np.where(x < 0, ALPHA * np.expm1(x), x), BOTH_SIGNS),
    "sigmoid": (F.sigmoid, logistic, BOTH_SIGNS),
    "hard_sigmoid": (F.hard_sigmoid, lambda x: np.clip(x / 5 + 0.5, 0, 1), BOTH_SIGNS),
    "softplus": (lambda x: F.softplus(x, 2), lambda x: np.log1p(np.exp(2 * x)) / 2, BOTH_SIGNS),
    "silu": (F.silu, lambda x: x * logistic(x), BOTH_SIGNS),
    "gelu": (F.gelu, lambda x: x / 2 * special.erfc(-x / np.sqrt(2)), BOTH_SIGNS),
    "gelu by tanh": (lambda x: F.gelu(x, "tanh"), gelu_by_tanh, BOTH_SIGNS),
    "sign": (F.sign, np.sign, BOTH_SIGNS),
    "floor": (F.floor, np.floor, BOTH_SIGNS),
    "ceil": (F.ceil, np.ceil, BOTH_SIGNS),
    "fix": (F.fix, np.trunc, BOTH_SIGNS),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@settings(EXAMPLES, max_examples=15)
@given(data=st.data())
def test_a_function_of_each_element_and_its_gradient_are_those_of_numpys_statement(name, data):
    f, statement, values = ELEMENTWISE[name]
    x = data.draw(arrays(values))
    wide = x.astype(np.float64)
    y = without_warnings(f, Variable(x))
    assert_near(y.array, statement(wide), x)
    if y.requires_grad and name not in ("sign", "floor", "ceil", "fix"):
        gy = weights_like(x)
        slope = (statement(wide + 1e-6) - statement(wide - 1e-6)) / 2e-6
        assert_near(without_warnings(gradient_of, f, x, gy), gy * slope, x)


OTHER_DTYPES = ["?", "i1", "u2", "i8", "g", ">f4", ">f8", ">i4", "c8", "c16", "O", "U2"]


@pytest.mark.parametrize("name", OF_ONE_ARRAY)
@settings(EXAMPLES, max_examples=25)
@given(dtype=st.sampled_from(OTHER_DTYPES), layout=st.sampled_from(sorted(LAYOUTS)))
def test_of_any_other_dtype_the_result_is_that_of_its_kind_or_a_named_error(name, dtype, layout):
    x = LAYOUTS[layout](np.array([[1, 0], [0, 1]]).astype(dtype))
    with np.errstate(all="ignore"):
        y = value_or_refusal(name, lambda: OF_ONE_ARRAY[name](x))
        if y is not None and name not in ("argmax", "argmin") and dtype != "O":
            wide = OF_ONE_ARRAY[name](x.astype(np.float64)) if x.dtype.kind == "f" else y
            if x.dtype.kind == "f":
                assert y.dtype == x.dtype.newbyteorder("=")  # this machine's, as in NumPy
            if name not in ("dropout", "gaussian", "gumbel_softmax", "zoneout"):
                rtol = 1e-4 if x.dtype.itemsize == 4 else 1e-12
                np.testing.assert_allclose(y.array, wide.array, rtol, rtol)


# -- of two operands, which broadcast -----------------------------------------------------------

BINARY = {
    "add": (F.add, np.add),
    "sub": (OPERATORS["sub"], np.subtract),
    "mul": (OPERATORS["mul"], np.multiply),
    "div": (OPERATORS["div"], np.divide),
    "pow": (OPERATORS["pow"], np.power),
    "mod": (OPERATORS["mod"], np.remainder),
    "fmod": (F.fmod, np.fmod),
    "maximum": (F.maximum, np.maximum),
    "minimum": (F.minimum, np.minimum),
    "arctan2": (F.arctan2, np.arctan2),
    "squared_difference": (F.squared_difference, lambda x, y: np.square(x - y)),
}
SMALL = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=2)
DTYPES = st.sampled_from(["f2", "f4", "f8", "f8", "f8", "i1", "i8", "?"])


def sum_to(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


@pytest.mark.parametrize("name", BINARY)
@EXAMPLES
@given(data=st.data())
def test_a_function_of_two_operands_is_numpys_with_its_gradients_or_a_named_error(name, data):
    f, statement = BINARY[name]
    x = data.draw(arrays((1.3, 2.3, 3.7), SMALL, DTYPES))
    y = data.draw(arrays((1.1, 1.9, 2.8), SMALL, DTYPES))
    z = value_or_refusal(name, lambda: f(Variable(x), Variable(y)))
    floats = {a.dtype for a in (x, y) if a.dtype.kind == "f"}
    if floats - {np.result_type(x, y)}:
        assert z is None
        return
    try:
        expected = statement(x, y)
    except (ValueError, TypeError):
        assert z is None
        return
    assert z.dtype == expected.dtype and z.shape == expected.shape
    np.testing.assert_array_equal(z.array, expected)
    assert z.requires_grad == bool(floats)
    if floats and x.dtype == y.dtype == np.float64:
        gz, h = weights_like(expected), 1e-6
        slopes = (
            (statement(x + h, y) - statement(x - h, y)) / (2 * h),
            (statement(x, y + h) - statement(x, y - h)) / (2 * h),
        )
        for i, slope in enumerate(slopes):
            others = [lambda v: f(v, y), lambda v: f(x, v)]
            got = gradient_of(others[i], (x, y)[i], gz)
            assert_near(got, sum_to(gz * slope, got.shape), got)


# -- along axes -----------------------------------------------------------------------------------

ONE_AXIS = st.integers(-5, 4)
AXES = st.none() | ONE_AXIS | st.lists(ONE_AXIS, max_size=3).map(tuple)


def is_right(axis, ndim):
    axes = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return all(-ndim <= a < ndim for a in axes) and len({a % ndim for a in axes}) == len(axes)


def shared(choose):
    """The gradient of the largest, or smallest: even among equals."""

    def gradient(x, y, axis):
        chosen = x == y
        return chosen / chosen.sum(axis=axis, keepdims=True)

    return choose, gradient


REDUCTIONS = {
    "sum": (np.sum, lambda x, y, axis: np.ones(x.shape)),
    "mean": (np.mean, lambda x, y, axis: np.full(x.shape, y.size / max(x.size, 1))),
    "average": (np.mean, lambda x, y, axis: np.full(x.shape, y.size / max(x.size, 1))),
    "max": shared(np.max),
    "min": shared(np.min),
    "prod": (np.prod, lambda x, y, axis: y / x),
    "logsumexp": (
        lambda x, **axes: np.log(np.exp(x).sum(**axes)),
        lambda x, y, axis: np.exp(x - y),
    ),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@EXAMPLES
@given(data=st.data(), axis=AXES, keepdims=st.booleans())
def test_a_reduction_and_its_gradient_are_those_of_numpys_statement(name, data, axis, keepdims):
    statement, gradient = REDUCTIONS[name]
    # A product of many numbers is soon beyond float16.
    of_many = arrays((-1.3, -0.8, 0.7, 1.2), dtype=st.sampled_from(["f4", "f8"]))
    x = data.draw(of_many if name == "prod" else arrays())
    settings = {} if name == "logsumexp" else {"keepdims": keepdims}

    def f(v):
        return getattr(F, name)(v, axis=axis, **settings)

    wide = x.astype(np.float64)
    y = value_or_refusal(name, lambda: without_warnings(f, Variable(x)))
    if not is_right(axis, x.ndim):
        assert y is None or x.ndim == 0  # NumPy lets an array without axes pass for one with one
        return
    kept = np.sum(wide, axis=axis, keepdims=True)
    if y is None or (x.size == 0 and kept.size and name in ("mean", "average")):
        assert x.size == 0 and y is None
        if name in ("max", "min"):
            with pytest.raises(ValueError):
                statement(x, axis=axis)
    elif x.size:
        kept = statement(wide, axis=axis, keepdims=True)
        expected = statement(wide, axis=axis, **settings)
        assert_near(y.array, expected, x)
        gy = weights_like(y.array)
        got = without_warnings(gradient_of, f, x, gy)
        assert_near(got, gy.reshape(kept.shape) * gradient(wide, kept, axis), x)
    else:
        assert y.shape == np.sum(x, axis=axis, **settings).shape


def softmax(x, axis):
    return special.softmax(x, axis) if x.size else x


def log_softmax(x, axis):
    return special.log_softmax(x, axis) if x.size else x


def crelu(x, axis):
    return np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis)


ALONG = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "crelu": crelu,
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "normalize": lambda x, axis: x / (np.sqrt((x * x).sum(axis, keepdims=True)) + 1e-5),
    "maxout": lambda x, axis: x,
}


@pytest.mark.parametrize("name", ALONG)
@EXAMPLES
@given(x=arrays(), axis=ONE_AXIS)
def test_what_goes_along_an_axis_is_numpys_statement_with_one_gradient_or_an_error(name, x, axis):
    def f(v):
        arguments = (v, 1) if name == "maxout" else (v,)
        return getattr(F, name)(*arguments, axis=axis)

    y = value_or_refusal(name, lambda: without_warnings(f, Variable(x)))
    assert (y is None) == (not is_right(axis, x.ndim))
    if y is None:
        return
    wide = x.astype(np.float64)
    assert_near(y.array, ALONG[name](wide, axis), x)
    gy = weights_like(y.array)
    got = without_warnings(gradient_of, f, x, gy)
    assert_near(got, gradient_of(f, np.array(wide, order="C"), gy.astype(np.float64)), x)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@EXAMPLES
@given(x=arrays(), axis=st.none() | ONE_AXIS)
def test_a_place_along_an_axis_is_numpys_or_an_error(name, x, axis):
    y = value_or_refusal(name, lambda: getattr(F, name)(Variable(x), axis))
    if not is_right(axis, x.ndim) or (x.size if axis is None else x.shape[axis]) == 0:
        assert y is None
    else:
        assert not y.requires_grad
        np.testing.assert_array_equal(y.array, getattr(np, name)(x, axis))


# -- matrices -------------------------------------------------------------------------------------

STACKS = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=2)


@EXAMPLES
@given(data=st.data(), transa=st.booleans(), transb=st.booleans())
def test_a_product_of_matrices_is_numpys_with_numerical_gradients_or_an_error(data, transa, transb):
    a, b = [data.draw(arrays(shape=STACKS, dtype="f8")) for _ in range(2)]

    def f(a, b):
        return F.matmul(a, b, transa, transb)

    c = value_or_refusal("matmul", lambda: f(Variable(a), Variable(b)))
    a_t, b_t = [
        np.swapaxes(x, -1, -2) if x.ndim > 1 and t else x for x, t in ((a, transa), (b, transb))
    ]
    try:
        expected = a_t @ b_t
    except ValueError:
        assert c is None
        return
    assert_near(c.array, expected, a)
    check_backward(f, (a, b))


@EXAMPLES
@given(data=st.data())
def test_a_tensor_product_is_numpys_with_numerical_gradients_or_an_error(data):
    a, b = [data.draw(arrays(shape=STACKS, dtype="f8")) for _ in range(2)]
    several = st.lists(st.integers(-3, 2), max_size=2).map(tuple)
    axes = data.draw(st.integers(-1, 3) | st.tuples(several, several) | several)
    c = value_or_refusal("tensordot", lambda: F.tensordot(Variable(a), Variable(b), axes))
    try:
        expected = np.tensordot(a, b, axes)
    except (ValueError, IndexError, TypeError):
        assert c is None
        return
    if c is None:  # what NumPy makes of axes below 0, or named twice
        assert np.size(axes) != len(set(np.ravel(axes))) or np.min(axes) < 0
        return
    assert_near(c.array, expected, a)
    check_backward(lambda a, b: F.tensordot(a, b, axes), (a, b))


@pytest.mark.parametrize(
    ("name", "statement"), [("inv", np.linalg.inv), ("det", np.linalg.det), ("cholesky", None)]
)
@settings(EXAMPLES, max_examples=25)
@given(data=st.data(), stack=array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2))
def test_what_is_made_of_square_matrices_is_numpys_with_numerical_gradients(
    name, statement, data, stack
):
    n = data.draw(st.integers(0, 3))
    a = data.draw(arrays((0.2, 0.5, -0.3), (*stack, n, n), st.sampled_from(["f4", "f8"])))
    symmetric = (a + np.swapaxes(a, -1, -2)) / 2 + 2 * np.eye(n, dtype=a.dtype)
    symmetric = np.asarray(symmetric, a.dtype)
    y = without_warnings(lambda: getattr(F, name)(Variable(symmetric)))
    assert_near(y.array, (statement or np.linalg.cholesky)(symmetric), a)
    check_backward(getattr(F, name), symmetric.astype(np.float64))


# -- normalization --------------------------------------------------------------------------------


def standardized(x, axis, eps):
    if not x.size:
        return x
    d = x - x.mean(axis=axis, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=axis, keepdims=True) + eps)


def gradients_agree(f, xs):
    """The kernel's gradients are those of the statement in ordinary functions."""
    xs = [Variable(x) for x in xs]
    y = f(*xs)
    plain, recorded = [
        dynet.grad(y, xs, weights_like(y.array), create_graph=c) for c in (False, True)
    ]
    for x, g, r in zip(xs, plain, recorded, strict=True):
        assert_near(r.array, g.array, x.array)


@EXAMPLES
@given(data=st.data(), axis=AXES, dtype=st.sampled_from(["f4", "f8"]))
def test_batch_normalization_is_numpys_statement_along_any_axes_or_an_error(data, axis, dtype):
    x = data.draw(arrays(shape=SHAPES, dtype=dtype))
    right = is_right(axis, x.ndim) and x.ndim > 0
    averaged = (0,) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    averaged = [a % x.ndim for a in averaged] if right else []
    key = tuple(n for i, n in enumerate(x.shape) if i not in averaged)
    gamma, beta = [data.draw(arrays(POSITIVE, key, dtype)) for _ in range(2)]

    def f(x, gamma, beta):
        return F.batch_normalization(x, gamma, beta, 0.5, axis=axis)

    y = value_or_refusal("batch_normalization", lambda: without_warnings(f, x, gamma, beta))
    assert (y is None) == (not right)
    if right:
        across = [1 if i in averaged else n for i, n in enumerate(x.shape)]
        expected = standardized(x.astype(np.float64), tuple(averaged), 0.5)
        expected = expected * gamma.reshape(across) + beta.reshape(across)
        assert_near(y.array, expected, x)
        gradients_agree(f, (x, gamma, beta))


@EXAMPLES
@given(data=st.data(), groups=st.integers(-1, 4), dtype=st.sampled_from(["f4", "f8"]))
def test_group_normalization_is_numpys_statement_or_an_error(data, groups, dtype):
    x = data.draw(arrays(dtype=dtype))
    gamma, beta = [data.draw(arrays(POSITIVE, x.shape[1:2], dtype)) for _ in range(2)]

    def f(x, gamma, beta):
        return F.group_normalization(x, groups, gamma, beta, 0.5)

    y = value_or_refusal("group_normalization", lambda: without_warnings(f, x, gamma, beta))
    right = x.ndim >= 2 and groups >= 1 and x.shape[1] % groups == 0
    assert (y is None) == (not right)
    if right:
        wide = x.astype(np.float64)
        if x.size:
            wide = standardized(wide.reshape(len(x) * groups, -1), 1, 0.5).reshape(x.shape)
        across = (-1, *(1,) * (x.ndim - 2)) if x.size else x.shape[1:2] + (1,) * (x.ndim - 2)
        assert_near(y.array, wide * gamma.reshape(across) + beta.reshape(across), x)
        gradients_agree(f, (x, gamma, beta))


# -- noise ----------------------------------------------------------------------------------------


@EXAMPLES
@given(
    x=arrays(dtype=st.sampled_from(["f4", "f8"])),
    ratio=st.sampled_from([0, 0.3, 0.9]),
    seed=st.integers(0, 2**64 - 1),
)
def test_dropout_drops_or_scales_and_its_gradient_does_the_same(x, ratio, seed):
    dynet.random.seed(seed)
    v = Variable(x)
    y = F.dropout(v, ratio)
    (gx,) = dynet.grad(y, v, np.ones(x.shape, x.dtype))
    assert np.isin(gx.array, np.array([0, 1 / (1 - ratio)], x.dtype)).all()
    assert_near(y.array, x * gx.array, x)


@EXAMPLES
@given(data=st.data(), ratio=st.sampled_from([0, 0.3, 0.9]), seed=st.integers(0, 2**64 - 1))
def test_zoneout_is_one_state_or_the_other_and_so_is_its_gradient(data, ratio, seed):
    h = data.draw(arrays(dtype=st.sampled_from(["f4", "f8"])))
    x = data.draw(arrays(POSITIVE, h.shape, h.dtype))
    dynet.random.seed(seed)
    v, w = Variable(h), Variable(x)
    y = F.zoneout(v, w, ratio)
    gh, gx = dynet.grad(y, [v, w], np.ones(h.shape, h.dtype))
    np.testing.assert_array_equal(gh.array + gx.array, np.ones(h.shape))
    np.testing.assert_array_equal(y.array, np.where(gh.array == 1, h, x))


# -- the ends of the range ----------------------------------------------------------------------

ENDS = -np.inf, -1e30, -1e-320, -0.0, 0.0, 1e-320, 1e30, np.inf
# For each of the ends the value, and the slope.
AT_THE_ENDS = {
    "relu": (F.relu, [0, 0, 0, 0, 0, 1e-320, 1e30, np.inf], [0, 0, 0, 0, 0, 1, 1, 1]),
    "relu6": (F.relu6, [0, 0, 0, 0, 0, 1e-320, 6, 6], [0, 0, 0, 0, 0, 1, 0, 0]),
    "leaky_relu": (
        lambda x: F.leaky_relu(x, 0.5),
        [-np.inf, -5e29, -5e-321, 0, 0, 1e-320, 1e30, np.inf],
        [0.5, 0.5, 0.5, 1, 1, 1, 1, 1],
    ),
    "sigmoid": (F.sigmoid, [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1], [0, 0, *[0.25] * 4, 0, 0]),
    "hard_sigmoid": (F.hard_sigmoid, [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1], [0, 0, *[0.2] * 4, 0, 0]),
    "tanh": (F.tanh, [-1, -1, -1e-320, -0.0, 0, 1e-320, 1, 1], [0, 0, 1, 1, 1, 1, 0, 0]),
    "softplus": (
        F.softplus,
        [0, 0, *[np.log(2)] * 4, 1e30, np.inf],
        [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1],
    ),
    "elu": (F.elu, [-1, -1, -1e-320, -0.0, 0, 1e-320, 1e30, np.inf], [0, 0, *[1] * 6]),
    "silu": (
        F.silu,
        [None, -0.0, -5e-321, -0.0, 0, 5e-321, 1e30, np.inf],
        [None, 0, *[0.5] * 4, 1, None],
    ),
    "gelu": (
        F.gelu,
        [None, -0.0, -5e-321, -0.0, 0, 5e-321, 1e30, np.inf],
        [None, 0, *[0.5] * 4, 1, None],
    ),
    "gelu by tanh": (
        lambda x: F.gelu(x, "tanh"),
        [None, -0.0, -5e-321, -0.0, 0, 5e-321, 1e30, np.inf],
        [0, 0, *[0.5] * 4, 1, 1],
    ),
    "erf": (
        F.erf,
        [-1, -1, -1e-320, -0.0, 0, 1e-320, 1, 1],
        [0, 0, *[2 / np.sqrt(np.pi)] * 4, 0, 0],
    ),
    "erfc": (F.erfc, [2, 2, 1, 1, 1, 1, 0, 0], [0, 0, *[-2 / np.sqrt(np.pi)] * 4, 0, 0]),
    "arctan": (
        F.arctan,
        [-np.pi / 2, -np.pi / 2, -1e-320, -0.0, 0, 1e-320, np.pi / 2, np.pi / 2],
        [0, 1e-60, 1, 1, 1, 1, 1e-60, 0],
    ),
    "absolute": (
        abs,
        [np.inf, 1e30, 1e-320, 0, 0, 1e-320, 1e30, np.inf],
        [-1, -1, -1, 0, 0, 1, 1, 1],
    ),
    "clip": (
        lambda x: F.clip(x, -1, 1),
        [-1, -1, -1e-320, -0.0, 0, 1e-320, 1, 1],
        [0, 0, 1, 1, 1, 1, 0, 0],
    ),
    "sqrt": (
        lambda x: F.sqrt(abs(x)),
        [np.inf, 1e15, None, None, None, None, 1e15, np.inf],
        [0, -5e-16, None, None, None, None, 5e-16, 0],
    ),
    "exp": (F.exp, [0, 0, 1, 1, 1, 1, None, np.inf], [0, 0, 1, 1, 1, 1, None, np.inf]),
}


def in_format(numbers, dtype):
    """As an array; what is denormal is that in float32 too."""
    small = dtype == np.float32
    return np.array([v * 1e280 if small and abs(v) < 1e-300 else v for v in numbers], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", AT_THE_ENDS)
def test_at_the_ends_of_the_range_value_and_slope_are_the_limits(name, dtype):
    f, values, slopes = AT_THE_ENDS[name]
    places = [i for i in range(8) if values[i] is not None and slopes[i] is not None]
    x, values, slopes = [in_format([a[i] for i in places], dtype) for a in (ENDS, values, slopes)]
    atol = float(np.finfo(dtype).tiny)
    v = Variable(x)
    y = without_warnings(f, v)
    np.testing.assert_allclose(y.array, values, 1e-6, atol)
    for recorded in False, True:
        (gx,) = without_warnings(dynet.grad, y, v, np.ones_like(x), create_graph=recorded)
        np.testing.assert_allclose(gx.array, slopes, 1e-6, atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(set(AT_THE_ENDS) - {"exp", "sqrt"}))
def test_far_out_second_derivatives_are_finite(name, dtype):
    v = Variable(np.array([-1e30, -1e4, -200, 200, 1e4, 1e30], dtype))
    (gx,) = dynet.grad(AT_THE_ENDS[name][0](v), v, np.ones(6, dtype), create_graph=True)
    (ggx,) = without_warnings(dynet.grad, gx, v, np.ones(6, dtype)) if gx.requires_grad else (None,)
    if ggx is not None:
        np.testing.assert_allclose(ggx.array, np.zeros(6), atol=1e-6)


UNARY = {name: f for name, (f, _, _) in ELEMENTWISE.items()}
FLAT = {"sign", "floor", "ceil", "fix"}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(set(UNARY) - FLAT))
def test_the_gradient_is_the_same_in_both_orders_at_the_ends_and_at_nan(name, dtype):
    with np.errstate(all="ignore"):
        v = Variable(np.array([*ENDS, np.nan]).astype(dtype))
        y = UNARY[name](v)
        plain, recorded = [
            dynet.grad(y, v, np.ones_like(v.array), create_graph=c)[0] for c in (False, True)
        ]
    np.testing.assert_allclose(recorded.array, plain.array, 1e-2 if dtype == np.float16 else 1e-5)


# -- NaN ----------------------------------------------------------------------------------------

PLACES = {"argmax", "argmin"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(set(OF_ONE_ARRAY) - PLACES))
def test_nan_is_carried_on(name, dtype):
    x = np.array([[0.5, 0.25], [np.nan, 0.75]], dtype)
    dynet.random.seed(0)
    with np.errstate(invalid="ignore"):
        y = OF_ONE_ARRAY[name](x)
    assert np.isnan(y.array).any()


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_the_gradient_goes_to_the_operand_that_is_nan(name):
    x, y = Variable(np.array([np.nan, 1.0])), Variable(np.array([1.0, np.nan]))
    gx, gy = dynet.grad(getattr(F, name)(x, y), [x, y], np.ones(2))
    np.testing.assert_array_equal(gx.array, [1, 0])
    np.testing.assert_array_equal(gy.array, [0, 1])


def test_the_mean_of_many_numbers_of_float16_is_numpys():
    x = Variable(np.full(70000, 1.5, np.float16))
    y = without_warnings(F.mean, x)
    assert y.dtype == np.float16 and y.item() == 1.5
    (gx,) = without_warnings(dynet.grad, y, x)
    np.testing.assert_allclose(gx.array, 1 / 70000, rtol=1e-2)


def test_of_a_stack_of_matrices_only_the_determinant_of_the_one_with_nan_has_derivatives_of_nan():
    a = Variable(np.stack([np.eye(3), np.full((3, 3), np.nan)]))
    with np.errstate(invalid="ignore"):
        (ga,) = dynet.grad(F.det(a).sum(), a, create_graph=True)
        (gga,) = dynet.grad(ga.sum(), a)
    for g in ga.array, gga.array:
        np.testing.assert_array_equal(np.isnan(g), [np.full((3, 3), i) for i in (False, True)])


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_a_determinant_beyond_its_format_has_the_gradient_that_is_not(size):
    a = Variable(size * np.eye(2))
    with np.errstate(over="ignore"):
        (ga,) = dynet.grad(F.det(a), a)
    np.testing.assert_allclose(ga.array, size * np.eye(2), rtol=1e-12)


# -- kernels --------------------------------------------------------------------------------------

# What each takes: vectors, matrices, vectors of booleans, numbers, keys, a number of groups.
KERNELS = {
    "relu_forward": (activation.relu_forward, "mm"),
    "relu_backward": (activation.relu_backward, "mmm"),
    "sigmoid_forward": (activation.sigmoid_forward, "vv"),
    "sigmoid_backward": (activation.sigmoid_backward, "vvv"),
    "tanh_backward": (activation.tanh_backward, "vvv"),
    "silu_forward": (activation.silu_forward, "vv"),
    "silu_backward": (activation.silu_backward, "vvv"),
    "softplus_forward": (activation.softplus_forward, "v0v"),
    "softplus_backward": (activation.softplus_backward, "vv0v"),
    "elu_forward": (activation.elu_forward, "v00v"),
    "elu_backward": (activation.elu_backward, "vv00v"),
    "gelu_forward": (activation.gelu_forward, "vv"),
    "gelu_backward": (activation.gelu_backward, "vvv"),
    "leaky_relu_forward": (activation.leaky_relu_forward, "v0v"),
    "leaky_relu_backward": (activation.leaky_relu_backward, "vv0v"),
    "softmax_forward": (activation.softmax_forward, "mvm"),
    "softmax_backward": (activation.softmax_backward, "mmm"),
    "log_softmax_forward": (activation.log_softmax_forward, "mvm"),
    "log_softmax_backward": (activation.log_softmax_backward, "mmm"),
    "erf_forward": (error_function.erf_forward, "vv"),
    "erfc_forward": (error_function.erfc_forward, "vv"),
    "where_each": (arithmetic.where_each, "bvvv"),
    "product_of_others_to": (reduction.product_of_others_to, "mvm"),
    "cumprod_backward": (reduction.cumprod_backward, "mmm"),
    "dropout_to": (noise.dropout_to, "v0kkv"),
    "zoneout_to": (noise.zoneout_to, "vv0kkbv"),
    "features_forward": (normalization.features_forward, "mvv0mm"),
    "features_backward": (normalization.features_backward, "mvm0mmvv"),
    "maps_forward": (normalization.maps_forward, "mvv0mm"),
    "maps_backward": (normalization.maps_backward, "mvm0mmvv"),
    "groups_forward": (normalization.groups_forward, "mvvg0mm"),
    "groups_backward": (normalization.groups_backward, "mvmmg0mm"),
}


def fenced(shape, boolean):
    """An array in the middle of a larger one, which is all NaN around it (or true, of booleans)."""
    size = int(np.prod(shape))
    fence = np.full(size + 64, True if boolean else np.nan)
    inside = fence[32 : 32 + size].reshape(shape)
    inside[...] = False if boolean else 0.5
    return fence, inside


@pytest.mark.parametrize("name", KERNELS)
@EXAMPLES
@given(data=st.data())
def test_a_kernel_reads_and_writes_nothing_beyond_its_arrays_whatever_their_shapes(name, data):
    kernel, kinds = KERNELS[name]
    n, m = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    sides = st.sampled_from([n, n, m, m, 2])
    arguments, fences = [], []
    for kind in kinds:
        if kind in "vmb":
            shape = data.draw(st.tuples(sides, sides) if kind == "m" else st.tuples(sides))
            fence, argument = fenced(shape, kind == "b")
            fences.append(fence)
        elif kind == "g":
            argument = data.draw(st.integers(-1, 4))
        else:
            argument = np.uint64(1) if kind == "k" else 0.5
        arguments.append(argument)
    try:
        kernel(*arguments)
    except ValueError:
        pass
    for fence in fences:
        around = np.concatenate([fence[:32], fence[-32:]])
        assert around.all() if fence.dtype == bool else np.isnan(around).all()
        assert fence.dtype == bool or not np.isnan(fence[32:-32]).any()
