"""Items that come one by one, worked off together: while some are on their way, the next gather.

At concurrency one an item goes at once. The busier it gets, the more go with one command.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Reply = TypeVar("Reply")


class Batches(Generic[Item, Reply]):
    """For one event loop."""

    def __init__(
        self,
        perform: Callable[[list[Item]], Awaitable[Sequence[Reply] | None]],
        size: int,
        lanes: int,
    ) -> None:
        """perform: a reply for each item, or None for none at all; it does not raise.

        size: items of one batch, but for those that were submitted together; lanes: batches at once.
        """
        self._perform = perform
        self._size = size
        self._free = lanes
        self._waiting: deque[tuple[Sequence[Item], asyncio.Future[list[Reply] | None]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._due = False

    async def submit(self, items: Sequence[Item]) -> list[Reply] | None:
        """The replies in order; None when there are none."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[list[Reply] | None] = loop.create_future()
        self._waiting.append((items, reply))
        if not self._due:
            self._due = True
            # Once all that can run now has run: what comes in the same turn goes together.
            loop.call_soon(self._send)
        return await reply

    def _send(self) -> None:
        self._due = False
        while self._free and self._waiting:
            parts = [self._waiting.popleft()]
            count = len(parts[0][0])
            while self._waiting and count + len(self._waiting[0][0]) <= self._size:
                parts.append(self._waiting.popleft())
                count += len(parts[-1][0])
            self._free -= 1
            task = asyncio.ensure_future(self._run(parts))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, parts: list[tuple[Sequence[Item], asyncio.Future[list[Reply] | None]]]) -> None:
        replies: Sequence[Reply] | None = None
        try:
            replies = await self._perform([item for items, _ in parts for item in items])
        finally:
            self._free += 1
            start = 0
            for items, reply in parts:
                end = start + len(items)
                if not reply.done():
                    reply.set_result(None if replies is None else list(replies[start:end]))
                start = end
            self._send()

    async def close(self) -> None:
        for _, reply in self._waiting:
            reply.cancel()
        self._waiting.clear()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
