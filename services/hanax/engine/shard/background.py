"""Maintenance threads, shared by all shards of a process: many small shards need few threads."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from hanax.core.errors import Cancelled, HanaxError
from hanax.engine.shard.budget import MemoryBudget

log = structlog.get_logger()

_RETRY_FIRST_S = 1.0
_RETRY_LAST_S = 30.0


class Background:
    """Runs jobs in the order they are due. A job handles its own errors; what escapes is logged.

    Long jobs, merges and builds, leave one thread to the others where there are two or more: sealing holds
    writers back when it waits. `memory` is what builds share.
    """

    def __init__(self, threads: int) -> None:
        self.memory = MemoryBudget()
        self._changed = threading.Condition()
        self._due: list[_Due] = []
        self._long_due: list[_Due] = []
        self._long_most = max(1, threads - 1)
        self._long_running = 0
        self._numbers = itertools.count()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"maintenance-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], None], delay_s: float = 0.0, long: bool = False) -> None:
        """Run `work` once, not before `delay_s` have passed. Ignored after close."""
        with self._changed:
            if not self._closed:
                due = _Due(time.monotonic() + delay_s, next(self._numbers), work, long)
                heapq.heappush(self._long_due if long else self._due, due)
                self._changed.notify()

    def close(self) -> None:
        """Drop what waits, and return when running jobs have ended."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._long_due.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            try:
                due.work()
            except Exception:
                log.exception("maintenance job failed")
            if due.long:
                with self._changed:
                    self._long_running -= 1
                    self._changed.notify()
            # Not kept until the next one comes: it may hold a shard that is closed.
            del due

    def _next(self) -> _Due | None:
        with self._changed:
            while not self._closed:
                queues = [self._due]
                if self._long_running < self._long_most:
                    queues.append(self._long_due)
                first = min((queue[0] for queue in queues if queue), default=None)
                if first is None:
                    self._changed.wait()
                    continue
                wait = first.at - time.monotonic()
                if wait <= 0:
                    self._long_running += first.long
                    return heapq.heappop(self._long_due if first.long else self._due)
                self._changed.wait(wait)
            return None


class _Due(NamedTuple):
    """Ordered by time, then by number; no two numbers are the same."""

    at: float
    number: int
    work: Callable[[], None]
    long: bool


class Job:
    """Work that is asked for often and runs one at a time; asking while it runs makes it run again.

    `work` returns whether there is more to do. When it fails, a full disk for example, it is tried again with
    growing pauses for as long as the background lives.
    """

    def __init__(
        self, background: Background, name: str, work: Callable[[], bool], long: bool = False
    ) -> None:
        self._background = background
        self._long = long
        self._name = name
        self._work = work
        self._lock = threading.Lock()
        self._active = False
        self._asked = False
        self._pause_s = _RETRY_FIRST_S

    def ask(self) -> None:
        with self._lock:
            self._asked = True
            if not self._active:
                self._active = True
                self._background.submit(self._run, long=self._long)

    def _run(self) -> None:
        with self._lock:
            self._asked = False
        again, pause_s = True, 0.0
        try:
            again = self._work()
            self._pause_s = _RETRY_FIRST_S
        except Cancelled:
            again = False
        except Exception as error:
            foreseen = isinstance(error, HanaxError | OSError)
            log.warning(
                "maintenance put off",
                job=self._name,
                error=str(error),
                pause_s=self._pause_s,
                exc_info=not foreseen,
            )
            pause_s = self._pause_s
            self._pause_s = min(2 * self._pause_s, _RETRY_LAST_S)
        with self._lock:
            self._active = again or self._asked
            if self._active:
                self._background.submit(self._run, pause_s, self._long)
