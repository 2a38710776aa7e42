"""Reads of shards that have several copies, shared over the nodes that hold them.

What is known of a node counts for every shard that it has a copy of. A shard with one copy has
nothing to choose from, and does not come here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanax.core.errors import Unavailable
from hanax.core.model_routes import Breaker, ModelEndpoint
from hanax.core.routing import RoutingTable
from hanax.gateway.balancing.attempts import Attempt
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.balancing.prober import Prober
from hanax.rpc.channels import Channels
from hanax.rpc.errors import error_from_call

T = TypeVar("T")

_POOL_NAME: Final = "index_shards"
# Of a request's time: a copy that hangs leaves as much to another.
_ATTEMPT_SHARE: Final = 0.5
# A node that restarts is back within seconds, and one trial costs a read that goes elsewhere next.
_BREAKER: Final = Breaker(failures=5, open_s=1.0)
# The gateway admits few requests itself, each with at most a question to every shard of a collection.
_INFLIGHT: Final = 65_536


class Replicas:
    """`clock` is in seconds, as deadlines are. `request_timeout_s`: what a request gets in all."""

    def __init__(self, channels: Channels, request_timeout_s: float, clock: Callable[[], float]) -> None:
        self._channels = channels
        self._options = PoolOptions(
            policy="least_connections",
            breaker=_BREAKER,
            rate=None,
            max_attempts=None,
            attempt_timeout_s=request_timeout_s * _ATTEMPT_SHARE,
            hedge_after_s=None,
            max_inflight=_INFLIGHT,
            max_waiting=_INFLIGHT,
        )
        self.pool = Pool(_POOL_NAME, self._options, clock)
        self._prober = Prober(self.pool, self._probe, random.Random())
        self._followed: RoutingTable | None = None

    def follow(self, table: RoutingTable) -> None:
        """Know the nodes that hold one of several copies, and probe them. Called in the event loop."""
        if table is self._followed:
            return
        self._followed = table
        nodes = {
            node
            for route in table.collections
            for shard in route.shards
            if len(shard.replicas) > 1
            for node in shard.replicas
        }
        endpoints = [ModelEndpoint(address=node.address) for node in table.nodes if node.name in nodes]
        self.pool.follow(endpoints, self._options)
        if endpoints:
            self._prober.start()
        else:
            self._prober.close()

    async def read(
        self, table: RoutingTable, nodes: Sequence[str], attempt: Attempt[T], deadline: float
    ) -> T:
        """What `attempt(address, timeout_s)` answers at one of the nodes. Raises as `Pool.run`."""
        # The table may be in force before it is announced.
        self.follow(table)
        address_by_node = table.address_by_node
        addresses = [address_by_node[node] for node in nodes if node in address_by_node]
        if not addresses:
            raise Unavailable(f"nodes {', '.join(nodes)} have left the routing table")
        return await self.pool.run(attempt, deadline, among=addresses)

    def close(self) -> None:
        self._prober.close()

    async def _probe(self, address: str, timeout_s: float) -> None:
        stub = health_pb2_grpc.HealthStub(self._channels.get(address))
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
        if answer.status != health_pb2.HealthCheckResponse.ServingStatus.SERVING:
            raise Unavailable("answers that it is not ready")
