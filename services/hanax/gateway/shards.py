"""Client of the shards: one question to several of them, one deadline, no partial answers.

`ask` is for reads: all shards answer, or the first failure is the answer and the other calls are
cancelled. Of a shard with several replicas any may answer. `tell` is for writes, which go to a shard's
first replica: every shard gets its chance, and the caller learns how each ended. Callers whose points are
forced are confined to them here. A shard that is
restarting answers UNAVAILABLE, or nothing: that is retried until the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from google.protobuf.message_factory import GetMessageClass

from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceStub
from hanax.core.errors import DeadlineExceeded, HanaxError, Unavailable
from hanax.core.ids import slot_of
from hanax.core.routing import CollectionRoute, RoutingTable
from hanax.gateway.calls import Call
from hanax.gateway.guard.caller import Forced
from hanax.gateway.guard.confinement import Confinement
from hanax.gateway.replicas import Replicas
from hanax.gateway.routing import Routing
from hanax.gateway.stubs import Stubs
from hanax.rpc.channels import Channels, call_with_retry
from hanax.rpc.errors import error_from_call
from hanax.rpc.wired_methods import wired_methods
from hanax.rpc.wires import WiredMethod, Wires, WiresTo

if TYPE_CHECKING:
    from grpc import aio

    from citadel.vector.v1.shard_pb2_grpc import ShardServiceAsyncStub
else:
    ShardServiceAsyncStub = ShardServiceStub

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Result = TypeVar("Result")
Method = Callable[["ShardStub"], "aio.UnaryUnaryMultiCallable[Question, Answer]"]

_SERVICE: Final = pb.DESCRIPTOR.services_by_name["ShardService"]
_WIRED: Final = wired_methods(_SERVICE)
_UPSERT: Final = f"/{_SERVICE.full_name}/Upsert"

_WIRES_TIMEOUT_S: Final = 2.0


class ShardStub(ShardServiceAsyncStub):
    """Reads go on wires where there are some. UpsertEncoded: Upsert, whose order is encoded already
    (`upsert_orders`).
    """

    def __init__(self, channel: aio.Channel, wires: WiresTo) -> None:
        super().__init__(channel)
        for name, method in _WIRED.items():
            decode = GetMessageClass(method.output_type).FromString
            setattr(self, name, WiredMethod(name, decode, wires, getattr(self, name)))
        self.UpsertEncoded: aio.UnaryUnaryMultiCallable[bytes, pb.UpsertResponse] = channel.unary_unary(
            _UPSERT, request_serializer=None, response_deserializer=pb.UpsertResponse.FromString
        )


class Shards:
    def __init__(self, routing: Routing, channels: Channels, replicas: Replicas) -> None:
        self._routing = routing
        self._replicas = replicas
        self._wires = Wires(self._wires_port)
        self._stubs: Stubs[ShardStub] = Stubs(
            channels, lambda channel, address: ShardStub(channel, self._wires.get(address))
        )

    def follow(self, table: RoutingTable) -> None:
        """Forget the shards that a newer table no longer names."""
        addresses = set(table.address_by_node.values())
        self._stubs.retain(addresses)
        self._wires.retain(addresses)
        self._replicas.follow(table)

    def close(self) -> None:
        """Its channels are closed apart."""
        self._wires.close()

    async def ask(
        self,
        call: Call,
        route: CollectionRoute,
        method: Method[Question, Answer],
        questions: Mapping[int, Question],
    ) -> list[Answer]:
        """Put to each shard number its question; the answers, in the order of `questions`.

        Raises the first failure: Unavailable, DeadlineExceeded, or what a shard named.
        """
        with call.waiting("shard"):
            if call.caller.forced is not None:
                return await self._confinement(call, route, call.caller.forced).ask(method, questions)
            return await self._ask(call, route, method, questions)

    async def _ask(
        self,
        call: Call,
        route: CollectionRoute,
        method: Method[Question, Answer],
        questions: Mapping[int, Question],
    ) -> list[Answer]:
        return await gather_all(
            [self._read(call, route, shard, method, question) for shard, question in questions.items()]
        )

    async def tell(
        self,
        call: Call,
        route: CollectionRoute,
        method: Method[Question, Answer],
        orders: Mapping[int, Question],
    ) -> dict[int, Answer | HanaxError]:
        """Give each shard number its order; how each ended, once all have."""
        with call.waiting("shard"):
            if call.caller.forced is not None:
                return await self._confinement(call, route, call.caller.forced).tell(method, orders)
            return await self._tell(call, route, method, orders)

    def _confinement(self, call: Call, route: CollectionRoute, forced: Forced) -> Confinement:
        return Confinement(forced, partial(self._ask, call, route), partial(self._tell, call, route))

    async def _tell(
        self,
        call: Call,
        route: CollectionRoute,
        method: Method[Question, Answer],
        orders: Mapping[int, Question],
    ) -> dict[int, Answer | HanaxError]:
        outcomes = await asyncio.gather(
            *(self._write(call, route, shard, method, order) for shard, order in orders.items()),
            return_exceptions=True,
        )
        ended: dict[int, Answer | HanaxError] = {}
        for shard, outcome in zip(orders, outcomes, strict=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, HanaxError):
                raise outcome
            ended[shard] = outcome
        return ended

    async def _read(
        self,
        call: Call,
        route: CollectionRoute,
        shard: int,
        method: Method[Question, Answer],
        question: Question,
    ) -> Answer:
        nodes = route.shards[shard].replicas
        if len(nodes) == 1:
            return await self._write(call, route, shard, method, question)

        async def attempt(address: str, timeout_s: float) -> Answer:
            try:
                return await method(self._stubs.get(address))(question, timeout=timeout_s)
            except grpc.RpcError as failure:
                raise error_from_call(failure) from None

        try:
            return await self._replicas.read(self._routing.table, nodes, attempt, call.deadline)
        except (Unavailable, DeadlineExceeded) as error:
            raise _of_shard(error, route, shard) from None

    async def _write(
        self,
        call: Call,
        route: CollectionRoute,
        shard: int,
        method: Method[Question, Answer],
        order: Question,
    ) -> Answer:
        """At the first replica; also a read where there is no other."""

        async def attempt(timeout_s: float) -> Answer:
            return await method(self._first(route, shard))(order, timeout=timeout_s)

        try:
            return await call_with_retry(attempt, call.deadline, call.clock)
        except (Unavailable, DeadlineExceeded) as error:
            raise _of_shard(error, route, shard) from None

    def _first(self, route: CollectionRoute, shard: int) -> ShardStub:
        """Where it is now: a retry follows it to a new address."""
        node = route.shards[shard].replicas[0]
        address = self._routing.table.address_by_node.get(node)
        if address is None:
            raise Unavailable(f"node {node!r} has left the routing table")
        return self._stubs.get(address)

    async def _wires_port(self, address: str) -> int:
        told = await self._stubs.get(address).Wires(pb.WiresRequest(), timeout=_WIRES_TIMEOUT_S)
        return told.port


def _of_shard(error: HanaxError, route: CollectionRoute, shard: int) -> HanaxError:
    """The same error, that says which shard it is about."""
    return type(error)(
        f"shard {shard} of collection {route.spec.name!r}: {error.message}",
        **{**error.details, "collection": route.spec.name, "shard": shard},
    )


def refer(route: CollectionRoute, shard: int) -> pb.ShardRef:
    return pb.ShardRef(collection=route.spec.name, uid=route.uid, shard=shard)


def for_each_shard(
    route: CollectionRoute, question: Callable[[pb.ShardRef], Question]
) -> dict[int, Question]:
    """The question to every shard of the collection."""
    return {shard.shard: question(refer(route, shard.shard)) for shard in route.shards}


def rows_by_shard(route: CollectionRoute, ids: Sequence[bytes]) -> dict[int, Sequence[int]]:
    """Which of the encoded ids, by position, belong to which shard. Ascending by shard."""
    if len(route.shards) == 1:
        return {route.shards[0].shard: range(len(ids))} if ids else {}
    shard_by_slot = route.shard_by_slot
    rows: dict[int, list[int]] = {}
    for row, encoded in enumerate(ids):
        rows.setdefault(shard_by_slot[slot_of(encoded)], []).append(row)
    return dict(sorted(rows.items()))


async def gather_all(calls: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    """All results in order; after the first failure the other calls are cancelled."""
    if len(calls) == 1:
        return [await calls[0]]
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
