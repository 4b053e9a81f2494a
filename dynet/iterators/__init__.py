"""Ways through a dataset, batch after batch, pass after pass."""

from .iterator import Iterator
from .multiprocess import MultiprocessIterator
from .multithread import MultithreadIterator
from .order import ShuffleOrderSampler
from .serial import SerialIterator

ShuffleOrder = ShuffleOrderSampler  # Chainer's name is the longer one

__all__ = [
    "Iterator",
    "MultiprocessIterator",
    "MultithreadIterator",
    "SerialIterator",
    "ShuffleOrder",
    "ShuffleOrderSampler",
]
