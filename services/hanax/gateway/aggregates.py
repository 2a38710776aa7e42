"""The values of a metadata field over all points that match."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import InvalidArgument
from hanax.core.field_values import position_of, value_from_json
from hanax.core.limits import MAX_FACET_VALUES
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


class Aggregates:
    """Each method raises CollectionNotFound, an InvalidArgument, Unavailable or DeadlineExceeded."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._via = upstreams

    async def facet(self, call: Call, request: FacetRequest) -> Facet:
        """Shards tell all of their values, so counts add up; refused where they are too many."""
        with self._via.metrics.operation("facet", request.collection):
            route = self._via.routing.collection(request.collection)
            filter_json = encode_filter(request.filter)
            call.grant(self._via.timeouts.request_s)
            questions = for_each_shard(
                route, lambda ref: pb.FacetRequest(ref=ref, field=request.field, filter_json=filter_json)
            )
            answers = await self._via.shards.ask(call, route, lambda stub: stub.Facet, questions)
            counts: Counter[bytes] = Counter()
            for answer in answers:
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
        with self._via.metrics.operation("distinct", request.collection):
            route = self._via.routing.collection(request.collection)
            filter_json = encode_filter(request.filter)
            after = b""
            if request.cursor is not None:
                after = decode_value_cursor(request.cursor, route.uid, request.field)
            call.grant(self._via.timeouts.request_s)
            questions = for_each_shard(
                route,
                lambda ref: pb.DistinctRequest(
                    ref=ref,
                    field=request.field,
                    filter_json=filter_json,
                    after_json=after,
                    limit=request.limit,
                ),
            )
            answers = await self._via.shards.ask(call, route, lambda stub: stub.Distinct, questions)
            found = {value for answer in answers for value in answer.values_json}
            values = sorted(found, key=lambda value: position_of(value_from_json(value)))
            page = values[: request.limit]
            more = len(values) > len(page) or any(answer.has_more for answer in answers)
            cursor = encode_value_cursor(route.uid, request.field, page[-1]) if more and page else None
            return Values(page, cursor)
