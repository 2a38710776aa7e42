"""A search, read or change that is wrong is the same error over REST: its code, its message, its details."""

from __future__ import annotations

import json
from typing import Any

import pytest

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from tests.integration.gateway.refusals import INF, NAN
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import TIMEOUT_S, encoded, refused, vector_of

Fields = dict[str, Any]

UNIT: Fields = {"vector": [1, 0, 0]}
SENT: Fields = {"vector": vector_of([1, 0, 0])}


def _both(rest: Fields, grpc: Fields) -> tuple[Fields, Fields]:
    return UNIT | rest, SENT | grpc


SEARCHES: list[tuple[Fields, Fields]] = [
    ({"collection": "nope", **UNIT}, {"collection": "nope", **SENT}),
    ({"collection": "No Name", **UNIT}, {"collection": "No Name", **SENT}),
    ({}, {}),
    ({"vector": [1, 0]}, {"vector": vector_of([1, 0])}),
    ({"vector": []}, {"vector": pb.Vector()}),
    ({"vector": [1, NAN, 0]}, {"vector": vector_of([1, NAN, 0])}),
    ({"vector": [1, INF, 0]}, {"vector": pb.Vector(values=[1, INF, 0])}),
    ({"vector": [0, 0, 0]}, {"vector": vector_of([0, 0, 0])}),
    ({"text": "x"}, {"text": "x"}),
    ({"collection": "bad-texts", "text": ""}, {"collection": "bad-texts", "text": ""}),
    ({"id": 404}, {"id": encoded(404)}),
    _both({"limit": 0}, {"limit": 0}),
    _both({"limit": 1_001}, {"limit": 1_001}),
    _both({"offset": 995}, {"offset": 995}),
    _both({"score_threshold": INF}, {"score_threshold": INF}),
    _both({"filter": {"field": "a"}}, {"filter_json": b'{"field": "a"}'}),
    _both({"filter": []}, {"filter_json": b"[]"}),
    _both({"filter": 1}, {"filter_json": b"1"}),
    _both({"mmr": {"diversity": 1.5}}, {"mmr": pb.Mmr(diversity=1.5)}),
    _both({"mmr": {"candidates": 0}}, {"mmr": pb.Mmr(candidates=0)}),
    _both({"ef_search": 0}, {"options": pb.SearchOptions(ef_search=0)}),
    _both({"nprobe": 70_000}, {"options": pb.SearchOptions(nprobe=70_000)}),
    _both({"include_metadata": ["a..b"]}, {"fields": pb.PointFields(metadata_fields=["a..b"])}),
    _both({"include_metadata": ["a"] * 65}, {"fields": pb.PointFields(metadata_fields=["a"] * 65)}),
]


def _check(stack: Stack, path: str, body: Fields, call: Any, question: Any) -> None:
    over_rest = stack.client.post(f"/api/v1/vectors/{path}", content=_json(body)).json()["error"]
    with refused() as errors:
        call(question, timeout=TIMEOUT_S)
    told = errors[0]
    assert (told.code, told.message, told.details) == (
        over_rest["code"],
        over_rest["message"],
        over_rest["details"],
    )


def _json(body: Fields) -> bytes:
    """With NaN and Infinity, which some clients do send."""
    return json.dumps(body).encode()


@pytest.mark.parametrize(("body", "fields"), SEARCHES, ids=range(len(SEARCHES)))
def test_a_bad_search(unwritten: Stack, bad_service: VectorServiceStub, body: Fields, fields: Fields) -> None:
    question = pb.SearchVectorsRequest(**{"collection": "bad", **fields})
    _check(unwritten, "search", {"collection": "bad", **body}, bad_service.SearchVectors, question)


