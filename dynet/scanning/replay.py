"""Running a scan compiled: two steps in Python are read, all of them run as one compiled loop.

``attempt`` does it, or says why it cannot be done, and then hands over what the two steps gave, so
that the plain loop goes on from there. What it gives is one ``Function`` on the tape.
"""

import copy
import math
import random as std_random
import sys
import threading
import warnings
from typing import NamedTuple

import numpy as np
from numba.core.errors import NumbaError

from .. import random
from ..backprop import sweep
from ..config import config, using_config
from ..function import Function, variable_at
from ..functions.checks import raw
from ..functions.util import Forget
from ..kernels.threads import available_cores, share
from ..terms import SPARSE, Rows, dense
from ..variable import Variable
from . import code
from .compiled import function_of
from .program import build, wanted
from .record import Obstacle, Recorder, changed, compare, fingerprint, keeper_of_functions
from .traced import NotByRows, Untraceable

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
    if any(isinstance(hook, Recorder) for hook in config.hooks):  # a step is being read
        return Outcome(False, steps.carry, [], 0)  # what it does is part of that step
    if config.hooks:
        return Outcome(False, steps.carry, [], 0, "a hook is to hear of every function of the step")
    if {"raise", "call", "print", "log"} & set(np.geterr().values()):
        reason = "NumPy's errstate is to tell of what happens in its operations"
        return Outcome(False, steps.carry, [], 0, reason)
    state, others = random.get_state(), _other_streams()
    given = [raw(x) for x in (*steps.carry, *steps.xs)]
    prints = [fingerprint(x) for x in given]
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
        kept = keeper_of_functions(keepers, [*carry, *sum(ys, [])])
        if kept is not None:
            raise Obstacle(kept)
        for found in changed(given, prints), *[recorder.what_changed() for recorder in keepers]:
            if found is not None:
                raise Obstacle(found)
        for recorder in keepers:
            recorder.forget()
        if _other_streams() != others:
            raise Obstacle("it draws random numbers from the streams of Python or NumPy")
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


def _other_streams():
    """Where Python's and NumPy's own streams of random numbers are."""
    _, words, gauss = std_random.getstate()
    _, keys, position, *rest = np.random.get_state()
    return words[0], words[-1], gauss, keys[0], position, rest


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
        self.stored = code.to_store(self.program) if self.backprop else set()
        code.compute_again(self.program, self.stored)
        self.forward = code.forward(self.program, self.stored)
        self._programs, self._loops = {}, {}
        self.trusted = set()  # programs whose gradients were compared with the tape's
        # What rounding may come to, of the largest number.
        narrow = any(v.dtype == np.float32 for v in self.program.trace.values)
        self.tolerance = 1e-4 if narrow else 1e-11
        self.cost = sum([math.prod(v.shape) for v in self.program.trace.values])
        for v in self.program.trace.values:
            if v.kind == "product":
                self.cost += math.prod(v.shape) * v.operands[0].shape[-1] / 8

    def _build(self, gys, carry=None):
        """The program for those ys, and leaves of the last carry, that have a gradient."""
        has = self.want.carry if carry is None else carry
        while True:
            program = build(self.record, self.likes, self.rows, self.want, has, gys)
            # A leaf that nothing arrives at has none; zeros in its place could become NaN.
            reached = tuple([a or i in program.reached for i, a in enumerate(has)])
            if gys is None or reached == has:
                return program
            has = reached

    def backward(self, given, length):
        """The program and the loop for those leaves of the last carry, and ys, with a gradient.

        Of a table that is much larger than the number of its rows that are looked up, the gradient
        is those rows.
        """
        n = len(self.want.carry)
        if given not in self._programs:
            whole = given == (*self.want.carry, *self.want.ys)
            try:
                program = self.program if whole else self._build(given[n:], given[:n])
                if not whole:
                    code.compute_again(program, self.stored)
            except NotByRows:
                program = self.program  # for which what is missing is zeros
            self._programs[given] = program
        program = self._programs[given]
        kept = tuple([i for i, t in enumerate(program.terms) if self._stays_rows(t, length)])
        if (given, kept) not in self._loops:
            self._loops[given, kept] = code.backward(program, self.stored, kept)
        return program, self._loops[given, kept], kept

    def _stays_rows(self, term, length):
        if term.kind != "rows" or term.refs[0].value.kind != "x":
            return False
        table = self.record.externals[term.external][0].shape
        return SPARSE * length * math.prod(term.refs[0].shape) <= table[0]


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
        tuple([(c.cls, c.frozen, c.outputs, c.records) for c in record.calls]),
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
        # The arrays themselves are read at every call; a plan must not keep them.
        like = [(np.broadcast_to(np.empty((), x.dtype), x.shape), n and True) for x, n in record.externals]
        calls = [c._replace(settings=_copied(c.settings)) for c in record.calls]
        record = record._replace(externals=like, calls=calls)
        plan = _made(record, likes, wants_carry, wants_xs, backprop)
        # A rule of the user's may depend on what is not among its settings: it is read every time.
        if all(call.cls.__module__.startswith("dynet.") for call in calls):
            if len(_plans) >= MANY_PLANS:
                _plans.pop(next(iter(_plans)))
            _plans[key] = plan
    if isinstance(plan, Obstacle):
        raise plan
    return plan


