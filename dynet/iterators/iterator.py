"""What all iterators share: where they stand, and how that is saved."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..backend import is_integer
from .order import ShuffleOrderSampler, State, first_state, next_batch


class Iterator:
    """Gives the examples of a dataset in batches; how they are fetched is left to others.

    Attributes:
        dataset: where the examples come from.
        batch_size (int): how many there are in a batch.
        repeat (bool): whether it goes on after the first pass.
        order_sampler: gives the order of each pass; ``None``: as the examples lie.
        epoch (int): whole passes done.
        is_new_epoch (bool): whether the last batch completed a pass.
        epoch_detail (float): passes done, with the part of the one that is under way.
        previous_epoch_detail (float): the same before the last batch; -1 before the first.
        current_position (int): how many examples of the pass under way have been given out.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        repeat: bool,
        shuffle: bool | None,
        order_sampler: Callable | None,
        rng: Any,
    ):
        name = type(self).__name__
        _check_dataset(name, dataset)
        batch_size = check_count(name, batch_size=batch_size)
        if repeat not in (True, False):
            raise TypeError(f"{name}: repeat is {repeat!r}, expected True or False")
        if shuffle not in (None, True, False):
            raise TypeError(f"{name}: shuffle is {shuffle!r}, expected True, False or None")
        if order_sampler is not None:
            if shuffle is not None or rng is not None:
                raise ValueError(
                    f"{name}: order_sampler comes with shuffle or rng; expected one or the other, "
                    "which says in what order the examples come"
                )
            if not callable(order_sampler):
                raise TypeError(
                    f"{name}: order_sampler is {order_sampler!r}, expected a function that takes "
                    "an order and a position"
                )
        elif shuffle is None or shuffle:
            order_sampler = ShuffleOrderSampler(rng)
        self.dataset = dataset
        self.batch_size = batch_size
        self.repeat = bool(repeat)
        self.order_sampler = order_sampler
        self.reset()

    def reset(self) -> None:
        """Begin anew, with a new order where there is shuffling.

        Raises:
            ValueError: the dataset is empty, or the order sampler gives no order of it.
        """
        name, n = type(self).__name__, len(self.dataset)
        if n == 0:
            raise ValueError(f"{name}: the dataset is empty, expected at least one example")
        self._state = first_state(name, n, self.order_sampler)
        self._n = n

    def __iter__(self) -> "Iterator":
        return self

    def __next__(self) -> list:
        """The next batch: a list of examples.

        An error leaves the batch behind: the next call goes on with the one that follows.

        Raises:
            StopIteration: without ``repeat``, the pass is over.
        """
        self._state, numbers = next_batch(
            type(self).__name__,
            self._state,
            self._n,
            self.batch_size,
            self.repeat,
            self.order_sampler,
        )
        if not numbers:
            raise StopIteration
        try:
            return self._fetch(numbers)
        except StopIteration as error:
            raise RuntimeError(
                f"{type(self).__name__}: the dataset raised StopIteration; taken for the end of "
                "the pass, it would have hidden what follows"
            ) from error

    def next(self) -> list:
        """The next batch, as ``next(iterator)`` gives it."""
        return self.__next__()

    def _fetch(self, numbers: list[int]) -> list:
        """The examples of these numbers."""
        raise NotImplementedError(f"{type(self).__name__} has no _fetch")

    @property
    def current_position(self) -> int:
        return self._state.current_position

    @property
    def epoch(self) -> int:
        return self._state.epoch

    @property
    def is_new_epoch(self) -> bool:
        return self._state.is_new_epoch

    @property
    def epoch_detail(self) -> float:
        return self._state.epoch_detail(self._size)

    @property
    def previous_epoch_detail(self) -> float:
        return self._state.previous_epoch_detail

    @property
    def _size(self):
        return self._n if self._state.order is None else len(self._state.order)

    def finalize(self) -> None:
        """Let go of threads and processes, where it has any."""

    def __enter__(self) -> "Iterator":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.finalize()

    def serialize(self, serializer: Any) -> None:
        """Save or load the place in the dataset, the order, and the generator that shuffles.

        What is saved is where the batches given out so far have led: the first batch after
        loading is the one that would have followed.

        Raises:
            ValueError: the file holds no place that this iterator could be at.
        """
        state = self._state
        if state.order is None:
            # Lengths are compared before anything is loaded: of an array without elements too.
            order = None
            serializer("dataset_length", np.empty((self._n, 0), np.uint8))
        else:
            order = serializer("order", state.order.copy())
        loaded = State(
            serializer("current_position", state.current_position),
            serializer("epoch", state.epoch),
            serializer("is_new_epoch", state.is_new_epoch),
            serializer("previous_epoch_detail", state.previous_epoch_detail),
            order,
        )
        outside = order is not None and not 0 <= order.min() <= order.max() < self._n
        if outside or not 0 <= loaded.current_position < self._size or loaded.epoch < 0:
            raise ValueError(
                f"{type(self).__name__}: the file holds position {loaded.current_position} of "
                f"pass {loaded.epoch}{' and an order that leads outside' if outside else ''}, "
                f"expected a place among {self._size} examples"
            )
        if hasattr(self.order_sampler, "serialize"):
            self.order_sampler.serialize(serializer["order_sampler"])
        self._state = loaded


def check_count(name: str, **argument: Any) -> int:
    """A number of examples, workers or batches."""
    ((what, value),) = argument.items()
    if not is_integer(value):
        raise TypeError(f"{name}: {what} is {value!r}, expected a positive integer")
    if value < 1:
        raise ValueError(f"{name}: {what} is {value}, expected a positive integer")
    return int(value)


def _check_dataset(name, dataset):
    kind = type(dataset).__name__
    if hasattr(dataset, "_fields"):
        # A named tuple has a length and items: its columns, not its examples.
        raise TypeError(
            f"{name}: dataset is {kind}, a tuple of the columns {', '.join(dataset._fields)}; "
            "expected examples, which TupleDataset(*dataset) makes of them"
        )
    if isinstance(dataset, Mapping):
        raise TypeError(
            f"{name}: dataset is {kind}, expected examples by number; DictDataset(**dataset) makes "
            "them of a dict of columns"
        )
    try:
        len(dataset), dataset.__getitem__
    except (TypeError, AttributeError) as error:
        raise TypeError(
            f"{name}: dataset is {kind}, expected a length and examples by number, as a list or a "
            f"TupleDataset has ({error})"
        ) from error
