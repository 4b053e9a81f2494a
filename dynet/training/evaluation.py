"""Measuring a model on examples that it does not learn from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend import is_array
from ..config import no_backprop_mode, using_config
from ..datasets.convert import concat_examples
from ..reporter import DictSummary, as_summand
from .log import described


def evaluate(
    measure: Callable,
    *data: Any,
    batchsize: int = 500,
    converter: Callable = concat_examples,
) -> np.ndarray:
    """The means of some measures over all examples, with nothing recorded and ``train`` off.

    Args:
        measure: takes a batch of each array, or the arrays of a batch of examples; returns a
            one-element Variable or number, or a tuple of them, each a mean over the batch.
        data: arrays, each with the same number of examples along its first axis; or one dataset, a
            list or ``TupleDataset`` of examples; or one iterator over a dataset, made with
            ``repeat=False``, which is reset before.
        batchsize: how many examples at once; an iterator has a size of its own.
        converter: makes arrays of a list of examples.

    Returns:
        numpy.ndarray: float64, one mean for each measure.

    Raises:
        ValueError: the arrays differ in length, or are empty; ``batchsize`` is not positive; the
            iterator would go on without end.
        TypeError: a tuple of arrays came as one argument; a measure is no number.

    >>> import numpy as np, dynet, dynet.functions as F
    >>> dynet.training.evaluate(lambda x: F.mean(x), np.arange(4.0), batchsize=3)
    array([1.5])
    >>> dynet.training.evaluate(lambda x, t: F.mean(x * t), [(1.0, 2.0), (3.0, 4.0)])
    array([7.])
    """
    summary = DictSummary()
    with evaluating():
        for size, arguments, names in _batches(data, batchsize, converter):
            means = measure(*arguments, **names)
            means = means if isinstance(means, tuple) else (means,)
            for mean in means:
                if as_summand(mean) is None:
                    raise TypeError(
                        f"evaluate: measure gave {described(mean)}, expected a number or a "
                        "Variable of one element, or a tuple of these"
                    )
            summary.add({str(i): mean for i, mean in enumerate(means)}, size)
    return np.array(list(summary.compute_mean().values()))


@contextmanager
def evaluating() -> Iterator[None]:
    """Nothing is recorded, and functions that differ between training and use do not train."""
    with no_backprop_mode(), using_config("train", False):
        yield


def rewound(iterator: Any, by: str) -> Any:
    """An iterator at the beginning of its one pass.

    Raises:
        ValueError: it would go on without end.
    """
    if getattr(iterator, "repeat", False):
        raise ValueError(
            f"{by}: the iterator gives its examples again and again, expected one that was made "
            "with repeat=False"
        )
    iterator.reset()
    return iterator


def arguments_of(arrays: Any) -> tuple[tuple, dict[str, Any]]:
    """What a converter made of a batch, as a function's arguments, without names and with.

    >>> arguments_of((1, 2)), arguments_of({"x": 1}), arguments_of(3)
    (((1, 2), {}), ((), {'x': 1}), ((3,), {}))
    """
    if isinstance(arrays, tuple):
        return arrays, {}
    if isinstance(arrays, dict):
        return (), arrays
    return (arrays,), {}


def _batches(data, batchsize, converter):
    """The size and the arguments of one batch after another."""
    if len(data) == 1 and hasattr(data[0], "is_new_epoch"):
        for batch in rewound(data[0], "evaluate"):
            yield len(batch), *arguments_of(converter(batch))
        return
    if len(data) == 1 and isinstance(data[0], tuple):
        raise TypeError(
            f"evaluate: data is a tuple of {len(data[0])}; expected arrays one by one, as in "
            "evaluate(measure, *arrays), or a dataset of examples"
        )
    lengths = [len(x) for x in data]
    n = max(lengths, default=0)
    if n == 0 or min(lengths) != n:
        raise ValueError(
            f"evaluate: the arrays have lengths {lengths}, expected one length of at least 1"
        )
    if batchsize < 1:
        raise ValueError(f"evaluate: batchsize is {batchsize}, expected at least 1")
    of_examples = len(data) == 1 and not is_array(data[0])
    for i in range(0, n, batchsize):
        if of_examples:
            batch = [data[0][j] for j in range(i, min(i + batchsize, n))]
            yield len(batch), *arguments_of(converter(batch))
        else:
            yield min(batchsize, n - i), tuple(x[i : i + batchsize] for x in data), {}
