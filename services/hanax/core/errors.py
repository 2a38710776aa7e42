"""Every error a user can meet.

HanaxError
├── InvalidArgument           the request is wrong; the same request will fail again
│   ├── InvalidJson
│   ├── BodyTooLarge
│   ├── UnsupportedEncoding
│   ├── InvalidEncoding
│   ├── IdempotencyKeyReused
│   ├── InvalidId
│   ├── DuplicateId
│   ├── DimensionMismatch
│   ├── NonFiniteVector
│   ├── ZeroVector
│   ├── InvalidMetadata
│   ├── MetadataTooLarge
│   ├── InvalidExpiry
│   ├── InvalidFilter
│   ├── NoTextIndex
│   ├── InvalidLimit
│   ├── InvalidCursor
│   ├── InvalidText
│   ├── TextTooLong
│   ├── InvalidMigration
│   ├── GraphqlSyntax
│   ├── GraphqlInvalid
│   ├── GraphqlTooCostly
│   ├── UnsupportedMediaType
│   └── InvalidUpload
├── NotFound
│   ├── CollectionNotFound
│   ├── AliasNotFound
│   ├── PointNotFound
│   ├── ModelNotFound
│   ├── JobNotFound
│   ├── LibraryNotFound
│   ├── DocumentNotFound
│   ├── ChunkNotFound
│   ├── PersistedQueryNotFound
│   └── KeyNotFound
├── MethodNotAllowed
├── Unauthenticated           it is not known who asks
├── PermissionDenied          it is known, and is not for them
├── AlreadyExists
│   ├── CollectionExists
│   ├── AliasExists
│   ├── LibraryExists
│   ├── DocumentExists
│   └── ChunkExists
├── FailedPrecondition        right in itself, at odds with the state of things
│   ├── ModelConflict
│   ├── VersionConflict
│   ├── CollectionHasAliases
│   ├── CollectionSuspended
│   ├── RoutingTableTooLarge
│   ├── ModelIsBulkOnly
│   ├── IndexNotBuilt
│   ├── RevisionConflict
│   ├── DocumentBusy
│   ├── IdempotencyKeyInFlight
│   ├── CollectionOfLibrary
│   ├── DatabaseNotConfigured
│   ├── WrongJobState
│   ├── LeaseLost
│   ├── DatabaseNewer
│   ├── MigrationEdited
│   ├── MigrationFailed
│   └── MigrationLocked
├── ResourceExhausted         come back later
│   ├── Overloaded
│   ├── RateLimited
│   └── StorageFull
├── Unavailable               a part that is needed cannot be reached; worth a retry
│   ├── PartialWrite
│   ├── UpstreamFailed
│   └── DatabaseUnavailable
├── DeadlineExceeded
├── Cancelled
├── DataLoss                  stored bytes are damaged
└── Internal                  a defect of ours

`code` is the stable name that users match on. `hanax.rpc.errors` holds the one table from codes
to HTTP and gRPC statuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar


class HanaxError(Exception):
    """Base. `message` says what was expected; `details` are JSON values for programs."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, /, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidArgument(HanaxError):
    code = "invalid_argument"


class InvalidJson(InvalidArgument):
    code = "invalid_json"


class BodyTooLarge(InvalidArgument):
    code = "body_too_large"


class UnsupportedEncoding(InvalidArgument):
    """A body has a Content-Encoding that is not read here; details name those that are."""

    code = "unsupported_encoding"


class InvalidEncoding(InvalidArgument):
    """A body is not what its Content-Encoding says."""

    code = "invalid_encoding"


class IdempotencyKeyReused(InvalidArgument):
    """An Idempotency-Key comes back with another request than it was first sent with."""

    code = "idempotency_key_reused"


class InvalidId(InvalidArgument):
    code = "invalid_id"


class DuplicateId(InvalidArgument):
    code = "duplicate_id"


class DimensionMismatch(InvalidArgument):
    code = "dimension_mismatch"


class NonFiniteVector(InvalidArgument):
    code = "non_finite_vector"


class ZeroVector(InvalidArgument):
    code = "zero_vector"


class InvalidMetadata(InvalidArgument):
    code = "invalid_metadata"


class MetadataTooLarge(InvalidArgument):
    code = "metadata_too_large"


class InvalidExpiry(InvalidArgument):
    """When a point shall expire is not told, or has passed."""

    code = "invalid_expiry"


class InvalidFilter(InvalidArgument):
    code = "invalid_filter"


class NoTextIndex(InvalidArgument):
    """Words are searched for in a field that the collection does not pin as text."""

    code = "no_text_index"


class InvalidLimit(InvalidArgument):
    code = "invalid_limit"


class InvalidCursor(InvalidArgument):
    code = "invalid_cursor"


class InvalidText(InvalidArgument):
    code = "invalid_text"


class TextTooLong(InvalidArgument):
    code = "text_too_long"


class InvalidMigration(InvalidArgument):
    """A migration file is not well-formed."""

    code = "invalid_migration"


class GraphqlSyntax(InvalidArgument):
    """A document is no GraphQL; the error's locations tell where."""

    code = "graphql_syntax"


class GraphqlInvalid(InvalidArgument):
    """A document, its variables or its operation do not fit the schema."""

    code = "graphql_invalid"


class GraphqlTooCostly(InvalidArgument):
    """A document is too long, too deep, or asks for too much; details name the limit."""

    code = "graphql_too_costly"


class UnsupportedMediaType(InvalidArgument):
    """A body has a Content-Type that is not read here."""

    code = "unsupported_media_type"


class InvalidUpload(InvalidArgument):
    """A file is not of the format that it is said to have."""

    code = "invalid_upload"


