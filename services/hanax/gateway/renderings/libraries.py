"""Libraries, documents and chunks, and answers to queries."""

from __future__ import annotations

from typing import Any

import orjson

from hanax.gateway.libraries.documents import Passage, Written
from hanax.gateway.libraries.indexes import IndexStatus
from hanax.gateway.libraries.queries import Answer, Result
from hanax.gateway.renderings.instants import render_instant
from hanax.metadata.libraries.rows import Chunk, Document, Library, shown_id


def render_library(library: Library) -> dict[str, Any]:
    return {
        "id": shown_id(library.id),
        "name": library.name,
        "metadata": library.metadata,
        "model": library.model,
        "dimension": library.dimension,
        "metric": library.metric,
        "index_type": library.index_type,
        "revision": library.revision,
        **_times(library),
    }


def render_index(status: IndexStatus) -> dict[str, Any]:
    return {
        "type": status.type,
        "state": status.state,
        "parameters": status.parameters,
        "target_recall": status.target_recall,
        "segments": status.segments,
        "unsealed_chunks": status.unsealed,
        "recall": status.recall,
        "reason": status.reason,
    }


def render_document(document: Document) -> dict[str, Any]:
    return {
        "id": shown_id(document.id),
        "library_id": shown_id(document.library_id),
        "title": document.title,
        "metadata": document.metadata,
        "chunking": document.chunking,
        "chunk_count": document.chunks,
        "revision": document.revision,
        **_times(document),
    }


def render_written(written: Written) -> dict[str, Any]:
    ids = [shown_id(chunk.id) for chunk in written.chunks]
    return {
        **render_document(written.document),
        "chunk_ids": ids,
        "truncated": [ids[place] for place in written.truncated],
        "split": [ids[place] for place in written.split],
    }


def render_passage(passage: Passage, vectors: bool) -> dict[str, Any]:
    chunk, stored = passage.chunk, passage.point.stored
    told = {
        **_render_chunk(chunk),
        "text": stored.content.text,
        "metadata": stored.content.metadata,
        "headings": list(stored.content.headings),
        "start": stored.content.start,
        "end": stored.content.end,
        "provenance": None if stored.provenance is None else orjson.Fragment(stored.provenance),
        **_times(chunk),
    }
    return {**told, "embedding": passage.point.vector} if vectors else told


def render_answer(answer: Answer, vectors: bool) -> dict[str, Any]:
    return {
        "results": [_render_result(result, vectors) for result in answer.results],
        "truncated": answer.truncated,
        "steps": [
            {
                "step": step.name,
                "tries": step.tries,
                "seconds": round(step.seconds, 6),
                "outcome": step.outcome,
                "skipped": step.skipped,
            }
            for step in answer.steps
        ],
    }


def _render_result(result: Result, vectors: bool) -> dict[str, Any]:
    content = result.stored.content
    told = {
        **_render_chunk(result.chunk),
        "score": result.score,
        "text": content.text,
        "metadata": content.metadata,
        "headings": list(content.headings),
        "start": content.start,
        "end": content.end,
        "document": result.stored.document,
    }
    if result.rerank_score is not None:
        told["rerank_score"] = result.rerank_score
    if vectors:
        told["embedding"] = result.vector
    return told


def _render_chunk(chunk: Chunk) -> dict[str, Any]:
    return {
        "id": shown_id(chunk.id),
        "document_id": shown_id(chunk.document_id),
        "library_id": shown_id(chunk.library_id),
        "position": chunk.position,
        "revision": chunk.revision,
    }


def _times(one: Library | Document | Chunk) -> dict[str, Any]:
    return {
        "created_at": render_instant(one.created_at_us),
        "updated_at": render_instant(one.updated_at_us),
    }
