"""Reading points: search, get, scroll, count. Every answer is whole, or an error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric, distance_for_score, score_of
from hanax.core.errors import InvalidArgument, PointNotFound
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.core.index_specs import SearchParameters
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.gateway.calls import Call
from hanax.gateway.cursors import decode_cursor, encode_cursor
from hanax.gateway.merge import merge_in_scroll_order, merge_nearest
from hanax.gateway.records import Record, RecordColumns
from hanax.gateway.requests import (
    CountRequest,
    GetRequest,
    ScrollRequest,
    SearchRequest,
    encode_filter,
    parse_ids,
)
from hanax.gateway.shards import for_each_shard, refer, rows_by_shard
from hanax.gateway.texts import check_text
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.vectors import Matrix, parse_vector


@dataclass(frozen=True, slots=True)
class Hit:
    score: float
    record: Record


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits by falling score. `truncated`: the model left out the tail of the text searched for."""

    hits: list[Hit]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Records in the order asked, and the ids of those that do not exist."""

    model: str | None
    records: list[Record]
    missing: list[PointId]


@dataclass(frozen=True, slots=True)
class Page:
    """`next_cursor` is None on the last page."""

    model: str | None
    records: list[Record]
    next_cursor: str | None


class Queries:
    """Each method raises CollectionNotFound, an InvalidArgument, Unavailable or DeadlineExceeded."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._via = upstreams

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        with self._via.metrics.operation("search", request.collection):
            route = self._via.routing.collection(request.collection)
            filter_json = encode_filter(request.filter)
            query, truncated = await self._query(call, request, route)
            raw = query.astype("<f4", copy=False).tobytes()
            bound = distance_bound(route.spec.metric, request.score_threshold)
            parameters = encode_parameters(request)
            questions = for_each_shard(
                route,
                lambda ref: pb.SearchRequest(
                    ref=ref,
                    vector_name=DEFAULT_VECTOR,
                    dimension=route.spec.dimension,
                    queries_float32_le=raw,
                    limit=request.limit,
                    filter_json=filter_json,
                    projection=pb.Projection(
                        metadata=request.include_metadata, vectors=request.include_vectors
                    ),
                    max_distance=bound,
                    parameters=parameters,
                ),
            )
            answers = await self._via.shards.ask(call, route, lambda stub: stub.Search, questions)
            call.engine_s = max(answer.shard_seconds for answer in answers)
            return SearchResult(best_hits(answers, request, route.spec.metric), truncated)

    async def _query(self, call: Call, request: SearchRequest, route: CollectionRoute) -> tuple[Matrix, bool]:
        """float32[1, dimension], and whether the text was truncated. Grants the call its time."""
        if (request.vector is None) == (request.text is None):
            got = "neither" if request.vector is None else "both"
            raise InvalidArgument(f"expected either vector or text, got {got}")
        if request.vector is not None:
            query = parse_vector(request.vector, route.spec, "vector")
            call.grant(self._via.timeouts.request_s)
            return query, False
        text = check_text(request.text, "text")
        call.grant(self._via.timeouts.embed_s)
        embedded = await self._via.embedding.embed_for(call, route.spec, [text])
        return embedded.vectors, bool(embedded.truncated)

    async def get(self, call: Call, request: GetRequest) -> Found:
        """Points by id. Those that do not exist are named, not an error."""
        with self._via.metrics.operation("get", request.collection):
            route = self._via.routing.collection(request.collection)
            ids = parse_ids(request.ids)
            projection = pb.Projection(metadata=request.include_metadata, vectors=request.include_vectors)
            return await self._read(call, route, ids, projection)

    async def get_one(self, call: Call, collection: str, point_id: PointId) -> Found:
        """One point with metadata and vector. Raises PointNotFound."""
        with self._via.metrics.operation("get", collection):
            route = self._via.routing.collection(collection)
            projection = pb.Projection(metadata=True, vectors=True)
            found = await self._read(call, route, [encode_id(point_id)], projection)
            if not found.records:
                raise point_not_found(collection, point_id)
            return found

    async def _read(
        self, call: Call, route: CollectionRoute, ids: list[bytes], projection: pb.Projection
    ) -> Found:
        call.grant(self._via.timeouts.request_s)
        questions = {
            shard: pb.GetRequest(
                ref=refer(route, shard), ids=[ids[row] for row in rows], projection=projection
            )
            for shard, rows in rows_by_shard(route, ids).items()
        }
        answers = await self._via.shards.ask(call, route, lambda stub: stub.Get, questions)
        record_by_id: dict[bytes, Record] = {}
        for answer in answers:
            columns = RecordColumns(answer.points)
            for row, encoded in enumerate(answer.points.ids):
                record_by_id[encoded] = columns.record(row)
        return Found(
            model=route.spec.embedding_model,
            records=[record_by_id[encoded] for encoded in ids if encoded in record_by_id],
            missing=[decode_id(encoded) for encoded in ids if encoded not in record_by_id],
        )

    async def scroll(self, call: Call, request: ScrollRequest) -> Page:
        """One page, ascending by (xxh3_64(id), id). Raises InvalidCursor."""
        with self._via.metrics.operation("scroll", request.collection):
            route = self._via.routing.collection(request.collection)
            filter_json = encode_filter(request.filter)
            after = b"" if request.cursor is None else decode_cursor(request.cursor, route.uid)
            call.grant(self._via.timeouts.request_s)
            questions = for_each_shard(
                route,
                lambda ref: pb.ScrollRequest(
                    ref=ref,
                    after_id=after,
                    limit=request.limit,
                    filter_json=filter_json,
                    projection=pb.Projection(
                        metadata=request.include_metadata, vectors=request.include_vectors
                    ),
                ),
            )
            answers = await self._via.shards.ask(call, route, lambda stub: stub.Scroll, questions)
            places = merge_in_scroll_order([answer.points.ids for answer in answers], request.limit)
            columns = [RecordColumns(answer.points) for answer in answers]
            held = sum(len(answer.points.ids) for answer in answers)
            more = held > len(places) or any(answer.has_more for answer in answers)
            cursor = None
            if more and places:
                last = answers[places[-1].part].points.ids[places[-1].row]
                cursor = encode_cursor(route.uid, last)
            records = [columns[place.part].record(place.row) for place in places]
            return Page(route.spec.embedding_model, records, cursor)

    async def count(self, call: Call, request: CountRequest) -> int:
        with self._via.metrics.operation("count", request.collection):
            route = self._via.routing.collection(request.collection)
            filter_json = encode_filter(request.filter)
            call.grant(self._via.timeouts.request_s)
            questions = for_each_shard(route, lambda ref: pb.CountRequest(ref=ref, filter_json=filter_json))
            answers = await self._via.shards.ask(call, route, lambda stub: stub.Count, questions)
            return sum(answer.count for answer in answers)


