"""Methods that take the gradient, or a mean of gradients, for the step."""

from typing import Any

from ..kernels import update
from .gradient_method import GradientMethod
from .hyperparameter import Hyperparameter, Hyperparameters, fraction
from .update_rule import UpdateRule

# The smallest number of float32: in a denominator, it only keeps 0 / 0 away.
SMALLEST = 2.0**-149


class SGD(GradientMethod):
    """Stochastic gradient descent: ``W -= lr * g``.

    A table of which an update touches few rows costs what these rows cost.

    Args:
        lr: the learning rate.

    Source: Robbins, Monro, "A Stochastic Approximation Method" (Annals of Mathematical Statistics
    22, 1951).

    >>> import numpy as np, dynet, dynet.links as L
    >>> model = L.Linear(3, 1, initialW=0)
    >>> optimizer = dynet.optimizers.SGD(lr=0.5).setup(model)
    >>> optimizer.update(lambda x: model(x).sum(), np.ones((1, 3), np.float32))
    >>> model.W.array
    array([[-0.5, -0.5, -0.5]], dtype=float32)
    """

    kernel = update.sgd
    lr = Hyperparameter()

    def __init__(self, lr: float = 0.01):
        super().__init__(lr=lr)

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        return (hp.lr,)

    def update_rows(self, W: Any, ids: Any, gW: Any, rule: UpdateRule) -> None:
        """As ``update_param``, of the rows ``ids``, each named once, whose gradients are ``gW``."""
        update.sgd_rows(W, ids, gW, rule.settings.lr)


class MomentumSGD(GradientMethod):
    """Gradient descent with a velocity: ``v = momentum * v - lr * g``, ``W += v``.

    Args:
        lr: the learning rate.
        momentum: how much of the velocity stays at every step.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods" (USSR
    Computational Mathematics and Mathematical Physics 4, 1964).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.MomentumSGD(lr=0.01, momentum=0.9).setup(L.Linear(3, 1))
    >>> optimizer.momentum
    0.9
    """

    kernel = update.momentum_sgd
    state_names = ("v",)
    lr = Hyperparameter()
    momentum = fraction()

    def __init__(self, lr: float = 0.01, momentum: float = 0.9):
        super().__init__(lr=lr, momentum=momentum)

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        return hp.lr, hp.momentum


class CorrectedMomentumSGD(MomentumSGD):
    """Momentum whose velocity follows a change of the rate at once: ``v = momentum * v - g``,
    ``W += lr * v``.

    While the rate stays, this moves as ``MomentumSGD`` does.

    Args:
        lr: the learning rate.
        momentum: how much of the velocity stays at every step.

    Source: Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour" (2017),
    equation 9.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.CorrectedMomentumSGD(lr=0.1).setup(L.Linear(3, 1))
    >>> optimizer.lr = 0.01  # takes effect on the next step already
    """

    kernel = update.corrected_momentum_sgd


class NesterovAG(MomentumSGD):
    """Momentum that looks ahead: ``v = momentum * v - lr * g``, ``W += momentum * v - lr * g``.

    The gradient is taken where the velocity would lead to, and that is the place that ``W`` holds.
    Written with the velocity ``u`` before the step, as in the source (equation 7, for a momentum
    that stays), the second part is ``W += momentum**2 * u - (1 + momentum) * lr * g``. Some
    versions of Chainer have this formula with the velocity after the step in the place of ``u``.

    Args:
        lr: the learning rate.
        momentum: how much of the velocity stays at every step.

    Source: Bengio, Boulanger-Lewandowski, Pascanu, "Advances in Optimizing Recurrent Networks"
    (2012); Nesterov (1983).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.NesterovAG(lr=0.01, momentum=0.9).setup(L.Linear(3, 1))
    """

    kernel = update.nesterov_ag


class MSVAG(GradientMethod):
    """Momentum, damped where the gradients scatter: ``W -= eta * (lr * f * m + decay * W)``.

    With the means ``m`` of the gradient and ``v`` of its square, both without their bias towards
    0, the variance of a gradient is estimated as ``s = (v - m**2) / (1 - rho)``, that of ``m``
    as ``rho * s``, where ``rho = (1 - beta) * (1 + beta**t) / ((1 + beta) * (1 - beta**t))``. The
    factor is ``f = m**2 / (m**2 + rho * s)``. At the first step, where ``rho`` is 1 and ``s`` is
    0 / 0, it is 1; the authors' program and Chainer, with 0.9999 for ``rho``, come to the same but
    for what their rounding adds.

    Args:
        lr: the learning rate.
        beta: how much of both means stays at every step.
        eta: what both parts of the step are multiplied by, for schedules.
        weight_decay_rate: the ``decay`` above.

    Source: Balles, Hennig, "Dissecting Adam: The Sign, Magnitude and Variance of Stochastic
    Gradients" (ICML 2018), algorithm 1; the weight decay is that of ``AdamW``.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.MSVAG(lr=0.1, beta=0.9).setup(L.Linear(3, 1))
    """

    kernel = update.msvag
    state_names = ("m", "v")
    lr = Hyperparameter()
    beta = fraction()
    eta = Hyperparameter()
    weight_decay_rate = Hyperparameter()

    def __init__(
        self,
        lr: float = 0.1,
        beta: float = 0.9,
        eta: float = 1.0,
        weight_decay_rate: float = 0.0,
    ):
        super().__init__(lr=lr, beta=beta, eta=eta, weight_decay_rate=weight_decay_rate)

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        stays = hp.beta**t
        rho = (1 - hp.beta) * (1 + stays) / ((1 + hp.beta) * (1 - stays))
        spread = rho / (1 - rho) if rho < 0.9999 else 0.0
        decay = hp.eta * hp.weight_decay_rate
        return hp.eta * hp.lr, 1 - hp.beta, 1 / (1 - stays), spread, SMALLEST, decay
