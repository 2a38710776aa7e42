"""The gateway and its metadata database: how it tells of it, notes operations there, and does without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.databases import PostgresqlServer
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

POINTS = [{"id": number, "vector": [1.0, float(number), 0.0]} for number in range(5)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With a database in a file that is not there yet."""
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, database_url=f"sqlite:///{folder}/metadata.db") as running:
        yield running


def operations(stack: Stack, **wanted: object) -> list[dict[str, Any]]:
    """As many as fit on a page."""
    found: list[dict[str, Any]] = operations_page(stack, **wanted)["operations"]
    return found


def operations_page(stack: Stack, **wanted: object) -> Any:
    return stack.data(stack.client.get("/api/v1/operations", params={k: str(v) for k, v in wanted.items()}))


def test_the_database_is_told_of(stack: Stack) -> None:
    found = stack.data(stack.client.get("/health/database"))
    assert found["status"] == "ok"
    assert found["reachable"] is True
    assert found["dialect"] == "sqlite"
    assert found["latency_ms"] > 0
    assert found["revision"][:4].isdigit()
    assert found["pool_in_use"] <= found["pool_size"]
    assert found["error"] is None
    metrics = stack.client.get("/metrics").text
    assert 'vector_db_database_connections{service="gateway",state="limit"}' in metrics


def test_operations_are_noted_with_who_what_how_many_and_how_they_ended(stack: Stack) -> None:
    name = "noted"
    stack.create(name)
    stack.insert(name, POINTS)
    asked = {"X-Request-ID": "mine"}
    search = {"collection": name, "vector": [1.0, 0.0, 0.0], "limit": 3}
    stack.data(stack.client.post("/api/v1/vectors/search", json=search, headers=asked))
    stack.data(
        stack.post(
            "/api/v1/vectors/search/batch",
            {"collection": name, "queries": [{"vector": [1, 0, 0]}], "limit": 2},
        )
    )
    stack.data(stack.post("/api/v1/vectors/get", {"collection": name, "ids": [1, 2, 99]}))
    stack.data(stack.post("/api/v1/vectors/scroll", {"collection": name, "limit": 4}))
    stack.data(stack.post("/api/v1/vectors/count", {"collection": name}))
    stack.data(stack.post("/api/v1/vectors/delete", {"collection": name, "ids": [1, 2, 99]}))
    bad = stack.post("/api/v1/vectors/search", {"collection": name, "vector": [1.0]})
    assert bad.status_code == 422

    wait_until("all are noted", lambda: len(operations(stack, collection=name)) >= 9)
    found = operations(stack, collection=name)

    assert [(one["operation"], one["items"], one["outcome"]) for one in reversed(found)] == [
        ("create_collection", 0, "ok"),
        ("insert", 5, "ok"),
        ("search", 3, "ok"),
        ("search_batch", 2, "ok"),
        ("get", 2, "ok"),
        ("scroll", 4, "ok"),
        ("count", 5, "ok"),
        ("delete", 2, "ok"),
        ("search", 0, "dimension_mismatch"),
    ]
    assert {one["actor"] for one in found} == {"address 127.0.0.1"}
    assert [one["request_id"] for one in found].count("mine") == 1
    assert all(one["duration_ms"] > 0 for one in found)
    assert [one["at"] for one in found] == sorted((one["at"] for one in found), reverse=True)
    assert operations(stack, collection=name, operation="search", outcome="ok")[0]["request_id"] == "mine"
    page = operations_page(stack, collection=name, limit=4)
    rest = operations_page(stack, collection=name, limit=100, cursor=page["next_cursor"])
    assert page["operations"] + rest["operations"] == found
    assert rest["next_cursor"] is None
    assert (rest["dropped"], rest["waiting"]) == (0, 0)


def test_an_outcome_that_no_operation_has_is_refused(stack: Stack) -> None:
    answer = stack.client.get("/api/v1/operations", params={"outcome": "foo"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_argument")
    assert "got 'foo'" in answer.json()["error"]["message"]


@pytest.mark.parametrize("cursor", ["x", "!!", "AAAA", "_" * 22])
def test_a_foreign_cursor_is_refused(stack: Stack, cursor: str) -> None:
    answer = stack.client.get("/api/v1/operations", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_cursor")


def test_without_a_database_all_else_works(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        stack.create("docs")
        stack.insert("docs", POINTS)
        assert stack.data(stack.client.get("/health/database")) == {"status": "not_configured"}
        for path, what in (("/api/v1/operations", "the operation log"), ("/api/v1/keys", "API keys")):
            answer = stack.client.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "database_not_configured")
            assert what in answer.json()["error"]["message"]


def test_a_log_that_is_not_kept_is_told_of(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/metadata.db"
    with running_stack(tmp_path, database_url=url, operation_log_keep_s=0) as stack:
        answer = stack.client.get("/api/v1/operations")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "failed_precondition")


def test_a_gateway_whose_database_is_away_serves_searches_and_takes_it_up(tmp_path: Path) -> None:
    """Away at the start, there, killed, and there again: searches are answered all the time."""
    server = PostgresqlServer.start()
    url = server.create()
    server.kill()
    try:
        with running_stack(tmp_path, database_url=url) as stack:
            stack.create("docs")
            stack.insert("docs", POINTS)
            for _ in range(2):
                assert_away(stack.client)
                search(stack)
                server.launch()
                wait_until("the database is open", lambda: is_open(stack.client))
                search(stack)
                # What was asked while it was away is noted now.
                wait_until("all is noted", lambda: len(operations(stack, operation="insert")) == 1)
                server.kill()
                wait_until("it is missed", lambda: not is_open(stack.client))
    finally:
        server.stop()


def search(stack: Stack) -> None:
    body = {"collection": "docs", "vector": [1.0, 0.0, 0.0]}
    assert len(stack.data(stack.post("/api/v1/vectors/search", body))["results"]) == 5


def is_open(client: httpx.Client) -> bool:
    return client.get("/health/database").status_code == 200


def assert_away(client: httpx.Client) -> None:
    health = client.get("/health/database")
    assert health.status_code == 503
    assert health.json()["error"]["details"]["reachable"] is False
    answer = client.get("/api/v1/operations")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
