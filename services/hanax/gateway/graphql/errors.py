"""Errors as GraphQL shows them: the code, the message and the details that every other door has.

What graphql-core itself finds wrong has no class of ours: it is named here.
"""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError

from hanax.core.errors import GraphqlInvalid, GraphqlSyntax, HanaxError
from hanax.gateway.exchange_headers import retry_after_s
from hanax.gateway.failure_log import log_defect, log_failure
from hanax.rpc.errors import http_status

PATH = "/graphql"

# A message quotes what was sent: no more of it than helps.
_MAX_MESSAGE = 1_000


def show_error(error: HanaxError) -> dict[str, Any]:
    """One entry of `errors`, of a request that was refused as a whole."""
    extensions: dict[str, Any] = {
        "code": error.code,
        "type": type(error).__name__,
        "http_status": http_status(error),
        "details": error.details,
    }
    if (after_s := retry_after_s(error)) is not None:
        extensions["retry_after_s"] = after_s
    return {"message": error.message, "extensions": extensions}


def show_failure(failure: GraphQLError, request_id: str) -> dict[str, Any]:
    """One entry of `errors`, of a field or of the document. Logs those that are not the client's."""
    error = named(failure, request_id)
    log_failure(error, request_id, PATH)
    shown = show_error(error)
    if failure.locations:
        shown["locations"] = [
            {"line": location.line, "column": location.column} for location in failure.locations
        ]
    if failure.path:
        shown["path"] = failure.path
    return shown


def named(failure: GraphQLError, request_id: str) -> HanaxError:
    """Our name for what went wrong; a defect is written down."""
    origin: BaseException | None = failure
    while isinstance(origin, GraphQLError) and origin.original_error is not None:
        origin = origin.original_error
    if isinstance(origin, HanaxError):
        return origin
    if isinstance(failure, GraphQLSyntaxError):
        return GraphqlSyntax(failure.message[:_MAX_MESSAGE])
    if isinstance(origin, GraphQLError) or failure.path is None:
        return GraphqlInvalid(failure.message[:_MAX_MESSAGE])
    try:
        raise origin or failure
    except Exception as defect:
        return log_defect(defect, request_id, PATH)
