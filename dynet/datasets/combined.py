"""Datasets made of datasets: columns side by side, one after the other, or each example changed.

A column, like any dataset, is whatever has a length and gives an example for a number: an array,
a list, another dataset. Nothing is copied.
"""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from .dataset_mixin import DatasetMixin


class TupleDataset(DatasetMixin):
    """Columns side by side: an example is a tuple with one item of each.

    Args:
        datasets: the columns, of one length.

    Raises:
        ValueError: there are no columns, or they differ in length.
        TypeError: a column has no length.

    >>> import numpy as np, dynet
    >>> dataset = dynet.datasets.TupleDataset(["a", "b", "c"], [0, 1, 2])
    >>> dataset[1], dataset[1:]
    (('b', 1), [('b', 1), ('c', 2)])
    """

    def __init__(self, *datasets: Any):
        self._length = _common_length("TupleDataset", dict(enumerate(datasets)))
        self._datasets = datasets

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if type(index) is int:
            # A batch asks for its examples one by one: the columns check this number anyway.
            return tuple([column[index] for column in self._datasets])
        return super().__getitem__(index)

    def get_example(self, i: int) -> tuple:
        """The ``i``-th item of each column."""
        return tuple([column[i] for column in self._datasets])


class DictDataset(DatasetMixin):
    """Named columns side by side: an example is a dict with one item of each.

    Args:
        datasets: the columns, of one length, by name.

    Raises:
        ValueError: there are no columns, or they differ in length.
        TypeError: a column has no length.

    >>> import dynet
    >>> dataset = dynet.datasets.DictDataset(text=["a", "b"], label=[0, 1])
    >>> dataset[1]
    {'text': 'b', 'label': 1}
    """

    def __init__(self, **datasets: Any):
        self._length = _common_length("DictDataset", datasets)
        self._datasets = datasets

    def __len__(self) -> int:
        return self._length

    def get_example(self, i: int) -> dict:
        """The ``i``-th item of each column, by the column's name."""
        return {name: column[i] for name, column in self._datasets.items()}


class ConcatenatedDataset(DatasetMixin):
    """Datasets one after the other.

    Args:
        datasets: their lengths may differ.

    Raises:
        TypeError: one of them has no length.

    >>> import dynet
    >>> dataset = dynet.datasets.ConcatenatedDataset([1, 2], [3, 4, 5])
    >>> len(dataset), dataset[2], dataset[-1]
    (5, 3, 5)
    """

    def __init__(self, *datasets: Any):
        self._datasets = datasets
        lengths = [
            _length("ConcatenatedDataset", f"dataset {i}", d) for i, d in enumerate(datasets)
        ]
        self._starts = [0, *accumulate(lengths)]

    def __len__(self) -> int:
        return self._starts[-1]

    def get_example(self, i: int) -> Any:
        """The ``i``-th example, counted through all of them."""
        which = bisect_right(self._starts, i) - 1
        return self._datasets[which][i - self._starts[which]]


class TransformDataset(DatasetMixin):
    """A dataset of which each example is changed by a function when it is asked for.

    Args:
        dataset: what the function is applied to.
        transform: takes an example and returns one. The example is the dataset's own: what is to
            be changed has to be copied, ``x - 0.5``, not ``x -= 0.5``.

    Raises:
        TypeError: the dataset has no length, or ``transform`` cannot be called.

    >>> import dynet
    >>> dataset = dynet.datasets.TransformDataset([1, 2, 3], lambda x: 10 * x)
    >>> dataset[1:]
    [20, 30]
    """

    def __init__(self, dataset: Any, transform: Callable):
        _length("TransformDataset", "dataset", dataset)
        if not callable(transform):
            raise TypeError(f"TransformDataset: transform is {transform!r}, expected a function")
        self._dataset = dataset
        self._transform = transform

    def __len__(self) -> int:
        return len(self._dataset)

    def get_example(self, i: int) -> Any:
        """What the function makes of the ``i``-th example."""
        return self._transform(self._dataset[i])


def _common_length(kind, columns):
    if not columns:
        raise ValueError(f"{kind}: got no columns, expected at least one")
    lengths = {name: _length(kind, f"column {name!r}", c) for name, c in columns.items()}
    first, length = next(iter(lengths.items()))
    for name, other in lengths.items():
        if other != length:
            raise ValueError(
                f"{kind}: column {first!r} has {length} examples, column {name!r} has {other}; "
                "expected one length"
            )
    return length


def _length(kind, name, dataset):
    try:
        return len(dataset)
    except TypeError:
        raise TypeError(
            f"{kind}: {name} is {type(dataset).__name__} without a length, expected an array, a "
            "list or another dataset"
        ) from None
