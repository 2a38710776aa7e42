"""Asking a service how it is."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Awaitable, Callable
from enum import Enum

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanax.rpc.channels import CHANNEL_OPTIONS


class Health(Enum):
    READY = "ready"
    NOT_YET = "it answers that it is not ready"
    SILENT = "it does not answer"


# Takes a limit in seconds and never raises.
Probe = Callable[[float], Awaitable[Health]]


def grpc_probe(address: str) -> Probe:
    """grpc.health.v1 at host:port."""

    async def ask(timeout_s: float) -> Health:
        async with aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
            except aio.AioRpcError as failure:
                # Too busy for one more call is busy serving.
                busy = failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                return Health.READY if busy else Health.SILENT
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        return Health.READY if serving else Health.NOT_YET

    return ask


def http_probe(host: str, port: int, path: str, suffices: Callable[[bytes], bool]) -> Probe:
    """GET, ready when it answers 200 with a body that `suffices`."""

    def get(timeout_s: float) -> Health:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            ready = answer.status == 200 and suffices(body)
            return Health.READY if ready else Health.NOT_YET
        except (OSError, http.client.HTTPException):
            return Health.SILENT
        finally:
            connection.close()

    async def ask(timeout_s: float) -> Health:
        return await asyncio.to_thread(get, timeout_s)

    return ask
