"""Documents of libraries: made, read, changed and removed, each with all its chunks at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from hanax.core.errors import DocumentExists, DocumentNotFound, HanaxError, InvalidArgument, Unavailable
from hanax.core.limits import MAX_DOCUMENT_CHUNKS
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.libraries.changes import DocumentChanges, Revised
from hanax.gateway.libraries.chunk_points import ChunkPoints, NewPoints, StoredPoint
from hanax.gateway.libraries.contents import check_metadata, encode_point, merged
from hanax.gateway.libraries.drafts import Prepared, Preparing, read_chunks, read_document
from hanax.gateway.libraries.ids import new_id, parse_id
from hanax.gateway.libraries.requests import DocumentPatch, MoreChunks, NewDocument
from hanax.gateway.libraries.rights import check_document, check_library, check_some
from hanax.gateway.models.wanted import LongTexts
from hanax.metadata.libraries.change_rows import Held, Intent
from hanax.metadata.libraries.document_rows import DocumentRows
from hanax.metadata.libraries.library_rows import LibraryRows
from hanax.metadata.libraries.rows import Chunk, Document, Library, Splice, point_id, shown_id
from hanax.metadata.pages import Place

# Between a look at the registry and one at the points, a document may have changed: not so often in a row.
_MOST_READS: Final = 5


@dataclass(frozen=True, slots=True)
class Written:
    """chunks: those that are new, by position. truncated, split: of them, read in part, or in parts."""

    document: Document
    chunks: Sequence[Chunk]
    truncated: Sequence[int] = ()
    split: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk with what it says."""

    chunk: Chunk
    point: StoredPoint


