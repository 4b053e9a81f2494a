"""Running a scan compiled: two steps in Python are read, all of them run as one compiled loop.

``attempt`` does it, or says why it cannot be done, and then hands over what the two steps gave, so
that the plain loop goes on from there. What it gives is one ``Function`` on the tape.
"""

import copy
import random as std_random
import warnings
from typing import NamedTuple

import numpy as np

from .. import random
from ..backend import blas_threads_for
from ..config import config
from ..function import Function, variable_at
from ..functions.checks import raw
from ..functions.util import Forget
from ..variable import Variable
from .on_gpu import run_of
from .plan import plan_of
from .record import (
    Obstacle,
    Recorder,
    check_functions,
    check_unchanged,
    compare,
    fingerprint,
)
from .run import Run


class Outcome(NamedTuple):
    """What an attempt came to.

    Attributes:
        done (bool): whether all steps have run.
        carry (list of Variable): leaves, of the last step that has run.
        ys (list): the leaves of y, stacked, if done; else of each step that has run its leaves.
        steps (int): how many have run.
        reason (str): why not all.
        refused (bool): whether a kernel refused what it was given: the plain loop will say so.
        run (Run): what has run all of them.
    """

    done: bool
    carry: list
    ys: list
    steps: int
    reason: str | None = None
    refused: bool = False
    run: Run | None = None


def attempt(steps) -> Outcome:
    """Run all steps of a scan compiled, or the first one or two in Python, and say why no more."""
    if any(isinstance(hook, Recorder) for hook in config.hooks):  # a step is being read
        return Outcome(False, steps.carry, [], 0)  # what it does is part of that step
    if config.hooks:
        return Outcome(False, steps.carry, [], 0, "a hook is to hear of every function of the step")
    state, others = random.get_state(), _other_streams()
    given = [raw(x) for x in (*steps.carry, *steps.xs)]
    prints = [fingerprint(x) for x in given]
    carry, ys, recorders, records = steps.carry, [], [], []
    try:
        for t in range(2):
            recorder = Recorder()
            with blas_threads_for(0):  # two steps are not worth waking the others
                carry, y = recorder.run(steps, carry, steps.x_at(t))
            recorders.append(recorder)
            records.append(recorder.finish(carry, y))
            # Others at the same place of the tape: of those that the step handled none shall be
            # left.
            carry, y = [_again(v) for v in carry], [_again(v) for v in y]
            ys.append(y)
            if recorder.obstacle is not None:
                raise Obstacle(recorder.obstacle)
        for recorder in recorders:
            recorder.check_variables()
        check_functions(recorders, [*carry, *ys[0], *ys[1]])
        check_unchanged(given, prints)
        for recorder in recorders:
            recorder.check_externals()
            recorder.forget()
        if _other_streams() != others:
            raise Obstacle("it draws random numbers from the streams of Python or NumPy")
        compare(*records)
        plan = plan_of(steps, records[1])
        key, position = random.get_state()
        if key != state[0] or position - state[1] != 2 * plan.program.trace.drawn():
            raise Obstacle("it draws random numbers in other ways than by its functions")
        run = run_of(plan, steps, records[1].externals, state)
        outputs = run.compiled(carry, ys)
    except Obstacle as obstacle:
        return Outcome(False, carry, ys, len(ys), f"the step cannot be compiled: {obstacle}")
    if outputs is None:
        reason = "the step cannot be compiled: a kernel refuses what it is given"
        return Outcome(False, carry, ys, 2, reason, refused=True)
    random.set_state(state)
    return Outcome(True, *on_tape(run, outputs), steps.length, run=run)


def _other_streams():
    """Where Python's and NumPy's own streams of random numbers are."""
    _, words, gauss = std_random.getstate()
    _, keys, position, *rest = np.random.get_state()
    return words[0], words[-1], gauss, keys[0], position, rest


def _again(v):
    return variable_at(v.node, v.array)


def on_tape(run, outputs):
    """The outputs of all steps as Variables: the leaves of the last carry, and those of ys.

    The random numbers that the steps drew are drawn.
    """
    random.reserve(run.steps.length * run.plan.program.trace.drawn())
    run.outputs_like = [(y.shape, y.dtype) for y in outputs]
    want = (*run.plan.want.returned, *run.plan.want.ys)
    if not run.plan.backprop:
        made = [variable_at(None, y) for y in outputs]
    else:
        made = Scan(run, tuple(outputs)).apply(*run.inputs)
        made = [v if w else variable_at(None, v.array) for v, w in zip(made, want, strict=True)]
    n = len(run.carry)
    return made[:n], made[n:]


class Scan(Function):
    """A compiled loop over all time steps, as one operation"""

    __slots__ = ("run", "outputs", "saves")

    def __init__(self, run, outputs):
        self.run = run
        self.outputs = outputs

    def forward(self, *arrays):
        self.saves = tuple(range(len(arrays)))
        self.save(*arrays)
        outputs, self.outputs = self.outputs, None
        return outputs

    def backward(self, *gys):
        run = self.run
        if any([isinstance(gy, Variable) for gy in gys]):
            return self._recorded(gys)
        want = (*run.plan.want.returned, *run.plan.want.ys)
        for i, (gy, (shape, dtype)) in enumerate(zip(gys, run.outputs_like, strict=True)):
            if gy is not None and (getattr(gy, "shape", None) != shape or gy.dtype != dtype):
                came = f"{gy.dtype} {gy.shape}" if hasattr(gy, "shape") else type(gy).__name__
                raise ValueError(
                    f"scan: the gradient of leaf {i} of what it returned is {came}, expected "
                    f"{dtype} {shape}"
                )
        wanted_gys = [gy if w else None for gy, w in zip(gys, want, strict=True)]
        try:
            run.check_gradients(tuple([gy is not None for gy in wanted_gys]))
        except Obstacle as obstacle:
            warnings.warn(
                f"scan: {obstacle}, so the gradient is computed by the plain loop; "
                "`compiled=False` does without this warning",
                RuntimeWarning,
                stacklevel=2,
            )
            return self._recorded(gys)
        return tuple(run.backward(wanted_gys, run.steps.length))

    def _recorded(self, gys):
        """The gradient by the plain loop, run once more, so that it is on the tape itself."""
        run, n = self.run, len(self.run.carry)
        leaves = n + len(run.xs)

        def loop(*given):
            steps = copy.copy(run.steps)
            steps.xs = list(given[n:])
            carry = [x if isinstance(x, Variable) else variable_at(None, x) for x in given[:n]]
            carry, ys = steps.plain(carry)
            run.check_again((*carry, *ys))
            return (*carry, *ys)

        again = Forget(loop, None, leaves, run.state)
        again.train = run.train
        again.inputs, again.saved = self.inputs, self.saved[:leaves]
        return again.backward(*gys)

    def unchain(self):
        super().unchain()
        self.run = None
