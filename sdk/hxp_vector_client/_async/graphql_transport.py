"""GraphQL, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx

from hxp_vector_client._async.http import AsyncHttp, Sent
from hxp_vector_client.columns import Carried
from hxp_vector_client.errors import NotSupported
from hxp_vector_client.graphql_codec.documents import document_of, read_answer
from hxp_vector_client.requests import Request
from hxp_vector_client.rest_codec import json_bytes, packed
from hxp_vector_client.settings import Connection

_PATH: Final = "/graphql"


class AsyncGraphqlTransport:
    """Close it. `http`: in place of a connection of its own, as a test may hand in."""

    name = "graphql"
    # An answer is 200 whatever it says, and would be kept with an error that passes.
    keyed = False
    carried = Carried(points=2_000, bytes=30 * 1024 * 1024, bytes_per_number=6)

    def __init__(self, connection: Connection, http: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = AsyncHttp(connection, http)
        self._http.keep(_PATH)

    async def send(self, request: Request, timeout_s: float) -> Any:
        document = document_of(request)
        asked = document.write(request)
        content = json_bytes({"query": asked.query, "variables": _packed(asked.variables)})
        sent = Sent("POST", _PATH, dict(request.headers), content=content)
        answer = await self._http.exchange(sent, timeout_s)
        return document.read(read_answer(answer.status, answer.headers, answer.content), request)

    async def download(self, request: Request, timeout_s: float) -> AsyncIterator[bytes]:
        if request is not None:
            raise NotSupported("files are not there over GraphQL; the transport rest has them")
        yield b""

    async def close(self) -> None:
        await self._http.close()


def _packed(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: packed(value) if isinstance(value, dict) else value for name, value in variables.items()}
