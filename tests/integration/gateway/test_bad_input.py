"""Every bad input: its status, its code, and that nothing was written."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from hanax.core.limits import MAX_BODY_BYTES
from tests.integration.gateway.stack import Stack

GOOD = {"id": 1, "vector": [1, 0, 0]}
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def bad(stack: Stack) -> Stack:
    stack.create("bad")
    stack.create("bad-texts", dimension=384, embedding_model="hash-384")
    stack.create("bad-dot", metric="dot")
    return stack


@dataclass(frozen=True)
class Case:
    """One refused request. `mentions` is in the message, `index` in the details."""

    name: str
    path: str
    body: Any
    status: int
    code: str
    mentions: str = ""
    index: int | None = None
    method: str = "POST"


def _insert(name: str, point: Any, code: str, mentions: str, status: int = 422) -> Case:
    """A bad point after a good one."""
    body = {"collection": "bad", "vectors": [GOOD, point]}
    return Case(f"insert {name}", "vectors/insert", body, status, code, mentions, 1)


def _search(name: str, more: dict[str, Any], code: str, mentions: str, status: int = 422) -> Case:
    body = {"collection": "bad", "vector": [1, 0, 0]} | more
    body = {key: value for key, value in body.items() if value is not ...}
    return Case(f"search {name}", "vectors/search", body, status, code, mentions)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


CASES = [
    _insert("short vector", {"id": 2, "vector": [1, 2]}, "dimension_mismatch", "takes 3 numbers"),
    _insert("empty vector", {"id": 2, "vector": []}, "dimension_mismatch", "got 0"),
    _insert("NaN", {"id": 2, "vector": [1, NAN, 0]}, "non_finite_vector", "finite"),
    _insert("infinity", {"id": 2, "vector": [1, -INF, 0]}, "non_finite_vector", "finite"),
    _insert("beyond float32", {"id": 2, "vector": [1, 1e39, 0]}, "non_finite_vector", "float32"),
    _insert("overlong", {"id": 2, "vector": [1e19, 0, 0]}, "non_finite_vector", "1e+18"),
    _insert("zero", {"id": 2, "vector": [0, 0, -0.0]}, "zero_vector", "cosine"),
    _insert("text in a vector", {"id": 2, "vector": [1, "2", 3]}, "invalid_argument", "vector[1]"),
    _insert("true in a vector", {"id": 2, "vector": [1, True, 3]}, "invalid_argument", "vector[1]"),
    _insert("null in a vector", {"id": 2, "vector": [None, 2, 3]}, "invalid_argument", "vector[0]"),
    _insert("nested vector", {"id": 2, "vector": [[1, 2, 3]]}, "invalid_argument", "vector[0]"),
    _insert("vector no list", {"id": 2, "vector": "1,2,3"}, "invalid_argument", "got text"),
    _insert("no content", {"id": 2}, "invalid_argument", "one of vector, embedding or text"),
    _insert(
        "two contents", {"id": 2, "vector": [1, 0, 0], "text": "x"}, "invalid_argument", "vector and text"
    ),
    _insert(
        "vector twice",
        {"id": 2, "vector": [1, 0, 0], "embedding": [1, 0, 0]},
        "invalid_argument",
        "vector and embedding",
    ),
    _insert("text without model", {"id": 2, "text": "x"}, "failed_precondition", "embedding_model", 409),
    _insert("unknown key", {"id": 2, "vectors": [1, 0, 0]}, "invalid_argument", "'vectors'"),
    _insert("no object", [1, 0, 0], "invalid_argument", "expected an object, got a list"),
    _insert("negative id", {"id": -1, "vector": [1, 0, 0]}, "invalid_id", "vectors[1].id"),
    _insert("huge id", {"id": 2**64, "vector": [1, 0, 0]}, "invalid_id", "vectors[1].id"),
    _insert("float id", {"id": 1.5, "vector": [1, 0, 0]}, "invalid_id", "got float"),
    _insert("boolean id", {"id": True, "vector": [1, 0, 0]}, "invalid_id", "got bool"),
    _insert("empty id", {"id": "", "vector": [1, 0, 0]}, "invalid_id", "1 to 128"),
    _insert("long id", {"id": "é" * 65, "vector": [1, 0, 0]}, "invalid_id", "this one has 130"),
    _insert("duplicate id", {"id": 1, "vector": [0, 1, 0]}, "duplicate_id", "vectors[0]"),
    _insert("metadata list", GOOD | {"id": 2, "metadata": []}, "invalid_metadata", "got a list"),
    _insert("metadata text", GOOD | {"id": 2, "metadata": "x"}, "invalid_metadata", "got text"),
    _insert("metadata NaN", GOOD | {"id": 2, "metadata": {"a": [NAN]}}, "invalid_metadata", "finite"),
    _insert("metadata deep", GOOD | {"id": 2, "metadata": _deep(17)}, "invalid_metadata", "16 levels"),
    _insert("metadata big", GOOD | {"id": 2, "metadata": {"a": "x" * 65_536}}, "metadata_too_large", "65536"),
    Case(
        "insert nothing",
        "vectors/insert",
        {"collection": "bad", "vectors": []},
        422,
        "invalid_argument",
        "1 to 2000",
    ),
    Case(
        "insert too many",
        "vectors/insert",
        {"collection": "bad", "vectors": [{"vector": [1, 0, 0]}] * 2_001},
        422,
        "invalid_argument",
        "got 2001",
    ),
    Case(
        "insert points no list",
        "vectors/insert",
        {"collection": "bad", "vectors": GOOD},
        422,
        "invalid_argument",
        "a list of points",
    ),
    Case(
        "insert without points",
        "vectors/insert",
        {"collection": "bad"},
        422,
        "invalid_argument",
        "vectors: field required",
    ),
    Case(
        "insert unknown key",
        "vectors/insert",
        {"collection": "bad", "vectors": [GOOD], "x": 1},
        422,
        "invalid_argument",
        "x: ",
    ),
    Case(
        "insert no collection",
        "vectors/insert",
        {"vectors": [GOOD]},
        422,
        "invalid_argument",
        "collection: field required",
    ),
    Case(
        "insert collection no text",
        "vectors/insert",
        {"collection": 7, "vectors": [GOOD]},
        422,
        "invalid_argument",
        "collection: ",
    ),
    Case(
        "insert unknown collection",
        "vectors/insert",
        {"collection": "nope", "vectors": [GOOD]},
        404,
        "collection_not_found",
        "'nope'",
    ),
    Case(
        "insert list body",
        "vectors/insert",
        [GOOD],
        422,
        "invalid_argument",
        "expected an object, got a list",
    ),
    Case(
        "insert empty text",
        "vectors/insert",
        {"collection": "bad-texts", "vectors": [{"text": "good"}, {"text": " \n"}]},
        422,
        "invalid_text",
        "vectors[1].text",
        1,
    ),
    Case(
        "insert text no text",
        "vectors/insert",
        {"collection": "bad-texts", "vectors": [{"text": 5}]},
        422,
        "invalid_text",
        "got a number",
        0,
    ),
    Case(
        "insert long text",
        "vectors/insert",
        {"collection": "bad-texts", "vectors": [{"text": "x" * 131_073}]},
        422,
        "text_too_long",
        "131072",
        0,
    ),
    Case(
        "insert text past metadata",
        "vectors/insert",
        {"collection": "bad-texts", "vectors": [{"text": "x" * 65_536}]},
        422,
        "metadata_too_large",
        "65536",
        0,
    ),
    _search("short vector", {"vector": [1, 2]}, "dimension_mismatch", "got 2"),
    _search("NaN", {"vector": [1, NAN, 0]}, "non_finite_vector", "finite"),
    _search("zero", {"vector": [0, 0, 0]}, "zero_vector", "cosine"),
    _search("overflow", {"vector": [1, 10**400, 0]}, "non_finite_vector", "float32"),
    _search(
        "beyond 64 bits", {"vector": [1, 2, NAN], "score_threshold": 10**400}, "invalid_argument", "score"
    ),
    _search(
        "filter beyond 64 bits",
        {"vector": [1, 2, NAN], "filter": {"field": "a", "operator": "eq", "value": 10**400}},
        "invalid_filter",
        "finite",
    ),
    _search("neither", {"vector": ...}, "invalid_argument", "got neither"),
    _search("both", {"text": "x"}, "invalid_argument", "got both"),
    _search(
        "text without model", {"vector": ..., "text": "x"}, "failed_precondition", "no embedding model", 409
    ),
    _search("text empty", {"vector": ..., "text": ""}, "invalid_text", "visible"),
    _search("text no text", {"vector": ..., "text": ["a"]}, "invalid_text", "got a list"),
    _search("limit 0", {"limit": 0}, "invalid_limit", "got 0"),
    _search("limit 1001", {"limit": 1001}, "invalid_limit", "1000"),
    _search("limit text", {"limit": "10"}, "invalid_limit", "limit"),
    _search("limit float", {"limit": 10.0}, "invalid_limit", "limit"),
    _search("limit true", {"limit": True}, "invalid_limit", "limit"),
    _search("threshold text", {"score_threshold": "0.5"}, "invalid_argument", "score_threshold"),
    _search("threshold NaN", {"score_threshold": NAN}, "invalid_argument", "score_threshold"),
    _search("include text", {"include_metadata": "yes"}, "invalid_argument", "include_metadata"),
    _search("unknown key", {"top_k": 5}, "invalid_argument", "top_k"),
    _search(
        "unknown operator",
        {"filter": {"field": "a", "operator": "like", "value": 1}},
        "invalid_filter",
        "like",
    ),
    _search("filter text", {"filter": "a = 1"}, "invalid_filter", "got text"),
    _search(
        "filter value type",
        {"filter": {"field": "a", "operator": "gt", "value": [1]}},
        "invalid_filter",
        "number or text",
    ),
    _search("filter empty", {"filter": []}, "invalid_filter", "at least one"),
    _search("filter deep", {"filter": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}, "invalid_filter", ""),
    _search(
        "filter NaN", {"filter": {"field": "a", "operator": "eq", "value": NAN}}, "invalid_filter", "finite"
    ),
    _search(
        "filter big",
        {"filter": {"field": "a", "operator": "eq", "value": "x" * 300_000}},
        "invalid_filter",
        "262144",
    ),
    _search("unknown collection", {"collection": "nope"}, "collection_not_found", "'nope'", 404),
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
    Case("merge deep", "vectors/bad/1/metadata", _deep(17), 422, "invalid_metadata", "16", method="PATCH"),
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
        {"collection": "bad", "filter": {"field": ""}},
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
    Case(
        "create duplicate", "collections", {"name": "bad", "dimension": 3}, 409, "collection_exists", "'bad'"
    ),
    Case(
        "create bad name", "collections", {"name": "No_good", "dimension": 3}, 422, "invalid_argument", "name"
    ),
    Case(
        "create no dimension",
        "collections",
        {"name": "bad-new"},
        422,
        "invalid_argument",
        "dimension: field required",
    ),
    Case(
        "create dimension 0",
        "collections",
        {"name": "bad-new", "dimension": 0},
        422,
        "invalid_argument",
        "dimension",
    ),
    Case(
        "create dimension",
        "collections",
        {"name": "bad-new", "dimension": 8_193},
        422,
        "invalid_argument",
        "8192",
    ),
    Case(
        "create metric",
        "collections",
        {"name": "bad-new", "dimension": 3, "metric": "l7"},
        422,
        "invalid_argument",
        "metric",
    ),
    Case(
        "create shards",
        "collections",
        {"name": "bad-new", "dimension": 3, "shards": 65},
        422,
        "invalid_argument",
        "64",
    ),
    Case(
        "create index",
        "collections",
        {"name": "bad-new", "dimension": 3, "index": {"type": "x"}},
        422,
        "invalid_argument",
        "index.type",
    ),
    Case(
        "create unknown model",
        "collections",
        {"name": "bad-new", "dimension": 3, "embedding_model": "x"},
        404,
        "model_not_found",
        "hash-384",
    ),
    Case(
        "create model conflict",
        "collections",
        {"name": "bad-new", "dimension": 3, "embedding_model": "hash-384"},
        409,
        "model_conflict",
        "384",
    ),
    Case("describe unknown", "collections/nope", None, 404, "collection_not_found", "'nope'", method="GET"),
    Case(
        "describe no name", "collections/..%00", None, 404, "collection_not_found", "name has", method="GET"
    ),
    Case("delete unknown", "collections/nope", None, 404, "collection_not_found", "'nope'", method="DELETE"),
    Case("delete hostile name", "collections/%2E%2Fbad", None, 404, "not_found", "", method="DELETE"),
    Case("unknown route", "nothing/here", None, 404, "not_found", "/api/v1/nothing/here", method="GET"),
    Case("wrong method", "vectors/search", None, 405, "method_not_allowed", "POST", method="DELETE"),
]


@pytest.fixture
def unwritten(bad: Stack) -> Iterator[Stack]:
    """Fails when a write reached a node, or a collection was declared."""
    writes, declared = bad.writes, _declared(bad)
    yield bad
    assert bad.writes == writes
    assert _declared(bad) == declared


def _declared(stack: Stack) -> list[str]:
    return sorted(path.name for path in (stack.folder / "catalog").iterdir())


def _send(stack: Stack, case: Case) -> httpx.Response:
    # Not httpx's own JSON, which refuses the NaN that some clients do send.
    content = None if case.method in ("GET", "DELETE") else json.dumps(case.body)
    return stack.client.request(case.method, f"/api/v1/{case.path}", content=content)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_by_name(unwritten: Stack, case: Case) -> None:
    answer = _send(unwritten, case)
    _check(answer, case.status, case.code)
    error = answer.json()["error"]
    assert case.mentions in error["message"]
    assert "Traceback" not in answer.text
    if case.index is not None:
        assert error["details"]["index"] == case.index
        if case.path == "vectors/insert":
            assert f"vectors[{case.index}]" in error["message"]


def _check(answer: httpx.Response, status: int, code: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["error"]["code"]) == (status, code), body
    assert (body["success"], body["data"]) == (False, None)
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert set(body["error"]) == {"code", "type", "message", "path", "details"}
    assert body["error"]["path"] == answer.request.url.path
    assert "Server-Timing" in answer.headers


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
    _check(answer, 400, "invalid_json")


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
    _check(answer, 413, "body_too_large")


def test_no_direction_is_fine_without_cosine(bad: Stack) -> None:
    body = {"collection": "bad-dot", "vectors": [{"id": 1, "vector": [0, 0, 0]}]}
    assert bad.data(bad.post("/api/v1/vectors/insert", body))["inserted"] == 1


def test_a_wrong_method_names_the_right_one(bad: Stack) -> None:
    assert bad.client.get("/api/v1/vectors/search").headers["Allow"] == "POST"
