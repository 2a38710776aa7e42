"""One HTTP request to an upstream server: JSON out, JSON in, with every size and time bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import orjson

from hanax.core.errors import DeadlineExceeded, HanaxError, UpstreamFailed
from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.protocols.connections import Connections, handshake_guard
from hanax.gateway.models.protocols.failures import (
    MAX_FAILURE_BYTES,
    TRANSPORT_FAILURES,
    Server,
    from_status,
    from_transport,
)
from hanax.gateway.models.secrets import Secrets

# What routes say when nobody said anything: many servers have no such path.
_DEFAULT_HEALTH_PATH: Final = ModelRoute.model_fields["health_path"].default


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON value and the headers it came with."""

    value: object
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Ask:
    method: str
    url: str
    key: str | None = field(repr=False)
    content: bytes | None = None


class Exchange:
    def __init__(self, connections: Connections, secrets: Secrets) -> None:
        self._connections = connections
        self._secrets = secrets

    async def post(
        self, address: str, model: ModelRoute, path: str, body: object, limit_bytes: int
    ) -> Answer:
        """Raises what `failures` makes of it, and UpstreamFailed for an answer that is not JSON of up to
        `limit_bytes`. It takes as long as the caller lets it.
        """
        server = Server(address, model)
        key = self._key(model)
        url = url_of(address, path)
        async with self._asked(server, address, _Ask("POST", url, key, orjson.dumps(body))) as answer:
            if not answer.is_success:
                raise await _failure(server, answer, key)
            content = await _read(server, answer, limit_bytes)
        return Answer(_decoded(server, content), answer.headers)

    async def probe(self, address: str, model: ModelRoute, timeout_s: float) -> None:
        """GET the health path at the address's host. Well is 2xx.

        So is 401 or 403 where no key was sent, and 404 where nobody said which path it is: both say that
        the server is there.
        """
        server = Server(address, model)
        key = self._key(model)
        ask = _Ask("GET", server.endpoint + model.health_path, key)
        try:
            async with asyncio.timeout(timeout_s), self._asked(server, address, ask) as answer:
                if not (answer.is_success or _is_there(answer.status_code, model)):
                    raise await _failure(server, answer, key)
        except TimeoutError:
            raise late(server, timeout_s) from None

    @asynccontextmanager
    async def _asked(self, server: Server, address: str, ask: _Ask) -> AsyncIterator[httpx.Response]:
        """The beginning of an answer, whose body is read inside, or not at all."""
        headers = {**dict(server.model.headers), "Content-Type": "application/json"}
        if ask.key is not None:
            headers["Authorization"] = f"Bearer {ask.key}"
        try:
            with self._connections.to((server.model.name, address)) as client:
                request = client.build_request(
                    ask.method,
                    ask.url,
                    headers=headers,
                    content=ask.content,
                    extensions=handshake_guard(ask.url),
                )
                answer = await client.send(request, stream=True)
                try:
                    yield answer
                finally:
                    await answer.aclose()
        except TRANSPORT_FAILURES as failure:
            raise from_transport(server, failure) from None

    def _key(self, model: ModelRoute) -> str | None:
        return None if model.secret is None else self._secrets.value(model.secret)


def late(server: Server, timeout_s: float) -> HanaxError:
    return server.failed(DeadlineExceeded, f"did not answer within {timeout_s:.3g} s")


def url_of(address: str, path: str) -> str:
    """`path` below the base URL, whose query is kept; a base that already ends with it is left as it is."""
    parts = urlsplit(address)
    base = parts.path.rstrip("/")
    whole = base if base.endswith(path) else base + path
    return urlunsplit((parts.scheme, parts.netloc, whole, parts.query, ""))


def _is_there(status: int, model: ModelRoute) -> bool:
    if status in (401, 403):
        return model.secret is None
    return status == 404 and model.health_path == _DEFAULT_HEALTH_PATH


async def _failure(server: Server, answer: httpx.Response, key: str | None) -> HanaxError:
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > MAX_FAILURE_BYTES:
            break
    return from_status(server, answer.status_code, answer.headers, bytes(body[:MAX_FAILURE_BYTES]), key)


async def _read(server: Server, answer: httpx.Response, limit_bytes: int) -> bytearray:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise server.no_answer(f"answered {kind or 'something'!r} instead of application/json")
    packed = answer.headers.get("content-encoding", "identity").lower()
    if packed != "identity":
        raise server.failed(
            UpstreamFailed, f"answered in {packed!r}, which it was not asked for", retryable=False
        )
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > limit_bytes:
            raise server.no_answer(f"answered more than the {limit_bytes} bytes that its vectors can take")
    return body


def _decoded(server: Server, content: bytearray) -> object:
    try:
        value: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        # What Python's json module writes, and no JSON.
        if b"NaN" in content or b"Infinity" in content:
            raise server.no_answer("answered a vector with numbers that are not finite") from None
        raise server.no_answer(f"answered {len(content)} bytes that are not JSON") from None
    return value
