"""Searches by groups: the nearest values of a metadata field, and the nearest points of each.

Groups are ranked by their nearest points, so that a point that is itself searched for is left out by the
shards, not by the merge. `grouping` tells why two rounds of questions are enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.routing import CollectionRoute
from hanax.gateway.cache.answers import Asked, Keeping
from hanax.gateway.cache.results import GROUPS
from hanax.gateway.calls import Call
from hanax.gateway.examples import Examples
from hanax.gateway.grouping import Group, GroupedResult, best_groups, values_to_ask
from hanax.gateway.hits import Scale
from hanax.gateway.points_filters import without_points
from hanax.gateway.query_requests import GroupSearchRequest
from hanax.gateway.shards import refer
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.vectors import float32_le
from hanax.gateway.wishes import question_of


class GroupSearches:
    def __init__(self, upstreams: Upstreams) -> None:
        self._via = upstreams
        self._examples = Examples(upstreams)

    async def search(self, call: Call, request: GroupSearchRequest) -> GroupedResult:
        """The nearest groups. The groups are found first; then shards that told too little of them are
        asked again for theirs.

        Raises CollectionNotFound, PointNotFound, an InvalidArgument, what embedding raises, Unavailable or
        DeadlineExceeded.
        """
        with self._via.metrics.reading("search_groups", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            question = question_of(request, route)
            question.limit = request.group_size
            given = self._examples.read(route, request)
            parts = self._examples.parts(route, given)
            keeping = Keeping(GROUPS, "searches", self._examples.limit_s(given))
            asked = Asked("search_groups", route, request, question.filter_json, keeping, parts)

            async def ask() -> GroupedResult:
                query = await self._examples.find(call, route, given)
                question.filter_json = without_points(
                    request.filter, [point for point in query.points if point is not None]
                )
                question.queries_float32_le = float32_le(query.matrix)
                return GroupedResult(await self._find(call, route, request, question), query.truncated[0])

            found = await self._via.answers.answer(call, asked, ask)
            call.items += sum(len(group.hits) for group in found.groups)
            return found

    async def _find(
        self, call: Call, route: CollectionRoute, request: GroupSearchRequest, question: pb.SearchRequest
    ) -> list[Group]:
        asked = pb.SearchGroupsRequest(search=question, field=request.group_by, groups=request.limit)
        answers = await self._ask(call, route, asked, {shard.shard: () for shard in route.shards})
        scale = Scale(route.spec.metric, request.score_threshold)
        found = best_groups(list(answers.values()), request.limit, request.group_size, scale)
        missing = values_to_ask(answers, found, request.limit)
        if missing:
            more = await self._ask(call, route, asked, missing)
            parts = [*answers.values(), *more.values()]
            chosen = frozenset(group.value for group in found)
            found = best_groups(parts, request.limit, request.group_size, scale, chosen)
        return found

    async def _ask(
        self,
        call: Call,
        route: CollectionRoute,
        asked: pb.SearchGroupsRequest,
        values: Mapping[int, Sequence[bytes]],
    ) -> dict[int, pb.SearchGroupsResponse]:
        """The answers of the shards in `values`, for these values of the field; for none: for the nearest."""
        questions = {shard: _addressed(asked, refer(route, shard), among) for shard, among in values.items()}
        answers = await self._via.shards.ask(call, route, lambda stub: stub.SearchGroups, questions)
        call.engine_s += max(answer.shard_seconds for answer in answers)
        return dict(zip(questions, answers, strict=True))


def _addressed(
    asked: pb.SearchGroupsRequest, ref: pb.ShardRef, values: Sequence[bytes]
) -> pb.SearchGroupsRequest:
    copy = pb.SearchGroupsRequest(ref=ref, values_json=values)
    copy.MergeFrom(asked)
    return copy
