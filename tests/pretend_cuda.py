"""What stands for ``cupy.cuda`` in the pretended CuPy: two devices, streams, graphs, raw kernels.

Work is done at once, on whatever stream. Between ``begin_capture`` and ``end_capture`` it is only
noted, with the memory that it is about, and ``launch`` does it on what stands there by then. Memory
that was given back in the meantime is an error: on a GPU it would be somebody else's.
"""

import contextlib
import functools
import sys
import time
import types
import weakref

import cuda_on_cpu

DEVICES = 2
SHARED_MEMORY = 48 << 10  # bytes a block may have without asking
GUARD = 64  # bytes on either side of an array's memory, which nothing may write to
SHARED_MEMORY_AT_MOST = 99 << 10

# Files that are no part of the program which has to wait.
WITHIN = "/pretend_cuda.py", "/pretend_arrays.py", "/numpy/"

synchronisations: list[str] = []
launched: list[str] = []


def begin_anew():
    """Forget what was counted; go back to device 0 and the default stream."""
    synchronisations.clear()
    launched.clear()
    state.device, state.stream, state.pool = 0, Stream.null, _default_pool


def synchronise(what):
    """Note that the host waits, and where in the program."""
    if state.stream.is_capturing():
        raise runtime.CUDARuntimeError(
            f"cudaErrorStreamCaptureUnsupported: {what} while a stream is being captured"
        )
    frame = sys._getframe(1)
    while any(part in frame.f_code.co_filename for part in WITHIN):
        frame = frame.f_back
    synchronisations.append(f"{what} at {frame.f_code.co_filename}:{frame.f_lineno}")


class CUDARuntimeError(RuntimeError):
    __module__ = "cupy_backends.cuda.api.runtime"


class IllegalAddress(BaseException):
    """A kernel got memory of another device, for which CuPy does not look.

    Afterwards a process can do nothing more on a GPU; so no program should come to catch this.
    """


class MemoryPool:
    """Counts the bytes that arrays hold."""

    def __init__(self, allocator=None):
        self._used = [0] * DEVICES

    def malloc(self, size):
        raise NotImplementedError("the pretended pool only counts")

    def used_bytes(self):
        return self._used[state.device]

    total_bytes = used_bytes

    def free_bytes(self):
        return 0

    def free_all_blocks(self, stream=None):
        pass


_default_pool = MemoryPool()


def set_allocator(allocator=None):
    state.pool = _default_pool if allocator is None else allocator.__self__


@contextlib.contextmanager
def using_allocator(allocator=None):
    before = state.pool
    set_allocator(allocator)
    try:
        yield
    finally:
        state.pool = before


class Device:
    """A pretended device, by its number."""

    compute_capability = "86"

    def __init__(self, device=None):
        self.id = state.device if device is None else getattr(device, "id", device)
        if not 0 <= self.id < DEVICES:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self._before = []

    def use(self):
        state.device = self.id

    def __enter__(self):
        self._before.append(state.device)
        self.use()
        return self

    def __exit__(self, *exception):
        state.device = self._before.pop()

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return self.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def synchronize(self):
        synchronise("Device.synchronize")

    @property
    def attributes(self):
        return {name: runtime._attributes[at] for name, at in runtime._named.items()}

    @property
    def mem_info(self):
        return (8 << 30) - _default_pool._used[self.id], 8 << 30


class Graph:
    """What was noted between ``begin_capture`` and ``end_capture``."""

    def __init__(self, notes):
        self._notes = notes

    def launch(self, stream=None):
        stream = state.stream if stream is None else stream
        if stream.is_capturing():
            raise NotImplementedError("a graph within a graph")
        for work, owners in self._notes:
            for owner in owners:
                if owner() is None:
                    raise RuntimeError(
                        "the graph works on memory that has been given back since its capture"
                    )
            work()

    def upload(self, stream=None):
        pass


class Stream:
    """Work on it is done at once, or noted while it is captured."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self._is_null = null
        self._notes = None
        self._before = []
        self.is_non_blocking = non_blocking
        self.ptr = 0 if null else id(self)

    def use(self):
        state.stream = self
        return self

    def __enter__(self):
        self._before.append(state.stream)
        return self.use()

    def __exit__(self, *exception):
        state.stream = self._before.pop()

    def begin_capture(self, mode=None):
        if self._is_null:
            raise CUDARuntimeError(
                "cudaErrorStreamCaptureUnsupported: the default stream cannot be captured"
            )
        if self.is_capturing():
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is being captured already")
        self._notes = []

    def end_capture(self):
        if not self.is_capturing():
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is not being captured")
        graph, self._notes = Graph(self._notes), None
        return graph

    def is_capturing(self):
        return self._notes is not None

    def _note(self, work, arrays):
        # An array of a pool of its own may be gone: its memory waits there, for nobody else.
        owners = [x if x._owner is None else x._owner for x in arrays]
        alive = [o if o._pool is _default_pool else o._pool for o in owners]
        self._notes.append((work, [weakref.ref(o) for o in alive]))

    def synchronize(self):
        synchronise("Stream.synchronize")

    def record(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        pass

    @property
    def done(self):
        return not self.is_capturing()


Stream.null = Stream(null=True)


def get_current_stream(device_id=-1):
    return state.stream


class Event:
    """A point in time on a stream."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._time = None
        self.done = True

    def record(self, stream=None):
        self._time = time.perf_counter()

    def synchronize(self):
        synchronise("Event.synchronize")


