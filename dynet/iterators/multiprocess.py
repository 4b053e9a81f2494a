"""The iterator whose batches are fetched by processes."""

import multiprocessing
from collections.abc import Callable
from typing import Any

from ..backend import available_cores
from .iterator import check_count
from .prefetch import PrefetchIterator
from .workers import Workers


class MultiprocessIterator(PrefetchIterator):
    """Has coming batches fetched by processes while the caller is at work on this one.

    It gives what a ``SerialIterator`` gives, batch for batch, as long as ``dataset[i]`` depends on
    ``i`` alone. Processes pay where fetching an example is work for Python. An error in a worker
    is raised here, with the worker's traceback as its cause; a worker that dies is an error too,
    after which the others are ended, and started anew for the next batch.

    The workers start with the first batch and end with ``finalize()``, with the iterator, or with
    this process, however it ends. How they start is for ``multiprocessing`` to say, or for
    ``start_method``. "fork" is quick and copies nothing, but a lock that another thread of this
    process holds at that moment stays locked in the worker for ever: start the iterator before
    threads of your own. "spawn" and "forkserver" know no such trouble; they need a dataset that
    can be pickled, of a class that can be imported, a second for the imports, and a script that
    does its work under ``if __name__ == "__main__":``.

    In a worker, NumPy's products run on one thread. NumPy's and Python's global generators and
    ``dynet.random`` are seeded in each worker differently, from NumPy's global state here, which
    stays as it is: two iterators that start with nothing drawn in between draw alike.

    Args:
        dataset: as in ``SerialIterator``, as are the next three.
        batch_size: how many examples a batch has.
        repeat: whether to go on after the first pass.
        shuffle: whether each pass has a new random order.
        n_processes: how many workers share the work on a batch; by default as many as there are
            cores for this process.
        n_prefetch: how many batches are fetched ahead. More than one evens out where examples take
            differently long.
        order_sampler: in place of ``shuffle``, a function that gives the order of each pass. It is
            not asked ahead of its time: each pass then begins with a batch that was not prefetched.
        rng: what shuffles, as in ``SerialIterator``.
        start_method: ``"fork"``, ``"spawn"`` or ``"forkserver"``; by default that of
            ``multiprocessing``: what ``multiprocessing.set_start_method`` has set, else on Linux
            "fork" (from Python 3.14 "forkserver"), elsewhere "spawn".

    Raises:
        ValueError: as in ``SerialIterator``; ``n_processes`` or ``n_prefetch`` is less than 1, or
            there is no such start method here.
        TypeError: an argument is of another kind.

    >>> import dynet
    >>> with dynet.iterators.MultiprocessIterator(
    ...     range(5), 2, repeat=False, shuffle=False, n_processes=1
    ... ) as it:
    ...     print(list(it))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        repeat: bool = True,
        shuffle: bool | None = None,
        n_processes: int | None = None,
        n_prefetch: int = 1,
        order_sampler: Callable | None = None,
        rng: Any = None,
        start_method: str | None = None,
    ):
        name = "MultiprocessIterator"
        if n_processes is None:
            n_processes = available_cores()
        self.n_processes = check_count(name, n_processes=n_processes)
        self.n_prefetch = check_count(name, n_prefetch=n_prefetch)
        methods = multiprocessing.get_all_start_methods()
        if start_method not in (None, *methods):
            raise ValueError(
                f"{name}: start_method is {start_method!r}, expected None or one of {methods}"
            )
        self.start_method = start_method
        super().__init__(
            dataset,
            batch_size,
            repeat,
            shuffle,
            order_sampler,
            rng,
            self.n_processes,
            self.n_prefetch,
        )

    def _fetch(self, numbers: list[int]) -> list:
        try:
            examples, error = super()._fetch(numbers)
        except BaseException:
            # A worker has died; or Ctrl-C came, and a pipe may be in the middle of an answer.
            self._end_workers()
            raise
        if error is not None:
            raise error
        return examples

    def _new_workers(self) -> Workers:
        return Workers(type(self).__name__, self.dataset, self.n_processes, self.start_method)
