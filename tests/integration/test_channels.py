"""A server that comes back under its name with another address, as a pod does, is found again soon."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from hanax.rpc.channels import Channels, call_with_retry

_A_RECORD = 1
_HEADER_BYTES = 12
# Far below the 30 seconds for which gRPC by itself holds on to what a name led to.
_SOON_S = 15.0


class Names(asyncio.DatagramProtocol):
    """A DNS server for which every name leads to one address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: the standard library's own is no subclass of it before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        # One question: a name that a zero byte ends, its type, its class.
        end = data.index(0, _HEADER_BYTES) + 5
        (asked,) = struct.unpack_from("!H", data, end - 4)
        answers = []
        if asked == _A_RECORD:
            # The name of the question, A, IN, for no time at all.
            answers.append(struct.pack("!HHHIH", 0xC00C, _A_RECORD, 1, 0, 4) + socket.inet_aton(self.address))
        header = data[:2] + struct.pack("!HHHHH", 0x8580, 1, len(answers), 0, 0)
        self._transport.sendto(header + data[_HEADER_BYTES:end] + b"".join(answers), addr)


@asynccontextmanager
async def serving(address: str, port: int) -> AsyncIterator[int]:
    """A server's port."""
    server = aio.server(options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), server)
    bound = server.add_insecure_port(f"{address}:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)


async def test_a_restarted_server_is_found_under_its_new_address() -> None:
    loop = asyncio.get_running_loop()
    dns, names = await loop.create_datagram_endpoint(lambda: Names("127.0.0.2"), local_addr=("127.0.0.1", 0))
    channels = Channels()
    try:
        async with serving("127.0.0.2", 0) as port:
            at = f"dns://127.0.0.1:{dns.get_extra_info('sockname')[1]}/shard.test:{port}"
            await _check(channels, at)
        names.address = "127.0.0.3"
        async with serving(names.address, port):
            await _check(channels, at)
    finally:
        await channels.close()
        dns.close()


async def _check(channels: Channels, address: str) -> None:
    stub = health_pb2_grpc.HealthStub(channels.get(address))

    async def attempt(timeout_s: float) -> health_pb2.HealthCheckResponse:
        answer: health_pb2.HealthCheckResponse = await stub.Check(
            health_pb2.HealthCheckRequest(), timeout=timeout_s
        )
        return answer

    answered = await call_with_retry(attempt, time.monotonic() + _SOON_S)
    assert answered.status == health_pb2.HealthCheckResponse.SERVING
