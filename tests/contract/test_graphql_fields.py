"""GraphQL has what REST has: a table of routes and fields of the roots, with the reasons for exceptions."""

from __future__ import annotations

import json
from pathlib import Path

from graphql import build_schema

from hanax.gateway.graphql.schema import text
from tests.contract.test_grpc_methods import REASON_BY_ROUTE as PAGES

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "graphql.md").read_text()

FILES = "files, which are HTTP's"
# As a field of what it is of.
WITHIN = "a field of Library or Document"

FIELD_BY_ROUTE = {
    "POST /api/v1/embeddings/generate": "generateEmbedding",
    "POST /external/{model}/embed": "generateEmbedding",
    "POST /v1/embeddings": "generateEmbedding",
    "POST /v1/rerank": "rerank",
    "GET /external/status": "models",
    "GET /v1/models": "models",
    "GET /v1/models/{name}": "models",
    "POST /api/v1/vectors/insert": "insertVectors",
    "POST /api/v1/vectors/scroll": "scroll",
    "POST /api/v1/vectors/get": "getVectors",
    "GET /api/v1/vectors/{collection}/{id}": "getVector",
    "POST /api/v1/vectors/count": "count",
    "POST /api/v1/vectors/delete": "deleteVectors",
    "DELETE /api/v1/vectors/{collection}/{id}": "deleteVectors",
    "POST /api/v1/vectors/metadata": "updateMetadata",
    "PATCH /api/v1/vectors/{collection}/{id}/metadata": "updateMetadata",
    "PUT /api/v1/vectors/{collection}/{id}/metadata": "updateMetadata",
    "POST /api/v1/vectors/search": "searchVectors",
    "POST /api/v1/vectors/search/batch": "searchVectorsBatch",
    "POST /api/v1/vectors/search/groups": "searchGroups",
    "POST /api/v1/vectors/recommend": "recommend",
    "POST /api/v1/vectors/facet": "facet",
    "POST /api/v1/vectors/distinct": "distinct",
    "POST /api/v1/collections": "createCollection",
    "GET /api/v1/collections": "collections",
    "GET /api/v1/collections/{name}": "collection",
    "PATCH /api/v1/collections/{name}": "updateCollection",
    "DELETE /api/v1/collections/{name}": "deleteCollection",
    "GET /api/v1/aliases": "aliases",
    "GET /api/v1/aliases/{alias}": "aliases",
    "POST /api/v1/aliases/switch": "switchAliases",
    "PUT /api/v1/aliases/{alias}": "switchAliases",
    "DELETE /api/v1/aliases/{alias}": "switchAliases",
    "POST /api/v1/jobs": "submitJob",
    "GET /api/v1/jobs": "jobs",
    "GET /api/v1/jobs/{job_id}": "job",
    "GET /api/v1/jobs/{job_id}/items": "failedItems",
    "GET /api/v1/jobs/{job_id}/events": "jobProgress",
    "POST /api/v1/jobs/{job_id}/pause": "pauseJob",
    "POST /api/v1/jobs/{job_id}/resume": "resumeJob",
    "POST /api/v1/jobs/{job_id}/retry": "retryJob",
    "DELETE /api/v1/jobs/{job_id}": "cancelJob",
    "GET /api/v1/queue": "queue",
    "POST /api/v1/libraries": "createLibrary",
    "GET /api/v1/libraries": "libraries",
    "GET /api/v1/libraries/{library_id}": "library",
    "PATCH /api/v1/libraries/{library_id}": "updateLibrary",
    "DELETE /api/v1/libraries/{library_id}": "deleteLibrary",
    "POST /api/v1/libraries/{library_id}/index": "buildLibraryIndex",
    "POST /api/v1/libraries/{library_id}/documents": "createDocument",
    "GET /api/v1/documents/{document_id}": "document",
    "PATCH /api/v1/documents/{document_id}": "updateDocument",
    "DELETE /api/v1/documents/{document_id}": "deleteDocument",
    "POST /api/v1/documents/{document_id}/chunks": "addChunks",
    "GET /api/v1/chunks/{chunk_id}": "chunk",
    "PATCH /api/v1/chunks/{chunk_id}": "updateChunk",
    "DELETE /api/v1/chunks/{chunk_id}": "deleteChunk",
    "GET /api/v1/operations": "operations",
    "GET /cache/stats": "cache",
    "POST /cache/warm": "warmCache",
    "DELETE /cache": "clearCache",
    "POST /api/v1/keys": "createKey",
    "GET /api/v1/keys": "keys",
    "GET /api/v1/keys/{key_id}": "key",
    "DELETE /api/v1/keys/{key_id}": "revokeKey",
    "POST /api/v1/keys/{key_id}/rotate": "rotateKey",
}
REASON_BY_ROUTE = {
    **PAGES,
    "GET /api/v1/jobs/{job_id}/result": FILES,
    "GET /api/v1/libraries/{library_id}/index": WITHIN,
    "POST /api/v1/libraries/{library_id}/query": WITHIN,
    "GET /api/v1/libraries/{library_id}/documents": WITHIN,
    "GET /api/v1/documents/{document_id}/chunks": WITHIN,
}
# DELETE /jobs/{job_id} does both.
ALSO = {"forgetJob"}


def fields() -> set[str]:
    schema = build_schema(text())
    kinds = (schema.query_type, schema.mutation_type, schema.subscription_type)
    return {name for kind in kinds if kind is not None for name in kind.fields}


def test_every_route_has_its_field_or_a_reason() -> None:
    document = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text())
    routes = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}
    assert routes == FIELD_BY_ROUTE.keys() | REASON_BY_ROUTE.keys()


def test_every_field_has_its_route() -> None:
    assert fields() == {*FIELD_BY_ROUTE.values(), *ALSO}


def test_the_guide_tells_of_every_field() -> None:
    assert not {name for name in fields() if f"`{name}`" not in GUIDE}
