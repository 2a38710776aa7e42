"""What is asked of a gateway, and how each door calls it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Operation:
    """rest: the method and the path. grpc: the service and its method. graphql: the kind of operation, then
    the field with its arguments and what is asked of it. Empty: there is none.
    """

    rest: str
    grpc: str = ""
    graphql: str = ""


_SEARCHED: Final = "{ results { id metadata } }"

OPERATIONS: Final[dict[str, Operation]] = {
    "search": Operation(
        "POST /api/v1/vectors/search",
        "VectorService/SearchVectors",
        f"query searchVectors(input: SearchInput!) {_SEARCHED}",
    ),
    "search batch": Operation(
        "POST /api/v1/vectors/search/batch",
        "VectorService/SearchVectorsBatch",
        f"query searchVectorsBatch(input: BatchSearchInput!) {{ batches {_SEARCHED} }}",
    ),
    "search groups": Operation(
        "POST /api/v1/vectors/search/groups",
        "VectorService/SearchVectorGroups",
        f"query searchGroups(input: GroupSearchInput!) {{ groups {_SEARCHED} }}",
    ),
    "recommend": Operation(
        "POST /api/v1/vectors/recommend",
        "VectorService/RecommendVectors",
        f"query recommend(input: RecommendInput!) {_SEARCHED}",
    ),
    "facet": Operation(
        "POST /api/v1/vectors/facet",
        "VectorService/FacetValues",
        "query facet(input: FacetInput!) { distinct }",
    ),
    "distinct": Operation(
        "POST /api/v1/vectors/distinct",
        "VectorService/DistinctValues",
        "query distinct(input: DistinctInput!) { values }",
    ),
    "count": Operation(
        "POST /api/v1/vectors/count", "VectorService/CountVectors", "query count(input: CountInput!)"
    ),
    "scroll": Operation(
        "POST /api/v1/vectors/scroll",
        "VectorService/ScrollVectors",
        "query scroll(input: ScrollInput!) { vectors { id metadata } }",
    ),
    "get": Operation(
        "POST /api/v1/vectors/get",
        "VectorService/GetVectors",
        "query getVectors(collection: String!, ids: [PointId!]!) { missing }",
    ),
    "get one": Operation(
        "GET /api/v1/vectors/{collection}/{id}",
        "VectorService/GetVector",
        "query getVector(collection: String!, id: PointId!) { id metadata }",
    ),
    "insert": Operation(
        "POST /api/v1/vectors/insert",
        "VectorService/InsertVectors",
        "mutation insertVectors(input: InsertInput!) { inserted }",
    ),
    "delete": Operation(
        "POST /api/v1/vectors/delete",
        "VectorService/DeleteVectors",
        "mutation deleteVectors(input: DeleteInput!) { deleted }",
    ),
    "change metadata": Operation(
        "POST /api/v1/vectors/metadata",
        "VectorService/UpdateVectorsMetadata",
        "mutation updateMetadata(input: MetadataInput!) { matched }",
    ),
    "embed": Operation(
        "POST /api/v1/embeddings/generate",
        "VectorService/GenerateEmbedding",
        "mutation generateEmbedding(input: EmbeddingInput!) { model }",
    ),
    "create collection": Operation(
        "POST /api/v1/collections",
        "VectorService/CreateCollection",
        "mutation createCollection(input: CollectionInput!) { name }",
    ),
    "collection": Operation(
        "GET /api/v1/collections/{name}",
        "VectorService/GetCollection",
        "query collection(name: String!) { name }",
    ),
    "collections": Operation(
        "GET /api/v1/collections",
        "VectorService/ListCollections",
        "query collections(limit: Int, cursor: String) { nextCursor }",
    ),
    "change collection": Operation(
        "PATCH /api/v1/collections/{name}",
        "VectorService/UpdateCollection",
        "mutation updateCollection(name: String!, input: CollectionChangeInput!) { name }",
    ),
    "delete collection": Operation(
        "DELETE /api/v1/collections/{name}",
        "VectorService/DeleteCollection",
        "mutation deleteCollection(name: String!) { name }",
    ),
    "change aliases": Operation(
        "POST /api/v1/aliases/switch",
        "VectorService/ChangeAliases",
        "mutation switchAliases(input: AliasesInput!) { alias }",
    ),
    "submit": Operation(
        "POST /api/v1/jobs", "JobService/SubmitJob", "mutation submitJob(job: JSON!) { jobId }"
    ),
    "job": Operation("GET /api/v1/jobs/{id}", "JobService/GetJob", "query job(id: ID!) { jobId }"),
    "jobs": Operation(
        "GET /api/v1/jobs",
        "JobService/ListJobs",
        "query jobs(state: String, limit: Int, cursor: String) { nextCursor }",
    ),
    "pause": Operation(
        "POST /api/v1/jobs/{id}/pause", "JobService/PauseJob", "mutation pauseJob(id: ID!) { jobId }"
    ),
    "retry": Operation(
        "POST /api/v1/jobs/{id}/retry", "JobService/RetryJob", "mutation retryJob(id: ID!) { jobId }"
    ),
    "create library": Operation(
        "POST /api/v1/libraries",
        "LibraryService/CreateLibrary",
        "mutation createLibrary(input: LibraryInput!) { id }",
    ),
    "libraries": Operation(
        "GET /api/v1/libraries",
        "LibraryService/ListLibraries",
        "query libraries(limit: Int, cursor: String) { nextCursor }",
    ),
    "library": Operation(
        "GET /api/v1/libraries/{id}", "LibraryService/GetLibrary", "query library(id: ID!) { id }"
    ),
    "change library": Operation(
        "PATCH /api/v1/libraries/{id}",
        "LibraryService/UpdateLibrary",
        "mutation updateLibrary(id: ID!, input: LibraryChangeInput!, ifRevision: Int) { id }",
    ),
    "delete library": Operation(
        "DELETE /api/v1/libraries/{id}",
        "LibraryService/DeleteLibrary",
        "mutation deleteLibrary(id: ID!, ifRevision: Int)",
    ),
    "build index": Operation(
        "POST /api/v1/libraries/{id}/index",
        "LibraryService/BuildIndex",
        "mutation buildLibraryIndex(id: ID!, input: LibraryIndexInput!) { type }",
    ),
    "query library": Operation(
        "POST /api/v1/libraries/{id}/query",
        "LibraryService/QueryLibrary",
        "query library(id: ID!) { query(input: LibraryQueryInput!) { truncated } }",
    ),
    "create document": Operation(
        "POST /api/v1/libraries/{library_id}/documents",
        "LibraryService/CreateDocument",
        "mutation createDocument(libraryId: ID!, input: DocumentInput!) { chunkIds }",
    ),
    "document": Operation(
        "GET /api/v1/documents/{id}", "LibraryService/GetDocument", "query document(id: ID!) { id }"
    ),
    "change document": Operation(
        "PATCH /api/v1/documents/{id}",
        "LibraryService/UpdateDocument",
        "mutation updateDocument(id: ID!, input: DocumentChangeInput!, ifRevision: Int) { chunkIds }",
    ),
    "delete document": Operation(
        "DELETE /api/v1/documents/{id}",
        "LibraryService/DeleteDocument",
        "mutation deleteDocument(id: ID!, ifRevision: Int)",
    ),
    "chunk": Operation("GET /api/v1/chunks/{id}", "LibraryService/GetChunk", "query chunk(id: ID!) { id }"),
    "result": Operation("GET /api/v1/jobs/{id}/result", "JobService/ReadResult"),
    "create key": Operation(
        "POST /api/v1/keys", "KeyService/CreateKey", "mutation createKey(input: KeyInput!) { id }"
    ),
    "keys": Operation(
        "GET /api/v1/keys",
        "KeyService/ListKeys",
        "query keys(limit: Int, cursor: String) { nextCursor }",
    ),
    "key": Operation("GET /api/v1/keys/{id}", "KeyService/GetKey", "query key(id: ID!) { id }"),
    "rotate key": Operation(
        "POST /api/v1/keys/{id}/rotate",
        "KeyService/RotateKey",
        "mutation rotateKey(id: ID!, graceS: Float) { id }",
    ),
    "revoke key": Operation(
        "DELETE /api/v1/keys/{id}", "KeyService/RevokeKey", "mutation revokeKey(id: ID!) { id }"
    ),
    "operations": Operation(
        "GET /api/v1/operations",
        "PlatformService/ListOperations",
        "query operations(outcome: String, limit: Int, cursor: String) { nextCursor }",
    ),
    "cache": Operation("GET /cache/stats", "PlatformService/GetCacheStats", "query cache { backend }"),
    "warm cache": Operation(
        "POST /cache/warm", "PlatformService/WarmCache", "mutation warmCache(limit: Int) { asked }"
    ),
}
