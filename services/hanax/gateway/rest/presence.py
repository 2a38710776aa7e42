"""Clients that go away: what is done for them ends, so that it takes nothing from those who stay.

To wait for the end of a connection takes a task, so only a request that lasts is given one. What has begun
to change something is left to end.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Message, Receive

from hanax.gateway.calls import Call

# Most requests have ended by then, and were spared the task.
_LOOK_AFTER_S: Final = 0.25


class Presence:
    """The client of the request that the current task answers.

    `gone`: it went away, and the task was cancelled for that.
    """

    def __init__(self, call: Call, receive: Receive, has_body: bool) -> None:
        """receive: the server's, which tells of a disconnect once the body is read."""
        self.gone = False
        self._call = call
        self._receive = receive
        self._unread = has_body
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_LOOK_AFTER_S, self._look)

    async def receive(self) -> Message:
        message = await self._receive()
        self._unread = message.get("more_body", False)
        return message

    def ended(self) -> None:
        """The answer is sent, or the task at its end: the client is no longer waited upon."""
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def forgive(self) -> None:
        """The task has taken the cancellation; it may go on."""
        if self._task is not None:
            self._task.uncancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if self._unread:
            # Whoever reads the body learns it there.
            self._timer = loop.call_later(_LOOK_AFTER_S, self._look)
        else:
            self._watcher = loop.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None and not self._call.must_end:
            self.gone = True
            self._task.cancel()
