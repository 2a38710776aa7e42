"""A client of /graphql that says what it got."""

from __future__ import annotations

from typing import Any

import httpx

from tests.integration.gateway.stack import Stack

PATH = "/graphql"


def ask(stack: Stack, query: str, **variables: Any) -> Any:
    """The data of an operation that went well."""
    body = send(stack, query, **variables)
    assert "errors" not in body, body["errors"]
    return body["data"]


def refusal(stack: Stack, query: str, **variables: Any) -> dict[str, Any]:
    """The one error of an operation."""
    (error,) = send(stack, query, **variables)["errors"]
    return {"message": error["message"], **error["extensions"]}


def send(stack: Stack, query: str, **variables: Any) -> Any:
    answer = post(stack, {"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(stack: Stack, body: Any, **headers: str) -> httpx.Response:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return stack.client.post(PATH, json=body, headers=told)
