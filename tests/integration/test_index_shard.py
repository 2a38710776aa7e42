"""One index-shard process over gRPC: what it answers, and what it refuses by name."""

from __future__ import annotations

import json
import re
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric
from hanax.core.errors import (
    CollectionNotFound,
    DimensionMismatch,
    DuplicateId,
    HanaxError,
    InvalidArgument,
    InvalidCursor,
    InvalidFilter,
    InvalidId,
    InvalidLimit,
    InvalidMetadata,
    MetadataTooLarge,
    NonFiniteVector,
    ResourceExhausted,
    ZeroVector,
)
from hanax.core.ids import PointId, encode_id, hash_of
from hanax.core.limits import MAX_BATCH_POINTS, MAX_METADATA_BYTES
from tests.integration.index_shard_process import IndexShardProcess, Routes, Shard, column

POINTS: dict[PointId, tuple[list[float], dict[str, Any]]] = {
    "a": ([1.0, 0.0, 0.0, 0.0], {"year": 2001, "tags": ["x"]}),
    7: ([0.0, 2.0, 0.0, 0.0], {"year": 2002}),
    "0f8fad5b-d9cb-469f-a165-70867728950e": ([0.0, 0.0, 3.0, 0.0], {"year": 2003}),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shard")


@pytest.fixture(scope="module")
def routes(place: Path) -> Routes:
    return Routes(place / "routing.json")


@pytest.fixture(scope="module")
def process(place: Path, routes: Routes) -> Iterator[IndexShardProcess]:
    with IndexShardProcess(place, routes.path) as process:
        yield process


@pytest.fixture
def shard(process: IndexShardProcess, routes: Routes, request: pytest.FixtureRequest) -> Shard:
    """A fresh collection of four dimensions with three points."""
    name = f"c{abs(hash(request.node.name))}"
    routes.put(name)
    routes.write()
    shard = process.shard(name).wait_open()
    vectors, metadata = zip(*POINTS.values(), strict=True)
    shard.upsert(list(POINTS), list(vectors), list(metadata))
    return shard


def test_upsert_tells_new_points_from_old(shard: Shard) -> None:
    answer = shard.upsert(["a", "b"], [[9, 9, 9, 9]] * 2, [{"n": 1}, {"n": 2}])
    assert (answer.inserted, answer.updated) == (1, 1)
    assert answer.sequence == 2
    assert shard.get(["b", "missing", "a"]) == {"b": {"n": 2}, "a": {"n": 1}}
    assert shard.count() == 4


def test_search_answers_the_nearest_first(shard: Shard) -> None:
    assert shard.search([1, 0, 0, 0], limit=2) == [("a", 0.0), (7, pytest.approx(5**0.5))]
    assert shard.search([1, 0, 0, 0], vector_name="default", max_distance=2.5) == [
        ("a", 0.0),
        (7, pytest.approx(5**0.5)),
    ]
    expression = json.dumps({"field": "year", "operator": "gte", "value": 2002}).encode()
    found = shard.search([1, 0, 0, 0], filter_json=expression)
    assert [id_ for id_, _ in found] == [7, "0f8fad5b-d9cb-469f-a165-70867728950e"]


def test_search_answers_many_queries_in_order(shard: Shard) -> None:
    queries = np.array([vector for vector, _ in POINTS.values()], dtype="<f4")
    request = pb.SearchRequest(
        dimension=4,
        queries_float32_le=queries.tobytes(),
        limit=1,
        projection=pb.Projection(metadata=True, vectors=True),
    )
    answer = shard.call("Search", request)
    assert answer.shard_seconds > 0
    for hits, (id_, (vector, metadata)) in zip(answer.results, POINTS.items(), strict=True):
        assert list(hits.points.ids) == [encode_id(id_)]
        assert json.loads(hits.points.metadata[0]) == metadata
        (vectors,) = hits.points.vectors
        assert (vectors.name, vectors.dimension) == ("default", 4)
        assert np.frombuffer(vectors.float32_le, "<f4").tolist() == vector
        assert hits.points.created_at_us[0] == hits.points.updated_at_us[0] > 1_700_000_000_000_000


def test_a_projection_leaves_columns_out(shard: Shard) -> None:
    bare = shard.call("Get", pb.GetRequest(ids=[encode_id("a")])).points
    assert (len(bare.ids), len(bare.metadata), len(bare.vectors)) == (1, 0, 0)
    assert len(bare.created_at_us) == len(bare.updated_at_us) == 1


def test_metadata_are_merged_or_replaced(shard: Shard) -> None:
    def update(id_: Any, metadata: dict[str, Any], mode: pb.MetadataMode.ValueType) -> Any:
        request = pb.UpdateMetadataRequest(
            ids=[encode_id(id_), encode_id("missing")],
            metadata=[json.dumps(metadata).encode()] * 2,
            mode=mode,
        )
        answer = shard.call("UpdateMetadata", request)
        assert list(answer.missing) == [encode_id("missing")]
        return answer

    assert update("a", {"n": 1}, pb.METADATA_MODE_MERGE).updated == 1
    assert shard.get(["a"]) == {"a": {"year": 2001, "tags": ["x"], "n": 1}}
    update("a", {"n": 2}, pb.METADATA_MODE_REPLACE)
    assert shard.get(["a"]) == {"a": {"n": 2}}
    assert shard.search([1, 0, 0, 0], limit=1) == [("a", 0.0)]


def test_points_are_deleted_by_id_or_filter(shard: Shard) -> None:
    answer = shard.call("Delete", pb.DeleteRequest(ids=[encode_id("a"), encode_id("missing")]))
    assert (answer.deleted, answer.sequence) == (1, 2)
    expression = json.dumps({"field": "year", "operator": "eq", "value": 2002}).encode()
    assert shard.call("Delete", pb.DeleteRequest(filter_json=expression)).deleted == 1
    assert shard.call("Delete", pb.DeleteRequest(filter_json=expression)).deleted == 0
    assert list(shard.get(POINTS)) == ["0f8fad5b-d9cb-469f-a165-70867728950e"]
    assert shard.count() == 1


def test_scroll_walks_every_point_once_in_hash_order(shard: Shard) -> None:
    shard.upsert(list(range(100, 120)), np.ones((20, 4)), [{"year": 2000 + n} for n in range(20)])
    everything = sorted(
        (encode_id(value) for value in [*POINTS, *range(100, 120)]), key=lambda id_: (hash_of(id_), id_)
    )
    found: list[bytes] = []
    has_more = True
    while has_more:
        request = pb.ScrollRequest(
            after_id=found[-1] if found else b"", limit=7, projection=pb.Projection(metadata=True)
        )
        answer = shard.call("Scroll", request)
        assert len(answer.points.metadata) == len(answer.points.ids)
        found.extend(answer.points.ids)
        has_more = answer.has_more
    assert found == everything
    expression = json.dumps({"field": "year", "operator": "gte", "value": 2010}).encode()
    assert len(shard.call("Scroll", pb.ScrollRequest(limit=50, filter_json=expression)).points.ids) == 10


def test_count_and_describe(shard: Shard) -> None:
    shard.call("Delete", pb.DeleteRequest(ids=[encode_id(7)]))
    assert shard.count([{"field": "year", "operator": "exists"}]) == 2
    assert shard.count({"field": "year", "operator": "gt", "value": 2002}) == 1
    stats = shard.describe()
    assert (stats.points, stats.deleted_rows, stats.growing_rows, stats.segments) == (2, 1, 3, 0)
    assert (stats.last_sequence, stats.covered_sequence) == (2, 0)
    assert 0 < stats.log_bytes <= stats.disk_bytes
    assert stats.read_only_reason == ""


def upsert(
    ids: list[bytes] | None = None,
    rows: Any = None,
    metadata: list[bytes] | None = None,
    vectors: list[pb.VectorColumn] | None = None,
) -> pb.UpsertRequest:
    """A good request for one point, but for what is given."""
    rows = np.ones((1, 4)) if rows is None else np.asarray(rows)
    return pb.UpsertRequest(
        ids=[encode_id("new")] if ids is None else ids,
        vectors=[column(rows)] if vectors is None else vectors,
        metadata=[b"{}"] if metadata is None else metadata,
    )


def search(rows: Any = None, limit: int = 10, **more: Any) -> pb.SearchRequest:
    rows = np.ones((1, 4), "<f4") if rows is None else np.asarray(rows, "<f4")
    fields = {"dimension": rows.shape[1], "queries_float32_le": rows.tobytes(), "limit": limit}
    return pb.SearchRequest(**{**fields, **more})


def order(field: str, key: bytes = b"", **more: Any) -> pb.ScrollRequest:
    return pb.ScrollRequest(limit=1, order_by=pb.OrderBy(field=field, after_key_json=key), **more)


def groups(rows: Any = None, limit: int = 3, **more: Any) -> pb.SearchGroupsRequest:
    return pb.SearchGroupsRequest(**{"search": search(rows, limit), "field": "a", "groups": 2, **more})


MANY = MAX_BATCH_POINTS + 1
BAD = [
    ("no points", "Upsert", upsert([], np.ones((0, 4)), []), InvalidArgument, "1 to 2000 points, got 0"),
    (
        "too many points",
        "Upsert",
        upsert([encode_id(n) for n in range(MANY)], np.ones((MANY, 4)), [b"{}"] * MANY),
        InvalidArgument,
        "1 to 2000 points, got 2001",
    ),
    ("bad id", "Upsert", upsert([b"\x09x"]), InvalidId, "not the stored form of an id"),
    ("empty id", "Upsert", upsert([b""]), InvalidId, "not the stored form of an id"),
    (
        "duplicate id",
        "Upsert",
        upsert([encode_id("b")] * 2, np.ones((2, 4)), [b"{}"] * 2),
        DuplicateId,
        "twice",
    ),
    ("dimension", "Upsert", upsert(rows=np.ones((1, 5))), DimensionMismatch, "expected .* 4 floats, got 5"),
    ("dimension 0", "Upsert", upsert(vectors=[pb.VectorColumn(name="default")]), InvalidArgument, "got 0"),
    (
        "half a row",
        "Upsert",
        upsert(vectors=[pb.VectorColumn(name="default", dimension=4, float32_le=bytes(24))]),
        InvalidArgument,
        "16 bytes each, got 24 bytes",
    ),
    (
        "huge dimension",
        "Upsert",
        upsert(vectors=[pb.VectorColumn(name="default", dimension=2**31, float32_le=bytes(16))]),
        InvalidArgument,
        "between 1 and 8192",
    ),
    ("fewer vectors", "Upsert", upsert(rows=np.ones((2, 4))), InvalidArgument, "1 ids came with 2 vectors"),
    ("no vectors", "Upsert", upsert(vectors=[]), InvalidArgument, "named"),
    (
        "unknown column",
        "Upsert",
        upsert(vectors=[column(np.ones((1, 4)), "image")]),
        InvalidArgument,
        r"named \['default'\], got \['image'\]",
    ),
    (
        "column twice",
        "Upsert",
        upsert(vectors=[column(np.ones((1, 4)))] * 2),
        InvalidArgument,
        "two vector columns named 'default'",
    ),
    ("NaN", "Upsert", upsert(rows=[[1, 2, float("nan"), 4]]), NonFiniteVector, "vector 0 holds NaN"),
    ("infinity", "Upsert", upsert(rows=[[1, 2, float("inf"), 4]]), NonFiniteVector, "or infinity"),
    ("no metadata", "Upsert", upsert(metadata=[]), InvalidArgument, "1 ids came with 0 metadata"),
    ("bad metadata", "Upsert", upsert(metadata=[b"{"]), InvalidMetadata, "not JSON"),
    ("metadata list", "Upsert", upsert(metadata=[b"[]"]), InvalidMetadata, "not a JSON object"),
    (
        "long metadata",
        "Upsert",
        upsert(metadata=[b'{"a":"' + b"x" * MAX_METADATA_BYTES + b'"}']),
        MetadataTooLarge,
        "at most 65536 bytes",
    ),
    # A full page, as many examples left out, and one to see whether more follow.
    ("limit 0", "Search", search(limit=0), InvalidLimit, "for 1 to 1101 points, got 0"),
    ("limit 1102", "Search", search(limit=1102), InvalidLimit, "for 1 to 1101 points, got 1102"),
    ("query dimension", "Search", search(np.ones((1, 3))), DimensionMismatch, "expected .* 4 floats"),
    ("query NaN", "Search", search([[1, 1, 1, float("nan")]]), NonFiniteVector, "query 0"),
    ("no query", "Search", search(queries_float32_le=b""), InvalidArgument, "1 to 100 queries, got 0"),
    ("queries", "Search", search(np.ones((101, 4))), InvalidArgument, "1 to 100 queries, got 101"),
    ("half a query", "Search", search(queries_float32_le=bytes(15)), InvalidArgument, "got 15 bytes"),
    ("vector name", "Search", search(vector_name="image"), InvalidArgument, "no vector 'image'"),
    ("distance", "Search", search(max_distance=float("nan")), InvalidArgument, "max_distance"),
    ("filter", "Search", search(filter_json=b'{"field": "a"}'), InvalidFilter, "no operator"),
    ("filter JSON", "Search", search(filter_json=b"{"), InvalidFilter, "not JSON"),
    ("get nothing", "Get", pb.GetRequest(), InvalidArgument, "1 to 2000 points, got 0"),
    ("get a bad id", "Get", pb.GetRequest(ids=[b"x"]), InvalidId, "stored form"),
    ("scroll limit", "Scroll", pb.ScrollRequest(), InvalidLimit, "got 0"),
    ("scroll cursor", "Scroll", pb.ScrollRequest(limit=1, after_id=b"x"), InvalidCursor, "after_id"),
    ("order, no field", "Scroll", order(""), InvalidArgument, "expected a field"),
    ("order, half a start", "Scroll", order("a", after_id=encode_id(1)), InvalidCursor, "a key and an id"),
    (
        "order, bad key",
        "Scroll",
        order("a", b"[9,1]", after_id=encode_id(1)),
        InvalidCursor,
        "key of a point",
    ),
    (
        "order, key no JSON",
        "Scroll",
        order("a", b"[", after_id=encode_id(1)),
        InvalidCursor,
        "key of a point",
    ),
    ("facet field", "Facet", pb.FacetRequest(field="a..b"), InvalidArgument, "expected a field"),
    ("distinct limit", "Distinct", pb.DistinctRequest(field="a"), InvalidLimit, "got 0"),
    (
        "distinct start",
        "Distinct",
        pb.DistinctRequest(field="a", limit=1, after_json=b"[1]"),
        InvalidArgument,
        "text, a number",
    ),
    (
        "no example",
        "Recommend",
        pb.RecommendRequest(dimension=4),
        InvalidArgument,
        "1 to 100 examples, got 0",
    ),
    (
        "example dimension",
        "Recommend",
        pb.RecommendRequest(dimension=3, limit=1, negatives_float32_le=bytes(12)),
        DimensionMismatch,
        "4 floats",
    ),
    ("groups, two queries", "SearchGroups", groups(np.ones((2, 4))), InvalidArgument, "one query"),
    ("no groups", "SearchGroups", groups(groups=0), InvalidLimit, "1 to 100 groups, got 0"),
    ("groups of none", "SearchGroups", groups(limit=0), InvalidLimit, "1 to 100 points, got 0"),
    ("groups field", "SearchGroups", groups(field=""), InvalidArgument, "expected a field"),
    ("groups value", "SearchGroups", groups(values_json=[b"{}"]), InvalidArgument, "text, a number"),
    ("count filter", "Count", pb.CountRequest(filter_json=b"7"), InvalidFilter, "got the number 7"),
    ("delete nothing", "Delete", pb.DeleteRequest(), InvalidArgument, "either ids or a filter"),
    (
        "delete both",
        "Delete",
        pb.DeleteRequest(ids=[encode_id("a")], filter_json=b'{"field":"a","operator":"exists"}'),
        InvalidArgument,
        "either ids or a filter",
    ),
    ("delete filter", "Delete", pb.DeleteRequest(filter_json=b"{}"), InvalidFilter, "no keys"),
    (
        "update mode",
        "UpdateMetadata",
        pb.UpdateMetadataRequest(ids=[encode_id("a")], metadata=[b"{}"]),
        InvalidArgument,
        "expected mode",
    ),
    (
        "update metadata",
        "UpdateMetadata",
        pb.UpdateMetadataRequest(ids=[encode_id("a")], metadata=[b"1"], mode=pb.METADATA_MODE_MERGE),
        InvalidMetadata,
        "not a JSON object",
    ),
]


def test_bad_input_is_refused_by_name_and_writes_nothing(shard: Shard) -> None:
    wrong = []
    for what, method, request, kind, message in BAD:
        try:
            shard.call(method, request)
        except HanaxError as error:
            if type(error) is not kind or not re.search(message, error.message):
                wrong.append((what, repr(error)))
        else:
            wrong.append((what, "not refused"))
    assert wrong == []
    assert shard.describe().last_sequence == 1
    assert shard.get(["a", 7])["a"] == POINTS["a"][1]


def test_a_zero_vector_has_no_cosine(process: IndexShardProcess, routes: Routes) -> None:
    routes.put("cosine", metric=Metric.COSINE)
    routes.write()
    shard = process.shard("cosine").wait_open()
    with pytest.raises(ZeroVector):
        shard.upsert(["a", "b"], [[1, 0, 0, 0], [0, 0, 0, 0]])
    assert shard.count() == 0
    with pytest.raises(ZeroVector):
        shard.search([0, 0, 0, 0])


def test_an_answer_past_one_message_is_refused(process: IndexShardProcess, routes: Routes) -> None:
    routes.put("wide", dimension=8_192)
    routes.write()
    shard = process.shard("wide").wait_open()
    with pytest.raises(ResourceExhausted, match="ask for fewer points"):
        shard.call(
            "Search", search(np.ones((100, 8_192)), limit=1_000, projection=pb.Projection(vectors=True))
        )


def test_a_message_that_is_no_request_is_refused(process: IndexShardProcess) -> None:
    with grpc.insecure_channel(process.address) as channel:
        call: Any = channel.unary_unary("/citadel.vector.v1.ShardService/Search")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff", timeout=10)
        assert caught.value.code() is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("name", "uid", "number", "error", "message"),
    [
        ("nobody", "uid-nobody", 0, CollectionNotFound, "there is no collection 'nobody'"),
        ("known", "uid-of-before", 0, CollectionNotFound, "there is no collection 'known'"),
        ("known", "", 0, CollectionNotFound, "there is no collection 'known'"),
        ("known", "uid-known", 1, InvalidArgument, "'known' has 1 shards, not 1"),
    ],
)
def test_an_unknown_shard_is_named(
    process: IndexShardProcess,
    routes: Routes,
    name: str,
    uid: str,
    number: int,
    error: type[HanaxError],
    message: str,
) -> None:
    routes.put("known")
    routes.write()
    process.shard("known").wait_open()
    with pytest.raises(error, match=message):
        Shard(process.stub, name, uid, number).count()


