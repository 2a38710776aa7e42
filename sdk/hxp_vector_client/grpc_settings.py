"""What of a connection gRPC needs, and the libraries that come with the extra `grpc`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.extras import imported
from hxp_vector_client.http_settings import user_agent
from hxp_vector_client.settings import Connection

# The gateway's own limit of a message.
MAX_MESSAGE_BYTES: Final = 128 * 1024 * 1024

_SCHEMES: Final = {"grpc": False, "http": False, "grpcs": True, "https": True}


def require_grpc() -> None:
    """Raises MissingExtra."""
    for name in ("grpc", "google.rpc.status_pb2"):
        imported(name, "grpc")


def target_of(url: str) -> tuple[str, bool]:
    """host:port, and whether it is asked over TLS. Raises InvalidArgument."""
    scheme, found, rest = url.partition("://")
    if not found:
        scheme, rest = "grpc", url
    target = rest.rstrip("/")
    host, _, port = target.rpartition(":")
    if scheme not in _SCHEMES or not host or not port.isdigit():
        raise InvalidArgument(f"url: expected host:port or grpc://host:port, got {url!r}")
    return target, _SCHEMES[scheme]


def channel_options() -> list[tuple[str, Any]]:
    return [
        ("grpc.max_send_message_length", 2 * MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", 2 * MAX_MESSAGE_BYTES),
        ("grpc.primary_user_agent", user_agent()),
        # Tries and their times are told by the caller.
        ("grpc.enable_retries", 0),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # Proxies of the environment are for other traffic.
        ("grpc.enable_http_proxy", 0),
    ]


def certificates(connection: Connection) -> bytes | None:
    """To trust in place of those that gRPC brings. Raises InvalidArgument for trusting anyone, and
    for a file that can not be read."""
    if connection.verify is False:
        raise InvalidArgument("verify: gRPC always checks certificates; name a file of those to trust")
    if not isinstance(connection.verify, str):
        return None
    try:
        return Path(connection.verify).read_bytes()
    except OSError as error:
        raise InvalidArgument(
            f"verify: the certificates {connection.verify} can not be read: {error}"
        ) from None
