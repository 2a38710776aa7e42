"""The service of the stacks that the gateway's other tests use."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.gateway.vector_service.client import channel_to, connected


@pytest.fixture
def service(either: Stack) -> Iterator[VectorServiceStub]:
    """Of `either`."""
    with connected(either) as stub:
        yield stub


@pytest.fixture
def engine_service(shards: Stack) -> Iterator[VectorServiceStub]:
    """Of `shards`: nodes of a dictionary do not answer all."""
    with connected(shards) as stub:
        yield stub


@pytest.fixture(scope="package")
def kept_stack(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Stack]:
    """With a metadata database: jobs, which nobody does, and libraries."""
    folder = tmp_path_factory.mktemp("kept")
    settings = {
        "database_url": f"sqlite:///{folder / 'metadata.db'}",
        "database_timeout_s": 30,
        "jobs_dir": folder / "uploads",
    }
    with running_stack(folder, (hash_model,), **settings) as running:
        running.create("kept")
        yield running


@pytest.fixture
def kept_channel(kept_stack: Stack) -> Iterator[grpc.Channel]:
    with channel_to(kept_stack) as channel:
        yield channel


@pytest.fixture
def bad_service(unwritten: Stack) -> Iterator[VectorServiceStub]:
    """Of `unwritten`."""
    with connected(unwritten) as stub:
        yield stub
