"""What a transport is, and the one for a name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from hxp_vector_client.columns import Carried
from hxp_vector_client.requests import Request


class AsyncTransport(Protocol):
    """Brings one request to the server and back, once.

    keyed: the server knows a request that is sent again by its idempotency key.
    """

    name: str
    carried: Carried
    keyed: bool

    async def send(self, request: Request, timeout_s: float) -> Any:
        """The data of the answer as REST has it, vectors perhaps as numpy arrays.

        Raises the error that the server names, ConnectionFailed, TimedOut, BadAnswer, or NotSupported.
        """
        ...

    def download(self, request: Request, timeout_s: float) -> AsyncIterator[bytes]:
        """The answer in portions. timeout_s: of each. Raises as `send`."""
        ...

    def changes(self, request: Request, timeout_s: float) -> AsyncIterator[Any]:
        """What the server tells one after the other, until it has told all. timeout_s: of all together, and
        there may be longer pauses than a single answer is given. Raises as `send`."""
        ...

    async def close(self) -> None: ...
