"""Ways through a dataset, batch after batch, pass after pass."""

from .iterator import Iterator
from .multiprocess import MultiprocessIterator
from .multithread import MultithreadIterator
from .order import ShuffleOrderSampler
from .serial import SerialIterator

__all__ = [
    "Iterator",
    "MultiprocessIterator",
    "MultithreadIterator",
    "SerialIterator",
    "ShuffleOrderSampler",
]
