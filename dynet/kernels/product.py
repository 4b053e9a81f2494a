"""The matrix product for compiled loops: small ones take a third of a BLAS's time.

A recurrence multiplies a few rows by the same small matrix at each of its steps. A BLAS spends much
of such a call on finding out what to do, and two threads that call it at once get in each other's
way. Here a block of the result stays in vector registers while its sums run, each in the order of
the steps, with fused multiply-adds where the machine has them. So an element has the same bits
however many rows and columns are computed along with it.
"""

from contextlib import contextmanager
from threading import local
from weakref import ref

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from ..backend import SMALL_PRODUCT
from .arithmetic import COMPILED
from .threads import available_cores, share
from .tile import ROWS, VECTOR_BYTES, Code

# A block has ROWS rows, or where fewer are left a half of them, a quarter, ..., of up to so many
# vectors: its sums and what a step needs fit the registers. One row alone takes twice as many: the
# machine adds to the one sum while it waits for another.
VECTORS = 3

# So many steps are gone through at a time: what a block reads of ``b`` in so many stays in a core's
# first cache, for the block below.
STEPS = 128

# So many rows are gone through at a time: what they hold of ``a`` in so many steps stays in the
# second cache, for the blocks beside them.
TALL = 192

# With so many rows in ``a``, a copy of ``b`` with contiguous rows costs less than it saves.
WORTH_A_COPY = 64

_INT, _INT32 = ir.IntType(64), ir.IntType(32)


# -- blocks -------------------------------------------------------------------------------------


