"""The operation log as a process writes it: off the path of requests, in batches, and never in their way.

`note` puts a line into a bounded queue and returns. A task writes what waits, at least once a second,
while the database is there; while it is not, the queue fills, and then lines are dropped. How many is
counted, and noted as a line of its own as soon as there is room: a reader of the log sees its gaps.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from hanax.core.errors import HanaxError, Internal
from hanax.metadata.operations.operation import DROPPED, Operation
from hanax.metadata.operations.store import OperationStore

log = structlog.get_logger()

_FLUSH_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 10.0
# Small enough that turning it into parameters holds up the event loop for a millisecond or two.
_BATCH: Final = 256

# Old lines go in parts: a transaction that removes many at once would hold up others. Where some are left
# the next look comes soon, so that a gateway removes more than it can note.
_FORGET_EACH_S: Final = 60.0
_FORGET_MORE_S: Final = 1.0
_FORGET_BATCH: Final = 1_000
_FORGET_PARTS: Final = 100

_CLOSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class LogOptions:
    """keep_s, lines: how long lines are kept, and how many at most, whoever noted them. queue: lines that may
    wait. instance: this process's name.
    """

    keep_s: float
    lines: int
    queue: int
    instance: str


class OperationLog:
    def __init__(self, store: OperationStore, options: LogOptions, now_us: Callable[[], int]) -> None:
        """now_us: microseconds since 1970 UTC."""
        self._store = store
        self._options = options
        self._now_us = now_us
        self._waiting: deque[Operation] = deque()
        self._untold = 0  # dropped, and in no line yet
        self._full = asyncio.Event()
        self._closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None
        self.dropped = 0  # since the start

    @property
    def waiting(self) -> int:
        """Lines that are not written yet."""
        return len(self._waiting)

    def note(self, operation: Operation) -> None:
        """Never waits and never raises."""
        if len(self._waiting) >= self._options.queue:
            self._drop(1)
            return
        self._waiting.append(operation)
        if len(self._waiting) >= _BATCH:
            self._full.set()

    def start(self) -> None:
        self._writing = asyncio.create_task(self._write())
        self._forgetting = asyncio.create_task(self._forget())

    async def close(self) -> None:
        """Write what waits, if that is quickly done, and end. What is left is dropped, and logged."""
        self._closing.set()
        self._full.set()
        if self._forgetting is not None:
            self._forgetting.cancel()
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=_CLOSE_S)
            self._writing.cancel()
        tasks = [task for task in (self._writing, self._forgetting) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        if left := len(self._waiting):
            self._waiting.clear()
            self._drop(left)
            log.warning("operations are not noted, as the process ends", lines=left)

    async def flush(self) -> int:
        """Write the oldest batch of what waits; how many lines that were. One at a time.

        Raises what `add` raises; the lines wait on then.
        """
        batch = [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]
        untold = self._untold
        lines = [*batch, self._gap(untold)] if untold else batch
        if not lines:
            return 0
        try:
            await self._store.add(lines, self._options.instance)
        except Exception as error:
            if isinstance(error, HanaxError) and not isinstance(error, Internal):
                raise
            # A defect: the database takes no such line, now or later.
            log.exception("operations are not noted", lines=len(batch))
            self._drop(len(batch))
            untold = 0
        self._untold -= untold
        for _ in batch:
            self._waiting.popleft()
        return len(lines)

    async def _write(self) -> None:
        pause_s = _FLUSH_S
        wake = self._full
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(0.9, 1.1)):
                    await wake.wait()
            self._full.clear()
            try:
                while await self.flush():
                    pass
            except HanaxError as error:
                if wake is self._full:
                    log.warning("operations wait for the database", error=error.message, lines=self.waiting)
                # A queue that is full is no reason to ask again sooner.
                pause_s, wake = min(_LONGEST_PAUSE_S, 2 * pause_s), self._closing
            else:
                pause_s, wake = _FLUSH_S, self._full
            if self._closing.is_set():
                return

    async def _forget(self) -> None:
        pause_s = _FORGET_EACH_S
        while True:
            # Gateways that started together need not come together.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = _FORGET_EACH_S
            with suppress(HanaxError):
                if await self.forget() >= _FORGET_PARTS * _FORGET_BATCH:
                    pause_s = _FORGET_MORE_S

    async def forget(self) -> int:
        """Remove lines that are older than is kept, and the oldest of too many; how many.

        At most a hundred parts of each.
        """
        before_us = self._now_us() - round(self._options.keep_s * 1e6)
        removed = await _in_parts(lambda: self._store.forget(before_us, _FORGET_BATCH))
        last = await self._store.newest() - self._options.lines
        if last > 0:
            removed += await _in_parts(lambda: self._store.forget_up_to(last, _FORGET_BATCH))
        return removed

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        self._untold += lines

    def _gap(self, lines: int) -> Operation:
        return Operation(
            self._now_us(), 0, DROPPED, "", self._options.instance, "resource_exhausted", lines, ""
        )


async def _in_parts(forget: Callable[[], Awaitable[int]]) -> int:
    removed = 0
    for _ in range(_FORGET_PARTS):
        gone = await forget()
        removed += gone
        if gone < _FORGET_BATCH:
            break
    return removed
