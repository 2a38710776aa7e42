"""The points of a library's collection: written, read and removed by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import CollectionNotFound, HanaxError
from hanax.core.library_names import collection_of
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.gateway.calls import Call
from hanax.gateway.libraries.contents import Stored, decode_point
from hanax.gateway.libraries.ids import encoded_point, point_of
from hanax.gateway.records import Record, RecordColumns
from hanax.gateway.shards import refer, rows_by_shard
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.vectors import Matrix, float32_le
from hanax.metadata.libraries.rows import Library

# Points that are decoded while others wait: some milliseconds. More are in a thread.
_READ_AT_ONCE = 100

# Of one removal: a write of a shard's, that others wait behind.
_REMOVED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class NewPoints:
    """ids: as the registry has them. metadata: encoded. vectors: float32[n, dimension]."""

    ids: Sequence[str]
    metadata: Sequence[bytes]
    vectors: Matrix


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """vector: float32[dimension]; None where it was not asked for."""

    stored: Stored
    vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None


class ChunkPoints:
    """Each method raises CollectionNotFound, Unavailable, DeadlineExceeded, and what a shard names."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._via = upstreams

    def route(self, library: Library) -> CollectionRoute:
        """Raises CollectionNotFound, also where another collection has the name of the library's."""
        name = collection_of(library.id)
        route = self._via.routing.of_library(name)
        if library.collection_uid not in (None, route.uid):
            raise CollectionNotFound(
                f"the collection of library {library.name!r} is gone; another has its name", collection=name
            )
        return route

    async def write(self, call: Call, library: Library, points: NewPoints) -> None:
        """All of them are stored on return; after an error, some may be."""
        route = self.route(library)
        ids = [encoded_point(id) for id in points.ids]
        orders = {
            shard: pb.UpsertRequest(
                ref=refer(route, shard),
                ids=[ids[row] for row in rows],
                vectors=[
                    pb.VectorColumn(
                        name=DEFAULT_VECTOR,
                        dimension=route.spec.dimension,
                        float32_le=float32_le(points.vectors[rows]),
                    )
                ],
                metadata=[points.metadata[row] for row in rows],
            )
            for shard, rows in rows_by_shard(route, ids).items()
        }
        call.grant(self._via.timeouts.request_s)
        ended = await self._via.writes.tell(call, route, lambda stub: stub.Upsert, orders)
        _raise_first(list(ended.values()))

    async def read(
        self, call: Call, library: Library, ids: Sequence[str], vectors: bool
    ) -> dict[str, StoredPoint]:
        """Those that are there, by id."""
        if not ids:
            return {}
        route = self.route(library)
        encoded = [encoded_point(id) for id in ids]
        projection = pb.Projection(metadata=True, vectors=vectors)
        questions = {
            shard: pb.GetRequest(
                ref=refer(route, shard), ids=[encoded[row] for row in rows], projection=projection
            )
            for shard, rows in rows_by_shard(route, encoded).items()
        }
        call.grant(self._via.timeouts.request_s)
        answers = await self._via.shards.ask(call, route, lambda stub: stub.Get, questions)
        if len(ids) <= _READ_AT_ONCE:
            return _points_of(answers)
        return await asyncio.to_thread(_points_of, answers)

    async def remove(self, call: Call, library: Library, ids: Sequence[str]) -> None:
        """None of them is there on return; after an error, some may be."""
        route = self.route(library)
        for first in range(0, len(ids), _REMOVED_AT_ONCE):
            encoded = [encoded_point(id) for id in ids[first : first + _REMOVED_AT_ONCE]]
            orders = {
                shard: pb.DeleteRequest(ref=refer(route, shard), ids=[encoded[row] for row in rows])
                for shard, rows in rows_by_shard(route, encoded).items()
            }
            call.grant(self._via.timeouts.request_s)
            ended = await self._via.writes.tell(call, route, lambda stub: stub.Delete, orders)
            _raise_first(list(ended.values()))


def _raise_first(ended: Sequence[object]) -> None:
    for end in ended:
        if isinstance(end, HanaxError):
            raise end


def _points_of(answers: Sequence[pb.GetResponse]) -> dict[str, StoredPoint]:
    found: dict[str, StoredPoint] = {}
    for answer in answers:
        columns = RecordColumns(answer.points)
        for row in range(len(answer.points.ids)):
            record = columns.record(row)
            found[point_of(record.id)] = _point(record)
    return found


def _point(record: Record) -> StoredPoint:
    return StoredPoint(decode_point(record.metadata or b"{}"), record.vector)
