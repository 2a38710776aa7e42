"""Errors in the form of the routes of libraries: `{"error": {type, message, path, code, details}}`."""

from __future__ import annotations

from typing import Any, Final

from hanax.core.errors import HanaxError

_ROOTS: Final = ("/libraries", "/documents", "/chunks")

# What the routes of libraries begin with, and nothing else does.
LIBRARY_PATHS: Final = (*_ROOTS, *(f"/api/v1{root}" for root in _ROOTS))


def library_error(error: HanaxError, path: str) -> dict[str, Any]:
    return {
        "error": {
            "type": type(error).__name__,
            "message": error.message,
            "path": path,
            "code": error.code,
            "details": error.details,
        }
    }
