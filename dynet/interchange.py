"""DLPack: arrays handed over to other libraries and taken from them, without a copy.

The specification is at https://dmlc.github.io/dlpack/latest/python_spec.html.
"""

from typing import Any

import numpy as np

from .backend import get_device
from .variable import Variable

CPU, CUDA = 1, 2  # DLPack's numbers for kinds of devices


def from_dlpack(x: Any, requires_grad: bool | None = None) -> Variable:
    """A Variable on the memory of another library's array: what one writes, the other sees.

    Args:
        x: anything that speaks DLPack: a tensor of PyTorch, an array of JAX, NumPy, CuPy.
        requires_grad: as for ``Variable``.

    Returns:
        Variable: what the other library recorded of ``x`` ends here.

    Raises:
        TypeError: ``x`` does not speak DLPack.
        ValueError: ``x`` is neither on the CPU nor on a GPU of CUDA.
        BufferError: the other library refuses, as PyTorch does for a tensor that requires a
            gradient, or has a dtype that NumPy lacks.

    >>> import numpy as np, dynet
    >>> a = np.ones(3)
    >>> x = dynet.from_dlpack(a)
    >>> a[0] = 5
    >>> x
    variable([5., 1., 1.])
    """
    if not (hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")):
        raise TypeError(
            f"from_dlpack: x is {type(x).__name__}, expected an array that speaks DLPack"
        )
    kind, number = x.__dlpack_device__()
    if kind == CPU:
        array = np.from_dlpack(x)
    elif kind == CUDA:
        with get_device(number) as device:
            array = device.xp.from_dlpack(x)
    else:
        raise ValueError(
            f"from_dlpack: x is on a device of kind {int(kind)}, expected the CPU (1) or CUDA (2)"
        )
    return Variable(array, requires_grad=requires_grad)


def _dlpack(variable, **keywords):
    """The array, for another library: what that computes of it is not on the tape."""
    return variable.array.__dlpack__(**keywords)


def _dlpack_device(variable):
    """The device that the array is on, in DLPack's numbers."""
    return variable.array.__dlpack_device__()


Variable.__dlpack__ = _dlpack
Variable.__dlpack_device__ = _dlpack_device
