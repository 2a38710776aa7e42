"""Queries answer what REST answers, and fetch what they are asked for."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from tests.integration.gateway.graphql.client import ask, post, send
from tests.integration.gateway.stack import Stack

SEARCH = """query ($vector: Vector, $limit: Int! = 3) {
  searchVectors(input: {collection: "docs", vector: $vector, limit: $limit}) {
    results { id score metadata createdAt version vector }
  }
}"""


def rest(stack: Stack, path: str, body: dict[str, Any]) -> Any:
    return stack.data(stack.post(f"/api/v1/vectors/{path}", body))


def test_a_search_finds_what_it_finds_over_rest(graph: Stack) -> None:
    found = ask(graph, SEARCH, vector=[1, 2, 0])["searchVectors"]["results"]
    wanted = {"collection": "docs", "vector": [1, 2, 0], "limit": 3, "include_vectors": True}
    expected = rest(graph, "search", {**wanted, "include_version": True})["results"]
    names = {"createdAt": "created_at"}
    assert [{names.get(key, key): value for key, value in hit.items()} for hit in found] == [
        {key: value for key, value in hit.items() if key != "updated_at"} for hit in expected
    ]


def test_vectors_are_sent_and_answered_as_base64_of_float32(graph: Stack) -> None:
    raw = np.array([1, 2, 0], "<f4").tobytes()
    query = """query ($vector: Vector) {
      searchVectors(input: {collection: "docs", vector: $vector, limit: 1}) {
        results { id vector(encoding: BASE64) list: vector }
      }
    }"""
    (hit,) = ask(graph, query, vector=base64.b64encode(raw).decode())["searchVectors"]["results"]
    assert (hit["id"], hit["list"]) == (2, [1.0, 2.0, 0.0])
    assert base64.b64decode(hit["vector"]) == raw


def test_parts_of_metadata_are_answered_where_they_are_named(graph: Stack) -> None:
    query = (
        '{ scroll(input: {collection: "docs", metadataFields: ["n"], limit: 1}) { vectors { metadata } } }'
    )
    (point,) = ask(graph, query)["scroll"]["vectors"]
    assert list(point["metadata"]) == ["n"]


def test_pages_of_points_end_and_cover_all(graph: Stack) -> None:
    query = """query ($cursor: String) {
      scroll(input: {collection: "docs", limit: 2, cursor: $cursor}) { vectors { id } nextCursor }
    }"""
    ids, cursor = [], None
    for _ in range(3):
        page = ask(graph, query, cursor=cursor)["scroll"]
        ids += [point["id"] for point in page["vectors"]]
        cursor = page["nextCursor"]
    assert sorted(ids) == [1, 2, 3, 4, 5]
    assert cursor is None


def test_points_by_their_ids_and_those_that_are_missing(graph: Stack) -> None:
    query = """query ($filter: JSON) {
      one: getVector(collection: "docs", id: 3) { id metadata model collection }
      some: getVectors(collection: "docs", ids: [5, "x", 1]) { vectors { id } missing }
      counted: count(input: {collection: "docs", filter: $filter})
    }"""
    data = ask(graph, query, filter={"n": {"$gte": 4}})
    assert data == {
        "one": {"id": 3, "metadata": {"n": 3, "title": "page 3"}, "model": None, "collection": "docs"},
        "some": {"vectors": [{"id": 5}, {"id": 1}], "missing": ["x"]},
        "counted": 2,
    }


def test_batches_groups_recommendations_and_values(graph: Stack) -> None:
    query = """{
      searchVectorsBatch(input: {collection: "docs", queries: [{vector: [1, 5, 0]}, {id: 1}], limit: 1}) {
        batches { results { id } }
      }
      searchGroups(input: {collection: "docs", vector: [1, 1, 0], groupBy: "n", limit: 2, groupSize: 1}) {
        groups { value results { id } }
      }
      recommend(input: {collection: "docs", positive: [4], limit: 1}) { results { id } }
      facet(input: {collection: "docs", field: "n", limit: 1}) { values { value count } distinct matches }
      distinct(input: {collection: "docs", field: "n", limit: 2}) { values nextCursor }
    }"""
    data = ask(graph, query)
    batches = [[hit["id"] for hit in one["results"]] for one in data["searchVectorsBatch"]["batches"]]
    assert batches == [[5], [2]]
    assert [group["value"] for group in data["searchGroups"]["groups"]] == [1, 2]
    assert data["recommend"]["results"] == [{"id": 5}]
    assert (data["facet"]["distinct"], data["facet"]["matches"]) == (5, 5)
    assert data["distinct"]["values"] == [1, 2]


def test_a_collection_tells_its_points_and_a_model_how_it_is(graph: Stack) -> None:
    query = """{
      collection(name: "docs") { name dimension metric index points indexTotals { settled } model { model } }
      collections(limit: 1) { collections { name embeddingModel } nextCursor }
      models { model health endpoints { address state } }
    }"""
    data = ask(graph, query)
    assert data["collection"] == {
        "name": "docs",
        "dimension": 3,
        "metric": "cosine",
        "index": {"type": "auto"},
        "points": 5,
        "indexTotals": {"settled": True},
        "model": None,
    }
    page = data["collections"]
    assert (page["collections"][0]["name"], page["nextCursor"] is None) == ("docs", False)
    (model,) = data["models"]
    assert (model["model"], len(model["endpoints"])) == ("hash-384", 1)


def test_what_fails_is_null_and_the_rest_is_answered(graph: Stack) -> None:
    body = send(graph, '{ a: count(input: {collection: "nope"}) b: count(input: {collection: "docs"}) }')
    assert body["data"] == {"a": None, "b": 5}
    (error,) = body["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["a"], "collection_not_found")
    assert error["locations"] == [{"line": 1, "column": 3}]


@pytest.mark.parametrize("control", ["no-cache", "no-store"])
def test_cache_control_of_the_request_holds(graph: Stack, control: str) -> None:
    body = {"query": '{ count(input: {collection: "docs", filter: {field: "n", operator: "eq", value: 1}}) }'}
    post(graph, body)
    assert post(graph, body).headers["X-Cache"] == "HIT"
    assert post(graph, body, cache_control=control).headers.get("X-Cache") != "HIT"


def test_a_request_has_an_id_a_cost_and_its_time(graph: Stack) -> None:
    answer = post(graph, {"query": '{ count(input: {collection: "docs"}) }'}, x_request_id="mine")
    assert answer.headers["X-Request-ID"] == "mine"
    assert "shard" in answer.headers["Server-Timing"] or answer.headers["X-Cache"] == "HIT"
    assert answer.json()["extensions"] == {"request_id": "mine", "cost": 20}


def test_a_search_by_text_is_embedded(graph: Stack) -> None:
    insert = """mutation {
      insertVectors(input: {collection: "texts", vectors: [{id: "a", text: "red apples"}]}) {
        inserted updated
      }
    }"""
    assert sum(ask(graph, insert)["insertVectors"].values()) == 1
    query = """{ searchVectors(input: {collection: "texts", text: "red apples"}) {
      results { id score metadata provenance { model version contentHash } } truncated } }"""
    (hit,) = ask(graph, query)["searchVectors"]["results"]
    assert hit["score"] == pytest.approx(1, abs=1e-5)
    assert (hit["metadata"], hit["provenance"]["model"]) == ({"text": "red apples"}, "hash-384")
