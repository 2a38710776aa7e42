"""HTTP/1.1 by hand, so that it can be broken off anywhere."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from tests.integration.gateway.upstreams.behaviours import Behaviour
from tests.integration.gateway.upstreams.replies import Reply, Request

# Close at once, with RST.
_NO_LINGER = struct.pack("ii", 1, 0)

# How a client begins that takes this for TLS.
_HANDSHAKE = b"\x16"

Serve = Callable[[Request], tuple[Behaviour, Reply]]


def reset_connection(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


class _Exchange:
    def __init__(
        self, request: Request, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.request = request
        self.reply = reply
        self._reader = reader
        self._writer = writer

    async def send(self, reply: Reply) -> None:
        await self.begin(reply)
        await self.write(reply.body)

    async def begin(self, reply: Reply) -> None:
        headers = {"content-length": str(len(reply.body)), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} As told", *(f"{name}: {value}" for name, value in headers.items())]
        await self.write("\r\n".join([*lines, "", ""]).encode())

    async def write(self, part: bytes) -> None:
        self._writer.write(part)
        await self._writer.drain()

    async def end(self) -> None:
        self._writer.close()

    async def reset(self) -> None:
        reset_connection(self._writer)

    async def gone(self) -> None:
        while await self._reader.read(65_536):
            pass


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, served: Serve) -> None:
    """Requests of one connection, one after the other."""
    while True:
        start = await reader.readexactly(1)
        if start == _HANDSHAKE:
            writer.write(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
            return
        head = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, path, headers, body)
        behaviour, reply = served(request)
        await behaviour(_Exchange(request, reply, reader, writer))
        if writer.is_closing():
            return