class Documents:
    """Each method raises what the database and the library's collection raise."""

    def __init__(
        self,
        libraries: LibraryRows,
        rows: DocumentRows,
        points: ChunkPoints,
        changes: DocumentChanges,
        preparing: Preparing,
        now_us: Callable[[], int],
    ) -> None:
        self._libraries = libraries
        self._rows = rows
        self._points = points
        self._changes = changes
        self._preparing = preparing
        self._now_us = now_us

    async def create(self, call: Call, library_id: str, request: NewDocument) -> Written:
        """Raises LibraryNotFound, DocumentExists, ChunkExists, an InvalidArgument, what embedding raises."""
        check_library(call, Scope.WRITE, library_id)
        library = await self._libraries.get(library_id)
        document_id = new_id() if request.id is None else parse_id(request.id, "id")
        metadata = check_metadata(request.metadata, "metadata")
        if request.id is not None:
            await self._check_new(document_id)
        found = await read_document(request, library, self._points.route(library).spec)
        drafts, rule = found if found is not None else ([], None)
        prepared = await self._prepare(call, library, drafts, request.long_texts)

        async def revise(held: Held) -> Revised:
            now = self._now_us()
            document = Document(
                document_id, library_id, request.title, metadata, rule, len(drafts), 1, now, now
            )
            return await asyncio.to_thread(_replaced, held, document, prepared)

        intent = Intent(new_id(), library_id, document_id, is_new=True, points=len(drafts))
        return _written(await self._changes.make(call, "create_document", intent, revise), prepared)

    async def get(self, call: Call, document_id: str) -> Document:
        """Raises DocumentNotFound."""
        check_some(call, Scope.READ)
        document = await self._rows.get(document_id)
        check_document(call, Scope.READ, document.library_id, document_id)
        return document

    async def page(self, call: Call, library_id: str, limit: int, after: Place | None) -> list[Document]:
        """The newest first. Raises LibraryNotFound."""
        check_library(call, Scope.READ, library_id)
        return await self._rows.page(library_id, limit, after)

    async def passages(
        self, call: Call, document_id: str, offset: int, limit: int, vectors: bool
    ) -> tuple[Document, list[Passage]]:
        """Chunks by position, all of one revision of the document. Raises DocumentNotFound."""
        check_some(call, Scope.READ)
        for _ in range(_MOST_READS):
            library, document, chunks = await self._rows.chunks(document_id, offset, limit)
            check_document(call, Scope.READ, library.id, document_id)
            found = await self._points.read(call, library, [chunk.point_id for chunk in chunks], vectors)
            if len(found) == len(chunks):
                return document, [Passage(chunk, found[chunk.point_id]) for chunk in chunks]
        raise Unavailable(f"document {shown_id(document_id)} changes all the time")

    async def change(
        self, call: Call, document_id: str, request: DocumentPatch, if_revision: int | None
    ) -> Written:
        """Raises DocumentNotFound, RevisionConflict, DocumentBusy, and what `create` raises."""
        if not request.model_fields_set - {"long_texts"}:
            raise InvalidArgument("expected at least one of: title, metadata, chunks, text")
        check_some(call, Scope.WRITE)
        before = await self._rows.get(document_id)
        check_document(call, Scope.WRITE, before.library_id, document_id)
        library = await self._libraries.get(before.library_id)
        patch = None if request.metadata is None else check_metadata(request.metadata, "metadata")
        found = await read_document(request, library, self._points.route(library).spec)
        prepared = None
        if found is not None:
            prepared = await self._prepare(call, library, found[0], request.long_texts)

        async def revise(held: Held) -> Revised:
            document = _existing(held)
            values: dict[str, Any] = {"title": document.title, "metadata": document.metadata}
            if request.title is not None:
                values["title"] = request.title
            if patch is not None:
                values["metadata"] = check_metadata(merged(document.metadata, patch), "metadata")
            document = self._next(document, **values)
            if prepared is None or found is None:
                return await self._rewritten(call, held, document)
            document = replace(document, chunks=len(prepared.drafts), chunking=found[1])
            return await asyncio.to_thread(_replaced, held, document, prepared)

        points = None if prepared is None else len(prepared.drafts)
        intent = Intent(new_id(), library.id, document_id, False, points, if_revision, reads=None)
        return _written(await self._changes.make(call, "update_document", intent, revise), prepared)

    async def delete(self, call: Call, document_id: str, if_revision: int | None) -> None:
        """With all its chunks. Raises DocumentNotFound, RevisionConflict, DocumentBusy."""
        check_some(call, Scope.WRITE)
        before = await self._rows.get(document_id)
        check_document(call, Scope.WRITE, before.library_id, document_id)

        async def revise(held: Held) -> Revised:
            return Revised(None, Splice(0, _existing(held).chunks, []))

        intent = Intent(new_id(), before.library_id, document_id, False, 0, if_revision)
        await self._changes.make(call, "delete_document", intent, revise)

    async def add(
        self, call: Call, document_id: str, request: MoreChunks, if_revision: int | None
    ) -> Written:
        """Chunks between those that are there. Raises what `change` raises."""
        check_some(call, Scope.WRITE)
        before = await self._rows.get(document_id)
        check_document(call, Scope.WRITE, before.library_id, document_id)
        library = await self._libraries.get(before.library_id)
        spec = self._points.route(library).spec
        drafts = await asyncio.to_thread(read_chunks, request.chunks, library, spec)
        if not drafts:
            raise InvalidArgument("chunks: expected one or more")
        prepared = await self._prepare(call, library, drafts, request.long_texts)

        async def revise(held: Held) -> Revised:
            document = _existing(held)
            position = document.chunks if request.position is None else request.position
            if position > document.chunks:
                raise InvalidArgument(f"position: the document has {document.chunks} chunks, got {position}")
            if document.chunks + len(drafts) > MAX_DOCUMENT_CHUNKS:
                raise InvalidArgument(
                    f"a document has at most {MAX_DOCUMENT_CHUNKS} chunks, this one would have "
                    f"{document.chunks + len(drafts)}",
                    limit=MAX_DOCUMENT_CHUNKS,
                )
            document = self._next(document, chunks=document.chunks + len(drafts))
            return await asyncio.to_thread(_spliced, held, document, Splice(position, 0, []), prepared)

        intent = Intent(new_id(), library.id, document_id, False, len(drafts), if_revision)
        return _written(await self._changes.make(call, "add_chunks", intent, revise), prepared)

    async def _check_new(self, document_id: str) -> None:
        """Before its texts are embedded. Raises DocumentExists."""
        try:
            found = await self._rows.get(document_id)
        except DocumentNotFound:
            return
        raise DocumentExists(
            f"there is a document {shown_id(document_id)} already",
            document=shown_id(document_id),
            library=shown_id(found.library_id),
        )

    async def _prepare(
        self, call: Call, library: Library, drafts: Sequence[Any], long_texts: str
    ) -> Prepared:
        spec = self._points.route(library).spec
        return await self._preparing.prepare(call, drafts, spec, LongTexts(long_texts))

    async def _rewritten(self, call: Call, held: Held, document: Document) -> Revised:
        """The same chunks under another title or other metadata, which their points have, too."""
        found = await self._points.read(
            call, held.library, [chunk.point_id for chunk in held.chunks], vectors=True
        )
        if len(found) != len(held.chunks):
            raise Unavailable(f"points of document {shown_id(document.id)} are not there")
        return await asyncio.to_thread(_retold, held, document, found)

    def _next(self, document: Document, **values: Any) -> Document:
        """The next revision of a document."""
        return replace(document, **values, revision=document.revision + 1, updated_at_us=self._now_us())