QUERIES: list[tuple[list[Any], list[pb.Query]]] = [
    ([], []),
    ([UNIT] * 101, [pb.Query(**SENT)] * 101),
    ([UNIT, {}], [pb.Query(**SENT), pb.Query()]),
    ([UNIT, {"vector": [1]}], [pb.Query(**SENT), pb.Query(vector=vector_of([1]))]),
    ([UNIT, {"id": 404}], [pb.Query(**SENT), pb.Query(id=encoded(404))]),
]


@pytest.mark.parametrize(("queries", "sent"), QUERIES, ids=range(len(QUERIES)))
def test_a_bad_batch(
    unwritten: Stack, bad_service: VectorServiceStub, queries: list[Any], sent: list[pb.Query]
) -> None:
    body = {"collection": "bad", "queries": queries}
    question = pb.SearchVectorsBatchRequest(collection="bad", queries=sent)
    _check(unwritten, "search/batch", body, bad_service.SearchVectorsBatch, question)


RECOMMENDATIONS: list[tuple[Fields, Fields]] = [
    ({}, {}),
    ({"positive": [404]}, {"positive": [pb.Example(id=encoded(404))]}),
    ({"positive": [[1, 2]]}, {"positive": [pb.Example(vector=vector_of([1, 2]))]}),
    ({"negative": [[1, 0, 0]]}, {"negative": [pb.Example(**SENT)]}),
    ({"positive": [[1, 0, 0]] * 101}, {"positive": [pb.Example(**SENT)] * 101}),
    (
        {"positive": [[1, 0, 0]], "strategy": "best_score", "mmr": {}},
        {
            "positive": [pb.Example(**SENT)],
            "strategy": pb.RECOMMEND_STRATEGY_BEST_SCORE,
            "mmr": pb.Mmr(),
        },
    ),
]


@pytest.mark.parametrize(("body", "fields"), RECOMMENDATIONS, ids=range(len(RECOMMENDATIONS)))
def test_a_bad_recommendation(
    unwritten: Stack, bad_service: VectorServiceStub, body: Fields, fields: Fields
) -> None:
    question = pb.RecommendVectorsRequest(collection="bad", **fields)
    _check(unwritten, "recommend", {"collection": "bad", **body}, bad_service.RecommendVectors, question)


OTHERS: list[tuple[str, str, Fields, Fields]] = [
    (
        "search/groups",
        "SearchVectorGroups",
        UNIT | {"group_by": "a", "group_size": 101},
        SENT | {"group_by": "a", "group_size": 101},
    ),
    ("search/groups", "SearchVectorGroups", UNIT | {"group_by": "a.."}, SENT | {"group_by": "a.."}),
    ("facet", "FacetValues", {"field": ""}, {}),
    ("facet", "FacetValues", {"field": "a", "limit": 0}, {"field": "a", "limit": 0}),
    ("distinct", "DistinctValues", {"field": "a", "cursor": "x"}, {"field": "a", "cursor": "x"}),
    ("count", "CountVectors", {"filter": {"field": 1}}, {"filter_json": b'{"field": 1}'}),
    ("get", "GetVectors", {"ids": []}, {}),
    ("get", "GetVectors", {"ids": list(range(2_001))}, {"ids": [encoded(n) for n in range(2_001)]}),
    ("delete", "DeleteVectors", {}, {}),
    ("delete", "DeleteVectors", {"ids": [1], "filter": []}, {"ids": [encoded(1)], "filter_json": b"[]"}),
    ("delete", "DeleteVectors", {"filter": []}, {"filter_json": b"[]"}),
    ("metadata", "UpdateVectorsMetadata", {"ids": [1]}, {"ids": [encoded(1)]}),
    (
        "metadata",
        "UpdateVectorsMetadata",
        {"ids": [1], "merge": {}, "replace": {}},
        {"ids": [encoded(1)], "merge_json": b"{}", "replace_json": b"{}"},
    ),
    (
        "metadata",
        "UpdateVectorsMetadata",
        {"ids": [1], "merge": []},
        {"ids": [encoded(1)], "merge_json": b"[]"},
    ),
    (
        "metadata",
        "UpdateVectorsMetadata",
        {"ids": [1], "delete": ["a", "_embedding"]},
        {"ids": [encoded(1)], "delete_fields": ["a", "_embedding"]},
    ),
    (
        "metadata",
        "UpdateVectorsMetadata",
        {"ids": [1], "delete": ["."]},
        {"ids": [encoded(1)], "delete_fields": ["."]},
    ),
]


