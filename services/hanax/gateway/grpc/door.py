"""The server of the gRPC door: its methods, and its life beside REST in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from citadel.vector.v1 import vector_pb2 as pb
from hanax.gateway.grpc.collections import change_aliases, create_collection, get_collection
from hanax.gateway.grpc.edge import Edge, Streamed, Unary
from hanax.gateway.grpc.embeddings import generate_embedding
from hanax.gateway.grpc.health import Health
from hanax.gateway.grpc.points import insert_vectors, scroll_vectors
from hanax.gateway.services import Services
from hanax.rpc.async_servers import AsyncRpcServer

if TYPE_CHECKING:
    from hanax.gateway.grpc.edge import Handler

log = structlog.get_logger()

SERVICE: Final = pb.DESCRIPTOR.services_by_name["VectorService"].full_name

# Beside those who work and those who are away: for health, and to tell those who are too many.
_MORE_CALLS: Final = 1_024


class GrpcDoor:
    def __init__(self, services: Services, grace_s: float) -> None:
        """grace_s: what running calls get at the end. Made in the event loop that serves."""
        self._edge = Edge(services.places, services.metrics, services.clock)
        self._health = Health(services.readiness, SERVICE)
        self._grace_s = grace_s
        self._draining: asyncio.Task[None] | None = None
        self._server = AsyncRpcServer(services.places.most_in_all + _MORE_CALLS)
        self._server.add(SERVICE, _handlers(self._edge, services))
        add_HealthServicer_to_server(self._health, self._server.registry)

    async def start(self, host: str, port: int) -> None:
        """Raises OSError where it can't listen."""
        port = self._server.listen(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        await self._server.start()
        log.info("listening over gRPC", host=host, port=port)

    def begin_drain(self) -> None:
        """Refuse new calls from now on, and let running ones end."""
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain())

    async def drain(self) -> None:
        """As `begin_drain`, until all have ended."""
        self.begin_drain()
        if self._draining is not None:
            await self._draining

    async def _drain(self) -> None:
        self._health.leaving.set()
        await self._server.drain(self._grace_s)
        await self._edge.close(self._grace_s)


def _handlers(edge: Edge, services: Services) -> dict[str, Handler]:
    unary: Mapping[str, Unary[Any, Any]] = {
        "GenerateEmbedding": generate_embedding(services.generation),
        "InsertVectors": insert_vectors(services.points),
        "CreateCollection": create_collection(services.collections),
        "GetCollection": get_collection(services.collections),
        "ChangeAliases": change_aliases(services.aliases),
    }
    streamed: Mapping[str, Streamed[Any, Any]] = {"ScrollVectors": scroll_vectors(services.queries)}
    handlers = {name: edge.unary(name, method) for name, method in unary.items()}
    return handlers | {name: edge.streamed(name, method) for name, method in streamed.items()}
