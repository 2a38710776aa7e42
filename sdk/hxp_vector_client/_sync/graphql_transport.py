# Written by scripts/gen_sdk.py from _async/graphql_transport.py; edit that, and run `make gen`.
"""GraphQL, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx

from hxp_vector_client._sync.http import Http, Sent
from hxp_vector_client.columns import Carried
from hxp_vector_client.errors import NotSupported
from hxp_vector_client.graphql_codec.documents import document_of, read_answer
from hxp_vector_client.requests import Request
from hxp_vector_client.rest_codec import json_bytes, packed
from hxp_vector_client.settings import Connection

_PATH: Final = "/graphql"


class GraphqlTransport:
    """Close it. `http`: in place of a connection of its own, as a test may hand in."""

    name = "graphql"
    # An answer is 200 whatever it says, and would be kept with an error that passes.
    keyed = False
    carried = Carried(points=2_000, bytes=30 * 1024 * 1024, bytes_per_number=6)

    def __init__(self, connection: Connection, http: httpx.BaseTransport | None = None) -> None:
        self._http = Http(connection, http)
        self._http.keep(_PATH)

    def send(self, request: Request, timeout_s: float) -> Any:
        document = document_of(request)
        asked = document.write(request)
        content = json_bytes({"query": asked.query, "variables": _packed(asked.variables)})
        sent = Sent("POST", _PATH, dict(request.headers), content=content)
        answer = self._http.exchange(sent, timeout_s)
        return document.read(read_answer(answer.status, answer.headers, answer.content), request)

    def download(self, request: Request, timeout_s: float) -> Iterator[bytes]:
        if request is not None:
            raise NotSupported("files are not there over GraphQL; the transport rest has them")
        yield b""

    def close(self) -> None:
        self._http.close()


def _packed(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: packed(value) if isinstance(value, dict) else value for name, value in variables.items()}
