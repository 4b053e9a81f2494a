"""The differentiable functions, a file a family; importing them gives Variable its operators.

What a family offers stands in its ``__all__``.
"""

from . import (
    activation,
    arithmetic,
    array,
    connection,
    convolution,
    evaluation,
    indexing,
    joining,
    linear_algebra,
    loss,
    loss_ctc,
    loss_metric,
    loss_regression,
    loss_sampling,
    math,
    noise,
    normalization,
    pooling,
    recurrent,
    recurrent_trees,
    reduction,
    util,
)
from .activation import *
from .arithmetic import *
from .array import *
from .connection import *
from .convolution import *
from .evaluation import *
from .indexing import *
from .joining import *
from .linear_algebra import *
from .loss import *
from .loss_ctc import *
from .loss_metric import *
from .loss_regression import *
from .loss_sampling import *
from .math import *
from .noise import *
from .normalization import *
from .pooling import *
from .recurrent import *
from .recurrent_trees import *
from .reduction import *
from .util import *

FAMILIES = (
    array,
    indexing,
    joining,
    math,
    arithmetic,
    reduction,
    linear_algebra,
    activation,
    connection,
    recurrent,
    recurrent_trees,
    convolution,
    pooling,
    normalization,
    noise,
    loss,
    loss_regression,
    loss_metric,
    loss_ctc,
    loss_sampling,
    evaluation,
    util,
)

__all__ = sorted(name for family in FAMILIES for name in family.__all__)
