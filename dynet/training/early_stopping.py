"""When to stop: as soon as a measure has not become better for a while."""

import math
from typing import Any


class EarlyStopping:
    """Says when a measure has not been better than its best so far for some values in a row.

    It can be saved and loaded like a link. For a ``Trainer`` there is
    ``triggers.EarlyStoppingTrigger``.

    Args:
        patience: how many values in a row.
        mode: ``"min"``, smaller is better, or ``"max"``.

    Attributes:
        best (float): the best value so far; an infinity before the first.
        count (int): how many values came since.

    Raises:
        ValueError: ``patience`` is less than 1, or there is no such mode.

    >>> import dynet
    >>> stopping = dynet.training.EarlyStopping(2)
    >>> [stopping.should_stop(loss) for loss in [0.5, 0.4, 0.6, 0.4]]
    [False, False, False, True]
    """

    def __init__(self, patience: int, mode: str = "min"):
        if not patience >= 1:
            raise ValueError(f"EarlyStopping: patience is {patience}, expected at least 1")
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: mode is {mode!r}, expected 'min' or 'max'")
        self.patience = patience
        self.mode = mode
        self.best = math.inf if mode == "min" else -math.inf
        self.count = 0

    def should_stop(self, value: Any) -> bool:
        """Take the next value, and say whether it is time to stop. NaN is never better."""
        value = float(value)
        if value < self.best if self.mode == "min" else value > self.best:
            self.best, self.count = value, 0
        else:
            self.count += 1
        return self.count >= self.patience

    def serialize(self, serializer: Any) -> None:
        """Save or load the best value and the count."""
        self.best = serializer("best", self.best)
        self.count = serializer("count", self.count)
