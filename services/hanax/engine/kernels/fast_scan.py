"""Distances of 32 vectors at a time from 4-bit product codes, by table look-ups in registers.

After André, Kermarrec & Le Scouarnec, "Cache locality is not enough: high-performance nearest neighbor
search with product quantization fast scan", PVLDB 2015. A block holds 32 vectors, as one row of 64 bytes
for each four parts: bytes 4 v to 4 v + 3 have the four codes of vector v below, and those of vector v + 16
above. The tables of the four parts are 64 bytes as well, so one permutation looks 64 codes up, and one
product with ones adds the four of each vector.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hanax.engine.kernels import cpu
from hanax.engine.kernels.llvm import I1, I8, I16, I32, I64, POINTER, data_pointer, declare

BLOCK = 32
_BYTES = ir.VectorType(I8, 64)
_SHORTS = ir.VectorType(I16, 32)
_INTS = ir.VectorType(I32, 16)


def _look_up(builder, table, places):
    """table[places]: 64 bytes; places are below 64, and those of byte b between 16 (b % 4) and 16 (b % 4) +
    15.
    """
    if cpu.AVX512:
        permute = declare(builder, "llvm.x86.avx512.permvar.qi.512", _BYTES, [_BYTES, _BYTES])
        return builder.call(permute, [table, places])
    # A select for each of the 16 entries: plain vector code everywhere.
    codes = builder.and_(places, ir.Constant(_BYTES, [15] * 64))
    result = ir.Constant(_BYTES, None)
    for entry in range(16):
        spread = ir.Constant(ir.VectorType(I32, 64), [16 * (byte % 4) + entry for byte in range(64)])
        entries = builder.shuffle_vector(table, ir.Constant(_BYTES, ir.Undefined), spread)
        hit = builder.icmp_unsigned("==", codes, ir.Constant(_BYTES, [entry] * 64))
        result = builder.select(hit, entries, result)
    return result


def _add_fours(builder, total, numbers):
    """total, <16 x i32>, plus each four neighbours of <64 x i8>."""
    if cpu.AVX512:
        multiply = declare(builder, "llvm.x86.avx512.vpdpbusd.512", _INTS, [_INTS, _BYTES, _BYTES])
        return builder.call(multiply, [total, numbers, ir.Constant(_BYTES, [1] * 64)])
    words = builder.bitcast(numbers, _INTS)
    low = ir.Constant(_INTS, [255] * 16)
    for shift in range(0, 32, 8):
        moved = builder.lshr(words, ir.Constant(_INTS, [shift] * 16))
        total = builder.add(total, builder.and_(moved, low))
    return total


def _scan(builder, codes, tables, rows):
    """The loop over rows of four parts; the distances of vectors 0 to 15 and 16 to 31."""
    entry = builder.basic_block
    loop, done = builder.append_basic_block("scan.loop"), builder.append_basic_block("scan.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    row = builder.phi(I64)
    row.add_incoming(ir.Constant(I64, 0), entry)
    sums = [builder.phi(_INTS) for _ in range(2)]
    offset = builder.shl(row, ir.Constant(I64, 6))
    code = builder.load(builder.gep(codes, [offset], source_etype=I8), typ=_BYTES, align=1)
    table = builder.load(builder.gep(tables, [offset], source_etype=I8), typ=_BYTES, align=1)
    four = ir.Constant(_SHORTS, [4] * 32)
    upper = builder.bitcast(builder.lshr(builder.bitcast(code, _SHORTS), four), _BYTES)
    parts = ir.Constant(_BYTES, [16 * (byte % 4) for byte in range(64)])
    new = []
    for total, half in zip(sums, (code, upper), strict=True):
        places = builder.or_(builder.and_(half, ir.Constant(_BYTES, [15] * 64)), parts)
        new.append(_add_fours(builder, total, _look_up(builder, table, places)))
    following = builder.add(row, ir.Constant(I64, 1))
    row.add_incoming(following, loop)
    for total, summed in zip(sums, new, strict=True):
        total.add_incoming(ir.Constant(_INTS, None), entry)
        total.add_incoming(summed, loop)
    builder.cbranch(builder.icmp_signed("<", following, rows), loop, done)
    builder.position_at_end(done)
    return new


@intrinsic
def scan_block(typing, codes, block, tables, distances, bound):
    """distances[:32] = those of a block, int32; return a bit for each that is below `bound`, as uint64.

    codes: uint8[blocks, rows, 64]. tables: uint8[rows, 64] (hanax.engine.kernels.tables).
    """
    signature = types.uint64(codes, types.int64, tables, distances, types.int32)

    def generate(context, builder, signature, arguments):
        codes, block, tables, distances, bound = arguments
        array = context.make_array(signature.args[0])(context, builder, codes)
        stride, row_stride = (builder.extract_value(array.strides, axis) for axis in (0, 1))
        pointer = data_pointer(context, builder, signature.args[0], codes)
        base = builder.gep(pointer, [builder.mul(block, stride)], source_etype=I8)
        table = data_pointer(context, builder, signature.args[2], tables)
        out = data_pointer(context, builder, signature.args[3], distances)
        bounds = _spread(builder, bound)
        bits = ir.Constant(I64, 0)
        for half, found in enumerate(_scan(builder, base, table, builder.sdiv(stride, row_stride))):
            target = builder.gep(out, [ir.Constant(I64, 64 * half)], source_etype=I8)
            builder.store(found, builder.bitcast(target, _INTS.as_pointer()), align=4)
            below = builder.bitcast(builder.icmp_signed("<", found, bounds), I16)
            wide = builder.shl(builder.zext(below, I64), ir.Constant(I64, 16 * half))
            bits = builder.or_(bits, wide)
        return bits

    return signature, generate


@intrinsic
def append_lanes(typing, found, bits, first, distances, positions, count):
    """Append found[lane] to distances[:count] and first + lane to positions[:count] for each of 32 bits;
    return the new count. All but the bits are int32.
    """
    signature = types.int64(found, types.uint64, types.int32, distances, positions, types.int64)

    def generate(context, builder, signature, arguments):
        found, bits, first, distances, positions, count = arguments
        source = data_pointer(context, builder, signature.args[0], found)
        targets = [
            data_pointer(context, builder, type_, array)
            for type_, array in zip(signature.args[3:5], (distances, positions), strict=True)
        ]
        some = ir.VectorType(I1, 16)
        store = declare(builder, "llvm.masked.compressstore.v16i32", ir.VoidType(), [_INTS, POINTER, some])
        for half in range(2):
            half_bits = builder.trunc(builder.lshr(bits, ir.Constant(I64, 16 * half)), I16)
            address = builder.gep(source, [ir.Constant(I64, 64 * half)], source_etype=I8)
            lanes = ir.Constant(_INTS, list(range(16 * half, 16 * half + 16)))
            values = (builder.load(address, typ=_INTS, align=4), builder.add(_spread(builder, first), lanes))
            for value, target in zip(values, targets, strict=True):
                place = builder.gep(target, [count], source_etype=I32)
                builder.call(store, [value, place, builder.bitcast(half_bits, some)])
            count = builder.add(count, builder.zext(builder.ctpop(half_bits), I64))
        return count

    return signature, generate


def _spread(builder, number):
    """<16 x i32> of one."""
    undefined = ir.Constant(_INTS, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_INTS, [0] * 16))
