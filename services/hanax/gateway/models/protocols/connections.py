"""HTTP connections to upstream servers: a pool for each model and address, so that a slow model holds up no
other, even where one server has them all.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import httpcore
import httpx

from hanax.gateway.models.protocols.trust import tls_context

# Longer than a handshake across the world; a server that takes longer is away.
_CONNECT_TIMEOUT_S: Final = 5.0

# Idle ones are closed before common servers and balancers close them (60 s and more), so that no request
# meets a connection that is just going.
_IDLE_S: Final = 30.0

_SECURE: Final = "https://"

# Beside the requests, so that a server that has as many as it may is not taken for one that is away.
_PROBES: Final = 1

# A model's name and an address.
Place = tuple[str, str]

_HEADERS: Final = {
    "User-Agent": "hana-x-vector",
    "Accept": "application/json",
    # What is read is bounded, and what a compressed body grows to is not known before.
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """connections: of one model to one address at once, without HTTP/2.

    ca_file: certificates trusted beside the usual.
    """

    connections: int = 64
    ca_file: Path | None = None


def handshake_guard(url: str) -> dict[str, Any]:
    """Extensions of one request. Without them a connection stays open for as long as the server likes when
    its TLS handshake is given up, because the request was cancelled: httpcore closes it at errors alone.
    """
    if not url.startswith(_SECURE):
        return {}
    connected: list[httpcore.AsyncNetworkStream] = []

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            connected.append(info["return_value"])
        elif event == "connection.start_tls.failed":
            await connected[-1].aclose()

    return {"trace": trace}


@dataclass(slots=True)
class _Kept:
    client: httpx.AsyncClient
    users: int = 0
    gone: bool = field(default=False)


class Connections:
    """Raises FailedPrecondition when `ca_file` can't be read."""

    def __init__(self, options: UpstreamOptions) -> None:
        self._options = options
        self._kept: dict[Place, _Kept] = {}
        self._closing: set[asyncio.Task[None]] = set()
        if options.ca_file is not None:
            # Told at the start, not by the first request.
            _ = self._trust

    @contextmanager
    def to(self, place: Place) -> Iterator[httpx.AsyncClient]:
        """The client for `place`; it is not closed inside."""
        kept = self._kept.get(place)
        if kept is None:
            _, address = place
            kept = self._kept[place] = _Kept(self._client(address))
        kept.users += 1
        try:
            yield kept.client
        finally:
            kept.users -= 1
            self._close_if_done(kept)

    def retain(self, places: Collection[Place]) -> None:
        """Close the connections to all other places, as soon as no request uses them."""
        for place in self._kept.keys() - set(places):
            kept = self._kept.pop(place)
            kept.gone = True
            self._close_if_done(kept)

    async def close(self) -> None:
        """Requests in progress end with a failure."""
        kept, self._kept = list(self._kept.values()), {}
        await asyncio.gather(*(each.client.aclose() for each in kept), *self._closing)

    def _close_if_done(self, kept: _Kept) -> None:
        if kept.gone and not kept.users:
            task = asyncio.get_running_loop().create_task(kept.client.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _client(self, address: str) -> httpx.AsyncClient:
        secure = address.startswith(_SECURE)
        return httpx.AsyncClient(
            headers=_HEADERS,
            # HTTP/2 where TLS agrees on it.
            http2=secure,
            verify=self._trust if secure else False,
            # Of the whole exchange, the caller takes the time.
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            limits=httpx.Limits(
                max_connections=self._options.connections + _PROBES,
                max_keepalive_connections=self._options.connections,
                keepalive_expiry=_IDLE_S,
            ),
            follow_redirects=False,
            # Proxies and certificates of the environment are not meant for these.
            trust_env=False,
        )

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """Shared by all clients: to read the certificates takes as long as many requests."""
        return tls_context(self._options.ca_file)
