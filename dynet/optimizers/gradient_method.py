"""Methods that treat every element of a parameter alike: a compiled kernel does it in one pass."""

from collections.abc import Iterable
from typing import Any

from ..kernels.update import Update, run, vector
from .hyperparameter import Hyperparameters
from .optimizer import Optimizer
from .update_rule import UpdateRule


class GradientMethod(Optimizer):
    """An optimizer whose update is a kernel.

    A subclass says with which settings the kernel is called, in ``settings``. All parameters go to
    the kernel together, so that also several small ones are shared out among the cores; on a GPU
    each has a launch of its own.
    """

    kernel: Update

    def settings(self, hp: Hyperparameters, t: int) -> tuple[float, ...]:
        """What the kernel takes after the arrays.

        Args:
            hp: the settings of a parameter.
            t: the number of its update, from 1.
        """
        raise NotImplementedError(f"{type(self).__name__} has no settings")

    def update_params(self, moves: Iterable[tuple[Any, UpdateRule]]) -> None:
        kernel, jobs = self.kernel, []
        hp = t = dtype = None
        for gW, rule in moves:
            W = rule.array
            # Most parameters are moved by the same settings, which are computed but once.
            if rule.settings is not hp or rule.t != t or W.dtype != dtype:
                hp, t, dtype = rule.settings, rule.t, W.dtype
                settings = self.settings(hp, t)
                cast = [dtype.type(s) for s in settings]
            if rule.vectors is None:
                written = [W, *rule.state.values()]
                kernel.on_arrays(gW, written, settings, self.proceed)
            else:
                jobs.append((vector(gW, W), rule.vectors, cast))
        run(kernel, jobs)
