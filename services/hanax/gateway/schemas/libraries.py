"""What answers about libraries look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hanax.gateway.schemas.envelopes import NextCursor
from hanax.gateway.schemas.points import Provenance

Revision = Annotated[int, Field(description="grows with every change; the ETag, which If-Match takes")]


class LibraryError(BaseModel):
    type: Annotated[str, Field(examples=["DocumentNotFound"])]
    message: str
    path: Annotated[str, Field(description="that was asked for")]
    code: Annotated[str, Field(description="stable; match on this", examples=["document_not_found"])]
    details: Annotated[
        dict[str, Any],
        Field(description="for programs; `errors` has every wrong field", examples=[{"errors": []}]),
    ]


class LibraryErrorBody(BaseModel):
    """Every refusal on routes of libraries."""

    error: LibraryError


class LibraryInfo(BaseModel):
    id: str
    name: str
    metadata: dict[str, Any]
    model: Annotated[str | None, Field(description="that embeds texts; null: vectors are brought")]
    dimension: int
    metric: str
    index_type: Annotated[str | None, Field(description="null: none was asked for, and it can't be queried")]
    revision: Revision
    created_at: datetime
    updated_at: datetime


class LibraryDescription(LibraryInfo):
    document_count: int


class LibraryPage(BaseModel):
    libraries: list[LibraryInfo]
    next_cursor: NextCursor


class LibraryIndex(BaseModel):
    type: str | None
    state: Annotated[
        Literal["not_built", "building", "built", "failed", "unknown"],
        Field(
            description="not_built: none was asked for; building: the one before serves, or every vector is "
            "compared; failed: a part could not be built, and is compared in full; unknown: a shard is away"
        ),
    ]
    parameters: dict[str, Any]
    target_recall: float | None
    segments: Annotated[dict[str, int], Field(description="parts of the library, by state")]
    unsealed_chunks: Annotated[int, Field(description="in no part yet: compared one by one")]
    recall: Annotated[float | None, Field(description="measured when built; null: every answer is exact")]
    reason: Annotated[str | None, Field(description="why a part could not be built")]


class DocumentInfo(BaseModel):
    id: str
    library_id: str
    title: str
    metadata: dict[str, Any]
    chunking: Annotated[dict[str, Any] | None, Field(description="the rule that divided it; null: none did")]
    chunk_count: int
    revision: Revision
    created_at: datetime
    updated_at: datetime


class DocumentWritten(DocumentInfo):
    chunk_ids: Annotated[list[str], Field(description="of the chunks that are new, in order")]
    truncated: Annotated[list[str], Field(description="of them, those the model read in part")]
    split: Annotated[list[str], Field(description="of them, those the model read in parts")]


class DocumentPage(BaseModel):
    documents: list[DocumentInfo]
    next_cursor: NextCursor


class Chunk(BaseModel):
    id: str
    document_id: str
    library_id: str
    position: Annotated[int, Field(description="in its document, from 0")]
    revision: Revision
    text: str
    metadata: dict[str, Any]
    headings: Annotated[list[str], Field(description="of the section it is from, the outermost first")]
    start: Annotated[int | None, Field(description="of its characters in the text that was divided")]
    end: int | None
    provenance: Annotated[Provenance | None, Field(description="null: its embedding was brought")]
    created_at: datetime
    updated_at: datetime
    embedding: Annotated[list[float] | None, Field(description="if asked for")] = None


class ChunkPage(BaseModel):
    """All chunks of one page are of one revision of the document."""

    document: DocumentInfo
    chunks: list[Chunk]
    next_cursor: NextCursor
    next_offset: Annotated[int | None, Field(description="position of the next one; null on the last page")]


class ResultDocument(BaseModel):
    id: str
    title: str
    metadata: dict[str, Any]


class QueryResult(BaseModel):
    id: Annotated[str, Field(description="of the chunk")]
    document_id: str
    library_id: str
    position: int
    revision: Revision
    score: Annotated[float, Field(description="larger is nearer")]
    rerank_score: Annotated[float | None, Field(description="of a cross_encoder; results fall by it")] = None
    text: str
    metadata: dict[str, Any]
    headings: list[str]
    start: int | None
    end: int | None
    document: ResultDocument
    embedding: list[float] | None = None


class QueryStep(BaseModel):
    step: Literal["embed", "retrieve", "rerank"]
    tries: int
    seconds: float
    outcome: Annotated[str, Field(description="done, or the code of the last error")]
    skipped: Annotated[bool, Field(description="it failed, and the query went on without it")]


class QueryResults(BaseModel):
    results: list[QueryResult]
    truncated: Annotated[bool, Field(description="the model read the text in part")]
    steps: list[QueryStep]
