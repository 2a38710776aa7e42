"""Small LLVM operations that Python loops can't express, for every processor.

Each is a numba intrinsic: it becomes a few instructions inside the kernel that calls it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32 = ir.FloatType()
POINTER = ir.PointerType()


def declare(builder, name, result, arguments):
    """The LLVM intrinsic `name` as a function of this module."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def data_pointer(context, builder, array_type, value):
    """Address of the first item of an array."""
    array = context.make_array(array_type)(context, builder, value)
    return builder.bitcast(array.data, POINTER)


def row_pointer(context, builder, array_type, value, row):
    """Address of item [row, 0] of a C-contiguous matrix."""
    array = context.make_array(array_type)(context, builder, value)
    stride = builder.extract_value(array.strides, 0)
    return builder.gep(builder.bitcast(array.data, POINTER), [builder.mul(row, stride)], source_etype=I8)


def row_bytes(context, builder, array_type, value):
    """Bytes from one row of a matrix to the next."""
    array = context.make_array(array_type)(context, builder, value)
    return builder.extract_value(array.strides, 0)


@intrinsic
def prefetch_line(typing, matrix, row, line):
    """Ask for cache line `line` of matrix[row]; harmless past the end."""
    signature = types.void(matrix, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        pointer = row_pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        offset = builder.shl(arguments[2], ir.Constant(I64, 6))
        _prefetch(builder, builder.gep(pointer, [offset], source_etype=I8))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def prefetch_number(typing, array, place):
    """Ask for array[place], int32."""
    signature = types.void(array, types.int64)

    def generate(context, builder, signature, arguments):
        pointer = data_pointer(context, builder, signature.args[0], arguments[0])
        _prefetch(builder, builder.gep(pointer, [arguments[1]], source_etype=I32))
        return context.get_dummy_value()

    return signature, generate


def _prefetch(builder, address):
    prefetch = declare(builder, "llvm.prefetch.p0", ir.VoidType(), [POINTER, I32, I32, I32])
    # Read, keep in all levels, data.
    builder.call(prefetch, [address, ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)])


@intrinsic
def move_items(typing, array, target, source, count):
    """array[target : target + count] = array[source : source + count] for int64; they may overlap."""
    signature = types.void(array, types.int64, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        pointer = data_pointer(context, builder, signature.args[0], arguments[0])
        move = declare(builder, "llvm.memmove.p0.p0.i64", ir.VoidType(), [POINTER, POINTER, I64, I1])
        to, from_ = (builder.gep(pointer, [place], source_etype=I64) for place in arguments[1:3])
        size = builder.shl(arguments[3], ir.Constant(I64, 3))
        builder.call(move, [to, from_, size, ir.Constant(I1, 0)])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def atomic_add(typing, array, place, amount):
    """Add to array[place] (int64) as one step; return what it was."""
    signature = types.int64(array, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        pointer = data_pointer(context, builder, signature.args[0], arguments[0])
        item = builder.gep(pointer, [arguments[1]], source_etype=I64)
        return builder.atomic_rmw("add", item, arguments[2], "seq_cst")

    return signature, generate


@intrinsic
def trailing_zeros(typing, word):
    """Number of the lowest bit that is set in a uint64, which is not zero."""
    signature = types.int64(types.uint64)

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(I1, 1))

    return signature, generate


@intrinsic
def count_bits(typing, word):
    """Bits that are set in a uint64."""
    signature = types.int64(types.uint64)

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return signature, generate


@intrinsic
def bits_of_float(typing, number):
    """The bits of a float32 as int32: for numbers from 0 up they keep the order."""
    signature = types.int32(types.float32)

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], I32)

    return signature, generate


@intrinsic
def float_of_bits(typing, number):
    """Invert `bits_of_float`."""
    signature = types.float32(types.int32)

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], F32)

    return signature, generate
