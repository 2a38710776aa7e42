# Written by scripts/gen_sdk.py from hanax.core.errors; edit that, and run `make gen`.
"""What the server refuses, by its codes."""

from __future__ import annotations

from typing import Final

from hxp_vector_client.error_base import VectorError


class InvalidArgument(VectorError):
    default_code = "invalid_argument"


class InvalidJson(InvalidArgument):
    default_code = "invalid_json"


class BodyTooLarge(InvalidArgument):
    default_code = "body_too_large"


class UnsupportedEncoding(InvalidArgument):
    """A body has a Content-Encoding that is not read here; details name those that are."""

    default_code = "unsupported_encoding"


class InvalidEncoding(InvalidArgument):
    """A body is not what its Content-Encoding says."""

    default_code = "invalid_encoding"


class IdempotencyKeyReused(InvalidArgument):
    """An Idempotency-Key comes back with another request than it was first sent with."""

    default_code = "idempotency_key_reused"


class InvalidId(InvalidArgument):
    default_code = "invalid_id"


class DuplicateId(InvalidArgument):
    default_code = "duplicate_id"


class DimensionMismatch(InvalidArgument):
    default_code = "dimension_mismatch"


class NonFiniteVector(InvalidArgument):
    default_code = "non_finite_vector"


class ZeroVector(InvalidArgument):
    default_code = "zero_vector"


class InvalidMetadata(InvalidArgument):
    default_code = "invalid_metadata"


class MetadataTooLarge(InvalidArgument):
    default_code = "metadata_too_large"


class InvalidExpiry(InvalidArgument):
    """When a point shall expire is not told, or has passed."""

    default_code = "invalid_expiry"


class InvalidFilter(InvalidArgument):
    default_code = "invalid_filter"


class NoTextIndex(InvalidArgument):
    """Words are searched for in a field that the collection does not pin as text."""

    default_code = "no_text_index"


class InvalidLimit(InvalidArgument):
    default_code = "invalid_limit"


class InvalidCursor(InvalidArgument):
    default_code = "invalid_cursor"


class InvalidText(InvalidArgument):
    default_code = "invalid_text"


class TextTooLong(InvalidArgument):
    default_code = "text_too_long"


class InvalidMigration(InvalidArgument):
    """A migration file is not well-formed."""

    default_code = "invalid_migration"


class GraphqlSyntax(InvalidArgument):
    """A document is no GraphQL; the error's locations tell where."""

    default_code = "graphql_syntax"


class GraphqlInvalid(InvalidArgument):
    """A document, its variables or its operation do not fit the schema."""

    default_code = "graphql_invalid"


class GraphqlTooCostly(InvalidArgument):
    """A document is too long, too deep, or asks for too much; details name the limit."""

    default_code = "graphql_too_costly"


class UnsupportedMediaType(InvalidArgument):
    """A body has a Content-Type that is not read here."""

    default_code = "unsupported_media_type"


class InvalidUpload(InvalidArgument):
    """A file is not of the format that it is said to have."""

    default_code = "invalid_upload"


class NotFound(VectorError):
    default_code = "not_found"


class CollectionNotFound(NotFound):
    default_code = "collection_not_found"


class AliasNotFound(NotFound):
    default_code = "alias_not_found"


class PointNotFound(NotFound):
    default_code = "point_not_found"


class ModelNotFound(NotFound):
    default_code = "model_not_found"


class JobNotFound(NotFound):
    default_code = "job_not_found"


class LibraryNotFound(NotFound):
    default_code = "library_not_found"


class DocumentNotFound(NotFound):
    default_code = "document_not_found"


class ChunkNotFound(NotFound):
    default_code = "chunk_not_found"


class PersistedQueryNotFound(NotFound):
    """No document with this hash is kept here: the client sends it whole. The message is a protocol's."""

    default_code = "persisted_query_not_found"


class KeyNotFound(NotFound):
    """There is no API key of this id."""

    default_code = "key_not_found"


class MethodNotAllowed(VectorError):
    default_code = "method_not_allowed"


class Unauthenticated(VectorError):
    """Credentials are missing, unknown, expired or revoked; which of these is not told."""

    default_code = "unauthenticated"


class PermissionDenied(VectorError):
    """Who asks is known, and may not; the same whether what is asked for exists or not."""

    default_code = "permission_denied"


class AlreadyExists(VectorError):
    default_code = "already_exists"


class CollectionExists(AlreadyExists):
    default_code = "collection_exists"


class AliasExists(AlreadyExists):
    default_code = "alias_exists"


class LibraryExists(AlreadyExists):
    default_code = "library_exists"


class DocumentExists(AlreadyExists):
    default_code = "document_exists"


class ChunkExists(AlreadyExists):
    default_code = "chunk_exists"


