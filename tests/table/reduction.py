"""Rows of reductions, and of what goes along an axis."""

import numpy as np

import dynet.functions as F

from .row import Row, distinct, elementwise, exactly, inputs, positive, torch_function, uniform, x


def over(build, *shapes):
    """A case of each shape."""
    return tuple(inputs(build(*shape)) for shape in shapes)


def extremum(name, function, numpy, torch):
    """The rows of the largest or smallest element."""
    return [
        Row(
            name,
            function,
            over(distinct, (3, 4), (), (5,), (2, 1, 3)),
            numpy,
            torch_function(torch),
            bench=lambda n, m: inputs(x(n, m)),
        ),
        Row(
            f"{name}: an axis",
            lambda x: function(x, -1),
            over(distinct, (3, 4), (0, 3), (2, 1, 3)),
            lambda x: numpy(x, -1),
            torch_function(torch, -1),
        ),
        Row(
            f"{name}: axes that stay",
            lambda x: function(x, (-1, 0), keepdims=True),
            over(distinct, (2, 3, 4), (1, 0, 3)),
            lambda x: numpy(x, (-1, 0), keepdims=True),
            torch_function(torch, (-1, 0), keepdim=True),
        ),
    ]


def place(name, function, numpy):
    """The rows of the place of the largest or smallest element."""
    return [
        Row(
            name,
            function,
            over(distinct, (3, 4), (), (2, 1, 3)),
            numpy,
            torch_function(name),
            flat=True,
            bench=lambda n, m: inputs(x(n, m)),
        ),
        Row(
            f"{name}: an axis",
            lambda x: function(x, axis=-1),
            over(distinct, (3, 4), (0, 3), (2, 1, 3)),
            lambda x: numpy(x, axis=-1),
            flat=True,
        ),
    ]


def near_one(n, m):
    """Inputs of a benchmark whose product neither overflows nor vanishes."""
    return inputs(uniform(0.99, 1.01, n, m))


def average_of_torch(x, weights):
    return (x * weights).sum() / weights.sum()


