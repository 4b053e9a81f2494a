"""What functions of each element share; the functions themselves are in the families' files."""

import numpy as np

from ..function import Function
from .checks import check_floating


class Elementary(Function):
    """A function of each element of one floating array: its value, and beside it its slope.

    A subclass says in ``saves`` what the slope is a function of: ``(0,)``, the input, or
    ``(-1,)``, the output. Both are written in operators and NumPy's functions, which mean the
    same on arrays and on Variables.
    """

    __slots__ = ()
    saves = (0,)

    def value(self, x):
        """The value, from an array."""
        raise NotImplementedError(f"{self.name} has no value")

    def slope(self, saved):
        """The derivative, from the input or the output, whichever ``saves`` says."""
        raise NotImplementedError(f"{self.name} has no slope")

    def forward(self, x):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            check_floating(self.name.lower(), x=x)
        y = self.value(x)
        self.save(x if self.saves == (0,) else y)
        return y

    def backward(self, gy):
        return gy * self.slope(*self.saved)
