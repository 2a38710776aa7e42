"""The service objects of libraries, wired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hanax.core.errors import DatabaseNotConfigured
from hanax.gateway.collections import Collections
from hanax.gateway.libraries.changes import DocumentChanges
from hanax.gateway.libraries.chunk_points import ChunkPoints
from hanax.gateway.libraries.documents import Documents
from hanax.gateway.libraries.drafts import Preparing
from hanax.gateway.libraries.indexes import LibraryIndexes
from hanax.gateway.libraries.leftovers import Leftovers
from hanax.gateway.libraries.libraries import Libraries
from hanax.gateway.libraries.lookups import LibraryLookups
from hanax.gateway.libraries.passages import Passages
from hanax.gateway.libraries.queries import LibraryQueries, QueryParts
from hanax.gateway.models.rerankers import Rerankers
from hanax.gateway.searches import Searches
from hanax.gateway.upstreams import Upstreams
from hanax.metadata.database import Database
from hanax.metadata.libraries.change_rows import ChangeRows
from hanax.metadata.libraries.document_rows import DocumentRows
from hanax.metadata.libraries.library_rows import LibraryRows
from hanax.metadata.libraries.query_rows import QueryRows
from hanax.metadata.libraries.rows import Leases
from hanax.metadata.libraries.several_rows import SeveralRows

# The clean-up behind a change removes points and asks the database, each within its time; and some more.
_REQUESTS: Final = 2
_TRANSACTIONS: Final = 2
_MARGIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class LibraryParts:
    """What libraries stand on. create_timeout_s: of a collection."""

    upstreams: Upstreams
    collections: Collections
    searches: Searches
    rerankers: Rerankers
    create_timeout_s: float
    clock: Callable[[], float]
    now_us: Callable[[], int]


class LibraryRoom:
    def __init__(self, database: Database, parts: LibraryParts) -> None:
        via, now_us = parts.upstreams, parts.now_us
        leases = Leases(
            max(parts.create_timeout_s, _REQUESTS * via.timeouts.request_s)
            + _TRANSACTIONS * database.options.timeout_s
            + _MARGIN_S
        )
        libraries = LibraryRows(database, leases, now_us)
        documents = DocumentRows(database)
        changes = ChangeRows(database, leases, now_us)
        points = ChunkPoints(via)
        making = DocumentChanges(changes, points, via.metrics)
        preparing = Preparing(via.embedding, now_us)
        self.leftovers = Leftovers(libraries, changes, points, parts.collections, parts.clock)
        self.libraries = Libraries(
            libraries, parts.collections, via.embedding, self.leftovers, now_us, via.metrics
        )
        self.indexes = LibraryIndexes(libraries, parts.collections, points)
        self.documents = Documents(libraries, documents, points, making, preparing, now_us)
        self.lookups = LibraryLookups(SeveralRows(database), points)
        self.passages = Passages(documents, points, making, preparing, now_us)
        self.queries = LibraryQueries(
            QueryRows(database),
            QueryParts(points, via.embedding, parts.searches, parts.rerankers),
            via.timeouts,
        )


def opened_room(room: LibraryRoom | None) -> LibraryRoom:
    """Raises DatabaseNotConfigured where there is none."""
    if room is None:
        raise DatabaseNotConfigured(
            "libraries need the metadata database: set HANAX_DATABASE_URL, and start again"
        )
    return room
