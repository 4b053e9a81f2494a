"""Fetching coming batches while the caller is at work on the last one."""

import copy
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from .iterator import Iterator
from .order import ShuffleOrderSampler, next_batch


class PrefetchIterator(Iterator):
    """An iterator whose batches are fetched ahead, by threads or processes.

    It stands where a serial one would stand: what is fetched ahead is only what it foresees. When
    a batch is asked for, its numbers are compared with what was foreseen; where they differ (after
    ``reset()``, after loading, where others draw from the generator that shuffles), what was
    fetched ahead is thrown away. So a saved place is that of the batches given out, and the order
    is the serial one whoever fetches.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        repeat: bool,
        shuffle: bool | None,
        order_sampler: Callable | None,
        rng: Any,
        n_workers: int,
        n_prefetch: int,
    ):
        super().__init__(dataset, batch_size, repeat, shuffle, order_sampler, rng)
        self._finalized = False
        self._n_workers = n_workers
        self._n_prefetch = n_prefetch
        self._workers: Any = None  # until the first batch
        self._ahead: deque[tuple[list[int], Any]] = deque()  # numbers, and who is on them
        self._foreseen: tuple[Any, Any] = (None, None)  # state and sampler after the last of them

    def __getstate__(self) -> dict:
        # A copy, also one that pickle makes, stands at this place and has workers of its own.
        return {**self.__dict__, "_workers": None, "_ahead": deque()}

    def finalize(self) -> None:
        """End the workers. No batch can be asked for afterwards; the place can still be saved.

        Threads end after the example that they are at work on, processes at once.
        """
        self._finalized = True
        self._end_workers()

    def _end_workers(self):
        self._ahead.clear()
        if self._workers is not None:
            self._workers.stop()
            self._workers = None

    def __next__(self) -> list:
        if self._finalized:
            raise RuntimeError(
                f"{type(self).__name__}: a batch is asked for after finalize(), expected none"
            )
        return super().__next__()

    def _fetch(self, numbers: list[int]) -> list:
        if not self._ahead or self._ahead[0][0] != numbers:
            self._ahead.clear()
            sampler = self.order_sampler
            if type(sampler) is ShuffleOrderSampler:
                sampler = copy.deepcopy(sampler)  # draws what the other will draw, and not from it
            self._foreseen = self._state, sampler
            self._ahead.append((numbers, self._submit(numbers)))
        job = self._ahead.popleft()[1]
        self._look_ahead()
        return self._workers.result(job)

    def _look_ahead(self):
        while len(self._ahead) < self._n_prefetch:
            state, sampler = self._foreseen
            ends = state.current_position + self.batch_size >= self._size
            if ends and sampler is not None and sampler is self.order_sampler:
                return  # nobody knows what a sampler of the user's does when it is asked twice
            state, numbers = next_batch(
                type(self).__name__, state, self._n, self.batch_size, self.repeat, sampler
            )
            if not numbers:
                return
            self._foreseen = state, sampler
            self._ahead.append((numbers, self._submit(numbers)))

    def _submit(self, numbers):
        if self._workers is None:
            self._workers = self._new_workers()
        return self._workers.submit(divided(numbers, self._n_workers))

    def _new_workers(self) -> Any:
        """What has the methods ``submit``, ``result`` and ``stop``."""
        raise NotImplementedError


def divided(numbers: list[int], parts: int) -> list[list[int]]:
    """The numbers in so many parts of nearly one length, or one by one where they are fewer."""
    parts = min(parts, len(numbers))
    borders = [len(numbers) * i // parts for i in range(parts + 1)]
    return [numbers[a:b] for a, b in pairwise(borders)]
