"""Losses that look at a few classes of many."""

from collections.abc import Callable

import numpy as np

from ..backend import beside, check_one_device, get_array_module
from ..kernels.labels import equals, may_look, outside
from .activation import softplus
from .arithmetic import where
from .checks import (
    check_choice,
    check_floating,
    check_integers,
    check_ndim,
    check_shape,
    elements,
    raw,
)
from .connection import embed_id

__all__ = ["negative_sampling"]

IGNORE_LABEL = -1


def negative_sampling(
    x,
    t,
    W,
    sampler: Callable,
    sample_size: int,
    reduce: str = "sum",
    *,
    return_samples: bool = False,
):
    """Tells each label from a few others that are drawn at random, instead of from all others.

    ``-log sigmoid(x . W[t])``, and ``-log sigmoid(-x . W[k])`` for each ``k`` of a sample
    (Mikolov et al., "Distributed Representations of Words and Phrases", 2013). The gradient of
    ``W`` is computed of the rows that were looked up alone.

    Args:
        x: vectors, ``(N, d)``, floating.
        t: labels, integers from 0 to V - 1, or -1 where the row counts for nothing, ``(N,)``.
        W: a vector for each label, ``(V, d)``, of the dtype of ``x``.
        sampler: a callable that goes from a shape to an array of labels of that shape, drawn
            from whatever distribution, on whatever device. It is asked for
            ``(N, sample_size + 1)``; the first column gives way to ``t``.
        sample_size: how many labels are drawn for each row.
        reduce: ``"sum"`` for one number, ``"no"`` for the loss of each row.
        return_samples: whether the labels that were looked at are returned too.

    Returns:
        Variable: one number, or ``(N,)``; with ``return_samples`` a tuple of this and an array of
        integers ``(N, sample_size + 1)``.

    Raises:
        ValueError: shapes do not fit, or a label or one that was drawn is out of range. On a
            GPU, where looking would make the program wait, its loss is NaN, unless in debug mode.
        TypeError: ``x`` and ``W`` are not of one floating dtype, or the labels are not integers.

    >>> import numpy as np, dynet.functions as F
    >>> def first(shape):
    ...     return np.zeros(shape, int)
    >>> x, W = np.zeros((1, 2)), np.ones((3, 2))
    >>> F.negative_sampling(x, np.array([2]), W, first, sample_size=1).item()
    1.3862943611198906
    """
    labels, table = elements(t), raw(W)
    check_floating("negative_sampling", x=x, W=table)
    check_integers("negative_sampling", t=labels)
    check_ndim("negative_sampling", 2, x=x, W=W)
    check_shape("negative_sampling", x.shape[:1], t=labels)
    check_one_device("negative_sampling", {"x": x, "t": labels, "W": table})
    check_choice("negative_sampling", ("sum", "no"), reduce=reduce)
    if x.shape[1] != W.shape[1]:
        raise ValueError(
            f"negative_sampling: x has shape {x.shape}, W has shape {W.shape}; "
            "expected vectors of one length"
        )
    if not isinstance(sample_size, (int, np.integer)) or sample_size < 0:
        raise ValueError(f"negative_sampling: sample_size is {sample_size!r}, expected 0, 1, ...")
    samples = beside(_draw(sampler, (len(labels), int(sample_size) + 1)), table)
    ignored = equals(labels, IGNORE_LABEL)
    some_ignored = True
    if may_look(table):
        some_ignored = ignored.any()
        kept = ~ignored
        _check_range("what the sampler drew", samples[kept, 1:], table)
        _check_range("t", labels[kept], table)
    samples = samples.astype(np.int64)  # a copy: the sampler may keep its own
    samples[:, 0] = labels
    looked_up = samples
    if some_ignored:
        looked_up = np.where(ignored[:, None], IGNORE_LABEL, samples)
        x = where(ignored[:, None], 0, x)

    towards = get_array_module(table).ones(looked_up.shape[1], table.dtype)
    towards[0] = -1
    vectors = embed_id(looked_up, W, IGNORE_LABEL if some_ignored else None)
    scores = (vectors * x.reshape(len(labels), 1, x.shape[1])).sum(axis=2)
    losses = softplus(scores * towards).sum(axis=1)
    if some_ignored:
        losses = where(ignored, 0, losses)
    loss = losses.sum() if reduce == "sum" else losses
    return (loss, samples) if return_samples else loss


def _draw(sampler, shape):
    if not callable(sampler):
        raise TypeError(
            f"negative_sampling: sampler is {type(sampler).__name__}, expected a callable"
        )
    samples = sampler(shape)
    check_integers("negative_sampling", **{"what the sampler drew": samples})
    check_shape("negative_sampling", shape, **{"what the sampler drew": samples})
    return samples


def _check_range(what, labels, table):
    wrong = outside(labels, len(table))
    if wrong.any():
        raise ValueError(
            f"negative_sampling: {what} holds the label {int(labels[wrong][0])}, expected labels "
            f"from 0 to {len(table) - 1} (W: {table.shape})"
        )
