"""The client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from hxp_vector_client._async.calls import AsyncCalls, AsyncSession
from hxp_vector_client._async.collections import AsyncAliases, AsyncCollections
from hxp_vector_client._async.documents import AsyncChunks, AsyncDocuments
from hxp_vector_client._async.jobs import AsyncJobs
from hxp_vector_client._async.libraries import AsyncLibraries
from hxp_vector_client._async.opening import open_transport
from hxp_vector_client._async.reads import AsyncReads
from hxp_vector_client._async.searches import AsyncSearches
from hxp_vector_client._async.service import AsyncKeys, AsyncModels, AsyncService
from hxp_vector_client._async.transport import AsyncTransport
from hxp_vector_client._async.writes import AsyncWrites
from hxp_vector_client.settings import Batches, CallSettings, Connection, Retries, TransportName


class AsyncVectorClient(AsyncSearches, AsyncReads, AsyncWrites, AsyncService):
    """A client of HANA-X Vector, asynchronous. It may be used by several at once.

        async with AsyncVectorClient("http://127.0.0.1:8000") as client:
            found = await client.search("docs", text="how do I compute a checksum?")

    Close it, or use it as a context: it keeps connections open.
    """

    def __init__(
        self,
        url: str | Connection = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        transport: TransportName | AsyncTransport = "rest",
        settings: CallSettings | None = None,
    ) -> None:
        """url: `http://host:8000`; with transport "grpc" `host:8081` or `grpc://host:8081`, and
        `https://` or `grpcs://` with TLS. A Connection says more: certificates, how many connections.
        transport: rest, grpc (with the extra `grpc`) or graphql. settings: times, tries, batches.
        """
        connection = url if isinstance(url, Connection) else Connection(url, api_key)
        self._use(AsyncCalls(AsyncSession(open_transport(transport, connection)), settings or CallSettings()))

    def _use(self, calls: AsyncCalls) -> None:
        self._calls = calls
        self.collections = AsyncCollections(calls)
        self.aliases = AsyncAliases(calls)
        self.jobs = AsyncJobs(calls)
        self.libraries = AsyncLibraries(calls)
        self.documents = AsyncDocuments(calls)
        self.chunks = AsyncChunks(calls)
        self.models = AsyncModels(calls)
        self.keys = AsyncKeys(calls)

    def options(
        self,
        *,
        timeout_s: float | None = None,
        retries: Retries | int | None = None,
        batches: Batches | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """The same client with other settings, over the same connections; what is left out stays.

        timeout_s: of one call with all its tries. retries: tries after the first. headers: beside the others.

            await client.options(timeout_s=2, headers={"X-Request-ID": "r-1"}).search("docs", vector)
        """
        now = self._calls.settings
        changed: dict[str, Any] = {}
        if timeout_s is not None:
            changed["timeout_s"] = timeout_s
        if retries is not None:
            changed["retries"] = (
                replace(now.retries, attempts=retries) if isinstance(retries, int) else retries
            )
        if batches is not None:
            changed["batches"] = batches
        if headers is not None:
            changed["headers"] = {**now.headers, **headers}
        copy = type(self).__new__(type(self))
        copy._use(AsyncCalls(self._calls.session, replace(now, **changed)))
        return copy

    @property
    def transport(self) -> str:
        """rest, grpc or graphql."""
        return self._calls.session.transport.name

    @property
    def closed(self) -> bool:
        return self._calls.session.closed

    async def close(self) -> None:
        """End the connections, also those of copies with other options. A call after it is ClientClosed."""
        await self._calls.session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self.transport}{', closed' if self.closed else ''}>"
