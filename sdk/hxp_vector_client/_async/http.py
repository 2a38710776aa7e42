"""One exchange over HTTP.

Requests go to httpx's transport, not to its client: redirects, cookies and proxies of the environment, which
this API does not have, would cost as much as all the rest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Final

import httpx

from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.http_settings import base_url, tls_context, user_agent
from hxp_vector_client.rest_codec import translate
from hxp_vector_client.settings import Connection

JSON: Final = "application/json"

# A server that follows something gives a sign of life every 15 seconds.
LONGEST_SILENCE_S: Final = 45.0

Form = list[
    tuple[str, tuple[str | None, IO[bytes] | bytes] | tuple[str | None, IO[bytes] | bytes, str | None]]
]


@dataclass(frozen=True, slots=True)
class Sent:
    """path: with its query. headers: beside those of the connection."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes | None = None
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: httpx.Headers
    content: bytes


class AsyncHttp:
    """Close it. `transport`: in place of a connection of its own, as a test may hand in."""

    def __init__(self, connection: Connection, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._base = base_url(connection.url)
        self._shown = str(self._base)
        self._transport = transport or httpx.AsyncHTTPTransport(
            verify=tls_context(connection),
            limits=httpx.Limits(
                max_connections=connection.connections, max_keepalive_connections=connection.connections
            ),
        )
        headers = {"Host": self._base.netloc.decode("ascii"), "User-Agent": user_agent(), "Accept": JSON}
        if (authorization := connection.authorization()) is not None:
            headers["Authorization"] = authorization
        self._headers = headers
        # Of paths without parts: to make a URL costs 20 us.
        self._urls: dict[str, httpx.URL] = {}

    def keep(self, path: str) -> None:
        """The path will be asked for often."""
        self._urls[path] = self._url(path)

    async def exchange(self, sent: Sent, timeout_s: float) -> Answer:
        """Raises ConnectionFailed, TimedOut or InvalidArgument."""
        response = await self._begin(sent, timeout_s)
        try:
            content = await response.aread()
        except httpx.TransportError as error:
            raise translate(error, self._shown) from error
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, content)

    @asynccontextmanager
    async def streamed(self, sent: Sent, timeout_s: float) -> AsyncIterator[httpx.Response]:
        """The answer while it comes; timeout_s: of each portion. Raises as `exchange`."""
        response = await self._begin(sent, timeout_s)
        try:
            yield response
        except httpx.TransportError as error:
            raise translate(error, self._shown) from error
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._transport.aclose()

    async def _begin(self, sent: Sent, timeout_s: float) -> httpx.Response:
        try:
            return await self._transport.handle_async_request(self._request(sent, timeout_s))
        except httpx.TransportError as error:
            raise translate(error, self._shown) from error
        except (ValueError, httpx.InvalidURL) as error:
            # What HTTP can't carry in a header or a path.
            raise InvalidArgument(str(error)) from error

    def _request(self, sent: Sent, timeout_s: float) -> httpx.Request:
        headers = {**self._headers, **sent.headers}
        if sent.content is not None:
            headers["Content-Type"] = JSON
        times = {"connect": timeout_s, "read": timeout_s, "write": timeout_s, "pool": timeout_s}
        return httpx.Request(
            sent.method,
            self._urls.get(sent.path) or self._url(sent.path),
            headers=headers,
            content=sent.content,
            files=sent.form,
            extensions={"timeout": times},
        )

    def _url(self, path: str) -> httpx.URL:
        before = self._base.raw_path.rstrip(b"/")
        return self._base.copy_with(raw_path=before + path.encode("ascii"))
