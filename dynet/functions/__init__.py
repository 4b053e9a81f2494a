"""The differentiable functions, a file a family; importing them gives Variable its operators.

What a family offers stands in its ``__all__``.
"""

from . import (
    activation,
    arithmetic,
    array,
    connection,
    evaluation,
    linear_algebra,
    loss,
    math,
    reduction,
)
from .activation import *
from .arithmetic import *
from .array import *
from .connection import *
from .evaluation import *
from .linear_algebra import *
from .loss import *
from .math import *
from .reduction import *

FAMILIES = (
    array,
    math,
    arithmetic,
    reduction,
    linear_algebra,
    activation,
    connection,
    loss,
    evaluation,
)

__all__ = sorted(name for family in FAMILIES for name in family.__all__)
