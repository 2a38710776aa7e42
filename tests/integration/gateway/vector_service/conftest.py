"""The service of the stacks that the gateway's other tests use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import connected


@pytest.fixture
def service(either: Stack) -> Iterator[VectorServiceStub]:
    """Of `either`."""
    with connected(either) as stub:
        yield stub


@pytest.fixture
def bad_service(unwritten: Stack) -> Iterator[VectorServiceStub]:
    """Of `unwritten`."""
    with connected(unwritten) as stub:
        yield stub
