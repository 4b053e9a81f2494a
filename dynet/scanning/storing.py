"""What the backward pass reads of the forward pass: kept at every step, or computed once more."""

from .program import Program
from .record import Obstacle
from .traced import Ref

# Formulas that cost less than to write their result and read it again.
CHEAP = {
    "absolute", "add", "copy", "equal", "greater", "greater_equal", "invert", "less", "less_equal",
    "logical_and", "logical_not", "logical_or", "maximum", "minimum", "multiply", "negative",
    "not_equal", "positive", "square", "subtract", "where",
}  # fmt: skip


def to_store(program: Program) -> set:
    """The numbers of the values that the forward pass keeps for the backward pass.

    That is what it reads, but for what is cheaper to compute again.
    """
    reads = {v.number: v for v in _reads(program)}
    over_time = {r.value.number for t in program.terms if t.kind != "sum" for r in t.refs}
    available = set(reads)
    for number in sorted(reads):
        v = reads[number]
        cheap = v.kind == "map" and v.settings[0] in CHEAP
        # Not from arrays that are the user's: they may change until the backward pass.
        there = all(
            r.value.kind == "filled" or r.value.number in available
            for r in v.operands
            if isinstance(r, Ref)
        )
        if cheap and there and number not in over_time:
            del reads[number]
    return set(reads)


def compute_again(program: Program, stored: set) -> None:
    """Let the backward pass compute what it reads of the forward pass and is not stored."""
    trace, made = program.trace, {}

    def own(ref):
        if not isinstance(ref, Ref) or ref.value.late or ref.value.number in stored:
            return ref
        v = ref.value
        if v.kind in ("external", "x", "filled"):
            return ref
        if v.kind in ("carry", "kernel", "output"):
            raise Obstacle("its gradient needs more where less of its results has one")
        if v.number not in made:
            made[v.number] = trace.again(v, [own(r) for r in v.operands])
        return ref._replace(value=made[v.number])

    for v in alive_values(late_roots(program), late=True):
        v.operands = tuple([own(r) for r in v.operands])


def _reads(program):
    alive = alive_values(late_roots(program), late=True)
    refs = [r for v in alive for r in v.operands] + late_roots(program)
    early = {r.value.number: r.value for r in refs if isinstance(r, Ref) and not r.value.late}
    return [v for v in early.values() if v.kind not in ("external", "x", "filled")]


def late_roots(program: Program) -> list:
    """What the backward pass is for."""
    terms = [ref for term in program.terms for ref in term.refs]
    return [*program.gcarry.values(), *program.gxs.values(), *terms]


def alive_values(roots: list, late: bool) -> list:
    """The values of one pass that something is computed from, in their order."""
    found = {}
    waiting = [r.value for r in roots]
    while waiting:
        v = waiting.pop()
        if v.number not in found and v.late == late:
            found[v.number] = v
            waiting += [r.value for r in v.operands if isinstance(r, Ref)]
    return [found[n] for n in sorted(found)]
