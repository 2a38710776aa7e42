"""A gateway process in front of memory nodes, with a reconciler that plans as the local stack does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson

from hanax.core.model_routes import ModelRoute
from hanax.core.routing import NodeRoute, RoutingTable
from hanax.local.controller import Controller
from tests.integration.gateway.memory_node import MemoryNode
from tests.integration.waiting import wait_until

_PATIENCE_S = 20.0


class Node(Protocol):
    name: str
    address: str


class ShardProcess:
    """`python -m hanax.index_shard`, on the engine."""

    def __init__(self, name: str, folder: Path, **settings: object) -> None:
        self.name = name
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        variables = {
            "HANAX_NODE_NAME": name,
            "HANAX_SHARD_PORT": str(port),
            "HANAX_SHARD_METRICS_PORT": "0",
            "HANAX_SHARD_WIRES_PORT": "0",
            "HANAX_ROUTING_FILE": str(folder / "routing.json"),
            "HANAX_DATA_DIR": str(folder / name),
        } | {f"HANAX_{key.upper()}": str(value) for key, value in settings.items()}
        self._variables = variables
        self.log = folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        """On the same port, with the same data."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hanax.index_shard"],
                env={**os.environ, **self._variables},
                stderr=log,
                stdout=log,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(_PATIENCE_S)


class Reconciler:
    """Catalog in, routing file out, by the local stack's controller in a thread. `paused` leaves the table
    as it is.
    """

    def __init__(
        self,
        catalog: Path,
        routing_file: Path,
        nodes: Sequence[Node],
        models: tuple[ModelRoute, ...] = (),
    ) -> None:
        catalog.mkdir(parents=True, exist_ok=True)

        def places() -> tuple[NodeRoute, ...]:
            return tuple(NodeRoute(name=node.name, address=node.address) for node in nodes)

        self._controller = Controller(catalog, routing_file, places, time.monotonic)
        self._controller.models = models
        self.paused = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="reconciler")
        self._controller.reconcile()
        self._thread.start()

    @property
    def table(self) -> RoutingTable:
        return self._controller.table

    @property
    def models(self) -> tuple[ModelRoute, ...]:
        return self._controller.models

    @models.setter
    def models(self, models: tuple[ModelRoute, ...]) -> None:
        self._controller.models = models

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(0.02):
            if not self.paused.is_set():
                self._controller.reconcile()


class GatewayProcess:
    """`python -m hanax.gateway` on a free port, its log in a file."""

    module = "hanax.gateway"

    def __init__(self, folder: Path, **settings: object) -> None:
        self.log = folder / "gateway.log"
        variables = {
            "HANAX_GATEWAY_PORT": "0",
            "HANAX_GATEWAY_GRPC_PORT": "0",
            "HANAX_ROUTING_FILE": str(folder / "routing.json"),
            "HANAX_CATALOG_DIR": str(folder / "catalog"),
        } | {f"HANAX_{name.upper()}": str(value) for name, value in settings.items()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                env={**os.environ, **variables},
                stderr=log,
                stdout=log,
            )
        try:
            wait_until("the gateway listens", self._find_port)
        except BaseException:
            self.close()
            raise

    def _find_port(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        for event in self.events():
            if event.get("event") == "listening":
                self.port = event["port"]
                return True
        return False

    @property
    def grpc_address(self) -> str:
        """Where it listens over gRPC, once it does."""

        def listens() -> bool:
            return any(event.get("event") == "listening over gRPC" for event in self.events())

        wait_until("the gateway listens over gRPC", listens)
        ports = [event["port"] for event in self.events() if event.get("event") == "listening over gRPC"]
        return f"127.0.0.1:{ports[-1]}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_bytes().split(b"\n")[:-1]
        return [orjson.loads(line) for line in lines if line.startswith(b"{")]

    def end(self) -> int:
        """Ask it to end, and return its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@dataclass
class Stack:
    """`nodes` are the memory nodes, or `processes` the shard processes."""

    folder: Path
    gateway: GatewayProcess
    nodes: list[MemoryNode]
    reconciler: Reconciler
    client: httpx.Client
    processes: list[ShardProcess] = field(default_factory=list)

    @property
    def writes(self) -> int:
        return sum(node.writes for node in self.nodes)

    def post(self, path: str, body: object) -> httpx.Response:
        return self.client.post(path, json=body)

    def data(self, answer: httpx.Response) -> Any:
        """The data of a success."""
        body = answer.json()
        assert answer.is_success, body
        assert body["success"] is True
        assert body["error"] is None
        return body["data"]

    def create(self, name: str, **spec: object) -> Any:
        return self.data(self.post("/api/v1/collections", {"name": name, "dimension": 3, "shards": 2} | spec))

    def insert(self, name: str, points: list[dict[str, Any]]) -> Any:
        body = {"collection": name, "vectors": points}
        return self.data(self.post("/api/v1/vectors/insert", body))


@contextmanager
def running_stack(folder: Path, models: tuple[ModelRoute, ...] = (), **settings: object) -> Iterator[Stack]:
    """A gateway with these settings on two memory nodes."""
    with ExitStack() as opened:
        nodes = [MemoryNode("node-a"), MemoryNode("node-b")]
        for node in nodes:
            opened.callback(node.stop)
        stack = opened.enter_context(_gateway_on(folder, nodes, models, settings))
        stack.nodes = nodes
        yield stack


@contextmanager
def running_shards(folder: Path, models: tuple[ModelRoute, ...] = (), **settings: object) -> Iterator[Stack]:
    """A gateway on two shard processes, all with these settings."""
    with ExitStack() as opened:
        processes = [ShardProcess(name, folder, **settings) for name in ("node-a", "node-b")]
        for process in processes:
            opened.callback(process.close)
        stack = opened.enter_context(_gateway_on(folder, processes, models, settings))
        stack.processes = processes
        yield stack


@contextmanager
def _gateway_on(
    folder: Path,
    nodes: Sequence[Node],
    models: tuple[ModelRoute, ...],
    settings: Mapping[str, object],
) -> Iterator[Stack]:
    with ExitStack() as opened:
        reconciler = Reconciler(folder / "catalog", folder / "routing.json", nodes, models)
        opened.callback(reconciler.close)
        gateway = GatewayProcess(folder, **settings)
        opened.callback(gateway.close)
        client = opened.enter_context(httpx.Client(base_url=gateway.url, timeout=30.0))

        def ready() -> bool:
            body = client.get("/ready").json()
            return body["success"] and set(body["data"]["models"]) == {
                m.name for m in models if not m.external
            }

        wait_until("the gateway is ready", ready)
        yield Stack(folder, gateway, [], reconciler, client)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
