"""Labels and ids: whether a check may look at them, and comparing them.

Who looks at an element of an array on a GPU waits until all that is still to be computed there is
done. So on a GPU labels are looked at in debug mode only; otherwise a wrong one gives NaN.
"""

import numpy as np

from ..backend import is_cupy
from ..config import config


def may_look(*arrays) -> bool:
    """Whether a check may look at elements: of arrays on a GPU in debug mode only."""
    return config.debug or not any([is_cupy(a) for a in arrays])


def equals(t, label):
    """``t == label``, of integers: also where no ``t`` can be that label, which CuPy refuses."""
    bounds = np.iinfo(t.dtype)
    return t == label if bounds.min <= label <= bounds.max else np.zeros_like(t, bool)


def outside(t, n):
    """Whether each of some integers is none of 0 to ``n - 1``."""
    return (t < 0) | (t >= n) if n <= np.iinfo(t.dtype).max else t < 0
