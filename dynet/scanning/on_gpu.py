"""One scan that runs on a GPU: its arrays, and the launches of its loops.

``cuda_code`` says what a loop is there. It is one launch where what a step multiplies by fits into
a multiprocessor's shared memory, or nearly so; else it is CUDA graphs of 1, 2, 4, ... steps, each
captured once, of which those are replayed that together are as many as there are time steps. A
graph's kernels read from memory what arrays to work with, so it goes with whatever arrays there
are.

What makes the host wait is done once for a structure: its results are compared with those of the
two steps that ran in Python, its gradients with the tape's.
"""

import math
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..backend import get_array_module, is_cupy
from ..kernels.cuda import BLOCK, MOST_BLOCKS, WARP
from ..kernels.rows import scatter_add
from . import cuda_code
from .cuda_code import CudaCode
from .cuda_source import MOST_THREADS, rounded
from .grouping import Array
from .run import Run, added

# The steps of the longest graph.
LONGEST = 1 << 10

# With more items in a stage than this, threads of one block would have too many each.
WORTH_A_GPU = 16 * MOST_THREADS


def run_of(plan, steps, externals, state) -> Run:
    """What runs a scan, on the CPU or on a GPU."""
    return (GpuRun if plan.language is cuda_code else Run)(plan, steps, externals, state)


# So many bytes of matrices that find no place in shared memory are read from the cache, at every
# step, sooner than the kernels of a graph follow one another.
FROM_CACHE = 1 << 19


# The bits of a number that the host and the GPU know.
BITS = 63


class Launch(NamedTuple):
    """How a loop runs: as one kernel; or, if ``blocks`` is 0, as graphs.

    Attributes:
        blocks, threads (int): of the kernel.
        rows_each (int): how many rows a block works at.
        shared (int): bytes of its shared memory.
        kept (int): by its bits, which of the matrices are kept there.
    """

    blocks: int = 0
    threads: int = 0
    rows_each: int = 0
    shared: int = 0
    kept: int = 0


