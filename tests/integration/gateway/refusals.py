"""Requests that are refused: what is sent, what is expected, and how both are compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.integration.gateway.stack import Stack

GOOD = {"id": 1, "vector": [1, 0, 0]}
NAN, INF = float("nan"), float("inf")


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


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def check_refused(stack: Stack, case: Case) -> None:
    """The status, the code, what the message names, and the index of a point in it."""
    answer = _send(stack, case)
    check_error(answer, case.status, case.code)
    error = answer.json()["error"]
    assert case.mentions in error["message"]
    assert "Traceback" not in answer.text
    if case.index is not None:
        assert error["details"]["index"] == case.index
        if case.path == "vectors/insert":
            assert f"vectors[{case.index}]" in error["message"]


def check_error(answer: httpx.Response, status: int, code: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["error"]["code"]) == (status, code), body
    assert (body["success"], body["data"]) == (False, None)
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert set(body["error"]) == {"code", "type", "message", "path", "details"}
    assert body["error"]["path"] == answer.request.url.path
    assert "Server-Timing" in answer.headers


def _send(stack: Stack, case: Case) -> httpx.Response:
    # Not httpx's own JSON, which refuses the NaN that some clients do send.
    content = None if case.method in ("GET", "DELETE") else json.dumps(case.body)
    return stack.client.request(case.method, f"/api/v1/{case.path}", content=content)
