"""What the tape does in debug mode: it names the user's line, finds the first NaN, guards arrays.

With ``using_config("debug", True)`` every recorded function carries a ``Trace``: the line of the
user's code that called it, and a lock on the arrays that its backward rule will read. On a GPU
every function is waited for, and there is no lock: CuPy's arrays have none.
"""

import os
import sys
import threading
import zlib

import numpy as np

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep

# Locked arrays by id: [array, how many traces hold it, views to open once it is open].
_locked: dict[int, list] = {}
# Threads may train on the same arrays. Reentrant, as any line may let a trace die.
_guard = threading.RLock()


def user_line() -> str:
    """The innermost line on the stack that is not dynet's own, as ``file:line``."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def all_finite(array) -> bool:
    """Whether a float array holds neither NaN nor infinity; other dtypes always do."""
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def inspect(function, arrays, outputs, recorded: bool) -> None:
    """Raise if the forward pass made a NaN or infinity; guard what was recorded."""
    line = user_line()
    _check_output(function, arrays, outputs, line)
    if recorded:
        shapes = [getattr(x, "shape", None) for x in arrays]
        function.take_notes().trace = Trace(line, function.saved, shapes, outputs)


def _check_output(function, arrays, outputs, line):
    for i, y in enumerate(outputs):
        if not all_finite(y):
            came = ", ".join(
                f"{'finite' if all_finite(x) else 'not finite'} {x.shape}"
                for x in arrays
                if hasattr(x, "dtype") and hasattr(x, "shape")
            )
            raise FloatingPointError(
                f"{function.name}: output {i} of the forward pass holds NaN or infinity; "
                f"the inputs: {came}; called at {line}"
            )


def check_gradients(node, gxs) -> None:
    """Raise if a backward rule made a NaN or infinity, or a gradient of another shape."""
    trace = node.notes.trace if node.notes is not None else None
    for i, (below, gx) in enumerate(zip(node.inputs, gxs, strict=True)):
        if below is None:
            continue  # a constant: whatever the rule says of it, nobody sees
        pieces = [gx] if hasattr(gx, "shape") else [getattr(gx, s, None) for s in ("x", "gy")]
        for piece in pieces:
            piece = getattr(piece, "array", piece)
            if hasattr(piece, "dtype") and not all_finite(piece):
                raise FloatingPointError(
                    f"{node.name}: the gradient of input {i} holds NaN or infinity; "
                    f"{called_at(node)}"
                )
        expected = None if trace is None else trace.shapes[i]
        if expected is not None and hasattr(gx, "dtype") and gx.shape != expected:
            raise ValueError(
                f"{node.name}: the gradient of input {i} has shape {gx.shape}, expected "
                f"{expected}, the input's; {called_at(node)}"
            )


def called_at(node) -> str:
    """Where a recorded function was called, as the end of a sentence."""
    trace = node.notes.trace if node.notes is not None else None
    if trace is None:
        return "it was recorded with debug off, so its line is not known"
    return f"the function was called at {trace.line}"


class Trace:
    """The user's line that recorded a function, and a lock on the arrays the function saved.

    The lock holds until the function is swept or dies. What is written into an array after a
    sweep is found out if the function is swept again.
    """

    __slots__ = ("arrays", "line", "locked", "prints", "shapes")

    def __init__(self, line: str, saved: tuple, shapes: list, outputs: tuple):
        self.line = line
        self.shapes = shapes  # of the inputs
        self.arrays = [x for x in saved if isinstance(x, np.ndarray)]
        self.prints = None  # of the arrays' contents, once they have been released
        with _guard:
            for y in outputs:
                # A view of a locked array is born read-only, and opens with what it views.
                entry = _locked.get(id(getattr(y, "base", None)))
                if entry is not None and not y.flags.writeable and 0 not in y.strides:
                    entry[2].append(y)
        self._lock()

    def _chains(self):
        """Each array, then what it is a view of: writing there overwrites it too."""
        for array in self.arrays:
            while isinstance(array, np.ndarray):
                yield array
                array = array.base

    def _lock(self):
        self.locked = []
        with _guard:
            for array in self._chains():
                entry = _locked.get(id(array))
                if entry is not None:
                    entry[1] += 1
                elif array.flags.writeable:
                    array.flags.writeable = False
                    entry = _locked[id(array)] = [array, 1, []]
                if entry is not None:
                    self.locked.append(entry)

    def _unlock(self):
        with _guard:
            for entry in reversed(self.locked):  # a view opens after what it views
                entry[1] -= 1
                if entry[1] == 0:
                    _open(entry)
            self.locked = []

    def release(self):
        """Let the arrays be written to again, and remember what was in them."""
        if self.prints is None:
            self.prints = [_print(x) for x in self.arrays]
            self._unlock()

    def reclaim(self, node):
        """Before a sweep: lock again what an earlier sweep released, if it is still the same."""
        if self.prints is None:
            return
        for array, before in zip(self.arrays, self.prints, strict=True):
            if _print(array) != before:
                raise RuntimeError(
                    f"{node.name}: an array of shape {array.shape} that the backward pass needs "
                    f"was overwritten after an earlier sweep; {called_at(node)}"
                )
        self.prints = None
        self._lock()

    def __del__(self):
        # Nobody is left to need the arrays; at the interpreter's end the module may be gone.
        if _locked is not None:
            self._unlock()


def _print(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def _open(entry):
    array, _, views = entry
    below = _locked.get(id(array.base))
    if below is not None:
        below[2].append(array)  # what it views is still locked: it opens with that
    else:
        array.flags.writeable = True
    del _locked[id(array)]
    for view in views:
        if id(view) not in _locked:
            view.flags.writeable = True
