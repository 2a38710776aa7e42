"""What every route has besides its own: headers, problem details, answers that are known already, lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hanax.gateway.rest import lines, problems
from hanax.gateway.rest.idempotency import POSTED_READS
from hanax.gateway.stream_requests import StreamRequest

Node = dict[str, Any]

_CHANGING: Final = frozenset({"post", "put", "patch", "delete"})
# Whose reads have tags.
_TAGGED: Final = frozenset({"collections", "aliases", "jobs", "libraries", "models", "openai"})
_UNTAGGED_ENDS: Final = ("/events", "/result", "/items", "/queue", "/index")
_REVISED: Final = ("/collections/{name}", "/{library_id}", "/{document_id}", "/{chunk_id}", "/chunks")

_INSERT: Final = "/api/v1/vectors/insert"
_SCROLL: Final = "/api/v1/vectors/scroll"

_PROBLEM: Final[Node] = {
    "type": "object",
    "title": "Problem",
    "description": "An error (RFC 9457), for who names application/problem+json in Accept.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:hana-x-vector:error:dimension_mismatch"]},
        "title": {"type": "string", "examples": ["Dimension mismatch"]},
        "status": {"type": "integer", "examples": [422]},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "path that was asked for"},
        "code": {"type": "string", "examples": ["dimension_mismatch"]},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "every wrong field"},
        "details": {"type": "object", "description": "for programs"},
    },
}
_HEADERS: Final[Node] = {
    "X-Request-ID": {
        "description": "the client's own, or a new one; it is in the log",
        "schema": {"type": "string"},
    },
    "Server-Timing": {"description": "where the time went, in ms", "schema": {"type": "string"}},
}
_KEY: Final[Node] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "another one for each request, and the same when it is sent again: it is carried out once",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_IF_MATCH: Final[Node] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "ETag of the revision that is to be changed; else 412 revision_conflict",
    "schema": {"type": "string"},
}
_IF_NONE_MATCH: Final[Node] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETag of what is known: 304 where it is the same still",
    "schema": {"type": "string"},
}


def describe_exchange(document: Node) -> None:
    """Add it to a document that has the routes."""
    components = document["components"]
    components["schemas"]["Problem"] = _PROBLEM
    components["headers"] = _HEADERS
    for path, method, operation in _operations(document):
        _describe_answers(operation)
        if method in _CHANGING and path.rpartition("/")[2] not in POSTED_READS:
            _add(operation, _KEY)
        if method in _CHANGING and path.endswith(_REVISED) and path != "/api/v1/collections":
            _add(operation, _IF_MATCH)
        if method == "get" and _TAGGED & set(operation["tags"]) and not path.endswith(_UNTAGGED_ENDS):
            _add(operation, _IF_NONE_MATCH)
            operation["responses"]["304"] = {"description": "It is what If-None-Match names"}
    _describe_lines(document)


def _operations(document: Node) -> Iterator[tuple[str, str, Node]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _describe_answers(operation: Node) -> None:
    for status, answer in operation["responses"].items():
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
        if not status.startswith("2"):
            schema = {"$ref": "#/components/schemas/Problem"}
            answer["content"][problems.MEDIA_TYPE] = {"schema": schema}


def _describe_lines(document: Node) -> None:
    insert, scroll = document["paths"][_INSERT]["post"], document["paths"][_SCROLL]["post"]
    described = "a Point on each line; before the first one a StreamRequest, or its fields in the query"
    insert["requestBody"]["content"][lines.MEDIA_TYPE] = {
        "schema": {"type": "string", "description": described}
    }
    for name, field in StreamRequest.model_json_schema()["properties"].items():
        schema = {key: value for key, value in field.items() if key not in ("title", "description")}
        parameter = {"name": name, "in": "query", "required": False, "schema": schema}
        _add(insert, {**parameter, "description": f"of lines: {field.get('description', name)}"})
    told = {
        insert["operationId"]: "a line for each batch, and at the end `done` or `error`",
        scroll["operationId"]: "a Vector on each line, and at the end `done` or `error`",
    }
    for operation in (insert, scroll):
        schema = {"type": "string", "description": told[operation["operationId"]]}
        operation["responses"]["200"]["content"][lines.MEDIA_TYPE] = {"schema": schema}


def _add(operation: Node, parameter: Node) -> None:
    operation.setdefault("parameters", []).append(parameter)
