"""Array modules, devices, and the threads of the BLAS."""

import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dynet import Variable, get_array_module, get_device
from dynet.backend import SMALL_PRODUCT, Device, blas_threads_for, is_array


def test_a_numpy_array_belongs_to_numpy():
    assert get_array_module(np.zeros(3)) is np


def test_a_variable_belongs_where_its_array_does():
    assert get_array_module(Variable(np.zeros(3))) is np


@pytest.mark.parametrize("x", [3, 2.5, None, "text", [1]], ids=repr)
def test_what_is_no_array_counts_as_numpys(x):
    assert get_array_module(x) is np


def test_no_argument_at_all_counts_as_numpys():
    assert get_array_module() is np


@pytest.mark.parametrize("module", ["cupy", "cupy._core.core"])
def test_an_array_of_cupy_is_recognised_by_its_module(module):
    assert is_array(type("ndarray", (), {"__module__": module})())


@pytest.mark.parametrize("module", ["cupyx.scipy", "notcupy", "builtins"])
def test_nothing_else_is_taken_for_an_array_of_cupy(module):
    assert not is_array(type("ndarray", (), {"__module__": module})())


def test_cupy_is_imported_only_for_an_array_of_its_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    fake = type("ndarray", (), {"__module__": "cupy"})()
    assert get_array_module(np.zeros(3)) is np
    with pytest.raises(ImportError):
        get_array_module(np.zeros(3), fake)


@pytest.mark.parametrize("spec", ["cpu", -1, "-1"])
def test_the_cpu_has_several_names(spec):
    assert get_device(spec) == Device("cpu", np) and get_device(spec).xp is np


def test_a_device_stands_for_itself():
    device = get_device("cpu")
    assert get_device(device) is device


def test_equal_devices_have_equal_hashes():
    assert hash(get_device("cpu")) == hash(get_device(-1))


def test_a_device_says_its_name():
    assert repr(get_device("cpu")) == "<device cpu>"


def test_the_cpu_leaves_a_numpy_array_where_it_is():
    x = np.zeros(3)
    assert get_device("cpu").send(x) is x


NO_DEVICES = ["gpu", "cuda:x", "cuda:²", "cuda:", "cuda:-1", "", -2, 1.5, None]


@pytest.mark.parametrize("spec", NO_DEVICES, ids=repr)
def test_a_name_of_no_device_is_refused(spec):
    with pytest.raises(ValueError, match=r"get_device: got .*, expected 'cpu'"):
        get_device(spec)


def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_a_small_product_runs_on_one_thread_and_leaves_the_count_as_it_was():
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with blas_threads_for(1):
            assert set(threads()) == {1}
        assert threads() == before


def test_the_count_of_threads_comes_back_after_an_error():
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with pytest.raises(KeyError), blas_threads_for(1):
            raise KeyError
        assert threads() == before


def test_a_large_product_keeps_its_threads():
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with blas_threads_for(SMALL_PRODUCT):
            assert threads() == before
