"""Leaving a training loop in good order when it is interrupted."""

import signal
import threading
from typing import Any


class Interruption:
    """Turns Ctrl-C and SIGTERM into a word to the loop: finish this batch, save, leave.

    As a context manager it is true once one of the two has come. A second one acts as it would
    have without this. A signal that the program ignores, as those that ``nohup`` starts ignore
    theirs, stays ignored. Only the main thread may use it, since only that gets signals.

    Attributes:
        signal (signal.Signals): the one that came; ``None`` before.

    Raises:
        RuntimeError: on entering, in another thread.

    >>> import dynet
    >>> with dynet.training.Interruption() as interrupted:
    ...     for batch in range(3):
    ...         if interrupted:
    ...             break
    """

    def __init__(self):
        self.signal: signal.Signals | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "Interruption: entered in another thread, expected the main thread, which alone "
                "gets signals"
            )
        for number in signal.SIGINT, signal.SIGTERM:
            before = signal.getsignal(number)
            # None is a handler that was not set from Python, and could not be put back.
            if before not in (signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._restore()

    def __bool__(self) -> bool:
        return self.signal is not None

    def _on_signal(self, number, frame):
        self.signal = signal.Signals(number)
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
