# Written by scripts/gen_sdk.py from _async/client.py; edit that, and run `make gen`.
"""The client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from hxp_vector_client._sync.calls import Calls, Session
from hxp_vector_client._sync.collections import Aliases, Collections
from hxp_vector_client._sync.documents import Chunks, Documents
from hxp_vector_client._sync.jobs import Jobs
from hxp_vector_client._sync.libraries import Libraries
from hxp_vector_client._sync.opening import open_transport
from hxp_vector_client._sync.reads import Reads
from hxp_vector_client._sync.searches import Searches
from hxp_vector_client._sync.service import Keys, Models, Service
from hxp_vector_client._sync.transport import Transport
from hxp_vector_client._sync.writes import Writes
from hxp_vector_client.settings import Batches, CallSettings, Connection, Retries, TransportName


class VectorClient(Searches, Reads, Writes, Service):
    """A client of HANA-X Vector, synchronous. It may be used by several at once.

        with VectorClient("http://127.0.0.1:8000") as client:
            found = client.search("docs", text="how do I compute a checksum?")

    Close it, or use it as a context: it keeps connections open.
    """

    def __init__(
        self,
        url: str | Connection = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        transport: TransportName | Transport = "rest",
        settings: CallSettings | None = None,
    ) -> None:
        """url: `http://host:8000`; with transport "grpc" `host:8081` or `grpc://host:8081`, and
        `https://` or `grpcs://` with TLS. A Connection says more: certificates, how many connections.
        transport: rest, grpc (with the extra `grpc`) or graphql. settings: times, tries, batches.
        """
        connection = url if isinstance(url, Connection) else Connection(url, api_key)
        self._use(Calls(Session(open_transport(transport, connection)), settings or CallSettings()))

    def _use(self, calls: Calls) -> None:
        self._calls = calls
        self.collections = Collections(calls)
        self.aliases = Aliases(calls)
        self.jobs = Jobs(calls)
        self.libraries = Libraries(calls)
        self.documents = Documents(calls)
        self.chunks = Chunks(calls)
        self.models = Models(calls)
        self.keys = Keys(calls)

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

            client.options(timeout_s=2, headers={"X-Request-ID": "r-1"}).search("docs", vector)
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
        copy._use(Calls(self._calls.session, replace(now, **changed)))
        return copy

    @property
    def transport(self) -> str:
        """rest, grpc or graphql."""
        return self._calls.session.transport.name

    @property
    def closed(self) -> bool:
        return self._calls.session.closed

    def close(self) -> None:
        """End the connections, also those of copies with other options. A call after it is ClientClosed."""
        self._calls.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self.transport}{', closed' if self.closed else ''}>"
