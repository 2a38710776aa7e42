"""Searches and the values of fields: what REST answers to the same question."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import (
    EVERYTHING,
    TIMEOUT_S,
    encoded,
    rows_of,
    vector_of,
)

COUNT = 60
FILTER = {"field": "n", "operator": "lt", "value": 40}
FILTER_JSON = json.dumps(FILTER).encode()
EVERY_FIELD = {"include_vectors": True, "include_version": True}


@pytest.fixture(scope="module")
def name() -> str:
    return "grpc-searches"


@pytest.fixture
def corpus(shards: Stack, name: str) -> Stack:
    if shards.client.get(f"/api/v1/collections/{name}").status_code == 404:
        shards.create(name, metric="euclidean")
        rows = np.random.default_rng(7).standard_normal((COUNT, 3)).astype(np.float32)
        points = [
            {
                "id": f"point {n}" if n % 3 else n,
                "vector": row.tolist(),
                "metadata": {"n": n, "parity": ["even", "odd"][n % 2], "deep": {"er": n % 4}},
            }
            for n, row in enumerate(rows)
        ]
        shards.insert(name, points)
    return shards


def _rest(stack: Stack, path: str, **body: Any) -> Any:
    return stack.data(stack.post(f"/api/v1/vectors/{path}", body))


def _hits(points: pb.PointColumns, scores: Any) -> list[dict[str, Any]]:
    """As REST shows them, without times."""
    shown = []
    for row, score in zip(rows_of(points), scores, strict=True):
        if "embedding" in row:
            row["vector"] = row.pop("embedding")
        shown.append({**row, "score": score})
    return shown


def _shown(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shown = []
    for hit in results:
        told = {key: value for key, value in hit.items() if key not in ("created_at", "updated_at")}
        if "vector" in told:
            # Written with as few digits as tell a float32.
            told["vector"] = np.asarray(told["vector"], np.float32).tolist()
        shown.append(told)
    return shown


QUERIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"vector": [0.5, 0.25, -1]}, {"vector": vector_of([0.5, 0.25, -1])}),
    ({"vector": [0.5, 0.25, -1]}, {"vector": pb.Vector(values=[0.5, 0.25, -1])}),
    ({"id": 9}, {"id": encoded(9)}),
    ({"id": "point 10"}, {"id": encoded("point 10")}),
]


@pytest.mark.parametrize(("in_rest", "in_grpc"), QUERIES)
def test_a_search(
    corpus: Stack,
    engine_service: VectorServiceStub,
    name: str,
    in_rest: dict[str, Any],
    in_grpc: dict[str, Any],
) -> None:
    over_rest = _rest(corpus, "search", collection=name, limit=7, **EVERY_FIELD, **in_rest)
    request = pb.SearchVectorsRequest(collection=name, limit=7, fields=EVERYTHING, **in_grpc)
    found = engine_service.SearchVectors(request, timeout=TIMEOUT_S)
    assert _hits(found.points, found.scores) == _shown(over_rest["results"])
    assert len(found.scores) == 7
    assert not found.HasField("has_more")
    assert not found.HasField("total_count")


def test_all_that_a_search_may_ask(corpus: Stack, engine_service: VectorServiceStub, name: str) -> None:
    body = {
        "vector": [0, 1, 0],
        "limit": 4,
        "offset": 3,
        "filter": FILTER,
        "score_threshold": 0.1,
        "include_total": True,
        "explain": True,
        "exact": True,
        "ef_search": 50,
        "mmr": {"diversity": 0.7, "candidates": 20},
        "include_metadata": ["n", "deep.er"],
    }
    over_rest = _rest(corpus, "search", collection=name, **body)
    found = engine_service.SearchVectors(
        pb.SearchVectorsRequest(
            collection=name,
            vector=vector_of([0, 1, 0]),
            limit=4,
            offset=3,
            filter_json=FILTER_JSON,
            score_threshold=0.1,
            include_total=True,
            explain=True,
            options=pb.SearchOptions(exact=True, ef_search=50),
            mmr=pb.Mmr(diversity=0.7, candidates=20),
            fields=pb.PointFields(metadata_fields=["n", "deep.er"]),
        ),
        timeout=TIMEOUT_S,
    )
    assert _hits(found.points, found.scores) == _shown(over_rest["results"])
    assert (found.has_more, found.total_count, found.total_is_exact) == (
        over_rest["has_more"],
        over_rest["total_count"],
        over_rest["total_is_exact"],
    )
    assert len(json.loads(found.explanation_json)) == len(over_rest["explanation"]) == 2


def test_without_fields_there_are_ids_scores_and_times(
    corpus: Stack, engine_service: VectorServiceStub, name: str
) -> None:
    request = pb.SearchVectorsRequest(collection=name, vector=vector_of([1, 0, 0]))
    found = engine_service.SearchVectors(request, timeout=TIMEOUT_S)
    points = found.points
    # Ten, where nothing is said.
    assert len(points.ids) == len(found.scores) == len(points.created_at_us) == 10
    assert (len(points.metadata), points.HasField("vectors"), len(points.versions)) == (0, False, 0)


def test_a_batch(corpus: Stack, engine_service: VectorServiceStub, name: str) -> None:
    queries = [query for query, _ in QUERIES]
    over_rest = _rest(corpus, "search/batch", collection=name, queries=queries, limit=3, filter=FILTER)
    found = engine_service.SearchVectorsBatch(
        pb.SearchVectorsBatchRequest(
            collection=name,
            queries=[pb.Query(**query) for _, query in QUERIES],
            limit=3,
            filter_json=FILTER_JSON,
            fields=pb.PointFields(metadata=True),
        ),
        timeout=TIMEOUT_S,
    )
    assert [_hits(one.points, one.scores) for one in found.results] == [
        _shown(one["results"]) for one in over_rest["batches"]
    ]


def test_groups(corpus: Stack, engine_service: VectorServiceStub, name: str) -> None:
    over_rest = _rest(
        corpus, "search/groups", collection=name, vector=[1, 1, 1], group_by="deep.er", group_size=2
    )
    found = engine_service.SearchVectorGroups(
        pb.SearchVectorGroupsRequest(
            collection=name,
            vector=vector_of([1, 1, 1]),
            group_by="deep.er",
            group_size=2,
            fields=pb.PointFields(metadata=True),
        ),
        timeout=TIMEOUT_S,
    )
    told = [(json.loads(one.value_json), _hits(one.points, one.scores)) for one in found.groups]
    assert told == [(one["value"], _shown(one["results"])) for one in over_rest["groups"]]
    assert len(told) == 4


@pytest.mark.parametrize("strategy", ["average_vector", "best_score"])
def test_recommendations(corpus: Stack, engine_service: VectorServiceStub, name: str, strategy: str) -> None:
    over_rest = _rest(
        corpus,
        "recommend",
        collection=name,
        positive=[9, [0.5, 0.5, 0]],
        negative=["point 10"],
        strategy=strategy,
        limit=5,
        include_total=True,
    )
    found = engine_service.RecommendVectors(
        pb.RecommendVectorsRequest(
            collection=name,
            positive=[pb.Example(id=encoded(9)), pb.Example(vector=vector_of([0.5, 0.5, 0]))],
            negative=[pb.Example(id=encoded("point 10"))],
            strategy=pb.RecommendStrategy.Value(f"RECOMMEND_STRATEGY_{strategy.upper()}"),
            limit=5,
            include_total=True,
            fields=pb.PointFields(metadata=True),
        ),
        timeout=TIMEOUT_S,
    )
    assert _hits(found.points, found.scores) == _shown(over_rest["results"])
    assert found.total_count == over_rest["total_count"] == COUNT - 2


def test_values_of_a_field(corpus: Stack, engine_service: VectorServiceStub, name: str) -> None:
    facet = _rest(corpus, "facet", collection=name, field="parity", filter=FILTER)
    counted = engine_service.FacetValues(
        pb.FacetValuesRequest(collection=name, field="parity", filter_json=FILTER_JSON), timeout=TIMEOUT_S
    )
    values = [{"value": json.loads(one.value_json), "count": one.count} for one in counted.values]
    assert (values, counted.distinct, counted.matches) == (
        facet["values"],
        facet["distinct"],
        facet["matches"],
    )

    listed: list[Any] = []
    request = pb.DistinctValuesRequest(collection=name, field="n", limit=25)
    while True:
        page = engine_service.DistinctValues(request, timeout=TIMEOUT_S)
        listed += map(json.loads, page.values_json)
        if not page.next_cursor:
            break
        request.cursor = page.next_cursor
    assert listed == list(range(COUNT))


def test_a_text_is_embedded(shards: Stack, engine_service: VectorServiceStub) -> None:
    name = "grpc-search-texts"
    shards.create(name, dimension=384, embedding_model="hash-384")
    points = [{"id": 1, "text": "a red fox"}, {"id": 2, "text": "blue whales"}]
    shards.insert(name, points)
    found = engine_service.SearchVectors(
        pb.SearchVectorsRequest(collection=name, text="red fox", limit=1), timeout=TIMEOUT_S
    )
    assert rows_of(found.points) == [{"id": 1}]
