"""Errors in the form that clients of OpenAI's API expect, on the paths of that API."""

from __future__ import annotations

from typing import Any, Final

from hanax.core.errors import HanaxError, InvalidText, ModelNotFound, TextTooLong
from hanax.rpc.errors import http_status

OPENAI_PATHS: Final = "/v1/"

_TYPE_BY_STATUS: Final = {429: "rate_limit_error", 404: "not_found_error"}
# What these are about, whoever found it.
_FIELDS: Final = ((InvalidText, "input"), (TextTooLong, "input"), (ModelNotFound, "model"))
_SERVER_ERRORS: Final = 500
# Clients of that API know what is wrong with a request by 400 alone.
_STATUS_THERE: Final = {422: 400}


def openai_status(error: HanaxError) -> int:
    """The HTTP status on the paths of that API."""
    status = http_status(error)
    return _STATUS_THERE.get(status, status)


def openai_error(error: HanaxError, status: int) -> dict[str, Any]:
    """`code` is ours, as in all other answers."""
    kind = _TYPE_BY_STATUS.get(status, "api_error" if status >= _SERVER_ERRORS else "invalid_request_error")
    field = next((name for kind, name in _FIELDS if isinstance(error, kind)), None)
    if faults := error.details.get("errors"):
        field = faults[0]["field"]
    return {"error": {"message": error.message, "type": kind, "param": field, "code": error.code}}
