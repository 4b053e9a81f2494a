"""Losses of labels, forward and backward in as few passes over the scores as there can be.

What a pass computes is kept for the next one where the result goes: intermediate arrays cost more
than the arithmetic. A row of scores, or a block of them, stays in the nearest cache meanwhile.
"""

import math

import numpy as np
from numba import njit

from ..backend import get_array_module
from .arithmetic import check_compiled
from .elementary import exp, log1p

# As an integer of as many bits, with all but the sign turned over where it is negative, a
# floating number has the place among others that it has as a number, and NaN comes last of all (or
# first, with a sign). The largest of integers is found by vector instructions, where that
# of floating numbers, for the sake of NaN, is not.
INTEGERS = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}

# So many scores at a time: what one loop leaves, the next finds in the nearest cache.
BLOCK = 2048


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def total_of(x):
    """The sum of a vector, in whatever order is fastest."""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _weighted_sum(x, top, weight):
    """The sum of ``x - top``, times the weights, if there are any."""
    total = x.dtype.type(0)
    if weight.size == 0:
        for i in range(x.size):
            total += x[i] - top
    else:
        for i in range(x.size):
            total += (x[i] - top) * weight[i]
    return total


@njit(cache=True)
def _largest(bits):
    """The bits of the largest of some floating numbers, from the bits of each."""
    sign = bits.dtype.type(8 * bits.itemsize - 1)
    others = bits.dtype.type((1 << sign) - 1)
    largest = bits[0] ^ ((bits[0] >> sign) & others)
    for i in range(1, bits.size):
        ordered = bits[i] ^ ((bits[i] >> sign) & others)
        largest = ordered if ordered > largest else largest
    return largest ^ ((largest >> sign) & others)


# `fastmath=False` is said aloud: the range reductions of `exp` do not survive the liberties that
# the sums are given.
@njit(cache=True, error_model="numpy", fastmath=False)
def _exp_of_differences(x, top, y):
    for i in range(x.size):
        y[i] = exp(x[i] - top)


@njit(cache=True, error_model="numpy")
def softmax_cross_entropy_forward(x, bits, t, weight, ignore, smoothing, e, totals, losses):
    """Row by row: ``exp(x - max(x))`` to ``e``, its sum to ``totals``, the loss to ``losses``.

    ``bits`` are those of ``x``. A row whose label is ``ignore`` gets the loss 0, and is not
    looked at. An empty ``weight`` means that every class weighs 1.

    Returns the position of the first label out of range, or -1; the number of labels that are not
    ignored; the sum of the losses.
    """
    rows, classes = x.shape
    if classes == 0:
        raise ValueError("softmax_cross_entropy: there are no classes")
    if (
        t.size != rows
        or bits.shape != x.shape
        or bits.itemsize != x.itemsize
        or (weight.size != classes and weight.size != 0)
        or e.shape != x.shape
        or totals.size != rows
        or losses.size != rows
    ):
        raise ValueError("softmax_cross_entropy: the arrays' shapes do not agree")
    whole = _weight_of_all(classes, weight)
    tops = losses.view(bits.dtype)  # an integer put here is a floating number in `losses`
    kept = 0
    total = 0.0
    for i in range(rows):
        label = t[i]
        if label == ignore:
            losses[i] = 0
            continue
        if label < 0 or label >= classes:
            return i, kept, total
        tops[i] = _largest(bits[i])
        top = losses[i]
        _exp_of_differences(x[i], top, e[i])
        totals[i] = total_of(e[i])
        log_total = math.log(totals[i])
        loss = log_total - (x[i, label] - top)
        if weight.size > 0:
            loss *= weight[label]
        if smoothing > 0:
            of_all = (whole * log_total - _weighted_sum(x[i], top, weight)) / classes
            loss = (1 - smoothing) * loss + smoothing * of_all
        losses[i] = loss
        kept += 1
        total += losses[i]
    return -1, kept, total


@njit(cache=True)
def _weight_of_all(classes, weight):
    return float(classes) if weight.size == 0 else weight.sum()


