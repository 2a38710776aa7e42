# Written by scripts/gen_sdk.py from _async/rest.py; edit that, and run `make gen`.
"""REST."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx

from hxp_vector_client import operations
from hxp_vector_client._sync.http import JSON, LONGEST_SILENCE_S, Form, Http, Sent
from hxp_vector_client.columns import Carried
from hxp_vector_client.errors import TimedOut, error_from_code
from hxp_vector_client.requests import Request, Upload
from hxp_vector_client.rest_codec import body_of, form_part, headers_of, path_of, read_answer
from hxp_vector_client.server_events import EventReader
from hxp_vector_client.settings import Connection


class RestTransport:
    """Close it. `http`: in place of a connection of its own, as a test may hand in."""

    name = "rest"
    keyed = True
    # Of the server's 32 MiB; a number takes four bytes, and as base64 a third more.
    carried = Carried(points=2_000, bytes=30 * 1024 * 1024, bytes_per_number=6)

    def __init__(self, connection: Connection, http: httpx.BaseTransport | None = None) -> None:
        self._http = Http(connection, http)
        for operation in operations.ALL:
            if "{" not in operation.path:
                self._http.keep(operation.path)

    def send(self, request: Request, timeout_s: float) -> Any:
        answer = self._http.exchange(_written(request), timeout_s)
        return read_answer(answer.status, answer.headers, answer.content, request.operation.enveloped)

    def download(self, request: Request, timeout_s: float) -> Iterator[bytes]:
        with self._http.streamed(_written(request), timeout_s) as answer:
            if not answer.is_success:
                read_answer(answer.status_code, answer.headers, answer.read(), True)
            yield from answer.iter_bytes()

    def changes(self, request: Request, timeout_s: float) -> Iterator[Any]:
        reader = EventReader()
        pauses_s = min(timeout_s, LONGEST_SILENCE_S)
        give_up_at = time.monotonic() + timeout_s
        with self._http.streamed(_written(request), pauses_s) as answer:
            if not answer.is_success:
                read_answer(answer.status_code, answer.headers, answer.read(), True)
            for portion in answer.iter_bytes():
                for event in reader.read(portion):
                    if event.name == "error":
                        told = event.json()
                        raise error_from_code(told["code"], told["message"], told.get("details"))
                    yield event.json()
                if time.monotonic() > give_up_at:
                    raise TimedOut(f"it went on for more than {timeout_s:g} s")

    def close(self) -> None:
        self._http.close()


def _written(request: Request) -> Sent:
    method, path = request.operation.method, path_of(request)
    if request.upload is not None:
        return Sent(method, path, headers_of(request, keyed=False), form=_form(request, request.upload))
    return Sent(method, path, headers_of(request, keyed=True), content=body_of(request))


def _form(request: Request, upload: Upload) -> Form:
    return [("job", (None, form_part(request), JSON)), ("file", (upload.name, upload.data))]
