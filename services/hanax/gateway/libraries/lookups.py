"""What a look at several libraries or documents asks for, gathered: one question of the database for all,
and one of each library's shards.

Answers are in the order of the ids; what is not there, or is not for the caller, is an error in its place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from hanax.core.errors import HanaxError, LibraryNotFound, Unavailable
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.libraries.chunk_points import ChunkPoints, StoredPoint
from hanax.gateway.libraries.documents import Passage
from hanax.gateway.libraries.rights import check_document, check_library, check_some
from hanax.metadata.libraries.document_rows import document_not_found
from hanax.metadata.libraries.rows import Document, Library, shown_id
from hanax.metadata.libraries.several_rows import SeveralRows, SomeChunks

Value = TypeVar("Value")

# Between a look at the registry and one at the points, documents may have changed.
_MOST_READS: Final = 5
# One message of a shard's.
_POINTS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Passages:
    """Chunks of one revision of a document."""

    document: Document
    passages: list[Passage]


class LibraryLookups:
    """Each method raises what the database raises."""

    def __init__(self, rows: SeveralRows, points: ChunkPoints) -> None:
        self._rows = rows
        self._points = points

    async def libraries(self, call: Call, ids: Sequence[str]) -> list[Library | HanaxError]:
        found = await self._rows.libraries(ids)
        return _of_libraries(call, ids, found)

    async def documents(self, call: Call, ids: Sequence[str]) -> list[Document | HanaxError]:
        check_some(call, Scope.READ)
        found = await self._rows.documents(ids)

        def find(id: str) -> Document:
            if id not in found:
                raise document_not_found(id)
            check_document(call, Scope.READ, found[id].library_id, id)
            return found[id]

        return _in_order(ids, find)

    async def document_counts(self, call: Call, library_ids: Sequence[str]) -> list[int | HanaxError]:
        return _of_libraries(call, library_ids, await self._rows.document_counts(library_ids))

    async def newest_documents(
        self, call: Call, library_ids: Sequence[str], limit: int
    ) -> list[list[Document] | HanaxError]:
        """The newest of each library, at most `limit` of it."""
        return _of_libraries(call, library_ids, await self._rows.newest_documents(library_ids, limit))

    async def passages(
        self, call: Call, document_ids: Sequence[str], wanted: tuple[int, int, bool]
    ) -> list[Passages | HanaxError]:
        """wanted: the first position, how many chunks of each document, and whether with their vectors."""
        check_some(call, Scope.READ)
        check_some(call, Scope.READ)
        offset, limit, vectors = wanted
        found: dict[str, Passages | HanaxError] = {}
        left = list(document_ids)
        for _ in range(_MOST_READS):
            rows = await self._rows.chunks(left, offset, limit)
            allowed: dict[str, SomeChunks] = {}
            for id in left:
                try:
                    if id not in rows:
                        raise document_not_found(id)
                    check_document(call, Scope.READ, rows[id].document.library_id, id)
                    allowed[id] = rows[id]
                except HanaxError as error:
                    found[id] = error
            points = await self._read(call, list(allowed.values()), vectors)
            left = []
            for id, some in allowed.items():
                if all(chunk.point_id in points for chunk in some.chunks):
                    told = [Passage(chunk, points[chunk.point_id]) for chunk in some.chunks]
                    found[id] = Passages(some.document, told)
                else:
                    left.append(id)
            if not left:
                break
        for id in left:
            found[id] = Unavailable(f"document {shown_id(id)} changes all the time")
        return [found[id] for id in document_ids]

    async def _read(self, call: Call, some: Sequence[SomeChunks], vectors: bool) -> Mapping[str, StoredPoint]:
        """All points of them, with few questions for each library."""
        libraries: dict[str, Library] = {}
        ids: dict[str, list[str]] = defaultdict(list)
        for one in some:
            libraries[one.library.id] = one.library
            ids[one.library.id] += [chunk.point_id for chunk in one.chunks]
        points: dict[str, StoredPoint] = {}
        for id, library in libraries.items():
            for first in range(0, len(ids[id]), _POINTS_AT_ONCE):
                some_ids = ids[id][first : first + _POINTS_AT_ONCE]
                points |= await self._points.read(call, library, some_ids, vectors)
        return points


def _of_libraries(call: Call, ids: Sequence[str], found: Mapping[str, Value]) -> list[Value | HanaxError]:
    """Whoever may not see a library is not told whether it is there."""

    def find(id: str) -> Value:
        check_library(call, Scope.READ, id)
        if id not in found:
            raise LibraryNotFound(f"there is no library {shown_id(id)}", library=shown_id(id))
        return found[id]

    return _in_order(ids, find)


def _in_order(ids: Sequence[str], find: Callable[[str], Value]) -> list[Value | HanaxError]:
    told: list[Value | HanaxError] = []
    for id in ids:
        try:
            told.append(find(id))
        except HanaxError as error:
            told.append(error)
    return told
