"""The steps of `distance` on codes with AVX-512 and VNNI instructions (see `cpu`)."""

from __future__ import annotations

from llvmlite import ir

from hanax.engine.kernels.llvm import I8, I32, I64, declare

BYTES = ir.VectorType(I8, 64)
_INTS = ir.VectorType(I32, 16)
_LONGS = ir.VectorType(I64, 8)

DOT_TOTAL = _INTS
L1_TOTAL = _LONGS


def dot_step(builder, query, row, total):
    """total + sums over four neighbours of row * (query - 128): unsigned times signed bytes."""
    multiply = declare(builder, "llvm.x86.avx512.vpdpbusd.512", _INTS, [_INTS, BYTES, BYTES])
    signed = builder.xor(query, ir.Constant(BYTES, [-128] * 64))
    return builder.call(multiply, [total, row, signed])


def l1_step(builder, query, row, total):
    """total + sums over eight neighbours of |row - query|."""
    differences = declare(builder, "llvm.x86.avx512.psad.bw.512", _LONGS, [BYTES, BYTES])
    return builder.add(total, builder.call(differences, [query, row]))
