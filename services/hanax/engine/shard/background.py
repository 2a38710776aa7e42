"""Maintenance threads, shared by all shards of a process: many small shards need few threads."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

import structlog

from hanax.core.errors import Cancelled, HanaxError

log = structlog.get_logger()

_RETRY_FIRST_S = 1.0
_RETRY_LAST_S = 30.0


class Background:
    """Runs jobs in the order they are due. A job handles its own errors; what escapes is logged."""

    def __init__(self, threads: int) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"maintenance-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[], None], delay_s: float = 0.0) -> None:
        """Run `job` once, not before `delay_s` have passed. Ignored after close."""
        with self._changed:
            if not self._closed:
                heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._numbers), job))
                self._changed.notify()

    def close(self) -> None:
        """Drop what waits, and return when running jobs have ended."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:
                log.exception("maintenance job failed")

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closed:
                if not self._due:
                    self._changed.wait()
                    continue
                wait = self._due[0][0] - time.monotonic()
                if wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
            return None


class Job:
    """Work that is asked for often and runs one at a time; asking while it runs makes it run again.

    `work` returns whether there is more to do. When it fails, a full disk for example, it is tried again with
    growing pauses for as long as the background lives.
    """

    def __init__(self, background: Background, name: str, work: Callable[[], bool]) -> None:
        self._background = background
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
                self._background.submit(self._run)

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
                self._background.submit(self._run, pause_s)
