"""The plain iterator: it fetches each batch when it is asked for."""

from collections.abc import Callable
from typing import Any

from .iterator import Iterator


class SerialIterator(Iterator):
    """Fetches the examples of a batch one after the other, when the batch is asked for.

    Args:
        dataset: has a length, and gives an example for a number: a ``TupleDataset``, a list.
        batch_size: how many examples a batch has.
        repeat: whether to go on after the first pass: a batch that reaches its end is filled up
            from the next one. Without, the last batch may be short, and is the last.
        shuffle: whether each pass has a new random order; by default it has.
        order_sampler: in place of ``shuffle``, a function that takes an order and the position
            that was reached in it, and gives the order of the next pass: the numbers of examples,
            in each pass as many as in the first. At first it gets the numbers from 0 up. Where
            it has a state it should have ``serialize``, as a ``ShuffleOrderSampler`` has.
        rng: what shuffles: a ``numpy.random.Generator`` or ``RandomState``, or a seed. By default
            a generator of the iterator's own, whose seed is drawn from NumPy's global state. It
            is saved and loaded with the iterator.

    Raises:
        ValueError: the dataset is empty; ``batch_size`` is less than 1; the order sampler gives
            something else, or comes with ``shuffle`` or ``rng``.
        TypeError: an argument is of another kind.

    >>> import dynet
    >>> iterator = dynet.iterators.SerialIterator(["a", "b", "c"], 2, shuffle=False)
    >>> next(iterator), iterator.epoch, iterator.is_new_epoch
    (['a', 'b'], 0, False)
    >>> next(iterator), iterator.epoch, iterator.is_new_epoch
    (['c', 'a'], 1, True)
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        repeat: bool = True,
        shuffle: bool | None = None,
        order_sampler: Callable | None = None,
        rng: Any = None,
    ):
        super().__init__(dataset, batch_size, repeat, shuffle, order_sampler, rng)

    def _fetch(self, numbers: list[int]) -> list:
        dataset = self.dataset
        return [dataset[i] for i in numbers]
