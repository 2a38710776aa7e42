"""Scans share the cores, one core each: more at a time would only take turns.

A scan waits for a core, so that searches end in the order they came instead of all late, and so
that other processes of the machine get their turn. A scan that reads tens of megabytes is divided over
the cores that nobody uses at that moment; under load there are none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Cores:
    """`count` cores for kernels that release the GIL."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = threading.Semaphore(count)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="scan")

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Results in the order of the tasks. The caller waits for a core; further ones are taken if free."""
        with self._free:
            futures: list[Future[T] | None] = [
                self._threads.submit(self._help, task) if self._free.acquire(blocking=False) else None
                for task in tasks[1:]
            ]
            results = [tasks[0]()]
            for task, future in zip(tasks[1:], futures, strict=True):
                results.append(task() if future is None else future.result())
            return results

    def _help(self, task: Callable[[], T]) -> T:
        try:
            return task()
        finally:
            self._free.release()


CORES = Cores(len(os.sched_getaffinity(0)))
