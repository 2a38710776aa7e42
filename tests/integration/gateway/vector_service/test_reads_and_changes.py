"""Points that are there: read, counted, changed and removed, as over REST."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.ids import PointId, decode_id
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import (
    EVERYTHING,
    TIMEOUT_S,
    encoded,
    refused,
    rows_of,
)

IDS: list[PointId] = [3, "three", "0d6b3a40-31b5-4a2f-9a04-5d5f3b8b0b11"]


@pytest.fixture
def name(shards: Stack, request: pytest.FixtureRequest) -> str:
    """A collection of the test's own with three points."""
    name: str = "grpc-" + request.node.originalname.removeprefix("test_").replace("_", "-")[:50]
    shards.create(name, metric="dot")
    rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    points = [
        {"id": id_, "vector": row, "metadata": {"n": n, "in": {"a": n}}}
        for n, (id_, row) in enumerate(zip(IDS, rows, strict=True))
    ]
    shards.insert(name, points)
    return name


def _over_rest(stack: Stack, name: str, id_: PointId) -> dict[str, Any]:
    body = {"collection": name, "ids": [id_]}
    (found,) = stack.data(stack.post("/api/v1/vectors/get", body))["vectors"]
    return {key: found[key] for key in ("id", "metadata", "embedding", "version")}


def test_get(shards: Stack, engine_service: VectorServiceStub, name: str) -> None:
    for id_ in IDS:
        one = engine_service.GetVector(
            pb.GetVectorRequest(collection=name, id=encoded(id_)), timeout=TIMEOUT_S
        )
        assert rows_of(one.points) == [_over_rest(shards, name, id_)]
    asked = [IDS[2], 77, IDS[0], IDS[2]]
    found = engine_service.GetVectors(
        pb.GetVectorsRequest(collection=name, ids=map(encoded, asked), fields=EVERYTHING), timeout=TIMEOUT_S
    )
    assert rows_of(found.points) == [_over_rest(shards, name, id_) for id_ in (IDS[2], IDS[0])]
    assert [decode_id(id_) for id_ in found.missing] == [77]
    with refused() as errors:
        engine_service.GetVector(pb.GetVectorRequest(collection=name, id=encoded(77)), timeout=TIMEOUT_S)
    assert (errors[0].code, errors[0].details["id"]) == ("point_not_found", 77)


def test_parts_of_metadata(shards: Stack, engine_service: VectorServiceStub, name: str) -> None:
    fields = pb.PointFields(metadata_fields=["in.a"])
    found = engine_service.GetVectors(
        pb.GetVectorsRequest(collection=name, ids=[encoded(3)], fields=fields), timeout=TIMEOUT_S
    )
    assert rows_of(found.points) == [{"id": 3, "metadata": {"in": {"a": 0}}}]


def test_counts(shards: Stack, engine_service: VectorServiceStub, name: str) -> None:
    def count(filter_json: bytes = b"") -> int:
        request = pb.CountVectorsRequest(collection=name, filter_json=filter_json)
        return engine_service.CountVectors(request, timeout=TIMEOUT_S).count

    assert count() == 3
    assert count(b'{"field": "n", "operator": "gte", "value": 1}') == 2


def test_a_scroll_by_a_field(shards: Stack, engine_service: VectorServiceStub, name: str) -> None:
    pages = engine_service.ScrollVectors(
        pb.ScrollVectorsRequest(
            collection=name, page_size=2, order_by=pb.ScrollOrder(field="n", descending=True)
        ),
        timeout=TIMEOUT_S,
    )
    assert [decode_id(id_) for page in pages for id_ in page.points.ids] == IDS[::-1]


