"""A scan of int8 codes: candidates of each query, by the distances of their codes."""

from __future__ import annotations

import numpy as np
from numba import boolean, int32, int64, njit, types, uint8, uint64, void

from hanax.engine.kernels.distance import distance4
from hanax.engine.kernels.llvm import prefetch_line
from hanax.engine.kernels.pool import NO_BOUND, insert_key, key_of, row_of
from hanax.engine.kernels.scan import GATHERED, gather

# Groups of four rows that are asked for ahead of the one at hand.
_AHEAD = 2

_codes_t = types.Array(uint8, 2, "C", readonly=True)
_numbers_t = types.Array(int32, 1, "C", readonly=True)
_words_t = types.Array(uint64, 1, "C", readonly=True)


@njit(
    void(boolean, _codes_t, _numbers_t, _codes_t, _numbers_t, boolean, _words_t, int64[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def scan_codes(l1, codes, norms, queries, constants, masked, mask, candidates):
    """Fill candidates, int64[q, c], with the rows whose codes are nearest: ascending, ties by row, then -1.

    l1, codes, norms, queries, constants: hanax.engine.kernels.distance. masked, mask: as for
    hanax.engine.kernels.scan.scan.
    """
    count = codes.shape[0]
    limit = candidates.shape[1]
    lines = codes.shape[1] // 64
    chosen = np.empty(2 * GATHERED + 1, np.int64)
    sizes = np.zeros(queries.shape[0], np.int64)
    first = 0
    while first < count:
        first = gather(first, count, masked, mask, chosen)
        gathered = chosen[-1]
        if gathered == 0:
            continue
        last = gathered - 1
        for q in range(queries.shape[0]):
            pool = candidates[q]
            size = sizes[q]
            bound = pool[limit - 1] if size == limit else NO_BOUND
            for i in range(0, gathered, 4):
                if q == 0:
                    for j in range(i + 4 * _AHEAD, i + 4 * _AHEAD + 4):
                        # Behind the gathered rows come, mostly, the next.
                        row = chosen[j] if j <= last else min(chosen[last] + j - last, count - 1)
                        for line in range(lines):
                            prefetch_line(codes, row, line)
                a, b = chosen[i], chosen[min(i + 1, last)]
                c, d = chosen[min(i + 2, last)], chosen[min(i + 3, last)]
                distances = distance4(l1, codes, norms, a, b, c, d, queries, q, constants[q])
                rows = (a, b, c, d)
                for t in range(min(4, gathered - i)):
                    key = key_of(distances[t], rows[t])
                    if key < bound:
                        insert_key(pool, size, limit, key)
                        size = min(size + 1, limit)
                        if size == limit:
                            bound = pool[limit - 1]
            sizes[q] = size
    for q in range(queries.shape[0]):
        for place in range(limit):
            candidates[q, place] = row_of(candidates[q, place]) if place < sizes[q] else -1
