"""Collections, and what their shards tell."""

from __future__ import annotations

from typing import Any

from hanax.core.library_names import library_of
from hanax.gateway.collection_states import Described, Listed
from hanax.gateway.index_reports import render_metadata, render_shard, render_totals
from hanax.gateway.renderings.instants import render_instant


def render_listed(listed: Listed) -> dict[str, Any]:
    return {
        **listed.spec.model_dump(mode="json"),
        "uid": listed.uid,
        "created_at": render_instant(listed.created_at_us),
        "state": listed.state,
        "aliases": listed.aliases,
        "library": library_of(listed.spec.name),
    }


def render_described(described: Described) -> dict[str, Any]:
    told = [shard.answer for shard in described.shards]
    return {
        **render_listed(described.listed),
        "points": described.points,
        "index_totals": render_totals(told),
        "metadata_indexes": render_metadata(told),
        "shard_states": [render_shard(shard) for shard in described.shards],
    }