def test_deletes(shards: Stack, engine_service: VectorServiceStub, name: str) -> None:
    version = _over_rest(shards, name, 3)["version"]
    request = pb.DeleteVectorRequest(collection=name, id=encoded(3), if_version=version + 1)
    with refused() as errors:
        engine_service.DeleteVector(request, timeout=TIMEOUT_S)
    assert errors[0].code == "version_conflict"
    request.if_version = version
    engine_service.DeleteVector(request, timeout=TIMEOUT_S)
    with refused() as errors:
        engine_service.DeleteVector(pb.DeleteVectorRequest(collection=name, id=encoded(3)), timeout=TIMEOUT_S)
    assert errors[0].code == "point_not_found"

    by_id = pb.DeleteVectorsRequest(collection=name, ids=[encoded("three"), encoded(99)])
    assert engine_service.DeleteVectors(by_id, timeout=TIMEOUT_S).deleted == 1
    by_filter = pb.DeleteVectorsRequest(
        collection=name, filter_json=b'{"field": "n", "operator": "eq", "value": 2}'
    )
    assert engine_service.DeleteVectors(by_filter, timeout=TIMEOUT_S).deleted == 1
    assert shards.data(shards.post("/api/v1/vectors/count", {"collection": name}))["count"] == 0


def test_metadata_of_one(shards: Stack, engine_service: VectorServiceStub, name: str) -> None:
    def update(metadata: object, **more: Any) -> pb.UpdateVectorMetadataResponse:
        request = pb.UpdateVectorMetadataRequest(
            collection=name, id=encoded(3), metadata_json=json.dumps(metadata).encode(), **more
        )
        return engine_service.UpdateVectorMetadata(request, timeout=TIMEOUT_S)

    told = update({"new": 1})
    found = _over_rest(shards, name, 3)
    assert (found["metadata"], found["version"]) == ({"n": 0, "in": {"a": 0}, "new": 1}, told.version)
    update({"only": 2}, mode=pb.METADATA_UPDATE_MODE_REPLACE, if_version=told.version)
    assert _over_rest(shards, name, 3)["metadata"] == {"only": 2}
    with refused() as errors:
        update({}, if_version=told.version)
    assert errors[0].code == "version_conflict"


def test_metadata_of_many(shards: Stack, engine_service: VectorServiceStub, name: str) -> None:
    by_id = pb.UpdateVectorsMetadataRequest(
        collection=name,
        ids=[encoded(3), encoded(77), encoded("three")],
        merge_json=b'{"seen": true}',
        delete_fields=["in.a"],
    )
    told = engine_service.UpdateVectorsMetadata(by_id, timeout=TIMEOUT_S)
    assert (told.matched, told.updated) == (2, 2)
    versions = {decode_id(id_): version for id_, version in zip(told.ids, told.versions, strict=True)}
    assert versions == {id_: _over_rest(shards, name, id_)["version"] for id_ in (3, "three")}
    assert [decode_id(id_) for id_ in told.missing] == [77]
    assert _over_rest(shards, name, 3)["metadata"] == {"n": 0, "in": {}, "seen": True}

    by_filter = pb.UpdateVectorsMetadataRequest(
        collection=name, filter_json=b'{"field": "n", "operator": "gte", "value": 1}', replace_json=b"{}"
    )
    told = engine_service.UpdateVectorsMetadata(by_filter, timeout=TIMEOUT_S)
    assert (told.matched, told.updated, len(told.ids)) == (2, 2, 0)
    assert _over_rest(shards, name, IDS[2])["metadata"] == {}


def test_lives_of_many(shards: Stack, engine_service: VectorServiceStub, name: str) -> None:
    ends_us = (int(time.time()) + 86_400) * 1_000_000 + 250_000

    def expires(instant_us: int) -> list[int]:
        request = pb.UpdateVectorsMetadataRequest(collection=name, ids=[encoded(3)], expires_at_us=instant_us)
        engine_service.UpdateVectorsMetadata(request, timeout=TIMEOUT_S)
        found = engine_service.GetVector(
            pb.GetVectorRequest(collection=name, id=encoded(3)), timeout=TIMEOUT_S
        )
        return list(found.points.expires_at_us)

    assert expires(ends_us) == [ends_us]
    assert expires(0) == []
