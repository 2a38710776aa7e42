"""Waiting, for time and for several things at once. _sync has a module of the same names, by hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

sleep = asyncio.sleep


async def each(source: Iterable[Given] | AsyncIterable[Given]) -> AsyncIterator[Given]:
    """What `source` has, however it is read."""
    if isinstance(source, AsyncIterable):
        async for one in source:
            yield one
    else:
        for one in source:
            yield one


async def in_flight(
    work: Callable[[Given], Awaitable[Made]], source: Iterable[Given] | AsyncIterable[Given], limit: int
) -> AsyncIterator[Made]:
    """`work` on all of `source`, up to `limit` at once, in the order of `source`.

    No more than `limit` are taken ahead of what is yielded. When one fails, or the caller leaves, the others
    are cancelled and have ended.
    """
    running: deque[asyncio.Task[Made]] = deque()
    try:
        async for given in each(source):
            if len(running) >= max(1, limit):
                yield await running.popleft()
            running.append(asyncio.ensure_future(_awaited(work, given)))
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _awaited(work: Callable[[Given], Awaitable[Made]], given: Given) -> Made:
    return await work(given)
