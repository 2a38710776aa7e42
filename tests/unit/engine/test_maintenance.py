"""Sealing and merging beside readers and writers: what starts them, holds writers back, and ends them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hanax.core.errors import Overloaded, StorageFull
from hanax.core.ids import encode_id
from hanax.engine.segment.builder import DRAFT_SUFFIX, Part, build_segment
from hanax.engine.segment.view import hash_ids
from hanax.engine.shard import ShardOptions, maintenance
from hanax.engine.shard import shard as module
from hanax.engine.shard.snapshot import link_snapshot
from hanax.engine.storage import log
from hanax.engine.storage.manifest import Manifest
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until

TINY = ShardOptions(segment_max_rows=16)


def settled(rig: Rig) -> None:
    """Nothing is left to seal or merge."""
    jobs = (rig.shard._seal_job, rig.shard._merge_job)
    wait_until("maintenance rests", lambda: not any(job._active for job in jobs))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Gate:
    """Stops builds that merge segments, or all of them, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, merges_only: bool) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

        def build(folder: Path, schema: object, parts: Sequence[Part], stopped: threading.Event) -> None:
            if not merges_only or len(parts) > 1:
                self.reached.set()
                while not (self.go.is_set() or stopped.is_set()):
                    time.sleep(0.001)
            build_segment(folder, schema, parts, stopped)  # type: ignore[arg-type]

        monkeypatch.setattr(maintenance, "build_segment", build)


@contextmanager
def running(*threads: threading.Thread) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(2 * DEADLINE_S)
    assert not any(thread.is_alive() for thread in threads)


# What makes a segment full


def test_rows_fill_a_segment(folder: Path) -> None:
    with Rig(folder, options=TINY) as rig:
        for number in range(15):
            rig.upsert([number])
        assert rig.shard.stats().segments == 0
        rig.upsert([15])
        wait_until("it is sealed", lambda: rig.shard.stats().segments == 1)
        assert rig.shard.stats().growing_rows == 0
        assert rig.shard.stats().covered_sequence == 16
        wait_until("its log is released", lambda: not any((folder / "log").iterdir()))


def test_bytes_fill_a_segment(folder: Path) -> None:
    with Rig(folder, options=ShardOptions(segment_max_bytes=10_000)) as rig:
        rig.upsert([1], metadata=[{"a": "x" * 9_900}])
        assert rig.shard.stats().segments == 0
        rig.upsert([2], metadata=[{"a": "x" * 200}])
        wait_until("it is sealed", lambda: rig.shard.stats().segments == 1)


def test_deletes_alone_fill_the_log(folder: Path) -> None:
    with Rig(folder, options=ShardOptions(log_max_bytes=5_000)) as rig:
        rig.upsert(list(range(50)))
        rig.shard.seal()
        for number in range(100):
            rig.delete([number % 45])
        wait_until("a manifest is written", lambda: rig.shard.stats().log_bytes < 5_000)
        settled(rig)
        covered = rig.shard.stats().covered_sequence
        rig.delete(["nobody"])
        settled(rig)
        assert rig.shard.stats().covered_sequence == covered, "one manifest for many writes"
        assert rig.shard.count() == 5
        rig.reopen()
        assert rig.shard.count() == 5


