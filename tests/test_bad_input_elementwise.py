"""What is no sensible argument of a function of elements, axes or matrices: one error by name."""

import numpy as np
import pytest
from numba.core.errors import TypingError

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import activation as activation_kernels

X = np.array([[-0.7, 0.2, 0.4], [0.2, 0.8, -0.1]])
ONE, ZERO = np.ones(3), np.zeros(3)


def ones_of(x):
    """A parameter for each column of an array; of anything else, the thing itself."""
    return np.ones(x.shape[1], x.dtype) if isinstance(x, np.ndarray) else x


FAMILIES = "activation", "arithmetic", "linear_algebra", "math", "noise", "normalization"
PLAIN = {name: getattr(F, name) for family in FAMILIES for name in getattr(F, family).__all__}
PLAIN |= {name: getattr(F, name) for name in F.reduction.__all__}
# With all arguments that it needs, where those are more than one.
OF_ONE_ARRAY = PLAIN | {
    "arctan2": lambda x: F.arctan2(x, x),
    "average": lambda x: F.average(x, weights=np.ones((2, 2), getattr(x, "dtype", float))),
    "batch_det": lambda x: F.batch_det(x[None] if isinstance(x, np.ndarray) else x),
    "batch_inv": lambda x: F.batch_inv(x[None] if isinstance(x, np.ndarray) else x),
    "batch_normalization": lambda x: F.batch_normalization(x, ones_of(x), ones_of(x)),
    "bias": lambda x: F.bias(x, ones_of(x)),
    "clip": lambda x: F.clip(x, -1, 1),
    "einsum": lambda x: F.einsum("ij,kj->ik", x, x),
    "fixed_batch_normalization": lambda x: F.fixed_batch_normalization(x, *[ones_of(x)] * 4),
    "fmod": lambda x: F.fmod(x, x),
    "gaussian": lambda x: F.gaussian(x, x),
    "group_normalization": lambda x: F.group_normalization(x, 1, ones_of(x), ones_of(x)),
    "layer_normalization": lambda x: F.layer_normalization(x, ones_of(x), ones_of(x)),
    "matmul": lambda x: F.matmul(x, x),
    "maximum": lambda x: F.maximum(x, x),
    "maxout": lambda x: F.maxout(x, 1),
    "minimum": lambda x: F.minimum(x, x),
    "prelu": lambda x: F.prelu(x, ones_of(x)),
    "scale": lambda x: F.scale(x, ones_of(x)),
    "squared_difference": lambda x: F.squared_difference(x, x),
    "swish": lambda x: F.swish(x, ones_of(x)),
    "tensordot": lambda x: F.tensordot(x, x),
    "where": lambda x: F.where(np.ones((2, 2), bool), x, x),
    "zoneout": lambda x: F.zoneout(x, x),
}
OPERATORS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "floor_div": lambda x, y: x // y,
    "mod": lambda x, y: x % y,
    "pow": lambda x, y: x**y,
}


def value_or_refusal(name, call):
    """What a call gives; ``None`` where it ends in an error that begins with the name."""
    try:
        return call()
    except (TypeError, ValueError) as error:
        assert str(error).startswith(f"{name}: "), repr(error)
        return None


@pytest.mark.parametrize("x", [[[1.0, 2.0]], None, "abc", {}, 1j, len], ids=str)
@pytest.mark.parametrize("name", OF_ONE_ARRAY)
def test_what_is_no_array_is_refused_by_name(name, x):
    with pytest.raises(TypeError, match=rf"^{name}: .* is .*, expected "):
        OF_ONE_ARRAY[name](x)


@pytest.mark.parametrize("dtype", ["U3", "S3", "M8[s]", "V4", "O"])
@pytest.mark.parametrize("name", OF_ONE_ARRAY)
def test_an_array_that_holds_no_numbers_is_refused_by_name(name, dtype):
    x = np.zeros((2, 2), dtype)
    y = value_or_refusal(name, lambda: OF_ONE_ARRAY[name](x))
    assert y is None or not y.requires_grad  # NumPy knows what a maximum of dates is


