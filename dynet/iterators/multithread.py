"""The iterator whose batches are fetched by threads."""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from .prefetch import PrefetchIterator, check_count, divided


class MultithreadIterator(PrefetchIterator):
    """Has the next batch fetched by threads while the caller is at work on this one.

    It gives what a ``SerialIterator`` gives, batch for batch. Threads pay where fetching an example
    waits (for a disk, a network) or works outside Python's lock (NumPy on large arrays, image
    decoders). The dataset is asked for several examples at once, from threads that have dynet's
    default settings: it must allow for that, and ``dataset[i]`` should depend on ``i`` alone.

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
        super().__init__(dataset, batch_size, repeat, shuffle, order_sampler, rng, n_prefetch=1)
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(self.n_threads, "dynet-iterator")
        # Without a reference to the iterator, which would keep it alive.
        self._stop = weakref.finalize(self, _stop, self._pool, self._stopped)

    def finalize(self) -> None:
        """End the threads, each after the example that it is at work on.

        No batch can be asked for afterwards; the place can still be saved.
        """
        super().finalize()
        self._stop()
        self._pool.shutdown(wait=True)

    def _submit(self, numbers: list[int]) -> list[Future]:
        return [
            self._pool.submit(_examples, self.dataset, part, self._stopped)
            for part in divided(numbers, self.n_threads)
        ]

    def _result(self, job: list[Future]) -> list:
        return [example for future in job for example in future.result()]

    def _cancel(self, job: list[Future]) -> None:
        for future in job:
            future.cancel()


def _examples(dataset, numbers, stopped):
    examples = []
    for i in numbers:
        if stopped.is_set():
            break  # nobody waits for them
        examples.append(dataset[i])
    return examples


def _stop(pool, stopped):
    stopped.set()
    pool.shutdown(wait=False, cancel_futures=True)
