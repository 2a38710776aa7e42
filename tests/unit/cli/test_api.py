"""The client of the commands against a server that answers what it is told to."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from hanax.cli.api import Api, _pause_of
from hanax.core.errors import CollectionNotFound, Internal, Overloaded, Unavailable

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Gives its answers in order, the last one again and again; keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append((self.command, self.path, json.loads(body) if body else None))
                status, headers, answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def success(data: object) -> Answer:
    return 200, {}, json.dumps({"success": True, "data": data, "error": None}).encode()


def refusal(status: int, code: str, retry_after: str | None = None) -> Answer:
    error = {"code": code, "message": f"it is {code}", "details": {}}
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return status, headers, json.dumps({"success": False, "data": None, "error": error}).encode()


async def test_data_is_returned(server: Server) -> None:
    server.answers = [success({"count": 3})]
    async with Api(server.url) as api:
        assert await api.post("/count", {"collection": "a"}) == {"count": 3}
        assert await api.get("/ready") == {"count": 3}
    assert server.asked == [("POST", "/count", {"collection": "a"}), ("GET", "/ready", None)]


@pytest.mark.parametrize(("status", "code"), [(429, "overloaded"), (503, "partial_write")])
async def test_it_comes_back_when_it_is_told_to(server: Server, status: int, code: str) -> None:
    server.answers = [refusal(status, code, "0.2"), refusal(status, code, "0.2"), success(1)]
    began = time.monotonic()
    async with Api(server.url) as api:
        assert await api.post("/x", {}) == 1
    assert 0.4 <= time.monotonic() - began < 5
    assert len(server.asked) == 3


async def test_its_patience_ends(server: Server) -> None:
    server.answers = [refusal(429, "overloaded", "0.1")]
    async with Api(server.url, patience_s=0.3) as api:
        with pytest.raises(Overloaded, match="it is overloaded"):
            await api.post("/x", {})
    assert 2 <= len(server.asked) <= 4


async def test_another_error_is_raised_at_once(server: Server) -> None:
    server.answers = [refusal(404, "collection_not_found")]
    async with Api(server.url) as api:
        with pytest.raises(CollectionNotFound):
            await api.get("/x")
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"success": false, "error": {}}', b"{}"])
async def test_another_program_is_told_from_the_gateway(server: Server, body: bytes) -> None:
    server.answers = [(200, {}, body)]
    async with Api(server.url) as api:
        with pytest.raises(Internal, match="without the envelope"):
            await api.get("/x")


async def test_a_gateway_that_is_away_is_waited_for_and_then_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with Api(f"http://127.0.0.1:{unused.getsockname()[1]}", patience_s=0.0) as api:
            with pytest.raises(Unavailable, match="does not answer"):
                await api.get("/x")


@pytest.mark.parametrize(
    ("asked", "pause"),
    [("0", 0.0), ("2.5", 2.5), ("3600", 10.0), ("-1", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0)],
)
def test_pauses_stay_within_reason(asked: str, pause: float) -> None:
    assert _pause_of(httpx.Response(503, headers={"Retry-After": asked})) == pause
