"""Metadata fields that are pinned on a living shard: answers stay right while indexes are made anew."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanax.core.errors import InvalidArgument, NoTextIndex
from hanax.core.specs import PayloadIndex
from hanax.engine.segment.metadata_indexes import ARRAYS_FILE
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.shard import ShardOptions
from tests.unit.engine.crashes import STEPS
from tests.unit.engine.gates import MetadataGate
from tests.unit.engine.indexed import IndexedRig, index_folders, options
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until
from tests.unit.engine.test_metadata_index import fill, matches, where

TEXT = PayloadIndex.TEXT
DOCUMENTS: list[dict[str, Any]] = [
    {"title": f"The {('Red', 'Blue', 'Green')[number % 3]} Fox {number}", "year": number % 20}
    for number in range(600)
]
DOCUMENTS[7] = {"title": ["a red one", "fox"], "year": "red fox"}
DOCUMENTS[8] = {"title": "red " + "x" * 2_000}
DOCUMENTS[9] = {"year": 3}


def rewritten(rig: Rig) -> list[bool]:
    """Of each sealed segment, whether another index has taken the place of its own."""
    return [
        part.segment.metadata_index is not None and part.segment.metadata_index.name != ""
        for part in rig.shard._state.current.segments
        if isinstance(part.segment, SealedSegment)
    ]


def wait(rig: Rig) -> None:
    assert rig.shard.wait_until_indexed(DEADLINE_S)


def check(rig: Rig, pins: Mapping[str, PayloadIndex]) -> None:
    """All conditions are answered right, and those on words where they may be asked."""
    for field in ("title", "year", "nobody"):
        for expression in (
            where(field, "text", "red FOX"),
            where(field, "phrase", "red fox"),
            where(field, "text", "fo*"),
        ):
            if pins.get(field) == "text":
                assert matches(rig, DOCUMENTS, expression), expression
            else:
                with pytest.raises(NoTextIndex):
                    rig.shard.count(expression)
    for expression in (where("title", "starts_with", "The R"), where("year", "gte", 10)):
        assert matches(rig, DOCUMENTS, expression)


def test_words_are_found_at_once_and_an_index_is_made_behind_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = MetadataGate(monkeypatch)
    with Rig(folder) as rig:
        fill(rig, DOCUMENTS[:400])
        rig.shard.seal()
        rig.upsert(list(range(400, 600)), None, DOCUMENTS[400:])
        check(rig, {})
        pins = {"title": TEXT}
        rig.shard.set_payload_indexes(pins)
        assert gate.reached.wait(DEADLINE_S)
        # Sealed and growing rows are read one by one.
        check(rig, pins)
        assert rewritten(rig) == [False]
        assert not rig.shard.wait_until_indexed(0.0)
        gate.go.set()
        wait(rig)
        assert rewritten(rig) == [True]
        check(rig, pins)
        # What is sealed from now on goes by the pins from the start.
        rig.shard.seal()
        wait(rig)
        assert rewritten(rig) == [True, False]
        check(rig, pins)
        with monkeypatch.context() as patch:
            patch.setattr(SealedSegment, "metadata", lambda *_: pytest.fail("metadata were read"))
            assert rig.shard.count(where("title", "text", "blue fox")) == 199
        rig.shard.set_payload_indexes({"title": PayloadIndex.KEYWORD})
        check(rig, {})
        wait(rig)
        check(rig, {})


def test_opened_with_other_pins_it_goes_by_those(folder: Path) -> None:
    with Rig(folder) as rig:
        fill(rig, DOCUMENTS)
        rig.shard.seal()
        rig.options = ShardOptions(payload_indexes={"title": "text"})
        rig.reopen()
        check(rig, {"title": TEXT})
        wait(rig)
        assert rewritten(rig) == [True]
        (name,) = index_folders(folder)
        rig.reopen()
        check(rig, {"title": TEXT})
        wait(rig)
        assert index_folders(folder) == [name], "it was there already"
        # A merge makes it part of the segment.
        rig.delete([599])
        rig.upsert([599], None, [DOCUMENTS[599]])
        rig.shard.compact()
        assert rewritten(rig) == [False]
        assert index_folders(folder) == []
        check(rig, {"title": TEXT})


def test_fields_that_no_row_has_are_pinned_for_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was left out before is not such a field."""
    gate = MetadataGate(monkeypatch)
    gate.go.set()
    with Rig(folder, options=ShardOptions(payload_indexes={"year": "none"})) as rig:
        fill(rig, DOCUMENTS)
        rig.shard.seal()
        wait(rig)
        pins = {"year": PayloadIndex.NONE, "nobody": TEXT, "else": PayloadIndex.GEO}
        rig.shard.set_payload_indexes(pins)
        wait(rig)
        assert gate.builds == []
        check(rig, pins)
        rig.shard.set_payload_indexes({})
        wait(rig)
        assert gate.builds == [{}]
        assert rig.shard.stats().metadata.left_out == ()
        check(rig, {})