class _Blocks(Code):
    """Writes instructions for blocks of vectors, of which the last in a row may be in part."""

    def below(self, n):
        """For each lane, whether its number is less than ``n``."""
        kind = ir.VectorType(_INT32, self.lanes)
        n = self.builder.trunc(n, _INT32)
        n = self.builder.insert_element(kind(ir.Undefined), n, _INT32(0))
        lanes = ir.Constant(kind, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, self.shuffle(n, n, [0] * self.lanes))

    def call(self, name, result, *operands):
        kind = ir.FunctionType(result, [x.type for x in operands])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, operands)

    def place(self, pointer, i):
        """A pointer to the vector that begins there, and its alignment."""
        pointer = self.builder.gep(pointer, [i])
        return self.builder.bitcast(pointer, self.vector.as_pointer()), _INT32(self.bits // 8)

    def load_where(self, mask, pointer, i):
        """The vector that begins there; zeros where ``mask`` is false, where nothing is read."""
        name = f"llvm.masked.load.v{self.lanes}f{self.bits}.p0"
        return self.call(name, self.vector, *self.place(pointer, i), mask, self.vector(None))

    def store_where(self, mask, x, pointer, i):
        name = f"llvm.masked.store.v{self.lanes}f{self.bits}.p0"
        self.call(name, ir.VoidType(), x, *self.place(pointer, i), mask)

    def prefetch(self, pointer, i):
        """Have the cache fetch what lies there, be it inside an array or not."""
        pointer = self.builder.bitcast(self.builder.gep(pointer, [i]), cgutils.voidptr_t)
        to_read, soon, data = _INT32(0), _INT32(3), _INT32(1)
        self.call("llvm.prefetch.p0", ir.VoidType(), pointer, to_read, soon, data)

    @contextmanager
    def loop(self, n):
        """A loop over ``range(n)``. LLVM would unroll it, and run out of registers: it must not."""
        with cgutils.for_range(self.builder, n) as loop:
            yield loop.index
            end = self.builder.block
        module = self.builder.module
        disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
        loop = module.add_metadata([ir.MetaDataString(module, end.name), disable])
        loop.operands = loop, disable  # LLVM knows a loop by a list that begins with itself
        end.terminator.set_metadata("llvm.loop", loop)

    def multiply(self, rows, vectors, a, a_strides, b, b_strides, out, out_row, sizes, add):
        """The block of ``rows`` rows of ``vectors`` vectors.

        Args:
            a, b, out: pointers to where it begins.
            sizes: its columns, times and steps.
        """
        builder = self.builder
        a_time, a_row, a_step = a_strides
        b_time, b_step = b_strides
        columns, times, steps = sizes
        offsets = [_INT(v * self.lanes) for v in range(vectors)]
        places = [
            [builder.add(self.times(out_row, r), offset) for offset in offsets] for r in range(rows)
        ]
        last = self.below(builder.sub(columns, offsets[-1]))
        masks = [ir.Constant(last.type, [1] * self.lanes)] * (vectors - 1) + [last]
        taken = builder.select(add, columns, _INT(0))
        taken = [self.below(builder.sub(taken, offset)) for offset in offsets]
        # LLVM turns these variables into registers.
        sums = [
            [
                cgutils.alloca_once_value(builder, self.load_where(mask, out, i))
                for mask, i in zip(taken, row, strict=True)
            ]
            for row in places
        ]
        with self.loop(times) as t, self.loop(steps) as k:
            a_i = builder.add(builder.mul(t, a_time), builder.mul(k, a_step))
            b_i = builder.add(builder.mul(t, b_time), builder.mul(k, b_step))
            y = [
                self.load_where(mask, b, builder.add(b_i, offset))
                for mask, offset in zip(masks, offsets, strict=True)
            ]
            for r in range(rows):
                x = self.everywhere(self.number(a, builder.add(a_i, self.times(a_row, r))))
                for v in range(vectors):
                    total = self.multiply_add(x, y[v], builder.load(sums[r][v]))
                    builder.store(total, sums[r][v])
            if rows > 1:
                # The columns of the next blocks: in a wide matrix, a step is too far for the cache
                # to foresee. One row alone is over too soon for it to be worth it.
                for offset in offsets:
                    self.prefetch(b, self.plus(builder.add(b_i, offset), vectors * self.lanes))
        for row, totals in zip(places, sums, strict=True):
            for mask, i, total in zip(masks, row, totals, strict=True):
                self.store_where(mask, builder.load(total), out, i)


@intrinsic
def _multiply_block(typingctx, a, a_layout, b, b_layout, out, out_layout, sizes, add):
    """``product`` for one block, which the sizes choose. It checks nothing."""

    def codegen(context, builder, signature, arguments):
        code = _Blocks(context, builder, signature.args, arguments)
        a, a_layout, b, b_layout, out, out_layout, sizes, add = arguments
        a_at, *a_strides = cgutils.unpack_tuple(builder, a_layout)
        b_at, *b_strides = cgutils.unpack_tuple(builder, b_layout)
        out_at, out_row = cgutils.unpack_tuple(builder, out_layout)
        rows, *sizes = cgutils.unpack_tuple(builder, sizes)
        a, b, out = builder.gep(a, [a_at]), builder.gep(b, [b_at]), builder.gep(out, [out_at])
        vectors = builder.sdiv(code.plus(sizes[0], code.lanes - 1), _INT(code.lanes))
        done = builder.append_basic_block("done")
        switch = builder.switch(code.plus(code.times(rows, 2 * VECTORS), vectors), done)
        r = ROWS
        while r:
            for v in range(1, (VECTORS if r > 1 else 2 * VECTORS) + 1):
                block = builder.append_basic_block("block")
                switch.add_case(_INT(r * 2 * VECTORS + v), block)
                builder.position_at_end(block)
                code.multiply(r, v, a, a_strides, b, b_strides, out, out_row, sizes, add)
                builder.branch(done)
            r //= 2
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(a, a_layout, b, b_layout, out, out_layout, sizes, add), codegen


# -- products -----------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _product(
    a, a_size, a_layout, b, b_size, b_layout, out, out_size, out_layout, sizes, add, lanes
):
    """``product``, with each array as a pointer and a size, and the lanes of a vector."""
    a_at, a_time, a_row, a_step = a_layout
    b_at, b_time, b_step = b_layout
    out_at, out_row = out_layout
    rows, columns, times, steps = sizes
    signs = a_at | a_row | a_time | a_step | b_at | b_time | b_step | out_at | out_row
    if (signs | rows | columns | times | steps) < 0:
        raise ValueError("product: a place, a stride or a size is negative")
    if rows == 0 or columns == 0:
        return
    # Where the last elements lie, in floating point, as integers would wrap around.
    row, column, time, step = rows - 1.0, columns - 1.0, times - 1.0, steps - 1.0
    if out_at + row * out_row + column >= out_size:
        raise ValueError("product: out is too short")
    if times == 0 or steps == 0:
        times, steps = 1, 0
    elif a_at + row * a_row + time * a_time + step * a_step >= a_size:
        raise ValueError("product: a is too short")
    elif b_at + time * b_time + step * b_step + column >= b_size:
        raise ValueError("product: b is too short")
    wide = (VECTORS if rows > 1 else 2 * VECTORS) * lanes
    many = STEPS // steps if 0 < steps < STEPS else 1
    for top in range(0, rows, TALL):
        bottom = min(rows, top + TALL)
        for t in range(0, times, many):
            for k in range(0, max(1, steps), STEPS):
                for j in range(0, columns, wide):
                    i, height = top, ROWS
                    while i < bottom:
                        while height > bottom - i:
                            height //= 2
                        _multiply_block(
                            a,
                            (a_at + i * a_row + t * a_time + k * a_step, a_time, a_row, a_step),
                            b,
                            (b_at + t * b_time + k * b_step + j, b_time, b_step),
                            out,
                            (out_at + i * out_row + j, out_row),
                            (
                                height,
                                min(wide, columns - j),
                                min(many, times - t),
                                min(STEPS, steps - k),
                            ),
                            add or t > 0 or k > 0,
                        )
                        i += height


