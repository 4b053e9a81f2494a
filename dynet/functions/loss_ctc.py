"""The loss of label sequences whose place in time is not known."""

import functools

import numpy as np

from ..backend import check_one_device, get_array_module
from ..function import Function
from ..kernels.ctc import ctc
from ..kernels.labels import equals, may_look, outside
from ..variable import Variable
from .activation import log_softmax
from .arithmetic import where
from .checks import (
    check_choice,
    check_floating,
    check_integers,
    check_ndim,
    check_same_shape,
    check_shape,
    raw,
)
from .indexing import nan_if
from .math import exp, log

__all__ = ["connectionist_temporal_classification"]

# The logarithm of a probability that is 0, where that is to be differentiated: from infinity,
# the rule would make NaN. Less than other logarithms are, and the sum of 100,000 of it, one a time
# step, still is a float32.
NEVER = -1e33


class ConnectionistTemporalClassification(Function):
    """Minus the logarithm of the probability of all ways to spread labels over time"""

    __slots__ = ("blank", "reduce")

    def __init__(self, blank, reduce):
        self.blank = blank
        self.reduce = reduce

    def forward(self, t, input_length, label_length, *xs):
        losses, slopes = ctc(np.stack(xs), t, self.blank, input_length, label_length)
        self.save(t, input_length, label_length, *xs, slopes)
        return losses if self.reduce == "no" else losses.mean()

    def backward(self, gloss):
        slopes = self.saved[-1]
        if self.reduce == "mean":
            return None, None, None, *(slopes * (gloss / slopes.shape[1]))
        return None, None, None, *(slopes * gloss[:, None])

    def plain(self, t, input_length, label_length, *xs):
        """The same in ordinary functions, a time step of all sequences after the other."""
        xp = get_array_module(t)
        dtype = xs[0].dtype
        batch = xp.arange(len(t))
        # The labels with blanks between and around them: the path. At each time a way stays where
        # it is, goes on by one place, or leaps over the blank between two labels that differ.
        path = xp.full((len(t), 2 * t.shape[1] + 1), self.blank)
        path[:, 1::2] = t
        places = xp.arange(path.shape[1])
        path = xp.where(places <= 2 * label_length[:, None], path, self.blank)
        back = [xp.maximum(places - k, 0) for k in range(3)]
        may_come = [places >= 0, places >= 1, (places >= 2) & (path != path[:, back[2]])]
        never = [xp.where(may, 0, NEVER).astype(dtype) for may in may_come]

        # The logarithm of the probability of all ways so far to a place. A way begins at the
        # first blank or at the first label.
        alpha = xp.broadcast_to(xp.where(places < 2, 0, NEVER).astype(dtype), path.shape)
        for i, x in enumerate(xs):
            if i == 0:
                coming = alpha
            else:
                ways = zip(back, never, strict=True)
                coming = _log_of_sum([alpha[:, places] + no for places, no in ways])
            here = coming + np.maximum(log_softmax(x), NEVER)[batch[:, None], path]
            going_on = xp.asarray(i < input_length, dtype)[:, None]
            alpha = here * going_on + alpha * (1 - going_on)

        # It ends at the last label or at the blank behind it.
        end = 2 * label_length
        no_label = xp.where(label_length > 0, 0, NEVER).astype(dtype)
        last = alpha[batch, xp.maximum(end - 1, 0)] + no_label
        losses = -_log_of_sum([alpha[batch, end], last])
        # In no steps there is no way to a label; and NaN is not taken for an impossible way.
        possible = (label_length <= input_length) & ~(losses.array > -NEVER / 2)
        losses = where(possible, losses, np.inf)
        return losses if self.reduce == "no" else losses.sum() / len(t)


def _log_of_sum(xs):
    """``log(e ** x0 + e ** x1 + ...)``."""
    top = functools.reduce(np.maximum, [x.array for x in xs])
    return log(functools.reduce(Variable.__add__, [exp(x - top) for x in xs])) + top


