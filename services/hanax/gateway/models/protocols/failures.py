"""What a failure of an upstream server means: the one table from statuses and broken connections to errors.

`retryable` false in the details: the same server would fail again. Where it is an UpstreamFailed, another
server of the model may still answer. `wrong_answer`: it took the request and did not do as it should, which
may be so for good with these texts. `retry_after_s`: the server asked to be left alone so long.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpx
import orjson
from h2.exceptions import H2Error

from hanax.core.errors import HanaxError, RateLimited, TextTooLong, Unavailable, UpstreamFailed
from hanax.core.model_routes import ModelRoute
from hanax.gateway.balancing.addresses import shown_address

# A server may ask for a day; whoever waits here has minutes.
MAX_RETRY_AFTER_S: Final = 300.0

# Of what a server says of its failure, to people.
_EXCERPT_CHARS: Final = 300

# Of a failure's body, to be understood.
MAX_FAILURE_BYTES: Final = 16_384

# How servers say that texts are longer than the model or the request takes: TEI, OpenAI and vLLM, Cohere,
# Ollama, llama.cpp.
_TOO_LONG: Final = re.compile(
    r"context.?(length|size|window)|n_ctx|must have less than \d+ (tokens|characters)|too long"
    r"|too many (input )?tokens|tokens per request|too large to process"
    r"|exceeds? (the )?(max|maximum|model)|size limit exceeded",
    re.IGNORECASE,
)
_SAYS_TOO_LONG: Final = frozenset({400, 422, 500})


# What may come out of a request that was made. Not all of it is httpx's own: what lies below it lets errors
# of HTTP/2 pass.
TRANSPORT_FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, H2Error, OSError)


class Server:
    """Who failed, for messages."""

    def __init__(self, address: str, model: ModelRoute) -> None:
        self.endpoint = shown_address(address)
        self.model = model

    def failed(self, kind: type[HanaxError], what: str, /, **details: object) -> HanaxError:
        return kind(
            f"{self.model.title} {self.model.name!r}: {self.endpoint} {what}",
            **{**details, "model": self.model.name, "endpoint": self.endpoint},
        )

    def no_answer(self, what: str, **details: object) -> HanaxError:
        """It answered, but not what was asked for. Another try may be luckier."""
        return self.failed(UpstreamFailed, what, retryable=True, wrong_answer=True, **details)


def from_status(
    server: Server, status: int, headers: Mapping[str, str], body: bytes, key: str | None
) -> HanaxError:
    """What an HTTP answer other than 2xx means. `body`: its beginning; `key`: what must not be told."""
    wait = retry_after_s(headers.get("retry-after"))
    waiting = {} if wait is None else {"retry_after_s": wait}
    if status in (401, 403):
        # What it says may repeat the key.
        what = f"answered {status}: {refused_key(server.model)}"
        return server.failed(UpstreamFailed, what, status=status, retryable=False)
    if 300 <= status < 400:
        return server.failed(
            UpstreamFailed,
            f"answered {status}: redirects are not followed",
            status=status,
            retryable=False,
        )
    said = excerpt(body, key)
    what = f"answered {status}{f': {said}' if said else ''}"
    if status == 413 or (status in _SAYS_TOO_LONG and _TOO_LONG.search(said)):
        return server.failed(TextTooLong, what, status=status)
    if status == 429:
        return server.failed(RateLimited, what, status=status, **waiting)
    if status == 503:
        return server.failed(Unavailable, what, status=status, **waiting)
    again = status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        waiting["wrong_answer"] = True
    return server.failed(UpstreamFailed, what, status=status, retryable=again, **waiting)


def from_transport(server: Server, failure: Exception) -> HanaxError:
    """What one of TRANSPORT_FAILURES means."""
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return server.failed(
                UpstreamFailed,
                f"has a certificate that is not trusted: {cause.verify_message}",
                retryable=False,
            )
        if isinstance(cause, ssl.SSLError):
            return server.failed(
                UpstreamFailed,
                f"does not speak TLS as it should: {cause.reason or 'the handshake failed'}",
                retryable=False,
            )
        if isinstance(cause, socket.gaierror):
            return server.failed(Unavailable, "has a name that is not known")
    if isinstance(failure, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.TooManyRedirects):
        return server.failed(UpstreamFailed, "is no URL that can be asked", retryable=False)
    if isinstance(failure, httpx.LocalProtocolError):
        return server.failed(UpstreamFailed, "can't be sent such a request", retryable=False)
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return server.failed(Unavailable, "does not take connections")
    return server.failed(Unavailable, "closed the connection before it had answered")


def retry_after_s(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, at most MAX_RETRY_AFTER_S; None: it says nothing."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def excerpt(body: bytes, key: str | None) -> str:
    """What a server says of its failure, on one line; "" when it says nothing that can be read."""
    try:
        said = _message_in(orjson.loads(body))
    except orjson.JSONDecodeError:
        # A page for people tells programs nothing.
        said = "" if body.lstrip().startswith(b"<") else body.decode(errors="replace")
    if key:
        said = said.replace(key, "[key]")
    said = " ".join("".join(char if char.isprintable() else " " for char in said).split())
    return said if len(said) <= _EXCERPT_CHARS else said[:_EXCERPT_CHARS] + "..."


def _message_in(value: object) -> str:
    """The servers' forms: {"error": {"message"}}, {"error": text}, {"message"}, {"detail"}."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for name in ("error", "message", "detail"):
            if name in value:
                return _message_in(value[name])
    if isinstance(value, list) and value:
        return _message_in(value[0].get("msg") if isinstance(value[0], dict) else value[0])
    return ""


def refused_key(model: ModelRoute) -> str:
    """What 401 and 403 mean. The key is named, not told."""
    if model.secret is None:
        return "it wants a key, and the model has no secret"
    return f"it refused our key; see secret {model.secret.name!r}, key {model.secret.key!r}"


def _causes(failure: BaseException) -> list[BaseException]:
    """`failure` and what it came from. As deep as httpx and its transport wrap, and no deeper."""
    found: list[BaseException] = []
    cause: BaseException | None = failure
    while cause is not None and len(found) < 10:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found
