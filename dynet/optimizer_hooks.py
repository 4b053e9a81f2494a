"""What may be done to the gradients between the backward pass and the update."""

import math

from .config import config
from .kernels.update import sum_of_squares
from .optimizers.optimizer import Optimizer


class GradientClipping:
    """Scale all gradients together so that their global norm is at most a threshold.

    A gradient that holds NaN or infinity has no norm to scale by: the update is skipped, and
    counted in the optimizer's ``skipped``; in debug mode it raises ``FloatingPointError``.

    Args:
        threshold: the largest L2 norm of all gradients as one vector.

    Source: Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks"
    (ICML 2013).

    >>> import numpy as np, dynet, dynet.links as L
    >>> optimizer = dynet.optimizers.SGD(lr=0.1).setup(L.Linear(3, 1))
    >>> optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(1.0))
    """

    name = "GradientClipping"

    def __init__(self, threshold: float):
        if not threshold > 0:
            raise ValueError(f"GradientClipping: threshold is {threshold}, expected a number > 0")
        self.threshold = threshold

    def __call__(self, optimizer: Optimizer) -> bool:
        # Of some rows of a table, theirs: the others are zero.
        gradients = [getattr(p.node.grad, "gy", p.node.grad) for p in optimizer.params()]
        norm = math.sqrt(math.fsum(map(sum_of_squares, gradients)))
        if not math.isfinite(norm):
            if config.debug:
                raise FloatingPointError(
                    f"GradientClipping: the norm of the gradients is {norm}, expected a finite one"
                )
            return False
        if norm > self.threshold:
            rate = self.threshold / norm
            for gradient in gradients:
                gradient *= rate
        return True
