"""Compressed bodies and answers: gzip and zstd.

Around the edge, so that its limits count what a body unpacks to. A request without Content-Encoding and
Accept-Encoding passes by. An answer is compressed where it is large enough and not a stream of events;
streams of lines are, line by line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hanax.core.errors import UnsupportedEncoding
from hanax.gateway.rest.compression import Encoding, Packing, chosen, packing
from hanax.gateway.rest.decompression import Unpacking, unpacking

# A usual answer of a search is smaller: compressing it takes longer than sending it, but over slow links.
MIN_BYTES: Final = 16 * 1024
# Some 2 ms of the event loop.
_PACK_HERE_UP_TO: Final = 128 * 1024

READ: Final = ("gzip", "zstd")
_TYPES: Final = (
    "application/json",
    "application/problem+json",
    "application/x-ndjson",
    "application/jsonl",
    "application/javascript",
    "text/",
)
_EVENTS: Final = "text/event-stream"
_BODILESS: Final = frozenset({204, 206, 304})


class Encodings:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        encoding = accepted = b""
        for name, value in scope["headers"]:
            if name == b"content-encoding":
                encoding = value
            elif name == b"accept-encoding":
                accepted = accepted + b"," + value if accepted else value
        if encoding:
            scope, receive, send = _unpacked(scope, encoding, receive, send)
        # Only an answer to GET is kept on its way, and has to say that others get another one.
        if accepted or scope["method"] == "GET":
            send = _Answer(chosen(accepted) if accepted else None, scope["method"], send).send
        await self._app(scope, receive, send)


def _unpacked(scope: Scope, given: bytes, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """The exchange as if the body had come as it is."""
    name = given.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return scope, receive, send
    others = [
        (key, value) for key, value in scope["headers"] if key not in (b"content-encoding", b"content-length")
    ]
    found = unpacking(name)
    if found is not None:
        return {**scope, "headers": others}, _Body(found, receive).receive, send

    async def refuse() -> Message:
        raise UnsupportedEncoding(
            f"Content-Encoding: expected {' or '.join(READ)}, got {name[:60]!r}", supported=list(READ)
        )

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 415:
            MutableHeaders(raw=message["headers"])["Accept-Encoding"] = ", ".join(READ)
        await send(message)

    return {**scope, "headers": others}, refuse, tell


class _Body:
    """What the server receives, unpacked."""

    def __init__(self, unpack: Unpacking, receive: Receive) -> None:
        self._unpack = unpack
        self._receive = receive
        self._portions: Iterator[bytes] = iter(())
        self._is_empty = True
        # Whether all of it has come, and whether that was told.
        self._came = False
        self._ended = False

    async def receive(self) -> Message:
        while not self._ended:
            portion = next(self._portions, None)
            if portion is not None:
                # A body that unpacks to much more than it is lets others have their turn.
                await asyncio.sleep(0)
                return {"type": "http.request", "body": portion, "more_body": True}
            if self._came:
                if not self._is_empty:
                    self._unpack.end()
                self._ended = True
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._came = not message.get("more_body", False)
            if data := message.get("body", b""):
                self._is_empty = False
                self._portions = self._unpack.feed(data)
        return await self._receive()


class _Answer:
    """What the server sends, packed where that is worth it and wanted."""

    def __init__(self, encoding: Encoding | None, method: str, send: Send) -> None:
        self._encoding = encoding
        self._method = method
        self._send = send
        self._packing: Packing | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begin(message)
            await self._send(message)
            return
        if message["type"] != "http.response.body" or self._packing is None:
            await self._send(message)
            return
        more = message.get("more_body", False)
        data = message.get("body", b"")
        if data or not more:
            work = self._packing.feed if more else self._packing.end
            if len(data) > _PACK_HERE_UP_TO:
                packed = await asyncio.to_thread(work, data)
            else:
                packed = work(data)
            await self._send({"type": "http.response.body", "body": packed, "more_body": more})

    def _begin(self, message: Message) -> None:
        """Decide whether this answer is packed; its headers say so then."""
        for name, value in message.get("headers", ()):
            if name == b"content-length" and int(value) < MIN_BYTES:
                return
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        kind = headers.get("content-type", "")
        if (
            not kind.startswith(_TYPES)
            or kind.startswith(_EVENTS)
            or "content-encoding" in headers
            # A file that is downloaded tells its length.
            or "content-disposition" in headers
            or message["status"] in _BODILESS
            or self._method == "HEAD"
        ):
            return
        headers.add_vary_header("Accept-Encoding")
        if self._encoding is None:
            return
        self._packing = packing(self._encoding)
        headers["Content-Encoding"] = self._encoding
        del headers["content-length"]
        # Other bytes than those that a strong tag was made for.
        tag = headers.get("etag", "")
        if tag and not tag.startswith("W/"):
            headers["ETag"] = f"W/{tag}"