@njit(cache=True, error_model="numpy")
def softmax_cross_entropy_backward(e, totals, t, weight, ignore, smoothing, glosses, scale, gx):
    """The gradient of the scores, from ``scale`` times that of the losses, or of their sum."""
    rows, classes = e.shape
    if (
        t.size != rows
        or (weight.size != classes and weight.size != 0)
        or totals.size != rows
        or gx.shape != e.shape
        or (glosses.size != rows and glosses.size != 1)
    ):
        raise ValueError("softmax_cross_entropy: the arrays' shapes do not agree")
    each = e.dtype.type(smoothing / classes)
    whole = _weight_of_all(classes, weight)
    step = 0 if glosses.size == 1 else 1
    for i in range(rows):
        label = t[i]
        if label == ignore:
            gx[i] = 0
            continue
        if label < 0 or label >= classes:
            raise ValueError("softmax_cross_entropy: a label was changed after the forward")
        g = e.dtype.type(glosses[i * step] * scale)
        at_label = e.dtype.type(g * (1 - smoothing))
        if weight.size > 0:
            at_label *= weight[label]
        factor = e.dtype.type((at_label + g * each * whole) / totals[i])
        for j in range(classes):
            gx[i, j] = factor * e[i, j]
        if smoothing > 0:
            for j in range(classes):
                gx[i, j] -= g * each * (weight[j] if weight.size > 0 else e.dtype.type(1))
        gx[i, label] -= at_label


def softmax_cross_entropy(x, t, weight, ignore, smoothing):
    """The cross entropy of the softmax of each row of scores with its label.

    Args:
        x: scores, ``(N, C)``.
        t: labels, integers, ``(N,)``.
        weight: of each class, ``(C,)``; empty where all weigh 1.
        ignore (int): rows with this label have the loss 0.
        smoothing (float): what part of a label is spread over all classes.

    Returns:
        tuple: what the gradient needs, ``exp(x - max(x))`` of each row ``(N, C)`` and its sums
        ``(N,)``; the losses ``(N,)``; the number of labels that are not ignored; the sum of the
        losses.

    Raises:
        ValueError: a label is neither a class nor ``ignore``.
    """
    if type(x) is np.ndarray:
        check_compiled("softmax_cross_entropy", x)
        x = np.ascontiguousarray(x)
        e = np.empty(x.shape, x.dtype)
        totals, losses = np.empty((2, len(x)), x.dtype)
        wrong, kept, total = softmax_cross_entropy_forward(
            x,
            x.view(INTEGERS[x.dtype]),
            as_labels(t),
            weight,
            ignore,
            smoothing,
            e,
            totals,
            losses,
        )
    else:
        xp = get_array_module(x)
        keep = t != ignore
        off = keep & ((t < 0) | (t >= x.shape[1]))
        wrong = int(off.argmax()) if off.any() else -1
        z = x - x.max(axis=1, keepdims=True)
        e = xp.exp(z)
        totals = e.sum(axis=1)
        log_y = z - xp.log(totals)[:, None]
        at = xp.where(keep & ~off, t, 0)
        losses = -log_y[xp.arange(len(x)), at]
        if weight.size:
            losses *= weight[at]
        if smoothing:
            of_all = -(log_y * weight if weight.size else log_y).mean(axis=1)
            losses = (1 - smoothing) * losses + smoothing * of_all
        losses = xp.where(keep, losses, 0)
        kept, total = int(keep.sum()), losses.sum()
    if wrong >= 0:
        raise ValueError(
            f"softmax_cross_entropy: t holds the label {int(t[wrong])}, expected labels from 0 to "
            f"{x.shape[1] - 1} or ignore_label, {ignore} (x: {x.shape}, t: {t.shape})"
        )
    return e, totals, losses, kept, total


def softmax_cross_entropy_grad(e, totals, t, weight, ignore, smoothing, glosses, scale):
    """The gradient of the scores, from what the forward pass returned.

    Args:
        glosses: the gradient of each loss ``(N,)``, or that of their sum ``(1,)``,
        scale (float): and what it is to be multiplied by.
    """
    if type(e) is np.ndarray:
        gx = np.empty(e.shape, e.dtype)
        softmax_cross_entropy_backward(
            e,
            totals,
            as_labels(t),
            weight,
            ignore,
            smoothing,
            np.ascontiguousarray(glosses),
            scale,
            gx,
        )
        return gx
    xp = get_array_module(e)
    keep = t != ignore
    at = xp.where(keep, t, 0)
    # What the smoothed label puts on each class, times the class's weight.
    target = xp.full(e.shape, smoothing / e.shape[1], e.dtype)
    target[xp.arange(len(e)), at] += 1 - smoothing
    if weight.size:
        target *= weight
    gx = target.sum(axis=1, keepdims=True) * e / totals[:, None] - target
    return xp.where(keep[:, None], gx * (glosses * scale)[:, None], 0).astype(e.dtype)


