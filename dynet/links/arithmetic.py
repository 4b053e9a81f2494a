"""Scales and shifts along some axes, that may be learned."""

from typing import Any

from ..functions.arithmetic import bias, scale
from ..link import Chain, Link
from ..parameter import Parameter
from ..variable import Variable
from .sizes import check_shape


class Bias(Link):
    """``x + b``, where the axes of ``b`` are those of ``x`` from ``axis`` on.

    Args:
        axis: the axis of ``x`` that the first one of ``b`` belongs to.
        shape: of ``b``, an integer or a tuple; without it the link has no ``b``, and what is to
            be added is the second argument of its call.

    Attributes:
        b (Parameter): of that shape, 0 at first; or ``None``.

    >>> import numpy as np, dynet.links as L
    >>> L.Bias(axis=1, shape=(3,))(np.ones((2, 3, 4), np.float32)).shape
    (2, 3, 4)
    """

    def __init__(self, axis: int = 1, shape: int | tuple[int, ...] | None = None):
        super().__init__()
        self.axis = axis
        with self.init_scope():
            self.b = None
            if shape is not None:
                self.b = Parameter(0, check_shape("Bias", shape=shape), name="b")

    def forward(self, x: Any, y: Any = None) -> Variable:
        """``x`` plus ``b``, or plus ``y`` where the link has no ``b``; see ``F.bias``."""
        return bias(x, _own_or_given("Bias", "b", "shape", self.b, y), self.axis)


class Scale(Chain):
    """``x * W``, where the axes of ``W`` are those of ``x`` from ``axis`` on; and a bias.

    Args:
        axis: the axis of ``x`` that the first one of ``W`` belongs to.
        W_shape: of ``W``, an integer or a tuple; without it the link has no ``W``, and what to
            multiply by is the second argument of its call.
        bias_term: whether to add a ``Bias`` afterwards.
        bias_shape: the shape of that where there is no ``W_shape``; else it has the shape of
            ``W``.

    Attributes:
        W (Parameter): of that shape, 1 at first; or ``None``.
        bias (Bias): or ``None``.

    Raises:
        ValueError: the shape of the bias cannot be told, or contradicts the rest.

    >>> import numpy as np, dynet.links as L
    >>> L.Scale(axis=1, W_shape=3, bias_term=True)(np.ones((2, 3), np.float32)).array
    array([[1., 1., 1.],
           [1., 1., 1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: int = 1,
        W_shape: int | tuple[int, ...] | None = None,
        bias_term: bool = False,
        bias_shape: int | tuple[int, ...] | None = None,
    ):
        super().__init__()
        shape = None if W_shape is None else check_shape("Scale", W_shape=W_shape)
        if bias_shape is not None:
            bias_shape = check_shape("Scale", bias_shape=bias_shape)
            if not bias_term:
                raise ValueError(f"Scale: bias_shape is {bias_shape}, but bias_term is False")
            if shape not in (None, bias_shape):
                raise ValueError(
                    f"Scale: bias_shape is {bias_shape}, expected {shape} like W_shape, or none"
                )
        elif bias_term and shape is None:
            raise ValueError(
                "Scale: bias_term is True, but neither W_shape nor bias_shape says its shape"
            )
        self.axis = axis
        with self.init_scope():
            self.W = None if shape is None else Parameter(1, shape, name="W")
            self.bias = Bias(axis, bias_shape if shape is None else shape) if bias_term else None

    def forward(self, x: Any, y: Any = None) -> Variable:
        """``x`` times ``W``, or times ``y`` where the link has no ``W``; see ``F.scale``."""
        z = scale(x, _own_or_given("Scale", "W", "W_shape", self.W, y), self.axis)
        return z if self.bias is None else self.bias(z)


def _own_or_given(link, name, argument, parameter, given):
    """The parameter of a link, or, where it has none, what its call was given."""
    if parameter is None and given is None:
        raise TypeError(
            f"{link}: made without {argument} it has no {name}; expected a second argument"
        )
    if parameter is not None and given is not None:
        raise TypeError(f"{link}: it has its own {name}; expected x alone, got two arguments")
    return given if parameter is None else parameter
