"""Losses of labels: how far scores are from saying what they should."""

from numbers import Real

import numpy as np

from ..backend import check_one_device, get_array_module, is_array
from ..config import config
from ..function import Function
from ..kernels import loss as kernels
from ..kernels.labels import equals, may_look, outside
from ..variable import Variable
from .activation import relu, softplus
from .arithmetic import where
from .checks import (
    check_choice,
    check_floating,
    check_integers,
    check_ndim,
    check_same_shape,
    elements,
    raw,
)
from .indexing import nan_if
from .math import exp, log

__all__ = ["hinge", "sigmoid_cross_entropy", "softmax_cross_entropy"]


class SoftmaxCrossEntropy(Function):
    """``-log softmax(x)[t]``, averaged; forward and backward are one kernel each"""

    __slots__ = ("normalize", "class_weight", "ignore_label", "reduce", "smoothing", "scale")

    def __init__(self, normalize, class_weight, ignore_label, reduce, smoothing):
        self.normalize = normalize
        self.class_weight = class_weight
        self.ignore_label = ignore_label
        self.reduce = reduce
        self.smoothing = smoothing

    def forward(self, x, t):
        check_scores_and_labels("softmax_cross_entropy", "x", x, t)
        self._check_settings(x)
        if config.debug:
            check_labels("softmax_cross_entropy", "x", x, t, self.ignore_label)
        weight = self.class_weight
        if weight is None:
            weight = get_array_module(x).empty(0, x.dtype)
        e, totals, losses, kept, total = kernels.softmax_cross_entropy(
            classes_last(x), t.reshape(-1), weight, self.ignore_label, self.smoothing
        )
        self.save(x, t, e, totals, weight)
        if self.reduce == "no":
            self.scale = 1.0
            return losses.reshape(t.shape)
        # Without normalize it is, as in Chainer, the first axis alone that counts examples.
        self.scale = 1 / (kept if self.normalize else len(x))
        return get_array_module(x).asarray(total * self.scale, x.dtype)

    def backward(self, gloss):
        x, t, e, totals, weight = self.saved
        gx = kernels.softmax_cross_entropy_grad(
            e,
            totals,
            t.reshape(-1),
            weight,
            self.ignore_label,
            self.smoothing,
            gloss.reshape(-1),
            self.scale,
        )
        return _classes_second(gx, x.shape), None

    def plain(self, x, t):
        """The same in ordinary functions."""
        xp = get_array_module(t)
        weight = self.saved[4] if self.saved[4].size else xp.ones(x.shape[1], x.dtype)
        labels = t.reshape(-1)
        kept = ~equals(labels, self.ignore_label)
        x, labels = where(kept[:, None], classes_last(x), 0), xp.where(kept, labels, 0)
        z = x - x.array.max(axis=1, keepdims=True)  # changes nothing, and exp stays in range
        log_total = log(exp(z).sum(axis=1))
        losses = (log_total - z[xp.arange(len(labels)), labels]) * weight[labels]
        if self.smoothing:
            of_all = log_total * weight.mean() - (z * weight).mean(axis=1)
            losses = (1 - self.smoothing) * losses + self.smoothing * of_all
        wrong = check_labels("softmax_cross_entropy", "x", z, labels)
        losses = where(kept, nan_if(wrong, losses), 0)
        return losses.reshape(t.shape) if self.reduce == "no" else losses.sum() * self.scale

    def _check_settings(self, x):
        check_choice("softmax_cross_entropy", ("mean", "no"), reduce=self.reduce)
        ignore = self.ignore_label
        if not (isinstance(ignore, (int, np.integer)) and abs(int(ignore)) < 1 << 63):
            raise TypeError(
                f"softmax_cross_entropy: ignore_label is {ignore!r}, expected an integer of 64 bits"
            )
        if not (isinstance(self.smoothing, Real) and 0 <= self.smoothing <= 1):
            raise ValueError(
                f"softmax_cross_entropy: label_smoothing is {self.smoothing!r}, "
                "expected a number from 0 to 1"
            )
        self.ignore_label, self.smoothing = int(ignore), float(self.smoothing)
        weight, shape = self.class_weight, x.shape[1:2]
        if weight is None:
            return
        if not is_array(weight) or weight.shape != shape or weight.dtype != x.dtype:
            came = f"{weight.dtype} {weight.shape}" if is_array(weight) else type(weight).__name__
            error = ValueError if is_array(weight) else TypeError
            raise error(
                f"softmax_cross_entropy: class_weight is {came}, expected an array of "
                f"{x.dtype} {shape} (x: {x.shape})"
            )
        if get_array_module(weight) is not get_array_module(x):
            raise ValueError(
                f"softmax_cross_entropy: class_weight is an array of "
                f"{get_array_module(weight).__name__}, x of {get_array_module(x).__name__}; "
                "expected both on one device"
            )


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


