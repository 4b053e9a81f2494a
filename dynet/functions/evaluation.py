"""Measures of how good an answer is; none has a gradient."""

from ..backend import get_array_module
from ..variable import Variable
from .loss import check_scores_and_labels

__all__ = ["accuracy"]


def accuracy(y, t, ignore_label: int | None = None) -> Variable:
    """The share of rows whose largest score is at their label.

    Args:
        y: scores, ``(N, C)`` or ``(N, C, d1, ...)``, floating.
        t: labels, integers, ``(N,)`` or ``(N, d1, ...)``.
        ignore_label: rows with this label do not count.

    Returns:
        Variable: one number of the dtype of ``y``; 0 where no row counts.

    Raises:
        ValueError: shapes do not fit, a label is out of range, or there are no scores.
        TypeError: ``y`` is not floating or ``t`` not of integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])).item()
    0.5
    """
    y = y.array if isinstance(y, Variable) else y
    t = t.array if isinstance(t, Variable) else t
    check_scores_and_labels("accuracy", "y", y, t)
    xp = get_array_module(y)
    counts = xp.ones(t.shape, bool) if ignore_label is None else t != ignore_label
    wrong = counts & ((t < 0) | (t >= y.shape[1]))
    if wrong.any():
        raise ValueError(
            f"accuracy: t holds the label {int(t[wrong][0])}, expected labels from 0 to "
            f"{y.shape[1] - 1} (y: {y.shape}, t: {t.shape})"
        )
    right = ((y.argmax(axis=1) == t) & counts).sum() / xp.maximum(counts.sum(), 1)
    return Variable(xp.asarray(right, y.dtype), requires_grad=False)
