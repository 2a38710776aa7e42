"""One stack for the tests that leave it as they found it; the hash embedder beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.stack import (
    Stack,
    free_port,
    running_shards,
    running_stack,
)
from tests.integration.waiting import wait_until


def _serving(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.ServingStatus.SERVING)


@pytest.fixture(scope="session")
def hash_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRoute]:
    """A real embedder process whose vectors carry no meaning, but words in common."""
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
        wait_until("the embedder", lambda: process.poll() is not None or _serving(address))
        assert process.poll() is None, log.read_text()
        yield ModelRoute(name="hash-384", dimension=384, max_tokens=8_192, endpoints=(address,))
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), (hash_model,)) as running:
        yield running


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Stack]:
    with running_shards(tmp_path_factory.mktemp("shards"), (hash_model,)) as running:
        yield running


@pytest.fixture(params=["memory", "shards"])
def either(request: pytest.FixtureRequest) -> Stack:
    """The same gateway on nodes of a dictionary, and on the engine: users see no difference."""
    found: Stack = request.getfixturevalue("stack" if request.param == "memory" else "shards")
    return found


@pytest.fixture(scope="session")
def bad(stack: Stack) -> Stack:
    """With collections for requests that are refused."""
    stack.create("bad")
    stack.create("bad-texts", dimension=384, embedding_model="hash-384")
    stack.create("bad-dot", metric="dot")
    return stack


@pytest.fixture
def unwritten(bad: Stack) -> Iterator[Stack]:
    """Fails when a write reached a node, or a collection was declared or changed."""
    writes, declared = bad.writes, _declared(bad)
    yield bad
    assert bad.writes == writes
    assert _declared(bad) == declared


def _declared(stack: Stack) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (stack.folder / "catalog").iterdir()}