def check_labels(function, name, x, t, ignore_label=None):
    """Raise unless every label that is not ignored is one of the classes of ``x``.

    Returns:
        ``None``; on a GPU, unless in debug mode, nothing is raised, and it is an array of booleans
        that says which labels are not, for ``nan_if``.
    """
    wrong = outside(t, x.shape[1])
    if ignore_label is not None:
        wrong &= ~equals(t, ignore_label)
    if not may_look(t):
        return wrong
    if wrong.any():
        ignored = "" if ignore_label is None else f" or ignore_label, {ignore_label}"
        raise ValueError(
            f"{function}: t holds the label {int(t[wrong][0])}, expected labels from 0 to "
            f"{x.shape[1] - 1}{ignored} ({name}: {x.shape}, t: {t.shape})"
        )
    return None


def softmax_cross_entropy(
    x,
    t,
    normalize: bool = True,
    *,
    class_weight=None,
    ignore_label: int = -1,
    reduce: str = "mean",
    label_smoothing: float = 0.0,
) -> Variable:
    """The cross entropy of the softmax of scores with labels: ``-log softmax(x)[t]``.

    Args:
        x: scores, ``(N, C)`` or ``(N, C, d1, ...)``, floating.
        t: labels, integers from 0 to C - 1, ``(N,)`` or ``(N, d1, ...)``.
        normalize: whether the sum is divided by the number of labels that are not ignored; else
            by N. By their number, not by the sum of their weights as in PyTorch.
        class_weight: an array ``(C,)`` of the dtype of ``x`` by which the losses of each class
            are multiplied.
        ignore_label: rows with this label count for nothing; it may be a class or none.
        reduce: ``"mean"`` for one number, ``"no"`` for the loss of each label.
        label_smoothing: what part of each label, from 0 to 1, is spread evenly over all C
            classes, its own among them: ``(1 - s) w[t] l[t] + s / C * sum(w * l)`` for
            ``l = -log softmax(x)`` (Szegedy et al., "Rethinking the Inception Architecture for
            Computer Vision", 2016).

    Returns:
        Variable: one number, or of the shape of ``t``. Where every label is ignored it is 0.

    Raises:
        ValueError: shapes do not fit, a label is out of range, or there are no scores. On a GPU,
            where looking would make the program wait, the loss of such a label is NaN, unless in
            debug mode.
        TypeError: ``x`` is not floating or ``t`` not of integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.softmax_cross_entropy(np.zeros((1, 2)), np.array([1])).item()
    0.6931471805599453
    """
    return SoftmaxCrossEntropy(
        normalize, class_weight, ignore_label, reduce, label_smoothing
    ).apply(x, t)


class SigmoidCrossEntropy(Function):
    """``log(1 + e ** z)`` for ``z = x`` where ``t`` is 0, ``-x`` where it is 1, averaged"""

    __slots__ = ("normalize", "reduce", "scale")

    def __init__(self, normalize, reduce):
        self.normalize = normalize
        self.reduce = reduce

    def forward(self, x, t):
        check_floating("sigmoid_cross_entropy", x=x)
        check_integers("sigmoid_cross_entropy", t=t)
        check_same_shape("sigmoid_cross_entropy", x=x, t=t)
        check_choice("sigmoid_cross_entropy", ("mean", "no"), reduce=self.reduce)
        if config.debug:
            check_yes_or_no("sigmoid_cross_entropy", "counts for nothing", x, t)
        losses, slopes, kept, total = kernels.sigmoid_cross_entropy(x, t)
        self.save(x, t, slopes)
        if self.reduce == "no":
            self.scale = 1.0
            return losses
        if x.size == 0:
            raise ValueError(
                f"sigmoid_cross_entropy: x holds no scores, expected at least one (x: {x.shape})"
            )
        self.scale = 1 / (kept if self.normalize or x.ndim == 0 else len(x))
        return get_array_module(x).asarray(total * self.scale, x.dtype)

    def backward(self, gloss):
        slopes = self.saved[2]
        return slopes * (gloss * self.scale), None

    def plain(self, x, t):
        """The same in ordinary functions."""
        wrong = check_yes_or_no("sigmoid_cross_entropy", "counts for nothing", x, t)
        kept = t >= 0
        sign = np.where(t > 0, x.dtype.type(-1), x.dtype.type(1))
        losses = nan_if(wrong, where(kept, softplus(where(kept, x, 0) * sign), 0))
        return losses if self.reduce == "no" else losses.sum() * self.scale


