"""A gateway with all its parts, and the client over each transport, synchronous and asynchronous."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanax.core.model_routes import ModelRoute
from hxp_vector_client import AsyncVectorClient, VectorClient
from tests.integration.gateway.processor import job_settings, running_processor
from tests.integration.gateway.stack import Stack, free_port, running_shards
from tests.integration.waiting import wait_until

MODEL = "hash-384"
TRANSPORTS = ("rest", "grpc", "graphql")


class Client:
    """Either client, awaited: what a call answers, and all that an iterator gives."""

    def __init__(self, plain: VectorClient | AsyncVectorClient, transport: str) -> None:
        self.plain: Any = plain
        self.transport = transport

    async def __call__(self, path: str, *args: Any, **named: Any) -> Any:
        """client("collections.create", ...) is client.collections.create(...)."""
        target = self.plain
        for name in path.split("."):
            target = getattr(target, name)
        answer = target(*args, **named)
        if inspect.isasyncgen(answer):
            return [one async for one in answer]
        if inspect.isgenerator(answer):
            return list(answer)
        return await answer if inspect.isawaitable(answer) else answer

    def options(self, **settings: Any) -> Client:
        return Client(self.plain.options(**settings), self.transport)


def url_of(stack: Stack, transport: str) -> str:
    return stack.gateway.grpc_address if transport == "grpc" else stack.gateway.url


def open_client(stack: Stack, transport: str, waits: str, **named: Any) -> Client:
    kind = AsyncVectorClient if waits == "async" else VectorClient
    plain = kind(url_of(stack, transport), transport=cast(Any, transport), **named)
    return Client(plain, transport)


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRoute]:
    """A real embedder whose vectors carry no meaning, but words in common."""
    port = free_port()
    variables = {
        "HANAX_EMBEDDER_PORT": str(port),
        "HANAX_EMBEDDER_METRICS_PORT": "0",
        "HANAX_EMBEDDER_BACKEND": "hash",
    }
    log = tmp_path_factory.mktemp("embedder") / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "hanax.embedder"],
            env={**os.environ, **variables},
            stderr=file,
            stdout=file,
        )
    try:
        address = f"127.0.0.1:{port}"
        wait_until("the embedder", lambda: process.poll() is not None or _serves(address))
        assert process.poll() is None, log.read_text()
        yield ModelRoute(name=MODEL, dimension=384, max_tokens=8_192, endpoints=(address,))
    finally:
        process.kill()
        process.wait()


def _serves(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.ServingStatus.SERVING)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, embedder: ModelRoute) -> Iterator[Stack]:
    """Shards, a gateway with a database, a model, and who does jobs."""
    folder = tmp_path_factory.mktemp("sdk")
    with (
        running_shards(folder, (embedder,), **job_settings(folder)) as stack,
        running_processor(stack),
    ):
        yield stack


@pytest.fixture(params=[f"{waits}-{name}" for name in TRANSPORTS for waits in ("sync", "async")])
async def client(request: pytest.FixtureRequest, service: Stack) -> AsyncIterator[Client]:
    waits, transport = request.param.split("-")
    opened = open_client(service, transport, waits)
    try:
        yield opened
    finally:
        await opened("close")


@pytest.fixture
def name() -> str:
    """Of a collection that no other test has."""
    return f"c-{uuid.uuid4().hex[:12]}"
