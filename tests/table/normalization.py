"""Rows of normalization."""

import numpy as np

import dynet.functions as F
from dynet.backend import get_array_module

from .row import Row, exactly, inputs, positive, torch_function, x


def _normalized(x, axis, eps):
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)


def _composed(axis, eps):
    """Normalization put together from plain functions, for matrices."""

    def call(x, gamma, beta):
        d = x - F.mean(x, axis=axis, keepdims=True)
        var = F.mean(d * d, axis=axis, keepdims=True)
        return d / np.sqrt(var + eps) * gamma + beta

    return call


def _groups_composed(x, gamma, beta):
    d = x.reshape(2 * len(x), -1)
    d = d - F.mean(d, axis=1, keepdims=True)
    var = F.mean(d * d, axis=1, keepdims=True)
    return (d / np.sqrt(var + 1e-5)).reshape(x.shape) * gamma + beta


def _torch_batch_norm(x, gamma, beta, mean=None, var=None, eps=2e-5):
    import torch

    return torch.nn.functional.batch_norm(x, mean, var, gamma, beta, mean is None, 0.1, eps)


def _torch_layer_norm(x, gamma, beta):
    import torch

    return torch.nn.functional.layer_norm(x, x.shape[1:], gamma, beta)


def _groups_of(groups):
    def ours(x, gamma, beta):
        return F.group_normalization(x, groups, gamma, beta)

    def torchs(x, gamma, beta):
        return torch_function("group_norm", groups, gamma, beta)(x)

    return ours, torchs


def _scale_and_shift(*shape):
    return x(*shape), x(*shape)


