"""Embeddings, order of texts, and models."""

from __future__ import annotations

from typing import Any

from hxp_vector_client._stubs import embeddings_pb2, models_pb2
from hxp_vector_client.grpc_codec.values import LONG_TEXTS, PURPOSES, instant, read_vectors, word
from hxp_vector_client.requests import Request


def embed(request: Request) -> embeddings_pb2.GenerateEmbeddingRequest:
    body = request.body or {}
    text = body["text"]
    return embeddings_pb2.GenerateEmbeddingRequest(
        model=body.get("model") or "",
        collection=body.get("collection") or "",
        texts=[text] if isinstance(text, str) else text,
        purpose=word(PURPOSES, body.get("purpose", "none"), "purpose"),
        long_texts=word(LONG_TEXTS, body.get("long_texts", "truncate"), "long_texts"),
        dimensions=body.get("dimensions") or 0,
        normalize=body.get("normalize"),
        urgent=body.get("urgent", False),
        batch_size=body.get("batch_size") or 0,
    )


def read_embeddings(answer: embeddings_pb2.GenerateEmbeddingResponse, _: Request) -> dict[str, Any]:
    return {
        "embeddings": read_vectors(answer.vectors),
        "model": answer.model,
        "model_version": answer.model_version or None,
        "dimension": answer.vectors.dimension,
        "tokens": list(answer.tokens) or None,
        "total_tokens": answer.total_tokens,
        "truncated": list(answer.truncated),
        "split": list(answer.split),
    }


def rerank(request: Request) -> models_pb2.RerankDocumentsRequest:
    body = request.body or {}
    return models_pb2.RerankDocumentsRequest(
        model=body["model"],
        query=body["query"],
        documents=body["documents"],
        top_n=body.get("top_n") or 0,
    )


def read_ranking(answer: models_pb2.RerankDocumentsResponse, _: Request) -> dict[str, Any]:
    results = [{"index": one.index, "relevance_score": one.relevance_score} for one in answer.results]
    return {"model": answer.model, "results": results}


def models(_: Request) -> models_pb2.ListModelStatusesRequest:
    return models_pb2.ListModelStatusesRequest()


def read_models(answer: models_pb2.ListModelStatusesResponse, _: Request) -> dict[str, Any]:
    return {
        "models": [
            {
                "model": one.model,
                "version": one.version or None,
                "health": one.health,
                "external": one.external,
                "protocol": one.protocol,
                "pattern": one.pattern,
                "dimension": one.dimension,
                "max_tokens": one.max_tokens,
                "load_balancing": one.load_balancing,
                "waiting": one.waiting,
                "endpoints": [_endpoint(endpoint) for endpoint in one.endpoints],
            }
            for one in answer.models
        ]
    }


def _endpoint(told: models_pb2.ModelEndpoint) -> dict[str, Any]:
    failure = told.last_failure
    return {
        "address": told.address,
        "weight": told.weight,
        "state": told.state,
        "inflight": told.inflight,
        "latency_ms": told.latency_ms if told.HasField("latency_ms") else None,
        "error_rate": told.error_rate,
        "resting_s": told.resting_s,
        "last_failure": {"code": failure.code, "message": failure.message, "at": instant(failure.at_us)}
        if told.HasField("last_failure")
        else None,
        "checked_at": instant(told.checked_at_us) if told.checked_at_us else None,
    }
