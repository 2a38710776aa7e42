"""Distances of rows to a query in plain loops: for processors without AVX-512, and the oracle of `avx512`.

The same functions as there, and the same integers; sums of floats differ by rounding.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hanax.engine.kernels.llvm import bits_of_float


@njit(nogil=True, cache=True, error_model="numpy")
def dot1(matrix, a, queries, query):
    row = matrix[a]
    codes = queries[query]
    total = np.int32(0)
    for j in range(codes.shape[0]):
        total += np.int32(row[j]) * (np.int32(codes[j]) - np.int32(128))
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def byte_l1_1(matrix, a, queries, query):
    row = matrix[a]
    codes = queries[query]
    total = np.int32(0)
    for j in range(codes.shape[0]):
        total += abs(np.int32(row[j]) - np.int32(codes[j]))
    return total


@njit(nogil=True, cache=True, error_model="numpy", fastmath=True)
def squared_l2_1(matrix, a, queries, query):
    row = matrix[a]
    vector = queries[query]
    total = np.float32(0.0)
    for j in range(vector.shape[0]):
        difference = row[j] - vector[j]
        total += difference * difference
    return bits_of_float(total)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=True)
def l1_1(matrix, a, queries, query):
    row = matrix[a]
    vector = queries[query]
    total = np.float32(0.0)
    for j in range(vector.shape[0]):
        total += abs(row[j] - vector[j])
    return bits_of_float(total)


def _four(one):
    @njit(nogil=True, error_model="numpy")
    def four(matrix, a, b, c, d, queries, query):
        return (
            one(matrix, a, queries, query),
            one(matrix, b, queries, query),
            one(matrix, c, queries, query),
            one(matrix, d, queries, query),
        )

    return four


dot4, byte_l1_4, squared_l2_4, l1_4 = _four(dot1), _four(byte_l1_1), _four(squared_l2_1), _four(l1_1)
