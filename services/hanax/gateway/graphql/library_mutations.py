"""Mutations of libraries and documents."""

from __future__ import annotations

from typing import Annotated, Any, Final

import strawberry

from hanax.gateway.graphql import inputs
from hanax.gateway.graphql.context import Info
from hanax.gateway.graphql.cost import Cost
from hanax.gateway.graphql.fields import answers
from hanax.gateway.graphql.inputs import Told
from hanax.gateway.graphql.types import TYPES
from hanax.gateway.libraries.ids import parse_id
from hanax.gateway.libraries.requests import (
    ChunkPatch,
    DocumentPatch,
    IndexRequest,
    LibraryPatch,
    MoreChunks,
    NewDocument,
    NewLibrary,
)
from hanax.gateway.renderings.libraries import render_index, render_library, render_passage, render_written
from hanax.gateway.requests import parse_request

_WRITE: Final = Cost(weight=100)
_DECLARE: Final = Cost(weight=500)


@strawberry.type
class LibraryMutations:
    @answers(TYPES.libraries.library, "Create a library, ready for documents on return", _DECLARE)
    async def create_library(self, info: Info, input: Annotated[Told, inputs.LIBRARY]) -> Any:
        asked = parse_request(NewLibrary, input)
        async with info.context.part("createLibrary") as call:
            return render_library(await info.context.libraries.libraries.create(call, asked))

    @answers(
        TYPES.libraries.library,
        "Change a library's name or metadata, where it has the revision, if one is given",
        _WRITE,
    )
    async def update_library(
        self,
        info: Info,
        id: strawberry.ID,
        input: Annotated[Told, inputs.LIBRARY_CHANGE],
        if_revision: int | None = None,
    ) -> Any:
        library_id = parse_id(id, "library_id")
        asked = parse_request(LibraryPatch, input)
        async with info.context.part("updateLibrary") as call:
            room = info.context.libraries
            return render_library(await room.libraries.change(call, library_id, asked, if_revision))

    @answers(TYPES.libraries.index, "Choose how a library is searched; built in the background", _DECLARE)
    async def build_library_index(
        self, info: Info, id: strawberry.ID, input: Annotated[Told, inputs.LIBRARY_INDEX]
    ) -> Any:
        asked = parse_request(IndexRequest, input)
        library_id = parse_id(id, "library_id")
        async with info.context.part("buildLibraryIndex") as call:
            return render_index(await info.context.libraries.indexes.build(call, library_id, asked))

    @answers(bool, "Delete a library and all its documents; true on return", _DECLARE)
    async def delete_library(self, info: Info, id: strawberry.ID, if_revision: int | None = None) -> Any:
        async with info.context.part("deleteLibrary") as call:
            room = info.context.libraries
            await room.libraries.delete(call, parse_id(id, "library_id"), if_revision)
            return True

    @answers(TYPES.libraries.written, "Store a document with all its chunks, or none of it", _WRITE)
    async def create_document(
        self, info: Info, library_id: strawberry.ID, input: Annotated[Told, inputs.DOCUMENT]
    ) -> Any:
        asked = parse_request(NewDocument, input)
        id = parse_id(library_id, "library_id")
        async with info.context.part("createDocument") as call:
            return render_written(await info.context.libraries.documents.create(call, id, asked))

    @answers(
        TYPES.libraries.written,
        "Change what is given; chunks or text replace all chunks, at one moment",
        _WRITE,
    )
    async def update_document(
        self,
        info: Info,
        id: strawberry.ID,
        input: Annotated[Told, inputs.DOCUMENT_CHANGE],
        if_revision: int | None = None,
    ) -> Any:
        asked = parse_request(DocumentPatch, input)
        document_id = parse_id(id, "document_id")
        async with info.context.part("updateDocument") as call:
            documents = info.context.libraries.documents
            return render_written(await documents.change(call, document_id, asked, if_revision))

    @answers(bool, "Delete a document with all its chunks; true on return", _WRITE)
    async def delete_document(self, info: Info, id: strawberry.ID, if_revision: int | None = None) -> Any:
        async with info.context.part("deleteDocument") as call:
            documents = info.context.libraries.documents
            await documents.delete(call, parse_id(id, "document_id"), if_revision)
            return True

    @answers(
        TYPES.libraries.written, "Put more chunks into a document, behind its last or at a position", _WRITE
    )
    async def add_chunks(
        self,
        info: Info,
        document_id: strawberry.ID,
        input: Annotated[Told, inputs.CHUNKS],
        if_revision: int | None = None,
    ) -> Any:
        asked = parse_request(MoreChunks, input)
        id = parse_id(document_id, "document_id")
        async with info.context.part("addChunks") as call:
            documents = info.context.libraries.documents
            return render_written(await documents.add(call, id, asked, if_revision))

    @answers(
        TYPES.libraries.chunk, "Change a chunk; a new text is embedded, unless it brings a vector", _WRITE
    )
    async def update_chunk(
        self,
        info: Info,
        id: strawberry.ID,
        input: Annotated[Told, inputs.CHUNK_CHANGE],
        if_revision: int | None = None,
    ) -> Any:
        asked = parse_request(ChunkPatch, input)
        chunk_id = parse_id(id, "chunk_id")
        async with info.context.part("updateChunk") as call:
            passages = info.context.libraries.passages
            changed = await passages.change(call, chunk_id, asked, if_revision)
        return render_passage(changed, False)

    @answers(bool, "Delete a chunk; true on return", _WRITE)
    async def delete_chunk(self, info: Info, id: strawberry.ID, if_revision: int | None = None) -> Any:
        async with info.context.part("deleteChunk") as call:
            passages = info.context.libraries.passages
            await passages.delete(call, parse_id(id, "chunk_id"), if_revision)
            return True
