"""A gateway with all its parts, and the client over each transport, synchronous and asynchronous."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest

from hanax.core.model_routes import ModelRoute
from hxp_vector_client import AsyncVectorClient, VectorClient
from tests.integration.gateway.processor import job_settings, running_processor
from tests.integration.gateway.stack import Stack, running_shards
from tests.integration.hash_embedder import HASH_MODEL, running_hash_embedder

MODEL = HASH_MODEL
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


@pytest.fixture(scope="package")
def embedder() -> Iterator[ModelRoute]:
    with running_hash_embedder() as route:
        yield route


@pytest.fixture(scope="package")
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
