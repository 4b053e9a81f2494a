"""What is decided about a program's loops before they are written in whatever language.

Which values are computed together, element by element; which need no place of their own, or one
within another; which arrays there are with time as their first axis.
"""

import math
from typing import NamedTuple

import numpy as np

from .program import GIVEN, Program
from .storing import late_roots
from .traced import Ref, Value


class Array(NamedTuple):
    """An array that a loop is called with.

    ``role``: ``external`` (``i``, and the order of its axes in memory), ``x``, ``still`` (an x that
    is the same at all time steps, once), ``gy``, ``gx``, ``ys``, ``carry``, ``states`` (the carry
    at all steps), ``gcarry``, ``stack`` (the value number ``i`` at all steps), ``term`` (the total
    of the term number ``i``), ``rows`` (for such a term the gradients of rows at all steps).
    """

    role: str
    i: int
    axes: tuple | None = None


def readers_of(alive: list) -> dict:
    """Of values by number: the values that are computed from them, each with the view it takes."""
    readers = {}
    for v in alive:
        for ref in v.operands:
            if isinstance(ref, Ref):
                readers.setdefault(ref.value.number, []).append((v, ref))
    return readers


def groups_of(alive: list) -> list:
    """What is computed in one go: element by element what has one shape; all else alone."""
    done, group = [], []
    for v in alive:
        if v.kind in GIVEN or v.kind == "output":
            continue
        members = {m.number for m in group}
        own = [r for r in v.operands if isinstance(r, Ref) and r.value.number in members]
        if v.kind == "map":
            fits = group and v.shape == group[0].shape and v.batch == group[0].batch
            if not fits or not all(r.whole for r in own):
                if group:
                    done.append(group)
                group = []
            group.append(v)
        else:
            if own:
                done.append(group)
                group = []
            done.append([v])
    if group:
        done.append(group)
    return done


def only_summed(program: Program, roots: list, readers: dict) -> list:
    """The sums that are only added to a term, and need no place of their own."""
    alone = {}
    for ref in roots:
        alone[ref.value.number] = alone.get(ref.value.number, 0) + 1
    return [
        v
        for v in [t.refs[0].value for t in program.terms if t.kind == "sum"]
        if v.kind == "reduce"
        and v.settings[0] == "add"
        and v.settings[1] > 0
        and alone.get(v.number) == 1
        and v.number not in readers
    ]


def row_size(x):
    """How many elements a row of a value or a view has; all, if there are no rows."""
    return math.prod([n for axis, n in enumerate(x.shape) if axis != x.batch])


def positions_of(offset, strides, shape):
    positions = np.full(shape, offset)
    for axis, (stride, n) in enumerate(zip(strides, shape, strict=True)):
        index = [1] * len(shape)
        index[axis] = n
        positions = positions + (np.arange(n) * stride).reshape(index)
    return positions


def roots_of(program: Program, stored: set, late: bool) -> list:
    """What one of the two loops is for.

    Args:
        stored: the numbers of the values that are kept for the backward pass, which the forward
            pass computes too.
        late: whether it is the loop back.
    """
    if late:
        return late_roots(program)
    kept = [v.ref for v in program.trace.values if v.number in stored]
    return [*program.carry, *program.ys, *kept]


def outputs_of_kernels(program: Program) -> dict:
    """Of kernels by number: the values that they write."""
    outputs = {}
    for v in program.trace.values:
        if v.kind == "output":
            outputs.setdefault(v.operands[0].value.number, []).append(v)
    return outputs


def stored_at(program: Program, v: Value) -> tuple:
    """Where the forward pass has put a value: if it also returns it, it is there.

    Returns:
        tuple: the role and the number of an array with time first, and how many steps ahead.
    """
    for i, ref in enumerate(program.carry):
        if ref.value is v:
            return "states", i, 1
    for i, ref in enumerate(program.ys):
        if ref.value is v:
            return "ys", i, 0
    return "stack", v.number, 0


def keeps_states(program: Program, stored: set, i: int) -> bool:
    """Whether a leaf of the carry is kept at all steps: the backward pass reads it."""
    given = [v.number for v in program.trace.values if v.kind == "carry" and v.settings == (i,)]
    return any(n in stored for n in (*given, program.carry[i].value.number))


def may_overwrite(v: Value, kind: str, leaf: int, groups: list, summed: list) -> bool:
    """Whether a value may be written where the step was given a leaf of the last carry.

    What it was given must have been read by then, or be read element by element.

    Args:
        v: what the step returns for it.
        kind: ``"carry"`` or ``"gcarry"``.
        leaf: the number of the leaf.
        groups: what is computed together, in order.
        summed: the sums that are added to terms after that.
    """
    maker = v.operands[0].value if v.kind == "output" else v
    made = next(k for k, group in enumerate(groups) if maker in group)
    reads = [
        (k, ref)
        for k, group in enumerate([*groups, summed])
        for w in group
        for ref in w.operands
        if isinstance(ref, Ref) and ref.value.kind == kind and ref.value.settings == (leaf,)
    ]
    together = groups[made][0].kind == "map"
    return all(k < made or (k == made and together and ref.whole) for k, ref in reads)


def parts_of(joined: Value, readers: dict, elsewhere: set) -> dict:
    """Of a value that joins others, those that can be computed right there: views of it.

    Args:
        readers: of values by number, what is computed from them.
        elsewhere: the numbers of the values that have to be somewhere in particular.
    """
    axis, starts = joined.settings
    strides, inside = joined.ref.strides, {}
    for ref, start in zip(joined.operands, starts, strict=True):
        v = ref.value
        alone = len(readers[v.number]) == 1 and v.number not in elsewhere
        if v.kind == "map" and ref.whole and alone:
            inside[v.number] = joined.ref._replace(offset=start * strides[axis], shape=ref.shape)
    return inside


def axes_together(shape: tuple, batch: int | None, strides: list) -> list:
    """The axes of a shape, the rows first, as few as do: those that lie behind each other are one.

    Args:
        shape, batch: of what is gone over.
        strides: of several arrays of that shape.

    Returns:
        list: of each axis its length, but for the rows; whether it counts these too; and its
        stride in each of the arrays.
    """
    axes = [a for a, n in enumerate(shape) if n != 1 or a == batch]
    if batch is not None:
        axes.remove(batch)
        axes.insert(0, batch)
    dims = []
    for a in axes:
        own = [s[a] for s in strides]
        if dims and all(s == t * shape[a] for s, t in zip(dims[-1][2], own, strict=True)):
            n, rows, _ = dims.pop()
            dims.append((n * shape[a], rows, own))
        else:
            dims.append((1, True, own) if a == batch else (shape[a], False, own))
    return dims
