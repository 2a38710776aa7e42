"""Lines of JSON (application/x-ndjson): a body of any length in batches, and answers line by line.

A batch ends when it has as many points as were asked for, or some MiB, or when nothing has come for a moment:
who sends slowly hears soon of each line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from hanax.core.errors import Cancelled, DeadlineExceeded, HanaxError, InvalidArgument, InvalidJson
from hanax.gateway.bodies import BODY_TIMEOUT_S, decode_json
from hanax.gateway.insert_streams import Fault, Part

MEDIA_TYPE: Final = "application/x-ndjson"

# A vector of 8,192 numbers, a text and metadata at their limits, every letter of them escaped.
MAX_LINE_BYTES: Final = 2 * 1024 * 1024
_PART_BYTES: Final = 4 * 1024 * 1024
_PAUSE_S: Final = 0.2
# Some 2 ms of the event loop.
_DECODE_HERE_UP_TO: Final = 128 * 1024


def sends_lines(headers: Headers) -> bool:
    return headers.get("content-type", "").lower().startswith(MEDIA_TYPE)


def wants_lines(headers: Headers) -> bool:
    return MEDIA_TYPE in headers.get("accept", "").lower()


class Lines:
    """The lines of one body, numbered from 1 on; empty ones count, and are passed over."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._receiving: asyncio.Future[Message] | None = None
        self._ready: list[tuple[int, bytes]] = []
        self._tail = b""
        self._count = 0
        self._ended = False

    async def first(self) -> object:
        """The first line, decoded; it stays to be read. None where there is none, or none that is JSON."""
        while not self._ready and not self._ended:
            await self._read_more(BODY_TIMEOUT_S)
        if not self._ready:
            return None
        try:
            return decode_json(self._ready[0][1])
        except HanaxError:
            return None

    def skip(self) -> None:
        """Pass over the first line."""
        del self._ready[0]

    async def parts(self, most: int) -> AsyncIterator[Part]:
        """Batches of at most so many lines.

        Raises InvalidArgument for a line that is too long, DeadlineExceeded where nothing comes any more,
        Cancelled where the client has gone away, and what the edge raises for the whole body.
        """
        try:
            while True:
                batch = self._cut(most, all_of_it=self._ended)
                if not batch and not self._ended:
                    come = await self._read_more(_PAUSE_S if self._ready else BODY_TIMEOUT_S)
                    if come:
                        continue
                    batch = self._cut(most, all_of_it=True)
                if not batch:
                    return
                if sum(len(line) for _, line in batch) > _DECODE_HERE_UP_TO:
                    yield await asyncio.to_thread(_decode, batch)
                else:
                    yield _decode(batch)
        finally:
            if self._receiving is not None:
                self._receiving.cancel()

    def _cut(self, most: int, all_of_it: bool) -> list[tuple[int, bytes]]:
        """The next batch; empty where it is not whole."""
        size = 0
        for place, (_, line) in enumerate(self._ready):
            size += len(line)
            if place + 1 == most or size >= _PART_BYTES:
                batch, self._ready = self._ready[: place + 1], self._ready[place + 1 :]
                return batch
        if not all_of_it:
            return []
        batch, self._ready = self._ready, []
        return batch

    async def _read_more(self, patience_s: float) -> bool:
        """Whether something came, or the end. Raises DeadlineExceeded where there is nothing else to do."""
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._receive())
        # Not cancelled when nothing comes: what it would have brought could be lost with it.
        await asyncio.wait({self._receiving}, timeout=patience_s)
        if not self._receiving.done():
            if self._ready:
                return False
            raise DeadlineExceeded(f"nothing came for {patience_s:g} s; the lines before are stored")
        message, self._receiving = self._receiving.result(), None
        if message["type"] != "http.request":
            raise Cancelled("the client went away before its body had arrived")
        *whole, self._tail = (self._tail + message.get("body", b"")).split(b"\n")
        self._ended = not message.get("more_body", False)
        if self._ended:
            whole.append(self._tail)
            self._tail = b""
        for line in whole:
            self._count += 1
            _check(line, self._count)
            if line.strip():
                self._ready.append((self._count, line))
        _check(self._tail, self._count + 1)
        return True


def _check(line: bytes, number: int) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise InvalidArgument(f"line {number}: a line has at most {MAX_LINE_BYTES} bytes")


def _decode(batch: list[tuple[int, bytes]]) -> Part:
    numbers: list[int] = []
    points: list[object] = []
    faults: list[Fault] = []
    for number, line in batch:
        try:
            points.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            try:
                points.append(decode_json(line))
            except HanaxError as error:
                message = error.message.replace("the body", f"line {number}", 1)
                faults.append(Fault(number, InvalidJson(message)))
                continue
        numbers.append(number)
    return Part(numbers, points, faults)


def encode_line(told: object) -> bytes:
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z, default=str) + b"\n"


class LinesAnswer(Response):
    """Lines as they come. Whether the client is there is seen by who reads its body, and by the edge."""

    media_type = MEDIA_TYPE

    def __init__(self, portions: AsyncGenerator[bytes, None]) -> None:
        self.status_code = 200
        self.background = None
        self._portions = portions
        self.body = b""
        # The length is not known, and a proxy that waits for the end would hold all of it.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._portions) as portions:
            async for portion in portions:
                await send({"type": "http.response.body", "body": portion, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
