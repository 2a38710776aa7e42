"""Idle cores help with one search.

A search that reads tens of megabytes is split over the cores that nobody uses at that moment. Under
load there are none, and it runs in the caller's thread as if this module were not there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Helpers:
    """`count` threads for kernels that release the GIL. They take a task only when they are free."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = threading.Semaphore(count)
        self._threads = ThreadPoolExecutor(max(1, count), thread_name_prefix="scan")

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Results in the order of the tasks. What no helper takes, the caller does."""
        futures: list[Future[T] | None] = [
            self._threads.submit(self._help, task) if self._free.acquire(blocking=False) else None
            for task in tasks[1:]
        ]
        results = [tasks[0]()] if tasks else []
        for task, future in zip(tasks[1:], futures, strict=True):
            results.append(task() if future is None else future.result())
        return results

    def _help(self, task: Callable[[], T]) -> T:
        try:
            return task()
        finally:
            self._free.release()


HELPERS = Helpers(len(os.sched_getaffinity(0)) - 1)
