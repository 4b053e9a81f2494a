"""Measures of how good an answer is; none has a gradient.

On a GPU they stay there, as an array without axes, until somebody asks for the number.
"""

import math

import numpy as np

from ..backend import check_one_device, get_array_module, is_cupy
from ..kernels.labels import equals, may_look, outside
from ..variable import Variable
from .checks import (
    check_choice,
    check_floating,
    check_integer,
    check_integers,
    check_same_shape,
    check_shape,
    elements,
)
from .loss import check_labels, check_scores_and_labels, check_yes_or_no

__all__ = ["accuracy", "binary_accuracy", "f1_score", "precision", "r2_score", "recall"]


def _measure(xp, value, dtype):
    value = xp.asarray(value, dtype)
    # Scores of NumPy's may be of the other byte order.
    value = value.astype(value.dtype.newbyteorder("="), copy=False)
    return Variable(value, requires_grad=False)


def _nan_if_any(wrong, value):
    """A measure, or NaN where some labels are wrong; ``None`` says that none is."""
    return value if wrong is None else np.where(wrong.any(), math.nan, value)


def accuracy(y, t, ignore_label: int | None = None) -> Variable:
    """The share of rows whose largest score is at their label.

    Args:
        y: scores, ``(N, C)`` or ``(N, C, d1, ...)``, floating.
        t: labels, integers, ``(N,)`` or ``(N, d1, ...)``.
        ignore_label: rows with this label do not count.

    Returns:
        Variable: one number of the dtype of ``y``; 0 where no row counts.

    Raises:
        ValueError: shapes do not fit, a label is out of range, or there are no scores. On a GPU,
            where looking would make the program wait, the result for such labels is NaN, unless
            in debug mode.
        TypeError: ``y`` is not floating, ``t`` not of integers, or ``ignore_label`` no integer.

    >>> import numpy as np, dynet.functions as F
    >>> F.accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])).item()
    0.5
    """
    y, t = elements(y), elements(t)
    check_scores_and_labels("accuracy", "y", y, t)
    check_one_device("accuracy", {"y": y, "t": t})
    if ignore_label is not None:
        check_integer("accuracy", ignore_label=ignore_label)
    wrong = check_labels("accuracy", "y", y, t, ignore_label)
    right, n = y.argmax(axis=1) == t, t.size
    if ignore_label is not None:
        counts = ~equals(t, ignore_label)
        right, n = right & counts, np.maximum(counts.sum(), 1)
    return _measure(get_array_module(y), _nan_if_any(wrong, right.sum() / n), y.dtype)


def binary_accuracy(y, t) -> Variable:
    """The share of scores that are at least 0 where the label is 1, and less where it is 0.

    Args:
        y: scores, any shape, floating.
        t: labels, integers of the shape of ``y``: 1, 0, or -1 where the score does not count.

    Returns:
        Variable: one number of the dtype of ``y``; 0 where no score counts.

    Raises:
        ValueError: the shapes differ, or a label is something else. On a GPU, where looking would
            make the program wait, the result for such labels is NaN, unless in debug mode.
        TypeError: ``y`` is not floating or ``t`` not of integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.binary_accuracy(np.array([-2.0, 3.0, 0.5]), np.array([0, 1, 0])).item()
    0.6666666666666666
    """
    y, t = elements(y), elements(t)
    check_floating("binary_accuracy", y=y)
    check_integers("binary_accuracy", t=t)
    check_same_shape("binary_accuracy", y=y, t=t)
    check_one_device("binary_accuracy", {"y": y, "t": t})
    wrong = check_yes_or_no("binary_accuracy", "does not count", y, t)
    # A score that is NaN is neither: it is wrong in any case.
    right = np.where(t == 1, y >= 0, (t == 0) & (y < 0))
    share = right.sum() / np.maximum((t >= 0).sum(), 1)
    return _measure(get_array_module(y), _nan_if_any(wrong, share), y.dtype)


