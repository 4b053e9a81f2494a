"""The matrix product for compiled loops: small ones take a third of a BLAS's time.

A recurrence multiplies a few rows by the same small matrix at each of its steps. A BLAS spends much
of such a call on finding out what to do, and two threads that call it at once get in each other's
way. Here a block of the result stays in vector registers while its sums run, each in the order of
the steps, with fused multiply-adds where the machine has them. So an element has the same bits
however many rows and columns are computed along with it.
"""

import operator
from functools import reduce

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from .tile import ROWS, VECTOR_BYTES, Code

# A block has ROWS rows, or where fewer are left a half of them, a quarter, ..., of up to so many
# vectors: its sums and what a step needs fit the registers. One row alone takes twice as many, or
# it would wait for each sum before it can be added to.
VECTORS = 3 if VECTOR_BYTES == 64 else 2

# So many steps are gone through at a time: of so many, the numbers that a block reads stay in a
# core's first cache for the block below it.
STEPS = 128

_INT, _INT32 = ir.IntType(64), ir.IntType(32)


class _Blocks(Code):
    """Writes instructions for blocks of vectors, of which the last in a row may be in part."""

    def below(self, n):
        """For each lane, whether its number is less than ``n``."""
        kind = ir.VectorType(_INT32, self.lanes)
        n = self.builder.trunc(n, _INT32)
        n = self.builder.insert_element(kind(ir.Undefined), n, _INT32(0))
        lanes = ir.Constant(kind, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, self.shuffle(n, n, [0] * self.lanes))

    def load_where(self, mask, pointer, i):
        """The vector that begins there; zeros where ``mask`` is false, where nothing is read."""
        zeros = ir.Constant(self.vector, None)
        return self._masked("load", self.vector, self._place(pointer, i), mask, zeros)

    def store_where(self, mask, x, pointer, i):
        self._masked("store", ir.VoidType(), x, self._place(pointer, i), mask)

    def _place(self, pointer, i):
        pointer = self.builder.bitcast(self.builder.gep(pointer, [i]), self.vector.as_pointer())
        return pointer, _INT32(self.bits // 8)