def connectionist_temporal_classification(
    x, t, blank_symbol: int, input_length=None, label_length=None, reduce: str = "mean"
) -> Variable:
    """How unlikely label sequences are, of which nobody knows when each label comes.

    At each time step one symbol comes, a label or the blank, with the probability that the
    softmax of its score gives. The loss is minus the logarithm of the probability of all
    successions of symbols from which the labels are left when repetitions are taken once and the
    blanks are taken out (Graves et al., "Connectionist Temporal Classification", 2006).

    Args:
        x (list): the scores of each time step, ``(B, V)``, floating, for B sequences and V
            symbols.
        t: labels, integers from 0 to V - 1 other than the blank, ``(B, M)``.
        blank_symbol: which symbol is the blank.
        input_length: how many time steps of each sequence count, integers ``(B,)``; by default
            all.
        label_length: how many labels of each sequence count, integers ``(B,)``; by default all
            M. What stands behind them is not looked at.
        reduce: ``"mean"`` for the mean over the sequences, ``"no"`` for the loss of each.

    Returns:
        Variable: one number, or ``(B,)``. A sequence with more labels (and blanks between equal
        ones) than time steps has the loss infinity, and the gradient 0.

    Raises:
        ValueError: shapes do not fit, or a label or a length is out of range. On a GPU, where
            looking would make the program wait, the loss of such a sequence is NaN, unless in
            debug mode.
        TypeError: ``x`` is no list of floating arrays, or labels or lengths are not integers.

    >>> import numpy as np, dynet.functions as F
    >>> x = [np.zeros((1, 2)), np.zeros((1, 2))]  # 3 of the 4 successions spell the label
    >>> F.connectionist_temporal_classification(x, np.array([[1]]), blank_symbol=0).item()
    0.2876820724517809
    """
    name = "connectionist_temporal_classification"
    if not isinstance(x, (list, tuple)) or not x:
        came = "holds no time steps" if isinstance(x, (list, tuple)) else f"is {type(x).__name__}"
        raise TypeError(f"{name}: x {came}, expected a list of scores (B, V), one a time step")
    scores = {f"x[{i}]": raw(step) for i, step in enumerate(x)}
    check_floating(name, **scores)
    check_ndim(name, 2, **{"x[0]": scores["x[0]"]})
    check_same_shape(name, **scores)
    check_choice(name, ("mean", "no"), reduce=reduce)
    batch, symbols = x[0].shape
    if not isinstance(blank_symbol, (int, np.integer)) or not 0 <= blank_symbol < symbols:
        raise ValueError(
            f"{name}: blank_symbol is {blank_symbol!r}, expected an integer from 0 to "
            f"{symbols - 1} (x[0]: {x[0].shape})"
        )
    if batch == 0 and reduce == "mean":
        raise ValueError(f"{name}: x[0] has shape {x[0].shape}, expected a sequence to average")
    t = raw(t)
    check_integers(name, t=t)
    check_ndim(name, 2, t=t)
    if len(t) != batch:
        raise ValueError(f"{name}: t has shape {t.shape}, expected {batch} rows (x: {x[0].shape})")
    lengths = {"input_length": raw(input_length), "label_length": raw(label_length)}
    check_one_device(name, {**scores, "t": t, **lengths})
    input_length = _length(name, "input_length", input_length, t, len(x))
    label_length = _length(name, "label_length", label_length, t, t.shape[1])
    counts = get_array_module(t).arange(t.shape[1]) < label_length[:, None]
    wrong = counts & (outside(t, symbols) | equals(t, blank_symbol))
    if may_look(t) and wrong.any():
        raise ValueError(
            f"{name}: t holds the label {int(t[wrong][0])}, expected labels from 0 to "
            f"{symbols - 1} other than blank_symbol, {blank_symbol}"
        )
    f = ConnectionistTemporalClassification(int(blank_symbol), reduce)
    if get_array_module(*x) is np:
        return f.apply(t, input_length, label_length, *x)
    # The kernel is of the CPU.
    wrong = wrong.any(axis=1) | outside(input_length, len(x) + 1)
    wrong |= outside(label_length, t.shape[1] + 1)
    loss = f.plain(t, input_length, label_length, *x)
    return nan_if(wrong if reduce == "no" else wrong.any(), loss)


def _length(function, name, length, t, most):
    """How much of each sequence counts, as an array of integers from 0 to ``most``."""
    if length is None:
        return get_array_module(t).full(len(t), most)
    length = raw(length)
    check_integers(function, **{name: length})
    check_shape(function, (len(t),), **{name: length})
    wrong = outside(length, most + 1)
    if may_look(length) and wrong.any():
        raise ValueError(
            f"{function}: {name} holds {int(length[wrong][0])}, expected lengths from 0 to {most}"
        )
    return length.astype(np.int64)
