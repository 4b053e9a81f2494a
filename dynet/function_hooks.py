"""Hooks that watch functions while they run: one to time them, one to weigh them.

``with hook:`` puts a hook in force, for the running thread; it then hears of every function
before and after its forward and its backward.
"""

import sys
import time
import tracemalloc
from typing import TextIO

import numpy as np

from .backend import get_array_module
from .config import config
from .function import Function


class FunctionHook:
    """What hears of every function that runs inside ``with hook:``.

    A subclass overrides what it wants to hear of. The arguments are

    - ``function``: the ``Function`` that is called; it says its ``name``;
    - ``xs``, ``ys``: lists or tuples of the arrays that go in and come out (in ``xs`` also
      whatever else the function was called with);
    - ``ys`` of ``forward_return``: the Variable, or the tuple of them, that the call returns;
    - ``gys``, ``gxs``: the gradients of the outputs and of the inputs; ``None`` where there is
      none. Arrays, terms of ``dynet.terms``, or Variables where the gradient is recorded.

    >>> import numpy as np, dynet
    >>> class Names(dynet.FunctionHook):
    ...     def forward_preprocess(self, function, xs):
    ...         print(function.name)
    >>> with Names():
    ...     y = dynet.Variable(np.ones(2)) * 3 + 1
    Mul
    Add
    """

    def __enter__(self):
        if any(hook is self for hook in config.hooks):
            raise RuntimeError(f"{type(self).__name__}: this hook is in force already")
        config.hooks = (*config.hooks, self)
        return self

    def __exit__(self, *exception):
        config.hooks = tuple([hook for hook in config.hooks if hook is not self])

    def forward_preprocess(self, function, xs) -> None:
        """Called before a function's forward."""

    def forward_postprocess(self, function, xs, ys) -> None:
        """Called after a function's forward."""

    def forward_return(self, function, ys) -> None:
        """Called last, with what the call of the function returns."""

    def backward_preprocess(self, function, gys) -> None:
        """Called before a function's backward."""

    def backward_postprocess(self, function, gys, gxs) -> None:
        """Called after a function's backward."""


class _Meter(FunctionHook):
    """What the two hooks below share: a reading before and after, summed up by name."""

    def __init__(self):
        # By function: how often it was called, what its forward and its backward cost.
        self._costs: dict[str, dict[str, float]] = {}
        self._open = []

    def _begin(self, function, arrays):
        # Where the arrays are that go in: a backward may answer in terms, which do not say it.
        xp = get_array_module(*arrays)
        self._open.append((function, xp, self._read(xp)))

    def _end(self, function, direction):
        # Where a function raised, its end was never heard of: what it began is left behind.
        while self._open:
            opened, xp, reading = self._open.pop()
            if opened is function:
                costs = self._costs.setdefault(
                    function.name, {"calls": 0, "forward": 0, "backward": 0}
                )
                costs["calls"] += direction == "forward"
                costs[direction] += self._read(xp) - reading
                return

    def forward_preprocess(self, function, xs) -> None:
        """Begin to measure."""
        self._begin(function, xs)

    def forward_postprocess(self, function, xs, ys) -> None:
        """Add up what the forward took."""
        self._end(function, "forward")

    def backward_preprocess(self, function, gys) -> None:
        """Begin to measure."""
        if isinstance(function, Function):
            self._begin(function, gys)

    def backward_postprocess(self, function, gys, gxs) -> None:
        """Add up what the backward took."""
        if isinstance(function, Function):
            self._end(function, "backward")

    def summary(self) -> dict[str, dict[str, float]]:
        """By name of the function, the dearest first: ``calls``, ``forward`` and ``backward``."""

        def cost(item):
            return -(item[1]["forward"] + item[1]["backward"])

        return {name: dict(costs) for name, costs in sorted(self._costs.items(), key=cost)}

    def _total(self):
        return sum([c["forward"] + c["backward"] for c in self._costs.values()])

    def _report(self, unit, scale, file):
        total = self._total() or 1
        header = ["function", "calls", f"forward {unit}", f"backward {unit}", "share"]
        lines = [header]
        for name, costs in self.summary().items():
            forward, backward = costs["forward"] * scale, costs["backward"] * scale
            share = (costs["forward"] + costs["backward"]) / total
            lines.append(
                [name, f"{costs['calls']}", f"{forward:,.2f}", f"{backward:,.2f}", f"{share:.0%}"]
            )
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for first, *rest in lines:
            cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            print("  ".join([first.ljust(widths[0]), *cells]), file=file or sys.stdout)


