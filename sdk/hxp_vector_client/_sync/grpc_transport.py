# Written by scripts/gen_sdk.py from _async/grpc_transport.py; edit that, and run `make gen`.
"""gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import grpc

from hxp_vector_client import operations
from hxp_vector_client._stubs import jobs_pb2
from hxp_vector_client._stubs.jobs_pb2_grpc import JobServiceStub
from hxp_vector_client._stubs.keys_pb2_grpc import KeyServiceStub
from hxp_vector_client._stubs.libraries_pb2_grpc import LibraryServiceStub
from hxp_vector_client._stubs.models_pb2_grpc import ModelServiceStub
from hxp_vector_client._stubs.platform_pb2_grpc import PlatformServiceStub
from hxp_vector_client._stubs.vector_pb2_grpc import VectorServiceStub
from hxp_vector_client._sync.channels import Channel, open_channel
from hxp_vector_client.columns import Carried
from hxp_vector_client.errors import InvalidArgument, NotSupported, Unavailable
from hxp_vector_client.grpc_codec.failures import translate
from hxp_vector_client.grpc_codec.jobs import read_one, upload_start
from hxp_vector_client.grpc_codec.methods import METHODS, Method
from hxp_vector_client.grpc_settings import target_of
from hxp_vector_client.requests import Request, Upload
from hxp_vector_client.settings import Connection

# Of a file, in one message.
_PART_BYTES: Final = 1024 * 1024
# grpc.health.v1: a message whose only field, a status, is SERVING.
_HEALTH: Final = "/grpc.health.v1.Health/Check"
_SERVING: Final = b"\x08\x01"

Metadata = tuple[tuple[str, str], ...]


class GrpcTransport:
    """Close it. The channel is opened with the first call, on the event loop that makes it."""

    name = "grpc"
    keyed = True
    # Of the server's 128 MiB.
    carried = Carried(points=2_000, bytes=120 * 1024 * 1024, bytes_per_number=4)

    def __init__(self, connection: Connection) -> None:
        self._target, _ = target_of(connection.url)
        self._connection = connection
        authorization = connection.authorization()
        self._metadata: Metadata = () if authorization is None else (("authorization", authorization),)
        self._channel: Channel | None = None
        self._calls: dict[operations.Operation, Any] = {}

    def send(self, request: Request, timeout_s: float) -> Any:
        try:
            if request.upload is not None:
                return self._upload(request, request.upload, timeout_s)
            if request.operation in (operations.HEALTH, operations.READY):
                return self._health(request.operation, timeout_s)
            return self._call(request, _method(request), timeout_s)
        except grpc.RpcError as failure:
            raise translate(failure, self._target) from failure

    def download(self, request: Request, timeout_s: float) -> Iterator[bytes]:
        if request.operation is not operations.JOB_RESULT:
            raise _not_there(request)
        asked = jobs_pb2.ReadResultRequest(id=request.path["job_id"])
        try:
            for part in self._stub(JobServiceStub).ReadResult(
                asked, timeout=timeout_s, metadata=self._metadata_of(request)
            ):
                yield part.data
        except grpc.RpcError as failure:
            raise translate(failure, self._target) from failure

    def changes(self, request: Request, timeout_s: float) -> Iterator[Any]:
        asked = jobs_pb2.WatchJobRequest(id=request.path["job_id"])
        try:
            for change in self._stub(JobServiceStub).WatchJob(
                asked, timeout=timeout_s, metadata=self._metadata_of(request)
            ):
                if change.HasField("job"):
                    yield read_one(change, request)
        except grpc.RpcError as failure:
            raise translate(failure, self._target) from failure

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()

    def _call(self, request: Request, method: Method, timeout_s: float) -> Any:
        try:
            message = method.write(request)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidArgument(str(error)) from error
        call = self._calls.get(request.operation)
        if call is None:
            call = self._calls[request.operation] = getattr(self._stub(_STUBS[method.service]), method.name)
        metadata = self._metadata_of(request)
        if not method.streams:
            return method.read(call(message, timeout=timeout_s, metadata=metadata), request)
        for answer in call(message, timeout=timeout_s, metadata=metadata):
            return method.read(answer, request)
        raise Unavailable(f"{self._target} ended its answer before it began")

    def _upload(self, request: Request, upload: Upload, timeout_s: float) -> Any:
        answer = self._stub(JobServiceStub).UploadJob(
            _parts(upload_start(request), upload), timeout=timeout_s, metadata=self._metadata_of(request)
        )
        return read_one(answer, request)

    def _health(self, operation: operations.Operation, timeout_s: float) -> Any:
        """What grpc.health.v1 says: it answers what /ready answers, without the parts."""
        check: Any = self._opened().unary_unary(_HEALTH)
        serving = check(b"", timeout=timeout_s, metadata=self._metadata) == _SERVING
        if operation is operations.HEALTH:
            return {"status": "ok"}
        if not serving:
            raise Unavailable("not ready: what requests may need does not answer")
        return {"routing": "ok"}

    def _opened(self) -> Channel:
        if self._channel is None:
            self._channel = open_channel(self._connection)
        return self._channel

    def _stub(self, kind: Any) -> Any:
        return kind(self._opened())

    def _metadata_of(self, request: Request) -> Metadata:
        told = self._metadata
        if request.headers:
            told = (*told, *((name.lower(), value) for name, value in request.headers.items()))
        if request.key and request.upload is None:
            # The server takes none with a stream or a file.
            told = (*told, ("idempotency-key", request.key))
        return told


_STUBS: Final = {
    "VectorService": VectorServiceStub,
    "JobService": JobServiceStub,
    "LibraryService": LibraryServiceStub,
    "ModelService": ModelServiceStub,
    "KeyService": KeyServiceStub,
    "PlatformService": PlatformServiceStub,
}


def _method(request: Request) -> Method:
    method = METHODS.get(request.operation)
    if method is None:
        raise _not_there(request)
    return method


def _not_there(request: Request) -> NotSupported:
    return NotSupported(f"{request.operation.name} is not there over gRPC; the transport rest has it")


def _parts(start: Any, upload: Upload) -> Iterator[Any]:
    yield start
    while data := upload.data.read(_PART_BYTES):
        yield jobs_pb2.UploadJobRequest(data=data)
