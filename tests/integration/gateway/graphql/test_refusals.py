"""What is wrong with a document has codes of its own. Mistakes that every door knows are in `doors`."""

from __future__ import annotations

import pytest

from tests.integration.gateway.graphql.client import post
from tests.integration.gateway.stack import Stack

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
