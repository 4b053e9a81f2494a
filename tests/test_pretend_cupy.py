"""The pretended CuPy holds to CuPy's rules, and runs CUDA's kernels as a GPU does."""

import copy
import gc

import cuda_on_cpu
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pretend_cuda import IllegalAddress


@pytest.fixture
def x(pretend_gpu):
    return pretend_gpu.asarray(np.arange(12, dtype=np.float32).reshape(3, 4))


# ---- what CuPy has, and no more


def offered(module):
    return {name for name in vars(module) if not name.startswith("_")}


def test_every_name_is_one_of_cupys():
    import pretend_cupy

    try:
        import cupy
    except ImportError:
        pytest.skip("CuPy is not installed here, whose names would be compared")
    added = {"synchronisations", "launched", "begin_anew", "take_cupys_place"}
    assert offered(pretend_cupy) - added <= set(dir(cupy))
    assert offered(pretend_cupy.linalg) <= set(dir(cupy.linalg))
    assert offered(pretend_cupy.lib.stride_tricks) <= set(dir(cupy.lib.stride_tricks))
    assert offered(pretend_cupy.cuda) <= set(dir(cupy.cuda))
    assert offered(pretend_cupy.cuda.runtime) <= {*dir(cupy.cuda.runtime), "CUDARuntimeError"}
    slots = {"__slots__", "__weakref__", "__del__"}
    ours = {n for n in vars(pretend_cupy.ndarray) if not n.startswith("_") or n.endswith("__")}
    assert ours - slots - {"__static_attributes__", "__firstlineno__"} <= set(dir(cupy.ndarray))
    for kind in ("Device", "Event", "Graph", "MemoryPool", "Stream"):
        ours, cupys = (getattr(m.cuda, kind) for m in (pretend_cupy, cupy))
        assert offered(ours) <= set(dir(cupys))
    assert offered(pretend_cupy.RawKernel) <= set(dir(cupy.RawKernel))
    assert offered(pretend_cupy.ufunc) <= {*dir(cupy.ufunc)}


