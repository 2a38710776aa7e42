"""An index-shard node on a dictionary: a real gRPC server whose failures a test can choose.

It answers what the engine would, the slow way, and counts the writes that reach it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import numpy as np
import orjson
from numpy.typing import NDArray

from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import (
    ShardServiceServicer,
    add_ShardServiceServicer_to_server,
)
from hanax.core.errors import HanaxError, Internal
from hanax.core.filter_parsing import parse_filter_json
from hanax.core.ids import hash_of
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.filters.evaluation import compile_filter
from hanax.engine.shard import MetadataChange
from hanax.rpc.servers import RpcServer


@dataclass
class StoredPoint:
    vector: NDArray[np.float32]
    metadata: bytes
    created_at_us: int
    updated_at_us: int
    version: int


# Longer than any test waits, so that none hangs for ever that fails with its gate shut.
_GATE_S = 300.0


@dataclass
class Faults:
    """What the next calls meet. gate: they wait until it is set. `delay_s` ends early when the call does."""

    error: HanaxError | None = None
    failures_left: int = 0
    delay_s: float = 0.0
    gate: threading.Event | None = None

    def meet(self, context: grpc.ServicerContext) -> None:
        if (gate := self.gate) is not None:
            gate.wait(_GATE_S)
        if self.delay_s:
            ended = threading.Event()
            if context.add_callback(ended.set):
                ended.wait(self.delay_s)
        if self.error is not None and self.failures_left > 0:
            self.failures_left -= 1
            raise self.error


class MemoryNode(ShardServiceServicer):
    """Data outlive `stop` and `start`, as on a disk."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.shards: dict[tuple[str, int], dict[bytes, StoredPoint]] = {}
        self._sequence = 0
        self._lock = threading.Lock()
        self._server: RpcServer | None = None
        self.address = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        self.faults = Faults()
        self._server = RpcServer(self.address, 8, time.monotonic)
        self.address = f"127.0.0.1:{self._server.port}"
        add_ShardServiceServicer_to_server(self, self._server.registry)
        self._server.start()
        self._server.set_ready(True)

    def set_ready(self, ready: bool) -> None:
        assert self._server is not None
        self._server.set_ready(ready)

    def stop(self, grace_s: float = 0.0) -> None:
        """With no grace, calls in progress are cut off."""
        if self._server is not None:
            self._server.drain(grace_s)
        self._server = None

    @property
    def writes(self) -> int:
        return sum(self.calls[name] for name in ("Upsert", "UpdateMetadata", "ChangeMetadata", "Delete"))

    def Wires(self, request: pb.WiresRequest, context: grpc.ServicerContext) -> pb.WiresResponse:
        """Reads come over gRPC too, where faults end with the call."""
        return pb.WiresResponse()

    def Upsert(self, request: pb.UpsertRequest, context: grpc.ServicerContext) -> pb.UpsertResponse:
        with self._shard("Upsert", request.ref, context) as points:
            (column,) = request.vectors
            assert column.name == DEFAULT_VECTOR
            vectors = np.frombuffer(column.float32_le, "<f4").reshape(-1, column.dimension)
            assert len(vectors) == len(request.ids) == len(request.metadata)
            if conflicts := _conflicts(points, request.ids, request.if_versions):
                return pb.UpsertResponse(conflicts=conflicts)
            inserted, updated, skipped = 0, 0, []
            now, sequence = time.time_ns() // 1000, self._next()
            for encoded, vector, metadata in zip(request.ids, vectors, request.metadata, strict=True):
                known = points.get(encoded)
                if request.mode == (pb.WRITE_MODE_UPDATE if known is None else pb.WRITE_MODE_INSERT):
                    skipped.append(encoded)
                    continue
                inserted += known is None
                updated += known is not None
                created = now if known is None else known.created_at_us
                points[encoded] = StoredPoint(vector, metadata, created, now, sequence)
            return pb.UpsertResponse(sequence=sequence, inserted=inserted, updated=updated, skipped=skipped)

    def UpdateMetadata(
        self, request: pb.UpdateMetadataRequest, context: grpc.ServicerContext
    ) -> pb.UpdateMetadataResponse:
        with self._shard("UpdateMetadata", request.ref, context) as points:
            if conflicts := _conflicts(points, request.ids, request.if_versions):
                return pb.UpdateMetadataResponse(conflicts=conflicts)
            sequence = self._next()
            missing = [encoded for encoded in request.ids if encoded not in points]
            for encoded, metadata in zip(request.ids, request.metadata, strict=True):
                if encoded in points:
                    point = points[encoded]
                    change = MetadataChange(metadata, request.mode == pb.METADATA_MODE_REPLACE)
                    point.metadata = orjson.dumps(change.apply(orjson.loads(point.metadata)))
                    point.updated_at_us = time.time_ns() // 1000
                    point.version = sequence
            return pb.UpdateMetadataResponse(
                sequence=sequence, updated=len(request.ids) - len(missing), missing=missing
            )

    def ChangeMetadata(
        self, request: pb.ChangeMetadataRequest, context: grpc.ServicerContext
    ) -> pb.ChangeMetadataResponse:
        with self._shard("ChangeMetadata", request.ref, context) as points:
            assert bool(request.ids) != bool(request.filter_json)
            ids = list(request.ids) or _matching(points, request.filter_json)
            change = MetadataChange(
                request.metadata,
                request.mode == pb.METADATA_MODE_REPLACE,
                tuple(tuple(field.split(".")) for field in request.delete_fields),
            )
            sequence, matched, updated = self._next(), 0, 0
            for encoded in ids:
                if encoded in points:
                    point = points[encoded]
                    matched += 1
                    before = orjson.loads(point.metadata)
                    after = orjson.dumps(change.apply(orjson.loads(point.metadata)))
                    if after != orjson.dumps(before):
                        updated += 1
                        point.metadata, point.version = after, sequence
                        point.updated_at_us = time.time_ns() // 1000
            versions = [points[encoded].version if encoded in points else 0 for encoded in request.ids]
            return pb.ChangeMetadataResponse(
                sequence=sequence, matched=matched, updated=updated, versions=versions
            )

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> pb.DeleteResponse:
        with self._shard("Delete", request.ref, context) as points:
            assert bool(request.ids) != bool(request.filter_json)
            if conflicts := _conflicts(points, request.ids, request.if_versions):
                return pb.DeleteResponse(conflicts=conflicts)
            doomed = (
                [encoded for encoded in request.ids if encoded in points]
                if request.ids
                else _matching(points, request.filter_json)
            )
            for encoded in doomed:
                del points[encoded]
            return pb.DeleteResponse(deleted=len(doomed))

    def Search(self, request: pb.SearchRequest, context: grpc.ServicerContext) -> pb.SearchResponse:
        with self._shard("Search", request.ref, context) as points:
            queries = np.frombuffer(request.queries_float32_le, "<f4").reshape(-1, request.dimension)
            results = [self._nearest(points, query, request) for query in queries]
            return pb.SearchResponse(results=results, shard_seconds=1e-4)

    def _nearest(
        self, points: dict[bytes, StoredPoint], query: NDArray[np.float32], request: pb.SearchRequest
    ) -> pb.Hits:
        found = []
        for encoded in _matching(points, request.filter_json):
            distance = np.float32(_cosine_distance(points[encoded].vector, query))
            if not request.HasField("max_distance") or distance <= request.max_distance:
                found.append((distance, encoded))
        nearest = sorted(found)[: request.limit]
        return pb.Hits(
            distances=[float(distance) for distance, _ in nearest],
            points=_columns(points, [encoded for _, encoded in nearest], request.projection),
        )

    def Get(self, request: pb.GetRequest, context: grpc.ServicerContext) -> pb.GetResponse:
        with self._shard("Get", request.ref, context) as points:
            ids = [encoded for encoded in request.ids if encoded in points]
            return pb.GetResponse(points=_columns(points, ids, request.projection))

    def Scroll(self, request: pb.ScrollRequest, context: grpc.ServicerContext) -> pb.ScrollResponse:
        with self._shard("Scroll", request.ref, context) as points:
            after = (hash_of(request.after_id), request.after_id) if request.after_id else (-1, b"")
            ordered = sorted(
                (hash_of(encoded), encoded) for encoded in _matching(points, request.filter_json)
            )
            rest = [encoded for key, encoded in ordered if (key, encoded) > after]
            return pb.ScrollResponse(
                points=_columns(points, rest[: request.limit], request.projection),
                has_more=len(rest) > request.limit,
            )

    def Count(self, request: pb.CountRequest, context: grpc.ServicerContext) -> pb.CountResponse:
        with self._shard("Count", request.ref, context) as points:
            return pb.CountResponse(count=len(_matching(points, request.filter_json)))

    def Recommend(self, request: pb.RecommendRequest, context: grpc.ServicerContext) -> pb.SearchResponse:
        raise _beyond("Recommend")

    def SearchGroups(
        self, request: pb.SearchGroupsRequest, context: grpc.ServicerContext
    ) -> pb.SearchGroupsResponse:
        raise _beyond("SearchGroups")

    def Facet(self, request: pb.FacetRequest, context: grpc.ServicerContext) -> pb.FacetResponse:
        raise _beyond("Facet")

    def Distinct(self, request: pb.DistinctRequest, context: grpc.ServicerContext) -> pb.DistinctResponse:
        raise _beyond("Distinct")

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:
        with self._shard("Describe", request.ref, context) as points:
            # It has no indexes: any change of them is made.
            return pb.DescribeResponse(points=len(points), generation=2**63)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    @contextmanager
    def _shard(
        self, method: str, ref: pb.ShardRef, context: grpc.ServicerContext
    ) -> Iterator[dict[bytes, StoredPoint]]:
        self.calls[method] += 1
        self.faults.meet(context)
        with self._lock:
            yield self.shards.setdefault((ref.uid, ref.shard), {})


