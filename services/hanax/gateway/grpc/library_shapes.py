"""Libraries, documents and chunks in messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from citadel.vector.v1 import libraries_pb2 as pb
from citadel.vector.v1 import vector_pb2
from hanax.gateway.grpc.readings import read_message
from hanax.gateway.grpc.vectors import read_vector
from hanax.gateway.grpc.words import METRIC
from hanax.gateway.libraries.contents import Content
from hanax.gateway.libraries.documents import Passage, Written
from hanax.gateway.libraries.indexes import IndexStatus
from hanax.gateway.libraries.queries import Result
from hanax.gateway.libraries.steps import StepTold
from hanax.gateway.vectors import float32_le
from hanax.metadata.libraries.rows import Chunk, Document, Library, shown_id


def read_chunks(chunks: Sequence[pb.NewChunk]) -> list[dict[str, Any]]:
    """As over REST."""
    told = []
    for place, chunk in enumerate(chunks):
        one = {**read_message(chunk, without=("vector",)), "text": chunk.text}
        if chunk.HasField("vector"):
            one["embedding"] = read_vector(chunk.vector, f"chunks[{place}].embedding")
        told.append(one)
    return told


def read_revision(question: Any) -> int | None:
    """None: any."""
    return question.if_revision if question.HasField("if_revision") else None


def write_library(library: Library) -> pb.Library:
    return pb.Library(
        id=shown_id(library.id),
        name=library.name or "",
        metadata_json=orjson.dumps(library.metadata),
        model=library.model or "",
        dimension=library.dimension,
        metric=METRIC.write(library.metric),
        index_type=library.index_type or "",
        revision=library.revision,
        created_at_us=library.created_at_us,
        updated_at_us=library.updated_at_us,
    )


def write_index(status: IndexStatus) -> pb.LibraryIndex:
    return pb.LibraryIndex(
        type=status.type or "",
        state=status.state,
        parameters_json=orjson.dumps(status.parameters),
        target_recall=status.target_recall,
        segments=status.segments,
        unsealed_chunks=status.unsealed,
        recall=status.recall,
        reason=status.reason or "",
    )


def write_document(document: Document) -> pb.Document:
    return pb.Document(
        id=shown_id(document.id),
        library_id=shown_id(document.library_id),
        title=document.title,
        metadata_json=orjson.dumps(document.metadata),
        chunking_json=b"" if document.chunking is None else orjson.dumps(document.chunking),
        chunk_count=document.chunks,
        revision=document.revision,
        created_at_us=document.created_at_us,
        updated_at_us=document.updated_at_us,
    )


def write_written(written: Written) -> pb.DocumentWritten:
    ids = [shown_id(chunk.id) for chunk in written.chunks]
    return pb.DocumentWritten(
        document=write_document(written.document),
        chunk_ids=ids,
        truncated=[ids[place] for place in written.truncated],
        split=[ids[place] for place in written.split],
    )


def write_passage(passage: Passage, vectors: bool) -> pb.Chunk:
    stored = passage.point.stored
    told = _chunk(passage.chunk, stored.content)
    told.provenance_json = stored.provenance or b""
    told.created_at_us = passage.chunk.created_at_us
    told.updated_at_us = passage.chunk.updated_at_us
    if vectors:
        _add_vector(told, passage.point.vector)
    return told


def write_result(result: Result, vectors: bool) -> pb.QueryResult:
    chunk = _chunk(result.chunk, result.stored.content)
    if vectors:
        _add_vector(chunk, result.vector)
    return pb.QueryResult(
        chunk=chunk,
        score=result.score,
        rerank_score=result.rerank_score,
        document_json=orjson.dumps(result.stored.document),
    )


def write_step(step: StepTold) -> pb.QueryStep:
    return pb.QueryStep(
        step=step.name, tries=step.tries, seconds=step.seconds, outcome=step.outcome, skipped=step.skipped
    )


def _chunk(chunk: Chunk, content: Content) -> pb.Chunk:
    return pb.Chunk(
        id=shown_id(chunk.id),
        document_id=shown_id(chunk.document_id),
        library_id=shown_id(chunk.library_id),
        position=chunk.position,
        revision=chunk.revision,
        text=content.text,
        metadata_json=orjson.dumps(content.metadata),
        headings=content.headings,
        start=content.start,
        end=content.end,
    )


def _add_vector(told: pb.Chunk, vector: Any) -> None:
    if vector is not None:
        told.vector.CopyFrom(vector_pb2.Vector(float32_le=float32_le(vector)))
