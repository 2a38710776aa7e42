"""/api/v1/vectors: searches, recommendations, and the values of metadata fields."""

from __future__ import annotations

from typing import Any, Final

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.aggregates import Aggregates
from hanax.gateway.bodies import read_request
from hanax.gateway.group_searches import GroupSearches
from hanax.gateway.hits import SearchResult
from hanax.gateway.query_requests import (
    BatchSearchRequest,
    DistinctRequest,
    FacetRequest,
    GroupSearchRequest,
    RecommendRequest,
)
from hanax.gateway.renderings.points import render_hit
from hanax.gateway.requests import SearchRequest
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.openapi import ERRORS, json_body
from hanax.gateway.schemas import points as point_schemas
from hanax.gateway.schemas.envelopes import Envelope
from hanax.gateway.searches import Searches

_FILTER: Final = {"field": "year", "operator": "gte", "value": 2020}
_VECTOR: Final = [0.1, 0.2, 0.3]


def search_routes(searches: Searches, group_searches: GroupSearches) -> APIRouter:
    router = APIRouter(prefix="/api/v1/vectors", tags=["vectors"], responses=ERRORS)

    @router.post(
        "/search",
        response_model=Envelope[point_schemas.SearchResults],
        openapi_extra=json_body(
            SearchRequest,
            by_text={"collection": "docs", "text": "how do I compute a checksum?", "limit": 5},
            by_vector={"collection": "docs", "vector": _VECTOR, "filter": _FILTER},
            like_a_point={"collection": "docs", "id": 7},
            second_page={"collection": "docs", "vector": _VECTOR, "offset": 10, "include_total": True},
            diverse={"collection": "docs", "vector": _VECTOR, "mmr": {"diversity": 0.3, "candidates": 100}},
            exactly={"collection": "docs", "vector": _VECTOR, "exact": True},
            trying_harder={"collection": "docs", "vector": _VECTOR, "ef_search": 400},
        ),
    )
    async def search(request: Request) -> Response:
        """The nearest points to a vector, a text or a point, best first. All shards answer, or none does."""
        asked = await read_request(request, SearchRequest)
        return answer(request, _render(await searches.search(call_of(request), asked)))

    @router.post(
        "/search/batch",
        response_model=Envelope[point_schemas.BatchResults],
        openapi_extra=json_body(
            BatchSearchRequest,
            two={"collection": "docs", "queries": [{"vector": _VECTOR}, {"id": 7}], "limit": 5},
        ),
    )
    async def search_batch(request: Request) -> Response:
        """Several searches in one request: the same limit and filter for all."""
        asked = await read_request(request, BatchSearchRequest)
        results = await searches.search_batch(call_of(request), asked)
        return answer(request, {"batches": [_render(result) for result in results]})

    @router.post(
        "/search/groups",
        response_model=Envelope[point_schemas.Groups],
        openapi_extra=json_body(
            GroupSearchRequest,
            by_author={"collection": "docs", "vector": _VECTOR, "group_by": "author", "group_size": 2},
        ),
    )
    async def search_groups(request: Request) -> Response:
        """The nearest values of a metadata field, with the nearest points of each."""
        asked = await read_request(request, GroupSearchRequest)
        result = await group_searches.search(call_of(request), asked)
        groups = [
            {"value": orjson.Fragment(group.value), "results": [render_hit(hit) for hit in group.hits]}
            for group in result.groups
        ]
        return answer(request, {"groups": groups, "truncated": result.truncated})

    @router.post(
        "/recommend",
        response_model=Envelope[point_schemas.SearchResults],
        openapi_extra=json_body(
            RecommendRequest,
            average={"collection": "docs", "positive": [7, "chapter-1"], "negative": [_VECTOR]},
            best_score={"collection": "docs", "positive": [7], "negative": [8], "strategy": "best_score"},
        ),
    )
    async def recommend(request: Request) -> Response:
        """Points like the positive examples and unlike the negative ones, best first."""
        asked = await read_request(request, RecommendRequest)
        return answer(request, _render(await searches.recommend(call_of(request), asked)))

    return router


def aggregate_routes(aggregates: Aggregates) -> APIRouter:
    router = APIRouter(prefix="/api/v1/vectors", tags=["vectors"], responses=ERRORS)

    @router.post(
        "/facet",
        response_model=Envelope[point_schemas.Facet],
        openapi_extra=json_body(
            FacetRequest,
            most_frequent={"collection": "docs", "field": "author"},
            filtered={"collection": "docs", "field": "tags", "filter": _FILTER, "limit": 5},
        ),
    )
    async def facet(request: Request) -> Response:
        """The values of a metadata field that most points have, with exact counts."""
        asked = await read_request(request, FacetRequest)
        found = await aggregates.facet(call_of(request), asked)
        values = [{"value": orjson.Fragment(value), "count": count} for value, count in found.values]
        return answer(request, {"values": values, "distinct": found.distinct, "matches": found.matches})

    @router.post(
        "/distinct",
        response_model=Envelope[point_schemas.Values],
        openapi_extra=json_body(DistinctRequest, all_authors={"collection": "docs", "field": "author"}),
    )
    async def distinct(request: Request) -> Response:
        """A page of the values of a metadata field, in order. Go on with next_cursor."""
        asked = await read_request(request, DistinctRequest)
        found = await aggregates.distinct(call_of(request), asked)
        values = [orjson.Fragment(value) for value in found.values]
        return answer(request, {"values": values, "next_cursor": found.next_cursor})

    return router


def _render(result: SearchResult) -> dict[str, Any]:
    """What was not asked for is left out."""
    shown: dict[str, Any] = {
        "results": [render_hit(hit) for hit in result.hits],
        "truncated": result.truncated,
    }
    if result.has_more is not None:
        shown["has_more"] = result.has_more
    if result.total is not None:
        shown["total_count"] = result.total
        shown["total_is_exact"] = result.total_is_exact
    if result.explanation is not None:
        shown["explanation"] = result.explanation
    return shown