def _beyond(method: str) -> HanaxError:
    return Internal(f"a node on a dictionary has no {method}: such a test needs the engine")


def _conflicts(
    points: dict[bytes, StoredPoint], ids: Sequence[bytes], if_versions: Sequence[int]
) -> list[pb.Conflict]:
    found = [points[encoded].version if encoded in points else 0 for encoded in ids]
    return [
        pb.Conflict(id=encoded, expected=expected, found=version)
        for encoded, expected, version in zip(ids, if_versions or [-1] * len(ids), found, strict=True)
        if expected not in (-1, version)
    ]


def _matching(points: dict[bytes, StoredPoint], filter_json: bytes) -> list[bytes]:
    if not filter_json:
        return list(points)
    predicate = compile_filter(parse_filter_json(filter_json))
    return [key for key, point in points.items() if predicate(orjson.loads(point.metadata), key)]


def _columns(points: dict[bytes, StoredPoint], ids: list[bytes], projection: pb.Projection) -> pb.Points:
    found = [points[encoded] for encoded in ids]
    columns = pb.Points(
        ids=ids,
        metadata=[point.metadata for point in found] if projection.metadata else (),
        created_at_us=[point.created_at_us for point in found],
        updated_at_us=[point.updated_at_us for point in found],
        versions=[point.version for point in found] if projection.versions else (),
    )
    if projection.vectors and found:
        matrix = np.stack([point.vector for point in found])
        columns.vectors.add(name=DEFAULT_VECTOR, dimension=matrix.shape[1], float32_le=matrix.tobytes())
    return columns


def _cosine_distance(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    a, b = left.astype(np.float64), right.astype(np.float64)
    return float(1.0 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