REFUSED = {
    "an array of NumPy's beside one": lambda cp, x: x + np.ones((3, 4)),
    "an array of NumPy's before one": lambda cp, x: np.ones((3, 4)) + x,
    "an array of NumPy's to join": lambda cp, x: np.concatenate([x, np.ones((3, 4))]),
    "an array of NumPy's to choose from": lambda cp, x: np.where(x > 1, x, np.ones((3, 4))),
    "an array of NumPy's to multiply": lambda cp, x: x.T @ np.ones((3, 4)),
    "an array of NumPy's to write into": lambda cp, x: np.exp(x, out=np.ones((3, 4))),
    "an array of NumPy's to make contiguous": lambda cp, x: cp.ascontiguousarray(np.ones(3)),
    "a rule of casting": lambda cp, x: x.astype(np.float64, casting="safe"),
    "conversion": lambda cp, x: np.asarray(x),
    "conversion to compare": lambda cp, x: np.testing.assert_allclose(x, x),
    "a sum of some": lambda cp, x: np.sum(x, where=x > 1),
    "a sum from a start": lambda cp, x: x.sum(initial=1),
    "an addition of some": lambda cp, x: np.add(x, x, where=x > 1),
    "a mode of take": lambda cp, x: np.take(x, cp.arange(2), mode="clip"),
    "insert, which it lacks": lambda cp, x: np.insert(x, 0, 1),
    "block, which it lacks": lambda cp, x: np.block([x, x]),
    "vecdot, which it lacks": lambda cp, x: np.vecdot(x, x),
    "a text": lambda cp, x: x + "1",
    "nothing": lambda cp, x: x + None,
    "its size as a number": lambda cp, x: range(x[0, 0]),
    "a place in a set": lambda cp, x: {x},
    "an attribute": lambda cp, x: setattr(x, "name", 1),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cupy_refuses_is_refused(pretend_gpu, x, what):
    with pytest.raises((TypeError, AttributeError)):
        REFUSED[what](pretend_gpu, x)


def test_reductions_other_than_of_sums_are_not_there_for_ufuncs(x):
    assert np.add.reduce(x).shape == (4,)
    with pytest.raises(NotImplementedError, match="maximum"):
        np.maximum.reduce(x)
    with pytest.raises(NotImplementedError, match="multiply"):
        np.multiply.at(x, (0,), x[0])


def test_a_host_array_is_written_only_by_set(pretend_gpu, x):
    with pytest.raises(ValueError, match="non-scalar"):
        x[0] = np.ones(4, np.float32)
    x.set(np.ones((3, 4), np.float32))
    assert x.get().sum() == 12


def test_texts_and_objects_have_no_arrays(pretend_gpu):
    for thing in (["a"], [None], np.array(["a"])):
        with pytest.raises(ValueError, match="dtype"):
            pretend_gpu.asarray(thing)


# ---- arrays


def test_functions_of_numpys_give_its_arrays(pretend_gpu, x):
    for y in (np.exp(x), np.sum(x), x[0, 0], x.mean(), np.where(x > 1, x, 0), -x, x > 1, 2 / x):
        assert type(y) is pretend_gpu.ndarray
    assert type(x).__module__ == "cupy"
    assert x[0, 0].shape == x.max().shape == ()


def test_an_array_from_the_host_is_a_copy(pretend_gpu):
    a = np.ones(3)
    x = pretend_gpu.asarray(a)
    x += 1
    assert a.sum() == 3
    x.get()[...] = 7
    np.testing.assert_array_equal(x.get(), [2, 2, 2])


def test_a_view_writes_into_what_it_views(pretend_gpu, x):
    x[1:].T[...] = 5
    x.reshape(-1)[0] = 7
    x[0][1] += 10
    np.testing.assert_array_equal(x.get(), [[7, 11, 2, 3], [5] * 4, [5] * 4])
    assert x[1:].T.base is x
    assert x.base is None
    assert (x + 1).base is None


def test_new_memory_is_full_of_nan(pretend_gpu):
    assert np.isnan(pretend_gpu.empty((2, 3), np.float32).get()).all()
    assert np.isnan(pretend_gpu.empty_like(pretend_gpu.zeros(2)).get()).all()
    assert (pretend_gpu.empty(2, np.int64).get() == -1).all()


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_indices_mean_what_they_mean_to_numpy(data):
    import pretend_cupy

    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    a = np.arange(np.prod(shape)).reshape(shape)
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    x = pretend_cupy.asarray(a)
    np.testing.assert_array_equal(x[index].get(), a[index])
    index = data.draw(hnp.integer_array_indices(shape))
    np.testing.assert_array_equal(x[tuple(map(pretend_cupy.asarray, index))].get(), a[index])


def test_ids_out_of_range_begin_again(pretend_gpu, x):
    ids = pretend_gpu.asarray([3, -4, 7])
    np.testing.assert_array_equal(x[ids].get()[:, 0], [0, 8, 4])
    np.testing.assert_array_equal(x[..., ids].get()[0], [3, 0, 3])
    np.testing.assert_array_equal(np.take(x, ids, 0).get()[:, 0], [0, 8, 4])
    x[ids, 0] = -1
    np.testing.assert_array_equal(x.get()[:, 0], [-1, -1, -1])
    pretend_gpu.add.at(x, ids, 1)
    np.testing.assert_array_equal(x.get()[:, 0], [0, 0, 0])


def test_arrays_are_copied_with_their_kind(pretend_gpu, x):
    for y in (copy.copy(x), copy.deepcopy(x), x.copy(), pretend_gpu.array(x)):
        assert type(y) is pretend_gpu.ndarray
        y += 1
    assert x.get()[0, 0] == 0


# ---- what the host waits for

LOOKS = {
    "get": lambda cp, x: x.get(),
    "item": lambda cp, x: x[0, 0].item(),
    "float": lambda cp, x: float(x[0, 0]),
    "int": lambda cp, x: int(x[0, 0]),
    "bool": lambda cp, x: bool(x[0, 0]),
    "complex": lambda cp, x: complex(x[0, 0]),
    "tolist": lambda cp, x: x.tolist(),
    "asnumpy": lambda cp, x: cp.asnumpy(x),
    "a mask": lambda cp, x: x[x > 1],
    "a mask for one number": lambda cp, x: x.__setitem__(x > 1, 0),
    "a mask of what to add to": lambda cp, x: np.add.at(x, x > 1, 1.0),
    "a weighted mean": lambda cp, x: np.average(x, weights=x),
    "nonzero": lambda cp, x: np.nonzero(x),
    "where alone": lambda cp, x: np.where(x),
    "unique": lambda cp, x: np.unique(x),
    "a text of it": lambda cp, x: f"{x.sum():.2f}",
    "in a condition": lambda cp, x: 1 if x.any() else 2,
    "the stream": lambda cp, x: cp.cuda.get_current_stream().synchronize(),
    "the device": lambda cp, x: cp.cuda.Device().synchronize(),
    "an event": lambda cp, x: cp.cuda.Event().synchronize(),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_at_elements_is_noted_with_its_line(pretend_gpu, x, look):
    LOOKS[look](pretend_gpu, x)
    assert len(pretend_gpu.synchronisations) == 1
    assert "test_pretend_cupy.py:" in pretend_gpu.synchronisations[0]


def test_arithmetic_lets_nobody_wait(pretend_gpu, x):
    y = np.where(x > 1, x, 0) @ x.T
    y[0] = x.sum()
    y *= 2
    pretend_gpu.zeros(3)
    len(x), x.shape, x.dtype, repr(type(x))
    assert pretend_gpu.synchronisations == []


# ---- devices, memory


def test_arrays_of_two_devices_do_not_meet(pretend_gpu, x):
    with pretend_gpu.cuda.Device(1) as one:
        y = pretend_gpu.asarray(np.ones(4, np.float32))
        assert y.device == one
        with pytest.raises(ValueError, match="array device = 0 while current = 1"):
            y + x
        np.testing.assert_array_equal((pretend_gpu.asarray(x) + y).get(), x.get() + 1)
    with pytest.raises(ValueError, match="device"):
        x + y
    part = pretend_gpu.asarray(np.ones((4, 4), np.float32))[:, ::2]
    with pretend_gpu.cuda.Device(1), pytest.raises(NotImplementedError, match="non-contiguous"):
        pretend_gpu.asarray(part)
    assert pretend_gpu.cuda.Device().id == 0
    with pytest.raises(RuntimeError, match="cudaErrorInvalidDevice"):
        pretend_gpu.cuda.Device(2)


def test_the_pool_counts_what_arrays_hold(pretend_gpu):
    gc.collect()
    pool = pretend_gpu.get_default_memory_pool()
    before = pool.used_bytes()
    x = pretend_gpu.zeros(1000)
    view = x[:10]
    del x
    assert pool.used_bytes() == before + 8000
    del view
    assert pool.used_bytes() == before


# ---- capture


def captured(gpu, work):
    stream = gpu.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            result = work()
        finally:
            graph = stream.end_capture()
    return graph, result


def test_what_is_captured_runs_when_launched_on_what_stands_there_then(pretend_gpu, x):
    total = pretend_gpu.zeros((), np.float32)

    def work():
        y = x * 2 + 1
        np.add(total, 1, out=total)
        x[0] = y[1]
        return y

    # As every array that the work makes is to live as long as its graph, it makes none in between.
    def kept():
        y = x * 2
        y += 1
        np.add(total, 1, out=total)
        x[0] = 9
        return y

    graph, y = captured(pretend_gpu, kept)
    assert x.get()[0, 0] == 0
    assert total.item() == 0
    assert np.isnan(y.get()).all()
    graph.launch()
    x[...] = 4
    graph.launch()
    assert total.item() == 2
    assert (y.get() == 9).all()
    assert (x.get()[0] == 9).all()
    graph, _ = captured(pretend_gpu, work)
    with pytest.raises(RuntimeError, match="given back"):
        graph.launch()


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (lambda cp, x: x.get(), RuntimeError),
        (lambda cp, x: float(x[0, 0]), RuntimeError),
        (lambda cp, x: cp.asarray(np.ones(3)), RuntimeError),
        (lambda cp, x: cp.cuda.Device().synchronize(), RuntimeError),
        (lambda cp, x: x @ x.T, NotImplementedError),
        (lambda cp, x: np.tensordot(x, x.T, 1), NotImplementedError),
        (lambda cp, x: x.dot(x.T), NotImplementedError),
    ],
)
def test_what_waits_or_multiplies_matrices_is_not_captured(pretend_gpu, x, work, error):
    with pytest.raises(error, match="captur"):
        captured(pretend_gpu, lambda: work(pretend_gpu, x))


