"""A module in CuPy's place, for machines without a GPU: NumPy within, CuPy's rules without.

Its arrays hide a NumPy array. They have the functions, methods and arguments that CuPy 14 has, and
no others; they refuse what CuPy refuses: conversion to NumPy unasked, NumPy's arrays beside them
(there is no way from one memory to the other but ``asarray`` and ``get``), arrays of two devices
in one operation. Kernels of CUDA are compiled for the CPU and run there (``cuda_on_cpu.py``). What
``empty`` returns is full of NaN, and what a kernel writes outside of its arrays is noticed.

Besides CuPy's own names there are, for tests to look at:

- ``synchronisations``: a text for each time that the host had to wait for the GPU, with the line
  of the program at which it did;
- ``launched``: the names of the raw kernels that ran, replays of a captured graph included;
- ``begin_anew()``: forgets both, and goes back to device 0 and the default stream;
- ``take_cupys_place(monkeypatch)``: what the fixture ``pretend_gpu`` does for one test.
"""

# ruff: noqa: SIM905 - names are read best as a text

import sys as _sys
import types as _types

import cupy_names as _names
import numpy as _np
import pretend_arrays as _arrays
import pretend_cuda as _cuda
from pretend_arrays import ndarray, ufunc  # noqa: F401
from pretend_cuda import RawKernel, RawModule, begin_anew, launched, synchronisations  # noqa: F401

__version__ = "14.2.0"

# NumPy's own: numbers, dtypes, and what tells of them.
_HOSTS = (
    "bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp float16 float32 float64 "
    "complex64 complex128 integer floating inexact number signedinteger unsignedinteger generic "
    "dtype finfo iinfo inf nan pi e newaxis"
).split()

# Functions that are not NumPy's of the same name.
_OWN = (
    "array asarray asanyarray ascontiguousarray asfortranarray asnumpy empty empty_like full "
    "full_like get_array_module get_default_memory_pool is_available "
    "ones ones_like zeros zeros_like"
).split()


_OF_CUDA = (
    "Device Event Graph MemoryPool Stream get_current_stream get_device_id get_elapsed_time "
    "get_local_runtime_version is_available runtime set_allocator using_allocator"
).split()

cuda = _types.ModuleType("cupy.cuda")


def take_cupys_place(monkeypatch):
    """Be what ``import cupy`` finds, for as long as ``monkeypatch`` lasts."""
    for name in [name for name in _sys.modules if name.startswith("cupy.")]:
        monkeypatch.delitem(_sys.modules, name)
    monkeypatch.setitem(_sys.modules, "cupy", _sys.modules["pretend_cupy"])
    monkeypatch.setitem(_sys.modules, "cupy.cuda", cuda)
    monkeypatch.setitem(_sys.modules, "cupyx", None)  # nothing of it is pretended
    begin_anew()


def _fill():
    own = vars(_sys.modules[__name__])
    own.update((name, getattr(_np, name)) for name in _HOSTS)
    own.update(_arrays.functions(_names.FUNCTIONS, _np))
    own.update((name, getattr(_arrays, name)) for name in _OWN)
    own.update(_arrays.ufuncs)
    vars(cuda).update((name, getattr(_cuda, name)) for name in _OF_CUDA)
    linalg = _arrays.functions(_names.LINALG, _np.linalg)
    own["linalg"] = _types.SimpleNamespace(LinAlgError=_np.linalg.LinAlgError, **linalg)
    tricks = _arrays.functions({"x shape strides": "as_strided"}, _np.lib.stride_tricks)
    own["lib"] = _types.SimpleNamespace(stride_tricks=_types.SimpleNamespace(**tricks))


_fill()
__name__ = "cupy"  # as messages name the module of an array
