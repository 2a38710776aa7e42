"""Indexes of sealed segments: built beside reads and writes, found again, changed, given up without loss."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import InvalidArgument
from hanax.core.ids import decode_id
from hanax.core.index_specs import (
    FlatIndex,
    Indexing,
    KdTreeIndex,
    SearchParameters,
)
from hanax.engine.segment import index_builder
from hanax.engine.segment.index_builder import Order, build_index
from hanax.engine.segment.indexes import SegmentIndex
from hanax.engine.shard import Schema, index_making, upkeep
from hanax.engine.storage.files import read_document, write_document
from hanax.engine.storage.manifest import Manifest
from tests.unit.engine.gates import BuildGate, files, running, settled
from tests.unit.engine.indexed import BINARY, DIMENSION, INT8, ROWS, IndexedRig, options, vectors_of
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until


def index_folders(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "indexes").iterdir())


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


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_an_interrupted_build_starts_anew(folder: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    with monkeypatch.context() as patch:
        gate = BuildGate(patch)
        rig = IndexedRig(folder / "s", options())
        rig.fill()
        rig.shard.seal()
        assert gate.reached.wait(DEADLINE_S)
        if end == "killed":
            shutil.copytree(folder / "s", folder / "killed")
            assert index_folders(folder / "killed") == ["00000001-1.draft"]
        rig.close()
        assert index_folders(folder / "s") == []
    again = IndexedRig(folder / ("s" if end == "closed" else "killed"), options())
    again.rows = rig.rows
    with again:
        again.wait()
        assert [stats.state for stats in again.indexes()] == ["built"]
        assert len(index_folders(again.folder)) == 1
        again.check()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    # A new file: the index that was open has the old one mapped.
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize("damage", ["a byte", "a file", "the folder", "the document", "an unknown type"])
def test_a_damaged_index_is_no_data_loss(folder: Path, damage: str) -> None:
    with IndexedRig(folder, options()) as rig:
        rig.fill()
        rig.shard.compact()
        rig.close()
        (name,) = index_folders(folder)
        index = folder / "indexes" / name
        if damage == "a byte":
            flip(index / "codes")
        elif damage == "a file":
            (index / "codes").unlink()
        elif damage == "the folder":
            shutil.rmtree(index)
        elif damage == "the document":
            flip(index / "index.json")
        else:
            body = read_document(index / "index.json", 1)
            write_document(index / "index.json", body | {"index": {"type": "of a later version"}})
        rig.open()
        rig.check()
        rig.wait()
        assert [stats.state for stats in rig.indexes()] == ["built"]
        (anew,) = index_folders(folder)
        assert anew != name
        rig.check()
        rig.reopen()
        assert rig.shard.stats().index_memory_bytes > 0, "it is there at once"


def test_manifests_from_before_there_were_indexes(folder: Path) -> None:
    with IndexedRig(folder, options(Indexing())) as rig:
        rig.fill()
        rig.shard.seal()
        rig.close()
        body = read_document(folder / "MANIFEST.json", 1)
        for entry in body["segments"]:
            del entry["indexes"]
        write_document(folder / "MANIFEST.json", body)
        shutil.rmtree(folder / "indexes")
        rig.options = options()
        rig.open()
        rig.wait()
        assert rig.shard.stats().index_memory_bytes > 0
        rig.check()


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


def test_another_index_is_built_while_the_old_one_serves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with IndexedRig(folder, options()) as rig:
        rig.fill()
        rig.shard.compact()
        (old,) = index_folders(folder)
        gate = BuildGate(monkeypatch)
        rig.shard.set_indexing(BINARY)
        assert gate.reached.wait(DEADLINE_S)
        (stats,) = rig.indexes()
        assert (stats.state, stats.quantisation) == ("building", "int8")
        rig.check()
        gate.go.set()
        rig.wait()
        (stats,) = rig.indexes()
        assert (stats.state, stats.quantisation) == ("built", "binary")
        assert index_folders(folder) != [old]
        assert len(index_folders(folder)) == 1
        rig.check()
        rig.options = options(BINARY)
        rig.reopen()
        assert rig.indexes() == [stats]
        # To none at all.
        rig.shard.set_indexing(Indexing(index=FlatIndex()))
        rig.wait()
        assert [(stats.state, stats.memory_bytes) for stats in rig.indexes()] == [("built", 0)]
        assert index_folders(folder) == []
        rig.check(1.0)


def test_the_last_change_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that nobody wants any more is cut short."""
    gate = BuildGate(monkeypatch)
    with IndexedRig(folder, options()) as rig:
        rig.fill()
        rig.shard.seal()
        assert gate.reached.wait(DEADLINE_S)
        rig.shard.set_indexing(BINARY)
        wait_until("another build", lambda: len(gate.builds) == 2)
        gate.go.set()
        rig.wait()
        assert [stats.quantisation for stats in rig.indexes()] == ["binary"]


