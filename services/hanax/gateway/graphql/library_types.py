"""Libraries, documents and chunks in the schema. Below a list they are fetched by loaders."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from strawberry import Parent

from hanax.gateway.graphql.context import Info
from hanax.gateway.graphql.cost import Cost, ListSize
from hanax.gateway.graphql.inputs import LIBRARY_QUERY, Told
from hanax.gateway.graphql.points import entries, provenance_field, vector_field
from hanax.gateway.graphql.selection import asks_for
from hanax.gateway.graphql.shapes import Shapes, list_of, optional_of
from hanax.gateway.libraries.ids import parse_id
from hanax.gateway.libraries.pages import cut_page, read_cursor
from hanax.gateway.libraries.query_requests import QueryRequest
from hanax.gateway.list_requests import ChunkPageRequest, PageRequest
from hanax.gateway.renderings.libraries import render_answer, render_document, render_index, render_passage
from hanax.gateway.requests import parse_request
from hanax.gateway.schemas import libraries as schemas

Root = Parent[dict[str, Any]]


async def _document_count(root: Root, info: Info) -> int:
    return await info.context.loaders.document_counts.load(parse_id(root["id"], "id"))


async def _documents(root: Root, info: Info, limit: int = 100, cursor: str | None = None) -> Any:
    """The newest first."""
    id = parse_id(root["id"], "id")
    asked = parse_request(PageRequest, {"limit": limit, "cursor": cursor})
    after = read_cursor(asked.cursor, id)
    if after is None:
        found = await info.context.loaders.newest_documents.load((id, limit + 1))
    else:
        async with info.context.part("Library.documents") as call:
            found = await info.context.libraries.documents.page(call, id, limit + 1, after)
    page, following = cut_page(found, limit, id)
    return {"documents": [render_document(one) for one in page], "next_cursor": following}


async def _index(root: Root, info: Info) -> Any:
    """How far the library's index is built."""
    async with info.context.part("Library.index") as call:
        id = parse_id(root["id"], "id")
        return render_index(await info.context.libraries.indexes.status(call, id))


async def _chunks(root: Root, info: Info, offset: int = 0, limit: int = 100) -> Any:
    """Chunks by position, all of one revision of the document."""
    asked = parse_request(ChunkPageRequest, {"offset": offset, "limit": limit})
    vectors = asks_for(info, "chunks", "embedding")
    key = (parse_id(root["id"], "id"), (asked.offset, asked.limit, vectors))
    found = await info.context.loaders.passages.load(key)
    after = asked.offset + len(found.passages)
    return {
        "document": render_document(found.document),
        "chunks": [render_passage(one, vectors) for one in found.passages],
        "next_offset": after if found.passages and after < found.document.chunks else None,
    }


async def _query(root: Root, info: Info, input: Annotated[Told, LIBRARY_QUERY]) -> Any:
    """The chunks that are nearest to a text or a vector, with their documents, best first."""
    vectors = asks_for(info, "results", "embedding")
    asked = parse_request(QueryRequest, {**input, "include_embeddings": vectors})
    async with info.context.part("Library.query") as call:
        id = parse_id(root["id"], "id")
        answer = await info.context.libraries.queries.query(call, id, asked)
    return render_answer(answer, vectors)


class LibraryTypes:
    def __init__(self, shapes: Shapes) -> None:
        embedding = vector_field("embedding", "the chunk's vector")
        self.chunk = shapes.object(
            schemas.Chunk, "Chunk", embedding=embedding, provenance=provenance_field(shapes)
        )
        # A page tells the document as it was when its chunks were read.
        document_of_page = shapes.object(schemas.DocumentInfo, "DocumentRevision")
        page = shapes.object(
            schemas.ChunkPage,
            "ChunkPage",
            without=["next_cursor"],
            document=document_of_page,
            # Texts of up to ten thousand characters.
            chunks=entries("chunks", self.chunk, 5),
        )
        chunks = strawberry.field(
            _chunks,
            graphql_type=optional_of(page),
            directives=[
                Cost(weight=10),
                ListSize(slicing_arguments=["limit"], sized_fields=["chunks"], assumed_size=100),
            ],
        )
        self.document = shapes.object(schemas.DocumentInfo, "Document", chunks=chunks)
        self.written = shapes.object(schemas.DocumentWritten, "DocumentWritten")
        documents = shapes.object(schemas.DocumentPage, "DocumentPage")
        self.index = shapes.object(schemas.LibraryIndex, "LibraryIndex")
        result = vector_field("embedding", "the chunk's vector")
        shapes.object(schemas.QueryResult, "LibraryResult", embedding=result)
        self.results = shapes.object(schemas.QueryResults, "LibraryResults")
        self.library = shapes.object(
            schemas.LibraryInfo,
            "Library",
            document_count=strawberry.field(
                _document_count, description="how many documents it has", directives=[Cost(weight=2)]
            ),
            documents=strawberry.field(
                _documents,
                description="the newest first",
                graphql_type=optional_of(documents),
                directives=[
                    Cost(weight=10),
                    ListSize(slicing_arguments=["limit"], sized_fields=["documents"], assumed_size=100),
                ],
            ),
            index=strawberry.field(
                _index, graphql_type=optional_of(self.index), directives=[Cost(weight=10)]
            ),
            query=strawberry.field(
                _query,
                description="chunks that are nearest to a text or a vector",
                graphql_type=optional_of(self.results),
                directives=[
                    Cost(weight=100),
                    ListSize(slicing_arguments=["input.k"], sized_fields=["results"], assumed_size=10),
                ],
            ),
        )
        self.page = shapes.object(schemas.LibraryPage, "LibraryPage", libraries=list_of(self.library))
