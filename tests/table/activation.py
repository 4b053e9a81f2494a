"""Rows of activations."""

import math

import numpy as np

import dynet.functions as F

from .row import Row, elementwise, exactly, inputs, torch_function, x

ERF = np.vectorize(math.erf, otypes=[float])

# Far out on both sides.
FAR = inputs(exactly([-50.0, -12.0, -3.5, 3.5, 12.0, 50.0]))


def wide(*shape):
    """Numbers of both signs from 1 to 7."""
    return lambda rng: x(*shape)(rng) * 3.5


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _softmax(x, axis=1):
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


def _log_softmax(x, axis=1):
    return x - np.logaddexp.reduce(x, axis=axis, keepdims=True)


def _elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


def _gelu(x):
    return x * (1 + ERF(x / math.sqrt(2))) / 2


def _gelu_tanh(x):
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def _crelu(axis):
    return lambda x: np.maximum(np.concatenate([x, -x], axis), 0)


def _torch_crelu(x):
    import torch

    return torch.relu(torch.cat([x, -x], 1))


def _spread(x, W):
    """A parameter from the second axis of ``x`` on."""
    return W[(None, *[slice(None)] * W.ndim, *[None] * (x.ndim - 1 - W.ndim))]


def _prelu(x, W):
    return np.where(x > 0, x, x * _spread(x, W))


def _swish(x, beta):
    return x / (1 + np.exp(-_spread(x, beta) * x))


def _torch_swish(x, beta):
    return x * (_spread(x, beta) * x).sigmoid()


def _maxout(x, pool_size):
    return np.max([x[:, i::pool_size] for i in range(pool_size)], axis=0)


def _torch_maxout(x):
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, *x.shape[2:]).amax(2)


PARAMETERS = (
    inputs(x(2, 3), x(3)),
    inputs(x(2, 3, 2), x(3, 2)),
    inputs(x(2, 3, 2), x(3)),
    inputs(x(4, 2), x()),
    inputs(x(0, 3), x(3)),
)
ROWS_OF_X = (inputs(x(3, 4)), inputs(x(2, 3, 2)), inputs(x(1, 1)), inputs(x(0, 3)), inputs(x(2, 0)))


def _along_an_axis(name, function, numpy):
    return [
        Row(
            name,
            function,
            ROWS_OF_X,
            numpy,
            torch_function(name, dim=1),
            bench=lambda n, m: inputs(x(n, m)),
        ),
        Row(
            f"{name}: the first axis",
            lambda x: function(x, axis=0),
            (inputs(x(4)), inputs(x(3, 2)), inputs(x(3, 2, 2))),
            lambda x: numpy(x, 0),
            torch_function(name, dim=0),
        ),
        Row(
            f"{name}: a negative axis",
            lambda x: function(x, axis=-1),
            (inputs(x(2, 3, 2)), inputs(x(2, 0, 3))),
            lambda x: numpy(x, -1),
            torch_function(name, dim=-1),
        ),
        Row(
            f"{name}: scores far apart",
            function,
            inputs(exactly([[900.0, 0.0, 899.0], [-900.0, -901.0, 3.0]])),
            torch=torch_function(name, dim=1),
        ),
    ]


