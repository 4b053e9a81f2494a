"""Losses of labels, forward and backward in as few passes over the scores as there can be.

What a pass computes is kept for the next one where the result goes: intermediate arrays cost more
than the arithmetic. A row of scores, or a block of them, stays in the nearest cache meanwhile.

On a GPU nothing is read back: how many labels count stays there, as an array without axes, and a
label out of range gives NaN, where on the CPU it is an error.
"""

import math

import numpy as np
from numba import njit

from ..backend import get_array_module, is_cupy
from .arithmetic import check_compiled, readable
from .cuda import launch, twin
from .elementary import exp, log1p
from .labels import equals

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
def softmax_cross_entropy_backward(e, totals, t, weight, glosses, ignore, smoothing, scale, gx):
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


twin(
    softmax_cross_entropy_forward,
    "x",
    r"""
template <typename T, typename Bits, typename L> __device__ void softmax_cross_entropy_forward(
    long long row, int lane, Array<T> x, Array<Bits> bits, Array<L> t, Array<T> weight,
    long long ignore, double smoothing, Array<T> e, Array<T> totals, Array<T> losses) {
    long long classes = x.shape[1], at = row * classes;
    // What uint64 has beyond int64 would turn negative.
    bool beyond = t[row] > L(0) && (long long)t[row] < 0;
    long long label = beyond ? 0x7fffffffffffffffLL : (long long)t[row];
    if (label == ignore || label < 0 || label >= classes) {
        if (lane == 0) losses[row] = label == ignore ? T(0) : T(nan(""));
        return;
    }
    T top = x[at];
    for (long long j = lane; j < classes; j += 32) top = nan_or_max(top, x[at + j]);
    top = warp_max(top);
    T total = T(0), weighted = T(0), whole = T(0);
    for (long long j = lane; j < classes; j += 32) {
        T w = weight.shape[0] > 0 ? weight[j] : T(1);
        e[at + j] = exp(x[at + j] - top);
        total += e[at + j];
        weighted += (x[at + j] - top) * w;
        whole += w;
    }
    total = warp_sum(total);
    T log_total = log(total);
    T loss = log_total - (x[at + label] - top);
    if (weight.shape[0] > 0) loss *= weight[label];
    if (smoothing > 0) {
        T of_all = (warp_sum(whole) * log_total - warp_sum(weighted)) / T(classes);
        loss = T(1 - smoothing) * loss + T(smoothing) * of_all;
    }
    if (lane == 0) {
        totals[row] = total;
        losses[row] = loss;
    }
}
""",
    by_rows=True,
)

twin(
    softmax_cross_entropy_backward,
    "e",
    r"""
template <typename T, typename L> __device__ void softmax_cross_entropy_backward(
    long long row, int lane, Array<T> e, Array<T> totals, Array<L> t, Array<T> weight,
    Array<T> glosses, long long ignore, double smoothing, double scale, Array<T> gx) {
    long long classes = e.shape[1], at = row * classes;
    bool beyond = t[row] > L(0) && (long long)t[row] < 0;
    long long label = beyond ? 0x7fffffffffffffffLL : (long long)t[row];
    if (label == ignore || label < 0 || label >= classes) {
        T g = label == ignore ? T(0) : T(nan(""));
        for (long long j = lane; j < classes; j += 32) gx[at + j] = g;
        return;
    }
    T g = T(glosses[glosses.shape[0] == 1 ? 0 : row] * scale);
    T each = T(smoothing / classes) * g, at_label = T(1 - smoothing) * g, whole = T(classes);
    if (weight.shape[0] > 0) {
        at_label *= weight[label];
        whole = T(0);
        if (smoothing > 0) {
            for (long long j = lane; j < classes; j += 32) whole += weight[j];
            whole = warp_sum(whole);
        }
    }
    T factor = (at_label + each * whole) / totals[row];
    for (long long j = lane; j < classes; j += 32) {
        T towards = j == label ? at_label : T(0);
        if (smoothing > 0) towards += each * (weight.shape[0] > 0 ? weight[j] : T(1));
        gx[at + j] = factor * e[at + j] - towards;
    }
}
""",
    by_rows=True,
)


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
        ``(N,)``; the losses ``(N,)``; the number of labels that are not ignored, at least 1; the
        sum of the losses. The latter two are arrays without axes on a GPU.

    Raises:
        ValueError: a label is neither a class nor ``ignore``; on a GPU its loss is NaN instead.
    """
    check_compiled("softmax_cross_entropy", x)
    if is_cupy(x):
        xp = get_array_module(x)
        e, totals, losses = (xp.empty(shape, x.dtype) for shape in (x.shape, len(x), len(x)))
        x = xp.ascontiguousarray(x)
        arrays = x, x.view(INTEGERS[x.dtype]), t, weight
        launch(softmax_cross_entropy_forward, arrays, (e, totals, losses), (ignore, smoothing))
        return e, totals, losses, _counted(~equals(t, ignore), x.dtype), losses.sum()
    x = readable(x)
    e = np.empty(x.shape, x.dtype)
    totals, losses = np.empty((2, len(x)), x.dtype)
    bits = x.view(INTEGERS[x.dtype])
    wrong, kept, total = softmax_cross_entropy_forward(
        x, bits, as_labels(t), weight, ignore, smoothing, e, totals, losses
    )
    if wrong >= 0:
        raise ValueError(
            f"softmax_cross_entropy: t holds the label {int(t[wrong])}, expected labels from 0 to "
            f"{x.shape[1] - 1} or ignore_label, {ignore} (x: {x.shape}, t: {t.shape})"
        )
    return e, totals, losses, max(kept, 1), total


def _counted(kept, dtype):
    """How many are true, at least 1, on a GPU: of the losses' dtype, which it is to divide."""
    return np.maximum(kept.sum(dtype=dtype), 1)