class FailedPrecondition(VectorError):
    default_code = "failed_precondition"


class ModelConflict(FailedPrecondition):
    default_code = "model_conflict"


class VersionConflict(FailedPrecondition):
    """Points have other versions than the write asks for; details name them."""

    default_code = "version_conflict"


class CollectionHasAliases(FailedPrecondition):
    """A collection that aliases point to is to be deleted; details name them."""

    default_code = "collection_has_aliases"


class CollectionSuspended(FailedPrecondition):
    """The collection's data is kept, but no shard of it is open until it is resumed."""

    default_code = "collection_suspended"


class RoutingTableTooLarge(FailedPrecondition):
    """A table with one more collection would not fit where readers look for it; details say the sizes."""

    default_code = "routing_table_too_large"


class ModelIsBulkOnly(FailedPrecondition):
    """An answer is wanted now from a model whose texts are queued."""

    default_code = "model_is_bulk_only"


class IndexNotBuilt(FailedPrecondition):
    """A library is queried for which nobody has asked for an index yet."""

    default_code = "index_not_built"


class RevisionConflict(FailedPrecondition):
    """A collection, library, document or chunk has another revision than the request says; details name
    both.
    """

    default_code = "revision_conflict"


class DocumentBusy(FailedPrecondition):
    """Another change of the same document is under way."""

    default_code = "document_busy"


class IdempotencyKeyInFlight(FailedPrecondition):
    """The first request with this Idempotency-Key has not been answered yet."""

    default_code = "idempotency_key_in_flight"


class CollectionOfLibrary(FailedPrecondition):
    """A collection is to be changed that belongs to a library; details name it."""

    default_code = "collection_of_library"


class DatabaseNotConfigured(FailedPrecondition):
    """What is asked for needs the metadata database, and HANAX_DATABASE_URL names none."""

    default_code = "database_not_configured"


class WrongJobState(FailedPrecondition):
    """What is asked of a job does not go with its state; details name it."""

    default_code = "wrong_job_state"


class LeaseLost(FailedPrecondition):
    """Somebody else does this part of a job by now, or the job has ended."""

    default_code = "lease_lost"


class DatabaseNewer(FailedPrecondition):
    """The metadata database has the schema of a newer version; details name both."""

    default_code = "database_newer"


class MigrationEdited(FailedPrecondition):
    """A migration file is gone, or another than the one that was applied."""

    default_code = "migration_edited"


class MigrationFailed(FailedPrecondition):
    default_code = "migration_failed"


class MigrationLocked(FailedPrecondition):
    """Somebody else migrates."""

    default_code = "migration_locked"


class ResourceExhausted(VectorError):
    """`retry_after_s` in the details: how long to stay away, where that is known."""

    default_code = "resource_exhausted"


class Overloaded(ResourceExhausted):
    default_code = "overloaded"


class RateLimited(ResourceExhausted):
    """More is asked in a time than is allowed, here or by the upstream that said so."""

    default_code = "rate_limited"


class StorageFull(ResourceExhausted):
    default_code = "storage_full"


class Unavailable(VectorError):
    default_code = "unavailable"


class PartialWrite(Unavailable):
    """Some points of a request are stored and some are not; details name the failed ones."""

    default_code = "partial_write"


class UpstreamFailed(Unavailable):
    """Another's server answered with a failure, or with what is no answer."""

    default_code = "upstream_failed"


class DatabaseUnavailable(Unavailable):
    """The metadata database does not answer, or has no connection to spare."""

    default_code = "database_unavailable"


class DeadlineExceeded(VectorError):
    default_code = "deadline_exceeded"


class Cancelled(VectorError):
    default_code = "cancelled"


class DataLoss(VectorError):
    default_code = "data_loss"


class Internal(VectorError):
    default_code = "internal"


