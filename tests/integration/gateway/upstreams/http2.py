"""HTTP/2 on the state machine of h2."""

from __future__ import annotations

import asyncio
import contextlib

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.integration.gateway.upstreams.http1 import Serve
from tests.integration.gateway.upstreams.replies import Reply, Request


class _Stream:
    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.body = bytearray()
        self.over = asyncio.Event()


class _Connection:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.room = asyncio.Condition()
        self._writer = writer

    async def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())
        await self._writer.drain()


class _Exchange:
    def __init__(self, connection: _Connection, number: int, stream: _Stream, reply: Reply) -> None:
        self.request = Request(
            stream.headers[":method"], stream.headers[":path"], stream.headers, bytes(stream.body), http2=True
        )
        self.reply = reply
        self._connection = connection
        self._number = number
        self._stream = stream

    async def send(self, reply: Reply) -> None:
        await self.begin(reply)
        await self.write(reply.body)
        await self.end()

    async def begin(self, reply: Reply) -> None:
        headers = {":status": str(reply.status), "content-length": str(len(reply.body)), **reply.headers}
        self._connection.h2.send_headers(self._number, list(headers.items()))
        await self._connection.flush()

    async def write(self, part: bytes) -> None:
        machine = self._connection.h2
        while part:
            async with self._connection.room:
                while not (size := min(machine.local_flow_control_window(self._number), len(part))):
                    await self._connection.room.wait()
            size = min(size, machine.max_outbound_frame_size)
            machine.send_data(self._number, part[:size])
            await self._connection.flush()
            part = part[size:]

    async def end(self) -> None:
        self._connection.h2.end_stream(self._number)
        await self._connection.flush()

    async def reset(self) -> None:
        self._connection.h2.reset_stream(self._number, h2.errors.ErrorCodes.INTERNAL_ERROR)
        await self._connection.flush()

    async def gone(self) -> None:
        await self._stream.over.wait()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, served: Serve) -> None:
    """Requests of one connection, side by side."""
    connection = _Connection(writer)
    connection.h2.initiate_connection()
    await connection.flush()
    streams: dict[int, _Stream] = {}

    async def answer(number: int, stream: _Stream) -> None:
        exchange = _Exchange(connection, number, stream, Reply())
        behaviour, exchange.reply = served(exchange.request)
        # The client may go away in the middle of it.
        with contextlib.suppress(h2.exceptions.ProtocolError, ConnectionError):
            await behaviour(exchange)

    async with asyncio.TaskGroup() as tasks:
        running: list[asyncio.Task[None]] = []
        try:
            while data := await reader.read(65_536):
                for event in connection.h2.receive_data(data):
                    match event:
                        case h2.events.RequestReceived():
                            headers = {name.decode(): value.decode() for name, value in event.headers}
                            streams[event.stream_id] = _Stream(headers)
                        case h2.events.DataReceived():
                            streams[event.stream_id].body += event.data
                            connection.h2.acknowledge_received_data(
                                event.flow_controlled_length, event.stream_id
                            )
                        case h2.events.StreamEnded():
                            stream = streams[event.stream_id]
                            running.append(tasks.create_task(answer(event.stream_id, stream)))
                        case h2.events.StreamReset():
                            streams[event.stream_id].over.set()
                async with connection.room:
                    connection.room.notify_all()
                await connection.flush()
        finally:
            for task in running:
                task.cancel()
