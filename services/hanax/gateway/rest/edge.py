"""The edge: what holds for every request before a route sees it, and after.

An id, a place among those that are worked on, a bound on its body, an answer as long as the client waits
for it, and its time in the metrics and in Server-Timing. Plain ASGI: a layer of Starlette's would cost 20 us
a request.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hanax.core.errors import BodyTooLarge, HanaxError, Internal, InvalidArgument, Overloaded
from hanax.core.limits import MAX_BODY_BYTES
from hanax.gateway.cache.control import read_cache_control
from hanax.gateway.calls import Call
from hanax.gateway.metrics import Metrics
from hanax.gateway.places import Places
from hanax.gateway.rest.answers import refuse
from hanax.gateway.rest.errors import log_failure
from hanax.gateway.rest.presence import Presence

log = structlog.get_logger()

# Bodies of all requests in flight; past it new ones are refused, so that memory is bounded.
MAX_BODIES_BYTES: Final = 16 * MAX_BODY_BYTES

# What costs work; health and metrics are answered however much there is, and so is what tells of models.
_GUARDED: Final = ("/api/", "/external/", "/v1/")
_FREE: Final = "/external/status"

# As nginx counts a client that closed the connection before its answer.
_CLIENT_GONE: Final = 499

_ID_FORM: Final = re.compile(r"[\x20-\x7e]{1,128}")
_BODILESS: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Callable[[], float], max_inflight: int) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock
        self._places = Places(max_inflight)
        self._bodies_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        call = Call(_request_id(headers), self._clock, read_cache_control(headers.get(b"cache-control")))
        scope.setdefault("state", {})["call"] = call
        exchange = _Exchange(self, call, receive, send)
        try:
            _check_declared_length(headers)
            if scope["path"].startswith(_GUARDED) and scope["path"] != _FREE:
                await self._guarded(scope, exchange)
            else:
                await self._app(scope, exchange.receive, exchange.send)
        except HanaxError as error:
            log_failure(error, call.request_id, scope["path"])
            await self._refuse(exchange, scope, error)
        except Exception as error:
            log.exception("request failed", path=scope["path"], request_id=call.request_id)
            defect = Internal(f"{type(error).__name__}; see the gateway's log")
            await self._refuse(exchange, scope, defect)
        finally:
            self._bodies_bytes -= exchange.body_bytes
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
        response = refuse(exchange.call, error, scope["path"], {})
        await response(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer. `status` is 0 until the answer begins."""

    def __init__(self, edge: Edge, call: Call, receive: Receive, send: Send) -> None:
        self.call = call
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
            self._edge.admit(size)
            if self.body_bytes > MAX_BODY_BYTES:
                raise _too_large(self.body_bytes)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers["X-Request-ID"] = self.call.request_id
            headers["Server-Timing"] = _server_timing(self.call)
            if self.call.cached_age_s is not None:
                headers["X-Cache"] = "HIT"
                headers["Age"] = str(int(self.call.cached_age_s))
            elif self.call.cache_missed:
                headers["X-Cache"] = "MISS"
        elif self._presence is not None and not message.get("more_body", False):
            # The server calls an answer that is whole a disconnect too.
            self._presence.ended()
        await self._send(message)


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _ID_FORM.fullmatch(given) else uuid.uuid4().hex


def _check_declared_length(headers: dict[bytes, bytes]) -> None:
    declared = headers.get(b"content-length", b"")
    if declared and not declared.isdigit():
        raise InvalidArgument("Content-Length: expected a number of bytes")
    if declared and int(declared) > MAX_BODY_BYTES:
        raise _too_large(int(declared))


def _too_large(size: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"a body has at most {MAX_BODY_BYTES} bytes, this one has {size} or more",
        limit_bytes=MAX_BODY_BYTES,
    )


def _method_of(scope: Scope) -> str:
    """The method and the route's pattern, so that the label has few values."""
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    route: Any = scope.get("route")
    return f"{method} {getattr(route, 'path', 'unknown')}"


def _server_timing(call: Call) -> str:
    """`gateway` is the total less the waits for others, `engine` the longest time inside a shard."""
    total_s = call.elapsed_s()
    own_s = total_s - sum(call.waited_s.values())
    parts = [f"total;dur={total_s * 1e3:.3f}", f"gateway;dur={own_s * 1e3:.3f}"]
    parts += [f"{name};dur={seconds * 1e3:.3f}" for name, seconds in call.waited_s.items()]
    if call.engine_s:
        parts.append(f"engine;dur={call.engine_s * 1e3:.3f}")
    return ", ".join(parts)