@intrinsic
def product(
    typingctx,
    a,
    a_at,
    a_time,
    a_row,
    a_step,
    b,
    b_at,
    b_time,
    b_step,
    out,
    out_at,
    out_row,
    rows,
    columns,
    times,
    steps,
    add,
):
    """A matrix product, or a sum of several over time, in a compiled function.

    ``out[i, j] = sum over t, k of a[t, i, k] * b[t, k, j]``, in the order of times ``t``, and for
    each of them of steps ``k``. All three lie in contiguous vectors, of float32 or of float64.

    Args:
        a: a vector.
        a_at: the place of its first element.
        a_time, a_row, a_step: how far the next element in each direction is, 0 or more.
        b, b_at, b_time, b_step: likewise; its columns lie side by side.
        out, out_at, out_row: likewise. It shares no memory with ``a`` and ``b``.
        rows, columns: of ``out``.
        times, steps: how many; if either is 0, sums are 0.
        add: whether to begin with what ``out`` holds instead of with 0.

    Raises:
        ValueError: an element would lie outside its vector, or a number is negative.
        numba.core.errors.TypingError: the arguments have other types, when a caller is compiled.

    >>> import numpy as np
    >>> from numba import njit
    >>> @njit
    ... def multiply(a, b, out):
    ...     product(a, 0, 0, 3, 1, b, 0, 0, 2, out, 0, 2, 2, 2, 1, 3, False)
    >>> a, b, out = np.arange(6.0), np.arange(6.0), np.empty(4)
    >>> multiply(a, b, out)  # of (2, 3) and (3, 2)
    >>> out
    array([10., 13., 28., 40.])
    """
    for x in a, b, out:
        if not isinstance(x, types.Array) or x.ndim != 1 or x.layout != "C":
            raise TypingError(f"product: expected contiguous vectors, got {x}")
        if x.dtype != a.dtype or x.dtype not in (types.float32, types.float64):
            raise TypingError(
                f"product: a, b and out are of {a.dtype}, {b.dtype} and {out.dtype}, expected one "
                "dtype, float32 or float64"
            )
    if not out.mutable:
        raise TypingError("product: out is an array that cannot be written to")
    layouts = (
        (a_at, a_time, a_row, a_step),
        (b_at, b_time, b_step),
        (out_at, out_row),
        (rows, columns, times, steps),
    )
    numbers = [x for layout in layouts for x in layout]
    if not all(isinstance(x, types.Integer) for x in numbers):
        raise TypingError(
            f"product: expected integers for places, strides and sizes, got {numbers}"
        )
    i = types.int64
    signature = types.void(a, i, i, i, i, b, i, i, i, out, i, i, i, i, i, i, types.boolean)
    # The kernel takes pointers and integers, so it is compiled once for a dtype: else Numba would
    # compile it again for arrays that are read only, and for each constant among the integers.
    pointer = types.CPointer(a.dtype)
    tuples = [types.UniTuple(i, len(layout)) for layout in layouts]
    operands = [x for layout in tuples[:3] for x in (pointer, i, layout)]
    function = typingctx.resolve_value_type(_product)
    kernel = function.get_call_type(typingctx, (*operands, tuples[3], types.boolean, i), {})

    def codegen(context, builder, signature, arguments):
        operands, left = [], iter(arguments)
        for t, layout in zip((a, b, out), tuples, strict=False):
            array = context.make_array(t)(context, builder, next(left))
            places = [next(left) for _ in layout]
            operands += [array.data, array.nitems, context.make_tuple(builder, layout, places)]
        sizes = context.make_tuple(builder, tuples[3], [next(left) for _ in tuples[3]])
        lanes = _INT(VECTOR_BYTES * 8 // a.dtype.bitwidth)
        call = context.get_function(function, kernel)
        context.add_linking_libs(call.libs)
        call(builder, [*operands, sizes, next(left), lanes])
        return context.get_dummy_value()

    return signature, codegen


# The whole of it, of contiguous rows: with the nine arguments of the other one, the call of a small
# product takes half as long again.
@njit(cache=True, nogil=True)
def _small_dot_to(a, b, out):
    rows, steps = a.shape
    columns = b.shape[1]
    if b.shape[0] != steps or out.shape != (rows, columns):
        raise ValueError("dot: the shapes do not fit")
    a, b, out = a.reshape(a.size), b.reshape(b.size), out.reshape(out.size)
    product(
        a, 0, 0, steps, 1, b, 0, 0, columns, out, 0, columns, rows, columns, 1, steps, False
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _part_of_dot_to(a, a_row, a_step, b, out, row, rows, column, columns):
    """Of ``a.dot(b)`` so many rows and columns, from these on.

    The first one is a vector, with its rows and steps so far apart; ``b`` and ``out`` are matrices.
    """
    steps, width = b.shape
    if out.shape[1] != width or column + columns > width:
        raise ValueError("dot: the shapes do not fit")
    b, out = b.reshape(b.size), out.reshape(out.size)
    product(
        a, row * a_row, 0, a_row, a_step, b, column, 0, width, out, row * width + column, width,
        rows, columns, 1, steps, False
    )  # fmt: skip


def dot(a, b):
    """``a.dot(b)``, for matrices by the kernel above, on several cores where they are large.

    Of any other layout than contiguous rows or columns, of other dtypes, and for one row alone, a
    BLAS does it.
    """
    if (
        type(a) is type(b) is np.ndarray
        and a.dtype in COMPILED
        and a.dtype == b.dtype
        and a.ndim == b.ndim == 2
        and len(a) > 1
    ):
        rows, steps = a.shape
        columns = b.shape[1]
        if len(b) != steps:
            return a.dot(b)  # which says what is wrong
        if rows >= WORTH_A_COPY and not b.flags.c_contiguous:
            b = np.ascontiguousarray(b)
        if b.flags.c_contiguous:
            by_rows = a.flags.c_contiguous
            small = 2 * rows * steps * columns < SMALL_PRODUCT
            if by_rows and small:
                out = np.empty((rows, columns), a.dtype)
                _small_dot_to(a, b, out)
                return out
            if by_rows or a.flags.f_contiguous:
                return _large_dot(a, by_rows, b, 1 if small else available_cores())
    return a.dot(b)


def _large_dot(a, by_rows, b, threads):
    """``dot``, in parts for each thread: of the rows, or of the columns where they are more."""
    (rows, steps), columns = a.shape, b.shape[1]
    out = np.empty((rows, columns), a.dtype)
    vector, row, step = (a, steps, 1) if by_rows else (a.T, 1, rows)
    vector = vector.reshape(-1)

    def some_rows(i, end):
        _part_of_dot_to(vector, row, step, b, out, i, end - i, 0, columns)

    def some_columns(j, end):
        _part_of_dot_to(vector, row, step, b, out, 0, rows, j, end - j)

    work, n = (some_rows, rows) if rows >= columns else (some_columns, columns)
    share(work, n, threads)
    return out


class Turned:
    """Copies of matrices, turned to contiguous rows, for as long as somebody keeps this object.

    In one backward pass every step multiplies by the same weight, which lies by columns: that
    makes the forward pass the faster one. A copy pays off from the second time on. It must not
    outlive the pass, since then the weight changes.
    """

    __slots__ = ("__weakref__", "copies")

    def __init__(self):
        self.copies = {}  # by the id of the matrix, which is kept with its copy: None at first
        _latest.turned = ref(self)

    def turn(self, b):
        """The matrix, or its copy if it was here before."""
        held = self.copies.get(id(b))
        if held is None:
            self.copies[id(b)] = b, None
            return b
        if held[1] is None:
            held = self.copies[id(b)] = b, np.ascontiguousarray(b)
        return held[1]


class _Latest(local):
    turned = staticmethod(lambda: None)


_latest = _Latest()


def dot_again(a, b):
    """``dot``, where one ``b`` comes again and again: turned, while a ``Turned`` is kept."""
    if type(b) is np.ndarray and len(a) > 1 and not b.flags.c_contiguous:
        turned = _latest.turned()
        if turned is not None:
            b = turned.turn(b)
    return dot(a, b)
