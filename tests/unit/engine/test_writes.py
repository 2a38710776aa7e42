"""The write queue: groups, order, writes that are prepared, and whom an error reaches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hanax.core.errors import InvalidArgument, Overloaded, Unavailable
from hanax.engine.shard import writes
from hanax.engine.shard.writes import Write, WriteQueue
from hanax.engine.storage.records import Kind, Record
from tests.unit.engine.rigs import DEADLINE_S, wait_until


def plain(number: int, floats: int = 1) -> Write:
    vectors = {"default": np.zeros((1, floats), np.float32)}
    return Write(Record(Kind.UPSERT, number, [b"x"], [b"{}"], vectors))


def number_of(write: Write) -> int:
    assert write.record is not None
    return write.record.time_us


class Commits:
    """Takes down the groups. The first one waits to be let go, so that others come together behind it."""

    def __init__(self) -> None:
        self.groups: list[list[Write]] = []
        self.go = threading.Event()
        self.begun = threading.Event()
        self.fail: Callable[[Sequence[Write]], None] = lambda group: None
        self.queue = WriteQueue(self)
        self._threads: list[threading.Thread] = []
        self.ends: dict[int, object] = {}

    def __call__(self, group: Sequence[Write]) -> None:
        self.groups.append(list(group))
        self.begun.set()
        assert self.go.wait(DEADLINE_S)
        for write in group:
            if write.prepare is not None:
                write.prepare()
            write.result = self.groups.index(list(group))
        self.fail(group)

    def submit(self, key: int, write: Write) -> None:
        """In a thread of its own; returns when it stands in the queue."""

        def run() -> None:
            try:
                self.ends[key] = self.queue.submit(write)
            except BaseException as error:
                self.ends[key] = error

        before = self.waiting
        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()
        wait_until("the write waits", lambda: self.waiting > before)

    @property
    def waiting(self) -> int:
        return len(self.queue._waiting)

    def finish(self) -> None:
        self.go.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()

    def numbers(self) -> list[list[int]]:
        return [[number_of(write) for write in group] for group in self.groups]


def test_writers_that_wait_share_one_commit_in_order_of_arrival() -> None:
    commits = Commits()
    for number in range(40):
        commits.submit(number, plain(number))
    commits.finish()
    assert commits.numbers() == [[0], list(range(1, 40))]
    assert commits.ends == {0: 0, **dict.fromkeys(range(1, 40), 1)}


def test_a_group_is_bounded_by_its_bytes() -> None:
    commits = Commits()
    quarter = writes._GROUP_BYTES // 16
    commits.submit(0, plain(0))
    for number in range(1, 6):
        commits.submit(number, plain(number, quarter))
    commits.submit(6, plain(6, 8 * quarter))
    commits.submit(7, plain(7))
    commits.finish()
    assert commits.numbers() == [[0], [1, 2, 3, 4], [5], [6], [7]]


def test_a_write_that_may_look_at_anything_is_alone_and_in_its_place() -> None:
    commits = Commits()
    seen: list[int] = []

    def look() -> None:
        seen.append(len(commits.groups))

    commits.submit(0, plain(0))
    commits.submit(1, plain(1))
    commits.submit(2, Write(prepare=look))
    commits.submit(3, Write(prepare=look))
    commits.submit(4, plain(4))
    commits.submit(5, plain(5))
    commits.finish()
    assert [len(group) for group in commits.groups] == [1, 1, 1, 1, 2]
    assert seen == [3, 4]


def sizes(*asked: Write) -> list[int]:
    """Of the groups that these writes make, when they come together behind another."""
    commits = Commits()
    commits.submit(-1, plain(-1))
    for key, write in enumerate(asked):
        commits.submit(key, write)
    commits.finish()
    assert len(commits.ends) == len(asked) + 1
    return [len(group) for group in commits.groups[1:]]


def prepared(*ids: bytes) -> Write:
    return Write(prepare=lambda: None, depends_on=ids)


def delete(*ids: bytes) -> Write:
    return Write(Record(Kind.DELETE, 0, ids, [], {}))


def test_a_prepared_write_joins_those_that_touch_none_of_its_points() -> None:
    a, b, c, d = b"a", b"b", b"c", b"d"
    assert sizes(*(prepared(id_) for id_ in (a, b, c, d))) == [4]
    assert sizes(prepared(a), prepared(b), prepared(a), prepared(b)) == [2, 2]
    assert sizes(prepared(a, b), prepared(c, b), prepared(a)) == [1, 2]
    # A plain write looks at nothing, so that it may follow; what is prepared behind it must see it.
    assert sizes(prepared(a), delete(a), delete(a, b), prepared(c), prepared(b)) == [4, 1]
    assert sizes(delete(a), delete(b), prepared(b), delete(b)) == [2, 2]


def test_a_group_with_prepared_writes_has_the_points_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is prepared may be far larger than what was asked. Plain writes alone have no such bound."""
    monkeypatch.setattr(writes, "_PREPARED_POINTS", 4)
    three = [bytes([number]) for number in range(3)]
    assert sizes(delete(*three), delete(*three), prepared(b"a")) == [2, 1]
    assert sizes(prepared(b"a"), delete(*three), delete(b"b")) == [2, 1]
    assert sizes(prepared(*three, b"a", b"b", b"c"), prepared(b"d")) == [1, 1]
    assert sizes(*(prepared(bytes([number])) for number in range(9))) == [4, 4, 1]


