"""What compiled loops call: elements by their place in a vector, and sums.

An index into a Numba array may be negative, and every access asks; that keeps LLVM from turning
loops over views into vector instructions. ``get`` and ``put`` do not ask. The loops that use them
are generated from shapes that are checked before they run.
"""

import numpy as np
from llvmlite.ir.instructions import LoadInstr, StoreInstr
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload


def _pointer(context, builder, kind, array, i):
    data = context.make_array(kind)(context, builder, array).data
    return cgutils.gep(builder, data, i)


# LLVM asks before a loop whether its arrays overlap, and gives up on vectors where that is too much
# to ask. So it is told: what is read and written in one *scope* overlaps with no other's.
SCOPES = 64


def _in_scope(builder, n, scope):
    """Tell of the instructions from number ``n`` of a block on that they access a scope."""
    if not 0 < scope <= SCOPES:
        return
    module = builder.module
    domain = module.add_metadata(["dynet.scan"])
    scopes = [module.add_metadata([f"dynet.scan.{i}", domain]) for i in range(1, SCOPES + 1)]
    for instruction in builder.block.instructions[n:]:
        if isinstance(instruction, (LoadInstr, StoreInstr)):
            instruction.set_metadata("alias.scope", module.add_metadata([scopes.pop(scope - 1)]))
            instruction.set_metadata("noalias", module.add_metadata(scopes))


@intrinsic(prefer_literal=True)
def get(typingctx, a, i, scope):
    """``a[i]`` of a vector; the number of a scope is written out, 0 for none."""

    def codegen(context, builder, signature, arguments):
        place = _pointer(context, builder, signature.args[0], *arguments[:2])
        n = len(builder.block.instructions)
        x = context.unpack_value(builder, signature.args[0].dtype, place)
        _in_scope(builder, n, scope.literal_value)
        return x

    return a.dtype(a, types.int64, scope), codegen


@intrinsic(prefer_literal=True)
def put(typingctx, a, i, scope, x):
    """``a[i] = x`` of a vector."""

    def codegen(context, builder, signature, arguments):
        place = _pointer(context, builder, signature.args[0], *arguments[:2])
        n = len(builder.block.instructions)
        context.pack_value(builder, signature.args[0].dtype, arguments[3], place)
        _in_scope(builder, n, scope.literal_value)
        return context.get_dummy_value()

    return types.void(a, types.int64, scope, a.dtype), codegen


@intrinsic
def part(typingctx, a, i, shape):
    """The elements of a vector from ``i`` on, in some shape, for a kernel: a view, for the moment.

    Nothing counts who refers to it, so it must not outlive the call that it is made for.
    """
    result = types.Array(a.dtype, len(shape), "C")

    def codegen(context, builder, signature, arguments):
        a, i, shape = arguments
        lengths = cgutils.unpack_tuple(builder, shape)
        strides, step = (
            [],
            context.get_constant(
                types.intp, context.get_abi_sizeof(context.get_data_type(result.dtype))
            ),
        )
        itemsize = step
        for n in reversed(lengths):
            strides.insert(0, step)
            step = builder.mul(step, n)
        array = context.make_array(result)(context, builder)
        context.populate_array(
            array,
            data=_pointer(context, builder, signature.args[0], a, i),
            shape=lengths,
            strides=strides,
            itemsize=itemsize,
            meminfo=None,
        )
        return array._getvalue()

    return result(a, types.int64, types.UniTuple(types.int64, len(shape))), codegen


@njit(fastmath={"reassoc"})
def sum_of(a, at, n, stride):
    """The sum of ``n`` elements, in whatever order is fastest."""
    total = a.dtype.type(0)
    for i in range(n):
        total += get(a, at + i * stride, 0)
    return total


@njit(cache=True)
def weighed_sum(bits):
    """The sum of some unsigned integers, each times an odd number that depends on its place."""
    total, weight = np.uint64(0), np.uint64(1)
    for i in range(bits.size):
        total += np.uint64(bits[i]) * weight
        weight += np.uint64(2)
    return total


def refused(status):
    """Whether a kernel refused what it was given, by what it returned."""


@overload(refused)
def _refused(status):
    if isinstance(status, types.NoneType):
        return lambda status: False
    return lambda status: status != -1
