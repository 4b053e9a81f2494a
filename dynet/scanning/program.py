"""From the record of a step to a program: its functions' forward and backward, read with stand-ins.

Nothing here knows any function. A recorded call is made again on ``Traced`` arrays: a fresh
function with the same settings, its ``forward``, then, newest first, its ``backward``.
"""

from typing import NamedTuple

import numpy as np

from .. import terms
from .record import Obstacle, Record, fresh
from .traced import NotByRows, Ref, Trace, Traced, Untraceable

# Kinds of values that no operation of the step computes.
GIVEN = ("carry", "x", "external", "gy", "gcarry", "filled")


class Wanted(NamedTuple):
    """Which leaves want a gradient: of the carry, of x, of what is closed over, of y.

    ``returned`` is of the carry that a step returns: of a given one, some leaf may want a gradient
    only because the first one does.
    """

    carry: tuple
    xs: tuple
    externals: tuple
    ys: tuple
    returned: tuple


class Term(NamedTuple):
    """What a step adds to the gradient of what it closes over.

    Attributes:
        external (int): whose gradient.
        kind (str): ``"sum"``: an array, added at every step; ``"product"``: a matrix product
            ``a.T @ b`` over the rows, for which those of many steps are taken together;
            ``"rows"``: ``b`` scattered into the rows ``a`` of a table.
        refs (tuple): the array; or a and b.
        transposed (bool): whether the product is the transpose of the gradient.
    """

    external: int
    kind: str
    refs: tuple
    transposed: bool = False


class Program(NamedTuple):
    """What a step computes, as values of a trace.

    Attributes:
        trace: the ``Trace``.
        carry, ys (list of Ref): what the step returns.
        gcarry, gxs (dict): by the number of a leaf, the ``Ref`` of its gradient.
        terms (list of Term): the gradients of what it closes over.
        reached (set): the numbers of the leaves of the carry that a gradient arrives at.
    """

    trace: Trace
    carry: list
    ys: list
    gcarry: dict
    gxs: dict
    terms: list
    reached: set


def wanted(record: Record, carry: tuple, xs: tuple) -> Wanted:
    """Which gradients are wanted, from whether those of the leaves of the first carry and xs are.

    What a step returns as its carry is what the next one gets: so it goes round until nothing new
    is found.
    """
    externals = tuple([node is not None for _, node in record.externals])
    while True:
        given = {"carry": carry, "x": xs, "external": externals}
        calls = _calls_that_want(record, given)

        def wants(source, given=given, calls=calls):
            return _wants(source, given, calls)

        returned = tuple([wants(s) for s in record.carry])
        new = tuple([a or b for a, b in zip(carry, returned, strict=True)])
        if new == carry:
            ys = tuple([wants(s) for s in record.ys])
            return Wanted(carry, xs, externals, ys, returned)
        carry = new


def _calls_that_want(record, given):
    """For each call, which of its outputs want a gradient."""
    calls = []
    for call in record.calls:
        wants = call.records and any(_wants(s, given, calls) for s in call.sources)
        calls.append([wants and dtype.kind == "f" for _, dtype in call.outputs])
    return calls


def _wants(source, given, calls):
    kind, i = source
    if isinstance(kind, int):
        return calls[kind][i]
    return kind in given and given[kind][i]


