"""Scans of codes and of bits, encoding, and rescoring, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hanax.engine.kernels import codes as code_kernel
from hanax.engine.kernels import rescoring, scan
from hanax.engine.kernels.bits import scan_bits, signs
from hanax.engine.kernels.code_scan import scan_codes
from hanax.engine.kernels.code_tiles import scan_tiles
from hanax.engine.segment.masks import words_of
from tests.unit.engine.kernels.forms import norms_of

Rows = NDArray[np.int64]
COUNTS = [0, 1, 3, 7, 8, 9, 63, 64, 65, 130, 700]


def nearest_of(distances: NDArray[np.int64], allowed: NDArray[np.bool_], limit: int) -> list[int]:
    """Rows ascending by distance, then by row, then -1."""
    rows = np.flatnonzero(allowed)
    order = rows[np.lexsort((rows, distances[rows]))][:limit].tolist()
    return [*order, *[-1] * (limit - len(order))]


def shares(count: int, random: np.random.Generator) -> list[NDArray[np.bool_]]:
    return [np.ones(count, np.bool_), *(random.random(count) < share for share in (0.9, 0.3, 0.02, 0.0))]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("l1", [False, True])
def test_scan_of_codes(count: int, l1: bool) -> None:
    random = np.random.default_rng(count)
    # Few different codes, so that many rows tie.
    codes = random.integers(126, 131, (count, 64)).astype(np.uint8)
    queries = random.integers(126, 131, (5, 64)).astype(np.uint8)
    differences = codes[None].astype(np.int64) - queries[:, None]
    distances = abs(differences).sum(axis=2) if l1 else (differences**2).sum(axis=2)
    norms, constants = norms_of(codes)[0], norms_of(queries)[1]
    for allowed in shares(count, random):
        for limit in (1, 10, 200):
            found = np.empty((5, limit), np.int64)
            scan_codes(l1, codes, norms, queries, constants, True, words_of(allowed), found)
            assert found.tolist() == [nearest_of(line, allowed, limit) for line in distances]
    found = np.empty((5, 10), np.int64)
    scan_codes(l1, codes, norms, queries, constants, False, np.empty(0, np.uint64), found)
    assert found.tolist() == [nearest_of(line, np.ones(count, np.bool_), 10) for line in distances]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("l1", [False, True])
@pytest.mark.parametrize("spread", [2, 127])
def test_tiles_of_codes(count: int, l1: bool, spread: int) -> None:
    """Codes that tie, and codes of the whole range; queries that are not asked are left alone."""
    random = np.random.default_rng(count)
    codes, queries = (
        random.integers(128 - spread, 129 + spread, (rows, 128)).astype(np.uint8) for rows in (count, 5)
    )
    differences = codes[None].astype(np.int64) - queries[:, None]
    distances = abs(differences).sum(axis=2) if l1 else (differences**2).sum(axis=2)
    norms, constants = norms_of(codes)[0], norms_of(queries)[1]
    asked = np.array([0, 2, 3])
    for allowed in shares(count, random):
        for limit in (1, 10, 200):
            found = np.full((5, limit), -7, np.int64)
            scan_tiles(l1, codes, norms, queries, constants, np.flatnonzero(allowed), asked, found)
            assert found[asked].tolist() == [nearest_of(distances[q], allowed, limit) for q in asked]
            assert (found[[1, 4]] == -7).all()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("width", [1, 63, 64, 65, 200])
def test_scan_of_bits(count: int, width: int) -> None:
    random = np.random.default_rng(count * 1_000 + width)
    vectors = random.standard_normal((count, width), np.float32)
    queries = random.standard_normal((5, width), np.float32)
    mean = random.standard_normal(width, np.float32)
    words = -(-width // 64)
    rows, asked = np.zeros((-(-count // 8) * 8, words), np.uint64), np.empty((5, words), np.uint64)
    signs(vectors, mean, rows[:count])
    signs(queries, mean, asked)
    distances = ((vectors > mean)[None] != (queries > mean)[:, None]).sum(axis=2)
    blocks = np.ascontiguousarray(rows.reshape(-1, 8, words).transpose(0, 2, 1))
    for allowed in shares(count, random):
        for limit in (1, 10, 200):
            found = np.empty((5, limit), np.int64)
            scan_bits(blocks, count, asked, True, words_of(allowed), found)
            expected = [nearest_of(line, allowed, limit) for line in distances]
            assert [sorted(line) for line in found.tolist()] == [sorted(line) for line in expected]
    found = np.empty((5, 10), np.int64)
    scan_bits(blocks, count, asked, False, np.empty(0, np.uint64), found)
    expected = [nearest_of(line, np.ones(count, np.bool_), 10) for line in distances]
    assert [sorted(line) for line in found.tolist()] == [sorted(line) for line in expected]


@pytest.mark.parametrize("descending", [False, True])
def test_scan_of_bits_in_the_worst_order(descending: bool) -> None:
    """Every row is nearer than those before it, or every row ties: the pool overflows again and again."""
    count = 5_000
    ranks = np.arange(count) if not descending else np.arange(count)[::-1]
    differing = ranks * 64 // count
    rows = np.array([[(1 << int(bits)) - 1] for bits in differing], np.uint64)
    blocks = np.ascontiguousarray(rows.reshape(-1, 8, 1).transpose(0, 2, 1))
    for limit in (1, 7, 100, 2_000, 5_000):
        found = np.empty((1, limit), np.int64)
        scan_bits(blocks, count, np.zeros((1, 1), np.uint64), False, np.empty(0, np.uint64), found)
        expected = nearest_of(differing, np.ones(count, np.bool_), limit)
        assert sorted(found[0].tolist()) == sorted(expected)


def test_codes_are_rounded_cut_and_padded() -> None:
    vectors = np.array([[0.0, 0.26, -0.24, 1e30, -1e30], [0.5, -0.5, 0.75, 63.5, -63.5]], np.float32)
    codes = np.empty((2, 64), np.uint8)
    norms, constants = np.empty(2, np.int32), np.empty(2, np.int32)
    code_kernel.encode(vectors, False, np.zeros(5, np.float32), np.float32(2.0), codes, norms, constants)
    assert codes[:, :5].tolist() == [[128, 129, 128, 255, 1], [129, 127, 130, 255, 1]]
    assert (codes[:, 5:] == 128).all()
    expected_norms, expected_constants = norms_of(codes)
    assert norms.tolist() == expected_norms.tolist()
    assert constants.tolist() == expected_constants.tolist()


def test_codes_of_vectors_that_are_brought_to_length_one() -> None:
    vectors = np.random.default_rng(1).standard_normal((20, 100), np.float32) * np.float32(30.0)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = units.mean(axis=0)
    found, expected = np.empty((20, 128), np.uint8), np.empty((20, 128), np.uint8)
    norms, constants = np.empty(20, np.int32), np.empty(20, np.int32)
    code_kernel.encode(vectors, True, mean, np.float32(400.0), found, norms, constants)
    code_kernel.encode(units, False, mean, np.float32(400.0), expected, norms, constants)
    # A component that lies between two codes may be rounded to either.
    assert abs(found.astype(np.int64) - expected).max() <= 1
    assert (found == expected).mean() > 0.99


@pytest.mark.parametrize(
    ("metric", "normed"), [(scan.DOT, True), (scan.DOT, False), (scan.SQUARED_L2, False), (scan.L1, False)]
)
def test_rescoring_orders_candidates_by_distance_then_row(metric: int, normed: bool) -> None:
    """normed: the lengths of rows and of queries, here 2 each, are divided by, as under cosine."""
    random = np.random.default_rng(metric)
    vectors = random.integers(-2, 3, (300, 19)).astype(np.float32)
    queries = np.zeros((4, 19), np.float32)
    for query in queries:
        query[random.choice(19, 4, replace=False)] = random.choice([-1.0, 1.0], 4)
    factors = np.full(300, 0.5, np.float32) if normed else np.empty(0, np.float32)
    candidates = np.array([random.permutation(300)[:120] for _ in range(4)])
    candidates[1, 30:] = -1
    candidates[2, 0:] = -1
    differences = vectors[None] - queries[:, None]
    distances = [-(queries @ vectors.T), (differences**2).sum(axis=2), abs(differences).sum(axis=2)][metric]
    if normed:
        # 1 - cos, within its bounds, which the order does not know.
        scaled = np.clip(distances * np.float32(0.25) + 1, 0, 2)
    else:
        scaled = np.sqrt(distances) if metric == scan.SQUARED_L2 else distances
    for k in (1, 10, 50):
        found, rows = np.empty((4, k), np.float32), np.empty((4, k), np.int64)
        rescoring.rescore(metric, vectors, factors, queries, candidates, found, rows)
        for q in range(4):
            allowed = np.isin(np.arange(300), candidates[q])
            expected = nearest_of(distances[q], allowed, k)
            assert rows[q].tolist() == expected
            assert found[q].tolist() == [scaled[q, row] if row >= 0 else np.inf for row in expected]
