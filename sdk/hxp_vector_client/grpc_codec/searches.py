"""Searches, recommendations, and the values of fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hxp_vector_client._stubs import columns_pb2
from hxp_vector_client._stubs import searches_pb2 as pb
from hxp_vector_client.grpc_codec.columns import fields, records
from hxp_vector_client.grpc_codec.values import encode_id, given_json, read_json, vector, word
from hxp_vector_client.requests import Request

_HIT = (True, False, False)
_STRATEGIES = {
    "average_vector": pb.RECOMMEND_STRATEGY_AVERAGE_VECTOR,
    "best_score": pb.RECOMMEND_STRATEGY_BEST_SCORE,
}
_NUMBERS = ("limit", "offset", "score_threshold")


def search(request: Request) -> pb.SearchVectorsRequest:
    body = _body(request)
    return pb.SearchVectorsRequest(
        **_common(body),
        **_sought(body),
        mmr=_mmr(body),
        include_total=body.get("include_total", False),
        explain=body.get("explain", False),
    )


def search_batch(request: Request) -> pb.SearchVectorsBatchRequest:
    body = _body(request)
    queries = [pb.Query(**_sought(query)) for query in body["queries"]]
    return pb.SearchVectorsBatchRequest(**_common(body), queries=queries)


def search_groups(request: Request) -> pb.SearchVectorGroupsRequest:
    body = _body(request)
    return pb.SearchVectorGroupsRequest(
        **_common(body), **_sought(body), group_by=body["group_by"], group_size=body.get("group_size")
    )


def recommend(request: Request) -> pb.RecommendVectorsRequest:
    body = _body(request)
    return pb.RecommendVectorsRequest(
        **_common(body),
        positive=[_example(one) for one in body["positive"]],
        negative=[_example(one) for one in body["negative"]],
        strategy=word(_STRATEGIES, body.get("strategy", "average_vector"), "strategy"),
        mmr=_mmr(body),
        include_total=body.get("include_total", False),
    )


def facet(request: Request) -> pb.FacetValuesRequest:
    body = _body(request)
    return pb.FacetValuesRequest(
        collection=body["collection"],
        field=body["field"],
        filter_json=given_json(body.get("filter")),
        limit=body.get("limit"),
    )


def distinct(request: Request) -> pb.DistinctValuesRequest:
    body = _body(request)
    return pb.DistinctValuesRequest(
        collection=body["collection"],
        field=body["field"],
        filter_json=given_json(body.get("filter")),
        limit=body.get("limit"),
        cursor=body.get("cursor") or "",
    )


def read_results(answer: pb.SearchResults, _: Request | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {"results": _hits(answer.points, answer.scores), "truncated": answer.truncated}
    for name in ("has_more", "total_count", "total_is_exact"):
        if answer.HasField(name):
            data[name] = getattr(answer, name)
    if answer.explanation_json:
        data["explanation"] = read_json(answer.explanation_json)
    return data


def read_batch(answer: pb.SearchVectorsBatchResponse, _: Request) -> dict[str, Any]:
    return {"batches": [read_results(one) for one in answer.results]}


def read_groups(answer: pb.SearchVectorGroupsResponse, _: Request) -> dict[str, Any]:
    groups = [
        {"value": read_json(one.value_json), "results": _hits(one.points, one.scores)}
        for one in answer.groups
    ]
    return {"groups": groups, "truncated": answer.truncated}


def read_facet(answer: pb.FacetValuesResponse, _: Request) -> dict[str, Any]:
    values = [{"value": read_json(one.value_json), "count": one.count} for one in answer.values]
    return {"values": values, "distinct": answer.distinct, "matches": answer.matches}


def read_distinct(answer: pb.DistinctValuesResponse, _: Request) -> dict[str, Any]:
    return {
        "values": [read_json(one) for one in answer.values_json],
        "next_cursor": answer.next_cursor or None,
    }


def _hits(points: columns_pb2.PointColumns, scores: Any) -> list[dict[str, Any]]:
    hits = records(points, "vector")
    for hit, score in zip(hits, scores, strict=True):
        hit["score"] = score
    return hits


def _body(request: Request) -> Mapping[str, Any]:
    return request.body or {}


def _common(body: Mapping[str, Any]) -> dict[str, Any]:
    """What all searches take."""
    return {
        "collection": body["collection"],
        "filter_json": given_json(body.get("filter")),
        "fields": fields(body, _HIT),
        "options": pb.SearchOptions(
            exact=body.get("exact", False),
            ef_search=body.get("ef_search"),
            nprobe=body.get("nprobe"),
            probes=body.get("probes"),
        ),
        **{name: body[name] for name in _NUMBERS if body.get(name) is not None},
    }


def _sought(body: Mapping[str, Any]) -> dict[str, Any]:
    if body.get("vector") is not None:
        return {"vector": vector(body["vector"])}
    return {"text": body["text"]} if body.get("text") is not None else {"id": encode_id(body["id"])}


def _example(given: Any) -> pb.Example:
    if isinstance(given, int | str):
        return pb.Example(id=encode_id(given))
    return pb.Example(vector=vector(given))


def _mmr(body: Mapping[str, Any]) -> pb.Mmr | None:
    return None if body.get("mmr") is None else pb.Mmr(**body["mmr"])
