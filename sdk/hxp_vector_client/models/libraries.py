"""Libraries, their documents and chunks, and what queries find."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from hxp_vector_client.arrays import VectorField
from hxp_vector_client.models.base import Model
from hxp_vector_client.models.points import Provenance


class Library(Model):
    """index_type: None: none was asked for, and it can't be queried. document_count: told by get."""

    id: str
    name: str
    metadata: dict[str, Any]
    model: str | None = None
    dimension: int
    metric: str
    index_type: str | None = None
    revision: int
    created_at: datetime
    updated_at: datetime
    document_count: int | None = None


class LibraryPage(Model):
    libraries: list[Library]
    next_cursor: str | None = None


class LibraryIndex(Model):
    """state: not_built, building, built, failed or unknown."""

    type: str | None = None
    state: str
    parameters: dict[str, Any] = {}
    target_recall: float | None = None
    segments: dict[str, int] = {}
    unsealed_chunks: int = 0
    recall: float | None = None
    reason: str | None = None


class Document(Model):
    """chunk_ids, truncated, split: told by what writes chunks, of those that are new."""

    id: str
    library_id: str
    title: str
    metadata: dict[str, Any]
    chunking: dict[str, Any] | None = None
    chunk_count: int
    revision: int
    created_at: datetime
    updated_at: datetime
    chunk_ids: list[str] = []
    truncated: list[str] = []
    split: list[str] = []


class DocumentPage(Model):
    documents: list[Document]
    next_cursor: str | None = None


class Chunk(Model):
    """position: in its document, from 0. start, end: of its characters in the text that was divided."""

    id: str
    document_id: str
    library_id: str
    position: int
    revision: int
    text: str
    metadata: dict[str, Any]
    headings: list[str] = []
    start: int | None = None
    end: int | None = None
    provenance: Provenance | None = None
    created_at: datetime
    updated_at: datetime
    embedding: VectorField | None = None


class ChunkPage(Model):
    document: Document
    chunks: list[Chunk]
    next_offset: int | None = None


class ResultDocument(Model):
    id: str
    title: str
    metadata: dict[str, Any]


class QueryResult(Model):
    """id: of the chunk. rerank_score: of a cross-encoder; results fall by it."""

    id: str
    document_id: str
    library_id: str
    position: int
    revision: int
    score: float
    rerank_score: float | None = None
    text: str
    metadata: dict[str, Any]
    headings: list[str] = []
    start: int | None = None
    end: int | None = None
    document: ResultDocument
    embedding: VectorField | None = None


class QueryStep(Model):
    step: str
    tries: int
    seconds: float
    outcome: str
    skipped: bool


class QueryResults(Model):
    """Best first. A sequence of results."""

    results: list[QueryResult]
    truncated: bool = False
    steps: list[QueryStep] = []

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, place: int) -> QueryResult:
        return self.results[place]

    def __iter__(self) -> Iterator[QueryResult]:  # type: ignore[override]
        return iter(self.results)
