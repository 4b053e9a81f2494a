"""What holds for the whole suite, and what stands for a GPU where there is none."""

import contextlib
import functools
import gc
import importlib.util
from unittest import mock

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
def plain_loops():
    """A context in which each scan runs as the plain loop: none is long enough to be compiled."""

    @contextlib.contextmanager
    def plain_loops():
        with (
            mock.patch("dynet.scanning.loop.FEW", 1 << 62),
            mock.patch("dynet.scanning.recurrence.FEW", 1 << 62),
        ):
            yield

    return plain_loops


@pytest.fixture
def pretend_gpu(monkeypatch):
    """A module in CuPy's place: its arrays are NumPy's within, its kernels run on the CPU."""
    import cuda_on_cpu  # only the tests that ask for it pay for it
    import pretend_cupy

    if not cuda_on_cpu.available():
        pytest.skip("no g++ here, which compiles the kernels of CUDA for the CPU")
    pretend_cupy.take_cupys_place(monkeypatch)
    return pretend_cupy


@functools.cache
def no_gpu():
    """Why there is no GPU here; ``None`` if there is one."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed here: NO TEST IS RUN ON A GPU, but on a pretended one"
    import cupy

    if not cupy.is_available():
        return "there is no GPU here: NO TEST IS RUN ON A GPU, but on a pretended one"
    return None


@pytest.fixture
def gpu():
    """CuPy, where there is a GPU; only tests marked so ask for it."""
    if no_gpu():
        pytest.skip(no_gpu())
    return importlib.import_module("cupy")


def pytest_generate_tests(metafunc):
    # Where there is no GPU, one test says so; a thousand that do would take seconds.
    if "device" in metafunc.fixturenames:
        real = [] if no_gpu() else [pytest.param("cuda:0", marks=pytest.mark.gpu)]
        metafunc.parametrize("device", ["pretended", *real], indirect=True)


@pytest.fixture
def device(request):
    """The module that makes arrays of a GPU: of the pretended one, and of a real one."""
    return request.getfixturevalue("pretend_gpu" if request.param == "pretended" else "gpu")
