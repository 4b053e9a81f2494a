"""Normalization that owns its scale and shift and, of batches, the running statistics."""

from typing import Any

import numpy as np

from ..backend import get_array_module, is_array
from ..config import config
from ..functions.checks import check_floating, check_ndim, normal_axes, not_negative, raw
from ..functions.normalization import (
    batch_normalization,
    fixed_batch_normalization,
    group_normalization,
    layer_normalization,
)
from ..link import Link
from ..parameter import Parameter
from ..variable import Variable
from .sizes import check_shape, check_size, sized


class BatchNormalization(Link):
    """Each feature with the batch's mean and variance taken out, then scaled and shifted.

    While ``config.train`` is on, the statistics are the batch's, and move the running averages:
    ``avg = decay * avg + (1 - decay) * new``, the variance being the unbiased one. While it is
    off, the averages take the batch's place.

    For averages in which every batch counts the same: ``start_finetuning()``, then one pass over
    the data with ``link(x, finetune=True)``.

    Args:
        size: how many channels, or the shape of several axes; ``None`` to learn it from the first
            input: the axes that are not averaged over, without ``axis`` the second alone.
        decay: how much of the averages stays, from 0 to 1.
        eps: is added to the variance; not negative.
        dtype: of ``gamma`` and ``beta``; ``config.dtype`` by default. Initial arrays are converted.
        use_gamma, use_beta: whether to have a scale, a shift.
        initial_gamma, initial_beta: initializers, numbers or arrays; 1 and 0 by default.
        axis: the axes that are averaged over; by default the first, and those after the ones of
            ``size``.
        initial_avg_mean, initial_avg_var: what the averages start from; 0 and 1 by default.

    Attributes:
        gamma, beta (Parameter): scale and shift, or ``None``.
        avg_mean, avg_var: the running averages, arrays of ``dtype``, but float32 at the least; a
            Parameter without an array until the size is known. They are saved with the link.
        N (int): how many batches there were since ``start_finetuning``; saved too.
        decay, eps, axis: as given.

    Raises:
        ValueError: ``size`` is no shape, or ``eps`` negative.

    Source: Ioffe, Szegedy, "Batch Normalization", 2015, https://arxiv.org/abs/1502.03167

    >>> import numpy as np, dynet, dynet.links as L
    >>> link = L.BatchNormalization(2)
    >>> x = np.array([[1.0, 5.0], [3.0, 9.0]], np.float32)
    >>> link(x).array.round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> link.avg_mean
    array([0.2, 0.7], dtype=float32)
    >>> with dynet.using_config("train", False):
    ...     y = link(x)  # normalized by the averages
    """

    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        decay: float = 0.9,
        eps: float = 2e-5,
        dtype: Any = None,
        use_gamma: bool = True,
        use_beta: bool = True,
        initial_gamma: Any = None,
        initial_beta: Any = None,
        axis: int | tuple[int, ...] | None = None,
        initial_avg_mean: Any = None,
        initial_avg_var: Any = None,
    ):
        super().__init__()
        gamma = 1 if initial_gamma is None else initial_gamma
        beta = 0 if initial_beta is None else initial_beta
        mean = 0 if initial_avg_mean is None else initial_avg_mean
        var = 1 if initial_avg_var is None else initial_avg_var
        shape = _shape_given("BatchNormalization", size, gamma, beta, mean, var)
        self._dtype = np.dtype(config.dtype if dtype is None else dtype)
        self.decay = decay
        self.eps = not_negative("BatchNormalization", eps=eps)
        self.axis = (axis,) if isinstance(axis, int) else axis
        with self.init_scope():
            self.gamma = self.beta = None
            if use_gamma:
                self.gamma = Parameter(gamma, shape, name="gamma", dtype=self._dtype)
            if use_beta:
                self.beta = Parameter(beta, shape, name="beta", dtype=self._dtype)
        self.add_persistent("N", 0)
        # The averages are arrays. Until they have a size, Parameters stand in their place: they
        # can wait for one, from an input, a file or another link.
        least = np.promote_types(self._dtype, np.float32)
        self.add_persistent("avg_mean", Parameter(mean, shape, name="avg_mean", dtype=least))
        self.add_persistent("avg_var", Parameter(var, shape, name="avg_var", dtype=least))
        self._settle()

    def forward(self, x: Any, finetune: bool = False) -> Variable:
        """The normalized ``x``.

        Args:
            x: ``(N, C)`` or ``(N, C, d1, ...)``; see ``F.batch_normalization``.
            finetune: whether, in training, this batch counts as much for the running averages as
                each one before it since ``start_finetuning``.
        """
        waiting = [
            value
            for value in (self.gamma, self.beta, self.avg_mean, self.avg_var)
            if isinstance(value, Parameter) and value.array is None
        ]
        if not waiting:
            return self._normalize(x, finetune)
        with sized(x, self._shape_in(x), *waiting):
            y = self._normalize(x, finetune)
        self._settle()
        return y

    def start_finetuning(self) -> None:
        """Let the next call with ``finetune=True`` begin the running averages anew."""
        self.N = 0

    def serialize(self, serializer) -> None:
        """Give a serializer the parameters and averages, or take them, and their size, from it."""
        super().serialize(serializer)
        self._settle()

    def _settle(self):
        """Put arrays in the place of those averages that have a size by now."""
        for name in "avg_mean", "avg_var":
            average = getattr(self, name)
            if isinstance(average, Parameter) and average.is_initialized:
                setattr(self, name, average.array)

    def _shape_in(self, x):
        """The shape of the statistics of ``x``."""
        check_floating("BatchNormalization", x=x)
        if self.axis is None:
            if x.ndim < 2:
                raise ValueError(
                    f"BatchNormalization: x has shape {x.shape}, expected (N, C) or (N, C, ...)"
                )
            shape = x.shape[1:2]
        else:
            averaged = normal_axes("BatchNormalization", self.axis, x)
            shape = tuple([n for i, n in enumerate(x.shape) if i not in averaged])
        return check_shape("BatchNormalization", size=shape)

    def _normalize(self, x, finetune):
        mean, var = raw(self.avg_mean), raw(self.avg_var)
        xp = get_array_module(mean)
        gamma = xp.ones(mean.shape, self._dtype) if self.gamma is None else self.gamma
        beta = xp.zeros(mean.shape, self._dtype) if self.beta is None else self.beta
        if not config.train:
            mean, var = (a.astype(self._dtype, copy=False) for a in (mean, var))
            return fixed_batch_normalization(x, gamma, beta, mean, var, self.eps, self.axis)
        decay = 1 - 1 / (self.N + 1) if finetune else self.decay
        y = batch_normalization(x, gamma, beta, self.eps, mean, var, decay, self.axis)
        self.N += bool(finetune)
        return y


