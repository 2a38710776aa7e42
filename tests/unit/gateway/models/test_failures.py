"""Every failure of the HTTP client has a meaning; what a server says of one is cut and cleaned."""

from __future__ import annotations

from collections.abc import Iterator

import h2.exceptions
import httpx
import pytest

from hanax.core.errors import Unavailable, UpstreamFailed
from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.protocols.failures import (
    TRANSPORT_FAILURES,
    Server,
    excerpt,
    from_transport,
)

MODEL = ModelRoute(name="m", dimension=8, max_tokens=8, endpoints=("https://host/v1?key=hidden",))
SERVER = Server(MODEL.addresses[0], MODEL)


def _all_below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all_below(child)


# With a later version of httpx or h2 there may be more of them.
KINDS = sorted(
    {
        kind
        for root in (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, h2.exceptions.H2Error)
        for kind in _all_below(root)
    },
    key=lambda kind: kind.__name__,
)

# The same request can't be sent again with more luck.
HOPELESS = {httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.LocalProtocolError}


@pytest.mark.parametrize("kind", KINDS)
def test_every_failure_of_the_client_has_a_meaning(kind: type[Exception]) -> None:
    failure = kind.__new__(kind)
    assert isinstance(failure, TRANSPORT_FAILURES)
    error = from_transport(SERVER, failure)
    assert type(error) is (UpstreamFailed if kind in HOPELESS else Unavailable)
    assert error.details.get("retryable") is (False if kind in HOPELESS else None)
    assert error.message.startswith("embedding model 'm': https://host ")
    assert "hidden" not in str(error.details)


def test_the_clients_every_failure_is_looked_at() -> None:
    public = {getattr(httpx, name) for name in httpx.__all__}
    errors = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Exception)}
    # A cookie is nobody's here.
    assert errors - {httpx.CookieConflict} <= set(KINDS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"no such model","type":"x"}}', "no such model"),
        (b'{"error":"no such model"}', "no such model"),
        (b'{"message":"no such model"}', "no such model"),
        (b'{"detail":"no such model"}', "no such model"),
        (b'{"detail":[{"loc":["body"],"msg":"no such model"}]}', "no such model"),
        (b"no\r\n such\x00\x1b[31m model\t", "no such [31m model"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"<html><h1>502</h1></html>", ""),
        (b'{"code":7}', ""),
        (b'{"error":null}', ""),
        (b"[]", ""),
        (b"7", ""),
        (b"", ""),
        (b"x" * 1_000, "x" * 300 + "..."),
    ],
)
def test_what_a_server_says_fits_on_a_line(body: bytes, said: str) -> None:
    assert excerpt(body, None) == said


def test_a_key_in_what_a_server_says_is_left_out() -> None:
    assert excerpt(b'{"error":"key sk-1 is bad: sk-1"}', "sk-1") == "key [key] is bad: [key]"
