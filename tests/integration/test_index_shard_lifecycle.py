"""An index-shard process from its start to its end: tables, restarts, damage, deletion, locks, drain."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hanax.core.errors import CollectionNotFound, DataLoss, HanaxError, Unavailable
from tests.integration.index_shard_process import (
    IndexShardProcess,
    Routes,
    Shard,
)
from tests.integration.waiting import DEADLINE_S, wait_until


@pytest.fixture
def routes(tmp_path: Path) -> Routes:
    return Routes(tmp_path / "routing.json", nodes=("shard-0", "shard-1"))


@pytest.fixture
def process(tmp_path: Path, routes: Routes) -> Iterator[IndexShardProcess]:
    """Started without a routing file."""
    with IndexShardProcess(tmp_path, routes.path) as process:
        yield process


def folder_of(process: IndexShardProcess, name: str) -> Path:
    return process.data / "collections" / f"{name}-uid-{name}"


def fill(shard: Shard, count: int, first: int = 0) -> None:
    numbers = list(range(first, first + count))
    vectors = np.outer(np.arange(1, count + 1), np.ones(4))
    shard.upsert(numbers, vectors, [{"n": number} for number in numbers])


def error_of(shard: Shard, kind: type[HanaxError]) -> HanaxError:
    """Wait until the shard answers with this error."""

    def found() -> HanaxError | None:
        error = shard.error()
        return error if type(error) is kind else None

    return wait_until(f"{kind.__name__} of {shard.ref.collection}", found)


def test_the_table_is_followed_level_by_level(process: IndexShardProcess, routes: Routes) -> None:
    shard = process.shard("docs")
    assert process.is_ready()  # though there is no table yet
    with pytest.raises(Unavailable, match="has not read a routing table yet"):
        shard.count()

    routes.put("docs")
    routes.put("other", nodes=("shard-1",))
    routes.write()
    shard.wait_open()
    fill(shard, 3)
    other = process.shard("other")
    assert error_of(other, Unavailable).message == "shard 0 of collection 'other' is not on node 'shard-0'"
    assert not folder_of(process, "other").exists()

    # Assigned elsewhere: closed, and kept.
    routes.put("docs", nodes=("shard-1",))
    routes.write()
    assert "is not on node" in error_of(shard, Unavailable).message
    assert folder_of(process, "docs").is_dir()

    # Out of the table without being deleted: the data of an operator's mistake stay.
    del routes.collections["docs"]
    routes.write()
    assert error_of(shard, CollectionNotFound).details == {"collection": "docs"}
    assert folder_of(process, "docs").is_dir()

    routes.put("docs")
    routes.write()
    shard.wait_open()
    assert shard.get([0, 1, 2]) == {0: {"n": 0}, 1: {"n": 1}, 2: {"n": 2}}

    routes.delete("docs")
    routes.write()
    error_of(shard, CollectionNotFound)
    wait_until("the data are gone", lambda: not folder_of(process, "docs").exists())
    wait_until("the trash is empty", lambda: not any((process.data / "trash").iterdir()))

    # The same name again is another collection.
    routes.put("docs", uid="uid-2")
    routes.write()
    again = process.shard("docs", "uid-2").wait_open()
    assert again.count() == 0
    assert type(shard.error()) is CollectionNotFound


def test_two_nodes_hold_what_is_theirs(tmp_path: Path, routes: Routes) -> None:
    routes.put("docs", nodes=("shard-0", "shard-1"))
    routes.write()
    with (
        IndexShardProcess(tmp_path, routes.path, "shard-0") as zero,
        IndexShardProcess(tmp_path, routes.path, "shard-1") as one,
    ):
        for number, (mine, theirs) in enumerate([(zero, one), (one, zero)]):
            shard = mine.shard("docs", number=number)
            fill(shard, number + 1)
            assert shard.count() == number + 1
            with pytest.raises(Unavailable, match=f"shard {number} of collection 'docs' is not on node"):
                theirs.shard("docs", number=number).count()


def test_a_broken_table_changes_nothing(process: IndexShardProcess, routes: Routes) -> None:
    routes.put("docs")
    routes.write()
    shard = process.shard("docs").wait_open()
    routes.path.write_bytes(b'{"revision": 99, "collections": [')
    wait_until(
        "it is told",
        lambda: any(entry["event"] == "routing table kept" for entry in process.logged()),
    )
    fill(shard, 1)
    assert shard.count() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_restart_keeps_what_was_acknowledged(
    tmp_path: Path, routes: Routes, number: signal.Signals
) -> None:
    routes.put("docs")
    routes.put("code")
    routes.write()
    # Sealed often, so that there are segments as well as a log.
    with IndexShardProcess(tmp_path, routes.path, segment_max_rows=64) as process:
        docs, code = process.shard("docs"), process.shard("code")
        for first in range(0, 300, 50):
            fill(docs, 50, first)
        fill(code, 5)
        wait_until("a segment is sealed", lambda: docs.describe().segments)
        process.restart(number)
        docs, code = process.shard("docs"), process.shard("code")
        assert docs.count() == 300
        assert docs.get(range(300)) == {n: {"n": n} for n in range(300)}
        assert [id_ for id_, _ in docs.search([1, 1, 1, 1], limit=6)] == [0, 50, 100, 150, 200, 250]
        assert code.count() == 5
        fill(code, 5)
        assert code.describe().last_sequence == 2


def test_a_stop_ends_in_order(process: IndexShardProcess) -> None:
    assert process.end(signal.SIGTERM) == 0
    events = [entry["event"] for entry in process.logged()]
    assert events == ["serving", "ready", "ending", "ended"]


def test_writers_meet_a_stop_with_clear_errors_and_lose_nothing(
    process: IndexShardProcess, routes: Routes
) -> None:
    routes.put("docs")
    routes.write()
    shard = process.shard("docs").wait_open()
    acknowledged: list[int] = []
    met: list[HanaxError] = []
    running = threading.Semaphore(0)

    def write(first: int) -> None:
        for number in range(first, first + 1_000_000):
            try:
                fill(shard, 1, number)
            except HanaxError as error:
                met.append(error)
                return
            acknowledged.append(number)
            running.release()

    writers = [threading.Thread(target=write, args=(start * 1_000_000,)) for start in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(40):
        assert running.acquire(timeout=DEADLINE_S)
    assert process.process is not None
    process.process.terminate()
    for writer in writers:
        writer.join()
    assert process.process.wait(DEADLINE_S) == 0
    assert [type(error) for error in met] == [Unavailable] * 4
    process.start()
    process.connect()
    shard = process.shard("docs")
    for part in range(0, len(acknowledged), 1_000):
        asked = acknowledged[part : part + 1_000]
        assert len(shard.get(asked)) == len(asked)


def test_a_damaged_shard_stays_failed_and_the_others_work(tmp_path: Path, routes: Routes) -> None:
    routes.put("docs")
    routes.put("code")
    routes.write()
    with IndexShardProcess(tmp_path, routes.path) as process:
        fill(process.shard("docs"), 100)
        fill(process.shard("docs"), 100, 100)
        fill(process.shard("code"), 3)
        process.end()
        logs = [path for path in folder_of(process, "docs").rglob("log/*") if path.is_file()]
        longest = max(logs, key=lambda path: path.stat().st_size)
        content = bytearray(longest.read_bytes())
        content[len(content) // 4] ^= 0xFF
        longest.write_bytes(content)
        process.start()
        process.connect()
        assert process.shard("code").count() == 3
        for _ in range(2):
            with pytest.raises(DataLoss, match=longest.name):
                process.shard("docs").count()
        page = process.page("/metrics")
        assert 'vector_db_shards{service="index-shard",state="failed"} 1.0' in page
        assert 'vector_db_shards{service="index-shard",state="open"} 1.0' in page
        assert longest.read_bytes() == content

        # A later table leaves it as it is, and may still delete it.
        routes.put("more")
        routes.write()
        process.shard("more").wait_open()
        with pytest.raises(DataLoss):
            process.shard("docs").count()
        routes.delete("docs")
        routes.write()
        error_of(process.shard("docs"), CollectionNotFound)
        wait_until("the data are gone", lambda: not folder_of(process, "docs").exists())


def test_a_shard_that_is_held_by_another_opens_when_it_is_let_go(tmp_path: Path, routes: Routes) -> None:
    routes.put("docs")
    routes.put("code")
    routes.write()
    with IndexShardProcess(tmp_path, routes.path) as process:
        fill(process.shard("docs"), 3)
        process.end()
        lock = os.open(folder_of(process, "docs") / "shard-0" / "LOCK", os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process.start()
            process.connect()
            assert process.shard("code").count() == 0
            with pytest.raises(Unavailable, match="open elsewhere"):
                process.shard("docs").count()
        finally:
            os.close(lock)
        assert process.shard("docs").wait_open().count() == 3


def test_deletion_goes_on_after_a_restart(tmp_path: Path, routes: Routes) -> None:
    routes.put("docs")
    routes.write()
    with IndexShardProcess(tmp_path, routes.path) as process:
        fill(process.shard("docs"), 3)
        process.end(signal.SIGKILL)
        # Deleted while it was down, and the remains of a deletion that was cut short.
        routes.delete("docs")
        routes.write()
        remains = process.data / "trash" / "0123" / "shard-0" / "segments"
        remains.mkdir(parents=True)
        (remains / "vectors").write_bytes(b"x")
        process.start()
        process.connect()
        assert not folder_of(process, "docs").exists()
        wait_until("the trash is empty", lambda: not any((process.data / "trash").iterdir()))
        assert type(process.shard("docs").error()) is CollectionNotFound


def test_a_second_process_with_the_same_data_does_not_start(
    tmp_path: Path, routes: Routes, process: IndexShardProcess
) -> None:
    routes.put("docs")
    routes.write()
    shard = process.shard("docs").wait_open()
    (tmp_path / "second").mkdir()
    second = IndexShardProcess(tmp_path / "second", routes.path, data_dir=process.data)
    second.start()
    assert second.process is not None
    assert second.process.wait(DEADLINE_S) == 1
    (entry,) = second.logged()
    assert entry["event"] == "not started"
    assert "another index-shard process uses" in entry["error"]
    fill(shard, 1)


def test_a_port_in_use_is_named(tmp_path: Path, routes: Routes, process: IndexShardProcess) -> None:
    port = process.address.rsplit(":", 1)[1]
    second = IndexShardProcess(tmp_path, routes.path, "shard-1", shard_port=port)
    second.start()
    assert second.process is not None
    assert second.process.wait(DEADLINE_S) == 1
    (entry,) = second.logged()
    assert f"cannot listen on 127.0.0.1:{port}" in entry["error"]


def test_a_bad_setting_is_named(tmp_path: Path, routes: Routes) -> None:
    process = IndexShardProcess(tmp_path, routes.path, shard_threads=0)
    process.start()
    assert process.process is not None
    assert process.process.wait(DEADLINE_S) == 1
    assert "shard_threads" in (tmp_path / "shard-0.log").read_text()


def test_it_is_not_ready_before_the_first_table_is_applied(tmp_path: Path, routes: Routes) -> None:
    """A process that is ready has everything open that it is assigned."""
    for number in range(20):
        routes.put(f"c{number}")
    routes.write()
    with IndexShardProcess(tmp_path, routes.path) as process:
        for number in range(20):
            assert process.shard(f"c{number}").count() == 0


def test_an_orphan_ends(tmp_path: Path, routes: Routes) -> None:
    """Started on behalf of a process that is not its parent any more."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    process = IndexShardProcess(tmp_path, routes.path, parent_pid=gone.pid)
    process.start()
    assert process.process is not None
    assert process.process.wait(DEADLINE_S) == 0


def test_an_older_table_is_refused(process: IndexShardProcess, routes: Routes) -> None:
    routes.put("docs")
    routes.revision = 5
    routes.write()
    shard = process.shard("docs").wait_open()
    routes.delete("docs")
    routes.revision = 2
    routes.write()
    wait_until(
        "it is told",
        lambda: any("is older than" in str(entry.get("reason")) for entry in process.logged()),
    )
    fill(shard, 1)
    assert folder_of(process, "docs").is_dir()
