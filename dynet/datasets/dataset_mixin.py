"""Indexing for datasets: one example by its number, several by a slice or a list of numbers."""

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np


class DatasetMixin:
    """What a dataset needs besides its examples: ``dataset[2]``, ``dataset[1:3]``, ``dataset[-1]``.

    Derive from it, and define ``__len__`` and ``get_example``.

    >>> import dynet
    >>> class Squares(dynet.datasets.DatasetMixin):
    ...     def __len__(self):
    ...         return 5
    ...     def get_example(self, i):
    ...         return i * i
    >>> squares = Squares()
    >>> squares[-1], squares[1:4], squares[[4, 0]]
    (16, [1, 4, 9], [16, 0])
    """

    def __len__(self) -> int:
        """How many examples there are."""
        raise NotImplementedError(f"{type(self).__name__} has no __len__")

    def get_example(self, i: int) -> Any:
        """The example of number ``i``, from 0 up to, not including, the length."""
        raise NotImplementedError(f"{type(self).__name__} has no get_example")

    def __iter__(self) -> Iterator[Any]:
        # Python's own way, to index until IndexError, would hide one from within an example.
        return map(self.get_example, range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """One example, or a list of them.

        Args:
            index: a number, counted from the end where it is negative; or a slice, a list or an
                array of numbers, or an array of booleans that says which.

        Raises:
            IndexError: there is no example of that number.
        """
        n = len(self)
        if isinstance(index, slice):
            return [self.get_example(i) for i in range(n)[index]]
        if isinstance(index, (list, np.ndarray)) and np.ndim(index):
            return [self.get_example(i) for i in _numbers(type(self).__name__, index, n)]
        return self.get_example(_number(type(self).__name__, index, n))


def _numbers(dataset, index, n):
    index = np.asarray(index)
    if index.dtype == bool:
        if index.shape != (n,):
            raise IndexError(
                f"{dataset}: got a mask of shape {index.shape}, expected one boolean for each of "
                f"the {n} examples"
            )
        return np.flatnonzero(index).tolist()
    if index.ndim != 1 or (index.dtype.kind not in "iu" and index.size):
        raise TypeError(
            f"{dataset}: got {index.dtype} numbers of shape {index.shape}, expected integers in "
            "one row"
        )
    return [_number(dataset, i, n) for i in index.tolist()]


def _number(dataset, i, n):
    try:
        i = operator.index(i)
    except TypeError:
        raise TypeError(
            f"{dataset}: got the index {i!r}, expected an integer, a slice, or a list of integers"
        ) from None
    if not -n <= i < n:
        raise IndexError(f"{dataset}: there is no example {i}, only {n} examples")
    return i if i >= 0 else i + n
