"""The table of differentiable functions, by family: what the tests of all functions go through.

Whoever adds a function adds a row to its family's file.
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
    math,
    noise,
    normalization,
    pooling,
    recurrent,
    reduction,
    util,
)
from .row import Row, arrays_of

__all__ = ["TABLE", "Row", "arrays_of"]

TABLE = [
    row
    for family in (
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
        convolution,
        pooling,
        normalization,
        noise,
        loss,
        evaluation,
        util,
    )
    for row in family.ROWS
]