def check_yes_or_no(function, means, x, t):
    """Raise unless every label is 0, 1, or -1, which ``means`` something; like ``check_labels``."""
    wrong = outside(t, 2) & ~equals(t, -1)
    if not may_look(t):
        return wrong
    if wrong.any():
        raise ValueError(
            f"{function}: t holds the label {int(t[wrong][0])}, expected 0, 1, or -1 where the "
            f"score {means} (x: {x.shape}, t: {t.shape})"
        )
    return None


def sigmoid_cross_entropy(x, t, normalize: bool = True, reduce: str = "mean") -> Variable:
    """The cross entropy of the sigmoid of scores with labels, each of which is a yes or a no.

    ``-log sigmoid(x)`` where the label is 1, ``-log(1 - sigmoid(x))`` where it is 0.

    Args:
        x: scores, any shape, floating.
        t: labels, integers of the shape of ``x``: 1, 0, or -1 where the score counts for nothing.
        normalize: whether the sum is divided by the number of labels that are not -1; else by the
            length of the first axis.
        reduce: ``"mean"`` for one number, ``"no"`` for the loss of each score.

    Returns:
        Variable: one number, or of the shape of ``x``. Where every label is -1 it is 0.

    Raises:
        ValueError: the shapes differ, a label is something else, or there is nothing to average.
            On a GPU, where looking would make the program wait, the loss of such a label is NaN,
            unless in debug mode.
        TypeError: ``x`` is not floating or ``t`` not of integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.sigmoid_cross_entropy(np.zeros((1, 2)), np.array([[1, 0]])).item()
    0.6931471805599453
    """
    return SigmoidCrossEntropy(normalize, reduce).apply(x, t)


def hinge(x, t, norm: str = "L1", reduce: str = "mean") -> Variable:
    """The hinge loss: ``max(0, 1 - x)`` of the score at the label, ``max(0, 1 + x)`` of others.

    Args:
        x: scores, ``(N, C)``, floating.
        t: labels, integers from 0 to C - 1, ``(N,)``.
        norm: ``"L1"``, or ``"L2"`` for the squares of these.
        reduce: ``"mean"`` for one number, the sum divided by N; ``"no"`` for each score's loss.

    Returns:
        Variable: one number, or ``(N, C)``.

    Raises:
        ValueError: shapes do not fit, a label is out of range, or there are no scores. On a GPU,
            where looking would make the program wait, the losses of such a row are NaN, unless
            in debug mode.
        TypeError: ``x`` is not floating or ``t`` not of integers.

    >>> import numpy as np, dynet.functions as F
    >>> F.hinge(np.array([[2.0, 0.5]]), np.array([1]), reduce="no").array
    array([[3. , 0.5]])
    """
    check_choice("hinge", ("L1", "L2"), norm=norm)
    check_choice("hinge", ("mean", "no"), reduce=reduce)
    scores, labels = raw(x), elements(t)
    check_scores_and_labels("hinge", "x", scores, labels)
    check_ndim("hinge", 2, x=scores)
    check_one_device("hinge", {"x": scores, "t": labels})
    wrong = check_labels("hinge", "x", scores, labels)
    xp = get_array_module(scores)
    towards = xp.ones(scores.shape, scores.dtype)
    towards[xp.arange(len(labels)), labels] = -1
    losses = relu(1 + towards * x)
    if wrong is not None:
        losses = nan_if(wrong[:, None], losses)
    if norm == "L2":
        losses = losses * losses
    return losses if reduce == "no" else losses.sum() / len(scores)
