"""In what order examples come: which numbers make the next batch, and what shuffles them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backend import is_integer


class ShuffleOrderSampler:
    """A new random order for every pass.

    Args:
        rng: a ``numpy.random.Generator`` or ``RandomState`` to draw from, or a seed. By default a
            generator of its own, whose seed is drawn from NumPy's global state, so that
            ``numpy.random.seed`` makes a run repeatable.

    Raises:
        TypeError: ``rng`` is something else.
        ValueError: the seed is negative.

    >>> import dynet
    >>> sampler = dynet.iterators.ShuffleOrderSampler(0)
    >>> sampler([0, 1, 2, 3], 0)
    array([2, 0, 1, 3])
    """

    def __init__(self, rng: Any = None):
        if rng is None:
            rng = np.random.default_rng(np.random.randint(2**32, size=4, dtype=np.uint32))
        elif is_integer(rng):
            if rng < 0:
                raise ValueError(f"ShuffleOrderSampler: rng is {rng}, expected a seed from 0 up")
            rng = np.random.default_rng(rng)
        elif not isinstance(rng, (np.random.Generator, np.random.RandomState)):
            raise TypeError(
                f"ShuffleOrderSampler: rng is {rng!r}, expected a seed, a numpy.random.Generator "
                "or a RandomState"
            )
        self.rng = rng

    def __call__(self, current_order: Any, current_position: int) -> np.ndarray:
        """The order of the next pass: as many numbers as there are now."""
        return self.rng.permutation(len(current_order))

    def serialize(self, serializer: Any) -> None:
        """Save or load the state of the generator."""
        serializer("rng", self.rng)


class State(NamedTuple):
    """Where an iterator stands. What it has given out follows from it, and what will come."""

    current_position: int  # within the pass
    epoch: int  # passes done
    is_new_epoch: bool  # whether the last batch completed one
    previous_epoch_detail: float  # before the last batch; -1 before the first
    order: np.ndarray | None  # of this pass; None: as they lie

    def epoch_detail(self, size: int) -> float:
        """Passes done, with the part of the one that is under way."""
        return self.epoch + self.current_position / size


def first_state(name: str, n: int, order_sampler: Callable | None) -> State:
    """The state before the first batch of ``n`` examples; ``name`` is what messages begin with."""
    order = None
    if order_sampler is not None:
        order = _checked(name, order_sampler(np.arange(n), 0), n)
        if not len(order):
            raise ValueError(f"{name}: order_sampler gave no numbers, expected at least one")
    return State(0, 0, False, -1.0, order)


def next_batch(
    name: str, state: State, n: int, batch_size: int, repeat: bool, order_sampler: Callable | None
) -> tuple[State, list[int]]:
    """The state after the next batch, and the numbers of its examples; none after the end.

    A batch that reaches the end of a pass goes on in the next one, or is short without ``repeat``.
    """
    if state.epoch and not repeat:
        return state, []
    position, order = state.current_position, state.order
    size = n if order is None else len(order)
    epoch, numbers = state.epoch, []
    while True:
        stop = min(position + batch_size - len(numbers), size)
        numbers += range(position, stop) if order is None else order[position:stop].tolist()
        if stop < size:
            break
        epoch, stop = epoch + 1, 0
        if not repeat:
            break
        if order is not None:
            # The sampler may shuffle in place what it is given.
            order = _checked(name, order_sampler(order.copy(), position), n)
            if len(order) != size:
                raise ValueError(
                    f"{name}: order_sampler gave {len(order)} numbers after {size} in the pass "
                    "before, expected as many"
                )
        position = 0
        if len(numbers) == batch_size:
            break
    is_new = epoch > state.epoch
    return State(stop, epoch, is_new, state.epoch_detail(size), order), numbers


def _checked(name, order, n):
    array = np.array(order)  # a copy: what a sampler gave, it may change later
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ValueError(
            f"{name}: order_sampler gave {array.dtype} {array.shape}, expected integers in one row"
        )
    if array.size and not 0 <= array.min() <= array.max() < n:
        raise ValueError(
            f"{name}: order_sampler gave numbers from {array.min()} to {array.max()}, expected 0 "
            f"to {n - 1}, the numbers of the examples"
        )
    return array.astype(np.int64, copy=False)
