"""What of a connection all transports over HTTP have in common."""

from __future__ import annotations

import platform
import ssl
from functools import cache

import httpx

from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.settings import Connection
from hxp_vector_client.version import __version__


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
    return parsed


def tls_context(connection: Connection) -> ssl.SSLContext | bool:
    """False where TLS is not used, or shall trust anyone."""
    if not connection.url.startswith("https:") or connection.verify is False:
        return False
    if isinstance(connection.verify, str):
        return ssl.create_default_context(cafile=connection.verify)
    return True
