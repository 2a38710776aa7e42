"""The routing file: taken whole or not at all, and never back to an older revision."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hanax.core.routing import NodeRoute, RoutingTable
from hanax.runtime.routing_file import RoutingFile, write_routing_file

DEADLINE_S = 10.0


def table(revision: int, node: str = "a") -> RoutingTable:
    return RoutingTable(revision=revision, nodes=(NodeRoute(name=node, address="127.0.0.1:1"),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "routing.json"


class Follower:
    """A RoutingFile without its thread, and the tables it handed out."""

    def __init__(self, path: Path, on_change: Callable[[RoutingTable], None] | None = None) -> None:
        self.taken: list[RoutingTable] = []
        self.file = RoutingFile(path, on_change or self.taken.append)

    def look(self, times: int = 1) -> list[dict[str, Any]]:
        """Look, and return what was logged."""
        with capture_logs() as logs:
            for _ in range(times):
                self.file.look()
        return [dict(entry) for entry in logs]


def test_the_file_is_followed_from_the_table_that_is_there_at_the_start(path: Path) -> None:
    write_routing_file(path, table(3))
    seen: queue.Queue[RoutingTable] = queue.Queue()
    follower = RoutingFile(path, seen.put)
    follower.start()
    try:
        assert seen.get_nowait() == table(3)
        for revision in (4, 9):
            write_routing_file(path, table(revision))
            assert seen.get(timeout=DEADLINE_S) == table(revision)
    finally:
        follower.stop()
    assert seen.empty()


def test_a_file_that_comes_later_is_taken(path: Path) -> None:
    follower = Follower(path)
    assert follower.look() == []
    write_routing_file(path, table(0))
    follower.look(times=3)
    assert follower.taken == [table(0)]


def test_two_writes_within_one_tick_of_the_clock_are_told_apart(path: Path) -> None:
    follower = Follower(path)
    write_routing_file(path, table(1))
    follower.look()
    written_at = path.stat().st_mtime_ns
    path.write_bytes(table(2).model_dump_json(indent=1).encode())
    os.utime(path, ns=(written_at, written_at))
    follower.look()
    assert follower.taken == [table(1), table(2)]


def test_a_file_that_is_no_longer_young_is_not_read_again(path: Path) -> None:
    follower = Follower(path)
    write_routing_file(path, table(1))
    os.utime(path, ns=(0, 0))
    follower.look()
    path.write_bytes(table(2).model_dump_json(indent=1).encode())
    os.utime(path, ns=(0, 0))
    follower.look()
    assert follower.taken == [table(1)]


def test_an_equal_revision_changes_nothing(path: Path) -> None:
    follower = Follower(path)
    write_routing_file(path, table(5))
    follower.look()
    write_routing_file(path, table(5, "b"))
    assert follower.look() == []
    assert follower.taken == [table(5)]


def test_an_older_revision_changes_nothing_and_is_told(path: Path) -> None:
    follower = Follower(path)
    write_routing_file(path, table(5))
    follower.look()
    write_routing_file(path, table(4))
    (entry,) = follower.look(times=3)
    assert entry["event"] == "routing table kept"
    assert entry["reason"] == "revision 4 is older than 5"
    write_routing_file(path, table(6))
    follower.look()
    assert follower.taken == [table(5), table(6)]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"revision": -1}', b'{"colections": []}', b"\xff"])
def test_a_damaged_file_changes_nothing_and_is_told_once(path: Path, damage: bytes) -> None:
    follower = Follower(path)
    path.write_bytes(damage)
    assert len(follower.look(times=3)) == 1
    write_routing_file(path, table(1))
    follower.look()
    path.write_bytes(damage)
    (entry,) = follower.look(times=3)
    assert entry["event"] == "routing table kept"
    assert entry["path"] == str(path)
    write_routing_file(path, table(2))
    assert follower.look() == []
    assert follower.taken == [table(1), table(2)]
    path.write_bytes(damage)
    assert len(follower.look()) == 1  # news again


def test_a_missing_file_changes_nothing(path: Path) -> None:
    follower = Follower(path)
    write_routing_file(path, table(1))
    follower.look()
    path.unlink()
    assert follower.look() == []
    write_routing_file(path, table(2))
    follower.look()
    assert follower.taken == [table(1), table(2)]


def test_a_table_that_could_not_be_applied_is_tried_again_and_told_once(path: Path) -> None:
    attempts: list[int] = []

    def fail_three_times(found: RoutingTable) -> None:
        attempts.append(found.revision)
        if len(attempts) <= 3:
            raise OSError("no room")

    follower = Follower(path, fail_three_times)
    write_routing_file(path, table(1))
    logs = follower.look(times=6)
    assert attempts == [1, 1, 1, 1]
    assert [entry["event"] for entry in logs] == ["routing table not applied"]


def test_writing_replaces_the_file_and_leaves_no_draft(path: Path) -> None:
    write_routing_file(path, table(1))
    first = path.open("rb")
    with first:
        write_routing_file(path, table(2))
        assert RoutingTable.model_validate_json(first.read()) == table(1)
    assert [entry.name for entry in path.parent.iterdir()] == ["routing.json"]
    assert RoutingTable.model_validate_json(path.read_bytes()) == table(2)
