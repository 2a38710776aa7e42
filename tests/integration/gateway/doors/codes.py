"""Codes that are no mistake of a caller in all three protocols, each with the reason."""

from __future__ import annotations

from typing import Final

# Of what surrounds a request: told by the protocols that have such a thing, in tests of their own.
OF_A_PROTOCOL: Final = {
    "invalid_json": "bodies of REST and GraphQL; fields of gRPC that hold JSON have codes of their own",
    "body_too_large": "each protocol has a limit of its own, which the message names",
    "unsupported_encoding": "HTTP's Content-Encoding; gRPC itself refuses other compressions",
    "invalid_encoding": "HTTP's Content-Encoding",
    "unsupported_media_type": "HTTP's Content-Type",
    "method_not_allowed": "HTTP's methods, and methods that a service of gRPC has not",
    "graphql_syntax": "documents",
    "graphql_invalid": "documents",
    "graphql_too_costly": "documents",
    "persisted_query_not_found": "documents",
    "invalid_upload": "files, which GraphQL does not take",
}

# Told alike, but not caused by one request alone.
OF_A_MOMENT: Final = {
    "idempotency_key_reused": "two requests: test_moments",
    "idempotency_key_in_flight": "two requests at once: test_moments",
    "overloaded": "others are worked on: test_moments",
    "deadline_exceeded": "shards are slow: test_moments",
    "storage_full": "a disk that is full: test_moments",
    "database_not_configured": "how the gateway is set up: test_moments",
    "document_busy": "two changes of a document at once: tests of libraries",
}

NOT_OF_CALLERS: Final = {
    "collection_suspended": "whoever runs the cluster suspends it",
    "routing_table_too_large": "a cluster with too many collections",
    "lease_lost": "processors of jobs tell one another",
    "invalid_migration": "whoever upgrades the database",
    "database_newer": "whoever upgrades the database",
    "migration_edited": "whoever upgrades the database",
    "migration_failed": "whoever upgrades the database",
    "migration_locked": "whoever upgrades the database",
    "resource_exhausted": "what a shard, or a job with too many failed items, says of itself",
    "unavailable": "a shard, a database or a model that is away",
    "partial_write": "a shard that is lost amid a write",
    "upstream_failed": "a model's server that fails",
    "database_unavailable": "a database that is away",
    "cancelled": "the client has gone: nobody is told",
    "data_loss": "a disk that lost what it had",
    "internal": "a defect of ours",
}