@pytest.mark.parametrize("dtype", ["U3", "S3", "M8[s]", "V4", "O", "c8"])
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_refuses_what_is_no_real_number(name, dtype):
    x = Variable(np.zeros((2, 2), dtype))
    with pytest.raises(TypeError, match=rf"^{name}: x is .* \(2, 2\), expected real numbers"):
        OPERATORS[name](x, x)


@pytest.mark.parametrize("dtype", ["c8", "?", "i1", "i4", "u8"])
@pytest.mark.parametrize("name", OF_ONE_ARRAY)
def test_of_what_is_not_floating_there_is_numpys_result_without_a_gradient_or_an_error(name, dtype):
    x = Variable(np.ones((2, 2), dtype))
    y = value_or_refusal(name, lambda: OF_ONE_ARRAY[name](x))
    assert y is None or not y.requires_grad


@pytest.mark.parametrize("function", ["absolute", "sum", "cumsum", "max", "prod"])
def test_a_number_is_no_array(function):
    for x in 1.0, 3, True:
        with pytest.raises(TypeError, match=rf"^{function}: x is {type(x).__name__}, expected an"):
            getattr(F, function)(x)


PAIRWISE = ["add", "maximum", "minimum", "fmod", "arctan2", "squared_difference", "where"]


def pairwise(name):
    if name == "where":
        return lambda x, y: F.where(np.ones(2, bool), x, y)
    return OPERATORS.get(name) or getattr(F, name)


@pytest.mark.parametrize("name", [*PAIRWISE, *OPERATORS])
@pytest.mark.parametrize(
    "y", [np.complex64(1j), np.str_("a"), np.bytes_(b"a"), np.datetime64(1, "s")], ids=repr
)
def test_a_scalar_of_numpy_that_is_no_real_number_is_refused(name, y):
    x = Variable(np.ones(2, np.float32))
    with pytest.raises(TypeError, match=rf"^{name}: y is {type(y).__name__}, expected a Variable"):
        pairwise(name)(x, y)


@pytest.mark.parametrize("name", [*PAIRWISE, *OPERATORS])
@pytest.mark.parametrize(
    "y", [np.longdouble(0.5), np.float16(0.5), np.uint8(2), np.True_], ids=repr
)
def test_a_real_scalar_of_numpy_decides_no_dtype(name, y):
    x = Variable(np.ones(2, np.float32))
    for z in pairwise(name)(x, y), pairwise(name)(y, x):
        assert z.dtype == np.float32


def test_a_sum_of_scalars_is_refused():
    for numbers in (np.float32(1),), (True,), (np.float32(1), 2.0):
        with pytest.raises(TypeError, match=r"^add: got .* operands, expected at least one array"):
            F.add(*numbers)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmod", "arctan2", "squared_difference"])
def test_of_two_scalars_there_is_numpys_result(name):
    for x, y in (np.float32(0.5), np.float64(2)), (0.5, 2), (np.float32(0.5), 2), (True, 2):
        expected = getattr(np, name, lambda a, b: (a - b) ** 2)(x, y)
        assert getattr(F, name)(x, y).item() == pytest.approx(float(expected))


def test_integers_to_a_negative_power_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^pow: x is int64 \(2,\), y is -1, .* floating"):
        Variable(np.ones(2, int)) ** -1


@pytest.mark.parametrize(
    ("y", "error"), [(np.ones(3), ValueError), ("a", TypeError), (None, TypeError)]
)
def test_a_comparison_that_makes_no_sense_is_refused_by_name(y, error):
    x = Variable(np.ones(2))
    for compare in (lambda: x < y), (lambda: np.less(x, y)):
        with pytest.raises(error, match=r"^less: x is float64 \(2,\), y is .*, expected"):
            compare()


# -- settings ---------------------------------------------------------------------------------


