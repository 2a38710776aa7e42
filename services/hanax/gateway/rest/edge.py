"""The edge: what holds for every request before a route sees it, and after.

An id, a place among those that are worked on, a bound on its body, an answer as long as the client waits
for it, and its time in the metrics and in Server-Timing. Plain ASGI: a layer of Starlette's would cost 20 us
a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hanax.core.errors import BodyTooLarge, Cancelled, HanaxError, InvalidArgument, Overloaded
from hanax.core.limits import MAX_BODY_BYTES
from hanax.gateway.cache.control import read_cache_control
from hanax.gateway.calls import Call
from hanax.gateway.exchange_headers import request_id_of, server_timing
from hanax.gateway.failure_log import log_defect, log_failure
from hanax.gateway.graphql.errors import PATH as GRAPHQL_PATH
from hanax.gateway.guard.audit import REFUSAL_STATUSES
from hanax.gateway.metrics import Metrics
from hanax.gateway.places import Places
from hanax.gateway.rest.answers import refuse
from hanax.gateway.rest.entrance import Entrance
from hanax.gateway.rest.library_errors import LIBRARY_PATHS
from hanax.gateway.rest.presence import Presence

# Bodies of all requests in flight; past it new ones are refused, so that memory is bounded.
MAX_BODIES_BYTES: Final = 16 * MAX_BODY_BYTES

# What costs work; health and metrics are answered however much there is, and so is what tells of models.
_GUARDED: Final = ("/api/", "/external/", "/v1/", GRAPHQL_PATH, *LIBRARY_PATHS)
_FREE: Final = "/external/status"

# Where files come in; what surrounds one in its form is small.
_UPLOADED_TO: Final = "/api/v1/jobs"
_FORM_BYTES: Final = 1024 * 1024

# Where points come in as a stream, which is stored as it arrives: a hundred million of 768 dimensions.
_STREAMED_TO: Final = "/api/v1/vectors/insert"
_STREAM_BYTES: Final = 1024**4

# How long a client may let the gateway wait before it takes the next part of an answer that goes on.
_TAKE_PORTION_S: Final = 60.0

# As nginx counts a client that closed the connection before its answer.
_CLIENT_GONE: Final = 499

# How a client learns which credentials are taken (RFC 9110, 11.6.1).
_UNAUTHENTICATED: Final = 401

_BODILESS: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """upload_bytes: of a file that comes with a job, which is stored as it arrives."""

    upload_bytes: int

    def of(self, scope: Scope, headers: dict[bytes, bytes]) -> BodyLimit:
        kind = headers.get(b"content-type", b"").lower()
        if scope["path"] == _UPLOADED_TO and kind.startswith(b"multipart/form-data"):
            return BodyLimit(self.upload_bytes + _FORM_BYTES, held=False)
        if scope["path"] == _STREAMED_TO and kind.startswith(b"application/x-ndjson"):
            return BodyLimit(_STREAM_BYTES, held=False)
        return BodyLimit(MAX_BODY_BYTES, held=True)


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """held: the body is in memory as a whole until it is answered."""

    bytes: int
    held: bool

    def check(self, size: int) -> None:
        """Raises BodyTooLarge."""
        if size > self.bytes:
            raise BodyTooLarge(
                f"a body has at most {self.bytes} bytes, this one has {size} or more", limit_bytes=self.bytes
            )


class Edge:
    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        clock: Callable[[], float],
        places: Places,
        limits: BodyLimits,
        entrance: Entrance,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock
        self._places = places
        self._limits = limits
        self._entrance = entrance
        self._bodies_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        control = read_cache_control(headers.get(b"cache-control"))
        call = Call(_request_id(headers), self._clock, control, _actor(scope))
        scope.setdefault("state", {})["call"] = call
        limit = self._limits.of(scope, headers)
        exchange = _Exchange(self, call, limit, receive, send)
        try:
            if self._entrance.guarded:
                await self._entrance.enter(scope, headers, call)
            limit.check(_declared_length(headers))
            if scope["path"].startswith(_GUARDED) and scope["path"] != _FREE:
                await self._guarded(scope, exchange)
            else:
                await self._app(scope, exchange.receive, exchange.send)
        except HanaxError as error:
            log_failure(error, call.request_id, scope["path"])
            await self._refuse(exchange, scope, error)
        except Exception as error:
            await self._refuse(exchange, scope, log_defect(error, call.request_id, scope["path"]))
        finally:
            if limit.held:
                self._bodies_bytes -= exchange.body_bytes
            if exchange.status in REFUSAL_STATUSES:
                self._metrics.refused(REFUSAL_STATUSES[exchange.status], call, scope["path"])
            self._metrics.answered(_method_of(scope), exchange.status, call.elapsed_s())

    async def _guarded(self, scope: Scope, exchange: _Exchange) -> None:
        """In a place of its own, and for as long as the client waits. Raises Overloaded."""
        self._places.take()
        exchange.call.places = self._places
        presence = exchange.watch(has_body=scope["method"] not in _BODILESS)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if not presence.gone:
                raise
            presence.forgive()
            exchange.status = exchange.status or _CLIENT_GONE
        finally:
            presence.ended()
            self._places.give_back()

    def admit(self, size: int) -> None:
        """Count bytes of a body. Raises Overloaded past what all bodies together may have."""
        self._bodies_bytes += size
        if self._bodies_bytes > MAX_BODIES_BYTES:
            raise Overloaded(f"the gateway holds {MAX_BODIES_BYTES} bytes of requests already")

    async def _refuse(self, exchange: _Exchange, scope: Scope, error: HanaxError) -> None:
        if exchange.status:
            return  # the answer has begun; the server closes the connection
        response = refuse(scope, error, {})
        await response(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer. `status` is 0 until the answer begins."""

    def __init__(self, edge: Edge, call: Call, limit: BodyLimit, receive: Receive, send: Send) -> None:
        self.call = call
        self._limit = limit
        self.status = 0
        self.body_bytes = 0
        self._edge = edge
        self._receive = receive
        self._send = send
        self._presence: Presence | None = None

    def watch(self, has_body: bool) -> Presence:
        """Whether the client is still there, from now to the end of the answer."""
        self._presence = Presence(self.call, self._receive, has_body)
        self._receive = self._presence.receive
        return self._presence

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self.body_bytes += size
            if self._limit.held:
                self._edge.admit(size)
            self._limit.check(self.body_bytes)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers["X-Request-ID"] = self.call.request_id
            headers["Server-Timing"] = server_timing(self.call)
            if self.call.rate is not None:
                for name, value in self.call.rate.headers():
                    headers[name] = value
            if self.status == _UNAUTHENTICATED:
                headers["WWW-Authenticate"] = "Bearer"
            if self.call.cached_age_s is not None:
                headers["X-Cache"] = "HIT"
                headers["Age"] = str(int(self.call.cached_age_s))
            elif self.call.cache_missed:
                headers["X-Cache"] = "MISS"
        elif self._presence is not None and not message.get("more_body", False):
            # The server calls an answer that is whole a disconnect too.
            self._presence.ended()
        if message.get("more_body", False):
            await self._send_portion(message)
        else:
            await self._send(message)

    async def _send_portion(self, message: Message) -> None:
        """Of an answer that goes on. Raises Cancelled where the client does not read."""
        with self.call.away():
            try:
                async with asyncio.timeout(_TAKE_PORTION_S):
                    await self._send(message)
            except TimeoutError:
                raise Cancelled(
                    f"the client has not taken a part of the answer for {_TAKE_PORTION_S:g} s"
                ) from None


def _request_id(headers: dict[bytes, bytes]) -> str:
    return request_id_of(headers.get(b"x-request-id", b"").decode("latin-1"))


def _actor(scope: Scope) -> str:
    """From where somebody asks: an address, which has no name."""
    client = scope.get("client")
    return "anonymous" if client is None else f"address {client[0]}"


def _declared_length(headers: dict[bytes, bytes]) -> int:
    """0: none is declared."""
    declared = headers.get(b"content-length", b"")
    if declared and not declared.isdigit():
        raise InvalidArgument("Content-Length: expected a number of bytes")
    return int(declared) if declared else 0


def _method_of(scope: Scope) -> str:
    """The method and the route's pattern, so that the label has few values."""
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    route: Any = scope.get("route")
    return f"{method} {getattr(route, 'path', 'unknown')}"
