"""Failures that whoever runs the gateway should know of."""

from __future__ import annotations

import structlog

from hanax.core.errors import HanaxError, Internal
from hanax.rpc.errors import http_status

log = structlog.get_logger()


def log_failure(error: HanaxError, request_id: str, path: str) -> None:
    """Write down failures that are not the client's."""
    if http_status(error) >= 500:
        log.warning("request failed", code=error.code, error=error.message, path=path, request_id=request_id)


def log_defect(failure: Exception, request_id: str, path: str) -> Internal:
    """Write down an error that nobody has named, while it is handled; the error for the client."""
    log.exception("request failed", path=path, request_id=request_id)
    return Internal(f"{type(failure).__name__}; see the gateway's log")