def test_the_last_pins_win(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = MetadataGate(monkeypatch)
    with Rig(folder) as rig:
        fill(rig, DOCUMENTS)
        rig.shard.seal()
        rig.shard.set_payload_indexes({"title": TEXT})
        assert gate.reached.wait(DEADLINE_S)
        rig.shard.set_payload_indexes({"year": TEXT})
        wait_until("the other was begun", lambda: len(gate.builds) == 2)
        gate.go.set()
        wait(rig)
        assert gate.builds == [{"title": "text"}, {"year": "text"}]
        assert len(index_folders(folder)) == 1
        check(rig, {"year": TEXT})


def test_vectors_and_their_indexes_stay(folder: Path) -> None:
    with IndexedRig(folder / "s", options()) as rig:
        rig.fill()
        rig.upsert([5], rig.rows[5][np.newaxis], [{"title": "a red fox"}])
        rig.shard.compact()
        (before,) = index_folders(rig.folder)
        rig.shard.set_payload_indexes({"title": TEXT})
        rig.wait()
        assert len(index_folders(rig.folder)) == 2
        assert before in index_folders(rig.folder)
        assert rig.shard.count(where("title", "text", "fox")) == 1
        rig.check()
        rig.shard.snapshot(folder / "copy")
    with Rig(folder / "copy", rig.schema, options(payload_indexes={"title": "text"})) as copy:
        assert rewritten(copy) == [True]
        assert copy.shard.count(where("title", "text", "fox")) == 1


def test_a_segment_that_is_merged_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made of it is thrown away: the merged one goes by the pins."""
    gate = MetadataGate(monkeypatch)
    with Rig(folder) as rig:
        fill(rig, DOCUMENTS)
        rig.shard.seal()
        rig.shard.set_payload_indexes({"title": TEXT})
        assert gate.reached.wait(DEADLINE_S)
        rig.delete([0])
        rig.shard.seal()
        rig.shard._maintenance.merge_all()
        gate.go.set()
        wait(rig)
        assert rewritten(rig) == [False]
        assert index_folders(folder) == []
        assert rig.shard.count(where("title", "text", "fox")) == len(DOCUMENTS) - 3


def test_closing_cuts_it_short(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = MetadataGate(monkeypatch)
    with Rig(folder) as rig:
        fill(rig, DOCUMENTS)
        rig.shard.seal()
        rig.shard.set_payload_indexes({"title": TEXT})
        assert gate.reached.wait(DEADLINE_S)
        rig.close()
        assert index_folders(folder) == []
        gate.go.set()
        rig.options = ShardOptions(payload_indexes={"title": "text"})
        rig.open()
        wait(rig)
        check(rig, {"title": TEXT})


@pytest.mark.parametrize("damage", ["gone", "other bytes"])
def test_a_damaged_one_is_made_anew(folder: Path, damage: str) -> None:
    """It is derived data: the segment's own serves meanwhile."""
    with Rig(folder) as rig:
        fill(rig, DOCUMENTS)
        rig.shard.seal()
        rig.options = ShardOptions(payload_indexes={"title": "text"})
        rig.shard.set_payload_indexes({"title": TEXT})
        wait(rig)
        rig.close()
        (name,) = index_folders(folder)
        if damage == "gone":
            shutil.rmtree(folder / "indexes" / name)
        else:
            (folder / "indexes" / name / ARRAYS_FILE).write_bytes(b"x")
        rig.open()
        check(rig, {"title": TEXT})
        wait(rig)
        assert index_folders(folder) != [name]
        check(rig, {"title": TEXT})


def test_a_kill_at_every_step(folder: Path) -> None:
    """The shard opens, by the old pins and by the new ones, and goes on."""
    documents = DOCUMENTS[:30]
    rig = Rig(folder / "s")
    # Maintenance runs in this thread alone.
    rig.background.close()
    fill(rig, documents)
    rig.shard.seal()
    rig.shard.set_payload_indexes({"title": TEXT})
    steps: list[str] = []

    def crash(what: str) -> None:
        steps.append(what)
        for pins in ({}, {"title": "text"}):
            shutil.copytree(folder / "s", folder / "crashed")
            with Rig(folder / "crashed", options=ShardOptions(payload_indexes=pins)) as crashed:
                assert matches(crashed, documents, where("title", "starts_with", "The R"))
                assert crashed.shard.wait_until_indexed(DEADLINE_S)
                if pins:
                    assert matches(crashed, documents, where("title", "phrase", "red fox"))
                crashed.upsert([1_000])
                assert crashed.shard.count() == len(documents) + 1
            shutil.rmtree(folder / "crashed")

    with STEPS.watched(crash):
        assert rig.shard._maintenance.metadata.step()
    assert not rig.shard._maintenance.metadata.step()
    assert rewritten(rig) == [True]
    assert len(steps) >= 6
    rig.close()


def test_a_pin_that_is_none_changes_nothing(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.shard.set_payload_indexes({"title": TEXT})
        with pytest.raises(InvalidArgument, match="words"):
            rig.shard.set_payload_indexes({"year": "words"})  # type: ignore[dict-item]
        assert rig.shard.count(where("title", "text", "fox")) == 0


def test_the_segment_that_begins_next_goes_by_the_pins(folder: Path) -> None:
    """Also while it grows: words are looked up in its indexes, too."""
    with Rig(folder) as rig:
        rig.shard.set_payload_indexes({"title": TEXT})
        rig.upsert([1_000])
        rig.shard.seal()
        rig.upsert(list(range(300)), None, DOCUMENTS[:300])
        growing = rig.shard._state.current.segments[-1]
        (chunk,) = growing.segment.metadata_indexes(growing.rows)
        assert chunk.index.goes_by({"title": "text"})
        assert not chunk.index.goes_by({})
