"""Product quantisation: the codebooks, the codes, and the distances of a query to every centroid of a
codebook.

Codebooks are float32[parts, part dimension, centroids], so that the loop over centroids is the inner one:
16 of them are one vector register. Values are components in steps of the scalar quantiser, rounded or not.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int64, njit, types, uint8, void

_codes_t = types.Array(uint8, 2, "C", readonly=True)
_books_t = types.Array(float32, 3, "C", readonly=True)
_J = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(nogil=True, error_model="numpy", fastmath=True, _nrt=False)
def _nearest(codes, i, first, book, distances):
    """The centroid of `book`, float32[dimension, centroids], nearest in L2 to codes[i, first:]."""
    count = book.shape[1]
    for c in range(count):
        distances[c] = np.float32(0.0)
    for j in range(min(book.shape[0], codes.shape[1] - first)):
        value = np.float32(codes[i, first + j]) - np.float32(128.0)
        for c in range(count):
            distances[c] += (value - book[j, c]) * (value - book[j, c])
    best = distances[0]
    label = 0
    for c in range(1, count):
        if distances[c] < best:
            best = distances[c]
            label = c
    return label


@njit(void(_codes_t, float32[:, :, ::1], int64), **_J)
def train(codes, books, passes):
    """Lloyd's algorithm for every part by itself. codes: uint8[n, padded], n >= 1. books:
    float32 zeros, which become the means.
    """
    parts, dimension, count = books.shape
    distances = np.empty(count, np.float32)
    sums = np.empty((count, dimension), np.float64)
    sizes = np.empty(count, np.int64)
    rows = codes.shape[0]
    for part in range(parts):
        first = part * dimension
        book = books[part]
        # The last part may reach past the end of a row.
        span = min(dimension, codes.shape[1] - first)
        for c in range(count):
            row = c * rows // count
            for j in range(span):
                book[j, c] = np.float32(codes[row, first + j]) - np.float32(128.0)
        for _ in range(passes):
            sums[:] = 0.0
            sizes[:] = 0
            for i in range(rows):
                label = _nearest(codes, i, first, book, distances)
                sizes[label] += 1
                for j in range(span):
                    sums[label, j] += float(codes[i, first + j]) - 128.0
            for c in range(count):
                if sizes[c] > 0:
                    for j in range(span):
                        book[j, c] = np.float32(sums[c, j] / sizes[c])


@njit(void(_codes_t, _books_t, uint8[:, ::1]), **_J)
def encode(codes, books, out):
    """out[i, part] = the centroid nearest to that part of codes[i]: uint8[n, parts]."""
    parts, dimension, count = books.shape
    distances = np.empty(count, np.float32)
    for part in range(parts):
        book = books[part]
        for i in range(codes.shape[0]):
            out[i, part] = np.uint8(_nearest(codes, i, part * dimension, book, distances))


@njit(nogil=True, error_model="numpy", fastmath=True, _nrt=False)
def distances_to_centroids(l1, values, books, tables):
    """tables[part, c] = squared L2 or L1 of that part of `values`, float32[padded], to centroid c."""
    parts, dimension, count = books.shape
    for part in range(parts):
        for c in range(count):
            tables[part, c] = np.float32(0.0)
        for j in range(min(dimension, values.shape[0] - part * dimension)):
            value = values[part * dimension + j]
            if l1:
                for c in range(count):
                    tables[part, c] += abs(value - books[part, j, c])
            else:
                for c in range(count):
                    tables[part, c] += (value - books[part, j, c]) * (value - books[part, j, c])


@njit(void(_codes_t, int64, uint8[:, :, ::1]), **_J)
def fill_blocks(part_codes, first, blocks):
    """Lay 4-bit codes out for hanax.engine.kernels.fast_scan: uint8[n, parts], the vectors first .. first + n
    of a list, into its zeroed blocks, uint8[blocks, ceil(parts / 4), 64].
    """
    for i in range(part_codes.shape[0]):
        block = blocks[(first + i) // 32]
        lane = (first + i) % 32
        shift = np.uint8(4) if lane >= 16 else np.uint8(0)
        for part in range(part_codes.shape[1]):
            block[part // 4, (lane % 16) * 4 + part % 4] |= part_codes[i, part] << shift
