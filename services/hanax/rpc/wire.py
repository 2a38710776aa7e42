"""A wire, the client's side: a connection on which one question at a time is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from hanax.core.errors import DeadlineExceeded
from hanax.rpc.errors import CallFailed
from hanax.rpc.frames import LENGTH, MAX_ANSWER_BYTES


class WireLost(Exception):
    """The connection ended before the answer."""


class Wire(asyncio.Protocol):
    """One connection. `lost` is told when it has ended."""

    def __init__(self, lost: Callable[[Wire], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._came = bytearray()

    async def ask(self, frame: bytes, timeout_s: float) -> bytes:
        """The answer's frame without its length. Raises WireLost, or CallFailed when the time is over.

        Anything but an answer ends the wire: what comes late would be taken for the next one.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise WireLost
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        self._answer = answer
        timer = loop.call_later(timeout_s, self._late)
        try:
            transport.write(frame)
            return await answer
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            self._answer = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by its class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._came and _is_whole(data):
            self._end(data[LENGTH.size :])
            return
        self._came += data
        if len(self._came) < LENGTH.size:
            return
        size = LENGTH.size + LENGTH.unpack_from(self._came)[0]
        if size > LENGTH.size + MAX_ANSWER_BYTES or len(self._came) > size:
            self.close()
        elif len(self._came) == size:
            came, self._came = self._came, bytearray()
            self._end(bytes(memoryview(came)[LENGTH.size :]))

    def connection_lost(self, failure: Exception | None) -> None:
        self._lost(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WireLost())

    def _end(self, answer: bytes) -> None:
        if self._answer is None or self._answer.done():
            # Nobody asked.
            self.close()
        else:
            self._answer.set_result(answer)

    def _late(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(CallFailed(DeadlineExceeded("the request's time is over")))


def _is_whole(data: bytes) -> bool:
    return len(data) > LENGTH.size and len(data) == LENGTH.size + LENGTH.unpack_from(data)[0]
