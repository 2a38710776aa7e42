"""Channels of gRPC, on the event loop. _sync has a module of the same names, by hand."""

from __future__ import annotations

import grpc

from hxp_vector_client.grpc_settings import certificates, channel_options, target_of
from hxp_vector_client.settings import Connection

Channel = grpc.aio.Channel


def open_channel(connection: Connection) -> Channel:
    """Not connected until the first call. Raises InvalidArgument."""
    target, secure = target_of(connection.url)
    if not secure:
        return grpc.aio.insecure_channel(target, channel_options())
    return grpc.aio.secure_channel(
        target, grpc.ssl_channel_credentials(certificates(connection)), channel_options()
    )
