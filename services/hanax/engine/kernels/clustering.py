"""k-means over rows of codes: centroids are rows of codes as well, so that all distances are in integers."""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int32, int64, njit, types, uint8, void

from hanax.engine.kernels.distance import distance1, distance4

_codes_t = types.Array(uint8, 2, "C", readonly=True)
_ints_t = types.Array(int32, 1, "C", readonly=True)
_J = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(
    void(boolean, _codes_t, _ints_t, _codes_t, _ints_t, int32[::1]),
    **_J,
)
def assign(l1, centroids, norms, codes, constants, labels):
    """labels[i] = the centroid nearest to codes[i].

    centroids: uint8[c, padded] with norms int32[c]; codes: uint8[n, padded] with constants int32[n]
    (hanax.engine.kernels.distance). labels: int32[n].
    """
    count = centroids.shape[0]
    for i in range(codes.shape[0]):
        best = np.int32(2147483647)
        label = 0
        c = 0
        while c + 4 <= count:
            p, q, r, s = distance4(l1, centroids, norms, c, c + 1, c + 2, c + 3, codes, i, constants[i])
            if p < best:
                best, label = p, c
            if q < best:
                best, label = q, c + 1
            if r < best:
                best, label = r, c + 2
            if s < best:
                best, label = s, c + 3
            c += 4
        while c < count:
            p = distance1(l1, centroids, norms, c, codes, i, constants[i])
            if p < best:
                best, label = p, c
            c += 1
        labels[i] = label


@njit(void(_codes_t, _ints_t, int64[:, ::1], int64[::1]), **_J)
def add_up(codes, labels, sums, counts):
    """Add each row, less 128, to the sums of its label: int64[c, padded], int64[c]."""
    for i in range(codes.shape[0]):
        label = labels[i]
        row = codes[i]
        total = sums[label]
        for j in range(row.shape[0]):
            total[j] += np.int64(row[j]) - 128
        counts[label] += 1


@njit(
    void(boolean, _codes_t, _ints_t, _ints_t, float64[::1], int64[::1]),
    **_J,
)
def seed(l1, codes, norms, constants, random, chosen):
    """k-means++ (Arthur & Vassilvitskii, SODA 2007, section 2.2): each next centre is a row, drawn with a
    probability that grows with its squared distance to the nearest centre before it.

    codes: uint8[n, padded]. random: float64[c] from 0 to 1. chosen: int64[c], rows; some may be equal when
    there are fewer different rows than centres.
    """
    count = codes.shape[0]
    nearest = np.full(count, np.inf)
    row = np.int64(random[0] * count)
    for number in range(chosen.shape[0]):
        if number > 0:
            target = nearest.sum() * random[number]
            row = np.int64(0)
            passed = nearest[0]
            while passed < target and row < count - 1:
                row += 1
                passed += nearest[row]
        chosen[number] = row
        for i in range(count):
            weight = float(distance1(l1, codes, norms, i, codes, row, constants[row]))
            if l1:
                weight *= weight
            nearest[i] = min(nearest[i], weight)


@njit(void(boolean, _codes_t, _ints_t, _ints_t, int64[::1]), **_J)
def chain(l1, codes, norms, constants, order):
    """order: int64[n], a way through all rows that always goes on to the nearest one that is left. O(n^2)."""
    count = codes.shape[0]
    left = np.arange(count)
    here = np.int64(0)
    for place in range(count):
        row = left[here]
        order[place] = row
        left[here] = left[count - 1 - place]
        nearest = np.int32(2_147_483_647)
        here = np.int64(0)
        for candidate in range(count - 1 - place):
            distance = distance1(l1, codes, norms, left[candidate], codes, row, constants[row])
            if distance < nearest:
                nearest = distance
                here = np.int64(candidate)
