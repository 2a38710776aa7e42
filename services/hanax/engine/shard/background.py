"""Maintenance threads, shared by all shards of a process: many small shards need few threads."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()


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
