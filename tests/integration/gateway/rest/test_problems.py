"""Errors as problem details (RFC 9457), for who asks for them; and what every answer carries."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.gateway.stack import Stack

PROBLEM = {"Accept": "application/problem+json"}

BAD: list[tuple[str, str, Any, int, str, str]] = [
    (
        "POST",
        "/api/v1/vectors/search",
        {"collection": "bad", "vector": [1]},
        422,
        "dimension_mismatch",
        "Dimension mismatch",
    ),
    ("GET", "/api/v1/collections/nope", None, 404, "collection_not_found", "Collection not found"),
    ("GET", "/nothing/here", None, 404, "not_found", "Not found"),
    ("DELETE", "/api/v1/vectors/search", None, 405, "method_not_allowed", "Method not allowed"),
    ("POST", "/v1/embeddings", {"input": "a", "model": "nope"}, 404, "model_not_found", "Model not found"),
    ("GET", "/api/v1/libraries", None, 409, "database_not_configured", "Database not configured"),
]


def ask(stack: Stack, method: str, path: str, body: Any, accept: str) -> httpx.Response:
    return stack.client.request(method, path, json=body, headers={"Accept": accept})


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "title"), BAD)
def test_an_error_is_a_problem_for_who_asks_for_it(
    bad: Stack, method: str, path: str, body: Any, status: int, code: str, title: str
) -> None:
    plain = ask(bad, method, path, body, "application/json")
    assert plain.headers["Content-Type"] == "application/json"
    answer = ask(bad, method, path, body, "application/problem+json, */*;q=0.5")
    assert answer.status_code == plain.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Vary"] == "Accept"
    told = answer.json()
    assert told["type"] == f"urn:hana-x-vector:error:{code}"
    assert (told["title"], told["status"], told["code"], told["instance"]) == (title, status, code, path)
    assert told["detail"] == plain.json()["error"]["message"]
    assert told["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers.get("Allow") == plain.headers.get("Allow")


def test_every_wrong_field_is_named(bad: Stack) -> None:
    body = {"collection": "bad", "limit": 0, "colour": "red", "vector": [1, 2, 3]}
    told = ask(bad, "POST", "/api/v1/vectors/search", body, "application/problem+json").json()
    assert {one["field"] for one in told["errors"]} == {"limit", "colour"}
    assert "details" not in told
    # What programs are told besides.
    wrong = ask(
        bad, "POST", "/api/v1/vectors/search", {"collection": "bad", "vector": [1]}, PROBLEM["Accept"]
    )
    assert wrong.json()["details"] == {"expected": 3, "got": 1}


@pytest.mark.parametrize(
    ("accept", "is_problem"),
    [
        ("application/problem+json", True),
        ("application/json, application/problem+json", True),
        ("APPLICATION/PROBLEM+JSON; q=0.1", True),
        ("application/problem+json;q=0", False),
        ("application/json", False),
        ("*/*", False),
        ("application/*", False),
    ],
)
def test_who_does_not_name_it_gets_the_envelope(bad: Stack, accept: str, is_problem: bool) -> None:
    answer = ask(bad, "GET", "/api/v1/collections/nope", None, accept)
    assert ("success" in answer.json()) is not is_problem


def test_a_success_is_no_problem(bad: Stack) -> None:
    answer = ask(bad, "GET", "/api/v1/collections/bad", None, "application/problem+json")
    assert answer.json()["success"] is True


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "title"), BAD)
def test_every_refusal_has_its_id_and_where_its_time_went(
    bad: Stack, method: str, path: str, body: Any, status: int, code: str, title: str
) -> None:
    answer = bad.client.request(method, path, json=body, headers={"X-Request-ID": "mine 7"})
    assert answer.headers["X-Request-ID"] == "mine 7"
    assert answer.headers["Server-Timing"].startswith("total;dur=")


@pytest.mark.parametrize("path", ["/health", "/metrics", "/docs", "/openapi.json", "/api/v1/collections"])
def test_so_has_every_success(bad: Stack, path: str) -> None:
    answer = bad.client.get(path)
    assert answer.status_code == 200
    assert len(answer.headers["X-Request-ID"]) == 32
    assert "gateway;dur=" in answer.headers["Server-Timing"]
