"""Connectionist temporal classification: all the ways to spread labels over time, added up."""

import math

import numpy as np
from numba import njit

from .arithmetic import check_compiled, readable
from .elementary import exp, log
from .loss import total_of

# Less than any logarithm of a probability but that of 0, which is -infinity: taken away from that,
# it leaves -infinity, and not NaN.
LEAST = -1e300


# In the loops over places one place does not wait for the other, so that LLVM can turn them into
# vector instructions. `fastmath=False` is said aloud: `exp` and `log` do not survive its liberties.
@njit(cache=True, error_model="numpy", fastmath=False)
def _add_ways(stay, step, leap, may_leap, total):
    """The logarithm of the sum of three probabilities, from their logarithms, at each place."""
    for s in range(total.size):
        a, b, c = stay[s], step[s], leap[s] + may_leap[s]
        top = a if a > LEAST else LEAST
        top = b if b > top else top
        top = c if c > top else top
        total[s] = top + log(exp(a - top) + exp(b - top) + exp(c - top))


@njit(cache=True, error_model="numpy", fastmath=False)
def _shares(alpha, after, total, share):
    """What share of all ways is at each place."""
    for s in range(share.size):
        share[s] = exp(alpha[s] + after[s] - total)


@njit(cache=True, error_model="numpy", fastmath=False)
def _softmax(x, y):
    """Of one row of scores, to ``y``; returns the logarithm of the sum of their exponentials."""
    top = x[0]
    for v in range(1, x.size):
        if not x[v] <= top:  # so that a NaN is carried on
            top = x[v]
    for v in range(x.size):
        y[v] = exp(x[v] - top)
    total = total_of(y)
    share = x.dtype.type(1 / total)
    for v in range(x.size):
        y[v] *= share
    return top + math.log(total)


@njit(cache=True)
def _check(x, labels, blank, input_length, label_length, losses, slopes):
    steps, batch, symbols = x.shape
    if (
        labels.shape[0] != batch
        or input_length.size != batch
        or label_length.size != batch
        or losses.size != batch
        or slopes.shape != x.shape
    ):
        raise ValueError("ctc: the arrays' shapes do not agree")
    if blank < 0 or blank >= symbols:
        raise ValueError("ctc: the blank is no symbol")
    for b in range(batch):
        if input_length[b] < 0 or input_length[b] > steps:
            raise ValueError("ctc: an input_length is out of range")
        if label_length[b] < 0 or label_length[b] > labels.shape[1]:
            raise ValueError("ctc: a label_length is out of range")
        for i in range(label_length[b]):
            if labels[b, i] < 0 or labels[b, i] >= symbols:
                raise ValueError("ctc: a label is out of range")


@njit(cache=True, error_model="numpy")
def ctc_forward(x, labels, blank, input_length, label_length, losses, slopes):
    """The loss of each sequence, and its derivative by the scores.

    Args:
        x: scores, ``(T, B, V)``.
        labels: ``(B, M)``, of which the first ``label_length[b]`` count.
        losses: ``(B,)``, to be written.
        slopes: like ``x``, to be written: softmax minus the share of the ways, by their
            probability, that are at this label at this time. Zeros where there is no way.
    """
    _check(x, labels, blank, input_length, label_length, losses, slopes)
    steps, batch, _ = x.shape
    places = 2 * labels.shape[1] + 1
    path = np.empty(places, np.int64)
    # 0 where a way may come to a place from the last but one, else -infinity.
    may_leap = np.empty(places + 2)
    log_totals = np.empty(steps)
    # The logarithm of the probability of all ways so far to a place, the scores there included,
    # and of all ways on from there, without. Two more places, before the first and behind the
    # last, are never reached.
    alpha = np.empty((steps, places + 2))
    after, beta = np.empty(places), np.empty(places + 2)
    share = np.empty(places)
    for b in range(batch):
        n, size = input_length[b], 2 * label_length[b] + 1
        if n == 0:
            losses[b] = 0 if size == 1 else np.inf
            slopes[:, b] = 0
            continue
        for s in range(size):
            path[s] = blank if s % 2 == 0 else labels[b, s // 2]
            may_leap[s] = 0 if s >= 2 and path[s] != path[s - 2] else -np.inf
        may_leap[size] = may_leap[size + 1] = -np.inf

        for t in range(n):
            log_totals[t] = _softmax(x[t, b], slopes[t, b])
            alpha[t, 0] = alpha[t, 1] = -np.inf
            if t == 0:
                for s in range(size):
                    alpha[0, s + 2] = 0 if s < 2 else -np.inf
            else:
                way = alpha[t - 1]
                _add_ways(way[2:], way[1:], way, may_leap, alpha[t, 2 : size + 2])
            for s in range(size):
                alpha[t, s + 2] += x[t, b, path[s]] - log_totals[t]

        # A way ends at the blank behind the last label, or at that.
        end, other = alpha[n - 1, size + 1], alpha[n - 1, size]
        top = max(end, other, LEAST)
        total = top + math.log(math.exp(end - top) + math.exp(other - top))
        losses[b] = -total
        if total == -np.inf:
            slopes[:, b] = 0
            continue
        for t in range(n - 1, -1, -1):
            if t == n - 1:
                for s in range(size):
                    after[s] = 0 if s >= size - 2 else -np.inf
            else:
                _add_ways(beta, beta[1:], beta[2:], may_leap[2:], after[:size])
            _shares(alpha[t, 2:], after, total, share[:size])
            for s in range(size):
                slopes[t, b, path[s]] -= share[s]
                beta[s] = after[s] + (x[t, b, path[s]] - log_totals[t])
            beta[size] = beta[size + 1] = -np.inf
        slopes[n:, b] = 0


def ctc(x, labels, blank, input_length, label_length):
    """The loss of each sequence ``(B,)``, and its derivative by the scores ``(T, B, V)``."""
    check_compiled("connectionist_temporal_classification", x)
    losses, slopes = np.empty(x.shape[1], x.dtype), np.empty(x.shape, x.dtype)
    labels, input_length, label_length = [
        readable(np.asarray(a, np.int64)) for a in (labels, input_length, label_length)
    ]
    ctc_forward(readable(x), labels, blank, input_length, label_length, losses, slopes)
    return losses, slopes
