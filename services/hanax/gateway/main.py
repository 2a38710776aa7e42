"""The gateway process: settings, service objects, REST and gRPC, and a graceful end."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI

from hanax.core.errors import FailedPrecondition, HanaxError
from hanax.core.settings import GatewaySettings
from hanax.gateway.collections import Catalog
from hanax.gateway.grpc.door import GrpcDoor
from hanax.gateway.listeners import rest_sockets
from hanax.gateway.rest.app import build_app
from hanax.gateway.services import Services
from hanax.runtime.allocator import keep_freed_memory
from hanax.runtime.catalog_folder import CatalogFolder
from hanax.runtime.collector import spare_what_is_there
from hanax.runtime.files import allow_many_files
from hanax.runtime.lifecycle import Shutdown
from hanax.runtime.logs import configure_logs
from hanax.runtime.routing_source import routing_source

log = structlog.get_logger()

# While a thread parses a large batch, the event loop waits a whole switch interval for the GIL at
# every turn: 5 ms by default. Searches beside bulk inserts on two busy cores: p95 53 to 69 ms with
# that, 31 to 42 ms with this.
_SWITCH_INTERVAL_S: Final = 0.0005


# Longer than the minute after which pools of clients and load balancers let go of a connection themselves: a
# server that is the first to would close one that a request is on its way on.
_KEEP_ALIVE_S: Final = 75


def main() -> int:
    """Serve until told to stop. 0: drained; 1: could not start, the log says why."""
    settings = GatewaySettings()
    configure_logs("gateway", settings.log_level)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    keep_freed_memory()
    allow_many_files()
    shutdown = Shutdown(settings.parent_pid)
    try:
        services = Services(settings, _catalog(settings), time.monotonic, lambda: time.time_ns() // 1000)
        source = routing_source(settings, services.routing.apply)
    except HanaxError as error:
        log.error("not started", error=error.message)
        return 1

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with services.running(source), _grpc_door(services, settings, server):
            spare_what_is_there()
            yield

    server = _Server(
        uvicorn.Config(
            build_app(services, lifespan),
            host=settings.gateway_host,
            port=settings.gateway_port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(settings.drain_grace_s)),
        ),
        shutdown,
    )
    server.at_shutdown.append(services.followers.end)
    server.at_shutdown.append(services.insert_streams.end)
    services.metrics.count_connections(lambda: len(server.server_state.connections))
    try:
        listeners = rest_sockets(settings)
    except OSError as error:
        log.error("not started", error=f"cannot listen: {error}")
        return 1
    if len(listeners) == 1:
        # Now, so that what the log says is true: the server itself listens only when all is started. Where
        # others share the port, connections that this one is not ready for had better be theirs.
        listeners[0].listen(server.config.backlog)
    log.info("listening", host=settings.gateway_host, port=listeners[0].getsockname()[1])
    server.run(sockets=listeners)
    log.info("stopped")
    return 0 if server.started else 1


def _catalog(settings: GatewaySettings) -> Catalog:
    """Raises FailedPrecondition for a cluster's, where there is none."""
    if settings.catalog == "folder":
        return CatalogFolder(settings.catalog_dir)
    # One machine has no client of the Kubernetes API, and need not wait for its import.
    from hanax.runtime.cluster.api_server import ApiServer
    from hanax.runtime.cluster.catalog import ClusterCatalog

    if not settings.aliases_configmap:
        raise FailedPrecondition("HANAX_ALIASES_CONFIGMAP is not set: a catalog in the cluster needs it")
    return ClusterCatalog(ApiServer.find(settings.namespace).client(), settings.aliases_configmap)


@asynccontextmanager
async def _grpc_door(services: Services, settings: GatewaySettings, server: _Server) -> AsyncIterator[None]:
    """Open from now on, drained when REST is."""
    if settings.gateway_grpc_port == "off":
        yield
        return
    door = GrpcDoor(services, settings.drain_grace_s, shares_port=bool(settings.gateway_worker_ports))
    try:
        await door.start(settings.gateway_host, settings.gateway_grpc_port)
    except OSError as error:
        log.error("not started", error=str(error))
        raise
    server.at_shutdown.append(door.begin_drain)
    try:
        yield
    finally:
        await door.drain()


class _Server(uvicorn.Server):
    """Ends when `shutdown` is due. Signals are not uvicorn's here: it would raise them again at the
    end, and a drained process would look killed.
    """

    def __init__(self, config: uvicorn.Config, shutdown: Shutdown) -> None:
        super().__init__(config)
        self._shutdown = shutdown
        # Told when new requests are no longer taken, before those in progress have ended.
        self.at_shutdown: list[Callable[[], None]] = []

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._shutdown.due()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for tell in self.at_shutdown:
            tell()
        await super().shutdown(sockets)
