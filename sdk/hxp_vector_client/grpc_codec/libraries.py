"""Libraries, documents and chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hxp_vector_client._stubs import libraries_pb2 as pb
from hxp_vector_client.grpc_codec.collections import METRIC_WORDS, METRICS
from hxp_vector_client.grpc_codec.values import (
    LONG_TEXTS,
    given_json,
    instant,
    read_json,
    read_vector,
    vector,
    word,
)
from hxp_vector_client.requests import Request


def create(request: Request) -> pb.CreateLibraryRequest:
    body = request.body or {}
    message = pb.CreateLibraryRequest(
        id=body.get("id") or "",
        name=body["name"],
        metadata_json=given_json(body.get("metadata")),
        dimension=body.get("dimension") or 0,
        metric=word(METRICS, body.get("metric", "cosine"), "metric"),
        shards=body.get("shards", 1),
        index=None if body.get("index") is None else _index_spec(body["index"]),
    )
    if "model" in body:
        message.model = body["model"] or ""
    return message


def list_libraries(request: Request) -> pb.ListLibrariesRequest:
    query = request.query
    return pb.ListLibrariesRequest(limit=query.get("limit"), cursor=query.get("cursor") or "")


def get(request: Request) -> pb.GetLibraryRequest:
    return pb.GetLibraryRequest(id=_library(request))


def update(request: Request) -> pb.UpdateLibraryRequest:
    body = request.body or {}
    return pb.UpdateLibraryRequest(
        id=_library(request),
        name=body.get("name"),
        metadata_json=given_json(body.get("metadata")),
        if_revision=request.if_match,
    )


def delete(request: Request) -> pb.DeleteLibraryRequest:
    return pb.DeleteLibraryRequest(id=_library(request), if_revision=request.if_match)


def build_index(request: Request) -> pb.BuildIndexRequest:
    return pb.BuildIndexRequest(id=_library(request), index=_index_spec(request.body or {}))


def get_index(request: Request) -> pb.GetIndexRequest:
    return pb.GetIndexRequest(id=_library(request))


def query(request: Request) -> pb.QueryLibraryRequest:
    body = request.body or {}
    return pb.QueryLibraryRequest(
        id=_library(request),
        text=body.get("text"),
        vector=_vector(body),
        k=body.get("k"),
        filter_json=given_json(body.get("filter")),
        min_score=body.get("min_score"),
        exact=body.get("exact", False),
        include_vectors=body.get("include_embeddings", False),
        rerank_json=given_json(body.get("rerank")),
        steps_json=given_json(body.get("steps")),
    )


def read_library(answer: Any, _: Request) -> dict[str, Any]:
    """Of any answer with a library."""
    return _shown(answer.library)


def read_described(answer: pb.GetLibraryResponse, _: Request) -> dict[str, Any]:
    return {**_shown(answer.library), "document_count": answer.document_count}


def read_libraries(answer: pb.ListLibrariesResponse, _: Request) -> dict[str, Any]:
    return {
        "libraries": [_shown(one) for one in answer.libraries],
        "next_cursor": answer.next_cursor or None,
    }


def read_nothing(_: Any, __: Request) -> None:
    return None


def read_index(answer: Any, _: Request) -> dict[str, Any]:
    told: pb.LibraryIndex = answer.index
    return {
        "type": told.type or None,
        "state": told.state,
        "parameters": read_json(told.parameters_json) or {},
        "target_recall": told.target_recall if told.HasField("target_recall") else None,
        "segments": dict(told.segments),
        "unsealed_chunks": told.unsealed_chunks,
        "recall": told.recall if told.HasField("recall") else None,
        "reason": told.reason or None,
    }


def read_query(answer: pb.QueryLibraryResponse, _: Request) -> dict[str, Any]:
    return {
        "results": [_result(one) for one in answer.results],
        "truncated": answer.truncated,
        "steps": [
            {
                "step": step.step,
                "tries": step.tries,
                "seconds": step.seconds,
                "outcome": step.outcome,
                "skipped": step.skipped,
            }
            for step in answer.steps
        ],
    }


def chunk(told: pb.Chunk) -> dict[str, Any]:
    data: dict[str, Any] = {
        "id": told.id,
        "document_id": told.document_id,
        "library_id": told.library_id,
        "position": told.position,
        "revision": told.revision,
        "text": told.text,
        "metadata": read_json(told.metadata_json) or {},
        "headings": list(told.headings),
        "start": told.start if told.HasField("start") else None,
        "end": told.end if told.HasField("end") else None,
        "provenance": read_json(told.provenance_json),
        "created_at": instant(told.created_at_us),
        "updated_at": instant(told.updated_at_us),
    }
    if told.HasField("vector"):
        data["embedding"] = read_vector(told.vector)
    return data


def new_chunks(given: Any) -> list[pb.NewChunk]:
    return [
        pb.NewChunk(
            id=one.get("id") or "",
            text=one.get("text") or "",
            vector=_vector(one),
            metadata_json=given_json(one.get("metadata")),
        )
        for one in given
    ]


def long_texts(body: Mapping[str, Any]) -> Any:
    return word(LONG_TEXTS, body.get("long_texts", "truncate"), "long_texts")


def _vector(body: Mapping[str, Any]) -> Any:
    return None if body.get("embedding") is None else vector(body["embedding"])


def _library(request: Request) -> str:
    return request.path["library_id"]


def _index_spec(given: Mapping[str, Any]) -> pb.LibraryIndexSpec:
    return pb.LibraryIndexSpec(
        type=given.get("type") or "",
        parameters_json=given_json(given.get("parameters")),
        target_recall=given.get("target_recall"),
    )


def _shown(told: pb.Library) -> dict[str, Any]:
    return {
        "id": told.id,
        "name": told.name,
        "metadata": read_json(told.metadata_json) or {},
        "model": told.model or None,
        "dimension": told.dimension,
        "metric": METRIC_WORDS[told.metric],
        "index_type": told.index_type or None,
        "revision": told.revision,
        "created_at": instant(told.created_at_us),
        "updated_at": instant(told.updated_at_us),
    }


def _result(told: pb.QueryResult) -> dict[str, Any]:
    return {
        **chunk(told.chunk),
        "score": told.score,
        "rerank_score": told.rerank_score if told.HasField("rerank_score") else None,
        "document": read_json(told.document_json),
    }