def test_metrics_and_health_over_http(process: IndexShardProcess, shard: Shard) -> None:
    name = shard.ref.collection
    shard.search([1, 0, 0, 0])
    with pytest.raises(InvalidLimit):
        shard.search([1, 0, 0, 0], limit=0)
    page = process.page("/metrics")
    service = 'service="index-shard"'
    assert f'vector_db_requests_total{{method="Search",{service},status="ok"}}' in page
    assert f'vector_db_requests_total{{method="Search",{service},status="invalid_limit"}}' in page
    assert f'vector_db_request_duration_seconds_count{{method="Search",{service}}}' in page
    operations = f'vector_db_operations_total{{collection="{name}",operation="search",{service}'
    assert f'{operations},status="ok"}} 1.0' in page
    assert f'{operations},status="invalid_limit"}} 1.0' in page
    assert f'vector_db_collection_points{{collection="{name}",{service}}} 3.0' in page
    assert f'vector_db_collection_segments{{collection="{name}",{service}}} 0.0' in page
    assert f'vector_db_collection_log_bytes{{collection="{name}",{service}}}' in page
    assert f'vector_db_shards{{{service},state="failed"}} 0.0' in page
    assert process.page("/health") == process.page("/ready") == "ok\n"
    with pytest.raises(urllib.error.HTTPError) as caught:
        process.page("/elsewhere")
    with caught.value:
        assert caught.value.code == 404
