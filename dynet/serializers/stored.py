"""A value in a file before it is read: what it says it is, and whether to believe it."""

import math
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Deflate, the compression of zip and gzip, makes at most so many bytes of one.
DEFLATE_RATIO = 1032


class Stored(NamedTuple):
    """A value in a file, not read yet.

    Attributes:
        what (str): what it is, for messages.
        dtype (numpy.dtype): in this machine's byte order, of kind ``U`` for text; ``None`` for
            what cannot be loaded.
        shape (tuple of int): as the file has it.
        read (callable): returns the array, read once; raises any error if the file is damaged.
    """

    what: str
    dtype: np.dtype | None = None
    shape: tuple[int, ...] = ()
    read: Callable[[], np.ndarray] | None = None


def stored_array(
    dtype: np.dtype,
    shape: tuple[int, ...],
    read: Callable[[], np.ndarray],
    room: int,
    checksum: int | None = None,
) -> Stored:
    """An array in a file.

    Args:
        dtype, shape: as the file says.
        read: gives the array.
        room: how many bytes the file can hold for it at the most, so that a small file cannot
            promise an array that takes all memory.
        checksum: what ``checksum_of`` the array is, if the file knows it.

    Raises:
        ValueError: the file is too small for such an array.
    """
    check_room(dtype, shape, room)
    native = dtype.newbyteorder("=")

    array = None

    def read_once():
        nonlocal array
        if array is None:
            found = np.asarray(read()).astype(native, copy=False)
            if found.shape != shape or checksum not in (None, checksum_of(found)):
                raise ValueError("it is not what was saved: the checksum differs")
            array = found
        return array

    what = "text" if dtype.kind == "U" and shape == () else f"{native} {shape}"
    return Stored(what, native, shape, read_once)


def check_room(dtype: np.dtype, shape: tuple[int, ...], room: int) -> None:
    """Raise ValueError if so many bytes do not hold an array."""
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > room:
        raise ValueError(f"{dtype} {shape} is more than the file has room for")


def checksum_of(array: np.ndarray) -> int:
    """A CRC-32 of an array's dtype, shape and elements, for formats without checksums.

    >>> import numpy as np
    >>> checksum_of(np.ones((2, 3))) == checksum_of(np.ones((3, 2)))
    False
    """
    start = zlib.crc32(f"{array.dtype.name} {array.shape}".encode())
    elements = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return zlib.crc32(elements.reshape(-1).view(np.uint8), start)
