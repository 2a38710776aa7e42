"""From many candidates to few: none that is nearer than one that is kept gets lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from hanax.engine.kernels import fast_scan, narrowing

# Compiled functions of arrays without reference counts are called from kernels alone.


@njit
def _keep(distances: Any, positions: Any, wanted: Any) -> Any:
    return narrowing.keep_nearest(distances, positions, distances.shape[0], wanted)


@njit
def _give(distances: Any, positions: Any, rows: Any, candidates: Any) -> None:
    pool = np.empty(candidates.shape[0], np.int64)
    narrowing.give_nearest(distances, positions, distances.shape[0], rows, pool, candidates)


@njit
def _append(found: Any, bits: Any, first: Any, distances: Any, positions: Any, count: Any) -> Any:
    return fast_scan.append_lanes(found, bits, np.int32(first), distances, positions, count)


def _distances(kind: str, count: int) -> NDArray[np.int32]:
    random = np.random.default_rng(count)
    match kind:
        case "spread":
            found = random.integers(0, 2**31 - 2, count)
        case "close":
            found = random.integers(1_000, 1_030, count)
        case "one far":
            found = np.append(random.integers(0, 50, count - 1), 2**31 - 2)
        case _:
            found = np.full(count, 7)
    return found.astype(np.int32)


@pytest.mark.parametrize("kind", ["spread", "close", "one far", "equal"])
@pytest.mark.parametrize(("count", "wanted"), [(1, 1), (33, 1), (100, 99), (400, 60), (400, 400)])
def test_the_nearest_are_kept(kind: str, count: int, wanted: int) -> None:
    before = _distances(kind, count)
    distances, positions = before.copy(), np.arange(count, dtype=np.int32)
    kept, bound = _keep(distances, positions, wanted)
    assert wanted <= kept <= min(count, 2 * wanted + 64)
    np.testing.assert_array_equal(distances[:kept], before[positions[:kept]])
    assert (np.diff(positions[:kept]) > 0).all(), "the order changed"
    dropped = np.delete(before, positions[:kept])
    nearest = np.sort(before)[:wanted]
    np.testing.assert_array_equal(np.sort(distances[:kept])[:wanted], nearest)
    assert (dropped >= nearest[-1]).all()
    assert (distances[:kept] < bound).all()


@pytest.mark.parametrize("kind", ["spread", "close", "one far", "equal"])
@pytest.mark.parametrize(("count", "limit"), [(0, 3), (2, 3), (3, 3), (12, 3), (200, 13)])
def test_rows_are_given_by_distance(kind: str, count: int, limit: int) -> None:
    distances = _distances(kind, count) if count else np.empty(0, np.int32)
    rows = np.random.default_rng(1).permutation(1_000).astype(np.uint32)
    candidates = np.full(limit, 99_999, np.int64)
    _give(distances.copy(), np.arange(count, dtype=np.int32), rows, candidates)
    given = min(count, limit)
    places = np.argsort(rows)[candidates[:given]]
    np.testing.assert_array_equal(distances[places], np.sort(distances)[:given])
    assert len(set(places.tolist())) == given
    assert (candidates[given:] == -1).all()


@pytest.mark.parametrize("bits", [0, 1, 2**31, 2**32 - 1, 0xAAAA_5555, 0xFFFF_0000])
def test_lanes_are_appended_in_order(bits: int) -> None:
    found = np.random.default_rng(2).integers(0, 1_000, 32).astype(np.int32)
    distances, positions = np.full(40, -5, np.int32), np.full(40, -5, np.int32)
    count = _append(found, np.uint64(bits), 640, distances, positions, 3)
    lanes = [lane for lane in range(32) if bits >> lane & 1]
    assert count == 3 + len(lanes)
    assert distances.tolist() == [-5] * 3 + found[lanes].tolist() + [-5] * (37 - len(lanes))
    assert positions.tolist() == [-5] * 3 + [640 + lane for lane in lanes] + [-5] * (37 - len(lanes))
