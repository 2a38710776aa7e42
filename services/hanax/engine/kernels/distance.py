"""Distances between rows and queries as integers that keep the order, in the form that suits the processor.

Indexes measure in L2, squared, or in L1 (hanax.engine.index.space). Rows and queries are either

- codes: uint8[n, width], width a multiple of 64, padded with 128. A code c stands for c - 128.
  `norms`, int32[n], holds the sum of (c - 128)^2 of each row. The distance is exact in integers.
- vectors: float32[n, width], width a multiple of 16, padded with zeros. `norms` is empty.
  The distance is the bits of a float32 from 0 up.

`constants`, int32[q], holds sum((c - 128)^2) + 256 sum(c - 128) of each query's codes; anything for floats:
|r - q|^2 = |r|^2 + |q|^2 - 2 sum(r (q - 128)) - ..., where rows enter without their 128 taken off.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import overload

from hanax.engine.kernels import cpu

if cpu.AVX512:
    from hanax.engine.kernels.avx512 import (
        byte_l1_1,
        byte_l1_4,
        dot1,
        dot4,
        l1_1,
        l1_4,
        squared_l2_1,
        squared_l2_4,
    )
else:
    from hanax.engine.kernels.plain import (
        byte_l1_1,
        byte_l1_4,
        dot1,
        dot4,
        l1_1,
        l1_4,
        squared_l2_1,
        squared_l2_4,
    )


def _one(l1, rows, norms, a, queries, query, constant):
    raise NotImplementedError


def _four(l1, rows, norms, a, b, c, d, queries, query, constant):
    raise NotImplementedError


@overload(_one)
def _one_of(l1, rows, norms, a, queries, query, constant):
    if rows.dtype == types.uint8:

        def one(l1, rows, norms, a, queries, query, constant):
            if l1:
                return byte_l1_1(rows, a, queries, query)
            return np.int32(norms[a] + constant - np.int32(2) * dot1(rows, a, queries, query))
    else:

        def one(l1, rows, norms, a, queries, query, constant):
            if l1:
                return l1_1(rows, a, queries, query)
            return squared_l2_1(rows, a, queries, query)

    return one


@overload(_four)
def _four_of(l1, rows, norms, a, b, c, d, queries, query, constant):
    if rows.dtype == types.uint8:

        def four(l1, rows, norms, a, b, c, d, queries, query, constant):
            if l1:
                return byte_l1_4(rows, a, b, c, d, queries, query)
            p, q, r, s = dot4(rows, a, b, c, d, queries, query)
            two = np.int32(2)
            return (
                np.int32(norms[a] + constant - two * p),
                np.int32(norms[b] + constant - two * q),
                np.int32(norms[c] + constant - two * r),
                np.int32(norms[d] + constant - two * s),
            )
    else:

        def four(l1, rows, norms, a, b, c, d, queries, query, constant):
            if l1:
                return l1_4(rows, a, b, c, d, queries, query)
            return squared_l2_4(rows, a, b, c, d, queries, query)

    return four


@njit(nogil=True, error_model="numpy")
def distance1(l1, rows, norms, a, queries, query, constant):
    """The distance of rows[a] to queries[query]. l1: L1, else squared L2. int32."""
    return _one(l1, rows, norms, a, queries, query, constant)


@njit(nogil=True, error_model="numpy")
def distance4(l1, rows, norms, a, b, c, d, queries, query, constant):
    """The distances of four rows, which share each load of the query. Four int32."""
    return _four(l1, rows, norms, a, b, c, d, queries, query, constant)
