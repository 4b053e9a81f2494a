"""A progress bar over the batches of a loop, with the means of what it measures."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from ..reporter import DictSummary, as_summand
from .log import described


class progress:
    """Goes through batches and shows how far it is, and the running means of what it is told.

    Of an iterator that knows epochs (a ``SerialIterator``) it goes through what is left of the
    epoch under way, and counts its examples; of anything else through all there is. However the
    loop is left, the terminal is left in order. Of values on a GPU, which would have to be waited
    for, the means are looked at only as often as the bar is drawn.

    Args:
        batches: an iterator of batches, or any iterable.
        desc: what stands before the bar.
        summary: collects the means, where they are to be part of a snapshot in the middle of an
            epoch; by default a new one.
        options: other options of ``tqdm``, such as ``leave``, ``file``, ``disable``, ``total``.

    Attributes:
        summary (DictSummary): what was added so far.
        means (dict): the mean of each value so far.

    >>> import dynet
    >>> bar = dynet.training.progress([3.0, 5.0], desc="epoch 1", disable=True)
    >>> for batch in bar:
    ...     bar.add(loss=batch)
    >>> bar.means
    {'loss': 4.0}
    """

    def __init__(
        self,
        batches: Iterable,
        desc: str | None = None,
        *,
        summary: DictSummary | None = None,
        **options: Any,
    ):
        iter(batches)  # raises at once what is no iterable
        self._batches = batches
        self._options = {"desc": desc, **options}
        self._bar: tqdm | None = None
        self._next_look = 0.0  # when the means are looked at again, in seconds
        self.summary = DictSummary() if summary is None else summary

    @property
    def means(self) -> dict[str, float]:
        return self.summary.compute_mean()

    def add(self, weight: float = 1, /, **values: Any) -> None:
        """Add to the means.

        Args:
            weight: how much these values count, such as the size of the batch of which they are
                means.
            values: numbers, or arrays or Variables of one element.

        Raises:
            TypeError: a value is something else.
        """
        numbers = {name: as_summand(value) for name, value in values.items()}
        for name, number in numbers.items():
            if number is None:
                raise TypeError(
                    f"progress.add: {name} is {described(values[name])}, expected a number, or an "
                    "array or Variable of one element"
                )
        self.summary.add(numbers, weight)
        if self._bar is not None and time.monotonic() >= self._next_look:
            self._show_means()

    def _show_means(self):
        if self._bar.disable:
            return
        text = ", ".join(f"{name} {mean:.4g}" for name, mean in self.means.items())
        self._bar.set_postfix_str(text, refresh=False)  # shown when the bar next moves
        self._next_look = time.monotonic() + self._bar.mininterval

    def __iter__(self) -> Iterator:
        if hasattr(self._batches, "is_new_epoch"):
            return self._rest_of_epoch()
        return self._all()

    def _all(self):
        with self._open(self._batches) as bar:
            for batch in self._batches:
                yield batch
                bar.update()

    @contextmanager
    def _open(self, batches=None, **options):
        """The bar, which in the end shows the means as they are then."""
        with tqdm(batches, **{**options, **self._options}) as self._bar:
            try:
                yield self._bar
            finally:
                self._show_means()

    def _rest_of_epoch(self):
        iterator, total = self._batches, len(self._batches.dataset)
        epoch, done = iterator.epoch, round(iterator.epoch_detail % 1 * total)
        with self._open(total=total, initial=done, unit="ex") as bar:
            for batch in iterator:
                try:
                    yield batch
                finally:  # also when the loop is left by break
                    # The last batch may reach into the next epoch.
                    done = min(round((iterator.epoch_detail - epoch) * total), total)
                    bar.update(done - bar.n)
                if iterator.is_new_epoch:
                    break
