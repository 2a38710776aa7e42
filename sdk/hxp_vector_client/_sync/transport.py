# Written by scripts/gen_sdk.py from _async/transport.py; edit that, and run `make gen`.
"""What a transport is, and the one for a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from hxp_vector_client.columns import Carried
from hxp_vector_client.requests import Request


class Transport(Protocol):
    """Brings one request to the server and back, once.

    keyed: the server knows a request that is sent again by its idempotency key.
    """

    name: str
    carried: Carried
    keyed: bool

    def send(self, request: Request, timeout_s: float) -> Any:
        """The data of the answer as REST has it, vectors perhaps as numpy arrays.

        Raises the error that the server names, ConnectionFailed, TimedOut, BadAnswer, or NotSupported.
        """
        ...

    def download(self, request: Request, timeout_s: float) -> Iterator[bytes]:
        """The answer in portions. timeout_s: of each. Raises as `send`."""
        ...

    def changes(self, request: Request, timeout_s: float) -> Iterator[Any]:
        """What the server tells one after the other, until it has told all. timeout_s: of all together, and
        there may be longer pauses than a single answer is given. Raises as `send`."""
        ...

    def close(self) -> None: ...
