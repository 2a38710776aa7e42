"""One chunk at a time: read, changed and removed; each change is one of its document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from hanax.core.errors import InvalidArgument, Unavailable
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.libraries.changes import DocumentChanges, Revised
from hanax.gateway.libraries.chunk_points import ChunkPoints, NewPoints, StoredPoint
from hanax.gateway.libraries.contents import (
    Content,
    check_chunk_metadata,
    encode_point,
    merged,
)
from hanax.gateway.libraries.documents import Passage
from hanax.gateway.libraries.drafts import Draft, Prepared, Preparing, read_text, read_vector
from hanax.gateway.libraries.ids import new_id
from hanax.gateway.libraries.requests import ChunkPatch
from hanax.gateway.libraries.rights import check_chunk, check_some
from hanax.gateway.models.wanted import LongTexts
from hanax.gateway.vectors import Matrix
from hanax.metadata.libraries.change_rows import Held, Intent
from hanax.metadata.libraries.document_rows import DocumentRows, chunk_not_found
from hanax.metadata.libraries.library_rows import check_revision
from hanax.metadata.libraries.rows import Chunk, Document, Library, Splice, point_id, shown_id

_MOST_READS: Final = 5


@dataclass(frozen=True, slots=True)
class _New:
    """What a patch brings. metadata: a patch, too. vector: float32[1, dimension] of the text, or alone."""

    text: str | None
    metadata: dict[str, Any] | None
    vector: Matrix | None
    provenance: bytes | None


class Passages:
    """Each method raises ChunkNotFound, and what the database and the library's collection raise."""

    def __init__(
        self,
        rows: DocumentRows,
        points: ChunkPoints,
        changes: DocumentChanges,
        preparing: Preparing,
        now_us: Callable[[], int],
    ) -> None:
        self._rows = rows
        self._points = points
        self._changes = changes
        self._preparing = preparing
        self._now_us = now_us

    async def get(self, call: Call, chunk_id: str, vectors: bool) -> Passage:
        check_some(call, Scope.READ)
        for _ in range(_MOST_READS):
            library, chunk = await self._rows.chunk(chunk_id)
            check_chunk(call, Scope.READ, library.id, chunk_id)
            found = await self._points.read(call, library, [chunk.point_id], vectors)
            if found:
                return Passage(chunk, found[chunk.point_id])
        raise Unavailable(f"chunk {shown_id(chunk_id)} changes all the time")

    async def change(
        self, call: Call, chunk_id: str, request: ChunkPatch, if_revision: int | None
    ) -> Passage:
        """Raises RevisionConflict, DocumentBusy, an InvalidArgument, what embedding raises."""
        if not request.model_fields_set - {"long_texts"}:
            raise InvalidArgument("expected at least one of: text, embedding, metadata")
        check_some(call, Scope.WRITE)
        library, before = await self._rows.chunk(chunk_id)
        check_chunk(call, Scope.WRITE, library.id, chunk_id)
        new = await self._read(call, library, request)
        passages: list[Passage] = []

        async def revise(held: Held) -> Revised:
            chunk, document = self._meant(held, chunk_id, if_revision)
            found = await self._points.read(call, held.library, [chunk.point_id], vectors=True)
            if not found:
                raise Unavailable(f"the point of chunk {shown_id(chunk_id)} is not there")
            point = _patched(found[chunk.point_id], new)
            chunk = replace(
                chunk,
                point_id=point_id(held.change.id, 0),
                change_id=held.change.id,
                revision=chunk.revision + 1,
                updated_at_us=document.updated_at_us,
            )
            stored = point.stored
            raw = encode_point(stored.content, chunk.id, document, held.change.id, stored.provenance)
            passages[:] = [Passage(chunk, point)]
            assert point.vector is not None, "the point was read with its vector"
            points = NewPoints([chunk.point_id], [raw], point.vector[None, :])
            return Revised(document, Splice(chunk.position, 1, [chunk]), points)

        intent = Intent(new_id(), library.id, before.document_id, False, 1, reads=[chunk_id])
        await self._changes.make(call, "update_chunk", intent, revise)
        return passages[0]

    async def delete(self, call: Call, chunk_id: str, if_revision: int | None) -> None:
        """Those behind it move up. Raises RevisionConflict, DocumentBusy."""
        check_some(call, Scope.WRITE)
        library, before = await self._rows.chunk(chunk_id)
        check_chunk(call, Scope.WRITE, library.id, chunk_id)

        async def revise(held: Held) -> Revised:
            chunk, document = self._meant(held, chunk_id, if_revision)
            document = replace(document, chunks=document.chunks - 1)
            return Revised(document, Splice(chunk.position, 1, []))

        intent = Intent(new_id(), library.id, before.document_id, False, 0, reads=[chunk_id])
        await self._changes.make(call, "delete_chunk", intent, revise)

    def _meant(self, held: Held, chunk_id: str, if_revision: int | None) -> tuple[Chunk, Document]:
        """The chunk as it is, and the next revision of its document."""
        if not held.chunks or held.document is None:
            raise chunk_not_found(chunk_id)
        check_revision("chunk", chunk_id, held.chunks[0].revision, if_revision)
        document = held.document
        return held.chunks[0], replace(document, revision=document.revision + 1, updated_at_us=self._now_us())

    async def _read(self, call: Call, library: Library, request: ChunkPatch) -> _New:
        spec = self._points.route(library).spec
        text = None if request.text is None else read_text(request.text, "text")
        metadata = None
        if request.metadata is not None:
            metadata = check_chunk_metadata(request.metadata, "metadata")
        if request.embedding is not None:
            return _New(text, metadata, read_vector(request.embedding, "embedding", library, spec), None)
        if text is None:
            return _New(text, metadata, None, None)
        draft = Draft(None, Content(text, {}), None)
        made: Prepared = await self._preparing.prepare(call, [draft], spec, LongTexts(request.long_texts))
        return _New(text, metadata, made.vectors, made.provenance[0])


def _patched(point: StoredPoint, new: _New) -> StoredPoint:
    """A text that is another has no place in the text that was divided once. Raises an InvalidArgument."""
    stored, content = point.stored, point.stored.content
    if new.text is not None and new.text != content.text:
        content = replace(content, text=new.text, start=None, end=None)
    if new.metadata is not None:
        content = replace(
            content, metadata=check_chunk_metadata(merged(content.metadata, new.metadata), "metadata")
        )
    stored = replace(stored, content=content)
    if new.vector is None:
        return StoredPoint(stored, point.vector)
    return StoredPoint(replace(stored, provenance=new.provenance), new.vector[0])