def build(
    record: Record,
    likes: dict,
    rows: int | None,
    want: Wanted,
    gcarry: tuple,
    gys: tuple | None,
) -> Program:
    """The program of a record.

    Args:
        record: of a step; of what it closes over, it takes only the shapes and dtypes.
        likes: of each leaf of ``"carry"`` and ``"x"`` the shape and dtype; and which leaves of x
            are ``"still"``, the same at all time steps.
        rows: how many rows the batch has, for a program by rows.
        want: which gradients are wanted.
        gcarry: of each leaf of the carry that a step returns whether it has a gradient.
        gys: of each y whether it has a gradient; ``None`` for a program without a backward pass.

    Raises:
        Obstacle: it cannot be read.
        NotByRows: the rows depend on each other.
    """
    trace = Trace(rows, likes["still"])
    env = {}
    for kind in ("carry", "x"):
        for i, (shape, dtype) in enumerate(likes[kind]):
            env[kind, i] = _given(trace, kind, i, shape, dtype)

    for i, (like, _) in enumerate(record.externals):
        env["external", i] = trace.add("external", (), like.shape, like.dtype, settings=(i,))
    trace.closed_over = len(record.externals)

    def value_of(source):
        return source[1] if source[0] == "constant" else env[source]

    functions = []
    for number, call in enumerate(record.calls):
        function = fresh(call.cls, call.settings)
        functions.append(function)
        ys = _read(call, "forward", function.forward, [value_of(s) for s in call.sources])
        ys = ys if type(ys) is tuple else (ys,)
        for i, (y, (shape, dtype)) in enumerate(zip(ys, call.outputs, strict=True)):
            if not isinstance(y, Traced) or y.shape != shape or y.dtype != dtype:
                raise Obstacle(
                    f"what {call.cls.__name__} gives does not follow from its inputs ({call.line})"
                )
            env[number, i] = Traced(trace, y.ref)
    carry = [_own(trace, value_of(s)) for s in record.carry]
    ys = [_own(trace, value_of(s)) for s in record.ys]
    for i, ref in enumerate(carry):
        if ref.batch != env["carry", i].ref.batch:
            raise NotByRows
    if any(ref.batch not in (0, None) or ref.value.partial for ref in (*carry, *ys)):
        raise NotByRows
    if gys is None:
        return Program(trace, carry, ys, {}, {}, [], set())

    trace.late = True
    arrived = {}
    for i, (ref, wants) in enumerate(zip(ys, want.ys, strict=True)):
        if wants and gys[i]:
            gy = _given(trace, "gy", i, ref.shape, ref.value.dtype)
            arrived.setdefault(record.ys[i], []).append(gy)
    for i, ref in enumerate(carry):
        if gcarry[i]:
            gy = _given(trace, "gcarry", i, ref.shape, ref.value.dtype)
            arrived.setdefault(record.carry[i], []).append(gy)
    given = {"carry": want.carry, "x": want.xs, "external": want.externals}
    calls = _calls_that_want(record, given)
    for number in reversed(range(len(functions))):
        call, function = record.calls[number], functions[number]
        gys_of = [
            _total(trace, arrived.get((number, i)), env[number, i])
            for i in range(len(call.outputs))
        ]
        if not any(calls[number]) or all(gy is None for gy in gys_of):
            continue
        function.inputs = tuple(
            [function if _wants(s, given, calls) else None for s in call.sources]
        )
        gxs = _read(call, "backward", function.backward, gys_of)
        gxs = tuple(gxs) if type(gxs) in (tuple, list) else (gxs,)
        for source, node, gx in zip(call.sources, function.inputs, gxs, strict=True):
            if node is not None and gx is not None:
                arrived.setdefault(source, []).append(gx)

    gradients, gxs, sums = {}, {}, []
    reached = {i for i in range(len(carry)) if ("carry", i) in arrived}
    for i, has in enumerate(gcarry):
        if has:
            # What no step reads has no gradient at the step before.
            arrived.setdefault(("carry", i), [0])
            gradients[i] = _gradient(trace, arrived, "carry", i, env)
    for i, wants in enumerate(want.xs):
        if wants and ("x", i) in arrived:
            gxs[i] = _gradient(trace, arrived, "x", i, env)
    for i, wants in enumerate(want.externals):
        if wants:
            sums += _terms(trace, i, arrived.get(("external", i), ()), env["external", i])
    return Program(trace, carry, ys, gradients, gxs, sums, reached)


def _given(trace, kind, i, shape, dtype):
    batch = 0 if trace.rows is not None and shape and shape[0] == trace.rows else None
    return trace.add(kind, (), shape, dtype, batch, (i,))


