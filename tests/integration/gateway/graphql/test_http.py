"""How requests come and answers go: methods, media types, limits, documents by their hash, and the page."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hanax.gateway.graphql.page import ASSETS, assets_folder
from tests.integration.gateway.graphql.client import PATH, ask, post
from tests.integration.gateway.stack import Stack, running_stack

COUNT = '{ count(input: {collection: "docs"}) }'


def error_of(answer: Any) -> dict[str, Any]:
    """The first error: its message and its extensions."""
    error = answer.json()["errors"][0]
    return {"message": error["message"], **error["extensions"]}


def test_a_query_may_come_by_get_and_a_change_may_not(graph: Stack) -> None:
    parameters = {
        "query": "query Q($n: Int!) { collections(limit: $n) { collections { name } } }",
        "variables": '{"n": 1}',
        "operationName": "Q",
    }
    found = graph.client.get(PATH, params=parameters).json()["data"]
    assert found == {"collections": {"collections": [{"name": "docs"}]}}
    change = 'mutation { deleteCollection(name: "docs") { deleted } }'
    refused = graph.client.get(PATH, params={"query": change})
    assert error_of(refused)["code"] == "method_not_allowed"
    assert ask(graph, '{ collection(name: "docs") { name } }') == {"collection": {"name": "docs"}}
    broken = graph.client.get(PATH, params={"query": COUNT, "variables": "{"})
    assert (broken.status_code, error_of(broken)["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_foreign_page_may_send_is_refused(graph: Stack, kind: str) -> None:
    """Browsers ask first before they send JSON to another host; these they send without asking."""
    content = json.dumps({"query": "{ __typename }"}).encode()
    answer = graph.client.post(PATH, content=content, headers={"Content-Type": kind})
    assert (answer.status_code, error_of(answer)["code"]) == (415, "unsupported_media_type")


def test_a_list_of_operations_is_refused(graph: Stack) -> None:
    answer = post(graph, [{"query": "{ __typename }"}])
    assert (answer.status_code, error_of(answer)["code"]) == (422, "graphql_invalid")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "graphql_invalid"),
        ({"query": 1}, "invalid_argument"),
        ({"query": "{ __typename }", "variables": [1]}, "graphql_invalid"),
        ({"query": "{ __typename }", "nope": 1}, "invalid_argument"),
        ({"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "0" * 64}}}, "invalid_argument"),
        ({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x"}}}, "invalid_argument"),
    ],
)
def test_a_body_that_asks_nothing_is_refused(graph: Stack, body: Any, code: str) -> None:
    assert error_of(post(graph, body))["code"] == code


def test_what_the_edge_refuses_has_the_form_of_graphql(graph: Stack) -> None:
    broken = graph.client.post(PATH, content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, error_of(broken)["code"]) == (400, "invalid_json")
    other = graph.client.put(PATH, json={})
    assert (other.status_code, error_of(other)["code"]) == (405, "method_not_allowed")


def test_a_document_is_known_by_its_hash_once_it_was_sent(graph: Stack) -> None:
    document = "query Known { collections(limit: 1) { collections { name } } }"
    persisted = {"version": 1, "sha256Hash": hashlib.sha256(document.encode()).hexdigest()}
    by_hash = {"extensions": {"persistedQuery": persisted, "other": 1}}
    unknown = error_of(post(graph, by_hash))
    # Clients look for this very text.
    assert (unknown["message"], unknown["code"]) == ("PersistedQueryNotFound", "persisted_query_not_found")
    sent = post(graph, {"query": document, **by_hash}).json()["data"]
    assert post(graph, by_hash).json()["data"] == sent
    parameters = {"extensions": json.dumps({"persistedQuery": persisted})}
    assert graph.client.get(PATH, params=parameters).json()["data"] == sent
    other = post(graph, {"query": COUNT, **by_hash})
    assert error_of(other)["code"] == "graphql_invalid"


def test_a_document_that_is_wrong_is_not_kept_by_its_hash(graph: Stack) -> None:
    document = "{ nope }"
    digest = hashlib.sha256(document.encode()).hexdigest()
    by_hash = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}
    assert error_of(post(graph, {"query": document, **by_hash}))["code"] == "graphql_invalid"
    assert error_of(post(graph, by_hash))["code"] == "persisted_query_not_found"


COSTLY = [
    ('{ scroll(input: {collection: "docs", limit: 100000}) { vectors { id } } }', "may cost"),
    ("{" + " ".join(f'a{n}: count(input: {{collection: "docs"}})' for n in range(1_001)) + "}", "tokens"),
    (
        "{"
        + " ".join(
            f'a{n}: searchVectorsBatch(input: {{collection: "d", queries: [{{}}, {{}}, {{}}, {{}}]}}) '
            "{ batches { results { id } } }"
            for n in range(60)
        )
        + "}",
        "may cost",
    ),
    ("{ libraries { libraries { documents { documents { chunks { chunks { id } } } } } } }", "may cost"),
    ("{" * 70 + "}" * 70, "brackets"),
    ("{ a" + " " * 70_000 + "}", "bytes"),
    ("{" + "__typename " * 200 + "}", "times"),
    ("query($f: JSON = " + "[" * 80 + "]" * 80 + ") { __typename }", "brackets"),
    ("{" + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(11)) + "}", "may cost"),
]


@pytest.mark.parametrize(("document", "mentions"), COSTLY, ids=lambda one: one[:24])
def test_what_costs_too_much_is_refused_before_anything_runs(
    graph: Stack, document: str, mentions: str
) -> None:
    refused = error_of(post(graph, {"query": document}))
    assert (refused["code"], mentions in refused["message"]) == ("graphql_too_costly", True), refused
    assert refused["details"]["limit"] > 0


def test_the_number_of_a_variable_counts(graph: Stack) -> None:
    query = "query ($n: Int!) { collections(limit: $n) { collections { name } } }"
    assert post(graph, {"query": query, "variables": {"n": 1}}).json()["extensions"]["cost"] == 12
    assert error_of(post(graph, {"query": query, "variables": {"n": 10**6}}))["code"] == "graphql_too_costly"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    bounds: dict[str, Any] = {
        "graphql_max_depth": 3,
        "graphql_max_cost": 50,
    }
    with running_stack(tmp_path_factory.mktemp("strict"), graphql_introspection=False, **bounds) as stack:
        stack.create("docs")
        yield stack


def test_settings_bound_documents_and_hide_the_schema(strict: Stack) -> None:
    hidden = error_of(post(strict, {"query": "{ __schema { types { name } } }"}))
    assert (hidden["code"], "introspection" in hidden["message"]) == ("graphql_invalid", True)
    unknown = error_of(post(strict, {"query": "{ collectio { name } }"}))
    assert "Did you mean" not in unknown["message"]
    deep = error_of(post(strict, {"query": "{ collections { collections { indexTotals { settled } } } }"}))
    assert (deep["code"], deep["details"]) == ("graphql_too_costly", {"limit": 3, "depth": 4})
    dear = error_of(post(strict, {"query": "{ collections { collections { name } } }"}))
    assert (dear["code"], dear["details"]["limit"]) == ("graphql_too_costly", 50)
    assert post(strict, {"query": COUNT}).json()["data"] == {"count": 0}
    assert strict.client.get("/graphiql").status_code == 404


def test_the_schema_is_told_and_is_the_one_that_is_published(graph: Stack) -> None:
    data = ask(graph, '{ __schema { queryType { name } } __type(name: "SearchInput") { kind } }')
    assert data == {"__schema": {"queryType": {"name": "Query"}}, "__type": {"kind": "INPUT_OBJECT"}}
    published = Path(__file__).parents[4] / "docs" / "reference" / "schema.graphql"
    assert "input SearchInput {" in published.read_text()


@pytest.mark.skipif(assets_folder() is None, reason="the page's files are not installed")
def test_the_page_needs_no_other_host_and_runs_the_files_that_are_known(graph: Stack) -> None:
    browser = graph.client.get(PATH, headers={"Accept": "text/html"})
    assert (browser.status_code, browser.headers["location"]) == (307, "/graphiql")
    page = graph.client.get("/graphiql")
    assert "://" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name, digest in ASSETS.items():
        assert digest in page.text
        file = graph.client.get(f"/graphiql/static/{name}")
        found = hashlib.sha256(file.content).digest()
        assert (file.status_code, found.hex()) == (200, base64.b64decode(digest).hex())
    script = graph.client.get("/graphiql/page.js")
    assert script.headers["content-type"].startswith("text/javascript")


def test_metrics_tell_of_operations_by_the_schemas_names(graph: Stack) -> None:
    before = _counted(graph, "GraphQL count")
    ask(graph, "query AnyName { a: " + COUNT[2:-2] + " b: " + COUNT[2:-2] + " }")
    assert _counted(graph, "GraphQL count") == before + 2
    assert _counted(graph, "POST /graphql") > 0
    assert "AnyName" not in graph.client.get("/metrics").text


def _counted(graph: Stack, method: str) -> float:
    start = f'vector_db_requests_total{{method="{method}",service="gateway"'
    lines = [line for line in graph.client.get("/metrics").text.splitlines() if line.startswith(start)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