def _existing(held: Held) -> Document:
    assert held.document is not None, "a change of a document that must be there"
    return held.document


def _retold(held: Held, document: Document, found: Mapping[str, StoredPoint]) -> Revised:
    """All chunks of the document as they are, in points that tell the document as it shall be."""
    chunks: list[Chunk] = []
    metadata: list[bytes] = []
    vectors = np.empty((len(held.chunks), held.library.dimension), np.float32)
    for place, chunk in enumerate(held.chunks):
        point = found[chunk.point_id]
        stored = point.stored
        vectors[place] = point.vector
        metadata.append(encode_point(stored.content, chunk.id, document, held.change.id, stored.provenance))
        chunks.append(replace(chunk, point_id=point_id(held.change.id, place), change_id=held.change.id))
    points = NewPoints([chunk.point_id for chunk in chunks], metadata, vectors)
    return Revised(document, Splice(0, len(chunks), chunks), points if chunks else None)


def _replaced(held: Held, document: Document, prepared: Prepared) -> Revised:
    """All chunks of the document by others. A chunk that was there keeps when it was made."""
    removed = 0 if held.document is None else held.document.chunks
    return _spliced(held, document, Splice(0, removed, held.chunks), prepared)


def _spliced(held: Held, document: Document, old: Splice, prepared: Prepared) -> Revised:
    """`old`: what is replaced, with its chunks; where nothing is, the place of the new ones."""
    before = {chunk.id: chunk for chunk in old.chunks}
    chunks: list[Chunk] = []
    metadata: list[bytes] = []
    for place, draft in enumerate(prepared.drafts):
        chunk = Chunk(
            id=draft.id or new_id(),
            document_id=document.id,
            library_id=document.library_id,
            position=old.start + place,
            point_id=point_id(held.change.id, place),
            change_id=held.change.id,
            revision=1,
            created_at_us=document.updated_at_us,
            updated_at_us=document.updated_at_us,
        )
        if (known := before.get(chunk.id)) is not None:
            chunk = replace(chunk, revision=known.revision + 1, created_at_us=known.created_at_us)
        chunks.append(chunk)
        provenance = prepared.provenance[place]
        try:
            metadata.append(encode_point(draft.content, chunk.id, document, held.change.id, provenance))
        except HanaxError as error:
            raise type(error)(f"chunks[{place}]: {error.message}", **error.details, index=place) from None
    points = NewPoints([chunk.point_id for chunk in chunks], metadata, prepared.vectors)
    return Revised(document, Splice(old.start, old.removed, chunks), points if chunks else None)


def _written(revised: Revised, prepared: Prepared | None) -> Written:
    assert revised.document is not None, "what was written is there"
    if prepared is None:
        return Written(revised.document, [])
    return Written(revised.document, revised.splice.chunks, prepared.truncated, prepared.split)
