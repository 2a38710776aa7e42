"""What answers and the results of jobs tell alike."""

from __future__ import annotations

from typing import Any

from hanax.gateway.inserted import Inserted
from hanax.gateway.models.embedding import Embedded


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


def render_inserted(done: Inserted) -> dict[str, Any]:
    return {
        "inserted": done.inserted,
        "updated": done.updated,
        "ids": done.ids,
        "truncated": done.truncated,
        "split": done.split,
        "skipped": done.skipped,
        "versions": done.versions,
    }
