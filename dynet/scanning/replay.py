"""Running a scan compiled: two steps in Python are read, all of them run as one compiled loop.

``attempt`` does it, or says why it cannot be done, and then hands over what the two steps gave, so
that the plain loop goes on from there. What it gives is one ``Function`` on the tape.
"""

import copy
import math
import warnings
from typing import NamedTuple

import numpy as np

from .. import random
from ..backprop import sweep
from ..config import config
from ..function import Function, variable_at
from ..functions.checks import raw
from ..functions.util import Forget
from ..kernels.threads import available_cores, share
from ..variable import Variable
from . import code
from .compiled import function_of
from .program import build, wanted
from .record import Obstacle, Recorder, compare, freeze
from .traced import NotByRows

# A block of steps has so many bytes of each factor of a product that is taken over all of them.
BLOCK = 1 << 16
# With less work than this, in elements computed, a second thread gains nothing.
WORTH_A_THREAD = 4e6


class Outcome(NamedTuple):
    """What an attempt came to.

    Attributes:
        done (bool): whether all steps have run.
        carry (list of Variable): leaves, of the last step that has run.
        ys (list): the leaves of y, stacked, if done; else of each step that has run its leaves.
        steps (int): how many have run.
        reason (str): why not all.
    """

    done: bool
    carry: list
    ys: list
    steps: int
    reason: str | None = None


def attempt(steps) -> Outcome:
    """Run all steps of a scan compiled, or the first one or two in Python, and say why no more."""
    if any(isinstance(hook, Recorder) for hook in config.hooks):
        return Outcome(False, steps.carry, [], 0, "it is called in a step that is being read")
    if config.hooks:
        return Outcome(False, steps.carry, [], 0, "a hook is to hear of every function of the step")
    state = random.get_state()
    carry, ys, records, keepers = steps.carry, [], [], []
    for t in range(2):
        recorder = Recorder()
        carry, y = recorder.run(steps, carry, steps.x_at(t))
        records.append(recorder.finish(carry, y))
        # Others at the same place of the tape: of those that the step handled, nobody shall be left.
        carry, y = [_again(v) for v in carry], [_again(v) for v in y]
        ys.append(y)
        keepers.append(recorder)
        if recorder.obstacle is not None:
            return Outcome(False, carry, ys, t + 1, f"the step cannot be compiled: {recorder.obstacle}")
    try:
        for recorder in keepers:
            kept = recorder.someone_keeps()
            if kept is not None:
                raise Obstacle(kept)
            recorder.forget()
        compare(*records)
        plan = _plan(steps, records[1], carry, ys)
        drawn = random.get_state()[1] - state[1]
        if drawn != 2 * plan.program.trace.reserved:
            raise Obstacle("it draws random numbers in other ways than by its functions")
        run = Run(plan, steps, records[1], state)
        run.check(carry, ys)
        outputs = run.forward(steps.length)
    except Obstacle as obstacle:
        return Outcome(False, carry, ys, 2, f"the step cannot be compiled: {obstacle}")
    if outputs is None:
        # A kernel refused what it was given: the plain loop gets there, too, and says what it was.
        return Outcome(False, carry, ys, 2, "a kernel refused what it was given")
    random.set_state(state)
    random.reserve(steps.length * plan.program.trace.reserved)
    return Outcome(True, *run.record(outputs), steps.length)


def _again(v):
    return variable_at(v.node, v.array)


class Plan:
    """What is known of a step's structure: its program, and the source of its loops.

    Attributes:
        want: which gradients are wanted.
        backprop (bool): whether there is a backward pass.
        program: forward, and backward from all that the step gives.
        stored (set): the numbers of the values that are kept for the backward pass.
        rows: how many rows the batch has; ``None`` if they are not independent.
    """

    def __init__(self, record, likes, carry, xs, backprop):
        self.want = wanted(record, carry, xs)
        self.backprop = backprop and any(
            any(w) for w in (self.want.carry, self.want.xs, self.want.externals)
        )
        self.record, self.likes = record, likes
        self.rows = _rows(likes)
        self.all_gys = self.want.ys if self.backprop else None
        try:
            self.program = self._build(self.all_gys)
        except NotByRows:
            self.rows = None
            self.program = self._build(self.all_gys)
        self.stored = code.needs(self.program) if self.backprop else set()
        self.forward = code.forward(self.program, self.stored)
        self._backward = {}
        self.trusted = False  # whether its gradients were compared with the tape's
        self.cost = sum([math.prod(v.shape) for v in self.program.trace.values])
        for v in self.program.trace.values:
            if v.kind == "product":
                self.cost += math.prod(v.shape) * v.operands[0].shape[-1] / 8

    def _build(self, gys):
        return build(self.record, self.likes, self.rows, self.want, gys)

    def backward(self, gys):
        """The program and the loop for those ys that have a gradient."""
        if gys not in self._backward:
            program = self.program if gys == self.all_gys else self._build(gys)
            self._backward[gys] = program, code.backward(program, self.stored)
        return self._backward[gys]


