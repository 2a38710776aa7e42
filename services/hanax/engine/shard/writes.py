"""Group commit: writers that wait together share one fsync.

The writer at the head of the queue leads: it takes those behind it, commits the group while
more arrive, and wakes the group. So there is one writer at a time, in order of arrival, and
no thread of its own.

A write that is decided when it has its turn looks at the state before its group. So it joins those before it
where they touch none of the points that it depends on: then it decides as it would behind them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from hanax.core.errors import Overloaded, Unavailable
from hanax.core.limits import MAX_BATCH_POINTS
from hanax.engine.storage.records import Record

# Writers in the queue; a service has fewer threads than this.
_MAX_WAITING = 1_024
# Vector bytes of one group: bounds the memory of a commit and the wait of its first writer.
_GROUP_BYTES = 16 * 1024 * 1024
# Points of a group in which some writes are prepared. Their records may be far larger than what was asked:
# together they are no larger than that of one write may be.
_PREPARED_POINTS = MAX_BATCH_POINTS


class Write:
    """One write on its way through the queue.

    A plain write brings its record. Another brings `prepare`, which runs when the write has its turn, on the
    state that all writes before it left, and returns the record, or None to write nothing. depends_on: the
    ids of the points that it looks at and writes; None: it may look at anything, and is committed alone.
    """

    def __init__(
        self,
        record: Record | None = None,
        prepare: Callable[[], Record | None] | None = None,
        depends_on: Sequence[bytes] | None = None,
    ) -> None:
        """record: with `prepare`, the largest that it may return, where that is known."""
        self.record = record
        self.prepare = prepare
        self.ids = record.ids if record is not None else depends_on or ()
        self.is_alone = prepare is not None and depends_on is None
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False

    @property
    def bytes(self) -> int:
        if self.record is None:
            return 0
        return sum(rows.nbytes for rows in self.record.vectors.values())


class WriteQueue:
    """`commit` is called with one group at a time; it sets each write's result or error.

    What it raises is the error of all that have none of their own.
    """

    def __init__(self, commit: Callable[[Sequence[Write]], None]) -> None:
        self._commit = commit
        self._changed = threading.Condition()
        self._waiting: deque[Write] = deque()
        self._closed = False

    def submit(self, write: Write) -> Any:
        """Return the write's result when it is durable and applied, or raise its error."""
        with self._changed:
            if self._closed:
                raise Unavailable("the shard is closed")
            if len(self._waiting) >= _MAX_WAITING:
                raise Overloaded(f"{_MAX_WAITING} writes wait for this shard already")
            self._waiting.append(write)
            while not write.done and self._waiting[0] is not write:
                self._changed.wait()
            group = [] if write.done else self._group()
        if group:
            self._lead(group)
        if write.error is not None:
            raise write.error
        return write.result

    def close(self) -> None:
        """Refuse further writes, and return when those that wait have ended."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._waiting)

    def _group(self) -> list[Write]:
        """The head of the queue and those behind it that fit."""
        group = _Group(self._waiting[0])
        for write in islice(self._waiting, 1, None):
            if not group.takes(write):
                break
        return group.writes

    def _lead(self, group: list[Write]) -> None:
        try:
            self._commit(group)
        except BaseException as error:
            for write in group:
                write.error = write.error or error
        finally:
            with self._changed:
                for write in group:
                    self._waiting.popleft()
                    write.done = True
                self._changed.notify_all()


class _Group:
    """Writes that are committed together."""

    def __init__(self, first: Write) -> None:
        self.writes = [first]
        self._bytes = first.bytes
        self._points = len(first.ids)
        self._prepared = first.prepare is not None
        # Of the writes before `_known`: looked up when a write is prepared, and then they are few.
        self._ids: set[bytes] = set()
        self._known = 0

    def takes(self, write: Write) -> bool:
        """Add the next write of the queue, if it may be committed with those before it."""
        size, points = self._bytes + write.bytes, self._points + len(write.ids)
        prepared = self._prepared or write.prepare is not None
        if write.is_alone or self.writes[0].is_alone or size > _GROUP_BYTES:
            return False
        if prepared and points > _PREPARED_POINTS:
            return False
        if write.prepare is not None and not self._touches_none_of(write.ids):
            return False
        self.writes.append(write)
        self._bytes, self._points, self._prepared = size, points, prepared
        return True

    def _touches_none_of(self, ids: Sequence[bytes]) -> bool:
        for write in islice(self.writes, self._known, None):
            self._ids.update(write.ids)
        self._known = len(self.writes)
        return self._ids.isdisjoint(ids)
