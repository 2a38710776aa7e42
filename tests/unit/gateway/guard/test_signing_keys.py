"""An issuer that hangs holds up nobody whose key is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from hanax.core.errors import Unavailable
from hanax.gateway.guard import jwks
from hanax.gateway.guard.jwks import APART_S, FRESH_S, STALE_S, SigningKeys
from tests.integration.waiting import until


class Issuer:
    """Over real HTTP. may_answer: until it is set, requests are taken and not answered."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.key_ids = ["one"]
        self._key = ec.generate_private_key(ec.SECP256R1()).public_key()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
            self.may_answer.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await self.may_answer.wait()
        public: dict[str, Any] = ECAlgorithm.to_jwk(self._key, as_dict=True)
        body = orjson.dumps({"keys": [{**public, "kid": kid, "use": "sig"} for kid in self.key_ids]})
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


class Clock:
    """Beside the real one: it goes on when it is told to."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead_s

    def go_on(self, seconds: float) -> None:
        self._ahead_s += seconds


async def test_who_has_a_known_key_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever waited for the issuer would do so until the test's own end.
    monkeypatch.setattr(jwks, "_TIMEOUT_S", 600.0)
    issuer, clock = Issuer(), Clock()
    async with issuer.running() as url:
        keys = SigningKeys(url, None, clock)
        assert await keys.find("one") is not None
        issuer.may_answer.clear()
        clock.go_on(FRESH_S + 1)
        for _ in range(3):
            assert await keys.find("one") is not None
            clock.go_on(APART_S + 1)
        await until("the issuer is asked again", lambda: issuer.asked == 2)
        # One fetch at a time, however many ask.
        assert issuer.asked == 2
        issuer.key_ids = ["two"]
        issuer.may_answer.set()
        # Whose key is unknown waits for the fetch.
        assert await keys.find("two") is not None
        assert await keys.find("one") is None
        await keys.close()


async def test_a_close_ends_the_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "_TIMEOUT_S", 600.0)
    issuer, clock = Issuer(), Clock()
    async with issuer.running() as url:
        keys = SigningKeys(url, None, clock)
        await keys.find("one")
        issuer.may_answer.clear()
        clock.go_on(FRESH_S + 1)
        await keys.find("one")
        await until("the issuer is asked again", lambda: issuer.asked == 2)
        await keys.close()
        assert "keys of tokens" not in [task.get_name() for task in asyncio.all_tasks()]


async def test_keys_stand_for_a_day_without_their_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer, clock = Issuer(), Clock()
    async with issuer.running() as url:
        keys = SigningKeys(url, None, clock)
        known = await keys.find("one")
        issuer.may_answer.clear()
        monkeypatch.setattr(jwks, "_TIMEOUT_S", 0.2)
        clock.go_on(STALE_S - 60)
        assert await keys.find("one") is known
        clock.go_on(120)
        with pytest.raises(Unavailable):
            await keys.find("one")
        await keys.close()
