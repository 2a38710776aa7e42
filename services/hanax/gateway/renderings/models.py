"""Models: how they are, and what they embedded."""

from __future__ import annotations

from typing import Any

from hanax.gateway.models.embedding import Embedded
from hanax.gateway.models.reranking import Reranked
from hanax.gateway.models.status import ModelStatus
from hanax.gateway.renderings.instants import render_instant


def render_embedded(made: Embedded) -> dict[str, Any]:
    return {
        "embeddings": made.vectors,
        "model": made.model.name,
        "model_version": made.version or None,
        "dimension": made.vectors.shape[1],
        "tokens": made.tokens,
        "total_tokens": made.total_tokens,
        "truncated": made.truncated,
        "split": made.split,
    }


def render_status(status: ModelStatus) -> dict[str, Any]:
    route = status.route
    return {
        "model": route.name,
        "version": route.version or None,
        "health": status.health,
        "external": route.external,
        "protocol": route.protocol,
        "pattern": route.pattern,
        "dimension": route.dimension,
        "max_tokens": route.max_tokens,
        "load_balancing": route.load_balancing,
        "waiting": status.waiting,
        "endpoints": [
            {
                "address": one.address,
                "weight": one.weight,
                "state": one.state,
                "inflight": one.inflight,
                "latency_ms": one.latency_ms,
                "error_rate": one.error_rate,
                "resting_s": one.resting_s,
                "last_failure": None
                if one.last_failure is None
                else {
                    "code": one.last_failure.code,
                    "message": one.last_failure.message,
                    "at": render_instant(round(one.last_failure.at * 1e6)),
                },
                "checked_at": None if one.checked_at is None else render_instant(round(one.checked_at * 1e6)),
            }
            for one in status.endpoints
        ],
    }


def render_reranked(reranked: Reranked) -> dict[str, Any]:
    return {
        "model": reranked.model,
        "results": [{"index": one.index, "relevance_score": one.score} for one in reranked.ranked],
    }
