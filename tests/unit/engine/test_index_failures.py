"""Builds and files of indexes that fail: given up or made anew, never a loss of data."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from hanax.core.index_specs import (
    Indexing,
)
from hanax.engine.index.protocol import Index
from hanax.engine.segment import index_builder
from hanax.engine.segment.index_builder import Order, build_index
from hanax.engine.segment.indexes import SegmentIndex
from hanax.engine.shard import index_making
from hanax.engine.storage.files import read_document, write_document
from hanax.engine.storage.manifest import Manifest
from tests.unit.engine.gates import BuildGate, files
from tests.unit.engine.indexed import BINARY, INT8, ROWS, IndexedRig, index_folders, options
from tests.unit.engine.rigs import DEADLINE_S


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
            del entry["indexes"], entry["metadata_index"]
        write_document(folder / "MANIFEST.json", body)
        shutil.rmtree(folder / "indexes")
        rig.options = options()
        rig.open()
        rig.wait()
        assert rig.shard.stats().index_memory_bytes > 0
        rig.check()


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
    # Of an index, this looks at its arrays alone.
    kept = arrays.finish(cast(Index, Odd(arrays.allocate)))
    assert {name: kept[name]["bytes"] for name in kept} == {"front": 80, "elsewhere": 40, "none": 0}
    assert files(folder) == ["elsewhere", "front", "none"]
    np.testing.assert_array_equal(np.fromfile(folder / "front", "<f4"), np.full(20, 7.0))


# When a burst of writes is over