@pytest.mark.parametrize(("path", "method", "body", "fields"), OTHERS, ids=range(len(OTHERS)))
def test_others(
    unwritten: Stack, bad_service: VectorServiceStub, path: str, method: str, body: Fields, fields: Fields
) -> None:
    call = getattr(bad_service, method)
    question = getattr(pb, f"{method}Request")(collection="bad", **fields)
    _check(unwritten, path, {"collection": "bad", **body}, call, question)


def test_ids_that_are_no_form_of_one(bad_service: VectorServiceStub) -> None:
    for raw in (b"", b"\x01", b"\x09abc", b"\x03" + b"x" * 129, b"\x03\xff"):
        with refused() as errors:
            bad_service.GetVector(pb.GetVectorRequest(collection="bad", id=raw), timeout=TIMEOUT_S)
        assert errors[0].code == "invalid_id"
        with refused() as errors:
            request = pb.DeleteVectorsRequest(collection="bad", ids=[encoded(1), raw])
            bad_service.DeleteVectors(request, timeout=TIMEOUT_S)
        assert (errors[0].code, errors[0].details["index"]) == ("invalid_id", 1)


def test_a_vector_in_two_forms(bad_service: VectorServiceStub) -> None:
    vector = pb.Vector(float32_le=bytes(12), values=[1, 0, 0])
    with refused() as errors:
        bad_service.SearchVectors(pb.SearchVectorsRequest(collection="bad", vector=vector), timeout=TIMEOUT_S)
    assert errors[0].message == "vector: expected float32_le or values, got both"
    with refused() as errors:
        ragged = pb.Vector(float32_le=bytes(11))
        bad_service.SearchVectors(pb.SearchVectorsRequest(collection="bad", vector=ragged), timeout=TIMEOUT_S)
    assert errors[0].code == "invalid_argument"


def test_times_that_are_none(bad_service: VectorServiceStub) -> None:
    for instant in (-1, 1, 2**62):
        request = pb.UpdateVectorsMetadataRequest(collection="bad", ids=[encoded(1)], expires_at_us=instant)
        with refused() as errors:
            bad_service.UpdateVectorsMetadata(request, timeout=TIMEOUT_S)
        assert errors[0].code == "invalid_expiry"


CHANGES: list[tuple[Fields, Fields]] = [
    ({}, {}),
    ({"target_recall": 1.5}, {"target_recall": 1.5}),
    ({"index": {"type": "kd_tree"}}, {"index": pb.Index(kd_tree=pb.KdTreeIndex())}),
    ({"quantisation": {"type": "product", "bits": 5}}, {"quantisation": {"product": {"bits": 5}}}),
    ({"metric": None}, {"reset": ["metric"]}),
    (
        {"payload_indexes": {"a..b": "text"}},
        {"payload_indexes": {"by_field": {"a..b": "PAYLOAD_INDEX_TEXT"}}},
    ),
]


@pytest.mark.parametrize(("body", "fields"), CHANGES, ids=range(len(CHANGES)))
def test_a_bad_change_of_a_collection(
    unwritten: Stack, bad_service: VectorServiceStub, body: Fields, fields: Fields
) -> None:
    over_rest = unwritten.client.patch("/api/v1/collections/bad-dot", json=body).json()["error"]
    with refused() as errors:
        bad_service.UpdateCollection(pb.UpdateCollectionRequest(name="bad-dot", **fields), timeout=TIMEOUT_S)
    assert (errors[0].code, errors[0].message) == (over_rest["code"], over_rest["message"])
