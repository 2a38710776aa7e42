"""What callers do wrong: one line for each mistake, with the code that it has in every door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.integration.gateway.doors.conftest import ABSENT, CHUNK, DOCUMENT, EMPTY_LIBRARY, LIBRARY
from tests.integration.gateway.doors.drivers import Asked
from tests.integration.gateway.refusals import GOOD, INF, NAN, deep

# Stands for a job that was cancelled.
JOB: Final = "<job>"

DOORS: Final = ("REST", "gRPC", "GraphQL")
# A message of gRPC can't say it, as its fields have types.
JSON: Final = ("REST", "GraphQL")
# The schema of GraphQL can't say it, or has no such field.
NOT_GRAPHQL: Final = ("REST", "gRPC")


@dataclass(frozen=True)
class Mistake:
    """by: who makes it. doors: through which it can be made."""

    name: str
    code: str
    operation: str
    body: Any = None
    where: Mapping[str, Any] = field(default_factory=dict)
    by: str = "admin"
    doors: tuple[str, ...] = DOORS

    def asked(self, keys: Mapping[str, str], job: str) -> Asked:
        where = {name: job if value == JOB else value for name, value in self.where.items()}
        key = keys[self.by]
        return Asked(self.operation, self.body, where, {"X-API-Key": key} if key else {})


_UNIT: Final = {"collection": "docs", "vector": [1, 0, 0]}


def _search(name: str, code: str, /, *doors: str, **body: Any) -> Mistake:
    told = {**_UNIT, **body}
    told = {key: value for key, value in told.items() if value is not None}
    return Mistake(f"search {name}", code, "search", told, doors=doors or DOORS)


SEARCHES: Final = [
    _search("unknown collection", "collection_not_found", collection="nope"),
    _search("no name of a collection", "collection_not_found", collection="No Name"),
    _search("nothing", "invalid_argument", vector=None),
    _search("two things", "invalid_argument", *JSON, text="x"),
    _search("short vector", "dimension_mismatch", vector=[1, 2]),
    _search("empty vector", "dimension_mismatch", vector=[]),
    _search("no list", "invalid_argument", *JSON, vector={"a": 1}),
    _search("no number", "invalid_argument", *JSON, vector=[1, "2", 0]),
    _search("NaN", "non_finite_vector", vector=[1, NAN, 0]),
    _search("infinity", "non_finite_vector", vector=[1, INF, 0]),
    _search("overflow", "non_finite_vector", vector=[1, 1e300, 0]),
    _search("zero", "zero_vector", vector=[0, 0, 0]),
    _search("text without model", "failed_precondition", vector=None, text="x"),
    _search("empty text", "invalid_text", vector=None, collection="texts", text=""),
    _search("text of a model that queues", "model_is_bulk_only", vector=None, collection="queued", text="a"),
    _search("unknown point", "point_not_found", vector=None, id=404),
    _search("limit 0", "invalid_limit", limit=0),
    _search("limit 1001", "invalid_limit", limit=1_001),
    _search("offset", "invalid_limit", offset=995),
    _search("threshold", "invalid_argument", *NOT_GRAPHQL, score_threshold=INF),
    _search("half a condition", "invalid_filter", filter={"field": "a"}),
    _search("operator", "invalid_filter", filter={"field": "a", "operator": "like", "value": 1}),
    _search("filter that is a list", "invalid_filter", filter=[]),
    _search("filter that is a number", "invalid_filter", filter=1),
    _search(
        "words without an index",
        "no_text_index",
        filter={"field": "a", "operator": "text", "value": "word"},
    ),
    _search("diversity", "invalid_argument", mmr={"diversity": 1.5}),
    _search("candidates", "invalid_argument", mmr={"candidates": 0}),
    _search("ef_search", "invalid_argument", ef_search=0),
    _search("nprobe", "invalid_argument", nprobe=70_000),
    _search("field of metadata", "invalid_argument", include_metadata=["a..b"]),
    _search("fields of metadata", "invalid_argument", include_metadata=["a"] * 65),
]


def _batch(name: str, code: str, *queries: Any) -> Mistake:
    return Mistake(f"batch {name}", code, "search batch", {"collection": "docs", "queries": list(queries)})


def _of(operation: str, name: str, code: str, /, *doors: str, **body: Any) -> Mistake:
    told = {"collection": "docs", **body}
    return Mistake(f"{operation}: {name}", code, operation, told, doors=doors or DOORS)


_VECTOR: Final = {"vector": [1, 0, 0]}

READS: Final = [
    _batch("of nothing", "invalid_argument"),
    _batch("too many", "invalid_argument", *[_VECTOR] * 101),
    _batch("an empty query", "invalid_argument", _VECTOR, {}),
    _batch("short vector", "dimension_mismatch", _VECTOR, {"vector": [1]}),
    _batch("unknown point", "point_not_found", _VECTOR, {"id": 404}),
    _of("recommend", "without examples", "invalid_argument"),
    _of("recommend", "unknown point", "point_not_found", positive=[404]),
    _of("recommend", "short vector", "dimension_mismatch", positive=[[1, 2]]),
    _of("recommend", "only unlike", "invalid_argument", negative=[[1, 0, 0]]),
    _of("recommend", "too many", "invalid_argument", positive=[[1, 0, 0]] * 101),
    _of(
        "recommend",
        "diverse by score",
        "invalid_argument",
        positive=[[1, 0, 0]],
        strategy="best_score",
        mmr={},
    ),
    _of("search groups", "size", "invalid_limit", **_VECTOR, group_by="a", group_size=101),
    _of("search groups", "field", "invalid_argument", **_VECTOR, group_by="a.."),
    _of("facet", "no field", "invalid_argument", field=""),
    _of("facet", "limit", "invalid_limit", field="a", limit=0),
    _of("distinct", "cursor", "invalid_cursor", field="a", cursor="x"),
    _of("count", "filter", "invalid_filter", filter={"field": 1}),
    _of("count", "filter of no form", "invalid_filter", filter=[]),
    _of("scroll", "cursor", "invalid_cursor", cursor="x"),
    _of("scroll", "limit", "invalid_limit", limit=1_001),
    _of("scroll", "filter", "invalid_filter", filter={"field": "a", "operator": "near", "value": 1}),
    _of("scroll", "unknown collection", "collection_not_found", collection="nope"),
    _of("get", "no ids", "invalid_argument", ids=[]),
    _of("get", "too many ids", "invalid_argument", ids=list(range(2_001))),
    _of("get", "id below 0", "invalid_id", *JSON, ids=[1, -1]),
    Mistake("get one: unknown point", "point_not_found", "get one", where={"collection": "docs", "id": 404}),
    Mistake(
        "get one: unknown collection",
        "collection_not_found",
        "get one",
        where={"collection": "nope", "id": 1},
    ),
]


def _insert(name: str, code: str, *points: Any, **more: Any) -> Mistake:
    doors = more.pop("doors", DOORS)
    body = {"collection": "docs", "vectors": list(points), **more}
    return Mistake(f"insert {name}", code, "insert", body, doors=doors)


def _two(vector: list[float]) -> tuple[Any, Any]:
    return GOOD, {"id": 2, "vector": vector}


_SECOND: Final = {"id": 2, "vector": [0, 1, 0]}

WRITES: Final = [
    _insert("unknown collection", "collection_not_found", GOOD, collection="nope"),
    _insert("no points", "invalid_argument"),
    _insert("too many", "invalid_argument", *[_VECTOR] * 2_001),
    _insert("no point", "invalid_argument", GOOD, {"id": 2}, doors=JSON),
    _insert("dimension", "dimension_mismatch", {"id": 1, "vector": [1]}),
    _insert("dimension of one", "dimension_mismatch", GOOD, {"id": 2, "vector": [1]}, doors=JSON),
    _insert("NaN", "non_finite_vector", *_two([1, NAN, 0])),
    _insert("infinity", "non_finite_vector", *_two([1, -INF, 0])),
    _insert("overlong", "non_finite_vector", *_two([1e19, 0, 0])),
    _insert("zero", "zero_vector", *_two([0, 0, -0.0])),
    _insert("shorter than cosine takes", "zero_vector", *_two([1e-19, 0, 0])),
    _insert("id below 0", "invalid_id", GOOD, _SECOND | {"id": -1}, doors=JSON),
    _insert("id true", "invalid_id", GOOD, _SECOND | {"id": True}, doors=JSON),
    _insert("id twice", "duplicate_id", GOOD, GOOD),
    _insert("metadata list", "invalid_metadata", GOOD, _SECOND | {"metadata": []}),
    _insert("metadata text", "invalid_metadata", GOOD, _SECOND | {"metadata": "x"}),
    _insert("metadata NaN", "invalid_metadata", GOOD, _SECOND | {"metadata": {"a": NAN}}, doors=JSON),
    _insert("metadata deep", "invalid_metadata", GOOD, _SECOND | {"metadata": deep(17)}),
    _insert("metadata big", "metadata_too_large", GOOD, _SECOND | {"metadata": {"a": "x" * 65_536}}),
    _insert("reserved key", "invalid_metadata", GOOD, _SECOND | {"metadata": {"_embedding": {}}}),
    _insert("text without model", "failed_precondition", GOOD, {"id": 2, "text": "x"}),
    _insert("blank text", "invalid_text", {"text": "good"}, {"text": " \n"}, collection="texts"),
    _insert("long text", "text_too_long", {"text": "x" * 131_073}, collection="texts"),
    _insert("text past metadata", "metadata_too_large", {"text": "x" * 65_536}, collection="texts"),
    _insert("version below 0", "invalid_argument", GOOD, _SECOND | {"if_version": -2}),
    _insert("version that inserts", "invalid_argument", GOOD | {"if_version": 1}, mode="insert"),
    _insert("another version", "version_conflict", GOOD | {"if_version": 7}),
    _insert("expiry", "invalid_expiry", GOOD, _SECOND | {"expires_at": "soon"}, doors=JSON),
    _insert("expired", "invalid_expiry", GOOD, _SECOND | {"expires_at": "1999-01-01T00:00:00+00:00"}),
    _of("delete", "neither", "invalid_argument"),
    _of("delete", "both", "invalid_argument", ids=[1], filter=[]),
    _of("delete", "filter", "invalid_filter", filter=[]),
    _of("delete", "id", "invalid_id", *JSON, ids=[1.5]),
    _of("change metadata", "nothing", "invalid_argument", ids=[1]),
    _of("change metadata", "two ways", "invalid_argument", ids=[1], merge={}, replace={}),
    _of("change metadata", "list", "invalid_metadata", ids=[1], merge=[]),
    _of("change metadata", "reserved key", "invalid_metadata", ids=[1], delete=["a", "_embedding"]),
    _of("change metadata", "no field", "invalid_argument", ids=[1], delete=["."]),
]


def _embed(name: str, code: str, /, *doors: str, **body: Any) -> Mistake:
    return Mistake(f"embed {name}", code, "embed", {"text": ["a"], **body}, doors=doors or DOORS)


EMBEDDINGS: Final = [
    _embed("nothing", "invalid_text", text=[]),
    _embed("empty text", "invalid_text", *JSON, text=""),
    _embed("blank text", "invalid_text", text=["a", " "]),
    _embed("long text", "text_too_long", text=["x" * 131_073]),
    _embed("too many", "invalid_text", text=["a"] * 2_001),
    _embed("unknown model", "model_not_found", model="nope"),
    _embed("unknown collection", "collection_not_found", collection="nope"),
    _embed("collection without model", "failed_precondition", collection="docs"),
    _embed("another model", "model_conflict", collection="texts", model="later"),
    _embed("dimensions", "invalid_argument", dimensions=9_000),
    _embed("more than there are", "invalid_argument", dimensions=385),
]


def _create(called: str, code: str, /, *doors: str, **spec: Any) -> Mistake:
    body = {"name": "new", "dimension": 3, **spec}
    body = {key: value for key, value in body.items() if value is not None}
    return Mistake(f"create {called}", code, "create collection", body, doors=doors or DOORS)


def _change(name: str, code: str, /, *doors: str, **change: Any) -> Mistake:
    where = {"name": "dot"}
    return Mistake(f"change {name}", code, "change collection", change, where, doors=doors or DOORS)


def _aliases(name: str, code: str, *changes: dict[str, Any]) -> Mistake:
    return Mistake(f"aliases: {name}", code, "change aliases", {"changes": list(changes)})


COLLECTIONS: Final = [
    _create("name", "invalid_argument", name="Bad"),
    _create("without dimension", "invalid_argument", "REST", "gRPC", dimension=None),
    _create("dimension", "invalid_argument", dimension=9_000),
    _create("shards", "invalid_argument", shards=65),
    _create("metric", "invalid_argument", *JSON, metric="cosin"),
    _create("recall", "invalid_argument", target_recall=2.0),
    _create("unknown index", "invalid_argument", *JSON, index={"type": "tree"}),
    _create("index", "invalid_argument", index={"type": "hnsw", "m": 1}),
    _create("index of another metric", "invalid_argument", index={"type": "kd_tree"}, metric="dot"),
    _create(
        "two that do not go together",
        "invalid_argument",
        index={"type": "kd_tree"},
        quantisation={"type": "int8"},
    ),
    _create("quantisation", "invalid_argument", quantisation={"type": "product", "bits": 5}),
    _create("unknown model", "model_not_found", embedding_model="nope"),
    _create("model of another dimension", "model_conflict", embedding_model="now"),
    _create("field", "invalid_argument", payload_indexes={"a..b": "text"}),
    _create("what is there", "collection_exists", name="docs"),
    _create("an alias", "alias_exists", name="papers"),
    _create("a library's", "invalid_argument", name=f"library-{ABSENT.replace('-', '')}"),
    Mistake("collection that is not there", "collection_not_found", "collection", where={"name": "nope"}),
    _change("nothing", "invalid_argument"),
    _change("recall", "invalid_argument", target_recall=1.5),
    _change("index of another metric", "invalid_argument", index={"type": "kd_tree"}),
    _change("quantisation", "invalid_argument", quantisation={"type": "product", "bits": 5}),
    _change("what is fixed", "invalid_argument", *NOT_GRAPHQL, metric=None),
    _change("field", "invalid_argument", payload_indexes={"a..b": "text"}),
    Mistake(
        "change what is not there",
        "collection_not_found",
        "change collection",
        {"target_recall": 0.9},
        {"name": "nope"},
    ),
    Mistake("delete what is not there", "collection_not_found", "delete collection", where={"name": "nope"}),
    Mistake("delete what has aliases", "collection_has_aliases", "delete collection", where={"name": "docs"}),
    Mistake(
        "delete a library's collection",
        "collection_of_library",
        "delete collection",
        where={"name": f"library-{LIBRARY.replace('-', '')}"},
    ),
    _aliases("no changes", "invalid_argument"),
    _aliases("unknown collection", "collection_not_found", {"alias": "a", "collection": "nope"}),
    _aliases("unknown alias", "alias_not_found", {"alias": "none-such", "collection": None}),
    _aliases("name", "invalid_argument", {"alias": "A", "collection": "docs"}),
    _aliases("twice", "invalid_argument", *[{"alias": "a", "collection": "docs"}] * 2),
    _aliases("a collection's name", "collection_exists", {"alias": "dot", "collection": "docs"}),
]


def _submit(name: str, code: str, /, *doors: str, **job: Any) -> Mistake:
    told = {"kind": "bulk_insert", "collection": "docs", "items": [{"id": 1, "vector": [1, 0, 0]}], **job}
    told = {key: value for key, value in told.items() if value is not None}
    return Mistake(f"job {name}", code, "submit", told, doors=doors or DOORS)


JOBS: Final = [
    _submit("of no kind", "invalid_argument", kind=None, collection=None, items=None),
    _submit("of an unknown kind", "invalid_argument", *JSON, kind="bulk_delete"),
    _submit("without items", "invalid_argument", items=None),
    _submit("batch size", "invalid_argument", batch_size=0),
    _submit("unknown collection", "collection_not_found", collection="nope"),
    _submit("unknown model", "model_not_found", kind="bulk_embed", collection=None, model="nope"),
    _submit("another model", "model_conflict", kind="bulk_embed", collection="texts", model="later"),
    _submit("without model", "failed_precondition", kind="bulk_embed"),
    _submit(
        "target that is there", "collection_exists", kind="reembed", target="texts", model="later", items=None
    ),
    _submit(
        "target that is made", "already_exists", kind="reembed", target="made", model="later", items=None
    ),
    Mistake("file of a job without one", "not_found", "result", where={"id": JOB}, doors=NOT_GRAPHQL),
    Mistake("unknown job", "job_not_found", "job", where={"id": "0" * 32}),
    Mistake("no id of a job", "job_not_found", "job", where={"id": "x"}),
    Mistake("pause an unknown job", "job_not_found", "pause", where={"id": "0" * 32}),
    Mistake("pause what has ended", "wrong_job_state", "pause", where={"id": JOB}),
    Mistake("retry what was cancelled", "wrong_job_state", "retry", where={"id": JOB}),
    Mistake("jobs: limit", "invalid_limit", "jobs", where={"limit": 0}),
    Mistake("jobs: limit past the most", "invalid_limit", "jobs", where={"limit": 1_001}),
    Mistake("jobs: state", "invalid_argument", "jobs", where={"state": "lost"}, doors=JSON),
    Mistake("jobs: cursor", "invalid_cursor", "jobs", where={"cursor": "?"}),
]


def _library(name: str, code: str, operation: str, body: Any = None, **where: Any) -> Mistake:
    return Mistake(f"library: {name}", code, operation, body, where)


_TITLED: Final = {"title": "a"}

LIBRARIES: Final = [
    _library("name", "invalid_argument", "create library", {"name": " "}),
    _library("id", "invalid_id", "create library", {"id": "x", "name": "new", "dimension": 3, "model": None}),
    _library("without dimension", "invalid_argument", "create library", {"name": "new", "model": None}),
    _library("unknown model", "model_not_found", "create library", {"name": "new", "model": "nope"}),
    _library(
        "another dimension",
        "model_conflict",
        "create library",
        {"name": "new", "dimension": 3, "model": "now"},
    ),
    _library(
        "name that is taken",
        "library_exists",
        "create library",
        {"name": LIBRARY, "dimension": 3, "model": None},
    ),
    _library(
        "id that is taken",
        "library_exists",
        "create library",
        {"id": LIBRARY, "name": "new", "dimension": 3, "model": None},
    ),
    _library("unknown", "library_not_found", "library", id=ABSENT),
    _library("no id", "invalid_id", "library", id="x"),
    _library(
        "change of another revision",
        "revision_conflict",
        "change library",
        {"name": "b"},
        id=LIBRARY,
        if_revision=7,
    ),
    _library(
        "change of nothing that is there", "library_not_found", "change library", {"name": "b"}, id=ABSENT
    ),
    _library("delete another revision", "revision_conflict", "delete library", id=LIBRARY, if_revision=7),
    _library("limit", "invalid_limit", "libraries", limit=0),
    _library("cursor", "invalid_cursor", "libraries", cursor="?"),
    _library(
        "index", "invalid_argument", "build index", {"type": "hnsw", "parameters": {"m": 1}}, id=LIBRARY
    ),
    _library(
        "query without index", "index_not_built", "query library", {"embedding": [1, 0, 0]}, id=EMPTY_LIBRARY
    ),
    _library("query of nothing", "invalid_argument", "query library", {}, id=LIBRARY),
    _library(
        "query of a short vector", "dimension_mismatch", "query library", {"embedding": [1]}, id=LIBRARY
    ),
    _library("query by text", "invalid_argument", "query library", {"text": "a"}, id=LIBRARY),
    _library(
        "query for too many",
        "invalid_argument",
        "query library",
        {"embedding": [1, 0, 0], "k": 0},
        id=LIBRARY,
    ),
    _library(
        "document of an unknown one", "library_not_found", "create document", _TITLED, library_id=ABSENT
    ),
    _library(
        "document that is there", "document_exists", "create document", {"id": DOCUMENT}, library_id=LIBRARY
    ),
    _library(
        "chunk that is there",
        "chunk_exists",
        "create document",
        {"chunks": [{"id": CHUNK, "text": "a", "embedding": [1, 0, 0]}]},
        library_id=LIBRARY,
    ),
    _library(
        "chunk of another dimension",
        "dimension_mismatch",
        "create document",
        {"chunks": [{"text": "a", "embedding": [1]}]},
        library_id=LIBRARY,
    ),
    _library(
        "blank chunk",
        "invalid_text",
        "create document",
        {"chunks": [{"text": " ", "embedding": [1, 0, 0]}]},
        library_id=LIBRARY,
    ),
    _library("unknown document", "document_not_found", "document", id=ABSENT),
    _library("no id of a document", "invalid_id", "document", id="x"),
    _library("change of an unknown document", "document_not_found", "change document", _TITLED, id=ABSENT),
    _library(
        "change of another document",
        "revision_conflict",
        "change document",
        _TITLED,
        id=DOCUMENT,
        if_revision=7,
    ),
    _library("delete an unknown document", "document_not_found", "delete document", id=ABSENT),
    _library("unknown chunk", "chunk_not_found", "chunk", id=ABSENT),
]


def _platform(name: str, code: str, operation: str, body: Any = None, **where: Any) -> Mistake:
    return Mistake(f"{operation}: {name}", code, operation, body, where)


_GRANTS: Final = [{"scopes": ["read"], "collections": ["docs"]}]

PLATFORM: Final = [
    _platform("scope", "invalid_argument", "create key", {"name": "a", "grants": [{"scopes": ["own"]}]}),
    _platform("no grants", "invalid_argument", "create key", {"name": "a", "grants": []}),
    _platform("name", "invalid_argument", "create key", {"name": "é", "grants": _GRANTS}),
    _platform(
        "tenant", "invalid_argument", "create key", {"name": "a", "grants": _GRANTS, "filter": {"a.b": "x"}}
    ),
    _platform("unknown", "key_not_found", "key", id="0" * 16),
    _platform("unknown", "key_not_found", "revoke key", id="0" * 16),
    Mistake("rotate an unknown key", "key_not_found", "rotate key", {}, {"id": "0" * 16}),
    _platform("limit", "invalid_limit", "keys", limit=0),
    _platform("cursor", "invalid_cursor", "keys", cursor="x"),
    _platform("limit", "invalid_limit", "operations", limit=1_001),
    _platform("cursor", "invalid_cursor", "operations", cursor="x"),
    _platform("outcome", "invalid_argument", "operations", outcome="well"),
    _platform("limit", "invalid_limit", "warm cache", limit=0),
]


def _by(name: str, who: str, code: str, operation: str, body: Any = None, **where: Any) -> Mistake:
    return Mistake(f"{name} by {who}", code, operation, body, where, who)


CALLERS: Final = [
    _by("search", "nobody", "unauthenticated", "search", _UNIT),
    _by("job", "nobody", "unauthenticated", "job", id=JOB),
    _by("search", "reader", "permission_denied", "search", {**_UNIT, "collection": "dot"}),
    _by("search of what is not there", "reader", "permission_denied", "search", {**_UNIT, "collection": "x"}),
    _by("insert", "reader", "permission_denied", "insert", {"collection": "docs", "vectors": [GOOD]}),
    _by("create", "reader", "permission_denied", "create collection", {"name": "new", "dimension": 3}),
    _by("jobs", "reader", "permission_denied", "jobs"),
    _by("library", "reader", "permission_denied", "library", id=LIBRARY),
    _by("document", "reader", "document_not_found", "document", id=DOCUMENT),
    _by(
        "insert of another tenant",
        "tenant",
        "permission_denied",
        "insert",
        {"collection": "docs", "vectors": [{"id": 77, "vector": [1, 0, 0], "metadata": {"tenant": "other"}}]},
    ),
    _by("keys", "reader", "permission_denied", "keys"),
    _by("operations", "reader", "permission_denied", "operations"),
    _by("cache", "reader", "permission_denied", "cache"),
    _by("search", "spent", "rate_limited", "search", _UNIT),
]

MISTAKES: Final = [
    *SEARCHES,
    *READS,
    *WRITES,
    *EMBEDDINGS,
    *COLLECTIONS,
    *JOBS,
    *LIBRARIES,
    *PLATFORM,
    *CALLERS,
]
