"""Maintenance that is cut short, or fails between two of its steps."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hanax.engine.segment.builder import Part, build_segment
from hanax.engine.segment.drafts import DRAFT_SUFFIX
from hanax.engine.shard import ledger, maintenance
from hanax.engine.storage.manifest import Manifest
from tests.unit.engine.gates import TINY, Gate, files, running
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until


def test_a_defect_in_maintenance_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def build(folder: Path, schema: object, parts: Sequence[Part], stopped: threading.Event) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise MemoryError
        build_segment(folder, schema, parts, stopped)  # type: ignore[arg-type]

    monkeypatch.setattr("hanax.engine.shard.background._RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(maintenance, "build_segment", build)
    with Rig(folder, options=TINY) as rig:
        rig.upsert(list(range(16)))
        wait_until("it is sealed", lambda: rig.shard.stats().segments == 1)
    assert len(tries) == 2


@pytest.mark.parametrize("step", ["manifest", "clean-up", "mapping"])
@pytest.mark.parametrize("work", ["seal", "merge"])
def test_a_step_that_fails_leaves_memory_and_folder_at_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, work: str
) -> None:
    """Whatever fails, the shard goes on, is tried again, and a crash in between loses nothing."""
    with Rig(folder / "s") as rig:
        rig.background.close()
        for number in range(3):
            rig.upsert([number, 10 * number + 100])
            rig.shard.seal()
        rig.delete([100])
        if work == "seal":
            rig.upsert([50])
        expected = set(rig.ids())
        run = rig.shard.seal if work == "seal" else rig.shard.compact
        if work == "merge":
            rig.shard.seal()

        def fail(*args: object) -> None:
            raise OSError(24, "Too many open files")

        with monkeypatch.context() as patch:
            if step == "manifest":
                patch.setattr(Manifest, "save", fail)
            elif step == "clean-up":
                patch.setattr(ledger, "remove_leftovers", fail)
            else:
                patch.setattr(maintenance, "SealedSegment", fail)
            try:
                run()
                failed = False
            except OSError:
                failed = True
            assert failed is (step != "clean-up")
        if failed:
            named = {entry.name for entry in Manifest.load(rig.folder).segments}
            assert {path.name for path in (rig.folder / "segments").iterdir()} == named, "space is given back"
        assert set(rig.ids()) == expected
        rig.shard.snapshot(folder / "before")
        run()
        assert set(rig.ids()) == expected
        rig.reopen()
        rig.background.close()
        assert set(rig.ids()) == expected
        rig.upsert([77])
        rig.shard.compact()
        named = {entry.name for entry in Manifest.load(rig.folder).segments}
        assert {path.name for path in (rig.folder / "segments").iterdir()} == named
    with Rig(folder / "before") as copy:
        assert set(copy.ids()) == expected


def test_a_manifest_that_could_not_be_synced_after_its_renaming(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the one that a crash comes back to: what it names stays until another replaces it."""
    with Rig(folder) as rig:
        rig.background.close()
        for number in range(3):
            rig.upsert([number])
            rig.shard.seal()
        fsync = os.fsync
        fail = [False]

        def failing(handle: int) -> None:
            target = Path(f"/proc/self/fd/{handle}").readlink()
            if fail[0] and target == folder:
                raise OSError(5, "Input/output error")
            fsync(handle)

        monkeypatch.setattr(os, "fsync", failing)
        fail[0] = True
        with pytest.raises(OSError, match="Input/output"):
            rig.shard.compact()
        fail[0] = False
        (entry,) = Manifest.load(folder).segments
        assert (folder / "segments" / entry.name).exists()
        rig.upsert([9])
        rig.shard.seal()
        rig.reopen()
        assert set(rig.ids()) == {0, 1, 2, 9}


@pytest.mark.parametrize("merges_only", [False, True])
def test_closing_cuts_a_build_short_and_nothing_changes_the_folder_afterwards(
    folder: Path, monkeypatch: pytest.MonkeyPatch, merges_only: bool
) -> None:
    gate = Gate(monkeypatch, merges_only)
    rig = Rig(folder, options=TINY)
    if merges_only:
        for number in range(4):
            rig.upsert([number])
            rig.shard.seal()
    else:
        rig.upsert(list(range(16)))
    assert gate.reached.wait(DEADLINE_S)
    job = (rig.shard._upkeep.seal_job, rig.shard._upkeep.merge_job)[merges_only]
    rig.shard.close()
    after = {name: (folder / name).read_bytes() for name in files(folder)}
    assert not [name for name in after if DRAFT_SUFFIX in name]
    wait_until("the job has ended", lambda: not job._active)
    rig.shard._upkeep.seal_job.ask()
    rig.shard._upkeep.merge_job.ask()
    wait_until(
        "the jobs have ended",
        lambda: not (rig.shard._upkeep.seal_job._active or rig.shard._upkeep.merge_job._active),
    )
    assert {name: (folder / name).read_bytes() for name in files(folder)} == after
    rig.background.close()
    gate.go.set()
    rig.open()
    assert rig.shard.count() == (4 if merges_only else 16)
    rig.close()


def test_compacting_while_the_shard_is_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own thread stops as well, and leaves nothing behind."""
    gate = Gate(monkeypatch, merges_only=True)
    rig = Rig(folder)
    for number in range(3):
        rig.upsert([number])
        rig.shard.seal()
    ends: list[BaseException | None] = []

    def compact() -> None:
        try:
            rig.shard.compact()
            ends.append(None)
        except BaseException as error:
            ends.append(error)

    with running(threading.Thread(target=compact)):
        assert gate.reached.wait(DEADLINE_S)
        rig.close()
    assert [type(end).__name__ for end in ends] == ["Cancelled"]
    rig.open()
    assert rig.shard.stats().segments == 3
    rig.close()
