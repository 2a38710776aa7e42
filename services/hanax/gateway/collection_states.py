"""How collections are: what was declared of them, and what their shards tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import xxhash

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.catalog import CatalogEntry
from hanax.core.errors import HanaxError
from hanax.core.routing import CollectionRoute, RoutingTable
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.routing import Routing
from hanax.gateway.shards import Shards, for_each_shard

State = Literal["ready", "degraded", "pending", "suspended"]


@dataclass(frozen=True, slots=True)
class Listed:
    """`state`: ready or suspended when it is in the routing table, pending until then."""

    uid: str
    spec: CollectionSpec
    created_at_us: int
    state: State
    aliases: list[str]

    @property
    def revision(self) -> str:
        """Another one after every change of what was declared."""
        return revision_of(self.uid, self.spec)


@dataclass(frozen=True, slots=True)
class ShardState:
    """What one shard tells of itself, or the error that says why it does not."""

    shard: int
    node: str
    answer: pb.DescribeResponse | HanaxError


@dataclass(frozen=True, slots=True)
class Described:
    """`points` is None while a shard does not answer: part of a sum would pass for the whole."""

    listed: Listed
    points: int | None
    shards: list[ShardState]


class CollectionStates:
    def __init__(self, routing: Routing, shards: Shards) -> None:
        self._routing = routing
        self._shards = shards

    async def look(self, call: Call, route: CollectionRoute, timeout_s: float) -> Described:
        """What its shards tell within the time; one that is suspended has none that is open."""
        aliases = self._routing.table.aliases.of(route.spec.name)
        if route.suspended:
            return Described(
                Listed(route.uid, route.spec, route.created_at_us, "suspended", aliases), None, []
            )
        probe = Call(call.request_id, call.clock)
        probe.grant(timeout_s)
        with call.waiting("shard"):
            answers = await self._shards.tell(
                probe,
                route,
                lambda stub: stub.Describe,
                for_each_shard(route, lambda ref: pb.DescribeRequest(ref=ref)),
            )
        shards = [ShardState(shard.shard, shard.replicas[0], answers[shard.shard]) for shard in route.shards]
        points = 0
        ready = True
        for state in shards:
            if isinstance(state.answer, HanaxError):
                ready = False
            else:
                points += state.answer.points
        listed = Listed(route.uid, route.spec, route.created_at_us, "ready" if ready else "degraded", aliases)
        return Described(listed, points if ready else None, shards)


def listed_of(entry: CatalogEntry, table: RoutingTable) -> Listed:
    route = table.collection_by_name.get(entry.spec.name)
    if route is None or route.uid != entry.uid:
        return Listed(entry.uid, entry.spec, entry.created_at_us, "pending", [])
    state: State = "suspended" if route.suspended else "ready"
    return Listed(entry.uid, entry.spec, entry.created_at_us, state, table.aliases.of(entry.spec.name))


def revision_of(uid: str, spec: CollectionSpec) -> str:
    """Tells what is declared of a collection from what was, and it from another of the same name."""
    return xxhash.xxh3_64_hexdigest(f"{uid} {spec.model_dump_json()}".encode())
