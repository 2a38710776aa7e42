"""gRPC has what REST has: a table of routes and methods, with the reasons for exceptions."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from hanax.core.settings import GatewaySettings
from hanax.gateway.grpc.door import services_of
from hanax.gateway.grpc.methods import Unary
from hanax.gateway.grpc.words import WORDS
from hanax.gateway.rest.idempotency import POSTED_READS
from hanax.gateway.services import Services
from hanax.runtime.catalog_folder import CatalogFolder
from tests.grpc_services import FILES, METHODS, SERVICES

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "grpc.md").read_text()

HEALTH = "a probe: grpc.health.v1 has it"
SCRAPED = "a page that is scraped, whose reader speaks HTTP"

METHOD_BY_ROUTE = {
    "POST /api/v1/embeddings/generate": "GenerateEmbedding",
    "POST /external/{model}/embed": "GenerateEmbedding",
    "GET /external/status": "ListModelStatuses",
    "POST /api/v1/vectors/insert": "InsertVectors",
    "POST /api/v1/vectors/scroll": "ScrollVectors",
    "POST /api/v1/vectors/get": "GetVectors",
    "GET /api/v1/vectors/{collection}/{id}": "GetVector",
    "POST /api/v1/vectors/count": "CountVectors",
    "POST /api/v1/vectors/delete": "DeleteVectors",
    "DELETE /api/v1/vectors/{collection}/{id}": "DeleteVector",
    "POST /api/v1/vectors/metadata": "UpdateVectorsMetadata",
    "PATCH /api/v1/vectors/{collection}/{id}/metadata": "UpdateVectorMetadata",
    "PUT /api/v1/vectors/{collection}/{id}/metadata": "UpdateVectorMetadata",
    "POST /api/v1/vectors/search": "SearchVectors",
    "POST /api/v1/vectors/search/batch": "SearchVectorsBatch",
    "POST /api/v1/vectors/search/groups": "SearchVectorGroups",
    "POST /api/v1/vectors/recommend": "RecommendVectors",
    "POST /api/v1/vectors/facet": "FacetValues",
    "POST /api/v1/vectors/distinct": "DistinctValues",
    "POST /api/v1/collections": "CreateCollection",
    "GET /api/v1/collections": "ListCollections",
    "GET /api/v1/collections/{name}": "GetCollection",
    "PATCH /api/v1/collections/{name}": "UpdateCollection",
    "DELETE /api/v1/collections/{name}": "DeleteCollection",
    "GET /api/v1/aliases": "ListAliases",
    "GET /api/v1/aliases/{alias}": "GetAlias",
    "POST /api/v1/aliases/switch": "ChangeAliases",
    "PUT /api/v1/aliases/{alias}": "ChangeAliases",
    "DELETE /api/v1/aliases/{alias}": "ChangeAliases",
    "POST /api/v1/jobs": "SubmitJob",
    "GET /api/v1/jobs": "ListJobs",
    "GET /api/v1/jobs/{job_id}": "GetJob",
    "GET /api/v1/jobs/{job_id}/items": "ListFailedItems",
    "GET /api/v1/jobs/{job_id}/events": "WatchJob",
    "GET /api/v1/jobs/{job_id}/result": "ReadResult",
    "POST /api/v1/jobs/{job_id}/pause": "PauseJob",
    "POST /api/v1/jobs/{job_id}/resume": "ResumeJob",
    "POST /api/v1/jobs/{job_id}/retry": "RetryJob",
    "DELETE /api/v1/jobs/{job_id}": "CancelJob",
    "GET /api/v1/queue": "GetQueue",
    "POST /api/v1/libraries": "CreateLibrary",
    "GET /api/v1/libraries": "ListLibraries",
    "GET /api/v1/libraries/{library_id}": "GetLibrary",
    "PATCH /api/v1/libraries/{library_id}": "UpdateLibrary",
    "DELETE /api/v1/libraries/{library_id}": "DeleteLibrary",
    "POST /api/v1/libraries/{library_id}/index": "BuildIndex",
    "GET /api/v1/libraries/{library_id}/index": "GetIndex",
    "POST /api/v1/libraries/{library_id}/query": "QueryLibrary",
    "POST /api/v1/libraries/{library_id}/documents": "CreateDocument",
    "GET /api/v1/libraries/{library_id}/documents": "ListDocuments",
    "GET /api/v1/documents/{document_id}": "GetDocument",
    "PATCH /api/v1/documents/{document_id}": "UpdateDocument",
    "DELETE /api/v1/documents/{document_id}": "DeleteDocument",
    "GET /api/v1/documents/{document_id}/chunks": "ListChunks",
    "POST /api/v1/documents/{document_id}/chunks": "AddChunks",
    "GET /api/v1/chunks/{chunk_id}": "GetChunk",
    "PATCH /api/v1/chunks/{chunk_id}": "UpdateChunk",
    "DELETE /api/v1/chunks/{chunk_id}": "DeleteChunk",
    # In the form that OpenAI's clients know.
    "POST /v1/embeddings": "GenerateEmbedding",
    "POST /v1/rerank": "RerankDocuments",
    "GET /v1/models": "ListModelStatuses",
    "GET /v1/models/{name}": "GetModelStatus",
    "GET /api/v1/operations": "ListOperations",
    "GET /cache/stats": "GetCacheStats",
    "POST /cache/warm": "WarmCache",
    "DELETE /cache": "ClearCache",
    "POST /api/v1/keys": "CreateKey",
    "GET /api/v1/keys": "ListKeys",
    "GET /api/v1/keys/{key_id}": "GetKey",
    "DELETE /api/v1/keys/{key_id}": "RevokeKey",
    "POST /api/v1/keys/{key_id}/rotate": "RotateKey",
}
# Pages and probes, and nothing else.
REASON_BY_ROUTE = {
    "GET /health": HEALTH,
    "GET /ready": HEALTH,
    "GET /health/database": HEALTH,
    "GET /metrics": SCRAPED,
}
# Of a route that does several things: POST /jobs takes files, DELETE /jobs/{job_id} forgets.
ALSO = {"UploadJob", "ForgetJob"}
# What REST has in another form: NDJSON at its insert.
BESIDE = {"StreamVectors"}


def test_every_route_has_its_method_or_a_reason() -> None:
    document = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text())
    routes = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}
    assert routes == METHOD_BY_ROUTE.keys() | REASON_BY_ROUTE.keys()


def test_every_method_has_its_route() -> None:
    assert set(METHOD_BY_ROUTE.values()) | ALSO | BESIDE == METHODS.keys()


def test_what_changes_something_takes_an_idempotency_key(tmp_path: Path) -> None:
    """As over REST: a POST, PUT, PATCH or DELETE that is no question."""
    services = Services(GatewaySettings(), CatalogFolder(tmp_path), time.monotonic, lambda: 0)
    served = services_of(services)
    assert served.keys() == {service.full_name for service in SERVICES}
    methods = {name: one for table in served.values() for name, one in table.items()}
    changing = {
        method
        for route, method in METHOD_BY_ROUTE.items()
        if not route.startswith("GET ") and route.rpartition("/")[2] not in POSTED_READS
    }
    unary = {name: method for name, method in methods.items() if isinstance(method, Unary)}
    assert {name for name, method in unary.items() if method.changes} == (changing | ALSO) & unary.keys()
    # As `Cache-Control: no-store` over REST.
    assert {name for name, method in unary.items() if method.tells_secret} == {"CreateKey", "RotateKey"}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_guide_tells_of_every_method(method: str) -> None:
    assert f"| {method} |" in GUIDE


def test_every_enumeration_of_requests_has_words() -> None:
    """`readings` looks them up by their names."""
    files = {file.name: file for file in FILES}
    for file in list(files.values()):
        files |= {inner.name: inner for inner in file.dependencies}
    names = {name for file in files.values() for name in file.enum_types_by_name}
    assert names == WORDS.keys()
