"""Writes of a caller whose points are forced, to points of its own alone.

What names points by id becomes a filter, where the shard takes one, and is decided inside the shard. Where it
does not, the versions of the points are read first and the write is conditional on them: a point that changed
hands in between is a conflict, and looked at anew. So two that write one new id at once can't overwrite each
other. That an id is taken is told to whoever wants to write it: ids are of the collection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, Unavailable
from hanax.core.ids import decode_id
from hanax.gateway.guard.own_points import OwnPoints, in_parts, refusal

# How often a write is tried again whose points were changed by others meanwhile.
_TRIES: Final = 4

# Puts to each shard number its question; the answers in their order.
Ask = Callable[[Callable[[Any], Any], Mapping[int, Any]], Awaitable[list[Any]]]
# Gives each shard number its order; how each ended.
Tell = Callable[[Callable[[Any], Any], Mapping[int, Any]], Awaitable[dict[int, Any]]]

# Versions by encoded id: 0 for points of others, absent for none.
_Known = dict[bytes, int]
_NONE: Final = -1


class ConfinedWrites:
    """Of one caller and one request. Methods take an order for each shard, and answer how each ended. They
    raise PermissionDenied before anything is written.
    """

    def __init__(self, own: OwnPoints, ask: Ask, tell: Tell) -> None:
        self._own = own
        self._ask = ask
        self._tell = tell

    async def upsert(self, orders: dict[int, bytes]) -> dict[int, Any]:
        parsed = {shard: pb.UpsertRequest.FromString(raw) for shard, raw in orders.items()}
        for order in parsed.values():
            for row, raw in enumerate(order.metadata):
                order.metadata[row] = self._own.owned(raw, decode_id(order.ids[row]))
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
                        raise refusal(f"the id {decode_id(id_)!r} is not free for it")
                now = [max(0, version) for version in found]
                ready[shard] = _under_versions(order, asked[shard], now, pb.UpsertResponse)
            return ready

        return await self._write(lambda stub: stub.UpsertEncoded, parsed, conditional)

    async def update(self, orders: dict[int, pb.UpdateMetadataRequest]) -> dict[int, Any]:
        parsed: dict[int, pb.UpdateMetadataRequest] = {}
        for shard, given in orders.items():
            order = parsed[shard] = pb.UpdateMetadataRequest()
            order.CopyFrom(given)
            for row, raw in enumerate(given.metadata):
                order.metadata[row] = self._own.changed(raw, given.mode)
        asked = {shard: list(order.if_versions) for shard, order in parsed.items()}

        def conditional(known: _Known) -> dict[int, Any]:
            ready: dict[int, Any] = {}
            for shard, order in parsed.items():
                missing = [id_ for id_ in order.ids if known.get(id_, 0) <= 0]
                if missing:
                    ready[shard] = pb.UpdateMetadataResponse(missing=missing)
                    continue
                now = [known[id_] for id_ in order.ids]
                ready[shard] = _under_versions(order, asked[shard], now, pb.UpdateMetadataResponse)
            return ready

        return await self._write(lambda stub: stub.UpdateMetadata, parsed, conditional)

    async def delete(self, orders: dict[int, pb.DeleteRequest]) -> dict[int, Any]:
        if any(order.if_versions for order in orders.values()):
            return await self._delete_versions(orders)
        if not any(order.ids for order in orders.values()):
            narrowed = {
                shard: pb.DeleteRequest(ref=order.ref, filter_json=self._own.filter(order.filter_json))
                for shard, order in orders.items()
            }
            return await self._tell(lambda stub: stub.Delete, narrowed)
        ended: dict[int, Any] = {}
        for part in in_parts({shard: order.ids for shard, order in orders.items()}):
            asked = {
                shard: pb.DeleteRequest(ref=orders[shard].ref, filter_json=self._own.filter(b"", ids))
                for shard, ids in part.items()
                if not isinstance(ended.get(shard), HanaxError)
            }
            for shard, end in (await self._tell(lambda stub: stub.Delete, asked)).items():
                before = ended.get(shard)
                if before is not None and not isinstance(end, HanaxError):
                    end.deleted += before.deleted
                ended[shard] = end
        return ended

    async def change(self, orders: dict[int, pb.ChangeMetadataRequest]) -> dict[int, Any]:
        for order in orders.values():
            if gone := set(self._own.forced).intersection(order.delete_fields):
                raise refusal(f"{min(gone)!r} is not for it to remove")
            order.metadata = self._own.changed(order.metadata, order.mode)
        if not any(order.ids for order in orders.values()):
            for order in orders.values():
                order.filter_json = self._own.filter(order.filter_json)
            return await self._tell(lambda stub: stub.ChangeMetadata, orders)
        ended: dict[int, Any] = {}
        for part in in_parts({shard: order.ids for shard, order in orders.items()}):
            asked = {}
            for shard, ids in part.items():
                if not isinstance(ended.get(shard), HanaxError):
                    asked[shard] = pb.ChangeMetadataRequest()
                    asked[shard].CopyFrom(orders[shard])
                    del asked[shard].ids[:]
                    asked[shard].filter_json = self._own.filter(b"", ids)
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

    async def _versions(self, refs: Mapping[int, pb.ShardRef], ids: Mapping[int, Sequence[bytes]]) -> _Known:
        """Of the points that are there, each with its version; 0 for those of others."""
        projection = pb.Projection(metadata=True, versions=True, metadata_fields=list(self._own.forced))
        asked = {
            shard: pb.GetRequest(ref=refs[shard], ids=ids[shard], projection=projection) for shard in refs
        }
        known: _Known = {}
        for answer in await self._ask(lambda stub: stub.Get, asked):
            points = answer.points
            for id_, raw, version in zip(points.ids, points.metadata, points.versions, strict=True):
                known[id_] = version if self._own.has(orjson.loads(raw)) else 0
        return known


def _under_versions(
    order: Any, asked: Sequence[int], found: Sequence[int], answer: Callable[..., Any]
) -> Any:
    """The order, conditional on the versions that were found; its answer, where it asked for others."""
    if conflicts := _conflicts(order.ids, asked, found):
        return answer(conflicts=conflicts)
    del order.if_versions[:]
    order.if_versions.extend(found)
    return order


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
