"""Growing and sealed segments answer alike; readers of an older view see it as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroaring import BitMap

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled, DataLoss
from hanax.engine.query import reading
from hanax.engine.schema import Schema, VectorField
from hanax.engine.segment.builder import Part, build_segment
from hanax.engine.segment.growing import GrowingSegment, NewRows
from hanax.engine.segment.protocol import Segment
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView, View, hash_ids

SCHEMA = Schema({"default": VectorField(3, Metric.COSINE), "other": VectorField(2, Metric.DOT)})
RUNNING = threading.Event()


def append(
    segment: GrowingSegment, ids: Sequence[bytes], version: int, hashes: Sequence[int] | None = None
) -> None:
    count = len(ids)
    numbers = np.arange(count, dtype=np.float32)[:, None] + version
    segment.append(
        NewRows(
            ids=ids,
            hashes=hash_ids(ids) if hashes is None else np.array(hashes, np.uint64),
            metadata=[b'{"v":%d,"n":%d}' % (version, number) for number in range(count)],
            vectors={"default": np.repeat(numbers, 3, axis=1), "other": np.repeat(numbers, 2, axis=1)},
            created_at_us=np.arange(count, dtype=np.int64) + 100 * version,
            updated_at_us=1_000 * version,
            version=version,
        )
    )


def names(count: int, prefix: str = "p") -> list[bytes]:
    return [b"\x03%s%d" % (prefix.encode(), number) for number in range(count)]


def all_rows(segment: GrowingSegment | SealedSegment) -> NDArray[np.int64]:
    return np.arange(segment.rows, dtype=np.int64)


def sealed_from(folder: Path, parts: Sequence[Part]) -> SealedSegment:
    build_segment(folder, SCHEMA, parts, RUNNING)
    return SealedSegment(folder, SCHEMA)


def assert_same(one: Segment, ones: NDArray[np.int64], other: Segment, others: NDArray[np.int64]) -> None:
    assert one.ids(ones) == other.ids(others)
    assert one.metadata(ones) == other.metadata(others)
    for name in SCHEMA.fields:
        np.testing.assert_array_equal(one.vectors(name, ones), other.vectors(name, others))
    for read in ("created_at_us", "updated_at_us", "versions", "hashes"):
        np.testing.assert_array_equal(getattr(one, read)(ones), getattr(other, read)(others), read)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 5_000])
def test_a_sealed_copy_has_the_same_rows(folder: Path, count: int) -> None:
    growing = GrowingSegment(SCHEMA)
    if count:
        append(growing, names(count), 3)
    sealed = sealed_from(folder / "s", [Part(growing, all_rows(growing))])
    rows = all_rows(growing)
    assert sealed.rows == count
    assert_same(growing, rows, sealed, rows)
    wanted = [*names(count), *names(3, "absent")]
    np.testing.assert_array_equal(
        growing.find(wanted, hash_ids(wanted), count), sealed.find(wanted, hash_ids(wanted), count)
    )
    for segment in (growing, sealed):
        hashes, order = segment.in_hash_order(count)
        assert hashes.tolist() == sorted(hash_ids(names(count)).tolist())
        assert [segment.ids(np.array([row]))[0] for row in order[:50].tolist()] == sorted(
            names(count), key=lambda id_: int(hash_ids([id_])[0])
        )[:50]


def test_ids_of_one_length_end_as_they_were_given(folder: Path) -> None:
    """They are read as cells of an array, which may end in zeros."""
    ids = [b"\x01" + bytes([number, 0, 0]) for number in range(20)]
    growing = GrowingSegment(SCHEMA)
    append(growing, ids, 1)
    sealed = sealed_from(folder / "s", [Part(growing, all_rows(growing))])
    rows = np.array([19, 0, 7, 7])
    assert sealed.ids(rows) == [ids[row] for row in rows]
    assert sealed.ids(np.empty(0, np.int64)) == []
    assert_same(growing, rows, sealed, rows)


def test_blocks_hold_every_row_and_its_norm(folder: Path) -> None:
    growing = GrowingSegment(SCHEMA)
    append(growing, names(300), 1)
    sealed = sealed_from(folder / "s", [Part(growing, all_rows(growing))])
    for segment in (growing, sealed):
        blocks = list(segment.blocks("default", 300))
        assert all(block.base % 64 == 0 for block in blocks)
        vectors = np.concatenate([block.vectors for block in blocks])
        norms = np.concatenate([block.inverse_norms for block in blocks])
        np.testing.assert_array_equal(vectors, growing.vectors("default", np.arange(300)))
        np.testing.assert_allclose(norms, 1 / np.linalg.norm(vectors, axis=1), rtol=1e-6)
        assert [len(block.inverse_norms) for block in segment.blocks("other", 300)] == [0] * len(blocks)


def test_rows_of_several_segments_in_the_order_given(folder: Path) -> None:
    first, second = GrowingSegment(SCHEMA), GrowingSegment(SCHEMA)
    append(first, names(5_000, "a"), 1)
    append(second, names(100, "b"), 2)
    middle = sealed_from(folder / "1", [Part(first, np.arange(0, 5_000, 3))])
    rows = np.array([7, 2, 90])
    parts = [Part(middle, np.arange(10, middle.rows)), Part(second, rows)]
    merged = sealed_from(folder / "2", parts)
    assert merged.rows == middle.rows - 10 + 3
    assert_same(merged, np.arange(middle.rows - 10), middle, np.arange(10, middle.rows))
    assert_same(merged, np.arange(middle.rows - 10, merged.rows), second, rows)
    ids = merged.ids(np.arange(merged.rows))
    assert merged.find(ids, hash_ids(ids), merged.rows).tolist() == list(range(merged.rows))


def test_ids_whose_hashes_collide(folder: Path) -> None:
    """All of them are found, sorted by id among themselves, and paged through one by one."""
    growing = GrowingSegment(SCHEMA)
    ids = [b"\x03" + letter for letter in (b"f", b"b", b"e", b"a", b"d", b"c")]
    append(growing, ids, 1, hashes=[9, 5, 9, 5, 9, 2**64 - 1])
    sealed = sealed_from(folder / "s", [Part(growing, all_rows(growing))])
    for segment in (growing, sealed):
        for place, id_ in enumerate(ids):
            here = growing.hashes(np.array([place]))
            assert segment.find([id_], here, 6).tolist() == [place]
            assert segment.find([b"\x03zz"], here, 6).tolist() == [-1]
        assert segment.find([b"\x03a"], np.array([77], np.uint64), 6).dtype == np.int64
    hashes, order = sealed.in_hash_order(6)
    assert hashes.tolist() == [5, 5, 9, 9, 9, 2**64 - 1]
    assert sealed.ids(np.asarray(order, np.int64)) == [
        b"\x03" + letter for letter in (b"a", b"b", b"d", b"e", b"f", b"c")
    ]
    merged = sealed_from(folder / "m", [Part(sealed, np.array([4, 0])), Part(growing, np.array([2, 3]))])
    assert merged.in_hash_order(4)[0].tolist() == [5, 9, 9, 9]
    assert merged.ids(np.asarray(merged.in_hash_order(4)[1], np.int64)) == [
        b"\x03a",
        b"\x03d",
        b"\x03e",
        b"\x03f",
    ]


def test_of_several_rows_of_one_id_the_last_is_found(folder: Path) -> None:
    """Only that one can be live; a sealed copy has the dead rows as well."""
    growing = GrowingSegment(SCHEMA)
    for version in range(1, 6):
        append(growing, [b"\x03a", b"\x03b"] if version % 2 else [b"\x03b"], version)
    # Rows: a b b a b b a b. The hash of c is that of a.
    append(growing, [b"\x03c"], 9, hashes=hash_ids([b"\x03a"]).tolist())
    append(growing, [b"\x03a"], 10)
    sealed = sealed_from(folder / "s", [Part(growing, all_rows(growing))])
    for segment in (growing, sealed):
        wanted = [b"\x03b", b"\x03a"]
        assert segment.find(wanted, hash_ids(wanted), 10).tolist() == [7, 9]
        assert segment.find([b"\x03c"], hash_ids([b"\x03a"]), 10).tolist() == [8]


def test_one_id_written_thousands_of_times(folder: Path) -> None:
    """Neither sealing nor finding it may take the square of their number."""
    growing = GrowingSegment(SCHEMA)
    for version in range(1, 5_001):
        append(growing, [b"\x03hot"], version)
    began = time.monotonic()
    sealed = sealed_from(folder / "s", [Part(growing, all_rows(growing))])
    for _ in range(1_000):
        assert sealed.find([b"\x03hot"], hash_ids([b"\x03hot"]), 5_000).tolist() == [4_999]
    assert time.monotonic() - began < 5


def test_an_older_view_finds_the_row_that_it_knew() -> None:
    """The same id again and again: every count of rows has its own answer."""
    growing = GrowingSegment(SCHEMA)
    views: list[View] = []
    dead = BitMap()
    for version in range(1, 6):
        append(growing, [b"\x03a", b"\x03only%d" % version], version)
        if version > 1:
            dead = dead | BitMap([2 * version - 4])
        views.append(View(version, (SegmentView(growing, growing.rows, dead),)))
    for version, view in enumerate(views, 1):
        ids = [b"\x03a", b"\x03only%d" % version, b"\x03only%d" % (version + 1)]
        places = view.locate(ids, hash_ids(ids))
        assert places.rows.tolist() == [2 * version - 2, 2 * version - 1, -1]
        assert growing.find([b"\x03a"], hash_ids([b"\x03a"]), 1).tolist() == [0]
        page, more = reading.scroll(view, None, 100, None)
        assert not more
        assert sorted(page.rows.tolist()) == sorted({2 * version - 2, *range(1, 2 * version, 2)})


def test_what_was_read_stays_when_the_arrays_grow() -> None:
    growing = GrowingSegment(SCHEMA)
    append(growing, names(10, "a"), 1)
    (block, *_) = growing.blocks("default", 10)
    before = block.vectors.copy()
    for version in range(2, 60):
        append(growing, names(500, f"v{version}"), version)
    np.testing.assert_array_equal(block.vectors, before)
    np.testing.assert_array_equal(growing.vectors("default", np.arange(10)), before)
    assert growing.rows == 10 + 58 * 500


# Damage


@pytest.fixture
def sealed_folder(folder: Path) -> Path:
    growing = GrowingSegment(SCHEMA)
    append(growing, names(20), 1)
    build_segment(folder / "s", SCHEMA, [Part(growing, all_rows(growing))], RUNNING)
    return folder / "s"


def test_a_changed_byte_in_any_file(sealed_folder: Path) -> None:
    files = sorted(sealed_folder.iterdir())
    assert len(files) == 15
    for path in files:
        good = path.read_bytes()
        places = range(len(good)) if path.suffix == ".json" else {0, 1, len(good) // 2, len(good) - 1}
        for place in places:
            if path.suffix == ".json" and place == len(good) - 1:
                continue
            bad = bytearray(good)
            bad[place] ^= 0x40
            path.write_bytes(bytes(bad))
            with pytest.raises(DataLoss, match=path.name):
                SealedSegment(sealed_folder, SCHEMA)
        path.write_bytes(good)
    SealedSegment(sealed_folder, SCHEMA)


def test_a_file_that_is_missing_shorter_or_longer(sealed_folder: Path) -> None:
    for path in sorted(sealed_folder.iterdir()):
        good = path.read_bytes()
        path.unlink()
        with pytest.raises(DataLoss, match=path.name):
            SealedSegment(sealed_folder, SCHEMA)
        for bad in (b"", good[:-1], good + b"x"):
            path.write_bytes(bad)
            if path.suffix == ".json" and bad == good[:-1]:
                continue
            with pytest.raises(DataLoss, match=path.name):
                SealedSegment(sealed_folder, SCHEMA)
        path.write_bytes(good)


def test_a_build_that_is_stopped_leaves_nothing(folder: Path) -> None:
    growing = GrowingSegment(SCHEMA)
    append(growing, names(20), 1)
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Cancelled):
        build_segment(folder / "s", SCHEMA, [Part(growing, all_rows(growing))], stopped)
    assert list(folder.iterdir()) == []
