"""Rows of functions of shapes, axes, dtypes and devices."""

import numpy as np

import dynet.functions as F

from .row import Row, elementwise, inputs, torch_function, x


def _there_and_back(x):
    """To a wider dtype and back."""
    wider = np.float64 if x.dtype == np.float32 else np.longdouble
    return F.cast(F.cast(x, wider), x.dtype)


def _torch_there_and_back(x):
    import torch

    return x.to(torch.float64).to(x.dtype)


def _to_blocks(r):
    def to_blocks(X):
        n, channels, height, width = X.shape
        channels //= r**2
        y = np.empty((n, channels, height * r, width * r))
        for k, (i, j) in enumerate(np.ndindex(r, r)):
            y[:, :, i::r, j::r] = X[:, k * channels : (k + 1) * channels]
        return y

    return to_blocks


def _from_blocks(r):
    return lambda X: np.hstack([X[:, :, i::r, j::r] for i, j in np.ndindex(r, r)])


ROWS = [
    Row(
        "reshape",
        lambda x: F.reshape(x, (3, -1)),
        (inputs(x(2, 6)), inputs(x(3)), inputs(x(3, 0, 2))),
        lambda x: x.reshape(3, -1) if x.size else x.reshape(3, 0),
        lambda x: x.reshape(3, -1) if x.numel() else x.reshape(3, 0),
        bench=lambda n, m: inputs(x(3 * n, m)),
    ),
    Row("reshape: method", lambda x: x.reshape(6, 2), inputs(x(3, 4)), lambda x: x.reshape(6, 2)),
    elementwise("flatten", F.flatten, np.ravel, torch_function("flatten")),
    Row("flatten: method", lambda x: x.ravel(), inputs(x(2, 3)), lambda x: x.ravel()),
    Row(
        "expand_dims",
        lambda x: F.expand_dims(x, 0),
        (inputs(x(3, 4)), inputs(x(2)), inputs(x(0, 3))),
        lambda x: x[None],
        torch_function("unsqueeze", 0),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "expand_dims: the last axis",
        lambda x: F.expand_dims(x, -1),
        inputs(x(3, 4)),
        lambda x: x[..., None],
    ),
    Row(
        "expand_dims: several axes",
        lambda x: F.expand_dims(x, (0, -1)),
        inputs(x(3, 4)),
        lambda x: x[None, ..., None],
    ),
    Row(
        "squeeze",
        F.squeeze,
        (inputs(x(1, 3, 1)), inputs(x(3, 4)), inputs(x(1)), inputs(x(1, 0))),
        np.squeeze,
        torch_function("squeeze"),
        bench=lambda n, m: inputs(x(1, n, m)),
    ),
    Row(
        "squeeze: axes",
        lambda x: F.squeeze(x, (0, -1)),
        inputs(x(1, 1, 3, 1)),
        lambda x: x[0, ..., 0],
    ),
    Row("squeeze: method", lambda x: x.squeeze(-1), inputs(x(1, 3, 1)), lambda x: x[..., 0]),
    Row(
        "transpose",
        F.transpose,
        (inputs(x(2, 3, 4)), inputs(x()), inputs(x(0, 3))),
        np.transpose,
        lambda x: x.permute(tuple(reversed(range(x.ndim)))),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "transpose: axes",
        lambda x: F.transpose(x, (1, -1, 0)),
        inputs(x(2, 3, 4)),
        lambda x: x.transpose(1, 2, 0),
    ),
    Row("transpose: T", lambda x: x.T, inputs(x(3, 4)), lambda x: x.T),
    Row(
        "transpose: method",
        lambda x: x.transpose(-1, 0, 1),
        inputs(x(2, 3, 4)),
        lambda x: x.transpose(2, 0, 1),
    ),
    Row(
        "swapaxes",
        lambda x: F.swapaxes(x, 0, -1),
        (inputs(x(2, 3, 4)), inputs(x(3)), inputs(x(0, 3))),
        lambda x: np.einsum("i...j->j...i", x) if x.ndim > 1 else x,
        torch_function("swapaxes", 0, -1),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "swapaxes: method",
        lambda x: x.swapaxes(1, 2),
        inputs(x(2, 3, 4)),
        lambda x: x.transpose(0, 2, 1),
    ),
    Row(
        "moveaxis",
        lambda x: F.moveaxis(x, 0, -1),
        (inputs(x(2, 3, 4)), inputs(x(3)), inputs(x(0, 3))),
        lambda x: np.einsum("i...->...i", x),
        torch_function("moveaxis", 0, -1),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "moveaxis: several axes",
        lambda x: F.moveaxis(x, (0, -1), (-1, 1)),
        inputs(x(2, 3, 4, 5)),
        lambda x: x.transpose(1, 3, 2, 0),
    ),
    Row(
        "rollaxis",
        lambda x: F.rollaxis(x, -1),
        (inputs(x(2, 3, 4)), inputs(x(3)), inputs(x(0, 3))),
        lambda x: np.einsum("...i->i...", x),
        torch_function("moveaxis", -1, 0),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    *[
        Row(
            f"rollaxis: {axis} before {start}",
            lambda x, axis=axis, start=start: F.rollaxis(x, axis, start),
            inputs(x(2, 3, 4)),
            lambda x, axis=axis, start=start: np.rollaxis(x, axis, start),
        )
        for axis, start in ((0, 3), (2, 1), (1, 2), (-3, -1), (1, -3))
    ],
    Row(
        "broadcast_to",
        lambda x: F.broadcast_to(x, (2, 3, 4)),
        (inputs(x(3, 1)), inputs(x()), inputs(x(2, 1, 4)), inputs(x(2, 3, 4))),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
    ),
    Row(
        "broadcast_to: nothing",
        lambda x: F.broadcast_to(x, (0, 3)),
        (inputs(x(3)), inputs(x(0, 1))),
        lambda x: np.broadcast_to(x, (0, 3)),
    ),
    Row(
        "broadcast_to: rows",
        lambda x: F.broadcast_to(x, (128, x.shape[-1])),
        inputs(x(3)),
        lambda x: np.broadcast_to(x, (128, 3)),
        lambda x: x.broadcast_to((128, x.shape[-1])),
        bench=lambda n, m: inputs(x(m)),
    ),
    Row(
        "broadcast",
        F.broadcast,
        (
            inputs(x(3, 1), x(2, 1, 4)),
            inputs(x(2), x(), x(1)),
            inputs(x(0, 1), x(3)),
            inputs(x(2, 3)),
        ),
        lambda *xs: np.broadcast_arrays(*xs),
        torch_function("broadcast_tensors"),
        bench=lambda n, m: inputs(x(n, 1), x(n, m)),
    ),
    elementwise("cast", _there_and_back, lambda x: x, _torch_there_and_back),
    Row(
        "cast: method",
        lambda x: (x * 2).astype(x.dtype),
        inputs(x(3, 4)),
        lambda x: x * 2,
    ),
    elementwise("copy", lambda x: F.copy(x, "cpu"), lambda x: x, lambda x: x.to("cpu") * 1),
    # Of one channel, which PyTorch lays out in the same order.
    Row(
        "depth2space",
        lambda X: F.depth2space(X, 2),
        (inputs(x(2, 4, 2, 3)), inputs(x(1, 4, 1, 1))),
        _to_blocks(2),
        torch_function("pixel_shuffle", 2),
        bench=lambda n, m: inputs(x(n, 4, m // 10, 10)),
    ),
    Row(
        "depth2space: several channels",
        lambda X: F.depth2space(X, 3),
        (inputs(x(2, 18, 1, 2)), inputs(x(0, 9, 1, 2))),
        _to_blocks(3),
    ),
    Row(
        "space2depth",
        lambda X: F.space2depth(X, 2),
        (inputs(x(2, 1, 4, 6)), inputs(x(1, 1, 2, 2))),
        _from_blocks(2),
        torch_function("pixel_unshuffle", 2),
        bench=lambda n, m: inputs(x(n, 1, m // 5, 20)),
    ),
    Row(
        "space2depth: several channels",
        lambda X: F.space2depth(X, 3),
        (inputs(x(2, 2, 3, 6)), inputs(x(0, 2, 3, 6))),
        _from_blocks(3),
    ),
]
