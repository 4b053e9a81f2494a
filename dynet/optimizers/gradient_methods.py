"""Gradient methods, in the order of complexity; each states what happens to one parameter."""

import math
from typing import Any

from ..kernels import update
from .optimizer import Hyperparameter, Optimizer, UpdateRule, fraction


class SGD(Optimizer):
    """Stochastic gradient descent: ``W -= lr * gW``.

    Args:
        lr: the learning rate.

    >>> import numpy as np, dynet, dynet.links as L
    >>> model = L.Linear(3, 1)
    >>> optimizer = dynet.optimizers.SGD(lr=0.1).setup(model)
    >>> model(np.ones((1, 3), np.float32)).backward()
    >>> optimizer.update()
    """

    lr = Hyperparameter()

    def __init__(self, lr: float = 0.01):
        super().__init__()
        self.lr = lr

    def update_param(self, W: Any, gW: Any, rule: UpdateRule) -> None:
        update.sgd(W, gW, rule.hyperparam.lr)

    def update_rows(self, W: Any, ids: Any, gW: Any, rule: UpdateRule) -> None:
        """As ``update_param``, of the rows ``ids``, each named once, whose gradients are ``gW``."""
        update.sgd_rows(W, ids, gW, rule.hyperparam.lr)


class Adam(Optimizer):
    """Steps of a size that the gradient's recent mean and spread decide.

    Args:
        alpha: the step size.
        beta1: how much of the mean of gradients stays at every step.
        beta2: how much of the mean of squared gradients stays.
        eps: added to the denominator.

    Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015).

    >>> import numpy as np, dynet, dynet.links as L
    >>> model = L.Linear(3, 1)
    >>> optimizer = dynet.optimizers.Adam().setup(model)
    >>> model(np.ones((1, 3), np.float32)).backward()
    >>> optimizer.update()
    """

    state_names = ("m", "v")
    alpha = Hyperparameter()
    beta1 = fraction()
    beta2 = fraction()
    eps = Hyperparameter()

    def __init__(
        self, alpha: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
    ):
        super().__init__()
        self.alpha = alpha
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps

    def update_param(self, W: Any, gW: Any, rule: UpdateRule) -> None:
        hp, state = rule.hyperparam, rule.state
        # Both means start from 0 and are biased towards it; this makes up for that.
        correction = math.sqrt(1 - hp.beta2**rule.t) / (1 - hp.beta1**rule.t)
        step = hp.alpha * correction
        update.adam(W, gW, state["m"], state["v"], step, hp.beta1, hp.beta2, hp.eps)
