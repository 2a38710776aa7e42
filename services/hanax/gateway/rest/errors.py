"""Whatever goes wrong in a route, as an answer in the envelope. Foreign errors get a name here."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import (
    HanaxError,
    Internal,
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
)
from hanax.gateway.failure_log import log_failure
from hanax.gateway.faults import error_from_parameters
from hanax.gateway.rest.answers import call_of, refuse


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HanaxError, _on_named)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_named(request: Request, error: Exception) -> Response:
    assert isinstance(error, HanaxError)
    return answer_error(request, error, {})


async def _on_validation(request: Request, error: Exception) -> Response:
    """A path or query parameter; bodies have models of their own."""
    assert isinstance(error, RequestValidationError)
    return answer_error(request, error_from_parameters(error.errors()), {})


async def _on_http(request: Request, error: Exception) -> Response:
    """What the router says: no such route, or not with this method."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    path = request.url.path
    if error.status_code == 404:
        return answer_error(request, NotFound(f"there is nothing at {path[:200]}; see /docs"), headers)
    if error.status_code == 405:
        allowed = headers.get("Allow") or headers.get("allow") or "another method"
        message = f"{request.method} is not for {path[:200]}; expected {allowed}"
        return answer_error(request, MethodNotAllowed(message), headers)
    return answer_error(request, _OTHER.get(error.status_code, Internal)(str(error.detail)), headers)


_OTHER: Final[dict[int, type[HanaxError]]] = {400: InvalidArgument, 422: InvalidArgument}


def answer_error(request: Request, error: HanaxError, headers: dict[str, str]) -> Response:
    """The answer for `error`, which the log is told of."""
    call = call_of(request)
    log_failure(error, call.request_id, request.url.path)
    return refuse(request.scope, error, headers)