@njit(cache=True, error_model="numpy", fastmath=False)
def _sigmoid_cross_entropies(x, t, losses, slopes):
    """A block of losses; returns how many labels are not ignored, and whether one is strange."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    # The loss is log(1 + exp(z)), its slope sigmoid(z), of z = x for the label 0; for 1, z is -x,
    # and the slope turns. In `losses` stands z first, in `slopes` exp(-|z|): each of the loops is
    # one that LLVM can turn into vector instructions.
    kept = 0
    strange = False
    for i in range(x.size):
        z = -x[i] if t[i] > 0 else x[i]
        losses[i] = z if t[i] >= 0 else zero
        kept += t[i] >= 0
        strange |= (t[i] < -1) | (t[i] > 1)
    for i in range(x.size):
        slopes[i] = exp(-abs(losses[i]))
    for i in range(x.size):
        z, e = losses[i], slopes[i]
        losses[i] = log1p(e) + (zero if z <= zero else z)
        slopes[i] = (e if z < zero else one) / (one + e)
    for i in range(x.size):
        losses[i] = losses[i] if t[i] >= 0 else zero
        slopes[i] = (-slopes[i] if t[i] > 0 else slopes[i]) if t[i] >= 0 else zero
    return kept, strange


@njit(cache=True, error_model="numpy")
def sigmoid_cross_entropy_forward(x, t, losses, slopes):
    """The loss of each score, and its derivative; 0 for both where the label is -1.

    Returns the position of the first label that is not 0, 1 or -1, or -1; the number of labels
    that are not ignored; the sum of the losses.
    """
    n = x.size
    if t.size != n or losses.size != n or slopes.size != n:
        raise ValueError("sigmoid_cross_entropy: the arrays' sizes do not agree")
    kept = 0
    total = 0.0
    for start in range(0, n, BLOCK):
        block = slice(start, min(start + BLOCK, n))
        k, strange = _sigmoid_cross_entropies(x[block], t[block], losses[block], slopes[block])
        if strange:
            for i in range(n):
                if t[i] < -1 or t[i] > 1:
                    return i, kept, total
        kept += k
        total += total_of(losses[block])
    return -1, kept, total


def sigmoid_cross_entropy(x, t):
    """The cross entropy of the sigmoid of each score with its label, 0, 1, or -1 for none.

    Returns:
        tuple: the losses and their derivatives, of the shape of ``x``; the number of labels that
        are not -1; the sum of the losses.

    Raises:
        ValueError: a label is something else.
    """
    if type(x) is np.ndarray:
        check_compiled("sigmoid_cross_entropy", x)
        losses, slopes = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
        wrong, kept, total = sigmoid_cross_entropy_forward(
            np.ascontiguousarray(x).reshape(-1),
            as_labels(t).reshape(-1),
            losses.reshape(-1),
            slopes.reshape(-1),
        )
    else:
        xp = get_array_module(x)
        off = ((t < -1) | (t > 1)).reshape(-1)
        wrong = int(off.argmax()) if off.any() else -1
        z = xp.where(t >= 0, xp.where(t > 0, -x, x), -xp.inf).astype(x.dtype)
        e = xp.exp(-abs(z))
        losses = xp.log1p(e) + xp.maximum(z, 0)
        slopes = xp.where(z < 0, e, 1) / (1 + e) * xp.where(t > 0, -1, 1).astype(x.dtype)
        kept, total = int((t >= 0).sum()), losses.sum()
    if wrong >= 0:
        raise ValueError(
            f"sigmoid_cross_entropy: t holds the label {int(t.reshape(-1)[wrong])}, expected 0, 1, "
            f"or -1 where the score counts for nothing (x: {x.shape}, t: {t.shape})"
        )
    return losses, slopes, kept, total


def as_labels(t):
    """Labels as contiguous int64, so that a kernel is compiled for one dtype and not for eight."""
    if t.dtype.char in "LQ":
        t = np.minimum(t, np.iinfo(np.int64).max)  # out of range in any case, and not negative
    return np.ascontiguousarray(t, np.int64)
