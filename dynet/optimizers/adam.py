"""Adam and its kin: a step of the mean gradient over the root of the mean square."""

import math

from ..kernels import update
from .gradient_method import GradientMethod
from .hyperparameter import Hyperparameter, Hyperparameters, fraction, positive, stabilizer

KERNELS = {  # by (amsgrad, adabound)
    (False, False): update.adam,
    (True, False): update.ams_grad,
    (False, True): update.ada_bound,
    (True, True): update.ams_bound,
}


class Adam(GradientMethod):
    """Steps of a size that the gradient's recent mean and spread decide.

    ``W -= eta * (a * m / (sqrt(v) + eps) + weight_decay_rate * W)`` with the moving means ``m`` of
    the gradient and ``v`` of its square, and ``a = alpha * sqrt(1 - beta2**t) / (1 - beta1**t)``,
    which makes up for their starting from 0.

    This is the form at the end of section 2 of the source, as in Chainer. Its algorithm 1, which
    PyTorch follows, adds ``eps`` after the root of ``v`` is freed from its bias: here that is an
    ``eps`` of ``sqrt(1 - beta2**t)`` times as much.

    Args:
        alpha: the step size.
        beta1: how much of the mean of gradients stays at every step.
        beta2: how much of the mean of squared gradients stays.
        eps: added to the denominator.
        eta: what the whole step is multiplied by, for schedules.
        weight_decay_rate: how much of itself a parameter loses at every step; see ``AdamW``.
        amsgrad: whether the denominator never shrinks; see ``AMSGrad``.
        adabound: whether the step of each element stays within bounds; see ``AdaBound``.
        final_lr, gamma: where these bounds end, and how fast they close.

    Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015).

    >>> import numpy as np, dynet, dynet.links as L
    >>> model = L.Linear(3, 1, initialW=0)
    >>> optimizer = dynet.optimizers.Adam(alpha=0.25).setup(model)
    >>> optimizer.update(lambda x: model(x).sum(), np.array([[1, -2, 100]], np.float32))
    >>> model.W.array.round(3)
    array([[-0.25,  0.25, -0.25]], dtype=float32)
    """

    alpha = Hyperparameter()
    beta1 = fraction()
    beta2 = fraction()
    eps = stabilizer()
    eta = Hyperparameter()
    weight_decay_rate = Hyperparameter()
    final_lr = Hyperparameter()
    gamma = positive()

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        eta: float = 1.0,
        weight_decay_rate: float = 0.0,
        amsgrad: bool = False,
        adabound: bool = False,
        final_lr: float = 0.1,
        gamma: float = 1e-3,
    ):
        super().__init__(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            eta=eta,
            weight_decay_rate=weight_decay_rate,
            final_lr=final_lr,
            gamma=gamma,
        )
        self._variant = bool(amsgrad), bool(adabound)

    # What there is to remember hangs on these, so they cannot be changed later on.
    amsgrad = property(lambda self: self._variant[0], doc="As given.")
    adabound = property(lambda self: self._variant[1], doc="As given.")

    @property
    def kernel(self) -> update.Update:
        return KERNELS[self._variant]

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("m", "v", "vhat") if self.amsgrad else ("m", "v")

    @property
    def alpha_t(self) -> float:
        """The step size at the last update, with the biases made up for; ``alpha`` before it."""
        return _corrected(self.hyperparam, self.t) if self.t else self.alpha

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        rates = 1 - hp.beta1, 1 - hp.beta2
        decay = hp.eta * hp.weight_decay_rate
        settings = hp.eta * _corrected(hp, t), *rates, hp.eps, decay
        if not self.adabound:
            return settings
        lower = hp.final_lr * (1 - 1 / (hp.gamma * t + 1))
        upper = hp.final_lr * (1 + 1 / (hp.gamma * t))
        # The bounds are those of the rate before eta.
        return *settings, hp.eta * lower, hp.eta * upper


