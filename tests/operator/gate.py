"""What stands between an operator and the API server: it counts writes, and can fall at one of them, or let
something happen before it.

From the first write that it refuses on it forwards nothing more, whatever the operator still tries:
to the cluster, the operator died there.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import aiohttp
from aiohttp import web
from yarl import URL

from tests.operator.kubeconfigs import Access

_NOT_FORWARDED = frozenset(
    {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "content-encoding"}
)


@dataclass(frozen=True)
class Write:
    """One request that asked for a change, and the code it was answered with; 0: it was not."""

    method: str
    path: str
    body: bytes
    code: int = 0

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.code}"


class Gate:
    """Use as an async context; `url` is where the operator goes."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._falls_at: int | None = None
        self._moment: Literal["before", "after"] = "before"
        self._refused: tuple[int, Callable[[str], bool]] | None = None
        self._meanwhile: tuple[Callable[[Write], bool], Callable[[], Awaitable[object]]] | None = None
        self._blind = asyncio.Event()
        self.fallen = asyncio.Event()
        self.writes: list[Write] = []
        self.reads: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._access.trust or True, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        assert self._session is not None
        self.fallen.set()
        await self._runner.cleanup()
        await self._session.close()

    @property
    def changes(self) -> list[Write]:
        """All writes but those that keep the leader's Lease."""
        return [write for write in self.writes if "/leases" not in write.path]

    def fall_at(self, number: int, moment: Literal["before", "after"]) -> None:
        """Fall at the change of this number, from 0 on: before it reaches the server, or after, untold."""
        self._falls_at, self._moment = number, moment

    def fall(self) -> None:
        self.fallen.set()

    def close_eyes(self) -> None:
        """End every watch, and answer no read."""
        self._blind.set()

    def open_eyes(self) -> None:
        self._blind.clear()

    def refuse(self, code: int, paths: Callable[[str], bool]) -> None:
        """Answer writes to these paths with an error of the server's."""
        self._refused = code, paths

    def accept(self) -> None:
        self._refused = None

    def before(self, which: Callable[[Write], bool], happens: Callable[[], Awaitable[object]]) -> None:
        """Hold the first write of these until something has happened that the operator could not see."""
        self._meanwhile = which, happens

    @property
    def is_due(self) -> bool:
        """Whether what was to happen before a write has not happened yet."""
        return self._meanwhile is not None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.fallen.is_set():
            return _cut(request)
        if request.method == "GET":
            if self._blind.is_set():
                return _cut(request)
            self.reads.append(request.path_qs)
            return await self._forward(request, b"")
        body = await request.read()
        number = len(self.changes)
        write = Write(request.method, request.path_qs, body)
        falls = self._falls_at == number and "/leases" not in request.path
        if falls and self._moment == "before":
            self.writes.append(write)
            self.fallen.set()
            return _cut(request)
        if self._refused is not None and self._refused[1](request.path):
            self.writes.append(Write(request.method, request.path_qs, body, self._refused[0]))
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "reason": "InternalError",
                "message": "refused by the test",
                "code": self._refused[0],
            }
            return web.json_response(status, status=self._refused[0])
        if self._meanwhile is not None and self._meanwhile[0](write):
            happens, self._meanwhile = self._meanwhile[1], None
            await happens()
        place = len(self.writes)
        self.writes.append(write)
        answer = await self._forward(request, body, hold=falls)
        self.writes[place] = Write(request.method, request.path_qs, body, answer.status)
        if falls:
            self.fallen.set()
            return _cut(request)
        return answer

    async def _forward(self, request: web.Request, body: bytes, *, hold: bool = False) -> web.StreamResponse:
        assert self._session is not None
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED
        }
        headers |= self._access.headers
        url = self._access.url + request.raw_path
        async with self._session.request(
            request.method, URL(url, encoded=True), data=io.BytesIO(body) if body else None, headers=headers
        ) as found:
            kept = {
                name: value
                for name, value in found.headers.items()
                if name.lower() not in _NOT_FORWARDED - {"content-encoding"}
            }
            if request.query.get("watch") not in ("1", "true") or hold:
                return web.Response(body=await found.read(), status=found.status, headers=kept)
            answer = web.StreamResponse(status=found.status, headers=kept)
            await answer.prepare(request)
            await self._stream(found, answer)
            return answer

    async def _stream(self, found: aiohttp.ClientResponse, answer: web.StreamResponse) -> None:
        """Hand on what comes until one side ends it, or the gate falls or closes its eyes."""

        async def hand_on() -> None:
            async for chunk in found.content.iter_any():
                await answer.write(chunk)

        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(hand_on()),
            asyncio.ensure_future(self.fallen.wait()),
            asyncio.ensure_future(self._blind.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _cut(request: web.Request) -> web.Response:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=503)
