"""The server of the gRPC door: its services, and its life beside REST in one event loop."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from citadel.vector.v1 import (
    jobs_pb2,
    keys_pb2,
    libraries_pb2,
    models_pb2,
    platform_pb2,
    vector_pb2,
)
from hanax.gateway.grpc.aliases import alias_methods
from hanax.gateway.grpc.changes import change_methods
from hanax.gateway.grpc.collections import collection_methods
from hanax.gateway.grpc.documents import chunk_methods, document_methods
from hanax.gateway.grpc.edge import Edge
from hanax.gateway.grpc.embeddings import embedding_methods
from hanax.gateway.grpc.health import Health
from hanax.gateway.grpc.jobs import job_methods
from hanax.gateway.grpc.keys import key_methods
from hanax.gateway.grpc.libraries import library_methods
from hanax.gateway.grpc.methods import Methods
from hanax.gateway.grpc.models import model_methods
from hanax.gateway.grpc.platform import platform_methods
from hanax.gateway.grpc.points import insert_methods
from hanax.gateway.grpc.reads import read_methods
from hanax.gateway.grpc.reflection import Reflection
from hanax.gateway.grpc.searches import search_methods
from hanax.gateway.grpc.values import value_methods
from hanax.gateway.services import Services
from hanax.rpc.async_servers import AsyncRpcServer

log = structlog.get_logger()

# Beside those who work and those who are away: for health, and to tell those who are too many.
_MORE_CALLS: Final = 1_024


class GrpcDoor:
    def __init__(self, services: Services, grace_s: float, shares_port: bool) -> None:
        """grace_s: what running calls get at the end. shares_port: with other gateways of this machine. Made
        in the event loop that serves.
        """
        self._edge = Edge(services)
        methods_by_service = services_of(services)
        self._health = Health(services.readiness, methods_by_service)
        self._grace_s = grace_s
        self._draining: asyncio.Task[None] | None = None
        self._server = AsyncRpcServer(services.places.most_in_all + _MORE_CALLS, shares_port)
        for service, methods in methods_by_service.items():
            handlers = {name: self._edge.handler(name, method) for name, method in methods.items()}
            self._server.add(service, handlers)
        add_HealthServicer_to_server(self._health, self._server.registry)
        # Who has no stubs asks for the messages.
        told = (*methods_by_service, HEALTH, REFLECTION)
        add_ServerReflectionServicer_to_server(Reflection(told), self._server.registry)

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
        self._edge.leave()
        await self._server.drain(self._grace_s)
        await self._edge.close(self._grace_s)


def services_of(services: Services) -> dict[str, Methods]:
    """The methods of each service, by its full name."""
    return {
        _full_name(vector_pb2, "VectorService"): {
            **embedding_methods(services.generation),
            **insert_methods(services.points, services.insert_streams),
            **read_methods(services.queries),
            **change_methods(services.points, services.metadata_changes),
            **search_methods(services.searches, services.group_searches),
            **value_methods(services.aggregates),
            **collection_methods(services.collections),
            **alias_methods(services.aliases),
        },
        _full_name(jobs_pb2, "JobService"): job_methods(
            services.jobs, services.submissions, services.job_store, services.followers
        ),
        _full_name(libraries_pb2, "LibraryService"): {
            **library_methods(services.libraries),
            **document_methods(services.libraries),
            **chunk_methods(services.libraries),
        },
        _full_name(models_pb2, "ModelService"): model_methods(services.models, services.reranking),
        _full_name(keys_pb2, "KeyService"): key_methods(services.api_keys),
        _full_name(platform_pb2, "PlatformService"): platform_methods(
            services.history, services.cache, services.warming
        ),
    }


def _full_name(file: Any, service: str) -> str:
    name: str = file.DESCRIPTOR.services_by_name[service].full_name
    return name
