"""The innermost loops of convolution: small blocks of numbers, worked on in vector registers.

Numba's own loops keep a running sum in memory, and load and store it at every step. Here it
stays in registers throughout, which takes the vectors of LLVM, spelled out: this is what
the inner loop of a BLAS does in assembly. Like that, these loops check nothing: who calls them
has made sure that all indices lie inside the arrays.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

# A block has ROWS rows, of one or two vectors each. What it holds in registers at a time, its
# sums and a step's vectors, must fit the machine's: 32 with AVX-512, 16 of 32 bytes with AVX2.
_WIDE = binding.get_host_cpu_features().get("avx512f", False)
VECTOR_BYTES = 64 if _WIDE else 32
ROWS = 8 if _WIDE else 4

_INT = ir.IntType(64)


class Code:
    """Writes instructions for vectors of numbers of one type."""

    def __init__(self, context, builder, types_, arguments):
        self.builder = builder
        self.arguments = [
            context.make_array(t)(context, builder, v).data if isinstance(t, types.Array) else v
            for t, v in zip(types_, arguments, strict=True)
        ]
        self.bits = types_[0].dtype.bitwidth
        self.lanes = VECTOR_BYTES * 8 // self.bits
        self.element = context.get_data_type(types_[0].dtype)
        self.vector = ir.VectorType(self.element, self.lanes)

    def plus(self, i, j):
        return self.builder.add(i, j if isinstance(j, ir.Value) else _INT(j))

    def times(self, i, j):
        return self.builder.mul(i, j if isinstance(j, ir.Value) else _INT(j))

    def number(self, pointer, i):
        """What ``pointer`` points to, ``i`` numbers on."""
        return self.builder.load(self.builder.gep(pointer, [i]))

    def load(self, pointer, i):
        """The vector that begins there."""
        pointer = self.builder.gep(pointer, [i])
        x = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        x.align = self.bits // 8
        return x

    def store(self, x, pointer, i):
        pointer = self.builder.gep(pointer, [i])
        pointer = self.builder.bitcast(pointer, x.type.as_pointer())
        self.builder.store(x, pointer).align = self.bits // 8

    def shuffle(self, x, y, places):
        """The elements of ``x``, and after them those of ``y``, at these places."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
        return self.builder.shuffle_vector(x, y, mask)

    def everywhere(self, number):
        x = self.builder.insert_element(self.vector(ir.Undefined), number, ir.IntType(32)(0))
        return self.shuffle(x, x, [0] * self.lanes)

    def multiply_add(self, x, y, z):
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fmuladd.v{self.lanes}f{self.bits}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [x, y, z])

    def columns(self, rows):
        """A block of ROWS vectors, transposed: for each lane, the numbers of all rows."""
        low = [place for i in range(self.lanes // 2) for place in (i, self.lanes + i)]
        high = [place + self.lanes // 2 for place in low]
        # Rows 0 and 4, 1 and 5, ... are interleaved, then the results likewise, until one
        # sequence is left, which goes through the rows of the first lane, of the second, ...
        sequences = [[row] for row in rows]
        while len(sequences) > 1:
            half = len(sequences) // 2
            sequences = [
                [
                    self.shuffle(x, y, places)
                    for x, y in zip(p, q, strict=True)
                    for places in (low, high)
                ]
                for p, q in zip(sequences[:half], sequences[half:], strict=True)
            ]
        for lane in range(self.lanes):
            i, at = divmod(lane * ROWS, self.lanes)
            yield self.shuffle(sequences[0][i], sequences[0][i], range(at, at + ROWS))

    def sums_of_products(self, begin, a, rows, row, steps, first, n, B, at_B):
        """For each of ROWS rows r: ``begin[r]`` + sum over t of ``a[rows[r] + steps[t]] * B[t]``.

        ``begin`` and the result are lists of ROWS lists of vectors, ``B`` holds as many
        for each of ``n`` steps. The rows begin at ``row``, the steps at ``first``, what belongs
        to the first of them at ``at_B``.
        """
        builder, vectors = self.builder, len(begin[0])
        B = builder.gep(B, [at_B])
        bases = [builder.gep(a, [self.number(rows, self.plus(row, r))]) for r in range(len(begin))]
        entry = builder.block
        loop = builder.append_basic_block("steps")
        done = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", n, _INT(0)), loop, done)

        builder.position_at_end(loop)
        t = builder.phi(_INT)
        sums = [[builder.phi(self.vector) for _ in vs] for vs in begin]
        step = self.number(steps, self.plus(first, t))
        b = [
            self.load(B, self.plus(self.times(t, vectors * self.lanes), v * self.lanes))
            for v in range(vectors)
        ]
        news = []
        for base, vs in zip(bases, sums, strict=True):
            x = self.everywhere(self.number(base, step))
            news.append([self.multiply_add(x, b[v], vs[v]) for v in range(vectors)])
        after = self.plus(t, 1)
        t.add_incoming(_INT(0), entry)
        t.add_incoming(after, loop)
        builder.cbranch(builder.icmp_signed("<", after, n), loop, done)

        builder.position_at_end(done)
        totals = [[builder.phi(self.vector) for _ in vs] for vs in begin]
        for r in range(len(begin)):
            for v in range(vectors):
                for phi in sums[r][v], totals[r][v]:
                    phi.add_incoming(begin[r][v], entry)
                    phi.add_incoming(news[r][v], loop)
        return totals


def _checked(arrays, tables):
    """Raise, when a caller is compiled, unless the arrays are what the code takes them for."""
    for t in (*arrays, *tables):
        if not isinstance(t, types.Array) or t.layout != "C":
            raise TypingError(f"tile: expected contiguous arrays, got {t}")
    if any(t.dtype != arrays[0].dtype for t in arrays) or any(
        t.dtype != types.int64 for t in tables
    ):
        raise TypingError("tile: expected arrays of one dtype, and tables of int64")


def _make_correlate(vectors):
    @intrinsic
    def correlate(
        typingctx, a, rows, row, steps, first, n, B, at_B, start, at_start, out, at, stride
    ):
        """Sums of products, from ``start``; lane l of row r to ``out[at + l * stride + r]``."""
        _checked((a, B, start, out), (rows, steps))

        def codegen(context, builder, signature, arguments):
            code = Code(context, builder, signature.args, arguments)
            *operands, start, at_start, out, at, stride = code.arguments
            begin = [code.load(start, code.plus(at_start, v * code.lanes)) for v in range(vectors)]
            totals = code.sums_of_products([begin] * ROWS, *operands)
            for v in range(vectors):
                for lane, column in enumerate(code.columns([vs[v] for vs in totals])):
                    place = code.times(stride, v * code.lanes + lane)
                    code.store(column, out, code.plus(at, place))
            return context.get_dummy_value()

        signature = types.void(
            a, rows, row, steps, first, n, B, at_B, start, at_start, out, at, stride
        )
        return signature, codegen

    return correlate


def _make_accumulate(vectors):
    @intrinsic
    def accumulate(typingctx, a, rows, row, steps, first, n, B, at_B, out, at):
        """Sums of products, added to a block of ``out``, which begins at ``at``, row by row."""
        _checked((a, B, out), (rows, steps))

        def codegen(context, builder, signature, arguments):
            code = Code(context, builder, signature.args, arguments)
            *operands, out, at = code.arguments
            places = [
                [code.plus(at, (r * vectors + v) * code.lanes) for v in range(vectors)]
                for r in range(ROWS)
            ]
            begin = [[code.load(out, place) for place in row] for row in places]
            totals = code.sums_of_products(begin, *operands)
            for r in range(ROWS):
                for v in range(vectors):
                    code.store(totals[r][v], out, places[r][v])
            return context.get_dummy_value()

        return types.void(a, rows, row, steps, first, n, B, at_B, out, at), codegen

    return accumulate


correlate_one, correlate_two = _make_correlate(1), _make_correlate(2)
accumulate_one, accumulate_two = _make_accumulate(1), _make_accumulate(2)


@intrinsic
def transpose(typingctx, a, begin, row, out, to, column):
    """ROWS rows of one vector, ``row`` apart in ``a``, to columns, ``column`` apart in ``out``."""
    _checked((a, out), ())

    def codegen(context, builder, signature, arguments):
        code = Code(context, builder, signature.args, arguments)
        a, begin, row, out, to, column = code.arguments
        rows = [code.load(a, code.plus(begin, code.times(row, r))) for r in range(ROWS)]
        for lane, x in enumerate(code.columns(rows)):
            code.store(x, out, code.plus(to, code.times(column, lane)))
        return context.get_dummy_value()

    return types.void(a, begin, row, out, to, column), codegen


@intrinsic
def copy(typingctx, a, begin, out, to, n):
    """``out[to : to + n] = a[begin : begin + n]``: a short run in a third of the time of a loop."""
    _checked((a, out), ())

    def codegen(context, builder, signature, arguments):
        code = Code(context, builder, signature.args, arguments)
        a, begin, out, to, n = code.arguments
        cgutils.raw_memcpy(
            builder, builder.gep(out, [to]), builder.gep(a, [begin]), n, code.bits // 8
        )
        return context.get_dummy_value()

    return types.void(a, begin, out, to, n), codegen
