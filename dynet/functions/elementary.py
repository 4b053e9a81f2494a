"""What functions of each element share; the functions themselves are in the families' files."""

import re

import numpy as np

from ..function import Function
from ..kernels.arithmetic import each, each_runs
from .checks import check_floating


class Elementary(Function):
    """A function of each element of one floating array: its value, and beside it its slope.

    A subclass says in ``saves`` what the slope is a function of: ``(0,)``, the input, or
    ``(-1,)``, the output. Both are written in operators and NumPy's functions, which mean the
    same on arrays and on Variables.

    Where that takes many steps, each of which goes through memory, there may be a kernel for the
    value, of ``(x, *settings, y)``, and one for the gradient, of ``(saved, gy, *settings, gx)``.
    """

    __slots__ = ()
    saves = (0,)
    value_kernel = None
    gradient_kernel = None

    @property
    def settings(self) -> tuple:
        """The numbers that the kernels take besides arrays."""
        return ()

    def value(self, x):
        """The value, from an array."""
        raise NotImplementedError(f"{self.name} has no value")

    def slope(self, saved):
        """The derivative, from the input or the output, whichever ``saves`` says."""
        raise NotImplementedError(f"{self.name} has no slope")

    def forward(self, x):
        if type(x) is not np.ndarray or x.dtype.kind != "f":
            check_floating(public_name(self), x=x)
        if self.value_kernel is not None and each_runs(self.value_kernel, x):
            y = each(self.value_kernel, (x,), self.settings)
        else:
            y = self.value(x)
        if self.saves:
            self.save(x if self.saves == (0,) else y)
        return y

    def backward(self, gy):
        (saved,) = self.saved
        kernel = self.gradient_kernel
        if kernel is not None and each_runs(kernel, saved, gy):
            return each(kernel, (saved, gy), self.settings)
        return gy * self.slope(saved)


class Flat(Elementary):
    """A function of each element that is flat wherever it has a slope: it has no gradient."""

    __slots__ = ()
    saves = ()

    def backward(self, gy):
        return None


def public_name(function: Function) -> str:
    """The name by which users call a function, for messages: ``hard_sigmoid`` of HardSigmoid."""
    return re.sub("(?<=[a-z])(?=[A-Z][a-z])", "_", function.name).lower()
