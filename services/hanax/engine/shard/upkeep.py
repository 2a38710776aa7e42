"""When a shard is sealed, merged and indexed: the jobs, and what makes them run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hanax.core.errors import HanaxError, StorageFull
from hanax.engine.index.recommendation import FLAT_ROWS
from hanax.engine.shard.background import Background, Job
from hanax.engine.shard.maintenance import Maintenance

# Without a new segment for so long, and with fewer new rows than these, a burst of writes is over: segments
# are merged to few. While rows come steadily, each of those mergers would be one of many.
_QUIET_S = 5.0
_FEW_ROWS = 100
# A growing segment with more rows than are quickly compared one by one is sealed at this age.
_OLD_ROWS = FLAT_ROWS
_OLD_S = 5.0


class Upkeep:
    """Methods may be called from any thread."""

    def __init__(
        self, name: str, maintenance: Maintenance, background: Background, capture: Callable[[], int]
    ) -> None:
        """capture: queue the growing segment to be sealed. Raises Unavailable when the shard is closed."""
        self._maintenance = maintenance
        self._background = background
        self._capture = capture
        self._changed = threading.Condition()
        self._closed = False
        # When a segment was sealed last, or a few more rows than this were counted in the growing one.
        self._busy_at = time.monotonic()
        self._counted_rows = 0
        self._awaits_quiet = False
        self._awaits_age = False
        # Why sealing fails, when the disk is full.
        self.stuck = ""
        self.seal_job = Job(background, f"seal {name}", self._seal)
        self.merge_job = Job(background, f"merge {name}", self._merge, long=True)
        self.index_job = Job(background, f"index {name}", self._index, long=True)
        self.metadata_job = Job(background, f"index metadata {name}", self._index_metadata, long=True)

    def begin(self) -> None:
        """After opening."""
        self.merge_job.ask()
        self._ask_for_indexes()
        self._await_quiet()

    def close(self) -> None:
        """Cut work in progress short and wait for its end. Nothing changes the folder afterwards."""
        self._closed = True
        self._maintenance.stop()
        self._tell()

    def grown(self, rows: int) -> None:
        """The growing segment has so many rows. Call from the writer alone."""
        if not 0 <= rows - self._counted_rows < _FEW_ROWS:
            self._counted_rows = rows
            self._busy_at = time.monotonic()
        if rows >= _OLD_ROWS and not self._awaits_age:
            self._awaits_age = True
            self._background.submit(self._seal_old, _OLD_S)

    def seal(self, sequence: int) -> None:
        """Make all that was captured up to `sequence` durable. Raises StorageFull.

        What writers add meanwhile is not waited for: they may go on for ever.
        """
        while self._maintenance.sealed_sequence < sequence and self._seal():
            pass

    def seal_soon(self) -> None:
        """Make what was written so far durable as segments, in the background, and merge what is hollow."""
        try:
            self._capture()
        except HanaxError:
            # Closed, or it takes no writes: the next one asks again.
            return
        self.seal_job.ask()

    def compact(self) -> None:
        """Merge everything sealed and build its indexes, in the caller's thread."""
        self._maintenance.merge_all()
        while self._maintenance.index():
            pass
        self._tell()

    def reindex(self) -> None:
        """Something else is wanted of the indexes."""
        self._maintenance.vectors.cancel()
        self.index_job.ask()

    def reindex_metadata(self) -> None:
        """Other fields of the metadata are pinned."""
        self._maintenance.metadata.cancel()
        self.metadata_job.ask()

    def wait_until_indexed(self, timeout_s: float) -> bool:
        """False when time is up, or when the shard was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._maintenance.is_settled(), timeout_s)
            return not self._closed and self._maintenance.is_settled()

    def _seal(self) -> bool:
        try:
            more = self._maintenance.seal_oldest()
        except StorageFull as error:
            self.stuck = error.message
            raise
        self.stuck = ""
        with self._changed:
            self._busy_at = time.monotonic()
        self.merge_job.ask()
        self._ask_for_indexes()
        self._await_quiet()
        self._tell()
        return more

    def _merge(self) -> bool:
        is_quiet = self._is_quiet()
        if not is_quiet:
            # It may have been when this was asked for: the turn of a long job comes late.
            self._await_quiet()
        try:
            merged = self._maintenance.merge(is_quiet)
        finally:
            self._tell()
        if merged:
            self._ask_for_indexes()
        return merged

    def _index(self) -> bool:
        try:
            indexed = self._maintenance.vectors.step()
        finally:
            self._tell()
        if not indexed and self._is_quiet():
            self.merge_job.ask()
        return indexed

    def _index_metadata(self) -> bool:
        try:
            return self._maintenance.metadata.step()
        finally:
            self._tell()

    def _ask_for_indexes(self) -> None:
        self.index_job.ask()
        self.metadata_job.ask()

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._busy_at >= _QUIET_S

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _await_quiet(self) -> None:
        with self._changed:
            if self._awaits_quiet:
                return
            self._awaits_quiet = True
        self._background.submit(self._look_for_quiet, _QUIET_S)

    def _look_for_quiet(self) -> None:
        with self._changed:
            left_s = self._busy_at + _QUIET_S - time.monotonic()
            self._awaits_quiet = left_s > 0 and not self._closed
        if self._awaits_quiet:
            self._background.submit(self._look_for_quiet, left_s)
        elif not self._closed:
            self.merge_job.ask()

    def _seal_old(self) -> None:
        self._awaits_age = False
        self.seal_soon()
