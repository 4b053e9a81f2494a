"""What the tape does not know: the shapes of what functions gave, and how long they took."""

import time

import numpy as np

from ..backend import is_array
from ..function import Function
from ..function_hooks import FunctionHook, synchronize


class Note:
    """What was noted of one call of a function.

    Attributes:
        inputs (tuple): of each input the shape and the dtype, of a number its text; ``None`` of
            what is neither.
        outputs (tuple): of each output the shape and the dtype.
        forward (float): seconds.
        backward (float): seconds, of all sweeps together; ``None`` before the first.
    """

    __slots__ = ("backward", "forward", "inputs", "outputs")

    def __init__(self, inputs, outputs, forward):
        self.inputs = inputs
        self.outputs = outputs
        self.forward = forward
        self.backward = None


class Recorder(FunctionHook):
    """Notes shapes and times of what runs inside ``with``, for ``build_computational_graph``.

    It keeps no array and no part of the tape, but some hundred bytes for each recorded call: put
    it around one run or a few, not around a whole training. The time of a backward is that of the
    rule; what rules leave to be added up for all uses of a variable together, as the products for
    a weight, is in nobody's.

    >>> import numpy as np, dynet
    >>> x = dynet.Variable(np.ones((2, 3)), name="x")
    >>> with dynet.computational_graph.Recorder() as recorder:
    ...     y = (x * 2).sum()
    ...     y.backward()
    >>> graph = dynet.computational_graph.build_computational_graph(y, recorder=recorder)
    >>> [(f.name, f.outputs[0].shape, f.backward > 0) for f in graph.functions]
    [('Mul', (2, 3), True), ('Sum', (), True)]
    """

    def __init__(self):
        self._notes: dict[int, Note] = {}
        self._open = []  # functions that have begun, and when

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self._open.clear()  # of functions that raised

    def forward_preprocess(self, function, xs) -> None:
        """Begin to measure."""
        self._begin(function, xs)

    def forward_postprocess(self, function, xs, ys) -> None:
        """Note what came out, and how long it took."""
        seconds = self._end(function, ys)
        if hasattr(function, "number"):  # it has been recorded
            inputs = tuple([_described(x) for x in xs])
            outputs = tuple([(y.shape, y.dtype) for y in ys])
            self._notes[function.number] = Note(inputs, outputs, seconds)

    def backward_preprocess(self, function, gys) -> None:
        """Begin to measure."""
        self._begin(function, gys)

    def backward_postprocess(self, function, gys, gxs) -> None:
        """Note how long it took."""
        seconds = self._end(function, gys)
        note = self.note(function)
        if note is not None:
            note.backward = (note.backward or 0) + seconds

    def note(self, function: Function) -> Note | None:
        """What was noted of a recorded function; ``None`` for one that ran elsewhere."""
        return self._notes.get(function.number)

    def _begin(self, function, arrays):
        synchronize(arrays)
        self._open.append((function, time.perf_counter()))

    def _end(self, function, arrays):
        synchronize(arrays)
        end = time.perf_counter()
        # Where a function raised, its end was never heard of: what it began is left behind.
        while True:
            opened, start = self._open.pop()
            if opened is function:
                return end - start


def _described(x):
    if is_array(x):
        return x.shape, x.dtype
    return str(x) if isinstance(x, (bool, int, float, np.generic)) else None