def _own(trace, x):
    """A result as a value that the step computes, with its elements side by side."""
    if not isinstance(x, Traced):
        raise Obstacle("it returns what is no array")
    given = x.ref.value.kind in GIVEN or x.ref.value.late != trace.late
    if not x.ref.whole or given:
        return trace.map("copy", [x], [x.dtype], x.dtype).ref
    return x.ref


def _read(call, which, rule, arguments):
    """What a function's rule makes of stand-ins."""
    name = call.cls.__name__
    try:
        return rule(*arguments)
    except Untraceable as error:
        raise Obstacle(
            f"the {which} of {name} cannot be compiled: {error} ({call.line})"
        ) from error
    except Exception as error:
        raise Obstacle(
            f"the {which} of {name} cannot be compiled: it raises {type(error).__name__}: {error} "
            f"({call.line})"
        ) from error


def _total(trace, contributions, like):
    """The sum of what arrived for one array; ``None`` if nothing did."""
    if not contributions:
        return None
    placed, total = [], None
    for gx in contributions:
        if isinstance(gx, terms.At):
            placed.append((gx.index, trace.operand(gx.gy)))
            continue
        gx = _dense(trace, gx, like)
        total = gx if total is None else total + gx
    if placed:
        gx = trace.place(placed, like.shape, like.dtype, like.ref.batch)
        total = gx if total is None else total + gx
    if total.shape != like.shape or total.dtype != like.dtype:
        raise Obstacle(
            f"a gradient is {total.dtype} {total.shape}, expected {like.dtype} {like.shape}"
        )
    return total


def _dense(trace, gx, like):
    if isinstance(gx, terms.Outer):
        return np.matmul(trace.operand(gx.x).T, trace.operand(gx.gy)).T
    if isinstance(gx, terms.Sum):
        return trace.operand(gx.gy).sum(axis=0)
    if isinstance(gx, terms.Rows):
        raise Obstacle("it looks up rows of a table that it computes")
    gx = trace.operand(gx)
    if not isinstance(gx, Traced):
        return trace.fill(like.shape, gx, like.dtype, like.ref.batch)
    return gx


def _gradient(trace, arrived, kind, i, env):
    """The gradient of a leaf."""
    like = env[kind, i]
    gx = _total(trace, arrived[kind, i], like)
    if gx.ref.value.partial or gx.ref.batch != like.ref.batch:
        raise NotByRows
    return _own(trace, gx)


def _terms(trace, i, contributions, like):
    """What is added to the gradient of what the step closes over."""
    found = []
    rows = trace.rows is not None
    at = [c for c in contributions if isinstance(c, terms.At)]
    for gx in contributions:
        if isinstance(gx, terms.At):
            continue
        if isinstance(gx, terms.Rows):
            ids, gy = trace.operand(gx.ids), trace.packed(trace.operand(gx.gy))
            ids = ids if ids.ref.whole else trace.packed(ids)
            if rows and (ids.ref.batch != 0 or gy.ref.batch != 0):
                raise NotByRows
            found.append(Term(i, "rows", (ids.ref, _own(trace, gy))))
            continue
        found.append(_term(trace, i, _total(trace, [gx], like)))
    if at:
        found.append(_term(trace, i, _total(trace, at, like)))
    return found


def _term(trace, i, gx):
    if trace.rows is not None and not gx.ref.value.partial:
        raise NotByRows
    value = gx.ref.value
    if value.kind == "product" and len(value.shape) == gx.ndim == 2:
        straight = gx.ref.whole
        if straight or gx.ref.transpose((1, 0)).whole:
            a, b = value.operands
            return Term(
                i,
                "product",
                (_over_time(trace, a.transpose((1, 0))), _over_time(trace, b)),
                not straight,
            )
    return Term(i, "sum", (_own(trace, gx),))


def _over_time(trace, ref: Ref):
    """The operand of a product over many steps: of a value that has a place for each of them."""
    if ref.value.kind in ("gcarry", "filled", "external"):
        x = Traced(trace, ref)
        return trace.map("copy", [x], [x.dtype], x.dtype).ref
    return ref
