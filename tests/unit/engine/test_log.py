"""FileLog: what is appended comes back, in the documented bytes, whatever the files it is spread over."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hanax.core.errors import Unavailable
from hanax.engine.storage.log import FileLog
from tests.unit.engine import log_format


def opened(folder: Path, covered: int = 0) -> tuple[FileLog, list[tuple[int, bytes]]]:
    log = FileLog(folder)
    return log, list(log.replay(covered))


def replayed(folder: Path, covered: int = 0) -> list[tuple[int, bytes]]:
    log, records = opened(folder, covered)
    log.close()
    return records


def written(folder: Path, *groups: list[bytes]) -> None:
    log, _ = opened(folder)
    for payloads in groups:
        log.append([[payload] for payload in payloads])
    log.close()


def test_what_is_appended_is_replayed(folder: Path) -> None:
    log, nothing = opened(folder)
    assert nothing == []
    assert log.append([[b"a"], [b"b", b"", memoryview(b"bb")]]) == 1
    assert log.append([[b"c" * 5_000]]) == 3
    assert log.last_sequence == 3
    log.close()
    everything = [(1, b"a"), (2, b"bbb"), (3, b"c" * 5_000)]
    assert replayed(folder) == everything
    assert replayed(folder) == everything
    assert replayed(folder, covered=2) == everything[2:]
    assert replayed(folder, covered=3) == []


def test_the_bytes_are_those_of_the_format_document(folder: Path) -> None:
    written(folder, [b"first", b"second"], [b"third"])
    (path,) = folder.iterdir()
    assert path.name == log_format.name(1)
    expected = (
        log_format.file_header(1)
        + log_format.group(1, [b"first", b"second"])
        + log_format.group(3, [b"third"])
    )
    assert path.read_bytes() == expected


def test_more_pieces_than_one_system_call_takes(folder: Path) -> None:
    log, _ = opened(folder)
    log.append([[b"x", b"", b"y"] for _ in range(3_000)])
    log.close()
    assert replayed(folder) == [(sequence, b"xy") for sequence in range(1, 3_001)]


def test_each_life_and_each_rotation_begins_a_file(folder: Path) -> None:
    log, _ = opened(folder)
    log.rotate()
    log.append([[b"a"]])
    log.rotate()
    log.rotate()
    log.append([[b"b"], [b"c"]])
    log.close()
    before = [path.read_bytes() for path in log.files()]
    log, records = opened(folder)
    log.append([[b"d"]])
    log.close()
    assert records == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert [path.name for path in log.files()] == [log_format.name(first) for first in (1, 2, 4)]
    assert [path.read_bytes() for path in log.files()[:2]] == before
    assert [payload for _, payload in replayed(folder)] == [b"a", b"b", b"c", b"d"]


def test_open_and_closed_files(folder: Path) -> None:
    log, _ = opened(folder)
    assert log.files() == []
    log.append([[b"a"]])
    assert log.closed_files() == []
    assert log.size_bytes == bytes_of_files(log) > 0
    log.rotate()
    assert log.closed_files() == log.files()
    log.append([[b"b"]])
    assert len(log.files()) == 2
    assert len(log.closed_files()) == 1
    assert log.size_bytes == bytes_of_files(log)
    log.close()
    again, _ = opened(folder)
    assert again.size_bytes == bytes_of_files(again)
    again.append([[b"c"]])
    assert again.size_bytes == bytes_of_files(again)
    again.close()


def bytes_of_files(log: FileLog) -> int:
    return sum(path.stat().st_size for path in log.files())


def test_release_removes_files_whose_records_are_all_covered(folder: Path) -> None:
    log, _ = opened(folder)
    for number in range(6):
        log.append([[b"%d" % number]])
        if number % 2:
            log.rotate()
    left = {0: [1, 3, 5], 1: [1, 3, 5], 2: [3, 5], 3: [3, 5], 4: [5], 5: [5], 6: []}
    for covered, firsts in left.items():
        log.release(covered)
        assert [path.name for path in log.files()] == [log_format.name(first) for first in firsts]
        assert log.size_bytes == bytes_of_files(log)
        if covered < 6:
            assert replayed(folder, covered)[0][0] == covered + 1
    log.append([[b"6"]])
    log.release(7)
    assert len(log.files()) == 1, "the open file stays"
    log.close()


def test_release_runs_beside_the_writer(folder: Path) -> None:
    """Never a gap, never the file that is being written, whatever the moment."""
    log, _ = opened(folder)
    captured = [0]
    done = threading.Event()
    trouble: list[BaseException] = []

    def release() -> None:
        try:
            while not done.is_set():
                log.release(captured[0])
                assert log.size_bytes >= 0
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=release)
    thread.start()
    for number in range(3_000):
        log.append([[b"%d" % number]])
        if number % 3 == 0:
            log.rotate()
            captured[0] = log.last_sequence
    done.set()
    thread.join()
    log.close()
    assert trouble == []
    assert [sequence for sequence, _ in replayed(folder, captured[0])] == list(
        range(captured[0] + 1, log.last_sequence + 1)
    )


def test_a_closed_log_takes_no_writes(folder: Path) -> None:
    log, _ = opened(folder)
    log.close()
    log.close()
    with pytest.raises(Unavailable):
        log.append([[b"a"]])


def fail_once(error: BaseException) -> Callable[[int], None]:
    left = [error]

    def fail(handle: int) -> None:
        if left:
            raise left.pop()

    return fail


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_write_that_could_not_be_synced_is_undone(
    folder: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = opened(folder)
    log.append([[b"a"]])
    before = log.files()[0].read_bytes()
    monkeypatch.setattr(os, "fdatasync", fail_once(error))
    with pytest.raises(type(error)):
        log.append([[b"lost"], [b"lost too"]])
    assert log.files()[0].read_bytes() == before
    assert log.append([[b"b"]]) == 2
    log.close()
    assert replayed(folder) == [(1, b"a"), (2, b"b")]


def test_a_log_that_could_not_be_restored_refuses_everything_until_it_is_opened_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = opened(folder)
    log.append([[b"a"]])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail_once(OSError(5, "Input/output error")))
        patch.setattr(os, "fsync", fail_once(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input/output"):
            log.append([[b"b"]])
    with pytest.raises(Unavailable, match="until the shard is reopened"):
        log.append([[b"c"]])
    log.rotate()
    with pytest.raises(Unavailable, match="until the shard is reopened"):
        log.append([[b"c"]])
    log.close()
    log, records = opened(folder)
    assert records == [(1, b"a")]
    assert log.append([[b"c"]]) == 2
    log.close()


def test_what_a_killed_process_left_unsynced_is_synced_at_opening(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut after the next acknowledged write could take a record out of the middle."""
    written(folder, [b"a"])
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def recording(handle: int) -> None:
        status = os.fstat(handle)
        synced.append((status.st_dev, status.st_ino))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", recording)
    replayed(folder)
    status = (folder / log_format.name(1)).stat()
    assert (status.st_dev, status.st_ino) in synced
