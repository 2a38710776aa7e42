"""How an error travels: the one table from error codes to HTTP and gRPC statuses.

Over gRPC an error is a google.rpc.Status with one ErrorInfo, whose `reason` is the code of
hanax.core.errors and whose metadata carry the details as JSON; with a BadRequest where fields are wrong, and
a RetryInfo where it is known when to come again. A failure that gRPC itself reports (a refused connection, a
passed deadline) becomes the error of our own that it means.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, cast

import grpc
import orjson
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from hanax.core import errors
from hanax.core.errors import HanaxError

_DOMAIN: Final = "hana-x-vector"

# A status travels in headers, of which a client takes 8 KiB: the message percent-encoded (up to
# three times its size), and once more with the details in base64.
_MAX_MESSAGE_BYTES: Final = 1_200
# Of the details as JSON, and of the fields that are wrong.
_MAX_DETAILS_BYTES: Final = 2_000

# How messages about a field begin.
_FIELD: Final = re.compile(r"([a-z_][\w.\[\]]*): (.+)", re.DOTALL)


class Statuses(NamedTuple):
    http: int
    grpc: grpc.StatusCode


_G = grpc.StatusCode

STATUS_BY_CODE: Final[dict[str, Statuses]] = {
    "invalid_argument": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_json": Statuses(400, _G.INVALID_ARGUMENT),
    "body_too_large": Statuses(413, _G.INVALID_ARGUMENT),
    "unsupported_encoding": Statuses(415, _G.INVALID_ARGUMENT),
    "invalid_encoding": Statuses(400, _G.INVALID_ARGUMENT),
    "idempotency_key_reused": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_id": Statuses(422, _G.INVALID_ARGUMENT),
    "duplicate_id": Statuses(422, _G.INVALID_ARGUMENT),
    "dimension_mismatch": Statuses(422, _G.INVALID_ARGUMENT),
    "non_finite_vector": Statuses(422, _G.INVALID_ARGUMENT),
    "zero_vector": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_metadata": Statuses(422, _G.INVALID_ARGUMENT),
    "metadata_too_large": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_expiry": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_filter": Statuses(422, _G.INVALID_ARGUMENT),
    "no_text_index": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_limit": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_cursor": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_text": Statuses(422, _G.INVALID_ARGUMENT),
    "text_too_long": Statuses(422, _G.INVALID_ARGUMENT),
    "invalid_upload": Statuses(422, _G.INVALID_ARGUMENT),
    "graphql_syntax": Statuses(400, _G.INVALID_ARGUMENT),
    "graphql_invalid": Statuses(422, _G.INVALID_ARGUMENT),
    "graphql_too_costly": Statuses(422, _G.INVALID_ARGUMENT),
    "unsupported_media_type": Statuses(415, _G.INVALID_ARGUMENT),
    "invalid_migration": Statuses(422, _G.INVALID_ARGUMENT),
    "not_found": Statuses(404, _G.NOT_FOUND),
    "collection_not_found": Statuses(404, _G.NOT_FOUND),
    "alias_not_found": Statuses(404, _G.NOT_FOUND),
    "point_not_found": Statuses(404, _G.NOT_FOUND),
    "model_not_found": Statuses(404, _G.NOT_FOUND),
    "job_not_found": Statuses(404, _G.NOT_FOUND),
    "library_not_found": Statuses(404, _G.NOT_FOUND),
    "document_not_found": Statuses(404, _G.NOT_FOUND),
    "chunk_not_found": Statuses(404, _G.NOT_FOUND),
    "persisted_query_not_found": Statuses(404, _G.NOT_FOUND),
    "key_not_found": Statuses(404, _G.NOT_FOUND),
    "method_not_allowed": Statuses(405, _G.UNIMPLEMENTED),
    "unauthenticated": Statuses(401, _G.UNAUTHENTICATED),
    "permission_denied": Statuses(403, _G.PERMISSION_DENIED),
    "already_exists": Statuses(409, _G.ALREADY_EXISTS),
    "collection_exists": Statuses(409, _G.ALREADY_EXISTS),
    "alias_exists": Statuses(409, _G.ALREADY_EXISTS),
    "library_exists": Statuses(409, _G.ALREADY_EXISTS),
    "document_exists": Statuses(409, _G.ALREADY_EXISTS),
    "chunk_exists": Statuses(409, _G.ALREADY_EXISTS),
    "failed_precondition": Statuses(409, _G.FAILED_PRECONDITION),
    "model_conflict": Statuses(409, _G.FAILED_PRECONDITION),
    "version_conflict": Statuses(409, _G.FAILED_PRECONDITION),
    "collection_has_aliases": Statuses(409, _G.FAILED_PRECONDITION),
    "collection_suspended": Statuses(409, _G.FAILED_PRECONDITION),
    "routing_table_too_large": Statuses(409, _G.FAILED_PRECONDITION),
    "model_is_bulk_only": Statuses(409, _G.FAILED_PRECONDITION),
    "wrong_job_state": Statuses(409, _G.FAILED_PRECONDITION),
    "lease_lost": Statuses(409, _G.FAILED_PRECONDITION),
    "database_not_configured": Statuses(409, _G.FAILED_PRECONDITION),
    "database_newer": Statuses(409, _G.FAILED_PRECONDITION),
    "migration_edited": Statuses(409, _G.FAILED_PRECONDITION),
    "migration_failed": Statuses(409, _G.FAILED_PRECONDITION),
    "migration_locked": Statuses(409, _G.FAILED_PRECONDITION),
    "index_not_built": Statuses(412, _G.FAILED_PRECONDITION),
    "revision_conflict": Statuses(412, _G.FAILED_PRECONDITION),
    "document_busy": Statuses(409, _G.FAILED_PRECONDITION),
    "idempotency_key_in_flight": Statuses(409, _G.FAILED_PRECONDITION),
    "collection_of_library": Statuses(409, _G.FAILED_PRECONDITION),
    "resource_exhausted": Statuses(429, _G.RESOURCE_EXHAUSTED),
    "overloaded": Statuses(429, _G.RESOURCE_EXHAUSTED),
    "rate_limited": Statuses(429, _G.RESOURCE_EXHAUSTED),
    "storage_full": Statuses(507, _G.RESOURCE_EXHAUSTED),
    "unavailable": Statuses(503, _G.UNAVAILABLE),
    "partial_write": Statuses(503, _G.UNAVAILABLE),
    "upstream_failed": Statuses(502, _G.UNAVAILABLE),
    "database_unavailable": Statuses(503, _G.UNAVAILABLE),
    "deadline_exceeded": Statuses(504, _G.DEADLINE_EXCEEDED),
    "cancelled": Statuses(499, _G.CANCELLED),
    "data_loss": Statuses(500, _G.DATA_LOSS),
    "internal": Statuses(500, _G.INTERNAL),
}

# For a status that came without an ErrorInfo: from gRPC itself, or from another's server.
ERROR_BY_GRPC: Final[dict[grpc.StatusCode, type[HanaxError]]] = {
    _G.INVALID_ARGUMENT: errors.InvalidArgument,
    _G.OUT_OF_RANGE: errors.InvalidArgument,
    _G.NOT_FOUND: errors.NotFound,
    _G.UNIMPLEMENTED: errors.MethodNotAllowed,
    _G.ALREADY_EXISTS: errors.AlreadyExists,
    _G.FAILED_PRECONDITION: errors.FailedPrecondition,
    _G.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    _G.UNAVAILABLE: errors.Unavailable,
    _G.ABORTED: errors.Unavailable,
    _G.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    # How a server that stops ends the calls it has not begun. Who cancels a call of his own asks
    # nobody what it means.
    _G.CANCELLED: errors.Unavailable,
    _G.DATA_LOSS: errors.DataLoss,
    _G.INTERNAL: errors.Internal,
    _G.UNKNOWN: errors.Internal,
    _G.UNAUTHENTICATED: errors.Unauthenticated,
    _G.PERMISSION_DENIED: errors.PermissionDenied,
}


def http_status(error: HanaxError) -> int:
    return STATUS_BY_CODE[error.code].http


def status_from_error(error: HanaxError, retry_after_s: float | None = None) -> grpc.Status:
    """What a gRPC server answers for `error`. retry_after_s: told as RetryInfo."""
    return rpc_status.to_status(encode_error(error, retry_after_s))


def encode_error(error: HanaxError, retry_after_s: float | None = None) -> status_pb2.Status:
    """The error as it travels.

    A message past _MAX_MESSAGE_BYTES is cut; details past _MAX_DETAILS_BYTES, or not JSON, are left out, and
    so are fields that find no room beside them.
    """
    info = error_details_pb2.ErrorInfo(reason=error.code, domain=_DOMAIN)
    with contextlib.suppress(TypeError):
        details = orjson.dumps(error.details, default=str)
        if error.details and len(details) <= _MAX_DETAILS_BYTES:
            info.metadata["details"] = details.decode()
    message = error.message.encode(errors="replace")[:_MAX_MESSAGE_BYTES].decode(errors="ignore")
    grpc_code = STATUS_BY_CODE[error.code].grpc
    told: list[Message] = [info]
    if grpc_code is _G.INVALID_ARGUMENT:
        room = _MAX_DETAILS_BYTES - len(info.metadata.get("details", "").encode())
        if violations := list(_violations(error, message, room)):
            told.append(error_details_pb2.BadRequest(field_violations=violations))
    if retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(retry_after_s * 1e3))
        told.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = [any_pb2.Any() for _ in told]
    for place, detail in zip(packed, told, strict=True):
        place.Pack(detail)
    number = code_pb2.Code.Value(grpc_code.name)
    return status_pb2.Status(code=number, message=message, details=packed)


def _violations(
    error: HanaxError, message: str, room: int
) -> Iterator[error_details_pb2.BadRequest.FieldViolation]:
    """The fields that are wrong, as far as they find room. room: bytes."""
    faults = error.details.get("errors")
    if not isinstance(faults, list):
        found = _FIELD.match(message)
        faults = [] if found is None else [{"field": found[1], "message": found[2]}]
    for fault in faults:
        field, description = str(fault.get("field", "")), str(fault.get("message", ""))
        room -= len(field.encode()) + len(description.encode())
        if room < 0:
            return
        yield error_details_pb2.BadRequest.FieldViolation(field=field, description=description)


class CallFailed(grpc.RpcError):
    """A call that failed on its way past gRPC, by an error of ours."""

    def __init__(self, error: HanaxError) -> None:
        super().__init__(error.message)
        self.error = error


def error_from_call(failure: grpc.RpcError) -> HanaxError:
    """What a failed call means. `failure` is CallFailed, or comes from a channel, synchronous or asyncio."""
    if isinstance(failure, CallFailed):
        return failure.error
    code: grpc.StatusCode = failure.code()
    message: str = failure.details() or code.name.lower()
    trailing = cast("Iterable[tuple[str, Any]]", failure.trailing_metadata() or ())
    for key, value in trailing:
        if key == "grpc-status-details-bin":
            error = decode_error(value)
            if error is not None:
                return error
    return ERROR_BY_GRPC.get(code, errors.Internal)(message)


def decode_error(encoded: bytes) -> HanaxError | None:
    """The error that `encode_error` encoded; None for a status of somebody else's."""
    status = status_pb2.Status.FromString(encoded)
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == _DOMAIN:
            details = orjson.loads(info.metadata.get("details", "{}"))
            return errors.error_from_code(info.reason, status.message, details)
    return None
