"""/graphql: one operation a request, by POST or, where it changes nothing, by GET.

An operation that could be read is answered with 200, whatever its fields say; `errors[].extensions` has the
code and the status that REST would have. A client that accepts application/graphql-response+json gets the
status itself where nothing was run: https://graphql.github.io/graphql-over-http/draft/.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from fastapi import APIRouter
from graphql import OperationType
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from hanax.core.errors import GraphqlInvalid
from hanax.gateway.calls import Call
from hanax.gateway.graphql.errors import PATH, show_error
from hanax.gateway.graphql.execution import Operations, Prepared, Refused
from hanax.gateway.graphql.once import OnceOnly, refused_stream, status_of
from hanax.gateway.graphql.page import PAGE_PATH
from hanax.gateway.graphql.requests import read_asked
from hanax.gateway.graphql.streams import Stream, encode, stream_for
from hanax.gateway.idempotency.keys import KeptAnswer, Keys

_JSON: Final = "application/json"
_RESPONSE_JSON: Final = "application/graphql-response+json"
_NO_MORE: Final[Mapping[str, str]] = {}


def graphql_routes(operations: Operations, keys: Keys) -> APIRouter:
    """keys: of requests that are carried out once."""
    router = APIRouter(include_in_schema=False)
    once = OnceOnly(operations, keys)

    @router.get(PATH)
    async def query(request: Request) -> Response:
        """A query in parameters; a browser that has none is shown the page."""
        accept = request.headers.get("accept", "")
        if "text/html" in accept and not request.query_params:
            return RedirectResponse(PAGE_PATH, 307)
        return await _answer(operations, once, request, changes=False)

    @router.post(PATH)
    async def operation(request: Request) -> Response:
        return await _answer(operations, once, request, changes=True)

    return router


async def _answer(operations: Operations, once: OnceOnly, request: Request, changes: bool) -> Response:
    call: Call = request.scope["state"]["call"]
    accept = request.headers.get("accept", "")
    asked = await read_asked(request)
    stream = stream_for(accept)
    only_streams = stream is not None and _takes_no_json(accept)
    try:
        prepared = await operations.prepare(call, asked, changes)
        is_followed = prepared.kind is OperationType.SUBSCRIPTION
        if is_followed and stream is None:
            error = GraphqlInvalid("a subscription is answered as a stream: Accept: text/event-stream")
            raise Refused([show_error(error)], 422)
        # What only reads passes by.
        key = request.headers.get("idempotency-key") if prepared.kind is not OperationType.QUERY else None
        if stream is not None and (only_streams or is_followed):
            if key is not None:
                raise refused_stream()
            return _streamed(operations, call, prepared, stream)
        if key is None:
            result = await operations.run(call, prepared)
        else:
            found = await once.run(call, prepared, key)
            if isinstance(found, KeptAnswer):
                return _json(found.body, accept, found.status, {"Idempotent-Replayed": "true"})
            result = found
    except Refused as refused:
        shown: dict[str, Any] = {"errors": refused.errors, "extensions": {"request_id": call.request_id}}
        if only_streams and stream is not None:
            return StreamingResponse(stream.portions(_one(shown)), 200, dict(stream.headers))
        return _json(encode(shown), accept, refused.status)
    return _json(encode(result), accept, status_of(result))


def _streamed(operations: Operations, call: Call, prepared: Prepared, stream: Stream) -> Response:
    portions = stream.portions(operations.follow(call, prepared))
    return StreamingResponse(portions, 200, dict(stream.headers))


def _json(body: bytes, accept: str, status: int, headers: Mapping[str, str] = _NO_MORE) -> Response:
    as_response = _RESPONSE_JSON in accept.lower()
    kind = _RESPONSE_JSON if as_response else _JSON
    return Response(body, status if as_response else 200, {"Vary": "Accept", **headers}, kind)


def _takes_no_json(accept: str) -> bool:
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return not any(kind in (_JSON, _RESPONSE_JSON, "*/*", "application/*") for kind in kinds)


async def _one(shown: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield shown
