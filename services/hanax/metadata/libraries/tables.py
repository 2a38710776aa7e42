"""Tables of libraries.

What a chunk says, and its vector, is in a point of the library's collection. `chunks` names the one point
that a chunk is now: a point that no row names is no chunk, whatever it holds. So a document changes in the
transaction that changes these rows.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from hanax.core.limits import MAX_DOCUMENT_TITLE
from hanax.metadata.tables import ID, INSTANT, JSON_VALUE, TABLES

MAX_LIBRARY_NAME: Final = 200

# metadata: JSON as text, here and of documents: it is only read whole, and JSONB takes no NUL.
# name: null once the library is withdrawn, so that another may have it. model: null: vectors are brought.
# index_type: null until somebody asks for an index. state: creating, ready, withdrawn, forgotten.
# collection_uid: null until its collection is there. lease_until_at_us: null when nobody has to look at it.
LIBRARIES: Final = Table(
    "libraries",
    TABLES,
    Column("id", ID, primary_key=True),
    Column("name", String(MAX_LIBRARY_NAME), unique=True),
    Column("metadata", Text, nullable=False),
    Column("model", String(128)),
    Column("dimension", Integer, nullable=False),
    Column("metric", String(16), nullable=False),
    Column("index_type", String(16)),
    Column("state", String(16), nullable=False),
    Column("collection_uid", String(64)),
    Column("revision", Integer, nullable=False),
    Column("lease_until_at_us", INSTANT, index=True),
    Column("created_at_us", INSTANT, nullable=False),
    Column("updated_at_us", INSTANT, nullable=False),
    Index(None, "created_at_us", "id"),
)

# chunking: the rule that divided its text; null: it came as chunks. chunks: how many it has.
DOCUMENTS: Final = Table(
    "documents",
    TABLES,
    Column("id", ID, primary_key=True),
    Column("library_id", ID, ForeignKey("libraries.id"), nullable=False),
    Column("title", String(MAX_DOCUMENT_TITLE), nullable=False),
    Column("metadata", Text, nullable=False),
    Column("chunking", Text),
    Column("chunks", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at_us", INSTANT, nullable=False),
    Column("updated_at_us", INSTANT, nullable=False),
    Index(None, "library_id", "created_at_us", "id"),
)

# A library's clock, in parts, so that commits seldom meet: a document's part is told by its id. commits: of
# changes so far. moves: of those that took points away and brought others.
CLOCKS: Final = Table(
    "library_clocks",
    TABLES,
    Column("library_id", ID, ForeignKey("libraries.id"), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("commits", BigInteger, nullable=False),
    Column("moves", BigInteger, nullable=False),
)

# position: from 0, dense within the document. change_id: the change that wrote the point. stamp: what the
# document's part of the clock had then in commits.
CHUNKS: Final = Table(
    "chunks",
    TABLES,
    Column("id", ID, primary_key=True),
    Column("document_id", ID, ForeignKey("documents.id"), nullable=False),
    Column("library_id", ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("point_id", ID, nullable=False, unique=True),
    Column("change_id", ID, nullable=False),
    Column("stamp", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at_us", INSTANT, nullable=False),
    Column("updated_at_us", INSTANT, nullable=False),
    Index(None, "document_id", "position"),
)

# state: writing, committed, undone. holds: the document while it is being written, else null: a document has
# one such change. points: how many new points it writes. stale_points, stale_changes: points that are no
# chunks any more since it was committed, and the changes of which no point is one.
CHANGES: Final = Table(
    "document_changes",
    TABLES,
    Column("id", ID, primary_key=True),
    Column("library_id", ID, ForeignKey("libraries.id"), nullable=False, index=True),
    Column("document_id", ID, nullable=False),
    Column("holds", ID, unique=True),
    Column("state", String(16), nullable=False),
    Column("points", Integer, nullable=False),
    Column("stale_points", JSON_VALUE, nullable=False),
    Column("stale_changes", JSON_VALUE, nullable=False),
    Column("lease_until_at_us", INSTANT, nullable=False, index=True),
)