def get_elapsed_time(start_event, end_event):
    return 1000 * (end_event._time - start_event._time)


def is_available():
    return True


def get_device_id():
    return state.device


def get_local_runtime_version():
    return 13000


def _runtime():
    """``cupy.cuda.runtime``: the few of its functions that a program of arrays asks."""
    named = {  # name: number in CUDA, and its value here
        "MaxThreadsPerBlock": (1, 1024),
        "MaxSharedMemoryPerBlock": (8, SHARED_MEMORY),
        "TotalConstantMemory": (9, 65536),
        "WarpSize": (10, 32),
        "MaxRegistersPerBlock": (12, 65536),
        "ClockRate": (13, 1500000),
        "MultiProcessorCount": (16, 4),
        "MaxThreadsPerMultiProcessor": (39, 1536),
        "MaxSharedMemoryPerMultiprocessor": (81, 100 << 10),
        "CooperativeLaunch": (95, 1),
        "MaxSharedMemoryPerBlockOptin": (97, SHARED_MEMORY_AT_MOST),
        "MaxBlocksPerMultiprocessor": (106, 16),
    }
    attributes = dict(named.values())

    def set_device(device):
        Device(device).use()

    def properties(device):
        Device(device)
        return {
            "name": b"pretended GPU",
            "major": 8,
            "minor": 6,
            "multiProcessorCount": attributes[16],
            "sharedMemPerBlock": SHARED_MEMORY,
            "sharedMemPerBlockOptin": SHARED_MEMORY_AT_MOST,
            "totalGlobalMem": 8 << 30,
            "warpSize": 32,
        }

    return types.SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        is_hip=False,
        getDeviceCount=lambda: DEVICES,
        getDevice=lambda: state.device,
        setDevice=set_device,
        deviceGetAttribute=lambda attribute, device: attributes[attribute],
        getDeviceProperties=properties,
        runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 13000,
        deviceSynchronize=lambda: synchronise("deviceSynchronize"),
        streamCaptureModeGlobal=0,
        streamCaptureModeThreadLocal=1,
        streamCaptureModeRelaxed=2,
        _attributes=attributes,
        _named={name: number for name, (number, _) in named.items()},
        **{f"cudaDevAttr{name}": number for name, (number, _) in named.items()},
    )


runtime = _runtime()


# ---- raw kernels


class RawKernel:
    """A kernel in CUDA C++, compiled for the CPU when first launched."""

    __module__ = "cupy"

    def __init__(
        self,
        code,
        name,
        options=(),
        backend="nvrtc",
        translate_cucomplex=False,
        *,
        enable_cooperative_groups=False,
        jitify=False,
    ):
        if not isinstance(code, str) or not isinstance(name, str):
            raise TypeError("RawKernel: code and name must be strings")
        self.code, self.name, self.options, self.backend = code, name, tuple(options), backend
        self.max_dynamic_shared_size_bytes = SHARED_MEMORY

    def compile(self, log_stream=None):
        self._kernel  # noqa: B018 - it is compiled when first asked for

    @functools.cached_property
    def _kernel(self):
        return cuda_on_cpu.kernel(self.code, self.name, self.options)

    @property
    def attributes(self):
        return {
            "max_dynamic_shared_size_bytes": self.max_dynamic_shared_size_bytes,
            "max_threads_per_block": 1024,
            "num_regs": 32,
        }

    max_threads_per_block = 1024
    num_regs = 32

    def __call__(self, grid, block, args, *, shared_mem=0):
        if shared_mem > min(self.max_dynamic_shared_size_bytes, SHARED_MEMORY_AT_MOST):
            raise CUDARuntimeError(
                f"CUDA_ERROR_INVALID_VALUE: {self.name} asks for {shared_mem} bytes of shared "
                f"memory, and may have {self.max_dynamic_shared_size_bytes}"
            )
        arrays = [a for a in args if hasattr(a, "_device")]
        for a in arrays:
            if a._device != state.device:
                raise IllegalAddress(
                    f"{self.name}: an array of device {a._device}, on device {state.device}"
                )
        work = self._kernel.prepared(grid, block, args, shared_mem)
        guarded = [a if a._owner is None else a._owner for a in arrays]
        guarded = [(a._memory, f"{a.dtype} {a.shape}") for a in guarded if a._memory is not None]

        def run():
            launched.append(self.name)
            work()
            for memory, what in guarded:
                _check_guards(self.name, memory, what)

        if state.stream.is_capturing():
            state.stream._note(run, arrays)
        else:
            run()


def _check_guards(name, memory, what):
    if not (memory[:GUARD] == 0xAB).all() & (memory[-GUARD:] == 0xAB).all():
        memory[:GUARD] = memory[-GUARD:] = 0xAB
        raise IndexError(f"{name} wrote outside of an array {what}")


class RawModule:
    """CUDA C++ with several kernels."""

    __module__ = "cupy"

    def __init__(
        self,
        *,
        code=None,
        path=None,
        options=(),
        backend="nvrtc",
        translate_cucomplex=False,
        enable_cooperative_groups=False,
        name_expressions=None,
        jitify=False,
    ):
        if code is None or name_expressions is not None:
            raise NotImplementedError("the pretended RawModule takes code, and extern C kernels")
        self.code, self.options = code, tuple(options)

    def get_function(self, name):
        return RawKernel(self.code, name, self.options)


state = types.SimpleNamespace(device=0, stream=Stream.null, pool=_default_pool)
