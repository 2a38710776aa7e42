"""VectorService as a client sees it: points in, columns out, errors by their names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.errors import HanaxError
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.core.limits import MAX_MESSAGE_BYTES
from hanax.rpc.errors import error_from_call
from tests.integration.gateway.stack import Stack

TIMEOUT_S = 60.0


@contextmanager
def channel_to(stack: Stack) -> Iterator[grpc.Channel]:
    options = (
        ("grpc.max_send_message_length", 2 * MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    )
    with grpc.insecure_channel(stack.gateway.grpc_address, options=options) as channel:
        yield channel


@contextmanager
def connected(stack: Stack) -> Iterator[VectorServiceStub]:
    with channel_to(stack) as channel:
        yield VectorServiceStub(channel)


def vectors_of(rows: Sequence[Sequence[float]]) -> pb.Vectors:
    with np.errstate(over="ignore"):
        matrix = np.asarray(rows, dtype="<f4")
    return pb.Vectors(dimension=matrix.shape[1], float32_le=matrix.tobytes()) if len(matrix) else pb.Vectors()


def vector_of(numbers: Sequence[float]) -> pb.Vector:
    with np.errstate(over="ignore"):
        return pb.Vector(float32_le=np.asarray(numbers, dtype="<f4").tobytes())


def rows_of(columns: pb.PointColumns) -> list[dict[str, Any]]:
    """Each point as REST shows it, but for its times and its collection."""
    matrix = np.frombuffer(columns.vectors.float32_le, "<f4").reshape(len(columns.ids), -1)
    rows: list[dict[str, Any]] = []
    for row, id_ in enumerate(columns.ids):
        told: dict[str, Any] = {"id": decode_id(id_)}
        if columns.metadata:
            told["metadata"] = json.loads(columns.metadata[row])
        if columns.HasField("vectors"):
            told["embedding"] = matrix[row].tolist()
        if columns.versions:
            told["version"] = columns.versions[row]
        rows.append(told)
    return rows


def insertion(collection: str, points: Sequence[Mapping[str, Any]], **more: Any) -> pb.InsertVectorsRequest:
    """The points of a REST insert as columns; what columns can't say of them is passed over."""
    given = [point.get("id") for point in points]
    request = pb.InsertVectorsRequest(
        collection=collection,
        ids=[encoded(id_) for id_ in given] if any(id_ is not None for id_ in given) else (),
        vectors=vectors_of([point["vector"] for point in points if "vector" in point]),
        **more,
    )
    if any("text" in point for point in points):
        request.texts.extend(point.get("text", "") for point in points)
    if any("metadata" in point for point in points):
        request.metadata.extend(json.dumps(point.get("metadata", {})).encode() for point in points)
    if any("if_version" in point for point in points):
        request.if_versions.extend(point.get("if_version", -1) for point in points)
    return request


def encoded(id_: PointId | bytes | None) -> bytes:
    if id_ is None:
        return b""
    return id_ if isinstance(id_, bytes) else encode_id(id_)


@contextmanager
def refused() -> Iterator[list[HanaxError]]:
    """What is called inside fails; its error is in the list at the end."""
    errors: list[HanaxError] = []
    with pytest.raises(grpc.RpcError) as failure:
        yield errors
    errors.append(error_from_call(failure.value))


def read_all(
    service: VectorServiceStub, request: pb.ScrollVectorsRequest
) -> dict[PointId, tuple[Any, list[float]]]:
    """Metadata and vector of every point by its id. Each comes once."""
    found: dict[PointId, tuple[Any, list[float]]] = {}
    for page in service.ScrollVectors(request, timeout=TIMEOUT_S):
        points = page.points
        matrix = np.frombuffer(points.vectors.float32_le, "<f4").reshape(len(points.ids), -1)
        for id_, metadata, row in zip(points.ids, points.metadata, matrix, strict=True):
            assert decode_id(id_) not in found
            found[decode_id(id_)] = (json.loads(metadata), row.tolist())
    return found


EVERYTHING = pb.PointFields(metadata=True, vectors=True, versions=True)
