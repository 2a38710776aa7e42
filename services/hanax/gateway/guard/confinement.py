"""Callers whose points are forced: what they ask of shards, narrowed to points of their own.

Shards are asked in one place, `gateway.shards`; so a forced filter holds in whatever is asked, whoever wrote
the request. A kind of question that has no rule here is refused.

Reads get the forced values as one more condition. What names points by id becomes a filter too, where the
shard takes one, and is decided inside the shard. Where it does not, the versions of the points are read first
and the write is conditional on them: a point that changed hands in between is a conflict, and looked at anew.
So two that write one new id at once can't overwrite each other. That an id is taken is told to
whoever wants to write it: ids are of the collection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, PermissionDenied, Unavailable
from hanax.core.filter_parsing import filter_to_json, parse_filter_json
from hanax.core.filters import And, Condition, Filter, Operator
from hanax.core.ids import decode_id
from hanax.core.limits import MAX_SEARCH_LIMIT
from hanax.gateway.guard.caller import Forced

# A page of a scroll, and few enough for a filter of the longest ids.
_IDS_AT_ONCE: Final = MAX_SEARCH_LIMIT
# How often a write is tried again whose points were changed by others meanwhile.
_TRIES: Final = 4

# Puts to each shard number its question; the answers in their order.
Ask = Callable[[Callable[[Any], Any], Mapping[int, Any]], Awaitable[list[Any]]]
# Gives each shard number its order; how each ended.
Tell = Callable[[Callable[[Any], Any], Mapping[int, Any]], Awaitable[dict[int, Any]]]

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
        self._forced = forced
        self._own = tuple(Condition((name,), Operator.EQ, value) for name, value in forced.items())
        self._ask = ask
        self._tell = tell

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
            (bytes, self._upsert),
            (pb.DeleteRequest, self._delete),
            (pb.UpdateMetadataRequest, self._update),
            (pb.ChangeMetadataRequest, self._change),
        ):
            if all(isinstance(order, kind) for order in orders.values()):
                ended = await write(dict(orders))
                return {shard: ended[shard] for shard in orders}
        raise _refused("this operation is not for it")

    def _narrowed(self, question: Any) -> Any:
        if isinstance(question, pb.SearchGroupsRequest):
            groups = pb.SearchGroupsRequest()
            groups.CopyFrom(question)
            groups.search.filter_json = self._filter(question.search.filter_json)
            return groups
        if not isinstance(question, _FILTERED):
            raise _refused("this operation is not for it")
        if isinstance(question, pb.SearchRequest) and question.explain:
            raise _refused("explain tells of the points of others")
        copy: Any = type(question)()
        copy.CopyFrom(question)
        copy.filter_json = self._filter(question.filter_json)
        return copy

    def _filter(self, raw: bytes, ids: Sequence[bytes] | None = None) -> bytes:
        """Of a question with this filter: its wire form with the forced values, and these ids alone."""
        children: tuple[Filter, ...] = self._own
        if ids is not None:
            children = (Condition((), Operator.HAS_ID, tuple(ids)), *children)
        if raw:
            given = parse_filter_json(raw)
            # Beside the others where it can be, so that a filter at the greatest depth stays one.
            children = (*(given.children if isinstance(given, And) else (given,)), *children)
        return filter_to_json(And(children))

    async def _get(self, questions: Mapping[int, pb.GetRequest]) -> list[pb.GetResponse]:
        answers: list[pb.GetResponse] = []
        for part in _parts({shard: question.ids for shard, question in questions.items()}):
            asked = {
                shard: pb.ScrollRequest(
                    ref=questions[shard].ref,
                    limit=len(ids),
                    filter_json=self._filter(b"", ids),
                    projection=questions[shard].projection,
                )
                for shard, ids in part.items()
            }
            found = await self._ask(lambda stub: stub.Scroll, asked)
            answers += [pb.GetResponse(points=answer.points) for answer in found]
        return answers

    async def _versions(self, refs: Mapping[int, pb.ShardRef], ids: Mapping[int, Sequence[bytes]]) -> _Known:
        """Of the points that are there, each with its version; 0 for those of others."""
        projection = pb.Projection(metadata=True, versions=True, metadata_fields=list(self._forced))
        asked = {
            shard: pb.GetRequest(ref=refs[shard], ids=ids[shard], projection=projection) for shard in refs
        }
        known: _Known = {}
        for answer in await self._ask(lambda stub: stub.Get, asked):
            points = answer.points
            for id_, raw, version in zip(points.ids, points.metadata, points.versions, strict=True):
                known[id_] = version if self._is_own(orjson.loads(raw)) else 0
        return known

    def _is_own(self, metadata: Mapping[str, object]) -> bool:
        return all(_same(metadata.get(name), value) for name, value in self._forced.items())

    async def _upsert(self, orders: dict[int, bytes]) -> dict[int, Any]:
        parsed = {shard: pb.UpsertRequest.FromString(raw) for shard, raw in orders.items()}
        for order in parsed.values():
            for row, raw in enumerate(order.metadata):
                order.metadata[row] = self._owned(raw, decode_id(order.ids[row]))
        if all(order.mode == pb.WRITE_MODE_INSERT for order in parsed.values()):
            # None that is there is written, whoever it belongs to.
            return await self._tell(lambda stub: stub.UpsertEncoded, _encoded(parsed))
        asked = {shard: list(order.if_versions) for shard, order in parsed.items()}

        def conditional(known: _Known) -> dict[int, Any]:
            ready: dict[int, Any] = {}
            for shard, order in parsed.items():
                found = [known.get(id_, _NONE) for id_ in order.ids]
                for id_, version in zip(order.ids, found, strict=True):
                    if version == 0:
                        raise _refused(f"the id {decode_id(id_)!r} is not free for it")
                now = [max(0, version) for version in found]
                conflicts = _conflicts(order.ids, asked[shard], now)
                del order.if_versions[:]
                order.if_versions.extend(now)
                ready[shard] = pb.UpsertResponse(conflicts=conflicts) if conflicts else order
            return ready

        return await self._write(lambda stub: stub.UpsertEncoded, parsed, conditional)

    async def _update(self, orders: dict[int, pb.UpdateMetadataRequest]) -> dict[int, Any]:
        parsed: dict[int, pb.UpdateMetadataRequest] = {}
        for shard, given in orders.items():
            order = parsed[shard] = pb.UpdateMetadataRequest()
            order.CopyFrom(given)
            for row, raw in enumerate(given.metadata):
                order.metadata[row] = self._changed(raw, given.mode)
        asked = {shard: list(order.if_versions) for shard, order in parsed.items()}

        def conditional(known: _Known) -> dict[int, Any]:
            ready: dict[int, Any] = {}
            for shard, order in parsed.items():
                missing = [id_ for id_ in order.ids if known.get(id_, 0) <= 0]
                if missing:
                    ready[shard] = pb.UpdateMetadataResponse(missing=missing)
                    continue
                now = [known[id_] for id_ in order.ids]
                conflicts = _conflicts(order.ids, asked[shard], now)
                del order.if_versions[:]
                order.if_versions.extend(now)
                ready[shard] = pb.UpdateMetadataResponse(conflicts=conflicts) if conflicts else order
            return ready

        return await self._write(lambda stub: stub.UpdateMetadata, parsed, conditional)

    async def _write(
        self,
        method: Callable[[Any], Any],
        orders: Mapping[int, Any],
        conditional: Callable[[_Known], dict[int, Any]],
    ) -> dict[int, Any]:
        """conditional: the orders under the versions that are known, or their answers where that is clear."""
        ended: dict[int, Any] = {}
        waiting = dict(orders)
        for _ in range(_TRIES):
            known = await self._versions(
                {shard: order.ref for shard, order in waiting.items()},
                {shard: order.ids for shard, order in waiting.items()},
            )
            ready = {shard: one for shard, one in conditional(known).items() if shard in waiting}
            clear = {shard: one for shard, one in ready.items() if not isinstance(one, type(orders[shard]))}
            ended |= clear
            for shard in clear:
                del waiting[shard]
            told = await self._tell(method, _encoded({shard: ready[shard] for shard in waiting}))
            for shard, end in told.items():
                # Changed by others since it was looked at: what the caller asked for was true then.
                if isinstance(end, HanaxError) or not end.conflicts:
                    ended[shard] = end
                    del waiting[shard]
            if not waiting:
                return ended
        again = Unavailable("points of the request are changed by others all the time; send it again")
        return ended | dict.fromkeys(waiting, again)

    async def _delete(self, orders: dict[int, pb.DeleteRequest]) -> dict[int, Any]:
        if any(order.if_versions for order in orders.values()):
            return await self._delete_versions(orders)
        if not any(order.ids for order in orders.values()):
            narrowed = {
                shard: pb.DeleteRequest(ref=order.ref, filter_json=self._filter(order.filter_json))
                for shard, order in orders.items()
            }
            return await self._tell(lambda stub: stub.Delete, narrowed)
        ended: dict[int, Any] = {}
        for part in _parts({shard: order.ids for shard, order in orders.items()}):
            asked = {
                shard: pb.DeleteRequest(ref=orders[shard].ref, filter_json=self._filter(b"", ids))
                for shard, ids in part.items()
                if not isinstance(ended.get(shard), HanaxError)
            }
            for shard, end in (await self._tell(lambda stub: stub.Delete, asked)).items():
                before = ended.get(shard)
                if before is not None and not isinstance(end, HanaxError):
                    end.deleted += before.deleted
                ended[shard] = end
        return ended

    async def _delete_versions(self, orders: dict[int, pb.DeleteRequest]) -> dict[int, Any]:
        known = await self._versions(
            {shard: order.ref for shard, order in orders.items()},
            {shard: order.ids for shard, order in orders.items()},
        )
        ended: dict[int, Any] = {}
        for shard, order in orders.items():
            now = [max(0, known.get(id_, 0)) for id_ in order.ids]
            if conflicts := _conflicts(order.ids, order.if_versions, now):
                ended[shard] = pb.DeleteResponse(conflicts=conflicts)
        waiting = {shard: order for shard, order in orders.items() if shard not in ended}
        return ended | await self._tell(lambda stub: stub.Delete, waiting)

    async def _change(self, orders: dict[int, pb.ChangeMetadataRequest]) -> dict[int, Any]:
        for order in orders.values():
            if gone := set(self._forced).intersection(order.delete_fields):
                raise _refused(f"{min(gone)!r} is not for it to remove")
            order.metadata = self._changed(order.metadata, order.mode)
        if not any(order.ids for order in orders.values()):
            for order in orders.values():
                order.filter_json = self._filter(order.filter_json)
            return await self._tell(lambda stub: stub.ChangeMetadata, orders)
        ended: dict[int, Any] = {}
        for part in _parts({shard: order.ids for shard, order in orders.items()}):
            asked = {}
            for shard, ids in part.items():
                if not isinstance(ended.get(shard), HanaxError):
                    asked[shard] = pb.ChangeMetadataRequest()
                    asked[shard].CopyFrom(orders[shard])
                    del asked[shard].ids[:]
                    asked[shard].filter_json = self._filter(b"", ids)
            for shard, end in (await self._tell(lambda stub: stub.ChangeMetadata, asked)).items():
                before = ended.get(shard)
                if before is not None and not isinstance(end, HanaxError):
                    end.matched += before.matched
                    end.updated += before.updated
                ended[shard] = end
        done = [shard for shard, end in ended.items() if not isinstance(end, HanaxError)]
        known = await self._versions(
            {shard: orders[shard].ref for shard in done}, {shard: orders[shard].ids for shard in done}
        )
        for shard in done:
            ended[shard].versions.extend(known.get(id_, 0) for id_ in orders[shard].ids)
        return ended

    def _owned(self, raw: bytes, point_id: object) -> bytes:
        """Metadata of a point to be stored, with the forced values."""
        metadata = orjson.loads(raw)
        for name, value in self._forced.items():
            if name in metadata and not _same(metadata[name], value):
                raise _refused(f"point {point_id!r}: metadata.{name}: expected {value!r}")
            metadata[name] = value
        return orjson.dumps(metadata)

    def _changed(self, raw: bytes, mode: pb.MetadataMode.ValueType) -> bytes:
        """What is merged into metadata, or takes their place."""
        metadata = orjson.loads(raw) if raw else {}
        for name, value in self._forced.items():
            if name in metadata and not _same(metadata[name], value):
                raise _refused(f"metadata.{name}: expected {value!r}")
            if mode == pb.METADATA_MODE_REPLACE:
                metadata[name] = value
        return orjson.dumps(metadata)


# Versions by encoded id: 0 for points of others, absent for none.
_Known = dict[bytes, int]
_NONE: Final = -1


def _parts(ids: Mapping[int, Sequence[bytes]]) -> Iterator[dict[int, Sequence[bytes]]]:
    """By shard, a bounded number of ids at a time."""
    longest = max((len(of_shard) for of_shard in ids.values()), default=0)
    for first in range(0, longest, _IDS_AT_ONCE):
        part = {shard: of_shard[first : first + _IDS_AT_ONCE] for shard, of_shard in ids.items()}
        yield {shard: of_shard for shard, of_shard in part.items() if of_shard}


def _conflicts(ids: Sequence[bytes], asked: Sequence[int], found: Sequence[int]) -> list[pb.Conflict]:
    """asked: -1 for any version; nothing at all: any for each."""
    return [
        pb.Conflict(id=id_, expected=wanted, found=now)
        for id_, wanted, now in zip(ids, asked or [-1] * len(ids), found, strict=True)
        if wanted not in (-1, now)
    ]


def _encoded(orders: Mapping[int, Any]) -> dict[int, Any]:
    """Upserts travel encoded."""
    return {
        shard: order.SerializeToString() if isinstance(order, pb.UpsertRequest) else order
        for shard, order in orders.items()
    }


def _same(found: object, forced: object) -> bool:
    return type(found) is type(forced) and found == forced


def _refused(why: str) -> PermissionDenied:
    return PermissionDenied(f"this caller sees and writes points of its own alone: {why}")
