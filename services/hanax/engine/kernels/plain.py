"""The steps of `distance` on codes for any processor: vector arithmetic that LLVM lowers to what there is."""

from __future__ import annotations

from llvmlite import ir

from hanax.engine.kernels.llvm import I8, I16, I32, declare

BYTES = ir.VectorType(I8, 64)
_SHORTS = ir.VectorType(I16, 64)
_WIDE = ir.VectorType(I32, 64)
_INTS = ir.VectorType(I32, 16)

DOT_TOTAL = _INTS
L1_TOTAL = _INTS


def dot_step(builder, query, row, total):
    """total + sums over four pieces of row * (query - 128): a product fits into 16 bits."""
    signed = builder.sub(builder.zext(query, _SHORTS), ir.Constant(_SHORTS, [128] * 64))
    products = builder.mul(builder.zext(row, _SHORTS), signed)
    return _fold(builder, builder.sext(products, _WIDE), total)


def l1_step(builder, query, row, total):
    """total + sums over four pieces of |row - query|."""
    smaller = declare(builder, "llvm.umin.v64i8", BYTES, [BYTES, BYTES])
    larger = declare(builder, "llvm.umax.v64i8", BYTES, [BYTES, BYTES])
    differences = builder.sub(builder.call(larger, [query, row]), builder.call(smaller, [query, row]))
    return _fold(builder, builder.zext(differences, _WIDE), total)


def _fold(builder, numbers, total):
    undefined = ir.Constant(_WIDE, ir.Undefined)
    for first in range(0, 64, 16):
        lanes = ir.Constant(ir.VectorType(I32, 16), list(range(first, first + 16)))
        total = builder.add(total, builder.shuffle_vector(numbers, undefined, lanes))
    return total
