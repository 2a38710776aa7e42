"""The values of a metadata field over all points that match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import InvalidArgument
from hanax.core.field_values import position_of, value_from_json
from hanax.core.limits import MAX_FACET_VALUES
from hanax.core.routing import CollectionRoute
from hanax.gateway.cache.answers import Asked, Keeping
from hanax.gateway.cache.codecs import Codec
from hanax.gateway.calls import Call
from hanax.gateway.cursors import decode_value_cursor, encode_value_cursor
from hanax.gateway.query_requests import DistinctRequest, FacetRequest
from hanax.gateway.requests import encode_filter
from hanax.gateway.shards import for_each_shard
from hanax.gateway.upstreams import Upstreams


@dataclass(frozen=True, slots=True)
class Facet:
    """values: JSON of each with its count, falling, then in the order of values. All are exact.

    distinct: how many values there are. matches: points that match, with the field or without.
    """

    values: list[tuple[bytes, int]]
    distinct: int
    matches: int


@dataclass(frozen=True, slots=True)
class Values:
    """JSON of each, ascending. `next_cursor` is None on the last page."""

    values: list[bytes]
    next_cursor: str | None


_FACET: Final[Codec[Facet]] = Codec(
    lambda facet, blobs: [
        [[blobs.add(value), count] for value, count in facet.values],
        facet.distinct,
        facet.matches,
    ],
    lambda data, blobs: Facet([(blobs[value], count) for value, count in data[0]], data[1], data[2]),
)
_VALUES: Final[Codec[Values]] = Codec(
    lambda values, blobs: [[blobs.add(value) for value in values.values], values.next_cursor],
    lambda data, blobs: Values([blobs[value] for value in data[0]], data[1]),
)


class Aggregates:
    """Each method raises CollectionNotFound, an InvalidArgument, Unavailable or DeadlineExceeded."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._via = upstreams

    async def facet(self, call: Call, request: FacetRequest) -> Facet:
        """Shards tell all of their values, so counts add up; refused where they are too many."""
        with self._via.metrics.reading("facet", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            filter_json = encode_filter(request.filter)
            keeping = Keeping(_FACET, "metadata", self._via.timeouts.request_s)
            asked = Asked("facet", route, request, filter_json, keeping)
            found = await self._via.answers.answer(
                call, asked, lambda: self._facet(call, route, request, filter_json)
            )
            call.items += found.matches
            return found

    async def _facet(
        self, call: Call, route: CollectionRoute, request: FacetRequest, filter_json: bytes
    ) -> Facet:
        call.grant(self._via.timeouts.request_s)
        questions = for_each_shard(
            route, lambda ref: pb.FacetRequest(ref=ref, field=request.field, filter_json=filter_json)
        )
        answers = await self._via.shards.ask(call, route, lambda stub: stub.Facet, questions)
        counts: Counter[bytes] = Counter()
        for answer in answers:
            call.ends_at(answer.next_expiry_us)
            for value, count in zip(answer.values_json, answer.counts, strict=True):
                counts[value] += count
        if len(counts) > MAX_FACET_VALUES:
            raise InvalidArgument(
                f"field: {request.field!r} has more than {MAX_FACET_VALUES} values among the matching "
                "points, too many to count: narrow the filter, or list them with distinct"
            )
        most = sorted(counts, key=lambda value: (-counts[value], position_of(value_from_json(value))))
        return Facet(
            [(value, counts[value]) for value in most[: request.limit]],
            len(counts),
            sum(answer.matches for answer in answers),
        )

    async def distinct(self, call: Call, request: DistinctRequest) -> Values:
        """A page of values. Raises InvalidCursor."""
        with self._via.metrics.reading("distinct", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            filter_json = encode_filter(request.filter)
            after = b""
            if request.cursor is not None:
                after = decode_value_cursor(request.cursor, route.uid, request.field)

            def question(ref: pb.ShardRef) -> pb.DistinctRequest:
                return pb.DistinctRequest(
                    ref=ref,
                    field=request.field,
                    filter_json=filter_json,
                    after_json=after,
                    limit=request.limit,
                )

            keeping = Keeping(_VALUES, "metadata", self._via.timeouts.request_s)
            asked = Asked("distinct", route, request, filter_json, keeping)
            found = await self._via.answers.answer(
                call, asked, lambda: self._distinct(call, route, request, for_each_shard(route, question))
            )
            call.items += len(found.values)
            return found

    async def _distinct(
        self,
        call: Call,
        route: CollectionRoute,
        request: DistinctRequest,
        questions: Mapping[int, pb.DistinctRequest],
    ) -> Values:
        call.grant(self._via.timeouts.request_s)
        answers = await self._via.shards.ask(call, route, lambda stub: stub.Distinct, questions)
        for answer in answers:
            call.ends_at(answer.next_expiry_us)
        found = {value for answer in answers for value in answer.values_json}
        values = sorted(found, key=lambda value: position_of(value_from_json(value)))
        page = values[: request.limit]
        more = len(values) > len(page) or any(answer.has_more for answer in answers)
        cursor = encode_value_cursor(route.uid, request.field, page[-1]) if more and page else None
        return Values(page, cursor)
