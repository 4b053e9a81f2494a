"""Normalization by mean and variance: over a batch, or over groups of the channels of each example.

The kernels may order the terms of a sum as they like, which lets them add up several at a time.
They go on counting NaN and infinity as such. A long sum of float32 is folded into float64 every
now and then. The variance is the mean square distance from the mean, in a second pass: the mean
square less the square of the mean would be all rounding errors where the mean is large.
"""

import math

import numpy as np
from numba import njit

from ..backend import is_cupy
from .arithmetic import check_compiled, readable, run, runnable
from .cuda import twin

_fast = njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})

# Whoever adds up more numbers of float32 than this goes on in float64.
STRETCH = np.uint64(4096)
# The same for sums of rows, where every number is its own sum's.
ROWS = 16

# Positions that are sums are unsigned: of others, Numba asks whether they count from the back.
_position = np.uint64


@_fast
def _total(x, i, at, size):
    """The sum of so many numbers in row ``i`` of ``x``, from the one ``at``."""
    total = 0.0
    end = at + size
    while at < end:
        part = x.dtype.type(0)
        for j in range(min(end - at, STRETCH)):
            part += x[i, at + j]
        total += part
        at += STRETCH
    return total


@_fast
def _squares(x, i, at, size, mean):
    """The sum of the squared distances from the mean."""
    total = 0.0
    end = at + size
    while at < end:
        part = x.dtype.type(0)
        for j in range(min(end - at, STRETCH)):
            d = x[i, at + j] - mean
            part += d * d
        total += part
        at += STRETCH
    return total


@_fast
def _products(x, gy, i, at, size, mean):
    """The sum of the gradient, and that of its products with the distances from the mean."""
    total, product = 0.0, 0.0
    end = at + size
    while at < end:
        g_part, p_part = x.dtype.type(0), x.dtype.type(0)
        for j in range(min(end - at, STRETCH)):
            g_part += gy[i, at + j]
            p_part += gy[i, at + j] * (x[i, at + j] - mean)
        total += g_part
        product += p_part
        at += STRETCH
    return total, product


@_fast
def _fold(part, total):
    """Move partial sums into the totals."""
    for j in range(part.size):
        total[j] += part[j]
        part[j] = 0


@_fast
def features_forward(x, gamma, beta, eps, y, stats):
    """Each column of ``x`` (N, C) normalized to ``y``; its mean and variance to ``stats`` (2, C).

    It goes row by row, several columns at a time.
    """
    rows, width = x.shape
    if gamma.size != width or beta.size != width or y.shape != x.shape or stats.shape != (2, width):
        raise ValueError("batch_normalization: the arrays' shapes do not agree")
    mean, var = stats[0], stats[1]
    count = max(rows, 1)
    part, total = np.zeros(width, x.dtype), np.zeros(width)
    for i in range(rows):
        row = x[i]
        for j in range(width):
            part[j] += row[j]
        if i % ROWS == ROWS - 1 or i == rows - 1:
            _fold(part, total)
    for j in range(width):
        mean[j] = total[j] / count
        total[j] = 0
    for i in range(rows):
        row = x[i]
        for j in range(width):
            d = row[j] - mean[j]
            part[j] += d * d
        if i % ROWS == ROWS - 1 or i == rows - 1:
            _fold(part, total)
    scale = part
    for j in range(width):
        var[j] = total[j] / count
        scale[j] = gamma[j] / math.sqrt(var[j] + eps)
    for i in range(rows):
        row, out = x[i], y[i]
        for j in range(width):
            out[j] = (row[j] - mean[j]) * scale[j] + beta[j]


@_fast
def features_backward(x, gamma, stats, eps, gy, gx, ggamma, gbeta):
    rows, width = x.shape
    if (
        gamma.size != width
        or stats.shape != (2, width)
        or gy.shape != x.shape
        or gx.shape != x.shape
        or ggamma.size != width
        or gbeta.size != width
    ):
        raise ValueError("batch_normalization: the arrays' shapes do not agree")
    mean, var = stats[0], stats[1]
    count = max(rows, 1)
    g_part, g_total = np.zeros(width, x.dtype), np.zeros(width)
    p_part, p_total = np.zeros(width, x.dtype), np.zeros(width)
    for i in range(rows):
        row, g = x[i], gy[i]
        for j in range(width):
            g_part[j] += g[j]
            p_part[j] += g[j] * (row[j] - mean[j])
        if i % ROWS == ROWS - 1 or i == rows - 1:
            _fold(g_part, g_total)
            _fold(p_part, p_total)
    g_mean, slope, scale = g_part, p_part, np.empty(width, x.dtype)
    for j in range(width):
        inv_std = 1 / math.sqrt(var[j] + eps)
        gbeta[j] = g_total[j]
        ggamma[j] = p_total[j] * inv_std
        scale[j] = gamma[j] * inv_std
        g_mean[j] = g_total[j] / count
        slope[j] = p_total[j] * inv_std * inv_std / count
    for i in range(rows):
        row, g, out = x[i], gy[i], gx[i]
        for j in range(width):
            out[j] = scale[j] * (g[j] - g_mean[j] - (row[j] - mean[j]) * slope[j])


