"""Measuring a model on examples that it does not learn from."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..config import no_backprop_mode, using_config


def evaluate(measure: Callable, *arrays: Any, batchsize: int = 500) -> np.ndarray:
    """The means of some measures over all examples, with nothing recorded and ``train`` off.

    Args:
        measure: takes a batch of each array; returns a one-element Variable or number, or a tuple
            of them, each a mean over the batch.
        arrays: each with the same number of examples along its first axis.
        batchsize: how many examples at once.

    Returns:
        numpy.ndarray: float64, one mean for each measure.

    Raises:
        ValueError: the arrays differ in length, or are empty; ``batchsize`` is not positive.

    >>> import numpy as np, dynet, dynet.functions as F
    >>> dynet.training.evaluate(lambda x: F.mean(x), np.arange(4.0), batchsize=3)
    array([1.5])
    """
    lengths = [len(x) for x in arrays]
    n = max(lengths, default=0)
    if n == 0 or min(lengths) != n:
        raise ValueError(
            f"evaluate: the arrays have lengths {lengths}, expected one length of at least 1"
        )
    if batchsize < 1:
        raise ValueError(f"evaluate: batchsize is {batchsize}, expected at least 1")
    total = 0.0
    with no_backprop_mode(), using_config("train", False):
        for i in range(0, n, batchsize):
            batch = [x[i : i + batchsize] for x in arrays]
            means = measure(*batch)
            means = means if isinstance(means, tuple) else (means,)
            total = total + np.array([float(m) for m in means]) * len(batch[0])
    return total / n