NOT_REAL = [None, "a", [1], (0,), 1j, np.nan, np.array(0.5), np.array([0.5, 0.5]), len]
NOT_POSITIVE = [*NOT_REAL, -1, -np.inf]
NOT_AN_AXIS = ["a", {}, True, 1.0, np.nan, 1j, 2, -3, np.int8(2), 10**9, [0], np.array([0, 1])]
NOT_ONE_AXIS = [*NOT_AN_AXIS, (0,), (0, 1), ()]
NOT_AXES = [*NOT_AN_AXIS, (0, 0), (-1, 1), (0, 5), (0.0,), ("a",), ((0,),), ([0],)]
NOT_A_RATIO = [*NOT_POSITIVE, 1, 2, 1.0, True]
NOT_A_COUNT = [*NOT_REAL, 0, -1, 2.0, True]
NOT_LIKE_X = [None, 0.5, "a", [0.5], X[0], X[:, :1], X.T, X.astype("f4"), X.astype(int), X[None]]
NOT_A_COLUMN = [None, 0.5, "a", [0.5], np.ones(1), np.ones(2), ONE[:, None], ONE.astype("f4"), X]


def zoneout(x, ratio):
    with dynet.using_config("train", False):
        return F.zoneout(x, x, ratio)


def batch(**settings):
    return F.batch_normalization(X, ONE, ZERO, **settings)


SETTINGS = {
    "leaky_relu: slope": (lambda s: F.leaky_relu(X, s), NOT_REAL),
    "clipped_relu: z": (lambda s: F.clipped_relu(X, s), [*NOT_POSITIVE, 0]),
    "elu: alpha": (lambda s: F.elu(X, s), NOT_REAL),
    "selu: alpha": (lambda s: F.selu(X, s), NOT_REAL),
    "selu: scale": (lambda s: F.selu(X, scale=s), NOT_REAL),
    "softplus: beta": (lambda s: F.softplus(X, s), [*NOT_REAL, 0, 0.0]),
    "gelu: approximate": (lambda s: F.gelu(X, s), [None, True, "erf", "", ["tanh"]]),
    "clip: x_min": (lambda s: F.clip(X, s, 1), NOT_REAL[1:]),
    "clip: x_max": (lambda s: F.clip(X, -1, s), NOT_REAL[1:]),
    "maxout: pool_size": (lambda s: F.maxout(X, s), [*NOT_A_COUNT, 2, 10**9]),
    "prelu: W": (lambda s: F.prelu(X, s), NOT_A_COLUMN),
    "swish: beta": (lambda s: F.swish(X, s), NOT_A_COLUMN),
    "bias: y": (lambda s: F.bias(X, s), NOT_A_COLUMN),
    "scale: y": (lambda s: F.scale(X, s), NOT_A_COLUMN),
    "bias: axis": (lambda s: F.bias(X, ONE, s), NOT_ONE_AXIS),
    "scale: axis": (lambda s: F.scale(X, ONE, s), NOT_ONE_AXIS),
    "where: condition": (lambda s: F.where(s, X, X), [None, 1, [True], X, X.astype(int)]),
    "average: weights": (
        lambda s: F.average(X, weights=s),
        [0.5, "a", [0.5], X[0], X.T, X.astype("f4"), X.astype(int)],
    ),
    "average: axis": (lambda s: F.average(X, s), NOT_AXES),
    "average: axis with weights": (lambda s: F.average(X, s, X), NOT_AXES),
    "matmul: a": (
        lambda s: F.matmul(s, X.T),
        [None, 0.5, "a", [0.5], np.array(0.5), X.T, X[0, :2]],
    ),
    "matmul: b": (lambda s: F.matmul(X, s), [None, 0.5, [0.5], np.array(0.5), X, X.T.astype("f4")]),
    "tensordot: axes": (
        lambda s: F.tensordot(X, X, s),
        [
            None,
            "a",
            0.5,
            True,
            -1,
            3,
            (0,),
            (0, 1),
            (0, 5),
            ((0, 0), (0, 1)),
            ((0, 1), 0),
            ("a", 0),
        ],
    ),
    "einsum: subscripts": (
        lambda s: F.einsum(s, X),
        [None, 1, X, "i", "ijk", "ij,ij", "i j->k", ""],
    ),
    "dropout: ratio": (lambda s: F.dropout(X, s), NOT_A_RATIO),
    "dropout: mask": (lambda s: F.dropout(X, mask=s), NOT_LIKE_X[1:]),
    "zoneout: ratio": (lambda s: F.zoneout(X, X, s), NOT_A_RATIO),
    "zoneout: ratio, where it does not train": (lambda s: zoneout(X, s), NOT_A_RATIO),
    "zoneout: h": (lambda s: F.zoneout(s, X), NOT_LIKE_X),
    "zoneout: x": (lambda s: F.zoneout(X, s), NOT_LIKE_X),
    "gaussian: mean": (lambda s: F.gaussian(s, X), NOT_LIKE_X),
    "gaussian: ln_var": (lambda s: F.gaussian(X, s), NOT_LIKE_X),
    "gaussian: eps": (lambda s: F.gaussian(X, X, eps=s), NOT_LIKE_X[1:]),
    "gumbel_softmax: tau": (lambda s: F.gumbel_softmax(X, s), [*NOT_POSITIVE, 0]),
    "batch_normalization: gamma": (lambda s: F.batch_normalization(X, s, ZERO), NOT_A_COLUMN),
    "batch_normalization: beta": (lambda s: F.batch_normalization(X, ONE, s), NOT_A_COLUMN),
    "batch_normalization: eps": (lambda s: batch(eps=s), NOT_POSITIVE),
    "batch_normalization: decay": (lambda s: batch(decay=s), [*NOT_POSITIVE, 1.5, np.inf]),
    "batch_normalization: running_mean": (
        lambda s: batch(running_mean=s),
        [0.5, "a", [0.5], np.ones(2), ONE.astype(int), X],
    ),
    "batch_normalization: running_var": (lambda s: batch(running_var=s), [0.5, np.ones(1)]),
    "batch_normalization: axis": (lambda s: batch(axis=s), [*NOT_AXES, 1, (), (0, 1)]),
    "fixed_batch_normalization: mean": (
        lambda s: F.fixed_batch_normalization(X, ONE, ZERO, s, ONE),
        NOT_A_COLUMN,
    ),
    "fixed_batch_normalization: eps": (
        lambda s: F.fixed_batch_normalization(X, ONE, ZERO, ONE, ONE, s),
        NOT_POSITIVE,
    ),
    "layer_normalization: gamma": (lambda s: F.layer_normalization(X, s, ZERO), NOT_A_COLUMN),
    "layer_normalization: eps": (lambda s: F.layer_normalization(X, ONE, ZERO, s), NOT_POSITIVE),
    "group_normalization: groups": (
        lambda s: F.group_normalization(X, s, ONE, ZERO),
        [*NOT_A_COUNT, 2, 6],
    ),
    "group_normalization: eps": (lambda s: F.group_normalization(X, 1, ONE, ZERO, s), NOT_POSITIVE),
    "local_response_normalization: n": (
        lambda s: F.local_response_normalization(X, s),
        NOT_A_COUNT,
    ),
    "local_response_normalization: k": (
        lambda s: F.local_response_normalization(X, k=s),
        NOT_REAL,
    ),
    "local_response_normalization: alpha": (
        lambda s: F.local_response_normalization(X, alpha=s),
        NOT_REAL,
    ),
    "local_response_normalization: beta": (
        lambda s: F.local_response_normalization(X, beta=s),
        NOT_REAL,
    ),
    "normalize: eps": (lambda s: F.normalize(X, s), NOT_POSITIVE),
    "normalize: axis": (lambda s: F.normalize(X, axis=s), NOT_AXES),
}
for name in "sum", "mean", "max", "min", "prod", "logsumexp":
    SETTINGS[f"{name}: axis"] = (lambda s, name=name: getattr(F, name)(X, s), NOT_AXES)