class GpuRun(Run):
    """One scan on a GPU; see ``Run``."""

    def __init__(self, plan, steps, externals, state):
        super().__init__(plan, steps, externals, state)
        self.xp = get_array_module(*self.carry, *self.xs, *self.externals)

    def _buffer(self, size, dtype):
        return self.xp.empty(size, dtype)

    def _vector(self, array):
        return self.xp.ascontiguousarray(array).reshape(-1)

    def _send(self, array, dtype):
        return self.xp.asarray(array.astype(dtype))

    @staticmethod
    def _fetch(array):
        return array.get() if is_cupy(array) else array

    def _external(self, i, program):
        x = super()._external(i, program)
        return x if is_cupy(x) else self._sent(x)

    def _sent(self, array):
        """A NumPy array that the plan keeps, on the GPU: it is sent there once."""
        sent, key = self.plan.sent, (id(array), *self._place())
        if key not in sent:
            sent[key] = self.xp.asarray(array)
        return sent[key]

    def _place(self):
        """Where it runs: what one stream has written another need not find there yet."""
        return self.xp, self._device(), self.xp.cuda.get_current_stream().ptr

    def compiled(self, carry, ys):
        if "forward" in self.plan.trusted:
            self.steps_read = carry, ys
            return self.forward(self.steps.length)
        outputs = super().compiled(carry, ys)
        self.plan.trusted.add("forward")
        return outputs

    def check_again(self, leaves):
        if "again" not in self.plan.trusted:
            super().check_again(leaves)
            self.plan.trusted.add("again")

    # -- forward -----------------------------------------------------------------------------

    def forward(self, length):
        code = self.plan.forward
        arguments = [self._argument(a, length, self.plan.program) for a in code.arrays]
        self.arrays = {(a.role, a.i): x for a, x in zip(code.arrays, arguments, strict=True)}
        self._launch(code, self._way(code), length, arguments)
        for i in range(len(self.carry)):
            if ("last", i) in self.arrays:
                self.arrays["carry", i] = self.arrays.pop(("last", i))
        return self.outputs(length)

    def _argument(self, a, length, program):
        like = self.plan.forward.like.get((a.role, a.i))
        if a.role in ("stack", "ys"):
            shape, dtype = like
            return self._buffer(length * math.prod(shape), dtype)
        if a.role in ("carry", "last"):
            array = self.carry[a.i]
            return (
                self._vector(array) if a.role == "carry" else self._buffer(array.size, array.dtype)
            )
        return super()._argument(a, length, program)

    def _way(self, code):
        total = self.plan.rows or 1
        return way(code, total, self.plan.rows is not None, *limits_of(self._device(), self.xp))

    def _device(self):
        return next(x for x in (*self.carry, *self.xs, *self.externals)).device.id

    def _launch(self, code: CudaCode, how: Launch, length: int, arguments: list) -> None:
        total = self.plan.rows or 1
        numbers = self._sent(code.numbers)
        functions = functions_of(code.source, self.xp.RawModule)
        start = length - 1 if code.late else 0
        given = [np.int64(start), np.int64(total), self.key, self.position, numbers]
        if how.blocks:
            whole = functions("whole")
            if how.shared > whole.max_dynamic_shared_size_bytes:
                whole.max_dynamic_shared_size_bytes = how.shared
            of_blocks = [np.int64(length), np.int32(how.rows_each), np.int64(how.kept)]
            given = [*of_blocks, *given, numbers, *arguments]  # numbers for scratch: any memory
            whole((how.blocks,), (how.threads,), tuple(given), shared_mem=how.shared)
            return
        graphs = self._graphs(code, functions, total)
        graphs.run([*given, graphs.scratch, *arguments], length)

    def _graphs(self, code, functions, total):
        key = code.source, *self._place(), total
        with _lock:
            graphs = _graphs.pop(key, None) or Graphs(code, functions, total, self.xp)
            _graphs[key] = graphs  # the last one that was used
            if len(_graphs) > MANY_LOOPS:
                _graphs.pop(next(iter(_graphs)))
        return graphs

    # -- backward ----------------------------------------------------------------------------

    def backward(self, gys, length, arrays=None):
        arrays = self.arrays if arrays is None else arrays
        plan, n = self.plan, len(self.carry)
        gcarry, gys = list(gys[:n]), list(gys[n:])
        given = tuple([gy is not None for gy in (*gcarry, *gys)])
        program, code, _ = plan.backward(given, self.steps.length)
        how = self._way(code)

        def argument(a):
            return self._argument_back(a, program, gcarry, gys, length, arrays)

        arguments = []
        for a in code.arrays:
            if a.role == "late":
                shape, dtype = code.like["late", a.i]
                arguments.append(self._buffer(length * math.prod(shape), dtype))
            elif a.role == "gfirst":
                array = self.carry[a.i]
                arguments.append(self._buffer(array.size, array.dtype))
            elif a.role == "term":
                ref = program.terms[a.i].refs[0]
                parts = max(how.blocks, 1), *ref.shape
                arguments.append(self.xp.zeros(parts, ref.value.dtype))
            else:
                arguments.append(argument(a))
        self._launch(code, how, length, arguments)
        made = dict(arrays)
        made |= {(a.role, a.i): x for a, x in zip(code.arrays, arguments, strict=True)}
        for i in program.gcarry:
            made["gcarry", i] = made["gfirst", i]
        found = [None] * len(self.externals)
        for k, term in enumerate(program.terms):
            shape = self.externals[term.external].shape
            g = self._term(k, term, code, made, length, shape, argument)
            found[term.external] = added(found[term.external], g)
        return self._gradients_of_leaves(program, made, length) + found

    def _term(self, k, term, code, made, length, shape, argument):
        """What the steps add to the gradient of an array of some shape."""
        if ("term", k) in made:
            return made["term", k].sum(axis=0).reshape(shape)
        refs = term.refs
        if term.kind == "sum":
            refs = refs[0].value.operands
        views = [self._over_time(ref, code, made, length, argument) for ref in refs]
        if term.kind == "product":
            a, b = [x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) for x in views]
            g = a.T @ b
            return (g.T if term.transposed else g).reshape(shape)
        if term.kind == "rows":
            ids = views[0].reshape(-1)
            gy = views[1].reshape(len(ids), shape[1])
            table = self.xp.zeros(shape, gy.dtype)
            scatter_add(ids, gy, table)
            return table
        (x,), value = views, term.refs[0].value
        axes = (0, *range(1 + value.settings[1], x.ndim))
        return x.sum(axis=axes).reshape(shape)

    def _over_time(self, ref, code, made, length, argument):
        """A view of a value at all time steps, time first.

        Args:
            argument: a function that gives an array which the loop itself did not need.
        """
        value = ref.value
        role, i, ahead = code.over_time[value.number]
        if role == "external":
            array = argument(Array(role, i, tuple(range(len(value.shape)))))
        else:
            array = made[role, i] if (role, i) in made else argument(Array(role, i))
        size = 0 if role in ("external", "still") else math.prod(value.shape)
        shape = length, *ref.shape
        if math.prod(shape) == 0:
            return self.xp.zeros(shape, array.dtype)
        strides = [s * array.itemsize for s in (size, *ref.strides)]
        start = ahead * size + ref.offset
        return self.xp.lib.stride_tricks.as_strided(array[start:], shape, strides)


