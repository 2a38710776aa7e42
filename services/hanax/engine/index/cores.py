"""Searches share the cores, one core each: more at a time would only take turns.

A search waits for a core, so that searches end in the order they came instead of all late, and so
that other processes of the machine get their turn. Work that can be divided is divided over
the cores that nobody uses at that moment; under load there are none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class _OfThread(threading.local):
    """Whether a thread has a core already, and whether it takes none."""

    held = False
    aside = False


class Cores:
    """`count` cores for kernels that release the GIL."""

    def __init__(self, count: int) -> None:
        self.count = count
        # One item for each free core; a queue of the interpreter's own costs a tenth of a semaphore.
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="search")
        self._mine = _OfThread()

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Results in the order of the tasks. The caller waits for a core; further ones are taken if free.

        A task that calls this has its core already, and takes further ones alone: waiting for one while
        holding one, all would wait for each other.
        """
        mine = self._mine
        if mine.aside:
            return [task() for task in tasks]
        if mine.held:
            return self._share(tasks)
        self._free.get()
        mine.held = True
        try:
            return self._share(tasks)
        finally:
            mine.held = False
            self._free.put(None)

    def run_one(self, task: Callable[[], T]) -> T:
        """As `run`, of one task."""
        mine = self._mine
        if mine.aside or mine.held:
            return task()
        self._free.get()
        mine.held = True
        try:
            return task()
        finally:
            mine.held = False
            self._free.put(None)

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
        if len(tasks) == 1:
            return [tasks[0]()]
        futures = [self._threads.submit(self._help, task) if self._is_free() else None for task in tasks[1:]]
        results = [tasks[0]()]
        for task, future in zip(tasks[1:], futures, strict=True):
            results.append(task() if future is None else future.result())
        return results

    def _is_free(self) -> bool:
        """Take a core if there is one that nobody uses."""
        try:
            self._free.get_nowait()
        except Empty:
            return False
        return True

    def _help(self, task: Callable[[], T]) -> T:
        self._mine.held = True
        try:
            return task()
        finally:
            self._mine.held = False
            self._free.put(None)


CORES = Cores(len(os.sched_getaffinity(0)))
