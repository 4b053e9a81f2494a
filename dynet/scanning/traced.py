"""What a step is read with: arrays that have no elements, and write down what is done to them.

A function's own ``forward`` and ``backward`` are run on ``Traced`` arrays. Each operation adds a
``Value`` to a ``Trace``: what it is computed from, its shape and dtype. Reshaping, indexing and
their like compute nothing; they give another view (a ``Ref``) of the same value. What cannot be
written down so, above all a look at an element, raises ``Untraceable``.

A trace may be one *by rows*: then it also checks that row ``i`` of every value depends on row
``i`` of the values it is computed from, and on nothing else of the batch. ``Ref.batch`` is the axis
that counts the rows, ``None`` for what all rows share. Such a program can be run on some of the
rows, and how many there are is known only when it runs.
"""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..backend import StandIn, is_array, is_cupy
from ..terms import is_basic_index
from .elementwise import FORMULAS

# The dtypes that loops compute with, by their characters.
COMPILED = "fd?bBhHiIlLqQ"


# Values are numbered in the order in which they are computed: those of the forward pass from 0,
# those that the backward pass computes again from here, its own from twice as much.
AGAIN = 1_000_000


class Untraceable(BaseException):
    """A step does what no compiled loop can do; the message says what.

    No ``Exception``, so that no rule of a function takes it for an error of its own and goes on.
    """


class NotByRows(BaseException):
    """The rows of the batch depend on each other."""


class Value:
    """One array that a step computes or is given.

    Attributes:
        kind (str): what makes it; see ``Trace``.
        operands (tuple): what it is computed from: ``Ref``, or plain numbers.
        settings: what else the kind needs.
        shape, dtype, batch: as of the array. Its elements lie side by side, the axis of the
            rows first.
        partial (bool): whether it is a sum over rows, of which a part of them gives a part.
        number (int): its place in the trace.
        late (bool): whether it belongs to the backward pass.
    """

    __slots__ = (
        "kind", "operands", "settings", "shape", "dtype", "batch", "partial", "number", "late",
    )  # fmt: skip

    def __repr__(self):
        return f"<{self.number}: {self.kind} {self.dtype}{self.shape}>"

    @property
    def ref(self) -> "Ref":
        """All of it."""
        return Ref(self, 0, self.shape, layout(self.shape, self.batch), self.batch)