@_fast
def maps_forward(x, gamma, beta, eps, y, stats):
    """The same for ``x`` (N * C, S), where a channel of an example has a row of S numbers.

    It goes channel by channel, so that a channel is in the cache after the first pass.
    """
    rows, channels = len(x), gamma.size
    if (
        channels == 0
        or rows % channels
        or beta.size != channels
        or y.shape != x.shape
        or stats.shape != (2, channels)
    ):
        raise ValueError("batch_normalization: the arrays' shapes do not agree")
    start, size = _position(0), _position(x.shape[1])
    count = max(x.size // channels, 1)
    for c in range(channels):
        total = 0.0
        for i in range(c, rows, channels):
            total += _total(x, i, start, size)
        mean = x.dtype.type(total / count)
        total = 0.0
        for i in range(c, rows, channels):
            total += _squares(x, i, start, size, mean)
        stats[0, c] = mean
        stats[1, c] = total / count
        scale = x.dtype.type(gamma[c] / math.sqrt(total / count + eps))
        shift = beta[c]
        for i in range(c, rows, channels):
            for j in range(size):
                y[i, j] = (x[i, j] - mean) * scale + shift


@_fast
def maps_backward(x, gamma, stats, eps, gy, gx, ggamma, gbeta):
    rows, channels = len(x), gamma.size
    if (
        channels == 0
        or rows % channels
        or stats.shape != (2, channels)
        or gy.shape != x.shape
        or gx.shape != x.shape
        or ggamma.size != channels
        or gbeta.size != channels
    ):
        raise ValueError("batch_normalization: the arrays' shapes do not agree")
    start, size = _position(0), _position(x.shape[1])
    count = max(x.size // channels, 1)
    for c in range(channels):
        mean = stats[0, c]
        inv_std = 1 / math.sqrt(stats[1, c] + eps)
        total, product = 0.0, 0.0
        for i in range(c, rows, channels):
            g, p = _products(x, gy, i, start, size, mean)
            total += g
            product += p
        gbeta[c] = total
        ggamma[c] = product * inv_std
        scale = x.dtype.type(gamma[c] * inv_std)
        g_mean = x.dtype.type(total / count)
        slope = x.dtype.type(product * inv_std * inv_std / count)
        for i in range(c, rows, channels):
            for j in range(size):
                gx[i, j] = scale * (gy[i, j] - g_mean - (x[i, j] - mean) * slope)


@njit(cache=True)
def _check_groups(rows, width, groups, gamma, stats):
    if groups < 1 or gamma.size % groups or width % max(gamma.size, 1):
        raise ValueError("group_normalization: the rows are no whole groups of channels")
    if (gamma.size == 0 and width > 0) or stats.shape != (rows, 2 * groups):
        raise ValueError("group_normalization: the arrays' shapes do not agree")


@_fast
def groups_forward(x, gamma, beta, groups, eps, y, stats):
    """Each group of channels of each row of ``x`` normalized to ``y``.

    A row is an example: its channels, as many as ``gamma`` and ``beta`` have numbers, follow one
    another. The groups' means and variances go to ``stats`` (rows, 2 * groups), in turns.
    """
    rows, width = x.shape
    _check_groups(rows, width, groups, gamma, stats)
    if beta.size != gamma.size or y.shape != x.shape:
        raise ValueError("group_normalization: the arrays' shapes do not agree")
    if x.size == 0:
        stats[:] = 0
        return
    count = width // groups
    channels, size = _position(gamma.size // groups), _position(width // gamma.size)
    for i in range(rows):
        for g in range(groups):
            first = _position(g) * channels
            end, start = first + channels, first * size
            mean = x.dtype.type(_total(x, i, start, _position(count)) / count)
            var = _squares(x, i, start, _position(count), mean) / count
            stats[i, 2 * g] = mean
            stats[i, 2 * g + 1] = var
            inv_std = x.dtype.type(1 / math.sqrt(var + eps))
            if size == 1:
                for c in range(first, end):
                    y[i, c] = (x[i, c] - mean) * inv_std * gamma[c] + beta[c]
            else:
                for c in range(first, end):
                    scale, shift = inv_std * gamma[c], beta[c]
                    at = c * size
                    for j in range(at, at + size):
                        y[i, j] = (x[i, j] - mean) * scale + shift


@_fast
def groups_backward(x, gamma, stats, gy, groups, eps, gx, sums):
    """The gradient of ``x``; and what the rows contribute to those of ``gamma`` and ``beta``.

    These go to ``sums``, (rows, 2 * channels) or, for the sum of all rows, (1, 2 * channels): of
    ``gamma`` first, then of ``beta``. It may end where those of ``beta`` begin, if they are ``gy``.
    """
    rows, width = x.shape
    _check_groups(rows, width, groups, gamma, stats)
    of_beta = sums.shape[1] == 2 * gamma.size
    if (
        gy.shape != x.shape
        or gx.shape != x.shape
        or not (of_beta or sums.shape[1] == gamma.size == width)
        or not (len(sums) == rows or len(sums) == 1)
    ):
        raise ValueError("group_normalization: the arrays' shapes do not agree")
    sums[:] = 0
    if x.size == 0:
        return
    count = width // groups
    channels, size = _position(gamma.size // groups), _position(width // gamma.size)
    for i in range(rows):
        row = sums[i if len(sums) == rows else 0]
        gammas, betas = row[: gamma.size], row[gamma.size :]
        for g in range(groups):
            mean = stats[i, 2 * g]
            inv_std = x.dtype.type(1 / math.sqrt(stats[i, 2 * g + 1] + eps))
            first = _position(g) * channels
            end = first + channels
            g_mean, slope = x.dtype.type(0), x.dtype.type(0)
            if size == 1:
                for c in range(first, end):
                    x_hat = (x[i, c] - mean) * inv_std
                    gammas[c] += gy[i, c] * x_hat
                    g_mean += gy[i, c] * gamma[c]
                    slope += gy[i, c] * gamma[c] * x_hat
                if of_beta:
                    for c in range(first, end):
                        betas[c] += gy[i, c]
            else:
                for c in range(first, end):
                    total, product = _products(x, gy, i, c * size, size, mean)
                    gammas[c] += product * inv_std
                    betas[c] += total
                    g_mean += total * gamma[c]
                    slope += product * inv_std * gamma[c]
            g_mean *= inv_std / count
            slope *= inv_std * inv_std / count
            if size == 1:
                for c in range(first, end):
                    scale = gamma[c] * inv_std
                    gx[i, c] = gy[i, c] * scale - g_mean - (x[i, c] - mean) * slope
            else:
                for c in range(first, end):
                    scale = gamma[c] * inv_std
                    at = c * size
                    for j in range(at, at + size):
                        gx[i, j] = gy[i, j] * scale - g_mean - (x[i, j] - mean) * slope


twin(
    groups_forward,
    "x",
    r"""
template <typename T> __device__ void groups_forward(
    long long row, int lane, Array<T> x, Array<T> gamma, Array<T> beta, long long groups,
    double eps, Array<T> y, Array<T> stats) {
    long long width = x.shape[1], channels = gamma.shape[0];
    long long count = width / groups, size = channels > 0 ? width / channels : 1;
    T n = T(count > 0 ? count : 1);
    for (long long g = 0; g < groups; g++) {
        long long first = g * count, at = row * width + first;
        T total = T(0), squares = T(0);
        for (long long j = lane; j < count; j += 32) total += x[at + j];
        T mean = warp_sum(total) / n;
        for (long long j = lane; j < count; j += 32) {
            T d = x[at + j] - mean;
            squares += d * d;
        }
        T var = warp_sum(squares) / n, inv_std = T(1) / sqrt(var + T(eps));
        if (lane == 0) {
            stats[(row * groups + g) * 2] = mean;
            stats[(row * groups + g) * 2 + 1] = var;
        }
        for (long long j = lane; j < count; j += 32) {
            long long c = size == 1 ? first + j : (first + j) / size;
            y[at + j] = (x[at + j] - mean) * inv_std * gamma[c] + beta[c];
        }
    }
}
""",
    by_rows=True,
)

# A thread adds up channels of its own, so that none writes where another does; for the same reason
# every row has sums of its own: of the sum of all rows, (1, 2 * channels), the twin knows nothing.
twin(
    groups_backward,
    "x",
    r"""
template <typename T> __device__ void groups_backward(
    long long row, int lane, Array<T> x, Array<T> gamma, Array<T> stats, Array<T> gy,
    long long groups, double eps, Array<T> gx, Array<T> sums) {
    long long width = x.shape[1], channels = gamma.shape[0];
    long long count = width / groups, size = channels > 0 ? width / channels : 1;
    bool of_beta = sums.shape[1] == 2 * channels;
    for (long long g = 0; g < groups; g++) {
        long long first = g * count, at = row * width + first;
        T mean = stats[(row * groups + g) * 2];
        T inv_std = T(1) / sqrt(stats[(row * groups + g) * 2 + 1] + T(eps));
        T g_mean = T(0), slope = T(0);
        for (long long c = lane; c < channels / groups; c += 32) {
            long long channel = g * (channels / groups) + c;
            T total = T(0), product = T(0);
            for (long long j = c * size; j < (c + 1) * size; j++) {
                total += gy[at + j];
                product += gy[at + j] * (x[at + j] - mean);
            }
            product *= inv_std;
            sums[row * sums.shape[1] + channel] = product;
            if (of_beta) sums[row * sums.shape[1] + channels + channel] = total;
            g_mean += total * gamma[channel];
            slope += product * gamma[channel];
        }
        g_mean = warp_sum(g_mean) * (inv_std / T(count > 0 ? count : 1));
        slope = warp_sum(slope) * (inv_std * inv_std / T(count > 0 ? count : 1));
        for (long long j = lane; j < count; j += 32) {
            long long c = size == 1 ? first + j : (first + j) / size;
            T scaled = gy[at + j] * (gamma[c] * inv_std);
            gx[at + j] = scaled - g_mean - (x[at + j] - mean) * slope;
        }
    }
}
""",
    by_rows=True,
)


def batch_normalization(x, gamma, beta, eps):
    """The channels of ``x`` normalized over the batch, scaled by ``gamma``, shifted by ``beta``.

    Args:
        x: ``(N, C)`` or ``(N, C, S)``.
        gamma, beta: ``(C,)``.
        eps (float): is added to the variance.

    Returns:
        tuple: the result, and the channels' means and variances, ``(2, C)``.
    """
    if type(x) is np.ndarray:
        y = np.empty(x.shape, x.dtype)
        stats = np.empty((2, gamma.size), x.dtype)
        gamma, beta = readable(gamma), readable(beta)
        if x.ndim == 2:
            check_compiled("batch_normalization", x)
            features_forward(readable(x), gamma, beta, eps, y, stats)
        elif gamma.size:
            check_compiled("batch_normalization", x)
            maps_forward(_maps(x), gamma, beta, eps, _maps(y), stats)
        return y, stats
    axes, across, count = _of_batch(x)
    mean = x.sum(axis=axes) / count
    d = x - across(mean)
    var = (d * d).sum(axis=axes) / count
    y = d * across(gamma / np.sqrt(var + eps)) + across(beta)
    return y, np.stack([mean, var])


def batch_normalization_grad(x, gamma, stats, eps, gy):
    """The gradients of ``x``, ``gamma`` and ``beta``; ``stats`` as ``batch_normalization`` gave."""
    if type(x) is np.ndarray:
        gx = np.empty(x.shape, x.dtype)
        ggamma, gbeta = np.empty(gamma.size, x.dtype), np.empty(gamma.size, x.dtype)
        gamma, stats = readable(gamma), readable(stats)
        if x.ndim == 2:
            x, gy = readable(x), readable(gy)
            features_backward(x, gamma, stats, eps, gy, gx, ggamma, gbeta)
        elif gamma.size:
            maps_backward(_maps(x), gamma, stats, eps, _maps(gy), _maps(gx), ggamma, gbeta)
        return gx, ggamma, gbeta
    axes, across, count = _of_batch(x)
    inv_std = 1 / np.sqrt(stats[1] + eps)
    x_hat = (x - across(stats[0])) * across(inv_std)
    gbeta, ggamma = gy.sum(axis=axes), (gy * x_hat).sum(axis=axes)
    inner = gy - across(gbeta / count) - x_hat * across(ggamma / count)
    gx = across(gamma * inv_std) * inner
    return gx, ggamma, gbeta


def _maps(x):
    """``(N, C, S)`` as ``(N * C, S)``; the elements lie in C order."""
    return readable(x).reshape(x.shape[0] * x.shape[1], x.shape[2])


def _of_batch(x):
    """The axes that a batch is summed over, how to lay numbers of channels across, the count."""
    count = max(len(x) * math.prod(x.shape[2:]), 1)
    if x.ndim == 2:
        return 0, lambda a: a, count
    return (0, 2), lambda a: a[:, None], count


def group_normalization(x, groups, gamma, beta, eps, function="group_normalization"):
    """Groups of each example's channels normalized, scaled by ``gamma``, shifted by ``beta``.

    Args:
        x: ``(N, C, ...)``.
        groups (int): how many groups the channels make.
        gamma, beta: ``(C,)``.
        eps (float): is added to the variance.
        function (str): who asks, for messages.

    Returns:
        tuple: the result, and the groups' means and variances, in turns, ``(N, 2 * groups)``.
    """
    if type(x) is np.ndarray:
        check_compiled(function, x)
        rows = _examples(x)
        y, stats = np.empty(rows.shape, x.dtype), np.empty((len(x), 2 * groups), x.dtype)
        rows, gamma, beta = map(readable, (rows, gamma, beta))
        groups_forward(rows, gamma, beta, groups, eps, y, stats)
        return y if x.ndim == 2 else y.reshape(x.shape), stats
    if runnable(x) and not _of_images(x):
        rows = _examples(x)
        outputs = [(rows.shape, x.dtype), ((len(x), 2 * groups), x.dtype)]
        y, stats = run(groups_forward, (rows, gamma, beta), outputs, (groups, eps), by_rows=True)
        return y.reshape(x.shape), stats
    rows = rows_of(x, groups)
    count = max(rows.shape[1], 1)
    mean = rows.sum(axis=1, keepdims=True) / count
    d = rows - mean
    var = (d * d).sum(axis=1, keepdims=True) / count
    x_hat = (d / np.sqrt(var + eps)).reshape(_channels(x))
    y = x_hat * gamma[:, None] + beta[:, None]
    stats = np.concatenate([mean, var], axis=1).reshape(len(x), 2 * groups)
    return y.reshape(x.shape), stats


def group_normalization_grad(x, groups, gamma, stats, eps, gy):
    """The gradients of ``x``, ``gamma`` and ``beta``; ``stats`` as ``group_normalization`` gave it.

    Of stand-ins it gives in place of the latter two what each example contributes to them,
    ``(N, C)``: all that is done here is done row by row.
    """
    channels = gamma.size
    if type(x) is np.ndarray:
        rows = _examples(x)
        gx, sums = np.empty(rows.shape, x.dtype), np.empty((1, 2 * channels), x.dtype)
        rows, gamma, stats, gy = map(readable, (rows, gamma, stats, _examples(gy)))
        groups_backward(rows, gamma, stats, gy, groups, eps, gx, sums)
        sums = sums[0]
        return gx if x.ndim == 2 else gx.reshape(x.shape), sums[:channels], sums[channels:]
    if runnable(x, gy) and not _of_images(x):
        rows, gy = _examples(x), _examples(gy)
        ends_early = rows.shape[1] == channels
        of_sums = len(x), channels if ends_early else 2 * channels
        arrays, outputs = (rows, gamma, stats, gy), [(rows.shape, x.dtype), (of_sums, x.dtype)]
        gx, sums = run(groups_backward, arrays, outputs, (groups, eps), by_rows=True)
        gbetas = gy if ends_early else sums[:, channels:]
        return gx.reshape(x.shape), sums[:, :channels], gbetas
    rows, stats = rows_of(x, groups), stats.reshape(len(x) * groups, 2)
    mean, inv_std = stats[:, :1], 1 / np.sqrt(stats[:, 1:] + eps)
    x_hat = (rows - mean) * inv_std
    gy = gy.reshape(_channels(x))
    gbeta, ggamma = gy.sum(axis=(0, 2)), (gy * x_hat.reshape(gy.shape)).sum(axis=(0, 2))
    h, count = (gy * gamma[:, None]).reshape(rows.shape), max(rows.shape[1], 1)
    h_mean = h.sum(axis=1, keepdims=True) / count
    slope = (h * x_hat).sum(axis=1, keepdims=True) / count
    return (inv_std * (h - h_mean - x_hat * slope)).reshape(x.shape), ggamma, gbeta


def _of_images(x):
    """Whether to go by array operations: on a GPU, where a warp is little for a whole image."""
    return x.ndim > 2 and is_cupy(x)


def _channels(x):
    """The shape ``(N, C, S)`` of the channels of ``(N, C, ...)``."""
    return (*x.shape[:2], math.prod(x.shape[2:]))


def _examples(x):
    """``(N, C, ...)`` as ``(N, C * ...)``."""
    return x if x.ndim == 2 else x.reshape(len(x), math.prod(x.shape[1:]))


def rows_of(x, groups):
    """``(N, C, ...)`` as ``(N * groups, C / groups * ...)``, for arrays and Variables alike."""
    if x.ndim == 2 and groups == 1:
        return x
    return x.reshape(x.shape[0] * groups, math.prod(x.shape[1:]) // groups)