def precision(y, t, label_num: int | None = None, ignore_label: int = -1) -> tuple:
    """For each class: of the rows whose largest score is there, the share that belongs there.

    Args:
        y: scores, ``(N, C)`` or ``(N, C, d1, ...)``, floating.
        t: labels, integers, ``(N,)`` or ``(N, d1, ...)``.
        label_num: how many classes are looked at; by default one more than the largest label,
            which is then one of the classes of ``y``, and for which the program waits on a GPU.
        ignore_label: rows with this label do not count.

    Returns:
        tuple: two Variables ``(label_num,)``: the shares, of the dtype of ``y``, NaN for a class
        that no row's largest score is at; and how many rows belong to each class.

    Raises:
        ValueError: shapes do not fit, a label is out of range, or there are no scores. On a GPU,
            with a ``label_num``, the shares are NaN instead, unless in debug mode.
        TypeError: ``y`` is not floating, ``t`` not of integers, or a setting no integer.

    >>> import numpy as np, dynet.functions as F
    >>> y = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    >>> F.precision(y, np.array([0, 1, 1]))[0].array
    array([0.5, 1. ])
    """
    found, right, belonging, wrong = _counts("precision", y, t, label_num, ignore_label)
    return _shares(right, found, belonging, wrong, y.dtype)


def recall(y, t, label_num: int | None = None, ignore_label: int = -1) -> tuple:
    """For each class: of the rows that belong there, the share whose largest score is there.

    Args:
        y: scores, ``(N, C)`` or ``(N, C, d1, ...)``, floating.
        t: labels, integers, ``(N,)`` or ``(N, d1, ...)``.
        label_num: how many classes are looked at; by default one more than the largest label,
            which is then one of the classes of ``y``, and for which the program waits on a GPU.
        ignore_label: rows with this label do not count.

    Returns:
        tuple: two Variables ``(label_num,)``: the shares, of the dtype of ``y``, NaN for a class
        that no row belongs to; and how many rows belong to each class.

    Raises:
        ValueError: shapes do not fit, a label is out of range, or there are no scores. On a GPU,
            with a ``label_num``, the shares are NaN instead, unless in debug mode.
        TypeError: ``y`` is not floating, ``t`` not of integers, or a setting no integer.

    >>> import numpy as np, dynet.functions as F
    >>> y = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    >>> F.recall(y, np.array([0, 1, 1]))[0].array
    array([1. , 0.5])
    """
    _, right, belonging, wrong = _counts("recall", y, t, label_num, ignore_label)
    return _shares(right, belonging, belonging, wrong, y.dtype)


def f1_score(y, t, label_num: int | None = None, ignore_label: int = -1) -> tuple:
    """The harmonic mean of precision and recall of each class.

    Args:
        y: scores, ``(N, C)`` or ``(N, C, d1, ...)``, floating.
        t: labels, integers, ``(N,)`` or ``(N, d1, ...)``.
        label_num: how many classes are looked at; by default one more than the largest label,
            which is then one of the classes of ``y``, and for which the program waits on a GPU.
        ignore_label: rows with this label do not count.

    Returns:
        tuple: two Variables ``(label_num,)``: the means, of the dtype of ``y``, NaN for a class
        that no row's largest score is at and no row belongs to; and how many rows belong to each
        class.

    Raises:
        ValueError: shapes do not fit, a label is out of range, or there are no scores. On a GPU,
            with a ``label_num``, the shares are NaN instead, unless in debug mode.
        TypeError: ``y`` is not floating, ``t`` not of integers, or a setting no integer.

    >>> import numpy as np, dynet.functions as F
    >>> y = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    >>> F.f1_score(y, np.array([0, 1, 1]))[0].array
    array([0.66666667, 0.66666667])
    """
    found, right, belonging, wrong = _counts("f1_score", y, t, label_num, ignore_label)
    return _shares(2 * right, found + belonging, belonging, wrong, y.dtype)