class Ref(NamedTuple):
    """A view of a value: strides are in elements."""

    value: Value
    offset: int
    shape: tuple
    strides: tuple
    batch: int | None

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def whole(self) -> bool:
        """Whether it is all elements of its value, in their order."""
        return self == self.value.ref

    def transpose(self, axes):
        batch = None if self.batch is None else axes.index(self.batch)
        shape = tuple([self.shape[a] for a in axes])
        return self._replace(
            shape=shape, strides=tuple([self.strides[a] for a in axes]), batch=batch
        )

    def broadcast_to(self, shape):
        """The view repeated along new axes and those of length 1."""
        lead = len(shape) - self.ndim
        strides = [0] * lead
        for n, stride, wanted in zip(self.shape, self.strides, shape[lead:], strict=True):
            strides.append(stride if n == wanted else 0)
        batch = None if self.batch is None else self.batch + lead
        return self._replace(shape=tuple(shape), strides=tuple(strides), batch=batch)

    def reshape(self, shape):
        """The view with other axes, or ``None`` if that takes a copy."""
        if self.batch is None:
            if self.strides != layout(self.shape, None) and math.prod(self.shape) > 1:
                return None
            return self._replace(shape=shape, strides=layout(shape, None))
        n, before = self.shape[self.batch], math.prod(self.shape[: self.batch])
        for axis, length in enumerate(shape):
            if length == n and math.prod(shape[:axis]) == before:
                break
        else:
            raise NotByRows
        own = [s for i, s in enumerate(self.strides) if i != self.batch]
        rest = [m for i, m in enumerate(self.shape) if i != self.batch]
        if tuple(own) != layout(rest, None) and math.prod(rest) > 1:
            return None
        strides = list(layout([m for i, m in enumerate(shape) if i != axis], None))
        strides.insert(axis, self.strides[self.batch])
        return self._replace(shape=shape, strides=tuple(strides), batch=axis)

    def index(self, index):
        """The view of ``x[index]``, of integers, slices, ``None`` and ``...``."""
        parts = list(index) if isinstance(index, tuple) else [index]
        used = sum([part is not None and part is not Ellipsis for part in parts])
        if Ellipsis not in [p for p in parts if not is_array(p)]:
            parts.append(Ellipsis)
        at = next(i for i, p in enumerate(parts) if p is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (self.ndim - used)
        offset, shape, strides, batch, axis = self.offset, [], [], None, 0
        for part in parts:
            if part is None:
                shape.append(1)
                strides.append(0)
                continue
            n, stride = self.shape[axis], self.strides[axis]
            if axis == self.batch:
                if not isinstance(part, slice) or part.indices(n) != (0, n, 1):
                    raise NotByRows
                batch = len(shape)
            if isinstance(part, slice):
                start, stop, step = part.indices(n)
                offset += start * stride if n else 0
                shape.append(len(range(start, stop, step)))
                strides.append(stride * step)
            else:
                offset += (part % n) * stride
            axis += 1
        return Ref(self.value, offset, tuple(shape), tuple(strides), batch)


def layout(shape, batch) -> tuple:
    """The strides, in elements, of an array whose axis ``batch`` is the slowest."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(range(len(shape))):
        if axis != batch:
            strides[axis] = step
            step *= shape[axis]
    if batch is not None:
        strides[batch] = step
    return tuple(strides)


class Reserved(NamedTuple):
    """A setting of kernels: the key of the random stream, or the position of numbers in it."""

    what: str
    value: Any  # the reservation, for a position


class Trace:
    """What a step does, in the order in which it does it.

    Kinds of values: given are ``external`` (an array that the step closes over), ``x``, ``carry``,
    ``gy``, ``gcarry``; computed are ``map`` (element by element, by a formula), ``reduce``,
    ``product`` (of matrices), ``joined`` (several side by side), ``placed`` (zeros, with others
    added at some places), ``taken`` and ``scattered`` (elements by a table of positions),
    ``filled`` (with one number), ``kernel`` and ``output`` (one array that a kernel writes).

    Args:
        rows: how many rows the batch has, in a trace by rows; else ``None``.

    Attributes:
        values (list of Value): in order.
        closed_over (int), constants (list): how many arrays the step closes over, and those that
            its functions make; ``external`` counts through both.
        reserved (list): how many random numbers a step draws for each row, and besides.
        still (frozenset): which leaves of x are the same at all time steps.
        late (bool): whether the backward pass is being read.
    """

    def __init__(self, rows: int | None, still: frozenset = frozenset()):
        self.rows = rows
        self.still = still
        self.values = []
        self.closed_over = 0
        self.constants = []
        self.reserved = [0, 0]
        self.late = False

    def add(self, kind, operands, shape, dtype, batch=None, settings=(), partial=False) -> "Traced":
        """Write down a value."""
        if np.dtype(dtype).char not in COMPILED:
            raise Untraceable(f"it computes with {np.dtype(dtype)}")
        v = Value()
        v.kind, v.operands, v.settings = kind, tuple(operands), settings
        v.shape, v.dtype, v.batch, v.partial = tuple(shape), np.dtype(dtype), batch, partial
        # What the backward pass computes again of the forward pass comes between the two.
        v.number, v.late = len(self.values) + (AGAIN + AGAIN if self.late else 0), self.late
        self.values.append(v)
        return Traced(self, v.ref)

    def drawn(self) -> int:
        """How many random numbers a step draws."""
        per_row, fixed = self.reserved
        return per_row * (self.rows or 0) + fixed

    def again(self, v: Value, operands) -> Value:
        """The same value, computed by the backward pass too."""
        w = Value()
        for name in Value.__slots__:
            setattr(w, name, getattr(v, name))
        w.operands, w.number, w.late = tuple(operands), v.number + AGAIN, True
        return w

    def external(self, array) -> "Traced":
        """A constant array."""
        self.constants.append(array)
        i = self.closed_over + len(self.constants) - 1
        return self.add("external", (), array.shape, array.dtype, settings=(i,))

    def operand(self, x):
        """What an operation was called with, as a traced array or a plain number."""
        if isinstance(x, Traced):
            if x.trace is not self:
                raise Untraceable("it mixes what belongs to two scans")
            return x
        if type(x) in (bool, int, float):
            return x
        if isinstance(x, (np.ndarray, np.generic)):
            return self.external(np.asarray(x))
        if is_cupy(x):
            return self.external(x)
        raise Untraceable(f"it computes with {type(x).__name__}")

    def map(self, name, inputs, dtypes, dtype) -> "Traced":
        """A formula of each element.

        Args:
            name: of the formula.
            inputs: traced arrays, which broadcast, and numbers.
            dtypes: those in which the formula is computed, of each input.
            dtype: the result's.
        """
        refs = [x.ref if isinstance(x, Traced) else x for x in inputs]
        arrays = [r for r in refs if isinstance(r, Ref)]
        shape = np.broadcast_shapes(*[r.shape for r in arrays])
        batch = self._common_batch(arrays, len(shape))
        partial = self._is_partial(name, refs)
        operands = [r.broadcast_to(shape) if isinstance(r, Ref) else r for r in refs]
        settings = (name, tuple([np.dtype(d).char for d in dtypes]))
        return self.add("map", operands, shape, dtype, batch, settings, partial)

    def _common_batch(self, refs, ndim):
        axes = {r.batch + ndim - r.ndim for r in refs if r.batch is not None}
        if not axes:
            return None
        if len(axes) > 1:
            raise NotByRows
        (axis,) = axes
        for r in refs:
            own = axis - (ndim - r.ndim)
            if r.batch is None and own >= 0 and r.shape[own] != 1 and r.strides[own] != 0:
                raise NotByRows
        return axis

    def _is_partial(self, name, refs):
        """Whether the result is a sum over rows; what is not linear in such a sum is refused."""
        partial = [isinstance(r, Ref) and r.value.partial for r in refs]
        if not any(partial):
            return False
        if name == "copy" and any(r.value.dtype.kind != "f" for r in refs):
            raise NotByRows
        linear = (
            all(partial)
            if name in ("add", "subtract", "negative", "copy")
            else (name == "multiply" and partial.count(True) == 1)
            or (name == "divide" and partial == [True, False])
        )
        if not linear or any(isinstance(r, Ref) and r.batch is not None for r in refs):
            raise NotByRows
        return True

    def refuse_partial(self, *refs):
        """Raise if one is a sum over rows."""
        if any(r.value.partial for r in refs):
            raise NotByRows

    def packed(self, x: "Traced") -> "Traced":
        """The array with its elements side by side: a copy, where they are not."""
        return x if x.ref.whole else self.map("copy", [x], [x.dtype], x.dtype)

    def product(self, a: "Traced", b: "Traced") -> "Traced":
        """``a @ b`` for two axes or more; the axes before the last two broadcast."""
        if a.shape[-1] != b.shape[-2]:
            raise ValueError("the matrices do not fit")
        if a.dtype.char not in "fd" or a.dtype != b.dtype:
            raise Untraceable(f"it multiplies matrices of {a.dtype} and {b.dtype}")
        self.refuse_partial(a.ref, b.ref)
        a, b = [self.packed(x) if min(x.ref.strides, default=0) < 0 else x for x in (a, b)]
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        ndim = len(lead) + 2
        batches = [x.ref.batch if x.ref.batch is None else x.ref.batch - x.ndim for x in (a, b)]
        partial, batch = False, None
        if batches == [-1, -2] and ndim == 2:
            partial = True
        elif batches == [None, -1]:
            # The rows of the batch are those of the other matrix' transpose.
            return self.product(b.swapaxes(-1, -2), a.swapaxes(-1, -2)).swapaxes(-1, -2)
        elif batches == [-2, None]:
            batch = ndim - 2
        elif set(batches) != {None}:
            stacks = [Ref(None, 0, x.shape[:-2], x.ref.strides[:-2], x.ref.batch) for x in (a, b)]
            if any(i is not None and i >= -2 for i in batches):
                raise NotByRows
            batch = self._common_batch(stacks, ndim - 2)
        if b.ref.strides[-1] != 1 and b.shape[-1] > 1 and not self._is_transposed(b.ref):
            b = self.map("copy", [b], [b.dtype], b.dtype)
            if b.ref.strides[-1] != 1:
                raise NotByRows
        operands = [x.ref.broadcast_to((*lead, *x.shape[-2:])) for x in (a, b)]
        shape = (*lead, a.shape[-2], b.shape[-1])
        return self.add("product", operands, shape, a.dtype, batch, (), partial)

    @staticmethod
    def _is_transposed(ref):
        """Whether it is a whole matrix from outside, transposed: of that there can be a copy."""
        return ref.value.kind == "external" and ref.ndim == 2 and ref.transpose((1, 0)).whole

    def reduce(self, name, x: "Traced", axis=None, keepdims=False) -> "Traced":
        """The sum (``add``), product, largest or smallest of the elements along some axes."""
        if name in ("add", "multiply") and x.dtype.kind in "biu":
            x = x.astype(np.add.reduce(np.empty(0, x.dtype)).dtype)  # NumPy's sums are wider
        ref = x.ref
        axes = range(ref.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = sorted({a % ref.ndim for a in axes})
        kept = [a for a in range(ref.ndim) if a not in axes]
        partial, batch = ref.value.partial, None
        if ref.batch in axes:
            if name != "add":
                raise NotByRows
            partial = True
        elif ref.batch is not None:
            batch = kept.index(ref.batch)
        if ref.value.partial and name != "add":
            raise NotByRows
        dtype = x.dtype
        shape = [ref.shape[a] for a in kept]
        if name in ("maximum", "minimum") and math.prod([ref.shape[a] for a in axes]) == 0:
            raise ValueError("nothing has no largest element")
        y = self.add(
            "reduce",
            [ref.transpose((*kept, *axes))],
            shape,
            dtype,
            batch,
            (name, len(kept)),
            partial,
        )
        if keepdims:
            y = y.reshape([1 if a in axes else n for a, n in enumerate(ref.shape)])
        return y

    def join(self, xs, axis) -> "Traced":
        """Arrays side by side along an axis."""
        refs = [x.ref for x in xs]
        dtypes = {x.dtype for x in xs}
        if len(dtypes) > 1:
            raise Untraceable(f"it joins arrays of {' and '.join(map(str, dtypes))}")
        axis %= refs[0].ndim
        shape = list(refs[0].shape)
        batches = {r.batch for r in refs}
        self.refuse_partial(*refs)
        if len(batches) > 1 or axis in batches:
            raise NotByRows
        parts, at = [], 0
        for r in refs:
            parts.append(at)
            at += r.shape[axis]
        shape[axis] = at
        return self.add("joined", refs, shape, xs[0].dtype, refs[0].batch, (axis, tuple(parts)))

    def place(self, parts, shape, dtype, batch) -> "Traced":
        """Zeros, to which arrays are added at some places: pairs of an index and an array."""
        v = Value()
        v.shape, v.batch = tuple(shape), batch
        views, arrays = [], []
        for index, x in parts:
            if is_basic_index(index):
                view = Ref(v, 0, v.shape, layout(v.shape, batch), batch).index(index)
                if view.batch != x.ref.batch or view.shape != x.shape:
                    raise NotByRows
                views.append((view.offset, view.strides))
                arrays.append(x.ref)
            else:
                positions = self._positions(index, shape, batch)
                s = self.packed(x)
                if s.ref.batch != (None if batch is None else 0):
                    raise NotByRows
                y = self.add(
                    "scattered", [s.ref, self.external(positions).ref], shape, dtype, batch
                )
                views.append((0, layout(v.shape, batch)))
                arrays.append(y.ref)
        self.refuse_partial(*arrays)
        return self.add("placed", arrays, shape, dtype, batch, tuple(views))

    def _positions(self, index, shape, batch):
        """Where in an array, or in a row of it, an index with arrays finds its elements."""
        if batch is None:
            return np.ascontiguousarray(np.arange(math.prod(shape)).reshape(shape)[index])
        index = index if isinstance(index, tuple) else (index,)
        first = index[0]
        if batch != 0 or not (isinstance(first, slice) and first == slice(None)):
            raise NotByRows
        advanced = [i for i, p in enumerate(index) if not is_basic_index(p)]
        if advanced[-1] - advanced[0] >= len(advanced):
            raise NotByRows  # their axis would come before that of the rows
        row = np.arange(math.prod(shape[1:])).reshape(shape[1:])
        return np.ascontiguousarray(row[index[1:]])

    def take(self, x: "Traced", index) -> "Traced":
        """``x[index]`` for an index that holds arrays."""
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(p, StandIn) for p in parts):
            raise Untraceable("it indexes with what it computed or was given")
        self.refuse_partial(x.ref)
        positions = self._positions(index, x.shape, x.ref.batch)
        rows = () if x.ref.batch is None else x.shape[:1]
        operands = [self.packed(x).ref, self.external(positions).ref]
        batch = x.ref.batch
        return self.add("taken", operands, (*rows, *positions.shape), x.dtype, batch)

    def fill(self, shape, number, dtype, batch=None) -> "Traced":
        """An array of one number."""
        return self.add("filled", (), shape, dtype, batch, (number,))

    def run(self, kernel, arrays, outputs, settings, by_rows) -> list:
        """What a kernel writes: see ``kernels.arithmetic.run``."""
        xs = [self.packed(self.operand(a)) for a in arrays]
        refs = [x.ref for x in xs]
        self.refuse_partial(*refs)
        batches = {r.batch for r in refs} - {None}
        rows = bool(batches)
        if rows and (not by_rows or batches != {0}):
            raise NotByRows
        if rows and any(r.batch is None and r.shape[:1] == (self.rows,) for r in refs):
            raise NotByRows  # the kernel would take it for rows, too
        head = self.add("kernel", refs, (), np.int64, settings=(kernel, tuple(settings)))
        written = []
        for i, (shape, dtype) in enumerate(outputs):
            if rows and shape[:1] != (self.rows,):
                raise NotByRows
            batch = 0 if rows else None
            written.append(self.add("output", [head.ref], shape, dtype, batch, (i,)))
        return written


class Traced(StandIn, NDArrayOperatorsMixin):
    """An array without elements: it has an array's attributes, methods and NumPy's functions."""

    __slots__ = ("trace", "ref")
    __hash__ = None

    def __init__(self, trace: Trace, ref: Ref):
        self.trace = trace
        self.ref = ref

    shape = property(lambda x: x.ref.shape)
    ndim = property(lambda x: len(x.ref.shape))
    size = property(lambda x: math.prod(x.ref.shape))
    dtype = property(lambda x: x.ref.value.dtype)
    itemsize = property(lambda x: x.dtype.itemsize)
    nbytes = property(lambda x: x.size * x.dtype.itemsize)
    T = property(lambda x: x.transpose())

    def __len__(self):
        return self.ref.shape[0]

    def _look(self, *args, **kwargs):
        raise Untraceable("it looks at the elements of an array")

    __bool__ = __int__ = __float__ = __index__ = __array__ = item = tolist = __iter__ = _look

    def __setitem__(self, index, x):
        raise Untraceable("it writes into an array")

    def __getattr__(self, name):
        if name == "array" or name.startswith("__"):
            raise AttributeError(name)  # so do arrays, and it is asked of them
        raise Untraceable(f"it uses an array's {name}")

    def take(self, positions, axis=0):
        return self[(*(slice(None),) * (axis % self.ndim), positions)]

    # -- shapes ------------------------------------------------------------------------------

    def reshape(self, *shape):
        if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)):
            shape = tuple(shape[0])
        shape = [int(n) for n in shape]
        if -1 in shape:
            others = math.prod([n for n in shape if n != -1])
            if others == 0 or self.size % others:
                raise ValueError("the elements do not fit")
            shape[shape.index(-1)] = self.size // others
        if math.prod(shape) != self.size or -1 in shape:
            raise ValueError("the elements do not fit")
        ref = self.ref.reshape(tuple(shape))
        if ref is None:
            ref = self.trace.packed(self).ref.reshape(tuple(shape))
            if ref is None:  # an axis of the rows that is not the first
                raise NotByRows
        return Traced(self.trace, ref)

    def ravel(self):
        return self.reshape(-1)

    def transpose(self, *axes):
        if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)):
            axes = axes[0]
        axes = (
            tuple(reversed(range(self.ndim))) if not axes else tuple([a % self.ndim for a in axes])
        )
        if sorted(axes) != list(range(self.ndim)):
            raise ValueError("each axis must be named once")
        return Traced(self.trace, self.ref.transpose(axes))

    def swapaxes(self, a, b):
        axes = list(range(self.ndim))
        axes[a], axes[b] = axes[b], axes[a]
        return self.transpose(axes)

    def squeeze(self, axis=None):
        axes = range(self.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = {a % self.ndim for a in axes if axis is not None or self.shape[a] == 1}
        if any(self.shape[a] != 1 for a in axes):
            raise ValueError("an axis is not of length 1")
        return self[tuple([0 if a in axes else slice(None) for a in range(self.ndim)])]

    def __getitem__(self, index):
        if isinstance(index, list):
            index = np.asarray(index)
        if is_basic_index(index):
            np.broadcast_to(np.empty((), bool), self.shape)[index]  # raises if it does not fit
            return Traced(self.trace, self.ref.index(index))
        return self.trace.take(self, index)

    def copy(self, order="C"):
        return Traced(self.trace, self.ref)  # values do not change; ``+=`` makes another one

    def astype(self, dtype, copy=True):
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return Traced(self.trace, self.ref)
        return self.trace.map("copy", [self], [dtype], dtype)

    # -- arithmetic --------------------------------------------------------------------------

    def sum(self, axis=None, keepdims=False):
        return self.trace.reduce("add", self, axis, keepdims)

    def prod(self, axis=None, keepdims=False):
        return self.trace.reduce("multiply", self, axis, keepdims)

    def max(self, axis=None, keepdims=False):
        return self.trace.reduce("maximum", self, axis, keepdims)

    def min(self, axis=None, keepdims=False):
        return self.trace.reduce("minimum", self, axis, keepdims)

    def mean(self, axis=None, keepdims=False):
        total = self.sum(axis=axis, keepdims=keepdims)
        return total / float(self.size // max(total.size, 1))

    def dot(self, other):
        if self.ndim > 2 or np.ndim(other) > 2:
            raise Untraceable("it uses NumPy's dot of more than two axes")
        if not isinstance(other, StandIn):
            other = self.trace.operand(other)
        return np.matmul(self, other)

    def clip(self, low=None, high=None):
        y = self
        if low is not None:
            y = np.maximum(y, low)
        return y if high is None else np.minimum(y, high)

    # -- kernels -----------------------------------------------------------------------------

    def run(self, kernel, arrays, outputs, settings, by_rows):
        """See ``kernels.arithmetic.run``."""
        return self.trace.run(kernel, arrays, outputs, settings, by_rows)

    def reserve(self, n):
        """The key of the random stream and the position of the next ``n`` numbers in it."""
        if n != self.size:
            raise Untraceable("it draws more or fewer random numbers than an array has elements")
        if self.ref.batch not in (0, None):
            raise NotByRows
        before = tuple(self.trace.reserved)
        per_row = 0 if self.ref.batch is None else n // self.trace.rows
        if per_row:
            self.trace.reserved[0] += per_row
        else:
            self.trace.reserved[1] += n
        return Reserved("key", None), Reserved("position", (*before, per_row))

    # -- NumPy's protocols -------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        trace = self.trace
        if method == "reduce":
            axis, keepdims = kwargs.pop("axis", 0), kwargs.pop("keepdims", False)
            if (
                kwargs.pop("dtype", None) is not None
                or kwargs
                or out
                or ufunc.__name__ not in REDUCTIONS
            ):
                raise Untraceable(f"it uses NumPy's {ufunc.__name__}.reduce")
            return trace.reduce(ufunc.__name__, inputs[0], axis, keepdims)
        if method != "__call__" or kwargs:
            raise Untraceable(f"it uses NumPy's {ufunc.__name__}.{method}")
        xs = [trace.operand(x) for x in inputs]
        if ufunc is np.matmul:
            y = _matmul(trace, *xs)
        else:
            name = ufunc.__name__
            if name == "power" and type(inputs[1]) in (int, float) and inputs[1] in POWERS:
                name, xs = POWERS[inputs[1]], xs[:1]  # as NumPy does
                ufunc = getattr(np, name)
            if name not in FORMULAS:
                raise Untraceable(f"it uses NumPy's {name}")
            dtypes = [x.dtype if isinstance(x, Traced) else type(x) for x in xs]
            *loops, result = ufunc.resolve_dtypes((*dtypes, None))
            if loops[0].kind in "biu" and name not in OF_INTEGERS[loops[0].kind]:
                raise Untraceable(f"it uses NumPy's {name} on {loops[0]}")
            y = trace.map(name, xs, loops, result)
        if out is not None:
            (target,) = out
            if not isinstance(target, Traced) or target.shape != y.shape or target.dtype != y.dtype:
                raise Untraceable("it writes into an array of another shape or dtype")
            target.ref = y.ref
            return target
        return y

    def __array_function__(self, function, types, args, kwargs):
        handler = FUNCTIONS.get(function.__name__)
        if handler is None:
            raise Untraceable(f"it uses NumPy's {function.__name__}")
        return handler(self.trace, *args, **kwargs)


_COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
_LOGIC = {"logical_and", "logical_or", "logical_xor", "logical_not"}
_OF_INTEGERS = _COMPARISONS | {"add", "subtract", "multiply", "maximum", "minimum", "positive"}
# What formulas mean on booleans and integers as on floats.
OF_INTEGERS = {
    "b": _COMPARISONS | _LOGIC | {"bitwise_and", "bitwise_or", "bitwise_xor", "invert"},
    "i": _OF_INTEGERS,
    "u": _OF_INTEGERS,
}
POWERS = {2: "square", 1: "positive", 0.5: "sqrt", -1: "reciprocal"}
REDUCTIONS = ("add", "multiply", "maximum", "minimum")


def _matmul(trace, a, b):
    """With NumPy's meaning for vectors."""
    if not isinstance(a, Traced) or not isinstance(b, Traced):
        raise ValueError("a number is no matrix")
    A = a.reshape(1, -1) if a.ndim == 1 else a
    B = b[:, None] if b.ndim == 1 else b
    y = trace.product(A, B)
    if b.ndim == 1:
        y = y[..., 0]
    if a.ndim == 1:
        y = y[..., 0, :] if b.ndim > 1 else y[..., 0]
    return y


def _where(trace, condition, x, y):
    xs = [trace.operand(a) for a in (condition, x, y)]
    dtypes = [a.dtype if isinstance(a, Traced) else type(a) for a in xs[1:]]
    *loops, result = np.add.resolve_dtypes((*dtypes, None))
    return trace.map("where", xs, [np.dtype(bool), *loops], result)


def _axes(x, axis, ndim):
    axis = axis if isinstance(axis, tuple) else (axis,)
    return [a % ndim for a in axis]


def _expand_dims(trace, x, axis):
    axes = _axes(x, axis, x.ndim + (len(axis) if isinstance(axis, tuple) else 1))
    index = [None if i in axes else slice(None) for i in range(x.ndim + len(axes))]
    return x[tuple(index)]


def _moveaxis(trace, x, source, destination):
    source, destination = _axes(x, source, x.ndim), _axes(x, destination, x.ndim)
    order = [a for a in range(x.ndim) if a not in source]
    for to, a in sorted(zip(destination, source, strict=True)):
        order.insert(to, a)
    return x.transpose(order)


def _stack(trace, xs, axis=0):
    return trace.join([_expand_dims(trace, trace.operand(x), axis) for x in xs], axis)


def _flip(trace, x, axis=None):
    axes = range(x.ndim) if axis is None else _axes(x, axis, x.ndim)
    return x[tuple([slice(None, None, -1 if a in axes else 1) for a in range(x.ndim)])]


def _like(number):
    def like(trace, x, dtype=None):
        return trace.fill(x.shape, number, dtype or x.dtype, x.ref.batch)

    return like


def _split(trace, x, indices, axis=0):
    n = x.shape[axis]
    if isinstance(indices, (int, np.integer)):
        if n % indices:
            raise ValueError("the sections do not divide the axis")
        indices = range(n // indices, n, n // indices)
    ends = [0, *map(int, indices), n]
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(a, b))] for a, b in pairwise(ends)]


