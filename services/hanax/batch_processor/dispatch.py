"""Messages that there is work: through Redis Streams, or within this process where there is no Redis.

A message says no more than that a task waits. What is done then is what the database says, so a message that
is lost costs the time until the task is announced again, and one that comes twice costs a question. Many
processors share one consumer group: each message goes to one of them, is acknowledged when its work is over,
and is taken over from a processor that left it for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

# Does what there is to do; returns when there is nothing more.
Handle = Callable[[], Awaitable[None]]


class Dispatch(Protocol):
    async def announce(self, task_ids: Sequence[str]) -> int:
        """Tell processors that these tasks wait; how many were told of."""
        ...

    async def listen(self, handle: Handle, stopping: asyncio.Event) -> None:
        """Call `handle` for each message, several at once, until `stopping`; those that run end first."""
        ...


class InProcess:
    """`Dispatch` for one processor alone."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        # Who has all hands full finds what else there is by itself.
        self._messages: asyncio.Queue[str] = asyncio.Queue(at_once)

    async def announce(self, task_ids: Sequence[str]) -> int:
        for told, task_id in enumerate(task_ids):
            if self._messages.full():
                return told
            self._messages.put_nowait(task_id)
        return len(task_ids)

    async def listen(self, handle: Handle, stopping: asyncio.Event) -> None:
        workers = [asyncio.create_task(self._work(handle)) for _ in range(self._at_once)]
        await stopping.wait()
        # Those that work notice by themselves.
        idle = [asyncio.create_task(self._messages.put("")) for _ in workers]
        await asyncio.gather(*workers)
        for task in idle:
            task.cancel()

    async def _work(self, handle: Handle) -> None:
        while await self._messages.get():
            await handle()
