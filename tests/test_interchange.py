"""DLPack: Variables and other libraries' arrays share memory, both ways."""

import numpy as np
import pytest

import dynet
from dynet import Variable


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_numpy_takes_a_variable_without_a_copy(dtype):
    x = Variable(np.zeros((2, 3), dtype))
    a = np.from_dlpack(x)
    x.array[0, 1] = 7
    assert a.dtype == dtype and a[0, 1] == 7


def test_torch_takes_a_variable_without_a_copy():
    torch = pytest.importorskip("torch")
    x = Variable(np.zeros((2, 3), np.float32))
    tensor = torch.from_dlpack(x)
    tensor[1, 2] = 7
    assert x.array[1, 2] == 7
    assert not tensor.requires_grad


def test_a_variable_takes_a_tensor_of_torch_without_a_copy():
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3)
    x = dynet.from_dlpack(tensor)
    tensor[1] = 7
    assert x.array[1] == 7 and x.requires_grad
    (x * x).sum().backward()
    assert x.grad[1] == 14


def test_a_tensor_that_requires_a_gradient_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(BufferError):
        dynet.from_dlpack(torch.zeros(3, requires_grad=True))


def test_views_keep_their_strides():
    a = np.arange(12.0).reshape(3, 4)
    x = dynet.from_dlpack(a.T[::2])
    np.testing.assert_array_equal(x.array, a.T[::2])
    assert np.shares_memory(x.array, a)


def test_integers_require_no_gradient():
    assert not dynet.from_dlpack(np.arange(3)).requires_grad


def test_what_does_not_speak_dlpack_is_refused():
    with pytest.raises(TypeError, match="from_dlpack: x is list"):
        dynet.from_dlpack([1.0])


def test_a_device_that_is_neither_cpu_nor_cuda_is_refused():
    class Elsewhere:
        def __dlpack__(self):
            raise AssertionError

        def __dlpack_device__(self):
            return 8, 0

    with pytest.raises(ValueError, match="kind 8"):
        dynet.from_dlpack(Elsewhere())
