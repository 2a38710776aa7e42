"""Group commit: writers that wait together share one fsync.

The writer at the head of the queue leads: it takes those behind it, commits the group while
more arrive, and wakes the group. So there is one writer at a time, in order of arrival, and
no thread of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hanax.core.errors import Overloaded, Unavailable
from hanax.engine.storage.records import Record

# Writers in the queue; a service has fewer threads than this.
_MAX_WAITING = 1_024
# Vector bytes of one group: bounds the memory of a commit and the wait of its first writer.
_GROUP_BYTES = 16 * 1024 * 1024


class Write:
    """One write on its way through the queue.

    A plain write brings its record. An exclusive one brings `prepare`, which runs alone, on the
    state that all writes before it left, and returns the record, or None to write nothing.
    """

    def __init__(
        self, record: Record | None = None, prepare: Callable[[], Record | None] | None = None
    ) -> None:
        self.record = record
        self.prepare = prepare
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False

    @property
    def bytes(self) -> int:
        if self.record is None:
            return 0
        return sum(rows.nbytes for rows in self.record.vectors.values())


class WriteQueue:
    """`commit` is called with one group at a time; it sets each write's result or error."""

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
        """The head of the queue and those behind it that fit. An exclusive write is a group of its own."""
        group: list[Write] = []
        size = 0
        for write in self._waiting:
            size += write.bytes
            if group and (write.prepare is not None or size > _GROUP_BYTES):
                break
            group.append(write)
            if write.prepare is not None:
                break
        return group

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