def _copied(x):
    """Settings with arrays of their own."""
    if isinstance(x, np.ndarray):
        return x.copy()
    if type(x) is dict:
        return {k: _copied(v) for k, v in x.items()}
    if type(x) in (tuple, list):
        return type(x)([_copied(v) for v in x])
    return x


def _made(record, likes, *settings):
    try:
        return Plan(record, likes, *settings)
    except Obstacle as obstacle:
        return Obstacle(*obstacle.args)
    except Untraceable as error:
        return Obstacle(str(error))


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
        self.state, self.train = state, config.train
        alone = plan.rows is None or plan.cost * steps.length < WORTH_A_THREAD
        self.pieces = 1 if alone else available_cores()
        self.key, self.position = map(np.uint64, state)

    def check(self, carry, ys):
        """Raise unless the loop gives for the two steps what they gave in Python."""
        try:
            found = self.forward(2)
        except NumbaError as error:
            raise Obstacle(f"Numba cannot compile it: {str(error).splitlines()[-1]}") from error
        if found is None:
            raise Obstacle("a kernel refused what it was given")
        given = [v.array for v in carry]
        given += [np.stack(pair) for pair in zip(*[[v.array for v in y] for y in ys], strict=True)]
        if self.reverse:
            found = [*found[: len(carry)], *[y[::-1] for y in found[len(carry) :]]]
        for a, b in zip(found, given, strict=True):
            if not _close(a, b, self.plan.tolerance):
                raise Obstacle(
                    "compiled, it gives something else than in Python, by up to "
                    f"{_distance(a, b):.3g}: it depends on what is not among its arguments"
                )
        self.steps_read = carry, ys

    def check_gradients(self, given):
        """Raise unless the loop gives for the two steps that were read the tape's gradients.

        It is done once for a program.

        Args:
            given: of each leaf of the carry, and of the ys, whether it has a gradient.
        """
        if given in self.plan.trusted:
            return
        kept, length = self.arrays, self.steps.length
        try:
            self.arrays = {
                (role, i): array[: array.size // (length + 1) * 3]
                if role == "states"
                else array[: array.size // length * 2]
                for (role, i), array in kept.items()
            }
            with using_config("hooks", ()), using_config("debug", False):
                self._compare_gradients(given)
        except NumbaError as error:
            raise Obstacle(f"Numba cannot compile it: {str(error).splitlines()[-1]}") from error
        finally:
            self.arrays = kept
        self.plan.trusted.add(given)

    def _compare_gradients(self, given):
        rng = np.random.default_rng(0)
        (carry, ys), seeds, gys = self.steps_read, {}, []
        for v, w in zip(carry, given[: len(carry)], strict=True):
            gys.append(rng.standard_normal(v.shape).astype(v.dtype) if w else None)
            if w and v.node is not None:
                seeds[v.node] = _added(seeds.get(v.node), gys[-1])
        for i, w in enumerate(given[len(carry) :]):
            pair = [y[i] for y in ys]
            gy = rng.standard_normal((2, *pair[0].shape)).astype(pair[0].dtype) if w else None
            gys.append(gy[::-1] if w and self.reverse else gy)
            for v, g in zip(pair, gy if w else (), strict=bool(w)):
                if v.node is not None:
                    seeds[v.node] = _added(seeds.get(v.node), g)
        nodes = [getattr(x, "node", None) for x in self.inputs]
        targets = {n for n in nodes if n is not None}
        expected = sweep(seeds, targets, retain=None, ends=targets) if seeds else {}
        found = self.backward(gys, 2)
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
        pairs = []
        for node, gx in totals.items():
            gx = dense(gx)
            other = expected.get(node)
            pairs.append((gx, np.zeros_like(gx) if other is None else other))
        # What cancels out may differ by what is small for others.
        largest = max([_largest(g) for g in (*seeds.values(), *[g for _, g in pairs])], default=0)
        tolerance = self.plan.tolerance
        for gx, other in pairs:
            if not _close(gx, other, tolerance, 0.1 * tolerance * largest):
                raise Obstacle(
                    "compiled, its gradient differs from that of the plain loop by up to "
                    f"{_distance(gx, other):.3g}"
                )

    # -- forward -----------------------------------------------------------------------------

    def forward(self, length):
        """The last carry and the ys as arrays; ``None`` if a kernel refused."""
        plan = self.plan
        self.arrays = arrays = {}
        arguments = []
        for a in plan.forward.arrays:
            arguments.append(self._argument(a, length))
            arrays[a.role, a.i] = arguments[-1]
        statuses = self._run(plan.forward, length, 1, lambda: arguments)
        if any(status >= 0 for _, status in statuses):
            return None
        return self.outputs(length)

    def outputs(self, length):
        """The last carry and the ys, from the arrays that the loop has filled."""
        arrays, plan, outputs = self.arrays, self.plan, []
        for i, array in enumerate(self.carry):
            if ("states", i) in arrays:
                last = arrays["states", i].reshape(length + 1, *array.shape)[length].copy()
            else:
                last = arrays["carry", i].reshape(array.shape)
            outputs.append(last)
        shared = set()
        for i, ref in enumerate(plan.program.ys):
            if ("ys", i) in arrays:
                y = arrays["ys", i].reshape(length, *ref.shape)
            else:
                same = [k for k, c in enumerate(plan.program.carry) if c.value is ref.value]
                n = next(k for k in same if ("states", k) in arrays)
                y = arrays["states", n].reshape(length + 1, *ref.shape)[1:]
                y = y.copy() if n in shared else y
                shared.add(n)
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
            states = buffer((length + 1) * init.size, init.dtype).reshape(length + 1, -1)
            states[0] = init.reshape(-1)
            return states.reshape(-1)
        if a.role == "ys":
            v = plan.program.ys[a.i].value
        else:
            v = plan.program.trace.values[a.i]
        return buffer(length * math.prod(v.shape), v.dtype)

    def _external(self, i):
        constants = self.plan.program.trace.constants
        return self.externals[i] if i < len(self.externals) else constants[i - len(self.externals)]

    def _run(self, loop, length, block, arguments_of):
        """Run a loop for all rows, on one thread or on several; what each was called with too."""
        rows = self.plan.rows or 1
        numbers = block, self.key, self.position
        own = arguments_of()
        function = function_of(loop, (length, rows, 0, rows, *numbers, *own))

        def work(first, last):
            arguments = own if first == 0 else arguments_of()
            return arguments, function(length, rows, first, last - first, *numbers, *arguments)

        return share(work, rows, self.pieces)

    # -- backward ----------------------------------------------------------------------------

    def backward(self, gys, length):
        """The gradients of the leaves of the carry and of xs and of the externals, or ``None``."""
        plan, n = self.plan, len(self.carry)
        gcarry, gys = list(gys[:n]), list(gys[n:])
        given = tuple([gy is not None for gy in (*gcarry, *gys)])
        program, loop, kept = plan.backward(given, self.steps.length)
        shared = {}
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
                if gy is None:
                    ref = program.ys[a.i]
                    gy = np.zeros((length, *ref.shape), ref.value.dtype)
                shared[a] = _vector(gy[::-1] if self.reverse else gy)
            elif a.role == "gx":
                x = self.xs[a.i]
                shared[a] = np.empty(length * math.prod(x.shape[1:]), x.dtype)
            elif a.role == "rows":
                v = program.terms[a.i].refs[1].value
                shared[a] = np.empty(length * math.prod(v.shape), v.dtype)
            elif (a.role, a.i) in self.arrays and a.role != "external":
                shared[a] = self.arrays[a.role, a.i]
            else:
                shared[a] = self._argument(a, length)

        def arguments():
            return [
                np.zeros(self._term_size(program, a.i), self.externals[program.terms[a.i].external].dtype)
                if a.role == "term"
                else shared[a]
                for a in loop.arrays
            ]

        wide = loop.width * (plan.rows or 1) * 4
        block = max(1, min(length, BLOCK // max(wide, 1))) if loop.width else length
        results = self._run(loop, length, block, arguments)
        if any(status >= 0 for _, status in results):
            raise RuntimeError("scan: a kernel refused in the backward pass what it gave forward")
        at = {(a.role, a.i): k for k, a in enumerate(loop.arrays)}
        gradients = []
        for i, array in enumerate(self.carry):
            gx = None
            if i in program.gcarry and i in program.reached:
                gx = shared[loop.arrays[at["gcarry", i]]].reshape(array.shape)
            gradients.append(gx)
        for i, x in enumerate(self.xs):
            gx = None
            if i in program.gxs:
                gx = shared[loop.arrays[at["gx", i]]].reshape(length, *x.shape[1:])
                gx = gx[::-1] if self.reverse else gx
            gradients.append(gx)
        totals = [None] * len(self.externals)
        for k, term in enumerate(program.terms):
            if k in kept:
                ids, shape = term.refs[0].value.settings[0], self.externals[term.external].shape
                gy = shared[loop.arrays[at["rows", k]]].reshape(-1, shape[1])
                rows = Rows(self._ids(ids, length), gy, shape)
                totals[term.external] = _added(totals[term.external], rows)
                continue
            place = at["term", k]
            g = results[0][0][place]
            for others, _ in results[1:]:
                g = g + others[place]
            shape = self.externals[term.external].shape
            if term.kind == "product":
                g = g.reshape(shape[::-1]).T if term.transposed else g.reshape(shape)
            totals[term.external] = _added(totals[term.external], g.reshape(shape))
        return gradients + totals

    def _ids(self, i, length):
        return self._argument(code.Array("x", i), length)

    def _term_size(self, program, k):
        return self.externals[program.terms[k].external].size

    # -- on the tape -------------------------------------------------------------------------

    def record(self, outputs):
        """The outputs as Variables: the leaves of the carry, and of ys."""
        self.outputs_like = [(y.shape, y.dtype) for y in outputs]
        n = len(self.carry)
        want = (*self.plan.want.returned, *self.plan.want.ys)
        if not self.plan.backprop:
            made = [variable_at(None, y) for y in outputs]
        else:
            made = Scan(self, tuple(outputs)).apply(*self.inputs)
            made = [v if w else variable_at(None, v.array) for v, w in zip(made, want, strict=True)]
        return made[:n], made[n:]


# Large arrays of former scans, which nobody refers to any more, are used again: the first touch of
# fresh memory costs more than most of what is done in it.
_buffers = []
_buffers_lock = threading.Lock()
MANY_BUFFERS = 1 << 28
WORTH_KEEPING = 1 << 17


def buffer(size, dtype):
    """An uninitialized vector."""
    n = size * np.dtype(dtype).itemsize
    if n < WORTH_KEEPING:
        return np.empty(size, dtype)
    with _buffers_lock:
        fitting = [b for b in _buffers if n <= b.size <= 2 * n]
        for i in range(len(fitting)):
            # One reference is the list's here, one the list's above, one getrefcount's.
            if sys.getrefcount(fitting[i]) == 3:
                return fitting[i][:n].view(dtype)
        new = np.empty(n, np.uint8)
        _buffers.append(new)
        while sum([b.size for b in _buffers]) > MANY_BUFFERS:
            _buffers.pop(0)
        return new.view(dtype)


def _vector(array):
    """The elements in one row, in an array that may be written to, as all others are."""
    vector = np.ascontiguousarray(array).reshape(-1)
    return vector if vector.flags.writeable else vector.copy()


def _added(a, b):
    return b if a is None else a + b


def _close(a, b, tolerance, small=0.0):
    """Whether two arrays differ by no more than roundings do."""
    if np.array_equal(a, b) or a.dtype.kind != "f":
        return np.array_equal(a, b)
    with np.errstate(all="ignore"):
        nearly = max(tolerance * _largest(b), small, 1e-30)
        return np.allclose(a, b, rtol=tolerance, atol=nearly, equal_nan=True)


def _largest(a):
    return float(np.abs(a[np.isfinite(a)]).max(initial=0))


def _distance(a, b):
    with np.errstate(all="ignore"):
        return float(np.max(np.abs(a.astype(float) - b.astype(float)), initial=0))


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
            for v, array in zip((*carry, *ys), run.outputs(run.steps.length), strict=True):
                if not _close(v.array, array, run.plan.tolerance):
                    raise RuntimeError(
                        "scan: run again for its gradient, the step gave something else than the "
                        "first time; it must depend on nothing that changes in between"
                    )
            return (*carry, *ys)

        again = Forget(loop, None, leaves, run.state)
        again.train = run.train
        again.inputs, again.saved = self.inputs, self.saved[:leaves]
        return again.backward(*gys)

    def unchain(self):
        super().unchain()
        self.run = None
