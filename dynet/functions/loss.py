"""Losses."""

import numpy as np

from ..backend import get_array_module, is_array
from ..function import Function
from ..kernels import loss as kernels
from ..variable import Variable
from .array import place
from .math import exp, log

__all__ = ["softmax_cross_entropy"]


class SoftmaxCrossEntropy(Function):
    """``-log softmax(x)[t]``, averaged; forward and backward are one kernel each"""

    __slots__ = ("normalize", "class_weight", "ignore_label", "reduce", "scale")

    def __init__(self, normalize, class_weight, ignore_label, reduce):
        self.normalize = normalize
        self.class_weight = class_weight
        self.ignore_label = ignore_label
        self.reduce = reduce

    def forward(self, x, t):
        check_scores_and_labels("softmax_cross_entropy", "x", x, t)
        if not isinstance(self.ignore_label, (int, np.integer)):
            raise TypeError(
                f"softmax_cross_entropy: ignore_label is {self.ignore_label!r}, expected an integer"
            )
        if self.reduce not in ("mean", "no"):
            raise ValueError(
                f"softmax_cross_entropy: reduce is {self.reduce!r}, expected 'mean' or 'no'"
            )
        xp = get_array_module(x)
        classes = x.shape[1]
        weight = xp.ones(classes, x.dtype) if self.class_weight is None else self.class_weight
        if not is_array(weight) or weight.shape != (classes,) or weight.dtype != x.dtype:
            came = f"{weight.dtype} {weight.shape}" if is_array(weight) else type(weight).__name__
            error = ValueError if is_array(weight) else TypeError
            raise error(
                f"softmax_cross_entropy: class_weight is {came}, expected an array of "
                f"{x.dtype} {(classes,)} (x: {x.shape})"
            )
        # Without normalize it is, as in Chainer, the first axis alone that counts examples.
        kept = (t != self.ignore_label).sum() if self.normalize else len(x)
        self.scale = x.dtype.type(1 / max(int(kept), 1))
        y, losses = kernels.softmax_cross_entropy(
            classes_last(x), t.reshape(-1), weight, self.ignore_label
        )
        self.save(x, t, y, weight)
        if self.reduce == "no":
            return losses.reshape(t.shape)
        return losses.sum() * self.scale

    def backward(self, gloss):
        x, t, y, weight = self.saved
        if self.reduce == "mean":
            glosses = get_array_module(y).full(t.size, gloss * self.scale, y.dtype)
        else:
            glosses = gloss.reshape(-1)
        gx = kernels.softmax_cross_entropy_grad(
            y, t.reshape(-1), weight, self.ignore_label, glosses
        )
        return _classes_second(gx, x.shape), None

    def plain(self, x, t):
        """The same in ordinary functions."""
        weight = self.saved[3]
        labels = t.reshape(-1)
        rows = (labels != self.ignore_label).nonzero()[0]
        x, labels = classes_last(x)[rows], labels[rows]
        z = x - x.array.max(axis=1, keepdims=True)  # changes nothing, and exp stays in range
        log_y = z[np.arange(len(rows)), labels] - log(exp(z).sum(axis=1))
        losses = -log_y * weight[labels]
        if self.reduce == "no":
            return place(losses, rows, (t.size,)).reshape(t.shape)
        return losses.sum() * self.scale


def classes_last(x):
    """Scores ``(N, C, ...)`` as ``(N * ..., C)``; an array or a Variable."""
    if x.ndim == 2:
        return x
    return x.transpose(0, *range(2, x.ndim), 1).reshape(-1, x.shape[1])


def _classes_second(gx, shape):
    if len(shape) == 2:
        return gx
    n, classes, *rest = shape
    return gx.reshape(n, *rest, classes).transpose(0, len(shape) - 1, *range(1, len(shape) - 1))


def check_scores_and_labels(function, name, x, t):
    """Raise unless ``x``, the argument called ``name``, holds scores and ``t`` a label for each."""
    if not is_array(x) or x.dtype.kind != "f" or x.ndim < 2:
        came = f"an array of {x.dtype} {x.shape}" if is_array(x) else type(x).__name__
        raise TypeError(f"{function}: {name} is {came}, expected floating scores (N, C, ...)")
    if not is_array(t) or t.dtype.kind not in "iu":
        came = f"an array of {t.dtype}" if is_array(t) else type(t).__name__
        raise TypeError(f"{function}: t is {came}, expected an array of integers")
    if t.shape != x.shape[:1] + x.shape[2:]:
        raise ValueError(
            f"{function}: t has shape {t.shape}, expected {x.shape[:1] + x.shape[2:]}, one label "
            f"for each row of scores ({name}: {x.shape})"
        )
    if x.size == 0:
        raise ValueError(
            f"{function}: {name} holds no scores, expected at least one ({name}: {x.shape})"
        )


def softmax_cross_entropy(
    x,
    t,
    normalize: bool = True,
    *,
    class_weight=None,
    ignore_label: int = -1,
    reduce: str = "mean",
) -> Variable:
    """The cross entropy of the softmax of scores with labels: ``-log softmax(x)[t]``.

    Args:
        x: scores, ``(N, C)`` or ``(N, C, d1, ...)``, floating.
        t: labels, integers from 0 to C - 1, ``(N,)`` or ``(N, d1, ...)``.
        normalize: whether the sum is divided by the number of labels that are not ignored; else
            by N.
        class_weight: an array ``(C,)`` of the dtype of ``x`` by which the losses of each class
            are multiplied.
        ignore_label: rows with this label count for nothing; it may be a class or none.
        reduce: ``"mean"`` for one number, ``"no"`` for the loss of each label.

    Returns:
        Variable: one number, or of the shape of ``t``. Where every label is ignored it is 0.

    Raises:
        ValueError: shapes do not fit, a label is out of range, or there are no scores.
        TypeError: ``x`` is not floating or ``t`` not of integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.softmax_cross_entropy(np.zeros((1, 2)), np.array([1])).item()
    0.6931471805599453
    """
    return SoftmaxCrossEntropy(normalize, class_weight, ignore_label, reduce).apply(x, t)
