"""Kernels on the GPU: the CUDA twins of the compiled ones, built by CuPy when first called.

A *twin* stands beside the kernel that Numba compiles, and takes the same arguments. Where that one
loops, the twin says what a single thread does to one element, or a warp to one row; so the same
text serves one kernel over a whole array here, and a step of a recurrence in ``scanning``.

Everything runs on CuPy's current stream. Nothing here waits for the GPU, or reads from it.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from ..backend import check_one_device

# What all sources begin with. NVRTC has C's mathematical functions for float and double under one
# name, as C++ does, and no header files.
PRELUDE = r"""
namespace dynet {

// The elements of a contiguous array, by position, and the lengths of its axes.
template <typename T> struct Array {
    T* data;
    long long shape[4];
    __device__ T& operator[](long long i) const { return data[i]; }
};

template <typename T> __device__ T sigmoid(T x) {
    // Of a large negative number the power would be infinite: so always of a negative exponent.
    T e = exp(x < T(0) ? x : -x);
    return (x < T(0) ? e : T(1)) / (T(1) + e);
}

template <typename T> __device__ T nan_or_max(T a, T b) { return (a >= b || a != a) ? a : b; }

// Of the 32 numbers that the threads of a warp hold; every one of them gets the result.
template <typename T> __device__ T warp_sum(T x) {
    for (int far = 16; far > 0; far /= 2) x += __shfl_xor_sync(0xffffffffu, x, far);
    return x;
}

template <typename T> __device__ T warp_max(T x) {
    for (int far = 16; far > 0; far /= 2) x = nan_or_max(x, __shfl_xor_sync(0xffffffffu, x, far));
    return x;
}
"""

WARP = 32
BLOCK = 256  # threads
MOST_BLOCKS = 1 << 16

# An ``Array`` has a place for the lengths of so many axes. Whoever has more is looked at element by
# element, in C order.
MOST_AXES = 4

OF_SIZE = {
    "b1": "bool",
    "i1": "signed char",
    "u1": "unsigned char",
    "i2": "short",
    "u2": "unsigned short",
    "i4": "int",
    "u4": "unsigned int",
    "i8": "long long",
    "u8": "unsigned long long",
    "f4": "float",
    "f8": "double",
}
# What CUDA calls a dtype, by its character: which of them have 8 bytes depends on the system.
C_TYPES = {char: OF_SIZE[np.dtype(char).str[1:]] for char in "?bBhHiIlLqQfd"}


class Twin(NamedTuple):
    """What a kernel is in CUDA.

    Attributes:
        name (str): of the device function.
        source (str): its definition, with whatever it needs besides ``PRELUDE``.
        work (int): the number of the argument whose elements, or rows, the threads share out.
        by_rows (bool): whether a warp works at a row, rather than a thread at an element.
    """

    name: str
    source: str
    work: int
    by_rows: bool


_twins: dict[Callable, Twin] = {}


def twin(kernel: Callable, work: str, source: str, by_rows: bool = False) -> None:
    """Say what a compiled kernel is in CUDA.

    The source defines a device function of the kernel's name, a template over its dtypes. It takes
    the number of the element that it is to work at, counted in C order, or the number of the row
    (along the first axis) and that of the thread in its warp; then the kernel's own arguments, an
    ``Array<T>`` for each array. It writes nowhere else than to what belongs to that element or row,
    or adds there atomically, and does not rely on any order.

    Args:
        kernel: a compiled function.
        work: the name of the array whose elements, or rows, are shared out.
        source: C++ for NVRTC, inside the namespace of ``PRELUDE``.
        by_rows: whether a warp works at each row.
    """
    names = kernel.py_func.__code__.co_varnames[: kernel.py_func.__code__.co_argcount]
    _twins[kernel] = Twin(kernel.py_func.__name__, source, names.index(work), by_rows)


def twin_of(kernel: Callable) -> Twin | None:
    """What a compiled kernel is in CUDA; ``None`` if that was not said."""
    return _twins.get(kernel)


def every_twin() -> dict[Callable, Twin]:
    """All kernels that have one."""
    return dict(_twins)


def launch(kernel: Callable, arrays: Sequence, outputs: Sequence, settings: Sequence = ()) -> None:
    """Run the twin of a compiled kernel.

