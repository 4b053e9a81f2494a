"""Random numbers that can be drawn again: where dropout and its like get theirs.

The running thread's stream is a key and a position. The number at a position is a function of the
two alone (a counter-based generator; Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3",
2011), so that a function may draw its numbers inside a compiled kernel, in any order, on any
device, or a second time, and get the very same ones.

>>> import dynet
>>> dynet.random.seed(0)
>>> state = dynet.random.get_state()
>>> a = dynet.random.uniform((2, 3))
>>> dynet.random.set_state(state)
>>> bool((dynet.random.uniform((2, 3)) == a).all())
True
"""

import secrets
import threading

import numpy as np

from .backend import is_integer

WORD = 1 << 64


class _Stream(threading.local):
    """The running thread's key and position; every thread starts from a key of its own."""

    def __init__(self):
        self.key = secrets.randbits(64)
        self.position = 0


_stream = _Stream()


def seed(seed: int) -> None:
    """Start the running thread's stream anew: from one seed come the same numbers.

    Args:
        seed: from 0 to 2 ** 64 - 1.

    Raises:
        TypeError: it is no integer.
        ValueError: it is out of range.
    """
    if not is_integer(seed):
        raise TypeError(f"random.seed: seed is {seed!r}, expected an integer")
    if not 0 <= seed < WORD:
        raise ValueError(f"random.seed: seed is {seed}, expected 0 to 2 ** 64 - 1")
    _stream.key, _stream.position = int(seed), 0


def get_state() -> tuple[int, int]:
    """The key and the position of the running thread's stream."""
    return _stream.key, _stream.position


def set_state(state: tuple[int, int]) -> None:
    """Put the running thread's stream back to where ``get_state`` found it."""
    key, position = state
    _stream.key, _stream.position = int(key) % WORD, int(position) % WORD


def serialize(serializer) -> None:
    """Give a serializer the running thread's state, or take it from it.

    So ``dynet.random`` itself may stand among the objects of a snapshot.
    """
    key, position = get_state()
    set_state((serializer("key", key), serializer("position", position)))


def reserve(n: int) -> tuple[np.uint64, np.uint64]:
    """Take ``n`` positions of the stream: the key, and the first of the positions."""
    first = _stream.position
    _stream.position = (first + n) % WORD
    return np.uint64(_stream.key), np.uint64(first)


def generator() -> np.random.Generator:
    """A NumPy generator of its own for whatever needs more than bits; it takes one position."""
    key, first = reserve(1)
    return np.random.Generator(np.random.Philox(key=[key, first]))


def uniform(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """Uniform numbers from 0 up to, not including, 1, on the CPU."""
    return generator().random(shape, dtype)


def normal(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """Numbers of the standard normal distribution, on the CPU."""
    return generator().standard_normal(shape, dtype)