for name in "cumsum", "cumprod", "argmax", "argmin", "softmax", "log_softmax", "crelu":
    SETTINGS[f"{name}: axis"] = (lambda s, name=name: getattr(F, name)(X, s), NOT_ONE_AXIS)
SETTINGS["gumbel_softmax: axis"] = (lambda s: F.gumbel_softmax(X, axis=s), NOT_ONE_AXIS)
SETTINGS["maxout: axis"] = (lambda s: F.maxout(X, 1, s), NOT_ONE_AXIS)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, values) in SETTINGS.items() for value in values]
)
def test_an_argument_that_makes_no_sense_is_refused_by_name(name, value):
    function, _, argument = name.partition(": ")
    with pytest.raises((TypeError, ValueError)) as caught:
        SETTINGS[name][0](value)
    message = str(caught.value)
    assert message.startswith(f"{function}: ")
    assert argument.split()[0].strip(",") in message
    assert len(message) < 300


def test_a_running_statistic_that_cannot_be_written_to_is_refused_and_the_other_not_moved():
    mean, var = np.zeros(3), np.broadcast_to(np.ones(1), 3)
    with pytest.raises(ValueError, match=r"^batch_normalization: running_var .* read-only"):
        batch(running_mean=mean, running_var=var)
    np.testing.assert_array_equal(mean, 0)


