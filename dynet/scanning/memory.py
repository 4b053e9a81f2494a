"""Memory for what a scan keeps of its steps: where nobody needs it any more, former scans'."""

import sys
import threading

import numpy as np

# The first touch of fresh memory costs more than most of what is done in it. So large arrays that
# nobody refers to any more are used again, up to so many bytes of them;
MANY_BYTES = 1 << 28
# and these are large.
WORTH_KEEPING = 1 << 17

_buffers = []
_lock = threading.Lock()


def _nobody():
    """What ``getrefcount`` says of an object that two lists hold, in this Python."""
    kept = [object()]
    fitting = [*kept]
    return sys.getrefcount(fitting[0])


_NOBODY = _nobody()


def buffer(size, dtype):
    """An uninitialized vector."""
    n = size * np.dtype(dtype).itemsize
    if n < WORTH_KEEPING:
        return np.empty(size, dtype)
    with _lock:
        fitting = [b for b in _buffers if n <= b.size <= 2 * n]
        for i in range(len(fitting)):
            if sys.getrefcount(fitting[i]) == _NOBODY:
                return fitting[i][:n].view(dtype)
        new = np.empty(n, np.uint8)
        _buffers.append(new)
        while sum([b.size for b in _buffers]) > MANY_BYTES:
            _buffers.pop(0)
        return new.view(dtype)