def test_what_a_prepared_write_may_bring_counts() -> None:
    half = writes._GROUP_BYTES // 8
    records = [
        Record(Kind.UPSERT, 0, [id_], [b"{}"], {"default": np.zeros((1, half), np.float32)})
        for id_ in (b"a", b"b", b"c")
    ]
    assert sizes(*(Write(record, lambda: None, record.ids) for record in records)) == [2, 1]


def test_an_error_reaches_its_group_alone() -> None:
    commits = Commits()

    def fail(group: Sequence[Write]) -> None:
        if number_of(group[0]) == 1:
            raise InvalidArgument("no")

    commits.fail = fail
    for number in range(3):
        commits.submit(number, plain(number))
    commits.go.set()
    wait_until("two groups have ended", lambda: len(commits.ends) == 3)
    assert commits.queue.submit(plain(3)) == 2
    commits.finish()
    assert commits.ends[0] == 0
    assert isinstance(commits.ends[1], InvalidArgument)
    assert isinstance(commits.ends[2], InvalidArgument)


def test_even_an_interrupted_leader_leaves_the_queue_in_order() -> None:
    commits = Commits()

    def fail(group: Sequence[Write]) -> None:
        if number_of(group[0]) == 0:
            raise KeyboardInterrupt

    commits.fail = fail
    commits.submit(0, plain(0))
    commits.submit(1, plain(1))
    commits.finish()
    assert isinstance(commits.ends[0], KeyboardInterrupt)
    assert commits.ends[1] == 1


def test_a_full_queue_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "_MAX_WAITING", 3)
    commits = Commits()
    for number in range(3):
        commits.submit(number, plain(number))
    with pytest.raises(Overloaded, match="3 writes wait"):
        commits.queue.submit(plain(3))
    commits.finish()
    assert commits.numbers() == [[0], [1, 2]]
    assert commits.queue.submit(plain(4)) == 2


def test_closing_waits_for_those_that_wait_and_refuses_others() -> None:
    commits = Commits()
    for number in range(3):
        commits.submit(number, plain(number))
    closing = threading.Thread(target=commits.queue.close)
    closing.start()
    wait_until("the queue is closed", lambda: commits.queue._closed)
    with pytest.raises(Unavailable, match="closed"):
        commits.queue.submit(plain(3))
    assert closing.is_alive()
    commits.finish()
    closing.join(DEADLINE_S)
    assert not closing.is_alive()
    assert sorted(commits.ends) == [0, 1, 2]
    assert commits.numbers() == [[0], [1, 2]]
    commits.queue.close()