ROWS = [
    elementwise("relu", F.relu, lambda x: np.maximum(x, 0), torch_function("relu")),
    elementwise(
        "relu6", F.relu6, lambda x: np.minimum(np.maximum(x, 0), 6), torch_function("relu6"), wide
    ),
    elementwise(
        "clipped_relu",
        lambda x: F.clipped_relu(x, z=1.1),
        lambda x: np.clip(x, 0, 1.1),
        lambda x: x.clamp(0, 1.1),
    ),
    Row("clipped_relu: far", F.clipped_relu, FAR, lambda x: np.clip(x, 0, 20)),
    Row(
        "crelu",
        F.crelu,
        (inputs(x(3, 4)), inputs(x(2, 1, 3)), inputs(x(0, 3)), inputs(x(2, 0))),
        _crelu(1),
        _torch_crelu,
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "crelu: axis",
        lambda x: F.crelu(x, axis=-3),
        (inputs(x(2, 1, 3)),),
        _crelu(0),
    ),
    elementwise("elu", F.elu, _elu, torch_function("elu")),
    elementwise(
        "elu: alpha", lambda x: F.elu(x, 0.3), lambda x: _elu(x, 0.3), torch_function("elu", 0.3)
    ),
    Row("elu: far", F.elu, FAR, torch=torch_function("elu")),
    elementwise("selu", F.selu, torch=torch_function("selu")),
    elementwise(
        "selu: alpha and scale", lambda x: F.selu(x, 2, 3), lambda x: 3 * _elu(x, 2), rtol=1e-12
    ),
    elementwise("leaky_relu", F.leaky_relu, torch=torch_function("leaky_relu", 0.2)),
    elementwise(
        "leaky_relu: slope",
        lambda x: F.leaky_relu(x, slope=-0.5),
        lambda x: np.where(x > 0, x, -0.5 * x),
        torch_function("leaky_relu", -0.5),
    ),
    Row(
        "prelu",
        F.prelu,
        PARAMETERS,
        _prelu,
        bench=lambda n, m: inputs(x(n, m), x(m)),
    ),
    Row(
        "prelu: of channels",
        F.prelu,
        (inputs(x(2, 3), x(3)), inputs(x(2, 3, 2), x(3))),
        torch=torch_function("prelu"),
        bench=lambda n, m: inputs(x(n, m), x(m)),
    ),
    elementwise("sigmoid", F.sigmoid, _sigmoid, torch_function("sigmoid")),
    Row("sigmoid: far", F.sigmoid, FAR, _sigmoid, torch_function("sigmoid")),
    elementwise(
        "hard_sigmoid",
        F.hard_sigmoid,
        lambda x: np.minimum(np.maximum(0.2 * x + 0.5, 0), 1),
        lambda x: (0.2 * x + 0.5).clamp(0, 1),
        wide,
    ),
    elementwise("tanh", F.tanh, np.tanh, torch_function("tanh")),
    Row("tanh: far", F.tanh, FAR, np.tanh, torch_function("tanh")),
    elementwise(
        "softplus", F.softplus, lambda x: np.log(1 + np.exp(x)), torch_function("softplus")
    ),
    elementwise(
        "softplus: beta",
        lambda x: F.softplus(x, beta=3),
        lambda x: np.log(1 + np.exp(3 * x)) / 3,
        torch_function("softplus", 3),
        rtol=1e-12,
    ),
    Row("softplus: far", F.softplus, FAR, lambda x: np.logaddexp(x, 0)),
    *_along_an_axis("softmax", F.softmax, _softmax),
    *_along_an_axis("log_softmax", F.log_softmax, _log_softmax),
    Row(
        "maxout",
        lambda x: F.maxout(x, 2),
        (inputs(x(3, 4)), inputs(x(2, 6, 2)), inputs(x(0, 2))),
        lambda x: _maxout(x, 2),
        _torch_maxout,
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "maxout: axis",
        lambda x: F.maxout(x, 3, axis=-2),
        inputs(x(2, 3, 2)),
        lambda x: _maxout(x, 3),
    ),
    Row("maxout: all", lambda x: F.maxout(x, 4), inputs(x(3, 4)), lambda x: x.max(1)[:, None]),
    Row(
        "swish",
        F.swish,
        PARAMETERS,
        _swish,
        _torch_swish,
        bench=lambda n, m: inputs(x(n, m), x(m)),
    ),
    Row(
        "swish: far", F.swish, inputs(exactly([[-800.0, 800.0]]), exactly(1.5)), torch=_torch_swish
    ),
    elementwise("gelu", F.gelu, _gelu, torch_function("gelu"), rtol=1e-12),
    Row("gelu: far", F.gelu, FAR, torch=torch_function("gelu")),
    elementwise(
        "gelu: tanh",
        lambda x: F.gelu(x, approximate="tanh"),
        _gelu_tanh,
        torch_function("gelu", approximate="tanh"),
        rtol=1e-12,
    ),
    Row(
        "gelu: tanh, far",
        lambda x: F.gelu(x, "tanh"),
        FAR,
        torch=torch_function("gelu", approximate="tanh"),
    ),
    elementwise("silu", F.silu, lambda x: x * _sigmoid(x), torch_function("silu")),
    Row("silu: far", F.silu, FAR, torch=torch_function("silu")),
]
