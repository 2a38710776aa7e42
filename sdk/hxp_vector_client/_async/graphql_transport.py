"""GraphQL, over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx

from hxp_vector_client._async.http import LONGEST_SILENCE_S, AsyncHttp, Sent
from hxp_vector_client.columns import Carried
from hxp_vector_client.errors import NotSupported, TimedOut
from hxp_vector_client.graphql_codec.documents import document_of, read_answer
from hxp_vector_client.graphql_codec.writing import Document
from hxp_vector_client.requests import Request
from hxp_vector_client.rest_codec import json_bytes, packed
from hxp_vector_client.server_events import EventReader
from hxp_vector_client.settings import Connection

_PATH: Final = "/graphql"
_EVENTS: Final = "text/event-stream"


class AsyncGraphqlTransport:
    """Close it. `http`: in place of a connection of its own, as a test may hand in."""

    name = "graphql"
    keyed = True
    carried = Carried(points=2_000, bytes=30 * 1024 * 1024, bytes_per_number=6)

    def __init__(self, connection: Connection, http: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = AsyncHttp(connection, http)
        self._http.keep(_PATH)

    async def changes(self, request: Request, timeout_s: float) -> AsyncIterator[Any]:
        document = document_of(request)
        reader = EventReader()
        give_up_at = time.monotonic() + timeout_s
        sent = self._written(request, document, {"Accept": _EVENTS})
        async with self._http.streamed(sent, min(timeout_s, LONGEST_SILENCE_S)) as answer:
            if not answer.headers.get("content-type", "").startswith(_EVENTS):
                read_answer(answer.status_code, answer.headers, await answer.aread())
                return
            async for portion in answer.aiter_bytes():
                for event in reader.read(portion):
                    if event.name == "next":
                        yield document.read(read_answer(200, answer.headers, event.data), request)
                if time.monotonic() > give_up_at:
                    raise TimedOut(f"it went on for more than {timeout_s:g} s")

    async def send(self, request: Request, timeout_s: float) -> Any:
        document = document_of(request)
        answer = await self._http.exchange(self._written(request, document, {}), timeout_s)
        return document.read(read_answer(answer.status, answer.headers, answer.content), request)

    async def download(self, request: Request, timeout_s: float) -> AsyncIterator[bytes]:
        if request is not None:
            raise NotSupported(
                f"{request.operation.name} is not there over GraphQL; the transport rest has it"
            )
        yield b""

    async def close(self) -> None:
        await self._http.close()

    def _written(self, request: Request, document: Document, headers: dict[str, str]) -> Sent:
        asked = document.write(request)
        content = json_bytes({"query": asked.query, "variables": _packed(asked.variables)})
        told = {**request.headers, **headers}
        if request.key:
            told["Idempotency-Key"] = request.key
        return Sent("POST", _PATH, told, content=content)


def _packed(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: packed(value) if isinstance(value, dict) else value for name, value in variables.items()}