class TimerHook(_Meter):
    """Measures how long functions take, forward and backward.

    A function that calls others (``forget``) has their time in its own too. On a GPU, which works
    on while Python goes on, it waits for every function to end: the sum is more than what the
    same functions take unwatched.

    >>> import numpy as np, dynet, dynet.functions as F
    >>> x = dynet.Variable(np.ones((10, 10)))
    >>> with dynet.function_hooks.TimerHook() as timer:
    ...     F.exp(x @ x).sum().backward()
    >>> sorted(timer.summary())
    ['Exp', 'MatMul', 'Sum']
    >>> timer.print_report()  # doctest: +SKIP
    function  calls  forward ms  backward ms  share
    MatMul        1        0.01         0.04    62%
    Exp           1        0.01         0.00    21%
    Sum           1        0.00         0.01    17%
    """

    def _read(self, xp):
        _wait(xp)
        return time.perf_counter()

    def total_time(self) -> float:
        """All functions together, in seconds."""
        return self._total()

    def print_report(self, unit: str = "ms", file: "TextIO | None" = None) -> None:
        """Print a table of the functions, the dearest first.

        Args:
            unit: ``"s"``, ``"ms"`` or ``"us"``.
            file: where to; by default the standard output.

        Raises:
            ValueError: there is no such unit.
        """
        scales = {"s": 1, "ms": 1e3, "us": 1e6}
        if unit not in scales:
            raise ValueError(f"TimerHook: unit is {unit!r}, expected 's', 'ms' or 'us'")
        self._report(unit, scales[unit], file)


class MemoryHook(_Meter):
    """Measures how much memory functions take and do not give back, in bytes.

    Of a forward that is its output and whatever it saved for the backward; of a backward the
    gradients, less what was freed meanwhile, so it may be negative. On the CPU ``tracemalloc``
    counts, which makes Python several times slower while it does; on a GPU CuPy's memory pool.

    >>> import numpy as np, dynet, dynet.functions as F
    >>> x = dynet.Variable(np.ones((100, 1000)))
    >>> with dynet.function_hooks.MemoryHook() as memory:
    ...     y = F.exp(x)
    >>> round(memory.summary()["Exp"]["forward"], -3)
    800000
    >>> memory.print_report()  # doctest: +SKIP
    function  calls  forward MB  backward MB  share
    Exp           1        0.80         0.00   100%
    """

    def __enter__(self):
        self._started = not tracemalloc.is_tracing()
        if self._started:
            tracemalloc.start()
        return super().__enter__()

    def __exit__(self, *exception):
        super().__exit__(*exception)
        if self._started:
            tracemalloc.stop()

    def _read(self, xp):
        if xp is not np:
            return xp.get_default_memory_pool().used_bytes()
        return tracemalloc.get_traced_memory()[0]

    def total_bytes(self) -> float:
        """All functions together."""
        return self._total()

    def print_report(self, unit: str = "MB", file: "TextIO | None" = None) -> None:
        """Print a table of the functions, the dearest first.

        Args:
            unit: ``"B"``, ``"kB"`` or ``"MB"``.
            file: where to; by default the standard output.

        Raises:
            ValueError: there is no such unit.
        """
        scales = {"B": 1, "kB": 1e-3, "MB": 1e-6}
        if unit not in scales:
            raise ValueError(f"MemoryHook: unit is {unit!r}, expected 'B', 'kB' or 'MB'")
        self._report(unit, scales[unit], file)


def synchronize(arrays):
    """A GPU works on while Python goes on: wait for it before the clock is read."""
    _wait(get_array_module(*arrays))


def _wait(xp):
    if xp is not np:
        xp.cuda.get_current_stream().synchronize()
