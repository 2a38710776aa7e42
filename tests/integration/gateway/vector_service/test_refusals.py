"""The same mistake is the same error over REST and over gRPC: its code, its message, its index."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

import pytest

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from tests.integration.gateway.refusals import GOOD, INF, NAN, deep
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import TIMEOUT_S, insertion, refused

SECOND = {"id": 2, "vector": [0, 1, 0]}


@dataclass(frozen=True)
class Insert:
    """The same points through both doors. in_rest: what REST says in place of the id's bytes.

    same_words: what is wrong is told alike; else only named alike.
    """

    name: str
    points: list[dict[str, Any]]
    code: str
    collection: str = "bad"
    mode: str = "upsert"
    same_words: bool = True
    in_rest: Any = None

    @property
    def index(self) -> int | None:
        return None if self.code in ("collection_not_found", "invalid_argument") else len(self.points) - 1


INSERTS = [
    Insert("NaN", [GOOD, {"id": 2, "vector": [1, NAN, 0]}], "non_finite_vector"),
    Insert("infinity", [GOOD, {"id": 2, "vector": [1, -INF, 0]}], "non_finite_vector"),
    Insert("overlong", [GOOD, {"id": 2, "vector": [1e19, 0, 0]}], "non_finite_vector"),
    Insert("zero", [GOOD, {"id": 2, "vector": [0, 0, -0.0]}], "zero_vector"),
    Insert("shorter than cosine takes", [GOOD, {"id": 2, "vector": [1e-19, 0, 0]}], "zero_vector"),
    Insert("no id", [GOOD, SECOND | {"id": b"\x03"}], "invalid_id", same_words=False, in_rest=""),
    Insert(
        "long id",
        [GOOD, SECOND | {"id": b"\x03" + b"x" * 129}],
        "invalid_id",
        same_words=False,
        in_rest="x" * 129,
    ),
    Insert("duplicate id", [GOOD, GOOD], "duplicate_id"),
    Insert("metadata list", [GOOD, SECOND | {"metadata": []}], "invalid_metadata"),
    Insert("metadata text", [GOOD, SECOND | {"metadata": "x"}], "invalid_metadata"),
    Insert("metadata NaN", [GOOD, SECOND | {"metadata": {"a": NAN}}], "invalid_metadata", same_words=False),
    Insert("metadata deep", [GOOD, SECOND | {"metadata": deep(17)}], "invalid_metadata"),
    Insert("metadata big", [GOOD, SECOND | {"metadata": {"a": "x" * 65_536}}], "metadata_too_large"),
    Insert("reserved key", [GOOD, SECOND | {"metadata": {"_embedding": {}}}], "invalid_metadata"),
    Insert("text without model", [GOOD, {"id": 2, "text": "x"}], "failed_precondition"),
    Insert("no points", [], "invalid_argument"),
    Insert("too many", [{"vector": [1, 0, 0]}] * 2_001, "invalid_argument"),
    Insert("unknown collection", [GOOD], "collection_not_found", "nope"),
    Insert("blank text", [{"text": "good"}, {"text": " \n"}], "invalid_text", "bad-texts"),
    Insert("long text", [{"text": "x" * 131_073}], "text_too_long", "bad-texts"),
    Insert("text past metadata", [{"text": "x" * 65_536}], "metadata_too_large", "bad-texts"),
    Insert("if_version below 0", [GOOD, SECOND | {"if_version": -2}], "invalid_argument"),
    Insert("if_version that inserts", [GOOD | {"if_version": 1}], "invalid_argument", mode="insert"),
]


@pytest.mark.parametrize("case", INSERTS, ids=lambda case: case.name)
def test_a_bad_insert(unwritten: Stack, bad_service: VectorServiceStub, case: Insert) -> None:
    points = [dict(point) for point in case.points]
    if case.in_rest is not None:
        points[-1]["id"] = case.in_rest
    body = {"collection": case.collection, "vectors": points, "mode": case.mode}
    # Not httpx's own JSON, which refuses NaN.
    over_rest = unwritten.client.post("/api/v1/vectors/insert", content=json.dumps(body)).json()["error"]
    mode = pb.InsertMode.Value(f"INSERT_MODE_{case.mode.upper()}")
    with refused() as errors:
        bad_service.InsertVectors(insertion(case.collection, case.points, mode=mode), timeout=TIMEOUT_S)
    (error,) = errors
    assert error.code == over_rest["code"] == case.code
    if case.same_words:
        assert error.message == over_rest["message"]
        assert error.details == (over_rest["details"] or {})
    if case.index is not None:
        assert error.details["index"] == case.index


COLUMNS = [
    ("rows of another dimension", {"vectors": pb.Vectors(dimension=2, float32_le=bytes(16))}, "takes 3"),
    ("half a row", {"vectors": pb.Vectors(dimension=3, float32_le=bytes(18))}, "rows of 12 bytes"),
    ("too few ids", {"ids": [b"\x01" + bytes(8)]}, "ids: expected none, or one for each of 2 points; got 1"),
    ("too few metadata", {"metadata": [b"{}"]}, "metadata: expected none"),
    ("too many versions", {"if_versions": [-1] * 3}, "if_versions: expected none"),
    ("too few expiries", {"expires_at_us": [0]}, "expires_at_us: expected none"),
    ("an expiry that has passed", {"expires_at_us": [0, 1]}, "vectors[1].expires_at: expected a time to"),
    ("an expiry after all time", {"expires_at_us": [0, 2**62]}, "vectors[1].expires_at: expected micro"),
    ("no JSON", {"metadata": [b"{}", b"{"]}, "vectors[1].metadata: expected an object in JSON"),
    ("no mode", {"mode": 9}, "mode: expected one of INSERT_MODE_UPSERT"),
    ("no rule for long texts", {"long_texts": 9}, "long_texts: expected one of"),
    ("another collection", {"collection_uid": "other"}, "that was meant is gone"),
]


@pytest.mark.parametrize(("name", "more", "mentions"), COLUMNS, ids=[name for name, _, _ in COLUMNS])
def test_bad_columns(bad_service: VectorServiceStub, name: str, more: dict[str, Any], mentions: str) -> None:
    request = insertion("bad", [{"vector": [1, 0, 0]}, {"vector": [0, 1, 0]}])
    for field, value in more.items():
        request.ClearField(cast("Any", field))
        request.MergeFrom(pb.InsertVectorsRequest(**{field: value}))
    with refused() as errors:
        bad_service.InsertVectors(request, timeout=TIMEOUT_S)
    assert mentions in errors[0].message


def test_points_need_one_content_each(bad_service: VectorServiceStub) -> None:
    request = insertion("bad-texts", [{"text": "a"}, {"text": ""}])
    with refused() as errors:
        bad_service.InsertVectors(request, timeout=TIMEOUT_S)
    assert "vectors[1]: expected one of vector, embedding or text, got none" in errors[0].message
    assert errors[0].details["index"] == 1


EMBEDDINGS = [
    ({"text": []}, "invalid_text"),
    ({"text": ["a", " "]}, "invalid_text"),
    ({"text": ["x" * 131_073]}, "text_too_long"),
    ({"text": ["a"] * 2_001}, "invalid_text"),
    ({"text": ["a"], "model": "nope"}, "model_not_found"),
    ({"text": ["a"], "collection": "nope"}, "collection_not_found"),
    ({"text": ["a"], "collection": "bad"}, "failed_precondition"),
    ({"text": ["a"], "dimensions": 9_000}, "invalid_argument"),
    ({"text": ["a"], "dimensions": 385}, "invalid_argument"),
]


@pytest.mark.parametrize(("body", "code"), EMBEDDINGS)
def test_bad_texts(unwritten: Stack, bad_service: VectorServiceStub, body: dict[str, Any], code: str) -> None:
    over_rest = unwritten.post("/api/v1/embeddings/generate", body).json()["error"]
    request = pb.GenerateEmbeddingRequest(texts=body["text"])
    for field, value in body.items():
        if field != "text":
            setattr(request, field, value)
    with refused() as errors:
        bad_service.GenerateEmbedding(request, timeout=TIMEOUT_S)
    assert (errors[0].code, errors[0].message) == (over_rest["code"], over_rest["message"])
    assert errors[0].code == code


SPECS = [
    {"name": "Bad", "dimension": 3},
    {"name": "new"},
    {"name": "new", "dimension": 9_000},
    {"name": "new", "dimension": 3, "shards": 65},
    {"name": "new", "dimension": 3, "target_recall": 2.0},
    {"name": "new", "dimension": 3, "index": {"hnsw": {"m": 1}}},
    {"name": "new", "dimension": 3, "index": {"kd_tree": {}}, "metric": "METRIC_DOT"},
    {"name": "new", "dimension": 3, "index": {"kd_tree": {}}, "quantisation": {"int8": {}}},
    {"name": "new", "dimension": 3, "quantisation": {"product": {"bits": 5}}},
    {"name": "new", "dimension": 3, "embedding_model": "nope"},
    {"name": "new", "dimension": 3, "embedding_model": "hash-384"},
    {"name": "new", "dimension": 3, "payload_indexes": {"a..b": "PAYLOAD_INDEX_TEXT"}},
    {"name": "bad", "dimension": 3},
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_bad_collection(unwritten: Stack, bad_service: VectorServiceStub, spec: dict[str, Any]) -> None:
    over_rest = unwritten.post("/api/v1/collections", _in_rest(spec)).json()["error"]
    with refused() as errors:
        bad_service.CreateCollection(
            pb.CreateCollectionRequest(spec=pb.CollectionSpec(**spec)), timeout=TIMEOUT_S
        )
    assert (errors[0].code, errors[0].message) == (over_rest["code"], over_rest["message"])


def _in_rest(spec: dict[str, Any]) -> dict[str, Any]:
    body = dict(spec)
    for field in ("index", "quantisation"):
        if field in body:
            ((kind, options),) = body[field].items()
            body[field] = {"type": kind, **options}
    if "metric" in body:
        body["metric"] = body["metric"].removeprefix("METRIC_").lower()
    if "payload_indexes" in body:
        body["payload_indexes"] = {
            field: kind.removeprefix("PAYLOAD_INDEX_").lower()
            for field, kind in body["payload_indexes"].items()
        }
    return body


def test_unknown_metrics_are_named(bad_service: VectorServiceStub) -> None:
    spec = pb.CollectionSpec(name="new", dimension=3)
    spec.MergeFromString(b"\x18\x63")
    with refused() as errors:
        bad_service.CreateCollection(pb.CreateCollectionRequest(spec=spec), timeout=TIMEOUT_S)
    assert errors[0].message.startswith("metric: expected one of METRIC_COSINE, METRIC_DOT")


SCROLLS = [
    ({"collection": "nope"}, "collection_not_found"),
    ({"page_size": 1_001}, "invalid_limit"),
    ({"cursor": "x"}, "invalid_cursor"),
    ({"filter_json": b"{"}, "invalid_filter"),
    ({"filter_json": b'{"field": "a", "operator": "near", "value": 1}'}, "invalid_filter"),
    ({"collection_uid": "other"}, "collection_not_found"),
]


@pytest.mark.parametrize(("fields", "code"), SCROLLS)
def test_a_bad_scroll(bad_service: VectorServiceStub, fields: dict[str, Any], code: str) -> None:
    with refused() as errors:
        list(bad_service.ScrollVectors(pb.ScrollVectorsRequest(**{"collection": "bad"} | fields)))
    assert errors[0].code == code


def test_bad_aliases(bad_service: VectorServiceStub) -> None:
    for changes, code in (
        ([], "invalid_argument"),
        ([pb.AliasChange(alias="a", collection="nope")], "collection_not_found"),
        ([pb.AliasChange(alias="none-such")], "alias_not_found"),
        ([pb.AliasChange(alias="A", collection="bad")], "invalid_argument"),
        ([pb.AliasChange(alias="a", collection="bad")] * 2, "invalid_argument"),
        ([pb.AliasChange(alias="bad-dot", collection="bad")], "collection_exists"),
    ):
        with refused() as errors:
            bad_service.ChangeAliases(pb.ChangeAliasesRequest(changes=changes), timeout=TIMEOUT_S)
        assert errors[0].code == code
