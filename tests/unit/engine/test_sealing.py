"""What makes a segment full, and what holds writers back while it is written."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from hanax.core.errors import Overloaded, StorageFull
from hanax.engine.segment.builder import Part, build_segment
from hanax.engine.shard import ShardOptions, maintenance
from hanax.engine.shard import committer as module
from tests.unit.engine.gates import TINY, Gate, running, settled
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until


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