def test_the_default_stream_is_not_captured(pretend_gpu):
    with pytest.raises(RuntimeError, match="default stream"):
        pretend_gpu.cuda.get_current_stream().begin_capture()


def test_a_kernel_is_captured_with_its_memory(pretend_gpu, x):
    kernel = pretend_gpu.RawKernel(ADD, "add_one")
    graph, _ = captured(pretend_gpu, lambda: kernel((1,), (16,), (x, 12)))
    assert pretend_gpu.launched == []
    graph.launch()
    x += 1
    graph.launch()
    assert pretend_gpu.launched == ["add_one", "add_one"]
    assert x.get()[0, 0] == 3


def test_memory_of_a_pool_of_its_own_may_be_replayed(pretend_gpu, x):
    pool = pretend_gpu.cuda.MemoryPool()

    def work():
        with pretend_gpu.cuda.using_allocator(pool.malloc):
            np.add(x * 2, 1, out=x)

    graph, _ = captured(pretend_gpu, work)
    graph.launch()
    assert x.get()[0, 1] == 3


# ---- kernels

ADD = r"""
extern "C" __global__ void add_one(float* x, long long n) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) x[i] += 1;
}
"""

REVERSE = r"""
extern "C" __global__ void __launch_bounds__(64) reverse(const float* __restrict__ x, float* y) {
    extern __shared__ char shared_memory[];
    float* kept = (float*)shared_memory;
    int i = threadIdx.x;
    kept[i] = x[i];
    __syncthreads();
    y[i] = kept[blockDim.x - 1 - i];
}
"""