def softmax_cross_entropy_grad(e, totals, t, weight, ignore, smoothing, glosses, scale):
    """The gradient of the scores, from what the forward pass returned.

    Args:
        glosses: the gradient of each loss ``(N,)``, or that of their sum ``(1,)``,
        scale: and what it is to be multiplied by; a number, or an array of CuPy's without axes.
    """
    if is_cupy(e):
        if not isinstance(scale, float):
            glosses, scale = glosses * scale, 1.0
        gx = get_array_module(e).empty(e.shape, e.dtype)
        arrays, settings = (e, totals, t, weight, glosses), (ignore, smoothing, scale)
        launch(softmax_cross_entropy_backward, arrays, (gx,), settings)
        return gx
    gx = np.empty(e.shape, e.dtype)
    e, totals, glosses = readable(e), readable(totals), readable(glosses)
    softmax_cross_entropy_backward(
        e, totals, as_labels(t), weight, glosses, ignore, smoothing, scale, gx
    )
    return gx


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


twin(
    sigmoid_cross_entropy_forward,
    "x",
    r"""
template <typename T, typename L> __device__ void sigmoid_cross_entropy_forward(
    long long i, Array<T> x, Array<L> t, Array<T> losses, Array<T> slopes) {
    // What uint64 has beyond int64 would turn negative.
    long long label = t[i] > L(0) && (long long)t[i] < 0 ? 2 : (long long)t[i];
    if (label < 0 || label > 1) {
        losses[i] = slopes[i] = label == -1 ? T(0) : T(nan(""));
        return;
    }
    T z = label == 1 ? -x[i] : x[i], e = exp(-fabs(z));
    T slope = (z < T(0) ? e : T(1)) / (T(1) + e);
    losses[i] = log1p(e) + (z <= T(0) ? T(0) : z);
    slopes[i] = label == 1 ? -slope : slope;
}
""",
)


def sigmoid_cross_entropy(x, t):
    """The cross entropy of the sigmoid of each score with its label, 0, 1, or -1 for none.

    Returns:
        tuple: the losses and their derivatives, of the shape of ``x``; the number of labels that
        are not -1, at least 1; the sum of the losses. The latter two are arrays without axes on a
        GPU.

    Raises:
        ValueError: a label is something else; on a GPU its loss is NaN instead.
    """
    check_compiled("sigmoid_cross_entropy", x)
    losses, slopes = (get_array_module(x).empty(x.shape, x.dtype) for _ in range(2))
    if is_cupy(x):
        flat = [a.reshape(-1) for a in (x, t, losses, slopes)]
        launch(sigmoid_cross_entropy_forward, flat[:2], flat[2:])
        return losses, slopes, _counted(t >= 0, x.dtype), losses.sum()
    wrong, kept, total = sigmoid_cross_entropy_forward(
        readable(x).reshape(-1),
        as_labels(t).reshape(-1),
        losses.reshape(-1),
        slopes.reshape(-1),
    )
    if wrong >= 0:
        raise ValueError(
            f"sigmoid_cross_entropy: t holds the label {int(t.reshape(-1)[wrong])}, expected 0, 1, "
            f"or -1 where the score counts for nothing (x: {x.shape}, t: {t.shape})"
        )
    return losses, slopes, max(kept, 1), total


def as_labels(t):
    """Labels as contiguous int64, so that a kernel is compiled for one dtype and not for eight."""
    if t.dtype.char in "LQ":
        t = np.minimum(t, np.iinfo(np.int64).max)  # out of range in any case, and not negative
    return readable(np.asarray(t, np.int64))
