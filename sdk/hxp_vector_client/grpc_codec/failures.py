"""Failed calls: what google.rpc.Status and its details tell."""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.rpc import error_details_pb2, status_pb2
from pydantic_core import from_json

from hxp_vector_client import errors
from hxp_vector_client.errors import ConnectionFailed, TimedOut, VectorError, error_from_code

_DETAILS_KEY: Final = "grpc-status-details-bin"
_Code = grpc.StatusCode

# Of a status without details: from gRPC itself, or from another's server.
_BY_STATUS: Final[dict[grpc.StatusCode, type[VectorError]]] = {
    _Code.INVALID_ARGUMENT: errors.InvalidArgument,
    _Code.OUT_OF_RANGE: errors.InvalidArgument,
    _Code.NOT_FOUND: errors.NotFound,
    _Code.UNIMPLEMENTED: errors.MethodNotAllowed,
    _Code.ALREADY_EXISTS: errors.AlreadyExists,
    _Code.FAILED_PRECONDITION: errors.FailedPrecondition,
    _Code.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    _Code.DEADLINE_EXCEEDED: TimedOut,
    _Code.ABORTED: errors.Unavailable,
    _Code.DATA_LOSS: errors.DataLoss,
    _Code.INTERNAL: errors.Internal,
    _Code.UNAUTHENTICATED: errors.Unauthenticated,
    _Code.PERMISSION_DENIED: errors.PermissionDenied,
}


def translate(failure: Any, target: str) -> VectorError:
    """failure: a call of grpc or grpc.aio that has failed."""
    metadata: dict[str, Any] = dict(failure.trailing_metadata() or ())
    error = _told(metadata.get(_DETAILS_KEY), failure.details() or "")
    if error is None:
        error = _untold(failure, target)
    request_id = metadata.get("x-request-id")
    error.request_id = request_id if isinstance(request_id, str) else None
    return error


def _told(raw: Any, message: str) -> VectorError | None:
    """The error that the status names; None where it names none."""
    if not isinstance(raw, bytes):
        return None
    error: VectorError | None = None
    retry_after_s = None
    for detail in status_pb2.Status.FromString(raw).details:
        info = error_details_pb2.ErrorInfo()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            details = info.metadata.get("details", "")
            error = error_from_code(info.reason, message, from_json(details) if details else None)
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToMilliseconds() / 1e3
    if error is not None:
        error.retry_after_s = retry_after_s
    return error


def _untold(failure: Any, target: str) -> VectorError:
    status, message = failure.code(), failure.details() or ""
    if status in (_Code.UNAVAILABLE, _Code.CANCELLED, _Code.UNKNOWN):
        # "failed to connect" is the one message of a request that was never sent.
        sent = "failed to connect" not in message
        return ConnectionFailed(f"{target} does not answer: {message}", sent=sent)
    kind = _BY_STATUS.get(status, VectorError)
    return kind(message or f"{target} answered {status.name}")