class LayerNormalization(Link):
    """Each row normalized by its own mean and variance, then scaled and shifted by column.

    Args:
        size: how many columns; ``None`` to learn it from the first input.
        eps: is added to the variance; not negative.
        initial_gamma, initial_beta: initializers, numbers or arrays ``(C,)``; 1 and 0 by default.

    Attributes:
        gamma, beta (Parameter): scale and shift, ``(C,)``.
        eps (float): as given.

    Raises:
        ValueError: ``size`` is no positive integer, or ``eps`` negative.

    Source: Ba, Kiros, Hinton, "Layer Normalization", 2016, https://arxiv.org/abs/1607.06450

    >>> import numpy as np, dynet.links as L
    >>> L.LayerNormalization(2)(np.array([[1.0, 3.0]], np.float32)).array.round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        size: int | None = None,
        eps: float = 1e-6,
        initial_gamma: Any = None,
        initial_beta: Any = None,
    ):
        super().__init__()
        self.eps = not_negative("LayerNormalization", eps=eps)
        gamma, beta = _scale_and_shift("LayerNormalization", size, initial_gamma, initial_beta)
        with self.init_scope():
            self.gamma = gamma
            self.beta = beta

    def forward(self, x: Any) -> Variable:
        """The normalized ``x`` ``(N, C)``; see ``F.layer_normalization``."""
        if self.gamma.array is None or self.beta.array is None:
            check_floating("LayerNormalization", x=x)
            check_ndim("LayerNormalization", 2, x=x)
            check_size("LayerNormalization", size=x.shape[1])
            with sized(x, x.shape[1:], self.gamma, self.beta):
                return layer_normalization(x, self.gamma, self.beta, self.eps)
        return layer_normalization(x, self.gamma, self.beta, self.eps)


class GroupNormalization(Link):
    """Each group of channels of each example normalized by its own mean and variance.

    Args:
        groups: how many groups the channels make, C / groups neighbours each.
        size: how many channels, C; ``None`` to learn it from the first input.
        eps: is added to the variance; not negative.
        initial_gamma, initial_beta: initializers, numbers or arrays ``(C,)``; 1 and 0 by default.

    Attributes:
        gamma, beta (Parameter): scale and shift of each channel, ``(C,)``.
        groups (int), eps (float): as given.

    Raises:
        ValueError: ``groups`` or ``size`` is no positive integer, ``size`` is no multiple of
            ``groups``, or ``eps`` is negative.

    Source: Wu, He, "Group Normalization", 2018, https://arxiv.org/abs/1803.08494

    >>> import numpy as np, dynet.links as L
    >>> x = np.array([[1.0, 3.0, 5.0, 9.0]], np.float32)
    >>> L.GroupNormalization(2, 4)(x).array.round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        groups: int,
        size: int | None = None,
        eps: float = 1e-5,
        initial_gamma: Any = None,
        initial_beta: Any = None,
    ):
        super().__init__()
        check_size("GroupNormalization", groups=groups)
        self.groups = groups
        self.eps = not_negative("GroupNormalization", eps=eps)
        gamma, beta = _scale_and_shift("GroupNormalization", size, initial_gamma, initial_beta)
        if gamma.array is not None and gamma.size % groups:
            raise ValueError(
                f"GroupNormalization: size is {gamma.size}, expected a multiple of groups, which "
                f"is {groups}"
            )
        with self.init_scope():
            self.gamma = gamma
            self.beta = beta

    def forward(self, x: Any) -> Variable:
        """The normalized ``x`` ``(N, C, ...)``; see ``F.group_normalization``."""
        if self.gamma.array is None or self.beta.array is None:
            check_floating("GroupNormalization", x=x)
            if x.ndim < 2:
                raise ValueError(f"GroupNormalization: x has shape {x.shape}, expected (N, C, ...)")
            check_size("GroupNormalization", size=x.shape[1])
            with sized(x, x.shape[1:2], self.gamma, self.beta):
                return group_normalization(x, self.groups, self.gamma, self.beta, self.eps)
        return group_normalization(x, self.groups, self.gamma, self.beta, self.eps)


def _shape_given(link, size, *initial):
    """The shape that an argument says, or an initial array; ``None`` if nothing does."""
    if size is None:
        return next((start.shape for start in initial if is_array(start)), None)
    return check_shape(link, size=size)


def _scale_and_shift(link, size, initial_gamma, initial_beta):
    """The parameters of a normalization of one axis."""
    if size is not None:
        check_size(link, size=size)
    gamma = 1 if initial_gamma is None else initial_gamma
    beta = 0 if initial_beta is None else initial_beta
    shape = _shape_given(link, size, gamma, beta) or (None,)
    if len(shape) != 1:
        raise ValueError(f"{link}: an initial array has shape {shape}, expected one axis")
    gamma = Parameter(gamma, shape, name="gamma")
    return gamma, Parameter(beta, shape, name="beta", dtype=gamma.wanted_dtype)