def run(gpu, code, name, grid, block, *args, **keywords):
    gpu.RawKernel(code, name)((grid,), (block,), args, **keywords)


@pytest.fixture(params=["forwards", "backwards"])
def either_order(request, monkeypatch):
    monkeypatch.setattr(cuda_on_cpu, "backwards", request.param == "backwards")


@pytest.mark.usefixtures("either_order")
def test_threads_meet_at_a_barrier(pretend_gpu):
    x = np.arange(64, dtype=np.float32)
    y = pretend_gpu.empty(64, np.float32)
    run(pretend_gpu, REVERSE, "reverse", 1, 64, pretend_gpu.asarray(x), y, shared_mem=256)
    np.testing.assert_array_equal(y.get(), x[::-1])


@pytest.mark.usefixtures("either_order")
def test_shuffles_are_those_of_cuda(pretend_gpu):
    code = r"""
    extern "C" __global__ void shuffle(int* y) {
        int i = threadIdx.x, all = 0xffffffffu;
        int* mine = y + 7 * i;
        mine[0] = __shfl_xor_sync(all, i, 5);
        mine[1] = __shfl_down_sync(all, i, 3u);
        mine[2] = __shfl_up_sync(all, i, 3u);
        mine[3] = __shfl_sync(all, i, 9);
        mine[4] = __shfl_down_sync(all, i, 3u, 8);
        mine[5] = (int)__shfl_sync(all, 0.5 + i, 30);
        mine[6] = (int)__ballot_sync(all, i % 2);
    }
    """
    y = pretend_gpu.empty((64, 7), np.int32)
    run(pretend_gpu, code, "shuffle", 1, 64, y)
    i = np.arange(64)
    lane, warp = i % 32, i // 32 * 32
    expected = [
        warp + (lane ^ 5),
        np.where(lane + 3 < 32, i + 3, i),
        np.where(lane >= 3, i - 3, i),
        warp + 9,
        np.where(lane % 8 + 3 < 8, i + 3, i),
        warp + 30,
        0 * i + np.int32(-1431655766),
    ]
    np.testing.assert_array_equal(y.get(), np.stack(expected, 1))


@pytest.mark.usefixtures("either_order")
def test_blocks_and_threads_are_counted_in_three_axes(pretend_gpu):
    code = r"""
    extern "C" __global__ void count(int* y) {
        int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
        int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
        y[block * 24 + thread] = 100 * block + thread;
    }
    """
    y = pretend_gpu.empty((12, 24), np.int32)
    pretend_gpu.RawKernel(code, "count")((2, 3, 2), (2, 3, 4), (y,))
    np.testing.assert_array_equal(y.get(), 100 * np.arange(12)[:, None] + np.arange(24))


def test_atomic_additions_add_up(pretend_gpu):
    code = r"""
    extern "C" __global__ void total(const double* x, double* y, int* most) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        atomicAdd(y, x[i]);
        atomicMax(most, (int)x[i]);
    }
    """
    y, most = pretend_gpu.zeros(1), pretend_gpu.zeros(1, np.int32)
    run(pretend_gpu, code, "total", 4, 25, pretend_gpu.arange(100.0), y, most)
    assert y.item() == 4950
    assert most.item() == 99