def _rows(likes):
    """How many rows the batch has, by the first axis of the carry."""
    lengths = [shape[0] for shape, _ in likes["carry"] if shape]
    if not lengths or max(lengths) < 2:
        return None
    return max(set(lengths), key=lengths.count)


_plans = {}
MANY_PLANS = 256


def _plan(steps, record, carry, ys):
    """The plan of a record: one that was made before, for the same structure, or a new one."""
    backprop = config.enable_backprop
    likes = {
        "carry": [(v.shape, v.dtype) for v in steps.carry],
        "x": [(x.shape[1:], x.dtype) for x in steps.xs],
    }
    wants_carry = tuple([v.node is not None and backprop for v in steps.carry])
    wants_xs = tuple([getattr(x, "node", None) is not None and backprop for x in steps.xs])
    key = (
        tuple([(c.cls, c.frozen, _frozen(c.sources), c.outputs, c.records) for c in record.calls]),
        record.carry,
        record.ys,
        tuple([(x.shape, x.dtype, node is not None) for x, node in record.externals]),
        tuple(likes["carry"]),
        tuple(likes["x"]),
        wants_carry,
        wants_xs,
        backprop,
    )
    plan = _plans.get(key)
    if plan is None:
        for x, _ in record.externals:
            if type(x) is not np.ndarray:
                raise Obstacle(f"it closes over an array of {type(x).__module__}, not of NumPy")
        if len(_plans) >= MANY_PLANS:
            _plans.pop(next(iter(_plans)))
        # The arrays themselves are read at every call; a plan must not keep them.
        like = [(np.broadcast_to(np.empty((), x.dtype), x.shape), n and True) for x, n in record.externals]
        record = record._replace(externals=like)
        plan = _plans[key] = _made(record, likes, wants_carry, wants_xs, backprop)
    if isinstance(plan, Obstacle):
        raise plan
    return plan


def _made(record, likes, *settings):
    try:
        plan = Plan(record, likes, *settings)
    except Obstacle as obstacle:
        return Obstacle(*obstacle.args)
    return plan


def _frozen(sources):
    return tuple([(s[0], freeze(s[1])) if s[0] == "constant" else s for s in sources])


