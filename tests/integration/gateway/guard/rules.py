"""Who may do what: one line for every REST route, gRPC method and GraphQL field.

A rule is a scope, over the collection `guarded-1`; with "all" over every collection, with "some" over any.
"hidden" says that what another collection's key asks for is answered as if it were not there. ANY is whoever
has a key, OPEN whoever there is. Requests are well-formed, and name what does not exist: whoever may, is told
so; who may not, is told nothing.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

NAME: Final = "guarded-1"
LIBRARY: Final = "00000000-0000-0000-0000-00000000000a"
# A pattern that covers both, and one that covers neither.
OWN: Final = ("guarded-*", f"library-{LIBRARY.replace('-', '')}")
OTHER: Final = ("other-*", "library-00000000000000000000000000000bbb")

OPEN: Final = "open"
ANY: Final = "any"


@dataclass(frozen=True)
class Rule:
    """scope: OPEN, ANY, read, write or admin. over: own, all or some. body: of the request."""

    scope: str
    over: str = "own"
    body: Any = None


def read(body: Any = None, over: str = "own") -> Rule:
    return Rule("read", over, body)


def write(body: Any = None, over: str = "own") -> Rule:
    return Rule("write", over, body)


def admin(body: Any = None, over: str = "own") -> Rule:
    return Rule("admin", over, body)


def _on(**body: Any) -> dict[str, Any]:
    return {"collection": NAME, **body}


_VECTOR: Final = [1.0, 0.0, 0.0]
_POINTS: Final = [{"id": 1, "vector": _VECTOR}]
_JOB: Final = _on(kind="bulk_insert", items=[{"id": 1, "vector": _VECTOR}])
_KEY: Final = {"name": "x", "grants": [{"scopes": ["read"]}]}
_DOCUMENT: Final = "00000000-0000-0000-0000-00000000000d"
_JOB_ID: Final = "0" * 32
_NEW_LIBRARY: Final = {"id": LIBRARY, "name": "x", "dimension": 3, "model": None}

REST: Final[dict[str, Rule]] = {
    "POST /api/v1/collections": admin({"name": NAME, "dimension": 3, "embedding_model": "absent"}),
    "GET /api/v1/collections": read(over="some"),
    "GET /api/v1/collections/{name}": read(),
    "PATCH /api/v1/collections/{name}": admin({"target_recall": 0.9}),
    "DELETE /api/v1/collections/{name}": admin(),
    "GET /api/v1/aliases": read(over="some"),
    "POST /api/v1/aliases/switch": admin({"changes": [{"alias": "guarded-a", "collection": NAME}]}),
    "GET /api/v1/aliases/{alias}": read(over="some"),
    "PUT /api/v1/aliases/{alias}": admin({"collection": NAME}),
    "DELETE /api/v1/aliases/{alias}": admin(),
    "POST /api/v1/vectors/search": read(_on(vector=_VECTOR)),
    "POST /api/v1/vectors/search/batch": read(_on(queries=[{"vector": _VECTOR}])),
    "POST /api/v1/vectors/search/groups": read(_on(vector=_VECTOR, group_by="a")),
    "POST /api/v1/vectors/recommend": read(_on(positive=[1])),
    "POST /api/v1/vectors/facet": read(_on(field="a")),
    "POST /api/v1/vectors/distinct": read(_on(field="a")),
    "POST /api/v1/vectors/get": read(_on(ids=[1])),
    "POST /api/v1/vectors/scroll": read(_on()),
    "POST /api/v1/vectors/count": read(_on()),
    "GET /api/v1/vectors/{collection}/{id:path}": read(),
    "DELETE /api/v1/vectors/{collection}/{id:path}": write(),
    "POST /api/v1/vectors/insert": write(_on(vectors=_POINTS)),
    "POST /api/v1/vectors/delete": write(_on(ids=[1])),
    "POST /api/v1/vectors/metadata": write(_on(ids=[1], merge={"a": 1})),
    "PATCH /api/v1/vectors/{collection}/{id:path}/metadata": write({"a": 1}),
    "PUT /api/v1/vectors/{collection}/{id:path}/metadata": write({"a": 1}),
    "POST /api/v1/embeddings/generate": read({"text": "a", "model": "absent"}, "some"),
    "POST /external/{model:path}/embed": read({"text": "a"}, "some"),
    "GET /external/status": Rule(ANY),
    "POST /api/v1/jobs": write(_JOB),
    "GET /api/v1/jobs": read(over="all"),
    "GET /api/v1/queue": read(over="all"),
    "GET /api/v1/jobs/{job_id}": read(over="some"),
    "DELETE /api/v1/jobs/{job_id}": write(over="some"),
    "GET /api/v1/jobs/{job_id}/items": read(over="some"),
    "GET /api/v1/jobs/{job_id}/events": read(over="some"),
    "GET /api/v1/jobs/{job_id}/result": read(over="some"),
    "POST /api/v1/jobs/{job_id}/pause": write(over="some"),
    "POST /api/v1/jobs/{job_id}/resume": write(over="some"),
    "POST /api/v1/jobs/{job_id}/retry": write(over="some"),
    "POST /v1/embeddings": read({"input": "a", "model": "absent"}, "some"),
    "POST /v1/rerank": read({"query": "a", "documents": ["b"], "model": "absent"}, "some"),
    "GET /v1/models": Rule(ANY),
    "GET /v1/models/{name}": Rule(ANY),
    "GET /cache/stats": read(over="all"),
    "POST /cache/warm": admin(over="all"),
    "DELETE /cache": admin(over="all"),
    "GET /api/v1/operations": admin(over="all"),
    "POST /api/v1/keys": admin(_KEY, "all"),
    "GET /api/v1/keys": admin(over="all"),
    "GET /api/v1/keys/{key_id}": admin(over="all"),
    "DELETE /api/v1/keys/{key_id}": admin(over="all"),
    "POST /api/v1/keys/{key_id}/rotate": admin({}, "all"),
    "GET /health": Rule(OPEN),
    "GET /ready": Rule(OPEN),
    "GET /health/database": Rule(ANY),
    "GET /metrics": read(over="all"),
    "POST /graphql": Rule(ANY, body={"query": "{ __typename }"}),
    "GET /graphql": Rule(ANY),
    "GET /graphiql": Rule(OPEN),
    "GET /docs": Rule(OPEN),
    "GET /redoc": Rule(OPEN),
    "GET /openapi.json": Rule(OPEN),
}
for _prefix in ("/api/v1", ""):
    REST.update(
        {
            f"POST {_prefix}/libraries": admin(_NEW_LIBRARY),
            f"GET {_prefix}/libraries": read(over="all"),
            f"GET {_prefix}/libraries/{{library_id}}": read(),
            f"PATCH {_prefix}/libraries/{{library_id}}": admin({"name": "x"}),
            f"DELETE {_prefix}/libraries/{{library_id}}": admin(),
            f"POST {_prefix}/libraries/{{library_id}}/index": admin({"type": "auto"}),
            f"GET {_prefix}/libraries/{{library_id}}/index": read(),
            f"POST {_prefix}/libraries/{{library_id}}/query": read({"text": "a"}),
            f"POST {_prefix}/libraries/{{library_id}}/documents": write({"title": "a", "text": "b"}),
            f"GET {_prefix}/libraries/{{library_id}}/documents": read(),
            f"GET {_prefix}/documents/{{document_id}}": read(over="some"),
            f"PATCH {_prefix}/documents/{{document_id}}": write({"title": "a"}, "some"),
            f"DELETE {_prefix}/documents/{{document_id}}": write(over="some"),
            f"GET {_prefix}/documents/{{document_id}}/chunks": read(over="some"),
            f"POST {_prefix}/documents/{{document_id}}/chunks": write({"chunks": [{"text": "a"}]}, "some"),
            f"GET {_prefix}/chunks/{{chunk_id}}": read(over="some"),
            f"PATCH {_prefix}/chunks/{{chunk_id}}": write({"text": "a"}, "some"),
            f"DELETE {_prefix}/chunks/{{chunk_id}}": write(over="some"),
        }
    )

# What stands for the parameters of paths.
PATH_VALUES: Final = {
    "name": NAME,
    "alias": "guarded-a",
    "collection": NAME,
    "id:path": "1",
    "model:path": "absent",
    "job_id": _JOB_ID,
    "key_id": "0" * 16,
    "library_id": LIBRARY,
    "document_id": _DOCUMENT,
    "chunk_id": _DOCUMENT,
}
QUERIES: Final = {"GET /api/v1/jobs/{job_id}/items": {"status": "failed"}}

_ID: Final = base64.b64encode(b"\x01").decode()
_IDS: Final = {"id": LIBRARY}
_DOC: Final = {"id": _DOCUMENT}
_ONE_JOB: Final = {"id": _JOB_ID}
_FLOATS: Final = {"values": _VECTOR}
_JSON: Final = base64.b64encode(b'{"a": 1}').decode()
_INSERT: Final = _on(vectors={"dimension": 3, "values": _VECTOR})

GRPC: Final[dict[str, Rule]] = {
    "GenerateEmbedding": read({"texts": ["a"], "model": "absent"}, "some"),
    "InsertVectors": write(_INSERT),
    "StreamVectors": write({"insert": _INSERT}),
    "ScrollVectors": read(_on()),
    "GetVector": read(_on(id="AQAAAAAAAAAB")),
    "GetVectors": read(_on(ids=["AQAAAAAAAAAB"])),
    "CountVectors": read(_on()),
    "DeleteVector": write(_on(id="AQAAAAAAAAAB")),
    "DeleteVectors": write(_on(ids=["AQAAAAAAAAAB"])),
    "UpdateVectorMetadata": write(_on(id="AQAAAAAAAAAB", metadataJson=_JSON)),
    "UpdateVectorsMetadata": write(_on(ids=["AQAAAAAAAAAB"], mergeJson=_JSON)),
    "SearchVectors": read(_on(vector=_FLOATS)),
    "SearchVectorsBatch": read(_on(queries=[{"vector": _FLOATS}])),
    "SearchVectorGroups": read(_on(vector=_FLOATS, groupBy="a")),
    "RecommendVectors": read(_on(positive=[{"vector": _FLOATS}])),
    "FacetValues": read(_on(field="a")),
    "DistinctValues": read(_on(field="a")),
    "CreateCollection": admin({"spec": {"name": NAME, "dimension": 3, "embeddingModel": "absent"}}),
    "GetCollection": read({"name": NAME}),
    "ListCollections": read({}, "some"),
    "UpdateCollection": admin({"name": NAME, "targetRecall": 0.9}),
    "DeleteCollection": admin({"name": NAME}),
    "ChangeAliases": admin({"changes": [{"alias": "guarded-a", "collection": NAME}]}),
    "ListAliases": read({}, "some"),
    "GetAlias": read({"alias": "guarded-a"}, "some"),
    "SubmitJob": write({"job": {"bulkInsert": {"collection": NAME}}, "itemsJson": [_JSON]}),
    "UploadJob": write({"start": {"job": {"bulkInsert": {"collection": NAME}}, "fileName": "a.jsonl"}}),
    "ListJobs": read({}, "all"),
    "GetQueue": read({}, "all"),
    "GetJob": read(_ONE_JOB, "some"),
    "ListFailedItems": read(_ONE_JOB, "some"),
    "WatchJob": read(_ONE_JOB, "some"),
    "ReadResult": read(_ONE_JOB, "some"),
    "PauseJob": write(_ONE_JOB, "some"),
    "ResumeJob": write(_ONE_JOB, "some"),
    "RetryJob": write(_ONE_JOB, "some"),
    "CancelJob": write(_ONE_JOB, "some"),
    "ForgetJob": write(_ONE_JOB, "some"),
    "CreateLibrary": admin({"id": LIBRARY, "name": "x", "dimension": 3, "model": ""}),
    "ListLibraries": read({}, "all"),
    "GetLibrary": read(_IDS),
    "UpdateLibrary": admin({**_IDS, "name": "x"}),
    "DeleteLibrary": admin(_IDS),
    "BuildIndex": admin({**_IDS, "index": {"type": "auto"}}),
    "GetIndex": read(_IDS),
    "QueryLibrary": read({**_IDS, "text": "a"}),
    "CreateDocument": write({"libraryId": LIBRARY, "title": "a", "text": "b"}),
    "ListDocuments": read({"libraryId": LIBRARY}),
    "GetDocument": read(_DOC, "some"),
    "UpdateDocument": write({**_DOC, "title": "a"}, "some"),
    "DeleteDocument": write(_DOC, "some"),
    "ListChunks": read({"documentId": _DOCUMENT}, "some"),
    "AddChunks": write({"documentId": _DOCUMENT, "chunks": [{"text": "a"}]}, "some"),
    "GetChunk": read(_DOC, "some"),
    "UpdateChunk": write({**_DOC, "text": "a"}, "some"),
    "DeleteChunk": write(_DOC, "some"),
    "CreateKey": admin(_KEY, "all"),
    "ListKeys": admin({}, "all"),
    "GetKey": admin({"id": "0" * 16}, "all"),
    "RotateKey": admin({"id": "0" * 16}, "all"),
    "RevokeKey": admin({"id": "0" * 16}, "all"),
    "ListOperations": admin({}, "all"),
    "GetCacheStats": read({}, "all"),
    "WarmCache": admin({}, "all"),
    "ClearCache": admin({}, "all"),
    "RerankDocuments": read({"query": "a", "documents": ["b"], "model": "absent"}, "some"),
    "ListModelStatuses": Rule(ANY, body={}),
    "GetModelStatus": Rule(ANY, body={"model": "absent"}),
}

_C: Final = f'collection: "{NAME}"'
_L: Final = f'id: "{LIBRARY}"'
_D: Final = f'id: "{_DOCUMENT}"'
_J: Final = f'id: "{_JOB_ID}"'

# The field with its arguments and what is asked of it.
GRAPHQL: Final[dict[str, Rule]] = {
    "Query.searchVectors": read(f"searchVectors(input: {{{_C}, vector: [1, 0, 0]}}) {{ results {{ id }} }}"),
    "Query.searchVectorsBatch": read(
        f"searchVectorsBatch(input: {{{_C}, queries: [{{vector: [1, 0, 0]}}]}})"
        " { batches { results { id } } }"
    ),
    "Query.searchGroups": read(
        f'searchGroups(input: {{{_C}, vector: [1, 0, 0], groupBy: "a"}}) {{ groups {{ value }} }}'
    ),
    "Query.recommend": read(f"recommend(input: {{{_C}, positive: [1]}}) {{ results {{ id }} }}"),
    "Query.facet": read(f'facet(input: {{{_C}, field: "a"}}) {{ distinct }}'),
    "Query.distinct": read(f'distinct(input: {{{_C}, field: "a"}}) {{ values }}'),
    "Query.count": read(f"count(input: {{{_C}}})"),
    "Query.scroll": read(f"scroll(input: {{{_C}}}) {{ vectors {{ id }} }}"),
    "Query.getVectors": read(f"getVectors({_C}, ids: [1]) {{ vectors {{ id }} }}"),
    "Query.getVector": read(f"getVector({_C}, id: 1) {{ id }}"),
    "Query.collections": read("collections { collections { name } }", "some"),
    "Query.collection": read(f'collection(name: "{NAME}") {{ name }}'),
    "Query.aliases": read("aliases { alias }", "some"),
    "Query.rerank": read('rerank(input: {query: "a", documents: ["b"], model: "absent"}) { model }', "some"),
    "Query.models": Rule(ANY, body="models { model }"),
    "Query.jobs": read("jobs { jobs { jobId } }", "all"),
    "Query.job": read(f"job({_J}) {{ jobId }}", "some"),
    "Query.failedItems": read(f'failedItems(job: "{_JOB_ID}") {{ nextAfter }}', "some"),
    "Query.queue": read("queue { oldestWaitS }", "all"),
    "Query.libraries": read("libraries { libraries { id } }", "all"),
    "Query.library": read(f"library({_L}) {{ id }}"),
    "Query.document": read(f"document({_D}) {{ id }}", "some"),
    "Query.chunk": read(f"chunk({_D}) {{ id }}", "some"),
    "Query.keys": admin("keys { nextCursor }", "all"),
    "Query.key": admin(f'key(id: "{"0" * 16}") {{ id }}', "all"),
    "Query.operations": admin("operations { nextCursor }", "all"),
    "Query.cache": read("cache { backend }", "all"),
    "Mutation.createKey": admin('createKey(input: {name: "x", grants: [{scopes: ["read"]}]}) { id }', "all"),
    "Mutation.rotateKey": admin(f'rotateKey(id: "{"0" * 16}") {{ id }}', "all"),
    "Mutation.revokeKey": admin(f'revokeKey(id: "{"0" * 16}") {{ id }}', "all"),
    "Mutation.warmCache": admin("warmCache { asked }", "all"),
    "Mutation.clearCache": admin("clearCache { entries }", "all"),
    "Mutation.addChunks": write(
        f'addChunks(documentId: "{_DOCUMENT}", input: {{chunks: [{{text: "a"}}]}}) {{ chunkIds }}', "some"
    ),
    "Mutation.updateChunk": write(f'updateChunk({_D}, input: {{text: "a"}}) {{ id }}', "some"),
    "Mutation.deleteChunk": write(f"deleteChunk({_D})", "some"),
    "Mutation.forgetJob": write(f"forgetJob({_J}) {{ jobId }}", "some"),
    "Mutation.createLibrary": admin(
        f'createLibrary(input: {{{_L}, name: "x", dimension: 3, model: null}}) {{ id }}'
    ),
    "Mutation.updateLibrary": admin(f'updateLibrary({_L}, input: {{name: "x"}}) {{ id }}'),
    "Mutation.buildLibraryIndex": admin(f'buildLibraryIndex({_L}, input: {{type: "auto"}}) {{ type }}'),
    "Mutation.deleteLibrary": admin(f"deleteLibrary({_L})"),
    "Mutation.createDocument": write(
        f'createDocument(libraryId: "{LIBRARY}", input: {{title: "a", text: "b"}}) {{ id }}'
    ),
    "Mutation.updateDocument": write(f'updateDocument({_D}, input: {{title: "a"}}) {{ id }}', "some"),
    "Mutation.deleteDocument": write(f"deleteDocument({_D})", "some"),
    "Mutation.insertVectors": write(
        f"insertVectors(input: {{{_C}, vectors: [{{id: 1, vector: [1, 0, 0]}}]}}) {{ inserted }}"
    ),
    "Mutation.deleteVectors": write(f"deleteVectors(input: {{{_C}, ids: [1]}}) {{ deleted }}"),
    "Mutation.updateMetadata": write(
        f"updateMetadata(input: {{{_C}, ids: [1], merge: {{a: 1}}}}) {{ matched }}"
    ),
    "Mutation.generateEmbedding": read(
        'generateEmbedding(input: {text: "a", model: "absent"}) { model }', "some"
    ),
    "Mutation.createCollection": admin(
        f'createCollection(input: {{name: "{NAME}", dimension: 3, embeddingModel: "absent"}}) {{ name }}'
    ),
    "Mutation.updateCollection": admin(
        f'updateCollection(name: "{NAME}", input: {{targetRecall: 0.9}}) {{ name }}'
    ),
    "Mutation.deleteCollection": admin(f'deleteCollection(name: "{NAME}") {{ name }}'),
    "Mutation.switchAliases": admin(
        f'switchAliases(input: {{changes: [{{alias: "guarded-a", {_C}}}]}}) {{ alias }}'
    ),
    "Mutation.submitJob": write(
        f'submitJob(job: {{kind: "bulk_insert", {_C}, items: [{{id: 1, vector: [1, 0, 0]}}]}}) {{ jobId }}'
    ),
    "Mutation.cancelJob": write(f"cancelJob({_J}) {{ jobId }}", "some"),
    "Mutation.pauseJob": write(f"pauseJob({_J}) {{ jobId }}", "some"),
    "Mutation.resumeJob": write(f"resumeJob({_J}) {{ jobId }}", "some"),
    "Mutation.retryJob": write(f"retryJob({_J}) {{ jobId }}", "some"),
    "Subscription.jobProgress": read(f"jobProgress({_J}) {{ jobId }}", "some"),
}
