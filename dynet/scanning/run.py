"""One scan that runs compiled: its arrays, the calls of its loops, and whether to trust them.

The first two steps have run in Python too. What they gave is compared with what the loop gives, at
every call; their gradients, by the tape, with those of the loop back, once for a program.
"""

import copy
import math
from typing import Any

import numpy as np
from numba.core.errors import NumbaError

from .. import random
from ..backprop import sweep
from ..config import config, using_config
from ..function import variable_at
from ..functions.checks import raw
from ..kernels.threads import available_cores, share
from ..terms import Rows, dense
from .compiled import function_of
from .grouping import Array
from .memory import buffer
from .record import Obstacle

# A block of steps has at least so many bytes of each factor of a product that is taken over all of
# them.
BLOCK = 1 << 16
# With less work than this, in elements computed, a second thread gains nothing.
WORTH_A_THREAD = 4e6


class Run:
    """One scan: its arrays, and what the backward pass needs of them.

    Attributes:
        plan, steps: of the scan.
        carry, xs, externals (list): the arrays of the first carry, of xs, and closed over.
        inputs (list): the same as Variables, where they have a node on the tape.
        state, train: the stream of random numbers at its start, and whether it trained.
        arrays (dict): what the loop was called with, by role and number.
        steps_read: what the first two steps gave in Python; ``None`` where they did not run there.
        outputs_like (list): the shape and dtype of each output.
        xp (module): of the arrays.
    """

    xp: Any = np
    _buffer = staticmethod(buffer)

    def __init__(self, plan, steps, externals, state):
        self.plan = plan
        self.steps = copy.copy(steps)
        self.reverse = steps.reverse
        self.carry = [v.array for v in steps.carry]
        self.xs = [raw(x) for x in steps.xs]
        self.externals = [x for x, _ in externals]
        self.inputs = [*steps.carry, *steps.xs]
        self.inputs += [x if n is None else variable_at(n, x) for x, n in externals]
        self.state, self.train = state, config.train
        self.steps_read = None
        alone = plan.rows is None or plan.cost * steps.length < WORTH_A_THREAD
        self.pieces = 1 if alone else available_cores()
        self.key, self.position = map(np.uint64, state)

    def compiled(self, carry, ys):
        """The last carry and the ys of all steps; ``None`` if a kernel refused.

        Args:
            carry, ys: what the first two steps gave in Python, as Variables: leaves, and for each
                step leaves.

        Raises:
            Obstacle: compiled, they give something else.
        """
        self.steps_read = carry, ys
        given = [v.array for v in carry]
        given += [np.stack(pair) for pair in zip(*[[v.array for v in y] for y in ys], strict=True)]
        try:
            kept = {a.i for a in self.plan.forward.arrays if a.role == "states"}
            if len(kept) < len(carry):
                # Of such a carry only the last one is kept.
                found = self.forward(2)
                if found is None:
                    return None
                self._compare(self._in_order(found, 2), given)
            outputs = self.forward(self.steps.length)
        except Exception as error:
            raise _obstacle(error) from error
        if outputs is not None:
            self._compare(self._of_first_two(outputs), given)
        return outputs

    def _in_order(self, outputs, n):
        """Outputs with the ys of the first ``n`` steps that ran, in the order in which they did."""
        m = len(self.carry)
        return [*outputs[:m], *[y[::-1][:n] if self.reverse else y[:n] for y in outputs[m:]]]

    def _of_first_two(self, outputs):
        """What the outputs, and the carry that was kept, say of the first two steps."""
        found = self._in_order(outputs, 2)
        for i, array in enumerate(self.carry):
            found[i] = None
            if ("states", i) in self.arrays:
                states = self.arrays["states", i].reshape(self.steps.length + 1, *array.shape)
                found[i] = states[2]
        return found

    @staticmethod
    def _send(array, dtype):
        """A NumPy array where the arrays are."""
        return array.astype(dtype)

    @staticmethod
    def _fetch(array):
        """One of the arrays as NumPy's."""
        return array

    def _compare(self, found, given):
        found = [None if a is None else self._fetch(a) for a in found]
        given = [self._fetch(b) for b in given]
        sizes = [_largest(b) for b in given]
        for i, (a, b) in enumerate(zip(found, given, strict=True)):
            # What cancels out is rounded like its summands: those may be as large as other leaves.
            others = [size for k, size in enumerate(sizes) if k != i and size > 0]
            small = 0.01 * self.plan.tolerance * min(others, default=0)
            if a is not None and not close(a, b, self.plan.tolerance, small):
                raise Obstacle(
                    "compiled, it gives something else than in Python, by up to "
                    f"{_distance(a, b):.3g}: it depends on what is not among its arguments"
                )

    def check_gradients(self, given):
        """Raise unless the loop gives for the two steps that were read the tape's gradients.

        It is done once for a program.

        Args:
            given: of each leaf of the carry, and of the ys, whether it has a gradient.
        """
        if given in self.plan.trusted:
            return
        length = self.steps.length
        arrays = {
            (role, i): array[: array.size // (length + 1) * 3]
            if role == "states"
            else array[: array.size // length * 2]
            for (role, i), array in self.arrays.items()
            if role != "still"
        }
        try:
            with using_config("hooks", ()), using_config("debug", False):
                self._compare_gradients(given, arrays)
        except Exception as error:
            raise _obstacle(error) from error
        self.plan.trusted.add(given)

    def _compare_gradients(self, given, arrays):
        rng = np.random.default_rng(0)
        if self.steps_read is None:
            self._read_steps()
        (carry, ys), seeds, gys = self.steps_read, {}, []
        for v, w in zip(carry, given[: len(carry)], strict=True):
            gys.append(self._send(rng.standard_normal(v.shape), v.dtype) if w else None)
            if w and v.node is not None:
                seeds[v.node] = added(seeds.get(v.node), gys[-1])
        for i, w in enumerate(given[len(carry) :]):
            pair = [y[i] for y in ys]
            like = pair[0]
            gy = self._send(rng.standard_normal((2, *like.shape)), like.dtype) if w else None
            gys.append(gy[::-1] if w and self.reverse else gy)
            for v, g in zip(pair, gy if w else (), strict=bool(w)):
                if v.node is not None:
                    seeds[v.node] = added(seeds.get(v.node), g)
        nodes = [getattr(x, "node", None) for x in self.inputs]
        targets = {n for n in nodes if n is not None}
        expected = sweep(seeds, targets, retain=None, ends=targets) if seeds else {}
        found = self.backward(gys, 2, arrays)
        totals = {}
        for i, (node, gx) in enumerate(zip(nodes, found, strict=True)):
            if node is not None and gx is not None:
                at = len(self.carry)
                if at <= i < at + len(self.xs):  # only the first two time steps were swept
                    full = self.xp.zeros(self.xs[i - at].shape, gx.dtype)
                    full[-2:] += gx if self.reverse else 0
                    full[:2] += 0 if self.reverse else gx
                    gx = full
                totals[node] = added(totals.get(node), gx)
        pairs = []
        for node, gx in totals.items():
            gx = self._fetch(dense(gx))
            other = expected.get(node)
            pairs.append((gx, np.zeros_like(gx) if other is None else self._fetch(other)))
        seeds = {node: self._fetch(gy) for node, gy in seeds.items()}
        # What cancels out may differ by what is small for others.
        largest = max([_largest(g) for g in (*seeds.values(), *[g for _, g in pairs])], default=0)
        tolerance = self.plan.tolerance
        for gx, other in pairs:
            if not close(gx, other, tolerance, 0.1 * tolerance * largest):
                raise Obstacle(
                    "compiled, its gradient differs from that of the plain loop by up to "
                    f"{_distance(gx, other):.3g}"
                )

    def check_again(self, leaves):
        """Raise unless the plain loop, run once more, gave what the compiled one has given.

        Args:
            leaves: of the last carry and of ys, as Variables.
        """
        for v, array in zip(leaves, self.outputs(self.steps.length), strict=True):
            if not close(self._fetch(v.array), self._fetch(array), self.plan.tolerance):
                raise RuntimeError(
                    "scan: run again for its gradient, the step gave something else than the "
                    "first time; it must depend on nothing that changes in between"
                )

    def _read_steps(self):
        now = random.get_state()
        random.set_state(self.state)
        try:
            with using_config("train", self.train), using_config("enable_backprop", True):
                carry, ys = self.steps.carry, []
                for t in range(2):
                    carry, y = self.steps(carry, self.steps.x_at(t))
                    ys.append(y)
        finally:
            random.set_state(now)
        self.steps_read = carry, ys

    # -- forward -----------------------------------------------------------------------------

    def forward(self, length):
        """The last carry and the ys as arrays; ``None`` if a kernel refused."""
        plan = self.plan
        self.arrays = arrays = {}
        arguments = []
        for a in plan.forward.arrays:
            arguments.append(self._argument(a, length, plan.program))
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

    @staticmethod
    def _vector(array):
        """The elements in one row, in an array that may be written to, as all others are."""
        vector = np.ascontiguousarray(array).reshape(-1)
        return vector if vector.flags.writeable else vector.copy()

    def _argument(self, a, length, program):
        """What a loop of a program is called with in some place, where it was there before."""
        if a.role == "external":
            return self._vector(self._external(a.i, program).transpose(a.axes))
        if a.role == "x":
            x = self.xs[a.i]
            if self.reverse:
                x = x[::-1]
            return self._vector(x[:length])
        if a.role == "still":
            return self._vector(self.xs[a.i][0])
        if a.role == "carry":
            return self.carry[a.i].flatten()
        if a.role == "states":
            init = self.carry[a.i]
            states = self._buffer((length + 1) * init.size, init.dtype).reshape(length + 1, -1)
            states[0] = init.reshape(-1)
            return states.reshape(-1)
        v = program.ys[a.i].value if a.role == "ys" else program.trace.values[a.i]
        return self._buffer(length * math.prod(v.shape), v.dtype)

    def _external(self, i, program):
        # Each program has constants of its own: of fewer gradients there may be fewer.
        constants = program.trace.constants
        return self.externals[i] if i < len(self.externals) else constants[i - len(self.externals)]

    def _run(self, loop, length, block, arguments_of):
        """Run a loop for all rows, on one thread or on several; what each was called with too."""
        rows = self.plan.rows or 1
        numbers = block, self.key, self.position, loop.numbers
        own = arguments_of()
        function = function_of(loop, (length, rows, 0, rows, *numbers, *own))
        # A carry that all rows share goes from step to step in every part of the rows.
        shared = {
            k: own[k].copy()
            for k, a in enumerate(loop.arrays)
            if a.role in ("carry", "gcarry") and self.plan.program.carry[a.i].batch is None
        }

        def work(first, last):
            arguments = own
            if first > 0:
                arguments = list(arguments_of())
                for k, array in shared.items():
                    arguments[k] = array.copy()
            return arguments, function(length, rows, first, last - first, *numbers, *arguments)

        return share(work, rows, self.pieces)

    # -- backward ----------------------------------------------------------------------------

    def backward(self, gys, length, arrays=None):
        """The gradients of the leaves of the carry and of xs and of the externals, or ``None``.

        Args:
            gys: those of the leaves of the last carry, and of ys, or ``None``.
            length: how many steps to sweep.
            arrays: what the forward pass has kept of them; by default of all.
        """
        arrays = self.arrays if arrays is None else arrays
        plan, n = self.plan, len(self.carry)
        gcarry, gys = list(gys[:n]), list(gys[n:])
        given = tuple([gy is not None for gy in (*gcarry, *gys)])
        program, loop, kept = plan.backward(given, self.steps.length)
        shared = {
            a: self._argument_back(a, program, gcarry, gys, length, arrays)
            for a in loop.arrays
            if a.role != "term"
        }

        def arguments():
            return [
                totals_of(program.terms[a.i]) if a.role == "term" else shared[a]
                for a in loop.arrays
            ]

        def totals_of(term):
            array = self.externals[term.external]
            return np.zeros(array.size, array.dtype)

        wide = loop.width * (plan.rows or 1)
        # A product over a block reads and writes a whole total: a large one is worth a large block.
        totals = [self.externals[t.external].nbytes for t in program.terms if t.kind == "product"]
        room = max(BLOCK, 2 * max(totals, default=0))
        block = max(1, min(length, room // max(wide, 1))) if loop.width else length
        results = self._run(loop, length, block, arguments)
        if any(status >= 0 for _, status in results):
            raise RuntimeError("scan: a kernel refused in the backward pass what it gave forward")
        at = {(a.role, a.i): k for k, a in enumerate(loop.arrays)}
        made = {(a.role, a.i): array for a, array in shared.items()}
        gradients = self._gradients_of_leaves(program, made, length)
        found = [None] * len(self.externals)
        for k, term in enumerate(program.terms):
            if k in kept:
                ids, shape = term.refs[0].value.settings[0], self.externals[term.external].shape
                gy = shared[loop.arrays[at["rows", k]]].reshape(-1, shape[1])
                rows = Rows(self._argument(Array("x", ids), length, program), gy, shape)
                found[term.external] = added(found[term.external], rows)
                continue
            place = at["term", k]
            g = results[0][0][place]
            for others, _ in results[1:]:
                g = g + others[place]
            shape = self.externals[term.external].shape
            if term.kind == "product":
                g = g.reshape(shape[::-1]).T if term.transposed else g.reshape(shape)
            found[term.external] = added(found[term.external], g.reshape(shape))
        return gradients + found

    def _argument_back(self, a, program, gcarry, gys, length, arrays):
        """What the loop back is called with in some place; ``arrays``: the forward pass' own."""
        if a.role == "gcarry":
            array, gy = self.carry[a.i], gcarry[a.i]
            return self.xp.zeros(array.size, array.dtype) if gy is None else gy.flatten()
        if a.role == "gy":
            gy = gys[a.i]
            if gy is None:
                ref = program.ys[a.i]
                return self.xp.zeros(length * math.prod(ref.shape), ref.value.dtype)
            return self._vector(gy[::-1] if self.reverse else gy)
        if a.role == "gx":
            x = self.xs[a.i]
            return self._buffer(length * math.prod(x.shape[1:]), x.dtype)
        if a.role == "rows":
            v = program.terms[a.i].refs[1].value
            return self._buffer(length * math.prod(v.shape), v.dtype)
        if (a.role, a.i) in arrays and a.role != "external":
            return arrays[a.role, a.i]
        return self._argument(a, length, program)

    def _gradients_of_leaves(self, program, made, length):
        """Those of the leaves of the carry and of xs, from the arrays that the loop has filled."""
        gradients = []
        for i, array in enumerate(self.carry):
            gx = None
            if i in program.gcarry and i in program.reached:
                gx = made["gcarry", i].reshape(array.shape)
            gradients.append(gx)
        for i, x in enumerate(self.xs):
            gx = None
            if i in program.gxs:
                gx = made["gx", i].reshape(length, *x.shape[1:])
                gx = gx[::-1] if self.reverse else gx
            gradients.append(gx)
        return gradients


def _obstacle(error):
    """What compiling or running a loop raised, as a reason to run the plain one."""
    if isinstance(error, Obstacle):
        return error
    if isinstance(error, NumbaError):
        return Obstacle(f"Numba cannot compile it: {str(error).splitlines()[-1]}")
    return Obstacle(f"compiled, it raises {type(error).__name__}: {error}")


def added(a, b):
    return b if a is None else a + b


def close(a, b, tolerance, small=0.0):
    """Whether two arrays differ by no more than roundings do."""
    if np.array_equal(a, b) or a.dtype.kind != "f":
        return np.array_equal(a, b)
    with np.errstate(all="ignore"):
        nearly = max(tolerance * _largest(b), small, 1e-30)
        return np.allclose(a, b, rtol=tolerance, atol=nearly, equal_nan=True)


def _largest(a):
    if a.dtype.kind != "f":
        return 0.0
    return float(np.abs(a[np.isfinite(a)]).max(initial=0))


def _distance(a, b):
    with np.errstate(all="ignore"):
        return float(np.max(np.abs(a.astype(float) - b.astype(float)), initial=0))
