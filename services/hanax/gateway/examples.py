"""What is searched for, as vectors: those that were sent, those of texts, and those of points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric
from hanax.core.errors import InvalidArgument, InvalidId, PointNotFound
from hanax.core.ids import decode_id, encode_id
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_EXAMPLES
from hanax.core.routing import CollectionRoute
from hanax.core.specs import CollectionSpec
from hanax.core.texts import check_text
from hanax.gateway.cache.keys import model_part
from hanax.gateway.calls import Call
from hanax.gateway.models.patterns import check_answers_now
from hanax.gateway.models.wanted import Purpose, Wanted
from hanax.gateway.queries import point_not_found
from hanax.gateway.query_requests import RecommendRequest
from hanax.gateway.records import RecordColumns
from hanax.gateway.requests import Sought
from hanax.gateway.shards import refer, rows_by_shard
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.vectors import Matrix, find_fault, float32_le, parse_vector

# Someone waits for the answer.
_SEARCHED: Final = Wanted(Purpose.QUERY, urgent=True)


@dataclass(frozen=True, slots=True)
class Given:
    """What is searched for, checked, before anybody is asked for vectors.

    matrix: float32[n, d], filled where a vector was sent. texts and points, encoded ids: by their rows.
    places: what messages call the rows.
    """

    matrix: Matrix
    texts: dict[int, str]
    points: dict[int, bytes]
    places: Sequence[str]

    def parts(self) -> Iterator[bytes]:
        """What tells these from others that a collection's model reads."""
        for row, vector in enumerate(self.matrix):
            if row in self.texts:
                yield b"text " + self.texts[row].encode("utf-8", "surrogatepass")
            elif row in self.points:
                yield b"id " + self.points[row]
            else:
                yield b"vector " + float32_le(vector)


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

    def read(self, route: CollectionRoute, sought: Sought) -> Given:
        """The one query of a request."""
        return self._read(route, [sought], [""])

    def read_batch(self, route: CollectionRoute, sought: Sequence[Sought]) -> Given:
        return self._read(route, sought, [f"queries[{number}]." for number in range(len(sought))])

    def _read(self, route: CollectionRoute, sought: Sequence[Sought], places: Sequence[str]) -> Given:
        """places: what stands before a field's name in messages."""
        spec = route.spec
        matrix = np.empty((len(sought), spec.dimension), np.float32)
        texts: dict[int, str] = {}
        points: dict[int, bytes] = {}
        for row, (one, place) in enumerate(zip(sought, places, strict=True)):
            _check_one_is_given(one, place)
            if one.vector is not None:
                matrix[row] = parse_vector(one.vector, spec, f"{place}vector")[0]
            elif one.text is not None:
                texts[row] = check_text(one.text, f"{place}text")
            else:
                points[row] = parse_id(one.id, f"{place}id")
        return Given(matrix, texts, points, [f"{place}id" for place in places])

    async def find(self, call: Call, route: CollectionRoute, given: Given) -> Queries:
        """The vectors of texts and of points beside those that were sent."""
        matrix, texts, points = given.matrix, given.texts, given.points
        call.grant(self.limit_s(given))
        truncated = [False] * len(matrix)
        if texts:
            rows = list(texts)
            model = self._via.embedding.model_of(route.spec)
            check_answers_now(model.route, "a search by text")
            embedded = await self._via.embedding.embed(call, model, list(texts.values()), _SEARCHED)
            matrix[rows] = embedded.vectors
            for number in embedded.truncated:
                truncated[rows[number]] = True
        await self._fill(call, route, given)
        return Queries(matrix, [points.get(row) for row in range(len(matrix))], truncated)

    def parts(self, route: CollectionRoute, given: Given) -> Iterator[bytes]:
        """What tells this search from any other: the model that reads the texts is part of it."""
        if given.texts:
            yield model_part(self._via.embedding.model_of(route.spec).route)
        yield from given.parts()

    def limit_s(self, given: Given) -> float:
        """How long a request for these may take."""
        return self._via.timeouts.embed_s if given.texts else self._via.timeouts.request_s

    def read_sets(self, route: CollectionRoute, request: RecommendRequest) -> Given:
        """The positive examples, and behind them the negative ones."""
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
            if isinstance(one, list | bytes):
                matrix[row] = parse_vector(one, route.spec, place)[0]
            else:
                points[row] = parse_id(one, place)
        return Given(matrix, {}, points, [place for place, _ in given])

    async def find_sets(
        self, call: Call, route: CollectionRoute, request: RecommendRequest, given: Given
    ) -> ExampleSets:
        call.grant(self._via.timeouts.request_s)
        await self._fill(call, route, given)
        split = len(request.positive)
        return ExampleSets(given.matrix[:split], given.matrix[split:], frozenset(given.points.values()))

    async def _fill(self, call: Call, route: CollectionRoute, given: Given) -> None:
        """Fill the rows of points with their vectors. An answer to them ends when one of them expires."""
        points = given.points
        if not points:
            return
        ids = list(dict.fromkeys(points.values()))
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
                record = columns.record(row)
                vectors[encoded] = record.vector
                call.ends_at(record.expires_at_us)
        for row, point in points.items():
            if point not in vectors:
                missing = point_not_found(route.spec.name, decode_id(point))
                raise PointNotFound(f"{given.places[row]}: {missing.message}", **missing.details)
            given.matrix[row] = vectors[point]


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
