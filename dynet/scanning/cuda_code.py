"""From a program to CUDA: a time step as phases, for one kernel over all steps, or for many.

Each phase is a device function that some threads share out among themselves: every element of what
it computes is one thread's work. The threads of a block, for some rows of the batch, go from phase
to phase by a barrier and from step to step by a loop; so all time steps are one launch, and what
the step computes and multiplies by stays in the multiprocessor's shared memory. Where that is too
small, the threads of the whole GPU do a phase for all rows, which is a kernel of its own, and the
launches of many steps make a CUDA graph. The text of the phases is the same.

What a step computes is *local*: memory for the rows at hand, used anew at every step. What the
backward pass reads, or the caller gets, is written besides into arrays with time first; so are the
factors of the gradients of what the step closes over, which are multiplied when the loop is over.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..kernels.cuda import C_TYPES, WARP, twin_of
from .cuda_source import TILE, Room, rounded, source_of
from .elementwise import IN_C
from .grouping import (
    Array,
    axes_together,
    groups_of,
    keeps_states,
    may_overwrite,
    only_summed,
    outputs_of_kernels,
    parts_of,
    positions_of,
    readers_of,
    roots_of,
    row_size,
    stored_at,
)
from .program import GIVEN, Program
from .record import Obstacle
from .storing import alive_values
from .traced import Ref, Reserved, Value, layout

# Elements are counted in 32 bits, up to one for each thread of a GPU beyond the last.
TOO_MANY = 1 << 30


class Phase(NamedTuple):
    """Some lines, whose loops threads share out: how many items, what is used, what is written."""

    lines: list
    items: Callable[[int], int] | None
    used: set
    written: set


class CudaCode(NamedTuple):
    """The source of a loop, and what it is to be called with.

    Attributes:
        source (str): for NVRTC.
        arrays (list of Array): what comes from outside, in the order of the parameters.
        rooms (list of Room): the local arrays.
        weights (list): of each matrix that is multiplied by how many bytes it takes.
        over_time (dict): by the number of a value that terms are made of, where it is at all time
            steps: the role and number of an array, and how many steps ahead.
        like (dict): of each array with time first the shape and dtype at a step.
        stages (list): of each, a function from how many rows there are to how many items it has.
        numbers (numpy.ndarray): the values of its ``numbers``.
        late (bool): whether the loop goes backwards.
    """

    source: str
    arrays: list
    rooms: list
    weights: list
    over_time: dict
    like: dict
    stages: list[Callable[[int], int]]
    numbers: np.ndarray
    late: bool


def forward(program: Program, stored: set) -> CudaCode:
    """The loop of the steps.

    Args:
        stored: the numbers of the values that are kept for the backward pass.
    """
    return _Writer(program, stored, late=False).write()


def backward(program: Program, stored: set) -> CudaCode:
    """The loop back through the steps."""
    return _Writer(program, stored, late=True).write()


class _Writer:
    """Writes one of the two loops."""

    def __init__(self, program, stored, late):
        self.program, self.stored, self.late = program, stored, late
        self.arrays = {}  # by name: Array
        self.like = {}  # of arrays with time first: their shape and dtype at a step
        self.rooms = {}  # by name: Room
        self.weights = {}  # by name: the dtype and the number of elements
        self.numbers = {}  # the names of numbers of some dtype
        self.homes = {}  # of values by number: where it is read; a pointer's name and where in it
        self.also = {}  # of values by number: where it is written besides
        self.phases = []
        self.lines = []  # of the phase that is being written,
        self.pointers = {}  # its pointers, by name: their type and text,
        self.written = set()  # and the arrays that it writes
        self.kernels = {}  # by twin: nothing
        self.heads = outputs_of_kernels(program)
        self.inside = {}  # of values by number: the view of another that they are computed into
        self.filled = []  # pairs: a value of one number that is read as an array, and its home
        self.copied = []  # pairs: a value, and a home to copy it to when a step is over

    # -- where things are ----------------------------------------------------------------------

    def given(self, role, i, dtype, axes=None):
        """The name of an array from outside."""
        name = f"{role}{i}" + ("" if axes is None or axes == tuple(range(len(axes))) else "_T")
        self.arrays[name] = Array(role, i, axes), C_TYPES[dtype.char]
        return name

    def at_time(self, role, v, i, t="t"):
        """A home at a time step, in an array with time first."""
        name = self.given(role, i, v.dtype)
        self.like[role, i] = v.shape, v.dtype
        size = row_size(v)
        place = f"{t} * {size}" if v.batch is None else f"({t} * g.total + first) * {size}"
        return f"g.{name}", place

    def local(self, name, v):
        """A home for the rows at hand."""
        size = row_size(v) * v.dtype.itemsize
        fixed = v.batch is None
        self.rooms[name] = Room(
            name, C_TYPES[v.dtype.char], 0 if fixed else size, size if fixed else 0
        )
        return f"l.{name}", "0"

    def home(self, v: Value):
        """Where a value is read."""
        if v.number in self.homes:
            return self.homes[v.number]
        if v.kind == "external":
            (i,) = v.settings
            home = f"g.{self.given('external', i, v.dtype, tuple(range(len(v.shape))))}", "0"
        elif v.kind == "x" and v.settings[0] in self.program.trace.still:
            name = self.given("still", v.settings[0], v.dtype)
            home = f"g.{name}", "0" if v.batch is None else f"first * {row_size(v)}"
        elif v.kind == ("gcarry" if self.late else "carry"):
            home = self.local(f"{v.kind}{v.settings[0]}", v)
        elif v.kind in ("x", "gy") or (self.late and not v.late and v.kind != "filled"):
            role, i, ahead = self.place_over_time(v)
            home = self.at_time(role, v, i, "(t + 1)" if ahead else "t")
        else:
            home = self.local(f"v{v.number}", v)
            if v.kind == "filled":
                self.filled.append((v, home))
        self.homes[v.number] = home
        return home

    def place_over_time(self, v):
        """The array with time first where a value is: its role and number, and how far ahead."""
        if v.kind == "x" and v.settings[0] in self.program.trace.still:
            return "still", v.settings[0], 0
        if v.kind in ("x", "gy", "external"):
            return v.kind, v.settings[0], 0
        if v.kind == "carry":
            return "states", v.settings[0], 0
        if v.late:
            return "late", v.number, 0
        return stored_at(self.program, v)

    def settle(self):
        """Say what has to be in arrays with time first, besides being local."""
        program = self.program
        if not self.late:
            in_states = set()
            for i, ref in enumerate(program.carry):
                if keeps_states(self.program, self.stored, i):
                    self.also_at(ref.value, self.at_time("states", ref.value, i, "(t + 1)"))
                    in_states.add(ref.value.number)
            returned = set()
            for i, ref in enumerate(program.ys):
                if ref.value.number not in in_states:
                    self.also_at(ref.value, self.at_time("ys", ref.value, i))
                    returned.add(ref.value.number)
            for v in program.trace.values:
                n = v.number
                if n in self.stored and v.kind != "carry" and n not in in_states | returned:
                    self.also_at(v, self.at_time("stack", v, n))
            return
        for i, ref in program.gxs.items():
            self.also_at(ref.value, self.at_time("gx", ref.value, i))
        for ref in self.over_time():
            v = ref.value
            if v.late and v.kind not in GIVEN:
                self.also_at(v, self.at_time("late", v, v.number))

    def over_time(self):
        """The views that have to be there at all time steps, when the loop is over."""
        refs = []
        for term in self.program.terms:
            if term.kind != "sum":
                refs += term.refs
            elif term.refs[0].value in self.summed:
                refs += term.refs[0].value.operands
        return refs

    @staticmethod
    def is_over_time(v):
        """Whether a value can be had at all time steps, of all rows."""
        return v.kind not in ("gcarry", "filled", "external") and not v.partial

    def also_at(self, v, home):
        homes = self.also.setdefault(v.number, [])
        if home not in homes:
            homes.append(home)

    # -- the whole -----------------------------------------------------------------------------

    def write(self) -> CudaCode:
        program = self.program
        for v in program.trace.values:
            if math.prod(v.shape) >= TOO_MANY:
                raise Obstacle(f"it computes an array of {math.prod(v.shape)} elements")
        roots = roots_of(program, self.stored, self.late)
        alive = alive_values(roots, self.late)
        self.readers = readers_of(alive)
        self.summed = [
            v
            for v in (only_summed(program, roots, self.readers) if self.late else ())
            if self.is_over_time(v.operands[0].value)
        ]
        self.settle()
        groups = [g for g in groups_of(alive) if g[0] not in self.summed]
        self.settle_carry(groups)
        self.needed = {r.value.number for r in roots}
        self.settle_parts(groups)
        for group in groups:
            if group[0].kind == "map":
                self.write_fused(group)
            else:
                getattr(self, f"write_{group[0].kind}")(group[0])
        if self.late:
            self.write_terms()
        self.write_copies(groups)
        begin, end = self.begin_and_end()
        arrays = [array for array, _ in self.arrays.values()]
        # Where there are none, memory all the same: a pointer to something.
        values = np.array([x for x, _ in self.numbers] or [0], np.float64)
        return CudaCode(
            source_of(
                [(c_type, name) for name, (_, c_type) in self.arrays.items()],
                list(self.rooms.values()),
                [(C_TYPES[dtype.char], name, n) for name, (dtype, n) in self.weights.items()],
                [twin.source for twin in self.kernels],
                [[begin], *[[p.lines for p in stage] for stage in self.stages()], [end]],
                self.late,
            ),
            arrays,
            list(self.rooms.values()),
            [rounded(n * dtype.itemsize) for dtype, n in self.weights.values()],
            {ref.value.number: self.place_over_time(ref.value) for ref in self.over_time()},
            self.like,
            [_most([phase.items for phase in stage]) for stage in self.stages()],
            values,
            self.late,
        )

    def settle_carry(self, groups):
        """Say where the next carry is written: into the last one, once nobody reads that any more.

        What is left is copied when a step is over.
        """
        kind = "gcarry" if self.late else "carry"
        leaves = self.program.gcarry if self.late else dict(enumerate(self.program.carry))
        for i, ref in leaves.items():
            v = ref.value
            home = self.local(f"{kind}{i}", v)
            if may_overwrite(v, kind, i, groups, self.summed):
                self.also_at(v, home)
            else:
                self.copied.append((v, home))

    def settle_parts(self, groups):
        """Let what is only joined with others be computed where it is joined."""
        for joined in [group[0] for group in groups if group[0].kind == "joined"]:
            if self.targets(joined)[0][0].startswith(("l.carry", "l.gcarry")):
                continue  # the last carry stands there, which others may read until then
            self.inside |= parts_of(joined, self.readers, self.needed | set(self.also))

    def targets(self, v, group=()):
        """Where a value is written: where it is read, if anybody does, and where it has to be."""
        members = {m.number for m in group}
        also = self.also.get(v.number, [])
        read = any(w.number not in members for w, _ in self.readers.get(v.number, ()))
        read = read or any(v is w for w, _ in self.copied)
        if v.number not in self.homes and also and not read:
            self.homes[v.number] = also[0]  # it need not be local
        return list(dict.fromkeys([self.home(v), *also]))

    # -- phases --------------------------------------------------------------------------------

    def phase(self, items: Callable[[int], int]):
        """End a phase, and say how many items it has."""
        top = [f"{c_type}* {name} = {text};" for name, (c_type, text) in self.pointers.items()]
        used = {text.split(" + ")[0] for _, text in self.pointers.values()}
        self.phases.append(Phase([*top, *self.lines], items, used, self.written))
        self.lines, self.pointers, self.written = [], {}, set()

    def stages(self):
        """The phases together that need not wait for one another."""
        stages = []
        for phase in self.phases:
            waits = not stages or any(
                other.written & phase.used or other.used & phase.written for other in stages[-1]
            )
            if waits:
                stages.append([])
            stages[-1].append(phase)
        return stages

    def pointer(self, home, dtype, written=False):
        """The name, in the phase that is being written, of a pointer to a home."""
        array, at = home
        if written:
            self.written.add(array)
        text = array if at == "0" else f"{array} + {at}"
        c_type = C_TYPES[dtype.char]
        for name, known in self.pointers.items():
            if known == (c_type, text):
                return name
        name = f"p{len(self.pointers)}"
        self.pointers[name] = c_type, text
        return name

    def element(self, ref, index, home=None):
        """An element of a view, as text; in a home of its own, it is to be written there."""
        place = " + ".join([p for p in (str(ref.offset), index) if p not in ("0", "")]) or "0"
        array = self.pointer(home or self.home(ref.value), ref.value.dtype, home is not None)
        return f"{array}[{place}]"

    def each_item(self, shape, batch, strides):
        """Begin a loop over the elements of a shape: for each list of strides the index in them.

        Returns also a function that counts the elements.
        """
        dims = axes_together(shape, batch, strides)
        per_row = math.prod([n for n, _, _ in dims])
        by_rows = batch is not None
        extent = f"rows * {per_row}" if by_rows else str(per_row)
        self.lines.append(f"for (int i = thread; i < {extent}; i += threads) {{")
        indices = [[] for _ in strides]
        rest = "i"
        for k in reversed(range(len(dims))):
            n, _, own = dims[k]
            if k == 0:
                name = rest  # the slowest axis: what is left
            else:
                name, left = f"i{k}", f"r{k}"
                self.lines.append(f"    int {name} = {rest} % {n}, {left} = {rest} / {n};")
                rest = left
            for index, stride in zip(indices, own, strict=True):
                if stride:
                    index.append(name if stride == 1 else f"{name} * {stride}")
        return (
            [" + ".join(reversed(index)) for index in indices],
            lambda rows: per_row * (rows if by_rows else 1),
        )

    def write_fused(self, group):
        members = {v.number for v in group}
        stores = []
        for v in group:
            outside = any(w.number not in members for w, _ in self.readers.get(v.number, ()))
            if v.number in self.inside:
                home = self.targets(self.readers[v.number][0][0])[0]
                stores.append((v, self.inside[v.number], home))
            elif outside or v.number in self.needed or v.number in self.also:
                stores += [(v, v.ref, home) for home in self.targets(v, group)]
        loads = []
        for v in group:
            for ref in v.operands:
                if isinstance(ref, Ref) and ref.value.number not in members and ref not in loads:
                    loads.append(ref)
        loads = [ref for ref in loads if ref.value.kind != "filled"]
        strides = [r.strides for r in loads] + [ref.strides for _, ref, _ in stores]
        indices, items = self.each_item(group[0].shape, group[0].batch, strides)
        names = {}
        for n, (ref, index) in enumerate(zip(loads, indices, strict=False)):
            c_type = C_TYPES[ref.value.dtype.char]
            self.lines.append(f"    {c_type} u{n} = {self.element(ref, index)};")
            names[ref] = f"u{n}"
        for v in group:
            c_type = C_TYPES[v.dtype.char]
            self.lines.append(f"    {c_type} w{v.number} = {self.formula(v, names, members)};")
        for (v, ref, home), index in zip(stores, indices[len(loads) :], strict=True):
            self.lines.append(f"    {self.element(ref, index, home)} = w{v.number};")
        self.lines.append("}")
        self.phase(items)

    def formula(self, v, names, members):
        name, chars = v.settings
        if name not in IN_C:
            raise Obstacle(f"it uses NumPy's {name}, which is not known in CUDA here")
        operands = []
        for x, char in zip(v.operands, chars, strict=True):
            if not isinstance(x, Ref):
                operands.append(self.number(x, char))
            elif x.value.number in members:
                operands.append(_cast(f"w{x.value.number}", x.value.dtype.char, char))
            elif x.value.kind == "filled":
                operands.append(self.number(x.value.settings[0], char))
            else:
                operands.append(_cast(names[x], x.value.dtype.char, char))
        text = IN_C[name].format(*operands, one=_literal(1, chars[0]), zero=_literal(0, chars[0]))
        return f"({C_TYPES[v.dtype.char]}){text}"

    def number(self, x, char):
        """A number as text: of a float only where it stands, so that others need no new source."""
        if np.dtype(char).kind != "f" or x in (0, 0.5, 1, -1, 2) or not math.isfinite(x):
            return _literal(x, char)
        place = self.numbers.setdefault((x, char), len(self.numbers))
        return f"(({C_TYPES[char]})g.numbers[{place}])"

    def read(self, ref, index):
        if ref.value.kind == "filled":
            return self.number(ref.value.settings[0], ref.value.dtype.char)
        return self.element(ref, index)

    def write_reduce(self, v):
        name, n_kept = v.settings
        (x,) = v.operands
        out = self.targets(v)[0]
        strides = [x.strides[:n_kept], v.ref.strides]
        (from_, to), items = self.each_item(v.shape, v.batch, strides)
        char = v.dtype.char
        begin = {"add": _literal(0, char), "multiply": _literal(1, char)}.get(name)
        self.lines.append(f"    {C_TYPES[char]} r = {begin or self.read(x, from_)};")
        inner = [from_] * bool(from_)
        for a in range(n_kept, x.ndim):
            n = "rows" if a == x.batch else x.shape[a]
            self.lines.append(f"    for (int j{a} = 0; j{a} < {n}; j{a}++)")
            inner.append(f"j{a} * {x.strides[a]}")
        self.lines.append(f"    {{ {C_TYPES[char]} u = {self.read(x, ' + '.join(inner))};")
        self.lines.append(f"      r = {IN_C[name].format('r', 'u')}; }}")
        self.lines += [f"    {self.element(v.ref, to, out)} = r;", "}"]
        self.phase(items)

    def write_product(self, v):
        a, b = v.operands
        out = self.targets(v)[0]
        lead = v.ref.ndim - 2
        rows, columns = v.shape[lead:]
        rows = "rows" if v.batch == lead else rows
        steps = "rows" if a.batch is not None and a.batch == a.ndim - 1 else a.shape[-1]
        tiles = f"(rows + {TILE - 1}) / {TILE}" if rows == "rows" else str(-(-rows // TILE))
        shape = (*v.shape[:lead], 1)
        batch = v.batch if v.batch is not None and v.batch < lead else None
        strides = [(*r.strides[:lead], 0) for r in (a, b, v.ref)]
        # The matrices before the last two axes, and the tiles and columns of each.
        at, matrices = len(self.lines), self.each_item(shape, batch, strides)
        indices, count = matrices
        own = self.lines[at + 1 :]
        del self.lines[at:]
        extent = f"rows * {count(1)}" if batch is not None else str(count(1))
        width = max(1, min(WARP, columns))
        padded = -(-columns // width) * width
        self.lines.append(f"int each = {tiles} * {padded};")
        self.lines.append(f"for (int item = thread; item < {extent} * each; item += threads) {{")
        if lead:
            self.lines.append("    int i = item / each;")
        self.lines += own
        b_text, b_row = self.matrix(b, indices[1])
        self.lines.append(
            f"    product(&{self.element(a, indices[0])}, {a.strides[-2]}, {a.strides[-1]}, "
            f"{b_text}, {b_row}, &{self.element(v.ref, indices[2], out)}, {v.ref.strides[-2]}, "
            f"{rows}, {columns}, {steps}, {width}, {'item % each' if lead else 'item'});"
        )
        self.lines.append("}")

        def items(n):
            m = n if rows == "rows" else rows
            return count(n) * -(-m // TILE) * padded

        self.phase(items)

    def matrix(self, b, index):
        """A matrix whose columns lie side by side, as text, and the distance of its rows."""
        whole = b.whole or (b.ndim == 2 and b.transpose((1, 0)).whole)
        if b.value.kind == "external" and b.ndim == 2 and whole:
            straight = b.strides[-1] == 1 or b.shape[-1] == 1
            axes = (0, 1) if straight else (1, 0)
            (i,) = b.value.settings
            name = self.given("external", i, b.value.dtype, axes)
            self.weights[name] = b.value.dtype, math.prod(b.shape)
            return f"l.{name}", b.strides[-2] if straight else b.shape[-1]
        if b.strides[-1] == 1 or b.shape[-1] == 1:
            return f"&{self.element(b, index)}", b.strides[-2]
        (i,) = b.value.settings
        return f"g.{self.given('external', i, b.value.dtype, (1, 0))}", b.shape[-1]

    def write_joined(self, v):
        axis, starts = v.settings
        out = self.targets(v)[0]
        counts = []
        for ref, start in zip(v.operands, starts, strict=True):
            if ref.value.number in self.inside:
                continue
            target = v.ref._replace(offset=start * v.ref.strides[axis], shape=ref.shape)
            (from_, to), items = self.each_item(ref.shape, ref.batch, [ref.strides, target.strides])
            self.lines.append(f"    {self.element(target, to, out)} = {self.read(ref, from_)};")
            self.lines.append("}")
            counts.append(items)
        if counts:
            self.phase(_most(counts))

    def write_placed(self, v):
        out = self.targets(v)[0]
        covered = np.zeros(math.prod(v.shape), int)
        for (offset, strides), ref in zip(v.settings, v.operands, strict=True):
            np.add.at(covered, positions_of(offset, strides, ref.shape), 1)
        once = bool((covered == 1).all())
        if not once:
            (index,), items = self.each_item(v.shape, v.batch, [v.ref.strides])
            zero = _literal(0, v.dtype.char)
            self.lines += [f"    {self.element(v.ref, index, out)} = {zero};", "}"]
            self.phase(items)
        counts = []
        for (offset, strides), ref in zip(v.settings, v.operands, strict=True):
            (from_, to), items = self.each_item(ref.shape, ref.batch, [ref.strides, strides])
            place = self.element(v.ref._replace(offset=offset), to, out)
            self.lines += [f"    {place} {'=' if once else '+='} {self.read(ref, from_)};", "}"]
            counts.append(items)
            if not once:  # the next one may add to the same places
                self.phase(items)
        if once:
            self.phase(_most(counts))

    def write_taken(self, v):
        x, positions = v.operands
        out = self.targets(v)[0]
        n, row = math.prod(positions.shape), row_size(x)
        extent = f"rows * {n}" if v.batch is not None else str(n)
        self.lines.append(f"for (int i = thread; i < {extent}; i += threads) {{")
        at = f"i / {n} * {row} + {self.element(positions, f'i % {n}')}"
        self.lines += [f"    {self.element(v.ref, 'i', out)} = {self.read(x, at)};", "}"]
        self.phase(lambda rows: n * (rows if v.batch is not None else 1))

    def write_scattered(self, v):
        gy, positions = v.operands
        out = self.targets(v)[0]
        n, row = math.prod(positions.shape), row_size(v.ref)
        # A row is one thread's, as several of its positions may be one.
        extent = "rows" if v.batch is not None else "1"
        self.lines.append(f"for (int i = thread; i < {extent}; i += threads) {{")
        zero = _literal(0, v.dtype.char)
        place = self.element(v.ref, f"i * {row} + j", out)
        self.lines.append(f"    for (int j = 0; j < {row}; j++) {place} = {zero};")
        place = self.element(v.ref, f"i * {row} + {self.element(positions, 'j')}", out)
        added = self.read(gy, f"i * {n} + j")
        self.lines.append(f"    for (int j = 0; j < {n}; j++) {place} += {added};")
        self.lines.append("}")
        self.phase(lambda rows: rows if v.batch is not None else 1)

    def write_kernel(self, v):
        kernel, settings = v.settings
        twin = twin_of(kernel)
        if twin is None:
            raise Obstacle(f"it uses the kernel {kernel.py_func.__name__}, which has no CUDA twin")
        self.kernels[twin] = None
        outputs = self.heads[v.number]
        values = [r.value for r in v.operands] + outputs
        arguments = [self.array_of(r.value, self.home(r.value)) for r in v.operands]
        arguments += [self.setting(s) for s in settings]
        arguments += [self.array_of(w, self.targets(w)[0], True) for w in outputs]
        n_arrays = len(v.operands)
        at = twin.work if twin.work < n_arrays else twin.work - len(settings)
        work = values[at]
        by_rows = work.batch is not None
        per_row, each, item = row_size(work), 1, "i"
        if twin.by_rows:
            per_row, each = 1 if work.batch == 0 else work.shape[0], WARP
            item = f"i, thread % {WARP}"
        start, step = [f"{x} / {each}" if each > 1 else x for x in ("thread", "threads")]
        extent = f"rows * {per_row}" if by_rows else str(per_row)
        self.lines.append(f"for (int i = {start}; i < {extent}; i += {step})")
        self.lines.append(f"    {twin.name}({item}, {', '.join(arguments)});")
        self.phase(lambda rows: each * per_row * (rows if by_rows else 1))

    def array_of(self, v, home, written=False):
        """A value as an ``Array`` of the prelude."""
        lengths = ["rows" if a == v.batch else str(n) for a, n in enumerate(v.shape)]
        c_type = C_TYPES[v.dtype.char]
        pointer = self.pointer(home, v.dtype, written)
        return f"Array<{c_type}>{{{pointer}, {{{', '.join(lengths)}}}}}"

    def setting(self, s):
        if isinstance(s, np.generic):
            return self.number(s.item(), s.dtype.char)
        if isinstance(s, bool):
            return str(s).lower()
        if not isinstance(s, Reserved):
            return self.number(s, "d") if isinstance(s, float) else _literal(s, "q")
        if s.what == "key":
            return "g.key"
        rows, fixed = self.program.trace.reserved
        rows_before, fixed_before, per_row = s.value
        of_step = f"t * (g.total * {rows} + {fixed}) + g.total * {rows_before} + {fixed_before}"
        return f"(g.position + (unsigned long long)({of_step} + first * {per_row}))"

    def write_terms(self):
        """Add up what is neither a product over time nor a sum over rows that are kept."""
        counts = []
        for i, term in enumerate(self.program.terms):
            (ref, *_) = term.refs
            if term.kind != "sum" or ref.value in self.summed:
                continue
            name = self.given("term", i, ref.value.dtype)
            home = f"g.{name}", f"(long long)piece * {math.prod(ref.shape)}"
            (from_, to), items = self.each_item(
                ref.shape, None, [ref.strides, layout(ref.shape, None)]
            )
            place = f"{self.pointer(home, ref.value.dtype, True)}[{to or '0'}]"
            self.lines += [f"    {place} += {self.read(ref, from_)};", "}"]
            counts.append(items)
        if counts:
            self.phase(_most(counts))

    def write_copies(self, groups):
        """Copy what no loop over elements has written everywhere that it has to be."""
        jobs = {}
        for first in [g[0] for g in groups if g[0].kind != "map"]:
            for v in self.heads[first.number] if first.kind == "kernel" else [first]:
                _, *others = self.targets(v)
                if others:
                    jobs.setdefault(v.number, (v, []))[1].extend(others)
        for v, home in self.copied:
            jobs.setdefault(v.number, (v, []))[1].append(home)
        counts = []
        for v, homes in jobs.values():
            (index,), items = self.each_item(v.shape, v.batch, [v.ref.strides])
            self.lines.append(f"    {C_TYPES[v.dtype.char]} w = {self.element(v.ref, index)};")
            self.lines += [f"    {self.element(v.ref, index, home)} = w;" for home in homes]
            self.lines.append("}")
            counts.append(items)
        if counts:
            self.phase(_most(counts))

    # -- around the steps ----------------------------------------------------------------------

    def begin_and_end(self):
        """The text of what is done before the first step, and after the last one."""
        kind = "gcarry" if self.late else "carry"
        leaves = self.program.gcarry if self.late else dict(enumerate(self.program.carry))
        texts = []
        for i, ref in leaves.items():
            v = ref.value
            local = self.local(f"{kind}{i}", v)
            place = "0" if v.batch is None else f"first * {row_size(v)}"
            states = not self.late and keeps_states(self.program, self.stored, i)
            first = self.given("states" if states else kind, i, v.dtype)
            # Not the array of the first one: a block may be done before another begins.
            last = None if states else self.given("gfirst" if self.late else "last", i, v.dtype)
            texts.append((v, local, (f"g.{first}", place), (f"g.{last}", place), states))
        for v, local, first, _, _ in texts:
            (index,), _ = self.each_item(v.shape, v.batch, [v.ref.strides])
            value = self.element(v.ref, index, first)
            self.lines += [f"    {self.element(v.ref, index, local)} = {value};", "}"]
        for v, home in self.filled:
            (index,), _ = self.each_item(v.shape, v.batch, [v.ref.strides])
            number = self.number(v.settings[0], v.dtype.char)
            self.lines += [f"    {self.element(v.ref, index, home)} = {number};", "}"]
        self.phase(None)
        for v, local, _, last, states in texts:
            if not states:
                (index,), _ = self.each_item(v.shape, v.batch, [v.ref.strides])
                value = self.element(v.ref, index, local)
                self.lines += [f"    {self.element(v.ref, index, last)} = {value};", "}"]
        self.phase(None)
        end, begin = self.phases.pop(), self.phases.pop()
        return begin.lines, end.lines


def _most(counts):
    """The largest of some numbers of items."""
    return lambda rows: max([count(rows) for count in counts])


def _literal(x, char):
    """A number of some dtype."""
    dtype = np.dtype(char)
    if dtype.kind == "b":
        return str(bool(x)).lower()
    c_type = C_TYPES[char]
    if dtype.kind != "f":
        return f"({c_type}){int(x)}{'ULL' if dtype.kind == 'u' else 'LL'}"
    x = dtype.type(x)
    if math.isfinite(x):
        return f"({c_type})({x.item()!r})"
    bits, function = ("i4", "__int_as_float") if char == "f" else ("i8", "__longlong_as_double")
    return f"{function}({hex(x.view(bits).item() & (1 << 8 * dtype.itemsize) - 1)})"


def _cast(text, char, to):
    """A value of one dtype as one of another."""
    if char == to:
        return text
    return f"({text} != 0)" if to == "?" else f"(({C_TYPES[to]}){text})"
