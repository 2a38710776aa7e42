"""The header Idempotency-Key: a request that changes something is carried out once, however often it comes.

Inside the edge, which knows who asks. A request without the header, or that only reads, passes by; so does
GraphQL, whose answers tell in their body how they ended. Accept is no part of a request: a refusal is kept in
no form, and told again in the one that is asked for. A success has one form.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hanax.core.errors import Cancelled, DeadlineExceeded, HanaxError
from hanax.gateway.bodies import BODY_TIMEOUT_S
from hanax.gateway.calls import Call
from hanax.gateway.graphql.errors import PATH as GRAPHQL_PATH
from hanax.gateway.idempotency.keys import Claim, KeptAnswer, Keys
from hanax.gateway.idempotency.requests import (
    MAX_ANSWER_BYTES,
    begin,
    is_final,
    keep_error,
    kept_error,
    not_for_streams,
)
from hanax.gateway.rest.answers import refuse

# Questions that are posted, by the end of their paths.
POSTED_READS: Final = frozenset(
    {
        "search",
        "batch",
        "groups",
        "recommend",
        "facet",
        "distinct",
        "get",
        "scroll",
        "count",
        "query",
        "rerank",
    }
)
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_STREAMS: Final = (b"application/x-ndjson", b"application/jsonl", b"multipart/")
_TOLD_AS_THEY_COME: Final = (b"text/event-stream", b"application/x-ndjson")
_REPLAYED: Final = {"idempotent-replayed": "true"}
_KEPT_HEADERS: Final = frozenset({b"content-type", b"etag", b"location", b"link", b"vary"})


class IdempotentRequests:
    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _CHANGING:
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"idempotency-key"), None)
        if given is None or _reads(scope):
            await self._app(scope, receive, send)
            return
        await self._once(given, scope, receive, send)

    async def _once(self, given: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises InvalidArgument, IdempotencyKeyReused or IdempotencyKeyInFlight."""
        call: Call = scope["state"]["call"]
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").lower()
        if kind.startswith(_STREAMS):
            raise not_for_streams()
        body = await _read(receive)
        asked = (
            scope["method"].encode(),
            scope["path"].encode(),
            scope["query_string"],
            kind,
            headers.get(b"if-match", b""),
            body,
        )
        found = await begin(self._keys, call, given, asked)
        if isinstance(found, KeptAnswer):
            if (error := kept_error(found)) is None:
                await _send(found, send)
            else:
                await refuse(scope, error, _REPLAYED)(scope, receive, send)
            return
        answer = _Answer(found, scope, send)
        try:
            await self._app(scope, _Replayed(body, receive).receive, answer.send)
        finally:
            if not answer.is_settled:
                await asyncio.shield(found.release())


def _reads(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == GRAPHQL_PATH or (scope["method"] == "POST" and path.rpartition("/")[2] in POSTED_READS)


class _Replayed:
    """A body that was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def receive(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Answer:
    """Held back until it is kept: who has read it may ask again at once."""

    def __init__(self, claim: Claim, scope: Scope, send: Send) -> None:
        self.is_settled = False
        self._claim = claim
        self._scope = scope
        self._send = send
        self._held: list[Message] = []
        self._bytes = 0

    async def send(self, message: Message) -> None:
        if self.is_settled:
            await self._send(message)
            return
        self._held.append(message)
        self._bytes += len(message.get("body", b""))
        ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        if ended or self._bytes > MAX_ANSWER_BYTES or _begins_stream(message):
            await self._settle()
            for held in self._held:
                await self._send(held)
            self._held.clear()

    async def _settle(self) -> None:
        self.is_settled = True
        start = self._held[0]
        status: int = start["status"]
        is_whole = self._bytes <= MAX_ANSWER_BYTES and not _begins_stream(start)
        if not is_final(status) or not is_whole or _holds_secret(start):
            await self._claim.release()
            return
        await self._claim.keep(self._kept(start))

    def _kept(self, start: Message) -> KeptAnswer:
        status: int = start["status"]
        refusal: HanaxError | None = self._scope["state"].get("refusal")
        if refusal is not None:
            return keep_error(status, refusal)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in start.get("headers", ())
            if name in _KEPT_HEADERS
        ]
        body = b"".join(message.get("body", b"") for message in self._held[1:])
        return KeptAnswer(status, headers, body)


def _holds_secret(start: Message) -> bool:
    """An answer that nobody may keep: the request is carried out again."""
    return (b"cache-control", b"no-store") in start.get("headers", ())


def _begins_stream(message: Message) -> bool:
    """An answer that is read while it is made is not held back, and not kept."""
    return any(
        name == b"content-type" and value.startswith(_TOLD_AS_THEY_COME)
        for name, value in message.get("headers", ())
    )


async def _send(kept: KeptAnswer, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept.headers]
    headers += [(name.encode(), value.encode()) for name, value in _REPLAYED.items()]
    if kept.status != 204:
        headers.append((b"content-length", str(len(kept.body)).encode()))
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": kept.body, "more_body": False})


async def _read(receive: Receive) -> bytes:
    """The whole body, which the edge bounds. Raises DeadlineExceeded or Cancelled."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Cancelled("the client went away before its body had arrived")
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise DeadlineExceeded(f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from None
