# Written by scripts/gen_sdk.py from _async/calls.py; edit that, and run `make gen`.
"""One call from its request to its answer: tries, time, and the client's end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

from hxp_vector_client._sync.transport import Transport
from hxp_vector_client._sync.waiting import sleep
from hxp_vector_client.backoff import Attempts
from hxp_vector_client.errors import ClientClosed, TimedOut, VectorError
from hxp_vector_client.requests import Request
from hxp_vector_client.settings import CallSettings


class Session:
    """The connection that a client and the copies of it with other settings have in common."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.closed = False

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.transport.close()


class Calls:
    """Calls with the same settings."""

    def __init__(self, session: Session, settings: CallSettings) -> None:
        self.session = session
        self.settings = settings

    def call(self, request: Request) -> Any:
        """The data of the answer, after as many tries as it takes. Raises VectorError."""
        settings = self.settings
        transport = self._transport(request)
        if request.operation.writes and not request.key:
            request.key = uuid.uuid4().hex
        request.headers = settings.headers
        began = time.monotonic()
        give_up_at = began + settings.timeout_s
        tries_end_at = min(give_up_at, began + settings.retries.within_s)
        attempts = None
        remaining_s = settings.timeout_s
        while True:
            try:
                return transport.send(request, remaining_s)
            except VectorError as error:
                attempts = attempts or Attempts(settings.retries, request.operation, transport.keyed)
                pause = attempts.pause_after(error, tries_end_at - time.monotonic())
                if pause is None or request.upload is not None:
                    raise
                if settings.on_retry is not None:
                    settings.on_retry(error, pause)
                sleep(pause)
            remaining_s = give_up_at - time.monotonic()
            if remaining_s <= 0:
                raise TimedOut(f"no answer within {settings.timeout_s:g} s")
            if self.session.closed:
                raise ClientClosed("the client was closed while it waited for another try")

    def download(self, request: Request) -> Iterator[bytes]:
        """The answer in portions. Raises VectorError."""
        transport = self._transport(request)
        request.headers = self.settings.headers
        yield from transport.download(request, self.settings.timeout_s)

    def changes(self, request: Request, timeout_s: float) -> Iterator[Any]:
        """What the server tells one after the other. Raises VectorError."""
        transport = self._transport(request)
        request.headers = self.settings.headers
        yield from transport.changes(request, timeout_s)

    def _transport(self, request: Request) -> Transport:
        if self.session.closed:
            raise ClientClosed(f"the client is closed, and can not {request.operation.name} any more")
        return self.session.transport
