"""The gateways of the local stack: several share the ports for clients, so that more than one core serves.

The kernel divides new connections over those that listen. Each has a port on loopback besides, where it alone
is asked how it is: at a shared port anyone might answer.
"""

from __future__ import annotations

import os
from typing import Final

import orjson

from hanax.core.settings import LocalSettings
from hanax.local.controller import Controller
from hanax.local.health import Health, Probe, http_probe
from hanax.local.layout import Layout, metadata_variables
from hanax.local.ports import LOOPBACK, PortBook, PortNeed, join, reachable
from hanax.local.reranking import check_rerank_model, rerank_variables
from hanax.local.service_keys import service_key_variables
from hanax.local.worker import Launch, Service, module_command

GATEWAY: Final = "gateway"
EMBEDDER: Final = "embedder"

_GRPC: Final = "gateway-grpc"
_STAGE: Final = 1


def gateway_names(workers: int) -> list[str]:
    return [GATEWAY, *(f"{GATEWAY}-{number}" for number in range(2, workers + 1))]


def rest_address(settings: LocalSettings, book: PortBook) -> str:
    """Where clients of this machine reach the gateways, once their ports are claimed."""
    return join(reachable(settings.gateway_host), settings.gateway_port or book.ports()[GATEWAY])


def grpc_address(settings: LocalSettings, book: PortBook) -> str:
    return join(reachable(settings.gateway_host), settings.gateway_grpc_port or book.ports()[_GRPC])


def gateway_services(
    settings: LocalSettings, layout: Layout, book: PortBook, controller: Controller
) -> list[Service]:
    """Raises InvalidArgument for a cross-encoder that they could not call."""
    check_rerank_model(os.environ, settings.embedder_rerank_model)
    names = gateway_names(settings.gateway_workers)
    shared = len(names) > 1
    rest = PortNeed(GATEWAY, settings.gateway_host, settings.gateway_port, shared)
    grpc = PortNeed(_GRPC, settings.gateway_host, settings.gateway_grpc_port, shared)
    environment = {
        "HANAX_GATEWAY_HOST": settings.gateway_host,
        "HANAX_ROUTING_FILE": str(layout.routing_file),
        "HANAX_CATALOG_DIR": str(layout.catalog),
        **metadata_variables(settings, layout),
        **service_key_variables(os.environ, layout.service_key),
    }

    def service(name: str) -> Service:
        def launch(ports: tuple[int, ...]) -> Launch:
            rest_port, grpc_port, *own = ports
            claimed = book.ports()
            others = [claimed[_own(other)] for other in names if other != name and _own(other) in claimed]
            variables = {
                **environment,
                "HANAX_GATEWAY_PORT": str(rest_port),
                "HANAX_GATEWAY_GRPC_PORT": str(grpc_port),
                "HANAX_GATEWAY_WORKER_PORTS": orjson.dumps([*own, *others] if own else []).decode(),
                **rerank_variables(
                    os.environ, settings.embedder_rerank_model, join(LOOPBACK, claimed[EMBEDDER])
                ),
            }
            host, port = (LOOPBACK, own[0]) if own else (reachable(settings.gateway_host), rest_port)
            command = module_command("hanax.gateway")
            return Launch(command, variables, join(host, port), _probe(host, port, controller))

        own = (PortNeed(_own(name)),) if shared else ()
        return Service(name, _STAGE, (rest, grpc, *own), launch)

    return [service(name) for name in names]


def _own(name: str) -> str:
    """Its own port, in the book."""
    return f"{name}-own"


def _probe(host: str, port: int, controller: Controller) -> Probe:
    """Ready when the gateway is, and knows the models that run here, as the routing table names them."""

    def knows_models(body: bytes) -> bool:
        try:
            told = orjson.loads(body)["data"]["models"]
        except (ValueError, KeyError, TypeError):
            return False  # another program has the port
        models = [model for model in controller.table.models if not model.external]
        return bool(models) and all(model.name in told for model in models)

    is_ready = http_probe(host, port, "/ready", knows_models)
    was_ready = False

    async def ask(timeout_s: float) -> Health:
        nonlocal was_ready
        # It keeps what it found for a second: asked too early, it would be late to be ready.
        if not was_ready and not controller.is_settled():
            return Health.NOT_YET
        health = await is_ready(timeout_s)
        was_ready = was_ready or health is Health.READY
        return health

    return ask
