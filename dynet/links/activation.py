"""Activations with parameters."""

from typing import Any

from ..backend import is_array
from ..functions.activation import maxout, prelu
from ..link import Chain, Link
from ..parameter import Parameter
from ..variable import Variable
from .connection import Linear
from .sizes import check_shape, check_size


class PReLU(Link):
    """``x``, and ``W * x`` where it is negative.

    Args:
        shape: of the slopes: ``()`` for one slope for all, ``(C,)`` for one for each channel, and
            so on, as the axes of ``x`` from the second on.
        init: an initializer, number or array of that shape.

    Attributes:
        W (Parameter): the slopes.

    Source: He et al., "Delving Deep into Rectifiers", 2015, https://arxiv.org/abs/1502.01852

    >>> import numpy as np, dynet.links as L
    >>> L.PReLU()(np.array([[-4.0, 4.0]], np.float32)).array
    array([[-1.,  4.]], dtype=float32)
    """

    def __init__(self, shape: int | tuple[int, ...] = (), init: Any = 0.25):
        super().__init__()
        with self.init_scope():
            self.W = Parameter(init, check_shape("PReLU", shape=shape), name="W")

    def forward(self, x: Any) -> Variable:
        """The activation of ``x`` ``(N, ...)``; see ``F.prelu``."""
        return prelu(x, self.W)


class Maxout(Chain):
    """The largest of ``pool_size`` linear maps, for each output.

    Args:
        in_size: how many features; ``None`` to learn it from the first input.
        out_size: how many outputs.
        pool_size: of how many linear maps each is the largest.
        initialW: an initializer or number, or an array ``(out_size, pool_size, in_size)``;
            ``LeCunNormal()`` by default.
        initial_bias: an initializer or number, or an array ``(out_size, pool_size)``; ``None`` to
            go without a bias.

    Attributes:
        linear (Linear): the linear maps, ``pool_size`` neighbours for each output.

    Source: Goodfellow et al., "Maxout Networks", 2013, https://arxiv.org/abs/1302.4389

    >>> import numpy as np, dynet.links as L
    >>> W = np.array([[[1, 0], [0, 1]]], np.float32)  # one output, the larger of two features
    >>> L.Maxout(2, 1, 2, initialW=W)(np.array([[3, 5], [7, 2]], np.float32)).array
    array([[5.],
           [7.]], dtype=float32)
    """

    def __init__(
        self,
        in_size: int | None,
        out_size: int,
        pool_size: int,
        initialW: Any = None,
        initial_bias: Any = 0,
    ):
        super().__init__()
        check_size("Maxout", out_size=out_size, pool_size=pool_size)
        pools = out_size, pool_size
        W = _flat("initialW", initialW, (*pools, in_size))
        b = _flat("initial_bias", initial_bias, pools)
        self.out_size = out_size
        self.pool_size = pool_size
        with self.init_scope():
            self.linear = Linear(in_size, out_size * pool_size, initial_bias is None, W, b)

    def forward(self, x: Any) -> Variable:
        """Of ``x`` ``(N, in_size)`` the ``(N, out_size)`` maxima; see ``F.maxout``."""
        return maxout(self.linear(x), self.pool_size)


def _flat(name, initial, shape):
    """An initial array with the axes of outputs and pools as one; anything else as it is."""
    if not is_array(initial):
        return initial
    if initial.ndim != len(shape) or any(
        n not in (None, got) for n, got in zip(shape, initial.shape, strict=True)
    ):
        wanted = str(shape).replace("None", "in_size")
        raise ValueError(f"Maxout: {name} has shape {initial.shape}, expected {wanted}")
    return initial.reshape(-1, *initial.shape[2:])
