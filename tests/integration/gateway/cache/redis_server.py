"""A real redis-server on a port of its own, and a proxy in front of it that holds up what passes."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from tests.integration.gateway.stack import free_port
from tests.integration.waiting import wait_until

_PATIENCE_S = 20.0


class RedisServer:
    """Keeps nothing on disk but what `save` is told to."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self._command = [
            _program(),
            *("--bind", "127.0.0.1", "--port", str(self.port)),
            *("--dir", str(folder), "--save", "", "--appendonly", "no"),
            *arguments,
        ]
        self._log = folder / "redis.log"
        password = arguments[arguments.index("--requirepass") + 1] if "--requirepass" in arguments else None
        self.client = redis.Redis(port=self.port, password=password, socket_timeout=_PATIENCE_S)
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_until("redis-server", self._answers)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.client.connection_pool.disconnect()

    def close(self) -> None:
        self.kill()
        self.client.close()

    def names(self, pattern: str = "*") -> list[bytes]:
        return sorted(self.client.scan_iter(match=pattern))

    def _answers(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


@contextmanager
def running_redis(folder: Path, *arguments: str) -> Iterator[RedisServer]:
    server = RedisServer(folder, *arguments)
    try:
        yield server
    finally:
        server.close()


class SlowProxy:
    """Hands bytes on, each run of them `delay_s` after it came; in a thread of its own."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.delay_s = 0.0
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, sock=self._socket)
        await self._ended.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(self._hand_on(reader, there), self._hand_on(there_reader, writer))
        finally:
            there.close()
            writer.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while run := await reader.read(65_536):
                await asyncio.sleep(self.delay_s)
                writer.write(run)
                await writer.drain()
            writer.close()


@contextmanager
def running_proxy(server: RedisServer) -> Iterator[SlowProxy]:
    proxy = SlowProxy(server.port)
    try:
        yield proxy
    finally:
        proxy.close()


def _program() -> str:
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("there is no redis-server here")
    return found
