"""Searches share the cores, one core each: more at a time would only take turns.

A search waits for a core, so that searches end in the order they came instead of all late, and so
that other processes of the machine get their turn. Work that can be divided is divided over
the cores that nobody uses at that moment; under load there are none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Cores:
    """`count` cores for kernels that release the GIL."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = threading.Semaphore(count)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="search")
        # Whether a thread has a core already, and whether it takes none.
        self._mine = threading.local()

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Results in the order of the tasks. The caller waits for a core; further ones are taken if free.

        A task that calls this has its core already, and takes further ones alone: waiting for one while
        holding one, all would wait for each other.
        """
        if getattr(self._mine, "aside", False):
            return [task() for task in tasks]
        if getattr(self._mine, "held", False):
            return self._share(tasks)
        with self._free:
            return self._holding(lambda: self._share(tasks))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """For work that nobody waits for: what this thread runs in the block takes no core from searches.

        The system divides its time between this thread and those that have a core.
        """
        self._mine.aside = True
        try:
            yield
        finally:
            self._mine.aside = False

    def _share(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
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
            return self._holding(task)
        finally:
            self._free.release()

    def _holding(self, task: Callable[[], T]) -> T:
        self._mine.held = True
        try:
            return task()
        finally:
            self._mine.held = False


CORES = Cores(len(os.sched_getaffinity(0)))
