"""What may be done to the gradients between the backward pass and the update.

All but ``GradientClipping`` look at one parameter at a time, so they can be added to the rule of
one parameter as well: ``model.l1.W.update_rule.add_hook(WeightDecay(1e-4))``. They change every
element of a gradient: that of a large table of which a step touched few rows becomes an array,
and the update costs what the table costs.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import random
from .backend import check_one_device, is_cupy
from .config import config
from .kernels import update, update_cuda
from .optimizers.optimizer import Optimizer
from .optimizers.update_rule import UpdateRule
from .parameter import Parameter


class GradientClipping:
    """Scale all gradients together so that their global norm is at most a threshold.

    A gradient that holds NaN or infinity has no norm to scale by: the update is skipped, and
    counted in the optimizer's ``skipped``; in debug mode it raises ``FloatingPointError``. On a
    GPU, where only debug mode waits for the norm, the parameters and the optimizer's state stay as
    they are, but the skipped update is counted in ``t`` too, and the other hooks are called.

    Args:
        threshold: the largest L2 norm of all gradients as one vector.

    Source: Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks"
    (ICML 2013).

    >>> import numpy as np, dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.SGD(lr=0.1).setup(L.Linear(3, 1))
    >>> optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(1.0))
    """

    name = "GradientClipping"
    call_for_each_param = False
    timing = "pre"

    def __init__(self, threshold: float):
        if not threshold > 0:
            raise ValueError(f"GradientClipping: threshold is {threshold}, expected a number > 0")
        self.threshold = threshold

    def __call__(self, optimizer: Optimizer) -> Any:
        # Of some rows of a table, theirs: the others are zero.
        parameters = optimizer.params()
        gradients = [getattr(p.node.grad, "gy", p.node.grad) for p in parameters]
        if any(map(is_cupy, gradients)):
            names = [f"the gradient {i} of {p.name}" for i, p in enumerate(parameters)]
            check_one_device(self.name, dict(zip(names, gradients, strict=True)))
            return self._on_gpu(gradients)
        norm = math.sqrt(math.fsum(map(update.sum_of_squares, gradients)))
        if not math.isfinite(norm):
            if config.debug:
                raise _broken(norm)
            return False
        if norm > self.threshold:
            _scale(gradients, self.threshold / norm)
        return True

    def _on_gpu(self, gradients):
        norm, rate, finite = update_cuda.clipping(gradients, self.threshold)
        if config.debug and not finite:
            raise _broken(norm)
        _scale(gradients, rate)
        return finite


def _broken(norm):
    return FloatingPointError(
        f"GradientClipping: the norm of the gradients is {norm}, expected a finite one"
    )


def _scale(gradients, rate):
    for gradient in gradients:
        update.change(update.multiple, gradient, gradient, rate)


class ForEachParameter:
    """What the hooks that look at one parameter at a time have in common."""

    call_for_each_param = True
    timing = "pre"

    @property
    def name(self) -> str:
        return type(self).__name__


class GradientHardClipping(ForEachParameter):
    """Clip every element of the gradient: ``g = min(max(g, lower_bound), upper_bound)``.

    NaN stays NaN.

    Args:
        lower_bound: the smallest value.
        upper_bound: the largest.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.SGD(lr=0.1).setup(L.Linear(3, 1))
    >>> optimizer.add_hook(dynet.optimizer_hooks.GradientHardClipping(-1, 1))
    """

    def __init__(self, lower_bound: float, upper_bound: float):
        if not lower_bound <= upper_bound:
            raise ValueError(
                f"GradientHardClipping: lower_bound is {lower_bound} and upper_bound is "
                f"{upper_bound}, expected a lower bound that is not above the upper one"
            )
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def __call__(self, rule: UpdateRule, parameter: Parameter) -> None:
        gradient = parameter.grad
        gradient.clip(self.lower_bound, self.upper_bound, out=gradient)


def exponential_decay_noise(
    xp: Any, shape: tuple[int, ...], dtype: Any, hook: "GradientNoise", opt: UpdateRule
) -> Any:
    """Gaussian noise of variance ``eta / (1 + t) ** 0.55``, where ``t`` counts the updates so far.

    The numbers are those of ``dynet.random``, drawn on the CPU for any device.

    Args:
        xp: ``numpy`` or ``cupy``.
        shape, dtype: of the array to return.
        hook: has ``eta``.
        opt: has ``t``.
    """
    deviation = math.sqrt(hook.eta / (1 + opt.t) ** 0.55)
    return xp.asarray(random.normal(shape, dtype) * deviation, dtype)


class GradientNoise(ForEachParameter):
    """Add noise to the gradient; ``dynet.random.seed`` makes it repeat itself.

    Args:
        eta: how much; the source tries 0.01, 0.3 and 1.
        noise_func: called as ``exponential_decay_noise`` is, which it is by default.

    Source: Neelakantan et al., "Adding Gradient Noise Improves Learning for Very Deep Networks"
    (2015).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.SGD(lr=0.1).setup(L.Linear(3, 1))
    >>> optimizer.add_hook(dynet.optimizer_hooks.GradientNoise(0.01))
    """

    def __init__(self, eta: float, noise_func: Callable = exponential_decay_noise):
        self.eta = _at_least_zero("GradientNoise", "eta", eta)
        self.noise_func = noise_func

    def __call__(self, rule: UpdateRule, parameter: Parameter) -> None:
        gradient = parameter.grad
        gradient += self.noise_func(parameter.xp, gradient.shape, gradient.dtype, self, rule)


class WeightDecay(ForEachParameter):
    """Add the gradient of ``rate / 2 * sum(W**2)``: ``g += rate * W``.

    Args:
        rate: how strongly the parameters are drawn to 0.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.SGD(lr=0.1).setup(L.Linear(3, 1))
    >>> optimizer.add_hook(dynet.optimizer_hooks.WeightDecay(1e-4))
    """

    def __init__(self, rate: float):
        self.rate = _at_least_zero("WeightDecay", "rate", rate)

    def __call__(self, rule: UpdateRule, parameter: Parameter) -> None:
        update.change(update.add_multiple, parameter.array, parameter.grad, self.rate)


class Lasso(ForEachParameter):
    """Add a gradient of ``rate * sum(abs(W))``: ``g += rate * sign(W)``.

    Args:
        rate: how strongly the parameters are drawn to 0.

    Source: Tibshirani, "Regression Shrinkage and Selection via the Lasso" (Journal of the Royal
    Statistical Society B 58, 1996).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.SGD(lr=0.1).setup(L.Linear(3, 1))
    >>> optimizer.add_hook(dynet.optimizer_hooks.Lasso(1e-4))
    """

    def __init__(self, rate: float):
        self.rate = _at_least_zero("Lasso", "rate", rate)

    def __call__(self, rule: UpdateRule, parameter: Parameter) -> None:
        update.change(update.add_sign, parameter.array, parameter.grad, self.rate)


class GradientLARS(ForEachParameter):
    """Scale the gradient of each parameter to the parameter's own norm.

    ``g = (g + weight_decay * W) * norm(W) / (eps + norm(g) + weight_decay * norm(W))``; where
    ``norm(W)`` is not above the threshold, ``g + weight_decay * W``. The source's trust
    coefficient is part of the learning rate.

    Args:
        threshold: of the parameter's norm.
        weight_decay: how strongly the parameters are drawn to 0.
        eps: added to the denominator.

    Source: You, Gitman, Ginsburg, "Large Batch Training of Convolutional Networks" (2017).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.MomentumSGD(lr=0.01).setup(L.Linear(3, 1))
    >>> optimizer.add_hook(dynet.optimizer_hooks.GradientLARS(weight_decay=1e-4))
    """

    def __init__(self, threshold: float = 1e-2, weight_decay: float = 0.0, eps: float = 1e-9):
        self.threshold = _at_least_zero("GradientLARS", "threshold", threshold)
        self.weight_decay = _at_least_zero("GradientLARS", "weight_decay", weight_decay)
        if not eps > 0:
            raise ValueError(f"GradientLARS: eps is {eps}, expected a number > 0")
        self.eps = eps

    def __call__(self, rule: UpdateRule, parameter: Parameter) -> None:
        W, gradient = parameter.array, parameter.grad
        norm, of_gradient = [update.sum_of_squares(x) ** 0.5 for x in (W, gradient)]
        scale = norm / (self.eps + of_gradient + self.weight_decay * norm)
        if is_cupy(norm):
            scale = np.where(norm > self.threshold, scale, 1.0)  # nobody here knows which it is
        elif not norm > self.threshold:
            scale = 1.0
        update.change(update.scale_sum, W, gradient, self.weight_decay, scale)


def _at_least_zero(hook, name, value):
    if not 0 <= value < math.inf:
        raise ValueError(f"{hook}: {name} is {value}, expected a finite number >= 0")
    return value
