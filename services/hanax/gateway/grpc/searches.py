"""Searches, alone, in batches and by groups, and recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from citadel.vector.v1 import vector_pb2 as pb
from hanax.gateway.calls import Call
from hanax.gateway.group_searches import GroupSearches
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.readings import read_fields, read_filter, read_id, read_message
from hanax.gateway.grpc.records import record_columns
from hanax.gateway.grpc.vectors import read_vector
from hanax.gateway.hits import Hit, SearchResult
from hanax.gateway.query_requests import BatchSearchRequest, GroupSearchRequest, RecommendRequest
from hanax.gateway.requests import SearchRequest, parse_request
from hanax.gateway.searches import Searches

_Sought = pb.SearchVectorsRequest | pb.SearchVectorGroupsRequest | pb.Query

# What is read by its own rules.
_APART = ("vector", "id", "fields", "options", "queries", "positive", "negative")


def search_methods(searches: Searches, group_searches: GroupSearches) -> Methods:
    async def search(call: Call, question: pb.SearchVectorsRequest) -> pb.SearchResults:
        return _results(await searches.search(call, _search(question)))

    async def batch(call: Call, question: pb.SearchVectorsBatchRequest) -> pb.SearchVectorsBatchResponse:
        queries = [_sought(query, f"queries[{number}].") for number, query in enumerate(question.queries)]
        asked = parse_request(BatchSearchRequest, {**_shared(question), "queries": queries})
        found = await searches.search_batch(call, asked)
        return pb.SearchVectorsBatchResponse(results=map(_results, found))

    async def groups(call: Call, question: pb.SearchVectorGroupsRequest) -> pb.SearchVectorGroupsResponse:
        asked = parse_request(GroupSearchRequest, {**_shared(question), **_sought(question, "")})
        found = await group_searches.search(call, asked)
        return pb.SearchVectorGroupsResponse(
            groups=[
                pb.VectorGroup(value_json=group.value, points=_points(group.hits), scores=_scores(group.hits))
                for group in found.groups
            ],
            truncated=found.truncated,
        )

    async def recommend(call: Call, question: pb.RecommendVectorsRequest) -> pb.SearchResults:
        asked = {
            **_shared(question),
            "positive": _examples(question.positive, "positive"),
            "negative": _examples(question.negative, "negative"),
        }
        return _results(await searches.recommend(call, parse_request(RecommendRequest, asked)))

    return {
        "SearchVectors": Unary(pb.SearchVectorsRequest, search),
        "SearchVectorsBatch": Unary(pb.SearchVectorsBatchRequest, batch),
        "SearchVectorGroups": Unary(pb.SearchVectorGroupsRequest, groups),
        "RecommendVectors": Unary(pb.RecommendVectorsRequest, recommend),
    }


def _search(question: pb.SearchVectorsRequest) -> SearchRequest:
    """Field by field, and those alone that are set: most searches have few."""
    asked: dict[str, Any] = {
        "collection": question.collection,
        **_sought(question, ""),
        **read_fields(question.fields),
    }
    for name in ("limit", "offset", "score_threshold"):
        if question.HasField(name):
            asked[name] = getattr(question, name)
    if question.filter_json:
        asked["filter"] = read_filter(question.filter_json)
    if question.HasField("options"):
        asked |= read_message(question.options)
    if question.HasField("mmr"):
        asked["mmr"] = read_message(question.mmr)
    asked["include_total"], asked["explain"] = question.include_total, question.explain
    return parse_request(SearchRequest, asked)


def _shared(question: Any) -> dict[str, Any]:
    """What searches of all kinds have, and the fields that a kind has alone."""
    return {
        **read_message(question, without=_APART),
        **read_message(question.options),
        **read_fields(question.fields),
        "collection": question.collection,
    }


def _sought(question: _Sought, place: str) -> dict[str, Any]:
    """What is searched for. place: what stands before a field's name in messages."""
    match question.WhichOneof("query"):
        case "vector":
            return {"vector": read_vector(question.vector, f"{place}vector")}
        case "text":
            return {"text": question.text}
        case "id":
            return {"id": read_id(question.id, f"{place}id")}
        case _:
            return {}


def _examples(examples: Sequence[pb.Example], name: str) -> list[Any]:
    """An empty example is no id."""
    return [
        read_vector(example.vector, f"{name}[{number}]")
        if example.WhichOneof("example") == "vector"
        else read_id(example.id, f"{name}[{number}]")
        for number, example in enumerate(examples)
    ]


def _results(found: SearchResult) -> pb.SearchResults:
    told = pb.SearchResults(
        points=_points(found.hits),
        scores=_scores(found.hits),
        truncated=found.truncated,
        has_more=found.has_more,
        total_count=found.total,
    )
    if found.total is not None:
        told.total_is_exact = found.total_is_exact
    if found.explanation is not None:
        told.explanation_json = orjson.dumps(found.explanation)
    return told


def _points(hits: Sequence[Hit]) -> pb.PointColumns:
    return record_columns([hit.record for hit in hits])


def _scores(hits: Sequence[Hit]) -> list[float]:
    return [hit.score for hit in hits]