def _counts(function, y, t, label_num, ignore_label):
    """Of each class: the rows found to be of it, those rightly so, and those that belong to it.

    And where nobody looked, which labels are no class, else ``None``.
    """
    y, t = elements(y), elements(t)
    check_scores_and_labels(function, "y", y, t)
    check_one_device(function, {"y": y, "t": t})
    check_integer(function, ignore_label=ignore_label)
    counts = ~equals(t, ignore_label)
    classes = y.shape[1] if label_num is None else label_num
    check_integer(function, label_num=classes)
    if not 0 <= classes < 1 << 31:
        raise ValueError(f"{function}: label_num is {label_num}, expected 0, 1, ... 2**31 - 1")
    wrong = counts & outside(t, classes)
    t, given = np.where(counts & ~wrong, t.astype(np.int64), -1), t
    if label_num is None or may_look(t):
        if wrong.any():
            raise ValueError(
                f"{function}: t holds the label {int(given[wrong][0])}, expected labels from 0 on, "
                f"less than {classes}, or ignore_label, {ignore_label}"
            )
        wrong = None
    if label_num is None:
        label_num = int(t.max()) + 1
    found = np.where(counts, y.argmax(axis=1), -1)
    numbers = [_numbers(x, label_num) for x in (found, np.where(found == t, t, -1), t)]
    return *numbers, wrong


def _numbers(labels, n):
    """How many of the labels are 0, 1, ..., n - 1; others do not count."""
    chosen = (labels >= 0) & (labels < n)
    if not is_cupy(labels):
        return np.bincount(labels[chosen], minlength=n)
    # Its `bincount` looks for the largest, and at it. Those that do not count have a place too.
    xp = get_array_module(labels)
    numbers = xp.zeros(n + 1, np.int32)
    xp.add.at(numbers, xp.where(chosen, labels, n), np.int32(1))
    return numbers[:n].astype(np.int64)


def _shares(part, whole, belonging, wrong, dtype):
    """``part / whole`` of each class, NaN where that is of nothing; and how many belong there."""
    xp = get_array_module(part)
    shares = np.where(whole == 0, math.nan, part / np.maximum(whole, 1))
    return _measure(xp, _nan_if_any(wrong, shares), dtype), _measure(xp, belonging, None)


def r2_score(pred, true, sample_weight=None, multioutput: str = "uniform_average") -> Variable:
    """The coefficient of determination: what share of the targets' variance is predicted.

    ``1 - sum((true - pred) ** 2) / sum((true - mean(true)) ** 2)`` over the first axis.

    Args:
        pred: predictions, ``(N, ...)``, floating, N at least 1.
        true: targets, like ``pred``.
        sample_weight: what each example weighs in the sums and the mean, ``(N,)``, of the same
            dtype; by default all the same.
        multioutput: ``"uniform_average"`` for the mean of the outputs' scores, ``"raw_values"``
            for each output's.

    Returns:
        Variable: one number, or of the shape of ``pred`` without the first axis; at most 1, and 0
        for an output whose targets are all the same.

    Raises:
        ValueError: shapes do not fit, or there is nothing to score.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.r2_score(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])).item()
    0.5
    """
    pred, true, weight = elements(pred), elements(true), elements(sample_weight)
    check_floating("r2_score", pred=pred, true=true)
    check_same_shape("r2_score", pred=pred, true=true)
    check_choice("r2_score", ("uniform_average", "raw_values"), multioutput=multioutput)
    if pred.size == 0 or pred.ndim == 0:
        raise ValueError(
            f"r2_score: pred has shape {pred.shape}, expected an axis of examples, at least one"
        )
    xp = get_array_module(pred)
    if weight is None:
        weight = xp.ones(len(pred), pred.dtype)
    check_floating("r2_score", pred=pred, sample_weight=weight)
    check_shape("r2_score", pred.shape[:1], sample_weight=weight)
    check_one_device("r2_score", {"pred": pred, "true": true, "sample_weight": weight})
    weight = weight.reshape(-1, *[1] * (pred.ndim - 1))
    mean = (weight * true).sum(axis=0) / weight.sum()
    missed = (weight * (true - pred) ** 2).sum(axis=0)
    varied = (weight * (true - mean) ** 2).sum(axis=0)
    scores = np.where(varied == 0, 0, 1 - missed / np.where(varied == 0, 1, varied))
    return _measure(xp, scores.mean() if multioutput == "uniform_average" else scores, pred.dtype)
