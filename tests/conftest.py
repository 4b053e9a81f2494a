"""What holds for the whole suite, and what stands for a GPU where there is none."""

import gc

import pytest

# Numba makes a great many objects as it compiles, which stay: to look for garbage among them after
# every 700 would take a tenth of the time.
gc.set_threshold(100_000, 20, 20)


def pytest_collection_modifyitems(items):
    # The larger a process, the longer it takes to fork it; and what is compiled makes it large.
    items.sort(key=lambda item: item.path.name != "test_multiprocess_iterator.py")


@pytest.fixture(autouse=True, scope="module")
def what_is_there_stays():
    # The tests themselves, what is compiled, and PyTorch: so many objects that it would take a
    # second to walk them at every full collection, when Numba compiles or a test looks for garbage.
    gc.collect()
    gc.freeze()


@pytest.fixture
def pretend_gpu(monkeypatch):
    """A module in CuPy's place: its arrays are NumPy's within, its kernels run on the CPU."""
    import cuda_on_cpu  # only the tests that ask for it pay for it
    import pretend_cupy

    if not cuda_on_cpu.available():
        pytest.skip("no g++ here, which compiles the kernels of CUDA for the CPU")
    pretend_cupy.take_cupys_place(monkeypatch)
    return pretend_cupy


@pytest.fixture(params=["pretended", pytest.param("cuda:0", marks=pytest.mark.gpu)])
def device(request):
    """The module that makes arrays of a GPU: of the pretended one, and of a real one."""
    if request.param == "pretended":
        return request.getfixturevalue("pretend_gpu")
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed here")
    if not cupy.is_available():
        pytest.skip("CuPy is installed, but there is no GPU here")
    return cupy
