"""Refused reads, deletes, updates and embeddings, and bodies that are none."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hanax.core.limits import MAX_BODY_BYTES
from tests.integration.gateway.refusals import Case, check_error, check_refused, deep
from tests.integration.gateway.stack import Stack

CASES = [
    Case("get none", "vectors/get", {"collection": "bad", "ids": []}, 422, "invalid_argument", "1 to 2000"),
    Case("get bad id", "vectors/get", {"collection": "bad", "ids": [1, []]}, 422, "invalid_id", "ids[1]", 1),
    Case("get no list", "vectors/get", {"collection": "bad", "ids": 7}, 422, "invalid_argument", "ids"),
    Case(
        "get too many",
        "vectors/get",
        {"collection": "bad", "ids": list(range(2_001))},
        422,
        "invalid_argument",
        "got 2001",
    ),
    Case(
        "get one, unknown collection",
        "vectors/nope/1",
        None,
        404,
        "collection_not_found",
        "'nope'",
        method="GET",
    ),
    Case(
        "get one, bad type",
        "vectors/bad/1?id_type=uuid",
        None,
        422,
        "invalid_argument",
        "id_type",
        method="GET",
    ),
    Case(
        "get one, no integer", "vectors/bad/x?id_type=integer", None, 422, "invalid_id", "'x'", method="GET"
    ),
    Case("get one, no id", "vectors/bad/", None, 422, "invalid_id", "1 to 128", method="GET"),
    Case("get one, long id", "vectors/bad/" + "x" * 129, None, 422, "invalid_id", "129", method="GET"),
    Case("delete nothing", "vectors/delete", {"collection": "bad"}, 422, "invalid_argument", "got neither"),
    Case(
        "delete both",
        "vectors/delete",
        {"collection": "bad", "ids": [1], "filter": {"field": "a", "operator": "exists"}},
        422,
        "invalid_argument",
        "got both",
    ),
    Case(
        "delete by empty filter",
        "vectors/delete",
        {"collection": "bad", "filter": []},
        422,
        "invalid_filter",
        "at least one",
    ),
    Case(
        "delete by no filter",
        "vectors/delete",
        {"collection": "bad", "filter": {}},
        422,
        "invalid_filter",
        "no keys",
    ),
    Case(
        "delete no ids",
        "vectors/delete",
        {"collection": "bad", "ids": []},
        422,
        "invalid_argument",
        "1 to 2000",
    ),
    Case(
        "merge a list", "vectors/bad/1/metadata", [1], 422, "invalid_metadata", "got a list", method="PATCH"
    ),
    Case(
        "replace with null", "vectors/bad/1/metadata", None, 422, "invalid_metadata", "got null", method="PUT"
    ),
    Case("merge deep", "vectors/bad/1/metadata", deep(17), 422, "invalid_metadata", "16", method="PATCH"),
    Case(
        "scroll cursor",
        "vectors/scroll",
        {"collection": "bad", "cursor": "AAAA"},
        422,
        "invalid_cursor",
        "earlier page",
    ),
    Case(
        "scroll cursor type",
        "vectors/scroll",
        {"collection": "bad", "cursor": 5},
        422,
        "invalid_cursor",
        "cursor",
    ),
    Case(
        "scroll cursor characters",
        "vectors/scroll",
        {"collection": "bad", "cursor": "é*"},
        422,
        "invalid_cursor",
        "earlier page",
    ),
    Case(
        "scroll limit", "vectors/scroll", {"collection": "bad", "limit": -1}, 422, "invalid_limit", "got -1"
    ),
    Case(
        "count filter",
        "vectors/count",
        {"collection": "bad", "filter": {"field": "", "operator": "eq", "value": 1}},
        422,
        "invalid_filter",
        "field",
    ),
    Case("embed nothing", "embeddings/generate", {}, 422, "invalid_text", "text"),
    Case("embed empty list", "embeddings/generate", {"text": []}, 422, "invalid_text", "text"),
    Case("embed empty text", "embeddings/generate", {"text": ["a", ""]}, 422, "invalid_text", "text[1]"),
    Case("embed number", "embeddings/generate", {"text": 5}, 422, "invalid_text", "text"),
    Case("embed list of numbers", "embeddings/generate", {"text": ["a", 5]}, 422, "invalid_text", "text[1]"),
    Case("embed too many", "embeddings/generate", {"text": ["a"] * 2_001}, 422, "invalid_text", "2000"),
    Case("embed long", "embeddings/generate", {"text": "x" * 131_073}, 422, "text_too_long", "131072"),
    Case(
        "embed batch size",
        "embeddings/generate",
        {"text": "a", "batch_size": 129},
        422,
        "invalid_argument",
        "batch_size",
    ),
    Case(
        "embed unknown model",
        "embeddings/generate",
        {"text": "a", "model": "x"},
        404,
        "model_not_found",
        "hash-384",
    ),
    Case("unknown route", "nothing/here", None, 404, "not_found", "/api/v1/nothing/here", method="GET"),
    Case("wrong method", "vectors/search", None, 405, "method_not_allowed", "POST", method="DELETE"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_request_is_refused_by_name(unwritten: Stack, case: Case) -> None:
    check_refused(unwritten, case)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"collection": "bad"',
        b"\xff\xfe",
        b'{"collection": "bad\\ud800"}',
        b'{"a": nan}',
        b'{"a": NaN, "b": "\\ud800"}',
        b"[" * 2_000,
        b'{"a": 01}',
        b"collection=bad",
    ],
)
@pytest.mark.parametrize("path", ["vectors/insert", "vectors/scroll", "collections"])
def test_what_is_not_json_is_refused(unwritten: Stack, path: str, content: bytes) -> None:
    answer = unwritten.client.post(f"/api/v1/{path}", content=content)
    check_error(answer, 400, "invalid_json")


def test_a_declared_body_past_the_limit_is_refused_unread(unwritten: Stack) -> None:
    """The answer comes before the first byte of the body."""
    with socket.create_connection(("127.0.0.1", unwritten.gateway.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/vectors/insert HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % (MAX_BODY_BYTES + 1)
        )
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in answer


def test_a_streamed_body_is_cut_at_the_limit(unwritten: Stack) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1_048_576 + 1):
            yield b" " * 1_048_576

    answer = unwritten.client.post("/api/v1/vectors/insert", content=chunks())
    check_error(answer, 413, "body_too_large")


def test_a_wrong_method_names_the_right_one(bad: Stack) -> None:
    assert bad.client.get("/api/v1/vectors/search").headers["Allow"] == "POST"