def test_another_target_is_measured_without_a_build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with IndexedRig(folder, options(BINARY.model_copy(update={"target_recall": 0.5}))) as rig:
        rig.fill()
        rig.shard.compact()
        (before,) = rig.indexes()
        gate = BuildGate(monkeypatch)
        rig.shard.set_indexing(BINARY.model_copy(update={"target_recall": 0.99}))
        rig.wait()
        (after,) = rig.indexes()
        assert gate.builds == []
        assert after.effort > before.effort
        assert after.recall >= 0.98 > before.recall
        rig.check(0.97)
        assert len(index_folders(folder)) == 1
        rig.options = options(BINARY.model_copy(update={"target_recall": 0.99}))
        rig.reopen()
        rig.wait()
        assert rig.indexes() == [after]


def test_what_cannot_be_built_changes_nothing(folder: Path) -> None:
    schema = Schema.single(DIMENSION, Metric.DOT)
    with Rig(folder / "s", schema, options()) as rig:
        with pytest.raises(InvalidArgument, match="k-d tree does not serve dot"):
            rig.shard.set_indexing(Indexing(index=KdTreeIndex()))
        rig.upsert(list(range(ROWS)), vectors_of(ROWS))
        rig.shard.compact()
        assert rig.shard.stats().indexes[0].quantisation == "int8"
    with pytest.raises(InvalidArgument, match="k-d tree"):
        Rig(folder / "other", schema, options(Indexing(index=KdTreeIndex())))
    assert not (folder / "other").exists()


def test_a_search_may_compare_every_vector(folder: Path) -> None:
    with IndexedRig(folder, options(BINARY.model_copy(update={"target_recall": 0.3}))) as rig:
        rig.fill()
        rig.shard.compact()
        queries = vectors_of(50, seed=3)
        exact = rig.shard.search(queries, 10, parameters=SearchParameters(exact=True))
        rough = rig.shard.search(queries, 10)
        assert any(a.points.ids != b.points.ids for a, b in zip(exact, rough, strict=True))
        rows = np.array([rig.rows[number] for number in range(ROWS)])
        for query, hits in zip(queries, exact, strict=True):
            nearest = np.argsort(((rows - query) ** 2).sum(axis=1))[:10].tolist()
            assert [decode_id(id_) for id_ in hits.points.ids] == nearest


# Limits and failures


def test_a_build_that_needs_too_much_memory_is_refused(folder: Path) -> None:
    with IndexedRig(folder, options(index_memory_bytes=1_000_000)) as rig:
        rig.fill()
        rig.shard.seal()
        rig.wait()
        (stats,) = rig.indexes()
        assert (stats.state, stats.memory_bytes) == ("refused", 0)
        assert "MiB are allowed" in stats.reason
        rig.check(1.0)
        rig.fill(first=ROWS)
        rig.shard.compact()
        assert rig.shard.stats().segments == 2, "one that could not be indexed is not made"
        rig.check(1.0)


