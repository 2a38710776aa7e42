"""Results of the kernels in the form that this process runs; as a program, saves them to a file."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numba import boolean, float32, int32, int64, njit, types, uint8, uint64, void
from numpy.typing import NDArray

from hanax.engine.kernels import codes as code_kernel
from hanax.engine.kernels.bits import scan_bits, signs
from hanax.engine.kernels.code_scan import scan_codes
from hanax.engine.kernels.code_tiles import scan_tiles
from hanax.engine.kernels.distance import distance1, distance4
from hanax.engine.kernels.fast_scan import scan_block
from hanax.engine.kernels.product import fill_blocks
from hanax.engine.kernels.scan import scan

_NUMBERS_T = types.Array(int32, 1, "C", readonly=True)
_CODES_T = types.Array(uint8, 2, "C", readonly=True)
_BLOCKS_T = types.Array(uint8, 3, "C", readonly=True)
_VECTORS_T = types.Array(float32, 2, "C", readonly=True)

Array = NDArray[Any]

WIDTHS = [64, 128, 192, 768, 1_024]
FLOAT_WIDTHS = [16, 32, 48, 128, 768]
ROWS = 9
PARTS = [1, 4, 7, 96]


@njit(
    [
        void(boolean, _CODES_T, _NUMBERS_T, _CODES_T, _NUMBERS_T, int64, int32[:, ::1]),
        void(boolean, _VECTORS_T, _NUMBERS_T, _VECTORS_T, _NUMBERS_T, int64, int32[:, ::1]),
    ]
)
def all_distances(
    l1: bool, rows: Array, norms: Array, queries: Array, constants: Array, at_once: int, out: Array
) -> None:
    """out[q, i]: rows one at a time, or four at a time in falling order; what is left over stays."""
    for q in range(queries.shape[0]):
        if at_once == 1:
            for i in range(rows.shape[0]):
                out[q, i] = distance1(l1, rows, norms, i, queries, q, constants[q])
        else:
            for i in range(0, rows.shape[0] - 3, 4):
                four = distance4(l1, rows, norms, i + 3, i + 2, i + 1, i, queries, q, constants[q])
                for j in range(4):
                    out[q, i + 3 - j] = four[j]


def codes_of(width: int) -> NDArray[np.uint8]:
    """ROWS rows of any codes, the least and the largest among them."""
    codes = np.random.default_rng(width).integers(1, 256, (ROWS, width)).astype(np.uint8)
    codes[0], codes[1] = 1, 255
    return codes


def vectors_of(width: int) -> NDArray[np.float32]:
    """Small whole numbers: sums of floats are exact, whatever their order."""
    return np.random.default_rng(width).integers(-9, 10, (ROWS, width)).astype(np.float32)


def norms_of(codes: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """What hanax.engine.kernels.distance needs of rows and of queries."""
    values = codes.astype(np.int64) - 128
    norms = (values**2).sum(axis=1)
    return norms.astype(np.int32), (norms + 256 * values.sum(axis=1)).astype(np.int32)


def results() -> dict[str, NDArray[np.int64]]:
    found: dict[str, NDArray[np.int64]] = {}
    empty = np.empty(0, np.int32)
    for l1 in (False, True):
        for at_once in (1, 4):
            for width in WIDTHS:
                codes = codes_of(width)
                norms, constants = norms_of(codes)
                out = np.zeros((ROWS, ROWS), np.int32)
                all_distances(l1, codes, norms, codes, constants, at_once, out)
                found[f"codes {l1} {at_once} {width}"] = out.astype(np.int64)
            for width in FLOAT_WIDTHS:
                vectors = vectors_of(width)
                out = np.zeros((ROWS, ROWS), np.int32)
                all_distances(l1, vectors, empty, vectors, np.zeros(ROWS, np.int32), at_once, out)
                found[f"floats {l1} {at_once} {width}"] = out.astype(np.int64)
    found.update(_scans())
    found.update(_blocks())
    return found


@njit(void(_BLOCKS_T, _CODES_T, int32, int32[:, ::1], uint64[::1]))
def all_blocks(blocks: Array, tables: Array, bound: int, distances: Array, below: Array) -> None:
    for block in range(blocks.shape[0]):
        below[block] = scan_block(blocks, block, tables, distances[block], bound)


def product_codes(parts: int) -> NDArray[np.uint8]:
    """Codes of 75 vectors: the last of three blocks is not full."""
    return np.random.default_rng(parts).integers(0, 16, (75, parts)).astype(np.uint8)


def product_tables(parts: int) -> NDArray[np.uint8]:
    """uint8[parts, 16], the largest byte among them."""
    tables = np.random.default_rng(parts).integers(0, 256, (parts, 16)).astype(np.uint8)
    tables[0] = 255
    return tables


def _blocks() -> dict[str, NDArray[np.int64]]:
    found: dict[str, NDArray[np.int64]] = {}
    for parts in PARTS:
        groups = -(-parts // 4)
        blocks = np.zeros((3, groups, 64), np.uint8)
        fill_blocks(product_codes(parts), 0, blocks)
        tables = np.zeros((groups * 4, 16), np.uint8)
        tables[:parts] = product_tables(parts)
        distances, below = np.empty((3, 32), np.int32), np.empty(3, np.uint64)
        all_blocks(blocks, tables.reshape(groups, 64), 128 * parts, distances, below)
        found[f"blocks {parts}"] = distances.reshape(-1)[:75].astype(np.int64)
        found[f"below {parts}"] = below.astype(np.int64)
    return found


def _scans() -> dict[str, NDArray[np.int64]]:
    found: dict[str, NDArray[np.int64]] = {}
    random = np.random.default_rng(3)
    vectors = random.integers(-3, 4, (500, 70)).astype(np.float32)
    queries = random.integers(-3, 4, (6, 70)).astype(np.float32)
    mask = random.integers(0, 2**64, 8, dtype=np.uint64)
    for metric in range(3):
        distances = np.full((6, 20), np.inf, np.float32)
        rows = np.full((6, 20), -1, np.int64)
        sizes = np.zeros(6, np.int64)
        scan(metric, vectors, np.empty(0, np.float32), queries, True, mask, 0, distances, rows, sizes)
        found[f"scan {metric}"] = rows
        found[f"scan distances {metric}"] = distances.astype(np.int64)
    mean = np.zeros(70, np.float32)
    encoded = [np.empty((len(array), 128), np.uint8) for array in (vectors, queries)]
    numbers = [np.empty((2, len(array)), np.int32) for array in (vectors, queries)]
    for array, codes, pair in zip((vectors, queries), encoded, numbers, strict=True):
        code_kernel.encode(array, False, mean, np.float32(40.0), codes, pair[0], pair[1])
    found["codes"], found["norms"] = encoded[0].astype(np.int64), numbers[0].astype(np.int64)
    for l1 in (False, True):
        candidates = np.empty((6, 20), np.int64)
        scan_codes(l1, encoded[0], numbers[0][0], encoded[1], numbers[1][1], True, mask, candidates)
        found[f"scan codes {l1}"] = candidates
        candidates = np.empty((6, 20), np.int64)
        chosen, asked = np.arange(0, 500, 3), np.arange(6)
        scan_tiles(l1, encoded[0], numbers[0][0], encoded[1], numbers[1][1], chosen, asked, candidates)
        found[f"scan tiles {l1}"] = candidates
    words = [np.empty((len(array), 2), np.uint64) for array in (vectors, queries)]
    for array, bits in zip((vectors, queries), words, strict=True):
        signs(array, mean, bits)
    padded = np.zeros((504, 2), np.uint64)
    padded[:500] = words[0]
    blocks = np.ascontiguousarray(padded.reshape(-1, 8, 2).transpose(0, 2, 1))
    candidates = np.empty((6, 20), np.int64)
    scan_bits(blocks, 500, words[1], True, mask, candidates)
    found["scan bits"] = candidates
    return found


if __name__ == "__main__":
    np.savez(sys.argv[1], **results())  # type: ignore[arg-type]
