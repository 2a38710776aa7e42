"""Answers and refusals over HTTP: what was rendered, as JSON in the envelope."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call
from hanax.gateway.envelope import wrap_data, wrap_error
from hanax.gateway.exchange_headers import retry_after_s
from hanax.gateway.graphql.errors import PATH as GRAPHQL_PATH
from hanax.gateway.graphql.errors import show_error
from hanax.gateway.rest.library_errors import LIBRARY_PATHS, library_error
from hanax.gateway.rest.openai_errors import OPENAI_PATHS, openai_error, openai_status
from hanax.gateway.rest.problems import problem_answer, wants_problem
from hanax.rpc.errors import http_status

PROTOCOL: Final = "rest"


def call_of(request: Request) -> Call:
    """The call that the edge opened for this request."""
    call: Call = request.scope["state"]["call"]
    return call


def answer(
    request: Request, data: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return _json(wrap_data(call_of(request), PROTOCOL, data), status, headers or {})


def refuse(scope: Scope, error: HanaxError, headers: dict[str, str]) -> Response:
    """The answer for `error` to the request of `scope`, with `headers` beside its own."""
    call: Call = scope["state"]["call"]
    scope["state"]["refusal"] = error
    path: str = scope["path"]
    for_openai = path.startswith(OPENAI_PATHS)
    status = openai_status(error) if for_openai else http_status(error)
    if (after_s := retry_after_s(error)) is not None:
        headers = {**headers, "Retry-After": str(after_s)}
    if path == GRAPHQL_PATH:
        return _json(orjson.dumps({"errors": [show_error(error)]}, default=str), status, headers)
    if wants_problem(scope):
        return problem_answer(scope, call, error, status, headers)
    if path.startswith(LIBRARY_PATHS):
        return _json(orjson.dumps(library_error(error, path), default=str), status, headers)
    if for_openai:
        return _json(orjson.dumps(openai_error(error, status)), status, headers)
    return _json(wrap_error(call, PROTOCOL, error, path), status, headers)


def _json(body: bytes, status: int, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, "application/json")
