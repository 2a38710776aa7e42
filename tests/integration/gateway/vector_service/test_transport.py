"""What clients may ask of the transport: the messages themselves, and compressed ones."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.limits import MAX_MESSAGE_BYTES
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import (
    EVERYTHING,
    TIMEOUT_S,
    channel_to,
    insertion,
    refused,
)

SERVICES = [
    f"citadel.vector.v1.{name}Service" for name in ("Job", "Key", "Library", "Model", "Platform", "Vector")
]


@pytest.fixture
def channel(stack: Stack) -> Iterator[grpc.Channel]:
    with channel_to(stack) as opened:
        yield opened


def test_who_has_no_stubs_is_told_the_services_and_their_messages(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICES[-1]),
    ]
    listed, file = stub.ServerReflectionInfo(iter(asked), timeout=TIMEOUT_S)
    names = [one.name for one in listed.list_services_response.service]
    assert sorted(set(names) & set(SERVICES)) == SERVICES
    assert "grpc.health.v1.Health" in names
    described = descriptor_pb2.FileDescriptorProto.FromString(
        file.file_descriptor_response.file_descriptor_proto[0]
    )
    (service,) = described.service
    assert "SearchVectors" in {method.name for method in service.method}


def test_health_is_told_of_every_service(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for service in SERVICES:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
        assert answer.status == health_pb2.HealthCheckResponse.ServingStatus.SERVING


class _Scales:
    """A way to the gateway on which what it answers is weighed. For one connection."""

    def __init__(self, gateway: str) -> None:
        self.bytes = 0
        self._gateway = gateway
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def weigh(self) -> int:
        """Since the last time."""
        weight, self.bytes = self.bytes, 0
        return weight

    def close(self) -> None:
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        host, port = self._gateway.split(":")
        with client, socket.create_connection((host, int(port))) as server:
            asking = threading.Thread(target=self._carry, args=(client, server, False))
            asking.start()
            self._carry(server, client, True)
            asking.join()

    def _carry(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self.bytes += len(data) if counts else 0
                target.sendall(data)
        with suppress(OSError):
            # The other side ends when it has nothing more to say.
            target.shutdown(socket.SHUT_WR)


@contextmanager
def _weighed(stack: Stack, **options: Any) -> Iterator[tuple[grpc.Channel, _Scales]]:
    scales = _Scales(stack.gateway.grpc_address)
    try:
        with grpc.insecure_channel(scales.address, **options) as channel:
            yield channel, scales
    finally:
        scales.close()


def test_compressed_messages(stack: Stack) -> None:
    """Requests as their client likes; answers where it wishes so."""
    name = "grpc-gzip"
    stack.create(name, dimension=1_000)
    points = [{"id": n, "vector": [1.0] * 1_000, "metadata": {"text": "word " * 2_000}} for n in range(20)]
    wish = (("accept-encoding", "br, gzip"),)
    with _weighed(stack, compression=grpc.Compression.Gzip) as (channel, scales):
        service = VectorServiceStub(channel)
        assert service.InsertVectors(insertion(name, points), timeout=TIMEOUT_S).inserted == 20
        ids = [b"\x01" + n.to_bytes(8, "big") for n in range(20)]
        request = pb.GetVectorsRequest(collection=name, ids=ids, fields=EVERYTHING)
        scales.weigh()
        as_it_is = service.GetVectors(request, timeout=TIMEOUT_S)
        assert scales.weigh() > 250_000
        wished = service.GetVectors(request, timeout=TIMEOUT_S, metadata=wish)
        assert wished == as_it_is
        assert scales.weigh() < 25_000
        # A stream, too.
        scroll = pb.ScrollVectorsRequest(collection=name, fields=EVERYTHING)
        (page,) = service.ScrollVectors(scroll, timeout=TIMEOUT_S, metadata=wish)
        assert len(page.points.ids) == 20
        assert scales.weigh() < 25_000


def test_a_message_that_unpacks_to_too_much_is_refused_before_all_of_it_is_in_memory(stack: Stack) -> None:
    options = (("grpc.max_send_message_length", -1),)
    before = _peak_bytes(stack)
    request = pb.InsertVectorsRequest(collection="nope", metadata=[bytes(2 * MAX_MESSAGE_BYTES)])
    with grpc.insecure_channel(
        stack.gateway.grpc_address, options=options, compression=grpc.Compression.Gzip
    ) as channel:
        with pytest.raises(grpc.RpcError) as failure:
            VectorServiceStub(channel).InsertVectors(request, timeout=TIMEOUT_S)
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # The gateway serves on.
        VectorServiceStub(channel).ListCollections(pb.ListCollectionsRequest(), timeout=TIMEOUT_S)
    assert _peak_bytes(stack) - before < 1.5 * MAX_MESSAGE_BYTES


def _peak_bytes(stack: Stack) -> int:
    """Most memory that the gateway ever had."""
    status = Path(f"/proc/{stack.gateway.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1_024


def _details(failure: Any) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest]:
    info, fields = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(failure)
    assert status is not None
    for detail in status.details:
        assert detail.Unpack(info) or detail.Unpack(fields)
    return info, fields


def test_wrong_fields_are_named(channel: grpc.Channel) -> None:
    service = VectorServiceStub(channel)
    request = pb.SearchVectorsRequest(collection="nope", vector=pb.Vector(values=[1]), limit=0, offset=5_000)
    with pytest.raises(grpc.RpcError) as failure:
        service.SearchVectors(request, timeout=TIMEOUT_S)
    info, fields = _details(failure.value)
    assert (info.domain, info.reason) == ("hana-x-vector", "invalid_limit")
    assert [one.field for one in fields.field_violations] == ["limit", "offset"]
    assert all("input should be" in one.description for one in fields.field_violations)


def test_a_mistake_that_is_told_by_its_message_alone_names_its_field(unwritten: Stack) -> None:
    with channel_to(unwritten) as channel:
        request = pb.SearchVectorsRequest(collection="bad", vector=pb.Vector(values=[np.nan, 0, 0]))
        with pytest.raises(grpc.RpcError) as failure:
            VectorServiceStub(channel).SearchVectors(request, timeout=TIMEOUT_S)
    info, fields = _details(failure.value)
    (violation,) = fields.field_violations
    assert (info.reason, violation.field) == ("non_finite_vector", "vector")


def test_what_is_not_wrong_with_fields_names_none(channel: grpc.Channel) -> None:
    with refused() as errors:
        VectorServiceStub(channel).GetCollection(pb.GetCollectionRequest(name="nope"), timeout=TIMEOUT_S)
    assert errors[0].code == "collection_not_found"
