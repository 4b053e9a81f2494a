"""Parts of a dataset: one to learn from and one to test with, several parts, cross-validation."""

from itertools import pairwise
from typing import Any

import numpy as np

from ..functions.checks import check_integer
from .dataset_mixin import DatasetMixin


class SubDataset(DatasetMixin):
    """A part of a dataset: the examples from ``start`` up to, not including, ``finish``.

    Args:
        dataset: what it is a part of; nothing is copied.
        start: the number of the first example.
        finish: the number after the last.
        order: a permutation of the dataset's numbers, in whose order ``start`` and ``finish``
            count: example ``i`` of the part is example ``order[start + i]`` of the dataset.

    Raises:
        ValueError: ``start`` and ``finish`` do not lie within the dataset, or ``order`` is no
            permutation of its numbers.
        TypeError: ``start`` or ``finish`` is no integer.

    >>> import dynet
    >>> dynet.datasets.SubDataset("abcde", 1, 3)[:]
    ['b', 'c']
    >>> dynet.datasets.SubDataset("abcde", 1, 3, order=[4, 3, 2, 1, 0])[:]
    ['d', 'c']
    """

    def __init__(self, dataset: Any, start: int, finish: int, order: Any = None):
        n = len(dataset)
        start, finish = _integer("SubDataset", start=start), _integer("SubDataset", finish=finish)
        if not 0 <= start <= finish <= n:
            raise ValueError(
                f"SubDataset: start is {start} and finish is {finish}, expected "
                f"0 <= start <= finish <= {n}, the length of the dataset"
            )
        self._dataset = dataset
        self._start = start
        self._length = finish - start
        self._order = None if order is None else _permutation("SubDataset", order, n)

    def __len__(self) -> int:
        return self._length

    def get_example(self, i: int) -> Any:
        """Example ``i`` of the part."""
        i += self._start
        return self._dataset[i if self._order is None else int(self._order[i])]


def split_dataset(dataset: Any, split_at: int, order: Any = None) -> tuple[SubDataset, SubDataset]:
    """The first ``split_at`` examples, and the rest.

    Args:
        dataset: what is split; nothing is copied.
        split_at: how many examples the first part has, fewer than the dataset.
        order: a permutation of the dataset's numbers, by which they are first put in order.

    Returns:
        tuple: two ``SubDataset``.

    Raises:
        ValueError: ``split_at`` is out of range, or ``order`` is no permutation.
        TypeError: ``split_at`` is no integer.

    >>> import dynet
    >>> first, second = dynet.datasets.split_dataset([1, 2, 3, 4, 5], 3)
    >>> first[:], second[:]
    ([1, 2, 3], [4, 5])
    """
    n = len(dataset)
    split_at = _integer("split_dataset", split_at=split_at)
    if not 0 <= split_at < n:
        raise ValueError(
            f"split_dataset: split_at is {split_at}, expected at least 0 and less than {n}, the "
            "length of the dataset"
        )
    return SubDataset(dataset, 0, split_at, order), SubDataset(dataset, split_at, n, order)


def split_dataset_random(
    dataset: Any, first_size: int, seed: int | None = None
) -> tuple[SubDataset, SubDataset]:
    """``first_size`` examples drawn at random, and the rest.

    Args:
        dataset: what is split; nothing is copied.
        first_size: how many examples the first part has, fewer than the dataset.
        seed: from one seed comes the same split always; by default it is drawn from NumPy's
            global state, which ``numpy.random.seed`` sets.

    Returns:
        tuple: two ``SubDataset``.

    >>> import dynet
    >>> first, second = dynet.datasets.split_dataset_random(range(5), 3, seed=0)
    >>> sorted(first[:] + second[:])
    [0, 1, 2, 3, 4]
    """
    return split_dataset(dataset, first_size, _shuffled(dataset, seed))


def split_dataset_n(dataset: Any, n: int, order: Any = None) -> list[SubDataset]:
    """``n`` parts of a dataset, one after the other, whose lengths differ by 1 at most.

    Every example is in one of them. (Chainer leaves those over that do not divide evenly.)

    Args:
        dataset: what is split; nothing is copied.
        n: how many parts, no more than there are examples.
        order: a permutation of the dataset's numbers, by which they are first put in order.

    Raises:
        ValueError: ``n`` is out of range, or ``order`` is no permutation.
        TypeError: ``n`` is no integer.

    >>> import dynet
    >>> [part[:] for part in dynet.datasets.split_dataset_n([1, 2, 3, 4, 5], 2)]
    [[1, 2], [3, 4, 5]]
    """
    borders = _borders("split_dataset_n", "n", n, 1, len(dataset))
    return [SubDataset(dataset, a, b, order) for a, b in pairwise(borders)]