class Run:
    """One scan: its arrays, and what the backward pass needs of them."""

    def __init__(self, plan, steps, record, state):
        self.plan = plan
        self.steps = copy.copy(steps)
        self.reverse = steps.reverse
        self.carry = [v.array for v in steps.carry]
        self.xs = [raw(x) for x in steps.xs]
        self.externals = [x for x, _ in record.externals]
        self.inputs = [*steps.carry, *steps.xs]
        self.inputs += [x if n is None else variable_at(n, x) for x, n in record.externals]
        self.state = state
        self.key, self.position = map(np.uint64, state)

    def check(self, carry, ys):
        """Raise unless the loop gives for the two steps what they gave in Python."""
        found = self.forward(2, threads=False)
        if found is None:
            raise Obstacle("a kernel refused what it was given")
        given = [v.array for v in carry]
        given += [np.stack(pair) for pair in zip(*[[v.array for v in y] for y in ys], strict=True)]
        if self.reverse:
            found = [*found[: len(carry)], *[y[::-1] for y in found[len(carry) :]]]
        for a, b in zip(found, given, strict=True):
            if not _close(a, b):
                raise Obstacle(
                    "compiled, it gives something else than in Python, by up to "
                    f"{_distance(a, b):.3g}: it depends on what is not among its arguments"
                )
        if self.plan.backprop and not self.plan.trusted:
            self._check_gradients(carry, ys)
            self.plan.trusted = True

    def _check_gradients(self, carry, ys):
        want = self.plan.want
        rng = np.random.default_rng(0)
        seeds, gys = {}, []
        for v, w in zip(carry, want.carry, strict=True):
            gys.append(rng.standard_normal(v.shape).astype(v.dtype) if w else None)
            if w and v.node is not None:
                seeds[v.node] = _added(seeds.get(v.node), gys[-1])
        for i, w in enumerate(want.ys):
            pair = [y[i] for y in ys]
            gy = rng.standard_normal((2, *pair[0].shape)).astype(pair[0].dtype) if w else None
            gys.append(gy[::-1] if w and self.reverse else gy)
            for v, g in zip(pair, gy if w else (), strict=bool(w)):
                if v.node is not None:
                    seeds[v.node] = _added(seeds.get(v.node), g)
        nodes = [getattr(x, "node", None) for x in self.inputs]
        targets = {n for n in nodes if n is not None}
        expected = sweep(seeds, targets, retain=None) if seeds else {}
        found = self.backward(gys, 2, threads=False)
        totals = {}
        for i, (node, gx) in enumerate(zip(nodes, found, strict=True)):
            if node is not None and gx is not None:
                at = len(self.carry)
                if at <= i < at + len(self.xs):  # only the first two time steps were swept
                    full = np.zeros(self.xs[i - at].shape, gx.dtype)
                    full[-2:] = gx if self.reverse else 0
                    if not self.reverse:
                        full[-2:] = 0
                        full[:2] = gx
                    gx = full
                totals[node] = _added(totals.get(node), gx)
        for node, gx in totals.items():
            other = expected.get(node)
            if other is None:
                other = np.zeros_like(gx)
            if not _close(gx, other):
                warnings.warn(
                    "scan: a compiled gradient differs from the plain loop's by up to "
                    f"{_distance(gx, other):.3g}, so the plain loop is run; this is a mistake in "
                    "dynet",
                    RuntimeWarning,
                    stacklevel=4,
                )
                raise Obstacle("its compiled gradient is not that of the plain loop")

    # -- forward -----------------------------------------------------------------------------

    def forward(self, length, threads=True):
        """The last carry and the ys as arrays; ``None`` if a kernel refused."""
        plan = self.plan
        self.arrays = arrays = {}
        arguments = []
        for a in plan.forward.arrays:
            arguments.append(self._argument(a, length))
            arrays[a.role, a.i] = arguments[-1]
        function = function_of(plan.forward)
        statuses = self._run(function, length, 1, lambda: arguments, threads)
        if any(status >= 0 for _, status in statuses):
            return None
        outputs = []
        for i, array in enumerate(self.carry):
            if ("states", i) in arrays:
                last = arrays["states", i].reshape(length + 1, *array.shape)[length].copy()
            else:
                last = arrays["carry", i].reshape(array.shape)
            outputs.append(last)
        for i, ref in enumerate(plan.program.ys):
            shape = ref.shape
            if ("ys", i) in arrays:
                y = arrays["ys", i].reshape(length, *shape)
            else:
                n = next(k for k, c in enumerate(plan.program.carry) if c.value is ref.value)
                y = arrays["states", n].reshape(length + 1, *shape)[1:]
            outputs.append(y[::-1] if self.reverse else y)
        return outputs

    def _argument(self, a, length):
        plan = self.plan
        if a.role == "external":
            return _vector(self._external(a.i).transpose(a.axes))
        if a.role == "x":
            x = self.xs[a.i]
            if self.reverse:
                x = x[::-1]
            return _vector(x[:length])
        if a.role == "carry":
            return self.carry[a.i].flatten()
        if a.role == "states":
            init = self.carry[a.i]
            states = np.empty((length + 1, init.size), init.dtype)
            states[0] = init.reshape(-1)
            return states.reshape(-1)
        if a.role == "ys":
            v = plan.program.ys[a.i].value
        else:
            v = plan.program.trace.values[a.i]
        return np.empty(length * math.prod(v.shape), v.dtype)

    def _external(self, i):
        constants = self.plan.program.trace.constants
        return self.externals[i] if i < len(self.externals) else constants[i - len(self.externals)]

    def _run(self, function, length, block, arguments_of, threads):
        """Run a loop for all rows, on one thread or on several; what each was called with too."""
        rows = self.plan.rows
        pieces = available_cores() if rows else 1
        if self.plan.cost * length < WORTH_A_THREAD:
            pieces = 1

        def work(first, last):
            arguments = arguments_of()
            status = function(
                length, rows or 1, first, last - first, block, self.key, self.position, *arguments
            )
            return arguments, status

        if threads:
            return share(work, rows or 1, pieces)
        ends = [(rows or 1) * i // 2 for i in range(3)] if rows else [0, 1]
        return [work(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True) if b > a]

    # -- backward ----------------------------------------------------------------------------

    def backward(self, gys, length, threads=True):
        """The gradients of the leaves of the carry and of xs and of the externals, or ``None``."""
        plan, n = self.plan, len(self.carry)
        gcarry, gys = list(gys[:n]), list(gys[n:])
        program, loop = plan.backward(tuple([gy is not None for gy in gys]))
        want = plan.want
        shared, terms = {}, []
        for a in loop.arrays:
            if a.role == "term":
                continue
            if a.role == "gcarry":
                array, gy = self.carry[a.i], gcarry[a.i]
                if gy is None:
                    gy = np.zeros(array.shape, array.dtype)
                shared[a] = gy.flatten()
            elif a.role == "gy":
                gy = gys[a.i]
                shared[a] = _vector(gy[::-1] if self.reverse else gy)
            elif a.role == "gx":
                x = self.xs[a.i]
                shared[a] = np.empty(length * math.prod(x.shape[1:]), x.dtype)
            elif (a.role, a.i) in self.arrays and a.role != "external":
                shared[a] = self.arrays[a.role, a.i]
            else:
                shared[a] = self._argument(a, length)

        def arguments():
            return [
                np.zeros(self._term_size(program, a.i), self.externals_dtype(program, a.i))
                if a.role == "term"
                else shared[a]
                for a in loop.arrays
            ]

        wide = loop.width * (plan.rows or 1) * 4
        block = max(1, min(length, BLOCK // max(wide, 1))) if loop.width else length
        results = self._run(function_of(loop), length, block, arguments, threads)
        if any(status >= 0 for _, status in results):
            raise RuntimeError("scan: a kernel refused in the backward pass what it gave forward")
        at = {(a.role, a.i): k for k, a in enumerate(loop.arrays)}
        gradients = []
        for i, array in enumerate(self.carry):
            wants = want.carry[i]
            gradients.append(shared[loop.arrays[at["gcarry", i]]].reshape(array.shape) if wants else None)
        for i, x in enumerate(self.xs):
            gx = None
            if want.xs[i]:
                gx = shared[loop.arrays[at["gx", i]]].reshape(length, *x.shape[1:])
                gx = gx[::-1] if self.reverse else gx
            gradients.append(gx)
        totals = [None] * len(self.externals)
        for k, term in enumerate(program.terms):
            place = at["term", k]
            g = results[0][0][place]
            for others, _ in results[1:]:
                g = g + others[place]
            shape = self.externals[term.external].shape
            if term.kind == "product":
                g = g.reshape(shape[::-1]).T if term.transposed else g.reshape(shape)
            totals[term.external] = _added(totals[term.external], g.reshape(shape))
        for i, wants in enumerate(want.externals):
            if wants and totals[i] is None:
                totals[i] = np.zeros(self.externals[i].shape, self.externals[i].dtype)
        return gradients + totals

    def _term_size(self, program, k):
        return self.externals[program.terms[k].external].size

    def externals_dtype(self, program, k):
        return self.externals[program.terms[k].external].dtype

    # -- on the tape -------------------------------------------------------------------------

    def record(self, outputs):
        """The outputs as Variables: the leaves of the carry, and of ys."""
        n = len(self.carry)
        want = (*self.plan.want.carry, *self.plan.want.ys)
        if not self.plan.backprop:
            made = [variable_at(None, y) for y in outputs]
        else:
            made = Scan(self, tuple(outputs)).apply(*self.inputs)
            made = [v if w else variable_at(None, v.array) for v, w in zip(made, want, strict=True)]
        return made[:n], made[n:]


def _vector(array):
    """The elements in one row, in an array that may be written to, as all others are."""
    vector = np.ascontiguousarray(array).reshape(-1)
    return vector if vector.flags.writeable else vector.copy()


def _added(a, b):
    return b if a is None else a + b


def _close(a, b):
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    tolerance = 1e-3 if a.dtype == np.float32 else 1e-9
    with np.errstate(all="ignore"):
        largest = np.abs(b[np.isfinite(b)]).max(initial=0)
        return np.allclose(a, b, rtol=tolerance, atol=tolerance * max(largest, 1e-30), equal_nan=True)


def _distance(a, b):
    with np.errstate(all="ignore"):
        return float(np.nanmax(np.abs(a.astype(float) - b.astype(float)), initial=0))


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
        want = (*run.plan.want.carry, *run.plan.want.ys)
        gys = [gy if w else None for gy, w in zip(gys, want, strict=True)]
        return tuple(run.backward(gys, run.steps.length))

    def _recorded(self, gys):
        """The gradient by the plain loop, run once more, so that it is on the tape itself."""
        run, n = self.run, len(self.run.carry)
        leaves = n + len(run.xs)

        def loop(*given):
            steps = copy.copy(run.steps)
            steps.xs = list(given[n:])
            carry = [x if isinstance(x, Variable) else variable_at(None, x) for x in given[:n]]
            carry, ys = steps.plain(carry)
            return (*carry, *ys)

        again = Forget(loop, None, leaves, run.state)
        again.inputs, again.saved = self.inputs, self.saved[:leaves]
        return again.backward(*gys)

    def unchain(self):
        super().unchain()
        self.run = None