def test_many_small_records_fill_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening takes time for each of them, not for their bytes."""
    monkeypatch.setattr(module, "_MAX_LOG_RECORDS", 100)
    with Rig(folder) as rig:
        for life in range(3):
            for number in range(40):
                rig.delete([f"{life}-{number}"])
            rig.reopen()
        wait_until("a manifest is written", lambda: rig.shard.stats().covered_sequence >= 100)


def test_the_log_that_opening_reads_stays_bounded_however_often_a_shard_is_opened_or_copied(
    folder: Path,
) -> None:
    options = ShardOptions(log_max_bytes=5_000)
    for life in range(30):
        with Rig(folder / "s", options=options) as rig:
            for number in range(5):
                rig.delete([f"{life}-{number}"])
            rig.shard.snapshot(folder / f"copy-{life}")
            settled(rig)
            assert rig.shard.stats().log_bytes < 6_000


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


def test_records_behind_the_sealed_moment_stay_in_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, merges_only=False)
    with Rig(folder / "s", options=TINY) as rig:
        rig.upsert(list(range(16)))
        assert gate.reached.wait(DEADLINE_S)
        # Its file is closed, as those are that the sealed moment covers.
        rig.upsert([100])
        rig.shard.snapshot(folder / "copy")
        gate.go.set()
        settled(rig)
        assert rig.shard.stats().covered_sequence == 1
        rig.reopen()
        assert set(rig.ids()) == {*range(16), 100}


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


# What holds writers back


def test_writers_are_told_to_come_back_while_sealing_lags(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEALING_WAIT_S", 0.05)
    gate = Gate(monkeypatch, merges_only=False)
    with Rig(folder, options=TINY) as rig:
        for number in range(3):
            rig.upsert(list(range(16 * number, 16 * number + 16)))
        began = time.monotonic()
        with pytest.raises(Overloaded, match="still writing earlier segments"):
            rig.upsert([100])
        assert 0.05 <= time.monotonic() - began < 5
        with pytest.raises(Overloaded):
            rig.delete([1])
        assert rig.shard.count() == 48
        assert len(rig.search([0, 0], 100)) == 48
        rig.shard.snapshot(folder / "copy")
        with Rig(folder / "copy") as copy:
            assert copy.shard.count() == 48
        gate.go.set()
        wait_until("it is sealed", lambda: rig.shard.stats().growing_rows == 0)
        rig.upsert([100])


def test_a_writer_goes_on_as_soon_as_one_segment_is_sealed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when all are: one that waits would starve while others fill segments."""
    rig = Rig(folder, options=TINY)
    rig.background.close()
    for number in range(3):
        rig.upsert(list(range(16 * number, 16 * number + 16)))
    builds: list[str] = []
    second, go = threading.Event(), threading.Event()

    def build(folder: Path, schema: object, parts: Sequence[Part], stopped: threading.Event) -> None:
        builds.append(folder.name)
        if len(builds) == 2:
            second.set()
            assert go.wait(DEADLINE_S)
        build_segment(folder, schema, parts, stopped)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_SEALING_WAIT_S", 10.0)
    written = threading.Event()

    def write() -> None:
        rig.upsert([100])
        written.set()

    monkeypatch.setattr(maintenance, "build_segment", build)
    with running(threading.Thread(target=write)):
        assert not written.wait(0.05)
        with running(threading.Thread(target=rig.shard.seal)):
            assert second.wait(DEADLINE_S)
            woken = written.wait(5)
            go.set()
            assert woken
    assert rig.shard.count() == 49
    rig.close()


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


# Ends


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
    job = (rig.shard._seal_job, rig.shard._merge_job)[merges_only]
    rig.shard.close()
    after = {name: (folder / name).read_bytes() for name in files(folder)}
    assert not [name for name in after if DRAFT_SUFFIX in name]
    wait_until("the job has ended", lambda: not job._active)
    rig.shard._seal_job.ask()
    rig.shard._merge_job.ask()
    wait_until(
        "the jobs have ended", lambda: not (rig.shard._seal_job._active or rig.shard._merge_job._active)
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


# Failures between the steps


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
                patch.setattr(maintenance, "remove_leftovers", fail)
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


def test_a_full_disk_for_segments_alone_is_named_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log still has room, but memory has not."""

    def full(*args: object) -> None:
        raise StorageFull("no space left for a segment")

    with monkeypatch.context() as patch:
        patch.setattr(maintenance, "build_segment", full)
        rig = Rig(folder, options=TINY)
        for number in range(3):
            rig.upsert(list(range(16 * number, 16 * number + 16)))
        wait_until("sealing failed", lambda: rig.shard.stats().read_only_reason)
        began = time.monotonic()
        with pytest.raises(StorageFull, match="no space left for a segment"):
            rig.upsert([100])
        assert time.monotonic() - began < 2
        assert rig.shard.stats().read_only_reason == "no space left for a segment"
        assert rig.shard.count() == 48
        with pytest.raises(StorageFull):
            rig.shard.seal()
        began = time.monotonic()
        rig.reopen()
        assert time.monotonic() - began < 4, "closing must not wait for the disk"
        assert rig.shard.count() == 48
    rig.shard.seal()
    assert rig.shard.stats().read_only_reason == ""
    rig.upsert([100])
    rig.close()


def test_the_end_of_a_full_disk_is_noticed_without_a_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanax.engine.shard.background._RETRY_FIRST_S", 0.01)
    with Rig(folder, options=TINY) as rig:
        with monkeypatch.context() as patch:

            def full(*args: object) -> None:
                raise StorageFull("no space left for a segment")

            patch.setattr(maintenance, "build_segment", full)
            for number in range(3):
                rig.upsert(list(range(16 * number, 16 * number + 16)))
            wait_until("sealing failed", lambda: rig.shard.stats().read_only_reason)
        wait_until("sealing went on", lambda: rig.shard.stats().growing_rows == 0)
        assert rig.shard.stats().read_only_reason == ""


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


def test_a_file_listed_by_the_statistics_may_be_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Rig(folder) as rig:
        rig.upsert([1])
        gone = folder / "log" / "00000000000000000009.log"
        monkeypatch.setattr(log.FileLog, "files", lambda self: [gone])
        assert rig.shard.stats().log_bytes == 0


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
