"""The one writer of a shard: groups of writes are logged, applied and answered, and full segments captured.

The order makes nothing seen or acknowledged before it is durable. What the log has is applied, or the shard
takes nothing more until it is opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from hanax.core.errors import HanaxError, Internal, Overloaded, StorageFull, Unavailable
from hanax.engine.shard.background import Background
from hanax.engine.shard.options import ShardOptions
from hanax.engine.shard.recovery import Recovered
from hanax.engine.shard.state import Applied
from hanax.engine.shard.upkeep import Upkeep
from hanax.engine.shard.writes import Write, WriteQueue
from hanax.engine.storage.records import Record, encode_record

log = structlog.get_logger()

# Moments that wait to be sealed: bounds the memory that writers may run ahead of the disk.
_MAX_CAPTURED = 3
# Records that opening may have to replay: each costs some 30 us, however small it is.
_MAX_LOG_RECORDS = 65_536
# How long a writer waits for sealing to catch up before it is told to come back.
_SEALING_WAIT_S = 5.0


class Committer:
    """Methods may be called from any thread. upkeep: what follows when there is something to seal."""

    def __init__(
        self,
        recovered: Recovered,
        options: ShardOptions,
        background: Background,
        applied: Callable[[Sequence[Record]], None],
    ) -> None:
        """applied: told of the records of each group, after readers see them."""
        self._folder = recovered.folder
        self._state = recovered.state
        self._log = recovered.log
        self._options = options
        self._applied = applied
        self.queue = WriteQueue(self._commit)
        # Why the shard takes nothing at all.
        self.failure: HanaxError | None = None
        # Why the log takes no writes.
        self._read_only: str = ""
        # Where the log was at the last capture.
        self._captured_bytes = 0
        self._captured_sequence = self._state.persisted.sequence
        self.upkeep = Upkeep(str(recovered.folder), recovered.maintenance, background, self.capture)

    def submit(self, write: Write) -> tuple[int, Applied]:
        """The sequence of the write and what it met, when it is durable and applied.

        Raises what `prepare` raises, Overloaded, StorageFull, and Unavailable when the shard is closed.
        """
        self._wait_for_sealing()
        result: tuple[int, Applied] = self.queue.submit(write)
        return result

    def end_log_file(self, then: Callable[[], None]) -> None:
        """Begin another file of the log, and do something before the next write."""

        def prepare() -> None:
            self._log.rotate()
            then()

        self.queue.submit(Write(prepare=prepare))

    def capture(self) -> int:
        """Freeze all that was written, to be sealed. Returns the last sequence of it. Raises Unavailable."""
        sequence, _ = self.queue.submit(Write(prepare=self._capture))
        return int(sequence)

    def capture_if_full(self) -> None:
        """Call from the writer alone, or before there is one."""
        growing, options = self._state.growing, self._options
        if (
            growing.rows >= options.segment_max_rows
            or growing.bytes >= options.segment_max_bytes
            or self._log.record_bytes - self._captured_bytes >= options.log_max_bytes
            or self._state.current.sequence - self._captured_sequence >= _MAX_LOG_RECORDS
        ):
            self._capture()
            self.upkeep.seal_job.ask()
        else:
            self.upkeep.grown(growing.rows)

    def check_usable(self) -> None:
        if self.failure is not None:
            # A new one each time: an exception collects the frames, and their arrays, of all who raise it.
            raise type(self.failure)(self.failure.message)

    def read_only_reason(self) -> str:
        """Why no writes are taken; empty when they are."""
        has_room = self._state.wait_for_room(_MAX_CAPTURED, 0.0)
        return self._read_only or ("" if has_room else self.upkeep.stuck)

    def close(self) -> None:
        """Wait for the writes that wait already, and refuse others."""
        self.queue.close()
        self.failure = Unavailable("the shard is closed")

    def _commit(self, group: Sequence[Write]) -> None:
        """The one place where the log and the state change; one group at a time."""
        self.check_usable()
        for write in group:
            self._prepare(write)
        last = self._append(group)
        self._apply(group, last)
        records = [write.record for write in group if write.record is not None]
        if records:
            self._applied(records)
            self.capture_if_full()

    def _prepare(self, write: Write) -> None:
        """Decide what is written. An error is the write's own: the others of its group go on."""
        if write.prepare is not None:
            try:
                write.record = write.prepare()
            except Exception as error:
                write.record, write.error = None, error

    def _append(self, writes: Sequence[Write]) -> int:
        """Make the records durable. Returns the sequence before the first of them.

        A log that takes nothing is the error of those that have a record.
        """
        records = [encode_record(write.record) for write in writes if write.record is not None]
        if not records:
            return self._state.current.sequence
        try:
            first = self._log.append(records)
        except (StorageFull, Unavailable) as error:
            self._read_only = error.message
            for write in writes:
                if write.record is not None:
                    write.record, write.error = None, error
            return self._state.current.sequence
        self._read_only = ""
        return first - 1

    def _apply(self, writes: Sequence[Write], last: int) -> None:
        """Let readers see what the log has behind `last`, and set the results."""
        try:
            for write in writes:
                applied = Applied(0, 0)
                if write.record is not None:
                    last += 1
                    applied = self._state.apply(last, write.record)
                write.result = last, applied
        except BaseException as error:
            # The log has what the state has not: only a replay can tell what is true.
            log.exception("a durable write could not be applied", folder=str(self._folder))
            self.failure = Internal(f"the shard must be reopened: {error!r}")
            raise Internal(self.failure.message) from error

    def _capture(self) -> None:
        if self._state.capture():
            self._log.rotate()
            self._captured_bytes = self._log.record_bytes
            self._captured_sequence = self._state.current.sequence

    def _wait_for_sealing(self) -> None:
        """Hold writers back while too many moments wait: memory is bounded by them."""
        if not self._state.wait_for_room(_MAX_CAPTURED, 0.0 if self.upkeep.stuck else _SEALING_WAIT_S):
            if self.upkeep.stuck:
                raise StorageFull(self.upkeep.stuck)
            raise Overloaded("the shard is still writing earlier segments to disk; try again")
