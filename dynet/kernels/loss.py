"""Softmax and its cross entropy, in one pass over each row of scores."""

import math

import numpy as np
from numba import njit

from ..backend import get_array_module


@njit(cache=True, error_model="numpy")
def softmax_cross_entropy_forward(x, t, weight, ignore, y, losses):
    """Row by row: the softmax of ``x`` (N, C) to ``y``, ``-weight[t] * log y[t]`` to ``losses``.

    A row whose label is ``ignore`` gets the loss 0. Returns the position of the first label out
    of range, or -1.
    """
    rows, classes = x.shape
    if classes == 0:
        raise ValueError("softmax_cross_entropy: there are no classes")
    if t.size != rows or weight.size != classes or y.shape != x.shape or losses.size != rows:
        raise ValueError("softmax_cross_entropy: the arrays' shapes do not agree")
    for i in range(rows):
        label = t[i]
        if label != ignore and (label < 0 or label >= classes):
            return i
        top = x[i, 0]
        for j in range(1, classes):
            if not x[i, j] <= top:  # so that a NaN is carried on
                top = x[i, j]
        total = 0.0
        for j in range(classes):
            e = math.exp(x[i, j] - top)
            y[i, j] = e
            total += e
        for j in range(classes):
            y[i, j] /= total
        losses[i] = 0
        if label != ignore:
            losses[i] = weight[label] * (math.log(total) - (x[i, label] - top))
    return -1


@njit(cache=True)
def softmax_cross_entropy_backward(y, t, weight, ignore, glosses, gx):
    rows, classes = y.shape
    if t.size != rows or weight.size != classes or gx.shape != y.shape or glosses.size != rows:
        raise ValueError("softmax_cross_entropy: the arrays' shapes do not agree")
    for i in range(rows):
        label = t[i]
        if label == ignore:
            gx[i] = 0
        else:
            if label < 0 or label >= classes:
                raise ValueError("softmax_cross_entropy: a label was changed after the forward")
            g = glosses[i] * weight[label]
            for j in range(classes):
                gx[i, j] = g * y[i, j]
            gx[i, label] -= g


def softmax_cross_entropy(x, t, weight, ignore):
    """The softmax of each row of scores, and the weighted cross entropy with its label.

    Args:
        x: scores, ``(N, C)``.
        t: labels, integers, ``(N,)``.
        weight: of each class, ``(C,)``.
        ignore (int): rows with this label have the loss 0.

    Returns:
        tuple: the softmax ``(N, C)`` and the losses ``(N,)``.

    Raises:
        ValueError: a label is neither a class nor ``ignore``.
    """
    xp = get_array_module(x)
    if xp is np:
        y, losses = np.empty(x.shape, x.dtype), np.empty(len(x), x.dtype)
        wrong = softmax_cross_entropy_forward(x, t, weight, ignore, y, losses)
        label = t[wrong]
    else:
        off = (t != ignore) & ((t < 0) | (t >= x.shape[1]))
        wrong = int(off.argmax()) if off.any() else -1
        label = int(t[wrong])
        e = xp.exp(x - x.max(axis=1, keepdims=True))
        y = e / e.sum(axis=1, keepdims=True)
        at = xp.where(t == ignore, 0, t)
        rows = xp.arange(len(x))
        log_p = x[rows, at] - x.max(axis=1) - xp.log(e.sum(axis=1))
        losses = xp.where(t == ignore, 0, -weight[at] * log_p)
    if wrong >= 0:
        raise ValueError(
            f"softmax_cross_entropy: t holds the label {label}, expected labels from 0 to "
            f"{x.shape[1] - 1} or ignore_label, {ignore} (x: {x.shape}, t: {t.shape})"
        )
    return y, losses


def softmax_cross_entropy_grad(y, t, weight, ignore, glosses):
    """The gradient of the scores: ``glosses`` (N,) times weight times (softmax - one-hot)."""
    xp = get_array_module(y)
    if xp is np:
        gx = np.empty(y.shape, y.dtype)
        softmax_cross_entropy_backward(y, t, weight, ignore, glosses, gx)
        return gx
    at = xp.where(t == ignore, 0, t)
    gx = y.copy()
    gx[xp.arange(len(y)), at] -= 1
    return gx * (glosses * weight[at] * (t != ignore))[:, None]
