"""Lists of 4-bit product codes, from one block to the next, for the nearest candidates of one query."""

from __future__ import annotations

import numpy as np
from numba import njit

from hanax.engine.kernels.fast_scan import BLOCK, append_lanes, scan_block
from hanax.engine.kernels.llvm import count_bits
from hanax.engine.kernels.narrowing import keep_nearest, known_bits, worth_meeting
from hanax.engine.kernels.pool import row_of


@njit(nogil=True, error_model="numpy", _nrt=False)
def scan_lists(
    lists, nprobe, share, enough, starts, block_starts, blocks, packed, masked, mask, words, rows, kept,
    distances, positions,
):  # fmt: skip
    """About `kept` candidates by product codes from some lists, given as keys; return their number.

    nprobe: so many lists are read. Under a mask, where they held less than this share of allowed rows,
    further ones are read until they have held `enough`: the nearest lists may hold none. distances:
    int32[room + 64], positions: int32[room + 32], room for so many candidates before the farthest are
    dropped.
    """
    count = np.int64(0)
    bound = np.int32(2_147_483_647)
    room = positions.shape[0] - BLOCK
    found = distances[room + BLOCK :]
    seen = np.int64(0)
    read = np.int64(0)
    for probe in range(lists.shape[0]):
        if probe == nprobe:
            enough = worth_meeting(seen, read, share, enough)
        if probe >= nprobe and seen >= enough:
            break
        number = row_of(lists[probe])
        first = starts[number]
        end = starts[number + 1]
        read += end - first
        for block in range(block_starts[number], block_starts[number + 1]):
            width = min(np.int64(BLOCK), end - first)
            allowed = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
            if masked:
                allowed &= known_bits(mask, rows, first, width, words, block)
                seen += count_bits(allowed)
            if allowed != np.uint64(0):
                near = scan_block(blocks, block, packed, found, bound) & allowed
                if near != np.uint64(0):
                    count = append_lanes(found, near, np.int32(first), distances, positions, count)
                if count >= room:
                    count, bound = keep_nearest(distances, positions, count, kept)
            first += BLOCK
    if count > kept:
        count, bound = keep_nearest(distances, positions, count, kept)
    return count
