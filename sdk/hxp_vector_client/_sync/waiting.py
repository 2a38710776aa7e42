"""Waiting, for time and for several things at once. _async has a module of the same names, by hand."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

sleep = time.sleep

# A source that has no more; None may be one of its things.
_NONE: Final[Any] = object()


def each(source: Iterable[Given]) -> Iterator[Given]:
    """What `source` has."""
    return iter(source)


def in_flight(work: Callable[[Given], Made], source: Iterable[Given], limit: int) -> Iterator[Made]:
    """`work` on all of `source`, up to `limit` at once in threads, in the order of `source`.

    No more than `limit` are taken ahead of what is yielded. When one fails, or the caller leaves, those that
    have not begun are left out, and the others have ended.
    """
    items = iter(source)
    first = next(items, _NONE)
    if first is _NONE:
        return
    second = next(items, _NONE) if limit > 1 else _NONE
    if limit <= 1 or second is _NONE:
        # One at a time needs no thread.
        yield work(first)
        for given in items:
            yield work(given)
        return
    running: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(limit, "hxp-vector-client") as threads:
        try:
            running.append(threads.submit(work, first))
            running.append(threads.submit(work, second))
            for given in items:
                if len(running) >= limit:
                    yield running.popleft().result()
                running.append(threads.submit(work, given))
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
