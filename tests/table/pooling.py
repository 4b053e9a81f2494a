"""Rows of pooling."""

import numpy as np

import dynet.functions as F

from .row import Row, distinct, inputs, torch_function, x


def pooled(reduce, x, kernel, stride, pad, out, beyond):
    """One number for each window, of an image with so many of ``beyond`` on each side."""
    (kh, kw), (sy, sx), (ph, pw) = kernel, stride, pad
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph + sy), (pw, pw + sx)), constant_values=beyond)
    y = np.zeros((*x.shape[:2], *out))
    for u, v in np.ndindex(*out):
        y[:, :, u, v] = reduce(x[:, :, u * sy : u * sy + kh, v * sx : v * sx + kw], axis=(2, 3))
    return y


def unpooled(x, kernel, stride, pad, size):
    """Each element added to its window, and what lies beyond the size cut off."""
    (kh, kw), (sy, sx), (ph, pw) = kernel, stride, pad
    y = np.zeros((*x.shape[:2], size[0] + 2 * ph + kh + sy, size[1] + 2 * pw + kw + sx))
    for u, v in np.ndindex(*x.shape[2:]):
        y[:, :, u * sy : u * sy + kh, v * sx : v * sx + kw] += x[:, :, u, v, None, None]
    return y[:, :, ph : ph + size[0], pw : pw + size[1]]


ROWS = [
    Row(
        "max_pooling_2d",
        lambda x: F.max_pooling_2d(x, 2),
        (inputs(distinct(2, 3, 4, 5)), inputs(distinct(1, 1, 1, 1)), inputs(x(0, 2, 4, 4))),
        lambda x: pooled(
            np.max, x, (2, 2), (2, 2), (0, 0), [-(-n // 2) for n in x.shape[2:]], -np.inf
        ),
        torch_function("max_pool2d", 2, ceil_mode=True),
        bench=lambda n, m: inputs(x(n, min(m, 32), 28, 28)),
    ),
    Row(
        "max_pooling_2d: windows that overlap",
        lambda x: F.max_pooling_2d(x, (3, 2), stride=(1, 2), pad=(1, 0)),
        inputs(distinct(2, 2, 4, 5)),
        lambda x: pooled(np.max, x, (3, 2), (1, 2), (1, 0), (4, 3), -np.inf),
        torch_function("max_pool2d", (3, 2), (1, 2), (1, 0), ceil_mode=True),
    ),
    Row(
        "max_pooling_2d: whole windows only",
        lambda x: F.max_pooling_2d(x, 3, stride=2, pad=1, cover_all=False),
        inputs(distinct(2, 2, 4, 5)),
        lambda x: pooled(np.max, x, (3, 3), (2, 2), (1, 1), (2, 3), -np.inf),
        torch_function("max_pool2d", 3, 2, 1),
    ),
    Row(
        "average_pooling_2d",
        lambda x: F.average_pooling_2d(x, 2),
        (inputs(x(2, 3, 4, 5)), inputs(x(1, 1, 2, 2)), inputs(x(0, 2, 4, 4))),
        lambda x: pooled(np.mean, x, (2, 2), (2, 2), (0, 0), [n // 2 for n in x.shape[2:]], 0),
        torch_function("avg_pool2d", 2),
        bench=lambda n, m: inputs(x(n, min(m, 32), 28, 28)),
    ),
    Row(
        "average_pooling_2d: zeros beyond the edges",
        lambda x: F.average_pooling_2d(x, (3, 2), stride=(1, 2), pad=1),
        inputs(x(2, 2, 4, 5)),
        lambda x: pooled(np.mean, x, (3, 2), (1, 2), (1, 1), (4, 3), 0),
        torch_function("avg_pool2d", (3, 2), (1, 2), 1),
    ),
    Row(
        "average_pooling_2d: nothing beyond the edges",
        lambda x: F.average_pooling_2d(x, 3, stride=2, pad=1, pad_value=None),
        inputs(x(2, 2, 4, 5)),
        lambda x: pooled(np.nanmean, x, (3, 3), (2, 2), (1, 1), (2, 3), np.nan),
        torch_function("avg_pool2d", 3, 2, 1, count_include_pad=False),
    ),
    Row(
        "unpooling_2d",
        lambda x: F.unpooling_2d(x, 2),
        (inputs(x(2, 3, 2, 3)), inputs(x(1, 1, 1, 1)), inputs(x(0, 2, 2, 2))),
        lambda x: unpooled(x, (2, 2), (2, 2), (0, 0), [2 * n - 1 for n in x.shape[2:]]),
        bench=lambda n, m: inputs(x(n, min(m, 32), 14, 14)),
    ),
    Row(
        "unpooling_2d: whole windows",
        lambda x: F.unpooling_2d(x, 2, cover_all=False),
        inputs(x(2, 2, 3, 2)),
        lambda x: x.repeat(2, axis=2).repeat(2, axis=3),
        torch_function("interpolate", scale_factor=2, mode="nearest"),
    ),
    Row(
        "unpooling_2d: windows that overlap",
        lambda x: F.unpooling_2d(x, (3, 2), stride=(2, 1), pad=(1, 0), cover_all=False),
        inputs(x(2, 2, 3, 2)),
        lambda x: unpooled(x, (3, 2), (2, 1), (1, 0), (5, 3)),
    ),
    Row(
        "unpooling_2d: a size asked for",
        lambda x: F.unpooling_2d(x, 3, stride=2, outsize=(6, 8)),
        inputs(x(2, 2, 3, 4)),
        lambda x: unpooled(x, (3, 3), (2, 2), (0, 0), (6, 8)),
    ),
]