FUNCTIONS = {
    "where": _where,
    "concatenate": lambda trace, xs, axis=0: trace.join([trace.operand(x) for x in xs], axis),
    "stack": _stack,
    "split": _split,
    "flip": _flip,
    "expand_dims": _expand_dims,
    "moveaxis": _moveaxis,
    "broadcast_to": lambda trace, x, shape: Traced(trace, x.ref.broadcast_to(tuple(shape))),
    "zeros_like": _like(0),
    "ones_like": _like(1),
    "full_like": lambda trace, x, number, **kw: _like(number)(trace, x, **kw),
    "shape": lambda trace, x: x.shape,
    "ndim": lambda trace, x: x.ndim,
    "transpose": lambda trace, x, axes=None: x.transpose(*(() if axes is None else (axes,))),
    "ascontiguousarray": lambda trace, x: x,
    "dot": lambda trace, a, b: trace.operand(a).dot(b),
    "result_type": lambda trace, *xs: np.result_type(*[getattr(x, "dtype", x) for x in xs]),
}


def _method(name):
    return lambda trace, x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


FUNCTIONS |= {
    name: _method(name)
    for name in ("clip", "copy", "max", "mean", "min", "reshape", "squeeze", "sum", "swapaxes")
}
FUNCTIONS["amax"] = FUNCTIONS["max"]
