"""Indexes of sealed segments: built beside reads and writes, kept, merged."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hanax.core.index_specs import (
    Indexing,
)
from hanax.engine.shard import upkeep
from hanax.engine.storage.manifest import Manifest
from tests.unit.engine.gates import BuildGate, files, running, settled
from tests.unit.engine.indexed import ROWS, IndexedRig, index_folders, options
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until


def test_a_sealed_segment_gets_its_index_and_keeps_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with IndexedRig(folder, options()) as rig:
        rig.fill()
        rig.shard.seal()
        rig.wait()
        (stats,) = rig.indexes()
        assert (stats.state, stats.type, stats.quantisation) == ("built", "flat", "int8")
        assert (stats.segment, stats.column, stats.rows, stats.reason) == ("00000001", "default", ROWS, "")
        assert stats.recall >= 0.95
        assert stats.effort >= 1
        assert stats.memory_bytes == rig.shard.stats().index_memory_bytes > ROWS * 64
        size = sum((folder / name).stat().st_size for name in files(folder) if ".json" not in name)
        assert rig.shard.stats().disk_bytes == size
        rig.check()
        gate = BuildGate(monkeypatch)
        rig.reopen()
        rig.wait()
        assert rig.indexes() == [stats]
        assert gate.builds == []
        rig.check()


def test_few_rows_need_no_files(folder: Path) -> None:
    """Under auto, and whatever was asked for when they are fewer than any index pays for."""
    with IndexedRig(folder, options(Indexing())) as rig:
        rig.fill()
        rig.shard.seal()
        rig.wait()
        (stats,) = rig.indexes()
        assert (stats.state, stats.type, stats.quantisation) == ("built", "flat", "none")
        assert "fewer than 10000" in stats.reason
        assert np.isnan(stats.recall)
        assert (stats.memory_bytes, index_folders(folder)) == (0, [])
    with IndexedRig(folder / "few", options()) as rig:
        rig.fill(count=400)
        rig.shard.compact()
        assert "fewer than 1000" in rig.indexes()[0].reason
        assert index_folders(folder / "few") == []
        rig.check(1.0)


def test_a_build_holds_up_neither_reads_nor_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = BuildGate(monkeypatch)
    with IndexedRig(folder / "s", options()) as rig:
        rig.fill()
        rig.shard.seal()
        assert gate.reached.wait(DEADLINE_S)
        assert [stats.state for stats in rig.indexes()] == ["building"]
        assert not rig.shard.wait_until_indexed(0.01)
        rig.check(1.0)
        rig.fill(first=5_000)
        rig.remove(list(range(0, 400)))
        rig.shard.seal()
        rig.shard.snapshot(folder / "copy")
        assert [stats.state for stats in rig.indexes()] == ["building", "waiting"]
        rig.check(1.0)
        gate.go.set()
        rig.wait()
        assert [stats.state for stats in rig.indexes()] == ["built", "built"]
        rig.check()
        with Rig(folder / "copy", rig.schema, options()) as copy:
            assert copy.shard.count() == len(rig.rows)


def test_a_snapshot_shares_the_indexes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with IndexedRig(folder / "s", options()) as rig:
        rig.fill()
        rig.shard.compact()
        rig.shard.snapshot(folder / "copy")
        gate = BuildGate(monkeypatch)
        with Rig(folder / "copy", rig.schema, options()) as copy:
            assert copy.shard.wait_until_indexed(DEADLINE_S)
            assert copy.shard.stats().indexes == rig.indexes()
        assert gate.builds == []


def test_a_merged_segment_is_indexed_before_it_is_searched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = BuildGate(monkeypatch, least_rows=4 * ROWS)
    with IndexedRig(folder, options()) as rig:
        for number in range(3):
            rig.fill(first=number * ROWS)
            rig.shard.seal()
        rig.wait()
        rig.fill(first=3 * ROWS)
        rig.shard.seal()
        assert gate.reached.wait(DEADLINE_S)
        # The fourth is merged at once, without an index of its own.
        assert gate.builds == [ROWS, ROWS, ROWS, 4 * ROWS]
        assert [stats.state for stats in rig.indexes()] == ["built", "built", "built", "waiting"]
        rig.remove(list(range(100, 300)))
        rig.check()
        gate.go.set()
        wait_until("they are merged", lambda: rig.shard.stats().segments == 1)
        (stats,) = rig.indexes()
        assert (stats.state, stats.rows) == ("built", 4 * ROWS)
        assert stats.memory_bytes > 0
        rig.wait()
        assert len(index_folders(folder)) == 1
        rig.check()
        rig.reopen()
        rig.check()


def test_closing_ends_a_merge_that_builds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with IndexedRig(folder, options()) as rig:
        with monkeypatch.context() as patch:
            gate = BuildGate(patch, least_rows=4 * ROWS)
            for number in range(4):
                rig.fill(first=number * ROWS)
                rig.shard.seal()
            assert gate.reached.wait(DEADLINE_S)
            rig.close()
        named = {name for entry in Manifest.load(folder).segments for name in entry.indexes}
        assert set(index_folders(folder)) == named
        rig.open()
        rig.wait()
        assert rig.shard.stats().segments == 1
        rig.check()


def test_a_segment_that_is_merged_needs_its_index_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = BuildGate(monkeypatch)
    with IndexedRig(folder, options()) as rig:
        for number in range(2):
            rig.fill(first=number * ROWS)
            rig.shard.seal()
        assert gate.reached.wait(DEADLINE_S)
        with running(threading.Thread(target=rig.shard.compact)):
            wait_until("the first build is cut short", lambda: gate.cut == [ROWS])
            wait_until("the merged one is built", lambda: 2 * ROWS in gate.builds)
            gate.go.set()
        (stats,) = rig.indexes()
        assert (stats.rows, stats.state) == (2 * ROWS, "built")
        assert len(index_folders(folder)) == 1
        rig.check()


def test_compacting_leaves_one_indexed_segment_and_nothing_of_the_dead(folder: Path) -> None:
    with IndexedRig(folder, options()) as rig:
        for number in range(3):
            rig.fill(first=number * ROWS)
            rig.shard.seal()
        rig.wait()
        before = rig.shard.stats()
        rig.remove(list(range(0, 3 * ROWS, 2)))
        rig.check()
        rig.shard.compact()
        after = rig.shard.stats()
        assert [stats.state for stats in after.indexes] == ["built"]
        assert (after.segments, after.deleted_rows) == (1, 0)
        assert after.index_memory_bytes < 0.6 * before.index_memory_bytes
        assert after.disk_bytes < 0.6 * before.disk_bytes
        assert len(index_folders(folder)) == 1
        rig.check()


# Other indexes for a living shard


def test_segments_become_few_when_nothing_is_added(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_QUIET_S", 0.02)
    with IndexedRig(folder, options()) as rig:
        for number in range(3):
            rig.fill(first=number * ROWS)
            rig.shard.seal()
        wait_until("they are merged", lambda: rig.shard.stats().segments == 1)
        assert [stats.state for stats in rig.indexes()] == ["built"]
        rig.check()


def test_segments_are_not_merged_to_few_while_rows_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, looks = 0.0, 0
    look = upkeep.Upkeep._look_for_quiet

    def counted_look(self: upkeep.Upkeep) -> None:
        nonlocal looks
        looks += 1
        look(self)

    monkeypatch.setattr(upkeep, "_QUIET_S", 0.02)
    monkeypatch.setattr(upkeep, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(upkeep.Upkeep, "_look_for_quiet", counted_look)
    with IndexedRig(folder, options()) as rig:
        for number in range(3):
            rig.fill(first=number * ROWS)
            rig.shard.seal()
        now_s = 0.015
        rig.fill(first=3 * ROWS, count=upkeep._FEW_ROWS)
        now_s = 0.03
        seen = looks
        wait_until("it has looked again", lambda: looks >= seen + 3)
        assert rig.shard.stats().segments == 3
        now_s = 0.05
        wait_until("they are merged", lambda: rig.shard.stats().segments == 1)
        rig.check()


def test_rows_that_come_just_before_the_merge_do_not_end_it_for_good(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was quiet when the merge was asked for, and is not when its turn comes."""
    now_s, held = 0.0, threading.Event()
    merge = upkeep.Upkeep._merge

    def late_merge(self: upkeep.Upkeep) -> bool:
        if now_s and not self._awaits_quiet and not held.is_set():
            rig.fill(first=3 * ROWS, count=upkeep._FEW_ROWS)
            held.set()
        return merge(self)

    monkeypatch.setattr(upkeep, "_QUIET_S", 0.02)
    monkeypatch.setattr(upkeep, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(upkeep.Upkeep, "_merge", late_merge)
    with IndexedRig(folder, options()) as rig:
        for number in range(3):
            rig.fill(first=number * ROWS)
            rig.shard.seal()
        rig.wait()
        now_s = 1.0
        assert held.wait(DEADLINE_S)
        now_s = 2.0
        wait_until("they are merged", lambda: rig.shard.stats().segments == 1)
        rig.check()


def test_many_rows_do_not_stay_in_the_growing_segment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_OLD_S", 0.02)
    monkeypatch.setattr(upkeep, "_OLD_ROWS", ROWS)
    with IndexedRig(folder, options()) as rig:
        rig.fill()
        wait_until("it is sealed", lambda: rig.shard.stats().growing_rows == 0)
        rig.wait()
        assert [stats.state for stats in rig.indexes()] == ["built"]
        rig.fill(first=ROWS, count=400)
        settled(rig)
        assert rig.shard.stats().growing_rows == 400
