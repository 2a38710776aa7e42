"""The services of the local stack: what each is started with, and how they find one another.

Stage 0 is the embedder and the shards, stage 1 the gateways, stage 2 the batch-processor. The supervisor
writes the routing table before it starts anything, and takes the models from the embedder whenever that
answers.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping

import grpc
import structlog
from grpc import aio

from citadel.vector.v1 import embedder_pb2, embedder_pb2_grpc
from hanax.core.errors import DataLoss
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import NodeRoute
from hanax.core.settings import LocalSettings
from hanax.local.controller import Controller
from hanax.local.gateways import EMBEDDER, gateway_services, grpc_address, rest_address
from hanax.local.health import Health, Probe, grpc_probe, http_probe
from hanax.local.layout import Layout, metadata_variables
from hanax.local.models import LocalModels
from hanax.local.ports import LOOPBACK, PortBook, PortNeed, join
from hanax.local.service_keys import service_key_variables
from hanax.local.state import ProcessRef, StackState, read_state, write_state
from hanax.local.supervisor import Supervisor
from hanax.local.worker import Launch, Service, Timing, module_command
from hanax.rpc.channels import CHANNEL_OPTIONS
from hanax.runtime.lifecycle import Shutdown

log = structlog.get_logger()

BATCH = "batch-processor"

# Beyond the services' own drain: interpreters take a moment to end.
_STOP_MARGIN_S = 5.0

Learn = Callable[[Iterable[embedder_pb2.ServedModel], str], None]


class Stack:
    """One data directory's services and its controller. Create it while holding the lock."""

    def __init__(self, settings: LocalSettings, layout: Layout) -> None:
        """Raises DataLoss when the routing file is damaged, or gone while there is data, and InvalidArgument
        for a file of models that can't be read.
        """
        self._settings = settings
        self._layout = layout
        left = read_state(layout.state_file)
        self._book = PortBook(left.ports if left is not None else {})
        if not layout.routing_file.exists() and any(layout.shards.glob("*/collections/*")):
            raise DataLoss(
                f"{layout.routing_file} is missing though there is data: it names the places of "
                "all data; restore it from a copy"
            )
        self._controller = Controller(layout.catalog, layout.routing_file, self._nodes, time.monotonic)
        self._models = LocalModels(settings, self._take_models)
        self._shards = [f"shard-{number}" for number in range(settings.shards)]
        self._supervisor = Supervisor(
            [
                embedder_service(self._models.embedder_variables, self._models.learn),
                *(shard_service(name, layout) for name in self._shards),
                *gateway_services(settings, layout, self._book, self._controller),
                batch_service(settings, layout, self._book),
            ],
            self._book,
            layout,
            Timing(stop_grace_s=settings.drain_grace_s + _STOP_MARGIN_S),
            self._publish,
        )
        self._myself = ProcessRef.of(os.getpid())

    async def run(self, shutdown: Shutdown) -> None:
        """Run until `shutdown`.

        Raises FailedPrecondition when a port is taken, or a node that holds data is not among
        the ones to start.
        """
        self._supervisor.claim_ports()
        addresses = {state.name: state.address for state in self._supervisor.states()}
        self._models.remember(self._controller.table.models, addresses[EMBEDDER])
        self._controller.reconcile()
        self._publish()
        following = [asyncio.create_task(one.follow()) for one in (self._controller, self._models)]
        try:
            await self._supervisor.run(asyncio.to_thread(shutdown.wait))
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            self._publish()

    def _nodes(self) -> tuple[NodeRoute, ...]:
        addresses = {state.name: state.address for state in self._supervisor.states()}
        return tuple(NodeRoute(name=name, address=addresses[name]) for name in self._shards)

    def _take_models(self, models: tuple[ModelRoute, ...]) -> None:
        self._controller.models = models

    def _publish(self) -> None:
        services = self._supervisor.states()
        state = StackState(
            supervisor=self._myself,
            api_url=f"http://{rest_address(self._settings, self._book)}",
            services=services,
            ports=self._book.ports(),
        )
        try:
            write_state(self._layout.state_file, state)
        except OSError as error:
            log.error("state file not written", error=str(error))


def embedder_service(variables: Mapping[str, str], learn: Learn) -> Service:
    """`learn` is told the served models, and where, whenever the embedder is found ready."""

    def launch(ports: tuple[int, ...]) -> Launch:
        port, metrics_port = ports
        environment = {
            "HANAX_EMBEDDER_HOST": LOOPBACK,
            "HANAX_EMBEDDER_PORT": str(port),
            "HANAX_EMBEDDER_METRICS_PORT": str(metrics_port),
            **variables,
        }
        address = join(LOOPBACK, port)
        return Launch(module_command("hanax.embedder"), environment, address, _embedder_probe(address, learn))

    return Service(EMBEDDER, 0, (PortNeed(EMBEDDER), PortNeed("embedder-metrics")), launch, yields=True)


def shard_service(name: str, layout: Layout) -> Service:
    def launch(ports: tuple[int, ...]) -> Launch:
        port, metrics_port = ports
        environment = {
            "HANAX_NODE_NAME": name,
            "HANAX_SHARD_HOST": LOOPBACK,
            "HANAX_SHARD_PORT": str(port),
            "HANAX_SHARD_METRICS_PORT": str(metrics_port),
            # Gateways are told of it.
            "HANAX_SHARD_WIRES_PORT": "0",
            "HANAX_ROUTING_FILE": str(layout.routing_file),
            "HANAX_DATA_DIR": str(layout.shards / name),
        }
        address = join(LOOPBACK, port)
        return Launch(module_command("hanax.index_shard"), environment, address, grpc_probe(address))

    return Service(name, 0, (PortNeed(name), PortNeed(f"{name}-metrics")), launch, yields=True)


def batch_service(settings: LocalSettings, layout: Layout, book: PortBook) -> Service:
    """book: with the gateway's port, which is claimed before anything starts."""

    def launch(ports: tuple[int, ...]) -> Launch:
        (metrics_port,) = ports
        environment = {
            "HANAX_BATCH_METRICS_HOST": LOOPBACK,
            "HANAX_BATCH_METRICS_PORT": str(metrics_port),
            "HANAX_GATEWAY_ADDRESS": grpc_address(settings, book),
            **metadata_variables(settings, layout),
            **service_key_variables(os.environ, layout.service_key),
        }
        address = join(LOOPBACK, metrics_port)
        probe = http_probe(LOOPBACK, metrics_port, "/ready", lambda body: True)
        return Launch(module_command("hanax.batch_processor"), environment, address, probe)

    return Service(BATCH, 2, (PortNeed(BATCH),), launch, yields=True)


def _embedder_probe(address: str, learn: Learn) -> Probe:
    is_serving = grpc_probe(address)

    async def ask(timeout_s: float) -> Health:
        health = await is_serving(timeout_s)
        if health is Health.READY:
            try:
                learn(await _list_models(address, timeout_s), address)
            except aio.AioRpcError as failure:
                busy = failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                return Health.READY if busy else Health.SILENT
        return health

    return ask


async def _list_models(address: str, timeout_s: float) -> Iterable[embedder_pb2.ServedModel]:
    async with aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        answer = await stub.ListModels(embedder_pb2.ListModelsRequest(), timeout=timeout_s)
    return answer.models
