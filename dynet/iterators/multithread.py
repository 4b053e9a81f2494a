"""The iterator whose batches are fetched by threads."""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from .iterator import check_count
from .prefetch import PrefetchIterator


class MultithreadIterator(PrefetchIterator):
    """Has the next batch fetched by threads while the caller is at work on this one.

    It gives what a ``SerialIterator`` gives, batch for batch. Threads pay where fetching an example
    waits (for a disk, a network) or works outside Python's lock (NumPy on large arrays, image
    decoders). The dataset is asked for several examples at once, from threads that have dynet's
    default settings: it must allow for that, and ``dataset[i]`` should depend on ``i`` alone.

    The threads end with ``finalize()``, which its block calls, or with the iterator. A program that
    ends before that waits until the batch that is being fetched is there.

    Args:
        dataset: as in ``SerialIterator``, as are the next three and the last two.
        batch_size: how many examples a batch has.
        repeat: whether to go on after the first pass.
        shuffle: whether each pass has a new random order.
        n_threads: how many threads share the work on a batch.
        order_sampler: in place of ``shuffle``, a function that gives the order of each pass. It is
            not asked ahead of its time: each pass then begins with a batch that was not prefetched.
        rng: what shuffles.

    Raises:
        ValueError: as in ``SerialIterator``; or ``n_threads`` is less than 1.
        TypeError: an argument is of another kind.

    >>> import dynet
    >>> with dynet.iterators.MultithreadIterator(range(5), 2, repeat=False, shuffle=False) as it:
    ...     print(list(it))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        repeat: bool = True,
        shuffle: bool | None = None,
        n_threads: int = 1,
        order_sampler: Callable | None = None,
        rng: Any = None,
    ):
        self.n_threads = check_count("MultithreadIterator", n_threads=n_threads)
        super().__init__(
            dataset, batch_size, repeat, shuffle, order_sampler, rng, self.n_threads, n_prefetch=1
        )

    def _new_workers(self) -> "_Threads":
        return _Threads(self.dataset, self.n_threads)


class _Threads:
    """Threads that fetch examples; they end with this object."""

    def __init__(self, dataset: Any, n: int):
        self._dataset = dataset
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(n, "dynet-iterator")
        weakref.finalize(self, _stop, self._pool, self._stopped)

    def submit(self, parts: list[list[int]]) -> list[Future]:
        """Have each part fetched by one thread; gives back what ``result`` takes."""
        try:
            return [self._pool.submit(_examples, self._dataset, p, self._stopped) for p in parts]
        except RuntimeError as error:
            if not self._stopped.is_set():
                raise
            raise CancelledError("the threads were ended") from error

    def result(self, job: list[Future]) -> list:
        """The examples of all parts in order."""
        return [example for future in job for example in future.result()]

    def stop(self) -> None:
        """End the threads, each after the example that it is at work on."""
        _stop(self._pool, self._stopped)
        self._pool.shutdown(wait=True)


def _examples(dataset, numbers, stopped):
    examples = []
    for i in numbers:
        if stopped.is_set():
            raise CancelledError("the threads were ended")
        examples.append(dataset[i])
    return examples


def _stop(pool, stopped):
    stopped.set()
    pool.shutdown(wait=False, cancel_futures=True)
