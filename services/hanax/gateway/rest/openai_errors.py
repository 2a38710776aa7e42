"""Errors in the form that clients of OpenAI's API expect, on the paths of that API."""

from __future__ import annotations

from typing import Any, Final

from hanax.core.errors import HanaxError

OPENAI_PATHS: Final = "/v1/"

_TYPE_BY_STATUS: Final = {429: "rate_limit_error", 404: "not_found_error"}
_SERVER_ERRORS: Final = 500


def openai_error(error: HanaxError, status: int) -> dict[str, Any]:
    """`code` is ours, as in all other answers."""
    kind = _TYPE_BY_STATUS.get(status, "api_error" if status >= _SERVER_ERRORS else "invalid_request_error")
    faults = error.details.get("errors")
    field = faults[0]["field"] if faults else None
    return {"error": {"message": error.message, "type": kind, "param": field, "code": error.code}}
