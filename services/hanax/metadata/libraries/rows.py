"""What the tables of libraries hold. Ids are 32 hex digits, instants microseconds since 1970 UTC."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

LibraryState = Literal["creating", "ready", "withdrawn", "forgotten"]
ChangeState = Literal["writing", "committed", "undone"]


@dataclass(frozen=True, slots=True)
class Leases:
    """In seconds. work_s: in which the clean-up behind a change, or a part of a library's making, is done by
    whoever is at it, or by nobody. kept_s: after which what was undone is looked at once more. held_s: for
    how long a change holds its document without a word from whoever is at it.
    """

    work_s: float
    kept_s: float = 600.0
    held_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Library:
    """model: None: vectors are brought. index_type: None until an index is asked for.

    collection_uid: None until its collection is there. revision: grows with every change of these.
    """

    id: str
    name: str | None
    metadata: dict[str, Any]
    model: str | None
    dimension: int
    metric: str
    index_type: str | None
    state: LibraryState
    collection_uid: str | None
    revision: int
    created_at_us: int
    updated_at_us: int


@dataclass(frozen=True, slots=True)
class Document:
    """chunking: the rule that divided its text; None: it came as chunks. chunks: how many it has.

    revision: grows with every change of the document or of one of its chunks.
    """

    id: str
    library_id: str
    title: str
    metadata: dict[str, Any]
    chunking: dict[str, Any] | None
    chunks: int
    revision: int
    created_at_us: int
    updated_at_us: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """point_id: of the point that holds its text, metadata and vector. change_id: what wrote that point.

    stamp: when that was committed, on its document's part of the library's clock.
    """

    id: str
    document_id: str
    library_id: str
    position: int
    point_id: str
    change_id: str
    revision: int
    created_at_us: int
    updated_at_us: int
    stamp: int = 0


@dataclass(frozen=True, slots=True)
class Clock:
    """How far a library's commits are. commits: of each part. moves: of all of it, see `tables`."""

    commits: Sequence[int]
    moves: int

    def is_behind(self, chunk: Chunk) -> bool:
        """Whether the chunk's point was committed after this was read."""
        return chunk.stamp > self.commits[clock_part(chunk.document_id)]


CLOCK_PARTS: Final = 8


def clock_part(document_id: str) -> int:
    return int(document_id[:2], 16) % CLOCK_PARTS


@dataclass(frozen=True, slots=True)
class Change:
    """points: how many it writes; `point_ids` are theirs. stale_points: no chunks any more."""

    id: str
    library_id: str
    document_id: str
    state: ChangeState
    points: int
    stale_points: list[str] = field(default_factory=list)
    stale_changes: list[str] = field(default_factory=list)

    @property
    def point_ids(self) -> list[str]:
        """Of this change alone: no other one ever writes a point that has one of them."""
        return [point_id(self.id, number) for number in range(self.points)]


def shown_id(id: str) -> str:
    """An id as users see it, with hyphens."""
    return str(uuid.UUID(id))


def point_id(change_id: str, number: int) -> str:
    return uuid.uuid5(uuid.UUID(change_id), str(number)).hex


@dataclass(frozen=True, slots=True)
class Splice:
    """Chunks at `start` up to `start + removed` are replaced by others; those behind them move."""

    start: int
    removed: int
    chunks: Sequence[Chunk]
