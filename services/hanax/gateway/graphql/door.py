"""/graphql: one operation a request, by POST or, where it changes nothing, by GET.

An operation that could be read is answered with 200, whatever its fields say; `errors[].extensions` has the
code and the status that REST would have. A client that accepts application/graphql-response+json gets the
status itself where nothing was run: https://graphql.github.io/graphql-over-http/draft/.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import APIRouter
from graphql import OperationType
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from hanax.core.errors import GraphqlInvalid
from hanax.gateway.calls import Call
from hanax.gateway.graphql.errors import PATH, show_error
from hanax.gateway.graphql.execution import Operations, Prepared, Refused
from hanax.gateway.graphql.page import PAGE_PATH
from hanax.gateway.graphql.requests import read_asked
from hanax.gateway.graphql.streams import Stream, encode, stream_for

_JSON: Final = "application/json"
_RESPONSE_JSON: Final = "application/graphql-response+json"


def graphql_routes(operations: Operations) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(PATH)
    async def query(request: Request) -> Response:
        """A query in parameters; a browser that has none is shown the page."""
        accept = request.headers.get("accept", "")
        if "text/html" in accept and not request.query_params:
            return RedirectResponse(PAGE_PATH, 307)
        return await _answer(operations, request, accept, changes=False)

    @router.post(PATH)
    async def operation(request: Request) -> Response:
        return await _answer(operations, request, request.headers.get("accept", ""), changes=True)

    return router


async def _answer(operations: Operations, request: Request, accept: str, changes: bool) -> Response:
    call: Call = request.scope["state"]["call"]
    asked = await read_asked(request)
    stream = stream_for(accept)
    only_streams = stream is not None and _takes_no_json(accept)
    try:
        prepared = await operations.prepare(call, asked, changes)
        if prepared.kind is OperationType.SUBSCRIPTION and stream is None:
            error = GraphqlInvalid("a subscription is answered as a stream: Accept: text/event-stream")
            raise Refused([show_error(error)], 422)
    except Refused as refused:
        shown: dict[str, Any] = {"errors": refused.errors, "extensions": {"request_id": call.request_id}}
        if only_streams and stream is not None:
            return StreamingResponse(stream.portions(_one(shown)), 200, dict(stream.headers))
        return _json(shown, accept, refused.status)
    if stream is not None and (only_streams or prepared.kind is OperationType.SUBSCRIPTION):
        return _streamed(operations, call, prepared, stream)
    result = await operations.run(call, prepared)
    # Where nothing was run, as a variable was wrong, there is no data.
    status = 200 if "data" in result else result["errors"][0]["extensions"]["http_status"]
    return _json(result, accept, status)


def _streamed(operations: Operations, call: Call, prepared: Prepared, stream: Stream) -> Response:
    portions = stream.portions(operations.follow(call, prepared))
    return StreamingResponse(portions, 200, dict(stream.headers))


def _json(shown: dict[str, Any], accept: str, status: int) -> Response:
    as_response = _RESPONSE_JSON in accept.lower()
    kind = _RESPONSE_JSON if as_response else _JSON
    return Response(encode(shown), status if as_response else 200, {"Vary": "Accept"}, kind)


def _takes_no_json(accept: str) -> bool:
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return not any(kind in (_JSON, _RESPONSE_JSON, "*/*", "application/*") for kind in kinds)


async def _one(shown: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield shown
