"""Callers whose points are forced: what they ask of shards, narrowed to points of their own.

Shards are asked in one place, `gateway.shards`; so a forced filter holds in whatever is asked, whoever wrote
the request. A kind of question that has no rule here is refused.

Reads get the forced values as one more condition; those of points by id become a filter too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError
from hanax.gateway.guard.caller import Forced
from hanax.gateway.guard.confined_writes import Ask, ConfinedWrites, Tell
from hanax.gateway.guard.own_points import OwnPoints, in_parts, refusal

_FILTERED: Final = (
    pb.SearchRequest,
    pb.RecommendRequest,
    pb.ScrollRequest,
    pb.CountRequest,
    pb.FacetRequest,
    pb.DistinctRequest,
)


class Confinement:
    """Of one caller and one request. Both methods raise PermissionDenied before anything is written."""

    def __init__(self, forced: Forced, ask: Ask, tell: Tell) -> None:
        self._own = OwnPoints(forced)
        self._ask = ask
        self._writes = ConfinedWrites(self._own, ask, tell)

    async def ask(self, method: Callable[[Any], Any], questions: Mapping[int, Any]) -> list[Any]:
        """The answers in order; of points by id there may be more answers than questions."""
        if any(isinstance(question, pb.GetRequest) for question in questions.values()):
            return await self._get(questions)
        return await self._ask(method, {shard: self._narrowed(one) for shard, one in questions.items()})

    async def tell(
        self, method: Callable[[Any], Any], orders: Mapping[int, Any]
    ) -> dict[int, Any | HanaxError]:
        ended: dict[int, Any | HanaxError] = {}
        for kind, write in (
            (bytes, self._writes.upsert),
            (pb.DeleteRequest, self._writes.delete),
            (pb.UpdateMetadataRequest, self._writes.update),
            (pb.ChangeMetadataRequest, self._writes.change),
        ):
            if all(isinstance(order, kind) for order in orders.values()):
                ended = await write(dict(orders))
                return {shard: ended[shard] for shard in orders}
        raise refusal("this operation is not for it")

    def _narrowed(self, question: Any) -> Any:
        if isinstance(question, pb.SearchGroupsRequest):
            groups = pb.SearchGroupsRequest()
            groups.CopyFrom(question)
            groups.search.filter_json = self._own.filter(question.search.filter_json)
            return groups
        if not isinstance(question, _FILTERED):
            raise refusal("this operation is not for it")
        if isinstance(question, pb.SearchRequest) and question.explain:
            raise refusal("explain tells of the points of others")
        copy: Any = type(question)()
        copy.CopyFrom(question)
        copy.filter_json = self._own.filter(question.filter_json)
        return copy

    async def _get(self, questions: Mapping[int, pb.GetRequest]) -> list[pb.GetResponse]:
        answers: list[pb.GetResponse] = []
        for part in in_parts({shard: question.ids for shard, question in questions.items()}):
            asked = {
                shard: pb.ScrollRequest(
                    ref=questions[shard].ref,
                    limit=len(ids),
                    filter_json=self._own.filter(b"", ids),
                    projection=questions[shard].projection,
                )
                for shard, ids in part.items()
            }
            found = await self._ask(lambda stub: stub.Scroll, asked)
            answers += [pb.GetResponse(points=answer.points) for answer in found]
        return answers