def split_dataset_n_random(dataset: Any, n: int, seed: int | None = None) -> list[SubDataset]:
    """``n`` parts of a dataset, drawn at random, whose lengths differ by 1 at most.

    Args:
        dataset: what is split; nothing is copied.
        n: how many parts, no more than there are examples.
        seed: as in ``split_dataset_random``.

    >>> import dynet
    >>> [len(part) for part in dynet.datasets.split_dataset_n_random(range(10), 3, seed=0)]
    [3, 3, 4]
    """
    return split_dataset_n(dataset, n, _shuffled(dataset, seed))


def get_cross_validation_datasets(
    dataset: Any, n_fold: int, order: Any = None
) -> list[tuple[SubDataset, SubDataset]]:
    """``n_fold`` ways to split a dataset into a part to learn from and one to test with.

    Every example is in one of the parts to test with, and only in one; their lengths differ by 1
    at most.

    Args:
        dataset: what is split; nothing is copied.
        n_fold: how many splits, from 2 to the number of examples.
        order: a permutation of the dataset's numbers, by which they are first put in order.

    Returns:
        list: pairs of ``SubDataset``, to learn from and to test with; the last examples are the
        first to test with.

    Raises:
        ValueError: ``n_fold`` is out of range, or ``order`` is no permutation.
        TypeError: ``n_fold`` is no integer.

    >>> import dynet
    >>> splits = dynet.datasets.get_cross_validation_datasets([1, 2, 3, 4, 5], 2)
    >>> [(train[:], test[:]) for train, test in splits]
    [([1, 2], [3, 4, 5]), ([3, 4, 5], [1, 2])]
    """
    n = len(dataset)
    borders = _borders("get_cross_validation_datasets", "n_fold", n_fold, 2, n)
    order = np.arange(n) if order is None else np.asarray(order)
    splits = []
    for a, b in zip(borders[-2::-1], borders[:0:-1], strict=True):
        # What is tested with goes to the end, then to the front, before what was there.
        splits.append(split_dataset(dataset, n - (b - a), order))
        order = np.roll(order, b - a)
    return splits


def get_cross_validation_datasets_random(
    dataset: Any, n_fold: int, seed: int | None = None
) -> list[tuple[SubDataset, SubDataset]]:
    """``get_cross_validation_datasets`` of a dataset in random order.

    Args:
        dataset: what is split; nothing is copied.
        n_fold: how many splits, from 2 to the number of examples.
        seed: as in ``split_dataset_random``.

    >>> import dynet
    >>> splits = dynet.datasets.get_cross_validation_datasets_random(range(6), 3, seed=0)
    >>> sorted(i for _, test in splits for i in test)
    [0, 1, 2, 3, 4, 5]
    """
    return get_cross_validation_datasets(dataset, n_fold, _shuffled(dataset, seed))


def _shuffled(dataset, seed):
    # The generator that Chainer used: from a seed comes the split that it gave.
    rng = np.random if seed is None else np.random.RandomState(seed)
    return rng.permutation(len(dataset))


def _borders(function, name, parts, least, n):
    parts = _integer(function, **{name: parts})
    if not least <= parts <= n:
        raise ValueError(
            f"{function}: {name} is {parts}, expected {least} to {n}, the length of the dataset"
        )
    return [n * i // parts for i in range(parts + 1)]


def _permutation(function, order, n):
    order = np.array(order)
    right = order.shape == (n,) and (order.dtype.kind in "iu" or n == 0)
    if not right or not np.array_equal(np.sort(order), np.arange(n)):
        raise ValueError(
            f"{function}: order is {order.dtype} {order.shape}, expected a permutation of the "
            f"numbers 0 to {n - 1}, each once"
        )
    return order


def _integer(function, **argument):
    check_integer(function, **argument)
    (value,) = argument.values()
    return int(value)
