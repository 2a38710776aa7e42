"""The gateway process: settings, service objects, REST, and a graceful end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from hanax.core.settings import GatewaySettings
from hanax.gateway.rest.app import build_app
from hanax.gateway.services import Services
from hanax.runtime.catalog_folder import CatalogFolder
from hanax.runtime.lifecycle import Shutdown
from hanax.runtime.logs import configure_logs

log = structlog.get_logger()


def main() -> int:
    """Serve until told to stop. 0: drained; 1: could not start, the log says why."""
    settings = GatewaySettings()
    configure_logs("gateway", settings.log_level)
    shutdown = Shutdown(settings.parent_pid)
    services = Services(
        settings, CatalogFolder(settings.catalog_dir), time.monotonic, lambda: time.time_ns() // 1000
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with services.running(settings.routing_file):
            yield

    server = _Server(
        uvicorn.Config(
            build_app(services, settings.max_inflight, lifespan),
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
            timeout_graceful_shutdown=max(1, round(settings.drain_grace_s)),
        ),
        shutdown,
    )
    services.metrics.count_connections(lambda: len(server.server_state.connections))
    socket = server.config.bind_socket()
    log.info("listening", host=settings.gateway_host, port=socket.getsockname()[1])
    server.run(sockets=[socket])
    log.info("stopped")
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    """Ends when `shutdown` is due. Signals are not uvicorn's here: it would raise them again at the
    end, and a drained process would look killed.
    """

    def __init__(self, config: uvicorn.Config, shutdown: Shutdown) -> None:
        super().__init__(config)
        self._shutdown = shutdown

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._shutdown.due()