def point_not_found(collection: str, point_id: PointId) -> PointNotFound:
    kind = "integer" if isinstance(point_id, int) else "string"
    return PointNotFound(
        f"collection {collection!r} has no point with the {kind} id {point_id!r}",
        collection=collection,
        id=point_id,
    )


def distance_bound(metric: Metric, threshold: float | None) -> float | None:
    """The largest distance, float32, that a shard need look at; None: any.

    A little wide, because rounding must not lose a point whose score is the threshold: by what
    `score_of` may round away, then by one step of float32. `best_hits` cuts exactly.
    """
    if threshold is None:
        return None
    exact = distance_for_score(metric, threshold)
    slack = 4 * np.finfo(np.float64).eps * (1.0 + abs(exact))
    with np.errstate(over="ignore"):
        bound = float(np.nextafter(np.float32(exact + slack), np.float32(np.inf)))
    return bound if math.isfinite(bound) else None


def encode_parameters(asked: SearchParameters) -> pb.SearchParameters | None:
    """None when nothing was asked of the indexes."""
    given = {name: getattr(asked, name) for name in SearchParameters.model_fields}
    return pb.SearchParameters(**given) if any(given.values()) else None


def best_hits(answers: list[pb.SearchResponse], request: SearchRequest, metric: Metric) -> list[Hit]:
    parts = [answer.results[0] for answer in answers]
    nearest = merge_nearest([(part.distances, part.points.ids) for part in parts], request.limit)
    columns = [RecordColumns(part.points) for part in parts]
    hits = []
    for distance, place in nearest:
        score = score_of(metric, distance)
        if request.score_threshold is not None and score < request.score_threshold:
            break
        hits.append(Hit(score, columns[place.part].record(place.row)))
    return hits
