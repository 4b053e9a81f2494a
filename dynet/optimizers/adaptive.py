"""Methods that give each element a step of its own, by the size of its past gradients."""

from typing import Any

from ..backend import get_array_module
from ..kernels import update
from .gradient_method import GradientMethod
from .hyperparameter import Hyperparameter, Hyperparameters, fraction, stabilizer


class AdaGrad(GradientMethod):
    """Steps that shrink with all gradients so far: ``W -= lr * g / (sqrt(h) + eps)``.

    ``h`` is the sum of ``g**2`` over all updates.

    Args:
        lr: the learning rate.
        eps: added to the denominator.

    Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization" (Journal of Machine Learning Research 12, 2011).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.AdaGrad(lr=0.01).setup(L.Linear(3, 1))
    """

    kernel = update.ada_grad
    state_names = ("h",)
    lr = Hyperparameter()
    eps = stabilizer()

    def __init__(self, lr: float = 0.001, eps: float = 1e-8):
        super().__init__(lr=lr, eps=eps)

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        return hp.lr, hp.eps


class AdaDelta(GradientMethod):
    """Steps in the parameter's own unit, without a learning rate.

    ``dx = sqrt(msdx + eps) / sqrt(msg + eps) * g``, ``W -= dx``, where ``msg`` is the moving mean
    of ``g**2``, this one included, and ``msdx`` that of ``dx**2`` before this step.

    Args:
        rho: how much of both means stays at every step.
        eps: added to both means; it starts the first steps.

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012), algorithm 1.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.AdaDelta(rho=0.95, eps=1e-6).setup(L.Linear(3, 1))
    """

    kernel = update.ada_delta
    state_names = ("msg", "msdx")
    rho = fraction()
    eps = stabilizer()

    def __init__(self, rho: float = 0.95, eps: float = 1e-6):
        super().__init__(rho=rho, eps=eps)

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        return 1 - hp.rho, hp.eps


class RMSprop(GradientMethod):
    """The gradient over its recent size: ``W -= lr * g / (sqrt(ms) + eps)``.

    ``ms`` is the moving mean of ``g**2``.

    Args:
        lr: the learning rate.
        alpha: how much of the mean stays at every step.
        eps: added to the denominator.
        eps_inside_sqrt: whether the denominator is ``sqrt(ms + eps)`` instead.

    Source: Tieleman, Hinton, "Lecture 6.5 - rmsprop" (Neural Networks for Machine Learning, 2012).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.RMSprop(lr=0.001).setup(L.Linear(3, 1))
    """

    state_names = ("ms",)
    lr = Hyperparameter()
    alpha = fraction()
    eps = stabilizer()

    def __init__(
        self,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        eps_inside_sqrt: bool = False,
    ):
        super().__init__(lr=lr, alpha=alpha, eps=eps)
        self.eps_inside_sqrt = eps_inside_sqrt

    @property
    def kernel(self) -> update.Update:
        return update.rmsprop_eps_inside if self.eps_inside_sqrt else update.rmsprop

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        return hp.lr, 1 - hp.alpha, hp.eps


class RMSpropGraves(GradientMethod):
    """The gradient over its recent spread, with momentum.

    ``delta = momentum * delta - lr * g / sqrt(n - m**2 + eps)``, ``W += delta``, where ``n`` is
    the moving mean of ``g**2``, and ``m`` that of ``g``.

    Args:
        lr: the learning rate.
        alpha: how much of both means stays at every step.
        momentum: how much of the last step stays.
        eps: added to the variance.

    Source: Graves, "Generating Sequences With Recurrent Neural Networks" (2013), equations 38-45.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.RMSpropGraves().setup(L.Linear(3, 1))
    """

    kernel = update.rmsprop_graves
    state_names = ("n", "g", "delta")
    lr = Hyperparameter()
    alpha = fraction()
    momentum = fraction()
    eps = stabilizer()

    def __init__(
        self, lr: float = 1e-4, alpha: float = 0.95, momentum: float = 0.9, eps: float = 1e-4
    ):
        super().__init__(lr=lr, alpha=alpha, momentum=momentum, eps=eps)

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        return hp.lr, 1 - hp.alpha, hp.momentum, hp.eps


class SMORMS3(GradientMethod):
    """The squared mean over the mean square, "root mean squared cubed": no memory to choose.

    With ``r = 1 / (mem + 1)``, ``m += r * (g - m)`` and ``s += r * (g**2 - s)``, the step is
    ``W -= g * min(lr, x) / (sqrt(s) + eps)`` for ``x = m**2 / (s + eps)``, and
    ``mem = 1 + mem * (1 - x)``, from 1 at the start: gradients that agree shorten the memory.

    Args:
        lr: the largest rate.
        eps: added to both denominators.

    Source: Funk, "RMSprop loses to SMORMS3 - Beware the Epsilon!" (sifter.org, 2015).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.SMORMS3(lr=0.001).setup(L.Linear(3, 1))
    """

    kernel = update.smorms3
    state_names = ("mem", "g", "g2")
    lr = Hyperparameter()
    eps = stabilizer()

    def __init__(self, lr: float = 0.001, eps: float = 1e-16):
        super().__init__(lr=lr, eps=eps)

    def init_state(self, name: str, W: Any) -> Any:
        zeros = super().init_state(name, W)
        return get_array_module(W).ones_like(W) if name == "mem" else zeros

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        return hp.lr, hp.eps, 1.0
