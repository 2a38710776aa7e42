"""The OpenAPI document tells of every route, and its examples are requests that would be taken."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from hanax.core.settings import GatewaySettings
from hanax.gateway import (
    change_requests,
    embedding_requests,
    libraries,
    query_requests,
    requests,
    rerank_requests,
)
from hanax.gateway.requests import parse_request
from hanax.gateway.rest import openai
from hanax.gateway.rest.app import build_app
from hanax.gateway.rest.library_errors import LIBRARY_PATHS
from hanax.gateway.services import Services
from hanax.runtime.catalog_folder import CatalogFolder

V1 = "/api/v1"
OPERATIONS = {
    ("post", f"{V1}/collections"),
    ("get", f"{V1}/collections"),
    ("get", f"{V1}/collections/{{name}}"),
    ("patch", f"{V1}/collections/{{name}}"),
    ("delete", f"{V1}/collections/{{name}}"),
    ("get", f"{V1}/aliases"),
    ("post", f"{V1}/aliases/switch"),
    ("get", f"{V1}/aliases/{{alias}}"),
    ("put", f"{V1}/aliases/{{alias}}"),
    ("delete", f"{V1}/aliases/{{alias}}"),
    ("post", f"{V1}/vectors/insert"),
    ("post", f"{V1}/vectors/metadata"),
    ("post", f"{V1}/vectors/search"),
    ("post", f"{V1}/vectors/search/batch"),
    ("post", f"{V1}/vectors/search/groups"),
    ("post", f"{V1}/vectors/recommend"),
    ("post", f"{V1}/vectors/facet"),
    ("post", f"{V1}/vectors/distinct"),
    ("post", f"{V1}/vectors/get"),
    ("post", f"{V1}/vectors/delete"),
    ("post", f"{V1}/vectors/scroll"),
    ("post", f"{V1}/vectors/count"),
    ("get", f"{V1}/vectors/{{collection}}/{{id}}"),
    ("delete", f"{V1}/vectors/{{collection}}/{{id}}"),
    ("patch", f"{V1}/vectors/{{collection}}/{{id}}/metadata"),
    ("put", f"{V1}/vectors/{{collection}}/{{id}}/metadata"),
    ("post", f"{V1}/embeddings/generate"),
    ("get", f"{V1}/operations"),
    ("post", f"{V1}/jobs"),
    ("get", f"{V1}/jobs"),
    ("get", f"{V1}/queue"),
    ("get", f"{V1}/jobs/{{job_id}}/items"),
    ("get", f"{V1}/jobs/{{job_id}}/events"),
    ("get", f"{V1}/jobs/{{job_id}}/result"),
    ("post", f"{V1}/jobs/{{job_id}}/pause"),
    ("post", f"{V1}/jobs/{{job_id}}/resume"),
    ("post", f"{V1}/jobs/{{job_id}}/retry"),
    ("get", f"{V1}/jobs/{{job_id}}"),
    ("delete", f"{V1}/jobs/{{job_id}}"),
    ("post", f"{V1}/libraries"),
    ("get", f"{V1}/libraries"),
    ("get", f"{V1}/libraries/{{library_id}}"),
    ("patch", f"{V1}/libraries/{{library_id}}"),
    ("delete", f"{V1}/libraries/{{library_id}}"),
    ("post", f"{V1}/libraries/{{library_id}}/index"),
    ("get", f"{V1}/libraries/{{library_id}}/index"),
    ("post", f"{V1}/libraries/{{library_id}}/query"),
    ("post", f"{V1}/libraries/{{library_id}}/documents"),
    ("get", f"{V1}/libraries/{{library_id}}/documents"),
    ("get", f"{V1}/documents/{{document_id}}"),
    ("patch", f"{V1}/documents/{{document_id}}"),
    ("delete", f"{V1}/documents/{{document_id}}"),
    ("get", f"{V1}/documents/{{document_id}}/chunks"),
    ("post", f"{V1}/documents/{{document_id}}/chunks"),
    ("get", f"{V1}/chunks/{{chunk_id}}"),
    ("patch", f"{V1}/chunks/{{chunk_id}}"),
    ("delete", f"{V1}/chunks/{{chunk_id}}"),
    ("post", "/external/{model}/embed"),
    ("get", "/external/status"),
    ("post", "/v1/embeddings"),
    ("post", "/v1/rerank"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{name}"),
    ("get", "/cache/stats"),
    ("post", "/cache/warm"),
    ("delete", "/cache"),
    ("post", f"{V1}/keys"),
    ("get", f"{V1}/keys"),
    ("get", f"{V1}/keys/{{key_id}}"),
    ("delete", f"{V1}/keys/{{key_id}}"),
    ("post", f"{V1}/keys/{{key_id}}/rotate"),
    ("get", "/health"),
    ("get", "/health/database"),
    ("get", "/ready"),
    ("get", "/metrics"),
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    folder: Path = tmp_path_factory.mktemp("catalog")
    services = Services(GatewaySettings(), CatalogFolder(folder), time.monotonic, lambda: 0)
    made: dict[str, Any] = build_app(services, lifespan).openapi()
    return made


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path.replace(":path}", "}"), operation


def test_every_route_is_told_and_explained(document: dict[str, Any]) -> None:
    found = {(method, path) for method, path, _ in _operations(document)}
    assert found == OPERATIONS
    for method, path, operation in _operations(document):
        assert operation.get("description"), (method, path)
        form = "OpenAIError" if path.startswith("/v1/") else "ErrorEnvelope"
        if path.startswith(LIBRARY_PATHS):
            form = "LibraryErrorBody"
        assert form in str(operation["responses"]["4XX"])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def walk(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                if key == "$ref":
                    yield item
                else:
                    yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    references = set(walk(document))
    assert references
    for reference in references:
        kind, _, name = reference.removeprefix("#/components/").partition("/")
        assert name in document["components"][kind], reference


def test_examples_of_bodies_are_taken(document: dict[str, Any]) -> None:
    count = 0
    for _, path, operation in _operations(document):
        if "requestBody" not in operation:
            continue
        content = operation["requestBody"]["content"]["application/json"]
        assert content["examples"], path
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        rooms = (
            requests,
            query_requests,
            change_requests,
            embedding_requests,
            rerank_requests,
            openai,
            libraries.requests,
            libraries.query_requests,
        )
        model: Any = next((getattr(room, name) for room in rooms if hasattr(room, name)), None)
        for example in content["examples"].values():
            count += 1
            if model is not None:
                parse_request(model, example["value"])
    assert count >= 15


def test_vectors_are_described_though_they_are_not_validated(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    search = schemas["SearchRequest"]["properties"]
    assert search["vector"]["anyOf"][0] == {"items": {"type": "number"}, "type": "array"}
    assert (search["limit"]["minimum"], search["limit"]["maximum"]) == (1, 1_000)
    assert schemas["InsertRequest"]["properties"]["vectors"]["items"] == {
        "$ref": "#/components/schemas/Point"
    }
    batch = schemas["EmbeddingRequest"]["properties"]["batch_size"]["anyOf"][0]
    assert (batch["minimum"], batch["maximum"]) == (1, 128)


def test_indexes_are_described(document: dict[str, Any]) -> None:
    """Every index with its parameters, and what they mean; on creating, changing and searching."""
    schemas = document["components"]["schemas"]
    for body in ("CollectionSpec", "CollectionChange"):
        index = schemas[body]["properties"]["index"]
        kinds = {choice["$ref"].rpartition("/")[2] for choice in index["oneOf"]}
        assert kinds == {"AutoIndex", "FlatIndex", "HnswIndex", "IvfIndex", "LshIndex", "KdTreeIndex"}
        assert schemas[body]["properties"]["target_recall"]["description"]
        assert schemas[body]["properties"]["payload_indexes"]["maxProperties"] == 256
    for kind in ("HnswIndex", "IvfIndex", "LshIndex", "KdTreeIndex"):
        assert schemas[kind]["description"]
        told = {name: about for name, about in schemas[kind]["properties"].items() if name != "type"}
        assert all(about["description"] for about in told.values()), kind
    search = schemas["SearchRequest"]["properties"]
    for name in ("exact", "ef_search", "nprobe", "probes"):
        assert search[name]["description"], name
    assert "IndexTotals" in str(schemas["CollectionDescription"]["properties"]["index_totals"])
    assert "MetadataIndexes" in str(schemas["CollectionDescription"]["properties"]["metadata_indexes"])