    Args:
        kernel: a compiled function of the arrays, the settings and the outputs.
        arrays: CuPy's, of any layout, on the current device.
        outputs: CuPy's, contiguous; it writes into these.
        settings: numbers; a Python float comes as ``double``.

    Raises:
        NotImplementedError: the kernel has no twin.
        ValueError: an array is on another device.
    """
    import cupy  # optional dependency; there are arrays of it

    here = cupy.cuda.runtime.getDevice()
    kinds, taken, flat = [], [], []
    for a in arrays:
        # CuPy does not look, and to read another device's memory is the end of the program.
        if a.data.device_id != here:
            check_one_device(kernel.__name__, arrays)
        taken.append(cupy.ascontiguousarray(a))
    n_inputs = len(taken)
    taken += [s if isinstance(s, np.generic) else _wide(s) for s in settings]
    n_numbers = len(taken)
    taken += outputs
    for i, a in enumerate(taken):
        flat.append(a)
        if n_inputs <= i < n_numbers:
            kinds.append((a.dtype.char, None))
        else:
            kinds.append((a.dtype.char, a.ndim))
            flat += a.shape
    function, at, by_rows = _built(kernel, tuple(kinds), cupy.RawKernel)
    n = len(taken[at]) if by_rows else taken[at].size
    if n:
        blocks = -(-n * WARP // BLOCK) if by_rows else -(-n // BLOCK)
        function((min(blocks, MOST_BLOCKS),), (BLOCK,), (n, *flat))


def _wide(number):
    if isinstance(number, bool):
        return np.bool_(number)
    return np.float64(number) if isinstance(number, float) else np.int64(number)


@cache
def _built(kernel, kinds, RawKernel):
    found = twin_of(kernel)
    if found is None:
        raise NotImplementedError(
            f"{kernel.py_func.__name__} has no twin in CUDA, expected one beside the compiled "
            "kernel (dynet.kernels.cuda.twin)"
        )
    text = kernel_source(found, kinds)
    return RawKernel(text, f"{found.name}_of_arrays"), found.work, found.by_rows


def kernel_source(twin: Twin, kinds: Sequence[tuple[str, int | None]]) -> str:
    """The source of a kernel that runs a twin for all its elements or rows.

    Args:
        twin: of a compiled kernel.
        kinds: of each argument the character of its dtype and, of an array, how many axes it has.
    """
    parameters, makings, names = ["long long n"], [], []
    for i, (char, ndim) in enumerate(kinds):
        c_type, name = C_TYPES[char], f"a{i}"
        names.append(name)
        if ndim is None:
            parameters.append(f"{c_type} {name}")
            continue
        lengths = [f"{name}_{k}" for k in range(ndim)]
        parameters += [f"{c_type}* {name}_data", *[f"long long {x}" for x in lengths]]
        given = f"{name}_data, {{{', '.join(lengths)}}}"
        makings.append(f"dynet::Array<{c_type}> {name} = {{{given}}};")
    start = "blockIdx.x * (long long)blockDim.x + threadIdx.x"
    count, step, item = "n", "(long long)gridDim.x * blockDim.x", "i"
    if twin.by_rows:
        count, item = f"n * {WARP}", f"i / {WARP}, (int)(i % {WARP})"
    return "\n".join(
        [
            PRELUDE,
            twin.source,
            "}",
            f'extern "C" __global__ void {twin.name}_of_arrays({", ".join(parameters)}) {{',
            *["    " + line for line in makings],
            f"    for (long long i = {start}; i < {count}; i += {step})",
            f"        dynet::{twin.name}({item}, {', '.join(names)});",
            "}",
        ]
    )
