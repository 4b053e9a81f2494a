"""Leaving a training loop in good order when it is interrupted."""

import signal
from typing import Any


class Interruption:
    """Turns Ctrl-C and SIGTERM into a word to the loop: finish this batch, save, leave.

    As a context manager it is true once one of the two has come. A second one acts as it would
    have without this. Only the main thread may use it, since only that gets signals.

    >>> import dynet
    >>> with dynet.training.Interruption() as interrupted:
    ...     for batch in range(3):
    ...         if interrupted:
    ...             break
    """

    def __init__(self):
        self._came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        for number in signal.SIGINT, signal.SIGTERM:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._restore()

    def __bool__(self) -> bool:
        return self._came

    def _on_signal(self, number, frame):
        self._came = True
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