class NotFound(HanaxError):
    code = "not_found"


class CollectionNotFound(NotFound):
    code = "collection_not_found"


class AliasNotFound(NotFound):
    code = "alias_not_found"


class PointNotFound(NotFound):
    code = "point_not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class JobNotFound(NotFound):
    code = "job_not_found"


class LibraryNotFound(NotFound):
    code = "library_not_found"


class DocumentNotFound(NotFound):
    code = "document_not_found"


class ChunkNotFound(NotFound):
    code = "chunk_not_found"


class PersistedQueryNotFound(NotFound):
    """No document with this hash is kept here: the client sends it whole. The message is a protocol's."""

    code = "persisted_query_not_found"


class KeyNotFound(NotFound):
    """There is no API key of this id."""

    code = "key_not_found"


class MethodNotAllowed(HanaxError):
    code = "method_not_allowed"


class Unauthenticated(HanaxError):
    """Credentials are missing, unknown, expired or revoked; which of these is not told."""

    code = "unauthenticated"


class PermissionDenied(HanaxError):
    """Who asks is known, and may not; the same whether what is asked for exists or not."""

    code = "permission_denied"


class AlreadyExists(HanaxError):
    code = "already_exists"


class CollectionExists(AlreadyExists):
    code = "collection_exists"


class AliasExists(AlreadyExists):
    code = "alias_exists"


class LibraryExists(AlreadyExists):
    code = "library_exists"


class DocumentExists(AlreadyExists):
    code = "document_exists"


class ChunkExists(AlreadyExists):
    code = "chunk_exists"


class FailedPrecondition(HanaxError):
    code = "failed_precondition"


class ModelConflict(FailedPrecondition):
    code = "model_conflict"


class VersionConflict(FailedPrecondition):
    """Points have other versions than the write asks for; details name them."""

    code = "version_conflict"


class CollectionHasAliases(FailedPrecondition):
    """A collection that aliases point to is to be deleted; details name them."""

    code = "collection_has_aliases"


class CollectionSuspended(FailedPrecondition):
    """The collection's data is kept, but no shard of it is open until it is resumed."""

    code = "collection_suspended"


class RoutingTableTooLarge(FailedPrecondition):
    """A table with one more collection would not fit where readers look for it; details say the sizes."""

    code = "routing_table_too_large"


class ModelIsBulkOnly(FailedPrecondition):
    """An answer is wanted now from a model whose texts are queued."""

    code = "model_is_bulk_only"


class IndexNotBuilt(FailedPrecondition):
    """A library is queried for which nobody has asked for an index yet."""

    code = "index_not_built"


class RevisionConflict(FailedPrecondition):
    """A collection, library, document or chunk has another revision than the request says; details name
    both.
    """

    code = "revision_conflict"


class DocumentBusy(FailedPrecondition):
    """Another change of the same document is under way."""

    code = "document_busy"


class IdempotencyKeyInFlight(FailedPrecondition):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "idempotency_key_in_flight"


class CollectionOfLibrary(FailedPrecondition):
    """A collection is to be changed that belongs to a library; details name it."""

    code = "collection_of_library"


class DatabaseNotConfigured(FailedPrecondition):
    """What is asked for needs the metadata database, and HANAX_DATABASE_URL names none."""

    code = "database_not_configured"


class WrongJobState(FailedPrecondition):
    """What is asked of a job does not go with its state; details name it."""

    code = "wrong_job_state"


class LeaseLost(FailedPrecondition):
    """Somebody else does this part of a job by now, or the job has ended."""

    code = "lease_lost"


class DatabaseNewer(FailedPrecondition):
    """The metadata database has the schema of a newer version; details name both."""

    code = "database_newer"


class MigrationEdited(FailedPrecondition):
    """A migration file is gone, or another than the one that was applied."""

    code = "migration_edited"


class MigrationFailed(FailedPrecondition):
    code = "migration_failed"


class MigrationLocked(FailedPrecondition):
    """Somebody else migrates."""

    code = "migration_locked"


class ResourceExhausted(HanaxError):
    """`retry_after_s` in the details: how long to stay away, where that is known."""

    code = "resource_exhausted"


class Overloaded(ResourceExhausted):
    code = "overloaded"


class RateLimited(ResourceExhausted):
    """More is asked in a time than is allowed, here or by the upstream that said so."""

    code = "rate_limited"


class StorageFull(ResourceExhausted):
    code = "storage_full"


class Unavailable(HanaxError):
    code = "unavailable"


class PartialWrite(Unavailable):
    """Some points of a request are stored and some are not; details name the failed ones."""

    code = "partial_write"


class UpstreamFailed(Unavailable):
    """Another's server answered with a failure, or with what is no answer."""

    code = "upstream_failed"


class DatabaseUnavailable(Unavailable):
    """The metadata database does not answer, or has no connection to spare."""

    code = "database_unavailable"


class DeadlineExceeded(HanaxError):
    code = "deadline_exceeded"


class Cancelled(HanaxError):
    code = "cancelled"


class DataLoss(HanaxError):
    code = "data_loss"


class Internal(HanaxError):
    code = "internal"


def error_types() -> Iterator[type[HanaxError]]:
    """Every concrete class below HanaxError."""
    pending: list[type[HanaxError]] = [HanaxError]
    while pending:
        for child in pending.pop().__subclasses__():
            yield child
            pending.append(child)


def error_from_code(code: str, message: str, details: dict[str, Any]) -> HanaxError:
    """Rebuild an error that travelled as data. An unknown code becomes Internal."""
    for kind in error_types():
        if kind.code == code:
            return kind(message, **details)
    return Internal(message, **details)
