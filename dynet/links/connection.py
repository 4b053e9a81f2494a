"""Linear maps and look-ups that own their weights."""

import math
from typing import Any

import numpy as np

from ..backend import is_array
from ..functions.connection import embed_id, linear
from ..initializers import Constant, LeCunNormal, Normal
from ..link import Link
from ..parameter import Parameter
from ..variable import Variable


class Linear(Link):
    """A linear map, ``x @ W.T + b``.

    Args:
        in_size: how many features; ``None`` to learn it from the first input.
        out_size: how many outputs; ``Linear(n)`` alone means ``Linear(None, n)``.
        nobias: whether to go without ``b``.
        initialW: an initializer, number or array ``(out, in)``; ``LeCunNormal()`` by default.
        initial_bias: an initializer, number or array ``(out,)``; 0 by default.

    Attributes:
        W (Parameter): ``(out, in)``, kept in Fortran order: that makes ``x @ W.T`` the faster.
        b (Parameter): ``(out,)``, or ``None``.

    >>> import numpy as np, dynet.links as L
    >>> L.Linear(3, 5)(np.ones((2, 3), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        in_size: int | None,
        out_size: int | None = None,
        nobias: bool = False,
        initialW: Any = None,
        initial_bias: Any = None,
    ):
        super().__init__()
        if out_size is None:
            in_size, out_size = None, in_size
        if in_size is None and is_array(initialW):
            in_size = initialW.shape[-1]
        _check_size("Linear", "out_size", out_size)
        if in_size is not None:
            _check_size("Linear", "in_size", in_size)
        with self.init_scope():
            W = LeCunNormal() if initialW is None else initialW
            self.W = Parameter(W, (out_size, in_size), name="W", order="F")
            self.b = None
            if not nobias:
                b = 0 if initial_bias is None else initial_bias
                if isinstance(b, (int, float)):
                    b = Constant(b, dtype=self.W.wanted_dtype)
                self.b = Parameter(b, (out_size,), name="b")

    def forward(self, x: Any, n_batch_axes: int = 1) -> Variable:
        """The map of ``x``, whose first ``n_batch_axes`` axes count examples; see ``F.linear``."""
        if self.W.array is None:
            if x.ndim <= n_batch_axes:
                raise ValueError(
                    f"Linear: x has {x.ndim} axes and n_batch_axes is {n_batch_axes}; expected "
                    f"batch axes first, then at least one axis of features (x: {x.shape})"
                )
            self.W.initialize((self.W.wanted_shape[0], math.prod(x.shape[n_batch_axes:])))
        return linear(x, self.W, self.b, n_batch_axes)


class EmbedID(Link):
    """A table of vectors, looked up by id: a linear map of one-hot vectors, without bias.

    Args:
        in_size: how many ids there are.
        out_size: how long each vector is.
        initialW: an initializer, number or array ``(in_size, out_size)``; ``Normal(1)`` by
            default.
        ignore_label: an id that gives zeros.

    Attributes:
        W (Parameter): the table, ``(in_size, out_size)``.

    >>> import numpy as np, dynet.links as L
    >>> L.EmbedID(256, 100)(np.array([[0, 255]])).shape
    (1, 2, 100)
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        initialW: Any = None,
        ignore_label: int | None = None,
    ):
        super().__init__()
        _check_size("EmbedID", "in_size", in_size)
        _check_size("EmbedID", "out_size", out_size)
        self.ignore_label = ignore_label
        with self.init_scope():
            W = Normal(1.0) if initialW is None else initialW
            self.W = Parameter(W, (in_size, out_size), name="W")

    def forward(self, x: Any) -> Variable:
        """The vectors of the ids ``x``, integers of any shape; see ``F.embed_id``."""
        return embed_id(x, self.W, self.ignore_label)


def _check_size(link, name, size):
    if not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(f"{link}: {name} is {size!r}, expected a positive integer")
