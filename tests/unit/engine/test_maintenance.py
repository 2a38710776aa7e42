"""Sealing and merging beside readers and writers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hanax.core.ids import encode_id
from hanax.engine.segment.view import hash_ids
from hanax.engine.shard import shard as module
from hanax.engine.shard.snapshot import link_snapshot
from tests.unit.engine.gates import TINY, Gate, files, running, settled
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until


def test_compacting_makes_one_segment_without_dead_rows(folder: Path) -> None:
    with Rig(folder) as rig:
        for start in range(0, 100, 20):
            rig.upsert(list(range(start, start + 30)))
            rig.shard.seal()
        rig.delete(list(range(0, 100, 2)))
        rig.shard.compact()
        stats = rig.shard.stats()
        assert (stats.segments, stats.deleted_rows, stats.points) == (1, 0, 60)
        before = files(folder)
        rig.shard.compact()
        rig.shard.seal()
        assert files(folder) == before, "there was nothing to do"
        rig.delete(rig.ids())
        rig.shard.compact()
        assert rig.shard.stats().segments == 0
        assert files(folder) == ["LOCK", "MANIFEST.json"]


def test_background_merges_keep_segments_few(folder: Path) -> None:
    with Rig(folder, options=TINY) as rig:
        for number in range(64):
            rig.upsert(list(range(16 * number, 16 * number + 16)))
        settled(rig)
        assert rig.shard.stats().segments <= 9
        assert rig.shard.stats().points == 1_024
        rig.delete(list(range(512)))
        rig.shard.seal()
        settled(rig)
        # Segments that are a quarter dead have been rewritten.
        assert rig.shard.stats().deleted_rows < 1_024 / 4


def test_writers_go_on_while_a_snapshot_is_linked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have to copy, to another file system."""
    reached, go = threading.Event(), threading.Event()

    def slow(*args: object) -> None:
        reached.set()
        assert go.wait(DEADLINE_S)
        link_snapshot(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "link_snapshot", slow)
    with Rig(folder / "s") as rig:
        rig.upsert([1])
        with running(threading.Thread(target=rig.shard.snapshot, args=(folder / "copy",))):
            assert reached.wait(DEADLINE_S)
            rig.upsert([2])
            assert rig.shard.count() == 2
            go.set()
        with Rig(folder / "copy") as copy:
            assert copy.ids() == [1]


def test_sealing_goes_on_beside_a_long_merge(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, merges_only=True)
    with Rig(folder, options=TINY) as rig:
        for number in range(4):
            rig.upsert(list(range(16 * number, 16 * number + 16)))
            wait_until("it is sealed", lambda: rig.shard.stats().growing_rows == 0)
        assert gate.reached.wait(DEADLINE_S)
        for number in range(4, 12):
            # Rows of the segments that are being merged die meanwhile, some of them durably.
            rig.delete([number, number + 16])
            rig.upsert([number + 32], metadata=[{"new": number}])
            rig.upsert(list(range(16 * number, 16 * number + 16)))
            wait_until("it is sealed", lambda: rig.shard.stats().growing_rows == 0)
        assert rig.shard.stats().segments >= 12
        rig.shard.snapshot(folder / "copy")
        expected = set(range(192)) - set(range(4, 12)) - set(range(20, 28))
        gate.go.set()
        settled(rig)
        assert rig.shard.stats().segments < 8
        for again in range(2):
            assert set(rig.ids()) == expected
            assert rig.get(range(36, 44)) == {number + 32: {"new": number} for number in range(4, 12)}
            if not again:
                rig.reopen()
    with Rig(folder / "copy") as copy:
        assert set(copy.ids()) == expected


def test_statistics_beside_sealing(folder: Path) -> None:
    """Log files vanish between being listed and being measured."""
    done = threading.Event()
    trouble: list[BaseException] = []

    def measure() -> None:
        try:
            while not done.is_set():
                stats = rig.shard.stats()
                assert stats.log_bytes >= 0
                assert stats.covered_sequence <= stats.last_sequence
        except BaseException as error:
            trouble.append(error)

    with Rig(folder, options=TINY) as rig:
        thread = threading.Thread(target=measure)
        thread.start()
        for number in range(150):
            rig.upsert([number % 10, 100 + number % 30, 1_000 + number])
        done.set()
        thread.join(DEADLINE_S)
    assert trouble == []


def test_readers_keep_a_view_whose_files_are_removed(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert(list(range(50)))
        rig.shard.seal()
        view = rig.shard._state.current
        rig.delete(list(range(25)))
        rig.shard.compact()
        assert view.live_count == 50
        ids = [encode_id(number) for number in range(50)]
        places = view.locate(ids, hash_ids(ids))
        assert view.segments[0].segment.ids(places.rows) == ids