def test_a_defect_in_a_build_leaves_the_segment_searched_exactly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ValueError("a defect")

    with IndexedRig(folder, options()) as rig:
        with monkeypatch.context() as patch:
            patch.setattr("hanax.engine.index.factory.build", fail)
            rig.fill()
            rig.shard.seal()
            rig.wait()
        (stats,) = rig.indexes()
        assert (stats.state, stats.reason) == ("refused", "ValueError: a defect")
        assert index_folders(folder) == []
        rig.check(1.0)
        rig.shard.set_indexing(INT8)
        rig.wait()
        assert [stats.state for stats in rig.indexes()] == ["built"]


def test_a_refusal_counts_for_what_was_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else may be wanted by the time that a build fails."""
    begun, go = threading.Event(), threading.Event()

    def build(folder: Path, order: Order, *rest: Any) -> SegmentIndex:
        if order.plan.quantisation.type == "int8":
            begun.set()
            assert go.wait(DEADLINE_S)
            raise ValueError("a defect of int8")
        return build_index(folder, order, *rest)

    monkeypatch.setattr(index_making, "build_index", build)
    with IndexedRig(folder, options()) as rig:
        rig.fill()
        rig.shard.seal()
        assert begun.wait(DEADLINE_S)
        rig.shard.set_indexing(BINARY)
        go.set()
        rig.wait()
        assert [(stats.state, stats.quantisation) for stats in rig.indexes()] == [("built", "binary")]
        rig.shard.set_indexing(INT8)
        rig.wait()
        (stats,) = rig.indexes()
        assert (stats.state, stats.quantisation, stats.reason) == (
            "refused",
            "binary",
            "ValueError: a defect of int8",
        )
        rig.check()


@pytest.mark.parametrize("step", ["room for an array", "manifest"])
def test_a_build_that_could_not_be_kept_is_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr("hanax.engine.shard.background._RETRY_FIRST_S", 0.01)
    failed = threading.Event()

    def fail(*args: object) -> None:
        failed.set()
        raise OSError(28, "No space left on device")

    with IndexedRig(folder, options()) as rig:
        rig.fill()
        with monkeypatch.context() as patch:
            if step == "manifest":
                rig.background.close()
                rig.shard.seal()
                patch.setattr(Manifest, "save", fail)
                with pytest.raises(Exception, match="No space left"):
                    rig.shard._maintenance.index()
            else:
                patch.setattr(os, "posix_fallocate", fail)
                rig.shard.seal()
                assert failed.wait(DEADLINE_S)
            rig.check(1.0)
            if step == "manifest":
                assert index_folders(folder) == []
                assert rig.shard.stats().index_memory_bytes == 0
        if step == "manifest":
            rig.shard.compact()
        rig.wait()
        assert [stats.state for stats in rig.indexes()] == ["built"]
        assert len(index_folders(folder)) == 1
        rig.check()


def test_an_index_may_use_less_than_it_allocated_and_scratch_is_not_kept(folder: Path) -> None:
    class Odd:
        def __init__(self, allocate: Any) -> None:
            room = allocate("front", "<f4", (100, 2))
            room[:10] = 7.0
            allocate("scratch", "<i8", (50,))
            empty = allocate("none", "u1", (0, 3))
            self.arrays = {"front": room[:10], "elsewhere": np.arange(5), "none": empty}

    arrays = index_builder._MappedArrays(folder)
    kept = arrays.finish(Odd(arrays.allocate))  # type: ignore[arg-type]
    assert {name: kept[name]["bytes"] for name in kept} == {"front": 80, "elsewhere": 40, "none": 0}
    assert files(folder) == ["elsewhere", "front", "none"]
    np.testing.assert_array_equal(np.fromfile(folder / "front", "<f4"), np.full(20, 7.0))


# When a burst of writes is over


def test_segments_become_few_when_nothing_is_added(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_QUIET_S", 0.02)
    with IndexedRig(folder, options()) as rig:
        for number in range(3):
            rig.fill(first=number * ROWS)
            rig.shard.seal()
        wait_until("they are merged", lambda: rig.shard.stats().segments == 1)
        assert [stats.state for stats in rig.indexes()] == ["built"]
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
