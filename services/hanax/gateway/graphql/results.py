"""What searches and aggregates answer, as mappings. A field that was not asked for is not looked at."""

from __future__ import annotations

from typing import Any

import orjson

from hanax.gateway.aggregates import Facet, Values
from hanax.gateway.grouping import GroupedResult
from hanax.gateway.hits import SearchResult
from hanax.gateway.renderings.points import render_hit


def render_result(result: SearchResult) -> dict[str, Any]:
    return {
        "results": [render_hit(hit) for hit in result.hits],
        "truncated": result.truncated,
        "has_more": result.has_more,
        "total_count": result.total,
        "total_is_exact": None if result.total is None else result.total_is_exact,
        "explanation": result.explanation,
    }


def render_groups(result: GroupedResult) -> dict[str, Any]:
    groups = [
        {"value": orjson.loads(group.value), "results": [render_hit(hit) for hit in group.hits]}
        for group in result.groups
    ]
    return {"groups": groups, "truncated": result.truncated}


def render_facet(found: Facet) -> dict[str, Any]:
    return {
        "values": [{"value": orjson.loads(value), "count": count} for value, count in found.values],
        "distinct": found.distinct,
        "matches": found.matches,
    }


def render_values(found: Values) -> dict[str, Any]:
    return {"values": [orjson.loads(value) for value in found.values], "next_cursor": found.next_cursor}
