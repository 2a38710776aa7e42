"""What every route answers when all is well: what the OpenAPI document says, and nothing besides."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema_rs
import orjson
import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.conftest import hash_model
from tests.integration.gateway.stack import Stack, running_shards
from tests.integration.waiting import wait_until

__all__ = ["hash_model"]

DOCUMENT: Final[dict[str, Any]] = orjson.loads(
    (Path(__file__).parents[2] / "docs" / "reference" / "openapi.json").read_bytes()
)
VECTOR: Final = [0.1, 0.2, 0.3]
KNOWN: Final = {"collection": "docs", "id": "1", "name": "docs", "alias": "other", "model": "hash-384"}

# Bodies that are right, by path and method; {} for those that have none. In this order.
REQUESTS: Final[list[tuple[str, str, Any]]] = [
    ("post", "/api/v1/collections", {"name": "more", "dimension": 3, "payload_indexes": {"n": "integer"}}),
    ("get", "/api/v1/collections", {}),
    ("get", "/api/v1/collections/{name}", {}),
    ("patch", "/api/v1/collections/{name}", {"target_recall": 0.9}),
    ("put", "/api/v1/aliases/{alias}", {"collection": "docs"}),
    ("get", "/api/v1/aliases", {}),
    ("get", "/api/v1/aliases/{alias}", {}),
    ("post", "/api/v1/aliases/switch", {"changes": [{"alias": "third", "collection": "docs"}]}),
    (
        "post",
        "/api/v1/vectors/insert",
        {
            "collection": "docs",
            "vectors": [{"id": n, "vector": [n, 1, 0], "ttl_seconds": 900} for n in range(9)],
        },
    ),
    (
        "post",
        "/api/v1/vectors/insert",
        {"collection": "texts", "vectors": [{"id": n, "text": f"text {n}"} for n in range(9)]},
    ),
    (
        "post",
        "/api/v1/vectors/search",
        {
            "collection": "texts",
            "text": "text 3",
            "offset": 1,
            "include_vectors": True,
            "include_version": True,
            "include_total": True,
            "explain": True,
            "mmr": {"diversity": 0.3},
        },
    ),
    ("post", "/api/v1/vectors/search", {"collection": "docs", "vector": VECTOR}),
    (
        "post",
        "/api/v1/vectors/search/batch",
        {"collection": "docs", "queries": [{"vector": VECTOR}, {"id": 1}]},
    ),
    ("post", "/api/v1/vectors/search/groups", {"collection": "texts", "text": "a", "group_by": "text"}),
    ("post", "/api/v1/vectors/recommend", {"collection": "docs", "positive": [1], "negative": [2]}),
    ("post", "/api/v1/vectors/facet", {"collection": "texts", "field": "text"}),
    ("post", "/api/v1/vectors/distinct", {"collection": "texts", "field": "text", "limit": 2}),
    ("post", "/api/v1/vectors/get", {"collection": "docs", "ids": [1, "nobody"]}),
    ("post", "/api/v1/vectors/scroll", {"collection": "texts", "limit": 2, "include_vectors": True}),
    ("post", "/api/v1/vectors/count", {"collection": "docs"}),
    ("get", "/api/v1/vectors/{collection}/{id}", {}),
    ("post", "/api/v1/vectors/metadata", {"collection": "docs", "ids": [1, 77], "merge": {"a": 1}}),
    ("patch", "/api/v1/vectors/{collection}/{id}/metadata", {"b": 2}),
    ("put", "/api/v1/vectors/{collection}/{id}/metadata", {"c": 3}),
    ("delete", "/api/v1/vectors/{collection}/{id}", {}),
    ("post", "/api/v1/vectors/delete", {"collection": "docs", "ids": [2]}),
    ("post", "/api/v1/embeddings/generate", {"text": ["a", "b"]}),
    ("post", "/external/{model}/embed", {"text": "a"}),
    ("get", "/external/status", {}),
    ("post", "/v1/embeddings", {"input": "a", "model": "auto", "encoding_format": "base64"}),
    ("get", "/v1/models", {}),
    ("get", "/v1/models/{name}", {}),
    ("post", "/api/v1/jobs", {"kind": "bulk_embed", "items": [{"text": "a"}]}),
    ("get", "/api/v1/jobs", {}),
    ("get", "/api/v1/queue", {}),
    ("get", "/api/v1/jobs/{job_id}", {}),
    ("post", "/api/v1/jobs/{job_id}/pause", {}),
    ("post", "/api/v1/jobs/{job_id}/resume", {}),
    ("get", "/api/v1/jobs/{job_id}/items", {}),
    ("delete", "/api/v1/jobs/{job_id}", {}),
    ("post", "/api/v1/libraries", {"name": "handbook", "index": {"type": "brute_force"}}),
    ("get", "/api/v1/libraries", {}),
    ("get", "/api/v1/libraries/{library_id}", {}),
    ("patch", "/api/v1/libraries/{library_id}", {"metadata": {"a": 1}}),
    ("post", "/api/v1/libraries/{library_id}/index", {"type": "hnsw"}),
    ("get", "/api/v1/libraries/{library_id}/index", {}),
    ("post", "/api/v1/libraries/{library_id}/documents", {"title": "T", "text": "# One\n\nTwo."}),
    ("get", "/api/v1/libraries/{library_id}/documents", {}),
    ("post", "/api/v1/libraries/{library_id}/query", {"text": "one", "include_embeddings": True}),
    ("get", "/api/v1/documents/{document_id}", {}),
    ("patch", "/api/v1/documents/{document_id}", {"title": "U"}),
    ("get", "/api/v1/documents/{document_id}/chunks", {}),
    ("post", "/api/v1/documents/{document_id}/chunks", {"chunks": [{"text": "three"}]}),
    ("get", "/api/v1/chunks/{chunk_id}", {}),
    ("patch", "/api/v1/chunks/{chunk_id}", {"text": "four"}),
    ("delete", "/api/v1/chunks/{chunk_id}", {}),
    ("delete", "/api/v1/documents/{document_id}", {}),
    ("delete", "/api/v1/libraries/{library_id}", {}),
    ("post", "/api/v1/keys", {"name": "reader", "grants": [{"scopes": ["read"]}]}),
    ("get", "/api/v1/keys", {}),
    ("get", "/api/v1/keys/{key_id}", {}),
    ("post", "/api/v1/keys/{key_id}/rotate", {"grace_s": 60}),
    ("delete", "/api/v1/keys/{key_id}", {}),
    ("get", "/api/v1/operations", {}),
    ("get", "/cache/stats", {}),
    ("post", "/cache/warm", {}),
    ("delete", "/cache", {}),
    ("delete", "/api/v1/aliases/{alias}", {}),
    ("delete", "/api/v1/collections/{name}", {}),
    ("get", "/health", {}),
    ("get", "/health/database", {}),
    ("get", "/ready", {}),
    ("get", "/metrics", {}),
]
QUERIES: Final = {
    "/api/v1/jobs/{job_id}/items": {"status": "failed"},
    "/api/v1/collections/{name}": {"aliases": "delete"},
}
# Of a job that has ended, or that runs, and of a cross-encoder: tests of those ask them.
ELSEWHERE: Final = {
    ("post", "/v1/rerank"),
    ("get", "/api/v1/jobs/{job_id}/events"),
    ("get", "/api/v1/jobs/{job_id}/result"),
    ("post", "/api/v1/jobs/{job_id}/retry"),
}


@dataclass
class World:
    """known: values of parameters in paths, of what was made last."""

    stack: Stack
    known: dict[str, str]
    document: dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("successes")
    database = f"sqlite:///{folder / 'metadata.db'}"
    with running_shards(folder, (hash_model,), database_url=database) as stack:
        stack.create("docs")
        stack.create("texts", dimension=384, embedding_model="hash-384", payload_indexes={"text": "keyword"})
        yield World(stack, dict(KNOWN), _closed(DOCUMENT))


def _closed(document: dict[str, Any]) -> dict[str, Any]:
    """The same, where an object has no fields but those that are told."""
    closed = copy.deepcopy(document)
    for schema in closed["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return closed


def test_every_route_is_asked() -> None:
    told = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert {(method, path) for method, path, _ in REQUESTS} | ELSEWHERE == told


def test_successes_are_as_the_document_says(world: World) -> None:
    wrong: list[str] = []
    for method, path, body in REQUESTS:
        answer = _ask(world, method, path, body)
        where = f"{method} {path}"
        if not answer.is_success:
            wrong.append(f"{where}: {answer.status_code} {answer.text[:300]}")
            continue
        _learn(world, path, answer)
        wrong += [f"{where}: {fault}" for fault in _faults(world, method, path, answer)]
    assert not wrong, "\n".join(wrong)


def _ask(world: World, method: str, path: str, body: Any) -> httpx.Response:
    if path.startswith("/v1/models/"):
        place = path.format(name=world.known["model"])
    else:
        place = path.format(**world.known)
    content = orjson.dumps(body) if body else None
    if path == "/api/v1/operations":
        # They are noted a moment after they have ended.
        wait_until("an operation", lambda: world.stack.client.get(place).json()["data"]["operations"])
    query = QUERIES.get(path) if method in ("delete", "get") else None
    headers = {"Content-Type": "application/json"} if body else {}
    return world.stack.client.request(method.upper(), place, content=content, params=query, headers=headers)


def _learn(world: World, path: str, answer: httpx.Response) -> None:
    """Ids of what was made."""
    if answer.request.method != "POST":
        return
    told = answer.json()
    made = told.get("data") or told
    names = {
        "/api/v1/jobs": ("job_id", "job_id"),
        "/api/v1/libraries": ("library_id", "id"),
        "/api/v1/libraries/{library_id}/documents": ("document_id", "id"),
        "/api/v1/keys": ("key_id", "id"),
    }
    if path in names:
        name, field = names[path]
        world.known[name] = made[field]
    if "chunk_ids" in made:
        world.known["chunk_id"] = made["chunk_ids"][0]


def _faults(world: World, method: str, path: str, answer: httpx.Response) -> Iterator[str]:
    told = world.document["paths"][path][method]["responses"].get(str(answer.status_code))
    if told is None:
        yield f"{answer.status_code} is not told"
        return
    kind = answer.headers.get("content-type", "").partition(";")[0]
    content = told.get("content", {})
    if not content and not answer.content:
        return
    if kind not in content:
        yield f"{kind} is not told"
        return
    if kind != "application/json":
        return
    schema = {**content[kind]["schema"], "components": world.document["components"]}
    for fault in jsonschema_rs.Draft202012Validator(schema).iter_errors(answer.json()):
        yield f"{'.'.join(map(str, fault.instance_path))}: {fault.message[:200]}"