ROWS = [
    elementwise("sum", F.sum, np.sum, torch_function("sum")),
    Row(
        "sum: an axis",
        lambda x: F.sum(x, 1),
        over(x, (3, 4), (0, 3), (2, 0)),
        lambda x: x.sum(1),
    ),
    Row(
        "sum: axes that stay",
        lambda x: F.sum(x, (0, -1), keepdims=True),
        over(x, (2, 3, 4), (2, 0, 3)),
        lambda x: x.sum((0, -1), keepdims=True),
    ),
    Row("sum: no axes", lambda x: F.sum(x, ()), over(x, (2, 3), ()), lambda x: x),
    Row(
        "mean",
        F.mean,
        over(x, (3, 4), (), (2, 1, 3)),
        np.mean,
        torch_function("mean"),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "mean: an axis",
        lambda x: x.mean(axis=1),
        over(x, (3, 4), (0, 3), (2, 1, 3)),
        lambda x: x.mean(1),
    ),
    Row(
        "mean: axes that stay",
        lambda x: x.mean((-1, 0), keepdims=True),
        over(x, (2, 3, 4)),
        lambda x: x.mean((-1, 0), keepdims=True),
    ),
    Row(
        "average",
        lambda x, weights: F.average(x, weights=weights),
        tuple(inputs(x(*s), positive(*s)) for s in [(3, 4), (), (2, 1, 3)]),
        lambda x, weights: np.average(x, weights=weights),
        average_of_torch,
        bench=lambda n, m: inputs(x(n, m), positive(n, m)),
    ),
    Row(
        "average: an axis",
        lambda x, weights: F.average(x, 1, weights),
        (
            inputs(x(3, 4), positive(4)),
            inputs(x(0, 3), positive(3)),
            inputs(x(2, 3, 2), positive(2, 3, 2)),
        ),
        lambda x, weights: np.average(x, 1, weights),
    ),
    Row(
        "average: axes in another order that stay",
        lambda x, weights: F.average(x, (-1, 0), weights, keepdims=True),
        inputs(x(2, 3, 4), positive(4, 2)),
        lambda x, weights: (x * weights.T[:, None]).sum((0, 2), keepdims=True) / weights.sum(),
    ),
    Row("average: without weights", F.average, over(x, (3, 4), ()), np.average),
    *extremum("max", F.max, np.max, "amax"),
    *extremum("min", F.min, np.min, "amin"),
    elementwise("prod", F.prod, np.prod, torch_function("prod"), bench=near_one),
    Row(
        "prod: an axis",
        lambda x: F.prod(x, -1),
        over(x, (3, 4), (0, 3), (2, 0), (2, 1, 5)),
        lambda x: x.prod(-1),
        torch_function("prod", -1),
    ),
    Row(
        "prod: axes that stay",
        lambda x: F.prod(x, (2, 0), keepdims=True),
        over(x, (2, 3, 4), (2, 0, 3), (0, 2, 3)),
        lambda x: x.prod((2, 0), keepdims=True),
    ),
    Row(
        "prod: zeros",
        lambda x: F.prod(x, 1),
        inputs(exactly([[2.0, 3.0, 0.5, 4.0], [2.0, 0.0, 3.0, 1.5], [0.0, 2.0, 0.0, 3.0]])),
        lambda x: x.prod(1),
        torch_function("prod", 1),
    ),
    Row(
        "logsumexp",
        F.logsumexp,
        over(x, (3, 4), (), (2, 1, 3)),
        lambda x: np.log(np.exp(x).sum()),
        lambda x: x.reshape(-1).logsumexp(0),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "logsumexp: an axis",
        lambda x: F.logsumexp(x, -1),
        over(x, (3, 4), (0, 3), (2, 1, 3)),
        lambda x: np.log(np.exp(x).sum(-1)),
        torch_function("logsumexp", -1),
    ),
    Row(
        "logsumexp: axes",
        lambda x: F.logsumexp(x, (2, 0)),
        over(x, (2, 3, 4)),
        lambda x: np.log(np.exp(x).sum((2, 0))),
    ),
    Row(
        "cumsum",
        F.cumsum,
        over(x, (3, 4), (), (0, 3), (2, 1, 3)),
        np.cumsum,
        lambda x: x.reshape(-1).cumsum(0),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "cumsum: an axis",
        lambda x: F.cumsum(x, -2),
        over(x, (3, 4), (0, 3), (3, 0), (2, 1, 3)),
        lambda x: x.cumsum(-2),
        torch_function("cumsum", -2),
    ),
    Row(
        "cumprod",
        F.cumprod,
        over(x, (3, 4), (), (0, 3), (2, 1, 3)),
        np.cumprod,
        lambda x: x.reshape(-1).cumprod(0),
        bench=near_one,
    ),
    Row(
        "cumprod: an axis",
        lambda x: F.cumprod(x, -2),
        over(x, (3, 4), (0, 3), (3, 0), (2, 1, 3), (5, 2, 2)),
        lambda x: x.cumprod(-2),
        torch_function("cumprod", -2),
    ),
    Row(
        "cumprod: zeros",
        lambda x: F.cumprod(x, 1),
        inputs(exactly([[2.0, 3.0, 0.5, 4.0], [2.0, 0.0, 3.0, 1.5], [0.0, 2.0, 0.0, 3.0]])),
        lambda x: x.cumprod(1),
        torch_function("cumprod", 1),
    ),
    *place("argmax", F.argmax, np.argmax),
    *place("argmin", F.argmin, np.argmin),
    Row(
        "batch_l2_norm_squared",
        F.batch_l2_norm_squared,
        over(x, (3, 4), (0, 3), (2, 0), (2, 1, 3)),
        lambda x: (x.reshape(len(x), int(np.prod(x.shape[1:]))) ** 2).sum(1),
        lambda x: (x * x).sum(tuple(range(1, x.ndim))),
        bench=lambda n, m: inputs(x(n, m)),
    ),
]
