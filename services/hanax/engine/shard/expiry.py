"""Points that have expired: readers pass them over at once, and a job deletes them later.

They are deleted by ordinary records of the log. So nothing that is replayed, sealed or merged depends on when
it is: a merge drops what is dead in the manifest's picture, and a row is dead because a record says so. A
replay looks at the times in the records alone: an upsert of an id whose point had expired by the time of that
record makes a new point, whether or not the expired row is still there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from hanax.core.errors import HanaxError, Unavailable
from hanax.core.limits import MAX_BATCH_POINTS
from hanax.engine.segment.masks import rows_of
from hanax.engine.segment.protocol import NEVER_US
from hanax.engine.segment.view import View
from hanax.engine.shard.background import Background
from hanax.engine.shard.merging import is_hollow
from hanax.engine.shard.state import Applied
from hanax.engine.shard.writes import Write
from hanax.engine.storage.records import Kind, Record

log = structlog.get_logger()

# How long expired points may wait to be deleted: many go with one record.
_PAUSE_S: Final = 10.0


class Expiry:
    """Methods may be called from any thread."""

    def __init__(
        self,
        current: Callable[[], View],
        submit: Callable[[Write], tuple[int, Applied]],
        clock_us: Callable[[], int],
        background: Background,
        seal: Callable[[], None],
    ) -> None:
        """current: the picture, with what has expired. seal: what was deleted shall be merged away soon."""
        self._current = current
        self._submit = submit
        self._clock_us = clock_us
        self._background = background
        self._seal = seal
        self._lock = threading.Lock()
        self._awaited = False

    def await_next(self, now_us: int) -> None:
        """Delete in a while what has expired by then, and so on for as long as something is to expire."""
        with self._lock:
            if self._awaited or not _may_expire(self._current(), now_us):
                return
            self._awaited = True
        self._background.submit(self._look, _PAUSE_S)

    def delete_expired(self) -> int:
        """Delete what has expired, in parts, so that other writers have their turns; how many there were.

        Raises Unavailable, Overloaded, StorageFull.
        """
        deleted, more = 0, True

        def prepare() -> Record | None:
            nonlocal deleted, more
            now_us = self._clock_us()
            ids = _expired_ids(self._current(), now_us, MAX_BATCH_POINTS)
            deleted += len(ids)
            more = len(ids) == MAX_BATCH_POINTS
            return Record(Kind.DELETE, now_us, ids, [], {}) if ids else None

        while more and _expired_ids(self._current(), self._clock_us(), 1):
            self._submit(Write(prepare=prepare))
        return deleted

    def _look(self) -> None:
        with self._lock:
            self._awaited = False
        try:
            if self.delete_expired() and any(map(is_hollow, self._current().segments)):
                self._seal()
        except Unavailable:
            # Closed, or it takes no writes until it is opened again.
            return
        except HanaxError as error:
            log.warning("expired points are deleted later", error=str(error))
        self.await_next(self._clock_us())


def _may_expire(view: View, now_us: int) -> bool:
    return view.next_expiry_us(now_us) != NEVER_US or bool(_expired_ids(view, now_us, 1))


def _expired_ids(view: View, now_us: int, most: int) -> list[bytes]:
    """Of points that have expired and are not deleted yet."""
    found: list[bytes] = []
    for part in view.segments:
        if (left := part.at(now_us).left) is not None and len(found) < most:
            rows = rows_of(left.dead - part.dead)[: most - len(found)]
            found.extend(part.segment.ids(rows))
    return found
