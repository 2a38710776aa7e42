"""What only a message of gRPC can get wrong: columns, encoded ids, packed vectors, instants, numbers of
enumerations. Mistakes that every door knows are in `doors`.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from tests.integration.gateway.vector_service.client import TIMEOUT_S, encoded, insertion, refused

COLUMNS = [
    ("rows of another dimension", {"vectors": pb.Vectors(dimension=2, float32_le=bytes(16))}, "takes 3"),
    ("half a row", {"vectors": pb.Vectors(dimension=3, float32_le=bytes(18))}, "rows of 12 bytes"),
    ("too few ids", {"ids": [b"\x01" + bytes(8)]}, "ids: expected none, or one for each of 2 points; got 1"),
    ("an empty id", {"ids": [b"\x01" + bytes(8), b"\x03"]}, "vectors[1].id: "),
    ("a long id", {"ids": [b"\x01" + bytes(8), b"\x03" + b"x" * 129]}, "vectors[1].id: "),
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


def test_unknown_metrics_are_named(bad_service: VectorServiceStub) -> None:
    spec = pb.CollectionSpec(name="new", dimension=3)
    spec.MergeFromString(b"\x18\x63")
    with refused() as errors:
        bad_service.CreateCollection(pb.CreateCollectionRequest(spec=spec), timeout=TIMEOUT_S)
    assert errors[0].message.startswith("metric: expected one of METRIC_COSINE, METRIC_DOT")


def test_ids_that_are_no_form_of_one(bad_service: VectorServiceStub) -> None:
    for raw in (b"", b"\x01", b"\x09abc", b"\x03" + b"x" * 129, b"\x03\xff"):
        with refused() as errors:
            bad_service.GetVector(pb.GetVectorRequest(collection="bad", id=raw), timeout=TIMEOUT_S)
        assert errors[0].code == "invalid_id"
        with refused() as errors:
            request = pb.DeleteVectorsRequest(collection="bad", ids=[encoded(1), raw])
            bad_service.DeleteVectors(request, timeout=TIMEOUT_S)
        assert (errors[0].code, errors[0].details["index"]) == ("invalid_id", 1)


def test_a_vector_in_two_forms(bad_service: VectorServiceStub) -> None:
    vector = pb.Vector(float32_le=bytes(12), values=[1, 0, 0])
    with refused() as errors:
        bad_service.SearchVectors(pb.SearchVectorsRequest(collection="bad", vector=vector), timeout=TIMEOUT_S)
    assert errors[0].message == "vector: expected float32_le or values, got both"
    with refused() as errors:
        ragged = pb.Vector(float32_le=bytes(11))
        bad_service.SearchVectors(pb.SearchVectorsRequest(collection="bad", vector=ragged), timeout=TIMEOUT_S)
    assert errors[0].code == "invalid_argument"


def test_times_that_are_none(bad_service: VectorServiceStub) -> None:
    for instant in (-1, 1, 2**62):
        request = pb.UpdateVectorsMetadataRequest(collection="bad", ids=[encoded(1)], expires_at_us=instant)
        with refused() as errors:
            bad_service.UpdateVectorsMetadata(request, timeout=TIMEOUT_S)
        assert errors[0].code == "invalid_expiry"


SCROLLS = [
    ({"filter_json": b"{"}, "invalid_filter"),
    ({"collection_uid": "other"}, "collection_not_found"),
]


@pytest.mark.parametrize(("fields", "code"), SCROLLS)
def test_a_bad_scroll(bad_service: VectorServiceStub, fields: dict[str, Any], code: str) -> None:
    question = pb.ScrollVectorsRequest(**{"collection": "bad"} | fields)
    with refused() as errors:
        list(bad_service.ScrollVectors(question, timeout=TIMEOUT_S))
    assert errors[0].code == code
