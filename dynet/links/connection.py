"""Linear maps and look-ups that own their weights."""

import math
from typing import Any

from ..backend import is_array
from ..functions.checks import check_floating, check_integer
from ..functions.connection import bilinear, embed_id, linear
from ..initializers import LeCunNormal, Normal
from ..link import Link
from ..parameter import Parameter
from ..variable import Variable
from .sizes import check_size, sized


class Linear(Link):
    """A linear map, ``x @ W.T + b``.

    Args:
        in_size: how many features; ``None`` to learn it from the first input.
        out_size: how many outputs; ``Linear(n)`` alone means ``Linear(None, n)``.
        nobias: whether to go without ``b``.
        initialW: an initializer, number or array ``(out, in)``; ``LeCunNormal()`` by default.
        initial_bias: an initializer, number or array ``(out,)``; 0 by default. An array is
            converted to the dtype of ``W``.

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
            if initialW.ndim != 2:
                raise ValueError(
                    f"Linear: initialW has shape {initialW.shape}, expected ({out_size}, in_size)"
                )
            in_size = initialW.shape[1]
        check_size("Linear", out_size=out_size)
        if in_size is not None:
            check_size("Linear", in_size=in_size)
        with self.init_scope():
            W = LeCunNormal() if initialW is None else initialW
            self.W = Parameter(W, (out_size, in_size), name="W", order="F")
            self.b = None
            if not nobias:
                b = 0 if initial_bias is None else initial_bias
                self.b = Parameter(b, (out_size,), name="b", dtype=self.W.wanted_dtype)

    def forward(self, x: Any, n_batch_axes: int = 1) -> Variable:
        """The map of ``x``, whose first ``n_batch_axes`` axes count examples; see ``F.linear``."""
        if self.W.array is None:
            check_floating("Linear", x=x)
            if x.ndim <= n_batch_axes:
                raise ValueError(
                    f"Linear: x has {x.ndim} axes and n_batch_axes is {n_batch_axes}; expected "
                    f"batch axes first, then at least one axis of features (x: {x.shape})"
                )
            in_size = math.prod(x.shape[n_batch_axes:])
            check_size("Linear", in_size=in_size)
            with sized(x, (self.W.wanted_shape[0], in_size), self.W):
                return linear(x, self.W, self.b, n_batch_axes)
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

    Raises:
        TypeError: ``ignore_label`` is no integer.
        ValueError: a size is no positive integer.

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
        check_size("EmbedID", in_size=in_size, out_size=out_size)
        if ignore_label is not None:
            check_integer("EmbedID", ignore_label=ignore_label)
        self.ignore_label = ignore_label
        with self.init_scope():
            W = Normal(1.0) if initialW is None else initialW
            self.W = Parameter(W, (in_size, out_size), name="W")

    def forward(self, x: Any) -> Variable:
        """The vectors of the ids ``x``, integers of any shape; see ``F.embed_id``."""
        return embed_id(x, self.W, self.ignore_label)


class Bilinear(Link):
    """A map that is linear in each of two inputs, ``e1 W e2 + e1 @ V1 + e2 @ V2 + b``.

    Args:
        left_size: how many features ``e1`` has, J.
        right_size: how many features ``e2`` has, K.
        out_size: how many outputs, L.
        nobias: whether to go without ``V1``, ``V2`` and ``b``.
        initialW: an initializer, number or array ``(J, K, L)``; ``LeCunNormal()`` by default.
        initial_bias: three of them for ``V1``, ``V2`` and ``b``, where ``None`` stands for the
            default: ``LeCunNormal()`` for ``V1`` and ``V2``, 0 for ``b``. Arrays are converted to
            the dtype of ``W``.

    Attributes:
        W (Parameter): ``(J, K, L)``.
        V1, V2, b (Parameter): ``(J, L)``, ``(K, L)`` and ``(L,)``, or ``None``.

    Source: Socher et al., "Reasoning With Neural Tensor Networks", NIPS 2013.

    >>> import numpy as np, dynet.links as L
    >>> L.Bilinear(3, 4, 5)(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        left_size: int,
        right_size: int,
        out_size: int,
        nobias: bool = False,
        initialW: Any = None,
        initial_bias: Any = None,
    ):
        super().__init__()
        check_size("Bilinear", left_size=left_size, right_size=right_size, out_size=out_size)
        initial_bias = (None, None, None) if initial_bias is None else initial_bias
        if not isinstance(initial_bias, (tuple, list)) or len(initial_bias) != 3:
            raise ValueError(
                f"Bilinear: initial_bias is {type(initial_bias).__name__}, expected a tuple of "
                "three, for V1, V2 and b"
            )
        with self.init_scope():
            W = LeCunNormal() if initialW is None else initialW
            self.W = Parameter(W, (left_size, right_size, out_size), name="W")
            self.V1 = self.V2 = self.b = None
            if not nobias:
                V1, V2, b = (
                    default if initial is None else initial
                    for initial, default in zip(
                        initial_bias, (LeCunNormal(), LeCunNormal(), 0), strict=True
                    )
                )
                dtype = self.W.wanted_dtype
                self.V1 = Parameter(V1, (left_size, out_size), name="V1", dtype=dtype)
                self.V2 = Parameter(V2, (right_size, out_size), name="V2", dtype=dtype)
                self.b = Parameter(b, (out_size,), name="b", dtype=dtype)

    def forward(self, e1: Any, e2: Any) -> Variable:
        """The map of ``e1`` ``(N, J)`` and ``e2`` ``(N, K)``, ``(N, L)``; see ``F.bilinear``."""
        return bilinear(e1, e2, self.W, self.V1, self.V2, self.b)
