"""An answer that is read while it is made goes out as it comes, also where its request has a key."""

from __future__ import annotations

import itertools
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from hanax.gateway.calls import Call
from hanax.gateway.idempotency.keys import Keys
from hanax.gateway.rest.idempotency import IdempotentRequests


async def test_events_are_not_held_back() -> None:
    sent: list[Message] = []
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        seen.append(len(sent))
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        seen.append(len(sent))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    def scope() -> dict[str, Any]:
        return {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "query_string": b"",
            "headers": [(b"idempotency-key", b"one")],
            "state": {"call": Call("an-id", itertools.count().__next__)},
        }

    layer = IdempotentRequests(app, Keys(None, 60.0, lambda: 0.0))
    await layer(scope(), receive, send)
    assert seen == [1, 2]
    # It is not kept, and its key is free.
    await layer(scope(), receive, send)
    assert len(sent) == 6