def way(
    code: CudaCode, total: int, by_rows: bool, multiprocessors: int, shared_memory: int
) -> Launch:
    """How to run a loop on a GPU.

    Args:
        code: of the loop.
        total: how many rows the batch has.
        by_rows: whether they are independent.
        multiprocessors: how many there are.
        shared_memory: bytes that a block may have.
    """
    rows = -(-total // multiprocessors) if by_rows else total
    while rows >= 1:
        shared = sum([rounded(r.fixed or r.per_row * rows) for r in code.rooms])
        items = max([count(rows) for count in code.stages], default=1)
        if shared <= shared_memory and items <= WORTH_A_GPU:
            kept, left = 0, 0
            for n, k in sorted(zip(code.weights, range(len(code.weights)), strict=True)):
                fits = shared + n <= shared_memory and k < BITS
                kept, shared, left = kept | fits << k, shared + fits * n, left + (not fits) * n
            if left <= FROM_CACHE:
                threads = min(MOST_THREADS, max(1, -(-items // WARP)) * WARP)
                return Launch(-(-total // rows), threads, rows, shared, kept)
        rows = rows // 2 if by_rows else 0
    return Launch()


@cache
def limits_of(device: int, xp: Any) -> tuple[int, int]:
    """How many multiprocessors a GPU has, and the bytes of shared memory that a block may have."""
    runtime = xp.cuda.runtime
    return (
        runtime.deviceGetAttribute(runtime.cudaDevAttrMultiProcessorCount, device),
        runtime.deviceGetAttribute(runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
    )


@cache
def functions_of(source: str, RawModule: Any) -> Callable:
    """What gives the kernels of a loop by their names."""
    return cache(RawModule(code=source).get_function)


class Graphs:
    """The CUDA graphs of a loop: of 1, 2, 4, ... steps, as they are needed.

    Attributes:
        grids (list): of each stage how many blocks there are.
        scratch: memory for what is local.
        table: what the loop is called with, where its kernels read it.
    """

    def __init__(self, code, functions, total, xp):
        self.functions, self.xp = functions, xp
        self.grids = [
            (max(1, min(MOST_BLOCKS, -(-count(total) // BLOCK))),) for count in code.stages
        ]
        local = [r.fixed or r.per_row * total for r in code.rooms]
        self.scratch = xp.empty(sum(map(rounded, local)) + 16, np.uint8)
        self.table = xp.empty(len(code.arrays) + 16, np.int64)
        self._graphs = {}
        self._lock = threading.Lock()

    def run(self, given: list, length: int) -> None:
        """Run all steps, in the current stream."""
        f, largest = self.functions, max(self.grids, default=(1,))
        around = largest, (BLOCK,), (self.table, np.int64(0))
        with self._lock:  # there is one table
            f("prepare")((1,), (1,), (self.table, *given))
            f("begin_of_all")(*around)
            if not self._graphs:
                # A kernel is loaded when it is first launched, which is not to be in a capture.
                self._steps(1)
                length -= 1
            n = LONGEST
            while length:
                while length >= n:
                    if n not in self._graphs:
                        self._graphs[n] = self._captured(n)
                    self._graphs[n].launch()
                    length -= n
                n //= 2
            f("end_of_all")(*around)

    def _steps(self, n):
        """Launch the kernels of so many steps."""
        for ahead in range(n):
            for k, grid in enumerate(self.grids):
                f = self.functions(f"stage_{k}_of_all")
                f(grid, (BLOCK,), (self.table, np.int64(ahead)))
        self.functions("advance")((1,), (1,), (self.table, np.int64(n)))

    def _captured(self, n):
        stream = self.xp.cuda.Stream(non_blocking=True)  # the default one cannot be captured
        with stream:
            stream.begin_capture()
            self._steps(n)
            return stream.end_capture()


# Of so many loops, by their sources, the graphs for several devices, streams and batches.
_graphs = {}
_lock = threading.Lock()
MANY_LOOPS = 64
