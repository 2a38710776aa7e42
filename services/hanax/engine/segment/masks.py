"""Bitmaps of rows as the kernels read them: uint64 words, bit i of word w is row 64 w + i."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from hanax.engine.kernels.hnsw_masked import allowed_rows

Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]


def flags_of_live(dead: BitMap, rows: int) -> Flags:
    """bool[rows], false for the rows in `dead`."""
    live = np.ones(rows, dtype=np.bool_)
    gone = rows_of(dead)
    live[gone[gone < rows]] = False
    return live


def rows_of(bitmap: BitMap) -> NDArray[np.int64]:
    """The bitmap's rows, ascending."""
    return np.frombuffer(bitmap.to_array(), dtype=np.uint32).astype(np.int64)


def words_of(flags: Flags) -> Words:
    """Pack bool[n] to uint64[ceil(n / 64)]."""
    packed = np.packbits(flags, bitorder="little")
    padded = np.zeros(-(-len(flags) // 64) * 8, dtype=np.uint8)
    padded[: len(packed)] = packed
    return padded.view("<u8")


def words_without(words: Words, rows: NDArray[np.int64]) -> Words:
    """A copy without these rows."""
    left = words.copy()
    np.bitwise_and.at(left, rows >> 6, ~(np.uint64(1) << (rows & 63).astype(np.uint64)))
    return left


def flags_of(words: Words, rows: int) -> Flags:
    """Unpack to bool[rows]."""
    return np.unpackbits(words.view(np.uint8), count=rows, bitorder="little").view(np.bool_)


def count_rows(words: Words) -> int:
    return int(np.bitwise_count(words).sum())


def rows_in(words: Words, count: int) -> NDArray[np.int64]:
    """The rows of a bitmap, ascending; `count` of them."""
    rows = np.empty(count, np.int64)
    allowed_rows(words, 1, rows)
    return rows
