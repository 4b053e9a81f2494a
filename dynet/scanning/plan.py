"""What is known of a step's structure, and kept from call to call: its program and its loops."""

import math
import threading
import warnings

import numpy as np

from ..backend import get_array_module
from ..config import config
from ..functions.checks import raw
from ..terms import SPARSE
from . import code, cuda_code
from .program import build, wanted
from .record import Obstacle, is_dynets
from .storing import compute_again, to_store
from .traced import NotByRows, Untraceable


class Plan:
    """What is known of a step's structure: its program, and the source of its loops.

    Attributes:
        language (module): what writes its loops: ``code`` or ``cuda_code``.
        want: which gradients are wanted.
        backprop (bool): whether there is a backward pass.
        program: forward, and backward from all that the step gives.
        stored (set): the numbers of the values that are kept for the backward pass.
        rows: how many rows the batch has; ``None`` if they are not independent.
        forward (Code, CudaCode): the loop of the steps.
        trusted (set): which programs' gradients were compared with the tape's; on a GPU, where
            looking at numbers makes the host wait, also ``"forward"``, once its results were.
        tolerance (float): what rounding may come to, of the largest number.
        cost (float): the work of a step, in elements.
        sent (dict): of arrays of NumPy's that its loops read, what is on a GPU.
        reads_elements (bool): whether a function has an array among its settings, whose elements
            are part of the program.
    """

    def __init__(self, language, record, likes, carry, xs, backprop):
        self.language = language
        self.want = wanted(record, carry, xs)
        self.backprop = backprop and any(
            any(w) for w in (self.want.carry, self.want.xs, self.want.externals)
        )
        self.record, self.likes = record, likes
        self.rows = _rows(likes)
        gys = self.want.ys if self.backprop else None
        try:
            self.program = self._build(gys)
        except NotByRows:
            self.rows = None
            self.program = self._build(gys)
        self.stored = to_store(self.program) if self.backprop else set()
        compute_again(self.program, self.stored)
        self.forward = language.forward(self.program, self.stored)
        settings = [x for c in record.calls for x in c.settings.values()]
        self.reads_elements = any(_holds_array(x) for x in settings)
        self._programs, self._loops = {}, {}
        self.trusted, self.sent = set(), {}
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
            try:
                program = build(self.record, self.likes, self.rows, self.want, has, gys)
            except Untraceable as error:
                raise Obstacle(str(error)) from error
            except NotByRows:
                if self.rows is None:
                    raise Obstacle("its parts have shapes that do not fit") from None
                raise
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
                    compute_again(program, self.stored)
            except NotByRows:
                program = self.program  # for which what is missing is zeros
            self._programs[given] = program
        program = self._programs[given]
        kept = tuple([i for i, t in enumerate(program.terms) if self._stays_rows(t, length)])
        if (given, kept) not in self._loops:
            self._loops[given, kept] = self.language.backward(program, self.stored, *kept)
        return program, self._loops[given, kept], kept

    def _stays_rows(self, term, length):
        # On a GPU no gradient stays rows: how many there are would have to be waited for.
        if self.language is cuda_code or term.kind != "rows" or term.refs[0].value.kind != "x":
            return False
        table = self.record.externals[term.external][0].shape
        return SPARSE * length * math.prod(term.refs[0].shape) <= table[0]


def _rows(likes):
    """How many rows the batch has, by the first axis of the carry."""
    lengths = [shape[0] for shape, _ in likes["carry"] if shape]
    commonest = max(set(lengths), key=lengths.count, default=0)
    return commonest if commonest > 1 else None


_plans = {}
_lock = threading.Lock()
MANY_PLANS = 256


def plan_of(steps, record):
    """The plan of a record: one that was made before, for the same structure, or a new one."""
    backprop = config.enable_backprop
    likes = {
        "carry": [(v.shape, v.dtype) for v in steps.carry],
        "x": [(x.shape[1:], x.dtype) for x in steps.xs],
        "still": steps.still(),
    }
    wants_carry = tuple([v.node is not None and backprop for v in steps.carry])
    wants_xs = tuple([getattr(x, "node", None) is not None and backprop for x in steps.xs])
    arrays = [*map(raw, steps.carry), *map(raw, steps.xs), *[x for x, _ in record.externals]]
    modules = {get_array_module(x) for x in arrays}
    if len(modules) > 1:
        raise Obstacle(f"it closes over arrays of {' and '.join(m.__name__ for m in modules)}")
    language = code if modules <= {np} else cuda_code
    key = (
        language,
        tuple([(c.cls, c.frozen, c.outputs, c.records) for c in record.calls]),
        record.carry,
        record.ys,
        tuple([(x.shape, x.dtype, node is not None) for x, node in record.externals]),
        tuple(likes["carry"]),
        tuple(likes["x"]),
        likes["still"],
        wants_carry,
        wants_xs,
        backprop,
    )
    plan = _plans.get(key)
    if plan is None:
        # The arrays themselves are read at every call; a plan must not keep them.
        like = [
            (np.broadcast_to(np.empty((), x.dtype), x.shape), n and True)
            for x, n in record.externals
        ]
        calls = [
            c._replace(settings=_copied(c.settings), sources=_copied(c.sources))
            for c in record.calls
        ]
        record = record._replace(externals=like, calls=calls)
        plan = _made(language, record, likes, wants_carry, wants_xs, backprop)
        # A rule of the user's may depend on what is not among its settings: it is read every time.
        if all(is_dynets(call.cls) for call in calls):
            with _lock:
                if len(_plans) >= MANY_PLANS:
                    _plans.pop(next(iter(_plans)))
                _plans[key] = plan
    if isinstance(plan, Obstacle):
        raise Obstacle(*plan.args)  # the one that is kept would gather tracebacks
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


def _holds_array(x):
    if type(x) in (tuple, list):
        return any(map(_holds_array, x))
    return isinstance(x, np.ndarray)


def _made(language, record, likes, *settings):
    try:
        return Plan(language, record, likes, *settings)
    except Obstacle as obstacle:
        return Obstacle(*obstacle.args)
    except Exception as error:
        warnings.warn(
            f"scan: reading the step raised {error!r}, which is a mistake in dynet; the plain loop "
            "is run",
            RuntimeWarning,
            stacklevel=5,
        )
        return Obstacle(f"reading it raised {error!r}")
