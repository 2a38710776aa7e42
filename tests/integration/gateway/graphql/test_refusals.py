"""The same mistake has the same code, message, details and status as over REST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.gateway.graphql.client import post, send
from tests.integration.gateway.stack import Stack


@dataclass(frozen=True)
class Case:
    """The same body over both: `field` takes it as its input, in camel case."""

    name: str
    field: str
    path: str
    body: dict[str, Any]
    code: str


NAN = float("nan")


def _search(name: str, body: dict[str, Any], code: str) -> Case:
    told = {"collection": "docs", "vector": [1, 0, 0]} | body
    return Case(f"search {name}", "searchVectors", "vectors/search", told, code)


def _insert(name: str, point: dict[str, Any], code: str) -> Case:
    body = {"collection": "docs", "vectors": [{"id": 1, "vector": [1, 0, 0]}, point]}
    return Case(f"insert {name}", "insertVectors", "vectors/insert", body, code)


CASES = [
    _search("short vector", {"vector": [1, 2]}, "dimension_mismatch"),
    _search("no list", {"vector": {"a": 1}}, "invalid_argument"),
    _search("zero", {"vector": [0, 0, 0]}, "zero_vector"),
    _search("overflow", {"vector": [1, 1e300, 0]}, "non_finite_vector"),
    _search("no number", {"vector": [1, "2", 0]}, "invalid_argument"),
    _search("both", {"text": "x"}, "invalid_argument"),
    _search("limit 0", {"limit": 0}, "invalid_limit"),
    _search("limit 1001", {"limit": 1001}, "invalid_limit"),
    _search("offset", {"offset": 999, "limit": 10}, "invalid_limit"),
    _search("filter", {"filter": {"field": "a", "operator": "like", "value": 1}}, "invalid_filter"),
    _search("filter no object", {"filter": "a = 1"}, "invalid_filter"),
    _search("unknown collection", {"collection": "nope"}, "collection_not_found"),
    _search("ef_search", {"ef_search": 0}, "invalid_argument"),
    _search("mmr", {"mmr": {"diversity": 2.0}}, "invalid_argument"),
    Case(
        "search unknown point",
        "searchVectors",
        "vectors/search",
        {"collection": "docs", "id": "nope"},
        "point_not_found",
    ),
    Case(
        "search text without model",
        "searchVectors",
        "vectors/search",
        {"collection": "docs", "text": "x"},
        "failed_precondition",
    ),
    Case(
        "scroll cursor", "scroll", "vectors/scroll", {"collection": "docs", "cursor": "x"}, "invalid_cursor"
    ),
    Case("count filter", "count", "vectors/count", {"collection": "docs", "filter": []}, "invalid_filter"),
    _insert("id", {"id": -1, "vector": [1, 0, 0]}, "invalid_id"),
    _insert("id twice", {"id": 1, "vector": [1, 0, 0]}, "duplicate_id"),
    _insert("id true", {"id": True, "vector": [1, 0, 0]}, "invalid_id"),
    _insert("dimension", {"id": 2, "vector": [1]}, "dimension_mismatch"),
    _insert("metadata", {"id": 2, "vector": [1, 0, 0], "metadata": [1]}, "invalid_metadata"),
    _insert("neither", {"id": 2}, "invalid_argument"),
    _insert("expiry", {"id": 2, "vector": [1, 0, 0], "expires_at": "soon"}, "invalid_expiry"),
    Case("insert nothing", "insertVectors", "vectors/insert", {"collection": "docs", "vectors": []}, ""),
    Case("delete neither", "deleteVectors", "vectors/delete", {"collection": "docs"}, "invalid_argument"),
    Case("delete id", "deleteVectors", "vectors/delete", {"collection": "docs", "ids": [1.5]}, "invalid_id"),
    Case("collection name", "createCollection", "collections", {"name": "Bad", "dimension": 3}, ""),
    Case("collection there", "createCollection", "collections", {"name": "docs", "dimension": 3}, ""),
    Case(
        "collection metric",
        "createCollection",
        "collections",
        {"name": "new", "dimension": 3, "metric": "cosin"},
        "invalid_argument",
    ),
    Case(
        "collection index",
        "createCollection",
        "collections",
        {"name": "new", "dimension": 3, "index": {"type": "tree"}},
        "invalid_argument",
    ),
    Case("embed model", "generateEmbedding", "embeddings/generate", {"text": "a", "model": "nope"}, ""),
    Case("embed text", "generateEmbedding", "embeddings/generate", {"text": ""}, "invalid_text"),
]

# What of each answer is asked for, as a field needs some.
_SELECTED = {
    "searchVectors": "{ results { id } }",
    "scroll": "{ vectors { id metadata } }",
    "count": "",
    "insertVectors": "{ inserted }",
    "deleteVectors": "{ deleted }",
    "createCollection": "{ name }",
    "generateEmbedding": "{ model }",
}
_INPUTS = {
    "searchVectors": "SearchInput",
    "scroll": "ScrollInput",
    "count": "CountInput",
    "insertVectors": "InsertInput",
    "deleteVectors": "DeleteInput",
    "createCollection": "CollectionInput",
    "generateEmbedding": "EmbeddingInput",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_told_as_over_rest(graph: Stack, case: Case) -> None:
    changes = case.field in ("insertVectors", "deleteVectors", "createCollection", "generateEmbedding")
    kind = "mutation" if changes else "query"
    query = (
        f"{kind} ($input: {_INPUTS[case.field]}!) {{ {case.field}(input: $input) {_SELECTED[case.field]} }}"
    )
    answer = send(graph, query, input=_camel(case.body))
    (error,) = answer["errors"]
    over_rest = graph.client.post(f"/api/v1/{case.path}", json=case.body)
    expected = over_rest.json()["error"]
    told = {"message": error["message"], **error["extensions"]}
    assert told.pop("http_status") == over_rest.status_code
    told.pop("retry_after_s", None)
    assert told == {name: expected[name] for name in ("code", "type", "message", "details")}
    assert expected["code"] == (case.code or expected["code"])
    assert answer["data"] == {case.field: None}


def _camel(body: Any) -> Any:
    """Names of request fields; what is inside JSON stays."""
    if isinstance(body, list):
        return [_camel(one) if isinstance(one, dict) else one for one in body]
    return {
        "".join(part if not n else part.title() for n, part in enumerate(name.split("_"))): (
            _camel(value) if name in ("vectors", "mmr") else value
        )
        for name, value in body.items()
    }


GRAPHQL = [
    ("{", "graphql_syntax", 400, "Syntax Error"),
    ("{ nope }", "graphql_invalid", 422, "nope"),
    ("{ searchVectors { results { id } } }", "graphql_invalid", 422, "input"),
    ("{ collections }", "graphql_invalid", 422, "selection of subfields"),
    ('{ count(input: {collection: "docs", nope: 1}) }', "graphql_invalid", 422, "nope"),
    ('{ scroll(input: {collection: "docs", limit: "1"}) { nextCursor } }', "graphql_invalid", 422, "Int"),
    ("query A { __typename } query B { __typename }", "graphql_invalid", 422, "operationName"),
    ("fragment F on Query { ...F } { ...F }", "graphql_invalid", 422, "itself"),
    ("subscription { jobProgress(id: 1) { state } }", "graphql_invalid", 422, "text/event-stream"),
]


@pytest.mark.parametrize(("document", "code", "status", "mentions"), GRAPHQL)
def test_what_is_wrong_with_a_document_has_codes_of_its_own(
    graph: Stack, document: str, code: str, status: int, mentions: str
) -> None:
    plain = post(graph, {"query": document})
    error = plain.json()["errors"][0]
    assert (plain.status_code, error["extensions"]["code"]) == (200, code)
    assert mentions in error["message"]
    assert "data" not in plain.json()
    told = post(graph, {"query": document}, accept="application/graphql-response+json")
    assert (told.status_code, told.headers["content-type"]) == (status, "application/graphql-response+json")


def test_a_variable_that_does_not_fit_is_refused_before_anything_runs(graph: Stack) -> None:
    body = {"query": "query ($n: Int!) { collections(limit: $n) { nextCursor } }", "variables": {"n": "x"}}
    answer = post(graph, body)
    (error,) = answer.json()["errors"]
    assert (error["extensions"]["code"], "data" in answer.json()) == ("graphql_invalid", False)
    assert "$n" in error["message"]
