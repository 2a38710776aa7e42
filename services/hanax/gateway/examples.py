"""What is searched for, as vectors: those that were sent, those of texts, and those of points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric
from hanax.core.errors import InvalidArgument, InvalidId, PointNotFound
from hanax.core.ids import decode_id, encode_id
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_EXAMPLES
from hanax.core.routing import CollectionRoute
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.queries import point_not_found
from hanax.gateway.query_requests import RecommendRequest
from hanax.gateway.records import RecordColumns
from hanax.gateway.requests import Sought
from hanax.gateway.shards import refer, rows_by_shard
from hanax.gateway.texts import check_text
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.vectors import Matrix, find_fault, parse_vector


@dataclass(frozen=True, slots=True)
class Queries:
    """matrix: float32[q, d]. points: the encoded id of the point that each query is, where it is one.

    truncated: the model read the text in part.
    """

    matrix: Matrix
    points: list[bytes | None]
    truncated: list[bool]


@dataclass(frozen=True, slots=True)
class ExampleSets:
    """float32[m, d] each, and the encoded ids of the examples that are points."""

    positives: Matrix
    negatives: Matrix
    points: frozenset[bytes]


class Examples:
    """Each method grants the call its time, and raises what is wrong by its place, or PointNotFound."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._via = upstreams

    async def query(self, call: Call, route: CollectionRoute, sought: Sought) -> Queries:
        """The one vector of a request."""
        return await self._queries(call, route, [sought], [""])

    async def queries(self, call: Call, route: CollectionRoute, sought: Sequence[Sought]) -> Queries:
        """A vector for each query of a batch."""
        return await self._queries(
            call, route, sought, [f"queries[{number}]." for number in range(len(sought))]
        )

    async def _queries(
        self, call: Call, route: CollectionRoute, sought: Sequence[Sought], places: Sequence[str]
    ) -> Queries:
        """places: what stands before a field's name in messages."""
        spec = route.spec
        matrix = np.empty((len(sought), spec.dimension), np.float32)
        texts: dict[int, str] = {}
        points: list[bytes | None] = [None] * len(sought)
        for row, (one, place) in enumerate(zip(sought, places, strict=True)):
            _check_one_is_given(one, place)
            if one.vector is not None:
                matrix[row] = parse_vector(one.vector, spec, f"{place}vector")[0]
            elif one.text is not None:
                texts[row] = check_text(one.text, f"{place}text")
            else:
                points[row] = parse_id(one.id, f"{place}id")
        timeouts = self._via.timeouts
        call.grant(timeouts.embed_s if texts else timeouts.request_s)
        truncated = [False] * len(sought)
        if texts:
            rows = list(texts)
            embedded = await self._via.embedding.embed_for(call, spec, list(texts.values()))
            matrix[rows] = embedded.vectors
            for number in embedded.truncated:
                truncated[rows[number]] = True
        named = {row: f"{places[row]}id" for row, point in enumerate(points) if point is not None}
        if named:
            wanted = [point for point in points if point is not None]
            matrix[list(named)] = await self._vectors_of(call, route, wanted, list(named.values()))
        return Queries(matrix, points, truncated)

    async def sets(self, call: Call, route: CollectionRoute, request: RecommendRequest) -> ExampleSets:
        given = list(_placed(request.positive, "positive"))
        split = len(given)
        given += _placed(request.negative, "negative")
        if request.strategy == "average_vector" and not split:
            raise InvalidArgument("positive: average_vector needs at least one example")
        if not 0 < len(given) <= MAX_EXAMPLES:
            raise InvalidArgument(
                f"expected 1 to {MAX_EXAMPLES} examples, positive and negative, got {len(given)}"
            )
        matrix = np.empty((len(given), route.spec.dimension), np.float32)
        points: dict[int, bytes] = {}
        for row, (place, one) in enumerate(given):
            if isinstance(one, list):
                matrix[row] = parse_vector(one, route.spec, place)[0]
            else:
                points[row] = parse_id(one, place)
        call.grant(self._via.timeouts.request_s)
        if points:
            names = [given[row][0] for row in points]
            matrix[list(points)] = await self._vectors_of(call, route, list(points.values()), names)
        return ExampleSets(matrix[:split], matrix[split:], frozenset(points.values()))

    async def _vectors_of(
        self, call: Call, route: CollectionRoute, points: list[bytes], places: list[str]
    ) -> Matrix:
        """The vectors of these points, float32[n, d]. places: what messages call them."""
        ids = list(dict.fromkeys(points))
        questions = {
            shard: pb.GetRequest(
                ref=refer(route, shard),
                ids=[ids[row] for row in rows],
                projection=pb.Projection(vectors=True),
            )
            for shard, rows in rows_by_shard(route, ids).items()
        }
        answers = await self._via.shards.ask(call, route, lambda stub: stub.Get, questions)
        vectors = {}
        for answer in answers:
            columns = RecordColumns(answer.points)
            for row, encoded in enumerate(answer.points.ids):
                vectors[encoded] = columns.record(row).vector
        for point, place in zip(points, places, strict=True):
            if point not in vectors:
                missing = point_not_found(route.spec.name, decode_id(point))
                raise PointNotFound(f"{place}: {missing.message}", **missing.details)
        return np.array([vectors[point] for point in points], np.float32)


def _check_one_is_given(one: Sought, place: str) -> None:
    given = [name for name in ("vector", "text", "id") if getattr(one, name) is not None]
    if len(given) != 1:
        where = f"{place.rstrip('.')}: " if place else ""
        got = " and ".join(given) or "none of them"
        raise InvalidArgument(f"{where}expected one of vector, text and id, got {got}")


def parse_id(value: object, place: str) -> bytes:
    """The encoded id. Raises InvalidId naming the place."""
    try:
        return encode_id(value)
    except InvalidId as error:
        raise InvalidId(f"{place}: {error.message}", **error.details) from None


def _placed(examples: object, name: str) -> Iterator[tuple[str, Any]]:
    """Each example with its place. Raises InvalidArgument."""
    if not isinstance(examples, list):
        raise InvalidArgument(f"{name}: expected a list of ids and vectors, got {kind_of(examples)}")
    return ((f"{name}[{number}]", one) for number, one in enumerate(examples))


def average(sets: ExampleSets, spec: CollectionSpec) -> Matrix:
    """float32[1, d]: mean(positive) + mean(positive) - mean(negative). Raises InvalidArgument.

    Under cosine, where lengths mean nothing, every example counts with length 1.
    """
    positives, negatives = (
        _directions(part) if spec.metric is Metric.COSINE else part.astype(np.float64)
        for part in (sets.positives, sets.negatives)
    )
    mean = positives.mean(axis=0)
    if len(negatives):
        mean = mean + mean - negatives.mean(axis=0)
    with np.errstate(over="ignore"):
        query: Matrix = mean.astype(np.float32)[None, :]
    if fault := find_fault(query, spec):
        raise fault.kind(f"positive: the examples make no vector to search for: {fault.expected}")
    return query


def _directions(vectors: Matrix) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    exact = vectors.astype(np.float64)
    directions: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = exact / np.linalg.norm(
        exact, axis=1, keepdims=True
    )
    return directions