def _corrected(hp, t):
    # Both means start from 0 and are biased towards it; this makes up for that.
    return hp.alpha * math.sqrt(1 - hp.beta2**t) / (1 - hp.beta1**t)


class AdamW(Adam):
    """``Adam`` with weight decay beside the step: ``W -= eta * (... + weight_decay_rate * W)``.

    As in the source and in Chainer, the decay does not depend on ``alpha``; in PyTorch it is
    ``lr * weight_decay``. A schedule for both belongs to ``eta``. The hook
    ``WeightDecay`` is another thing: what it adds to the gradient ``Adam`` divides by its size.

    Args:
        alpha, beta1, beta2, eps, eta, weight_decay_rate: as for ``Adam``.

    Source: Loshchilov, Hutter, "Decoupled Weight Decay Regularization" (ICLR 2019), algorithm 2.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.AdamW(weight_decay_rate=1e-5).setup(L.Linear(3, 1))
    """

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        eta: float = 1.0,
        weight_decay_rate: float = 0.0,
    ):
        super().__init__(alpha, beta1, beta2, eps, eta, weight_decay_rate)


class AMSGrad(Adam):
    """``Adam`` with the largest ``v`` so far in the denominator: its steps do not grow again.

    As in Chainer and in PyTorch, the biases of the means are made up for as in ``Adam``; the
    source leaves that out.

    Args:
        alpha, beta1, beta2, eps, eta: as for ``Adam``.

    Source: Reddi, Kale, Kumar, "On the Convergence of Adam and Beyond" (ICLR 2018), algorithm 2.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.AMSGrad().setup(L.Linear(3, 1))
    """

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        eta: float = 1.0,
    ):
        super().__init__(alpha, beta1, beta2, eps, eta, amsgrad=True)


class AdaBound(Adam):
    """``Adam`` whose rates are clipped to bounds that close on one rate, that of plain descent.

    ``W -= eta * clip(a / (sqrt(v) + eps), lower, upper) * m`` with the bounds
    ``final_lr * (1 - 1 / (gamma * t + 1))`` and ``final_lr * (1 + 1 / (gamma * t))``.

    As in the authors' program and in Chainer, the biases of the means are made up for, and the
    rate is not divided by ``sqrt(t)``; in algorithm 2 of the source it is the other way. Unlike
    there, ``final_lr`` does not follow ``alpha`` when that is changed: a schedule for both belongs
    to ``eta``.

    Args:
        alpha, beta1, beta2: as for ``Adam``.
        final_lr: the rate in the end.
        gamma: how fast the bounds close.
        eps, eta: as for ``Adam``.

    Source: Luo, Xiong, Liu, Sun, "Adaptive Gradient Methods with Dynamic Bound of Learning Rate"
    (ICLR 2019).

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.AdaBound(final_lr=0.1).setup(L.Linear(3, 1))
    """

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        final_lr: float = 0.1,
        gamma: float = 1e-3,
        eps: float = 1e-8,
        eta: float = 1.0,
    ):
        super().__init__(
            alpha, beta1, beta2, eps, eta, adabound=True, final_lr=final_lr, gamma=gamma
        )


class AMSBound(Adam):
    """``AdaBound`` with the largest ``v`` so far, as in ``AMSGrad``.

    Args:
        alpha, beta1, beta2, final_lr, gamma, eps, eta: as for ``AdaBound``.

    Source: that of ``AdaBound``, section 4.

    >>> import dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.AMSBound(final_lr=0.1).setup(L.Linear(3, 1))
    """

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        final_lr: float = 0.1,
        gamma: float = 1e-3,
        eps: float = 1e-8,
        eta: float = 1.0,
    ):
        super().__init__(
            alpha,
            beta1,
            beta2,
            eps,
            eta,
            amsgrad=True,
            adabound=True,
            final_lr=final_lr,
            gamma=gamma,
        )