def test_who_has_left_is_not_waited_for(pretend_gpu):
    code = r"""
    extern "C" __global__ void leave(int* y, int n) {
        __shared__ int total;
        if (threadIdx.x >= n) return;
        if (threadIdx.x == 0) total = 0;
        __syncthreads();
        atomicAdd(&total, 1);
        __syncthreads();
        y[threadIdx.x] = total;
    }
    """
    y = pretend_gpu.zeros(64, np.int32)
    run(pretend_gpu, code, "leave", 1, 64, y, np.int32(40))
    np.testing.assert_array_equal(y.get(), [40] * 40 + [0] * 24)


def test_threads_that_wait_for_ever_are_an_error(pretend_gpu):
    code = r"""
    extern "C" __global__ void stuck(int* y) {
        if (threadIdx.x < 8) __syncwarp();
        else __syncthreads();
        y[0] = 1;
    }
    """
    with pytest.raises(RuntimeError, match=r"stuck: .* wait for ever"):
        run(pretend_gpu, code, "stuck", 1, 16, pretend_gpu.zeros(1, np.int32))
    test_who_has_left_is_not_waited_for(pretend_gpu)  # and nothing of it is left


def test_writing_outside_of_an_array_is_noticed(pretend_gpu):
    x = pretend_gpu.zeros(12, np.float32)
    with pytest.raises(IndexError, match=r"add_one wrote outside of an array float32 \(12,\)"):
        run(pretend_gpu, ADD, "add_one", 1, 16, x, 13)


def test_a_kernel_that_gets_memory_of_another_device_ends_the_program(pretend_gpu):
    x = pretend_gpu.zeros(12, np.float32)
    assert x.data.device_id == 0
    with pretend_gpu.cuda.Device(1), pytest.raises(IllegalAddress, match="of device 0, on device"):
        run(pretend_gpu, ADD, "add_one", 1, 16, x, 12)
    assert not issubclass(IllegalAddress, Exception)


def test_shared_memory_is_what_was_asked_for(pretend_gpu):
    x = pretend_gpu.zeros(64, np.float32)
    with pytest.raises(RuntimeError, match="shared memory beyond"):
        run(pretend_gpu, REVERSE, "reverse", 1, 64, x, x, shared_mem=252)
    with pytest.raises(RuntimeError, match="may have 49152"):
        run(pretend_gpu, REVERSE, "reverse", 1, 64, x, x, shared_mem=50_000)
    kernel = pretend_gpu.RawKernel(REVERSE, "reverse")
    kernel.max_dynamic_shared_size_bytes = 60_000
    kernel((1,), (64,), (x, x), shared_mem=60_000)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (lambda x: (x,), "takes 2 arguments, got 1"),
        (lambda x: (x.astype(np.float64), 3), "argument 0 is float64, expected float"),
        (lambda x: (x, np.int32(3)), "argument 1 is int32, expected long long"),
        (lambda x: (x, 3.0), "argument 1 is <class 'float'>, expected long long"),
        (lambda x: (np.ones(3, np.float32), 3), "numpy.ndarray"),
        (lambda x: (2.0, 3), "argument 0"),
    ],
)
def test_arguments_have_the_declared_types(pretend_gpu, x, args, message):
    with pytest.raises(TypeError, match=message):
        run(pretend_gpu, ADD, "add_one", 1, 16, *args(x))


def test_what_does_not_compile_says_so(pretend_gpu):
    with pytest.raises(RuntimeError, match="expected"):
        run(pretend_gpu, ADD.replace("+= 1;", "+= 1"), "add_one", 1, 1, pretend_gpu.zeros(1), 1)


def test_a_module_has_several_kernels(pretend_gpu, x):
    module = pretend_gpu.RawModule(code=ADD + REVERSE)
    module.get_function("add_one")((1,), (12,), (x, 12))
    assert x.get()[0, 0] == 1
    assert pretend_gpu.launched == ["add_one"]


def test_an_import_finds_it(pretend_gpu):
    import cupy
    from cupy.cuda import Device

    assert cupy is pretend_gpu
    assert Device is pretend_gpu.cuda.Device
