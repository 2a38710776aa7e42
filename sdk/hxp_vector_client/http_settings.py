"""What of a connection all transports over HTTP have in common."""

from __future__ import annotations

import platform
import ssl
from functools import cache
from typing import Final

import httpx

from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.settings import Connection
from hxp_vector_client.version import __version__

_LAST_PORT: Final = 65_535


@cache
def user_agent() -> str:
    return f"hxp-vector-client/{__version__} python/{platform.python_version()}"


def base_url(url: str) -> httpx.URL:
    """Raises InvalidArgument for what is no http or https URL."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidArgument(f"url: expected http://host:port, got {url!r}: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidArgument(f"url: expected http://host:port or https://host:port, got {url!r}")
    if parsed.port is not None and not 0 < parsed.port <= _LAST_PORT:
        raise InvalidArgument(f"url: expected a port from 1 to {_LAST_PORT}, got {url!r}")
    return parsed


def tls_context(connection: Connection) -> ssl.SSLContext | bool:
    """False where TLS is not used, or shall trust anyone. Raises InvalidArgument."""
    if not connection.url.startswith("https:") or connection.verify is False:
        return False
    if isinstance(connection.verify, str):
        try:
            return ssl.create_default_context(cafile=connection.verify)
        except OSError as error:
            raise InvalidArgument(
                f"verify: the certificates {connection.verify} can not be read: {error}"
            ) from None
    return True
