"""Scalar codes: one byte for each component."""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int32, njit, types, uint8, void

_vectors_t = types.Array(float32, 2, "C", readonly=True)
_mean_t = types.Array(float32, 1, "C", readonly=True)


@njit(nogil=True, error_model="numpy", fastmath=True, _nrt=False)
def _inverse_norm(row):
    squares = np.float32(0.0)
    for j in range(row.shape[0]):
        squares += row[j] * row[j]
    return np.float32(1.0) / np.sqrt(squares)


@njit(
    void(_vectors_t, boolean, _mean_t, float32, uint8[:, ::1], int32[::1], int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
)
def encode(vectors, unit, mean, scale, codes, norms, constants):
    """codes[i, j] = 128 + round((vectors[i, j] - mean[j]) * scale), cut to 1 and 255; the rest is 128.

    vectors: float32[n, w]. unit: take them with length 1; none is zero then. codes: uint8[n, padded].
    norms, constants: int32[n], what hanax.engine.kernels.distance needs of rows and of queries.
    """
    width = vectors.shape[1]
    for i in range(vectors.shape[0]):
        row = vectors[i]
        out = codes[i]
        factor = _inverse_norm(row) if unit else np.float32(1.0)
        squares = np.int32(0)
        total = np.int32(0)
        for j in range(width):
            value = np.rint((row[j] * factor - mean[j]) * scale)
            value = min(max(value, np.float32(-127.0)), np.float32(127.0))
            code = np.int32(value)
            out[j] = np.uint8(code + 128)
            squares += code * code
            total += code
        for j in range(width, out.shape[0]):
            out[j] = np.uint8(128)
        norms[i] = squares
        constants[i] = squares + np.int32(256) * total
