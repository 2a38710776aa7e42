"""Results that come one after the other over HTTP, as clients know it.

graphql-sse in its mode of distinct connections (https://github.com/enisdenjo/graphql-sse, PROTOCOL.md), and
multipart/mixed as Apollo's clients ask for it. Both are ordinary answers: what holds for every request
(credentials, places, an id, proxies, compression, HTTP/2) holds for them. WebSockets would need all of that
once more, and a state of their own for each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, cast

import orjson
from strawberry.http import GraphQLHTTPResponse
from strawberry.http.streaming import (
    HTTPStreamTransport,
    MultipartSubscriptionTransport,
    SSETransport,
)

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z
_TRANSPORTS: Final[tuple[HTTPStreamTransport, ...]] = (SSETransport(), MultipartSubscriptionTransport())
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def encode(data: object) -> bytes:
    """The JSON of what resolvers answer: arrays of numpy, instants, and JSON that is ready."""
    return orjson.dumps(data, option=_OPTIONS, default=str)


class Stream:
    """One way of telling results to a client."""

    def __init__(self, transport: HTTPStreamTransport) -> None:
        self._transport = transport

    @property
    def headers(self) -> Mapping[str, str]:
        return {**self._transport.headers, **_HEADERS}

    async def portions(self, results: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
        """With a sign of life where nothing comes for long: proxies take silent connections for dead."""
        following = _next(results)
        try:
            if self._transport.send_initial_heartbeat:
                yield self._beat()
            while True:
                done, _ = await asyncio.wait({following}, timeout=self._transport.heartbeat_interval)
                if not done:
                    yield self._beat()
                    continue
                try:
                    result = following.result()
                except StopAsyncIteration:
                    yield self._transport.encode_complete().encode()
                    return
                yield self._transport.encode_next(cast("GraphQLHTTPResponse", result), _text).encode()
                following = _next(results)
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await following

    def _beat(self) -> bytes:
        return self._transport.heartbeat_message(_text).encode()


def stream_for(accept: str) -> Stream | None:
    """What a client takes that is a stream."""
    for transport in _TRANSPORTS:
        if transport.accepts(accept):
            return Stream(transport)
    return None


def _next(results: AsyncIterator[dict[str, Any]]) -> asyncio.Future[dict[str, Any]]:
    return asyncio.ensure_future(anext(results))


def _text(data: object) -> str:
    return encode(data).decode()