def _response(x, n=5, k=2, alpha=1e-4, beta=0.75):
    y = np.empty_like(x)
    for i in range(x.shape[1]):
        squares = (x[:, max(i - n // 2, 0) : i + n // 2 + 1] ** 2).sum(axis=1)
        y[:, i] = x[:, i] / (k + alpha * squares) ** beta
    return y


def _torch_unit(x):
    return x / (x.norm(dim=1, keepdim=True) + 1e-5)


def _fixed(x, gamma, beta):
    n, dtype, xp = len(gamma), gamma.dtype, get_array_module(x)
    mean, var = xp.linspace(-1, 1, n, dtype=dtype), xp.linspace(0.5, 2, n, dtype=dtype)
    return F.fixed_batch_normalization(x, gamma, beta, mean, var)


def _torch_fixed(x, gamma, beta):
    import torch

    n, dtype = len(gamma), gamma.dtype
    mean, var = torch.linspace(-1, 1, n, dtype=dtype), torch.linspace(0.5, 2, n, dtype=dtype)
    return _torch_batch_norm(x, gamma, beta, mean, var)


ROWS = [
    Row(
        "batch_normalization",
        F.batch_normalization,
        (
            inputs(x(4, 3), *_scale_and_shift(3)),
            inputs(x(2, 3, 5), *_scale_and_shift(3)),
            inputs(x(3, 2, 2, 3), *_scale_and_shift(2)),
            inputs(x(19, 2), *_scale_and_shift(2)),
        ),
        torch=_torch_batch_norm,
        composed=_composed(0, 2e-5),
        bench=lambda n, m: inputs(x(n, m), *_scale_and_shift(m)),
    ),
    Row(
        "batch_normalization: of nothing",
        F.batch_normalization,
        (
            inputs(x(0, 3), *_scale_and_shift(3)),
            inputs(x(3, 0), *_scale_and_shift(0)),
            inputs(x(2, 3, 0), *_scale_and_shift(3)),
        ),
        lambda x, gamma, beta: x,
    ),
    Row(
        "batch_normalization: a scale with two axes",
        F.batch_normalization,
        (
            inputs(x(4, 3, 2), *_scale_and_shift(3, 2)),
            inputs(x(3, 2, 3, 2), *_scale_and_shift(2, 3)),
        ),
        lambda x, gamma, beta: (
            _normalized(x, (0, *range(3, x.ndim)), 2e-5)
            * gamma.reshape(*gamma.shape, *[1] * (x.ndim - 3))
            + beta.reshape(*gamma.shape, *[1] * (x.ndim - 3))
        ),
    ),
    Row(
        "batch_normalization: the channels last",
        lambda x, gamma, beta: F.batch_normalization(x, gamma, beta, 1e-3, axis=(0, -2, 1)),
        inputs(x(2, 3, 2, 4), *_scale_and_shift(4)),
        lambda x, gamma, beta: _normalized(x, (0, 1, 2), 1e-3) * gamma + beta,
    ),
    Row(
        "batch_normalization: averaged over a middle axis",
        lambda x, gamma, beta: F.batch_normalization(x, gamma, beta, axis=1),
        inputs(x(2, 4, 3), *_scale_and_shift(2, 3)),
        lambda x, gamma, beta: _normalized(x, 1, 2e-5) * gamma[:, None] + beta[:, None],
    ),
    Row(
        "fixed_batch_normalization",
        F.fixed_batch_normalization,
        (
            inputs(x(4, 3), x(3), x(3), x(3), positive(3)),
            inputs(x(0, 3), x(3), x(3), x(3), positive(3)),
            inputs(x(2, 3, 4), x(3), x(3), x(3), positive(3)),
            inputs(x(2, 3, 4), x(3, 4), x(3, 4), x(3, 4), positive(3, 4)),
        ),
        lambda x, gamma, beta, mean, var: (
            (x.swapaxes(1, -1) - mean.T) / np.sqrt(var.T + 2e-5) * gamma.T + beta.T
        ).swapaxes(1, -1),
    ),
    Row(
        "fixed_batch_normalization: statistics that are constants",
        _fixed,
        (inputs(x(4, 3), *_scale_and_shift(3)), inputs(x(2, 3, 2), *_scale_and_shift(3))),
        torch=_torch_fixed,
        bench=lambda n, m: inputs(x(n, m), *_scale_and_shift(m)),
    ),
    Row(
        "fixed_batch_normalization: the channels first",
        lambda *arguments: F.fixed_batch_normalization(*arguments, eps=0.1, axis=-1),
        inputs(x(3, 4), x(3), x(3), x(3), positive(3)),
        lambda x, gamma, beta, mean, var: ((x.T - mean) / np.sqrt(var + 0.1) * gamma + beta).T,
    ),
    Row(
        "layer_normalization",
        F.layer_normalization,
        (
            inputs(x(4, 3), *_scale_and_shift(3)),
            inputs(x(0, 3), *_scale_and_shift(3)),
            inputs(x(2, 9), *_scale_and_shift(9)),
            inputs(x(2, 1), *_scale_and_shift(1)),
        ),
        lambda x, gamma, beta: _normalized(x, 1, 1e-5) * gamma + beta,
        _torch_layer_norm,
        composed=_composed(1, 1e-5),
        bench=lambda n, m: inputs(x(n, m), *_scale_and_shift(m)),
    ),
    Row(
        "layer_normalization: of no columns",
        F.layer_normalization,
        inputs(x(2, 0), *_scale_and_shift(0)),
        lambda x, gamma, beta: x,
    ),
    Row(
        "group_normalization",
        _groups_of(2)[0],
        (
            inputs(x(3, 4), *_scale_and_shift(4)),
            inputs(x(2, 6, 2), *_scale_and_shift(6)),
            inputs(x(2, 2, 2, 3), *_scale_and_shift(2)),
        ),
        torch=_groups_of(2)[1],
        composed=_groups_composed,
        bench=lambda n, m: inputs(x(n, m), *_scale_and_shift(m)),
    ),
    Row(
        "group_normalization: one group",
        _groups_of(1)[0],
        (inputs(x(2, 3), *_scale_and_shift(3)), inputs(x(2, 3, 2), *_scale_and_shift(3))),
        torch=_groups_of(1)[1],
    ),
    Row(
        "group_normalization: of nothing",
        _groups_of(2)[0],
        (inputs(x(0, 4, 3), *_scale_and_shift(4)), inputs(x(2, 4, 0), *_scale_and_shift(4))),
        lambda x, gamma, beta: x,
    ),
    Row(
        "local_response_normalization",
        F.local_response_normalization,
        (inputs(x(2, 7)), inputs(x(0, 3)), inputs(x(2, 6, 3)), inputs(x(1, 1, 2, 2))),
        _response,
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "local_response_normalization: other settings",
        lambda x: F.local_response_normalization(x, n=4, k=0.5, alpha=0.3, beta=1.5),
        (inputs(x(2, 7)), inputs(x(2, 2, 3))),
        lambda x: _response(x, 4, 0.5, 0.3, 1.5),
    ),
    Row(
        "local_response_normalization: as in PyTorch",
        lambda x: F.local_response_normalization(x, n=3, k=1, alpha=0.2 / 3),
        inputs(x(2, 6, 3)),
        torch=torch_function("local_response_norm", 3, alpha=0.2, k=1.0),
    ),
    Row(
        "normalize",
        F.normalize,
        (inputs(x(4, 3)), inputs(x(0, 3)), inputs(x(2, 0)), inputs(x(2, 3, 2))),
        lambda x: x / (np.sqrt((x**2).sum(axis=1, keepdims=True)) + 1e-5),
        _torch_unit,
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "normalize: two axes",
        lambda x: F.normalize(x, eps=0.1, axis=(-1, 0)),
        inputs(x(3, 2, 3)),
        lambda x: x / (np.sqrt((x**2).sum(axis=(0, 2), keepdims=True)) + 0.1),
    ),
    Row(
        "normalize: a vector of zeros",
        lambda x: F.normalize(x, eps=10.0),
        inputs(exactly(np.zeros((1, 3)))),
        lambda x: x,
        flat=True,
    ),
]