NUMBERS_OF_NUMPY = {
    "clip": lambda x, s: F.clip(x, -s(0.5), s(0.5)),
    "dropout": lambda x, s: F.dropout(x, s(0.5)),
    "zoneout": lambda x, s: zoneout(x, s(0.5)),
    "gumbel_softmax": lambda x, s: F.gumbel_softmax(x, s(0.5)),
    "normalize": lambda x, s: F.normalize(x, s(0.5)),
    "local_response_normalization": lambda x, s: F.local_response_normalization(
        x, 3, s(2), s(0.5), s(0.5)
    ),
    "batch_normalization": lambda x, s: F.batch_normalization(x, x[0] + 1, x[0], s(0.5)),
    "fixed_batch_normalization": lambda x, s: F.fixed_batch_normalization(
        x, x[0] + 1, x[0], x[1], x[0] * x[0], s(0.5)
    ),
    "layer_normalization": lambda x, s: F.layer_normalization(x, x[0], x[1], s(0.5)),
    "group_normalization": lambda x, s: F.group_normalization(x, 3, x[0], x[1], s(0.5)),
}


@pytest.mark.parametrize("scalar", [np.float64, np.longdouble, np.float16])
@pytest.mark.parametrize("name", NUMBERS_OF_NUMPY)
def test_a_setting_that_is_a_number_of_numpy_leaves_float32_alone(name, scalar):
    array = X.astype(np.float32)
    assert NUMBERS_OF_NUMPY[name](array, scalar).dtype == np.float32
    x = Variable(array)
    y = NUMBERS_OF_NUMPY[name](x, scalar)
    (gx,), (recorded,) = [dynet.grad((y * y).sum(), x, create_graph=c) for c in (False, True)]
    (ggx,) = dynet.grad(recorded.sum(), x)
    assert y.dtype == gx.dtype == recorded.dtype == ggx.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
@pytest.mark.parametrize("name", ["inv", "det", "cholesky", "batch_inv", "batch_det"])
def test_a_dtype_that_lapack_does_not_know_is_refused_by_name(name, dtype):
    said = rf"^{name}: a is {np.dtype(dtype)}, expected float32 or float64"
    with pytest.raises(TypeError, match=said):
        getattr(F, name)(np.eye(2, dtype=dtype)[None])


@pytest.mark.parametrize("name", ["erf", "erfc", "gelu"])
def test_the_error_function_refuses_a_dtype_that_it_would_have_to_round(name):
    said = rf"^{name}: x is {np.dtype('longdouble')}, expected float16, float32 or float64"
    with pytest.raises(TypeError, match=said):
        getattr(F, name)(X.astype("longdouble"))


@pytest.mark.parametrize("name", ["batch_inv", "batch_det"])
def test_matrices_of_a_batch_that_are_not_square_are_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"^{name}: a has shape \(1, 2, 3\), expected square"):
        getattr(F, name)(X[None])


def test_an_array_without_axes_has_no_product():
    with pytest.raises(TypeError, match=r"^matmul: a is float64 \(\), expected an array with at"):
        F.matmul(np.ones(()), X)


@pytest.mark.parametrize("shape", [(3,), (2, 2), (2, 3, 1), (), (0, 3), (6,)])
def test_the_kernels_of_relu_refuse_arrays_of_another_shape(shape):
    like, other = np.zeros((2, 3)), np.zeros(shape)
    forward, backward = activation_kernels.relu_forward, activation_kernels.relu_backward
    for call in (
        lambda: forward(like, other),
        lambda: forward(other, like),
        lambda: backward(like, other, like),
        lambda: backward(other, like, like),
        lambda: backward(like, like, other),
    ):
        with pytest.raises((ValueError, TypingError)):
            call()