BY_CODE: Final[dict[str, type[VectorError]]] = {
    "invalid_argument": InvalidArgument,
    "invalid_json": InvalidJson,
    "body_too_large": BodyTooLarge,
    "unsupported_encoding": UnsupportedEncoding,
    "invalid_encoding": InvalidEncoding,
    "idempotency_key_reused": IdempotencyKeyReused,
    "invalid_id": InvalidId,
    "duplicate_id": DuplicateId,
    "dimension_mismatch": DimensionMismatch,
    "non_finite_vector": NonFiniteVector,
    "zero_vector": ZeroVector,
    "invalid_metadata": InvalidMetadata,
    "metadata_too_large": MetadataTooLarge,
    "invalid_expiry": InvalidExpiry,
    "invalid_filter": InvalidFilter,
    "no_text_index": NoTextIndex,
    "invalid_limit": InvalidLimit,
    "invalid_cursor": InvalidCursor,
    "invalid_text": InvalidText,
    "text_too_long": TextTooLong,
    "invalid_migration": InvalidMigration,
    "graphql_syntax": GraphqlSyntax,
    "graphql_invalid": GraphqlInvalid,
    "graphql_too_costly": GraphqlTooCostly,
    "unsupported_media_type": UnsupportedMediaType,
    "invalid_upload": InvalidUpload,
    "not_found": NotFound,
    "collection_not_found": CollectionNotFound,
    "alias_not_found": AliasNotFound,
    "point_not_found": PointNotFound,
    "model_not_found": ModelNotFound,
    "job_not_found": JobNotFound,
    "library_not_found": LibraryNotFound,
    "document_not_found": DocumentNotFound,
    "chunk_not_found": ChunkNotFound,
    "persisted_query_not_found": PersistedQueryNotFound,
    "key_not_found": KeyNotFound,
    "method_not_allowed": MethodNotAllowed,
    "unauthenticated": Unauthenticated,
    "permission_denied": PermissionDenied,
    "already_exists": AlreadyExists,
    "collection_exists": CollectionExists,
    "alias_exists": AliasExists,
    "library_exists": LibraryExists,
    "document_exists": DocumentExists,
    "chunk_exists": ChunkExists,
    "failed_precondition": FailedPrecondition,
    "model_conflict": ModelConflict,
    "version_conflict": VersionConflict,
    "collection_has_aliases": CollectionHasAliases,
    "collection_suspended": CollectionSuspended,
    "routing_table_too_large": RoutingTableTooLarge,
    "model_is_bulk_only": ModelIsBulkOnly,
    "index_not_built": IndexNotBuilt,
    "revision_conflict": RevisionConflict,
    "document_busy": DocumentBusy,
    "idempotency_key_in_flight": IdempotencyKeyInFlight,
    "collection_of_library": CollectionOfLibrary,
    "database_not_configured": DatabaseNotConfigured,
    "wrong_job_state": WrongJobState,
    "lease_lost": LeaseLost,
    "database_newer": DatabaseNewer,
    "migration_edited": MigrationEdited,
    "migration_failed": MigrationFailed,
    "migration_locked": MigrationLocked,
    "resource_exhausted": ResourceExhausted,
    "overloaded": Overloaded,
    "rate_limited": RateLimited,
    "storage_full": StorageFull,
    "unavailable": Unavailable,
    "partial_write": PartialWrite,
    "upstream_failed": UpstreamFailed,
    "database_unavailable": DatabaseUnavailable,
    "deadline_exceeded": DeadlineExceeded,
    "cancelled": Cancelled,
    "data_loss": DataLoss,
    "internal": Internal,
}

__all__ = [
    "AliasExists",
    "AliasNotFound",
    "AlreadyExists",
    "BodyTooLarge",
    "Cancelled",
    "ChunkExists",
    "ChunkNotFound",
    "CollectionExists",
    "CollectionHasAliases",
    "CollectionNotFound",
    "CollectionOfLibrary",
    "CollectionSuspended",
    "DataLoss",
    "DatabaseNewer",
    "DatabaseNotConfigured",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "DimensionMismatch",
    "DocumentBusy",
    "DocumentExists",
    "DocumentNotFound",
    "DuplicateId",
    "FailedPrecondition",
    "GraphqlInvalid",
    "GraphqlSyntax",
    "GraphqlTooCostly",
    "IdempotencyKeyInFlight",
    "IdempotencyKeyReused",
    "IndexNotBuilt",
    "Internal",
    "InvalidArgument",
    "InvalidCursor",
    "InvalidEncoding",
    "InvalidExpiry",
    "InvalidFilter",
    "InvalidId",
    "InvalidJson",
    "InvalidLimit",
    "InvalidMetadata",
    "InvalidMigration",
    "InvalidText",
    "InvalidUpload",
    "JobNotFound",
    "KeyNotFound",
    "LeaseLost",
    "LibraryExists",
    "LibraryNotFound",
    "MetadataTooLarge",
    "MethodNotAllowed",
    "MigrationEdited",
    "MigrationFailed",
    "MigrationLocked",
    "ModelConflict",
    "ModelIsBulkOnly",
    "ModelNotFound",
    "NoTextIndex",
    "NonFiniteVector",
    "NotFound",
    "Overloaded",
    "PartialWrite",
    "PermissionDenied",
    "PersistedQueryNotFound",
    "PointNotFound",
    "RateLimited",
    "ResourceExhausted",
    "RevisionConflict",
    "RoutingTableTooLarge",
    "StorageFull",
    "TextTooLong",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedEncoding",
    "UnsupportedMediaType",
    "UpstreamFailed",
    "VersionConflict",
    "WrongJobState",
    "ZeroVector",
]
